//! The machines of the world: one true time, servers whose clocks drift and jump, and a connection
//! to the store that fails in every way that the port's contract permits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keywheel_core::time::WallTime;
use keywheel_engine::Engine;
use keywheel_engine::ports::{
    Caps, Change, Clock, Commit, CommitError, Elapsed, Fence, Key, Seq, Store, StoreError, Stored,
};
use keywheel_store::MemoryStore;

use super::Flaw;
use super::random::Random;

/// What every machine of one world shares. It holds no lock while an engine is called, so that a
/// stalled commit of one server can let the others go on.
pub(crate) struct Shared {
    now: AtomicU64,
    stalling: AtomicBool,
    engines: Mutex<Vec<Option<Arc<Engine>>>>,
    trouble: Mutex<Vec<Trouble>>,
    fence: AtomicU64,
    broken: Mutex<Option<String>>,
    counted: Mutex<BTreeMap<&'static str, u64>>,
    pub(crate) flaw: Option<Flaw>,
}

/// What is wrong with one server's connection to the store, and until when.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) down_until: u64,
    pub(crate) full_until: u64,
    pub(crate) unknown_until: u64,
    pub(crate) flaky_until: u64,
    pub(crate) deaf_until: u64,
    /// The next commit takes so long, and the others go on meanwhile.
    pub(crate) stall: Option<u64>,
    /// The whole server stands still.
    pub(crate) paused_until: u64,
    random: Random,
}

impl Trouble {
    fn heal(&mut self) {
        *self = Self::none(self.random.clone());
    }

    const fn none(random: Random) -> Self {
        Self {
            down_until: 0,
            full_until: 0,
            unknown_until: 0,
            flaky_until: 0,
            deaf_until: 0,
            stall: None,
            paused_until: 0,
            random,
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(servers: usize, flaw: Option<Flaw>, random: &mut Random) -> Self {
        Self {
            now: AtomicU64::new(1_000),
            stalling: AtomicBool::new(false),
            engines: Mutex::new(vec![None; servers]),
            trouble: Mutex::new((0..servers).map(|_| Trouble::none(random.fork())).collect()),
            fence: AtomicU64::new(0),
            broken: Mutex::new(None),
            counted: Mutex::default(),
            flaw,
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Lets true time pass up to this moment; it never goes back.
    pub(crate) fn pass_until(&self, moment: u64) {
        self.now.fetch_max(moment, Ordering::Relaxed);
    }

    pub(crate) fn engine(&self, server: usize) -> Option<Arc<Engine>> {
        lock(&self.engines).get(server).cloned().flatten()
    }

    pub(crate) fn set_engine(&self, server: usize, engine: Option<Engine>) {
        if let Some(slot) = lock(&self.engines).get_mut(server) {
            *slot = engine.map(Arc::new);
        }
    }

    pub(crate) fn trouble<T>(
        &self,
        server: usize,
        with: impl FnOnce(&mut Trouble) -> T,
    ) -> Option<T> {
        lock(&self.trouble).get_mut(server).map(with)
    }

    pub(crate) fn heal(&self) {
        lock(&self.trouble).iter_mut().for_each(Trouble::heal);
    }

    pub(crate) fn is_paused(&self, server: usize) -> Option<u64> {
        let until = self.trouble(server, |trouble| trouble.paused_until)?;
        (until > self.now()).then_some(until)
    }

    /// The store was put back: its counters too.
    pub(crate) fn forget_fences(&self) {
        self.fence.store(0, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, what: &'static str) {
        *lock(&self.counted).entry(what).or_default() += 1;
    }

    pub(crate) fn counted(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.counted).clone()
    }

    pub(crate) fn break_invariant(&self, why: String) {
        lock(&self.broken).get_or_insert(why);
    }

    pub(crate) fn broken(&self) -> Option<String> {
        lock(&self.broken).clone()
    }

    /// Everybody but this server goes on for a while.
    fn let_others_go_on(&self, server: usize, millis: u64) {
        if self.stalling.swap(true, Ordering::Relaxed) {
            return;
        }
        self.count("commit stalled in the middle");
        let servers = lock(&self.engines).len();
        for _ in 0..4 {
            self.pass_until(self.now().saturating_add(millis / 4));
            for other in (0..servers).filter(|other| *other != server) {
                if self.is_paused(other).is_none()
                    && let Some(engine) = self.engine(other)
                {
                    engine.drive();
                }
            }
        }
        self.stalling.store(false, Ordering::Relaxed);
    }
}

/// A server's clocks. The wall drifts and jumps; the monotonic clock keeps time.
pub(crate) struct ServerClock {
    shared: Arc<Shared>,
    started: u64,
    drift_per_million: i64,
    jumped: Mutex<i64>,
}

const WALL_START: i64 = 1_763_000_000_000;

impl ServerClock {
    pub(crate) fn new(shared: &Arc<Shared>, random: &mut Random) -> Self {
        let drift = i64::try_from(random.below(1_000)).unwrap_or(0).saturating_sub(500);
        Self {
            shared: Arc::clone(shared),
            started: random.below(1_000_000),
            drift_per_million: drift,
            jumped: Mutex::new(0),
        }
    }

    pub(crate) fn jump(&self, millis: i64) {
        let mut jumped = lock(&self.jumped);
        *jumped = jumped.saturating_add(millis);
    }

    pub(crate) fn repair(&self) {
        *lock(&self.jumped) = 0;
    }
}

impl Clock for ServerClock {
    fn wall(&self) -> WallTime {
        let now = i64::try_from(self.shared.now()).unwrap_or(i64::MAX);
        let drift = now.saturating_mul(self.drift_per_million) / 1_000_000;
        WallTime(
            WALL_START
                .saturating_add(now)
                .saturating_add(drift)
                .saturating_add(*lock(&self.jumped)),
        )
    }

    fn monotonic(&self) -> Elapsed {
        let mut millis = self.shared.now().saturating_add(self.started);
        if self.shared.flaw == Some(Flaw::ClockFollowsTheWall) {
            let jumped = *lock(&self.jumped);
            millis = millis.saturating_add_signed(jumped);
        }
        Elapsed(Duration::from_millis(millis))
    }
}

/// The store's own clock, which judges leases.
pub(crate) struct StoreClock(pub(crate) Arc<Shared>);

impl Clock for StoreClock {
    fn wall(&self) -> WallTime {
        WallTime(WALL_START)
    }

    fn monotonic(&self) -> Elapsed {
        Elapsed(Duration::from_millis(self.0.now()))
    }
}

/// One server's connection to the store.
pub(crate) struct FaultyStore {
    pub(crate) inner: MemoryStore,
    pub(crate) server: usize,
    pub(crate) shared: Arc<Shared>,
}

impl FaultyStore {
    fn reach(&self) -> Result<(), StoreError> {
        let now = self.shared.now();
        let unreachable = self.shared.trouble(self.server, |trouble| {
            trouble.down_until > now || (trouble.flaky_until > now && trouble.random.chance(150))
        });
        if unreachable == Some(true) {
            self.shared.count("store call failed");
            return Err(StoreError::Unavailable("the connection is down".into()));
        }
        Ok(())
    }

    /// Whether the answer to a commit gets lost, and whether it happens all the same.
    fn answer_lost(&self) -> Option<bool> {
        let now = self.shared.now();
        self.shared.trouble(self.server, |trouble| {
            let lost = trouble.unknown_until > now && trouble.random.chance(350);
            lost.then(|| trouble.random.chance(500))
        })?
    }

    fn flawed(&self, commit: &Commit) -> Commit {
        let mut commit = commit.clone();
        match self.shared.flaw {
            Some(Flaw::StoreIgnoresTheFence) => commit.fence = None,
            Some(Flaw::StoreForgetsProcesses) => {
                commit.writes.retain(|write| !write.key.as_str().starts_with("instance/"));
            }
            _ => {}
        }
        commit
    }
}

impl Store for FaultyStore {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.reach()?;
        self.inner.read(key)
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.reach()?;
        self.inner.list(prefix, after, limit)
    }

    fn commit(&self, commit: &Commit) -> Result<Seq, CommitError> {
        self.reach()?;
        let now = self.shared.now();
        let full = self.shared.trouble(self.server, |trouble| trouble.full_until > now);
        if full == Some(true) {
            self.shared.count("store was full");
            return Err(StoreError::Full("no room".into()).into());
        }
        if commit.fence.is_some()
            && let Some(millis) =
                self.shared.trouble(self.server, |trouble| trouble.stall.take()).flatten()
        {
            self.shared.let_others_go_on(self.server, millis);
        }
        let lost = self.answer_lost();
        if lost == Some(false) {
            self.shared.count("commit lost with its answer");
            return Err(CommitError::Unknown("the connection broke".into()));
        }
        let done = self.inner.commit(&self.flawed(commit));
        if lost == Some(true) {
            self.shared.count("commit done, answer lost");
            return Err(CommitError::Unknown("the connection broke".into()));
        }
        done
    }

    fn head(&self) -> Result<Seq, StoreError> {
        self.reach()?;
        self.inner.head()
    }

    fn changes(&self, since: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.reach()?;
        let now = self.shared.now();
        if self.shared.trouble(self.server, |trouble| trouble.deaf_until > now) == Some(true) {
            self.shared.count("feed call failed");
            return Err(StoreError::Unavailable("the feed does not answer".into()));
        }
        self.inner.changes(since, limit)
    }

    fn wait(&self, _since: Seq, _at_most: Duration) -> Result<Seq, StoreError> {
        self.head()
    }

    /// Grants must grow: `invariant_fences_grow`.
    fn acquire(&self, holder: &str, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        self.reach()?;
        let granted = self.inner.acquire(holder, ttl)?;
        if let Some(fence) = granted {
            let newest = self.shared.fence.fetch_max(fence.0, Ordering::Relaxed);
            if fence.0 <= newest {
                self.shared.break_invariant(format!(
                    "invariant_fences_grow: fence {} was granted after {newest}",
                    fence.0
                ));
            }
            self.shared.count("lease taken");
        }
        Ok(granted)
    }

    fn renew(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        self.reach()?;
        if self.shared.flaw == Some(Flaw::StoreIgnoresTheFence) {
            return Ok(true);
        }
        self.inner.renew(fence, ttl)
    }

    fn release(&self, fence: Fence) -> Result<(), StoreError> {
        self.reach()?;
        self.inner.release(fence)
    }
}
