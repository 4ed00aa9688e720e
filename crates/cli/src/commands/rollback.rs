//! `keywheel rollback`: makes the former key primary again; what the new one protected stays
//! accepted.

use super::verb::{self, OnRing};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel rollback`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    on: OnRing,
}

/// Asks the server.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    verb::act(invocation, "rollback", &args.on)
}
