//! Claims as header values. A claim is text of whoever made the token: it must not end a line, and
//! two different claims must not become one value.

use std::borrow::Cow;

/// The longest value, in bytes after encoding.
const VALUE_BYTES_MAX: usize = 2 * 1024;

/// Text as a header value: visible ASCII stands as it is, every other byte, and `%`, as `%XX`. So
/// equal values come from equal text, and no text can end the line. Nothing when it is too long.
pub(super) fn value(text: &str) -> Option<Cow<'_, str>> {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'%');
    if plain && text.len() <= VALUE_BYTES_MAX {
        return Some(Cow::Borrowed(text));
    }
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 15].map(digit));
        }
        if encoded.len() > VALUE_BYTES_MAX {
            return None;
        }
    }
    Some(Cow::Owned(encoded))
}

fn digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase()
}

/// A claim as JSON has it: text without its quotes, everything else as it stands there.
pub(super) fn claim(json: &str) -> Option<Cow<'_, str>> {
    if json.starts_with('"') {
        let text: String = serde_json::from_str(json).ok()?;
        return value(&text).map(|value| Cow::Owned(value.into_owned()));
    }
    value(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_claim_ends_a_line_or_passes_for_another() {
        for (json, header) in [
            (r#""alice@example.com""#, "alice@example.com"),
            (r#""a b""#, "a%20b"),
            (r#""a%20b""#, "a%2520b"),
            (r#""a\r\nX-Auth-Subject: root""#, "a%0D%0AX-Auth-Subject:%20root"),
            (r#""caf\u00e9""#, "caf%C3%A9"),
            (r#""\u0000""#, "%00"),
            (r#""""#, ""),
            ("17", "17"),
            ("true", "true"),
            (r#"["a","b"]"#, r#"["a","b"]"#),
        ] {
            assert_eq!(claim(json).unwrap(), header, "{json}");
        }
    }

    #[test]
    fn what_is_too_long_is_no_value() {
        assert!(value(&"a".repeat(VALUE_BYTES_MAX)).is_some());
        assert!(value(&"a".repeat(VALUE_BYTES_MAX + 1)).is_none());
        assert!(value(&"é".repeat(VALUE_BYTES_MAX / 4)).is_none());
    }
}
