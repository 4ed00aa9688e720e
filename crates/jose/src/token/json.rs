//! A strict scanner of JSON objects (RFC 8259) for what strangers send: one pass says whether the
//! text is valid, refuses a name that stands twice in any object of it, bounds its depth, and
//! records where the members of the outermost object stand. It builds nothing.

use std::borrow::Cow;
use std::ops::Range;

use super::error::TokenError;

/// The deepest nesting that is read; the outermost object counts.
pub(super) const DEPTH_MAX: usize = 64;
/// How many members an object may have until their names are sorted to find a double one.
const FEW: usize = 16;
/// How many members of the outermost object are recorded without an allocation.
const INLINE: usize = 12;

/// Why a text was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonError {
    /// It is not one JSON object, or nested too deeply.
    Malformed(&'static str),
    /// A name stands twice in one object.
    Duplicate,
}

impl From<JsonError> for TokenError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Malformed(what) => Self::Malformed(what),
            JsonError::Duplicate => Self::DuplicateName,
        }
    }
}

/// Where a value stands in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
    /// Whether it is a string with escapes in it.
    escaped: bool,
}

impl Span {
    /// Texts are shorter than 4 GiB, which [`scan`] makes sure of.
    fn new(start: usize, end: usize, escaped: bool) -> Self {
        let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: place(start), end: place(end), escaped }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The text that stands there.
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.range()).unwrap_or_default()
    }

    /// What the inside of a string says.
    fn inside(self, text: &str) -> Cow<'_, str> {
        if self.escaped { unescaped(self.of(text)) } else { Cow::Borrowed(self.of(text)) }
    }

    /// The string that stands there with its quotes; `None` when it is another value.
    pub(super) fn string(self, text: &str) -> Option<Cow<'_, str>> {
        let inside = self.of(text).strip_prefix('"')?.strip_suffix('"')?;
        Some(if self.escaped { unescaped(inside) } else { Cow::Borrowed(inside) })
    }
}

/// A member of the outermost object: its name without the quotes, and its value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Member {
    name: Span,
    value: Span,
}

/// The members of the outermost object, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    inline: [Member; INLINE],
    count: usize,
    spilled: Vec<Member>,
}

impl Members {
    fn push(&mut self, member: Member) {
        match self.inline.get_mut(self.count) {
            Some(place) => {
                *place = member;
                self.count = self.count.saturating_add(1);
            }
            None => self.spilled.push(member),
        }
    }

    /// Each name, without escapes, with its value.
    pub(super) fn iter<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (Cow<'a, str>, Span)> {
        self.inline
            .iter()
            .take(self.count)
            .chain(&self.spilled)
            .map(|member| (member.name.inside(text), member.value))
    }

    /// Where the value of this member stands.
    pub(super) fn find(&self, text: &str, name: &str) -> Option<Span> {
        self.inline
            .iter()
            .take(self.count)
            .chain(&self.spilled)
            .find(|member| member.name.inside(text) == name)
            .map(|member| member.value)
    }
}

/// The text that a JSON string holds; `raw` is what stands between the quotes, and was scanned.
pub(super) fn unescaped(raw: &str) -> Cow<'_, str> {
    let Some((plain, rest)) = raw.split_once('\\') else { return Cow::Borrowed(raw) };
    let mut text = String::with_capacity(raw.len());
    text.push_str(plain);
    let mut rest = rest;
    loop {
        let mut characters = rest.chars();
        match characters.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('u') => {
                let high = hex4(characters.as_str());
                characters = characters.as_str().get(4..).unwrap_or_default().chars();
                let code = if (0xd800..0xdc00).contains(&high) {
                    let low = hex4(characters.as_str().get(2..).unwrap_or_default());
                    characters = characters.as_str().get(6..).unwrap_or_default().chars();
                    0x1_0000 + ((high & 0x3ff) << 10) + (low & 0x3ff)
                } else {
                    high
                };
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(itself) => text.push(itself),
            None => {}
        }
        let Some((plain, after)) = characters.as_str().split_once('\\') else {
            text.push_str(characters.as_str());
            return Cow::Owned(text);
        };
        text.push_str(plain);
        rest = after;
    }
}

fn hex4(text: &str) -> u32 {
    text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// The string that a value is.
pub(super) fn as_string(value: &str) -> Option<Cow<'_, str>> {
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    Some(unescaped(inside))
}

/// The elements of the array that a value is; `None` when it is something else. The value was
/// scanned before.
pub(super) fn as_array(value: &str) -> Option<Elements<'_>> {
    value.starts_with('[').then(|| Elements { scanner: Scanner::new(value, 1), first: true })
}

/// The elements of an array.
#[derive(Clone)]
pub(super) struct Elements<'a> {
    scanner: Scanner<'a>,
    first: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.scanner.blanks();
        if !self.first && !self.scanner.take(b',') {
            return None;
        }
        self.first = false;
        self.scanner.blanks();
        let start = self.scanner.at;
        if self.scanner.peek() == Some(b']') {
            return None;
        }
        self.scanner.value(1).ok()?;
        self.scanner.text.get(start..self.scanner.at)
    }
}

/// Scans a text that is one JSON object.
pub(super) fn scan(text: &str) -> Result<Members, JsonError> {
    if u32::try_from(text.len()).is_err() {
        return Err(JsonError::Malformed("it is too long"));
    }
    let mut scanner = Scanner::new(text, 0);
    let mut members = Members::default();
    scanner.blanks();
    if !scanner.take(b'{') {
        return Err(NOT_AN_OBJECT);
    }
    scanner.object(1, Some(&mut members))?;
    scanner.blanks();
    if scanner.at == text.len() { Ok(members) } else { Err(SYNTAX) }
}

const SYNTAX: JsonError = JsonError::Malformed("its JSON is not valid");
const NOT_AN_OBJECT: JsonError = JsonError::Malformed("it is not a JSON object");
const TOO_DEEP: JsonError = JsonError::Malformed("its JSON is nested too deeply");

/// The name of a member, ready to be compared with its siblings: short names differ in `key`.
#[derive(Clone, Copy, Default)]
struct Name {
    span: Span,
    key: u64,
}

impl Name {
    fn is_same(&self, other: &Self, text: &str) -> bool {
        if self.span.escaped || other.span.escaped {
            return self.span.inside(text) == other.span.inside(text);
        }
        self.key == other.key && self.span.of(text) == other.span.of(text)
    }
}

/// The names of one object.
struct Names {
    few: [Name; FEW],
    count: usize,
    more: Vec<Name>,
}

impl Names {
    const fn new() -> Self {
        let none = Name { span: Span { start: 0, end: 0, escaped: false }, key: 0 };
        Self { few: [none; FEW], count: 0, more: Vec::new() }
    }

    /// Takes a name in. A double one is found at once among few names, and by [`Names::end`] among
    /// many.
    fn push(&mut self, name: Name, text: &str) -> Result<(), JsonError> {
        let known = self.few.get(..self.count).unwrap_or_default();
        if self.count == FEW {
            self.more.push(name);
            return Ok(());
        }
        if known.iter().any(|other| other.is_same(&name, text)) {
            return Err(JsonError::Duplicate);
        }
        if let Some(place) = self.few.get_mut(self.count) {
            *place = name;
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    fn end(&self, text: &str) -> Result<(), JsonError> {
        if self.more.is_empty() {
            return Ok(());
        }
        let all = self.few.iter().chain(&self.more);
        let mut names: Vec<_> = all.map(|name| name.span.inside(text)).collect();
        names.sort_unstable();
        let double = names.windows(2).any(|pair| matches!(pair, [one, other] if one == other));
        if double { Err(JsonError::Duplicate) } else { Ok(()) }
    }
}

/// Where the scan stands in a text.
#[derive(Clone)]
struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    const fn new(text: &'a str, at: usize) -> Self {
        Self { text, bytes: text.as_bytes(), at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Steps over the byte when it stands here.
    fn take(&mut self, byte: u8) -> bool {
        let is_here = self.peek() == Some(byte);
        self.at = self.at.wrapping_add(usize::from(is_here));
        is_here
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at = self.at.wrapping_add(1);
        }
    }

    /// Scans the rest of an object whose brace was read.
    fn object(&mut self, depth: usize, mut record: Option<&mut Members>) -> Result<(), JsonError> {
        let mut names = Names::new();
        self.blanks();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            if !self.take(b'"') {
                return Err(SYNTAX);
            }
            let start = self.at;
            let escaped = self.string()?;
            let end = self.at.wrapping_sub(1);
            let name = Name { span: Span::new(start, end, escaped), key: self.key(start, end) };
            names.push(name, self.text)?;
            self.blanks();
            if !self.take(b':') {
                return Err(SYNTAX);
            }
            self.blanks();
            let start = self.at;
            let escaped = self.value(depth)?;
            if let Some(members) = record.as_deref_mut() {
                let value = Span::new(start, self.at, escaped);
                members.push(Member { name: name.span, value });
            }
            self.blanks();
            if self.take(b',') {
                self.blanks();
                continue;
            }
            return if self.take(b'}') { names.end(self.text) } else { Err(SYNTAX) };
        }
    }

    /// The first eight bytes of a name: almost all names differ in them.
    fn key(&self, start: usize, end: usize) -> u64 {
        let length = end.saturating_sub(start);
        let rest = self.bytes.get(start..).unwrap_or_default();
        let Some(first) = rest.first_chunk::<8>() else {
            return rest.iter().take(length).rev().fold(0, |key, byte| key << 8 | u64::from(*byte));
        };
        let bits = u32::try_from(length).unwrap_or(8).min(8).saturating_mul(8);
        u64::from_le_bytes(*first) & u64::MAX.unbounded_shr(64_u32.saturating_sub(bits))
    }

    fn array(&mut self, depth: usize) -> Result<(), JsonError> {
        self.blanks();
        if self.take(b']') {
            return Ok(());
        }
        loop {
            self.value(depth)?;
            self.blanks();
            if self.take(b',') {
                self.blanks();
                continue;
            }
            return if self.take(b']') { Ok(()) } else { Err(SYNTAX) };
        }
    }

    /// Scans a value that stands in an object or array of this depth; says whether it is a string
    /// with escapes.
    fn value(&mut self, depth: usize) -> Result<bool, JsonError> {
        let first = self.peek().ok_or(SYNTAX)?;
        match first {
            b'"' => {
                self.at = self.at.wrapping_add(1);
                return self.string();
            }
            b'-' | b'0'..=b'9' => self.number(),
            b'{' | b'[' if depth >= DEPTH_MAX => Err(TOO_DEEP),
            b'{' => {
                self.at = self.at.wrapping_add(1);
                self.object(depth.saturating_add(1), None)
            }
            b'[' => {
                self.at = self.at.wrapping_add(1);
                self.array(depth.saturating_add(1))
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => Err(SYNTAX),
        }
        .map(|()| false)
    }

    fn word(&mut self, word: &[u8]) -> Result<(), JsonError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(SYNTAX);
        }
        self.at = self.at.wrapping_add(word.len());
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at = self.at.wrapping_add(1);
        }
        if self.at > start { Ok(()) } else { Err(SYNTAX) }
    }

    fn number(&mut self) -> Result<(), JsonError> {
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at = self.at.wrapping_add(1);
            if !self.take(b'-') {
                self.take(b'+');
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Scans the rest of a string whose opening quote was read, and says whether it has escapes.
    fn string(&mut self) -> Result<bool, JsonError> {
        let mut escaped = false;
        loop {
            self.plain_words();
            let byte = self.peek().ok_or(SYNTAX)?;
            self.at = self.at.wrapping_add(1);
            match byte {
                b'"' => return Ok(escaped),
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                0..=0x1f => return Err(SYNTAX),
                _ => {}
            }
        }
    }

    /// Steps over eight bytes at a time while none of them is a quote, a backslash or a control
    /// character.
    fn plain_words(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGHS: u64 = 0x8080_8080_8080_8080;
        let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
        while let Some(bytes) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*bytes);
            let quote = has_zero(word ^ (ONES * 0x22));
            let backslash = has_zero(word ^ (ONES * 0x5c));
            let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
            let found = quote | backslash | control;
            if found != 0 {
                // The lowest mark is exact: borrows only travel upwards.
                self.at = self.at.wrapping_add((found.trailing_zeros() / 8) as usize);
                return;
            }
            self.at = self.at.wrapping_add(8);
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let byte = self.peek().ok_or(SYNTAX)?;
        self.at = self.at.wrapping_add(1);
        match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.unit()? {
                // Half of a surrogate pair is no character, and readers differ in what they make
                // of it.
                0xd800..=0xdbff => {
                    let paired = self.take(b'\\') && self.take(b'u');
                    if paired && (0xdc00..=0xdfff).contains(&self.unit()?) {
                        Ok(())
                    } else {
                        Err(SYNTAX)
                    }
                }
                0xdc00..=0xdfff => Err(SYNTAX),
                _ => Ok(()),
            },
            _ => Err(SYNTAX),
        }
    }

    fn unit(&mut self) -> Result<u32, JsonError> {
        let digits = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<4>());
        let mut unit = 0;
        for digit in digits.ok_or(SYNTAX)? {
            unit = unit << 4 | char::from(*digit).to_digit(16).ok_or(SYNTAX)?;
        }
        self.at = self.at.wrapping_add(4);
        Ok(unit)
    }
}

#[cfg(test)]
mod tests;
