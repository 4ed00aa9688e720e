//! `keywheel jwt`: tokens with claims (RFC 7519).

pub mod inspect;
pub mod ring;
pub mod sign;
pub mod verify;

use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel jwt`.
#[derive(clap::Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Verifies tokens, one a line of standard input
    Verify(Box<verify::Args>),
    /// Makes a token with the primary key of a ring
    Sign(sign::Args),
    /// Shows what tokens say, one a line of standard input, without verifying anything
    Inspect(inspect::Args),
}

/// Does one of the tasks.
///
/// # Errors
/// When it cannot be done.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    match &args.task {
        Task::Verify(args) => verify::run(invocation, args),
        Task::Sign(args) => sign::run(invocation, args),
        Task::Inspect(args) => inspect::run(invocation, args),
    }
}
