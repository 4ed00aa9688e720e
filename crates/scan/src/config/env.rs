//! `.env` files of all dialects: `export`, quotes over several lines, spaces around `=`, comments
//! after values.

use super::flow::quoted_end;
use super::out::{Entry, Out};
use super::value::Value;

/// How far a quoted value may reach.
const REACH: usize = 64 * 1024;

pub(super) fn read(text: &str, out: &mut Out<'_, '_>) {
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let length = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        let line = rest.get(..length).unwrap_or_default();
        let next = entry(text, at, line, out).unwrap_or(at + length);
        at = next.max(at + length) + 1;
    }
}

/// Reads a line; says where its value ends when that is on a later one.
fn entry(text: &str, at: usize, line: &str, out: &mut Out<'_, '_>) -> Option<usize> {
    let content = line.trim_start();
    if content.starts_with('#') {
        return None;
    }
    let content = ["export ", "set ", "setx ", "declare -x "]
        .iter()
        .find_map(|word| content.strip_prefix(word))
        .unwrap_or(content)
        .trim_start();
    let start = at + (line.len() - content.len());
    let (name, given) = content.split_once('=').or_else(|| content.split_once(": "))?;
    let name = name.trim();
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if !is_name {
        return None;
    }
    let given_at = at + line.len() - given.len();
    let trimmed = given.trim_start_matches([' ', '\t']);
    let value_at = given_at + given.len() - trimmed.len();
    let (value, end) = value_of(text, value_at, trimmed);
    out.entry(&Entry { at: start, name, above: "", value: Value::of(value) });
    end
}

/// The value that begins there, without quotes and comment, and its end if that is on a later line.
fn value_of<'a>(text: &'a str, at: usize, line: &'a str) -> (&'a str, Option<usize>) {
    let quote = line.bytes().next().filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    if let Some(quote) = quote {
        let mut limit = at.saturating_add(REACH).min(text.len());
        while !text.is_char_boundary(limit) {
            limit -= 1;
        }
        let bounded = text.get(..limit).unwrap_or_default();
        let end = quoted_end(bounded, at + 1, quote, quote == b'"');
        if end < limit {
            return (text.get(at + 1..end).unwrap_or_default(), Some(end));
        }
    }
    let end = line.find(" #").or_else(|| line.starts_with('#').then_some(0));
    (
        line.get(..end.unwrap_or(line.len()))
            .unwrap_or_default()
            .trim_matches(['"', '\'', ' ', '\r']),
        None,
    )
}
