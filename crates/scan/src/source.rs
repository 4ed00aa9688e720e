//! The text of one file, and where in it something stands.

use std::path::Path;
use std::sync::OnceLock;

/// How many bytes are counted anew for each place on a long line.
const BLOCK_BYTES: usize = 4_096;

/// As short as lines are on average, to guess how many a file has.
const BYTES_A_LINE: usize = 24;

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
    /// Where lines start; most files are left before anyone asks.
    line_starts: OnceLock<Vec<usize>>,
    /// How many characters stand before each block of the text; counted once a line is so long
    /// that to count it for each place would take the square of its length.
    before_blocks: OnceLock<Vec<usize>>,
}

impl<'a> SourceFile<'a> {
    /// A file with this text.
    pub const fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, line_starts: OnceLock::new(), before_blocks: OnceLock::new() }
    }

    fn line_starts(&self) -> &[usize] {
        self.line_starts.get_or_init(|| {
            let bytes = self.text.as_bytes();
            let ends = memchr::memchr_iter(b'\n', bytes).map(|at| at.saturating_add(1));
            // Most lines are longer than that, so the list seldom has to grow.
            let mut starts = Vec::with_capacity(bytes.len() / BYTES_A_LINE + 1);
            starts.push(0);
            starts.extend(ends);
            starts
        })
    }

    /// Where the byte at `offset` stands; an offset past the end stands at the end.
    ///
    /// ```
    /// use keywheel_scan::source::{Position, SourceFile};
    /// let file = SourceFile::new("a.py".as_ref(), "a = 1\nb = 2\n");
    /// assert_eq!(file.position(10), Position { line: 2, column: 5 });
    /// ```
    pub fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.text.len());
        let starts = self.line_starts();
        let line = starts.partition_point(|start| *start <= offset);
        let start = starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let before = if offset.saturating_sub(start) > BLOCK_BYTES {
            self.characters_before(offset).saturating_sub(self.characters_before(start))
        } else {
            characters(self.text.as_bytes().get(start..offset).unwrap_or_default())
        };
        Position { line: number(line), column: number(before.saturating_add(1)) }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let bytes = self.text.as_bytes();
        let blocks = self.before_blocks.get_or_init(|| {
            let mut before = 0_usize;
            let counted = bytes.chunks(BLOCK_BYTES).map(|block| {
                let here = before;
                before = before.saturating_add(characters(block));
                here
            });
            counted.collect()
        });
        let block = offset / BLOCK_BYTES;
        let Some(before) = blocks.get(block).copied() else {
            return blocks.last().copied().unwrap_or_default()
                + characters(bytes.chunks(BLOCK_BYTES).next_back().unwrap_or_default());
        };
        let rest = bytes.get(block.saturating_mul(BLOCK_BYTES)..offset).unwrap_or_default();
        before.saturating_add(characters(rest))
    }

    /// The lines of the file with the offset at which each begins, without their ends.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &'a str)> + '_ {
        let text = self.text;
        let starts = self.line_starts().iter().copied();
        let ends = self.line_starts().iter().skip(1).copied().chain(std::iter::once(text.len()));
        starts.zip(ends).map(move |(start, end)| {
            let line = text.get(start..end).unwrap_or_default();
            (start, line.trim_end_matches(['\n', '\r']))
        })
    }
}

/// How many characters begin among these bytes of UTF-8.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

/// Files are far smaller than what would be cut off here.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_long_lines_are_those_of_short_ones() {
        let text = format!("short\n{}x{}", "äb".repeat(5_000), "c".repeat(9_000));
        let file = SourceFile::new("a".as_ref(), &text);
        let offset = text.find('x').unwrap();
        assert_eq!(file.position(offset), Position { line: 2, column: 10_001 });
        assert_eq!(file.position(text.len()), Position { line: 2, column: 19_002 });
        assert_eq!(file.position(text.len() + 5), file.position(text.len()));
        let whole = "d".repeat(BLOCK_BYTES * 2);
        let file = SourceFile::new("a".as_ref(), &whole);
        let end = Position { line: 1, column: number(BLOCK_BYTES * 2 + 1) };
        assert_eq!(file.position(whole.len()), end);
    }
}
