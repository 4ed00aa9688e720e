//! `keywheel eject`.

use crate::exit::Exit;
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel eject`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Runs it.
///
/// # Errors
/// Never.
pub fn run(_invocation: &Invocation, _args: &Args) -> Outcome {
    Ok(Exit::Done)
}
