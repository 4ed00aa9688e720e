//! The strings of all dialects: quotes, templates, here-documents, regular expressions.

use super::dialect::Dialect;
use super::lex::{Lexer, NEST_MAX, is_word};
use super::token::Kind;

/// How a kind of string ends and what may stand in it.
#[derive(Clone, Copy)]
pub(super) struct Delimiter {
    close: u8,
    /// The opening bracket of it, where brackets nest in it.
    open: u8,
    /// How often `close` ends it: once or three times.
    times: usize,
    has_escapes: bool,
    spans_lines: bool,
    /// What opens an interpolation: `#{`, `${`, `{$`, or nothing.
    interpolation: [u8; 2],
}

/// A string in whose interpolation the lexer is.
pub(super) struct Nest {
    delimiter: Delimiter,
    /// How many braces are open within the interpolation.
    pub(super) braces: u32,
}

enum Stop {
    Closed(usize),
    Interpolation(usize),
    Never(usize),
}

/// The longest regular expression that is looked for.
const REGEX_BYTES_MAX: usize = 4096;

impl Lexer<'_> {
    pub(super) fn quote(&mut self, quote: u8) {
        let start = self.at;
        let is_triple = matches!(self.dialect, Dialect::Java | Dialect::Kotlin)
            && quote == b'"'
            && self.rest(start).starts_with(b"\"\"\"");
        let interpolation = match (self.dialect, quote) {
            (Dialect::JavaScript, b'`') | (Dialect::Kotlin, b'"') => *b"${",
            (Dialect::Ruby, b'"' | b'`') => *b"#{",
            (Dialect::Php, b'"' | b'`') => *b"{$",
            _ => [0, 0],
        };
        let delimiter = Delimiter {
            close: quote,
            open: 0,
            times: if is_triple { 3 } else { 1 },
            has_escapes: !(self.dialect == Dialect::Go && quote == b'`'
                || self.dialect == Dialect::Kotlin && is_triple),
            spans_lines: is_triple || self.dialect.spans_lines(quote),
            interpolation,
        };
        self.string(start, delimiter.times, delimiter);
    }

    /// A string whose text begins `skip` bytes after `start`.
    fn string(&mut self, start: usize, skip: usize, delimiter: Delimiter) {
        let slot = slot(delimiter.close);
        if self.hopeless.get(slot).is_some_and(|end| start < *end) {
            self.push(Kind::Op, start, start + 1, 0);
            return;
        }
        match self.seek(start + skip, delimiter) {
            Stop::Closed(end) => self.push(Kind::Str, start, end + delimiter.times, skip),
            Stop::Interpolation(end) if self.nests.len() < NEST_MAX => {
                self.push(Kind::Open, start, start + skip, 0);
                self.interpolation(start + skip, end, delimiter);
            }
            Stop::Interpolation(end) | Stop::Never(end) => {
                if let Some(hopeless) = self.hopeless.get_mut(slot) {
                    *hopeless = end;
                }
                self.push(Kind::Op, start, start + 1, 0);
            }
        }
    }

    fn interpolation(&mut self, start: usize, end: usize, delimiter: Delimiter) {
        self.push(Kind::Fragment, start, end, 0);
        // Of `{$name` the dollar belongs to the name.
        let length = if delimiter.interpolation == *b"{$" { 1 } else { 2 };
        self.push(Kind::Open, end, end + length, 0);
        self.nests.push(Nest { delimiter, braces: 0 });
    }

    /// Goes on with a string after the end of an interpolation.
    pub(super) fn go_on(&mut self, nest: &Nest) {
        let start = self.at;
        let delimiter = nest.delimiter;
        match self.seek(start, delimiter) {
            Stop::Closed(end) => {
                self.push(Kind::Fragment, start, end, 0);
                self.push(Kind::Close, end, end + delimiter.times, 0);
            }
            Stop::Interpolation(end) => self.interpolation(start, end, delimiter),
            Stop::Never(end) => self.push(Kind::Fragment, start, end, 0),
        }
    }

    fn seek(&self, start: usize, delimiter: Delimiter) -> Stop {
        let mut at = start;
        let mut depth = 0_usize;
        let [first, second] = delimiter.interpolation;
        while let Some(byte) = self.bytes.get(at).copied() {
            if byte == delimiter.close {
                if depth > 0 {
                    depth -= 1;
                } else if delimiter.times == 1
                    || (self.byte(at + 1) == byte && self.byte(at + 2) == byte)
                {
                    return Stop::Closed(at);
                }
            } else if byte == b'\\' && delimiter.has_escapes {
                at += 1;
            } else if byte == b'\n' && !delimiter.spans_lines {
                return Stop::Never(at);
            } else if byte == first && first != 0 && self.byte(at + 1) == second {
                return Stop::Interpolation(at);
            } else if byte == delimiter.open && byte != 0 {
                depth += 1;
            }
            at += 1;
        }
        Stop::Never(self.bytes.len())
    }

    pub(super) fn may_begin_regex(&self) -> bool {
        if !self.follows_value() {
            return true;
        }
        // A command of Ruby: `match /x/`.
        let at = self.at;
        self.dialect == Dialect::Ruby
            && self.all.last().is_some_and(|last| last.kind == Kind::Word)
            && at > 0
            && self.byte(at - 1) == b' '
            && !matches!(self.byte(at + 1), b' ' | b'=')
    }

    pub(super) fn regex(&mut self) {
        let start = self.at;
        let mut at = start + 1;
        let mut in_class = false;
        let last = start.saturating_add(REGEX_BYTES_MAX);
        while at < last {
            match self.byte(at) {
                b'\\' => at += 1,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'/' if !in_class => {
                    at += 1;
                    while is_word(self.byte(at)) {
                        at += 1;
                    }
                    self.push(Kind::Regex, start, at.min(self.bytes.len()), 0);
                    return;
                }
                b'\n' | 0 => break,
                _ => {}
            }
            at += 1;
        }
        self.push(Kind::Op, start, start + 1, 0);
    }

    pub(super) fn is_symbol(&self, next: u8) -> bool {
        let before = self.at.checked_sub(1).map_or(b' ', |at| self.byte(at));
        (is_word(next) && !next.is_ascii_digit() || next == b'"')
            && before != b':'
            && !(is_word(before) || matches!(before, b'"' | b'\'' | b')' | b']' | b'?'))
    }

    pub(super) fn symbol(&mut self, next: u8) {
        let start = self.at;
        let mut at = start + 1;
        if next == b'"' {
            let rest = self.rest(at + 1);
            let end = memchr::memchr2(b'"', b'\n', rest).unwrap_or(rest.len());
            at += 1 + end + usize::from(self.byte(at + 1 + end) == b'"');
        } else {
            while is_word(self.byte(at)) {
                at += 1;
            }
            at += usize::from(matches!(self.byte(at), b'?' | b'!') && self.byte(at + 1) != b'=');
        }
        self.push(Kind::Symbol, start, at, 0);
    }

    /// `%w[…]`, `%q(…)` and their kin; `false` where the sign is that of a remainder.
    pub(super) fn percent_string(&mut self) -> bool {
        let start = self.at;
        let next = self.byte(start + 1);
        let (letter, skip) = match next {
            b'w' | b'W' | b'q' | b'Q' | b'i' | b'I' | b'r' | b'x' | b's' => (next, 3),
            _ => (b'Q', 2),
        };
        let open = self.byte(start + skip - 1);
        let close = match open {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            b'<' => b'>',
            b'|' | b'!' | b'/' => open,
            _ => return false,
        };
        if self.follows_value() && skip == 2 {
            return false;
        }
        let delimiter = Delimiter {
            close,
            open: if open == close { 0 } else { open },
            times: 1,
            has_escapes: true,
            spans_lines: true,
            interpolation: if matches!(letter, b'Q' | b'W' | b'x' | b'r') {
                *b"#{"
            } else {
                [0, 0]
            },
        };
        self.string(start, skip, delimiter);
        true
    }

    pub(super) fn may_be_here_document(&self) -> bool {
        if self.no_here_documents {
            return false;
        }
        match self.dialect {
            Dialect::Php => self.byte(self.at + 2) == b'<',
            Dialect::Ruby => match self.byte(self.at + 2) {
                b'~' | b'-' => true,
                b'A'..=b'Z' | b'"' | b'\'' => !self.follows_value(),
                _ => false,
            },
            _ => false,
        }
    }

    pub(super) fn here_document(&mut self) {
        let start = self.at;
        let mut at = start + 2;
        while matches!(self.byte(at), b'<' | b'~' | b'-' | b' ' | b'\'' | b'"') {
            at += 1;
        }
        let name = at;
        while is_word(self.byte(at)) {
            at += 1;
        }
        let Some(word) = self.text.get(name..at).filter(|word| !word.is_empty()) else {
            self.push(Kind::Op, start, start + 2, 0);
            return;
        };
        at += usize::from(matches!(self.byte(at), b'\'' | b'"'));
        if self.waiting.len() < NEST_MAX {
            self.waiting.push((self.all.len(), word));
        }
        self.push(Kind::Str, start, at, 2);
    }

    /// Reads the texts that were announced on the line before.
    pub(super) fn here_documents(&mut self) {
        for (token, name) in std::mem::take(&mut self.waiting) {
            let start = self.at;
            let mut at = start;
            let mut end = None;
            while at < self.bytes.len() {
                let rest = self.rest(at);
                let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                let line = rest.get(..length).unwrap_or_default().trim_ascii_start();
                let after = line.strip_prefix(name.as_bytes());
                if after.is_some_and(|after| !after.first().copied().is_some_and(is_word)) {
                    end = Some((at, at + length - after.map_or(0, <[u8]>::len)));
                    break;
                }
                at += length + 1;
            }
            let Some((end, past)) = end else {
                self.no_here_documents = true;
                return;
            };
            self.bodies.push((token, start, end));
            self.at = past;
        }
    }
}

fn slot(close: u8) -> usize {
    match close {
        b'"' => 0,
        b'\'' => 1,
        b'`' => 2,
        _ => 3,
    }
}
