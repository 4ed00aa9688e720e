//! The one way in which a token is verified: find its key, check its signature, and only then look
//! at what it says.

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::compact::{self, Parts};
use super::error::TokenError;
use super::expected::{Expected, MAX_TOKEN_BYTES};
use super::header::Header;
use super::key::{Binding, KNOWN_TYPE, TokenKey};
use super::set::Keys;
use super::time::UnixSeconds;

/// How many keys are tried for a token that does not name its key.
const TRIES_MAX: usize = 4;

const BAD_PAYLOAD: TokenError = TokenError::Malformed("its payload is not canonical base64url");

/// A token that was verified.
pub struct Verified<'k> {
    /// The key that made it.
    pub key: &'k TokenKey,
    /// What it says.
    pub claims: Claims,
}

/// Verifies a compact JWT: its key by `kid`, its signature, its claims.
///
/// A token that does not name its key is tried with the first four that `keys` offers; one that
/// names a key that is not there is refused without a try.
///
/// # Errors
/// The first reason not to accept the token.
pub fn verify<'k, K: Keys + ?Sized>(
    token: &[u8],
    keys: &'k K,
    expected: &Expected,
    now: UnixSeconds,
) -> Result<Verified<'k>, TokenError> {
    expected.check_length(token)?;
    let (key, parts) = check_signature(token, keys, Some(expected))?;
    let claims = Claims::read(compact::decode(parts.payload, BAD_PAYLOAD)?)?;
    expected.check(&claims, now)?;
    Ok(Verified { key, claims })
}

/// Verifies a compact JWS whose payload may be anything. See [`verify`] for how the key is found.
pub mod jws {
    use super::{
        BAD_PAYLOAD, Keys, MAX_TOKEN_BYTES, TokenError, TokenKey, check_signature, compact,
    };

    /// A JWS that was verified.
    pub struct Verified<'k> {
        /// The key that made it.
        pub key: &'k TokenKey,
        /// What it holds.
        pub payload: Vec<u8>,
    }

    /// Verifies a compact JWS of at most [`MAX_TOKEN_BYTES`].
    ///
    /// # Errors
    /// The first reason not to accept it.
    pub fn verify<'k, K: Keys + ?Sized>(
        token: &[u8],
        keys: &'k K,
    ) -> Result<Verified<'k>, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong { bytes: token.len(), max_bytes: MAX_TOKEN_BYTES });
        }
        let (key, parts) = check_signature(token, keys, None)?;
        let payload = compact::decode(parts.payload, BAD_PAYLOAD)?;
        Ok(Verified { key, payload })
    }
}

/// Finds the key of a token and checks its signature with it.
fn check_signature<'k, 't, K: Keys + ?Sized>(
    token: &'t [u8],
    keys: &'k K,
    expected: Option<&Expected>,
) -> Result<(&'k TokenKey, Parts<'t>), TokenError> {
    if let Some((key, binding, header_bytes)) = by_header(token, keys) {
        if let Some(expected) = expected {
            expected.check_algorithm(binding.algorithm)?;
            expected.check_type(Some(KNOWN_TYPE))?;
        }
        let parts = Parts::split_behind(token, header_bytes)?;
        compact::with_signature(parts.signature, |bytes| binding.check(parts.signed, bytes))?;
        return Ok((key, parts));
    }
    let parts = Parts::split(token)?;
    let header = Header::read(parts.header)?;
    if let Some(expected) = expected {
        expected.check_algorithm(header.algorithm)?;
        expected.check_type(header.typ.as_deref())?;
    }
    let key = compact::with_signature(parts.signature, |signature| match header.kid {
        Some(kid) => match keys.by_kid(&kid) {
            Some(key) => {
                let binding = key.binding(header.algorithm).ok_or(TokenError::Algorithm)?;
                binding.check(parts.signed, signature).map(|()| key)
            }
            None => Err(TokenError::UnknownKid { kid }),
        },
        None => try_some(keys, header.algorithm, parts.signed, signature),
    })?;
    Ok((key, parts))
}

/// The key that is known by the very bytes with which the token begins: the fast path, on which no
/// header is parsed.
fn by_header<'k, K: Keys + ?Sized>(
    token: &[u8],
    keys: &'k K,
) -> Option<(&'k TokenKey, &'k Binding, usize)> {
    keys.without_kid().take(TRIES_MAX).find_map(|key| {
        let known = |binding: &'k Binding| Some((key, binding, binding.known_header(token)?));
        key.bindings().iter().find_map(known)
    })
}

/// Tries the keys of this algorithm until one made the signature.
fn try_some<'k, K: Keys + ?Sized>(
    keys: &'k K,
    algorithm: Algorithm,
    signed: &[u8],
    signature: &[u8],
) -> Result<&'k TokenKey, TokenError> {
    let mut outcome = TokenError::Algorithm;
    for key in keys.without_kid().take(TRIES_MAX) {
        let Some(binding) = key.binding(algorithm) else { continue };
        match binding.check(signed, signature) {
            Ok(()) => return Ok(key),
            Err(error) => outcome = error,
        }
    }
    Err(outcome)
}
