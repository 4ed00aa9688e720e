//! `keywheel pause`: holds a ring still. Consumers go on; nothing is promoted, retired or
//! destroyed.

use super::verb::{self, OnRing};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel pause`.
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
    verb::act(invocation, "pause", &args.on)
}
