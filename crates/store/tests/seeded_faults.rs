//! The conformance suite must be able to fail: each fault that an adapter could plausibly have is
//! seeded into the memory store, and the suite has to find it.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use keywheel_engine::ports::{
    Caps, Change, Commit, CommitError, Expect, Fence, Key, Seq, Store, StoreError, Stored,
};
use keywheel_store::conformance::{self, Fixture};
use keywheel_store::{ManualClock, MemoryStore};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// A stale leader's commit goes through.
    FenceIgnored,
    /// The last writer wins, whatever it expected.
    ExpectationsIgnored,
    /// The writes before the first unmet expectation stay.
    PartsWritten,
    /// The answer of a re-acquisition is the old fence.
    FenceKept,
    /// The feed is cut at the limit, in the middle of a commit.
    CommitsCut,
    /// The feed knows only keys that exist.
    RemovalsForgotten,
    /// `_` and `%` are wildcards, as in SQL.
    PrefixIsPattern,
    /// `after` is included in the page.
    AfterIncluded,
    /// A page has one key too few.
    LimitOffByOne,
    /// Nobody is woken.
    DeafWait,
    /// A lease that was lost is renewed.
    RenewsLost,
    /// A release takes the lease from whoever has it now.
    ReleasesOthers,
    /// A value larger than 64 KiB is cut off.
    ValuesCut,
    /// A refused commit still moves the head.
    HeadMoves,
}

struct Faulty {
    fault: Fault,
    inner: MemoryStore,
    newest: std::sync::Mutex<Option<Fence>>,
}

impl Faulty {
    fn commit_faulty(&self, commit: &Commit) -> Result<Seq, CommitError> {
        let mut commit = commit.clone();
        match self.fault {
            Fault::FenceIgnored => commit.fence = None,
            Fault::ExpectationsIgnored => {
                commit.writes.iter_mut().for_each(|write| write.expect = Expect::Any);
            }
            Fault::ValuesCut => {
                for value in commit.writes.iter_mut().filter_map(|write| write.value.as_mut()) {
                    value.truncate(64 * 1024);
                }
            }
            _ => {}
        }
        let result = self.inner.commit(&commit);
        if result.is_err() && self.fault == Fault::PartsWritten && commit.writes.len() > 1 {
            for write in commit.writes {
                if self.inner.commit(&Commit { fence: None, writes: vec![write] }).is_err() {
                    break;
                }
            }
        } else if result.is_err() && self.fault == Fault::HeadMoves {
            self.inner.commit(&Commit::default())?;
        }
        result
    }
}

impl Store for Faulty {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.inner.read(key)
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        match self.fault {
            Fault::PrefixIsPattern => {
                let literal = prefix.split(['_', '%']).next().unwrap();
                self.inner.list(literal, after, limit)
            }
            Fault::AfterIncluded => {
                let mut found = self.inner.list(prefix, None, usize::MAX)?;
                found.retain(|(key, _)| after.is_none_or(|after| key >= after));
                found.truncate(limit);
                Ok(found)
            }
            Fault::LimitOffByOne => self.inner.list(prefix, after, limit.saturating_sub(1)),
            _ => self.inner.list(prefix, after, limit),
        }
    }

    fn commit(&self, commit: &Commit) -> Result<Seq, CommitError> {
        self.commit_faulty(commit)
    }

    fn head(&self) -> Result<Seq, StoreError> {
        self.inner.head()
    }

    fn changes(&self, since: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        let mut found = self.inner.changes(since, limit)?;
        match self.fault {
            Fault::CommitsCut => {
                found = self.inner.changes(since, usize::MAX)?;
                found.truncate(limit);
            }
            Fault::RemovalsForgotten => {
                found.retain(|change| self.inner.read(&change.key).unwrap().is_some());
            }
            _ => {}
        }
        Ok(found)
    }

    fn wait(&self, since: Seq, at_most: Duration) -> Result<Seq, StoreError> {
        if self.fault == Fault::DeafWait {
            // The head as it was, as if nothing had happened.
            return Ok(since);
        }
        self.inner.wait(since, at_most)
    }

    fn acquire(&self, holder: &str, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        let granted = self.inner.acquire(holder, ttl)?;
        let mut newest = self.newest.lock().unwrap();
        if self.fault == Fault::FenceKept && granted.is_some() && newest.is_some() {
            return Ok(*newest);
        }
        *newest = granted.or(*newest);
        Ok(granted)
    }

    fn renew(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        Ok(self.inner.renew(fence, ttl)? || self.fault == Fault::RenewsLost)
    }

    fn release(&self, fence: Fence) -> Result<(), StoreError> {
        let newest = *self.newest.lock().unwrap();
        match newest {
            Some(newest) if self.fault == Fault::ReleasesOthers => self.inner.release(newest),
            _ => self.inner.release(fence),
        }
    }
}

struct Seeded {
    store: Arc<Faulty>,
    clock: Arc<ManualClock>,
}

impl Fixture for Seeded {
    fn connect(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn outlives_its_connections(&self) -> bool {
        true
    }
}

fn found_by_suite(fault: Fault) -> Option<String> {
    let make = || -> Box<dyn Fixture> {
        let clock = Arc::<ManualClock>::default();
        let inner = MemoryStore::new(clock.clone());
        Box::new(Seeded { store: Arc::new(Faulty { fault, inner, newest: None.into() }), clock })
    };
    conformance::run(&make).err().map(|broken| broken.to_string())
}

#[test]
fn every_seeded_fault_is_found_by_the_case_that_names_it() {
    for (fault, case) in [
        (Fault::FenceIgnored, "a_stale_fence_writes_nothing"),
        (Fault::ExpectationsIgnored, "one_writer_wins_each_swap"),
        (Fault::PartsWritten, "one_failed_expectation_writes_nothing"),
        (Fault::FenceKept, "fences_strictly_increase"),
        (Fault::CommitsCut, "a_commit_is_never_cut_in_two"),
        (Fault::RemovalsForgotten, "removed_keys_appear"),
        (Fault::PrefixIsPattern, "a_prefix_is_taken_literally"),
        (Fault::AfterIncluded, "pages_have_no_gap_and_no_overlap"),
        (Fault::LimitOffByOne, "pages_have_no_gap_and_no_overlap"),
        (Fault::DeafWait, "wait_wakes_for_a_commit"),
        (Fault::RenewsLost, "a_renewal_after_a_takeover_fails"),
        (Fault::ReleasesOthers, "a_late_release_harms_nobody"),
        (Fault::ValuesCut, "values_of_one_mebibyte_and_of_nothing"),
        (Fault::HeadMoves, "a_refused_commit_is_not_seen_in_the_head"),
    ] {
        let found = found_by_suite(fault).unwrap_or_default();
        assert!(found.contains(case), "{fault:?} was not found by {case}, but by: {found}");
    }
}

#[test]
fn the_wrapper_itself_is_no_fault() {
    assert_eq!(found_by_suite(Fault::None), None);
}
