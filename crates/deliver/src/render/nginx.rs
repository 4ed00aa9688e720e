//! Directives for nginx: `set` for a single value, `map` for a list of accepted ones.
//!
//! nginx offers no way to write a `$` into the value of `set`, and compares the plain strings of a
//! `map` without regard to case; so the first is refused, and the second is written as a regular
//! expression that matches the whole value and nothing else.

use zeroize::Zeroizing;

use super::{RenderError, of};
use crate::secret::SecretBuffer;
use crate::settings::{Accept, NginxInclude, Which};
use crate::values::{AllValues, CONTENT_BYTES_MAX};

/// nginx reads its configuration in pieces of 4,096 bytes, and a parameter must fit into one.
const PARAMETER_BYTES_MAX: usize = 4000;

const HEAD: &str = "# Written by keywheel; what is changed here is lost at the next delivery.\n";

pub(super) fn render(
    include: &NginxInclude,
    values: &AllValues,
) -> Result<Zeroizing<Vec<u8>>, RenderError> {
    let mut out = Writer(SecretBuffer::new(CONTENT_BYTES_MAX));
    out.push(HEAD)?;
    for (name, take) in &include.set {
        check_variable(name)?;
        if take.which != Which::Primary {
            return Err(RenderError::OneSlot { name: name.clone() });
        }
        let value = of(values, &take.ring)?.text(take)?;
        if value.expose().contains('$') {
            return Err(RenderError::NginxDollar { name: name.clone() });
        }
        out.push("set $")?;
        out.push(name)?;
        out.push(" ")?;
        out.quoted(name, value.expose())?;
        out.push(";\n")?;
    }
    for (name, accept) in &include.accept {
        map(&mut out, name, accept, values)?;
    }
    Ok(out.0.into_bytes())
}

fn map(
    out: &mut Writer,
    name: &str,
    accept: &Accept,
    values: &AllValues,
) -> Result<(), RenderError> {
    check_variable(name)?;
    let from = accept.from.strip_prefix('$');
    let from = from.ok_or_else(|| RenderError::NginxVariable { name: accept.from.clone() })?;
    check_variable(from)?;
    let taken = of(values, &accept.take.ring)?.take(&accept.take)?;
    for part in ["map $", from, " $", name, " {\n    default 0;\n"] {
        out.push(part)?;
    }
    for value in &taken {
        out.push("    ")?;
        out.quoted(name, &whole_match(value.expose()))?;
        out.push(" 1;\n")?;
    }
    out.push("}\n")
}

/// A case-sensitive regular expression for exactly this text.
fn whole_match(value: &str) -> Zeroizing<String> {
    let room = value.len().saturating_mul(2).saturating_add(4);
    let mut pattern = Zeroizing::new(String::with_capacity(room));
    pattern.push_str("~^");
    for c in value.chars() {
        // PCRE takes a backslash before any ASCII character that is no letter or digit as "this
        // character itself".
        if c.is_ascii_punctuation() || c == ' ' {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push_str("\\z");
    pattern
}

fn check_variable(name: &str) -> Result<(), RenderError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !name.is_empty() && name.len() <= 100 && name.chars().all(plain) {
        Ok(())
    } else {
        Err(RenderError::NginxVariable { name: name.to_owned() })
    }
}

struct Writer(SecretBuffer);

impl Writer {
    fn push(&mut self, text: &str) -> Result<(), RenderError> {
        let too_large = || RenderError::TooLarge { what: "the nginx include".to_owned() };
        self.0.push(text.as_bytes()).then_some(()).ok_or_else(too_large)
    }

    /// Writes a parameter in double quotes, in which nginx takes a backslash away from `"` and `\`.
    fn quoted(&mut self, name: &str, value: &str) -> Result<(), RenderError> {
        if value.chars().any(char::is_control) {
            let (name, target) = (name.to_owned(), "nginx");
            return Err(RenderError::ControlCharacter { name, target });
        }
        let escaped = value.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        if value.len().saturating_add(escaped) > PARAMETER_BYTES_MAX {
            return Err(RenderError::NginxTooLong { name: name.to_owned() });
        }
        self.push("\"")?;
        for piece in value.split_inclusive(['"', '\\']) {
            let (plain, last) = match piece.strip_suffix(['"', '\\']) {
                Some(plain) => (plain, piece.get(plain.len()..)),
                None => (piece, None),
            };
            self.push(plain)?;
            if let Some(last) = last {
                self.push("\\")?;
                self.push(last)?;
            }
        }
        self.push("\"")
    }
}
