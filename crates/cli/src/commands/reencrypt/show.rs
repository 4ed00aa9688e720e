//! What people and programs see of a move. No value and no key is among it.

use keywheel_reencrypt::{Census, Inspection, Job, Outcome, Verdict};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::show::counted;

/// Bytes of a mebibyte.
const MEBIBYTE: u64 = 1 << 20;

fn rows(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "row")
}

fn say(invocation: &Invocation, value: &Value, lines: &[String]) -> Result<(), Failure> {
    if invocation.console.json() {
        return invocation.console.value(value);
    }
    lines.iter().try_for_each(|line| invocation.console.line(line))
}

/// How a move ended.
pub(super) fn moved(invocation: &Invocation, outcome: &Outcome, dry: bool) -> Result<(), Failure> {
    let counts = outcome.counts;
    let value = json!({
        "dry_run": dry,
        "complete": outcome.is_complete,
        "resumed": outcome.is_resumed,
        "passes": outcome.passes,
        "moved": counts.moved,
        "current": counts.current,
        "null": counts.null,
        "missed": counts.missed,
        "quarantined": outcome.in_quarantine,
    });
    let verb = if dry { "would be moved" } else { "moved" };
    let mut lines = vec![format!(
        "{} {verb}, {} under the new key already, {} NULL",
        rows(counts.moved),
        counts.current,
        counts.null
    )];
    if counts.missed > 0 {
        lines.push(format!("{} changed meanwhile: run again", rows(counts.missed)));
    }
    if outcome.in_quarantine > 0 {
        lines.push(format!(
            "{} open with no key; see keywheel.reencrypt_quarantine",
            rows(outcome.in_quarantine)
        ));
    }
    say(invocation, &value, &lines)
}

/// What a full scan found.
pub(super) fn verdict(invocation: &Invocation, verdict: &Verdict) -> Result<(), Failure> {
    let held: Vec<String> = verdict.held_by.iter().map(ToString::to_string).collect();
    let named: Vec<Value> =
        verdict.named.iter().map(|row| json!({ "table": row.table, "key": row.key })).collect();
    let left: serde_json::Map<String, Value> =
        verdict.left.iter().map(|(name, rows)| (name.clone(), json!(rows))).collect();
    let value = json!({
        "verified_zero": verdict.is_zero(),
        "rows": verdict.rows,
        "fine": verdict.fine,
        "null": verdict.null,
        "left": left,
        "quarantined": verdict.quarantined,
        "rows_named": named,
        "held_by": held,
    });
    let mut lines = vec![format!(
        "{} read: {} under the new key, {} NULL",
        rows(verdict.rows),
        verdict.fine,
        verdict.null
    )];
    for (name, count) in verdict.left.iter().filter(|(_, count)| *count > 0) {
        lines.push(format!("{} open with {name} alone: run the move again", rows(*count)));
    }
    if verdict.quarantined > 0 {
        lines.push(format!("{} open with no key:", rows(verdict.quarantined)));
    }
    for row in &verdict.named {
        lines.push(format!("  {} {}", row.table, row.key.join(", ")));
    }
    for holder in &held {
        lines.push(format!("{holder} was open before the scan and is still: it proves nothing"));
    }
    if verdict.is_zero() {
        lines.push("verified: no row needs an old key".to_owned());
    }
    say(invocation, &value, &lines)
}

/// What a move would meet.
pub(super) fn inspection(invocation: &Invocation, found: &Inspection) -> Result<(), Failure> {
    let obstacles: Vec<Value> = found
        .obstacles
        .iter()
        .map(|one| {
            json!({
                "table": one.table,
                "why": one.why,
                "remedy": one.remedy,
                "refuses": one.refuses,
            })
        })
        .collect();
    let prediction = found.prediction.as_ref().map(|one| {
        json!({
            "rows": one.rows,
            "client_seconds": one.client_time.as_secs_f64(),
            "server_seconds": one.server_time.as_secs_f64(),
            "seconds": one.duration.as_secs_f64(),
            "wal_bytes": one.wal_bytes,
            "bloat_bytes": one.bloat_bytes,
        })
    });
    let value = json!({
        "table": found.table,
        "leaves": found.leaves.iter().map(|(table, key)| json!({ "table": table, "key": key }))
            .collect::<Vec<_>>(),
        "rows_about": found.rows_about,
        "bytes": found.bytes,
        "generated": found.generated,
        "indexes": found.indexes,
        "obstacles": obstacles,
        "census": found.census.as_ref().map(census),
        "prediction": prediction,
    });
    say(invocation, &value, &inspection_lines(found))
}

fn inspection_lines(found: &Inspection) -> Vec<String> {
    let size = found.bytes / MEBIBYTE;
    let mut lines = vec![format!("{}: about {}, {size} MiB", found.table, rows(found.rows_about))];
    for (table, key) in &found.leaves {
        let by = if key.is_empty() { "its place in the table".into() } else { key.join(", ") };
        lines.push(format!("  {table}: rows are named by {by}"));
    }
    if let Some(census) = &found.census {
        lines.push(format!("sample of {}, {} NULL:", rows(census.rows), census.null));
        for (header, count) in headers(census) {
            lines.push(format!("  {count:>6}  {header}"));
        }
        for (why, count) in &census.malformed {
            lines.push(format!("  {count:>6}  not of this format: {why}"));
        }
        for (key, count) in &census.keys {
            lines.push(format!("  {count:>6}  open with {key}"));
        }
        if census.unopened > 0 {
            lines.push(format!("  {:>6}  open with no key", census.unopened));
        }
    }
    for (what, names) in [("generated from it", &found.generated), ("indexed by", &found.indexes)] {
        if !names.is_empty() {
            lines.push(format!("{what}: {}", names.join(", ")));
        }
    }
    if let Some(cost) = &found.prediction {
        lines.push(format!(
            "about {:.0} s with one worker: {:.0} s of CPU here, {:.0} s on the server, {} MiB of \
             WAL, {} MiB of dead rows",
            cost.duration.as_secs_f64(),
            cost.client_time.as_secs_f64(),
            cost.server_time.as_secs_f64(),
            cost.wal_bytes / MEBIBYTE,
            cost.bloat_bytes / MEBIBYTE
        ));
    }
    for one in &found.obstacles {
        let word = if one.refuses { "in the way" } else { "note" };
        lines.push(format!("{word}: {}: {}", one.table, one.why));
        lines.push(format!("  {}", one.remedy));
    }
    lines
}

/// The headers, where those that differ in nothing but how far a key is stretched are one: pgcrypto
/// draws that for each value.
fn headers(census: &Census) -> Vec<(String, u64)> {
    let mut kinds: Vec<(String, Vec<u64>, u64)> = Vec::new();
    for (header, count) in &census.headers {
        let text = header.to_string();
        let parts = text.strip_suffix(" bytes").and_then(|text| text.rsplit_once(", "));
        let parts = parts.and_then(|(kind, bytes)| Some((kind.to_owned(), bytes.parse().ok()?)));
        let (kind, bytes) = parts.map_or((text, None), |(kind, bytes)| (kind, Some(bytes)));
        match kinds
            .iter_mut()
            .find(|(known, of, _)| *known == kind && of.is_empty() == bytes.is_none())
        {
            Some((_, of, sum)) => {
                of.extend(bytes);
                *sum += count;
            }
            None => kinds.push((kind, bytes.into_iter().collect(), *count)),
        }
    }
    let shown = |(kind, bytes, count): (String, Vec<u64>, u64)| {
        let text = match (bytes.iter().min(), bytes.iter().max()) {
            (Some(least), Some(most)) if least == most => format!("{kind}, {least} bytes"),
            (Some(least), Some(most)) => format!("{kind}, {least} to {most} bytes"),
            _ => kind,
        };
        (text, count)
    };
    kinds.into_iter().map(shown).collect()
}

fn census(census: &Census) -> Value {
    let of = |counts: &mut dyn Iterator<Item = (String, u64)>| -> Value {
        counts.map(|(name, count)| (name, json!(count))).collect::<serde_json::Map<_, _>>().into()
    };
    json!({
        "rows": census.rows,
        "null": census.null,
        "headers": of(&mut census.headers.iter().map(|(one, count)| (one.to_string(), *count))),
        "malformed": of(&mut census.malformed.clone().into_iter()),
        "keys": of(&mut census.keys.clone().into_iter()),
        "unopened": census.unopened,
        "bytes_mean": census.bytes_mean,
    })
}

/// The moves of a column, newest first.
pub(super) fn jobs(invocation: &Invocation, jobs: &[Job]) -> Result<(), Failure> {
    let value: Vec<Value> = jobs
        .iter()
        .map(|job| {
            json!({
                "id": job.id,
                "table": job.relation,
                "column": job.column,
                "from": job.from,
                "to": job.to,
                "state": job.state,
                "pass": job.pass,
                "moved": job.counts.moved,
                "missed": job.counts.missed,
                "quarantined": job.in_quarantine,
                "held": job.is_held,
            })
        })
        .collect();
    let mut lines: Vec<String> = jobs
        .iter()
        .map(|job| {
            let held = if job.is_held { ", at work" } else { "" };
            format!(
                "{}  {}.{}  {} → {}  {}{held}, pass {}: {} moved, {} in quarantine",
                job.id,
                job.relation,
                job.column,
                job.from.join(" and "),
                job.to,
                job.state,
                job.pass,
                rows(job.counts.moved),
                job.in_quarantine
            )
        })
        .collect();
    if lines.is_empty() {
        lines.push("no row of this column was ever moved".to_owned());
    }
    say(invocation, &json!(value), &lines)
}
