//! Makes tokens: the header is encoded once, and nothing but the claims is written for each token.

use aws_lc_rs::hmac;
use base64_simd::URL_SAFE_NO_PAD;
use keywheel_core::id::Kid;
use keywheel_core::kind::{Kind, SigningAlgorithm};

use super::algorithm::Algorithm;
use super::members::HeaderMembers;
use crate::material::{Material, UseError};
use crate::name::{asymmetric, kind_name};
use crate::pair::{Der, Pair};

enum Maker {
    Hmac(Box<hmac::Key>),
    Pair(Pair),
}

/// Makes tokens with one key. It holds the key, and so has neither Debug nor Clone:
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_jose::token::Signer>();
/// ```
pub struct Signer {
    /// The header as JSON, not closed yet.
    head: Box<str>,
    /// The whole header, encoded, with its dot.
    header: Box<str>,
    maker: Maker,
}

impl Signer {
    /// Prepares the key of a signing ring. The header has `alg`, `kid` and the `typ` `JWT`.
    ///
    /// # Errors
    /// When the key is not one that signs.
    pub fn of_material(material: &Material, kid: &Kid) -> Result<Self, UseError> {
        let Kind::Signing { algorithm } = material.kind() else {
            return Err(wrong_kind(material));
        };
        let maker = match Algorithm::from(*algorithm).hmac() {
            Some(hash) => Maker::Hmac(Box::new(hmac::Key::new(hash, material.expose()))),
            None => Maker::Pair(pair(material)?),
        };
        Ok(Self::new((*algorithm).into(), kid, maker))
    }

    /// Prepares a secret, or a key that somebody else makes, as applications use it: its text or
    /// bytes are the key of HS256. What a signing ring signs is never meant by it.
    ///
    /// # Errors
    /// When the key is one that encrypts.
    pub fn of_shared_secret(material: &Material, kid: &Kid) -> Result<Self, UseError> {
        if !matches!(material.kind(), Kind::Secret { .. } | Kind::External) {
            return Err(wrong_kind(material));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, material.expose());
        let maker = Maker::Hmac(Box::new(key));
        Ok(Self::new(SigningAlgorithm::Hs256.into(), kid, maker))
    }

    fn new(algorithm: Algorithm, kid: &Kid, maker: Maker) -> Self {
        let (alg, kid) = (algorithm.name(), serde_json::Value::from(kid.0.as_str()));
        let head = format!(r#"{{"alg":"{alg}","kid":{kid}"#).into_boxed_str();
        let header = encoded(&HeaderMembers::none().close(&head));
        Self { head, header, maker }
    }

    /// Makes a token that holds these claims. They are taken as they are: whoever did not write
    /// them reads them with [`super::Claims::parse`] first.
    ///
    /// # Errors
    /// When aws-lc refuses.
    pub fn sign(&self, claims_json: &[u8]) -> Result<String, UseError> {
        self.sign_after(&self.header, claims_json)
    }

    /// The same with more members in its header.
    ///
    /// # Errors
    /// When aws-lc refuses.
    pub fn sign_with(
        &self,
        members: &HeaderMembers,
        claims_json: &[u8],
    ) -> Result<String, UseError> {
        self.sign_after(&encoded(&members.close(&self.head)), claims_json)
    }

    fn sign_after(&self, header: &str, claims_json: &[u8]) -> Result<String, UseError> {
        let payload_chars = claims_json.len().saturating_mul(4).div_ceil(3);
        let room = header.len().saturating_add(payload_chars).saturating_add(100);
        let mut token = String::with_capacity(room);
        token.push_str(header);
        URL_SAFE_NO_PAD.encode_append(claims_json, &mut token);
        match &self.maker {
            Maker::Hmac(key) => {
                let tag = hmac::sign(key, token.as_bytes());
                token.push('.');
                URL_SAFE_NO_PAD.encode_append(tag, &mut token);
            }
            Maker::Pair(pair) => {
                let signature = pair.sign(token.as_bytes()).map_err(|_| UseError::Provider)?;
                token.push('.');
                URL_SAFE_NO_PAD.encode_append(signature, &mut token);
            }
        }
        Ok(token)
    }
}

/// The encoded header with its dot.
fn encoded(json: &str) -> Box<str> {
    let mut header = URL_SAFE_NO_PAD.encode_to_string(json);
    header.push('.');
    header.into_boxed_str()
}

fn pair(material: &Material) -> Result<Pair, UseError> {
    let algorithm = asymmetric(material.kind()).ok_or_else(|| wrong_kind(material))?;
    Pair::from_der(algorithm, material.expose(), Der::Pkcs8).map_err(|_| UseError::Provider)
}

fn wrong_kind(material: &Material) -> UseError {
    UseError::WrongKind { what: "make tokens", kind: kind_name(material.kind()) }
}
