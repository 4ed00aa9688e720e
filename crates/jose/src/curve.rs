//! The three elliptic curves of RFC 7518, and what aws-lc-rs calls them.

use aws_lc_rs::agreement;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED, ECDSA_P521_SHA512_FIXED_SIGNING,
    EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm,
};
use keywheel_core::kind::SigningAlgorithm;

/// A curve together with the one hash that JOSE uses on it.
pub(crate) struct Curve {
    /// The `crv` of a JWK.
    pub(crate) name: &'static str,
    /// The length of a coordinate and of a private scalar.
    pub(crate) field_bytes: usize,
    /// Which bits of the first byte a scalar can have set.
    pub(crate) first_byte_mask: u8,
    pub(crate) signing: &'static EcdsaSigningAlgorithm,
    pub(crate) verifying: &'static EcdsaVerificationAlgorithm,
    pub(crate) agreement: &'static agreement::Algorithm,
}

impl Curve {
    pub(crate) const P256: Self = Self {
        name: "P-256",
        field_bytes: 32,
        first_byte_mask: 0xff,
        signing: &ECDSA_P256_SHA256_FIXED_SIGNING,
        verifying: &ECDSA_P256_SHA256_FIXED,
        agreement: &agreement::ECDH_P256,
    };
    pub(crate) const P384: Self = Self {
        name: "P-384",
        field_bytes: 48,
        first_byte_mask: 0xff,
        signing: &ECDSA_P384_SHA384_FIXED_SIGNING,
        verifying: &ECDSA_P384_SHA384_FIXED,
        agreement: &agreement::ECDH_P384,
    };
    pub(crate) const P521: Self = Self {
        name: "P-521",
        field_bytes: 66,
        first_byte_mask: 0x01,
        signing: &ECDSA_P521_SHA512_FIXED_SIGNING,
        verifying: &ECDSA_P521_SHA512_FIXED,
        agreement: &agreement::ECDH_P521,
    };

    /// The curve of an algorithm, when it has one.
    pub(crate) fn of(algorithm: SigningAlgorithm) -> Option<&'static Self> {
        match algorithm {
            SigningAlgorithm::Es256 => Some(&Self::P256),
            SigningAlgorithm::Es384 => Some(&Self::P384),
            SigningAlgorithm::Es512 => Some(&Self::P521),
            _ => None,
        }
    }

    /// The uncompressed point (SEC1 section 2.3.3) with these coordinates.
    pub(crate) fn point(x: &[u8], y: &[u8]) -> Vec<u8> {
        [&[0x04], x, y].concat()
    }
}
