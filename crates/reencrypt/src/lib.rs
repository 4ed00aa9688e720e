//! Moves encrypted columns of PostgreSQL from one key to another: online, verified, resumable.
//!
//! Values are opened and sealed here, never by the server, so no key and no plaintext is in any
//! statement, parameter, log or error. A row is written only while its old value still stands, and
//! only after its new value opened to the same plaintext. How far a move is stands in the database
//! itself, written with the rows that it tells of.
//!
//! Who connects, with which password, and where keys come from is left to the caller.

mod batch;
mod catalog;
mod error;
mod horizon;
mod inspect;
mod job;
mod obstacle;
mod plan;
mod progress;
mod run;
mod scan;
mod session;
mod settings;
mod statement;
mod target;
mod throttle;
mod trial;
mod verify;
mod worker;

pub use error::{Error, Said};
pub use horizon::{Holder, Horizon, holders, horizon, wait_for};
pub use inspect::{Census, Inspection, Prediction, inspect};
pub use job::{Counts, Job};
pub use obstacle::Obstacle;
pub use progress::{Pause, Progress};
pub use run::{Connect, Move, Outcome, status};
pub use session::{config, connect};
pub use settings::{Settings, Triggers, Vacuum};
pub use target::{Keys, TableName, Target};
pub use verify::{RowName, Verdict, verify};
