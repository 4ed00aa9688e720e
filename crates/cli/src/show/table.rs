//! Columns for people. Widths count characters.

use super::text::{Line, Piece, Tone};

/// Rows under headings.
#[derive(Clone, Debug)]
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Piece>>,
    indent: usize,
}

impl Table {
    /// A table with these columns.
    pub fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new(), indent: 0 }
    }

    /// The same, moved to the right.
    pub fn indented(mut self, columns: usize) -> Self {
        self.indent = columns;
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Piece>) {
        self.rows.push(cells);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, headings first.
    pub fn lines(&self) -> Vec<Line> {
        let mut widths: Vec<usize> =
            self.headings.iter().map(|text| text.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.chars().count());
            }
        }
        let headings: Vec<Piece> =
            self.headings.iter().map(|text| Piece::new(Tone::Faint, text)).collect();
        std::iter::once(&headings).chain(&self.rows).map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[Piece], widths: &[usize]) -> Line {
        // Blanks at the end of a line only make it wrap.
        let filled = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
        let mut pieces = Vec::with_capacity(filled * 2 + 1);
        if self.indent > 0 {
            pieces.push(" ".repeat(self.indent).into());
        }
        for (index, (cell, width)) in row.iter().zip(widths).take(filled).enumerate() {
            pieces.push(cell.clone());
            if index + 1 < filled {
                let padding = width.saturating_sub(cell.text.chars().count()) + 2;
                pieces.push(" ".repeat(padding).into());
            }
        }
        Line::new(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_by_characters_and_end_without_blanks() {
        let mut table = Table::new(&["RING", "STAGE", ""]).indented(2);
        table.row(vec!["wé".into(), "rest".into(), "".into()]);
        table.row(vec!["web-session".into(), Piece::new(Tone::Bad, "confirm"), "x".into()]);
        let lines: Vec<String> = table.lines().iter().map(Line::plain).collect();
        assert_eq!(
            lines,
            ["  RING         STAGE", "  wé           rest", "  web-session  confirm  x"]
        );
    }
}
