//! Words, quotes, comments and punctuation, as nginx reads them. Which of them make a directive is
//! left to [`super::tree`].

use std::fmt;

use zeroize::Zeroizing;

use super::error::{SyntaxError, SyntaxFault};

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// The line of the first byte, from 1.
    pub line: u32,
    /// Its column in bytes, from 1.
    pub column: u32,
}

/// With what a word is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// `'…'`
    Single,
    /// `"…"`
    Double,
}

/// A word. Its value may be a secret, so it is erased when dropped, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Word {
    /// What nginx makes of it: without quotes, with `\"`, `\'`, `\\`, `\t`, `\r` and `\n` resolved.
    pub value: Zeroizing<Vec<u8>>,
    /// Its quotes.
    pub quote: Option<Quote>,
    /// Where it stands, with its quotes.
    pub span: Span,
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Span { line, column, .. } = self.span;
        write!(f, "Word({} bytes at {line}:{column})", self.value.len())
    }
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A word.
    Word(Word),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// A word or a mark, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What.
    pub kind: TokenKind,
    /// Where.
    pub span: Span,
}

/// Reads a file from its beginning.
pub struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Lexer<'a> {
    /// At the beginning of a file.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1, line_start: 0 }
    }

    /// The next word or mark; none at the end of the file.
    ///
    /// # Errors
    /// The file ends within a word, or a closing quote is followed by the wrong thing.
    pub fn token(&mut self) -> Result<Option<Token>, SyntaxError> {
        self.skip_space_and_comments();
        let mark = self.here();
        let kind = match self.peek() {
            None => return Ok(None),
            Some(b';') => TokenKind::End,
            Some(b'{') => TokenKind::Open,
            Some(b'}') => TokenKind::Close,
            Some(b'"') => return self.quoted_word(mark, Quote::Double).map(Some),
            Some(b'\'') => return self.quoted_word(mark, Quote::Single).map(Some),
            Some(_) => return self.bare_word(mark).map(Some),
        };
        self.step();
        Ok(Some(Token { kind, span: self.since(mark) }))
    }

    /// Skips a body in Lua, after its `{`, up to the `}` that closes it; gives back where the body
    /// stands, without the brace.
    ///
    /// # Errors
    /// The file ends before.
    pub fn lua_body(&mut self, open: Span) -> Result<Span, SyntaxError> {
        let start = self.here();
        let mut depth = 0_usize;
        loop {
            let end = self.here();
            match self.step() {
                None => {
                    return Err(SyntaxError { place: open, fault: SyntaxFault::EndsInBlock });
                }
                Some(b'{') => depth += 1,
                Some(b'}') if depth == 0 => {
                    return Ok(Span { end: end.start, ..start });
                }
                Some(b'}') => depth -= 1,
                Some(quote @ (b'"' | b'\'')) => self.skip_lua_text(quote),
                Some(b'[') => {
                    self.skip_long_bracket();
                }
                Some(b'-') if self.peek() == Some(b'-') => {
                    self.step();
                    if !(self.take(b'[') && self.skip_long_bracket()) {
                        self.skip_line();
                    }
                }
                Some(_) => {}
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Goes one byte on.
    fn step(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.line = self.line.saturating_add(1);
            self.line_start = self.at;
        }
        Some(byte)
    }

    /// Goes one byte on when it is this one.
    fn take(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        if is {
            self.step();
        }
        is
    }

    /// This place, as an empty span.
    fn here(&self) -> Span {
        let column = (self.at - self.line_start).saturating_add(1);
        let column = u32::try_from(column).unwrap_or(u32::MAX);
        Span { start: self.at, end: self.at, line: self.line, column }
    }

    /// From a mark to this place.
    fn since(&self, mark: Span) -> Span {
        Span { end: self.at, ..mark }
    }

    fn skip_line(&mut self) {
        while self.step().is_some_and(|byte| byte != b'\n') {}
    }

    fn skip_space_and_comments(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'#' {
                self.skip_line();
            } else if is_space(byte) {
                self.step();
            } else {
                return;
            }
        }
    }

    fn quoted_word(&mut self, mark: Span, quote: Quote) -> Result<Token, SyntaxError> {
        let fault = |place, fault| Err(SyntaxError { place, fault });
        let closing = if quote == Quote::Double { b'"' } else { b'\'' };
        self.step();
        let from = self.at;
        loop {
            match self.peek() {
                None => return fault(mark, SyntaxFault::EndsInQuotes),
                Some(b'\\') => {
                    self.step();
                    self.step();
                }
                Some(byte) if byte == closing => break,
                Some(_) => {
                    self.step();
                }
            }
        }
        let value = unescaped(self.bytes.get(from..self.at).unwrap_or_default());
        self.step();
        match self.peek() {
            None => return fault(self.here(), SyntaxFault::EndsInDirective),
            Some(byte) if is_space(byte) || matches!(byte, b';' | b'{' | b')') => {}
            Some(_) => return fault(self.here(), SyntaxFault::AfterQuotes),
        }
        Ok(self.word(mark, value, Some(quote)))
    }

    fn bare_word(&mut self, mark: Span) -> Result<Token, SyntaxError> {
        // The first byte belongs to the word whatever it is; only what follows may end it.
        let mut variable = false;
        let mut first = true;
        loop {
            match self.peek() {
                None => {
                    let fault = SyntaxFault::EndsInDirective;
                    return Err(SyntaxError { place: self.here(), fault });
                }
                Some(b'{') if variable => {}
                Some(byte) if !first && (is_space(byte) || matches!(byte, b';' | b'{')) => break,
                Some(b'\\') => {
                    variable = false;
                    self.step();
                }
                Some(byte) => variable = byte == b'$',
            }
            first = false;
            self.step();
        }
        let value = unescaped(self.bytes.get(mark.start..self.at).unwrap_or_default());
        Ok(self.word(mark, value, None))
    }

    fn word(&self, mark: Span, value: Zeroizing<Vec<u8>>, quote: Option<Quote>) -> Token {
        let span = self.since(mark);
        Token { kind: TokenKind::Word(Word { value, quote, span }), span }
    }

    fn skip_lua_text(&mut self, quote: u8) {
        while let Some(byte) = self.step() {
            match byte {
                b'\\' => {
                    self.step();
                }
                byte if byte == quote => return,
                _ => {}
            }
        }
    }

    /// Skips `[==[ … ]==]` after its first bracket; stays, and says no, where there is none.
    fn skip_long_bracket(&mut self) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let level = rest.iter().take_while(|byte| **byte == b'=').count();
        if rest.get(level) != Some(&b'[') {
            return false;
        }
        for _ in 0..=level {
            self.step();
        }
        let mut closing = vec![b'='; level.saturating_add(2)];
        if let [first, .., last] = closing.as_mut_slice() {
            (*first, *last) = (b']', b']');
        }
        while self.at < self.bytes.len() {
            if self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(&closing)) {
                for _ in 0..closing.len() {
                    self.step();
                }
                return true;
            }
            self.step();
        }
        true
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Resolves escapes; a backslash before any other letter stays.
fn unescaped(raw: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut value = Zeroizing::new(Vec::with_capacity(raw.len()));
    let mut rest = raw;
    while let [byte, tail @ ..] = rest {
        let resolved = match (byte, tail.first()) {
            (b'\\', Some(escaped @ (b'"' | b'\'' | b'\\'))) => Some(*escaped),
            (b'\\', Some(b't')) => Some(b'\t'),
            (b'\\', Some(b'r')) => Some(b'\r'),
            (b'\\', Some(b'n')) => Some(b'\n'),
            _ => None,
        };
        value.push(resolved.unwrap_or(*byte));
        rest = if resolved.is_some() { tail.get(1..).unwrap_or_default() } else { tail };
    }
    value
}

/// A word that nginx reads as exactly these bytes. It says nothing about variables: nginx replaces
/// `$name` in the values of many directives, and has no escape for it.
pub fn quoted(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut word = Zeroizing::new(Vec::with_capacity(value.len().saturating_mul(2) + 2));
    word.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            word.push(b'\\');
        }
        word.push(*byte);
    }
    word.push(b'"');
    word
}
