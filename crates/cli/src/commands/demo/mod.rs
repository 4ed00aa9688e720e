//! `keywheel demo`: four rotations of real processes under load. Its author fills this folder.

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// The arguments of `keywheel demo`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Does the same with a one-step swap, and shows the requests that fail
    #[arg(long)]
    pub naive: bool,
}

/// Runs the demonstration.
///
/// # Errors
/// When a process cannot be started.
pub fn run(_invocation: &Invocation, _args: Args) -> Outcome {
    Err(Failure::new(Exit::Failed, "the demonstration is not built yet", ""))
}
