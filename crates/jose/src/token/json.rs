//! A strict scanner of JSON objects (RFC 8259) for what strangers send: one pass says whether the
//! text is valid, refuses a name that stands twice in any object of it, bounds its depth, and
//! records where the members of the outermost object stand. It builds nothing.

use std::borrow::Cow;

use self::marks::{BLOCK, marks_of};
use super::error::TokenError;
use super::time::are_digits;

/// The deepest nesting that is read; the outermost object counts.
pub(super) const DEPTH_MAX: usize = 64;
/// How many members an object may have until their names are sorted to find a double one.
const FEW: usize = 16;
/// How many members there is room for at first: few objects have more.
const ROOM: usize = 12;

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
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    end: u32,
    what: What,
}

/// What a value is, as far as its text cannot be taken as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A string without escapes.
    Plain,
    /// A string with escapes.
    Escaped,
    /// No string.
    Other,
}

impl Span {
    #[expect(clippy::cast_possible_truncation, reason = "`scan` reads no text of 4 GiB")]
    const fn new(start: usize, end: usize, what: What) -> Self {
        Self { start: start as u32, end: end as u32, what }
    }

    /// The text that stands there.
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub(super) const fn is_string(self) -> bool {
        !matches!(self.what, What::Other)
    }

    /// The string that stands there; `None` when it is another value.
    pub(super) fn string(self, text: &str) -> Option<Cow<'_, str>> {
        let (start, end) = (self.start.wrapping_add(1), self.end.wrapping_sub(1));
        self.is_string().then(|| Self { start, end, ..self }.inside(text))
    }

    /// What a string says that stands there without its quotes.
    fn inside(self, text: &str) -> Cow<'_, str> {
        match self.what {
            What::Escaped => unescaped(self.of(text)),
            What::Plain | What::Other => Cow::Borrowed(self.of(text)),
        }
    }
}

/// A member of an object: its name without the quotes, and its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    name: Span,
    value: Span,
    key: u64,
}

impl Member {
    fn is_same(&self, other: &Self, text: &str) -> bool {
        self.key == other.key && self.name.inside(text) == other.name.inside(text)
    }

    /// What [`key_of`] says of its name, if no longer name has the same key; zero otherwise.
    pub(super) fn short_name(&self, text: &str) -> u64 {
        if self.name.what == What::Escaped && self.name(text).contains('\0') { 0 } else { self.key }
    }

    /// Its name, without escapes.
    pub(super) fn name<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.name.inside(text)
    }

    #[inline]
    pub(super) const fn value(&self) -> Span {
        self.value
    }
}

/// The first eight bytes of a name: almost all names differ in them. Without escapes no name holds
/// a zero, so that one of less than eight bytes is the only one with its key.
pub(super) const fn key_of(name: &str) -> u64 {
    let (mut rest, mut key, mut shift) = (name.as_bytes(), 0, 0);
    while let [byte, behind @ ..] = rest
        && shift < u64::BITS
    {
        key |= (*byte as u64) << shift;
        (rest, shift) = (behind, shift + 8);
    }
    key
}

/// The members of the outermost object, in their order.
#[derive(Clone, Debug)]
pub(super) struct Members(Vec<Member>);

impl Members {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Each member.
    pub(super) fn each(&self) -> impl Iterator<Item = &Member> {
        self.0.iter()
    }

    /// Each name, without escapes, with its value.
    pub(super) fn iter<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (Cow<'a, str>, Span)> {
        self.0.iter().map(|member| (member.name(text), member.value))
    }

    /// Where the value of this member stands.
    pub(super) fn find(&self, text: &str, name: &str) -> Option<Span> {
        let key = key_of(name);
        let is_it = |member: &&Member| member.key == key && member.name(text) == name;
        self.0.iter().find(is_it).map(|member| member.value)
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
    scanner.blanks();
    if !scanner.take(b'{') {
        return Err(NOT_AN_OBJECT);
    }
    scanner.open = Vec::with_capacity(ROOM);
    scanner.object(1)?;
    scanner.blanks();
    if scanner.at != text.len() {
        return Err(SYNTAX);
    }
    // Objects within may have needed more room than what stays.
    if scanner.open.capacity() > ROOM {
        scanner.open.shrink_to_fit();
    }
    Ok(Members(scanner.open))
}

const SYNTAX: JsonError = JsonError::Malformed("its JSON is not valid");
const NOT_AN_OBJECT: JsonError = JsonError::Malformed("it is not a JSON object");
const TOO_DEEP: JsonError = JsonError::Malformed("its JSON is nested too deeply");

/// The bits that say which names an object may have: one for each name, chosen by its key.
#[derive(Clone, Copy, Default)]
struct Seen(u64);

impl Seen {
    /// A number that gives each of the usual names of claims and headers a bit of its own.
    const SPREAD: u64 = 0x9545_e5d5_b692_e18d;

    /// Takes a name in; false when it certainly was not there before.
    fn insert(&mut self, key: u64) -> bool {
        let bit = 1 << (key.wrapping_mul(Self::SPREAD) >> 58);
        let was_there = self.0 & bit != 0;
        self.0 |= bit;
        was_there
    }
}

/// Refuses a name that stands twice in an object of many members.
#[cold]
fn check_many(members: &[Member], text: &str) -> Result<(), JsonError> {
    let mut names: Vec<_> = members.iter().map(|member| member.name(text)).collect();
    names.sort_unstable();
    let double = names.windows(2).any(|pair| matches!(pair, [one, other] if one == other));
    if double { Err(JsonError::Duplicate) } else { Ok(()) }
}

/// Where the scan stands in a text.
#[derive(Clone)]
struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Where the block begins whose marks are known.
    block: usize,
    marks: u64,
    /// The members of the outermost object, and behind them those of the objects in it that were
    /// begun and have not ended.
    open: Vec<Member>,
}

impl<'a> Scanner<'a> {
    const fn new(text: &'a str, at: usize) -> Self {
        Self { text, bytes: text.as_bytes(), at, block: usize::MAX, marks: 0, open: Vec::new() }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Steps over the byte when it stands here.
    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        // A branch, which the processor guesses: it need not wait for the byte to go on.
        if self.peek() == Some(byte) {
            self.at = self.at.wrapping_add(1);
            return true;
        }
        false
    }

    /// The same, when there may be blanks before the byte, which is rare.
    #[inline]
    fn take_behind_blanks(&mut self, byte: u8) -> bool {
        self.take(byte) || {
            self.blanks();
            self.take(byte)
        }
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at = self.at.wrapping_add(1);
        }
    }

    /// Scans the rest of an object whose brace was read. Its members stay in `open`.
    fn object(&mut self, depth: usize) -> Result<(), JsonError> {
        if self.take_behind_blanks(b'}') {
            return Ok(());
        }
        let first = self.open.len();
        let mut seen = Seen::default();
        loop {
            let (name, key) = self.name()?;
            if seen.insert(key) {
                self.check_few(first, Member { name, value: name, key })?;
            }
            if !self.take_behind_blanks(b':') {
                return Err(SYNTAX);
            }
            let nth = self.open.len();
            // Until it is known, the value is the name.
            self.open.push(Member { name, value: name, key });
            let value = self.member_value(depth)?;
            if let Some(member) = self.open.get_mut(nth) {
                member.value = value;
            }
            if self.take_behind_blanks(b',') {
                continue;
            }
            if !self.take(b'}') {
                return Err(SYNTAX);
            }
            let members = self.open.get(first..).unwrap_or_default();
            return if members.len() > FEW { check_many(members, self.text) } else { Ok(()) };
        }
    }

    /// Scans the name of a member, and finds its key.
    #[inline]
    fn name(&mut self) -> Result<(Span, u64), JsonError> {
        if !self.take_behind_blanks(b'"') {
            return Err(SYNTAX);
        }
        let start = self.at;
        let what = self.string()?;
        let end = self.at.wrapping_sub(1);
        let name = Span::new(start, end, what);
        let key = match what {
            What::Escaped => key_of(&name.inside(self.text)),
            _ => self.key(start, end),
        };
        Ok((name, key))
    }

    /// Scans the value of a member.
    #[inline]
    fn member_value(&mut self, depth: usize) -> Result<Span, JsonError> {
        let mut start = self.at;
        if !self.take(b'"') {
            self.blanks();
            start = self.at;
            if !self.take(b'"') {
                self.other(depth)?;
                return Ok(Span::new(start, self.at, What::Other));
            }
        }
        let what = self.string()?;
        Ok(Span::new(start, self.at, what))
    }

    /// Refuses a member whose name is one of the first few of its object. Among many, double names
    /// are found when the object ends.
    #[cold]
    fn check_few(&self, first: usize, member: Member) -> Result<(), JsonError> {
        let known = self.open.get(first..).unwrap_or_default();
        let is_few = known.len() < FEW;
        if is_few && known.iter().any(|other| other.is_same(&member, self.text)) {
            return Err(JsonError::Duplicate);
        }
        Ok(())
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

    /// Scans a value that stands in an object or array of this depth.
    fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        if self.take(b'"') { self.string().map(|_| ()) } else { self.other(depth) }
    }

    /// Scans a value that is no string.
    fn other(&mut self, depth: usize) -> Result<(), JsonError> {
        match self.peek().ok_or(SYNTAX)? {
            b'-' | b'0'..=b'9' => self.number(),
            b'{' | b'[' if depth >= DEPTH_MAX => Err(TOO_DEEP),
            b'{' => {
                self.at = self.at.wrapping_add(1);
                let before = self.open.len();
                let outcome = self.object(depth.saturating_add(1));
                self.open.truncate(before);
                outcome
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
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.first_chunk().copied().is_some_and(are_digits) {
            self.at = self.at.wrapping_add(8);
        }
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

    /// Scans the rest of a string whose opening quote was read.
    #[inline]
    fn string(&mut self) -> Result<What, JsonError> {
        self.seek_mark();
        if self.take(b'"') { Ok(What::Plain) } else { self.rest_of_string() }
    }

    /// The same, from the first escape on.
    #[cold]
    fn rest_of_string(&mut self) -> Result<What, JsonError> {
        while !self.take(b'"') {
            if !self.take(b'\\') {
                return Err(SYNTAX);
            }
            self.escape()?;
            self.seek_mark();
        }
        Ok(What::Escaped)
    }

    /// Steps to the next quote, backslash or control character, or to the end of the text. The
    /// marks of a whole block are found at once, so that a step waits for little.
    #[inline]
    fn seek_mark(&mut self) {
        let marks = self.marks >> (self.at % BLOCK);
        if self.at & !(BLOCK - 1) != self.block || marks == 0 {
            return self.seek_mark_in_other_blocks();
        }
        self.at = self.at.wrapping_add(marks.trailing_zeros() as usize);
    }

    #[inline(never)]
    fn seek_mark_in_other_blocks(&mut self) {
        loop {
            let block = self.at & !(BLOCK - 1);
            if block != self.block {
                self.marks = marks_of(self.bytes, block);
                self.block = block;
            }
            let marks = self.marks >> (self.at % BLOCK);
            if marks != 0 {
                self.at = self.at.wrapping_add(marks.trailing_zeros() as usize);
                return;
            }
            self.at = block.wrapping_add(BLOCK);
        }
    }

    /// What [`key_of`] says of a name without escapes.
    #[inline]
    fn key(&self, start: usize, end: usize) -> u64 {
        let rest = self.bytes.get(start..).unwrap_or_default();
        let unwanted = 8_usize.saturating_sub(end.wrapping_sub(start));
        match rest.first_chunk::<8>() {
            Some(bytes) => u64::from_le_bytes(*bytes) & u64::MAX >> (8 * unwanted).min(63),
            None => key_of(self.text.get(start..end).unwrap_or_default()),
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

mod marks;
#[cfg(test)]
mod tests;
