//! `keywheel suspend`: takes one version out of use until it is resumed.

use keywheel_api::ring::Verb;

use super::verb::{self, OnVersion};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel suspend`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    on: OnVersion,
}

/// Asks the server.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    verb::act_on_version(invocation, "suspend", &args.on, &Verb::default())
}
