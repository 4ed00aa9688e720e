//! The sealing port: what turns a value into bytes that a store may hold.

use zeroize::Zeroizing;

use super::KekId;

/// A value that was opened, with what it turned out to belong to.
pub struct Opened {
    /// Its incarnation, authenticated.
    pub incarnation: String,
    /// Its revision, authenticated.
    pub revision: u64,
    /// The value.
    pub plaintext: Zeroizing<Vec<u8>>,
}

/// Why a value could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealFault {
    /// It was sealed under a master key that is not at hand.
    #[error("it was sealed under master key {}, and the server was given {}", needed.0, given.0)]
    WrongKey {
        /// The one it needs.
        needed: KekId,
        /// The one at hand.
        given: KekId,
    },
    /// It was edited, torn, or moved there from elsewhere.
    #[error("{0}")]
    Damaged(String),
    /// The provider failed.
    #[error("{0}")]
    Provider(String),
}

/// Seals and opens. A value belongs to one store key; it does not open under another.
pub trait Seal: Send + Sync {
    /// Seals a value. With the former bytes at hand, its data key is used again.
    ///
    /// # Errors
    /// When the master key provider fails.
    fn seal(
        &self,
        key: &str,
        incarnation: &str,
        revision: u64,
        plaintext: &[u8],
        former: Option<&[u8]>,
    ) -> Result<Vec<u8>, SealFault>;

    /// Opens a value.
    ///
    /// # Errors
    /// When it does not open under this key of the store.
    fn open(&self, key: &str, sealed: &[u8]) -> Result<Opened, SealFault>;

    /// Moves a value to the present master key without touching it.
    ///
    /// # Errors
    /// When it does not open.
    fn rewrap(&self, key: &str, sealed: &[u8]) -> Result<Vec<u8>, SealFault>;
}
