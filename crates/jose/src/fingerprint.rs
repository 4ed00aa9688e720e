//! A short name for a key that may stand in logs, metrics and status.

use std::fmt;

use aws_lc_rs::hmac;
use serde::Serialize;

use crate::encode::to_hex;
use crate::framing::Framed;

/// 64 bits of an HMAC over the key, in hexadecimal. Without the fingerprint key, nobody can tell
/// which secret has which fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    pub(crate) fn of(fingerprint_key: &[u8; 32], secret: &[u8]) -> Self {
        Self::under_salt(fingerprint_key, secret)
    }

    /// The fingerprint under the proof salt of a version, which only its rightful holders know: it
    /// may be shown to anybody, and both sides of a connection can compute it. The domain label
    /// keeps it apart from the first step of the proofs, which is an HMAC under the same salt.
    pub fn under_salt(salt: &[u8], proof_secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, salt);
        let message = Framed::new("keywheel/fingerprint/v1").bytes(proof_secret);
        let tag = hmac::sign(&key, message.as_slice());
        Self(to_hex(tag.as_ref().get(..8).unwrap_or_default()).to_string())
    }

    /// The fingerprint as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
