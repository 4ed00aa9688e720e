//! One file: opened, looked at, and given to the reader of its language; to the line reader where
//! that one cannot read it, and in pieces where it is long.

use std::fs::File;
use std::io::{self, Read as _};
use std::panic::AssertUnwindSafe;

use crate::callers::Known;
use crate::gate::Gate;
use crate::ignores;
use crate::join::Read;
use crate::language::{self, Language};
use crate::nginx::consumers::{self, Around, Include};
use crate::reader::Readers;
use crate::report::{Note, NoteKind};
use crate::rules::Rules;
use crate::scan::{MAX_PARSED_BYTES, includes};
use crate::site::{Site, Sites, Speaks};
use crate::source::SourceFile;
use crate::walk::Found;

/// A longer file is read in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;
/// A piece ends at the last of these that is not further from its end than this.
const CUT_WITHIN_BYTES: usize = 64 << 10;
/// A file with a zero byte among so many first ones is no text.
const LOOK_BYTES: usize = 8 << 10;
/// A file of which a line has more bytes on average was written by a program for a program.
const BUNDLE_LINE_BYTES: usize = 2_000;

/// What came of a file.
#[derive(Default)]
pub(crate) struct Opened {
    /// What its reader saw.
    pub(crate) read: Read,
    /// What has to be said of it.
    pub(crate) notes: Vec<Note>,
    /// Its size, if it could be opened.
    pub(crate) bytes: Option<u64>,
    /// Whether it spoke of keys.
    pub(crate) was_read: bool,
    /// Of a program: what tells whether it has to be read again.
    pub(crate) known: Option<Known>,
    /// What it includes, if it is a configuration of nginx.
    pub(crate) includes: Vec<Include>,
}

/// Opens and reads a file.
pub(crate) fn open(
    found: &Found,
    buffer: &mut Vec<u8>,
    gate: &Gate,
    readers: &Readers,
    rules: &Rules,
) -> Opened {
    let mut opened = Opened::default();
    let by_path = language::of(&found.path, b"");
    if !found.by_name && by_path.is_none() {
        return opened;
    }
    let (mut file, length) = match start(found, buffer) {
        Ok(started) => started,
        Err(error) => {
            let says = error.to_string();
            opened.notes.push(Note::of(NoteKind::Unreadable, found.shown.clone(), says));
            return opened;
        }
    };
    opened.bytes = Some(length);
    let head = buffer.get(..buffer.len().min(LOOK_BYTES)).unwrap_or_default();
    if !is_text(head) {
        if found.by_name {
            let says = "it is no text";
            opened.notes.push(Note::of(NoteKind::LeftOut, found.shown.clone(), says));
        }
        return opened;
    }
    if buffer.len() > MAX_PARSED_BYTES {
        in_pieces(found, &mut file, buffer, (gate, readers, rules), &mut opened);
        return opened;
    }
    if by_path == Some(Language::Python) {
        opened = python(found, buffer, gate, readers, rules);
    } else {
        if gate.lets(buffer) {
            // What a program says changes nothing about its language.
            let of_program = by_path.filter(|one| one.of_rules().is_some());
            let language = of_program.or_else(|| language::of(&found.path, buffer));
            opened = read_as(language, found, buffer, readers, rules);
            opened.known = opened.read.sites.calls.take().map(Known::Calls);
        }
        if includes::may_be_in(&found.path, buffer)
            && language::of(&found.path, buffer) == Some(Language::Nginx)
        {
            opened.includes = read_included(found, buffer, &[Around::default()]).includes;
        }
    }
    opened.bytes = Some(length);
    opened
}

/// Reads a file of Python that is in the buffer, with what tells whether it has to be read again.
fn python(found: &Found, buffer: &[u8], gate: &Gate, readers: &Readers, rules: &Rules) -> Opened {
    if !gate.lets_python(buffer) {
        let known = Some(Known::of_quiet(buffer, Speaks::Not));
        return Opened { known, ..Opened::default() };
    }
    let mut opened = read_as(Some(Language::Python), found, buffer, readers, rules);
    let sites = &mut opened.read.sites;
    opened.was_read &= sites.speaks != Speaks::Not;
    opened.known = match (sites.speaks, sites.calls.take()) {
        (_, Some(calls)) => Some(Known::Calls(calls)),
        (Speaks::OfKeys, None) => None,
        (speaks, None) => Some(Known::of_quiet(buffer, speaks)),
    };
    opened
}

/// Reads a file of nginx that is in the buffer as within each of some places.
pub(crate) fn read_included(found: &Found, buffer: &[u8], places: &[Around]) -> Opened {
    let mut opened = Opened { was_read: true, ..Opened::default() };
    let text = decoded(buffer);
    let file = SourceFile::new(found.shown.as_ref(), &text);
    let mut sites = Sites::default();
    for place in places {
        let mut here = Sites::default();
        let done = guarded(|| {
            opened.includes = consumers::read_within(&file, place, &mut here);
            Ok(())
        });
        if let Err(why) = done {
            opened.notes.push(Note::of(NoteKind::Unreadable, found.shown.clone(), why));
        }
        let known = |site: &Site| {
            let is_same = |one: &Site| (one.at, &one.rule) == (site.at, &site.rule);
            sites.found.iter().any(is_same)
        };
        here.found.retain(|site| !known(site));
        sites.found.append(&mut here.found);
    }
    opened.read = Read { sites, inline: ignores::inline(&text), ..Read::default() };
    opened
}

/// Fills the buffer with a file that was read before; a long one gives nothing.
pub(crate) fn fill(found: &Found, buffer: &mut Vec<u8>) -> io::Result<()> {
    start(found, buffer)?;
    let is_text = is_text(buffer.get(..buffer.len().min(LOOK_BYTES)).unwrap_or_default());
    if buffer.len() > MAX_PARSED_BYTES || !is_text {
        buffer.clear();
    }
    Ok(())
}

/// Reads a file that is in the buffer.
pub(crate) fn read_whole(found: &Found, buffer: &[u8], readers: &Readers, rules: &Rules) -> Opened {
    read_as(language::of(&found.path, buffer), found, buffer, readers, rules)
}

fn read_as(
    language: Option<Language>,
    found: &Found,
    buffer: &[u8],
    readers: &Readers,
    rules: &Rules,
) -> Opened {
    let mut opened = Opened::default();
    let language = match language {
        Some(language) => language,
        None if found.by_name => Language::Other,
        None => return opened,
    };
    if !found.by_name && is_bundle(language, buffer) {
        let says = "its lines are those of a bundle";
        opened.notes.push(Note::of(NoteKind::LeftOut, found.shown.clone(), says));
        return opened;
    }
    opened.was_read = true;
    let text = decoded(buffer);
    let file = SourceFile::new(found.shown.as_ref(), &text);
    let mut sites = Sites::default();
    let done = guarded(|| (readers.of)(language)(&file, rules, &mut sites));
    if let Err(why) = done {
        let says = format!("read by lines: {why}");
        opened.notes.push(Note::of(NoteKind::ReadByLines, found.shown.clone(), says));
        sites = Sites::default();
        if let Err(why) = guarded(|| (readers.lines)(&file, rules, &mut sites)) {
            opened.notes.push(Note::of(NoteKind::Unreadable, found.shown.clone(), why));
        }
    }
    opened.read = Read { sites, inline: ignores::inline(&text), ..Read::default() };
    opened
}

/// Runs a reader. A defect of one, or of a parser of others, costs one file and not the scan.
fn guarded(read: impl FnOnce() -> Result<(), crate::site::Unreadable>) -> Result<(), String> {
    match std::panic::catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(unreadable)) => Err(match unreadable.at {
            Some(at) => format!("{unreadable} (line {})", at.line),
            None => unreadable.to_string(),
        }),
        Err(_) => Err("its reader has a defect; please report it with the file".to_owned()),
    }
}

/// Opens a file and reads its beginning: all of it, if it is not too long.
fn start(found: &Found, buffer: &mut Vec<u8>) -> io::Result<(io::Take<File>, u64)> {
    buffer.clear();
    let file = File::open(&found.path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is no file any more"));
    }
    // A file that grows while it is read has an end here nevertheless.
    let mut file = file.take(about.len());
    let whole = usize::try_from(about.len()).unwrap_or(usize::MAX);
    buffer.reserve(whole.min(MAX_PARSED_BYTES).saturating_add(1));
    if whole > MAX_PARSED_BYTES {
        let mut head = vec![0; LOOK_BYTES];
        file.read_exact(&mut head)?;
        buffer.extend_from_slice(&head);
        if !is_text(&head) {
            return Ok((file, about.len()));
        }
    }
    let limit = u64::try_from(MAX_PARSED_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    (&mut file).take(limit).read_to_end(buffer)?;
    Ok((file, about.len()))
}

/// Text in UTF-16 has zero bytes too, and a mark in front.
fn is_text(head: &[u8]) -> bool {
    is_utf16(head) || memchr::memchr(0, head).is_none()
}

fn is_utf16(head: &[u8]) -> bool {
    head.starts_with(&[0xFF, 0xFE]) || head.starts_with(&[0xFE, 0xFF])
}

/// The text, without a mark in front, and with what is no text replaced.
fn decoded(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    let units = |of: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2).skip(1);
        let units = pairs.map(move |pair| {
            of([
                pair.first().copied().unwrap_or_default(),
                pair.last().copied().unwrap_or_default(),
            ])
        });
        let text = char::decode_utf16(units).map(|one| one.unwrap_or(char::REPLACEMENT_CHARACTER));
        std::borrow::Cow::Owned(text.collect::<String>())
    };
    if bytes.starts_with(&[0xFF, 0xFE]) {
        return units(u16::from_le_bytes);
    }
    if bytes.starts_with(&[0xFE, 0xFF]) {
        return units(u16::from_be_bytes);
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    // Nearly every file is right, and is seen to be so faster than it is mended.
    match std::str::from_utf8(bytes) {
        Ok(text) => std::borrow::Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

fn is_bundle(language: Language, bytes: &[u8]) -> bool {
    if language != Language::JavaScript || bytes.len() < 32 << 10 {
        return false;
    }
    let lines = memchr::memchr_iter(b'\n', bytes).count().saturating_add(1);
    bytes.len() / lines > BUNDLE_LINE_BYTES
}

/// Reads a long file piece by piece, by lines. The buffer holds its beginning.
fn in_pieces(
    found: &Found,
    rest: &mut impl io::Read,
    buffer: &mut Vec<u8>,
    (gate, readers, rules): (&Gate, &Readers, &Rules),
    opened: &mut Opened,
) {
    let head = buffer.get(..LOOK_BYTES).unwrap_or_default();
    let language = match language::of(&found.path, head) {
        Some(language) => language,
        None if found.by_name => Language::Other,
        None => return,
    };
    let says =
        format!("it has {} bytes and is read in pieces, by lines", opened.bytes.unwrap_or(0));
    opened.notes.push(Note::of(NoteKind::Limit, found.shown.clone(), says));
    opened.was_read = true;
    let read = (readers.of_pieces)(language);
    let mut at = Place { line: 0, column: 0 };
    loop {
        let end = cut(buffer);
        let (piece, _) = buffer.split_at_checked(end).unwrap_or((buffer.as_slice(), &[]));
        if gate.lets(piece) {
            let text = String::from_utf8_lossy(piece);
            let file = SourceFile::new(found.shown.as_ref(), &text);
            let mut sites = Sites::default();
            if let Err(why) = guarded(|| read(&file, rules, &mut sites)) {
                opened.notes.push(Note::of(NoteKind::Unreadable, found.shown.clone(), why));
            }
            at.moved(&mut sites);
            opened.read.sites.found.append(&mut sites.found);
            opened.read.sites.same.append(&mut sites.same);
        }
        let is_full = opened.read.sites.found.len() > crate::scan::MAX_SITES_PER_FILE;
        at.pass(piece);
        let taken = piece.len();
        buffer.drain(..taken);
        let more = u64::try_from(PIECE_BYTES.saturating_sub(buffer.len())).unwrap_or_default();
        let got = rest.take(more).read_to_end(buffer);
        if let Err(error) = got {
            let says = error.to_string();
            opened.notes.push(Note::of(NoteKind::Unreadable, found.shown.clone(), says));
            return;
        }
        if buffer.is_empty() || is_full {
            return;
        }
    }
}

/// Where the first piece of a buffer ends: after the last line in it, or after the last byte that
/// stands in no word, or where it has to.
fn cut(buffer: &[u8]) -> usize {
    let whole = buffer.len().min(PIECE_BYTES);
    if whole == buffer.len() && whole < PIECE_BYTES {
        return whole;
    }
    let (piece, _) = buffer.split_at_checked(whole).unwrap_or((buffer, &[]));
    if let Some(line) = memchr::memrchr(b'\n', piece) {
        return line.saturating_add(1);
    }
    let from = whole.saturating_sub(CUT_WITHIN_BYTES);
    let tail = piece.get(from..).unwrap_or_default();
    let breaks = |byte: &u8| matches!(byte, b' ' | b';' | b',' | b'}' | b')');
    tail.iter().rposition(breaks).map_or(whole, |at| from.saturating_add(at).saturating_add(1))
}

/// Where a piece begins: lines and characters before it.
struct Place {
    line: u32,
    column: u32,
}

impl Place {
    fn moved(&self, sites: &mut Sites) {
        for site in &mut sites.found {
            if site.at.line == 1 {
                site.at.column = site.at.column.saturating_add(self.column);
            }
            site.at.line = site.at.line.saturating_add(self.line);
        }
    }

    fn pass(&mut self, piece: &[u8]) {
        let lines = memchr::memchr_iter(b'\n', piece).count();
        let last = memchr::memrchr(b'\n', piece);
        let tail = last.and_then(|at| piece.get(at.saturating_add(1)..)).unwrap_or(piece);
        // Bytes that begin a character.
        let characters = tail.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        self.line = self.line.saturating_add(number(lines));
        let before = if last.is_some() { 0 } else { self.column };
        self.column = before.saturating_add(number(characters));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_after_a_line_or_a_word() {
        assert_eq!(cut(b"abc"), 3);
        let mut long = vec![b'a'; PIECE_BYTES + 10];
        assert_eq!(cut(&long), PIECE_BYTES);
        long[PIECE_BYTES - 5] = b';';
        assert_eq!(cut(&long), PIECE_BYTES - 4);
        long[7] = b'\n';
        assert_eq!(cut(&long), 8);
    }

    #[test]
    fn a_place_counts_lines_and_characters() {
        let mut at = Place { line: 0, column: 0 };
        at.pass(b"ab");
        at.pass("cé".as_bytes());
        assert_eq!((at.line, at.column), (0, 4));
        at.pass(b"x\ny");
        assert_eq!((at.line, at.column), (1, 1));
    }

    #[test]
    fn text_of_other_encodings_is_text() {
        assert_eq!(decoded(b"\xFF\xFEa\x00b\x00"), "ab");
        assert_eq!(decoded(b"\xFE\xFF\x00a\x00b"), "ab");
        assert_eq!(decoded(b"\xEF\xBB\xBFab"), "ab");
        assert_eq!(decoded(b"a\xFFb"), "a\u{FFFD}b");
        assert!(is_text(b"\xFF\xFEa\x00") && !is_text(b"a\x00"));
    }
}
