//! The store port: a small, ordered, compare-and-swap key space with a fenced lease.
//!
//! Everything keywheel keeps (ring documents, instances, tokens, audit entries, the cluster clock,
//! the outbox) is a sealed value under a [`Key`]. One [`Commit`] writes several keys or none of
//! them, so an audit entry can never part from the change that it records. What the bytes mean, and
//! how they are sealed, is not the store's business.

use std::time::Duration;

/// The place of a value: ASCII segments joined by `/`, for example `ring/web-session`.
///
/// Keys order bytewise; [`Store::list`] relies on that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// Joins segments. Segments come from names that are already settled, so this never fails.
    pub fn new(segments: &[&str]) -> Self {
        Self(segments.join("/"))
    }

    /// Takes a key as an adapter read it back.
    pub fn from_stored(raw: String) -> Self {
        Self(raw)
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text after the first segment, or nothing when there is one segment only.
    pub fn tail(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, tail)| tail)
    }
}

/// The store-wide number of a commit. It grows by at least one with each commit and never repeats,
/// so that a watcher can say what it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// A value as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The sealed bytes.
    pub value: Vec<u8>,
    /// The commit that wrote them; the token for the next compare-and-swap.
    pub seq: Seq,
}

/// What must be true of a key for a write to go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing is stored there.
    Absent,
    /// The value was written by this commit.
    At(Seq),
    /// Anything: the last writer wins. For renewals and other hints only.
    Any,
}

/// One write of a commit.
#[derive(Clone, Debug)]
pub struct Write {
    /// Where.
    pub key: Key,
    /// The condition.
    pub expect: Expect,
    /// The new value, or `None` to remove the key.
    pub value: Option<Vec<u8>>,
}

/// Writes that happen together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// When given, the commit goes through only while this fence is the newest one granted.
    pub fence: Option<Fence>,
    /// The writes; each key at most once.
    pub writes: Vec<Write>,
}

/// A fencing token: strictly greater than every one granted before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

/// One line of the change feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub seq: Seq,
    /// A key it wrote or removed.
    pub key: Key,
}

/// What an engine promises. The reconciler refuses to rotate by itself on a store that may lose
/// acknowledged writes.
#[expect(clippy::struct_excessive_bools, reason = "four promises, each kept or not")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Reads see every commit acknowledged before them.
    pub linearizable: bool,
    /// An acknowledged commit survives a power cut.
    pub durable: bool,
    /// [`Store::wait`] wakes for the commits of other processes without polling.
    pub watch: bool,
    /// A failover may lose acknowledged commits or repeat a fencing token.
    pub lossy_failover: bool,
}

/// Why the store could not answer at all. Nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store did not answer, or answered with an error of its own.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The disk or quota is full.
    #[error("the store has no room left: {0}")]
    Full(String),
    /// What is stored cannot be read: a torn page, a foreign file, a schema of another version.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
}

/// Why a commit did not go through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Another writer was first: the key no longer meets the expectation. Nothing was written.
    #[error("another writer changed {} first", .0.as_str())]
    Conflict(Key),
    /// A newer fence was granted; this caller is no longer the leader. Nothing was written.
    #[error("a newer leader holds the lease")]
    Fenced,
    /// The answer was lost: the commit may or may not have happened. Re-read; never retry blindly.
    #[error("it is unknown whether the commit happened: {0}")]
    Unknown(String),
    /// The store refused. Nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store port. One conformance suite (`keywheel_store::conformance`) holds for every adapter.
pub trait Store: Send + Sync {
    /// What this engine promises.
    fn caps(&self) -> Caps;

    /// Reads a value, linearizably.
    ///
    /// # Errors
    /// When the store does not answer or is damaged.
    fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError>;

    /// Reads every key that starts with `prefix` and follows `after`, in order, at most `limit` of
    /// them, from one consistent snapshot.
    ///
    /// # Errors
    /// When the store does not answer or is damaged.
    fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Stored)>, StoreError>;

    /// Writes all of it or none of it, durably, and numbers it. A commit that names a key twice is
    /// a `Conflict` on that key.
    ///
    /// # Errors
    /// See [`CommitError`]; only `Unknown` leaves doubt.
    fn commit(&self, commit: &Commit) -> Result<Seq, CommitError>;

    /// The number of the newest commit.
    ///
    /// # Errors
    /// When the store does not answer.
    fn head(&self) -> Result<Seq, StoreError>;

    /// The keys written after `since`, oldest first, each with its newest commit, at most `limit`.
    /// A key that was written twice appears once. Removed keys appear too, for at least the last
    /// 100,000 commits. A commit is never cut in two, because a watcher pages by its number: when
    /// the first one alone has more keys than `limit`, all of them are returned.
    ///
    /// # Errors
    /// When the store does not answer.
    fn changes(&self, since: Seq, limit: usize) -> Result<Vec<Change>, StoreError>;

    /// Blocks until the head is past `since` or the time is over, and returns the head. A hint:
    /// callers re-read.
    ///
    /// # Errors
    /// When the store does not answer.
    fn wait(&self, since: Seq, at_most: Duration) -> Result<Seq, StoreError>;

    /// Takes the lease when it is free, has ended, or is already `holder`'s; a takeover and a fresh
    /// grant carry a new, greater fence, a re-acquisition by the same holder too.
    ///
    /// # Errors
    /// When the store does not answer.
    fn acquire(&self, holder: &str, ttl: Duration) -> Result<Option<Fence>, StoreError>;

    /// Extends the lease by `ttl` from now. False when the fence is no longer the newest, or was
    /// given back.
    ///
    /// # Errors
    /// When the store does not answer.
    fn renew(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError>;

    /// Makes sure that no file of the store still holds what was overwritten or removed, as far as
    /// the engine can. Called after material was erased; what backups hold is not its business.
    ///
    /// # Errors
    /// When the store does not answer; it is tried again with the next erasure.
    fn scrub(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Gives the lease back. Doing it twice, or late, is harmless.
    ///
    /// # Errors
    /// When the store does not answer.
    fn release(&self, fence: Fence) -> Result<(), StoreError>;
}

/// How far a ring had come when this server last saw it, kept outside the store. An older document
/// in the store is a replay or a restored backup, and is refused until somebody adopts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The ring's incarnation, as text.
    pub incarnation: String,
    /// The ring document's revision.
    pub revision: u64,
}

/// The memory outside the store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the high-water mark cannot be read or written: {0}")]
pub struct HighWaterError(pub String);

/// The high-water mark port. Subjects are store keys (`ring/web-session`).
pub trait HighWater: Send + Sync {
    /// The mark of a subject.
    ///
    /// # Errors
    /// When the memory cannot be read; callers then refuse to go on.
    fn mark(&self, subject: &str) -> Result<Option<Mark>, HighWaterError>;

    /// Raises the mark. A mark of the same incarnation never goes down.
    ///
    /// # Errors
    /// When it cannot be kept durably.
    fn raise(&self, subject: &str, mark: &Mark) -> Result<(), HighWaterError>;

    /// Replaces the mark whatever it was: the operator adopted a restored backup.
    ///
    /// # Errors
    /// When it cannot be kept durably.
    fn adopt(&self, subject: &str, mark: Option<&Mark>) -> Result<(), HighWaterError>;

    /// All marks, so that a removed row is noticed.
    ///
    /// # Errors
    /// When the memory cannot be read.
    fn all(&self) -> Result<Vec<(String, Mark)>, HighWaterError>;
}
