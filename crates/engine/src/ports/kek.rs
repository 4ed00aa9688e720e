//! The master-key port: something that wraps data keys and never shows itself.

use zeroize::Zeroizing;

/// Names a master key without telling anything about it: a keyed fingerprint, hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KekId(pub String);

/// A data key under a master key, with the name of the master key that opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// The master key that wrapped it.
    pub kek: KekId,
    /// The wrapped bytes.
    pub bytes: Vec<u8>,
}

/// Why a data key could not be wrapped or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KekError {
    /// The data was wrapped by a master key that this server was not given.
    #[error("this data needs master key {}, but the server was given {}", needed.0, given.0)]
    WrongKey {
        /// The master key that wrapped it.
        needed: KekId,
        /// The one at hand.
        given: KekId,
    },
    /// The wrapped key was changed or torn.
    #[error("a wrapped data key does not open: it was changed or torn")]
    Damaged,
    /// The provider failed.
    #[error("the master key provider failed: {0}")]
    Provider(String),
}

/// Wraps and opens data keys. `context` is bound to the result: a key wrapped for one place does
/// not open in another.
pub trait Kek: Send + Sync {
    /// The name of the key that wraps now.
    fn id(&self) -> KekId;

    /// Wraps a data key.
    ///
    /// # Errors
    /// When the provider fails.
    fn wrap(&self, context: &[u8], data_key: &[u8; 32]) -> Result<WrappedKey, KekError>;

    /// Opens a data key, also one wrapped by a former master key that is still at hand.
    ///
    /// # Errors
    /// When it belongs to another master key, or was changed.
    fn unwrap(&self, context: &[u8], wrapped: &WrappedKey)
    -> Result<Zeroizing<[u8; 32]>, KekError>;
}
