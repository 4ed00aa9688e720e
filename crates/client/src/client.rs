//! The client as the application sees it: it connects with the first use, follows its rings, and
//! after a fork begins anew without being told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwapOption;
use keywheel_api::revocation::{IssuedToken, Revoke, RevokedTokens};
use keywheel_api::ring::{Event, RingStatus};
use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{Incarnation, Kid, Revision, RingName, VersionNumber};
use keywheel_core::revocation::{Facts, Revocation, Revoked};
use keywheel_core::time::Span;

use crate::builder::{Builder, Origin, Settings, TokenSource};
use crate::clock::boot_time;
use crate::error::{BuildError, ClientError, ProcessError, ProtectError, RevocationCheckError};
use crate::fork;
use crate::guard::Guard;
use crate::health::Health;
use crate::http::{Http, HttpError};
use crate::keyset::{Keyset, Version};
use crate::live::{Finding, Live, Slot};
use crate::revocations;
use crate::still::{self, StillKeys};
use crate::watcher;

const REFRESH_TIMEOUT: Span = Span::from_secs(3);
const GOODBYE_TIMEOUT: Span = Span::from_secs(2);

struct Inner {
    settings: Arc<Settings>,
    live: ArcSwapOption<Live>,
}

impl Inner {
    /// Lets `use_it` look at what this process shares with its watcher; starts the watcher where
    /// there is none, in a forked child above all.
    fn with<T>(&self, use_it: impl FnOnce(&Arc<Live>) -> T) -> Result<T, ClientError> {
        if let Some(live) = &*self.live.load()
            && live.is_own()
        {
            return Ok(use_it(live));
        }
        self.start().map(|live| use_it(&live))
    }

    #[cold]
    fn start(&self) -> Result<Arc<Live>, ClientError> {
        let failed = |error: std::io::Error| ClientError::Start { cause: error.to_string() };
        fork::notice().map_err(failed)?;
        loop {
            let generation = fork::generation();
            let present = self.live.load_full();
            if let Some(live) = present.as_ref().filter(|live| live.generation == generation) {
                return Ok(Arc::clone(live));
            }
            let live = Live::new(generation, &self.settings.rings).map_err(failed)?;
            let live = Arc::new(live);
            let before = self.live.compare_and_swap(&present, Some(Arc::clone(&live)));
            let won = match (&*before, &present) {
                (Some(before), Some(present)) => Arc::ptr_eq(before, present),
                (None, None) => true,
                _ => false,
            };
            // What the parent shared with its watcher is never dropped here: its locks may be held
            // for ever, and its sockets are the parent's.
            std::mem::forget(present);
            if !won {
                continue;
            }
            match &self.settings.origin {
                Origin::Server(_) => {
                    let started = watcher::start(Arc::clone(&live), Arc::clone(&self.settings));
                    if let Err(error) = started {
                        self.live.store(None);
                        return Err(failed(error));
                    }
                }
                Origin::Still(keys) => {
                    still::show_all(&live, keys);
                    // Another thread may have come in between, and waits.
                    live.announce();
                }
            }
            return Ok(live);
        }
    }

    /// Says goodbye, if there is anybody to say it.
    fn shut_down(&self, limit: Span) -> bool {
        let Some(live) = self.live.load_full() else { return true };
        if !live.is_own() {
            std::mem::forget(live);
            return true;
        }
        live.closing.store(true, Ordering::SeqCst);
        if matches!(self.settings.origin, Origin::Still(_)) {
            live.ended.store(true, Ordering::Release);
            live.announce();
        }
        live.wake.ring();
        live.wait(limit, || live.ended.load(Ordering::Acquire))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shut_down(GOODBYE_TIMEOUT);
        if let Some(live) = self.live.swap(None)
            && !live.is_own()
        {
            std::mem::forget(live);
        }
    }
}

/// A client of keywheel. Cheap to clone; the last clone says goodbye when it is dropped.
///
/// ```
/// use keywheel_client::{Client, TokenSource};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder("unix:/run/keywheel/keywheel.sock", TokenSource::Environment)
///     .consumer("web")
///     .ring("web-session")
///     .build()?; // nothing has been opened or started yet
/// let ring = client.ring("web-session")?;
/// # let _ = ring;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

impl Client {
    /// Begins to describe a client of the server at `endpoint`.
    pub fn builder(endpoint: impl Into<String>, token: impl Into<TokenSource>) -> Builder {
        Builder::new(endpoint.into(), token.into())
    }

    pub(crate) fn new(settings: Settings) -> Self {
        let inner = Inner { settings: Arc::new(settings), live: ArcSwapOption::empty() };
        Self { inner: Arc::new(inner) }
    }

    /// A client whose keys are given here and that asks no server: for tests, and for tools that
    /// run where no server is. It proves nothing to anybody. It starts no thread.
    ///
    /// # Errors
    /// When a name is no ring's name, no ring is named, or one twice.
    pub fn still(rings: impl IntoIterator<Item = (String, StillKeys)>) -> Result<Self, BuildError> {
        still::settings(rings).map(Self::new)
    }

    /// Puts other keys in the place of those that a client of [`Client::still`] has for a ring; its
    /// readers see a change as if a server had sent it.
    ///
    /// # Errors
    /// When the client has no such ring, or gets its keys from a server.
    pub fn put(&self, ring: &str, keys: StillKeys) -> Result<(), BuildError> {
        let handle = self.ring(ring)?;
        let Origin::Still(all) = &self.inner.settings.origin else {
            return Err(BuildError::NotStill);
        };
        let place =
            all.get(handle.index).ok_or_else(|| BuildError::UnknownRing(ring.to_owned()))?;
        place.store(Arc::new(keys));
        let live = self.inner.live.load();
        if let Some(live) = live.as_ref().filter(|live| live.is_own()) {
            still::show(live, handle.index, place);
            live.announce();
        }
        Ok(())
    }

    /// One of the rings that the client was built with.
    ///
    /// # Errors
    /// When it was not.
    pub fn ring(&self, name: &str) -> Result<RingHandle, BuildError> {
        let index = self.inner.settings.rings.iter().position(|ring| ring.as_str() == name);
        let index = index.ok_or_else(|| BuildError::UnknownRing(name.to_owned()))?;
        Ok(RingHandle { inner: Arc::clone(&self.inner), index })
    }

    /// Starts the watcher and waits until every ring has arrived or could not. Nobody has to call
    /// this; in a worker that was just forked it lets the process prove before its first request.
    ///
    /// # Errors
    /// When a ring has not arrived: the first such ring's reason.
    pub fn start(&self) -> Result<(), ClientError> {
        self.start_all().map_err(|errors| errors.into_iter().next().unwrap_or(ClientError::Closed))
    }

    /// Like [`Client::start`], and gives the reason of each ring that has not arrived.
    ///
    /// # Errors
    /// When there is one at least.
    pub fn start_all(&self) -> Result<(), Vec<ClientError>> {
        let all = 0..self.inner.settings.rings.len();
        let started =
            all.map(|index| RingHandle { inner: Arc::clone(&self.inner), index }.current());
        let failed: Vec<_> = started.filter_map(Result::err).collect();
        if failed.is_empty() { Ok(()) } else { Err(failed) }
    }

    /// Says goodbye to the server, so that no rotation waits for this process, and stops the
    /// watcher. Waits at most two seconds, and says whether the watcher has ended. Whatever holds
    /// guards is not covered by a goodbye: the server then learns of the end by the lease.
    ///
    /// A deferred client says no goodbye: what it answers for goes on. Use [`Client::leave`] when
    /// that has ended too.
    pub fn shutdown(&self) -> bool {
        self.inner.shut_down(GOODBYE_TIMEOUT)
    }

    /// Begins what [`Client::shutdown`] waits for, for whoever has several clients to end.
    pub fn begin_shutdown(&self) {
        self.inner.shut_down(Span::ZERO);
    }

    /// Says goodbye for a consumer that has ended, so that no rotation waits for it, and stops the
    /// watcher like [`Client::shutdown`].
    pub fn leave(&self) -> bool {
        if let Some(live) = self.inner.live.load_full() {
            if live.is_own() {
                live.leaving.store(true, Ordering::SeqCst);
            } else {
                std::mem::forget(live);
            }
        }
        self.inner.shut_down(GOODBYE_TIMEOUT)
    }

    /// Waits until `ready`, which is asked whenever something arrived or [`Client::nudge`] was
    /// called, at most for `limit`. Says whether it was. For whoever follows several rings at once.
    ///
    /// # Errors
    /// When the client was shut down, or cannot start.
    pub fn wait_until(&self, limit: Span, ready: impl Fn() -> bool) -> Result<bool, ClientError> {
        self.inner.with(|live| {
            let ended = || live.ended.load(Ordering::Acquire);
            let is_ready = live.watch(limit, || ended() || ready());
            if ended() { Err(ClientError::Closed) } else { Ok(is_ready) }
        })?
    }

    /// Whether both are clones of one client.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Lets every [`Client::wait_until`] ask again.
    pub fn nudge(&self) {
        let live = self.inner.live.load();
        if let Some(live) = live.as_ref().filter(|live| live.is_own()) {
            live.announce();
        }
    }
}

/// One ring of a client. Cheap to clone.
#[derive(Clone)]
pub struct RingHandle {
    inner: Arc<Inner>,
    index: usize,
}

impl RingHandle {
    /// The client that the ring is one of.
    pub fn client(&self) -> Client {
        Client { inner: Arc::clone(&self.inner) }
    }

    /// The ring's name.
    pub fn name(&self) -> &str {
        self.inner.settings.rings.get(self.index).map_or("", RingName::as_str)
    }

    pub(crate) fn slot<T>(
        &self,
        use_it: impl FnOnce(&Arc<Live>, &Slot) -> T,
    ) -> Result<T, ClientError> {
        self.inner
            .with(|live| live.slots.get(self.index).map(|slot| use_it(live, slot)))?
            .ok_or(ClientError::Closed)
    }

    /// Lets `look` see what is held now, where anything has arrived in this process; nothing
    /// otherwise. Starts nothing, waits for nothing and copies nothing.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Slot, &Keyset) -> T) -> Option<T> {
        let live = self.inner.live.load();
        let live = live.as_ref().filter(|live| live.is_own())?;
        let slot = live.slots.get(self.index)?;
        slot.keyset.load().as_deref().map(|keyset| look(slot, keyset))
    }

    /// What is held now, if anything has arrived in this process. Starts nothing and waits for
    /// nothing.
    pub fn held(&self) -> Option<Arc<Keyset>> {
        let live = self.inner.live.load();
        let live = live.as_ref().filter(|live| live.is_own())?;
        live.slots.get(self.index)?.keyset.load_full()
    }

    /// Whether this very keyset is held now, in this process.
    pub fn holds(&self, keyset: &Arc<Keyset>) -> bool {
        let live = self.inner.live.load();
        let live = live.as_ref().filter(|live| live.is_own());
        let slot = live.and_then(|live| live.slots.get(self.index));
        slot.is_some_and(|slot| {
            slot.keyset.load().as_ref().is_some_and(|held| Arc::ptr_eq(held, keyset))
        })
    }

    /// What is held now. The first call in a process waits for it.
    ///
    /// # Errors
    /// When nothing has arrived.
    pub fn current(&self) -> Result<Arc<Keyset>, ClientError> {
        match self.slot(|_, slot| slot.keyset.load_full())? {
            Some(keyset) => Ok(keyset),
            None => self.first(),
        }
    }

    #[cold]
    fn first(&self) -> Result<Arc<Keyset>, ClientError> {
        let limit = self.inner.settings.first_use_timeout;
        self.slot(|live, slot| {
            if live.closing.load(Ordering::SeqCst) {
                return Err(ClientError::Closed);
            }
            live.wait(limit, || {
                slot.attempts() > 0
                    || slot.keyset.load().is_some()
                    || live.ended.load(Ordering::Acquire)
            });
            slot.keyset.load_full().ok_or_else(|| slot.missing(&live.status))
        })?
    }

    /// Waits until something else is held than `after`, at most for `limit`. Nothing when nothing
    /// else came. With `after` absent it waits for the first keyset.
    ///
    /// # Errors
    /// When the client was shut down, or cannot start.
    pub fn wait_for_change(
        &self,
        after: Option<(&Incarnation, Revision)>,
        limit: Span,
    ) -> Result<Option<Arc<Keyset>>, ClientError> {
        self.slot(|live, slot| {
            let newer = || {
                let keyset = slot.keyset.load_full()?;
                let present = (keyset.incarnation(), keyset.revision());
                (after != Some(present)).then_some(keyset)
            };
            let ended = || live.ended.load(Ordering::Acquire);
            live.wait(limit, || newer().is_some() || ended());
            if ended() { Err(ClientError::Closed) } else { Ok(newer()) }
        })?
    }

    /// Says that the consumer was shown to use this keyset, and how: the next report proves it.
    /// False when something else is held by now; then deliver that.
    ///
    /// # Errors
    /// When the client is not deferred or was shut down, or `level` is no evidence.
    pub fn confirm(
        &self,
        incarnation: &Incarnation,
        revision: Revision,
        level: EvidenceLevel,
    ) -> Result<bool, ClientError> {
        if level == EvidenceLevel::Assumed {
            return Err(ClientError::NotEvidence);
        }
        self.find(|slot| {
            let held = slot.keyset.load();
            let is_held = held.as_ref().is_some_and(|keyset| {
                keyset.incarnation() == incarnation && keyset.revision() == revision
            });
            let finding = || Finding::Confirmed(incarnation.clone(), revision, level);
            is_held.then(finding)
        })
    }

    /// Says that something is wrong at the consumer: what was confirmed before does not stand any
    /// more, and reports carry the text until the next [`RingHandle::confirm`]. It is cut to 300
    /// characters, and must hold no secret: people see it in `status`.
    ///
    /// # Errors
    /// When the client is not deferred or was shut down.
    pub fn trouble(&self, text: impl Into<String>) -> Result<(), ClientError> {
        self.find(|_| Some(Finding::Trouble(text.into()))).map(drop)
    }

    /// Leaves a finding for the watcher, and wakes it.
    fn find(&self, finding: impl FnOnce(&Slot) -> Option<Finding>) -> Result<bool, ClientError> {
        if !self.inner.settings.deferred {
            return Err(ClientError::NotDeferred);
        }
        self.slot(|live, slot| {
            if live.closing.load(Ordering::SeqCst) {
                return Err(ClientError::Closed);
            }
            let Some(finding) = finding(slot) else { return Ok(false) };
            slot.find(finding);
            live.wake.ring();
            Ok(true)
        })?
    }

    /// Takes a guard for work that protects; see [`Guard`].
    ///
    /// # Errors
    /// When there is nothing to protect with, or the last contact is longer ago than `offline_max`.
    pub fn guard(&self) -> Result<Guard, ProtectError> {
        let take = |live: &Arc<Live>| Guard::take(live, self.index, boot_time());
        match self.inner.with(take)? {
            Err(ProtectError::Client(
                ClientError::NotLoaded { .. } | ClientError::Refused { .. },
            )) => {
                self.first()?;
                self.inner.with(take)?
            }
            outcome => outcome,
        }
    }

    /// The accepted version with this kid, to process with. An unknown kid makes the client ask
    /// the server at once, though not too often.
    ///
    /// # Errors
    /// When nothing has arrived, or no accepted version has this kid.
    pub fn version(&self, kid: &str) -> Result<Arc<Version>, ProcessError> {
        match self.current()?.by_kid(kid) {
            Some(version) => Ok(Arc::clone(version)),
            None => self.refresh_for_unknown(kid),
        }
    }

    /// The accepted version with this number, to process with.
    ///
    /// # Errors
    /// When nothing has arrived.
    pub fn version_numbered(
        &self,
        number: VersionNumber,
    ) -> Result<Option<Arc<Version>>, ClientError> {
        Ok(self.current()?.by_number(number).map(Arc::clone))
    }

    /// Asks the server at once whether it knows this kid, and waits up to three seconds. All
    /// threads together do that five times in a row and then every two seconds at most; beyond that
    /// the kid counts as unknown.
    ///
    /// # Errors
    /// When no accepted version has this kid afterwards.
    pub fn refresh_for_unknown(&self, kid: &str) -> Result<Arc<Version>, ProcessError> {
        if let Some(version) = self.ask_again(|keyset| keyset.by_kid(kid).cloned())? {
            return Ok(version);
        }
        self.refused_unknown(kid)?;
        Err(ProcessError::UnknownKid)
    }

    /// Asks the server at once for what is new, and looks into that; see
    /// [`RingHandle::refresh_for_unknown`] for how often.
    pub(crate) fn ask_again<T>(
        &self,
        look: impl FnOnce(&Keyset) -> Option<T>,
    ) -> Result<Option<T>, ClientError> {
        self.slot(|live, slot| {
            let has_server = matches!(self.inner.settings.origin, Origin::Server(_));
            if !has_server || !live.refreshes.admits(boot_time()) {
                return None;
            }
            let before = slot.attempts();
            slot.refresh_wanted.store(true, Ordering::SeqCst);
            live.wake.ring();
            live.wait(REFRESH_TIMEOUT, || {
                slot.attempts() > before || live.ended.load(Ordering::Acquire)
            });
            slot.keyset.load().as_deref().and_then(look)
        })
    }

    /// Signs with the primary; gives the kid to write beside the signature. Raw: for tokens there
    /// is [`RingHandle::sign_token`].
    ///
    /// # Errors
    /// When nothing may be protected, or the key is one that encrypts.
    pub fn sign(&self, message: &[u8]) -> Result<(Kid, Vec<u8>), ProtectError> {
        let guard = self.guard()?;
        let signature = guard.material().sign(message)?;
        Ok((guard.kid().clone(), signature))
    }

    /// Checks a signature with the accepted version that has this kid, and counts it.
    ///
    /// # Errors
    /// When no accepted version has this kid, or it did not make this signature of this message.
    pub fn verify(&self, kid: &str, message: &[u8], signature: &[u8]) -> Result<(), ProcessError> {
        Ok(self.version(kid)?.verify(message, signature)?)
    }

    /// Counts `count` uses of a version that the application processed by itself.
    ///
    /// # Errors
    /// When nothing has arrived.
    pub fn processed(&self, number: VersionNumber, count: u64) -> Result<(), ClientError> {
        if let Some(version) = self.version_numbered(number)? {
            version.processed(count);
        }
        Ok(())
    }

    /// Counts one refusal of a kid that the application did not know and did not ask for with
    /// [`RingHandle::version`], which counts by itself. The server knows whose kid it was, and so
    /// finds a process that missed a key.
    ///
    /// # Errors
    /// When the client was closed.
    pub fn refused_unknown(&self, kid: &str) -> Result<(), ClientError> {
        self.slot(|_, slot| slot.count_unknown(kid))
    }

    /// Counts `count` uses of a version that the application refused.
    ///
    /// # Errors
    /// When nothing has arrived.
    pub fn rejected(&self, number: VersionNumber, count: u64) -> Result<(), ClientError> {
        if let Some(version) = self.version_numbered(number)? {
            version.rejected(count);
        }
        Ok(())
    }

    /// Why a token that was verified is dead all the same, if it is. What is revoked stands in
    /// memory and is followed; the first call in a process waits until it has arrived, or until it
    /// is known that no server gives it.
    ///
    /// # Errors
    /// When nothing has arrived, or when it is too long ago that all of it was known and the ring's
    /// policy says `revocations_stale_after`. What is known to be revoked is dead at any age.
    pub fn is_revoked(&self, facts: &Facts<'_>) -> Result<Option<Revoked>, RevocationCheckError> {
        let keyset = self.current()?;
        self.is_revoked_in(&keyset, facts)
    }

    /// The same for whoever has the keyset at hand already.
    pub(crate) fn is_revoked_in(
        &self,
        keyset: &Keyset,
        facts: &Facts<'_>,
    ) -> Result<Option<Revoked>, RevocationCheckError> {
        let looked_up = self.slot(|live, slot| {
            if !slot.was_revocation_attempted() {
                self.await_revocations(live, slot);
            }
            revocations::check(slot, keyset, facts)
        })?;
        Ok(looked_up?)
    }

    /// Whether [`RingHandle::is_revoked`] would answer without waiting for a server.
    pub fn knows_revocations(&self) -> bool {
        let live = self.inner.live.load();
        let live = live.as_ref().filter(|live| live.is_own());
        let slot = live.and_then(|live| live.slots.get(self.index));
        slot.is_some_and(|slot| slot.keyset.load().is_some() && slot.was_revocation_attempted())
    }

    #[cold]
    fn await_revocations(&self, live: &Live, slot: &Slot) {
        live.wait(self.inner.settings.first_use_timeout, || {
            slot.was_revocation_attempted() || live.ended.load(Ordering::Acquire)
        });
    }

    /// Revokes tokens or subjects, for good, and waits until that is durable: a logout. This
    /// process refuses them from then on; every other one is told.
    ///
    /// # Errors
    /// When the server refuses, or does not answer. Doing it again does no harm.
    pub fn revoke(&self, entries: &[Revocation], reason: Option<&str>) -> Result<(), HttpError> {
        if let Origin::Server(server) = &self.inner.settings.origin {
            let token = watcher::read_token(&server.token)?;
            let http = Http::new(server.endpoint.clone(), Some(&token), &server.tls)?;
            let body = Revoke {
                ring: self.name().into(),
                revoke: entries.to_vec(),
                reason: reason.map(Into::into),
                ..Revoke::default()
            };
            let _durable: RevokedTokens = http.post("/v1/revocations", Some(&body), &[])?;
        }
        // A client that cannot start accepts nothing either.
        let _ = self.slot(|_, slot| entries.iter().for_each(|entry| slot.revoked.apply(entry)));
        Ok(())
    }

    /// Reports an event of the application, one of the policy's `on_event`: a rotation begins.
    ///
    /// # Errors
    /// When the server refuses, or does not answer.
    pub fn send_event(&self, name: &str) -> Result<(), HttpError> {
        if let Origin::Server(server) = &self.inner.settings.origin {
            let token = watcher::read_token(&server.token)?;
            let http = Http::new(server.endpoint.clone(), Some(&token), &server.tls)?;
            let path = format!("/v1/rings/{}/events", self.name());
            let _status: RingStatus = http.post(&path, Some(&Event { name: name.into() }), &[])?;
        }
        Ok(())
    }

    /// Reports a token that was issued with a key of this ring, by whichever library, to the ring's
    /// ledger. It waits for nothing: what was issued goes out together, a second later at most.
    /// False when the ring keeps no ledger. What cannot be reported is counted in [`Health`].
    ///
    /// # Errors
    /// When nothing has arrived.
    pub fn issued(&self, jti: &str, expires: i64, kid: Option<&Kid>) -> Result<bool, ClientError> {
        if !self.current()?.ledger {
            return Ok(false);
        }
        self.slot(|live, slot| {
            let kid = kid.map(|kid| kid.0.clone());
            if slot.issued.push(IssuedToken { jti: jti.into(), expires, kid }) {
                live.wake.ring();
            }
            true
        })
    }

    /// How the ring stands in this process. Starts nothing and waits for nothing.
    pub fn health(&self) -> Health {
        let mut health = Health::unknown();
        let live = self.inner.live.load();
        let Some(live) = live.as_ref().filter(|live| live.is_own()) else { return health };
        let Some(slot) = live.slots.get(self.index) else { return health };
        let status = live.status.load();
        health.instance.clone_from(&status.instance);
        health.listening = status.listening;
        let refusal = slot.refusal.load_full().map(|refusal| refusal.as_str().into());
        health.trouble = refusal.or_else(|| status.trouble.clone());
        health.refused_revisions = slot.refused.load(Ordering::Relaxed);
        health.confirmed = slot.confirmed();
        health.proved = slot.proved.load(Ordering::Relaxed);
        health.from_cache = slot.from_cache.load(Ordering::Relaxed);
        health.last_contact = slot.contact().map(|at| boot_time().since(at));
        if let (Some(keyset), Some(silent_for)) = (&*slot.keyset.load(), health.last_contact) {
            health.revision = Some(keyset.revision());
            health.stale = silent_for > keyset.lease_ttl || health.from_cache;
            health.offline = silent_for > keyset.offline_max;
        }
        let known_for = slot.revocations_confirmed().map(|at| boot_time().since(at));
        health.revocations_known_for = known_for;
        if let Some(keyset) = &*slot.keyset.load() {
            let limit = keyset.revocations_stale_after.unwrap_or(keyset.lease_ttl);
            health.revocations_stale = known_for.is_none_or(|known_for| known_for > limit);
        }
        health.revocations = slot.revoked.len();
        health.issued_waiting = slot.issued.len();
        health.issued_dropped = slot.issued.dropped();
        health
    }
}
