//! Why a token was not accepted. The kinds are stable: callers, logs and the command line tell
//! refusals apart by them. No message quotes the token.

use std::borrow::Cow;

/// Why a token was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It is longer than is read.
    #[error("the token has {bytes} bytes, and at most {max_bytes} are read; make tokens smaller")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// It is not a compact JWS in its one canonical form, or not a JWT.
    #[error("the token is malformed: {0}; obtain a new one from its issuer")]
    Malformed(&'static str),
    /// A name stands twice in one of its JSON objects.
    #[error("the token says one thing twice, and readers differ in which they take; do not use it")]
    DuplicateName,
    /// Its algorithm is not the one that the key is bound to.
    #[error(
        "the algorithm of the token is not one of its key; make tokens with the algorithm of the \
         ring"
    )]
    Algorithm,
    /// No key has its kid.
    #[error("no accepted key has the kid of the token; obtain a new one from its issuer")]
    UnknownKid {
        /// The kid, as the token says it. It is a stranger's text.
        kid: Box<str>,
    },
    /// No key made its signature.
    #[error("the signature of the token is not valid; obtain a new one from its issuer")]
    Signature,
    /// It wants an extension to be understood that is not.
    #[error("the token needs an extension (`crit`) that is not supported; make it without")]
    Critical,
    /// Its `typ` is another one.
    #[error("the token is not of the expected type; present one that is meant for this use")]
    Type,
    /// It has ended.
    #[error("the token has expired; obtain a new one")]
    Expired,
    /// It has not begun.
    #[error("the token is not valid yet; wait, or compare the clocks of issuer and verifier")]
    NotYetValid,
    /// It says that it was issued later than now.
    #[error("the token was issued in the future; compare the clocks of issuer and verifier")]
    IssuedInFuture,
    /// A claim that is expected is not there.
    #[error("the token has no claim `{0}`, which is expected; let its issuer add it")]
    MissingClaim(Cow<'static, str>),
    /// Its issuer is another one.
    #[error("the token is of another issuer; obtain one from the expected issuer")]
    Issuer,
    /// It is meant for another audience.
    #[error("the token is meant for another audience; obtain one for this audience")]
    Audience,
    /// It is about another subject.
    #[error("the token is about another subject; obtain one for the expected subject")]
    Subject,
    /// A claim has another type than RFC 7519 gives it.
    #[error("the claim `{0}` has the wrong type; let the issuer write it as RFC 7519 does")]
    ClaimType(&'static str),
    /// It was revoked.
    #[error("the token was revoked; obtain a new one")]
    Revoked,
    /// Nobody knows whether it was revoked, and the ring's policy does not accept that.
    #[error(
        "what is known of revocations is too old; check that a keywheel server runs and is reached"
    )]
    RevocationsStale,
}

impl TokenError {
    /// The name of the refusal. Stable.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Malformed(_) => "malformed",
            Self::DuplicateName => "duplicate_name",
            Self::Algorithm => "algorithm",
            Self::UnknownKid { .. } => "unknown_kid",
            Self::Signature => "signature",
            Self::Critical => "critical",
            Self::Type => "typ",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::MissingClaim(_) => "missing_claim",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Subject => "subject",
            Self::ClaimType(_) => "claim_type",
            Self::Revoked => "revoked",
            Self::RevocationsStale => "revocations_stale",
        }
    }
}
