//! `keywheel jwks`: the public keys as others fetch them, and who fetched them.

use keywheel_api::jwks::JwksClients;
use keywheel_core::id::RingName;
use serde_json::Value;

use crate::exit::Exit;
use crate::failure::Outcome;
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show::{Line, Piece, Table, Tone};

/// The arguments of `keywheel jwks`.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Only this ring. Default: every ring with public keys
    #[arg(long)]
    ring: Option<RingName>,
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(clap::Subcommand, Debug)]
enum Task {
    /// Lists who fetched a ring's public keys from the server, and which
    Clients {
        /// The ring
        #[arg(long)]
        ring: RingName,
    },
}

/// Runs a task.
///
/// # Errors
/// When the server refuses or cannot be reached.
pub fn run(invocation: &Invocation, args: Args) -> Outcome {
    let remote = Remote::open(invocation)?;
    if let Some(Task::Clients { ring }) = args.task {
        return clients(invocation, &remote, &ring);
    }
    let path = match args.ring {
        Some(ring) => format!("/v1/rings/{ring}/jwks.json"),
        None => "/.well-known/jwks.json".to_owned(),
    };
    let document: Value = remote.get(&path)?;
    // It is a JSON document, with or without --json.
    invocation.console.value(&document)?;
    Ok(Exit::Done)
}

fn clients(invocation: &Invocation, remote: &Remote, ring: &RingName) -> Outcome {
    let seen: JwksClients = remote.get(&format!("/v1/rings/{ring}/jwks-clients"))?;
    if invocation.console.json() {
        invocation.console.value(&seen)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["ADDRESS", "CLIENT", "KEYS OF", "LAST SEEN", "FETCHES"]);
    for client in &seen.clients {
        let is_behind = client.revision < seen.revision;
        let tone = if is_behind { Tone::Bad } else { Tone::Good };
        table.row(vec![
            Piece::from(&client.address),
            Piece::from(&client.user_agent),
            Piece::new(tone, format!("r{}", client.revision)),
            Piece::from(&client.last),
            Piece::from(&client.fetches.to_string()),
        ]);
    }
    let mut lines: Vec<Line> = vec![format!("the server serves r{}", seen.revision).into()];
    lines.extend(table.lines());
    invocation.console.lines(&lines)?;
    Ok(Exit::Done)
}
