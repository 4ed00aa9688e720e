//! The document of a ring as it is sealed: the ring of `core`, and the material that `core` never
//! sees.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_core::id::VersionNumber;
use keywheel_core::policy::Spec;
use keywheel_core::ring::Ring;
use keywheel_jose::Material;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::after_rotation::Wish;
use crate::error::EngineError;

/// How many idempotency receipts a document keeps.
const RECEIPTS_MAX: usize = 64;

/// A ring with its material, as it is sealed.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) ring: Ring,
    pub(crate) spec: Spec,
    pub(crate) material: BTreeMap<VersionNumber, StoredMaterial>,
    pub(crate) receipts: VecDeque<Receipt>,
    /// The head of the audit record when this document was written.
    pub(crate) audit_head: String,
    /// What is to be revoked when the rotation in progress is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wish: Option<Wish>,
}

/// The material of one version, encoded for the sealed document.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredMaterial {
    pub(crate) salt: String,
    key: SecretText,
}

/// What an idempotency key was used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Receipt {
    pub(crate) key: String,
    pub(crate) request: String,
}

/// Text that zeroizes itself and shows itself to nobody; only the sealed document carries it.
#[derive(Clone)]
pub(crate) struct SecretText(Zeroizing<String>);

impl SecretText {
    pub(crate) fn encode(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    pub(crate) fn decode(&self) -> Option<Zeroizing<Vec<u8>>> {
        URL_SAFE_NO_PAD.decode(self.0.as_bytes()).ok().map(Zeroizing::new)
    }
}

impl Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

impl StoredMaterial {
    pub(crate) fn new(material: &Material, salt: &[u8; 32]) -> Self {
        Self { salt: URL_SAFE_NO_PAD.encode(salt), key: SecretText::encode(&material.to_stored()) }
    }
}

impl Document {
    /// The opened material of a version.
    pub(crate) fn material(&self, number: VersionNumber) -> Result<Material, EngineError> {
        let damaged = || EngineError::Distrusted {
            subject: format!("{} {number}", self.ring.name),
            cause: "its material is missing or cannot be read".into(),
            remedy: "Restore the store from a backup".into(),
        };
        let stored = self.material.get(&number).ok_or_else(damaged)?;
        let version = self.ring.versions.get(&number).ok_or_else(damaged)?;
        let bytes = stored.key.decode().ok_or_else(damaged)?;
        Material::from_stored(&version.kind, &bytes).map_err(|_| damaged())
    }

    /// Checks what must hold of every document besides what its seal says.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.ring.check()?;
        for (number, version) in &self.ring.versions {
            if version.has_material() != self.material.contains_key(number) {
                let what = if version.has_material() { "no" } else { "left-over" };
                return Err(format!("{number} has {what} material"));
            }
        }
        Ok(())
    }

    pub(crate) fn remember(&mut self, receipt: Receipt) {
        if self.receipts.len() >= RECEIPTS_MAX {
            self.receipts.pop_front();
        }
        self.receipts.push_back(receipt);
    }
}
