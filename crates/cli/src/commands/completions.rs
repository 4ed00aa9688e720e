//! `keywheel completions`: a completion script on standard output.

use clap::CommandFactory as _;

use crate::arguments::Cli;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::invocation::Invocation;

/// The arguments of `keywheel completions`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Writes the script.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "keywheel", &mut script);
    invocation.console.bytes(&script)?;
    Ok(Exit::Done)
}
