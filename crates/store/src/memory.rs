//! A store in memory, for tests and for the simulated world. Deterministic: it reads no clock but
//! the one it was given, and keeps everything in order.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keywheel_engine::ports::{
    Caps, Change, Clock, Commit, CommitError, Elapsed, Expect, Fence, Key, Seq, Store, StoreError,
    Stored,
};

/// A store in memory. Clones share their contents, as connections to one server would.
///
/// ```
/// use std::sync::Arc;
/// use keywheel_engine::ports::{Commit, Seq, Store};
/// use keywheel_store::{ManualClock, MemoryStore};
///
/// let store = MemoryStore::new(Arc::new(ManualClock::default()));
/// let before = store.snapshot();
/// store.commit(&Commit::default())?;
/// store.restore(&before);
/// assert_eq!(store.head()?, Seq(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

/// Everything that a [`MemoryStore`] held at one moment. Taking and cloning one is cheap; the first
/// commit after it pays for the copy.
#[derive(Clone)]
pub struct MemorySnapshot {
    state: Arc<State>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<Arc<State>>,
    committed: Condvar,
}

#[derive(Clone, Default)]
struct State {
    values: BTreeMap<Key, (Arc<[u8]>, Seq)>,
    /// Where each key that exists or existed stands in the feed.
    newest: BTreeMap<Key, Seq>,
    /// The same the other way round.
    feed: BTreeSet<(Seq, Key)>,
    head: Seq,
    fence: u64,
    lease: Option<Lease>,
}

#[derive(Clone)]
struct Lease {
    holder: String,
    ends: Elapsed,
}

impl MemoryStore {
    /// An empty store. The clock judges leases.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let state = Mutex::new(Arc::new(State::default()));
        Self { shared: Arc::new(Shared { clock, state, committed: Condvar::new() }) }
    }

    /// Everything as it is now.
    pub fn snapshot(&self) -> MemorySnapshot {
        MemorySnapshot { state: Arc::clone(&self.lock()) }
    }

    /// Puts everything back as it was, the counters too: what a store restored from a backup, or
    /// one that lost acknowledged commits, looks like.
    pub fn restore(&self, snapshot: &MemorySnapshot) {
        *self.lock() = Arc::clone(&snapshot.state);
        self.shared.committed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Arc<State>> {
        // Every change is made by one method that does not panic half way.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn seq_of(&self, key: &Key) -> Option<Seq> {
        self.values.get(key).map(|(_, seq)| *seq)
    }

    fn broken_expectation(&self, commit: &Commit) -> Option<Key> {
        let mut seen = BTreeSet::new();
        let broken = commit.writes.iter().find(|write| {
            let met = match write.expect {
                Expect::Any => true,
                Expect::Absent => self.seq_of(&write.key).is_none(),
                Expect::At(seq) => self.seq_of(&write.key) == Some(seq),
            };
            !met || !seen.insert(&write.key)
        });
        broken.map(|write| write.key.clone())
    }

    fn apply(&mut self, commit: &Commit) {
        self.head = Seq(self.head.0 + 1);
        for write in &commit.writes {
            match &write.value {
                Some(value) => {
                    let value = (Arc::from(value.as_slice()), self.head);
                    self.values.insert(write.key.clone(), value);
                }
                None if self.values.remove(&write.key).is_none() => continue,
                None => {}
            }
            if let Some(former) = self.newest.insert(write.key.clone(), self.head) {
                self.feed.remove(&(former, write.key.clone()));
            }
            self.feed.insert((self.head, write.key.clone()));
        }
    }
}

impl Store for MemoryStore {
    fn caps(&self) -> Caps {
        Caps { linearizable: true, durable: false, watch: true, lossy_failover: false }
    }

    fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let state = self.lock();
        Ok(state.values.get(key).map(|(value, seq)| Stored { value: value.to_vec(), seq: *seq }))
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        let from = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.clone()),
            _ => Bound::Included(Key::from_stored(prefix.to_owned())),
        };
        let state = self.lock();
        let found = state
            .values
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| key.as_str().starts_with(prefix))
            .take(limit)
            .map(|(key, (value, seq))| (key.clone(), Stored { value: value.to_vec(), seq: *seq }));
        Ok(found.collect())
    }

    fn commit(&self, commit: &Commit) -> Result<Seq, CommitError> {
        let mut state = self.lock();
        if commit.fence.is_some_and(|fence| fence.0 != state.fence) {
            return Err(CommitError::Fenced);
        }
        if let Some(key) = state.broken_expectation(commit) {
            return Err(CommitError::Conflict(key));
        }
        Arc::make_mut(&mut state).apply(commit);
        self.shared.committed.notify_all();
        Ok(state.head)
    }

    fn head(&self) -> Result<Seq, StoreError> {
        Ok(self.lock().head)
    }

    fn changes(&self, since: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        let state = self.lock();
        let from = (Seq(since.0.saturating_add(1)), Key::from_stored(String::new()));
        let mut found: Vec<Change> = Vec::new();
        for (seq, key) in state.feed.range(from..) {
            // Whole commits only, at least one: a watcher remembers nothing but a commit's number.
            let starts_commit = found.last().is_none_or(|last| last.seq != *seq);
            if found.len() >= limit && starts_commit {
                break;
            }
            found.push(Change { seq: *seq, key: key.clone() });
        }
        if found.len() > limit {
            let cut = found.last().map(|change| change.seq);
            let whole = found.partition_point(|change| Some(change.seq) < cut);
            if whole > 0 {
                found.truncate(whole);
            }
        }
        Ok(found)
    }

    fn wait(&self, since: Seq, at_most: Duration) -> Result<Seq, StoreError> {
        let state = self.lock();
        let (state, _) = self
            .shared
            .committed
            .wait_timeout_while(state, at_most, |state| state.head <= since)
            .unwrap_or_else(PoisonError::into_inner);
        Ok(state.head)
    }

    fn acquire(&self, holder: &str, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        let mut state = self.lock();
        let now = self.shared.clock.monotonic();
        let taken =
            state.lease.as_ref().is_some_and(|lease| lease.holder != holder && now < lease.ends);
        if taken {
            return Ok(None);
        }
        let state = Arc::make_mut(&mut state);
        state.fence += 1;
        let ends = Elapsed(now.0.saturating_add(ttl));
        state.lease = Some(Lease { holder: holder.to_owned(), ends });
        Ok(Some(Fence(state.fence)))
    }

    fn renew(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if fence.0 != state.fence {
            return Ok(false);
        }
        let ends = Elapsed(self.shared.clock.monotonic().0.saturating_add(ttl));
        let Some(lease) = &mut Arc::make_mut(&mut state).lease else { return Ok(false) };
        lease.ends = ends;
        Ok(true)
    }

    fn release(&self, fence: Fence) -> Result<(), StoreError> {
        let mut state = self.lock();
        if fence.0 == state.fence {
            Arc::make_mut(&mut state).lease = None;
        }
        Ok(())
    }
}
