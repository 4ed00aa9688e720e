//! `campaign <name> --scale ci|full`: long checks whose Markdown `cargo xtask campaign` commits.
//! Each campaign is a module of its own; this file only finds it by its name.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports")]

use std::process::ExitCode;

mod kill;
mod model;
mod world;

/// What every campaign is told.
pub(crate) struct Options {
    /// Whether to run at full size.
    pub(crate) full: bool,
}

/// A campaign returns its Markdown and what failed.
type Campaign = fn(&Options) -> (String, Vec<String>);

const CAMPAIGNS: &[(&str, Campaign)] =
    &[("kill", kill::run), ("model", model::run), ("world", world::run)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (name, full) = match words[..] {
        [name] | [name, "--scale", "ci"] => (name, false),
        [name, "--scale", "full"] => (name, true),
        _ => return usage("one name and at most `--scale ci|full`"),
    };
    let Some((_, run)) = CAMPAIGNS.iter().find(|(known, _)| *known == name) else {
        return usage(&format!("there is no campaign `{name}`"));
    };
    let (text, failures) = run(&Options { full });
    print!("{text}");
    for failure in &failures {
        eprintln!("{failure}");
    }
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage(cause: &str) -> ExitCode {
    let names: Vec<_> = CAMPAIGNS.iter().map(|(name, _)| *name).collect();
    eprintln!("usage: campaign {} --scale ci|full; {cause}", names.join("|"));
    ExitCode::from(2)
}
