//! From passphrases to keys (RFC 4880, 3.7), for many messages at once.

mod portable;

use zeroize::Zeroizing;

use super::algorithm::{Digest, Stretch};

/// One key that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// The hash.
    pub digest: Digest,
    /// How it is stretched.
    pub stretch: Stretch,
    /// The salt, where the stretching has one.
    pub salt: [u8; 8],
    /// How many bytes the key has.
    pub key_bytes: usize,
}

impl Job {
    /// The salt that is hashed.
    fn salted(&self) -> &[u8] {
        match self.stretch {
            Stretch::Simple => &[],
            Stretch::Salted | Stretch::Iterated { .. } => &self.salt,
        }
    }

    /// How many bytes of salt and passphrase are hashed: all of them once at least.
    fn bytes(&self, passphrase: &[u8]) -> u64 {
        let once = (self.salted().len() + passphrase.len()) as u64;
        match self.stretch {
            Stretch::Simple | Stretch::Salted => once,
            Stretch::Iterated { count } => once.max(u64::from(count)),
        }
    }
}

/// Derives a key for each job, in their order.
pub(super) fn derive_many(passphrase: &[u8], jobs: &[Job]) -> Vec<Zeroizing<Vec<u8>>> {
    jobs.iter().map(|job| portable::derive(passphrase, job)).collect()
}
