//! Reads one JWK as a key that checks tokens. Here strangers' documents are read, so unlike the
//! reader of imports this one passes over members that it does not know (RFC 7517 section 4); it
//! is as strict about those that it does.

use std::borrow::Cow;

use aws_lc_rs::hmac;

use super::algorithm::Algorithm;
use super::json::{self, JsonError, Members};
use super::key::{Binding, TokenKey, Verifier};
use super::set::MAX_KEY_SET_BYTES;
use crate::curve::Curve;
use crate::encode::Base64;
use crate::public::{self, Numbers};
use crate::roca;

/// A JWK or JWK set that cannot be used. No message quotes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// It is too large.
    #[error("the document has {bytes} bytes, and at most {MAX_KEY_SET_BYTES} are read; split it")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// It is no JSON object, or no JWK or JWK set.
    #[error("this is not a JWK or a JWK set; give one JSON object as RFC 7517 describes it")]
    Syntax,
    /// A name stands twice.
    #[error("the document says one thing twice, and readers differ in which they take; correct it")]
    Duplicate,
    /// It has both `kty` and `keys`.
    #[error("the document is a JWK and a JWK set at once; remove `kty` or `keys`")]
    Ambiguous,
    /// It has too many keys.
    #[error("the set has more than 256 keys; split it")]
    TooMany,
    /// It has no key.
    #[error("the set has no key; export the keys again")]
    Empty,
    /// Two keys have one name.
    #[error("two keys of the set have the same kid; give each its own")]
    DuplicateKid,
    /// It has secret and public keys.
    #[error("the set mixes symmetric keys with public ones; keep them in two sets")]
    Mixed,
    /// A member has the wrong type.
    #[error("`{0}` in the JWK has the wrong type; write it as RFC 7517 does")]
    Type(&'static str),
    /// The key is for something else than signatures, or of an unknown type.
    #[error("the JWK is not one that checks signatures: its `{0}` says so; give another key")]
    Purpose(&'static str),
    /// A member is missing, or is no number in its canonical form.
    #[error("`{0}` in the JWK is missing or not in its canonical form; export the key again")]
    Number(&'static str),
    /// A symmetric key shorter than its hash (RFC 7518 section 3.2).
    #[error("the key is shorter than the hash of its algorithm; make a longer one")]
    Short,
    /// The numbers are no key.
    #[error(
        "the numbers of the JWK are no key that can be used: a point of the curve, or an RSA \
         modulus of 2048 to 8192 bits; export the key again"
    )]
    Rejected,
    /// The key can be factored (ROCA, CVE-2017-15361).
    #[error("the RSA key comes from a generator whose keys can be broken (ROCA); make another one")]
    Roca,
}

impl KeySetError {
    /// Whether a set is still of use without the key (RFC 7517 section 5).
    pub(super) const fn is_passed_over(&self) -> bool {
        matches!(
            self,
            Self::Purpose(_) | Self::Number(_) | Self::Short | Self::Rejected | Self::Roca
        )
    }
}

impl From<JsonError> for KeySetError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Malformed(_) => Self::Syntax,
            JsonError::Duplicate => Self::Duplicate,
        }
    }
}

/// The name of a JWK whose members were scanned.
pub(super) fn kid<'a>(text: &'a str, members: &Members) -> Option<Cow<'a, str>> {
    members.find(text, "kid").and_then(|value| json::as_string(value.of(text)))
}

/// Reads a JWK whose members were scanned.
pub(super) fn read(text: &str, members: &Members) -> Result<TokenKey, KeySetError> {
    let jwk = Jwk { text, members };
    let kid = jwk.string("kid")?;
    let kty = jwk.string("kty")?.ok_or(KeySetError::Type("kty"))?;
    if jwk.string("use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeySetError::Purpose("use"));
    }
    let named = match jwk.string("alg")? {
        Some(name) => Some(name.parse().map_err(|_| KeySetError::Purpose("alg"))?),
        None => None,
    };
    let is_whole = kty == "oct" || jwk.string("d")?.is_some();
    jwk.check_operations(kty != "oct" && is_whole)?;
    let kid = kid.as_deref();
    let bindings = match kty.as_ref() {
        "oct" => jwk.symmetric(named, kid)?,
        "RSA" | "EC" | "OKP" => jwk.asymmetric(&kty, named, kid)?,
        _ => return Err(KeySetError::Purpose("kty")),
    };
    Ok(TokenKey::with_bindings(kid.map(Box::from), bindings))
}

struct Jwk<'a> {
    text: &'a str,
    members: &'a Members,
}

impl<'a> Jwk<'a> {
    fn string(&self, name: &'static str) -> Result<Option<Cow<'a, str>>, KeySetError> {
        let Some(value) = self.members.find(self.text, name) else { return Ok(None) };
        json::as_string(value.of(self.text)).map(Some).ok_or(KeySetError::Type(name))
    }

    fn bytes(&self, name: &'static str) -> Result<zeroize::Zeroizing<Vec<u8>>, KeySetError> {
        let text = self.string(name)?.ok_or(KeySetError::Number(name))?;
        Base64::Url.decode(text.as_bytes()).ok_or(KeySetError::Number(name))
    }

    /// A number that is padded to a fixed length.
    fn exactly(&self, name: &'static str, length: usize) -> Result<Vec<u8>, KeySetError> {
        let bytes = self.bytes(name)?;
        if bytes.len() == length { Ok(bytes.to_vec()) } else { Err(KeySetError::Number(name)) }
    }

    /// A number in as few bytes as it needs (RFC 7518 section 2).
    fn positive(&self, name: &'static str) -> Result<Vec<u8>, KeySetError> {
        let bytes = self.bytes(name)?;
        let is_shortest = bytes.first().is_some_and(|byte| *byte != 0);
        if is_shortest { Ok(bytes.to_vec()) } else { Err(KeySetError::Number(name)) }
    }

    /// RFC 7517 section 4.3. Of a private key only the half that verifies is used, so that it may
    /// be one that signs.
    fn check_operations(&self, signs: bool) -> Result<(), KeySetError> {
        let Some(operations) = self.members.find(self.text, "key_ops") else { return Ok(()) };
        let wrong_type = KeySetError::Type("key_ops");
        let Some(operations) = json::as_array(operations.of(self.text)) else {
            return Err(wrong_type);
        };
        let (mut sign, mut verify) = (false, false);
        for operation in operations {
            match json::as_string(operation).ok_or(wrong_type.clone())?.as_ref() {
                "sign" if !sign => sign = true,
                "verify" if !verify => verify = true,
                "sign" | "verify" => return Err(KeySetError::Duplicate),
                _ => {}
            }
        }
        if verify || (sign && signs) { Ok(()) } else { Err(KeySetError::Purpose("key_ops")) }
    }

    fn symmetric(
        &self,
        named: Option<Algorithm>,
        kid: Option<&str>,
    ) -> Result<Vec<Binding>, KeySetError> {
        let secret = self.bytes("k")?;
        let of = |algorithm: Algorithm| {
            let hash = algorithm.hmac()?;
            let fits = secret.len() >= hash.digest_algorithm().output_len();
            let verifier = || Verifier::Hmac(Box::new(hmac::Key::new(hash, &secret)));
            fits.then(|| Binding::new(algorithm, verifier(), kid))
        };
        let permitted = [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];
        let bindings: Vec<_> = match named {
            Some(algorithm) if permitted.contains(&algorithm) => {
                of(algorithm).into_iter().collect()
            }
            Some(_) => return Err(KeySetError::Purpose("alg")),
            None => permitted.into_iter().filter_map(of).collect(),
        };
        if bindings.is_empty() { Err(KeySetError::Short) } else { Ok(bindings) }
    }

    fn asymmetric(
        &self,
        kty: &str,
        named: Option<Algorithm>,
        kid: Option<&str>,
    ) -> Result<Vec<Binding>, KeySetError> {
        let (numbers, permitted) = self.numbers(kty)?;
        if let Numbers::Rsa { n, .. } = &numbers
            && roca::is_affected(n)
        {
            return Err(KeySetError::Roca);
        }
        let algorithms = match &named {
            Some(algorithm) if permitted.contains(algorithm) => std::slice::from_ref(algorithm),
            Some(_) => return Err(KeySetError::Purpose("alg")),
            None => permitted,
        };
        let mut bindings = Vec::with_capacity(algorithms.len());
        for algorithm in algorithms {
            let verifying = algorithm.verifying().ok_or(KeySetError::Rejected)?;
            let key = public::parse_numbers(verifying, &numbers).ok_or(KeySetError::Rejected)?;
            bindings.push(Binding::new(*algorithm, Verifier::Public(key), kid));
        }
        Ok(bindings)
    }

    /// The numbers of a public key, and the algorithms that it permits.
    fn numbers(&self, kty: &str) -> Result<(Numbers, &'static [Algorithm]), KeySetError> {
        if kty == "RSA" {
            let numbers = Numbers::Rsa { n: self.positive("n")?, e: self.positive("e")? };
            let permitted = &[
                Algorithm::Rs256,
                Algorithm::Rs384,
                Algorithm::Rs512,
                Algorithm::Ps256,
                Algorithm::Ps384,
                Algorithm::Ps512,
            ];
            return Ok((numbers, permitted));
        }
        let name = self.string("crv")?.ok_or(KeySetError::Number("crv"))?;
        if kty == "OKP" {
            if name != "Ed25519" {
                return Err(KeySetError::Purpose("crv"));
            }
            return Ok((Numbers::Ed25519 { x: self.exactly("x", 32)? }, &[Algorithm::EdDsa]));
        }
        let (curve, permitted): (_, &[Algorithm]) = match name.as_ref() {
            "P-256" => (&Curve::P256, &[Algorithm::Es256]),
            "P-384" => (&Curve::P384, &[Algorithm::Es384]),
            "P-521" => (&Curve::P521, &[Algorithm::Es512]),
            _ => return Err(KeySetError::Purpose("crv")),
        };
        let coordinate = |name| self.exactly(name, curve.field_bytes);
        let numbers = Numbers::Ec { curve: curve.name, x: coordinate("x")?, y: coordinate("y")? };
        Ok((numbers, permitted))
    }
}
