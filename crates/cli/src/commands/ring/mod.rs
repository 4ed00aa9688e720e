//! `keywheel ring`: rings themselves, and what others report about them. Each task has its file.

use keywheel_core::id::RingName;

use crate::exit::Exit;
use crate::failure::Outcome;
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show;

mod columns;
mod delete;
mod destroy;
mod event;
mod evidence;
mod findings;
mod import;
mod source;

/// The arguments of `keywheel ring`.
#[derive(clap::Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Lists the rings
    List,
    /// Shows one ring, as `keywheel status RING` does
    Show {
        /// The ring
        ring: RingName,
    },
    /// Takes over the key that a team already uses, byte for byte
    Import(import::Args),
    /// Deletes a ring; its name and record stay
    Delete(delete::Args),
    /// Erases a retired version now
    Destroy(destroy::Args),
    /// Shows who is declared to use a ring, and what scans of code bases found
    Findings(findings::Args),
    /// Shows the columns that hold values under a ring's keys, and how far each is
    Columns(columns::Args),
    /// Reports evidence to a gate
    Evidence(evidence::Args),
    /// Reports an application event that may start a rotation
    Event(event::Args),
}

/// Runs a task.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: Args) -> Outcome {
    match args.task {
        Task::List => list(invocation),
        Task::Show { ring } => {
            super::status::show_one(invocation, &Remote::open(invocation)?.ring(&ring)?)
        }
        Task::Import(args) => import::run(invocation, &args),
        Task::Delete(args) => delete::run(invocation, &args),
        Task::Destroy(args) => destroy::run(invocation, &args),
        Task::Findings(args) => findings::run(invocation, &args),
        Task::Columns(args) => columns::run(invocation, &args),
        Task::Evidence(args) => evidence::run(invocation, &args),
        Task::Event(args) => event::run(invocation, &args),
    }
}

fn list(invocation: &Invocation) -> Outcome {
    let rings = Remote::open(invocation)?.rings()?;
    if invocation.console.json() {
        invocation.console.value(&rings)?;
        return Ok(Exit::Done);
    }
    let mut table = show::Table::new(&["RING", "KIND", "PRIMARY", "VERSIONS", "NOTE"]);
    for ring in &rings {
        let primary = ring.primary.map_or_else(|| "-".to_owned(), |number| format!("v{number}"));
        table.row(vec![
            show::Piece::new(show::Tone::Strong, &ring.name),
            show::Piece::from(&ring.kind),
            primary.into(),
            ring.versions.len().to_string().into(),
            if ring.deleted.is_some() { "deleted".into() } else { "".into() },
        ]);
    }
    invocation.console.lines(&table.lines())?;
    Ok(Exit::Done)
}
