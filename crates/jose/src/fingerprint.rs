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
        let key = hmac::Key::new(hmac::HMAC_SHA256, fingerprint_key);
        let message = Framed::new("keywheel/fingerprint/v1").bytes(secret);
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
