//! What the demonstration ends with: for programs as it is, for people as a table.

use keywheel_core::time::Span;
use serde::Serialize;

use super::naive::Swap;
use super::stages::Stages;
use super::tally::{Failures, Tally};
use super::trials::Observation;
use crate::show::{Line, Piece, Table, Tone, coarse};

/// One rotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Rotation {
    pub(super) number: usize,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) note: String,
    pub(super) requests: u64,
    pub(super) failed: u64,
    #[serde(rename = "stages_millis")]
    pub(super) stages: Stages,
    pub(super) observations: Vec<Observation>,
}

/// What all workers have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Load {
    requests: u64,
    /// Accepted requests that were checked once more just before they expired.
    checked_again: u64,
    /// Requests that a stopped process left unread until they had expired.
    sent_again: u64,
    failed: u64,
    failures: Failures,
}

impl Load {
    fn of(tally: &Tally) -> Self {
        Self {
            requests: tally.requests,
            checked_again: tally.rechecked,
            sent_again: tally.sent_again,
            failed: tally.failures.all(),
            failures: tally.failures,
        }
    }
}

/// What the demonstration ends with.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    /// Whether everything was as it has to be.
    pub(super) passed: bool,
    #[serde(rename = "elapsed_millis")]
    elapsed: Span,
    load: Load,
    requests_min: u64,
    rotations: Vec<Rotation>,
    /// The classic way, with its own load.
    #[serde(skip_serializing_if = "Option::is_none")]
    naive: Option<Naive>,
}

#[derive(Clone, Debug, Serialize)]
struct Naive {
    load: Load,
    swaps: Vec<Swap>,
}

impl Summary {
    /// Rotations of a ring: nothing may fail, everything expected must have been seen.
    pub(super) fn of_rotations(
        rotations: Vec<Rotation>,
        total: &Tally,
        requests_min: u64,
        elapsed: Span,
    ) -> Self {
        let load = Load::of(total);
        let seen = rotations.iter().flat_map(|one| &one.observations).all(|one| one.seen);
        Self {
            passed: load.failed == 0 && load.requests >= requests_min && seen,
            elapsed,
            load,
            requests_min,
            rotations,
            naive: None,
        }
    }

    /// The classic way, and rotations to compare it with: the former must have failed, or it has
    /// shown nothing.
    pub(super) fn of_swaps(
        swaps: Vec<Swap>,
        swapped: &Tally,
        rotations: Vec<Rotation>,
        total: &Tally,
        elapsed: Span,
    ) -> Self {
        let compared = Self::of_rotations(rotations, total, 0, elapsed);
        let load = Load::of(swapped);
        let passed = compared.passed && load.failed > 0;
        Self { passed, naive: Some(Naive { load, swaps }), ..compared }
    }

    /// The same for people.
    pub(super) fn lines(&self) -> Vec<Line> {
        let mut lines = vec![Line::default()];
        if let Some(naive) = &self.naive {
            lines.extend(naive.lines());
            lines.push(Line::default());
        }
        lines.extend(self.table());
        lines.push(Line::default());
        for one in self.rotations.iter().flat_map(|rotation| &rotation.observations) {
            lines.push(Line::new(vec![
                if one.seen {
                    Piece::new(Tone::Good, "  yes  ")
                } else {
                    Piece::new(Tone::Bad, "  NO   ")
                },
                Piece::from(&one.expected),
            ]));
        }
        lines.push(Line::default());
        match &self.naive {
            Some(naive) => lines.extend(self.comparison(naive)),
            None => lines.extend(self.verdict()),
        }
        lines
    }

    fn table(&self) -> Vec<Line> {
        let mut table = Table::new(&[
            "ROTATION",
            "WHAT WAS DONE",
            "REQUESTS",
            "FAILED",
            "STAGE",
            "PUBLISH",
            "CONFIRM",
            "PROMOTE",
            "BACK",
            "DRAIN",
            "RETIRE",
            "ALL",
        ]);
        for one in &self.rotations {
            let stages = &one.stages;
            table.row(vec![
                Piece::new(Tone::Strong, format!("{}  v{} → v{}", one.number, one.from, one.to)),
                Piece::from(&one.note),
                format!("{:>8}", grouped(one.requests)).into(),
                failed(one.failed),
                seconds(stages.stage),
                seconds(stages.publish),
                seconds(stages.confirm),
                seconds(stages.promote),
                seconds(stages.back),
                seconds(stages.drain),
                seconds(stages.retire),
                seconds(Some(stages.all())),
            ]);
        }
        table.lines()
    }

    fn verdict(&self) -> Vec<Line> {
        let load = &self.load;
        let mut lines = vec![Line::new(vec![
            Piece::new(Tone::Strong, format!("{} requests, ", grouped(load.requests))),
            Piece::new(tone_of(load.failed), format!("{} failed", grouped(load.failed))),
            format!(
                "; {} of them were accepted again just before they expired. It took {}.",
                grouped(load.checked_again),
                coarse(self.elapsed),
            )
            .into(),
        ])];
        if load.sent_again > 0 {
            lines.push(Line::new(vec![Piece::new(
                Tone::Faint,
                format!(
                    "Expired unread while their receiver was stopped, and sent again: {}.",
                    load.sent_again
                ),
            )]));
        }
        if load.requests < self.requests_min {
            lines.push(Line::new(vec![Piece::new(
                Tone::Bad,
                format!("Fewer requests than {} prove nothing.", grouped(self.requests_min)),
            )]));
        }
        lines
    }

    fn comparison(&self, naive: &Naive) -> Vec<Line> {
        let (swaps, turns) = (naive.swaps.len(), self.rotations.len());
        vec![
            Line::new(vec![
                format!(
                    "one-step swap   {swaps} swaps      {:>7} requests   ",
                    grouped(naive.load.requests)
                )
                .into(),
                Piece::new(Tone::Bad, format!("{:>6} failed", grouped(naive.load.failed))),
            ]),
            Line::new(vec![
                format!(
                    "keywheel        {turns} rotation   {:>7} requests   ",
                    grouped(self.load.requests)
                )
                .into(),
                Piece::new(
                    tone_of(self.load.failed),
                    format!("{:>6} failed", grouped(self.load.failed)),
                ),
            ]),
        ]
    }
}

impl Naive {
    fn lines(&self) -> Vec<Line> {
        let mut table = Table::new(&["SWAP", "RESTARTS TOOK", "REQUESTS", "FAILED", "SHARE"]);
        for swap in &self.swaps {
            let percent = (swap.failed * 100).checked_div(swap.requests).unwrap_or(0);
            table.row(vec![
                Piece::new(Tone::Strong, swap.number.to_string()),
                seconds(Some(swap.took)),
                format!("{:>8}", grouped(swap.requests)).into(),
                failed(swap.failed),
                format!("{percent} %").into(),
            ]);
        }
        table.lines()
    }
}

fn failed(count: u64) -> Piece {
    Piece::new(tone_of(count), format!("{:>6}", grouped(count)))
}

const fn tone_of(failed: u64) -> Tone {
    if failed == 0 { Tone::Good } else { Tone::Bad }
}

/// Seconds with two places: `0.35s`.
fn seconds(span: Option<Span>) -> Piece {
    span.map_or(Piece::new(Tone::Faint, "-"), |span| {
        let millis = span.as_millis();
        format!("{}.{:02}s", millis / 1_000, millis % 1_000 / 10).into()
    })
}

/// A number with its thousands apart: `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + 4);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(seen: bool) -> Rotation {
        Rotation {
            number: 1,
            from: 1,
            to: 2,
            note: "nothing special".into(),
            requests: 1_000,
            failed: 0,
            stages: Stages::default(),
            observations: vec![Observation { expected: "it turned".into(), seen }],
        }
    }

    fn tally(requests: u64, refused: u64) -> Tally {
        Tally {
            requests,
            failures: Failures { refused, ..Failures::default() },
            ..Tally::default()
        }
    }

    #[test]
    fn it_passes_only_without_failures_with_enough_requests_and_everything_seen() {
        let passed = |seen, requests, refused| {
            let total = tally(requests, refused);
            Summary::of_rotations(vec![rotation(seen)], &total, 900, Span::from_secs(9)).passed
        };
        assert!(passed(true, 1_000, 0));
        assert!(!passed(false, 1_000, 0));
        assert!(!passed(true, 899, 0));
        assert!(!passed(true, 1_000, 1));
    }

    #[test]
    fn the_classic_way_must_have_failed_to_show_anything() {
        let passed = |refused| {
            let (swapped, total) = (tally(1_000, refused), tally(1_000, 0));
            let elapsed = Span::from_secs(9);
            Summary::of_swaps(Vec::new(), &swapped, vec![rotation(true)], &total, elapsed).passed
        };
        assert!(passed(5));
        assert!(!passed(0));
    }

    #[test]
    fn numbers_and_times_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(seconds(Some(Span::from_millis(2_349))).text, "2.34s");
        assert_eq!(seconds(Some(Span::from_millis(50))).text, "0.05s");
    }
}
