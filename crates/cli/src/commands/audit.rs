//! `keywheel audit`: the hash-chained record of who did what.

use keywheel_api::audit::{Audit, AuditEntry};
use keywheel_core::id::RingName;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show::{Piece, Table, Tone};

/// How many entries one call brings.
const PAGE: usize = 500;

/// The arguments of `keywheel audit`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Checks the chain from the first entry to the last
    #[arg(long, conflicts_with_all = ["after", "last", "ring"])]
    verify: bool,
    /// Only entries behind this number
    #[arg(long, value_name = "N")]
    after: Option<u64>,
    /// Only the last N entries
    #[arg(long, value_name = "N", conflicts_with = "after")]
    last: Option<usize>,
    /// Only entries about this ring
    #[arg(long)]
    ring: Option<RingName>,
}

/// Reads the record, and shows or checks it.
///
/// # Errors
/// When the server refuses or cannot be reached, or the chain does not hold.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let remote = Remote::open(invocation)?;
    if args.verify {
        return verify(invocation, &remote);
    }
    let mut entries = Vec::new();
    each_page(&remote, args.after.unwrap_or(0), |page| {
        let about = |entry: &AuditEntry| {
            args.ring.as_ref().is_none_or(|ring| entry.ring.as_deref() == Some(ring.as_str()))
        };
        entries.extend(page.entries.into_iter().filter(about));
        if let Some(last) = args.last {
            let surplus = entries.len().saturating_sub(last);
            entries.drain(..surplus);
        }
        Ok(())
    })?;
    if invocation.console.json() {
        invocation.console.value(&entries)?;
    } else {
        invocation.console.lines(&table(&entries).lines())?;
    }
    Ok(Exit::Done)
}

fn table(entries: &[AuditEntry]) -> Table {
    let mut table = Table::new(&["NUMBER", "AT", "WHO", "RING", "WHAT", "PARTICULARS"]);
    for entry in entries {
        let detail = match &entry.detail {
            serde_json::Value::Null => String::new(),
            detail => detail.to_string(),
        };
        table.row(vec![
            entry.number.to_string().into(),
            Piece::new(Tone::Faint, &entry.at),
            Piece::from(&entry.actor),
            entry.ring.as_deref().unwrap_or("-").into(),
            Piece::new(Tone::Strong, &entry.action),
            detail.into(),
        ]);
    }
    table
}

fn verify(invocation: &Invocation, remote: &Remote) -> Outcome {
    let mut count = 0_u64;
    let mut link: Option<String> = None;
    let mut head = String::new();
    each_page(remote, 0, |page| {
        if !page.verified {
            let from = page.entries.first().map_or(0, |entry| entry.number);
            return Err(broken(&format!("an entry behind {from} was changed")));
        }
        for entry in &page.entries {
            let expected = count.saturating_add(1);
            if entry.number != expected {
                return Err(broken(&format!("entry {expected} is missing")));
            }
            if link.as_ref().is_some_and(|hash| *hash != entry.previous) {
                return Err(broken(&format!("entry {expected} does not follow the one before")));
            }
            count = expected;
            link = Some(entry.hash.clone());
        }
        head.clone_from(&page.head);
        Ok(())
    })?;
    if link.as_ref().is_some_and(|hash| *hash != head) {
        return Err(broken("it does not end in its head"));
    }
    if invocation.console.json() {
        invocation.console.value(&json!({ "verified": true, "entries": count, "head": head }))?;
    } else {
        let text = format!("The record holds: {count} entries, each bound to the one before.");
        invocation.console.tell(&text)?;
        invocation.console.tell(&format!("Its head is {head}."))?;
    }
    Ok(Exit::Done)
}

fn broken(how: &str) -> Failure {
    Failure::failed(
        format!("the record cannot be believed: {how}"),
        "keep a copy of the store as it is, and find out who had access to it",
    )
}

/// Brings every page, oldest first. An entry that was added meanwhile may come along.
fn each_page(
    remote: &Remote,
    mut after: u64,
    mut take: impl FnMut(Audit) -> Result<(), Failure>,
) -> Result<(), Failure> {
    loop {
        let page: Audit = remote.get(&format!("/v1/audit?after={after}&limit={PAGE}"))?;
        let last = page.entries.last().map(|entry| entry.number);
        // Only the last page may say where the record ends.
        take(page)?;
        match last {
            Some(last) if last > after => after = last,
            _ => return Ok(()),
        }
    }
}
