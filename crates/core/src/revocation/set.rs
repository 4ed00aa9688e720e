//! The set that stands in memory beside the keys: 16 bytes for a revoked token.

use std::hash::Hasher as _;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::{Facts, Revocation, Revoked, forget_in, hour_of};

/// How many parts the set has, each behind its own lock: writers of one part let readers of the
/// others pass, and only one part at a time grows.
const SHARDS: usize = 64;

/// What was revoked, for the checks of one ring.
///
/// A `jti` is kept as 96 bits of its SipHash-1-3 under a key that only this process knows, with
/// the hour in which it may be forgotten. Nobody who chooses the `jti` of tokens can make two meet
/// in one place, and with ten million of them a token that was not revoked is taken for one that
/// was with a probability of 10⁷ ÷ 2⁹⁶, less than 2⁻⁷².
///
/// The order of what is applied does not matter, nor how often; checks go on meanwhile.
pub struct RevocationSet {
    key: [u8; 16],
    tokens: Box<[Shard<Token>; SHARDS]>,
    subjects: Box<[Shard<Subject>; SHARDS]>,
    /// In order; each with the moment before which what it protected is dead.
    kids: RwLock<Vec<(String, i64)>>,
    /// So that a check of what nobody revoked takes no lock.
    tokens_known: AtomicUsize,
    subjects_known: AtomicUsize,
    kids_known: AtomicUsize,
    issued_before: AtomicI64,
    swept_in: AtomicU32,
}

/// One part. It has its cache lines to itself, so that two cores do not fight over two locks.
#[repr(align(128))]
struct Shard<T>(RwLock<HashTable<T>>);

/// Most of a hash; the rest of it chose the shard.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fingerprint([u32; 3]);

struct Token {
    fingerprint: Fingerprint,
    forgotten_in: u32,
}

struct Subject {
    fingerprint: Fingerprint,
    forgotten_in: u32,
    issued_before: i64,
}

/// What a table needs to know of what it keeps.
trait Kept {
    fn fingerprint(&self) -> Fingerprint;
    fn forgotten_in(&self) -> u32;
    /// Takes in another statement about the same thing; the more lasting and stricter one holds.
    fn join(&mut self, other: Self);
}

impl Kept for Token {
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
    fn forgotten_in(&self) -> u32 {
        self.forgotten_in
    }
    fn join(&mut self, other: Self) {
        self.forgotten_in = self.forgotten_in.max(other.forgotten_in);
    }
}

impl Kept for Subject {
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
    fn forgotten_in(&self) -> u32 {
        self.forgotten_in
    }
    fn join(&mut self, other: Self) {
        self.forgotten_in = self.forgotten_in.max(other.forgotten_in);
        self.issued_before = self.issued_before.max(other.issued_before);
    }
}

impl Fingerprint {
    /// The 64 bits by which a table finds its place.
    fn place(self) -> u64 {
        let [low, high, _] = self.0;
        u64::from(high) << 32 | u64::from(low)
    }
}

impl RevocationSet {
    /// An empty set. The key must be random and known to nobody else.
    pub fn new(key: [u8; 16]) -> Self {
        Self {
            key,
            tokens: shards(),
            subjects: shards(),
            kids: RwLock::default(),
            tokens_known: AtomicUsize::new(0),
            subjects_known: AtomicUsize::new(0),
            kids_known: AtomicUsize::new(0),
            issued_before: AtomicI64::new(i64::MIN),
            swept_in: AtomicU32::new(0),
        }
    }

    /// Takes in one revocation. When this returns, every later check sees it.
    pub fn apply(&self, revocation: &Revocation) {
        match revocation {
            Revocation::Jti { jti, expires } => {
                let (fingerprint, shard) = self.hash(jti);
                let token = Token { fingerprint, forgotten_in: forget_in(*expires) };
                if insert(&self.tokens, shard, token) {
                    self.tokens_known.fetch_add(1, Ordering::Release);
                }
            }
            Revocation::Subject { subject, issued_before, expires } => {
                let (fingerprint, shard) = self.hash(subject);
                let forgotten_in = forget_in(*expires);
                let entry = Subject { fingerprint, forgotten_in, issued_before: *issued_before };
                if insert(&self.subjects, shard, entry) {
                    self.subjects_known.fetch_add(1, Ordering::Release);
                }
            }
            Revocation::Kid { kid, issued_before } => {
                let moment = issued_before.unwrap_or(i64::MAX);
                let mut kids = self.kids.write().unwrap_or_else(PoisonError::into_inner);
                match kids.binary_search_by(|(known, _)| known.cmp(&kid.0)) {
                    Ok(place) => {
                        if let Some((_, known)) = kids.get_mut(place) {
                            *known = (*known).max(moment);
                        }
                    }
                    Err(place) => kids.insert(place, (kid.0.clone(), moment)),
                }
                self.kids_known.store(kids.len(), Ordering::Release);
            }
            Revocation::IssuedBefore { at } => {
                self.issued_before.fetch_max(*at, Ordering::AcqRel);
            }
        }
    }

    /// Why a token is dead, if it is.
    pub fn check(&self, facts: &Facts<'_>) -> Option<Revoked> {
        let at = self.issued_before.load(Ordering::Acquire);
        // Who does not say when it was issued may have been issued at any time.
        let older_than = |moment: i64| facts.issued_at.is_none_or(|issued| issued < moment);
        if at > i64::MIN && older_than(at) {
            return Some(Revoked::IssuedBefore { at });
        }
        if self.kids_known.load(Ordering::Acquire) > 0
            && let Some(moment) = facts.kid.and_then(|kid| self.kid(kid))
            && (moment == i64::MAX || older_than(moment))
        {
            return Some(Revoked::Kid);
        }
        if self.tokens_known.load(Ordering::Acquire) > 0
            && facts.jti.is_some_and(|jti| self.has_jti(jti))
        {
            return Some(Revoked::Jti);
        }
        if self.subjects_known.load(Ordering::Acquire) > 0
            && let Some(subject) = facts.subject
            && let Some(issued_before) = self.subject(subject)
            && older_than(issued_before)
        {
            return Some(Revoked::Subject { issued_before });
        }
        None
    }

    fn kid(&self, kid: &str) -> Option<i64> {
        let kids = self.kids.read().unwrap_or_else(PoisonError::into_inner);
        let place = kids.binary_search_by(|(known, _)| known.as_str().cmp(kid)).ok()?;
        kids.get(place).map(|(_, moment)| *moment)
    }

    fn has_jti(&self, jti: &str) -> bool {
        let (fingerprint, shard) = self.hash(jti);
        let Some(shard) = self.tokens.get(shard) else { return false };
        shard.read().find(fingerprint.place(), |t| t.fingerprint == fingerprint).is_some()
    }

    fn subject(&self, subject: &str) -> Option<i64> {
        let (fingerprint, shard) = self.hash(subject);
        let table = self.subjects.get(shard)?.read();
        let found = table.find(fingerprint.place(), |s| s.fingerprint == fingerprint);
        found.map(|subject| subject.issued_before)
    }

    /// Forgets what has expired, at most once in each hour: further calls within it return at once.
    /// Checks of one part wait while that part is swept.
    pub fn drop_expired(&self, now: i64) {
        let hour = hour_of(now);
        if self.swept_in.fetch_max(hour, Ordering::AcqRel) >= hour {
            return;
        }
        let dropped = sweep(&self.tokens, hour);
        self.tokens_known.fetch_sub(dropped, Ordering::AcqRel);
        let dropped = sweep(&self.subjects, hour);
        self.subjects_known.fetch_sub(dropped, Ordering::AcqRel);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        let tokens = self.tokens_known.load(Ordering::Acquire);
        let subjects = self.subjects_known.load(Ordering::Acquire);
        let epoch = usize::from(self.issued_before.load(Ordering::Acquire) > i64::MIN);
        tokens + subjects + self.kids_known.load(Ordering::Acquire) + epoch
    }

    /// Whether nothing was revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        let kids = self.kids.read().unwrap_or_else(PoisonError::into_inner);
        let names: usize = kids.iter().map(|kid| kid.0.capacity() + size_of_val(kid)).sum();
        size_of::<Self>() + names + allocated(&self.tokens) + allocated(&self.subjects)
    }

    /// The fingerprint of a text, and the shard that keeps it.
    fn hash(&self, text: &str) -> (Fingerprint, usize) {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(text.as_bytes());
        let hash = hasher.finish128();
        let (low, high) = (hash.h1, hash.h2);
        let half = |word: u64| [low_half(word), low_half(word >> 32)];
        let ([a, b], [c, rest]) = (half(low), half(high));
        (Fingerprint([a, b, c]), rest as usize % SHARDS)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
const fn low_half(word: u64) -> u32 {
    word as u32
}

impl<T> Shard<T> {
    fn read(&self) -> RwLockReadGuard<'_, HashTable<T>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashTable<T>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shards<T>() -> Box<[Shard<T>; SHARDS]> {
    Box::new(std::array::from_fn(|_| Shard(RwLock::new(HashTable::new()))))
}

/// Inserts, or joins with what is there; true when it is new.
fn insert<T: Kept>(shards: &[Shard<T>; SHARDS], shard: usize, entry: T) -> bool {
    let Some(shard) = shards.get(shard) else { return false };
    let fingerprint = entry.fingerprint();
    let same = |known: &T| known.fingerprint() == fingerprint;
    match shard.write().entry(fingerprint.place(), same, |known| known.fingerprint().place()) {
        Entry::Occupied(mut known) => {
            known.get_mut().join(entry);
            false
        }
        Entry::Vacant(place) => {
            place.insert(entry);
            true
        }
    }
}

/// Removes what is over by this hour, and gives back memory that has become much too large.
fn sweep<T: Kept>(shards: &[Shard<T>; SHARDS], hour: u32) -> usize {
    let mut dropped = 0;
    for shard in shards {
        let mut table = shard.write();
        let before = table.len();
        table.retain(|entry| entry.forgotten_in() > hour);
        dropped += before - table.len();
        if table.capacity() > 4 * table.len() {
            let room = table.len();
            table.shrink_to(room, |known| known.fingerprint().place());
        }
    }
    dropped
}

fn allocated<T>(shards: &[Shard<T>; SHARDS]) -> usize {
    let tables: usize = shards.iter().map(|shard| shard.read().allocation_size()).sum();
    tables + SHARDS * size_of::<Shard<T>>()
}
