//! API v1 over HTTP: routes, rights, change feed, metrics and notices; thin.
//!
//! The engine decides everything that concerns keys. This crate reads requests strictly, finds out
//! who asks, checks the one table of rights, calls the engine on a bounded number of threads, and
//! writes the answer. [`Server::start`] is the way in.
//!
//! ```no_run
//! # use std::error::Error;
//! # use std::sync::Arc;
//! # async fn run(engine: Arc<keywheel_engine::Engine>) -> Result<(), Box<dyn Error>> {
//! use keywheel_server::{Listen, Server, Settings};
//!
//! let settings = Settings { listen: vec![Listen::parse("127.0.0.1:0")?], ..Settings::default() };
//! let running = Server::start(engine, settings).await?;
//! println!("listening on {}", running.addresses()[0]);
//! running.stop(std::time::Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```

mod accept;
mod app;
mod authz;
mod call;
mod error;
mod feed;
mod json;
mod jwks;
mod listen;
mod metrics;
mod openapi;
mod operation;
mod pipeline;
mod query;
mod refusal;
mod routes;
mod server;
mod settings;
mod stall;
mod status;
mod tls;

pub mod edge;
pub mod notify;

pub use error::StartError;
pub use openapi::openapi;
pub use server::{Running, Server};
pub use settings::{AuthzSettings, Limits, Listen, ListenError, Settings, SocketMode, Tls};
