//! Words, texts, parameters and marks of SQL, of whichever database, and of SQL that stands in a
//! string of some program and is not whole.

/// How long a text in three quotes may be.
const TRIPLED_BYTES_MAX: usize = 64 * 1024;

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A bare word: a keyword or a name.
    Word,
    /// A name in quotes, which some databases take for a text.
    Name,
    /// A text in quotes; the token is what is within.
    Text,
    /// A place that somebody else fills in: `$1`, `?`, `:name`, `%s`, `{name}`.
    Param,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `=` or `:=`
    Equals,
    /// `;`, or the border of a body in dollars.
    End,
    /// A meta-command of psql up to the end of its line, without its backslash.
    Meta,
    /// Anything else.
    Other,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) mark: Mark,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Reads a text from its beginning.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Whether a body in dollars would be an argument, and so a text.
    pub(super) is_within_call: bool,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, is_within_call: false }
    }

    fn byte(&self, after: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + after).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Skips the rows of a `COPY … FROM stdin`, after its end.
    pub(super) fn skip_rows(&mut self) {
        let rest = self.rest();
        let end = memchr::memmem::find(rest, b"\n\\.").map_or(rest.len(), |end| end + 3);
        self.at += end;
    }

    /// A text in three quotes, as functions in Python have: the SQL in it is read like any other
    /// text. In SQL itself three single quotes begin a text with a quote in it, so those must reach
    /// over lines.
    fn tripled(&mut self, start: usize) -> Option<Token> {
        let rest = self.rest();
        let quotes = rest.get(..3).filter(|three| *three == b"'''" || *three == b"\"\"\"")?;
        let rest = rest.get(3..rest.len().min(TRIPLED_BYTES_MAX))?;
        let length = memchr::memmem::find(rest, quotes)?;
        let has_lines = memchr::memchr(b'\n', rest.get(..length)?).is_some();
        if !has_lines && quotes.starts_with(b"'") {
            return None;
        }
        self.at += length + 6;
        Some(Token { mark: Mark::Text, start: start + 3, end: start + 3 + length })
    }

    /// The next token; none at the end.
    pub(super) fn token(&mut self) -> Option<Token> {
        self.skip_space_and_comments();
        let start = self.at;
        let first = self.byte(0)?;
        if let Some(token) = self.tripled(start) {
            return Some(token);
        }
        let one = |mark, length: usize| (mark, length);
        let (mark, length) = match first {
            b'\'' => return Some(self.quoted(start, b'\'', false, Mark::Text)),
            b'"' => return Some(self.quoted(start, b'"', false, Mark::Name)),
            b'`' => return Some(self.quoted(start, b'`', false, Mark::Name)),
            b'E' | b'e' | b'N' | b'n' | b'B' | b'b' if self.byte(1) == Some(b'\'') => {
                self.at += 1;
                return Some(self.quoted(
                    start,
                    b'\'',
                    first.eq_ignore_ascii_case(&b'E'),
                    Mark::Text,
                ));
            }
            b'(' => one(Mark::Open, 1),
            b')' => one(Mark::Close, 1),
            b',' => one(Mark::Comma, 1),
            b';' => one(Mark::End, 1),
            b'.' => one(Mark::Dot, 1),
            b'=' => one(Mark::Equals, 1),
            b'$' => return Some(self.dollar(start)),
            b':' => return Some(self.colon(start)),
            b'?' => one(Mark::Param, 1),
            b'@' | b'&' => {
                let length = self.name_length(1);
                if length > 0 { one(Mark::Param, 1 + length) } else { one(Mark::Other, 1) }
            }
            b'%' => return Some(self.percent(start)),
            b'#' if self.byte(1) == Some(b'{') => {
                self.at += 1;
                return Some(self.braces(start));
            }
            b'{' => return Some(self.braces(start)),
            b'\\' if self.is_line_start() => {
                let length = memchr::memchr(b'\n', self.rest()).unwrap_or(self.rest().len());
                self.at += length;
                return Some(Token { mark: Mark::Meta, start: start + 1, end: self.at });
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80 => {
                let length = self.rest().iter().take_while(|byte| is_letter(**byte)).count();
                one(Mark::Word, length)
            }
            _ => one(Mark::Other, 1),
        };
        self.at += length;
        Some(Token { mark, start, end: self.at })
    }

    fn is_line_start(&self) -> bool {
        self.at == 0 || self.text.as_bytes().get(self.at - 1) == Some(&b'\n')
    }

    fn name_length(&self, after: usize) -> usize {
        let rest = self.rest().get(after..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
    }

    fn skip_space_and_comments(&mut self) {
        while let Some(byte) = self.byte(0) {
            match byte {
                b'-' if self.byte(1) == Some(b'-') => {
                    self.at += memchr::memchr(b'\n', self.rest()).unwrap_or(self.rest().len());
                }
                b'/' if self.byte(1) == Some(b'*') => self.skip_comment(),
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => return,
            }
        }
    }

    /// Comments nest.
    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(next) = memchr::memchr2(b'/', b'*', self.rest()) {
            self.at += next;
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth = depth.saturating_sub(1);
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
        self.at = self.text.len();
    }

    /// A text in quotes, doubled within; the end of the text where nothing closes it.
    fn quoted(&mut self, start: usize, quote: u8, has_escapes: bool, mark: Mark) -> Token {
        self.at += 1;
        let from = self.at;
        loop {
            let Some(next) = memchr::memchr2(quote, b'\\', self.rest()) else {
                self.at = self.text.len();
                return Token { mark, start: from.max(start), end: self.at };
            };
            self.at += next;
            match (self.byte(0), self.byte(1)) {
                (Some(b'\\'), Some(_)) if has_escapes => {
                    self.at += 2;
                    // Never into the middle of a letter.
                    while !self.text.is_char_boundary(self.at) {
                        self.at += 1;
                    }
                }
                (Some(b'\\'), _) => self.at += 1,
                (Some(_), Some(next)) if next == quote => self.at += 2,
                _ => break,
            }
        }
        let end = self.at;
        self.at += 1;
        Token { mark, start: from, end }
    }

    /// `$1`, `$name` of a program, `$tag$`.
    fn dollar(&mut self, start: usize) -> Token {
        if self.byte(1) == Some(b'{') {
            self.at += 1;
            return self.braces(start);
        }
        let length = self.name_length(1);
        self.at += 1 + length;
        if self.byte(0) != Some(b'$') {
            let mark = if length == 0 { Mark::Other } else { Mark::Param };
            return Token { mark, start, end: self.at };
        }
        self.at += 1;
        let tag = self.text.as_bytes().get(start..self.at).unwrap_or_default();
        if self.is_within_call
            && let Some(length) = memchr::memmem::find(self.rest(), tag)
        {
            let token = Token { mark: Mark::Text, start: self.at, end: self.at + length };
            self.at += length + tag.len();
            return token;
        }
        // What is within is read as what follows, because it is SQL.
        Token { mark: Mark::End, start, end: self.at }
    }

    /// `:name` and `:'name'` of psql and drivers, `:=`, `::`.
    fn colon(&mut self, start: usize) -> Token {
        let (mark, length) = match self.byte(1) {
            Some(b'=') => (Mark::Equals, 2),
            Some(b':') => (Mark::Other, 2),
            Some(b'\'' | b'"') => {
                let name = self.name_length(2);
                (Mark::Param, if name > 0 { name + 3 } else { 1 })
            }
            _ => {
                let name = self.name_length(1);
                (if name > 0 { Mark::Param } else { Mark::Other }, 1 + name)
            }
        };
        self.at = (self.at + length).min(self.text.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        Token { mark, start, end: self.at }
    }

    /// `%s`, `%L`, `%(name)s`.
    fn percent(&mut self, start: usize) -> Token {
        let length = match self.byte(1) {
            Some(b'(') => {
                let name = self.name_length(2);
                let closes = self.byte(2 + name) == Some(b')');
                if closes && name > 0 { name + 4 } else { 1 }
            }
            Some(b's' | b'L' | b'd' | b'v' | b'q' | b'I') => 2,
            _ => 1,
        };
        self.at = (self.at + length).min(self.text.len());
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        let mark = if length > 1 { Mark::Param } else { Mark::Other };
        Token { mark, start, end: self.at }
    }

    /// `{name}`, `${name}`, `#{name}`, `{{ name }}`.
    fn braces(&mut self, start: usize) -> Token {
        let reach = self.rest().get(..self.rest().len().min(200)).unwrap_or_default();
        let double = reach.starts_with(b"{{");
        let close: &[u8] = if double { b"}}" } else { b"}" };
        let (mark, length) = match memchr::memmem::find(reach, close) {
            Some(end) => (Mark::Param, end + close.len()),
            None => (Mark::Other, 1),
        };
        self.at += length;
        Token { mark, start, end: self.at }
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}
