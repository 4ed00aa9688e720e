//! Revocations: written down durably, kept in memory for who asks, and followed as the store
//! changes.
//!
//! Any server may revoke; nobody needs to lead for it. What is in memory is a
//! [`RevocationSet`] for each ring that somebody asked about. It is filled from the log once, and
//! then follows it. Revocations are final, so a set may always be told more than once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use keywheel_core::id::{Incarnation, RingName};
use keywheel_core::policy::Policy;
use keywheel_core::revocation::{Revocation, RevocationSet, everything_until};
use keywheel_core::ring::Ring;
use keywheel_core::time::WallTime;

use crate::audit::{self, Event};
use crate::engine::{Engine, lock};
use crate::error::EngineError;
use crate::ports::{Commit, CommitError, Key, Mark, Seq, Write};
use crate::ring_log::{Entry, Head, Numbered, RingLog, mark};
use crate::rings::TRIES_MAX;
use crate::verbs::Context;

/// The most revocations of one call.
pub const REVOCATIONS_MAX: usize = 10_000;

/// The most revocations of one ring. At 40 bytes each they take 400 MB in every process.
const ENTRIES_MAX: u64 = 10_000_000;

/// How many records are read at once.
const PAGE_RECORDS: usize = 4;

/// How often a log is read again because it changed meanwhile.
const READS_MAX: usize = 3;

pub(crate) const LOG: RingLog<Revocation> = RingLog::new("revocation", HEAD_FAMILY);

pub(crate) const HEAD_FAMILY: &str = "revocation-head";

impl Entry for Revocation {
    fn is_over(&self, now: i64) -> bool {
        Self::is_over(self, now)
    }
}

/// What was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The number of the newest record: who has followed the log up to it knows of this.
    pub number: u64,
    /// How many revocations were written down; those that had expired already were not.
    pub count: usize,
}

/// How much of a ring is revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RevocationCount {
    /// How many revocations are kept; those that have expired leave within the hour.
    pub kept: u64,
    /// The number of the newest record; 0 when nothing was ever revoked.
    pub newest: u64,
}

/// A part of a ring's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationPage {
    /// Which life of the ring. In another one the log begins anew.
    pub incarnation: Incarnation,
    /// What was revoked; some of it may have been told before.
    pub entries: Vec<Revocation>,
    /// The number to go on from.
    pub next: u64,
    /// The number of the newest record; with `next` there is no more.
    pub newest: u64,
}

/// The sets of the rings that somebody asked about.
#[derive(Default)]
pub(crate) struct Revocations {
    known: Mutex<HashMap<RingName, Arc<Known>>>,
    heads: Mutex<HashMap<RingName, (Seq, RevocationCount)>>,
}

struct Known {
    set: Arc<RevocationSet>,
    /// Up to which number the log was taken in. Held while it is read, so that it is read once.
    followed: Mutex<u64>,
}

impl Revocations {
    /// The rings whose sets are in memory, with what checks them.
    fn all(&self) -> Vec<(RingName, Arc<Known>)> {
        lock(&self.known).iter().map(|(ring, known)| (ring.clone(), Arc::clone(known))).collect()
    }

    fn get(&self, ring: &RingName) -> Option<Arc<Known>> {
        lock(&self.known).get(ring).cloned()
    }

    /// The log may have been set back; what is in memory stays, and everything is read once more.
    pub(crate) fn read_again(&self) {
        lock(&self.heads).clear();
        for (_, known) in self.all() {
            *lock(&known.followed) = 0;
        }
    }
}

impl Engine {
    /// What is revoked in a ring, for checks without asking the store: the set goes on to be told
    /// what any server revokes. The first call for a ring reads its whole log.
    ///
    /// # Errors
    /// When there is no such ring, the store does not answer, or the log is not believed.
    pub fn revocations(&self, ring: &RingName) -> Result<Arc<RevocationSet>, EngineError> {
        self.present_ring(ring)?;
        let known = self.revocations.get(ring).unwrap_or_else(|| {
            let mut key = [0; 16];
            self.fill(&mut key);
            let fresh =
                Known { set: Arc::new(RevocationSet::new(key)), followed: Mutex::default() };
            let mut all = lock(&self.revocations.known);
            Arc::clone(all.entry(ring.clone()).or_insert_with(|| Arc::new(fresh)))
        });
        self.catch_up(ring, &known)?;
        Ok(Arc::clone(&known.set))
    }

    /// The number of a ring's newest record; 0 when nothing was ever revoked.
    ///
    /// # Errors
    /// When the store does not answer, or the log is not believed.
    pub fn newest_revocation(&self, ring: &RingName) -> Result<u64, EngineError> {
        Ok(self.count_revocations(ring)?.newest)
    }

    fn count_revocations(&self, ring: &RingName) -> Result<RevocationCount, EngineError> {
        let key = LOG.head_key(ring);
        let Some(stored) = self.records.store.read(&key)? else {
            return Ok(RevocationCount::default());
        };
        let known = lock(&self.revocations.heads).get(ring).copied();
        if let Some((_, count)) = known.filter(|(seq, _)| *seq == stored.seq) {
            return Ok(count);
        }
        let head = self.records.open::<Head>(&key, &stored.value, stored.seq)?.value;
        let count = RevocationCount { kept: head.entries, newest: head.newest };
        lock(&self.revocations.heads).insert(ring.clone(), (stored.seq, count));
        Ok(count)
    }

    /// A part of a ring's log after a number: snapshot and news alike. It may be empty before its
    /// end, and it may tell again what was told before.
    ///
    /// # Errors
    /// When there is no such ring, the store does not answer, or the log is not believed.
    pub fn revocation_page(
        &self,
        ring: &RingName,
        since: u64,
    ) -> Result<RevocationPage, EngineError> {
        let incarnation = self.present_ring(ring)?.incarnation;
        // The head first: what comes in later is not promised.
        let newest = self.newest_revocation(ring)?;
        // A number from the future comes from a store that was set back.
        let since = if since > newest { 0 } else { since };
        let page = LOG.page(&self.records, ring, since, PAGE_RECORDS)?;
        let last = page.last().map_or(newest, |record| record.number);
        let next = if page.len() < PAGE_RECORDS { last.max(newest) } else { last };
        let entries = page.into_iter().flat_map(|record| record.entries).collect();
        Ok(RevocationPage { incarnation, entries, next, newest: newest.max(next) })
    }

    /// Revokes, durably and for good. When this returns, this server refuses what was named, and
    /// every other one is told. Doing it again changes nothing.
    ///
    /// # Errors
    /// When there is no such ring, something cannot be revoked, there are too many, or the store
    /// does not take it. After `Unknown`, revoke again.
    pub fn revoke(
        &self,
        ring: &RingName,
        entries: &[Revocation],
        context: &Context,
    ) -> Result<Recorded, EngineError> {
        let own = self.present_ring(ring)?;
        check(&own, entries, self.clock.wall())?;
        let nothing = |_: &Self| Ok((Vec::new(), serde_json::Value::Null));
        self.revoke_with(ring, entries, "revoked", context, nothing)
    }

    /// Kills everything of a ring that was issued until now, at once and whatever its number.
    ///
    /// # Errors
    /// As [`Self::revoke`].
    pub fn revoke_active(
        &self,
        ring: &RingName,
        context: &Context,
    ) -> Result<Recorded, EngineError> {
        let at = everything_until(self.clock.wall());
        self.revoke(ring, &[Revocation::IssuedBefore { at }], context)
    }

    /// Revokes, together with further writes, in one commit with one audit entry.
    pub(crate) fn revoke_with(
        &self,
        ring: &RingName,
        entries: &[Revocation],
        action: &str,
        context: &Context,
        beside: impl Fn(&Self) -> Result<(Vec<Write>, serde_json::Value), EngineError>,
    ) -> Result<Recorded, EngineError> {
        let wall = self.clock.wall();
        let now = wall.seconds();
        let living: Vec<_> = entries.iter().filter(|one| !one.is_over(now)).cloned().collect();
        for _ in 0..TRIES_MAX {
            let turn = lock(&self.turn);
            let (mut head, was) = LOG.head(&self.records, ring)?;
            if head.entries.saturating_add(living.len() as u64) > ENTRIES_MAX {
                return Err(EngineError::TooMany(format!(
                    "ring {ring} has {} revocations, and at most {ENTRIES_MAX} are kept; revoke \
                     all that was issued before a moment instead",
                    head.entries
                )));
            }
            let (mut writes, more) = beside(self)?;
            if living.is_empty() && writes.is_empty() {
                return Ok(Recorded { number: head.newest, count: 0 });
            }
            writes.extend(LOG.append(&self.records, ring, &mut head, was, &living)?);
            let event = Event {
                actor: context.actor.clone(),
                ring: Some(ring.clone()),
                action: action.into(),
                detail: detail(entries, head.newest, context, &more),
            };
            let appended = audit::append(&self.records, &wall.to_string(), vec![event])?;
            writes.extend(appended.writes);
            match self.records.store.commit(&Commit { fence: None, writes }) {
                Ok(_) => {
                    self.raise(audit::HEAD_KEY, "-", appended.number)?;
                    self.raise(LOG.head_key(ring).as_str(), "-", head.changes)?;
                    drop(turn);
                    self.follow_revocations(ring)?;
                    return Ok(Recorded { number: head.newest, count: living.len() });
                }
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(EngineError::Contended(format!("the revocations of {ring}")))
    }

    /// The policy of a ring that is there.
    ///
    /// # Errors
    /// When there is none, or it is not believed.
    pub fn policy(&self, ring: &RingName) -> Result<Policy, EngineError> {
        Ok(self.present_ring(ring)?.policy)
    }

    /// The ring, unless it is a tombstone.
    pub(crate) fn present_ring(&self, ring: &RingName) -> Result<Ring, EngineError> {
        let loaded = self.load(ring)?;
        if loaded.document.ring.deleted.is_some() {
            return Err(EngineError::NotFound { what: "ring", name: ring.to_string() });
        }
        Ok(loaded.document.ring.clone())
    }

    /// Takes in what the log has more than a set that is in memory.
    pub(crate) fn follow_revocations(&self, ring: &RingName) -> Result<(), EngineError> {
        match self.revocations.get(ring) {
            Some(known) => self.catch_up(ring, &known),
            None => Ok(()),
        }
    }

    /// As [`Self::follow_revocations`]. A log that is not believed keeps nothing else up: who asks
    /// for it is refused, and keys go on to be served.
    pub(crate) fn follow_believed(&self, ring: &RingName) -> Result<(), EngineError> {
        match self.follow_revocations(ring) {
            Err(error @ EngineError::Distrusted { .. }) => {
                tracing::error!(%ring, cause = %error, "revocations are not believed");
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// The number of the newest record, for who is to be told of it beside something else.
    pub(crate) fn believed_revocations(&self, ring: &RingName) -> Result<Option<u64>, EngineError> {
        Ok(self.believed_count(ring)?.map(|count| count.newest))
    }

    /// How much is revoked; nothing when the log is not believed.
    pub(crate) fn believed_count(
        &self,
        ring: &RingName,
    ) -> Result<Option<RevocationCount>, EngineError> {
        match self.count_revocations(ring) {
            Ok(count) => Ok(Some(count)),
            Err(EngineError::Distrusted { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn catch_up(&self, ring: &RingName, known: &Known) -> Result<(), EngineError> {
        let mut followed = lock(&known.followed);
        if *followed == 0 {
            *followed = self.read_whole(ring, &known.set)?;
            return Ok(());
        }
        if self.newest_revocation(ring)? > *followed {
            self.read_from(ring, &mut followed, |record| take_in(&known.set, record))?;
        }
        Ok(())
    }

    /// Reads a log from its beginning and believes it only if nothing is missing.
    fn read_whole(&self, ring: &RingName, set: &RevocationSet) -> Result<u64, EngineError> {
        let key = LOG.head_key(ring);
        let mut followed = 0;
        for _ in 0..READS_MAX {
            // The mark before the head, so that a revocation in between is no forgery.
            let mark_before = self.high_water.mark(key.as_str())?;
            let (head, was) = LOG.head(&self.records, ring)?;
            if mark_before.is_some_and(|mark| mark.revision > head.changes) {
                return Err(distrusted(&key, "an older form of this log was put back"));
            }
            let mut digest = 0_u64;
            followed = 0;
            self.read_from(ring, &mut followed, |record| {
                digest = digest.wrapping_add(mark(record.number, record.entries.len()));
                take_in(set, record);
            })?;
            if LOG.head(&self.records, ring)?.1 == was {
                if digest != head.digest {
                    return Err(distrusted(&key, "records of this log are missing"));
                }
                return Ok(followed.max(head.newest));
            }
        }
        // It changes faster than it is read; what is there was taken in.
        Ok(followed)
    }

    fn read_from(
        &self,
        ring: &RingName,
        followed: &mut u64,
        mut each: impl FnMut(&Numbered<Revocation>),
    ) -> Result<(), EngineError> {
        loop {
            let page = LOG.page(&self.records, ring, *followed, PAGE_RECORDS)?;
            for record in &page {
                each(record);
                *followed = record.number;
            }
            if page.len() < PAGE_RECORDS {
                return Ok(());
            }
        }
    }

    /// Lets the sets in memory forget what has expired.
    pub(crate) fn forget_expired(&self) {
        let now = self.clock.wall().seconds();
        for (_, known) in self.revocations.all() {
            known.set.drop_expired(now);
        }
    }

    /// A store that was set back is accepted: its logs are what they are now.
    pub(crate) fn adopt_revocations(&self) -> Result<(), EngineError> {
        for (subject, _) in self.high_water.all()? {
            let ring = subject.strip_prefix(HEAD_FAMILY).and_then(|tail| tail.strip_prefix('/'));
            let Some(Ok(ring)) = ring.map(str::parse::<RingName>) else { continue };
            let (head, was) = LOG.head(&self.records, &ring)?;
            let present = Mark { incarnation: "-".into(), revision: head.changes };
            self.high_water.adopt(&subject, was.map(|_| present).as_ref())?;
        }
        self.revocations.read_again();
        Ok(())
    }
}

fn take_in(set: &RevocationSet, record: &Numbered<Revocation>) {
    for revocation in &record.entries {
        set.apply(revocation);
    }
}

fn distrusted(key: &Key, cause: &str) -> EngineError {
    EngineError::Distrusted {
        subject: key.as_str().into(),
        cause: cause.into(),
        remedy:
            "The store was set back or edited. Put the newer one back, or accept this one with \
                 `keywheel restore --adopt`, and revoke again what was revoked since"
                .into(),
    }
}

/// What cannot be meant is refused before anything is written.
fn check(ring: &Ring, entries: &[Revocation], now: WallTime) -> Result<(), EngineError> {
    let invalid = |cause: String, remedy: &str| EngineError::Invalid {
        field: "revoke".into(),
        cause,
        remedy: remedy.into(),
    };
    if entries.is_empty() || entries.len() > REVOCATIONS_MAX {
        return Err(invalid(
            format!("{} revocations were named", entries.len()),
            "Name 1 to 10000 in one call; to revoke more, call again",
        ));
    }
    let latest = everything_until(now.after(ring.policy.skew));
    for entry in entries {
        let moment = match entry {
            Revocation::Jti { .. } => None,
            Revocation::Subject { issued_before, .. } => Some(*issued_before),
            Revocation::Kid { kid, issued_before } => {
                if !ring.versions.values().any(|version| version.kid == *kid) {
                    let shown: String = kid.0.chars().take(64).collect();
                    return Err(invalid(
                        format!("ring {} has no key `{shown}`", ring.name),
                        "Give the kid of one of its versions; `keywheel status` lists them",
                    ));
                }
                *issued_before
            }
            Revocation::IssuedBefore { at } => Some(*at),
        };
        if let Some(moment) = moment.filter(|moment| *moment > latest) {
            return Err(invalid(
                format!("issued_before = {moment} lies ahead: tokens to come would be dead"),
                "Give a moment up to now, in whole seconds since 1970-01-01",
            ));
        }
    }
    Ok(())
}

/// What the audit record keeps of a call: how many of what, never which token.
fn detail(
    entries: &[Revocation],
    number: u64,
    context: &Context,
    more: &serde_json::Value,
) -> serde_json::Value {
    let count = |is: fn(&Revocation) -> bool| entries.iter().filter(|entry| is(entry)).count();
    let kids: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Revocation::Kid { kid, .. } => Some(kid.0.as_str()),
            _ => None,
        })
        .collect();
    let issued_before = entries.iter().find_map(|entry| match entry {
        Revocation::IssuedBefore { at } => Some(*at),
        _ => None,
    });
    serde_json::json!({
        "number": number,
        "tokens": count(|entry| matches!(entry, Revocation::Jti { .. })),
        "subjects": count(|entry| matches!(entry, Revocation::Subject { .. })),
        "kids": kids,
        "issued_before": issued_before,
        "reason": context.reason,
        "with": more,
    })
}
