//! The screen as an SVG picture, for the README: drawn from a real run, cell by cell.

use std::fmt::Write as _;
use std::path::Path;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::board::Board;
use super::screen;
use crate::failure::Failure;

const COLUMNS: u16 = 112;
const ROWS: u16 = 34;
/// A cell in tenths of a pixel, so that all arithmetic is whole.
const CELL: (u32, u32) = (84, 180);
const FONT_SIZE: u32 = 14;
const MARGIN: u32 = 120;
const PAPER: &str = "#0d1117";
const INK: &str = "#c9d1d9";

/// Draws the board into a file.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn draw(board: &Board, file: &Path) -> Result<(), Failure> {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(COLUMNS, ROWS));
    let Ok(_) = terminal.draw(|frame| screen::draw(frame, board));
    let text = svg(terminal.backend().buffer());
    std::fs::write(file, text).map_err(|error| Failure::io("written", file, &error))
}

fn svg(buffer: &Buffer) -> String {
    let area = buffer.area;
    let width = (u32::from(area.width) * CELL.0 + 2 * MARGIN) / 10;
    let height = (u32::from(area.height) * CELL.1 + 2 * MARGIN) / 10;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\" \
         font-size=\"{FONT_SIZE}\" fill=\"{INK}\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{PAPER}\"/>\n"
    );
    for row in 0..area.height {
        for run in runs(buffer, row) {
            run.write(&mut text, row);
        }
    }
    text.push_str("</svg>\n");
    text
}

/// Neighbouring cells that look the same.
struct Run {
    column: u16,
    text: String,
    fill: &'static str,
    bold: bool,
    /// A block character is drawn as a shape, so that no font leaves gaps.
    shape: Option<Shape>,
}

/// A part of a cell, in eighths of its height: where it begins and how high it is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape(u32, u32);

impl Shape {
    fn of(symbol: &str) -> Option<Self> {
        const RISING: &str = "▁▂▃▄▅▆▇█";
        let first = symbol.chars().next()?;
        if first == '▀' {
            return Some(Self(0, 4));
        }
        let eighths = u32::try_from(RISING.chars().position(|block| block == first)?).ok()? + 1;
        Some(Self(8 - eighths, eighths))
    }
}

fn runs(buffer: &Buffer, row: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..buffer.area.width {
        let Some(cell) = buffer.cell((column, row)) else { continue };
        let fill = fill(cell);
        let bold = cell.modifier.contains(Modifier::BOLD);
        let shape = Shape::of(cell.symbol());
        let blank = cell.symbol() == " ";
        match runs.last_mut() {
            Some(run)
                if shape == run.shape && (blank || (run.fill == fill && run.bold == bold)) =>
            {
                run.text.push_str(cell.symbol());
            }
            _ if blank => {}
            _ => runs.push(Run { column, text: cell.symbol().into(), fill, bold, shape }),
        }
        // A gap wide enough ends a run; what follows begins at its own column.
        if let Some(run) = runs.last_mut()
            && run.shape.is_none()
            && run.text.ends_with("  ")
        {
            let text = run.text.trim_end().to_owned();
            run.text = text;
            runs.push(Run {
                column,
                text: String::new(),
                fill: "",
                bold: false,
                shape: Some(Shape(0, 0)),
            });
        }
    }
    runs.retain(|run| !run.text.trim_end().is_empty());
    runs
}

impl Run {
    fn write(&self, text: &mut String, row: u16) {
        let words = self.text.trim_end();
        let cells = u32::try_from(words.chars().count()).unwrap_or(u32::MAX);
        let x = MARGIN + u32::from(self.column) * CELL.0;
        let y = MARGIN + u32::from(row) * CELL.1;
        let fill =
            if self.fill == INK { String::new() } else { format!(" fill=\"{}\"", self.fill) };
        // Writing to a string cannot fail.
        let _ = match self.shape {
            Some(Shape(from, high)) => writeln!(
                text,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{fill}/>",
                tenths(x),
                tenths(y + from * CELL.1 / 8),
                tenths(cells * CELL.0),
                tenths(high * CELL.1 / 8),
            ),
            None => writeln!(
                text,
                "<text x=\"{}\" y=\"{}\" textLength=\"{}\" xml:space=\"preserve\"{fill}{}>{}</text>",
                tenths(x),
                tenths(y + CELL.1 * 3 / 4),
                tenths(cells * CELL.0),
                if self.bold { " font-weight=\"bold\"" } else { "" },
                escaped(words),
            ),
        };
    }
}

fn fill(cell: &Cell) -> &'static str {
    match cell.fg {
        Color::Green => "#3fb950",
        Color::Yellow => "#d29922",
        Color::Red => "#f85149",
        Color::Cyan => "#39c5cf",
        Color::DarkGray => "#484f58",
        _ if cell.modifier.contains(Modifier::DIM) => "#8b949e",
        _ => INK,
    }
}

fn tenths(value: u32) -> String {
    if value.is_multiple_of(10) {
        (value / 10).to_string()
    } else {
        format!("{}.{}", value / 10, value % 10)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_blocks_are_shapes() {
        let buffer = Buffer::with_lines(["a<b  █▀ c"]);
        let text = svg(&buffer);
        assert!(text.contains(">a&lt;b</text>"), "{text}");
        assert!(text.contains(">c</text>"), "{text}");
        assert_eq!(text.matches("<rect").count(), 3, "{text}");
    }
}
