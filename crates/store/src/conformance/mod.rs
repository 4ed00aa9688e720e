//! The contract of the store port as a suite that every adapter passes.
//!
//! An adapter's own test makes a [`Fixture`] and calls [`run`]. What only one engine has (files,
//! modes, full disks) is tested beside that engine.

mod commits;
mod feed;
mod leases;
mod reads;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keywheel_engine::ports::{
    Commit, CommitError, Expect, Fence, Key, Seq, Store, StoreError, Write,
};

/// One empty store, as the suite sees it.
pub trait Fixture: Send + Sync {
    /// Opens one more connection to the data, as another process would.
    fn connect(&self) -> Arc<dyn Store>;

    /// Lets time pass, as far as leases are concerned.
    fn advance(&self, by: Duration);

    /// Whether the data is still there after every connection was dropped.
    fn outlives_its_connections(&self) -> bool;
}

/// One named requirement.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    check: fn(&dyn Fixture) -> Outcome,
}

impl Case {
    /// The requirement, as a sentence with underscores.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Checks it on an empty store.
    ///
    /// # Errors
    /// When the store does not meet it.
    pub fn check(&self, fixture: &dyn Fixture) -> Result<(), Failure> {
        (self.check)(fixture)
    }
}

/// How a store failed a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(format!("unexpected: {error}"))
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        Self(format!("unexpected: {error}"))
    }
}

/// The cases that a store failed.
#[derive(Debug, thiserror::Error)]
#[error("the store breaks its contract:{}", list(.0))]
pub struct Broken(Vec<(&'static str, Failure)>);

fn list(failures: &[(&'static str, Failure)]) -> String {
    let lines: Vec<_> =
        failures.iter().map(|(name, failure)| format!("{name}: {failure}")).collect();
    lines.iter().flat_map(|line| ["\n  ", line]).collect()
}

/// Every case of the suite.
pub fn cases() -> Vec<Case> {
    [commits::CASES, reads::CASES, feed::CASES, leases::CASES].concat()
}

/// Runs the whole suite, each case on an empty store of its own, and says how many cases there
/// were.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use keywheel_engine::ports::Store;
/// use keywheel_store::conformance::{Fixture, run};
/// use keywheel_store::{ManualClock, MemoryStore};
///
/// struct InMemory { clock: Arc<ManualClock>, store: MemoryStore }
///
/// impl Fixture for InMemory {
///     fn connect(&self) -> Arc<dyn Store> { Arc::new(self.store.clone()) }
///     fn advance(&self, by: Duration) { self.clock.advance(by); }
///     fn outlives_its_connections(&self) -> bool { false }
/// }
///
/// let cases = run(&|| {
///     let clock = Arc::new(ManualClock::default());
///     Box::new(InMemory { store: MemoryStore::new(clock.clone()), clock })
/// })?;
/// assert!(cases >= 25);
/// # Ok::<(), keywheel_store::conformance::Broken>(())
/// ```
///
/// # Errors
/// When the store fails cases; all of them are named.
pub fn run(make: &dyn Fn() -> Box<dyn Fixture>) -> Result<usize, Broken> {
    let cases = cases();
    let failures: Vec<_> = cases
        .iter()
        .filter_map(|case| case.check(&*make()).err().map(|failure| (case.name, failure)))
        .collect();
    if failures.is_empty() { Ok(cases.len()) } else { Err(Broken(failures)) }
}

type Outcome = Result<(), Failure>;

/// Fails the case, with the values that were found, unless the condition holds.
macro_rules! require {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(crate::conformance::Failure(format!($($message)+)));
        }
    };
}

/// Lists functions as cases under their own names.
macro_rules! case_list {
    ($($name:ident),+ $(,)?) => {
        pub(super) const CASES: &[crate::conformance::Case] = &[$(
            crate::conformance::Case { name: stringify!($name), check: $name }
        ),+];
    };
}

use {case_list, require};

fn key(text: &str) -> Key {
    Key::from_stored(text.to_owned())
}

fn write(name: &str, expect: Expect, value: &[u8]) -> Write {
    Write { key: key(name), expect, value: Some(value.to_vec()) }
}

fn removal(name: &str, expect: Expect) -> Write {
    Write { key: key(name), expect, value: None }
}

fn commit(store: &dyn Store, writes: Vec<Write>) -> Result<Seq, CommitError> {
    store.commit(&Commit { fence: None, writes })
}

fn commit_fenced(store: &dyn Store, fence: Fence, writes: Vec<Write>) -> Result<Seq, CommitError> {
    store.commit(&Commit { fence: Some(fence), writes })
}

/// Writes a value whatever was there.
fn put(store: &dyn Store, name: &str, value: &[u8]) -> Result<Seq, CommitError> {
    commit(store, vec![write(name, Expect::Any, value)])
}

fn value(store: &dyn Store, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(store.read(&key(name))?.map(|stored| stored.value))
}

/// Waits for a thread; a thread that panicked fails the case.
fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T, Failure>>) -> Result<T, Failure> {
    thread.join().unwrap_or_else(|_| Err(Failure("a thread of the case panicked".to_owned())))
}
