//! What a probe shows to a server: something that only a key makes, and its like that no key made.
//!
//! The bogus one has the same form as the good one, so that a server cannot refuse it for its form
//! alone, and it is compared with every accepted version, so that it is wrong for sure.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keywheel_core::id::{RingName, VersionNumber};
use keywheel_core::kind::Kind;
use keywheel_jose::token::Signer;
use keywheel_jose::{DeliveryFormat, Material, Use};
use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use crate::SecretText;
use crate::settings::{Artefact, Make};
use crate::values::{Value, Values};

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
    /// The ring has no version.
    #[error("the ring {0} has no version that could be shown")]
    NoVersion(RingName),
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
            Self::NoVersion(_) => "wait until its first version is published",
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
    let key = whole(value)?;
    match &artefact.make {
        Make::Value => Ok(SecretText::new(plain(key)?)),
        Make::Hmac(message) => Ok(hex(&tag(key, message)?)),
        Make::Jwt(claims) => token(key, value, claims, now_secs).map(SecretText::new),
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
    let key = whole(value)?;
    let accepted = || ring.versions().iter().filter_map(Value::material);
    let found = match &artefact.make {
        Make::Value => {
            let right = plain(key)?;
            let texts: Vec<_> = accepted().filter_map(|key| plain(key).ok()).collect();
            let is_wrong = |text: &Zeroizing<String>| {
                texts.iter().all(|accepted| accepted.as_str() != text.as_str())
            };
            let found = (0..CHANGES_MAX).filter_map(|nth| changed(&right, nth)).find(is_wrong);
            found.map(SecretText::new)
        }
        Make::Hmac(message) => {
            let right = tag(key, message)?;
            let tags: Vec<_> = accepted().filter_map(|key| tag(key, message).ok()).collect();
            flips(&right).find(|flipped| !tags.contains(flipped)).map(|tag| hex(&tag))
        }
        Make::Jwt(claims) => {
            let right = token(key, value, claims, now_secs)?;
            let parts = right.rsplit_once('.');
            let (signed, signature) = parts.ok_or(ArtefactError::Provider(value.number()))?;
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
            let signature = signature.map_err(|_| ArtefactError::Provider(value.number()))?;
            let is_wrong = |flipped: &Vec<u8>| {
                accepted().all(|key| !is_right(key, signed.as_bytes(), flipped))
            };
            flips(&signature).find(is_wrong).map(|signature| joined(signed, &signature))
        }
    };
    found.ok_or(ArtefactError::NothingWrong(value.number()))
}

fn whole(value: &Value) -> Result<&Material, ArtefactError> {
    value.material().ok_or(ArtefactError::OnlyHalf(value.number()))
}

/// The key as the text that an application reads.
fn plain(key: &Material) -> Result<Zeroizing<String>, ArtefactError> {
    let delivery = key.delivery(Use::Protect);
    match delivery.format() {
        DeliveryFormat::Text => Ok(Zeroizing::new(delivery.expose().to_owned())),
        _ => Err(ArtefactError::WrongKind("a value in a request")),
    }
}

fn tag(key: &Material, message: &str) -> Result<Vec<u8>, ArtefactError> {
    if !key.kind().is_symmetric() {
        return Err(ArtefactError::WrongKind("an HMAC"));
    }
    Ok(hs256(key, message.as_bytes()))
}

/// What an application computes that knows nothing of keywheel: the text or the bytes of the key
/// are the key.
fn hs256(key: &Material, message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    hmac::sign(&key, message).as_ref().to_vec()
}

/// A token as an application makes it. Applications use a secret as the key of HS256.
fn token(
    key: &Material,
    value: &Value,
    claims: &BTreeMap<String, Json>,
    now_secs: i64,
) -> Result<Zeroizing<String>, ArtefactError> {
    let signer = match key.kind() {
        Kind::Encryption { .. } => return Err(ArtefactError::WrongKind("a token")),
        Kind::Signing { .. } => Signer::of_material(key, value.kid()),
        Kind::Secret { .. } | Kind::External => Signer::of_shared_secret(key, value.kid()),
    };
    let mut payload: Map<String, Json> = claims.clone().into_iter().collect();
    payload.insert("iat".into(), now_secs.into());
    payload.insert("exp".into(), now_secs.saturating_add(TOKEN_LIFE_SECS).into());
    let payload = Json::Object(payload).to_string();
    let token = signer.and_then(|signer| signer.sign(payload.as_bytes()));
    token.map(Zeroizing::new).map_err(|_| ArtefactError::Provider(value.number()))
}

fn is_right(key: &Material, message: &[u8], signature: &[u8]) -> bool {
    match key.kind() {
        Kind::Signing { .. } => key.verify(message, signature).is_ok(),
        _ => hs256(key, message) == signature,
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

fn joined(signed: &str, signature: &[u8]) -> SecretText {
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

#[cfg(test)]
mod tests;
