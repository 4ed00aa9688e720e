//! `status --watch` on a terminal: what an operator looks at during a rotation. One thread follows
//! the change feed and reads; this one draws and listens to keys.

use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use keywheel_api::ring::RingStatus;
use keywheel_core::id::RingName;
use keywheel_core::time::Span;
use ratatui::DefaultTerminal;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::text;
use ratatui::widgets::Paragraph;

use super::{now, read, render};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::follow::Follower;
use crate::remote::Remote;
use crate::show::Tone;
use crate::show::style::{style, styled};

/// Silences and ages grow although nothing happens; this is how often they are read again.
const READ_EVERY: Span = Span::from_secs(2);
/// How long a key press may wait for its effect.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// What the screen shows.
#[derive(Default)]
struct View {
    rings: Vec<RingStatus>,
    trouble: Option<String>,
    scroll: u16,
}

/// Shows the screen until `q`, Escape or Ctrl-C.
pub(super) fn run(remote: Remote, ring: Option<RingName>) -> Outcome {
    let first = read(&remote, ring.as_ref())?;
    let one = ring.is_some();
    let mut terminal = ratatui::try_init().map_err(|error| terminal_failure(&error))?;
    let (sender, receiver) = mpsc::sync_channel(4);
    // Nobody waits for this thread: a server that hangs must not keep a screen that was closed.
    std::thread::spawn(move || {
        loop {
            let ended = follow(&remote, ring.as_ref(), &sender);
            if sender.send(Err(ended)).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let shown = show(&mut terminal, first, one, &receiver);
    ratatui::restore();
    shown.map(|()| Exit::Done)
}

type Reading = Result<Vec<RingStatus>, Option<Failure>>;

/// Reads again after each change, until the screen is gone (`None`) or the server is.
fn follow(
    remote: &Remote,
    ring: Option<&RingName>,
    sender: &mpsc::SyncSender<Reading>,
) -> Option<Failure> {
    let mut follower = match Follower::join(remote) {
        Ok(follower) => follower,
        Err(failure) => return Some(failure),
    };
    loop {
        match read(remote, ring) {
            Ok(rings) => sender.send(Ok(rings)).ok()?,
            Err(failure) => return Some(failure),
        }
        if let Err(failure) = follower.next(READ_EVERY) {
            return Some(failure);
        }
    }
}

fn show(
    terminal: &mut DefaultTerminal,
    first: Vec<RingStatus>,
    one: bool,
    receiver: &Receiver<Reading>,
) -> Result<(), Failure> {
    let mut view = View { rings: first, ..View::default() };
    loop {
        while let Ok(reading) = receiver.try_recv() {
            match reading {
                Ok(rings) => {
                    view.rings = rings;
                    view.trouble = None;
                }
                Err(failure) => view.trouble = failure.map(|failure| failure.cause),
            }
        }
        terminal.draw(|frame| draw(frame, &view, one)).map_err(|error| terminal_failure(&error))?;
        if event::poll(DRAW_EVERY).map_err(|error| terminal_failure(&error))? {
            let event = event::read().map_err(|error| terminal_failure(&error))?;
            if !heed(&mut view, &event) {
                return Ok(());
            }
        }
    }
}

/// Does what a key asks for; false ends the screen.
fn heed(view: &mut View, event: &Event) -> bool {
    let Event::Key(key) = event else { return true };
    if key.kind != KeyEventKind::Press {
        return true;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Down | KeyCode::Char('j') => view.scroll = view.scroll.saturating_add(1),
        KeyCode::Up | KeyCode::Char('k') => view.scroll = view.scroll.saturating_sub(1),
        KeyCode::PageDown | KeyCode::Char(' ') => view.scroll = view.scroll.saturating_add(20),
        KeyCode::PageUp => view.scroll = view.scroll.saturating_sub(20),
        KeyCode::Home => view.scroll = 0,
        _ => {}
    }
    true
}

fn draw(frame: &mut Frame<'_>, view: &View, one: bool) {
    let rows = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]);
    let [page, foot] = rows.areas(frame.area());
    let now = now();
    let lines: Vec<text::Line<'_>> = render(&view.rings, one, now).iter().map(styled).collect();
    let longest = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_sub(1);
    let scroll = (view.scroll.min(longest), 0);
    frame.render_widget(Paragraph::new(lines).scroll(scroll), page);
    let clock = now.to_timestamp().strftime("%Y-%m-%d %H:%M:%S UTC");
    let foot_line = match &view.trouble {
        Some(trouble) => text::Line::styled(format!(" {trouble}"), style(Tone::Bad)),
        None => {
            text::Line::styled(format!(" {clock}   q quits, arrows scroll"), style(Tone::Faint))
        }
    };
    frame.render_widget(foot_line, foot);
}

fn terminal_failure(error: &std::io::Error) -> Failure {
    Failure::failed(
        format!("the terminal cannot be used: {error}"),
        "watch without a screen: keywheel status --watch | cat",
    )
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyEvent;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;

    fn ring() -> RingStatus {
        serde_json::from_value(serde_json::json!({
            "name": "web", "kind": "secret", "incarnation": "1", "revision": 7,
            "keyset_revision": 6, "stage": "confirm", "primary": 1, "overdue": false,
            "path": {
                "version": 2, "direction": "forward", "cause": "somebody asked",
                "since": "2026-01-01T00:00:00Z", "stalled": true
            },
            "versions": [],
            "gates": [{
                "version": 2, "stage": "confirm",
                "gates": [{
                    "name": "instances", "status": "waiting", "detail": "1 of 2",
                    "missing": [{
                        "consumer": "web", "process": "host/4242", "standing": "lost",
                        "silent_for": "41s", "why": "has not proved v2"
                    }]
                }]
            }],
            "consumers": [],
            "policy": { "kind": "secret", "longest_lifetime": "1h" }
        }))
        .unwrap()
    }

    fn shown(view: &View, one: bool) -> String {
        let mut terminal = Terminal::new(TestBackend::new(90, 24)).unwrap();
        terminal.draw(|frame| draw(frame, view, one)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_screen_names_who_is_missing_and_what_went_wrong() {
        let mut view = View { rings: vec![ring()], ..View::default() };
        let page = shown(&view, true);
        assert!(page.contains("web host/4242 lost, silent for 41s: has not proved v2"), "{page}");
        assert!(page.contains("confirm (stalled) of v2"), "{page}");
        assert!(page.contains("q quits"), "{page}");
        let table = shown(&view, false);
        assert!(table.contains("instances waiting on 1"), "{table}");
        view.trouble = Some("the server cannot be reached".into());
        assert!(shown(&view, true).contains(" the server cannot be reached"));
    }

    #[test]
    fn keys_scroll_and_end_the_screen() {
        let press = |code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
        let mut view = View::default();
        assert!(heed(&mut view, &press(KeyCode::Down)));
        assert!(heed(&mut view, &press(KeyCode::PageDown)));
        assert_eq!(view.scroll, 21);
        assert!(heed(&mut view, &press(KeyCode::Home)));
        assert_eq!(view.scroll, 0);
        assert!(!heed(&mut view, &press(KeyCode::Char('q'))));
        assert!(!heed(&mut view, &press(KeyCode::Esc)));
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(!heed(&mut view, &Event::Key(interrupt)));
    }
}
