//! What was revoked before its time: by token, by subject, by key, or by when it was issued.
//!
//! [`Revocation`] is one such statement. It is final: nothing takes one back, so a set only grows,
//! in any order and however often it is told the same, until what it names has expired.
//! [`RevocationSet`] is what a process asks before it accepts a token.
//!
//! Verifying the token comes first and is not done here; neither is keeping and spreading
//! revocations. Time and the key of the hash are arguments.

use serde::{Deserialize, Serialize};

use crate::id::Kid;
use crate::time::WallTime;

mod filter;
mod hash;
mod parts;
mod set;

pub use set::RevocationSet;

/// The most bytes of a `jti`, a subject or a `kid` that is revoked. A longer one would make the
/// record of revocations as large as whoever issues the tokens likes.
pub const TEXT_BYTES_MAX: usize = 512;

/// One thing that is revoked. Moments are whole seconds since the Unix epoch, as in a NumericDate.
///
/// ```
/// use keywheel_core::revocation::{Facts, Revocation, Revoked, RevocationSet};
///
/// let set = RevocationSet::new([7; 16]);
/// set.apply(&Revocation::jti("4f1c", 1_900_000_000)?);
/// let facts = Facts { jti: Some("4f1c"), ..Facts::default() };
/// assert_eq!(set.check(&facts), Some(Revoked::Jti));
/// # Ok::<(), keywheel_core::revocation::RevocationError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "by", rename_all = "snake_case", try_from = "Raw", into = "Raw")]
pub enum Revocation {
    /// One token.
    Jti {
        /// Its `jti`.
        jti: String,
        /// Its `exp`: afterwards it need not be remembered.
        expires: i64,
    },
    /// What a subject was given before a moment.
    Subject {
        /// Its `sub`.
        subject: String,
        /// Tokens with a smaller `iat`, or without one, are dead.
        issued_before: i64,
        /// When no such token can live any more.
        expires: i64,
    },
    /// What one version protected.
    Kid {
        /// Its `kid`.
        #[cfg_attr(feature = "schema", schemars(with = "String"))]
        kid: Kid,
        /// Only tokens with a smaller `iat`, or without one; all of them when absent.
        issued_before: Option<i64>,
    },
    /// Everything of the ring that was issued before a moment.
    IssuedBefore {
        /// Tokens with a smaller `iat`, or without one, are dead.
        at: i64,
    },
}

/// A revocation as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
enum Raw {
    Jti {
        jti: String,
        expires: i64,
    },
    Subject {
        subject: String,
        issued_before: i64,
        expires: i64,
    },
    Kid {
        kid: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issued_before: Option<i64>,
    },
    IssuedBefore {
        at: i64,
    },
}

/// Text that cannot be revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// There is nothing in it.
    #[error("{field}: it is empty; name what is to be revoked")]
    Empty {
        /// Which field.
        field: &'static str,
    },
    /// It is longer than a record of it may be.
    #[error(
        "{field}: it has {bytes} bytes, and at most {TEXT_BYTES_MAX} can be revoked by name; \
         revoke all that was issued before a moment instead"
    )]
    TooLong {
        /// Which field.
        field: &'static str,
        /// How many bytes it has.
        bytes: usize,
    },
}

impl Revocation {
    /// Revokes one token.
    ///
    /// # Errors
    /// When the `jti` is empty or too long.
    pub fn jti(jti: impl Into<String>, expires: i64) -> Result<Self, RevocationError> {
        Self::try_from(Raw::Jti { jti: jti.into(), expires })
    }

    /// Revokes what a subject was given before a moment.
    ///
    /// # Errors
    /// When the subject is empty or too long.
    pub fn subject(
        subject: impl Into<String>,
        issued_before: i64,
        expires: i64,
    ) -> Result<Self, RevocationError> {
        Self::try_from(Raw::Subject { subject: subject.into(), issued_before, expires })
    }

    /// Revokes what one version protected, all of it or until a moment.
    ///
    /// # Errors
    /// When the `kid` is empty or too long.
    pub fn kid(kid: Kid, issued_before: Option<i64>) -> Result<Self, RevocationError> {
        Self::try_from(Raw::Kid { kid: kid.0, issued_before })
    }

    /// The hour, counted from the epoch, in which it may be forgotten; nothing for those that name
    /// no moment of expiry. One to two hours lie between the expiry and the beginning of that hour,
    /// because a verifier with a leeway accepts what has expired.
    pub fn forgotten_in(&self) -> Option<u32> {
        match self {
            Self::Jti { expires, .. } | Self::Subject { expires, .. } => Some(forget_in(*expires)),
            Self::Kid { .. } | Self::IssuedBefore { .. } => None,
        }
    }

    /// Whether it may be forgotten now.
    pub fn is_over(&self, now: i64) -> bool {
        self.forgotten_in().is_some_and(|hour| hour <= hour_of(now))
    }
}

impl TryFrom<Raw> for Revocation {
    type Error = RevocationError;

    fn try_from(raw: Raw) -> Result<Self, RevocationError> {
        Ok(match raw {
            Raw::Jti { jti, expires } => Self::Jti { jti: bounded("jti", jti)?, expires },
            Raw::Subject { subject, issued_before, expires } => {
                Self::Subject { subject: bounded("subject", subject)?, issued_before, expires }
            }
            Raw::Kid { kid, issued_before } => {
                Self::Kid { kid: Kid(bounded("kid", kid)?), issued_before }
            }
            Raw::IssuedBefore { at } => Self::IssuedBefore { at },
        })
    }
}

impl From<Revocation> for Raw {
    fn from(settled: Revocation) -> Self {
        match settled {
            Revocation::Jti { jti, expires } => Self::Jti { jti, expires },
            Revocation::Subject { subject, issued_before, expires } => {
                Self::Subject { subject, issued_before, expires }
            }
            Revocation::Kid { kid, issued_before } => Self::Kid { kid: kid.0, issued_before },
            Revocation::IssuedBefore { at } => Self::IssuedBefore { at },
        }
    }
}

fn bounded(field: &'static str, text: String) -> Result<String, RevocationError> {
    match text.len() {
        0 => Err(RevocationError::Empty { field }),
        1..=TEXT_BYTES_MAX => Ok(text),
        bytes => Err(RevocationError::TooLong { field, bytes }),
    }
}

/// What of a token matters for revocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Its `jti`.
    pub jti: Option<&'a str>,
    /// Its `sub`.
    pub subject: Option<&'a str>,
    /// The `kid` of the version that it was verified with.
    pub kid: Option<&'a str>,
    /// Its `iat`, a fraction of a second cut off.
    pub issued_at: Option<i64>,
}

/// Why a token is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It itself was revoked.
    Jti,
    /// Its subject was, for what was issued before then.
    Subject {
        /// That moment.
        issued_before: i64,
    },
    /// Its key was.
    Kid,
    /// Everything was that was issued before then.
    IssuedBefore {
        /// That moment.
        at: i64,
    },
}

impl Revoked {
    /// A stable name, for answers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jti => "jti",
            Self::Subject { .. } => "subject",
            Self::Kid => "kid",
            Self::IssuedBefore { .. } => "issued_before",
        }
    }
}

/// The `issued_before` that kills whatever exists now. `iat` has whole seconds, so the whole
/// present second counts: a token issued later within it is dead too, and none that exists lives.
pub fn everything_until(now: WallTime) -> i64 {
    now.seconds().saturating_add(1)
}

const HOUR_SECS: i64 = 3_600;

fn hour_of(secs: i64) -> u32 {
    let hour = secs.div_euclid(HOUR_SECS).max(0);
    u32::try_from(hour).unwrap_or(u32::MAX)
}

fn forget_in(expires: i64) -> u32 {
    hour_of(expires).saturating_add(2)
}
