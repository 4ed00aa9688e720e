//! The bare primitives beneath tokens, for the benchmark alone: no wheel that is published has this
//! module. It loops here, so that Python's own loop is no part of what is measured.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64_simd::URL_SAFE_NO_PAD;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

enum Key {
    Hmac(hmac::Key),
    Rsa(Box<RsaKeyPair>, ParsedPublicKey),
    Ecdsa(Box<EcdsaKeyPair>, ParsedPublicKey),
    Ed25519(Box<Ed25519KeyPair>, ParsedPublicKey),
}

/// A parsed key, and what it signed as bytes.
#[pyclass(frozen, module = "keywheel._keywheel")]
pub(crate) struct Bare {
    key: Key,
    signed: Vec<(Vec<u8>, Vec<u8>)>,
}

fn wrong(what: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(what.to_string())
}

impl Key {
    fn read(algorithm: &str, key: &[u8]) -> PyResult<Self> {
        Ok(match algorithm {
            "HS256" => Self::Hmac(hmac::Key::new(hmac::HMAC_SHA256, key)),
            "RS256" => {
                let pair = RsaKeyPair::from_pkcs8(key).map_err(wrong)?;
                let public = pair.public_key().as_ref();
                let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
                Self::Rsa(Box::new(pair), public.map_err(wrong)?)
            }
            "ES256" => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key);
                let pair = pair.map_err(wrong)?;
                let public = pair.public_key().as_ref();
                let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
                Self::Ecdsa(Box::new(pair), public.map_err(wrong)?)
            }
            _ => {
                let pair = Ed25519KeyPair::from_pkcs8(key).map_err(wrong)?;
                let public = ParsedPublicKey::new(&ED25519, pair.public_key().as_ref());
                Self::Ed25519(Box::new(pair), public.map_err(wrong)?)
            }
        })
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
            Self::Rsa(_, public) | Self::Ecdsa(_, public) | Self::Ed25519(_, public) => {
                public.verify_sig(message, signature).is_ok()
            }
        }
    }

    fn sign(&self, random: &SystemRandom, message: &[u8]) -> bool {
        match self {
            Self::Hmac(key) => !std::hint::black_box(hmac::sign(key, message)).as_ref().is_empty(),
            Self::Rsa(pair, _) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, message, &mut signature).is_ok()
            }
            Self::Ecdsa(pair, _) => std::hint::black_box(pair.sign(random, message)).is_ok(),
            Self::Ed25519(pair, _) => std::hint::black_box(pair.try_sign(message)).is_ok(),
        }
    }
}

#[pymethods]
impl Bare {
    #[new]
    fn new(algorithm: &str, key: &[u8], tokens: Vec<String>) -> PyResult<Self> {
        let split = |token: &String| {
            let (signed, signature) = token.rsplit_once('.')?;
            let signature = URL_SAFE_NO_PAD.decode_to_vec(signature).ok()?;
            Some((signed.as_bytes().to_vec(), signature))
        };
        let signed: Option<_> = tokens.iter().map(split).collect();
        let signed = signed.ok_or_else(|| wrong("these are no tokens"))?;
        Ok(Self { key: Key::read(algorithm, key)?, signed })
    }

    /// Checks every signature, so often.
    fn verify(&self, repeats: usize) -> bool {
        (0..repeats).all(|_| self.signed.iter().all(|(text, tag)| self.key.verify(text, tag)))
    }

    /// Makes every signature, so often.
    fn sign(&self, repeats: usize) -> bool {
        let random = SystemRandom::new();
        (0..repeats).all(|_| self.signed.iter().all(|(text, _)| self.key.sign(&random, text)))
    }
}
