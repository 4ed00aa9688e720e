//! Tokens of a ring: verified against every version that this process holds, signed with the
//! primary. The rules stand in `keywheel_jose::token`; here the keys, the clock and the counts come
//! to them.

use std::sync::Arc;

use keywheel_core::revocation::Revoked;
use keywheel_jose::UseError;
use keywheel_jose::token::{
    Claims, Expected, HeaderMembers, IssueError, Keys, Signer, Terms, TokenError, TokenKey,
    UnixSeconds, complete, danger_kid, verify,
};

use crate::client::RingHandle;
use crate::clock::wall_millis;
use crate::error::{ClientError, ProcessError, ProtectError, RevocationCheckError};
use crate::keyset::{Keyset, Version};
use crate::random;
use crate::revocations;

/// A token that was verified.
pub struct VerifiedToken {
    /// The version that made it.
    pub version: Arc<Version>,
    /// What it says.
    pub claims: Claims,
}

/// Why a token was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenRefusal {
    /// The client cannot do its work.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The token is not acceptable.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl TokenRefusal {
    /// The name of the refusal. Stable; see [`TokenError::kind`].
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Client(_) => "unavailable",
            Self::Token(error) => error.kind(),
        }
    }
}

/// Why no token was made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// Nothing may be protected now.
    #[error(transparent)]
    Protect(#[from] ProtectError),
    /// The claims cannot become a token.
    #[error(transparent)]
    Claims(#[from] IssueError),
    /// The ring's keys sign no tokens.
    #[error("the keys of this ring sign no tokens; use a ring of the kind `signing`")]
    WrongKind,
}

impl Keys for Keyset {
    fn by_kid(&self, kid: &str) -> Option<&TokenKey> {
        Self::by_kid(self, kid).and_then(|version| version.token_key.as_ref())
    }

    fn without_kid(&self) -> impl Iterator<Item = &TokenKey> {
        self.in_order_of_trial().filter_map(|version| version.token_key.as_ref())
    }
}

fn now() -> UnixSeconds {
    UnixSeconds(wall_millis().div_euclid(1_000))
}

impl RingHandle {
    /// Verifies a compact JWT against every version that this process holds, asks whether it was
    /// revoked, and counts it. A kid that is not known makes the client ask the server, though not
    /// too often.
    ///
    /// # Errors
    /// The first reason not to accept the token; or when nothing has arrived.
    pub fn verify_token(
        &self,
        token: &[u8],
        expected: &Expected,
    ) -> Result<VerifiedToken, TokenRefusal> {
        let mut keyset = self.current()?;
        let (version, claims) = match verify_with(&keyset, token, expected) {
            // This counts the kid where nobody knows it, so that a report names it.
            Err(TokenError::UnknownKid { kid }) => match self.refresh_for_unknown(&kid) {
                Ok(_) => {
                    keyset = self.current()?;
                    verify_with(&keyset, token, expected)?
                }
                Err(ProcessError::Client(error)) => return Err(error.into()),
                Err(_) => return Err(TokenError::UnknownKid { kid }.into()),
            },
            outcome => outcome?,
        };
        let verified = VerifiedToken { version: Arc::clone(version), claims };
        self.check_revocation(&keyset, &verified)?;
        verified.version.processed(1);
        Ok(verified)
    }

    /// The claims of a token, where that takes microseconds and waits for nothing: nothing where a
    /// key is not symmetric, for a kid that nobody here knows, and while it is not known what is
    /// revoked.
    pub fn verify_token_at_once(
        &self,
        token: &[u8],
        expected: &Expected,
    ) -> Option<Result<Claims, TokenRefusal>> {
        self.look(|slot, keyset| {
            if !keyset.is_symmetric() || !slot.was_revocation_attempted() {
                return None;
            }
            let (version, claims) = match verify_with(keyset, token, expected) {
                Err(TokenError::UnknownKid { .. }) => return None,
                Err(error) => return Some(Err(error.into())),
                Ok(verified) => verified,
            };
            let known = claims.with_facts(Some(&version.kid().0), |facts| {
                revocations::check(slot, keyset, facts)
            });
            Some(is_alive(known.map_err(Into::into)).map(|()| {
                version.processed(1);
                claims
            }))
        })
        .flatten()
    }

    fn check_revocation(
        &self,
        keyset: &Keyset,
        verified: &VerifiedToken,
    ) -> Result<(), TokenRefusal> {
        let VerifiedToken { version, claims } = verified;
        let known =
            claims.with_facts(Some(&version.kid().0), |facts| self.is_revoked_in(keyset, facts));
        is_alive(known)
    }

    /// Makes a compact JWT with the primary. `claims` is a JSON object; `jti` (128 random bits),
    /// `iat` and `exp` are added where they are missing, and `kid` stands in the header. Where the
    /// ring keeps a ledger, the token is reported to it.
    ///
    /// # Errors
    /// When nothing may be protected, or the claims live longer than what was promised for the
    /// primary.
    pub fn sign_token(&self, claims: &[u8]) -> Result<String, SignError> {
        let claims = Claims::parse(claims).map_err(IssueError::Claims)?;
        self.make_token(claims, Signer::sign)
    }

    /// The same with more members in the header, a `typ` for example.
    ///
    /// # Errors
    /// Those of [`RingHandle::sign_token`].
    pub fn sign_token_with(
        &self,
        members: &HeaderMembers,
        claims: &[u8],
    ) -> Result<String, SignError> {
        let claims = Claims::parse(claims).map_err(IssueError::Claims)?;
        self.make_token(claims, |signer, claims| signer.sign_with(members, claims))
    }

    /// The same for a text that need not be copied.
    ///
    /// # Errors
    /// As those of [`RingHandle::sign_token`].
    pub fn sign_token_text(&self, claims: String) -> Result<String, SignError> {
        let claims = Claims::of_text(claims).map_err(IssueError::Claims)?;
        self.make_token(claims, Signer::sign)
    }

    /// Whether every key that is held is symmetric, so that using one takes a microsecond; nothing
    /// where nothing is held yet.
    pub fn is_symmetric(&self) -> Option<bool> {
        self.look(|_, keyset| keyset.is_symmetric())
    }

    fn make_token(
        &self,
        claims: Claims,
        sign: impl FnOnce(&Signer, &[u8]) -> Result<String, UseError>,
    ) -> Result<String, SignError> {
        let guard = self.guard()?;
        // Forks are noticed from the first guard on, which the random bytes rest on.
        let jti = if claims.jti().is_some() { [0; 16] } else { random::name() };
        let terms = Terms { now: now(), longest_lifetime: guard.longest_lifetime(), jti };
        let completed = complete(claims, &terms)?;
        let signer = guard.signer().ok_or(SignError::WrongKind)?;
        let token = sign(signer, completed.json.as_bytes()).map_err(ProtectError::from)?;
        if guard.keyset().ledger {
            let kid = Some(guard.kid());
            self.issued(&completed.jti, completed.expires, kid).map_err(ProtectError::from)?;
        }
        Ok(token)
    }
}

/// What the look for a revocation says of a token.
fn is_alive(known: Result<Option<Revoked>, RevocationCheckError>) -> Result<(), TokenRefusal> {
    match known {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(TokenError::Revoked.into()),
        Err(RevocationCheckError::Client(error)) => Err(error.into()),
        Err(RevocationCheckError::Stale(_)) => Err(TokenError::RevocationsStale.into()),
    }
}

fn verify_with<'k>(
    keyset: &'k Keyset,
    token: &[u8],
    expected: &Expected,
) -> Result<(&'k Arc<Version>, Claims), TokenError> {
    let verified = verify(token, keyset, expected, now()).inspect_err(|error| {
        // Only what a version did not sign counts against it; what has expired was its own.
        if matches!(error, TokenError::Signature | TokenError::Algorithm) {
            count_rejected(keyset, token);
        }
    })?;
    let made_it = |version: &&Arc<Version>| {
        version.token_key.as_ref().is_some_and(|key| std::ptr::eq(key, verified.key))
    };
    let version = keyset.versions().iter().find(made_it).ok_or(TokenError::Signature)?;
    Ok((version, verified.claims))
}

#[cold]
fn count_rejected(keyset: &Keyset, token: &[u8]) {
    if let Some(version) = danger_kid(token).and_then(|kid| keyset.by_kid(&kid).cloned()) {
        version.rejected(1);
    }
}
