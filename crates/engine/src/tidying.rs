//! What whoever leads does once in an hour: the logs of revocations and of issued tokens lose what
//! is over, their small records are merged, and those of deleted rings go.

use keywheel_core::id::RingName;

use crate::engine::{Engine, lock};
use crate::error::EngineError;
use crate::ledger;
use crate::ports::{Commit, CommitError, Key};
use crate::revocations;
use crate::ring_log::{Entry, RingLog};

/// How many records are tidied in one round, so that the lease is renewed between rounds.
const ROUND_RECORDS: usize = 32;

/// Where the hourly tidying of both kinds of logs stands.
#[derive(Default)]
pub(crate) struct Tidying {
    /// The hour that is or was tidied.
    hour: i64,
    /// The last key that was looked at, of each kind; nothing when it is done.
    stage: Stage,
}

#[derive(Default)]
enum Stage {
    Revocations(Option<Key>),
    Issued(Option<Key>),
    #[default]
    Done,
}

impl Engine {
    /// Goes on with what whoever leads does once in an hour: logs lose what is over, and their
    /// small records are merged.
    pub(crate) fn tidy_logs(&self) -> Result<(), EngineError> {
        let now = self.clock.wall().seconds();
        let mut tidying = lock(&self.tidying);
        let hour = now.div_euclid(3_600);
        if matches!(tidying.stage, Stage::Done) {
            if tidying.hour == hour {
                return Ok(());
            }
            *tidying = Tidying { hour, stage: Stage::Revocations(None) };
        }
        let next = match &tidying.stage {
            Stage::Revocations(after) => {
                self.tidy_page(&revocations::LOG, after.as_ref(), now).map(|after| {
                    after.map_or(Stage::Issued(None), |key| Stage::Revocations(Some(key)))
                })
            }
            Stage::Issued(after) => self
                .tidy_page(&ledger::LOG, after.as_ref(), now)
                .map(|after| after.map_or(Stage::Done, |key| Stage::Issued(Some(key)))),
            Stage::Done => Ok(Stage::Done),
        };
        tidying.stage = match next {
            // What is not believed stays as it is, and keeps nothing else up.
            Err(error @ EngineError::Distrusted { .. }) => {
                tracing::error!(cause = %error, "the logs cannot be tidied");
                Stage::Done
            }
            next => next?,
        };
        Ok(())
    }

    fn tidy_page<E: Entry>(
        &self,
        log: &RingLog<E>,
        after: Option<&Key>,
        now: i64,
    ) -> Result<Option<Key>, EngineError> {
        let (page, last) = log.sweep(&self.records, after, ROUND_RECORDS)?;
        for records in page.chunk_by(|a, b| a.ring == b.ring) {
            let Some(ring) = records.first().map(|record| &record.ring) else { continue };
            let deleted = match self.present_ring(ring) {
                Ok(_) => false,
                Err(EngineError::NotFound { .. }) => true,
                // Whether the ring still is there is not known; its log stays.
                Err(EngineError::Distrusted { .. }) => continue,
                Err(error) => return Err(error),
            };
            let (mut head, was) = log.head(&self.records, ring)?;
            let is_over = |entry: &E| deleted || entry.is_over(now);
            let mut writes = RingLog::tidy(&self.records, &mut head, records, is_over)?;
            if writes.is_empty() {
                continue;
            }
            head.changes = head.changes.saturating_add(1);
            writes.insert(0, log.head_write(&self.records, ring, &head, was)?);
            match self.records.store.commit(&Commit { fence: self.fence(), writes }) {
                Ok(_) => self.raise_log(log, ring, head.changes)?,
                // Somebody wrote meanwhile; the next hour is early enough.
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(last)
    }

    /// The log of revocations is remembered outside of the store; a ledger is no promise.
    fn raise_log<E: Entry>(
        &self,
        log: &RingLog<E>,
        ring: &RingName,
        changes: u64,
    ) -> Result<(), EngineError> {
        let key = log.head_key(ring);
        if key.as_str().starts_with(revocations::HEAD_FAMILY) {
            self.raise(key.as_str(), "-", changes)?;
        }
        Ok(())
    }
}
