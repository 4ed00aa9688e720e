//! A key that is ready to check tokens: parsed once, bound to its algorithms, with the headers
//! that libraries write for it kept beside it, so that most headers never have to be parsed.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::ParsedPublicKey;
use base64_simd::URL_SAFE_NO_PAD;
use keywheel_core::id::Kid;
use keywheel_core::kind::Kind;

use super::algorithm::Algorithm;
use super::error::TokenError;
use crate::material::{Material, UseError};
use crate::name::kind_name;
use crate::public::PublicKey;

/// What checks the signatures of one algorithm.
pub(super) enum Verifier {
    Hmac(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

/// One algorithm that a key is bound to.
pub(super) struct Binding {
    pub(super) algorithm: Algorithm,
    verifier: Verifier,
    headers: Vec<KnownHeader>,
}

impl Binding {
    pub(super) fn new(algorithm: Algorithm, verifier: Verifier, kid: Option<&str>) -> Self {
        Self { algorithm, verifier, headers: known_headers(algorithm, kid) }
    }

    /// Checks a signature.
    pub(super) fn check(&self, signed: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        match &self.verifier {
            Verifier::Hmac(key) => hmac::verify(key, signed, signature),
            Verifier::Public(key) => key.verify_sig(signed, signature),
        }
        .map_err(|_| TokenError::Signature)
    }

    /// The length of the header and its dot, when the token begins with a header that this key is
    /// known by.
    pub(super) fn known_header(&self, token: &[u8]) -> Option<usize> {
        let header = self.headers.iter().find(|header| header.begins(token))?;
        Some(header.encoded.len())
    }
}

/// A header that a key is known by.
struct KnownHeader {
    /// How it is written, with the dot that follows it.
    encoded: Box<[u8]>,
    /// Eight bytes of it, where most kids stand in all of the known headers: the headers of other
    /// keys are told apart by them alone.
    probe: u64,
}

impl KnownHeader {
    fn new(encoded: String) -> Self {
        let encoded = encoded.into_bytes().into_boxed_slice();
        Self { probe: Self::probe(&encoded, encoded.len()), encoded }
    }

    /// The eight bytes; zero when the token ends before them.
    fn probe(token: &[u8], header_bytes: usize) -> u64 {
        let rest = token.get(header_bytes / 3 * 2..).unwrap_or_default();
        rest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn begins(&self, token: &[u8]) -> bool {
        Self::probe(token, self.encoded.len()) == self.probe && token.starts_with(&self.encoded)
    }
}

/// The headers that common libraries write for a key with this kid. All of them say `JWT` or
/// nothing as their type.
fn known_headers(algorithm: Algorithm, kid: Option<&str>) -> Vec<KnownHeader> {
    let Some(kid) = kid else { return Vec::new() };
    let (alg, kid) = (algorithm.name(), serde_json::Value::from(kid));
    [
        // keywheel, PyJWT, Go
        format!(r#"{{"alg":"{alg}","kid":{kid},"typ":"JWT"}}"#),
        // Authlib, Node jsonwebtoken
        format!(r#"{{"alg":"{alg}","typ":"JWT","kid":{kid}}}"#),
        // Rust jsonwebtoken, older PyJWT
        format!(r#"{{"typ":"JWT","alg":"{alg}","kid":{kid}}}"#),
    ]
    .map(|header| {
        let mut encoded = URL_SAFE_NO_PAD.encode_to_string(header);
        encoded.push('.');
        KnownHeader::new(encoded)
    })
    .into()
}

/// The type that each of the known headers says.
pub(super) const KNOWN_TYPE: &str = "JWT";

/// A key that is ready to check compact tokens. The algorithm is the key's: what a token says of it
/// is only compared.
///
/// It may hold a symmetric key, so it shows itself to nobody:
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_jose::token::TokenKey>();
/// ```
pub struct TokenKey {
    kid: Option<Box<str>>,
    bindings: Vec<Binding>,
}

impl TokenKey {
    /// Prepares the key of a version of a signing ring.
    ///
    /// # Errors
    /// When the key is not one that signs.
    pub fn of_material(material: &Material, kid: &Kid) -> Result<Self, UseError> {
        let Kind::Signing { algorithm } = material.kind() else {
            let name = kind_name(material.kind());
            return Err(UseError::WrongKind { what: "check tokens", kind: name });
        };
        if let Some(public) = material.public_key() {
            return Ok(Self::of_public(public, kid));
        }
        let algorithm = Algorithm::from(*algorithm);
        let hash = algorithm.hmac().ok_or(UseError::Provider)?;
        let key = hmac::Key::new(hash, material.expose());
        Ok(Self::bound(algorithm, Verifier::Hmac(Box::new(key)), Some(&kid.0)))
    }

    /// Prepares the half of a key that verifies.
    pub fn of_public(public: &PublicKey, kid: &Kid) -> Self {
        let verifier = Verifier::Public(public.parsed().clone());
        Self::bound(public.algorithm().into(), verifier, Some(&kid.0))
    }

    fn bound(algorithm: Algorithm, verifier: Verifier, kid: Option<&str>) -> Self {
        let bindings = vec![Binding::new(algorithm, verifier, kid)];
        Self { kid: kid.map(Box::from), bindings }
    }

    pub(super) fn with_bindings(kid: Option<Box<str>>, bindings: Vec<Binding>) -> Self {
        Self { kid, bindings }
    }

    pub(super) fn is_symmetric(&self) -> bool {
        self.bindings.iter().any(|binding| matches!(binding.verifier, Verifier::Hmac(_)))
    }

    /// The name of the key.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithms that the key is bound to: one, unless it came from a JWK that names none.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.bindings.iter().map(|binding| binding.algorithm)
    }

    pub(super) fn binding(&self, algorithm: Algorithm) -> Option<&Binding> {
        self.bindings.iter().find(|binding| binding.algorithm == algorithm)
    }

    pub(super) fn bindings(&self) -> &[Binding] {
        &self.bindings
    }
}
