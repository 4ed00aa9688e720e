//! What a token must say to be accepted. What is expected is required: a token without the claim
//! is refused like one that says something else.

use std::borrow::Cow;

use keywheel_core::time::Span;

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::error::TokenError;
use super::header::is_type;
use super::time::UnixSeconds;

/// The longest token that is read unless the caller says something else.
pub const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// What a token must say. Unless told otherwise: an `exp` that has not come, an `nbf` and an `iat`
/// that have, without any leeway.
///
/// ```
/// use keywheel_core::time::Span;
/// use keywheel_jose::token::Expected;
///
/// let expected = Expected::new()
///     .issuer("https://login.example")
///     .audience("orders")
///     .leeway(Span::from_secs(5));
/// # let _ = expected;
/// ```
#[derive(Clone, Debug)]
pub struct Expected {
    issuers: Vec<String>,
    audiences: Vec<String>,
    subject: Option<String>,
    required: Vec<Cow<'static, str>>,
    leeway_secs: i64,
    typ: Option<String>,
    algorithm: Option<Algorithm>,
    max_token_bytes: usize,
}

impl Default for Expected {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            subject: None,
            required: vec![Cow::Borrowed("exp")],
            leeway_secs: 0,
            typ: None,
            algorithm: None,
            max_token_bytes: MAX_TOKEN_BYTES,
        }
    }
}

impl Expected {
    /// Expects an `exp` that has not come, and nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects this issuer, or another one that was named.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Expects the token to be meant for this audience, or another one that was named.
    #[must_use]
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Expects this subject.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Expects these claims to be there, whatever they say, in place of `exp`, which is expected
    /// otherwise.
    #[must_use]
    pub fn require<N: Into<Cow<'static, str>>>(
        mut self,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        self.required = names.into_iter().map(Into::into).collect();
        self
    }

    /// How far the clocks of issuer and verifier may be apart. None unless set.
    #[must_use]
    pub fn leeway(mut self, leeway: Span) -> Self {
        self.leeway_secs = i64::try_from(leeway.as_millis() / 1000).unwrap_or(i64::MAX);
        self
    }

    /// Expects this media type in the header (RFC 8725 section 3.11), such as `at+jwt`.
    #[must_use]
    pub fn typ(mut self, typ: impl Into<String>) -> Self {
        self.typ = Some(typ.into());
        self
    }

    /// Accepts no other algorithm, even when a key is bound to it.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Reads no longer token; [`MAX_TOKEN_BYTES`] unless set.
    #[must_use]
    pub fn max_token_bytes(mut self, max_bytes: usize) -> Self {
        self.max_token_bytes = max_bytes;
        self
    }

    pub(super) fn check_length(&self, token: &[u8]) -> Result<(), TokenError> {
        let (bytes, max_bytes) = (token.len(), self.max_token_bytes);
        if bytes > max_bytes { Err(TokenError::TooLong { bytes, max_bytes }) } else { Ok(()) }
    }

    pub(super) fn check_algorithm(&self, algorithm: Algorithm) -> Result<(), TokenError> {
        match self.algorithm {
            Some(expected) if expected != algorithm => Err(TokenError::Algorithm),
            _ => Ok(()),
        }
    }

    pub(super) fn check_type(&self, found: Option<&str>) -> Result<(), TokenError> {
        match &self.typ {
            Some(expected) if !found.is_some_and(|found| is_type(found, expected)) => {
                Err(TokenError::Type)
            }
            _ => Ok(()),
        }
    }

    /// Holds claims against what is expected of them.
    ///
    /// # Errors
    /// The first thing that is wrong: times, then what is missing, then what says something else.
    pub fn check(&self, claims: &Claims, now: UnixSeconds) -> Result<(), TokenError> {
        self.check_times(claims, now)?;
        for name in &self.required {
            let is_there = match name.as_ref() {
                "exp" => claims.expires().is_some(),
                name => claims.raw(name).is_some_and(|value| value != "null"),
            };
            if !is_there {
                return Err(TokenError::MissingClaim(name.clone()));
            }
        }
        if !self.issuers.is_empty() {
            let issuer = claims.issuer().ok_or(TokenError::MissingClaim("iss".into()))?;
            if !self.issuers.iter().any(|expected| *expected == issuer) {
                return Err(TokenError::Issuer);
            }
        }
        if let Some(expected) = &self.subject {
            let subject = claims.subject().ok_or(TokenError::MissingClaim("sub".into()))?;
            if *expected != subject {
                return Err(TokenError::Subject);
            }
        }
        if !self.audiences.is_empty() {
            if !claims.has_audience() {
                return Err(TokenError::MissingClaim("aud".into()));
            }
            let is_meant = |found: Cow<'_, str>| self.audiences.iter().any(|name| *name == found);
            if !claims.audience().any(is_meant) {
                return Err(TokenError::Audience);
            }
        }
        Ok(())
    }

    fn check_times(&self, claims: &Claims, now: UnixSeconds) -> Result<(), TokenError> {
        let (early, late) =
            (now.0.saturating_sub(self.leeway_secs), now.0.saturating_add(self.leeway_secs));
        if claims.expires().is_some_and(|expires| expires.ceil() <= early) {
            return Err(TokenError::Expired);
        }
        if claims.not_before().is_some_and(|begins| begins.ceil() > late) {
            return Err(TokenError::NotYetValid);
        }
        // The caller's clock shows whole seconds, so a token of this very second is not of the
        // future.
        if claims.issued_at().is_some_and(|issued| issued.floor() > late) {
            return Err(TokenError::IssuedInFuture);
        }
        Ok(())
    }
}
