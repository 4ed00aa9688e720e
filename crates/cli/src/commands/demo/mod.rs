//! `keywheel demo`: four rotations of real processes under load. This process is the director: it
//! starts a server and workers (itself, in other parts), does to them what the script says, and
//! shows what the server says about it.

use std::path::PathBuf;

use self::board::Shared;
use self::parent::Order;
use crate::commands::serve;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

mod admin;
mod board;
mod director;
mod lines;
mod naive;
mod parent;
mod picture;
mod plan;
mod process;
mod protocol;
mod scene;
mod screen;
mod signals;
mod stages;
mod summary;
mod tally;
mod trials;
mod worker;

/// The arguments of `keywheel demo`.
#[derive(clap::Args, Debug)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Does the same with a one-step swap, and shows the requests that fail
    #[arg(long)]
    naive: bool,
    /// How many rotations, in the order: plain, a stopped process, a rollback, a killed server
    #[arg(long, value_name = "N", default_value_t = plan::ROTATIONS_MAX,
          value_parser = clap::value_parser!(u8).range(1..=i64::from(plan::ROTATIONS_MAX)))]
    rotations: u8,
    /// How many worker processes, of both services together
    #[arg(long, value_name = "N", default_value_t = 7,
          value_parser = clap::value_parser!(u8).range(2..=24))]
    workers: u8,
    /// Sends fewer requests, for tests
    #[arg(long, hide = true)]
    quick: bool,
    /// Draws the screen into an SVG file while a process is stopped, or while requests fail
    #[arg(long, hide = true, value_name = "FILE")]
    snapshot: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The parts that child processes play.
#[derive(clap::Subcommand, Debug)]
enum Part {
    /// A worker
    #[command(hide = true)]
    Worker {
        /// The file with its settings
        settings: PathBuf,
    },
    /// The server: `keywheel serve`, which ends with its parent
    #[command(hide = true)]
    Server {
        #[command(flatten)]
        args: serve::Args,
    },
}

/// Runs the demonstration.
///
/// # Errors
/// When a process cannot be started, or does something that makes no sense.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    match &args.part {
        Some(Part::Worker { settings }) => worker::run(settings),
        Some(Part::Server { args }) => serve_until_orphaned(invocation, args),
        None => perform(invocation, args),
    }
}

fn serve_until_orphaned(invocation: &Invocation, args: &serve::Args) -> Outcome {
    process::thread(|| {
        parent::listen(|_: Order| {});
        process::end_myself();
    })?;
    serve::run(invocation, args)
}

/// How the demonstration is shown while it runs.
enum Shown {
    Screen,
    Lines,
    Silent,
}

fn perform(invocation: &Invocation, args: &Args) -> Outcome {
    let console = invocation.console;
    let shared = std::sync::Arc::new(Shared::default());
    signals::watch(&shared)?;
    let plan = plan::Plan::new(args);
    let shown = match (console.json() || invocation.global.quiet, console.is_live()) {
        (true, _) => Shown::Silent,
        (false, true) => Shown::Screen,
        (false, false) => Shown::Lines,
    };
    let performed = std::thread::scope(|scope| {
        let director = scope.spawn(|| director::direct(&plan, &shared));
        // Whatever happens to the presenter, the director must not go on alone.
        let _interrupt = InterruptAtEnd(&shared);
        let over = || director.is_finished();
        let presented = match shown {
            Shown::Screen => screen::present(&shared, &over),
            Shown::Lines => lines::present(console, &shared, &over),
            Shown::Silent => Ok(()),
        };
        if presented.is_err() {
            shared.interrupt();
        }
        let performed = director.join().unwrap_or_else(|_| Err(director_lost()));
        presented.and(performed)
    });
    let summary = performed?;
    if console.json() {
        console.value(&summary)?;
    } else {
        console.lines(&summary.lines())?;
    }
    Ok(if summary.passed { Exit::Done } else { Exit::Failed })
}

struct InterruptAtEnd<'a>(&'a Shared);

impl Drop for InterruptAtEnd<'_> {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

fn director_lost() -> Failure {
    Failure::failed("the demonstration broke off", crate::console::REPORT)
}
