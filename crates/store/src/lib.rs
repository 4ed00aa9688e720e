//! Adapters of the engine's ports: where documents, leases, master keys and marks really live.
//!
//! [`SqliteStore`] is the embedded default and [`MemoryStore`] the one of tests and of the simulated
//! world; both pass the one suite in [`conformance`], which later engines must pass too. [`Sealer`]
//! turns documents into the only bytes that a store ever sees, under a data key that a master key of
//! [`kek`] wraps. What the documents say, and when they change, is the engine's business.

pub mod conformance;
pub mod kek;

mod database;
mod envelope;
mod highwater;
mod manual_clock;
mod memory;
mod os;
mod private_file;
mod seal;
mod sqlite;

pub use database::OpenError;
pub use envelope::{Envelope, EnvelopeError};
pub use highwater::{FileHighWater, MemoryHighWater};
pub use kek::{FileKek, KekOpenError, KekRing, KekSource};
pub use manual_clock::ManualClock;
pub use memory::{MemorySnapshot, MemoryStore};
pub use os::{SystemClock, SystemEntropy};
pub use seal::{SealError, Sealer, Subject, Unsealed};
pub use sqlite::{BackupError, SqliteStore};
