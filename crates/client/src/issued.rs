//! Tokens that this process issued, on their way to the ledger: a bounded buffer between the
//! application and the watcher. What does not fit is counted, because a ledger that misses tokens
//! must be known to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keywheel_api::revocation::IssuedToken;

/// How many tokens wait at most.
pub(crate) const WAITING_MAX: usize = 4_096;

/// How many tokens go into one report.
const BATCH_TOKENS: usize = 1_024;

/// About how many bytes go into one report; servers take 256 KiB.
const BATCH_BYTES: usize = 128 * 1_024;

/// The tokens that wait.
#[derive(Default)]
pub(crate) struct Issued {
    waiting: Mutex<VecDeque<IssuedToken>>,
    dropped: AtomicU64,
}

impl Issued {
    fn lock(&self) -> MutexGuard<'_, VecDeque<IssuedToken>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a token for the watcher; says whether the watcher should look, because it is the
    /// first one or because the buffer fills up. One too many is dropped and counted.
    pub(crate) fn push(&self, token: IssuedToken) -> bool {
        let mut waiting = self.lock();
        if waiting.len() >= WAITING_MAX {
            drop(waiting);
            self.drop_many(1);
            return false;
        }
        waiting.push_back(token);
        waiting.len() == 1 || waiting.len() == BATCH_TOKENS
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is enough for a report of its own.
    pub(crate) fn is_much(&self) -> bool {
        self.len() >= BATCH_TOKENS
    }

    /// Takes as many as go into one report.
    pub(crate) fn take(&self) -> Vec<IssuedToken> {
        let mut waiting = self.lock();
        let mut bytes = 0;
        let fits = |token: &&IssuedToken| {
            bytes += token.jti.len() + token.kid.as_ref().map_or(0, String::len) + 64;
            bytes <= BATCH_BYTES
        };
        let count = waiting.iter().take(BATCH_TOKENS).take_while(fits).count().max(1);
        let count = count.min(waiting.len());
        waiting.drain(..count).collect()
    }

    /// Puts a report that was not taken back before what came since; the newest that do not fit any
    /// more are dropped.
    pub(crate) fn put_back(&self, tokens: Vec<IssuedToken>) {
        let mut waiting = self.lock();
        for token in tokens.into_iter().rev() {
            waiting.push_front(token);
        }
        let excess = waiting.len().saturating_sub(WAITING_MAX);
        waiting.truncate(WAITING_MAX);
        drop(waiting);
        self.drop_many(excess);
    }

    /// Counts tokens that the ledger will not have.
    pub(crate) fn drop_many(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// How many were dropped.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(number: usize, length: usize) -> IssuedToken {
        IssuedToken { jti: format!("{number:0length$}"), expires: 1, kid: None }
    }

    #[test]
    fn it_is_bounded_and_counts_what_it_drops() {
        let issued = Issued::default();
        let woken = (0..WAITING_MAX + 3).filter(|n| issued.push(token(*n, 8))).count();
        assert_eq!((woken, issued.len(), issued.dropped()), (2, WAITING_MAX, 3));
        let batch = issued.take();
        assert_eq!(batch.len(), BATCH_TOKENS);
        for number in 0..10 {
            issued.push(token(number, 8));
        }
        let first = batch[0].clone();
        issued.put_back(batch);
        assert_eq!((issued.len(), issued.dropped()), (WAITING_MAX, 13));
        assert_eq!(issued.take()[0], first);
    }

    #[test]
    fn a_report_is_bounded_in_bytes_and_never_empty() {
        let issued = Issued::default();
        for number in 0..600 {
            issued.push(token(number, 512));
        }
        let batch = issued.take();
        let bytes: usize = batch.iter().map(|token| token.jti.len()).sum();
        assert!(bytes <= BATCH_BYTES && batch.len() > 100, "{}", batch.len());
        assert_eq!(batch.len() + issued.len(), 600);
    }
}
