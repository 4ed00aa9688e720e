//! Takes over exactly the key that a team already uses, in whatever form they keep it.
//!
//! A format says how the key is written in the input, not how an application uses it: `hex` decodes
//! the text and takes the bytes, `text` takes the text itself. Weak keys are taken and flagged.

use std::fmt;
use std::str::FromStr;

use keywheel_core::id::Kid;
use keywheel_core::kind::{EncryptionAlgorithm, Kind, SigningAlgorithm};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::encode::{Base64, from_hex};
use crate::jwk::{self, JwkError};
use crate::material::Material;
use crate::name::{asymmetric, kind_name};
use crate::pair::{Der, KeyParts, Pair};
use crate::pem::{self, PemError};
use crate::weakness::Weakness;

/// The longest input that any parser here reads.
pub const MAX_INPUT_BYTES: usize = 64 * 1024;

/// How an imported key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportFormat {
    /// The bytes as they are: a secret, a 32-byte Ed25519 seed, or a DER key.
    Raw,
    /// UTF-8 text; one newline at its end is not part of the key.
    Text,
    /// Hexadecimal.
    Hex,
    /// Base64, with or without padding.
    Base64,
    /// Base64url, with or without padding.
    Base64url,
    /// A private key in PEM: PKCS#8, SEC1 or PKCS#1.
    Pem,
    /// A private or symmetric JSON Web Key.
    Jwk,
}

impl ImportFormat {
    /// All formats, in the order in which help texts name them.
    pub const ALL: [Self; 7] =
        [Self::Raw, Self::Text, Self::Hex, Self::Base64, Self::Base64url, Self::Pem, Self::Jwk];

    /// The format's name on the command line and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Text => "text",
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Base64url => "base64url",
            Self::Pem => "pem",
            Self::Jwk => "jwk",
        }
    }
}

impl fmt::Display for ImportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ImportFormat {
    type Err = ImportError;

    fn from_str(text: &str) -> Result<Self, ImportError> {
        let named = Self::ALL.into_iter().find(|format| format.as_str() == text);
        named.ok_or(ImportError::UnknownFormat)
    }
}

/// A key that was taken over.
pub struct Imported {
    /// The key.
    pub material: Material,
    /// What it is already called, when its JWK says so.
    pub kid: Option<Kid>,
    /// What is weak about it.
    pub weaknesses: Vec<Weakness>,
}

/// Why a key was not taken over. No message quotes any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// No such format.
    #[error("there is no such format; use raw, text, hex, base64, base64url, pem or jwk")]
    UnknownFormat,
    /// There is nothing in it.
    #[error("the key is empty; check the file or variable that it comes from")]
    Empty,
    /// More than a key can be.
    #[error("the key has {bytes} bytes, and at most {MAX_INPUT_BYTES} are read; give one key only")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// The input is not in that format.
    #[error("the input is not {format}; check it, or name the format in which it is written")]
    NotInFormat {
        /// The format that was named.
        format: ImportFormat,
    },
    /// Keys of this kind do not come in that format.
    #[error("{kind} keys are not written as {format}; import it as {remedy}")]
    WrongFormat {
        /// The kind of the ring.
        kind: &'static str,
        /// The format that was named.
        format: ImportFormat,
        /// Formats that would do.
        remedy: &'static str,
    },
    /// The key has a length that its scheme does not allow.
    #[error(
        "a key for {kind} has {wanted_bytes} bytes, and this one has {bytes}; check the format in \
         which it is written"
    )]
    Length {
        /// The kind of the ring.
        kind: &'static str,
        /// What it has.
        bytes: usize,
        /// What it needs.
        wanted_bytes: usize,
    },
    /// A Fernet key that is not one.
    #[error(
        "a Fernet key is 32 bytes in base64url with padding, 44 characters in all; import that \
         text, with `-` and `_` in place of `+` and `/`"
    )]
    Fernet,
    /// The key is for something else, damaged, or inconsistent.
    #[error(
        "this is not a private key for {kind} that can be used; check the ring's algorithm, and \
         that the key is whole ({detail})"
    )]
    Rejected {
        /// The kind of the ring.
        kind: &'static str,
        /// What such a key is.
        detail: &'static str,
    },
    /// The PEM text is wrong.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The JWK is wrong.
    #[error(transparent)]
    Jwk(#[from] JwkError),
}

pub(crate) fn import(
    kind: &Kind,
    bytes: &[u8],
    format: ImportFormat,
) -> Result<Imported, ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::Empty);
    }
    if bytes.len() > MAX_INPUT_BYTES {
        return Err(ImportError::TooLarge { bytes: bytes.len() });
    }
    let (material, known_as) = match format {
        ImportFormat::Pem => (from_pem(kind, bytes)?, None),
        ImportFormat::Jwk => from_jwk(kind, bytes)?,
        _ => (from_bytes(kind, &decode(bytes, format)?)?, None),
    };
    let weaknesses = material.weaknesses();
    Ok(Imported { material, kid: known_as, weaknesses })
}

fn decode(bytes: &[u8], format: ImportFormat) -> Result<Zeroizing<Vec<u8>>, ImportError> {
    let line = without_newline(bytes);
    let decoded = match format {
        ImportFormat::Text => {
            str::from_utf8(line).ok().map(|text| Zeroizing::new(text.as_bytes().to_vec()))
        }
        ImportFormat::Hex => from_hex(line),
        ImportFormat::Base64 => Base64::Standard.decode(line),
        ImportFormat::Base64url => Base64::UrlLenient.decode(line),
        ImportFormat::Raw | ImportFormat::Pem | ImportFormat::Jwk => {
            Some(Zeroizing::new(bytes.to_vec()))
        }
    };
    decoded.ok_or(ImportError::NotInFormat { format })
}

fn without_newline(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if line.len() < bytes.len() { line.strip_suffix(b"\r").unwrap_or(line) } else { line }
}

fn from_bytes(kind: &Kind, bytes: &[u8]) -> Result<Material, ImportError> {
    let Some(algorithm) = asymmetric(kind) else {
        check_symmetric(kind, bytes)?;
        return Ok(Material::symmetric(kind, Zeroizing::new(bytes.to_vec())));
    };
    let seed = || match algorithm {
        SigningAlgorithm::EdDsa => Pair::from_ed25519_seed(bytes).ok(),
        _ => None,
    };
    let pair = Pair::from_der(algorithm, bytes, Der::Pkcs8)
        .or_else(|_| Pair::from_der(algorithm, bytes, Der::Traditional))
        .ok()
        .or_else(seed);
    pair.and_then(|pair| Material::asymmetric(kind, pair)).ok_or_else(|| rejected(kind))
}

/// Whether bytes can be a symmetric key of this kind.
pub(crate) fn check_symmetric(kind: &Kind, bytes: &[u8]) -> Result<(), ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::Empty);
    }
    if bytes.len() > MAX_INPUT_BYTES {
        return Err(ImportError::TooLarge { bytes: bytes.len() });
    }
    let Kind::Encryption { algorithm } = kind else { return Ok(()) };
    match algorithm {
        EncryptionAlgorithm::Aes256Gcm | EncryptionAlgorithm::ChaCha20Poly1305 => {
            let length =
                ImportError::Length { kind: kind_name(kind), bytes: bytes.len(), wanted_bytes: 32 };
            if bytes.len() == 32 { Ok(()) } else { Err(length) }
        }
        EncryptionAlgorithm::Fernet => match Base64::UrlPadded.decode(bytes) {
            Some(key) if key.len() == 32 => Ok(()),
            _ => Err(ImportError::Fernet),
        },
        EncryptionAlgorithm::Passphrase => match str::from_utf8(bytes) {
            Ok(_) => Ok(()),
            Err(_) => Err(ImportError::NotInFormat { format: ImportFormat::Text }),
        },
    }
}

fn from_pem(kind: &Kind, bytes: &[u8]) -> Result<Material, ImportError> {
    let Some(algorithm) = asymmetric(kind) else {
        return Err(wrong_format(kind, ImportFormat::Pem));
    };
    let block = pem::parse_one(bytes)?;
    let elliptic = crate::curve::Curve::of(algorithm).is_some();
    let form = match block.label.as_str() {
        pem::PKCS8 => Der::Pkcs8,
        pem::SEC1 if elliptic => Der::Traditional,
        pem::PKCS1 if !elliptic => Der::Traditional,
        pem::SEC1 | pem::PKCS1 => return Err(rejected(kind)),
        _ => return Err(pem::wants_private(block.label).into()),
    };
    let pair = Pair::from_der(algorithm, &block.der, form).ok();
    pair.and_then(|pair| Material::asymmetric(kind, pair)).ok_or_else(|| rejected(kind))
}

fn from_jwk(kind: &Kind, json: &[u8]) -> Result<(Material, Option<Kid>), ImportError> {
    if matches!(kind, Kind::External) {
        return Err(wrong_format(kind, ImportFormat::Jwk));
    }
    let (parts, known_as) = jwk::read_private(kind, json)?;
    let material = match parts {
        KeyParts::Symmetric(bytes) => from_bytes(kind, &bytes)?,
        KeyParts::Asymmetric(pair) => {
            Material::asymmetric(kind, pair).ok_or_else(|| rejected(kind))?
        }
    };
    Ok((material, known_as))
}

fn wrong_format(kind: &Kind, format: ImportFormat) -> ImportError {
    let remedy = match kind {
        Kind::Encryption { .. } => "raw, text, hex, base64, base64url or jwk",
        _ => "raw or text, which take the bytes as they are",
    };
    ImportError::WrongFormat { kind: kind_name(kind), format, remedy }
}

fn rejected(kind: &Kind) -> ImportError {
    let detail = match asymmetric(kind) {
        Some(algorithm) if algorithm.rsa_bits().is_some() => {
            "RSA with a modulus of 2048 to 8192 bits; aws-lc signs with no shorter one"
        }
        Some(SigningAlgorithm::Es256) => "an elliptic curve key on P-256",
        Some(SigningAlgorithm::Es384) => "an elliptic curve key on P-384",
        Some(SigningAlgorithm::Es512) => "an elliptic curve key on P-521",
        _ => "an Ed25519 key",
    };
    ImportError::Rejected { kind: kind_name(kind), detail }
}
