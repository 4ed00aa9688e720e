//! The report as columns: one block a key, those first at which a rotation would break most.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;

use keywheel_scan::finding::{Finding, HotReload};
use keywheel_scan::report::{KeySummary, Note, NoteKind, Report};

use crate::show::{Line, Piece, Table, Tone, counted};

/// How much is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    /// Why each place is one, what to do about it, and all notes.
    pub(super) why: bool,
    /// Each place among tests, samples and examples.
    pub(super) tests: bool,
    /// The last line alone.
    pub(super) summary_only: bool,
}

/// The lines.
pub(super) fn lines(report: &Report, detail: Detail) -> Vec<Line> {
    if detail.summary_only {
        return vec![summary(report)];
    }
    let mut keys: Vec<&KeySummary> = report.keys.iter().collect();
    keys.sort_by_key(|key| (Reverse(key.blocking), Reverse(key.consumers), &key.key));
    let mut by_key: HashMap<&str, Vec<&Finding>> = HashMap::new();
    for finding in report.findings.iter().filter(|finding| detail.tests || !finding.in_tests) {
        by_key.entry(&finding.key).or_default().push(finding);
    }
    let shown: Vec<(&KeySummary, &[&Finding])> = keys
        .iter()
        .filter_map(|key| Some((*key, by_key.get(key.key.as_str())?.as_slice())))
        .collect();
    let mut table = Table::new(&["PLACE", "KIND", "SCOPE", "NEW KEY", "WHAT"]).indented(2);
    for finding in shown.iter().flat_map(|(_, findings)| findings.iter()) {
        table.row(row(finding));
    }
    let mut rows = table.lines().into_iter();
    let mut lines = Vec::new();
    if let (Some(headings), false) = (rows.next(), shown.is_empty()) {
        lines.push(headings);
    }
    for (key, findings) in &shown {
        lines.push(heading(key));
        for (finding, row) in findings.iter().zip(rows.by_ref()) {
            lines.push(row);
            if detail.why {
                lines.extend(reasons(finding));
            }
        }
        if key.in_tests > 0 && !detail.tests {
            let more = format!("    and {} in tests and examples", key.in_tests);
            lines.push(Line::new(vec![Piece::new(Tone::Faint, more)]));
        }
        lines.push(Line::default());
    }
    lines.extend(report.notes.iter().filter(|note| detail.why || matters(note)).map(said));
    lines.push(summary(report));
    lines.extend(hints(report, detail, keys.len().saturating_sub(shown.len())));
    lines
}

fn heading(key: &KeySummary) -> Line {
    let consumers = counted(key.consumers, "consumer");
    let (tone, breaks) = match key.blocking {
        0 => (Tone::Good, "none would break".to_owned()),
        count => (Tone::Bad, format!("{count} would break")),
    };
    let name = Piece::new(Tone::Strong, &key.key);
    Line::new(vec![name, format!(": {consumers}, ").into(), Piece::new(tone, breaks)])
}

fn row(finding: &Finding) -> Vec<Piece> {
    let place = format!("{}:{}:{}", finding.path, finding.line, finding.column);
    let (tone, hot) = match (finding.blocking, finding.hot_reload) {
        (true, _) => (Tone::Bad, "breaks"),
        (false, HotReload::Yes) => (Tone::Good, "taken"),
        (false, HotReload::No) => (Tone::Waiting, "not taken"),
        (false, _) => (Tone::Plain, "unknown"),
    };
    let scope = finding.scope.map_or("", |scope| scope.word());
    let mut what = finding.sink.clone().unwrap_or_else(|| finding.source.to_string());
    if finding.literal.as_ref().is_some_and(|literal| literal.placeholder) {
        what.push_str(", a placeholder");
    }
    if finding.known {
        what.push_str(", known");
    }
    vec![
        place.into(),
        finding.kind.word().into(),
        scope.into(),
        Piece::new(tone, hot),
        Piece::new(Tone::Faint, what),
    ]
}

fn reasons(finding: &Finding) -> impl Iterator<Item = Line> {
    let said = |what: &str, text: &str| {
        let text = format!("      {what}: {text}");
        Line::new(vec![Piece::new(Tone::Faint, text)])
    };
    let why = (!finding.reason.is_empty()).then(|| said("why", &finding.reason));
    let remedy = finding.remedy.as_deref().map(|remedy| said("remedy", remedy));
    why.into_iter().chain(remedy)
}

/// Whether a note changes what the report is worth.
const fn matters(note: &Note) -> bool {
    !matches!(note.kind, NoteKind::LeftOut | NoteKind::ReadByLines)
}

fn said(note: &Note) -> Line {
    let tone = if matters(note) { Tone::Waiting } else { Tone::Faint };
    let place = note.path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
    Line::new(vec![Piece::new(tone, "note: "), format!("{place}{}", note.says).into()])
}

/// The last line.
pub(super) fn summary(report: &Report) -> Line {
    let stats = &report.stats;
    let places = counted(stats.findings, "place");
    let keys = counted(report.keys.iter().filter(|key| key.consumers > 0).count(), "key");
    let files = counted(stats.files, "file");
    let (tone, breaks) = match stats.blocking {
        0 => (Tone::Good, "a rotation would break none".to_owned()),
        count => (Tone::Bad, format!("a rotation would break {count}")),
    };
    let mut pieces =
        vec![format!("{places} of {keys} in {files}: ").into(), Piece::new(tone, breaks)];
    for (count, what) in [(stats.known, "in the baseline"), (stats.ignored, "ignored")] {
        if count > 0 {
            pieces.push(format!("; {count} {what}").into());
        }
    }
    Line::new(pieces)
}

/// How to see what was not shown.
fn hints(report: &Report, detail: Detail, keys_left_out: usize) -> Vec<Line> {
    let mut hints = Vec::new();
    if !detail.tests && report.stats.in_tests > 0 {
        let mut hint = format!("{} in tests and examples", report.stats.in_tests);
        if keys_left_out > 0 {
            // Writing to a string cannot fail.
            let _ = write!(hint, ", with {} of their own", counted(keys_left_out, "key"));
        }
        hints.push(hint + "; --tests shows them");
    }
    if !detail.why && report.stats.findings > 0 {
        hints.push("-v says why, and what to do".to_owned());
    }
    let hints = hints.into_iter().map(|hint| Line::new(vec![Piece::new(Tone::Faint, hint)]));
    hints.collect()
}
