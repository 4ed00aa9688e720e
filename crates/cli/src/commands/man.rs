//! `keywheel man`: the manual page on standard output.

use clap::CommandFactory as _;

use crate::arguments::Cli;
use crate::console::REPORT;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// The arguments of `keywheel man`.
#[derive(clap::Args, Debug)]
pub struct Args {}

/// Writes the page: the command itself, then a section for each verb.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(invocation: &Invocation, _args: &Args) -> Outcome {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .section("1")
        .render(&mut page)
        .map_err(|error| Failure::failed(format!("the page cannot be made: {error}"), REPORT))?;
    invocation.console.bytes(&page)?;
    Ok(Exit::Done)
}
