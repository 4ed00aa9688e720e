//! `bench <name>|all [--scale ci|full]`: measures, and prints Markdown.
//!
//! Each bench stands in a file of its name and measures CPU time as a ratio to a peer in the same
//! run; wall time only illustrates the machine. Nothing here passes or fails. `cargo xtask bench`
//! collects the sections into docs/benchmarks.md and describes the machine.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench talks to its terminal")]
#![expect(clippy::cast_precision_loss, reason = "figures are shown with three digits or so")]

mod authz;
mod child;
mod counting;
mod keywheel;
mod measure;
mod others;
mod peer;
mod report;
mod revocation;
mod rings;
mod rotation;
mod seal;
mod server;
mod table;
mod tokens;
mod watchers;
mod world;

use std::process::ExitCode;

const USAGE: &str = "usage: bench authz|rings|rotation|watchers|server|seal|report|revocation|\
                     tokens|all [--scale ci|full]";

/// Benches are programs for engineers: whatever goes wrong is told in words, and ends the run.
pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How large the worlds are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Everything together within a minute.
    Ci,
    /// What docs/benchmarks.md shows.
    Full,
}

impl Scale {
    /// The size that belongs to this scale.
    pub(crate) const fn pick<T: Copy>(self, ci: T, full: T) -> T {
        match self {
            Self::Ci => ci,
            Self::Full => full,
        }
    }
}

type Bench = fn(Scale) -> Fallible<String>;

const BENCHES: [(&str, Bench); 9] = [
    ("authz", authz::run),
    ("rings", rings::run),
    ("rotation", rotation::run),
    ("watchers", watchers::run),
    ("server", server::run),
    ("seal", seal::run),
    ("report", report::run),
    ("revocation", revocation::run),
    ("tokens", tokens::run),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [child::VERB, rest @ ..] => child::main(rest),
        [name] => run(name, scale_of_environment()),
        [name, "--scale", "ci"] => run(name, Scale::Ci),
        [name, "--scale", "full"] => run(name, Scale::Full),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn scale_of_environment() -> Scale {
    match std::env::var("KEYWHEEL_SCALE").as_deref() {
        Ok("full") => Scale::Full,
        _ => Scale::Ci,
    }
}

fn run(name: &str, scale: Scale) -> Fallible<()> {
    let chosen: Vec<_> =
        BENCHES.iter().filter(|(known, _)| name == "all" || *known == name).collect();
    if chosen.is_empty() {
        return Err(format!("there is no bench `{name}`; {USAGE}").into());
    }
    for (known, bench) in chosen {
        let started = measure::monotonic();
        let text = bench(scale).map_err(|error| format!("{known}: {error}"))?;
        if name == "all" {
            println!("## {known}\n");
        }
        println!("{}\n", text.trim_end());
        let took = measure::monotonic().saturating_sub(started);
        eprintln!("{known}: {:.1} s", took.as_secs_f64());
    }
    Ok(())
}
