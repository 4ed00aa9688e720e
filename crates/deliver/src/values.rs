//! A stand-in for the values of a ring, until the renderer's part brings the real one.

use std::collections::BTreeMap;
use std::sync::Arc;

use keywheel_core::id::{Kid, RingName, VersionNumber};
use keywheel_jose::{Material, PublicKey};
use zeroize::Zeroizing;

/// The values of all rings of a delivery.
pub type AllValues = BTreeMap<RingName, Values>;

/// A text that is secret.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes a text.
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }
    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What sinks and probes see of a ring.
pub struct Values {
    primary: Option<usize>,
    versions: Vec<Value>,
}

/// The key of a version, as far as it is held.
pub enum Key {
    /// All of it.
    Whole(Arc<Material>),
    /// What verifies.
    Public(PublicKey),
}

/// One version.
pub struct Value {
    number: VersionNumber,
    kid: Kid,
    fingerprint: String,
    key: Key,
}

impl Values {
    /// For tests.
    pub fn new(primary: Option<usize>, versions: Vec<Value>) -> Self {
        Self { primary, versions }
    }
    /// All accepted versions.
    pub fn versions(&self) -> &[Value] {
        &self.versions
    }
    /// The one to protect with.
    pub fn primary(&self) -> Option<&Value> {
        self.versions.get(self.primary?)
    }
}

impl Value {
    /// For tests.
    pub fn new(number: VersionNumber, kid: Kid, fingerprint: String, key: Key) -> Self {
        Self { number, kid, fingerprint, key }
    }
    /// Its number.
    pub fn number(&self) -> VersionNumber {
        self.number
    }
    /// Its kid.
    pub fn kid(&self) -> &Kid {
        &self.kid
    }
    /// Its fingerprint.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
    /// The whole key.
    pub fn material(&self) -> Option<&Material> {
        match &self.key {
            Key::Whole(material) => Some(material),
            Key::Public(_) => None,
        }
    }
}
