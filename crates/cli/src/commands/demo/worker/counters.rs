//! What a worker counts while its threads work.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::tally::{DESCRIBED_MAX, Tally};

/// The running tally of a worker. A lock is cheap at the pace of the demonstration.
#[derive(Default)]
pub(super) struct Counters(Mutex<Tally>);

/// How a request failed.
#[derive(Clone, Copy)]
pub(super) enum Failed {
    Refused,
    RefusedLater,
    Unanswered,
    Unsigned,
}

impl Counters {
    pub(super) fn sent(&self, version: u32) {
        *self.lock().signed.entry(version).or_default() += 1;
    }

    pub(super) fn waits(&self) {
        self.lock().waiting += 1;
    }

    pub(super) fn sent_again(&self) {
        self.lock().sent_again += 1;
    }

    pub(super) fn answered(&self) {
        let mut tally = self.lock();
        tally.waiting = tally.waiting.saturating_sub(1);
        tally.requests += 1;
    }

    pub(super) fn accepted(&self, version: u32) {
        *self.lock().accepted.entry(version).or_default() += 1;
    }

    pub(super) fn accepted_again(&self, version: u32) {
        self.lock().rechecked += 1;
        self.accepted(version);
    }

    /// Counts a failure. One that ends a request is also said to be [`Counters::answered`].
    pub(super) fn failed(&self, how: Failed, words: String) {
        let mut tally = self.lock();
        match how {
            Failed::Refused => tally.failures.refused += 1,
            Failed::RefusedLater => tally.failures.refused_later += 1,
            Failed::Unanswered => tally.failures.unanswered += 1,
            Failed::Unsigned => tally.failures.unsigned += 1,
        }
        drop(tally);
        self.describe(words);
    }

    /// Says something to whoever watches.
    pub(super) fn describe(&self, words: String) {
        let mut tally = self.lock();
        if tally.described.len() < DESCRIBED_MAX {
            tally.described.push(words);
        }
    }

    /// The tally as of now; what it describes is described once.
    pub(super) fn tally(&self, signs_with: Option<u32>, going: bool) -> Tally {
        let mut tally = self.lock();
        let described = std::mem::take(&mut tally.described);
        let idle = !going && tally.waiting == 0;
        Tally { signs_with, described, idle, ..tally.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
