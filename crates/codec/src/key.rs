//! What values are under: a passphrase or the bytes of a key.

use zeroize::Zeroizing;

/// A passphrase, or the bytes of a key. It is never shown.
pub struct Key {
    bytes: Zeroizing<Vec<u8>>,
    strong: bool,
}

impl Key {
    /// A key that was generated, with at least 128 bits that nobody can guess: stretching it adds
    /// nothing, so values are sealed with the least of it.
    pub fn generated(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self { bytes: bytes.into(), strong: true }
    }

    /// A passphrase that a person may have chosen: values are sealed with the stretching that
    /// pgcrypto has by default.
    pub fn passphrase(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self { bytes: bytes.into(), strong: false }
    }

    /// Whether guessing it is out of the question without any stretching.
    pub const fn is_strong(&self) -> bool {
        self.strong
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}
