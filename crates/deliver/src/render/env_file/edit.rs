//! Puts variables into an environment file. Lines that need not change stay as they are.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::EnvFileError;
use crate::render::{RenderError, of};
use crate::secret::{SecretBuffer, SecretText};
use crate::settings::{EnvFile, EnvReaders};
use crate::values::{AllValues, CONTENT_BYTES_MAX};

/// docker reads lines of at most 64 KiB.
const VALUE_BYTES_MAX: usize = 60_000;

pub(in crate::render) fn render(
    file: &EnvFile,
    values: &AllValues,
    present: &[u8],
) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    let mut texts = BTreeMap::new();
    for (name, take) in &file.set {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.starts_with(|c: char| plain(c) && !c.is_ascii_digit()) || !name.chars().all(plain)
        {
            let name = name.clone();
            return Err(RenderError::Name { name, what: "an environment variable" });
        }
        let text = of(values, &take.ring)?.text(take)?;
        check(name, text.expose())?;
        texts.insert(name.as_str(), text);
    }
    edit(present, &texts, file.readers)
}

fn check(name: &str, value: &str) -> Result<(), RenderError> {
    if value.chars().any(char::is_control) {
        let (name, target) = (name.to_owned(), "an environment file");
        return Err(RenderError::ControlCharacter { name, target });
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(RenderError::TooLarge { what: format!("the value for `{name}`") });
    }
    Ok(())
}

fn edit(
    present: &[u8],
    texts: &BTreeMap<&str, SecretText>,
    readers: EnvReaders,
) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    if present.starts_with(b"\xef\xbb\xbf") {
        return Err(EnvFileError::ByteOrderMark.into());
    }
    let scanned = Scan::of(present, texts, readers)?;
    let mut out = SecretBuffer::new(CONTENT_BYTES_MAX);
    let mut push = |bytes: &[u8]| {
        let too_large = || RenderError::TooLarge { what: "the environment file".to_owned() };
        out.push(bytes).then_some(()).ok_or_else(too_large)
    };
    for (index, line) in present.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let defined = scanned.found.iter().find(|(_, defined)| defined.index == index);
        let Some((name, defined)) = defined else {
            push(line)?;
            continue;
        };
        let Some(text) = texts.get(name.as_str()) else { continue };
        let written = written(name, text.expose(), readers, defined.value)?;
        if defined.compact && written.as_bytes() == defined.value {
            push(line)?;
            continue;
        }
        push(defined.before)?;
        for part in [name.as_bytes(), b"=", written.as_bytes(), ending(line)] {
            push(part)?;
        }
    }
    let mut missing =
        texts.iter().filter(|(name, _)| !scanned.found.contains_key(**name)).peekable();
    if missing.peek().is_some() {
        scanned.check_end()?;
        if !present.is_empty() && !present.ends_with(b"\n") {
            push(scanned.ending)?;
        }
    }
    for (name, text) in missing {
        let written = written(name, text.expose(), readers, b"")?;
        for part in [name.as_bytes(), b"=", written.as_bytes(), scanned.ending] {
            push(part)?;
        }
    }
    Ok(out.into_bytes())
}

/// Where one of the variables is defined.
struct Defined<'a> {
    /// The line, from 0.
    index: usize,
    /// What stands before the name: blanks, `export`.
    before: &'a [u8],
    /// What stands behind the `=`.
    value: &'a [u8],
    /// Whether no blanks stand around the `=`.
    compact: bool,
}

/// What an editor must know of a file.
struct Scan<'a> {
    found: BTreeMap<String, Defined<'a>>,
    /// The line end that new lines get.
    ending: &'static [u8],
    /// The line, from 1, of a quote that is open at the end.
    open: Option<usize>,
    /// The last line, from 1, when it ends with a backslash.
    continued: Option<usize>,
}

impl<'a> Scan<'a> {
    fn of(
        present: &'a [u8],
        texts: &BTreeMap<&str, SecretText>,
        readers: EnvReaders,
    ) -> Result<Self, EnvFileError> {
        let (mut found, mut open, mut continued) = (BTreeMap::new(), None, None);
        let (mut lines, mut windows) = (0_usize, 0_usize);
        for (index, line) in present.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let number = index.saturating_add(1);
            let body = line.strip_suffix(ending(line)).unwrap_or(line);
            if body.contains(&0) {
                return Err(EnvFileError::Nul(number));
            }
            lines = lines.saturating_add(usize::from(line.ends_with(b"\n")));
            windows = windows.saturating_add(usize::from(line.ends_with(b"\r\n")));
            let definition = definition(body);
            let ours = definition.as_ref().filter(|(name, _)| texts.contains_key(name));
            if let Some((opened, quote)) = open {
                if let Some((name, _)) = ours {
                    let (name, line) = ((*name).to_owned(), number);
                    return Err(EnvFileError::Quoted { name, line, opened });
                }
                open = closing(body, quote).is_none().then_some((opened, quote));
                continued = None;
                continue;
            }
            let unquoting = readers != EnvReaders::Literal;
            let opens = definition.as_ref().and_then(|(_, defined)| unclosed(defined.value));
            if let Some((name, defined)) = ours {
                if unquoting {
                    continued.map_or(Ok(()), |line| Err(EnvFileError::Continued(line)))?;
                    check_value(defined.value, number)?;
                }
                let defined = Defined { index, ..*defined };
                if let Some(first) = found.insert((*name).to_owned(), defined) {
                    let (name, first) = ((*name).to_owned(), first.index.saturating_add(1));
                    return Err(EnvFileError::Twice { name, first, second: number });
                }
            }
            open = opens.filter(|_| unquoting).map(|quote| (number, quote));
            continued = (unquoting && body.ends_with(b"\\")).then_some(number);
        }
        let ending: &[u8] = if lines > 0 && lines == windows { b"\r\n" } else { b"\n" };
        Ok(Self { found, ending, open: open.map(|(line, _)| line), continued })
    }

    /// Whether something can be appended.
    fn check_end(&self) -> Result<(), EnvFileError> {
        if let Some(line) = self.open {
            return Err(EnvFileError::OpenQuote(line));
        }
        self.continued.map_or(Ok(()), |line| Err(EnvFileError::Continued(line)))
    }
}

/// The line end of a line.
fn ending(line: &[u8]) -> &'static [u8] {
    if line.ends_with(b"\r\n") {
        b"\r\n"
    } else if line.ends_with(b"\n") {
        b"\n"
    } else {
        b""
    }
}

/// Reads a line as a definition of any variable.
fn definition(body: &[u8]) -> Option<(&str, Defined<'_>)> {
    let text = body.trim_ascii_start();
    let exported = text.strip_prefix(b"export").filter(|rest| rest.trim_ascii_start() != *rest);
    let text = exported.map_or(text, <[u8]>::trim_ascii_start);
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let (padded, value) = (text.get(..equals)?, text.get(equals.saturating_add(1)..)?);
    let name = str::from_utf8(padded.trim_ascii_end()).ok()?;
    let before = body.get(..body.len().checked_sub(text.len())?)?;
    let compact = padded.len() == name.len();
    Some((name, Defined { index: 0, before, value, compact }))
}

/// The quote that a value opens and does not close on its line.
fn unclosed(value: &[u8]) -> Option<u8> {
    let (quote, rest) = value.trim_ascii_start().split_first()?;
    let is_quote = matches!(quote, b'"' | b'\'');
    (is_quote && closing(rest, *quote).is_none()).then_some(*quote)
}

/// What stands behind the closing quote.
fn closing(text: &[u8], quote: u8) -> Option<&[u8]> {
    let mut escaped = false;
    for (index, byte) in text.iter().enumerate() {
        if !escaped && *byte == quote {
            return text.get(index.saturating_add(1)..);
        }
        escaped = !escaped && *byte == b'\\' && quote == b'"';
    }
    None
}

/// Refuses a present value whose end readers would not find in the same place.
fn check_value(value: &[u8], line: usize) -> Result<(), EnvFileError> {
    if unclosed(value).is_some() {
        return Err(EnvFileError::OpenQuote(line));
    }
    if value.ends_with(b"\\") {
        return Err(EnvFileError::Continued(line));
    }
    let text = value.trim_ascii_start();
    let behind = match text.split_first() {
        Some((quote @ (b'"' | b'\''), rest)) => closing(rest, *quote).unwrap_or_default(),
        _ => text
            .windows(2)
            .position(|pair| matches!(pair, [b' ' | b'\t', b'#']))
            .and_then(|at| text.get(at..))
            .unwrap_or_default(),
    };
    if behind.trim_ascii().is_empty() { Ok(()) } else { Err(EnvFileError::Trailing(line)) }
}

/// How a value is written: as it is quoted at present, where that serves, or as plainly as its
/// readers allow.
fn written(
    name: &str,
    value: &str,
    readers: EnvReaders,
    present: &[u8],
) -> Result<Zeroizing<String>, RenderError> {
    let bare = value.bytes().all(is_plain);
    let double = !value.contains(['"', '\\', '$', '`', '!']);
    // python-dotenv expands `${…}` even within single quotes, and old systemds take a backslash
    // there for an escape.
    let single = !value.contains(['\'', '\\']) && !value.contains("${");
    match readers {
        EnvReaders::Any if bare => Ok(quoted(value, "")),
        EnvReaders::Any => Err(RenderError::ReadersDiffer { name: name.to_owned() }),
        EnvReaders::Literal => Ok(quoted(value, "")),
        EnvReaders::Unquoting => match present.first() {
            Some(b'"') if double => Ok(quoted(value, "\"")),
            Some(b'\'') if single => Ok(quoted(value, "'")),
            _ if bare => Ok(quoted(value, "")),
            _ if single => Ok(quoted(value, "'")),
            _ if double => Ok(quoted(value, "\"")),
            _ => Err(RenderError::Unquotable { name: name.to_owned() }),
        },
    }
}

/// The characters that no reader gives a meaning, wherever in a value they stand.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'_' | b'.' | b',' | b':' | b'/' | b'+' | b'@' | b'%' | b'=')
}

fn quoted(value: &str, quote: &str) -> Zeroizing<String> {
    let room = value.len().saturating_add(quote.len().saturating_mul(2));
    let mut text = Zeroizing::new(String::with_capacity(room));
    for part in [quote, value, quote] {
        text.push_str(part);
    }
    text
}
