//! `keywheel ring columns`: the columns that hold values under a ring's keys, and how far each is.

use keywheel_api::column::RingColumns;
use keywheel_core::id::RingName;

use crate::exit::Exit;
use crate::failure::Outcome;
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show::{self, Line, Piece, Tone};

/// The arguments of `keywheel ring columns`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The ring
    ring: RingName,
}

pub(super) fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let columns = Remote::open(invocation)?.columns(&args.ring)?;
    if invocation.console.json() {
        invocation.console.value(&columns)?;
    } else {
        invocation.console.lines(&lines(&columns))?;
    }
    Ok(Exit::Done)
}

fn lines(all: &RingColumns) -> Vec<Line> {
    let primary = all.primary.map_or_else(|| "no primary".into(), |number| format!("to v{number}"));
    let mut lines = vec![Line::new(vec![
        Piece::new(Tone::Strong, &all.ring),
        format!("  {primary}").into(),
        Piece::new(Tone::Faint, format!("  revision {}", all.revision)),
    ])];
    for version in &all.retiring {
        let (tone, status, detail) = match (&version.gate, version.switched) {
            (Some(gate), _) => (
                show::gate_tone(gate),
                gate.status.as_str(),
                gate.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default(),
            ),
            (None, None) => (Tone::Waiting, "waiting", ": somebody may still protect".into()),
            (None, Some(_)) => (Tone::Faint, "absent", String::new()),
        };
        let gate = Piece::new(tone, format!("gate {status}"));
        lines.push(Line::new(vec![
            format!("from v{}  ", version.version).into(),
            gate,
            detail.into(),
        ]));
    }
    if all.retiring.is_empty() {
        lines.push("no version retires".into());
    }
    lines.push(Line::default());
    if all.columns.is_empty() {
        lines.push("no column is declared: add [[ring.NAME.column]] to the configuration".into());
    } else {
        lines.extend(show::columns(&all.columns));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_says_how_far_it_is_and_by_whom() {
        let report = |more: serde_json::Value| {
            let mut one = serde_json::json!({
                "version": 1, "left": 0, "moved": 880, "quarantined": 0, "rows": 1000,
                "verified": true, "seen": 9, "counts": true, "by": "mover",
                "at": "2026-01-01T00:00:00Z"
            });
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            one
        };
        let column = |name: &str, reports: serde_json::Value| {
            serde_json::json!({
                "name": name, "table": "orders", "column": "card", "format": "pgp",
                "worker": "mover", "reports": reports
            })
        };
        let all: RingColumns = serde_json::from_value(serde_json::json!({
            "ring": "pii", "incarnation": "i", "revision": 12, "primary": 2,
            "retiring": [
                { "version": 1, "switched": 7, "gate": {
                    "name": "reencryption", "status": "waiting", "detail": "a verified zero of a"
                } },
                { "version": 3 }
            ],
            "columns": [
                column("a", serde_json::json!([
                    report(serde_json::json!({ "left": 120, "counts": false, "verified": false }))
                ])),
                column("b", serde_json::json!([report(serde_json::json!({}))])),
                column("c", serde_json::json!([
                    report(serde_json::json!({ "quarantined": 3, "counts": false }))
                ])),
                column("d", serde_json::json!([])),
            ]
        }))
        .unwrap();
        let text: Vec<_> =
            lines(&all).iter().map(|line| line.plain().trim_end().to_owned()).collect();
        insta::assert_snapshot!(text.join("\n"), @"");
    }
}
