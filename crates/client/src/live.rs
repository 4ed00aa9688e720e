//! What the threads of one process share with its watcher. A forked child leaves all of it where
//! it is and makes its own.
//!
//! Readers take no lock. One mutex is for those who wait: for the first keyset, for a change, for
//! the answer to an unknown kid, for the goodbye. The other one carries what an agent found out to
//! the watcher.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{Incarnation, InstanceId, Revision, RingName};
use keywheel_core::revocation::RevocationSet;
use keywheel_core::time::Span;

use crate::clock::{BootTime, boot_time};
use crate::error::ClientError;
use crate::fork;
use crate::fresh::Fresh;
use crate::http::Wake;
use crate::issued::Issued;
use crate::keyset::Keyset;
use crate::linger::Kept;
use crate::random;
use crate::throttle::Throttle;
use crate::unknown::UnknownKids;

/// Unknown kids make the client ask the server at once: so many in a row, then one in an interval.
const REFRESH_BURST: u64 = 5;
const REFRESH_INTERVAL: Span = Span::from_secs(2);

/// What people may know of the watcher.
#[derive(Clone, Debug, Default)]
pub(crate) struct Status {
    pub(crate) instance: Option<InstanceId>,
    pub(crate) listening: bool,
    pub(crate) trouble: Option<Arc<str>>,
}

/// What was found out about a consumer that cannot speak.
pub(crate) enum Finding {
    /// It was shown to use this keyset.
    Confirmed(Incarnation, Revision, EvidenceLevel),
    /// Something is wrong with it.
    Trouble(String),
}

/// The levels in the order of the codes that stand for them in [`Slot`], which begin at 1.
const LEVELS: [EvidenceLevel; 5] = [
    EvidenceLevel::Assumed,
    EvidenceLevel::Attested,
    EvidenceLevel::Held,
    EvidenceLevel::Exercised,
    EvidenceLevel::Probed,
];

/// One ring as the application and the watcher share it.
pub(crate) struct Slot {
    pub(crate) ring: RingName,
    pub(crate) keyset: ArcSwapOption<Keyset>,
    /// The epoch of the keyset; set after it, so that a guard that saw an older one notices.
    pub(crate) epoch: AtomicU64,
    /// The last contact on the boot clock, plus one; 0 before the first.
    last_contact: AtomicU64,
    /// Why a server refuses to register this process for the ring; absent where it does not.
    pub(crate) refusal: ArcSwapOption<String>,
    /// How many attempts to load were finished, well or not.
    attempts: AtomicU64,
    pub(crate) refresh_wanted: AtomicBool,
    pub(crate) refused: AtomicU64,
    pub(crate) from_cache: AtomicBool,
    /// Whether the server has acknowledged a proof of what is held.
    pub(crate) proved: AtomicBool,
    /// How it is known that the consumer uses what is held; 0 while that is not confirmed.
    confirmed: AtomicU8,
    /// The newest finding that the watcher has not taken yet.
    finding: Mutex<Option<Finding>>,
    /// What is revoked; its hash is keyed anew in each process.
    pub(crate) revoked: RevocationSet,
    /// When that was last known to be complete, plus one; 0 before it first was.
    revocations_confirmed: AtomicU64,
    /// How many attempts to learn what is revoked were finished, well or not.
    revocation_attempts: AtomicU64,
    /// What was issued and is to be reported.
    pub(crate) issued: Issued,
    /// Whether the primary is young enough to be used.
    pub(crate) fresh: Fresh,
    /// The guards of code that cannot be bracketed, the newest one last.
    pub(crate) kept: ArcSwap<Vec<Arc<Kept>>>,
    /// The kids that were refused because nobody knew them.
    unknown: Mutex<UnknownKids>,
}

impl Slot {
    fn new(ring: RingName) -> Self {
        let mut key = [0; 16];
        random::fill(&mut key);
        Self {
            ring,
            keyset: ArcSwapOption::empty(),
            epoch: AtomicU64::new(0),
            last_contact: AtomicU64::new(0),
            refusal: ArcSwapOption::empty(),
            attempts: AtomicU64::new(0),
            refresh_wanted: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            from_cache: AtomicBool::new(false),
            proved: AtomicBool::new(false),
            confirmed: AtomicU8::new(0),
            finding: Mutex::new(None),
            revoked: RevocationSet::new(key),
            revocations_confirmed: AtomicU64::new(0),
            revocation_attempts: AtomicU64::new(0),
            issued: Issued::default(),
            fresh: Fresh::default(),
            kept: ArcSwap::default(),
            unknown: Mutex::default(),
        }
    }

    /// Leaves a finding for the watcher, in the place of an older one.
    pub(crate) fn find(&self, finding: Finding) {
        *self.finding.lock().unwrap_or_else(PoisonError::into_inner) = Some(finding);
    }

    pub(crate) fn take_finding(&self) -> Option<Finding> {
        self.finding.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Counts a kid that was refused because nobody knew it.
    pub(crate) fn count_unknown(&self, kid: &str) {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner).count(kid);
    }

    /// Takes out what was counted.
    pub(crate) fn take_unknown(&self) -> UnknownKids {
        std::mem::take(&mut self.unknown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_confirmed(&self, level: Option<EvidenceLevel>) {
        let code = level.and_then(|level| LEVELS.iter().position(|one| *one == level));
        let code = code.and_then(|code| u8::try_from(code).ok()?.checked_add(1));
        self.confirmed.store(code.unwrap_or(0), Ordering::Relaxed);
    }

    pub(crate) fn confirmed(&self) -> Option<EvidenceLevel> {
        let code = self.confirmed.load(Ordering::Relaxed).checked_sub(1)?;
        LEVELS.get(usize::from(code)).copied()
    }

    /// Shows a keyset to the application.
    pub(crate) fn show(&self, keyset: Arc<Keyset>) {
        let epoch = keyset.in_use.epoch.0;
        self.keyset.store(Some(keyset));
        self.epoch.store(epoch, Ordering::SeqCst);
    }

    pub(crate) fn set_contact(&self, at: BootTime) {
        self.last_contact.store(at.0.saturating_add(1), Ordering::Release);
    }

    /// The last contact, if there was one.
    pub(crate) fn contact(&self) -> Option<BootTime> {
        self.last_contact.load(Ordering::Acquire).checked_sub(1).map(BootTime)
    }

    pub(crate) fn set_revocations_confirmed(&self, at: BootTime) {
        self.revocations_confirmed.store(at.0.saturating_add(1), Ordering::Release);
    }

    /// When it was last known that all that is revoked is known here.
    pub(crate) fn revocations_confirmed(&self) -> Option<BootTime> {
        self.revocations_confirmed.load(Ordering::Acquire).checked_sub(1).map(BootTime)
    }

    /// Whether it was found out what is revoked, or that it cannot be.
    pub(crate) fn was_revocation_attempted(&self) -> bool {
        self.revocation_attempts.load(Ordering::Acquire) > 0
    }

    pub(crate) fn revocation_attempted(&self) {
        self.revocation_attempts.fetch_add(1, Ordering::AcqRel);
    }

    /// Why nothing is held.
    pub(crate) fn missing(&self, status: &ArcSwap<Status>) -> ClientError {
        let ring = self.ring.to_string();
        match self.refusal.load_full() {
            Some(refusal) => ClientError::Refused { ring, refusal },
            None => ClientError::NotLoaded { ring, trouble: status.load().trouble.clone() },
        }
    }

    pub(crate) fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Acquire)
    }

    pub(crate) fn attempted(&self) {
        self.attempts.fetch_add(1, Ordering::AcqRel);
    }
}

/// What the threads of one process share with its watcher.
pub(crate) struct Live {
    pub(crate) generation: u64,
    pub(crate) slots: Box<[Slot]>,
    pub(crate) wake: Wake,
    pub(crate) status: ArcSwap<Status>,
    pub(crate) closing: AtomicBool,
    /// Whether what a deferred client answers for ends with it.
    pub(crate) leaving: AtomicBool,
    pub(crate) ended: AtomicBool,
    pub(crate) refreshes: Throttle,
    /// How often something was announced.
    moves: AtomicU64,
    waiting: Mutex<()>,
    moved: Condvar,
}

impl Live {
    /// What the process of this generation shares. No thread runs yet.
    pub(crate) fn new(generation: u64, rings: &[RingName]) -> io::Result<Self> {
        Ok(Self {
            generation,
            slots: rings.iter().cloned().map(Slot::new).collect(),
            wake: Wake::new()?,
            status: ArcSwap::from_pointee(Status::default()),
            closing: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            refreshes: Throttle::new(REFRESH_INTERVAL, REFRESH_BURST),
            moves: AtomicU64::new(0),
            waiting: Mutex::new(()),
            moved: Condvar::new(),
        })
    }

    /// Whether this belongs to the process that asks, and not to one that it was forked from.
    pub(crate) fn is_own(&self) -> bool {
        self.generation == fork::generation()
    }

    /// Tells those who wait that something happened.
    pub(crate) fn announce(&self) {
        self.moves.fetch_add(1, Ordering::SeqCst);
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.moved.notify_all();
    }

    /// Waits until `ready`, at most for `limit`. Unlike [`Live::wait`] this asks without holding
    /// anything, so that `ready` may do what it likes, and only after an announcement.
    pub(crate) fn watch(&self, limit: Span, ready: impl Fn() -> bool) -> bool {
        let deadline = boot_time().after(limit);
        loop {
            let seen = self.moves.load(Ordering::SeqCst);
            if ready() {
                return true;
            }
            let left = deadline.since(boot_time());
            if !self.wait(left, || self.moves.load(Ordering::SeqCst) != seen) {
                return ready();
            }
        }
    }

    /// Waits until `ready`, at most for `limit`.
    pub(crate) fn wait(&self, limit: Span, ready: impl Fn() -> bool) -> bool {
        let deadline = boot_time().after(limit);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if ready() {
                return true;
            }
            let left = deadline.since(boot_time());
            if left == Span::ZERO {
                return false;
            }
            let outcome = self.moved.wait_timeout(waiting, left.to_std());
            waiting = outcome.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
