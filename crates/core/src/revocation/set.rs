//! The set that stands in memory beside the keys: 16 bytes for a revoked token.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use super::hash::{Fingerprint, Keys};
use super::parts::{Kept, Parts};
use super::{Facts, Revocation, Revoked, forget_in, hour_of};

/// What was revoked, for the checks of one ring.
///
/// A `jti` is kept as 96 bits of its SipHash-1-3 under a key that only this process knows, with
/// the hour in which it may be forgotten. Nobody who chooses the `jti` of tokens can make two meet
/// in one place, and with ten million of them a token that was not revoked is taken for one that
/// was with a probability of 10⁷ ÷ 2⁹⁶, less than 2⁻⁷².
///
/// The order of what is applied does not matter, nor how often; checks go on meanwhile.
pub struct RevocationSet {
    keys: Keys,
    tokens: Parts<Token>,
    subjects: Parts<Subject>,
    /// In order; each with the moment before which what it protected is dead.
    kids: RwLock<Vec<(String, i64)>>,
    /// So that a check of what nobody revoked takes no lock.
    kids_known: AtomicUsize,
    issued_before: AtomicI64,
    swept_in: AtomicU32,
}

struct Token {
    fingerprint: Fingerprint,
    forgotten_in: u32,
}

struct Subject {
    fingerprint: Fingerprint,
    forgotten_in: u32,
    issued_before: i64,
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

impl RevocationSet {
    /// An empty set. The key must be random and known to nobody else.
    pub fn new(key: [u8; 16]) -> Self {
        Self {
            keys: Keys::new(&key),
            tokens: Parts::new(),
            subjects: Parts::new(),
            kids: RwLock::default(),
            kids_known: AtomicUsize::new(0),
            issued_before: AtomicI64::new(i64::MIN),
            swept_in: AtomicU32::new(0),
        }
    }

    /// Takes in one revocation. When this returns, every later check sees it.
    pub fn apply(&self, revocation: &Revocation) {
        match revocation {
            Revocation::Jti { jti, expires } => {
                let fingerprint = self.keys.fingerprint(self.keys.place(jti), jti);
                let token = Token { fingerprint, forgotten_in: forget_in(*expires) };
                self.tokens.insert(token);
            }
            Revocation::Subject { subject, issued_before, expires } => {
                let fingerprint = self.keys.fingerprint(self.keys.place(subject), subject);
                let forgotten_in = forget_in(*expires);
                let entry = Subject { fingerprint, forgotten_in, issued_before: *issued_before };
                self.subjects.insert(entry);
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
        if self.tokens.len() > 0 && facts.jti.is_some_and(|jti| self.has_jti(jti)) {
            return Some(Revoked::Jti);
        }
        if self.subjects.len() > 0
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
        let place = self.keys.place(jti);
        self.tokens.find(place, || self.keys.fingerprint(place, jti), |_| ()).is_some()
    }

    fn subject(&self, subject: &str) -> Option<i64> {
        let place = self.keys.place(subject);
        let whole = || self.keys.fingerprint(place, subject);
        self.subjects.find(place, whole, |subject| subject.issued_before)
    }

    /// Forgets what has expired, at most once in each hour: further calls within it return at once.
    /// Checks of one part wait while that part is swept.
    pub fn drop_expired(&self, now: i64) {
        let hour = hour_of(now);
        if self.swept_in.fetch_max(hour, Ordering::AcqRel) >= hour {
            return;
        }
        self.tokens.sweep(hour);
        self.subjects.sweep(hour);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        let epoch = usize::from(self.issued_before.load(Ordering::Acquire) > i64::MIN);
        self.tokens.len() + self.subjects.len() + self.kids_known.load(Ordering::Acquire) + epoch
    }

    /// Whether nothing was revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        let kids = self.kids.read().unwrap_or_else(PoisonError::into_inner);
        let names: usize = kids.iter().map(|kid| kid.0.capacity() + size_of_val(kid)).sum();
        size_of::<Self>() + names + self.tokens.allocated() + self.subjects.allocated()
    }
}
