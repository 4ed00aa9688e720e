//! `keywheel resume`: lets a ring that was held, or a version that was suspended, go on.

use super::verb::{self, OnRing, version_number};
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel resume`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    on: OnRing,
    /// A suspended version, instead of the ring: 7 or v7
    #[arg(long, value_parser = version_number)]
    version: Option<u32>,
}

/// Asks the server.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    match args.version {
        None => verb::act(invocation, "resume", &args.on),
        Some(number) => verb::act(invocation, &format!("versions/{number}/resume"), &args.on),
    }
}
