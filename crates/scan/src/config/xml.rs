//! XML as configurations have it: elements that give a name its value by attributes, such as
//! `<env name="APP_SECRET" value="…"/>`, and elements whose own name is that of a key.

use super::judge::style_of;
use super::out::{Entry, Out};
use super::value::Value;

/// How long an element's tag may be.
const TAG_BYTES_MAX: usize = 4096;

/// How long the text of an element may be that is a key.
const TEXT_BYTES_MAX: usize = 8192;

/// Attributes that name what an element gives.
const NAMES: &[&str] = &["name", "key", "property", "id"];

/// Attributes that give it.
const VALUES: &[&str] = &["value", "defaultValue", "default"];

/// Elements whose `name` is that of something shown or built.
const OTHERS: &[&str] = &["string", "resource", "xs:element", "xsd:element", "input", "field"];

/// Reads a text.
pub(super) fn read(text: &str, out: &mut Out<'_, '_>) {
    let mut at = 0;
    while let Some(next) = memchr::memchr(b'<', text.as_bytes().get(at..).unwrap_or_default()) {
        let start = at + next;
        let rest = text.get(start..).unwrap_or_default();
        if rest.starts_with("<!--") {
            at = start + memchr::memmem::find(rest.as_bytes(), b"-->").unwrap_or(rest.len());
            continue;
        }
        let reach = rest.as_bytes().get(..rest.len().min(TAG_BYTES_MAX)).unwrap_or_default();
        let end = memchr::memchr(b'>', reach).unwrap_or(0);
        let tag = rest.get(1..end.max(1)).unwrap_or_default();
        element(start, tag, rest.get(end + 1..).unwrap_or_default(), out);
        at = start + end.max(1);
    }
}

/// What an element says: its tag, and the text behind it.
fn element(at: usize, tag: &str, after: &str, out: &mut Out<'_, '_>) {
    let end = tag.find(|letter: char| letter.is_whitespace() || letter == '/').unwrap_or(tag.len());
    let (element, attributes) = tag.split_at(end);
    if element.is_empty() || element.starts_with(['!', '?']) || OTHERS.contains(&element) {
        return;
    }
    if let Some(name) = NAMES.iter().find_map(|name| attribute(attributes, name)) {
        let inner = || Some(text_of(after)).filter(|text| !text.is_empty());
        let value = VALUES.iter().find_map(|name| attribute(attributes, name)).or_else(inner);
        if let Some(value) = value {
            say(at, name, value, out);
        }
        return;
    }
    let value = text_of(after);
    if attributes.trim().is_empty() && !value.is_empty() && !value.contains(' ') {
        say(at, element, value, out);
    }
}

/// The text up to the next tag.
fn text_of(after: &str) -> &str {
    let reach = after.as_bytes().get(..after.len().min(TEXT_BYTES_MAX)).unwrap_or_default();
    let end = memchr::memchr(b'<', reach).unwrap_or(0);
    after.get(..end).unwrap_or_default().trim()
}

/// The value of an attribute.
fn attribute<'t>(attributes: &'t str, name: &str) -> Option<&'t str> {
    let mut from = 0;
    while let Some(found) = attributes.get(from..)?.find(name) {
        let start = from + found;
        from = start + name.len();
        let is_whole = attributes.get(..start)?.ends_with(char::is_whitespace);
        let rest = attributes.get(from..)?.trim_start();
        let Some(rest) = rest.strip_prefix('=').filter(|_| is_whole) else { continue };
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|letter| matches!(letter, '"' | '\''))?;
        return rest.get(1..)?.split(quote).next();
    }
    None
}

fn say(at: usize, name: &str, value: &str, out: &mut Out<'_, '_>) {
    let (above, last) = name.rsplit_once(['.', ':']).unwrap_or(("", name));
    let style = style_of(last);
    let mut out = out.within(0, out.rule, style);
    out.depth = out.depth.saturating_sub(1);
    out.entry(&Entry { at, name: last, above, value: Value::of(value) });
}
