//! Runs a program with keys in its environment, and runs it anew when what it was given changes: an
//! inherited environment is never read again, whatever signal a program gets. Each child is an
//! instance of its own at the server, under its own process id.
//!
//! [`plan`] decides what starts and stops, and is pure; [`supervisor`] does it. The program itself
//! is started by a small shim ([`shim`]), because some things only the process itself can do.

pub mod plan;
pub mod programs;
pub mod settings;
pub mod shim;
pub mod sockets;
pub mod supervisor;

mod environment;
mod error;
mod follow;
mod process;
mod reaper;

pub use environment::EnvironmentError;
pub use error::ExecError;
pub use follow::{Checked, Event};
