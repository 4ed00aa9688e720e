//! The half of an asymmetric key that verifies. Nothing in it is secret.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use keywheel_core::id::Kid;
use keywheel_core::kind::SigningAlgorithm;
use zeroize::Zeroizing;

use crate::curve::Curve;
use crate::import::MAX_INPUT_BYTES;
use crate::jwk::{self, JwkError, PublicJwk};
use crate::material::UseError;
use crate::name::jose_name;
use crate::pair::is_one_der_sequence;
use crate::pem::{self, PemError};

/// A public key that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// The algorithm has no public keys.
    #[error("{algorithm} keys have no public half; give the secret itself")]
    Symmetric {
        /// The algorithm.
        algorithm: &'static str,
    },
    /// The bytes are no such key.
    #[error(
        "this is not a public key for {algorithm}; give its SubjectPublicKeyInfo (`PUBLIC KEY` in \
         PEM), with an uncompressed point or an RSA modulus of 2048 to 8192 bits"
    )]
    Rejected {
        /// The algorithm that was asked for.
        algorithm: &'static str,
    },
    /// More bytes than a key can have.
    #[error("the key has {bytes} bytes, and at most {MAX_INPUT_BYTES} are read; give one key only")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// The PEM text is wrong.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The JWK is wrong.
    #[error(transparent)]
    Jwk(#[from] JwkError),
}

/// The verifying half of a key, from a SubjectPublicKeyInfo or a public JWK.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: SigningAlgorithm,
    parsed: ParsedPublicKey,
    spki: Vec<u8>,
    numbers: Numbers,
}

/// What a JWK says about a key.
#[derive(Clone)]
pub(crate) enum Numbers {
    Ed25519 { x: Vec<u8> },
    Ec { curve: &'static str, x: Vec<u8>, y: Vec<u8> },
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// When it is not one key of that algorithm, or something follows it.
    pub fn from_spki_der(algorithm: SigningAlgorithm, der: &[u8]) -> Result<Self, PublicKeyError> {
        let name = jose_name(algorithm);
        if der.len() > MAX_INPUT_BYTES {
            return Err(PublicKeyError::TooLarge { bytes: der.len() });
        }
        let verifying =
            verifying(algorithm).ok_or(PublicKeyError::Symmetric { algorithm: name })?;
        let rejected = || PublicKeyError::Rejected { algorithm: name };
        if !is_one_der_sequence(der) {
            return Err(rejected());
        }
        let parsed = ParsedPublicKey::new(verifying, der).map_err(|_| rejected())?;
        let (numbers, spki) = read_numbers(algorithm, der, &parsed).ok_or_else(rejected)?;
        Ok(Self { algorithm, parsed, spki, numbers })
    }

    /// Reads a SubjectPublicKeyInfo in PEM.
    ///
    /// # Errors
    /// When the text is not one `PUBLIC KEY` block, or its key not of that algorithm.
    pub fn from_spki_pem(algorithm: SigningAlgorithm, text: &str) -> Result<Self, PublicKeyError> {
        if text.len() > MAX_INPUT_BYTES {
            return Err(PublicKeyError::TooLarge { bytes: text.len() });
        }
        let block = pem::parse_one(text.as_bytes())?;
        if block.label != pem::SPKI {
            let remedy = "give the public key as a SubjectPublicKeyInfo, for example from \
                          `openssl pkey -pubout`";
            return Err(PemError::Label { label: block.label, remedy }.into());
        }
        Self::from_spki_der(algorithm, &block.der)
    }

    /// Reads a public JWK (RFC 7517), and the kid that it carries.
    ///
    /// # Errors
    /// When it is not strictly one, holds private members, or is for another algorithm or use.
    pub fn from_jwk(
        algorithm: SigningAlgorithm,
        json: &[u8],
    ) -> Result<(Self, Option<Kid>), PublicKeyError> {
        if json.len() > MAX_INPUT_BYTES {
            return Err(PublicKeyError::TooLarge { bytes: json.len() });
        }
        let name = jose_name(algorithm);
        let verifying =
            verifying(algorithm).ok_or(PublicKeyError::Symmetric { algorithm: name })?;
        let rejected = || PublicKeyError::Rejected { algorithm: name };
        let (numbers, kid) = jwk::read_public(algorithm, json)?;
        let der = spki_of_numbers(verifying, &numbers);
        Self::from_spki_der(algorithm, &der.ok_or_else(rejected)?).map(|key| (key, kid))
    }

    /// The algorithm that the key verifies.
    pub const fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Checks a signature in the form that JOSE uses.
    ///
    /// # Errors
    /// When it is not this key's signature of this message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), UseError> {
        self.parsed.verify_sig(message, signature).map_err(|_| UseError::BadSignature)
    }

    /// The key's JWK thumbprint (RFC 7638, SHA-256), its kid unless an import brought another.
    pub fn thumbprint(&self) -> Kid {
        jwk::thumbprint(&self.numbers)
    }

    /// The key as a JWK for a JWKS document.
    pub fn jwk(&self, kid: &Kid) -> PublicJwk {
        PublicJwk::new(&self.numbers, kid, jose_name(self.algorithm))
    }

    /// The key as a DER SubjectPublicKeyInfo, in its one canonical form.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// The key as a SubjectPublicKeyInfo in PEM.
    pub fn spki_pem(&self) -> String {
        pem::write(pem::SPKI, &self.spki).to_string()
    }

    /// What a holder of this key can prove with: the DER SubjectPublicKeyInfo, the same that the
    /// holder of the private key uses.
    pub fn proof_secret(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.spki.clone())
    }

    /// The key as aws-lc holds it.
    pub(crate) const fn parsed(&self) -> &ParsedPublicKey {
        &self.parsed
    }

    /// The bits of an RSA modulus; `None` for other keys.
    pub(crate) fn modulus_bits(&self) -> Option<usize> {
        let Numbers::Rsa { n, .. } = &self.numbers else { return None };
        let unused = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
        Some(n.len().saturating_mul(8).saturating_sub(unused))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", jose_name(self.algorithm), self.thumbprint())
    }
}

fn verifying(algorithm: SigningAlgorithm) -> Option<&'static dyn VerificationAlgorithm> {
    match algorithm {
        SigningAlgorithm::EdDsa => Some(&ED25519),
        SigningAlgorithm::Rs256(_) => Some(&RSA_PKCS1_2048_8192_SHA256),
        SigningAlgorithm::Rs384(_) => Some(&RSA_PKCS1_2048_8192_SHA384),
        SigningAlgorithm::Rs512(_) => Some(&RSA_PKCS1_2048_8192_SHA512),
        SigningAlgorithm::Ps256(_) => Some(&RSA_PSS_2048_8192_SHA256),
        SigningAlgorithm::Ps384(_) => Some(&RSA_PSS_2048_8192_SHA384),
        SigningAlgorithm::Ps512(_) => Some(&RSA_PSS_2048_8192_SHA512),
        _ => Curve::of(algorithm).map(|curve| curve.verifying as &dyn VerificationAlgorithm),
    }
}

/// The numbers of a key, and the key written in the one way that proofs and fingerprints use.
fn read_numbers(
    algorithm: SigningAlgorithm,
    der: &[u8],
    parsed: &ParsedPublicKey,
) -> Option<(Numbers, Vec<u8>)> {
    if algorithm.rsa_bits().is_some() {
        let key = rsa::PublicKey::from_der(der).ok()?;
        let n = key.modulus().big_endian_without_leading_zero().to_vec();
        let e = key.exponent().big_endian_without_leading_zero().to_vec();
        if !(256..=1024).contains(&n.len()) {
            return None;
        }
        let spki = rsa_spki(&n, &e)?;
        return Some((Numbers::Rsa { n, e }, spki));
    }
    let canonical: PublicKeyX509Der<'_> = parsed.as_der().ok()?;
    let spki = canonical.as_ref().to_vec();
    // A compressed point would give the same key another proof secret.
    if spki != der {
        return None;
    }
    let Some(curve) = Curve::of(algorithm) else {
        let (_, x) = spki.split_last_chunk::<32>()?;
        return Some((Numbers::Ed25519 { x: x.to_vec() }, spki));
    };
    let point_bytes = curve.field_bytes.saturating_mul(2).saturating_add(1);
    let point = spki.get(spki.len().checked_sub(point_bytes)?..)?;
    let (form, coordinates) = point.split_first()?;
    let (x, y) = coordinates.split_at_checked(curve.field_bytes)?;
    // The bit string of an uncompressed point: no unused bits, then the form.
    let uncompressed = *form == 0x04;
    let numbers = Numbers::Ec { curve: curve.name, x: x.to_vec(), y: y.to_vec() };
    uncompressed.then_some((numbers, spki))
}

fn spki_of_numbers(
    verifying: &'static dyn VerificationAlgorithm,
    numbers: &Numbers,
) -> Option<Vec<u8>> {
    match numbers {
        Numbers::Ed25519 { x } => spki_of(verifying, x),
        Numbers::Ec { x, y, .. } => spki_of(verifying, &Curve::point(x, y)),
        Numbers::Rsa { n, e } => rsa_spki(n, e),
    }
}

/// The key that these numbers are, for one way of verifying.
pub(crate) fn parse_numbers(
    verifying: &'static dyn VerificationAlgorithm,
    numbers: &Numbers,
) -> Option<ParsedPublicKey> {
    if let Numbers::Rsa { n, .. } = numbers
        && !(256..=1024).contains(&n.len())
    {
        return None;
    }
    ParsedPublicKey::new(verifying, spki_of_numbers(verifying, numbers)?).ok()
}

fn spki_of(verifying: &'static dyn VerificationAlgorithm, raw: &[u8]) -> Option<Vec<u8>> {
    let parsed = ParsedPublicKey::new(verifying, raw).ok()?;
    let der: PublicKeyX509Der<'_> = parsed.as_der().ok()?;
    Some(der.as_ref().to_vec())
}

fn rsa_spki(n: &[u8], e: &[u8]) -> Option<Vec<u8>> {
    let der: PublicKeyX509Der<'_> = rsa::PublicKeyComponents { n, e }.as_der().ok()?;
    Some(der.as_ref().to_vec())
}
