//! The command line of keywheel: arguments, configuration, and one file for each verb in
//! [`commands`]. What a rotation is, how it is driven and what travels is decided in the crates
//! below; here it is only asked for and shown.

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Cli;
use crate::console::Console;
use crate::failure::Failure;
use crate::invocation::Invocation;

pub mod arguments;
pub mod commands;
pub mod config;
pub mod console;
pub mod exit;
pub mod failure;
pub mod follow;
pub mod invocation;
pub mod private;
pub mod progress;
pub mod redact;
pub mod remote;
pub mod show;
pub mod state;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => {
            let invocation = Invocation::new(cli.global);
            match commands::run(&invocation, cli.command) {
                Ok(exit) => exit.into(),
                Err(failure) => {
                    failure.report(&invocation.console);
                    failure.exit.into()
                }
            }
        }
        Err(error) => refuse_arguments(&error),
    }
}

/// Shows help, or says what is wrong with the arguments; as JSON where that was asked for.
fn refuse_arguments(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && wants_json {
        let text = error.render().to_string();
        let cause = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let failure = Failure::new(exit::Exit::Usage, cause, "see keywheel --help");
        failure.report(&Console::new(true, false, true));
        return failure.exit.into();
    }
    // Where even this cannot be written, nobody reads it.
    let _ = error.print();
    if error.use_stderr() { exit::Exit::Usage.into() } else { exit::Exit::Done.into() }
}
