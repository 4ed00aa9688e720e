//! What one process knows of one ring, and what it decides on. No I/O, clock, key or randomness:
//! the watcher acts this out with sockets and keys, the simulated world with messages of its own.
//!
//! In a simulation, drive it like this: [`ConsumerState::registered`] once a registration was
//! answered; [`ConsumerState::apply`] for every keyset that arrives; before work protects,
//! [`ConsumerState::protector`], and remember [`ConsumerState::epoch`] until that work ends;
//! [`ConsumerState::report`] with the oldest epoch that work in progress still holds, whenever
//! [`ConsumerState::report_due`] says so; and [`ConsumerState::acknowledge`] with the answer. When
//! no answer comes, report again: what was counted goes out again under a new number.

use std::collections::BTreeMap;

use keywheel_api::ring::Counts;
use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{Incarnation, Kid, Revision, RingName, VersionNumber};
use keywheel_core::ring::Keyset;
use keywheel_core::time::Span;

use crate::clock::BootTime;
use crate::unknown::UnknownKids;

mod deferred;

use deferred::Deferred;
pub use deferred::TROUBLE_CHARS_MAX;

/// How often what a process holds has changed since it began. Work that protects notes the epoch
/// in which it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// How many former lives of a ring are remembered.
const FORMER_LIVES_MAX: usize = 4;
/// How many lives that were left are known by name, so that nobody leads the process back.
const LEFT_LIVES_MAX: usize = 16;
const LEASE_FLOOR: Span = Span::from_millis(300);

/// A keyset as the server offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The keyset.
    pub keyset: Keyset,
    /// How far clocks may be apart.
    pub skew: Span,
}

/// A life of the ring that ended, and was followed by another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerLife {
    /// What was held of it last.
    pub offer: Offer,
    /// Until when its versions are still accepted; without an end while the present life has no
    /// primary.
    pub accepted_until: Option<BootTime>,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is held now. Show the new epoch to the application at once.
    Swapped,
    /// It was held already.
    Unchanged,
    /// It is older than what is held; the next report says so.
    Refused,
}

/// With what to protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protector<'a> {
    /// Of which life: the present one, or the former one that a restored ring still rests on.
    pub incarnation: &'a Incarnation,
    /// Which version.
    pub version: VersionNumber,
    /// What is protected may live at most this long.
    pub longest_lifetime: Span,
}

/// Why nothing may be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectRefusal {
    /// No keyset has arrived yet.
    NothingHeld,
    /// The keyset has no primary.
    NoPrimary,
    /// The last contact is too long ago.
    Offline {
        /// How long ago.
        silent_for: Span,
        /// How long is permitted.
        offline_max: Span,
    },
}

/// What a report says; the caller adds proofs and an answer to the challenge when
/// [`ReportPlan::prove`] asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportPlan {
    /// Which life.
    pub incarnation: Incarnation,
    /// The revision that is held.
    pub revision: Revision,
    /// The number of this report.
    pub sequence: u64,
    /// The nonce to prove with.
    pub nonce: Vec<u8>,
    /// The accepted versions of this life.
    pub accepted: BTreeMap<VersionNumber, Kid>,
    /// The primary of this life.
    pub primary: Option<VersionNumber>,
    /// Whether to prove; otherwise this only renews the lease.
    pub prove: bool,
    /// With a proof of what a consumer uses that cannot speak for itself: how that is known.
    pub evidence: Option<EvidenceLevel>,
    /// Why what was proved before does not stand any more.
    pub trouble: Option<String>,
    /// The oldest revision of this life that work in progress protects with; 0 while any such work
    /// rests on a former life.
    pub oldest_guard: Revision,
    /// What was done with each version since the last acknowledged report.
    pub counts: BTreeMap<VersionNumber, Counts>,
    /// The kids that were refused because nobody knew them.
    pub unknown: UnknownKids,
    /// How long ago the last contact was, when that was too long.
    pub stale_for: Option<Span>,
    /// An older revision that was offered and refused.
    pub refused: Option<Revision>,
}

/// A server's answer to a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// What it made of it.
    pub verdict: Verdict,
    /// The life that the server serves.
    pub incarnation: Incarnation,
    /// The revision that the server serves.
    pub revision: Revision,
    /// The nonce for the next report.
    pub nonce: Vec<u8>,
    /// The newest number of what is revoked, if the server knows it.
    pub revocations: Option<u64>,
}

/// What the server made of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The proof holds.
    Proved,
    /// Heard.
    Renewed,
    /// Load again and prove.
    Stale,
    /// The proof does not hold.
    Rejected,
}

/// What to do after an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing until something is due.
    Rest,
    /// Load the keyset again.
    Load,
    /// Prove again, with the new nonce.
    Prove,
    /// Register anew, and say goodbye as the former instance.
    Reregister,
}

/// What the server has acknowledged of this instance.
#[derive(Clone, Debug, Default)]
struct Standing {
    nonce: Vec<u8>,
    sequence: u64,
    proved: Option<Proved>,
    oldest_guard: Option<Revision>,
    trouble: Option<String>,
    renew_at: BootTime,
}

/// A proof: of which keyset, and for a consumer that cannot speak how that was known.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Proved {
    life: Incarnation,
    revision: Revision,
    level: Option<EvidenceLevel>,
}

/// What was counted since the last report was planned.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// What was done with each version.
    pub counts: BTreeMap<VersionNumber, Counts>,
    /// The kids that were refused because nobody knew them.
    pub unknown: UnknownKids,
}

impl From<BTreeMap<VersionNumber, Counts>> for Counted {
    fn from(counts: BTreeMap<VersionNumber, Counts>) -> Self {
        Self { counts, unknown: UnknownKids::default() }
    }
}

/// A report that was sent and not acknowledged yet.
#[derive(Clone, Debug)]
struct Pending {
    counts: BTreeMap<VersionNumber, Counts>,
    unknown: UnknownKids,
    life: Incarnation,
    proves: Option<Proved>,
    oldest_guard: Revision,
    trouble: Option<String>,
}

/// What one process knows of one ring.
#[derive(Clone, Debug)]
pub struct ConsumerState {
    ring: RingName,
    epoch: Epoch,
    held: Option<Offer>,
    former: Vec<FormerLife>,
    left: Vec<(Incarnation, Revision)>,
    /// Which revision of which life each earlier epoch protected with.
    earlier: BTreeMap<Epoch, Option<(Incarnation, Revision)>>,
    last_contact: Option<BootTime>,
    /// A contact at which the server did not agree that what is held is current. It counts once
    /// the keyset that was served then has arrived: until it has, a process that comes back after a
    /// long silence must not protect with what others have retired meanwhile.
    unsettled: Option<BootTime>,
    standing: Option<Standing>,
    pending: Option<Pending>,
    refused: Option<Revision>,
    refused_count: u64,
    /// For a consumer that cannot speak: what was shown at it.
    deferred: Option<Deferred>,
}

impl ConsumerState {
    /// Knows nothing of a ring yet.
    pub const fn new(ring: RingName) -> Self {
        Self {
            ring,
            epoch: Epoch(0),
            held: None,
            former: Vec::new(),
            left: Vec::new(),
            earlier: BTreeMap::new(),
            last_contact: None,
            unsettled: None,
            standing: None,
            pending: None,
            refused: None,
            refused_count: 0,
            deferred: None,
        }
    }

    /// Knows nothing of a ring yet, and answers for a consumer that cannot speak: it proves what
    /// was confirmed, not what it merely loaded.
    pub fn deferred(ring: RingName) -> Self {
        Self { deferred: Some(Deferred::default()), ..Self::new(ring) }
    }

    /// The ring.
    pub const fn ring(&self) -> &RingName {
        &self.ring
    }

    /// The present epoch.
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What is held.
    pub const fn held(&self) -> Option<&Offer> {
        self.held.as_ref()
    }

    /// The former lives whose versions are still accepted.
    pub fn former(&self) -> &[FormerLife] {
        &self.former
    }

    /// When this process last knew that what it holds is current: the moment at which it began the
    /// call that the server answered, since the way back tells nothing.
    pub const fn last_contact(&self) -> Option<BootTime> {
        self.last_contact
    }

    /// How often an older keyset was offered.
    pub const fn refused_count(&self) -> u64 {
        self.refused_count
    }

    /// Whether an instance of this process is registered.
    pub const fn is_registered(&self) -> bool {
        self.standing.is_some()
    }

    /// Whether the server has acknowledged a proof of what is held.
    pub fn is_proved(&self) -> bool {
        let (Some(provable), Some(standing)) = (self.provable(), &self.standing) else {
            return false;
        };
        standing.proved.as_ref() == Some(&provable)
    }

    /// What there is to prove: what is held, and where the consumer cannot speak for itself only
    /// once it was shown to use it.
    fn provable(&self) -> Option<Proved> {
        let keyset = &self.held.as_ref()?.keyset;
        let level = match &self.deferred {
            Some(deferred) => Some(deferred.level(keyset)?),
            None => None,
        };
        Some(Proved { life: keyset.incarnation.clone(), revision: keyset.revision, level })
    }

    /// Notes that the consumer was shown to use this keyset, which ends every trouble. False when
    /// another keyset is held by now, or this process speaks for itself.
    pub fn confirm(
        &mut self,
        life: &Incarnation,
        revision: Revision,
        level: EvidenceLevel,
    ) -> bool {
        let (Some(deferred), Some(held)) = (&mut self.deferred, &self.held) else { return false };
        let keyset = &held.keyset;
        let is_held = keyset.incarnation == *life && keyset.revision == revision;
        if is_held {
            deferred.confirm(keyset, level);
        }
        is_held
    }

    /// Notes that something is wrong at the consumer: until the next confirmation nothing that was
    /// proved for it stands, and every report says why. The text is cut to [`TROUBLE_CHARS_MAX`]
    /// printable characters.
    pub fn trouble(&mut self, text: &str) {
        let Some(deferred) = &mut self.deferred else { return };
        deferred.trouble(text);
    }

    /// How it is known that the consumer uses what is held; nothing while that is not confirmed.
    pub fn confirmed(&self) -> Option<EvidenceLevel> {
        self.provable()?.level
    }

    fn present_trouble(&self) -> Option<&str> {
        self.deferred.as_ref()?.present_trouble()
    }

    /// The process was registered; `asked_at` is when it asked. Everything is to be proved anew.
    pub fn registered(&mut self, nonce: Vec<u8>, asked_at: BootTime) {
        self.standing = Some(Standing { nonce, renew_at: asked_at, ..Standing::default() });
        self.unsettled = Some(asked_at);
    }

    /// The server does not know the instance any more.
    pub fn forgotten(&mut self) {
        self.standing = None;
        self.unsettled = None;
    }

    /// Takes the time of the last contact from the host cache.
    pub fn recall_contact(&mut self, at: BootTime) {
        self.heard(at);
    }

    fn heard(&mut self, asked_at: BootTime) {
        self.last_contact = self.last_contact.max(Some(asked_at));
    }

    /// Takes an offer in, if it is newer than what is held.
    pub fn apply(&mut self, offer: Offer, now: BootTime) -> Applied {
        let life = &offer.keyset.incarnation;
        let revision = offer.keyset.revision;
        let known = match &self.held {
            Some(held) if held.keyset.incarnation == *life => Some(held.keyset.revision),
            _ => None,
        };
        let left = self.left.iter().find(|(incarnation, _)| incarnation == life);
        match (known, left) {
            (Some(known), _) if known == revision => {
                self.settle_contact();
                return Applied::Unchanged;
            }
            (Some(known), _) if known > revision => return self.refuse(revision),
            (None, Some((_, seen))) if *seen >= revision => return self.refuse(revision),
            _ => {}
        }
        self.close_epoch();
        if known.is_none() {
            self.begin_life(life);
        }
        self.held = Some(offer);
        self.end_former_lives(now);
        self.settle_contact();
        Applied::Swapped
    }

    /// What was served after the last contact has arrived.
    fn settle_contact(&mut self) {
        if let Some(asked_at) = self.unsettled.take() {
            self.heard(asked_at);
        }
    }

    fn refuse(&mut self, revision: Revision) -> Applied {
        self.refused = Some(revision);
        self.refused_count = self.refused_count.saturating_add(1);
        Applied::Refused
    }

    fn close_epoch(&mut self) {
        let stands = self.protecting().map(|offer| {
            let keyset = &offer.keyset;
            (keyset.incarnation.clone(), keyset.revision)
        });
        self.earlier.insert(self.epoch, stands);
        self.epoch = Epoch(self.epoch.0.saturating_add(1));
    }

    /// The held life becomes a former one.
    fn begin_life(&mut self, life: &Incarnation) {
        self.left.retain(|(incarnation, _)| incarnation != life);
        self.former.retain(|former| former.offer.keyset.incarnation != *life);
        let Some(offer) = self.held.take() else { return };
        let keyset = &offer.keyset;
        self.left.push((keyset.incarnation.clone(), keyset.revision));
        self.former.push(FormerLife { offer, accepted_until: None });
        let too_many = self.left.len().saturating_sub(LEFT_LIVES_MAX);
        self.left.drain(..too_many);
        let too_many = self.former.len().saturating_sub(FORMER_LIVES_MAX);
        self.former.drain(..too_many);
    }

    /// Once the present life has a primary, former lives are accepted only as long as something
    /// that they protected may live. Other processes may protect with them until they have been
    /// offline for too long, and what they protect then lives for the longest lifetime.
    fn end_former_lives(&mut self, now: BootTime) {
        if self.held.as_ref().is_none_or(|held| held.keyset.primary.is_none()) {
            return;
        }
        for former in &mut self.former {
            let keyset = &former.offer.keyset;
            let more = keyset.offline_max.plus(keyset.longest_lifetime).plus(former.offer.skew);
            former.accepted_until.get_or_insert(now.after(more));
        }
    }

    /// Forgets former lives whose time is over. Show the new epoch when this says so.
    pub fn expire(&mut self, now: BootTime) -> bool {
        let over = |former: &FormerLife| former.accepted_until.is_some_and(|until| until <= now);
        if !self.former.iter().any(over) {
            return false;
        }
        self.close_epoch();
        self.former.retain(|former| !over(former));
        true
    }

    /// The keyset that protects: the held one, or while it has no primary the last that had one.
    fn protecting(&self) -> Option<&Offer> {
        let former = self.former.iter().rev().map(|former| &former.offer);
        self.held.iter().chain(former).find(|offer| offer.keyset.primary.is_some())
    }

    /// With what to protect in this epoch, whenever the last contact was.
    pub fn primary(&self) -> Option<Protector<'_>> {
        let keyset = &self.protecting()?.keyset;
        Some(Protector {
            incarnation: &keyset.incarnation,
            version: keyset.primary?,
            longest_lifetime: keyset.longest_lifetime,
        })
    }

    /// Protecting ends this long after the last contact. While a former life protects, the shorter
    /// of both promises holds.
    pub fn offline_max(&self) -> Span {
        let promises = self.held.iter().chain(self.protecting());
        promises.map(|offer| offer.keyset.offline_max).min().unwrap_or(Span::ZERO)
    }

    /// With what to protect now.
    ///
    /// # Errors
    /// When there is nothing to protect with, or the last contact is too long ago.
    pub fn protector(&self, now: BootTime) -> Result<Protector<'_>, ProtectRefusal> {
        if self.held.is_none() {
            return Err(ProtectRefusal::NothingHeld);
        }
        let primary = self.primary().ok_or(ProtectRefusal::NoPrimary)?;
        let offline_max = self.offline_max();
        let silent_for = self.silent_for(now);
        if silent_for > offline_max {
            return Err(ProtectRefusal::Offline { silent_for, offline_max });
        }
        Ok(primary)
    }

    fn silent_for(&self, now: BootTime) -> Span {
        self.last_contact.map_or(Span::from_millis(u64::MAX), |contact| now.since(contact))
    }

    /// Whether a version is accepted now: of the present life, or of a former one that lives on.
    pub fn accepts(&self, life: &Incarnation, version: VersionNumber, now: BootTime) -> bool {
        let within = |offer: &Offer| {
            offer.keyset.incarnation == *life && offer.keyset.accepted.contains_key(&version)
        };
        let former = self
            .former
            .iter()
            .filter(|former| former.accepted_until.is_none_or(|until| now < until));
        self.held.iter().chain(former.map(|former| &former.offer)).any(within)
    }

    /// How often the lease is renewed.
    fn renewal_interval(&self) -> Span {
        let lease = self.held.as_ref().map_or(LEASE_FLOOR, |held| held.keyset.lease_ttl);
        Span::from_millis(lease.max(LEASE_FLOOR).as_millis() / 3)
    }

    fn lease_ttl(&self) -> Span {
        self.held.as_ref().map_or(LEASE_FLOOR, |held| held.keyset.lease_ttl)
    }

    /// The oldest revision of the present life that work protects with, when the oldest work in
    /// progress began in the epoch `oldest`.
    fn oldest_guard(&self, oldest: Option<Epoch>) -> Revision {
        let Some(held) = &self.held else { return Revision(0) };
        let present = &held.keyset;
        if let Some(deferred) = &self.deferred {
            return deferred.oldest_guard(&present.incarnation);
        }
        let of = |life: &Incarnation, revision: Revision| {
            if *life == present.incarnation { revision } else { Revision(0) }
        };
        let new_work = match self.protecting() {
            Some(offer) => of(&offer.keyset.incarnation, offer.keyset.revision),
            None => present.revision,
        };
        let Some(oldest) = oldest.filter(|oldest| *oldest < self.epoch) else { return new_work };
        if !self.earlier.contains_key(&oldest) {
            // Of an epoch that was forgotten nothing good can be assumed.
            return Revision(0);
        }
        // Every epoch since then may have work in progress too, and lives need not be in order.
        let earlier = self.earlier.range(oldest..).filter_map(|(_, stands)| stands.as_ref());
        earlier.map(|(life, revision)| of(life, *revision)).fold(new_work, Ord::min)
    }

    /// From when a report is due; `None` when there is nothing to report on. `oldest` is the oldest
    /// epoch that work in progress began in.
    pub fn report_due(&self, oldest: Option<Epoch>) -> Option<BootTime> {
        let standing = self.standing.as_ref()?;
        self.held.as_ref()?;
        // While nothing can be proved, only a trouble and the lease are worth a report.
        let to_prove = self.provable().is_some_and(|provable| {
            standing.proved.as_ref() != Some(&provable)
                || standing.oldest_guard != Some(self.oldest_guard(oldest))
        });
        let news = to_prove
            || standing.trouble.as_deref() != self.present_trouble()
            || self.refused.is_some();
        Some(if news { BootTime(0) } else { standing.renew_at })
    }

    /// When the lease is renewed, whether there are news or not.
    pub fn renew_at(&self) -> Option<BootTime> {
        self.standing.as_ref().map(|standing| standing.renew_at)
    }

    /// Plans a report. `counted` takes out what was counted since the last plan; what an earlier
    /// report said that was never acknowledged is added, because it may not have arrived. Each
    /// plan has a number of its own, whether it arrives or not: one that comes twice is taken for
    /// a replay.
    pub fn report<C: Into<Counted>>(
        &mut self,
        oldest: Option<Epoch>,
        now: BootTime,
        counted: impl FnOnce() -> C,
    ) -> Option<ReportPlan> {
        let oldest_guard = self.oldest_guard(oldest);
        let provable = self.provable();
        let trouble = self.present_trouble().map(ToOwned::to_owned);
        let keyset = &self.held.as_ref()?.keyset;
        let standing = self.standing.as_mut()?;
        standing.sequence = standing.sequence.saturating_add(1);
        if trouble.is_some() {
            // Whether or not the answer to this report arrives.
            standing.proved = None;
        }
        let proves = provable.filter(|provable| standing.proved.as_ref() != Some(provable));
        let life = &keyset.incarnation;
        let Counted { mut counts, mut unknown } = counted().into();
        if let Some(unheard) = self.pending.take().filter(|pending| pending.life == *life) {
            for (number, more) in unheard.counts {
                add(counts.entry(number).or_default(), more);
            }
            unknown.merge(unheard.unknown);
        }
        let sequence = standing.sequence;
        let nonce = standing.nonce.clone();
        self.pending = Some(Pending {
            counts: counts.clone(),
            unknown: unknown.clone(),
            life: life.clone(),
            proves: proves.clone(),
            oldest_guard,
            trouble: trouble.clone(),
        });
        let silent_for = self.silent_for(now);
        let plan = ReportPlan {
            incarnation: life.clone(),
            revision: keyset.revision,
            sequence,
            nonce,
            accepted: keyset.accepted.clone(),
            primary: keyset.primary,
            prove: proves.is_some(),
            evidence: proves.and_then(|proves| proves.level),
            trouble,
            oldest_guard,
            counts,
            unknown,
            stale_for: (silent_for > self.lease_ttl()).then_some(silent_for),
            refused: self.refused,
        };
        let keep_from = oldest.unwrap_or(self.epoch);
        self.earlier.retain(|epoch, _| *epoch >= keep_from);
        Some(plan)
    }

    /// Takes in the answer to a report that was begun at `asked_at`.
    pub fn acknowledge(&mut self, answer: Acknowledged, asked_at: BootTime, now: BootTime) -> Then {
        let interval = self.renewal_interval();
        let Some(pending) = self.pending.take() else { return Then::Rest };
        let Some(standing) = &mut self.standing else { return Then::Rest };
        if answer.verdict == Verdict::Rejected {
            // What was counted is not lost: the next instance reports it.
            self.pending = Some(pending);
            return Then::Reregister;
        }
        standing.nonce = answer.nonce;
        standing.trouble = pending.trouble;
        standing.renew_at = now.after(interval);
        match answer.verdict {
            Verdict::Proved => {
                standing.proved = pending.proves;
                standing.oldest_guard = Some(pending.oldest_guard);
            }
            Verdict::Renewed => standing.oldest_guard = Some(pending.oldest_guard),
            Verdict::Stale | Verdict::Rejected => standing.proved = None,
        }
        self.refused = None;
        let current = self.held.as_ref().is_some_and(|held| {
            held.keyset.incarnation == answer.incarnation && held.keyset.revision == answer.revision
        });
        if current {
            self.heard(asked_at);
        } else {
            self.unsettled = Some(asked_at);
        }
        match (current, answer.verdict) {
            (false, _) => Then::Load,
            (true, Verdict::Stale) if self.provable().is_some() => Then::Prove,
            (true, _) => Then::Rest,
        }
    }
}

const fn add(sum: &mut Counts, more: Counts) {
    sum.protected = sum.protected.saturating_add(more.protected);
    sum.processed = sum.processed.saturating_add(more.processed);
    sum.rejected = sum.rejected.saturating_add(more.rejected);
    sum.unknown = sum.unknown.saturating_add(more.unknown);
}

#[cfg(test)]
mod tests;
