//! Looks into a token without verifying it, for people who search for an error. Nothing that is
//! seen this way may be relied on.

use super::claims::Claims;
use super::compact::{self, Parts};
use super::error::TokenError;
use super::expected::MAX_TOKEN_BYTES;
use super::header::{self, Header};
use super::json;

/// What an unverified token says.
#[derive(Clone, Debug)]
pub struct Peeked {
    /// Its header: a JSON object.
    pub header: String,
    /// Its claims, when the payload holds some.
    pub claims: Result<Claims, TokenError>,
}

/// The kid that a token names, without verifying anything: to look for a key, or to count.
pub fn danger_kid(token: &[u8]) -> Option<Box<str>> {
    Header::read(Parts::split(token).ok()?.header).ok()?.kid
}

/// Reads header and claims of a token without verifying anything. The danger is in the name.
///
/// # Errors
/// When the token is not a compact JWS.
pub fn danger_peek(token: &[u8]) -> Result<Peeked, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong { bytes: token.len(), max_bytes: MAX_TOKEN_BYTES });
    }
    let parts = Parts::split(token)?;
    let header = header::decode(parts.header)?;
    json::scan(&header)?;
    let bad = TokenError::Malformed("its payload is not canonical base64url");
    let claims = compact::decode(parts.payload, bad).and_then(Claims::read);
    Ok(Peeked { header, claims })
}
