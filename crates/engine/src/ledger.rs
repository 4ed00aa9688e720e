//! The ledger of a ring: which tokens were issued and have not expired, also by other libraries, so
//! that an application which asks for membership itself can be given every one of them.
//!
//! It is written by report and is as complete as the reports are; for "everything" without such a
//! doubt there are `kid` and `issued_before`.

use keywheel_core::id::{Kid, RingName};
use keywheel_core::revocation::{Revocation, RevocationError};
use keywheel_core::time::WallTime;
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::ports::{Commit, CommitError, Write};
use crate::ring_log::{Entry, Numbered, RingLog};
use crate::rings::TRIES_MAX;
use crate::verbs::Context;

/// The most tokens of one report.
pub const ISSUED_MAX: usize = 4_096;

/// The most tokens that one ledger keeps.
const ENTRIES_MAX: u64 = 1_000_000;

/// How many records are moved into the log of revocations at once: each has up to 2,000 tokens.
const MOVED_RECORDS: usize = 4;

pub(crate) const LOG: RingLog<IssuedToken> = RingLog::new("issued", "issued-head");

/// A token that was issued.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IssuedToken {
    jti: String,
    expires: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kid: Option<Kid>,
    /// When it was reported, in seconds since the epoch.
    reported: i64,
}

/// A token as it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Its `jti`.
    pub jti: String,
    /// Its `exp`.
    pub expires: i64,
    /// The version that signed it, where the reporter knows.
    pub kid: Option<Kid>,
}

impl IssuedToken {
    fn revocation(&self) -> Result<Revocation, RevocationError> {
        Revocation::jti(self.jti.clone(), self.expires)
    }
}

impl Entry for IssuedToken {
    fn is_over(&self, now: i64) -> bool {
        self.revocation().is_ok_and(|revocation| revocation.is_over(now))
    }
}

/// Which tokens are spared when a ledger is revoked: those of a new primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spared {
    pub(crate) kid: Kid,
    /// Of those whose signer is not known, what was reported since then.
    pub(crate) since: WallTime,
}

impl Spared {
    fn covers(&self, token: &IssuedToken) -> bool {
        match &token.kid {
            Some(kid) => *kid == self.kid,
            None => token.reported >= self.since.seconds(),
        }
    }
}

impl Engine {
    /// Writes down tokens that were issued.
    ///
    /// # Errors
    /// When the ring keeps no ledger, a `jti` cannot be revoked, there are too many, or the store
    /// does not take it.
    pub fn record_issued(&self, ring: &RingName, issued: &[Issued]) -> Result<(), EngineError> {
        let own = self.present_ring(ring)?;
        let invalid = |field: &str, cause: String, remedy: &str| EngineError::Invalid {
            field: field.into(),
            cause,
            remedy: remedy.into(),
        };
        if !own.policy.ledger {
            return Err(invalid(
                "ring",
                format!("ring {ring} keeps no ledger of what was issued"),
                "Set ledger = true in its policy",
            ));
        }
        if issued.is_empty() || issued.len() > ISSUED_MAX {
            let cause = format!("{} tokens were named", issued.len());
            return Err(invalid("issued", cause, "Name 1 to 4096 in one call"));
        }
        let now = self.clock.wall().seconds();
        let mut tokens = Vec::with_capacity(issued.len());
        for one in issued {
            let token = IssuedToken {
                jti: one.jti.clone(),
                expires: one.expires,
                kid: one.kid.clone(),
                reported: now,
            };
            token.revocation().map_err(|error| {
                invalid("issued", error.to_string(), "Issue tokens with a shorter jti")
            })?;
            if !token.is_over(now) {
                tokens.push(token);
            }
        }
        self.append_issued(ring, &tokens)
    }

    fn append_issued(&self, ring: &RingName, tokens: &[IssuedToken]) -> Result<(), EngineError> {
        for _ in 0..TRIES_MAX {
            let (mut head, was) = LOG.head(&self.records, ring)?;
            if head.entries.saturating_add(tokens.len() as u64) > ENTRIES_MAX {
                return Err(EngineError::TooMany(format!(
                    "the ledger of ring {ring} has {} tokens, and at most {ENTRIES_MAX} are kept; \
                     let tokens expire sooner, or revoke by kid or issued_before",
                    head.entries
                )));
            }
            let writes = LOG.append(&self.records, ring, &mut head, was, tokens)?;
            match self.records.store.commit(&Commit { fence: None, writes }) {
                Ok(_) => return Ok(()),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(EngineError::Contended(format!("the ledger of {ring}")))
    }

    /// Revokes every token of the ledger and empties it, in several steps; one that is interrupted
    /// is gone on with by doing it again. Returns how many were revoked.
    ///
    /// # Errors
    /// When there is no such ring, there are too many, or the store does not take it.
    pub fn revoke_issued(&self, ring: &RingName, context: &Context) -> Result<usize, EngineError> {
        self.present_ring(ring)?;
        self.revoke_issued_but(ring, None, context)
    }

    pub(crate) fn revoke_issued_but(
        &self,
        ring: &RingName,
        spared: Option<&Spared>,
        context: &Context,
    ) -> Result<usize, EngineError> {
        let (mut revoked, mut after, mut restarts) = (0, 0, 0);
        loop {
            let page = LOG.page(&self.records, ring, after, MOVED_RECORDS)?;
            let Some(last) = page.last() else { return Ok(revoked) };
            after = last.number;
            let is_spared = |token: &IssuedToken| spared.is_some_and(|spared| spared.covers(token));
            let dead: Vec<_> = page
                .iter()
                .flat_map(|record| &record.entries)
                .filter(|token| !is_spared(token))
                .filter_map(|token| token.revocation().ok())
                .collect();
            if dead.is_empty() {
                continue;
            }
            // A record with a spared token in it stays: to revoke the others again is harmless.
            let gone: Vec<_> =
                page.into_iter().filter(|record| !record.entries.iter().any(is_spared)).collect();
            let beside = |engine: &Self| {
                let writes = engine.removal(ring, &gone)?;
                Ok((writes, serde_json::json!("ledger")))
            };
            match self.revoke_with(ring, &dead, "revoked", context, beside) {
                Ok(recorded) => revoked += recorded.count,
                // The ledger changed under it; what is left is read again.
                Err(EngineError::Contended(_)) if restarts < TRIES_MAX => {
                    (after, restarts) = (0, restarts + 1);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn removal(
        &self,
        ring: &RingName,
        gone: &[Numbered<IssuedToken>],
    ) -> Result<Vec<Write>, EngineError> {
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let (mut head, was) = LOG.head(&self.records, ring)?;
        let mut writes = RingLog::remove(&mut head, gone);
        head.changes = head.changes.saturating_add(1);
        writes.push(LOG.head_write(&self.records, ring, &head, was)?);
        Ok(writes)
    }

    /// How many tokens the ledger of a ring has.
    ///
    /// # Errors
    /// When the store does not answer, or holds something that is not believed.
    pub fn ledger_len(&self, ring: &RingName) -> Result<u64, EngineError> {
        Ok(LOG.head(&self.records, ring)?.0.entries)
    }
}
