//! Why a value does not open, or cannot be sealed. Nothing here quotes a value or a key.

/// Why a value does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The bytes are none of the format.
    #[error("at byte {at}: {why}")]
    Malformed {
        /// Where, in bytes from the start of the value.
        at: usize,
        /// What is wrong there.
        why: &'static str,
    },
    /// The format has it, and keywheel does not.
    #[error("{what} is not supported")]
    Unsupported {
        /// What.
        what: &'static str,
    },
    /// The key is another one, or the value is damaged: this cannot be told apart.
    #[error("wrong key or damaged value")]
    WrongKey,
    /// The plaintext would be larger than is allowed.
    #[error("the plaintext has more than {limit_bytes} bytes")]
    TooLarge {
        /// How much is allowed.
        limit_bytes: usize,
    },
    /// It opens, and the plaintext is none: formats without integrity open with any key.
    #[error("the plaintext is not what was asked for: wrong key or damaged value")]
    Implausible,
}

/// Why a value cannot be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key does not fit the format.
    #[error("the key does not fit: {why}")]
    Key {
        /// Why.
        why: &'static str,
    },
    /// The format cannot hold this plaintext.
    #[error("the format cannot hold it: {why}")]
    Plaintext {
        /// Why.
        why: &'static str,
    },
}
