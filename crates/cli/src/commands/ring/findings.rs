//! `keywheel ring findings`: who is declared to use a ring, beside what scans of code bases found.

use keywheel_api::scan::{RingFinding, RingFindings, ScanFindings};
use keywheel_core::id::RingName;

use crate::exit::Exit;
use crate::failure::Outcome;
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show::{Line, Piece, Table, Tone, counted};

/// The arguments of `keywheel ring findings`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The ring
    ring: RingName,
    /// Only what a rotation would break
    #[arg(long)]
    blocking: bool,
}

pub(super) fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let path = format!("/v1/rings/{}/findings", args.ring);
    let mut findings: RingFindings = Remote::open(invocation)?.get(&path)?;
    if args.blocking {
        for scan in &mut findings.scans {
            scan.findings.retain(|finding| finding.blocking);
        }
    }
    if invocation.console.json() {
        invocation.console.value(&findings)?;
    } else {
        invocation.console.lines(&lines(&findings))?;
    }
    Ok(Exit::Done)
}

fn lines(all: &RingFindings) -> Vec<Line> {
    let mut lines = vec![Line::new(vec![
        Piece::new(Tone::Strong, &all.ring),
        if all.required { "  a scan is required".into() } else { "  no scan is required".into() },
    ])];
    if let Some(gate) = &all.gate {
        let tone = match gate.status.as_str() {
            "open" => Tone::Good,
            "waiting" => Tone::Waiting,
            _ => Tone::Bad,
        };
        let detail = gate.detail.as_deref().map(|detail| format!(": {detail}"));
        let gate = Piece::new(tone, format!("gate {}", gate.status));
        lines.push(Line::new(vec![gate, detail.unwrap_or_default().into()]));
    }
    lines.push(Line::default());
    lines.push(Line::new(vec![Piece::new(Tone::Strong, "DECLARED")]));
    if all.declared.is_empty() {
        lines.push("  nobody".into());
    }
    for consumer in &all.declared {
        let live = match consumer.role.as_str() {
            "passive" => "cannot report".into(),
            _ => format!("{} live", consumer.live),
        };
        lines.push(format!("  {} {}  {live}", consumer.name, consumer.role).into());
    }
    if all.scans.is_empty() {
        lines.push(Line::default());
        lines.push("FOUND  no scan was reported for this ring".into());
    }
    for scan in &all.scans {
        lines.push(Line::default());
        lines.extend(found(scan));
    }
    lines
}

fn found(scan: &ScanFindings) -> Vec<Line> {
    let commit = scan.commit.as_deref().map(|commit| format!(" at {commit}")).unwrap_or_default();
    let left_out = match scan.left_out {
        0 => String::new(),
        count => format!("; {count} left out"),
    };
    let mut lines = vec![Line::new(vec![
        Piece::new(Tone::Strong, format!("FOUND in {}{commit}", scan.scan)),
        format!(
            "  {}, reported {} by {}{left_out}",
            counted(scan.findings.len(), "place"),
            scan.reported,
            scan.by
        )
        .into(),
    ])];
    if scan.findings.is_empty() {
        return lines;
    }
    let mut table =
        Table::new(&["PLACE", "KEY", "KIND", "SCOPE", "LIVE", "STATE", "ID"]).indented(2);
    for finding in &scan.findings {
        table.row(vec![
            format!("{}:{}", finding.path, finding.line).into(),
            Piece::from(&finding.key),
            Piece::from(&finding.kind),
            finding.scope.as_deref().unwrap_or("-").into(),
            Piece::from(&finding.hot_reload),
            state(finding),
            Piece::new(Tone::Faint, &finding.id),
        ]);
    }
    let mut rows = table.lines().into_iter();
    lines.extend(rows.next());
    for (finding, row) in scan.findings.iter().zip(rows) {
        lines.push(row);
        lines.extend(notes(finding));
    }
    lines
}

fn state(finding: &RingFinding) -> Piece {
    match (&finding.waived, finding.blocking) {
        (Some(_), true) => Piece::new(Tone::Waiting, "waived"),
        (None, true) => Piece::new(Tone::Bad, "would break"),
        _ if finding.in_tests => Piece::new(Tone::Faint, "in tests"),
        _ => Piece::new(Tone::Good, "ok"),
    }
}

/// Why a place would break and what to do about it, or who has waived it.
fn notes(finding: &RingFinding) -> Vec<Line> {
    if !finding.blocking {
        return Vec::new();
    }
    if let Some(waived) = &finding.waived {
        let by = &waived.by;
        let text = format!("    waived by {} until {}: {}", by.who, waived.until, by.reason);
        return vec![text.into()];
    }
    let why = match finding.version {
        Some(version) => format!("    the key of v{version} itself stands there"),
        None => format!("    {}", finding.reason),
    };
    let remedy = finding.remedy.as_deref().map(|remedy| format!("    remedy: {remedy}").into());
    std::iter::once(why.into()).chain(remedy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_and_found_stand_side_by_side() {
        let place = |id: &str, more: serde_json::Value| {
            let mut one = serde_json::json!({
                "id": id, "kind": "env_load", "key": "SECRET_KEY", "path": "app/settings.py",
                "line": 7, "column": 1, "scope": "module", "hot_reload": "no",
                "source": "environment", "tied_by": "name", "blocking": true,
                "reason": "read once, at import", "in_tests": false
            });
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            one
        };
        let by = serde_json::json!({ "who": "alice", "reason": "it is switched off" });
        let all: RingFindings = serde_json::from_value(serde_json::json!({
            "ring": "web", "required": true,
            "gate": { "name": "findings", "status": "failed", "detail": "2 places would break" },
            "declared": [
                { "name": "api", "role": "protect", "live": 2 },
                { "name": "envoy", "role": "passive", "live": 0 }
            ],
            "scans": [{
                "scan": "shop", "reported": "2026-01-01T00:00:00Z", "by": "ci", "tool": "t",
                "commit": "abc", "left_out": 3,
                "findings": [
                    place("f1", serde_json::json!({ "remedy": "read it at each use" })),
                    place("f2", serde_json::json!({ "tied_by": "literal", "version": 4 })),
                    place("f3", serde_json::json!({
                        "waived": { "by": by, "until": "2026-02-01T00:00:00Z" }
                    })),
                    place("f4", serde_json::json!({ "blocking": false, "hot_reload": "yes" })),
                ]
            }]
        }))
        .unwrap();
        let text: Vec<_> =
            lines(&all).iter().map(|line| line.plain().trim_end().to_owned()).collect();
        assert_eq!(
            text,
            [
                "web  a scan is required",
                "gate failed: 2 places would break",
                "",
                "DECLARED",
                "  api protect  2 live",
                "  envoy passive  cannot report",
                "",
                "FOUND in shop at abc  4 places, reported 2026-01-01T00:00:00Z by ci; 3 left out",
                "  PLACE              KEY         KIND      SCOPE   LIVE  STATE        ID",
                "  app/settings.py:7  SECRET_KEY  env_load  module  no    would break  f1",
                "    read once, at import",
                "    remedy: read it at each use",
                "  app/settings.py:7  SECRET_KEY  env_load  module  no    would break  f2",
                "    the key of v4 itself stands there",
                "  app/settings.py:7  SECRET_KEY  env_load  module  no    waived       f3",
                "    waived by alice until 2026-02-01T00:00:00Z: it is switched off",
                "  app/settings.py:7  SECRET_KEY  env_load  module  yes   ok           f4",
            ]
        );
    }
}
