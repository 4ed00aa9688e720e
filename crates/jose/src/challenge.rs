//! How a protector shows which version it uses: it signs, or seals, a challenge of the server with
//! it. Holding a key (`proof`) and using it are two things; a stale process does the first only.
//!
//! No answer can pass for anything else that the key signs: the message starts with a label that no
//! token can start with, and keys of secret and encryption rings answer through derived keys.

use keywheel_core::id::{Incarnation, InstanceId, Revision, RingName, VersionNumber};

use crate::Fill;
use crate::framing::Framed;
use crate::material::{Material, UseError};

const LABEL: &str = "keywheel/challenge/v1";

/// What a protector is asked to sign or seal.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// The ring.
    pub ring: &'a RingName,
    /// Which life of the ring.
    pub incarnation: &'a Incarnation,
    /// The revision of the ring that the protector has applied.
    pub revision: Revision,
    /// The version that it uses.
    pub version: VersionNumber,
    /// Who answers.
    pub instance: &'a InstanceId,
    /// The server's nonce.
    pub nonce: &'a [u8],
}

impl Challenge<'_> {
    /// The message that is signed, or that a seal is bound to.
    pub fn message(&self) -> Vec<u8> {
        Framed::new(LABEL)
            .bytes(self.ring.as_str().as_bytes())
            .bytes(self.incarnation.0.as_bytes())
            .number(self.revision.0)
            .number(u64::from(self.version.0))
            .bytes(self.instance.as_str().as_bytes())
            .bytes(self.nonce)
            .as_slice()
            .to_vec()
    }

    /// Answers with the key that protects. Entropy is used by encryption keys only.
    ///
    /// # Errors
    /// When aws-lc refuses.
    pub fn answer(&self, material: &Material, fill: &mut Fill<'_>) -> Result<Vec<u8>, UseError> {
        if material.kind().is_encryption() {
            material.seal(&self.message(), &[], fill)
        } else {
            material.sign(&self.message())
        }
    }

    /// Checks an answer against the version that should have given it.
    ///
    /// # Errors
    /// When another key answered, or answered something else.
    pub fn check(&self, material: &Material, answer: &[u8]) -> Result<(), UseError> {
        if material.kind().is_encryption() {
            let opened = material.open(&self.message(), answer)?;
            if opened.is_empty() { Ok(()) } else { Err(UseError::BadSeal) }
        } else {
            material.verify(&self.message(), answer)
        }
    }
}
