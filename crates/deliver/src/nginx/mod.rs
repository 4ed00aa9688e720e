//! What is particular about nginx: a staged include is tested in its place before nginx sees it
//! ([`check_staged`]), and after a reload the processes themselves are asked whether it was taken
//! ([`Reloading`]), because a successful exit code says neither.
//!
//! What stands in an include is left to the renderer, writing it to the sink, and asking for the
//! reload to the hooks.

mod check;
mod copies;
mod error;
mod log;
mod workers;
#[cfg(test)]
mod tests;

pub use check::{CHECK_TIMEOUT, check_staged};
pub use error::{CheckError, OldWorker, WorkersError};
pub use workers::{Reloading, Taken, old_workers};
