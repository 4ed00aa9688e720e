//! The engine itself: what it is made of, how it starts, and the loop that drives it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keywheel_core::id::RingName;
use keywheel_core::time::{ClusterTime, Now, Span};
use serde::{Deserialize, Serialize};

use crate::agenda::Agenda;
use crate::cluster_time::ClusterClock;
use crate::document::SecretText;
use crate::error::EngineError;
use crate::findings::{self, Findings};
use crate::ports::{
    Clock, Commit, Elapsed, Entropy, Expect, Fence, HighWater, Key, Mark, Seal, Seq, Store, Write,
};
use crate::presence::Presence;
use crate::records::{Record, Records};
use crate::revocations::{HEAD_FAMILY, Revocations};
use crate::rings::Loaded;
use crate::serving::{ServedCounts, Serving};
use crate::tidying::Tidying;
use crate::tokens::StoredToken;

/// What an engine is made of.
pub struct Parts {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// What seals it.
    pub seal: Arc<dyn Seal>,
    /// The memory outside the store.
    pub high_water: Arc<dyn HighWater>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The source of keys, nonces and names.
    pub entropy: Arc<dyn Entropy>,
    /// The name of this server. It must stay the same over restarts and differ between servers.
    pub server: String,
    /// How long a leader's lease lasts; 1 s or more.
    pub lease_ttl: Span,
    /// Whether notices are kept for delivery.
    pub keep_notices: bool,
}

/// Drives the rings of one store, together with the engines of other servers.
pub struct Engine {
    pub(crate) records: Records,
    pub(crate) high_water: Arc<dyn HighWater>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) server: String,
    pub(crate) keep_notices: bool,
    pub(crate) secrets: Secrets,
    pub(crate) presence: Presence,
    pub(crate) findings: Findings,
    pub(crate) cache: Mutex<HashMap<RingName, Arc<Loaded>>>,
    pub(crate) tokens: Mutex<HashMap<String, Arc<StoredToken>>>,
    pub(crate) revocations: Revocations,
    pub(crate) tidying: Mutex<Tidying>,
    pub(crate) refused: Mutex<BTreeMap<RingName, String>>,
    pub(crate) agenda: Mutex<Agenda>,
    /// Held over each commit that moves the audit record or the cluster clock: they would only
    /// conflict with each other, or put the clock back. Always taken before `lead`.
    pub(crate) turn: Mutex<()>,
    lease_ttl: Span,
    lead: Mutex<Lead>,
    pub(crate) feed: Mutex<Seq>,
    pub(crate) serving: Serving,
    poked: Mutex<bool>,
    woken: Condvar,
}

/// What only this cluster knows: keys for fingerprints and nonces.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secrets {
    pub(crate) fingerprint: SecretText,
    pub(crate) nonce: SecretText,
}

/// Leadership, and the cluster clock that goes with it.
struct Lead {
    fence: Option<Fence>,
    renewed: Elapsed,
    recorded: Elapsed,
    clock: ClusterClock,
    since: ClusterTime,
    /// The longest lease that any leader of this store is known to have had.
    longest: Span,
    /// The record of the clock that was read last.
    known: Option<(Seq, ClusterTime)>,
}

/// The cluster clock, as everybody may know it. It stands behind the leader's own by up to a lease.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeRecord {
    cluster: ClusterTime,
    /// The longest lease that any leader of this store has had. Servers may be configured apart,
    /// and each must allow for what the others took for granted.
    longest_lease: Span,
}

/// When a process was heard: for everybody, and on this server's own clock.
#[derive(Clone, Copy)]
pub(crate) struct Contact {
    pub(crate) now: Now,
    pub(crate) heard: Elapsed,
}

/// Another server, as the store knows it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerRecord {
    pub(crate) applied: u64,
    pub(crate) at: ClusterTime,
    /// What it accepted and refused by itself.
    #[serde(default)]
    pub(crate) uses: ServedCounts,
}

/// How the engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether this server leads.
    pub leads: bool,
    /// Its fencing token.
    pub fence: Option<u64>,
    /// The cluster clock.
    pub cluster: ClusterTime,
    /// Why the store does not answer, if it does not.
    pub store: Result<(), String>,
    /// The rings that this server refuses to believe, and why.
    pub refused: Vec<(RingName, String)>,
}

/// How many rings one round looks at, so that the lease is renewed between rounds.
const ROUND_RINGS_MAX: usize = 256;

/// How often the cluster clock and this server's presence are recorded.
const RECORD_EVERY: Duration = Duration::from_secs(1);

impl Engine {
    /// Opens the store: reads what the cluster shares, every process, and every ring once.
    ///
    /// # Errors
    /// When the store does not answer, or holds something that is not believed. Nothing is changed
    /// then.
    pub fn open(parts: Parts) -> Result<Self, EngineError> {
        let engine = Self::open_set_back(parts)?;
        engine.check_audit_mark()?;
        Ok(engine)
    }

    /// Opens a store that may have been set back, for [`Self::adopt`]. Rings that are older than
    /// this server has seen are still refused until they are adopted.
    ///
    /// # Errors
    /// As [`Self::open`], but for the age of the audit record.
    pub fn open_set_back(parts: Parts) -> Result<Self, EngineError> {
        let records = Records { store: parts.store, seal: parts.seal };
        let secrets = open_secrets(&records, parts.entropy.as_ref())?;
        // The head first: what is written while the processes are read is followed later.
        let head = records.store.head()?;
        let presence = Presence::load(&records)?;
        let (wall, monotonic) = (parts.clock.wall(), parts.clock.monotonic());
        let record = read_time(&records)?.map(|record| record.value);
        let recorded = record.map_or(ClusterTime::default(), |record| record.cluster);
        let findings = Findings::load(&records, Now { cluster: recorded, wall })?;
        let longest = record.map_or(parts.lease_ttl, |record| record.longest_lease);
        let clock = ClusterClock::start(recorded, wall, monotonic, parts.lease_ttl);
        let engine = Self {
            records,
            high_water: parts.high_water,
            clock: parts.clock,
            entropy: parts.entropy,
            server: parts.server,
            keep_notices: parts.keep_notices,
            secrets,
            presence,
            findings,
            cache: Mutex::default(),
            tokens: Mutex::default(),
            revocations: Revocations::default(),
            tidying: Mutex::default(),
            refused: Mutex::default(),
            agenda: Mutex::default(),
            turn: Mutex::default(),
            lease_ttl: parts.lease_ttl,
            lead: Mutex::new(Lead {
                fence: None,
                renewed: monotonic,
                recorded: monotonic,
                clock,
                since: recorded,
                longest,
                known: None,
            }),
            feed: Mutex::new(head),
            serving: Serving::default(),
            poked: Mutex::new(false),
            woken: Condvar::new(),
        };
        engine.enlist_all()?;
        Ok(engine)
    }

    /// Puts every ring on the agenda, and notices those whose row is gone.
    fn enlist_all(&self) -> Result<(), EngineError> {
        let mut after = None;
        let now = self.clock.monotonic();
        let mut agenda = lock(&self.agenda);
        loop {
            let page = self.records.store.list("ring/", after.as_ref(), 1_000)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            for (key, _) in &page {
                if let Ok(ring) = key.tail().parse::<RingName>() {
                    agenda.bring_forward(&ring, now);
                }
            }
        }
        drop(agenda);
        for (subject, _) in self.high_water.all()? {
            let Some(name) = subject.strip_prefix("ring/") else { continue };
            if let Ok(ring) = name.parse::<RingName>()
                && self.records.store.read(&Key::new(&["ring", name]))?.is_none()
            {
                lock(&self.refused).insert(ring, "its row is missing from the store".into());
            }
        }
        Ok(())
    }

    fn check_audit_mark(&self) -> Result<(), EngineError> {
        let (number, _) = crate::audit::newest(&self.records)?;
        let mark = self.high_water.mark(crate::audit::HEAD_KEY)?;
        match mark {
            Some(mark) if mark.revision > number => Err(EngineError::Distrusted {
                subject: "the audit record".into(),
                cause: format!("it ends at {number}, but had come to {} before", mark.revision),
                remedy: "The store was set back. Put the newer one back, or accept the older one \
                         with `keywheel restore --adopt`"
                    .into(),
            }),
            _ => Ok(()),
        }
    }

    /// Does one round: keeps the lease, moves the cluster clock, follows the store, writes what
    /// processes reported, and moves the rings that are due. Returns how long to [`Self::nap`].
    ///
    /// Whatever fails is tried again in the next round; nothing is half done.
    pub fn drive(&self) -> Duration {
        *lock(&self.poked) = false;
        let (fence, began) = (self.fence(), self.now().cluster);
        self.forget_expired();
        let mut trouble = self.follow().err();
        trouble = trouble.or(self.presence.flush(&self.records).err());
        match self.keep_lease() {
            Ok(true) => trouble = trouble.or(self.tidy_logs().err()),
            Ok(false) => return self.follow_on(),
            Err(error) => trouble = trouble.or(Some(error)),
        }
        if let Some(error) = trouble {
            tracing::warn!(cause = %error, "the store does not answer; transitions wait");
            return self.third_of_lease();
        }
        let (wall, monotonic) = (self.clock.wall(), self.clock.monotonic());
        let due = lock(&self.agenda).due(monotonic, wall, ROUND_RINGS_MAX);
        let full = due.len() == ROUND_RINGS_MAX;
        // What all of them would read alike is read once; a ring that cannot use it reads anew.
        let same_lead = fence.is_some() && fence == self.fence();
        let round = if due.is_empty() || !same_lead { None } else { self.round(began).ok() };
        for ring in due {
            self.reconcile(&ring, round.as_ref());
        }
        if full {
            return Duration::ZERO;
        }
        let idle = lock(&self.agenda).idle(self.clock.monotonic(), self.clock.wall());
        idle.unwrap_or(Duration::MAX).min(self.third_of_lease())
    }

    /// What a server does that does not lead: the leader waits for it where it serves from memory,
    /// and must see that it is there.
    fn follow_on(&self) -> Duration {
        if !self.serving.is_serving() {
            return self.third_of_lease();
        }
        if let Err(error) = self.record_serving() {
            tracing::warn!(cause = %error, "what this server serves could not be recorded");
        }
        self.third_of_lease().min(RECORD_EVERY)
    }

    fn third_of_lease(&self) -> Duration {
        self.lease_ttl.to_std() / 3
    }

    /// Sleeps until something is to be done, at most this long.
    pub fn nap(&self, at_most: Duration) {
        let mut poked = lock(&self.poked);
        if !*poked && !at_most.is_zero() {
            poked =
                self.woken.wait_timeout(poked, at_most).unwrap_or_else(PoisonError::into_inner).0;
        }
        *poked = false;
    }

    /// Ends a nap.
    pub fn poke(&self) {
        *lock(&self.poked) = true;
        self.woken.notify_all();
    }

    /// Writes what is in memory and gives the lease back.
    pub fn stop(&self) {
        let _retried_at_next_start = self.presence.flush(&self.records);
        let _turn = lock(&self.turn);
        let mut lead = lock(&self.lead);
        if let Some(fence) = lead.fence.take() {
            let _expires_by_itself = self.record_time(&mut lead, fence);
            let _expires_by_itself = self.records.store.release(fence);
        }
    }

    /// How the engine is.
    pub fn health(&self) -> Health {
        let store = self.records.store.head().map(|_| ()).map_err(|error| error.to_string());
        let lead = lock(&self.lead);
        Health {
            leads: lead.fence.is_some(),
            fence: lead.fence.map(|fence| fence.0),
            cluster: lead.clock.time(),
            store,
            refused: lock(&self.refused).iter().map(|(r, why)| (r.clone(), why.clone())).collect(),
        }
    }

    /// The present, on both clocks. The cluster clock moves only on the leader; elsewhere it is
    /// estimated from the last record, which is never ahead of the leader's.
    pub fn now(&self) -> Now {
        let (wall, monotonic) = (self.clock.wall(), self.clock.monotonic());
        let mut lead = lock(&self.lead);
        Now { cluster: lead.clock.advance(wall, monotonic), wall }
    }

    /// The moment at which a process is heard. Whoever leads may have moved the clock on while this
    /// server stood still, or was deposed without knowing it, so the record is read for each
    /// contact: none is stamped earlier than the leader's clock less one lease.
    pub(crate) fn contact(&self) -> Result<Contact, EngineError> {
        let heard = self.clock.monotonic();
        let recorded = self.recorded()?;
        let now = self.now();
        Ok(Contact { now: Now { cluster: now.cluster.max(recorded), ..now }, heard })
    }

    /// Reads the recorded cluster clock; a record that has not changed is not opened again.
    fn recorded(&self) -> Result<ClusterTime, EngineError> {
        let key = time_key();
        let Some(stored) = self.records.store.read(&key)? else {
            return Ok(ClusterTime::default());
        };
        let known = lock(&self.lead).known;
        if let Some((_, cluster)) = known.filter(|(seq, _)| *seq == stored.seq) {
            return Ok(cluster);
        }
        let record = self.records.open::<TimeRecord>(&key, &stored.value, stored.seq)?.value;
        let mut lead = lock(&self.lead);
        lead.known = Some((stored.seq, record.cluster));
        if lead.fence.is_none() {
            lead.longest = record.longest_lease;
        }
        Ok(record.cluster)
    }

    /// One lease of whoever leads, or led. By no more than this runs the cluster clock ahead of its
    /// record, a server's answers to a process ahead of what it wrote down about it, and a decision
    /// ahead of what it is based on.
    pub(crate) fn leash(&self) -> Span {
        lock(&self.lead).longest
    }

    /// The fence of this server while it leads.
    pub(crate) fn fence(&self) -> Option<Fence> {
        lock(&self.lead).fence
    }

    /// Since when this server leads, on the cluster clock.
    pub(crate) fn leads_since(&self) -> ClusterTime {
        lock(&self.lead).since
    }

    /// Gives up leadership: somebody else has a newer fence.
    pub(crate) fn step_down(&self) {
        lock(&self.lead).fence = None;
    }

    /// Brings a ring to the next round.
    pub(crate) fn enlist(&self, ring: &RingName) {
        let now = self.clock.monotonic();
        lock(&self.agenda).bring_forward(ring, now);
        self.poke();
    }

    fn keep_lease(&self) -> Result<bool, EngineError> {
        let _turn = lock(&self.turn);
        let monotonic = self.clock.monotonic();
        let mut lead = lock(&self.lead);
        let Some(fence) = lead.fence else { return self.take_lease(&mut lead) };
        let since_renewal = monotonic.0.saturating_sub(lead.renewed.0);
        if since_renewal >= self.lease_ttl.to_std() {
            // The lease ended, even if nobody else took it: what this server has not heard
            // meanwhile says nothing, and the time counts for nobody.
            lead.fence = None;
            return self.take_lease(&mut lead);
        }
        if since_renewal >= self.third_of_lease() {
            if !self.records.store.renew(fence, self.lease_ttl.to_std())? {
                tracing::warn!(fence = fence.0, "another server took the lease");
                lead.fence = None;
                return Ok(false);
            }
            lead.renewed = monotonic;
        }
        if monotonic.0.saturating_sub(lead.recorded.0) >= RECORD_EVERY {
            self.record_time(&mut lead, fence)?;
        }
        Ok(true)
    }

    fn take_lease(&self, lead: &mut Lead) -> Result<bool, EngineError> {
        let granted = self.records.store.acquire(&self.server, self.lease_ttl.to_std())?;
        let Some(fence) = granted else { return Ok(false) };
        let (wall, monotonic) = (self.clock.wall(), self.clock.monotonic());
        let record = read_time(&self.records)?.map(|record| record.value);
        let recorded = record.map_or(ClusterTime::default(), |record| record.cluster);
        let longest = record.map_or(Span::ZERO, |record| record.longest_lease);
        lead.longest = longest.max(self.lease_ttl);
        lead.clock = ClusterClock::start(recorded, wall, monotonic, self.lease_ttl);
        lead.since = recorded;
        lead.fence = Some(fence);
        lead.renewed = monotonic;
        tracing::info!(fence = fence.0, server = %self.server, "this server leads");
        self.record_time(lead, fence)?;
        Ok(true)
    }

    fn record_time(&self, lead: &mut Lead, fence: Fence) -> Result<(), EngineError> {
        let (wall, monotonic) = (self.clock.wall(), self.clock.monotonic());
        let cluster = lead.clock.advance(wall, monotonic);
        let server = self.own_record(cluster);
        let writes = vec![
            self.time_write(cluster, lead.longest)?,
            self.records.write(Key::new(&["server", &self.server]), Expect::Any, &server)?,
        ];
        let commit = Commit { fence: Some(fence), writes };
        match self.records.store.commit(&commit) {
            Ok(_) => {
                lead.recorded = monotonic;
                lead.clock.recorded(cluster);
                Ok(())
            }
            Err(error) => {
                if matches!(error, crate::ports::CommitError::Fenced) {
                    lead.fence = None;
                }
                Err(error.into())
            }
        }
    }

    /// The write that records the cluster clock; it goes with every document, so that no document
    /// is younger than the clock.
    pub(crate) fn time_write(
        &self,
        cluster: ClusterTime,
        longest_lease: Span,
    ) -> Result<Write, EngineError> {
        let record = TimeRecord { cluster, longest_lease };
        self.records.write(time_key(), Expect::Any, &record)
    }

    /// Follows the store up to its head: what other servers wrote is taken in.
    pub(crate) fn follow(&self) -> Result<(), EngineError> {
        loop {
            let since = *lock(&self.feed);
            let changes = self.records.store.changes(since, 1_000)?;
            let Some(last) = changes.last().map(|change| change.seq) else { return Ok(()) };
            for change in &changes {
                self.take_in(&change.key, change.seq)?;
            }
            let mut feed = lock(&self.feed);
            *feed = (*feed).max(last);
        }
    }

    fn take_in(&self, key: &Key, seq: Seq) -> Result<(), EngineError> {
        let Some((family, name)) = key.as_str().split_once('/') else { return Ok(()) };
        match family {
            "ring" => {
                if let Ok(ring) = name.parse::<RingName>() {
                    let known = lock(&self.cache).get(&ring).is_some_and(|l| l.seq >= seq);
                    if !known {
                        self.enlist(&ring);
                    }
                }
            }
            "instance" => {
                self.presence.follow(&self.records, key, seq, self.now().cluster)?;
                if let Some((ring, _)) = name.split_once('/')
                    && let Ok(ring) = ring.parse::<RingName>()
                {
                    self.enlist_if_moving(&ring);
                }
            }
            findings::FAMILY => {
                let now = self.now();
                if let Some(ring) = self.findings.follow(&self.records, key, seq, now)? {
                    self.enlist_if_moving(&ring);
                }
            }
            "token" => {
                lock(&self.tokens).remove(name);
            }
            HEAD_FAMILY => {
                if let Ok(ring) = name.parse::<RingName>() {
                    self.follow_believed(&ring)?;
                }
            }
            "cluster" if name == "time" => self.follow_clock()?,
            _ => {}
        }
        Ok(())
    }

    /// Takes over the cluster clock that the leader recorded. Who follows only estimates, and would
    /// otherwise fall behind more and more: a process that it hears would seem to be silent.
    fn follow_clock(&self) -> Result<(), EngineError> {
        if self.fence().is_some() {
            return Ok(());
        }
        let recorded = self.recorded()?;
        let (wall, monotonic) = (self.clock.wall(), self.clock.monotonic());
        let mut lead = lock(&self.lead);
        if lead.fence.is_none() && recorded > lead.clock.advance(wall, monotonic) {
            lead.clock = ClusterClock::start(recorded, wall, monotonic, self.lease_ttl);
        }
        Ok(())
    }

    /// Brings a ring to the next round when a report could move it.
    pub(crate) fn enlist_if_moving(&self, ring: &RingName) {
        let moving = lock(&self.cache).get(ring).is_some_and(|loaded| {
            let ring = &loaded.document.ring;
            ring.is_moving() || ring.silence_pin.is_some()
        });
        if moving {
            self.enlist(ring);
        }
    }

    /// The clocks of this engine, for whoever answers beside it.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Raises the high-water mark of a subject after its commit.
    pub(crate) fn raise(
        &self,
        key: &str,
        incarnation: &str,
        revision: u64,
    ) -> Result<(), EngineError> {
        let mark = Mark { incarnation: incarnation.into(), revision };
        Ok(self.high_water.raise(key, &mark)?)
    }

    /// Fills a buffer with random bytes.
    pub(crate) fn fill(&self, buffer: &mut [u8]) {
        self.entropy.fill(buffer);
    }
}

fn open_secrets(records: &Records, entropy: &dyn Entropy) -> Result<Secrets, EngineError> {
    let key = Key::new(&["cluster", "secrets"]);
    if let Some(record) = records.read::<Secrets>(&key)? {
        return Ok(record.value);
    }
    let draw = || {
        let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
        entropy.fill(bytes.as_mut_slice());
        SecretText::encode(bytes.as_slice())
    };
    let secrets = Secrets { fingerprint: draw(), nonce: draw() };
    let write = records.write(key.clone(), Expect::Absent, &secrets)?;
    match records.store.commit(&Commit { fence: None, writes: vec![write] }) {
        Ok(_) => Ok(secrets),
        // Another server was first; its secrets are the cluster's.
        Err(crate::ports::CommitError::Conflict(_)) => match records.read::<Secrets>(&key)? {
            Some(record) => Ok(record.value),
            None => Err(EngineError::Contended("cluster/secrets".into())),
        },
        Err(error) => Err(error.into()),
    }
}

fn time_key() -> Key {
    Key::new(&["cluster", "time"])
}

fn read_time(records: &Records) -> Result<Option<Record<TimeRecord>>, EngineError> {
    records.read(&time_key())
}

/// Locks, also after a panic elsewhere: every structure behind these locks is whole at all times.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
