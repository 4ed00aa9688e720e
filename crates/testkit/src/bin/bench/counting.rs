//! A store that counts what is asked of it, and remembers when rings were committed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keywheel_engine::ports::{
    Caps, Change, Commit, CommitError, Fence, Key, Seq, Store, StoreError, Stored,
};

use crate::measure;

/// Counts the calls to another store.
pub(crate) struct Counting {
    store: Arc<dyn Store>,
    reads: AtomicU64,
    commits: AtomicU64,
    rings: Mutex<VecDeque<Committed>>,
}

/// When a ring was committed, on the machine's monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    /// When the store was asked.
    pub(crate) began: Duration,
    /// When it had answered.
    pub(crate) ended: Duration,
}

/// How many commits of rings are remembered.
const REMEMBERED: usize = 64;

/// How often a store was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Values, lists, changes and heads that were read.
    pub(crate) reads: u64,
    /// Commits and lease renewals: what goes to the disk.
    pub(crate) commits: u64,
}

impl Counting {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            reads: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            rings: Mutex::default(),
        }
    }

    /// The calls since the last time.
    pub(crate) fn take(&self) -> Calls {
        Calls {
            reads: self.reads.swap(0, Ordering::Relaxed),
            commits: self.commits.swap(0, Ordering::Relaxed),
        }
    }

    /// The latest commits of rings, oldest first.
    pub(crate) fn ring_commits(&self) -> Vec<Committed> {
        self.rings().iter().copied().collect()
    }

    /// Forgets them.
    pub(crate) fn forget_ring_commits(&self) {
        self.rings().clear();
    }

    fn rings(&self) -> MutexGuard<'_, VecDeque<Committed>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> &dyn Store {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.store.as_ref()
    }

    fn write(&self) -> &dyn Store {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.store.as_ref()
    }
}

impl Store for Counting {
    fn caps(&self) -> Caps {
        self.store.caps()
    }

    fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.read().read(key)
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.read().list(prefix, after, limit)
    }

    fn commit(&self, commit: &Commit) -> Result<Seq, CommitError> {
        let began = measure::monotonic();
        let seq = self.write().commit(commit)?;
        if commit.writes.iter().any(|write| write.key.as_str().starts_with("ring/")) {
            let mut rings = self.rings();
            if rings.len() >= REMEMBERED {
                rings.pop_front();
            }
            rings.push_back(Committed { began, ended: measure::monotonic() });
        }
        Ok(seq)
    }

    fn head(&self) -> Result<Seq, StoreError> {
        self.read().head()
    }

    fn changes(&self, since: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.read().changes(since, limit)
    }

    fn wait(&self, since: Seq, at_most: Duration) -> Result<Seq, StoreError> {
        self.store.wait(since, at_most)
    }

    fn acquire(&self, holder: &str, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        self.write().acquire(holder, ttl)
    }

    fn renew(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        self.write().renew(fence, ttl)
    }

    fn scrub(&self) -> Result<(), StoreError> {
        self.store.scrub()
    }

    fn release(&self, fence: Fence) -> Result<(), StoreError> {
        self.write().release(fence)
    }
}
