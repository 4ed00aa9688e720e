//! `keywheel jws`: signed data of any content (RFC 7515).

pub mod lines;
pub mod verify;

use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel jws`.
#[derive(clap::Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Verifies compact signatures, one a line of standard input
    Verify(verify::Args),
}

/// Does one of the tasks.
///
/// # Errors
/// When it cannot be done.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    match &args.task {
        Task::Verify(args) => verify::run(invocation, args),
    }
}
