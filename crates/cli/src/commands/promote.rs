//! `keywheel promote`: promotes a confirmed version at once. The server never skips a gate for it.

use super::verb::{self, OnRing};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel promote`.
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
    verb::act(invocation, "promote", &args.on)
}
