//! An encoding in which no two different lists of fields look alike: a label, then each field
//! behind its length. Everything that this crate hashes or authenticates is written with it.

use zeroize::Zeroizing;

/// A message in the making. Zeroized, because proofs put secrets into it.
pub(crate) struct Framed(Zeroizing<Vec<u8>>);

impl Framed {
    /// Starts a message with its domain.
    pub(crate) fn new(label: &str) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(512))).bytes(label.as_bytes())
    }

    /// Appends bytes behind their length (64 bits, big-endian).
    pub(crate) fn bytes(mut self, field: &[u8]) -> Self {
        let length = field.len() as u64;
        self.reserve(field.len().saturating_add(8));
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    /// Appends a number (64 bits, big-endian) behind its length.
    pub(crate) fn number(self, field: u64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    /// The message so far.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// Grows by hand, so that what is left behind is zeroized as well.
    fn reserve(&mut self, more: usize) {
        let needed = self.0.len().saturating_add(more);
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
    }
}
