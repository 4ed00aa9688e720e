//! `keywheel approve`: says that a person looked and agrees with the promotion that waits.

use super::verb::{self, OnRing};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel approve`.
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
    verb::act(invocation, "approve", &args.on)
}
