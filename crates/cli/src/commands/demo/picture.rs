//! The screen as an SVG picture, for the README: drawn from a real run, cell by cell.

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
         font-size=\"{FONT_SIZE}\" fill=\"{INK}\" xml:space=\"preserve\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{PAPER}\"/>\n"
    );
    for row in 0..area.height {
        for run in runs(buffer, row) {
            text.push_str(&run.drawn(row));
        }
    }
    text.push_str("</svg>\n");
    text
}

/// What is drawn as a shape, so that no font leaves gaps, and what is text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Glyph {
    Text,
    /// A part of a cell, in eighths of its height: where it begins and how high it is.
    Block(u32, u32),
    Horizontal,
    Vertical,
    /// From the middle of the cell towards the right or left, and down or up.
    Corner {
        right: bool,
        down: bool,
    },
}

impl Glyph {
    fn of(symbol: &str) -> Self {
        const RISING: &str = "▁▂▃▄▅▆▇█";
        let Some(first) = symbol.chars().next() else { return Self::Text };
        let rising = RISING.chars().position(|block| block == first);
        match (first, rising.map(u32::try_from)) {
            (_, Some(Ok(position))) => Self::Block(7 - position, position + 1),
            ('▀', _) => Self::Block(0, 4),
            ('─', _) => Self::Horizontal,
            ('│', _) => Self::Vertical,
            ('╭', _) => Self::Corner { right: true, down: true },
            ('╮', _) => Self::Corner { right: false, down: true },
            ('╰', _) => Self::Corner { right: true, down: false },
            ('╯', _) => Self::Corner { right: false, down: false },
            _ => Self::Text,
        }
    }

    /// Words of the same look stay together over one blank.
    const fn gap_max(self) -> usize {
        match self {
            Self::Text => 1,
            _ => 0,
        }
    }
}

/// What neighbouring cells of a run have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    glyph: Glyph,
    fill: &'static str,
    bold: bool,
}

/// Neighbouring cells that look the same.
struct Run {
    column: u16,
    cells: Vec<String>,
    look: Look,
}

fn runs(buffer: &Buffer, row: u16) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for column in 0..buffer.area.width {
        let Some(cell) = buffer.cell((column, row)) else { continue };
        if cell.symbol() == " " {
            continue;
        }
        let glyph = Glyph::of(cell.symbol());
        let bold = cell.modifier.contains(Modifier::BOLD);
        let look = Look { glyph, fill: fill(cell), bold };
        let gap = |run: &Run| usize::from(column - run.column) - run.cells.len();
        match runs.last_mut() {
            Some(run) if run.look == look && gap(run) <= glyph.gap_max() => {
                run.cells.extend(std::iter::repeat_n(" ".to_owned(), gap(run)));
                run.cells.push(cell.symbol().to_owned());
            }
            _ => runs.push(Run { column, cells: vec![cell.symbol().to_owned()], look }),
        }
    }
    runs
}

impl Run {
    fn drawn(&self, row: u16) -> String {
        let (left, top) =
            (MARGIN + u32::from(self.column) * CELL.0, MARGIN + u32::from(row) * CELL.1);
        let wide = u32::try_from(self.cells.len()).unwrap_or(1) * CELL.0;
        let (middle, centre) = (left + CELL.0 / 2, top + CELL.1 / 2);
        let line = |path: String| {
            format!("<path d=\"{path}\" stroke=\"{}\" fill=\"none\"/>\n", self.look.fill)
        };
        match self.look.glyph {
            Glyph::Text => self.words(left, top + CELL.1 * 3 / 4, wide),
            Glyph::Block(from, high) => format!(
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>\n",
                tenths(left),
                tenths(top + from * CELL.1 / 8),
                tenths(wide),
                tenths(high * CELL.1 / 8),
                self.look.fill,
            ),
            Glyph::Horizontal => {
                line(format!("M{} {}h{}", tenths(left), tenths(centre), tenths(wide)))
            }
            Glyph::Vertical => {
                line(format!("M{} {}v{}", tenths(middle), tenths(top), tenths(CELL.1)))
            }
            Glyph::Corner { right, down } => {
                let x = if right { left + CELL.0 } else { left };
                let y = if down { top + CELL.1 } else { top };
                let (middle, centre) = (tenths(middle), tenths(centre));
                let (x, y) = (tenths(x), tenths(y));
                line(format!("M{middle} {y}Q{middle} {centre} {x} {centre}"))
            }
        }
    }

    fn words(&self, x: u32, y: u32, wide: u32) -> String {
        let Look { fill, bold, .. } = self.look;
        let fill = if fill == INK { String::new() } else { format!(" fill=\"{fill}\"") };
        let weight = if bold { " font-weight=\"bold\"" } else { "" };
        let (x, y, wide) = (tenths(x), tenths(y), tenths(wide));
        let words = escaped(&self.cells.concat());
        format!("<text x=\"{x}\" y=\"{y}\" textLength=\"{wide}\"{fill}{weight}>{words}</text>\n")
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
        let buffer = Buffer::with_lines(["a<b d  █▀ c"]);
        let text = svg(&buffer);
        assert!(text.contains(">a&lt;b d</text>"), "{text}");
        assert!(text.contains(">c</text>"), "{text}");
        assert_eq!(text.matches("<rect").count(), 3, "{text}");
    }
}
