//! The demonstration without a terminal: a line for each event, and one each second that sums up.

use std::time::Duration;

use keywheel_client::clock::boot_time;
use keywheel_core::time::Span;

use super::board::{Board, Event, Shared};
use super::stages;
use super::summary::grouped;
use super::trials::in_words;
use crate::console::Console;
use crate::failure::Failure;
use crate::show::{Line, Piece, Tone};

const LOOK_EVERY: Duration = Duration::from_millis(50);
const SUM_UP_EVERY: Span = Span::from_secs(1);

/// Writes lines until the demonstration is over.
///
/// # Errors
/// When standard output cannot be written.
pub(super) fn present(
    console: Console,
    shared: &Shared,
    over: &dyn Fn() -> bool,
) -> Result<(), Failure> {
    let mut seen = 0;
    let mut summed_up = boot_time();
    loop {
        let last = over();
        let (events, told) = shared.board().since(seen);
        seen = told;
        let mut lines: Vec<Line> = events.iter().map(event).collect();
        if boot_time().since(summed_up) >= SUM_UP_EVERY {
            summed_up = boot_time();
            lines.extend(sum_up(&shared.board()));
        }
        shared.board().sample();
        console.lines(&lines)?;
        if last {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn event(event: &Event) -> Line {
    Line::new(vec![stamp(event.at), Piece::new(event.tone, &event.words)])
}

fn stamp(at: Span) -> Piece {
    let millis = at.as_millis();
    Piece::new(Tone::Faint, format!("{:>4}.{}s  ", millis / 1_000, millis % 1_000 / 100))
}

/// What goes on, in one line; nothing before the first request.
fn sum_up(board: &Board) -> Option<Line> {
    let tally = board.tally();
    if tally.requests == 0 {
        return None;
    }
    let failed = tally.failures.all();
    let tone = if failed == 0 { Tone::Good } else { Tone::Bad };
    let mut pieces = vec![
        stamp(board.elapsed()),
        format!("{:<17}", board.title).into(),
        format!("{:>5} req/s {:>7} requests ", board.rate(), grouped(tally.requests)).into(),
        Piece::new(tone, format!("{:>5} failed", grouped(failed))),
    ];
    if let Some(ring) = &board.ring {
        pieces.push(format!("  {}", stages::present(ring).unwrap_or("rest")).into());
        let gates = ring.gates.iter().flat_map(|stage| &stage.gates);
        if let Some(laggard) = gates.flat_map(|gate| &gate.missing).next() {
            pieces.push(Piece::new(Tone::Waiting, format!("  waits: {}", in_words(laggard))));
        }
    }
    Some(Line::new(pieces))
}
