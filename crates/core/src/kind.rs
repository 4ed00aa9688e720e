//! What kinds of key a ring can hold. The bytes themselves are made and read by `keywheel-jose`.

use serde::{Deserialize, Serialize};

/// The kind of a ring, settled: every combination that this type can express can be generated.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// Opaque text or bytes: a `SECRET_KEY`, a password, a webhook secret.
    Secret {
        /// How many random bytes (or, with an alphabet, characters) are drawn.
        length: u16,
        /// How they are written.
        encoding: SecretEncoding,
    },
    /// A key that signs.
    Signing {
        /// The JOSE algorithm.
        algorithm: SigningAlgorithm,
    },
    /// A key that encrypts what may live for years.
    Encryption {
        /// The scheme.
        algorithm: EncryptionAlgorithm,
    },
    /// Material that somebody else makes; keywheel only carries it. Each version is imported.
    External,
}

/// How the bytes of a secret are written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretEncoding {
    /// As they are.
    Raw,
    /// Lower-case hexadecimal.
    Hex,
    /// Base64url without padding (RFC 4648 section 5).
    Base64url,
    /// Characters drawn from these, evenly. 2 to 256 distinct characters.
    Alphabet(String),
}

/// A JOSE signing algorithm (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// Ed25519, written `EdDSA` in tokens.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// ECDSA on P-521 with SHA-512.
    #[serde(rename = "ES512")]
    Es512,
    /// RSASSA-PKCS1-v1_5 with SHA-256; modulus 2048, 3072 or 4096 bits.
    #[serde(rename = "RS256")]
    Rs256(RsaBits),
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384(RsaBits),
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512(RsaBits),
    /// RSASSA-PSS with SHA-256; modulus 2048, 3072 or 4096 bits.
    #[serde(rename = "PS256")]
    Ps256(RsaBits),
    /// RSASSA-PSS with SHA-384.
    #[serde(rename = "PS384")]
    Ps384(RsaBits),
    /// RSASSA-PSS with SHA-512.
    #[serde(rename = "PS512")]
    Ps512(RsaBits),
    /// HMAC with SHA-256.
    #[serde(rename = "HS256")]
    Hs256,
    /// HMAC with SHA-384.
    #[serde(rename = "HS384")]
    Hs384,
    /// HMAC with SHA-512.
    #[serde(rename = "HS512")]
    Hs512,
}

impl SigningAlgorithm {
    /// The modulus that a generated key has; `None` when the algorithm is not RSA.
    pub const fn rsa_bits(self) -> Option<RsaBits> {
        match self {
            Self::Rs256(bits)
            | Self::Rs384(bits)
            | Self::Rs512(bits)
            | Self::Ps256(bits)
            | Self::Ps384(bits)
            | Self::Ps512(bits) => Some(bits),
            Self::EdDsa
            | Self::Es256
            | Self::Es384
            | Self::Es512
            | Self::Hs256
            | Self::Hs384
            | Self::Hs512 => None,
        }
    }
}

/// The modulus of an RSA key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RsaBits {
    /// 2048 bits.
    #[serde(rename = "2048")]
    B2048,
    /// 3072 bits.
    #[serde(rename = "3072")]
    B3072,
    /// 4096 bits.
    #[serde(rename = "4096")]
    B4096,
}

impl RsaBits {
    /// How many bits the modulus has.
    pub const fn count(self) -> usize {
        match self {
            Self::B2048 => 2048,
            Self::B3072 => 3072,
            Self::B4096 => 4096,
        }
    }
}

/// How an encryption ring encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EncryptionAlgorithm {
    /// AES-256 in Galois/counter mode (NIST SP 800-38D).
    #[serde(rename = "AES-256-GCM")]
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 8439).
    #[serde(rename = "ChaCha20-Poly1305")]
    ChaCha20Poly1305,
    /// Fernet: AES-128-CBC and HMAC-SHA256, as Python's `cryptography` writes it.
    #[serde(rename = "Fernet")]
    Fernet,
    /// A passphrase of at least 128 bits, for pgcrypto and the like.
    #[serde(rename = "passphrase")]
    Passphrase,
}

impl Kind {
    /// Whether whoever can check can also make: HMAC keys, secrets and encryption keys. A consumer
    /// that holds such material counts as a protector, whatever its declared role.
    pub const fn is_symmetric(&self) -> bool {
        match self {
            Self::Signing { algorithm } => matches!(
                algorithm,
                SigningAlgorithm::Hs256 | SigningAlgorithm::Hs384 | SigningAlgorithm::Hs512
            ),
            Self::Secret { .. } | Self::Encryption { .. } | Self::External => true,
        }
    }

    /// Whether what a version protected must be re-encrypted before the version may go.
    pub const fn is_encryption(&self) -> bool {
        matches!(self, Self::Encryption { .. })
    }
}
