//! What a server answers from memory: the accepted versions of every signing ring, what was
//! revoked, and the JWK sets. The thread that follows the feed puts each change here, then tells
//! the engine that it has, and only then do gates count this server as one that serves it.
//!
//! When the store is lost, what stands here goes on to be served, as consumers go on; the ring's
//! `revocations_stale_after` says how long tokens still pass without news of revocations.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use keywheel_core::id::{Incarnation, Kid, RingName, VersionNumber};
use keywheel_core::kind::Kind;
use keywheel_core::revocation::{Facts, RevocationSet, Revoked};
use keywheel_core::ring::{Ring, State};
use keywheel_core::time::Span;
use keywheel_engine::ports::{Clock, Seq};
use keywheel_engine::{Engine, EngineError, RingChange, Served};
use keywheel_jose::PublicJwk;
use keywheel_jose::token::{
    Expected, Keys as _, TokenError, TokenKey, UnixSeconds, Verified, danger_kid, verify,
};
use serde::Serialize;

use super::authority::{Accepted, Authority, Stale, Tally, Version};

/// How many names are read at once.
const PAGE: usize = 1_000;

/// The longest that a JWK set may be kept by whoever fetched it, as long as no ring asks for less.
const MAX_AGE: Span = Span::from_secs(300);

/// The memory of a server.
pub struct Shelf {
    clock: Arc<dyn Clock>,
    rings: RwLock<HashMap<RingName, Arc<OneRing>>>,
    /// The document of all rings together.
    all: RwLock<Arc<Document>>,
    /// Whether every ring was read once.
    is_complete: AtomicBool,
    /// When the store was last seen to be followed, in milliseconds of the monotonic clock.
    fresh: AtomicU64,
}

/// One signing ring.
struct OneRing {
    incarnation: Incarnation,
    accepted: Arc<Accepted>,
    counters: BTreeMap<VersionNumber, Arc<Counter>>,
    jwks: Option<Arc<Document>>,
    keys: Vec<PublicJwk>,
    max_age: Span,
    /// What was revoked; the engine goes on to fill it. Nothing when the log was never believed,
    /// and then nothing passes.
    revocations: Option<Arc<RevocationSet>>,
    /// After so long without the store nothing passes.
    stale_after: Option<Span>,
}

/// Counts what was accepted and refused with one version, until the engine takes it over.
#[derive(Default)]
struct Counter {
    processed: AtomicU64,
    rejected: AtomicU64,
}

impl Tally for Counter {
    fn processed(&self) {
        self.processed.fetch_add(1, Ordering::Relaxed);
    }

    fn rejected(&self) {
        self.rejected.fetch_add(1, Ordering::Relaxed);
    }
}

/// A JWK set as it goes onto the wire.
pub(crate) struct Document {
    pub(crate) body: Bytes,
    /// A strong entity tag (RFC 9110 section 8.8.3), with its quotes.
    pub(crate) etag: String,
    pub(crate) max_age_secs: u64,
    /// The keyset revisions of the rings in it.
    pub(crate) generations: Arc<BTreeMap<RingName, u64>>,
}

/// What there is of a JWK set.
pub(crate) enum Jwks {
    /// The document.
    Known(Arc<Document>),
    /// No such ring, or none whose keys may be public.
    Nothing,
    /// The server has just started and has not read every ring.
    NotYet,
}

impl Shelf {
    /// An empty shelf.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let document = Document::of::<PublicJwk>(&[], MAX_AGE, BTreeMap::new());
        Self {
            clock,
            rings: RwLock::default(),
            all: RwLock::new(Arc::new(document)),
            is_complete: AtomicBool::new(false),
            fresh: AtomicU64::new(0),
        }
    }

    /// Reads some rings, which must be there before anything is answered for them.
    pub(crate) fn load(&self, engine: &Engine, rings: &[RingName]) -> Result<(), EngineError> {
        rings.iter().try_for_each(|ring| self.take(engine, ring).map(drop))
    }

    /// Reads every ring once.
    pub(crate) fn load_all(&self, engine: &Engine) -> Result<(), EngineError> {
        let mut after = None;
        loop {
            let names = engine.ring_names(after.as_ref(), PAGE)?;
            let Some(last) = names.last() else { break };
            after = Some(last.clone());
            self.load(engine, &names)?;
        }
        self.write_all();
        self.is_complete.store(true, Ordering::Release);
        Ok(())
    }

    /// Takes in what changed, and tells the engine that it is served from here on.
    pub(crate) fn apply(
        &self,
        engine: &Engine,
        changes: &[RingChange],
        seq: Seq,
    ) -> Result<(), EngineError> {
        let mut differs = false;
        for change in changes {
            differs |= self.take(engine, &change.ring)?;
        }
        if differs {
            self.write_all();
        }
        if self.is_complete.load(Ordering::Acquire) {
            self.is_fresh();
            engine.applied(seq, changes.iter().map(|change| &change.ring));
        }
        Ok(())
    }

    /// Notes that the store was followed up to its head a moment ago.
    pub(crate) fn is_fresh(&self) {
        self.fresh.store(self.now_millis(), Ordering::Release);
    }

    fn now_millis(&self) -> u64 {
        u64::try_from(self.clock.monotonic().0.as_millis()).unwrap_or(u64::MAX)
    }

    /// Hands what was counted to the engine.
    pub(crate) fn count(&self, engine: &Engine) {
        for (name, ring) in &*self.rings() {
            for (number, counter) in &ring.counters {
                let processed = counter.processed.swap(0, Ordering::Relaxed);
                let rejected = counter.rejected.swap(0, Ordering::Relaxed);
                if processed > 0 || rejected > 0 {
                    engine.count_served(name, *number, processed, rejected);
                }
            }
        }
    }

    fn rings(&self) -> std::sync::RwLockReadGuard<'_, HashMap<RingName, Arc<OneRing>>> {
        self.rings.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, name: &RingName) -> Option<Arc<OneRing>> {
        self.rings().get(name).map(Arc::clone)
    }

    /// Reads one ring; says whether its public keys are others than before. One that is not there,
    /// not for signing, or deleted, is not served; one that is not believed stays as it was.
    fn take(&self, engine: &Engine, name: &RingName) -> Result<bool, EngineError> {
        let served = match engine.served(name) {
            Ok(served) => Some(served),
            Err(EngineError::NotFound { .. }) => None,
            Err(error @ EngineError::Distrusted { .. }) => {
                tracing::error!(ring = %name, cause = %error, "the edge goes on with what it had");
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let former = self.ring(name);
        let served = served.filter(|served| {
            let ring = served.ring();
            ring.deleted.is_none() && matches!(ring.policy.kind, Kind::Signing { .. })
        });
        let revocations = match served.as_ref().map(|_| engine.revocations(name)) {
            Some(Ok(set)) => Some(set),
            Some(Err(error @ EngineError::Store(_))) => return Err(error),
            Some(Err(error)) => {
                tracing::error!(ring = %name, cause = %error, "what was revoked is not believed");
                former.as_ref().and_then(|former| former.revocations.clone())
            }
            None => None,
        };
        let present = served.map(|served| Taken::of(&served, former.as_deref(), revocations));
        if let Some(served) = &present {
            let known = |number: VersionNumber| served.known.contains(&number);
            engine.forget_served(name, known);
        }
        let present = present.map(|present| Arc::new(present.ring));
        let differs = match (&former, &present) {
            (None, None) => false,
            (Some(former), Some(present)) => {
                former.keys != present.keys
                    || former.max_age != present.max_age
                    || former.accepted.generation != present.accepted.generation
            }
            _ => true,
        };
        let mut rings = self.rings.write().unwrap_or_else(PoisonError::into_inner);
        match present {
            Some(present) => drop(rings.insert(name.clone(), present)),
            None => drop(rings.remove(name)),
        }
        Ok(differs)
    }

    /// Writes the document of all rings anew.
    fn write_all(&self) {
        let rings = self.rings();
        let mut public: Vec<_> = rings.iter().filter(|(_, ring)| ring.jwks.is_some()).collect();
        public.sort_by_key(|(name, _)| *name);
        let keys: Vec<&PublicJwk> = public.iter().flat_map(|(_, ring)| &ring.keys).collect();
        let max_age = public.iter().map(|(_, ring)| ring.max_age).min().unwrap_or(MAX_AGE);
        let generations =
            public.iter().map(|(name, ring)| ((*name).clone(), ring.accepted.generation));
        let document = Document::of(&keys, max_age, generations.collect());
        drop(rings);
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(document);
    }

    /// The JWK set of one ring, or of all.
    pub(crate) fn jwks(&self, ring: Option<&RingName>) -> Jwks {
        let is_complete = self.is_complete.load(Ordering::Acquire);
        match ring {
            None if is_complete => {
                Jwks::Known(Arc::clone(&self.all.read().unwrap_or_else(PoisonError::into_inner)))
            }
            None => Jwks::NotYet,
            Some(name) => match self.ring(name).and_then(|ring| ring.jwks.clone()) {
                Some(document) => Jwks::Known(document),
                None if is_complete => Jwks::Nothing,
                None => Jwks::NotYet,
            },
        }
    }

    /// The algorithms of all public keys, each once.
    pub(crate) fn algorithms(&self) -> Vec<&'static str> {
        let mut all: Vec<_> =
            self.rings().values().flat_map(|ring| &ring.keys).map(|key| key.alg).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Verifies a token that may be of any of these rings, against what they accept now, and
    /// against what was revoked.
    pub(crate) fn verify<T>(
        &self,
        token: &[u8],
        within: impl Fn(&RingName) -> bool,
        now: UnixSeconds,
        found: impl FnOnce(&RingName, &Verified<'_>) -> T,
    ) -> Result<T, TokenError> {
        let unknown = || TokenError::UnknownKid { kid: Box::default() };
        // A token that names no key belongs to no ring in particular.
        let kid = danger_kid(token).ok_or_else(unknown)?;
        let rings = self.rings();
        let own =
            rings.iter().find(|(name, ring)| within(name) && ring.accepted.by_kid(&kid).is_some());
        let (name, ring) =
            own.map(|(name, ring)| (name.clone(), Arc::clone(ring))).ok_or_else(unknown)?;
        drop(rings);
        let verified = verify(token, &*ring.accepted, &Expected::new(), now)?;
        let known = verified.claims.with_facts(Some(&kid), |facts| self.revoked(&name, facts));
        match known {
            Ok(None) => Ok(found(&name, &verified)),
            Ok(Some(_)) => Err(TokenError::Revoked),
            Err(Stale) => Err(TokenError::RevocationsStale),
        }
    }
}

impl Authority for Shelf {
    fn accepted(&self, ring: &RingName) -> Option<Arc<Accepted>> {
        Some(Arc::clone(&self.rings().get(ring)?.accepted))
    }

    fn revoked(&self, ring: &RingName, facts: &Facts<'_>) -> Result<Option<Revoked>, Stale> {
        let rings = self.rings();
        let ring = rings.get(ring).ok_or(Stale)?;
        let revocations = ring.revocations.as_ref().ok_or(Stale)?;
        if let Some(most) = ring.stale_after {
            let since = self.now_millis().saturating_sub(self.fresh.load(Ordering::Acquire));
            if since > most.as_millis() {
                return Err(Stale);
            }
        }
        Ok(revocations.check(facts))
    }
}

/// A ring that was just read.
struct Taken {
    ring: OneRing,
    /// The versions that it still knows of.
    known: Vec<VersionNumber>,
}

impl Taken {
    fn of(
        served: &Served,
        former: Option<&OneRing>,
        revocations: Option<Arc<RevocationSet>>,
    ) -> Self {
        let ring = served.ring();
        let former = former.filter(|former| former.incarnation == ring.incarnation);
        let mut counters = BTreeMap::new();
        let mut versions = Vec::new();
        let mut keys = Vec::new();
        for (number, version) in in_order(ring) {
            let Some(material) = served.material(number) else { continue };
            let Ok(key) = TokenKey::of_material(material, &version.kid) else { continue };
            let counter = former.and_then(|former| former.counters.get(&number).cloned());
            let counter: Arc<Counter> = counter.unwrap_or_default();
            counters.insert(number, Arc::clone(&counter));
            let public = material.public_jwk(&version.kid);
            let is_asymmetric = public.is_some();
            keys.extend(public);
            let kid = Kid(version.kid.0.clone());
            versions.push(Version { number, kid, key, is_asymmetric, tally: counter });
        }
        keys.sort_by(|one, other| one.kid.cmp(&other.kid));
        let is_public = !ring.policy.kind.is_symmetric();
        let max_age = max_age(ring);
        let generation = ring.keyset_revision.0;
        let generations = BTreeMap::from([(ring.name.clone(), generation)]);
        let jwks = is_public.then(|| Arc::new(Document::of(&keys, max_age, generations)));
        let one = OneRing {
            incarnation: ring.incarnation.clone(),
            accepted: Arc::new(Accepted::new(generation, versions)),
            // A request that goes on may still count with a version that was accepted a moment ago.
            counters: former
                .into_iter()
                .flat_map(|former| former.counters.clone())
                .filter(|(number, _)| {
                    ring.versions
                        .get(number)
                        .is_some_and(keywheel_core::ring::Version::has_material)
                })
                .chain(counters)
                .collect(),
            jwks,
            keys,
            max_age,
            revocations,
            stale_after: ring.policy.revocations_stale_after,
        };
        Self { ring: one, known: ring.versions.keys().copied().collect() }
    }
}

/// The accepted versions: primary, retiring, and those that are only published.
fn in_order(ring: &Ring) -> Vec<(VersionNumber, &keywheel_core::ring::Version)> {
    let mut all: Vec<_> = ring.accepted().collect();
    all.sort_by_key(|(number, version)| {
        let rank = match version.state {
            State::Primary { .. } => 0,
            State::Retiring { .. } => 1,
            _ => 2,
        };
        (rank, std::cmp::Reverse(*number))
    });
    all
}

/// How long whoever fetched the keys may keep them: no longer than the policy waits before it signs
/// with a new one.
fn max_age(ring: &Ring) -> Span {
    ring.policy.jwks_max_age()
}

impl Document {
    fn of<K: Serialize>(keys: &[K], max_age: Span, generations: BTreeMap<RingName, u64>) -> Self {
        #[derive(Serialize)]
        struct Set<'a, K> {
            keys: &'a [K],
        }
        // Text and numbers always serialize.
        let body = serde_json::to_vec(&Set { keys }).unwrap_or_default();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &body);
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest.as_ref()));
        let generations = Arc::new(generations);
        Self { body: body.into(), etag, max_age_secs: max_age.as_secs(), generations }
    }
}
