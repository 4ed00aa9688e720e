//! Takes secrets out of what other programs say, before any of it is kept for a message.
//!
//! It knows values, not patterns: whatever this agent holds is hidden in each form in which it
//! delivers it. A program that transforms a secret in a way of its own is not understood here, so
//! what is kept is short as well.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use keywheel_jose::Use;
use zeroize::Zeroizing;

use crate::values::{AllValues, Value, Values};

/// What stands in the place of a secret.
const HIDDEN: &str = "[hidden]";
/// A line of a longer secret that is shorter than this says too little to be hidden by itself.
const LEAST_LINE_BYTES: usize = 8;
/// No secret that keywheel carries is longer in any of its forms.
const LONGEST_BYTES: usize = 64 * 1024;

/// Knows what must not be shown. It shows itself to nobody either:
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_deliver::redact::Redactor>();
/// ```
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Vec<Arc<Zeroizing<Vec<u8>>>>,
}

impl Redactor {
    /// Knows nothing yet.
    pub const fn none() -> Self {
        Self { needles: Vec::new() }
    }

    /// Knows every secret of these rings in each form in which it can be delivered.
    pub fn of(values: &AllValues) -> Self {
        Self::none().and(values)
    }

    /// Knows the secrets of these rings as well.
    #[must_use]
    pub fn and(&self, values: &AllValues) -> Self {
        let mut redactor = self.clone();
        let versions = values.values().flat_map(Values::versions);
        for material in versions.filter_map(Value::material) {
            let bytes = material.expose();
            redactor.hide(bytes);
            redactor.hide(material.delivery(Use::Protect).expose().as_bytes());
            for engine in [&BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE_NO_PAD] {
                redactor.add(Zeroizing::new(engine.encode(bytes).into_bytes()));
            }
            for hex in [lower_hex(bytes), upper_hex(bytes)] {
                redactor.add(hex);
            }
        }
        redactor
    }

    /// Hides one more secret, as it is and as a JSON string has it, and each of its lines.
    pub fn hide(&mut self, secret: &[u8]) {
        self.add(clean(secret));
        if let Some(json) = str::from_utf8(secret).ok().and_then(inside_json) {
            self.add(clean(&json));
        }
        let lines = secret.split(|byte| matches!(byte, b'\n' | b'\r'));
        for line in lines.filter(|line| line.len() < secret.len()) {
            if line.len() >= LEAST_LINE_BYTES && !line.starts_with(b"-----") {
                self.add(clean(line));
            }
        }
    }

    fn add(&mut self, needle: Zeroizing<Vec<u8>>) {
        let known = self.needles.iter().any(|known| known.as_slice() == needle.as_slice());
        if !needle.is_empty() && !known {
            self.needles.push(Arc::new(needle));
        }
    }

    /// How many bytes before the first shown one must be kept, so that a secret is recognised that
    /// begins before it.
    pub(crate) fn longest(&self) -> usize {
        let longest = self.needles.iter().map(|needle| needle.len()).max();
        longest.unwrap_or(0).min(LONGEST_BYTES)
    }

    /// The text of what [`clean`] left, from byte `from` on, without secrets and without control
    /// characters but line ends.
    pub(crate) fn text(&self, cleaned: &[u8], from: usize) -> String {
        let mut secret = vec![false; cleaned.len()];
        for needle in &self.needles {
            let length = needle.len();
            for (start, window) in cleaned.windows(length).enumerate() {
                if window == needle.as_slice() {
                    secret.iter_mut().skip(start).take(length).for_each(|mark| *mark = true);
                }
            }
        }
        let mut shown = Vec::new();
        let mut hiding = false;
        for (byte, secret) in cleaned.iter().zip(&secret).skip(from) {
            match (secret, hiding) {
                (false, _) => shown.push(*byte),
                (true, false) => shown.extend_from_slice(HIDDEN.as_bytes()),
                (true, true) => {}
            }
            hiding = *secret;
        }
        let text = String::from_utf8_lossy(&shown);
        text.chars().filter(|c| *c == '\n' || !c.is_control()).collect()
    }

    /// One line of what another program said, at most this many characters, without secrets.
    pub fn line(&self, said: &[u8], chars_max: usize) -> String {
        let text = self.text(&clean(said), 0);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        words.chars().take(chars_max).collect()
    }
}

/// Leaves out control characters. Tabs become blanks, line ends stay.
pub(crate) fn clean(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut cleaned = Zeroizing::new(Vec::with_capacity(bytes.len()));
    cleaned.extend(bytes.iter().filter_map(|byte| match byte {
        b'\n' => Some(b'\n'),
        b'\t' => Some(b' '),
        byte if byte.is_ascii_control() => None,
        byte => Some(*byte),
    }));
    cleaned
}

fn lower_hex(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut hex = Zeroizing::new(Vec::with_capacity(bytes.len().saturating_mul(2)));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            hex.extend(char::from_digit(u32::from(nibble), 16).map(|digit| digit as u8));
        }
    }
    hex
}

fn upper_hex(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut hex = lower_hex(bytes);
    hex.make_ascii_uppercase();
    hex
}

/// What stands between the quotes of a JSON string.
fn inside_json(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let quoted = Zeroizing::new(serde_json::to_vec(text).ok()?);
    let inside = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    Some(Zeroizing::new(inside.to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hiding(secrets: &[&str]) -> Redactor {
        let mut redactor = Redactor::none();
        for secret in secrets {
            redactor.hide(secret.as_bytes());
        }
        redactor
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let redactor = hiding(&["hunter2", "-----BEGIN X-----\nMIIEvQIBADAN\n-----END X-----\n"]);
        for (said, shown) in [
            ("key=hunter2;", "key=[hidden];"),
            ("hunter2hunter2", "[hidden]"),
            ("hun\u{7}ter\u{0}2", "[hidden]"),
            ("at MIIEvQIBADAN: bad", "at [hidden]: bad"),
            ("nothing\n  here", "nothing here"),
            ("\u{1b}[31mred\u{9b}", "[31mred"),
        ] {
            assert_eq!(redactor.line(said.as_bytes(), 200), shown);
        }
    }

    #[test]
    fn a_json_string_hides_its_secret_too() {
        let redactor = hiding(&["a\"b\\c\nd"]);
        assert_eq!(redactor.line(br#"{"k":"a\"b\\c\nd"}"#, 200), r#"{"k":"[hidden]"}"#);
    }

    proptest! {
        #[test]
        fn no_cut_shows_a_part_of_a_secret(
            before in "[a-z ]{0,20}", secret in "[A-Z0-9]{4,20}", after in "[a-z ]{0,20}",
            from in 0_usize..60,
        ) {
            let redactor = hiding(&[&secret]);
            let said = format!("{before}{secret}{after}");
            let text = redactor.text(said.as_bytes(), from.min(said.len()));
            prop_assert!(!text.chars().any(|c| c.is_ascii_uppercase() || c.is_ascii_digit()));
        }
    }
}
