//! The header of a token (RFC 7515 section 4), read strictly. Keys that it brings along (`jwk`,
//! `jku`, `x5u`, `x5c`) are not looked at: a token does not say which keys to trust.

use std::borrow::Cow;

use super::algorithm::Algorithm;
use super::compact;
use super::error::TokenError;
use super::json::{self, Members};

/// The longest header that is read, in base64url.
const HEADER_CHARS_MAX: usize = 16 * 1024;

const BAD: TokenError = TokenError::Malformed("its header is not canonical base64url");
const NOT_UTF_8: TokenError = TokenError::Malformed("its header is not UTF-8");
const BAD_MEMBER: TokenError = TokenError::Malformed("a member of its header has the wrong type");
const NO_ALGORITHM: TokenError = TokenError::Malformed("its header has no `alg`");

/// What a header says.
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Box<str>>,
    pub(super) typ: Option<Box<str>>,
}

/// The JSON text of a header.
pub(super) fn decode(part: &[u8]) -> Result<String, TokenError> {
    if part.len() > HEADER_CHARS_MAX {
        return Err(TokenError::Malformed("its header is too long"));
    }
    String::from_utf8(compact::decode(part, BAD)?).map_err(|_| NOT_UTF_8)
}

impl Header {
    pub(super) fn read(part: &[u8]) -> Result<Self, TokenError> {
        let text = decode(part)?;
        let members = json::scan(&text)?;
        check_critical(&members, &text)?;
        let string = |name| match members.find(&text, name) {
            None => Ok(None),
            Some(value) => json::as_string(value.of(&text)).map(Some).ok_or(BAD_MEMBER),
        };
        let algorithm = string("alg")?.ok_or(NO_ALGORITHM)?;
        let algorithm = algorithm.parse().map_err(|_| TokenError::Algorithm)?;
        let boxed = |text: Cow<'_, str>| Box::from(text.as_ref());
        Ok(Self { algorithm, kid: string("kid")?.map(boxed), typ: string("typ")?.map(boxed) })
    }
}

/// RFC 7515 section 4.1.11, with the one extension that asks for nothing: a `b64` (RFC 7797) that
/// is true.
fn check_critical(members: &Members, text: &str) -> Result<(), TokenError> {
    let b64 = members.find(text, "b64").map(|value| value.of(text));
    if b64.is_some_and(|value| value != "true") {
        return Err(TokenError::Critical);
    }
    let Some(critical) = members.find(text, "crit") else { return Ok(()) };
    let names = json::as_array(critical.of(text)).ok_or(TokenError::Critical)?;
    let mut names = names.map(json::as_string);
    // An empty list is forbidden, and so is one that repeats itself.
    let is_b64 = |name: Option<Cow<'_, str>>| name.is_some_and(|name| name == "b64");
    let understood = names.next().is_some_and(is_b64) && names.next().is_none();
    if understood && b64.is_some() { Ok(()) } else { Err(TokenError::Critical) }
}

/// Whether a `typ` says the expected media type (RFC 7515 section 4.1.9: `application/` may be left
/// out when no other slash follows; media types do not distinguish cases).
pub(super) fn is_type(found: &str, expected: &str) -> bool {
    fn short(name: &str) -> &str {
        match name.split_at_checked("application/".len()) {
            Some((prefix, rest))
                if prefix.eq_ignore_ascii_case("application/") && !rest.contains('/') =>
            {
                rest
            }
            _ => name,
        }
    }
    short(found).eq_ignore_ascii_case(short(expected))
}
