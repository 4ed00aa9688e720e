//! Looks for known secrets in anything: as they are, in hexadecimal, and in base64 wherever it may
//! begin. What is searched is the test's business.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A part of a secret counts as a leak when it is as long as this.
const PART_BYTES: usize = 16;

/// Known secrets, and everything that they may look like.
#[derive(Default)]
pub(crate) struct Search {
    /// What to look for, and which secret it gives away; by the first two bytes.
    patterns: Vec<Vec<(Vec<u8>, String)>>,
}

impl Search {
    /// Adds a secret. Its first and last bytes are looked for by themselves, so that a line break
    /// in its middle hides nothing.
    pub(crate) fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= PART_BYTES, "{name} is too short to be told from noise");
        let first = &secret[..PART_BYTES];
        let last = &secret[secret.len() - PART_BYTES..];
        for part in [first, last] {
            let hex = hex(part);
            self.pattern(name, "raw", part.to_vec());
            self.pattern(name, "hex", hex.to_ascii_uppercase().into_bytes());
            self.pattern(name, "hex", hex.into_bytes());
            for shift in 0..3 {
                // Only the characters that no neighbouring byte has a part in.
                let shifted = [&[0; 2][..shift], part].concat();
                let whole = (8 * shift).div_ceil(6)..8 * shifted.len() / 6;
                for text in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
                    self.pattern(name, "base64", text.as_bytes()[whole.clone()].to_vec());
                }
            }
        }
    }

    fn pattern(&mut self, name: &str, form: &str, pattern: Vec<u8>) {
        self.patterns.resize_with(1 << 16, Vec::new);
        let place = place(&pattern).unwrap();
        let entry = (pattern, format!("{name} in {form}"));
        if !self.patterns[place].contains(&entry) {
            self.patterns[place].push(entry);
        }
    }

    /// Which secrets are in these bytes, and in which form.
    pub(crate) fn find(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (index, pair) in bytes.windows(2).enumerate() {
            let Some(candidates) = place(pair).and_then(|place| self.patterns.get(place)) else {
                continue;
            };
            for (pattern, what) in candidates {
                if bytes[index..].starts_with(pattern) {
                    found.insert(what.as_str());
                }
            }
        }
        found
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn place(bytes: &[u8]) -> Option<usize> {
    Some(usize::from(*bytes.first()?) << 8 | usize::from(*bytes.get(1)?))
}
