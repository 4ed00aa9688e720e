//! The names that JOSE and error messages give to kinds and algorithms.

use keywheel_core::kind::{EncryptionAlgorithm, Kind, SigningAlgorithm};

/// The `alg` value of a signing algorithm in tokens and JWKs (RFC 7518, RFC 8037).
pub const fn jose_name(algorithm: SigningAlgorithm) -> &'static str {
    match algorithm {
        SigningAlgorithm::EdDsa => "EdDSA",
        SigningAlgorithm::Es256 => "ES256",
        SigningAlgorithm::Es384 => "ES384",
        SigningAlgorithm::Es512 => "ES512",
        SigningAlgorithm::Rs256(_) => "RS256",
        SigningAlgorithm::Rs384(_) => "RS384",
        SigningAlgorithm::Rs512(_) => "RS512",
        SigningAlgorithm::Ps256(_) => "PS256",
        SigningAlgorithm::Ps384(_) => "PS384",
        SigningAlgorithm::Ps512(_) => "PS512",
        SigningAlgorithm::Hs256 => "HS256",
        SigningAlgorithm::Hs384 => "HS384",
        SigningAlgorithm::Hs512 => "HS512",
    }
}

/// What an error message calls a kind.
pub(crate) const fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Secret { .. } => "secret",
        Kind::Signing { algorithm } => jose_name(*algorithm),
        Kind::Encryption { algorithm } => match algorithm {
            EncryptionAlgorithm::Aes256Gcm => "AES-256-GCM",
            EncryptionAlgorithm::ChaCha20Poly1305 => "ChaCha20-Poly1305",
            EncryptionAlgorithm::Fernet => "Fernet",
            EncryptionAlgorithm::Passphrase => "passphrase",
        },
        Kind::External => "external",
    }
}

/// The algorithm of a kind whose verifying half is public; `None` for everything symmetric.
pub(crate) const fn asymmetric(kind: &Kind) -> Option<SigningAlgorithm> {
    match kind {
        Kind::Signing { algorithm } if !kind.is_symmetric() => Some(*algorithm),
        _ => None,
    }
}
