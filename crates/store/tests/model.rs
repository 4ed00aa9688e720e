//! Random operations on each store beside a model so simple that it is plainly right.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keywheel_engine::ports::{
    Change, Commit, CommitError, Expect, Fence, Key, Seq, Store, Stored, Write,
};
use keywheel_store::{ManualClock, MemoryStore, SqliteStore};
use proptest::prelude::*;

/// Keys that are prefixes and neighbours of one another.
const NAMES: [&str; 6] = ["a", "a/1", "a/2", "a/10", "a0", "b"];
const HOLDERS: [&str; 3] = ["one", "two", "three"];
const TTL_SECS: u64 = 10;

#[derive(Clone, Debug)]
enum Wanted {
    Any,
    Absent,
    /// What is there now, whatever that is.
    Present,
    /// A number that may have been one once.
    Stale(u64),
}

#[derive(Clone, Copy, Debug)]
enum WhichFence {
    Without,
    Newest,
    Older(u64),
}

#[derive(Clone, Debug)]
enum Operation {
    Commit { fence: WhichFence, writes: Vec<(usize, Wanted, Option<u8>)> },
    List { prefix: usize, after: Option<usize>, limit: usize },
    Changes { back: u64, limit: usize },
    Acquire { holder: usize },
    Renew { older: u64 },
    Release { older: u64 },
    Advance { secs: u64 },
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let wanted = prop_oneof![
        3 => Just(Wanted::Any),
        2 => Just(Wanted::Absent),
        4 => Just(Wanted::Present),
        1 => (0_u64..40).prop_map(Wanted::Stale),
    ];
    let fence = prop_oneof![
        3 => Just(WhichFence::Without),
        2 => Just(WhichFence::Newest),
        1 => (1_u64..3).prop_map(WhichFence::Older),
    ];
    let write = (0..NAMES.len(), wanted, proptest::option::weighted(0.7, any::<u8>()));
    let operation = prop_oneof![
        6 => (fence, proptest::collection::vec(write, 0..4))
            .prop_map(|(fence, writes)| Operation::Commit { fence, writes }),
        2 => (0..NAMES.len(), proptest::option::of(0..NAMES.len()), 0_usize..5)
            .prop_map(|(prefix, after, limit)| Operation::List { prefix, after, limit }),
        3 => (0_u64..20, 0_usize..6).prop_map(|(back, limit)| Operation::Changes { back, limit }),
        1 => (0..HOLDERS.len()).prop_map(|holder| Operation::Acquire { holder }),
        1 => (0_u64..2).prop_map(|older| Operation::Renew { older }),
        1 => (0_u64..2).prop_map(|older| Operation::Release { older }),
        1 => (1_u64..=TTL_SECS).prop_map(|secs| Operation::Advance { secs }),
    ];
    proptest::collection::vec(operation, 1..40)
}

#[derive(Default)]
struct Model {
    values: BTreeMap<Key, Stored>,
    newest: BTreeMap<Key, Seq>,
    head: u64,
    fence: u64,
    holder: Option<&'static str>,
    now_secs: u64,
    ends_secs: u64,
}

impl Model {
    fn commit(&mut self, commit: &Commit) -> Result<Seq, Option<Key>> {
        if commit.fence.is_some_and(|fence| fence.0 != self.fence) {
            return Err(None);
        }
        for (place, write) in commit.writes.iter().enumerate() {
            let seq = self.values.get(&write.key).map(|stored| stored.seq);
            let met = match write.expect {
                Expect::Any => true,
                Expect::Absent => seq.is_none(),
                Expect::At(expected) => seq == Some(expected),
            };
            let again = commit.writes[..place].iter().any(|former| former.key == write.key);
            if !met || again {
                return Err(Some(write.key.clone()));
            }
        }
        self.head += 1;
        for write in &commit.writes {
            let seq = Seq(self.head);
            let changed = match &write.value {
                Some(value) => {
                    self.values.insert(write.key.clone(), Stored { value: value.clone(), seq });
                    true
                }
                None => self.values.remove(&write.key).is_some(),
            };
            if changed {
                self.newest.insert(write.key.clone(), seq);
            }
        }
        Ok(Seq(self.head))
    }

    fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Vec<(Key, Stored)> {
        let matching = self.values.iter().filter(|(key, _)| {
            key.as_str().starts_with(prefix) && after.is_none_or(|after| *key > after)
        });
        matching.take(limit).map(|(key, stored)| (key.clone(), stored.clone())).collect()
    }

    fn changes(&self, since: Seq, limit: usize) -> Vec<Change> {
        let mut all: Vec<Change> = self
            .newest
            .iter()
            .filter(|(_, seq)| **seq > since)
            .map(|(key, seq)| Change { seq: *seq, key: key.clone() })
            .collect();
        all.sort_by(|a, b| (a.seq, &a.key).cmp(&(b.seq, &b.key)));
        let mut page: Vec<Change> = Vec::new();
        for commit in all.chunk_by(|a, b| a.seq == b.seq) {
            let fits = page.len() + commit.len() <= limit;
            if limit == 0 || (!fits && !page.is_empty()) {
                break;
            }
            page.extend_from_slice(commit);
        }
        page
    }

    fn acquire(&mut self, holder: &'static str) -> Option<Fence> {
        let taken = self.holder.is_some_and(|present| present != holder);
        if taken && self.now_secs < self.ends_secs {
            return None;
        }
        self.fence += 1;
        self.holder = Some(holder);
        self.ends_secs = self.now_secs + TTL_SECS;
        Some(Fence(self.fence))
    }

    fn renew(&mut self, fence: Fence) -> bool {
        let renewed = fence.0 == self.fence && self.holder.is_some();
        if renewed {
            self.ends_secs = self.now_secs + TTL_SECS;
        }
        renewed
    }

    fn release(&mut self, fence: Fence) {
        if fence.0 == self.fence {
            self.holder = None;
        }
    }
}

fn to_commit(model: &Model, fence: WhichFence, writes: &[(usize, Wanted, Option<u8>)]) -> Commit {
    let writes = writes.iter().map(|(name, wanted, value)| {
        let key = Key::from_stored(NAMES[*name].to_owned());
        let expect = match wanted {
            Wanted::Any => Expect::Any,
            Wanted::Absent => Expect::Absent,
            Wanted::Present => {
                model.values.get(&key).map_or(Expect::Absent, |stored| Expect::At(stored.seq))
            }
            Wanted::Stale(seq) => Expect::At(Seq(*seq)),
        };
        Write { key, expect, value: value.map(|byte| vec![byte]) }
    });
    let fence = match fence {
        WhichFence::Without => None,
        WhichFence::Newest => Some(Fence(model.fence)),
        WhichFence::Older(by) => Some(Fence(model.fence.saturating_sub(by))),
    };
    Commit { fence, writes: writes.collect() }
}

fn check(
    model: &mut Model,
    store: &dyn Store,
    clock: &ManualClock,
    operation: &Operation,
) -> Result<(), TestCaseError> {
    match operation {
        Operation::Commit { fence, writes } => {
            let commit = to_commit(model, *fence, writes);
            let found = match (store.commit(&commit), model.commit(&commit)) {
                (Ok(found), Ok(expected)) => found == expected,
                (Err(CommitError::Fenced), Err(None)) => true,
                // Which of several unmet expectations is named is left to the store.
                (Err(CommitError::Conflict(key)), Err(Some(_))) => {
                    commit.writes.iter().any(|write| write.key == key)
                }
                _ => false,
            };
            prop_assert!(found, "{:?}", commit);
        }
        Operation::List { prefix, after, limit } => {
            let after = after.map(|name| Key::from_stored(NAMES[name].to_owned()));
            let found = store.list(NAMES[*prefix], after.as_ref(), *limit).unwrap();
            prop_assert_eq!(found, model.list(NAMES[*prefix], after.as_ref(), *limit));
        }
        Operation::Changes { back, limit } => {
            let since = Seq(model.head.saturating_sub(*back));
            let found = store.changes(since, *limit).unwrap();
            prop_assert_eq!(found, model.changes(since, *limit));
        }
        Operation::Acquire { holder } => {
            let found = store.acquire(HOLDERS[*holder], Duration::from_secs(TTL_SECS)).unwrap();
            prop_assert_eq!(found, model.acquire(HOLDERS[*holder]));
        }
        Operation::Renew { older } => {
            let fence = Fence(model.fence.saturating_sub(*older));
            let found = store.renew(fence, Duration::from_secs(TTL_SECS)).unwrap();
            prop_assert_eq!(found, model.renew(fence));
        }
        Operation::Release { older } => {
            let fence = Fence(model.fence.saturating_sub(*older));
            store.release(fence).unwrap();
            model.release(fence);
        }
        Operation::Advance { secs } => {
            clock.advance(Duration::from_secs(*secs));
            model.now_secs += secs;
        }
    }
    prop_assert_eq!(store.head().unwrap(), Seq(model.head));
    for name in NAMES {
        let key = Key::from_stored(name.to_owned());
        prop_assert_eq!(store.read(&key).unwrap(), model.values.get(&key).cloned());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_store_does_what_the_model_does(operations in operations()) {
        let clock = Arc::<ManualClock>::default();
        let store = MemoryStore::new(clock.clone());
        let mut model = Model::default();
        for operation in &operations {
            check(&mut model, &store, &clock, operation)?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_store_does_what_the_model_does(operations in operations()) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::<ManualClock>::default();
        let store = SqliteStore::open(&folder.path().join("keywheel.db"), clock.clone()).unwrap();
        let mut model = Model::default();
        for operation in &operations {
            check(&mut model, &store, &clock, operation)?;
        }
    }

    #[test]
    fn a_snapshot_brings_everything_back(before in operations(), after in operations()) {
        let clock = Arc::<ManualClock>::default();
        let store = MemoryStore::new(clock.clone());
        let mut model = Model::default();
        for operation in &before {
            check(&mut model, &store, &clock, operation)?;
        }
        let everything = || (
            store.list("", None, usize::MAX).unwrap(),
            store.changes(Seq(0), usize::MAX).unwrap(),
            store.head().unwrap(),
        );
        let (snapshot, expected) = (store.snapshot(), everything());
        let fence = Fence(model.fence);
        for operation in &after {
            check(&mut model, &store, &clock, operation)?;
        }
        store.restore(&snapshot);
        prop_assert_eq!(everything(), expected);
        let fenced = store.commit(&Commit { fence: Some(fence), writes: Vec::new() });
        prop_assert!(fenced.is_ok(), "{:?}", fenced);
    }
}
