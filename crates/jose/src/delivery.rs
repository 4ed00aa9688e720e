//! What travels to a consumer, and what the consumer holds once it has arrived. Who may have which
//! delivery is decided by the server.

use keywheel_core::kind::Kind;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use crate::encode::Base64;
use crate::fingerprint::Fingerprint;
use crate::import::MAX_INPUT_BYTES;
use crate::material::{Material, UseError};
use crate::name::{asymmetric, kind_name};
use crate::pem;
use crate::public::{PublicKey, PublicKeyError};

/// How the value of a delivery is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryFormat {
    /// The value is the key.
    Text,
    /// The value is the key in base64url without padding.
    Base64url,
    /// The value is a private key in PEM (PKCS#8).
    Pkcs8Pem,
    /// The value is a public key in PEM (SubjectPublicKeyInfo).
    SpkiPem,
}

/// A key on its way to a consumer. Like [`Material`], it shows itself to nobody by accident; to put
/// it on the wire, wrap it in a [`DangerDelivery`].
///
/// ```compile_fail,E0277
/// fn needs<T: serde::Serialize>() {}
/// needs::<keywheel_jose::Delivery>();
/// ```
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_jose::Delivery>();
/// ```
pub struct Delivery {
    format: DeliveryFormat,
    value: Zeroizing<String>,
}

impl Delivery {
    /// A delivery of this value.
    pub const fn new(format: DeliveryFormat, value: Zeroizing<String>) -> Self {
        Self { format, value }
    }

    /// How the value is written.
    pub const fn format(&self) -> DeliveryFormat {
        self.format
    }

    /// Whether the value must be kept secret.
    pub const fn is_secret(&self) -> bool {
        !matches!(self.format, DeliveryFormat::SpkiPem)
    }

    /// The value, for the one who writes it to its destination.
    pub fn expose(&self) -> &str {
        &self.value
    }
}

/// A delivery that lets itself be serialized. The danger is in the name: what has this in it is a
/// message that carries a key, and belongs on an encrypted channel and in no log.
pub struct DangerDelivery(pub Delivery);

impl Serialize for DangerDelivery {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename = "Delivery")]
        struct Wire<'a> {
            format: DeliveryFormat,
            value: &'a str,
        }
        Wire { format: self.0.format, value: &self.0.value }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DangerDelivery {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename = "Delivery", deny_unknown_fields)]
        struct Wire {
            format: DeliveryFormat,
            value: String,
        }
        let wire = Wire::deserialize(deserializer)?;
        Ok(Self(Delivery::new(wire.format, Zeroizing::new(wire.value))))
    }
}

/// A delivery that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// Keys of this kind are not delivered in that format.
    #[error("a {kind} key cannot arrive in this format; use client and server of one release")]
    Format {
        /// The kind of the ring.
        kind: &'static str,
    },
    /// The value is no key of that kind.
    #[error("the delivered value is not a {kind} key; fetch it again")]
    Value {
        /// The kind of the ring.
        kind: &'static str,
    },
    /// The public key cannot be used.
    #[error(transparent)]
    Public(#[from] PublicKeyError),
}

/// What a consumer holds of a version: all of it, or the half that verifies.
pub enum Holder {
    /// The whole key.
    Full(Material),
    /// The half that verifies.
    Public(PublicKey),
}

impl Holder {
    /// Takes a delivery in.
    ///
    /// # Errors
    /// When it is not strictly a key of this kind.
    pub fn from_delivery(kind: &Kind, delivery: &Delivery) -> Result<Self, DeliveryError> {
        let name = kind_name(kind);
        let value = delivery.expose();
        let bad_value = DeliveryError::Value { kind: name };
        // Base64 and PEM make a key of the longest permitted length longer by a third and more.
        if value.len() > MAX_INPUT_BYTES.saturating_mul(2) {
            return Err(bad_value);
        }
        let bytes = match (asymmetric(kind), delivery.format()) {
            (Some(algorithm), DeliveryFormat::SpkiPem) => {
                return Ok(Self::Public(PublicKey::from_spki_pem(algorithm, value)?));
            }
            (Some(_), DeliveryFormat::Pkcs8Pem) => pem::parse_one(value.as_bytes())
                .ok()
                .filter(|block| block.label == pem::PKCS8)
                .map(|block| block.der),
            (None, DeliveryFormat::Text) => Some(Zeroizing::new(value.as_bytes().to_vec())),
            (None, DeliveryFormat::Base64url) => Base64::Url.decode(value.as_bytes()),
            _ => return Err(DeliveryError::Format { kind: name }),
        };
        let material = bytes.and_then(|bytes| Material::from_exposed(kind, &bytes));
        material.map(Self::Full).ok_or(bad_value)
    }

    /// The whole key, when it is there.
    pub const fn material(&self) -> Option<&Material> {
        match self {
            Self::Full(material) => Some(material),
            Self::Public(_) => None,
        }
    }

    /// Whether one can sign or encrypt with it.
    pub const fn can_protect(&self) -> bool {
        self.material().is_some()
    }

    /// What to prove possession with; the same for both halves of a key.
    pub fn proof_secret(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Full(material) => material.proof_secret(),
            Self::Public(public) => public.proof_secret(),
        }
    }

    /// A name for logs; see [`Material::fingerprint`].
    pub fn fingerprint(&self, fingerprint_key: &[u8; 32]) -> Fingerprint {
        Fingerprint::of(fingerprint_key, &self.proof_secret())
    }

    /// Checks a signature; see [`Material::verify`].
    ///
    /// # Errors
    /// When it is not this key's signature of this message, or the key is one that encrypts.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), UseError> {
        match self {
            Self::Full(material) => material.verify(message, signature),
            Self::Public(public) => public.verify(message, signature),
        }
    }
}
