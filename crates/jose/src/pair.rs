//! A private key that can sign. Parsing accepts only whole, consistent keys of the one algorithm
//! that is asked for; how the bytes arrived (PEM, JWK) is left to the callers.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use keywheel_core::kind::{RsaBits, SigningAlgorithm};
use zeroize::Zeroizing;

use crate::curve::Curve;

/// The key was not accepted. aws-lc says little about why, on purpose, and so does this.
#[derive(Debug)]
pub(crate) struct Rejected;

/// A signing key of one algorithm.
pub(crate) enum Pair {
    Ed25519(Ed25519KeyPair),
    Ec(EcdsaKeyPair),
    Rsa { key: Box<RsaKeyPair>, encoding: &'static dyn RsaEncoding },
}

/// A key as a generator or a parser leaves it.
pub(crate) enum KeyParts {
    /// The bytes that an application is handed, or that a JWK encodes.
    Symmetric(Zeroizing<Vec<u8>>),
    Asymmetric(Pair),
}

/// Which structure a DER key is in.
#[derive(Clone, Copy)]
pub(crate) enum Der {
    Pkcs8,
    /// SEC1 for elliptic curves, PKCS#1 for RSA.
    Traditional,
}

impl Pair {
    /// Reads a DER key.
    pub(crate) fn from_der(
        algorithm: SigningAlgorithm,
        der: &[u8],
        form: Der,
    ) -> Result<Self, Rejected> {
        if !is_one_der_sequence(der) {
            return Err(Rejected);
        }
        match (Curve::of(algorithm), rsa_encoding(algorithm), form) {
            (Some(curve), _, Der::Pkcs8) => {
                EcdsaKeyPair::from_pkcs8(curve.signing, der).map(Self::Ec)
            }
            (Some(curve), _, Der::Traditional) => {
                EcdsaKeyPair::from_private_key_der(curve.signing, der).map(Self::Ec)
            }
            (_, Some(encoding), Der::Pkcs8) => {
                RsaKeyPair::from_pkcs8(der).map(|key| Self::rsa(key, encoding))
            }
            (_, Some(encoding), Der::Traditional) => {
                RsaKeyPair::from_der(der).map(|key| Self::rsa(key, encoding))
            }
            (None, None, Der::Pkcs8) if algorithm == SigningAlgorithm::EdDsa => {
                Ed25519KeyPair::from_pkcs8(der).map(Self::Ed25519)
            }
            (None, None, _) => return Err(Rejected),
        }
        .map_err(|_| Rejected)
    }

    /// Takes the private scalar of a curve, and computes the public point.
    pub(crate) fn from_scalar(curve: &'static Curve, scalar: &[u8]) -> Result<Self, Rejected> {
        let private = aws_lc_rs::agreement::PrivateKey::from_private_key(curve.agreement, scalar)
            .map_err(|_| Rejected)?;
        let public = private.compute_public_key().map_err(|_| Rejected)?;
        Self::from_scalar_and_point(curve, scalar, public.as_ref())
    }

    /// Takes the private scalar of a curve and the public point, which must belong together.
    pub(crate) fn from_scalar_and_point(
        curve: &'static Curve,
        scalar: &[u8],
        point: &[u8],
    ) -> Result<Self, Rejected> {
        EcdsaKeyPair::from_private_key_and_public_key(curve.signing, scalar, point)
            .map(Self::Ec)
            .map_err(|_| Rejected)
    }

    /// Takes the 32-byte seed of an Ed25519 key, or the seed and the public key, which must belong
    /// together (the 64-byte form of libsodium).
    pub(crate) fn from_ed25519_seed(bytes: &[u8]) -> Result<Self, Rejected> {
        let pair = match bytes.len() {
            32 => Ed25519KeyPair::from_seed_unchecked(bytes),
            64 => {
                let (seed, public) = bytes.split_at(32);
                Ed25519KeyPair::from_seed_and_public_key(seed, public)
            }
            _ => return Err(Rejected),
        };
        pair.map(Self::Ed25519).map_err(|_| Rejected)
    }

    /// Takes the numbers of an RSA key, which must belong together.
    pub(crate) fn from_rsa_numbers(
        algorithm: SigningAlgorithm,
        numbers: &rsa::KeyPairComponents<&[u8]>,
    ) -> Result<Self, Rejected> {
        let encoding = rsa_encoding(algorithm).ok_or(Rejected)?;
        let key = RsaKeyPair::from_components(numbers).map_err(|_| Rejected)?;
        Ok(Self::rsa(key, encoding))
    }

    /// Generates an RSA key from aws-lc's own generator: it takes no other source of primes.
    pub(crate) fn generate_rsa(
        algorithm: SigningAlgorithm,
        bits: RsaBits,
    ) -> Result<Self, Rejected> {
        let size = match bits {
            RsaBits::B2048 => rsa::KeySize::Rsa2048,
            RsaBits::B3072 => rsa::KeySize::Rsa3072,
            RsaBits::B4096 => rsa::KeySize::Rsa4096,
        };
        let encoding = rsa_encoding(algorithm).ok_or(Rejected)?;
        RsaKeyPair::generate(size).map(|key| Self::rsa(key, encoding)).map_err(|_| Rejected)
    }

    fn rsa(key: RsaKeyPair, encoding: &'static dyn RsaEncoding) -> Self {
        Self::Rsa { key: Box::new(key), encoding }
    }

    /// The key as PKCS#8, version 1: the form that every other tool reads.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Rejected> {
        let copy = |der: &[u8]| Zeroizing::new(der.to_vec());
        match self {
            Self::Ed25519(pair) => pair.to_pkcs8v1().map(|der| copy(der.as_ref())),
            Self::Ec(pair) => pair.to_pkcs8v1().map(|der| copy(der.as_ref())),
            Self::Rsa { key, .. } => {
                AsDer::<Pkcs8V1Der<'_>>::as_der(&**key).map(|der| copy(der.as_ref()))
            }
        }
        .map_err(|Unspecified| Rejected)
    }

    /// The public half as a SubjectPublicKeyInfo.
    pub(crate) fn to_spki(&self) -> Result<Vec<u8>, Rejected> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Ed25519(pair) => pair.public_key().as_der(),
            Self::Ec(pair) => pair.public_key().as_der(),
            Self::Rsa { key, .. } => key.public_key().as_der(),
        }
        .map_err(|Unspecified| Rejected)?;
        Ok(der.as_ref().to_vec())
    }

    /// Signs, in the form that JOSE uses (R and S side by side for ECDSA).
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Rejected> {
        // aws-lc draws nonces and salts from its own generator and ignores the argument.
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(pair) => pair.try_sign(message).map(|tag| tag.as_ref().to_vec()),
            Self::Ec(pair) => pair.sign(&random, message).map(|tag| tag.as_ref().to_vec()),
            Self::Rsa { key, encoding } => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(*encoding, &random, message, &mut signature).map(|()| signature)
            }
        }
        .map_err(|Unspecified| Rejected)
    }
}

fn rsa_encoding(algorithm: SigningAlgorithm) -> Option<&'static dyn RsaEncoding> {
    match algorithm {
        SigningAlgorithm::Rs256(_) => Some(&RSA_PKCS1_SHA256),
        SigningAlgorithm::Rs384(_) => Some(&RSA_PKCS1_SHA384),
        SigningAlgorithm::Rs512(_) => Some(&RSA_PKCS1_SHA512),
        SigningAlgorithm::Ps256(_) => Some(&RSA_PSS_SHA256),
        SigningAlgorithm::Ps384(_) => Some(&RSA_PSS_SHA384),
        SigningAlgorithm::Ps512(_) => Some(&RSA_PSS_SHA512),
        _ => None,
    }
}

/// Whether the bytes are one DER SEQUENCE and nothing behind it. aws-lc reads the first structure
/// and does not look at what follows.
pub(crate) fn is_one_der_sequence(der: &[u8]) -> bool {
    let Some((&[0x30, first], rest)) = der.split_first_chunk::<2>() else {
        return false;
    };
    if first < 0x80 {
        return rest.len() == usize::from(first);
    }
    let Some((length, content)) = rest.split_at_checked(usize::from(first & 0x7f)) else {
        return false;
    };
    // Input is bounded far below 2^32 bytes, so longer lengths cannot be right.
    (1..=4).contains(&length.len())
        && length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)) == content.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sequence_is_one_sequence() {
        assert!(is_one_der_sequence(&[0x30, 0]));
        assert!(is_one_der_sequence(&[0x30, 1, 5]));
        assert!(is_one_der_sequence(&[&[0x30, 0x81, 0x80][..], &[0; 128]].concat()));
        assert!(is_one_der_sequence(&[&[0x30, 0x82, 1, 0][..], &[0; 256]].concat()));
        for wrong in [
            &[][..],
            &[0x30],
            &[0x31, 0],
            &[0x30, 1],
            &[0x30, 0, 0],
            &[0x30, 0x80],
            &[0x30, 0x82, 1],
            &[0x30, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert!(!is_one_der_sequence(wrong), "{wrong:?}");
        }
    }
}
