//! The text of one file, and where in it something stands.

use std::path::Path;

/// Where something stands in a file, both counted from one. Columns are characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// A file that is being read. Texts that are not UTF-8 have had their broken bytes replaced before.
pub struct SourceFile<'a> {
    /// Its path, as it will be reported: relative to the root of the scan, with `/`.
    pub path: &'a Path,
    /// Its text.
    pub text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> SourceFile<'a> {
    /// A file with this text.
    pub fn new(path: &'a Path, text: &'a str) -> Self {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at.saturating_add(1));
        Self { path, text, line_starts: std::iter::once(0).chain(ends).collect() }
    }

    /// Where the byte at `offset` stands; an offset past the end stands at the end.
    ///
    /// ```
    /// use keywheel_scan::source::{Position, SourceFile};
    /// let file = SourceFile::new("a.py".as_ref(), "a = 1\nb = 2\n");
    /// assert_eq!(file.position(10), Position { line: 2, column: 5 });
    /// ```
    pub fn position(&self, offset: usize) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        let column = before.chars().count().saturating_add(1);
        Position { line: number(line), column: number(column) }
    }

    /// The lines of the file with the offset at which each begins, without their ends.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &'a str)> + '_ {
        let text = self.text;
        let starts = self.line_starts.iter().copied();
        let ends = self.line_starts.iter().skip(1).copied().chain(std::iter::once(text.len()));
        starts.zip(ends).map(move |(start, end)| {
            let line = text.get(start..end).unwrap_or_default();
            (start, line.trim_end_matches(['\n', '\r']))
        })
    }
}

/// Files are far smaller than what would be cut off here.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
