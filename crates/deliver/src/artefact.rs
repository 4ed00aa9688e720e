//! What a probe shows to a server: something that only a key makes, and its like that no key made.
//!
//! The bogus one has the same form as the good one, so that a server cannot refuse it for its form
//! alone, and it is compared with every accepted version, so that it is wrong for sure.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keywheel_core::id::{RingName, VersionNumber};
use keywheel_core::kind::{Kind, SigningAlgorithm};
use keywheel_jose::{Material, Use, jose_name};
use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use crate::settings::{Artefact, Make};
use crate::values::{SecretText, Value, Values};

/// How long a token lives.
const TOKEN_LIFE_SECS: i64 = 60;
/// How often another wrong one is made when one happens to be right.
const CHANGES_MAX: usize = 16;

/// Why an artefact cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArtefactError {
    /// The ring is not among those of the delivery.
    #[error("the ring {0} is not delivered here")]
    UnknownRing(RingName),
    /// This agent holds the verifying half of the key only.
    #[error("this agent holds only the public half of version {0}")]
    OnlyHalf(VersionNumber),
    /// Keys of this kind do not make it.
    #[error("a key of this ring's kind cannot make {0}")]
    WrongKind(&'static str),
    /// The value has no part that could be changed, so nothing wrong can be made of it.
    #[error("nothing that looks like version {0} but is refused can be made")]
    NothingWrong(VersionNumber),
    /// The cryptographic library refused.
    #[error("the key of version {0} could not sign")]
    Provider(VersionNumber),
}

impl ArtefactError {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::UnknownRing(_) => "name a ring that a sink of the same consumer delivers",
            Self::OnlyHalf(_) => {
                "give the consumer the role protect, or probe without an artefact of this ring"
            }
            Self::WrongKind(_) => {
                "use value or hmac for secrets, and jwt for signing rings and secrets"
            }
            Self::NothingWrong(_) => "use hmac or jwt, or a longer value",
            Self::Provider(_) => "check the machine's memory and random generator",
        }
    }
}

/// Makes what a consumer of this version accepts. `now_secs` is the present in seconds since the
/// Unix epoch.
///
/// # Errors
/// When the key is not held, or not of a kind that makes it.
pub fn good(
    artefact: &Artefact,
    value: &Value,
    now_secs: i64,
) -> Result<SecretText, ArtefactError> {
    let (key, text) = held(value)?;
    match &artefact.make {
        Make::Value => Ok(secret(plain(key, &text)?.as_bytes())),
        Make::Hmac(message) => Ok(hex(&tag(key, &text, message)?)),
        Make::Jwt(claims) => {
            let signed = signing_input(key, value, claims, now_secs)?;
            let signature = sign(key, &text, signed.as_bytes(), value.number())?;
            Ok(token(&signed, &signature))
        }
    }
}

/// Makes what looks like [`good`] and is accepted under no version of the ring.
///
/// # Errors
/// As [`good`], and when nothing such can be made.
pub fn bogus(
    artefact: &Artefact,
    ring: &Values,
    value: &Value,
    now_secs: i64,
) -> Result<SecretText, ArtefactError> {
    let (key, text) = held(value)?;
    let others = || ring.versions().iter().filter_map(|version| held(version).ok());
    let nothing = ArtefactError::NothingWrong(value.number());
    match &artefact.make {
        Make::Value => {
            let plain = plain(key, &text)?;
            let wrong = |candidate: &Zeroizing<String>| {
                others().all(|(_, accepted)| accepted.as_str() != candidate.as_str())
            };
            let found = (0..CHANGES_MAX).find_map(|nth| changed(plain, nth).filter(&wrong));
            found.map(|text| secret(text.as_bytes())).ok_or(nothing)
        }
        Make::Hmac(message) => {
            let right = tag(key, &text, message)?;
            let accepted: Vec<Vec<u8>> =
                others().filter_map(|(key, text)| tag(key, &text, message).ok()).collect();
            let found = flips(&right).find(|flipped| !accepted.contains(flipped));
            found.map(|tag| hex(&tag)).ok_or(nothing)
        }
        Make::Jwt(claims) => {
            let signed = signing_input(key, value, claims, now_secs)?;
            let right = sign(key, &text, signed.as_bytes(), value.number())?;
            let is_wrong = |flipped: &Vec<u8>| {
                !others().any(|(key, text)| is_right(key, &text, signed.as_bytes(), flipped))
            };
            let found = flips(&right).find(is_wrong);
            found.map(|signature| token(&signed, &signature)).ok_or(nothing)
        }
    }
}

/// The key, and the text that an application reads of it.
fn held(value: &Value) -> Result<(&Material, Zeroizing<String>), ArtefactError> {
    let material = value.material().ok_or(ArtefactError::OnlyHalf(value.number()))?;
    let text = Zeroizing::new(material.delivery(Use::Protect).expose().to_owned());
    Ok((material, text))
}

fn plain<'a>(key: &Material, text: &'a Zeroizing<String>) -> Result<&'a str, ArtefactError> {
    match key.kind() {
        kind if kind.is_symmetric() && !text.is_empty() => Ok(text),
        _ => Err(ArtefactError::WrongKind("a value")),
    }
}

fn tag(key: &Material, text: &str, message: &str) -> Result<Vec<u8>, ArtefactError> {
    if !key.kind().is_symmetric() {
        return Err(ArtefactError::WrongKind("an HMAC"));
    }
    Ok(hs256(text, message.as_bytes()))
}

fn hs256(text: &str, message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
    hmac::sign(&key, message).as_ref().to_vec()
}

/// The algorithm of tokens. An application signs with the text of a secret, as HS256.
fn algorithm(key: &Material) -> Result<&'static str, ArtefactError> {
    match key.kind() {
        Kind::Signing { algorithm } => Ok(jose_name(*algorithm)),
        Kind::Secret { .. } | Kind::External => Ok(jose_name(SigningAlgorithm::Hs256)),
        Kind::Encryption { .. } => Err(ArtefactError::WrongKind("a token")),
    }
}

fn signing_input(
    key: &Material,
    value: &Value,
    claims: &std::collections::BTreeMap<String, Json>,
    now_secs: i64,
) -> Result<String, ArtefactError> {
    let header = serde_json::json!({ "alg": algorithm(key)?, "kid": value.kid().0, "typ": "JWT" });
    let mut payload: Map<String, Json> = claims.clone().into_iter().collect();
    payload.insert("iat".into(), now_secs.into());
    payload.insert("exp".into(), now_secs.saturating_add(TOKEN_LIFE_SECS).into());
    let part = |json: String| BASE64_URL_SAFE_NO_PAD.encode(json);
    Ok(format!("{}.{}", part(header.to_string()), part(Json::Object(payload).to_string())))
}

fn sign(
    key: &Material,
    text: &str,
    message: &[u8],
    number: VersionNumber,
) -> Result<Vec<u8>, ArtefactError> {
    match key.kind() {
        Kind::Signing { .. } => key.sign(message).map_err(|_| ArtefactError::Provider(number)),
        _ => Ok(hs256(text, message)),
    }
}

fn is_right(key: &Material, text: &str, message: &[u8], signature: &[u8]) -> bool {
    match key.kind() {
        Kind::Signing { .. } => key.verify(message, signature).is_ok(),
        _ => hs256(text, message) == signature,
    }
}

/// The same bytes with one bit another, in one way after the other. What is flipped are the bytes
/// and not their text, so the text stays canonical.
fn flips(right: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..CHANGES_MAX).filter_map(|nth| {
        let mut flipped = right.to_vec();
        let place = flipped.len().checked_div(2)?.checked_add(nth / 8)?;
        *flipped.get_mut(place)? ^= 1 << (nth % 8);
        Some(flipped)
    })
}

/// The same text with one character another, of the same class, in one way after the other. It is
/// one in the middle: values often begin with a prefix that names their kind, and the last
/// character of base64 may not be any.
fn changed(text: &str, nth: usize) -> Option<Zeroizing<String>> {
    let middle = text.chars().count() / 2;
    let places = (0_usize..).zip(text.chars()).filter(|(_, c)| successor(*c).is_some());
    let place = places.map(|(place, _)| place).min_by_key(|place| place.abs_diff(middle))?;
    let mut changed = Zeroizing::new(String::with_capacity(text.len()));
    for (at, mut c) in (0_usize..).zip(text.chars()) {
        if at == place {
            for _ in 0..=nth {
                c = successor(c)?;
            }
        }
        changed.push(c);
    }
    (changed.as_str() != text).then_some(changed)
}

/// The next character of the same class; hexadecimal digits stay such.
const fn successor(c: char) -> Option<char> {
    Some(match c {
        '9' => '0',
        'f' => 'a',
        'z' => 'g',
        'F' => 'A',
        'Z' => 'G',
        '0'..='8' | 'a'..='e' | 'g'..='y' | 'A'..='E' | 'G'..='Y' => (c as u8 + 1) as char,
        '-' => '_',
        '_' => '-',
        '+' => '/',
        '/' => '+',
        _ => return None,
    })
}

fn token(signed: &str, signature: &[u8]) -> SecretText {
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
    let room = signed.len().saturating_add(signature.len()).saturating_add(1);
    let mut token = Zeroizing::new(String::with_capacity(room));
    for part in [signed, ".", &signature] {
        token.push_str(part);
    }
    SecretText::new(token)
}

fn hex(bytes: &[u8]) -> SecretText {
    let mut hex = Zeroizing::new(String::with_capacity(bytes.len().saturating_mul(2)));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            hex.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    SecretText::new(hex)
}

fn secret(text: &[u8]) -> SecretText {
    SecretText::new(Zeroizing::new(String::from_utf8_lossy(text).into_owned()))
}
