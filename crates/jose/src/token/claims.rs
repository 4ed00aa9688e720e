//! The claims of a token: its payload in one buffer, and where in it each claim stands. The types
//! of the registered claims (RFC 7519 section 4.1) are checked when they are read.

use std::borrow::Cow;

use keywheel_core::revocation::Facts;
use serde::de::DeserializeOwned;

use super::error::TokenError;
use super::json::{self, Members, Span, key_of};
use super::time::NumericDate;

/// Claims. Whether they were verified depends on where they come from: [`super::verify`] verifies
/// them, [`super::danger_peek`] does not.
#[derive(Clone, Debug)]
pub struct Claims {
    text: String,
    members: Members,
    registered: Registered,
}

#[derive(Clone, Copy, Debug, Default)]
struct Registered {
    issuer: Option<Span>,
    subject: Option<Span>,
    audience: Option<Span>,
    jti: Option<Span>,
    expires: Option<NumericDate>,
    not_before: Option<NumericDate>,
    issued_at: Option<NumericDate>,
}

impl Claims {
    /// Reads a JSON object as claims, for whoever is about to sign it.
    ///
    /// # Errors
    /// When it is not strictly a JSON object, or a registered claim has the wrong type.
    pub fn parse(json: &[u8]) -> Result<Self, TokenError> {
        Self::read(json.to_vec())
    }

    /// The same, and the text is not copied.
    ///
    /// # Errors
    /// As those of [`Claims::parse`].
    pub fn of_text(text: String) -> Result<Self, TokenError> {
        let members = json::scan(&text)?;
        let mut claims = Self { text, members, registered: Registered::default() };
        claims.registered.read(&claims.members, &claims.text)?;
        Ok(claims)
    }

    pub(super) fn read(payload: Vec<u8>) -> Result<Self, TokenError> {
        let text = String::from_utf8(payload)
            .map_err(|_| TokenError::Malformed("its payload is not UTF-8"))?;
        Self::of_text(text)
    }

    /// The claims as the token holds them: a JSON object.
    pub fn json(&self) -> &str {
        &self.text
    }

    /// The claims as JSON.
    pub fn into_json(self) -> String {
        self.text
    }

    /// Who issued the token (`iss`).
    pub fn issuer(&self) -> Option<Cow<'_, str>> {
        self.string(self.registered.issuer)
    }

    /// Whom the token is about (`sub`).
    pub fn subject(&self) -> Option<Cow<'_, str>> {
        self.string(self.registered.subject)
    }

    /// The name of the token (`jti`).
    pub fn jti(&self) -> Option<Cow<'_, str>> {
        self.string(self.registered.jti)
    }

    fn string(&self, span: Option<Span>) -> Option<Cow<'_, str>> {
        span?.string(&self.text)
    }

    /// Whom the token is meant for (`aud`): one, several or nobody in particular.
    pub fn audience(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let value = self.registered.audience.map(|span| span.of(&self.text));
        let one = self.string(self.registered.audience);
        let several = value.and_then(json::as_array).into_iter().flatten();
        one.into_iter().chain(several.filter_map(json::as_string))
    }

    /// When the token ends (`exp`).
    pub const fn expires(&self) -> Option<NumericDate> {
        self.registered.expires
    }

    /// When the token begins (`nbf`).
    pub const fn not_before(&self) -> Option<NumericDate> {
        self.registered.not_before
    }

    /// When the token was issued (`iat`).
    pub const fn issued_at(&self) -> Option<NumericDate> {
        self.registered.issued_at
    }

    /// Hands over what of the token matters for revocation; `kid` is that of the key that verified
    /// it.
    pub fn with_facts<T>(&self, kid: Option<&str>, ask: impl FnOnce(&Facts<'_>) -> T) -> T {
        let (jti, subject) = (self.jti(), self.subject());
        ask(&Facts {
            jti: jti.as_deref(),
            subject: subject.as_deref(),
            kid,
            issued_at: self.issued_at().map(NumericDate::floor),
        })
    }

    /// The JSON text of a claim.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.members.find(&self.text, name).map(|span| span.of(&self.text))
    }

    /// The text of a claim that is a string.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.raw(name).and_then(json::as_string)
    }

    /// How many claims there are.
    pub const fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.members.len() == 0
    }

    /// The names of all claims with the JSON text of each, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> {
        self.members.iter(&self.text).map(|(name, span)| (name, span.of(&self.text)))
    }

    /// The claims as the caller's own type.
    ///
    /// # Errors
    /// When they do not fit it.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.text)
    }

    pub(super) const fn has_audience(&self) -> bool {
        self.registered.audience.is_some()
    }
}

/// The JSON texts of the elements of an array that stands in claims; nothing where the value is no
/// array.
pub fn elements(value: &str) -> Option<impl Iterator<Item = &str>> {
    json::as_array(value)
}

impl Registered {
    /// Reads them in place.
    fn read(&mut self, members: &Members, text: &str) -> Result<(), TokenError> {
        const ISS: u64 = key_of("iss");
        const SUB: u64 = key_of("sub");
        const JTI: u64 = key_of("jti");
        const AUD: u64 = key_of("aud");
        const EXP: u64 = key_of("exp");
        const NBF: u64 = key_of("nbf");
        const IAT: u64 = key_of("iat");
        for member in members.each() {
            let span = member.value();
            match member.short_name(text) {
                ISS => self.issuer = Some(string("iss", span)?),
                SUB => self.subject = Some(string("sub", span)?),
                JTI => self.jti = Some(string("jti", span)?),
                AUD => self.audience = Some(audience(span, text)?),
                EXP => self.expires = Some(date("exp", span, text)?),
                NBF => self.not_before = Some(date("nbf", span, text)?),
                IAT => self.issued_at = Some(date("iat", span, text)?),
                _ => {}
            }
        }
        Ok(())
    }
}

fn string(name: &'static str, span: Span) -> Result<Span, TokenError> {
    if span.is_string() { Ok(span) } else { Err(TokenError::ClaimType(name)) }
}

fn date(name: &'static str, span: Span, text: &str) -> Result<NumericDate, TokenError> {
    NumericDate::read(span.of(text)).ok_or(TokenError::ClaimType(name))
}

fn audience(span: Span, text: &str) -> Result<Span, TokenError> {
    let names = || json::as_array(span.of(text));
    let are_strings = || names().is_some_and(|mut names| names.all(|name| name.starts_with('"')));
    let fits = span.is_string() || are_strings();
    if fits { Ok(span) } else { Err(TokenError::ClaimType("aud")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stand_as_they_were_written() {
        let found: Vec<_> = elements(r#"[ 1,"a,]" , [2, {"b":3}],null]"#).unwrap().collect();
        assert_eq!(found, ["1", r#""a,]""#, r#"[2, {"b":3}]"#, "null"]);
        assert_eq!(elements("[ ]").unwrap().count(), 0);
        assert!(elements(r#"{"a":1}"#).is_none() && elements("1").is_none());
        let claims = Claims::of_text(r#"{"a":1,"b":[]}"#.into()).unwrap();
        assert_eq!((claims.len(), claims.is_empty()), (2, false));
        assert!(Claims::of_text("{}".into()).unwrap().is_empty());
    }

    #[test]
    fn registered_claims_are_known_by_what_their_names_say() {
        let claims = Claims::parse(
            br#" { "\u0069ss" : "a", "iss\u0000" : 1, "issuer" : 2, "ex" : 3, "\u0065xp" : 5, "" : 6 } "#,
        );
        let claims = claims.unwrap();
        assert_eq!(claims.issuer().as_deref(), Some("a"));
        assert_eq!(claims.expires().map(NumericDate::floor), Some(5));
        assert_eq!(claims.raw("iss\0"), Some("1"));
        assert_eq!(claims.raw("iss"), Some("\"a\""));
        assert_eq!(claims.raw(""), Some("6"));
        assert_eq!(claims.raw("issuer"), Some("2"));
        assert_eq!(claims.raw("issue"), None);
        let wrong = Claims::parse(br#"{"\u0069ss":1}"#).err();
        assert_eq!(wrong, Some(TokenError::ClaimType("iss")));
    }
}
