//! Text and buffers that hold secrets: they erase themselves, also what they leave behind when they
//! grow, and show themselves to nobody by accident.

use std::io;

use zeroize::Zeroizing;

/// A text that may be a secret. It can be neither printed nor compared:
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_deliver::SecretText>();
/// ```
/// ```compile_fail,E0277
/// fn needs<T: PartialEq>() {}
/// needs::<keywheel_deliver::SecretText>();
/// ```
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes a text.
    pub const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text, for the one who writes it to its destination.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What is being written, at most `limit_bytes` long.
pub(crate) struct SecretBuffer {
    bytes: Zeroizing<Vec<u8>>,
    limit_bytes: usize,
}

impl SecretBuffer {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(1024)), limit_bytes }
    }

    /// Appends; false, with nothing appended, when that would be too long.
    #[must_use]
    pub(crate) fn push(&mut self, more: &[u8]) -> bool {
        let needed = self.bytes.len().saturating_add(more.len());
        if needed > self.limit_bytes {
            return false;
        }
        if needed > self.bytes.capacity() {
            // A vector that grows by itself leaves its former content in freed memory.
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2)));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(more);
        true
    }

    pub(crate) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.bytes
    }
}

impl io::Write for SecretBuffer {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.push(more) { Ok(more.len()) } else { Err(io::ErrorKind::FileTooLarge.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
