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
    /// Encoded headers, each with the dot that follows it.
    headers: Vec<Box<[u8]>>,
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
        self.headers.iter().find(|header| token.starts_with(header)).map(|header| header.len())
    }
}

/// The headers that common libraries write for a key with this kid. All of them say `JWT` or
/// nothing as their type.
fn known_headers(algorithm: Algorithm, kid: Option<&str>) -> Vec<Box<[u8]>> {
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
        encoded.into_bytes().into_boxed_slice()
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
