//! The command line of keywheel: arguments, configuration, and one file for each verb in
//! [`commands`]. What a rotation is, how it is driven and what travels is decided in the crates
//! below; here it is only asked for and shown.

use std::process::ExitCode;

use clap::Parser as _;

use crate::arguments::Cli;
use crate::console::Console;
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
pub mod python;
pub mod redact;
pub mod remote;
pub mod show;
pub mod signals;
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

/// Shows help, or says what is wrong with the arguments as every other error is said.
fn refuse_arguments(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Where even this cannot be written, nobody reads it.
        let _ = error.print();
        return exit::Exit::Done.into();
    }
    let has = |flag: &str| std::env::args_os().any(|argument| argument == flag);
    let failure = arguments::refusal(&error.render().to_string());
    failure.report(&Console::new(has("--json"), false, has("--no-color")));
    failure.exit.into()
}
