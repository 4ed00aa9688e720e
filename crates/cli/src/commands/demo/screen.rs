//! The demonstration on a terminal: what an operator looks at during a rotation, with the load
//! beside it. It draws the board and decides nothing.

use std::time::Duration;

use crossterm::event::{self, Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use keywheel_api::ring::{GateStatus, RingStatus, StageGates};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::{Block, BorderType, Paragraph, Sparkline};

use super::board::{Board, Card, Server, Shared};
use super::stages::{self, STAGES};
use super::summary::grouped;
use super::trials::in_words;
use crate::failure::Failure;
use crate::show::style::styled;
use crate::show::{Line, Piece, Tone};

const DRAW_EVERY: Duration = Duration::from_millis(100);
/// How wide the load is.
const LOAD_COLUMNS: u16 = 34;
/// Shows the screen until the demonstration is over.
///
/// # Errors
/// When the terminal cannot be used.
pub(super) fn present(shared: &Shared, over: &dyn Fn() -> bool) -> Result<(), Failure> {
    let mut terminal = ratatui::try_init().map_err(|error| terminal_failure(&error))?;
    let restored = Restored;
    while !over() {
        shared.board().sample();
        terminal
            .draw(|frame| draw(frame, &shared.board()))
            .map_err(|error| terminal_failure(&error))?;
        if event::poll(DRAW_EVERY).map_err(|error| terminal_failure(&error))? {
            let input = event::read().map_err(|error| terminal_failure(&error))?;
            if asks_for_end(&input) {
                shared.interrupt();
            }
        }
    }
    drop(restored);
    Ok(())
}

/// Gives the terminal back on every way out.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

fn asks_for_end(input: &Input) -> bool {
    let Input::Key(key) = input else { return false };
    let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press
        && (control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

/// Draws the board.
pub(super) fn draw(frame: &mut Frame<'_>, board: &Board) {
    let each = board.workers.iter().filter(|card| card.service == "billing").count().max(3);
    let workers_rows = u16::try_from(each).unwrap_or(u16::MAX).saturating_add(2);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(13),
        Constraint::Length(workers_rows),
        Constraint::Min(3),
    ]);
    let [head, middle, workers, events] = rows.areas(frame.area());
    let columns = Layout::horizontal([Constraint::Min(40), Constraint::Length(LOAD_COLUMNS)]);
    let [ring, load] = columns.areas(middle);
    frame.render_widget(Paragraph::new(styled(&heading(board))), head);
    draw_ring(frame, ring, board);
    draw_load(frame, load, board);
    draw_workers(frame, workers, board);
    draw_events(frame, events, board);
}

fn block(title: &str) -> Block<'_> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(Style::new().fg(Color::DarkGray))
        .title_style(Style::new().fg(Color::Reset).add_modifier(Modifier::BOLD))
        .title(format!(" {title} "))
}

fn paragraph(lines: &[Line]) -> Paragraph<'static> {
    Paragraph::new(lines.iter().map(styled).collect::<Vec<_>>())
}

fn heading(board: &Board) -> Line {
    let secs = board.elapsed().as_secs();
    let server = match board.server {
        Server::Absent => Piece::new(Tone::Faint, "no server"),
        Server::Up(pid) => Piece::new(Tone::Good, format!("server {pid} is up")),
        Server::Down => Piece::new(Tone::Bad, "the server is down"),
    };
    Line::new(vec![
        Piece::new(Tone::Strong, " keywheel demo  "),
        Piece::new(Tone::Waiting, &board.title),
        format!(": {}   ", board.subtitle).into(),
        server,
        Piece::new(Tone::Faint, format!("   {}:{:02}   q ends it", secs / 60, secs % 60)),
    ])
}

fn draw_ring(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let Some(ring) = &board.ring else {
        let lines =
            [Line::from(""), Line::from("  One key in one file. No process says what it has.")];
        frame.render_widget(paragraph(&lines).block(block("no ring")), area);
        return;
    };
    let mut lines = vec![Line::default(), ladder(ring), Line::default(), versions(ring)];
    for stage in ring.gates.iter().filter(|stage| stage.stage != "destroy") {
        lines.push(Line::default());
        lines.extend(gates(stage));
    }
    if ring.gates.iter().all(|stage| stage.stage == "destroy") {
        lines.push(Line::default());
        lines.push(Line::new(vec![Piece::new(Tone::Good, "  nothing moves, nothing waits")]));
    }
    let algorithm = ring.versions.last().map_or("", |version| version.algorithm.as_str());
    let title = format!("ring {}: {}, {algorithm}", ring.name, ring.kind);
    frame.render_widget(paragraph(&lines).block(block(&title)), area);
}

/// Where the rotation stands; the tail counts once the forward path is over.
fn ladder(ring: &RingStatus) -> Line {
    let present = stages::present(ring);
    let position = present.and_then(|present| STAGES.iter().position(|stage| *stage == present));
    let mut pieces: Vec<Piece> = vec!["  ".into()];
    for (index, stage) in STAGES.iter().enumerate() {
        let (mark, tone) = match position {
            Some(position) if index < position => ("●", Tone::Good),
            Some(position) if index == position => ("◉", Tone::Waiting),
            _ => ("○", Tone::Faint),
        };
        if index > 0 {
            pieces.push(Piece::new(Tone::Faint, " ─ "));
        }
        pieces.push(Piece::new(tone, format!("{mark} {stage}")));
    }
    if ring.path.as_ref().is_some_and(|path| path.direction == "back") {
        pieces.push(Piece::new(Tone::Waiting, "  ↩ back"));
    }
    Line::new(pieces)
}

fn versions(ring: &RingStatus) -> Line {
    let mut pieces: Vec<Piece> = vec!["  ".into()];
    for version in &ring.versions {
        let tone = match version.state.as_str() {
            "primary" => Tone::Good,
            "published" | "staged" | "retiring" => Tone::Waiting,
            _ => Tone::Faint,
        };
        pieces.push(Piece::new(tone, format!("v{} {}   ", version.number, version.state)));
    }
    Line::new(pieces)
}

fn gates(stage: &StageGates) -> Vec<Line> {
    let title = format!("  gates of {}, v{}", stage.stage, stage.version);
    let mut lines = vec![Line::new(vec![Piece::new(Tone::Strong, title)])];
    for gate in &stage.gates {
        lines.push(gate_line(gate));
        for laggard in &gate.missing {
            lines.push(Line::new(vec![
                Piece::new(Tone::Waiting, "    waits for "),
                Piece::new(Tone::Strong, in_words(laggard)),
            ]));
        }
    }
    lines
}

fn gate_line(gate: &GateStatus) -> Line {
    let (mark, tone) = match gate.status.as_str() {
        "open" => ("✔", Tone::Good),
        "waiting" => ("…", Tone::Waiting),
        _ => ("✘", Tone::Bad),
    };
    let known = gate.level.as_deref().or(gate.detail.as_deref()).unwrap_or("");
    let left = gate.remaining.as_deref().map(|left| format!(", {left} left")).unwrap_or_default();
    Line::new(vec![
        Piece::new(tone, format!("    {mark} {:<13}{:<9}", gate.name, gate.status)),
        Piece::new(Tone::Plain, format!("{known}{left}")),
    ])
}

fn draw_load(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let tally = board.tally();
    let failed = tally.failures.all();
    let title = block("requests");
    let inner = title.inner(area);
    frame.render_widget(title, area);
    let rows = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(1),
    ]);
    let [big, under, numbers, spark] = rows.areas(inner);
    let tone = if failed == 0 { Tone::Good } else { Tone::Bad };
    let digits: Vec<Line> =
        big_digits(failed).into_iter().map(|row| Line::new(vec![Piece::new(tone, row)])).collect();
    frame.render_widget(paragraph(&digits).centered(), big);
    let label = Line::new(vec![Piece::new(tone, "failed")]);
    frame.render_widget(paragraph(&[label]).centered(), under);
    let text = Line::new(vec![
        Piece::new(Tone::Strong, grouped(tally.requests)),
        format!(" answered, {} a second", board.rate()).into(),
    ]);
    frame.render_widget(paragraph(&[Line::default(), text]).centered(), numbers);
    let rates = board.rates(usize::from(spark.width));
    frame
        .render_widget(Sparkline::default().data(rates).style(Style::new().fg(Color::Cyan)), spark);
}

/// A number that is seen from afar, in three rows of half blocks below an empty one.
fn big_digits(number: u64) -> [String; 4] {
    const DIGITS: [[&str; 3]; 10] = [
        ["█▀▀█", "█  █", "█▄▄█"],
        [" ▄█ ", "  █ ", " ▄█▄"],
        ["▀▀▀█", "█▀▀▀", "█▄▄▄"],
        ["▀▀▀█", " ▀▀█", "▄▄▄█"],
        ["█  █", "▀▀▀█", "   █"],
        ["█▀▀▀", "▀▀▀█", "▄▄▄█"],
        ["█▀▀▀", "█▀▀█", "█▄▄█"],
        ["▀▀▀█", "   █", "   █"],
        ["█▀▀█", "█▀▀█", "█▄▄█"],
        ["█▀▀█", "▀▀▀█", "▄▄▄█"],
    ];
    let mut rows: [String; 4] = Default::default();
    for digit in number.to_string().bytes() {
        let Some(shape) = DIGITS.get(usize::from(digit.saturating_sub(b'0'))) else { continue };
        for (row, part) in rows.iter_mut().skip(1).zip(shape) {
            row.push_str(part);
            row.push(' ');
        }
    }
    rows
}

fn draw_workers(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let columns = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]);
    let halves: [Rect; 2] = columns.areas(area);
    let primary = board.ring.as_ref().and_then(|ring| ring.primary);
    for (service, area) in ["api", "billing"].into_iter().zip(halves) {
        let own = board.workers.iter().filter(|card| card.service == service);
        let lines: Vec<Line> = own.map(|card| worker(card, primary)).collect();
        frame.render_widget(paragraph(&lines).block(block(&format!("service {service}"))), area);
    }
}

fn worker(card: &Card, primary: Option<u32>) -> Line {
    let tally = &card.tally;
    let (mark, tone) = if card.stopped { ("■", Tone::Bad) } else { ("●", Tone::Good) };
    let state = match tally.signs_with {
        _ if card.stopped => Piece::new(Tone::Bad, "stopped  "),
        Some(version) => {
            let behind = primary.is_some_and(|primary| primary != version);
            let tone = if behind { Tone::Waiting } else { Tone::Good };
            Piece::new(tone, format!("{:<9}", format!("signs v{version}")))
        }
        None => Piece::new(Tone::Faint, "starts   "),
    };
    let mut pieces = vec![
        Piece::new(tone, format!(" {mark} ")),
        format!("{:<10}pid {:<7}", card.name, card.pid).into(),
        state,
        Piece::new(Tone::Faint, format!("{:>5} sent", grouped(tally.requests))),
    ];
    let failed = tally.failures.all();
    if failed > 0 {
        pieces.push(Piece::new(Tone::Bad, format!("  ✘ {}", grouped(failed))));
    }
    Line::new(pieces)
}

fn draw_events(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let rows = usize::from(area.height.saturating_sub(2));
    let lines: Vec<Line> = board
        .newest(rows)
        .map(|event| {
            let secs = event.at.as_secs();
            Line::new(vec![
                Piece::new(Tone::Faint, format!(" {}:{:02}  ", secs / 60, secs % 60)),
                Piece::new(event.tone, &event.words),
            ])
        })
        .collect();
    frame.render_widget(paragraph(&lines).block(block("what happens")), area);
}

fn terminal_failure(error: &std::io::Error) -> Failure {
    Failure::failed(
        format!("the terminal cannot be used: {error}"),
        "watch without a screen: keywheel demo | cat",
    )
}
