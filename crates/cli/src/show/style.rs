//! What a tone looks like on a live screen.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text;

use super::text::{Line, Tone};

/// The style of a tone.
pub fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Good => Style::new().fg(Color::Green),
        Tone::Waiting => Style::new().fg(Color::Yellow),
        Tone::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
        Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
        Tone::Faint => Style::new().add_modifier(Modifier::DIM),
    }
}

/// A line with its styles.
pub fn styled(line: &Line) -> text::Line<'static> {
    line.pieces
        .iter()
        .map(|piece| text::Span::styled(piece.text.clone(), style(piece.tone)))
        .collect()
}
