//! The consumer library: it follows rings, swaps keysets atomically, proves that this process holds
//! them, and survives forks.
//!
//! ```no_run
//! use keywheel_client::{Client, TokenSource};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder("http://127.0.0.1:7117", TokenSource::Environment)
//!     .consumer("web")
//!     .ring("access-token")
//!     .build()?;
//! let ring = client.ring("access-token")?;
//! let guard = ring.guard()?; // a rotation waits for work that protects
//! let signature = guard.material().sign(b"message")?;
//! let kid = guard.kid().clone();
//! drop(guard);
//! ring.verify(&kid.0, b"message", &signature)?;
//! # Ok(())
//! # }
//! ```
//!
//! Who decides what: [`state`] holds what a process knows of one ring, [`session`] what it does
//! next; both are pure. The watcher thread acts that out over [`http`], and what it finds is shown
//! to the application, whose reads take no lock. What a token is stands in `keywheel_jose::token`;
//! here it gets the keys of a ring.

pub mod clock;
pub mod http;
pub mod session;
pub mod state;
pub mod unknown;

mod builder;
mod cache;
mod client;
mod error;
mod fork;
mod fresh;
mod guard;
mod health;
mod identity;
mod issued;
mod keyset;
mod linger;
mod live;
mod local;
mod material;
mod private;
mod random;
mod report;
mod revocations;
mod seal;
mod still;
mod throttle;
mod token;
mod watcher;

pub use builder::{Builder, TokenSource};
pub use client::{Client, RingHandle};
pub use error::{
    BuildError, ClientError, ProcessError, ProtectError, RevocationCheckError, RevocationsStale,
};
pub use fork::forks;
pub use guard::Guard;
pub use health::Health;
pub use http::{Endpoint, TlsOptions, Token};
pub use keyset::{Keyset, Version};
pub use seal::{OpenError, OpenedValue, SealError};
pub use still::StillKeys;
pub use token::{SignError, TokenRefusal, VerifiedToken};
