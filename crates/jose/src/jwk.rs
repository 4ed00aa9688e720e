//! JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037): read strictly, written publicly only.
//!
//! Strict means: no member twice, none that would change the key's meaning, none of another key
//! type, every number in its one canonical form. Values are borrowed from the input, so that
//! reading a private key leaves no copy of it behind, and no error quotes one.

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::rsa;
use keywheel_core::id::Kid;
use keywheel_core::kind::{EncryptionAlgorithm, Kind, SigningAlgorithm};
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use zeroize::Zeroizing;

use crate::curve::Curve;
use crate::encode::Base64;
use crate::name::{asymmetric, jose_name};
use crate::pair::{KeyParts, Pair};
use crate::public::Numbers;

/// A JWK that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwkError {
    /// Not JSON, or not one object.
    #[error(
        "the JWK is not one JSON object (line {line}, column {column}); give one key, not a set"
    )]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// A member stands there twice.
    #[error("the JWK has `{0}` twice, and readers differ in which they take; remove the wrong one")]
    Duplicate(&'static str),
    /// A member that this parser does not know.
    #[error("the JWK has a member `{0}`, which could change what the key means; remove it")]
    Unknown(String),
    /// A member of the wrong type.
    #[error("`{0}` in the JWK has the wrong type; write it as RFC 7517 does, without escapes")]
    Type(&'static str),
    /// A member is not there.
    #[error("the JWK has no `{0}`, which this key needs; export the whole private key")]
    Missing(&'static str),
    /// A member that belongs to another type of key.
    #[error("`{member}` does not belong in a `{kty}` key; export the key again")]
    Foreign {
        /// The member.
        member: &'static str,
        /// The type of the key.
        kty: &'static str,
    },
    /// A member says something else than the ring.
    #[error("`{member}` is `{found}`, but this ring needs {wanted}; check the key or the ring")]
    Mismatch {
        /// The member.
        member: &'static str,
        /// What it says.
        found: String,
        /// What the ring needs.
        wanted: &'static str,
    },
    /// A number is not in its canonical form.
    #[error(
        "`{0}` is not base64url without padding in the length that RFC 7518 wants; export the key \
         again"
    )]
    Number(&'static str),
    /// The kid cannot be one.
    #[error("`kid` must have 1 to 256 printable characters; give it another one")]
    Kid,
    /// The key is private, and a public one was wanted.
    #[error("this is a private key where a public one belongs; give only the public members")]
    Private,
    /// The members do not form a key.
    #[error("the members of the JWK do not belong to one key; export the key again")]
    Inconsistent,
}

/// A public key in a JWKS document. `use` says what it is for; RFC 7517 section 4.3 asks not to say
/// it a second time in `key_ops`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    /// The type of the key: `OKP`, `EC` or `RSA`.
    pub kty: &'static str,
    /// The name of the key.
    pub kid: String,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub key_use: &'static str,
    /// The one algorithm that it verifies.
    pub alg: &'static str,
    /// The curve, for `OKP` and `EC`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crv: Option<&'static str>,
    /// The public key (`OKP`) or its first coordinate (`EC`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The second coordinate (`EC`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// The modulus (`RSA`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// The exponent (`RSA`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
}

impl PublicJwk {
    pub(crate) fn new(numbers: &Numbers, kid: &Kid, alg: &'static str) -> Self {
        let text = |bytes: &[u8]| Some(Base64::Url.encode(bytes).to_string());
        let (kid, key_use) = (kid.0.clone(), "sig");
        let (crv, x, y, n, e) = (None, None, None, None, None);
        let blank = Self { kty: "RSA", kid, key_use, alg, crv, x, y, n, e };
        match numbers {
            Numbers::Ed25519 { x } => {
                Self { kty: "OKP", crv: Some("Ed25519"), x: text(x), ..blank }
            }
            Numbers::Ec { curve, x, y } => {
                Self { kty: "EC", crv: Some(curve), x: text(x), y: text(y), ..blank }
            }
            Numbers::Rsa { n, e } => Self { n: text(n), e: text(e), ..blank },
        }
    }
}

/// The RFC 7638 thumbprint: SHA-256 over the required members in lexical order, base64url.
pub(crate) fn thumbprint(numbers: &Numbers) -> Kid {
    let text = |bytes: &[u8]| Base64::Url.encode(bytes);
    let canonical = match numbers {
        Numbers::Ed25519 { x } => {
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, *text(x))
        }
        Numbers::Ec { curve, x, y } => {
            format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, *text(x), *text(y))
        }
        Numbers::Rsa { n, e } => {
            format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, *text(e), *text(n))
        }
    };
    let hash = digest::digest(&digest::SHA256, canonical.as_bytes());
    Kid(text(hash.as_ref()).to_string())
}

/// Reads a JWK that holds a secret, for a ring of this kind.
pub(crate) fn read_private(kind: &Kind, json: &[u8]) -> Result<(KeyParts, Option<Kid>), JwkError> {
    let members = Members::parse(json)?;
    let (wanted_use, wanted_operation) = match kind {
        Kind::Signing { .. } => (Some("sig"), Some("sign")),
        Kind::Encryption { .. } => (Some("enc"), Some("encrypt")),
        Kind::Secret { .. } | Kind::External => (None, None),
    };
    members.check_purpose(kind, wanted_use, wanted_operation)?;
    let parts = if let Some(algorithm) = asymmetric(kind) {
        KeyParts::Asymmetric(read_pair(algorithm, &members)?)
    } else {
        members.check_type("oct", &["k"])?;
        KeyParts::Symmetric(members.bytes("k")?)
    };
    Ok((parts, members.kid))
}

#[expect(clippy::many_single_char_names, reason = "RFC 7518 calls the numbers of a key so")]
fn read_pair(algorithm: SigningAlgorithm, members: &Members<'_>) -> Result<Pair, JwkError> {
    let inconsistent = |_| JwkError::Inconsistent;
    if let Some(curve) = Curve::of(algorithm) {
        members.check_type("EC", &["crv", "x", "y", "d"])?;
        members.check_value("crv", curve.name)?;
        let coordinate = |name| members.exactly(name, curve.field_bytes);
        let point = Curve::point(&coordinate("x")?, &coordinate("y")?);
        let scalar = coordinate("d")?;
        return Pair::from_scalar_and_point(curve, &scalar, &point).map_err(inconsistent);
    }
    if algorithm == SigningAlgorithm::EdDsa {
        members.check_type("OKP", &["crv", "x", "d"])?;
        members.check_value("crv", "Ed25519")?;
        let (x, d) = (members.exactly("x", 32)?, members.exactly("d", 32)?);
        let both = Zeroizing::new([d.as_slice(), x.as_slice()].concat());
        return Pair::from_ed25519_seed(&both).map_err(inconsistent);
    }
    members.check_type("RSA", &["n", "e", "d", "p", "q", "dp", "dq", "qi"])?;
    let number = |name| members.positive(name);
    let (n, e, d) = (number("n")?, number("e")?, number("d")?);
    let (p, q) = (number("p")?, number("q")?);
    let (dp, dq, qi) = (number("dp")?, number("dq")?, number("qi")?);
    let numbers = rsa::KeyPairComponents {
        public_key: rsa::PublicKeyComponents { n: n.as_slice(), e: e.as_slice() },
        d: d.as_slice(),
        p: p.as_slice(),
        q: q.as_slice(),
        dP: dp.as_slice(),
        dQ: dq.as_slice(),
        qInv: qi.as_slice(),
    };
    Pair::from_rsa_numbers(algorithm, &numbers).map_err(inconsistent)
}

/// Reads a JWK that holds no secret.
pub(crate) fn read_public(
    algorithm: SigningAlgorithm,
    json: &[u8],
) -> Result<(Numbers, Option<Kid>), JwkError> {
    let members = Members::parse(json)?;
    if ["d", "k", "p", "q", "dp", "dq", "qi"].iter().any(|name| members.get(name).is_some()) {
        return Err(JwkError::Private);
    }
    members.check_purpose(&Kind::Signing { algorithm }, Some("sig"), Some("verify"))?;
    let numbers = if let Some(curve) = Curve::of(algorithm) {
        members.check_type("EC", &["crv", "x", "y"])?;
        members.check_value("crv", curve.name)?;
        let coordinate =
            |name| members.exactly(name, curve.field_bytes).map(|number| number.to_vec());
        Numbers::Ec { curve: curve.name, x: coordinate("x")?, y: coordinate("y")? }
    } else if algorithm == SigningAlgorithm::EdDsa {
        members.check_type("OKP", &["crv", "x"])?;
        members.check_value("crv", "Ed25519")?;
        Numbers::Ed25519 { x: members.exactly("x", 32)?.to_vec() }
    } else {
        members.check_type("RSA", &["n", "e"])?;
        Numbers::Rsa { n: members.positive("n")?.to_vec(), e: members.positive("e")?.to_vec() }
    };
    Ok((numbers, members.kid))
}

/// The members whose value is text and matters here.
const TEXT: [&str; 15] =
    ["kty", "use", "alg", "k", "crv", "x", "y", "d", "n", "e", "p", "q", "dp", "dq", "qi"];
/// The members that describe the key elsewhere and change nothing about it: certificates (RFC 7517
/// sections 4.6 to 4.9), and whether a browser may export it (WebCrypto).
const IGNORED: [&str; 5] = ["x5u", "x5c", "x5t", "x5t#S256", "ext"];

/// The members of a JWK, each at most once.
#[derive(Default)]
struct Members<'a> {
    text: Vec<(&'static str, &'a str)>,
    operations: Option<Vec<&'a str>>,
    kid: Option<Kid>,
}

impl<'a> Members<'a> {
    fn parse(json: &'a [u8]) -> Result<Self, JwkError> {
        let mut fault = None;
        let mut reader = serde_json::Deserializer::from_slice(json);
        let parsed = reader
            .deserialize_map(MembersVisitor { fault: &mut fault })
            .and_then(|members| reader.end().map(|()| members));
        // serde_json's own message may quote a value, so only its place is passed on.
        parsed.map_err(|error| match fault {
            Some(fault) if error.is_data() => fault,
            _ => JwkError::Syntax { line: error.line(), column: error.column() },
        })
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.text.iter().find(|(member, _)| *member == name).map(|(_, value)| *value)
    }

    fn check_value(&self, member: &'static str, wanted: &'static str) -> Result<(), JwkError> {
        match self.get(member) {
            Some(found) if found == wanted => Ok(()),
            Some(found) => Err(JwkError::Mismatch { member, found: excerpt(found), wanted }),
            None => Err(JwkError::Missing(member)),
        }
    }

    /// Refuses another type of key, and members that belong to another type.
    fn check_type(&self, kty: &'static str, own: &[&str]) -> Result<(), JwkError> {
        self.check_value("kty", kty)?;
        let common = ["kty", "use", "alg"];
        let foreign = |name: &&'static str| !own.contains(name) && !common.contains(name);
        match self.text.iter().map(|(name, _)| *name).find(foreign) {
            Some(member) => Err(JwkError::Foreign { member, kty }),
            None => Ok(()),
        }
    }

    /// Refuses a key that is meant for something else than the ring.
    fn check_purpose(
        &self,
        kind: &Kind,
        key_use: Option<&'static str>,
        operation: Option<&'static str>,
    ) -> Result<(), JwkError> {
        if self.get("alg").is_some() {
            self.check_value("alg", algorithm_of(kind))?;
        }
        if let (Some(_), Some(wanted)) = (self.get("use"), key_use) {
            self.check_value("use", wanted)?;
        }
        if let (Some(operations), Some(wanted)) = (&self.operations, operation) {
            let fits = |found: &&str| match wanted {
                "sign" => matches!(*found, "sign" | "verify"),
                "verify" => *found == "verify",
                _ => matches!(*found, "encrypt" | "decrypt"),
            };
            if !operations.contains(&wanted) || !operations.iter().all(fits) {
                let found = excerpt(&operations.join(", "));
                return Err(JwkError::Mismatch { member: "key_ops", found, wanted });
            }
        }
        Ok(())
    }

    fn bytes(&self, member: &'static str) -> Result<Zeroizing<Vec<u8>>, JwkError> {
        let text = self.get(member).ok_or(JwkError::Missing(member))?;
        Base64::Url.decode(text.as_bytes()).ok_or(JwkError::Number(member))
    }

    /// A number that is padded to a fixed length.
    fn exactly(&self, member: &'static str, length: usize) -> Result<Zeroizing<Vec<u8>>, JwkError> {
        let bytes = self.bytes(member)?;
        if bytes.len() == length { Ok(bytes) } else { Err(JwkError::Number(member)) }
    }

    /// A number in as few bytes as it needs (RFC 7518 section 2, Base64urlUInt).
    fn positive(&self, member: &'static str) -> Result<Zeroizing<Vec<u8>>, JwkError> {
        let bytes = self.bytes(member)?;
        if bytes.first().is_some_and(|byte| *byte != 0) {
            Ok(bytes)
        } else {
            Err(JwkError::Number(member))
        }
    }
}

/// The `alg` that a JWK for this kind may carry.
const fn algorithm_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Signing { algorithm } => jose_name(*algorithm),
        Kind::Encryption { algorithm: EncryptionAlgorithm::Aes256Gcm } => "A256GCM",
        Kind::Encryption { algorithm: EncryptionAlgorithm::ChaCha20Poly1305 } => "C20P",
        _ => "a key without it",
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(40).collect()
}

struct MembersVisitor<'f> {
    fault: &'f mut Option<JwkError>,
}

impl MembersVisitor<'_> {
    /// Keeps the fault where no error message can spoil it, and ends the parse.
    fn fail<E: serde::de::Error>(&mut self, fault: JwkError) -> E {
        *self.fault = Some(fault);
        E::custom("refused")
    }

    /// Keeps the name of a member that could not be read; the error itself says whether that was
    /// for its type or for the syntax.
    fn wrong_type<E>(&mut self, member: &'static str, error: E) -> E {
        *self.fault = Some(JwkError::Type(member));
        error
    }
}

impl<'de> Visitor<'de> for MembersVisitor<'_> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JWK")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        let mut seen: Vec<&'static str> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let known = TEXT.iter().chain(&IGNORED).chain(&["kid", "key_ops"]);
            let Some(name) = known.copied().find(|known| *known == name) else {
                return Err(self.fail(JwkError::Unknown(excerpt(&name))));
            };
            if seen.contains(&name) {
                return Err(self.fail(JwkError::Duplicate(name)));
            }
            seen.push(name);
            match name {
                "kid" => match map.next_value::<String>() {
                    Ok(kid) if is_kid(&kid) => members.kid = Some(Kid(kid)),
                    Ok(_) => return Err(self.fail(JwkError::Kid)),
                    Err(error) => return Err(self.wrong_type(name, error)),
                },
                "key_ops" => match map.next_value::<Vec<Text<'de>>>() {
                    Ok(list) => {
                        members.operations = Some(list.into_iter().map(|text| text.0).collect());
                    }
                    Err(error) => return Err(self.wrong_type(name, error)),
                },
                _ if IGNORED.contains(&name) => drop(map.next_value::<IgnoredAny>()?),
                _ => match map.next_value::<Text<'de>>() {
                    Ok(text) => members.text.push((name, text.0)),
                    Err(error) => return Err(self.wrong_type(name, error)),
                },
            }
        }
        Ok(members)
    }
}

fn is_kid(text: &str) -> bool {
    (1..=256).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Text that stands in the input as it is, without escapes.
struct Text<'a>(&'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a str>::deserialize(deserializer).map(Self)
    }
}
