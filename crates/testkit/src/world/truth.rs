//! What is really so, read from the store past every server: ring documents, the cluster clock, the
//! journal; and what was protected and may still be out in the world.

use std::collections::{BTreeMap, BTreeSet};

use keywheel_core::id::{Incarnation, InstanceId, Kid, RingName, VersionNumber};
use keywheel_core::revocation::Revocation;
use keywheel_core::ring::{Direction, Ring, Stage, State};
use keywheel_core::time::ClusterTime;
use keywheel_engine::JournalEntry;
use keywheel_engine::ports::{Key, Seal, Seq, Store};
use keywheel_store::{MemoryStore, Sealer};
use serde::Deserialize;

use super::process::Artefact;

/// What is known of one ring.
pub(crate) struct RingTruth {
    pub(crate) name: RingName,
    seen: Seq,
    pub(crate) doc: Option<Ring>,
    /// The versions that have material.
    pub(crate) material: BTreeSet<VersionNumber>,
    /// The last moment at which each key may still have to be accepted.
    pub(crate) protected: BTreeMap<(Incarnation, Kid), u64>,
    /// Keys that were ever excepted from the laws, with everybody or with some processes.
    pub(crate) compromised: BTreeSet<Kid>,
    pub(crate) suspended: BTreeSet<Kid>,
    pub(crate) waived: BTreeSet<VersionNumber>,
    pub(crate) waived_instances: BTreeSet<InstanceId>,
    /// What was revoked, and when that was acknowledged, since the store was last set back.
    pub(crate) revoked: Vec<(Revocation, u64)>,
    pub(crate) restored: u32,
    pub(crate) done: u64,
    pub(crate) rolled_back: u64,
    pub(crate) emergencies: u64,
}

#[derive(Deserialize)]
struct StoredRing {
    ring: Ring,
    material: BTreeMap<VersionNumber, serde_json::Value>,
}

#[derive(Deserialize)]
struct StoredTime {
    cluster: ClusterTime,
}

/// Everything that is really so.
pub(crate) struct Truth {
    store: MemoryStore,
    sealer: Sealer,
    head: Seq,
    pub(crate) rings: Vec<RingTruth>,
    pub(crate) cluster: ClusterTime,
    started: u64,
    audited: u64,
    chain: String,
}

/// A broken invariant, in words that begin with its name.
pub(crate) type Check = Result<(), String>;

impl Truth {
    pub(crate) fn new(store: MemoryStore, sealer: Sealer, names: &[RingName], now: u64) -> Self {
        let rings = names.iter().map(|name| RingTruth {
            name: name.clone(),
            seen: Seq(0),
            doc: None,
            material: BTreeSet::new(),
            protected: BTreeMap::new(),
            compromised: BTreeSet::new(),
            suspended: BTreeSet::new(),
            waived: BTreeSet::new(),
            waived_instances: BTreeSet::new(),
            revoked: Vec::new(),
            restored: 0,
            done: 0,
            rolled_back: 0,
            emergencies: 0,
        });
        Self {
            store,
            sealer,
            head: Seq(0),
            rings: rings.collect(),
            cluster: ClusterTime(0),
            started: now,
            audited: 0,
            chain: String::new(),
        }
    }

    /// The store was put back: what was read after the backup is not to be held against it.
    pub(crate) fn forget(&mut self) {
        self.head = Seq(0);
        self.cluster = ClusterTime(0);
        self.audited = 0;
        self.chain = String::new();
        for ring in &mut self.rings {
            ring.seen = Seq(0);
            ring.doc = None;
            ring.restored += 1;
            ring.revoked.clear();
        }
    }

    fn open<T: for<'a> Deserialize<'a>>(&self, key: &Key) -> Result<Option<(Seq, T)>, String> {
        let stored = self.store.read(key).map_err(|error| error.to_string())?;
        let Some(stored) = stored else { return Ok(None) };
        let opened = Seal::open(&self.sealer, key.as_str(), &stored.value)
            .map_err(|error| format!("{}: {error}", key.as_str()))?;
        let value = serde_json::from_slice(&opened.plaintext)
            .map_err(|error| format!("{}: {error}", key.as_str()))?;
        Ok(Some((stored.seq, value)))
    }

    /// Reads what was committed since the last time, and checks each step of it.
    pub(crate) fn follow(&mut self, now: u64) -> Check {
        let head = self.store.head().map_err(|error| error.to_string())?;
        if head == self.head {
            return Ok(());
        }
        self.head = head;
        self.invariant_cluster_time(now)?;
        for index in 0..self.rings.len() {
            self.follow_ring(index, now)?;
        }
        self.invariant_audit_chain()
    }

    /// The cluster's clock never goes back, and never runs ahead of the time that really passed.
    fn invariant_cluster_time(&mut self, now: u64) -> Check {
        let read = self.open::<StoredTime>(&Key::new(&["cluster", "time"]))?;
        let Some((_, StoredTime { cluster })) = read else { return Ok(()) };
        if cluster < self.cluster {
            return Err(format!(
                "invariant_cluster_time: it went back from {} to {}",
                self.cluster.0, cluster.0
            ));
        }
        let passed = now.saturating_sub(self.started);
        if cluster.0 > passed {
            return Err(format!(
                "invariant_cluster_time: it says {} when {passed} ms have passed",
                cluster.0
            ));
        }
        self.cluster = cluster;
        Ok(())
    }

    fn follow_ring(&mut self, index: usize, now: u64) -> Check {
        let Some(known) = self.rings.get(index) else { return Ok(()) };
        let key = Key::new(&["ring", known.name.as_str()]);
        let seen = known.seen;
        let name = known.name.clone();
        let before = known.doc.clone();
        let Some((seq, stored)) = self.open::<StoredRing>(&key)? else {
            return match before {
                None => Ok(()),
                Some(_) => Err(format!("invariant_no_version_lost: {name} is gone")),
            };
        };
        if seq == seen {
            return Ok(());
        }
        let StoredRing { ring, material } = stored;
        ring.check().map_err(|why| format!("invariant_one_primary: {why}"))?;
        let material = material.into_keys().collect();
        invariant_material_until_destroyed(&ring, &material)?;
        if let Some(before) = &before {
            self.follow_journal(index, before, &ring, now)?;
        }
        if let Some(known) = self.rings.get_mut(index) {
            known.seen = seq;
            known.material = material;
            known.doc = Some(ring);
        }
        Ok(())
    }

    /// Checks each transition between two documents, as the journal tells it.
    fn follow_journal(&mut self, index: usize, from: &Ring, to: &Ring, now: u64) -> Check {
        let mut before = from.clone();
        let restored = from.incarnation != to.incarnation;
        let first = if restored { to.revision.0 } else { from.revision.0 + 1 };
        for revision in first..=to.revision.0 {
            let key = Key::new(&["journal", to.name.as_str(), &format!("{revision:016}")]);
            let Some((_, entry)) = self.open::<JournalEntry>(&key)? else {
                return Err(format!("invariant_journal_replays: r{revision} is not in it"));
            };
            let entry: JournalEntry = entry;
            entry.replay().map_err(|why| format!("invariant_journal_replays: {why}"))?;
            if entry.before != before {
                return Err(format!(
                    "invariant_revisions_grow: r{revision} does not follow {} in the journal",
                    before.revision
                ));
            }
            if entry.after.keyset() != before.keyset()
                && entry.after.incarnation == before.incarnation
                && entry.after.keyset_revision <= before.keyset_revision
            {
                return Err(format!(
                    "invariant_revisions_grow: the keyset changed at r{revision} and stayed {}",
                    before.keyset_revision
                ));
            }
            if let Some(known) = self.rings.get_mut(index) {
                invariant_no_version_lost(&before, &entry.after)?;
                known.invariant_destroy_last(&before, &entry.after, now)?;
                known.note(&before, &entry.after);
            }
            before = entry.after;
        }
        if before != *to {
            return Err("invariant_journal_replays: it does not end in the document".into());
        }
        Ok(())
    }

    /// Every audit entry follows the one before, without a gap.
    fn invariant_audit_chain(&mut self) -> Check {
        loop {
            let number = self.audited + 1;
            let key = Key::new(&["audit", &format!("{number:016}")]);
            let Some((_, entry)) = self.open::<keywheel_engine::AuditEntry>(&key)? else {
                return self.invariant_audit_head();
            };
            if entry.number != number || entry.previous != self.chain {
                return Err(format!("invariant_audit_chain: entry {number} follows another one"));
            }
            self.audited = number;
            self.chain = entry.hash;
        }
    }

    fn invariant_audit_head(&self) -> Check {
        #[derive(Deserialize)]
        struct Head {
            number: u64,
            hash: String,
        }
        match self.open::<Head>(&Key::new(&["audit-head"]))? {
            Some((_, head)) if head.number != self.audited || head.hash != self.chain => {
                Err(format!("invariant_audit_chain: the head says {}", head.number))
            }
            _ => Ok(()),
        }
    }

    /// Something was protected.
    pub(crate) fn protected(&mut self, artefact: &Artefact) {
        let Some(ring) = self.rings.get_mut(artefact.ring) else { return };
        let key = (artefact.incarnation.clone(), artefact.kid.clone());
        let until = ring.protected.entry(key).or_default();
        *until = (*until).max(artefact.until);
    }
}

/// Whatever is not destroyed has its material, and what is destroyed has none.
fn invariant_material_until_destroyed(ring: &Ring, material: &BTreeSet<VersionNumber>) -> Check {
    for (number, version) in &ring.versions {
        let destroyed = matches!(version.state, State::Destroyed { .. });
        if material.contains(number) == destroyed {
            return Err(format!(
                "invariant_material_until_destroyed: {number} is {}, its material {}",
                version.state.name(),
                if destroyed { "is there" } else { "is not" }
            ));
        }
    }
    Ok(())
}

/// Versions are added, never taken away, and never change their key.
fn invariant_no_version_lost(before: &Ring, after: &Ring) -> Check {
    for (number, version) in &before.versions {
        match after.versions.get(number) {
            None => return Err(format!("invariant_no_version_lost: {number} is gone")),
            Some(now) if now.kid != version.kid || now.fingerprint != version.fingerprint => {
                return Err(format!("invariant_no_version_lost: {number} became another key"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

impl RingTruth {
    /// Nothing is destroyed that could still be needed: law 3.
    fn invariant_destroy_last(&self, before: &Ring, after: &Ring, now: u64) -> Check {
        if after.deleted.is_some() {
            return Ok(());
        }
        for (number, version) in &after.versions {
            let Some(former) = before.versions.get(number) else { continue };
            let destroyed = matches!(version.state, State::Destroyed { .. })
                && !matches!(former.state, State::Destroyed { .. });
            if !destroyed {
                continue;
            }
            let fail = |why: &str| Err(format!("invariant_destroy_last: {number} {why}"));
            match &former.state {
                State::Retired { dropped: Some(dropped), .. } => {
                    // Whether cluster time is true is for another invariant to say.
                    let waited = version.state.since().cluster.since(*dropped);
                    if before.policy.destroy_after.is_none_or(|grace| waited < grace) {
                        return fail("was destroyed before its time");
                    }
                }
                State::Compromised { .. } => {}
                _ => return fail("was destroyed before everybody had dropped it"),
            }
            let excepted = self.compromised.contains(&version.kid)
                || self.suspended.contains(&version.kid)
                || self.waived.contains(number)
                || self.restored > 0;
            let needed =
                self.protected.iter().any(|((_, kid), until)| *kid == version.kid && *until > now);
            if needed && !excepted {
                return fail("was destroyed while something it protected lives");
            }
        }
        Ok(())
    }

    /// Remembers what a transition says about exceptions, and counts what it did.
    fn note(&mut self, before: &Ring, after: &Ring) {
        for version in after.versions.values() {
            match &version.state {
                State::Compromised { .. } if self.compromised.insert(version.kid.clone()) => {
                    self.emergencies += 1;
                }
                State::Suspended { .. } => {
                    self.suspended.insert(version.kid.clone());
                }
                _ => {}
            }
        }
        for bent in &after.bent {
            if bent.exception == keywheel_core::ring::Exception::Waiver {
                self.waived.insert(bent.version);
            }
        }
        for waiver in &after.waivers {
            self.waived.insert(waiver.version);
            self.waived_instances.extend(waiver.instance.clone());
        }
        let done = before
            .path
            .as_ref()
            .filter(|path| path.stage == Stage::Promote && path.direction == Direction::Forward);
        if done.is_some_and(|path| after.path.is_none() && after.primary() == Some(path.target)) {
            self.done += 1;
        }
        let back = |ring: &Ring| ring.path.as_ref().is_some_and(|p| p.direction == Direction::Back);
        let withdrawn = before.path.is_some() && after.path.is_none() && done.is_none();
        if (back(after) && !back(before)) || (withdrawn && !back(before)) {
            self.rolled_back += 1;
        }
    }
}
