//! A literal that may be a key. Its value stays in here: what leaves is whether two are the same.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::names;

/// A value as it stands in a file. There is no way to print it.
#[derive(Clone)]
pub struct Literal {
    value: Zeroizing<String>,
    /// Whether it only stands for a value (`changeme`).
    pub is_placeholder: bool,
}

/// With what the values of one scan are compared: equal marks mean equal values, and nobody
/// without the key of the marks can find the value of one by trying.
pub struct Marker {
    key: hmac::Key,
}

impl Marker {
    /// Compares values under this key.
    pub fn new(key: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }
}

impl Literal {
    /// This value.
    pub fn new(value: &str) -> Self {
        let is_placeholder = names::is_placeholder(value);
        Self { value: Zeroizing::new(value.to_owned()), is_placeholder }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.value.is_empty()
    }

    /// The HMAC-SHA256 of the value, in hexadecimal digits.
    pub fn mark(&self, marker: &Marker) -> String {
        let tag = hmac::sign(&marker.key, self.value.as_bytes());
        tag.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
            text
        })
    }
}
