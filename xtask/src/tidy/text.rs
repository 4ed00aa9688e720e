//! Rust source split into code and comments, so that rules never trip over a word in a string.
//!
//! This is a scanner, not a parser: it knows comments, strings, characters and lifetimes, which is
//! all that the rules need.

use std::ops::Range;

/// A source file in two layers with the same lines: what the compiler reads, and what people read.
/// Everything that belongs to the other layer, or to a literal, is blank.
pub(super) struct Layers {
    pub(super) code: String,
    pub(super) comments: String,
}

/// Where the scanner stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Code,
    LineComment,
    BlockComment { depth: usize },
    Text,
    RawText { hashes: usize },
}

/// Splits a source file.
pub(super) fn split(source: &str) -> Layers {
    let chars: Vec<char> = source.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\n');
    let (mut code, mut comments) = (String::new(), String::new());
    let mut place = Place::Code;
    let mut index = 0;
    while index < chars.len() {
        let (here, next) = (at(index), at(index + 1));
        let mut width = 1;
        let layer = place;
        match place {
            Place::Code if here == '/' && next == '/' => place = Place::LineComment,
            Place::Code if here == '/' && next == '*' => {
                (place, width) = (Place::BlockComment { depth: 1 }, 2);
            }
            Place::Code if here == '"' => place = Place::Text,
            Place::Code if here == 'r' && !part_of_word(&chars, index) => {
                if let Some(hashes) = raw_text(&chars, index + 1) {
                    (place, width) = (Place::RawText { hashes }, hashes + 2);
                }
            }
            Place::Code if here == '\'' => width = character(&chars, index),
            Place::LineComment if here == '\n' => place = Place::Code,
            Place::BlockComment { depth } if here == '*' && next == '/' => {
                width = 2;
                place = match depth {
                    1 => Place::Code,
                    _ => Place::BlockComment { depth: depth - 1 },
                };
            }
            Place::BlockComment { depth } if here == '/' && next == '*' => {
                (place, width) = (Place::BlockComment { depth: depth + 1 }, 2);
            }
            Place::Text if here == '\\' => width = 2,
            Place::Text if here == '"' => place = Place::Code,
            Place::RawText { hashes }
                if here == '"' && (1..=hashes).all(|offset| at(index + offset) == '#') =>
            {
                (place, width) = (Place::Code, hashes + 1);
            }
            _ => {}
        }
        let comment = matches!(layer, Place::LineComment | Place::BlockComment { .. });
        let plain = layer == Place::Code && place == Place::Code && width == 1;
        for offset in 0..width.min(chars.len() - index) {
            let letter = at(index + offset);
            let blank = if letter == '\n' { '\n' } else { ' ' };
            code.push(if plain { letter } else { blank });
            comments.push(if comment { letter } else { blank });
        }
        index += width;
    }
    Layers { code, comments }
}

/// Whether the character before belongs to the same word, as in `bar"`; `br"` starts a raw text.
fn part_of_word(chars: &[char], index: usize) -> bool {
    let before = |back: usize| index.checked_sub(back).and_then(|place| chars.get(place)).copied();
    let word = |letter: Option<char>| letter.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match before(1) {
        Some('b' | 'c') => word(before(2)),
        letter => word(letter),
    }
}

/// The number of hashes, when a raw text opens here.
fn raw_text(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars.iter().skip(start).take_while(|letter| **letter == '#').count();
    (chars.get(start + hashes) == Some(&'"')).then_some(hashes)
}

/// The width of a character literal, or 1 when the quote opens a lifetime.
fn character(chars: &[char], start: usize) -> usize {
    if chars.get(start + 1) == Some(&'\\') {
        let rest = chars.iter().skip(start + 3).take(12);
        return rest.take_while(|letter| **letter != '\'').count() + 4;
    }
    if chars.get(start + 2) == Some(&'\'') { 3 } else { 1 }
}

/// The lines (from 1) on which `word` stands by itself in `text`.
pub(super) fn lines_with(text: &str, word: &str) -> Vec<usize> {
    let holds = |line: &str| {
        let standing = |(start, _): (usize, &str)| {
            let before = line.get(..start).and_then(|head| head.chars().next_back());
            let after = line.get(start + word.len()..).and_then(|tail| tail.chars().next());
            let joins = |letter: Option<char>, edge: Option<char>| {
                let part = |c: char| c.is_alphanumeric() || c == '_';
                letter.is_some_and(part) && edge.is_some_and(part)
            };
            !joins(before, word.chars().next()) && !joins(after, word.chars().next_back())
        };
        line.match_indices(word).any(standing)
    };
    text.lines().enumerate().filter(|(_, line)| holds(line)).map(|(index, _)| index + 1).collect()
}

/// The lines of a file that only tests compile.
pub(super) struct TestLines {
    whole: bool,
    regions: Vec<Range<usize>>,
}

impl TestLines {
    /// Finds them from the file's place and from the marks in its code.
    pub(super) fn of(path: &str, code: &str) -> Self {
        let whole = path.contains("/tests/")
            || path.ends_with("/tests.rs")
            || path.starts_with("crates/testkit/")
            || path.starts_with("fuzz/");
        Self { whole, regions: test_regions(code) }
    }

    /// Whether a line (from 1) is one of them.
    pub(super) fn contains(&self, line: usize) -> bool {
        self.whole || self.regions.iter().any(|region| region.contains(&line))
    }
}

/// The line ranges (from 1) of items under `#[cfg(test)]`.
fn test_regions(code: &str) -> Vec<Range<usize>> {
    let mut regions = Vec::new();
    for (start, mark) in code.match_indices("#[cfg(test)]") {
        let tail = code.get(start + mark.len()..).unwrap_or_default();
        let mut depth = 0_usize;
        let mut end = tail.len();
        for (offset, letter) in tail.char_indices() {
            match letter {
                '{' => depth += 1,
                ';' if depth == 0 => end = offset,
                '}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        end = offset;
                    }
                }
                _ => {}
            }
            if end != tail.len() {
                break;
            }
        }
        let line = |place: usize| code.get(..place).unwrap_or(code).matches('\n').count() + 1;
        regions.push(line(start)..line(start + mark.len() + end) + 1);
    }
    regions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_leave_the_code() {
        let source = "let a = \"unsafe \\\" {\"; // unsafe here\n\
                      let b = r#\"unsafe \" \"#; /* un /* nested */ safe */ let c = '\"';\n\
                      fn f<'a>(x: &'a str) -> char { '\\u{1F600}' }\n";
        let layers = split(source);
        assert!(lines_with(&layers.code, "unsafe").is_empty(), "{}", layers.code);
        assert_eq!(lines_with(&layers.comments, "unsafe"), [1]);
        assert_eq!(layers.code.lines().count(), 3);
        assert!(layers.code.contains("let c =") && layers.code.contains("fn f<'a>(x: &'a str)"));
        assert!(layers.comments.contains("nested"));
    }

    #[test]
    fn code_after_literals_is_still_code() {
        let layers = split("let a = b\"x\"; let r = br\"\\\"; unsafe { f('\\'', '{') }");
        assert_eq!(lines_with(&layers.code, "unsafe"), [1]);
        assert_eq!(layers.code.matches('{').count(), 1);
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(lines_with("unsafe_code\nan unsafe fn\n", "unsafe"), [2]);
        assert_eq!(lines_with("a.expose()\nexposed(\n", ".expose("), [1]);
    }

    #[test]
    fn a_test_module_is_found_to_its_brace() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { }\n}\nfn c() {}\n";
        assert_eq!(test_regions(code).first(), Some(&(2..6)));
        let declared = "#[cfg(test)]\nmod tests;\nfn a() {}\n";
        assert_eq!(test_regions(declared).first(), Some(&(1..3)));
    }
}
