//! Ring documents: reading what is believed, moving it by one input, and committing the result.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use keywheel_core::gate::Gate;
use keywheel_core::id::{InstanceId, Revision, RingName, VersionNumber};
use keywheel_core::kind::Kind;
use keywheel_core::policy::Spec;
use keywheel_core::ring::{Ring, Stage};
use keywheel_core::rotation::{self, Effect, Input, Notice, Step};
use keywheel_core::schedule::Cause;
use keywheel_core::time::{ClusterTime, Now, Span, WallTime};
use keywheel_core::view::{Instance, Scan, Server, View};
use keywheel_jose::Material;

use crate::after_rotation::{AfterRotation, Wish};
use crate::audit::{self, Event};
use crate::document::{Document, StoredMaterial};
use crate::engine::{Engine, ServerRecord, lock};
use crate::error::EngineError;
use crate::journal::{self, JournalEntry};
use crate::mint::NewKey;
use crate::outbox::{self, PendingNotice};
use crate::ports::{Commit, CommitError, Elapsed, Expect, Key, Seq};
use crate::presence::InstanceInfo;
use crate::records::Record;
use crate::revocations::RevocationCount;
use crate::serving::ServerUse;

/// A document as it was read, believed and opened.
pub(crate) struct Loaded {
    pub(crate) document: Document,
    pub(crate) material: BTreeMap<VersionNumber, Material>,
    pub(crate) seq: Seq,
}

/// A ring with everything that status shows.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The ring.
    pub ring: Ring,
    /// Its policy as it was declared.
    pub spec: Spec,
    /// What was seen of the world.
    pub view: View,
    /// The gates before each stage, with the version that stands there.
    pub gates: Vec<(VersionNumber, &'static str, Vec<Gate>)>,
    /// The processes.
    pub instances: Vec<InstanceInfo>,
    /// What servers accepted by themselves.
    pub served: Vec<ServerUse>,
    /// How much is revoked; nothing when the log of it is not believed.
    pub revocations: Option<RevocationCount>,
    /// When the schedule asks for the next rotation, and why.
    pub scheduled: Option<(WallTime, Cause)>,
    /// When this was taken.
    pub now: Now,
}

/// A ring for which nothing was to be done, and what it was judged by.
struct Rest {
    loaded: Arc<Loaded>,
    view: View,
    now: Now,
}

/// What one round reads for all of its rings: who else serves, and up to where the store had been
/// followed before that, and when.
pub(crate) struct Round {
    began: ClusterTime,
    followed: Seq,
    servers: Vec<(Key, Record<ServerRecord>)>,
}

/// A server counts as live while its record is at most this old.
const SERVER_SILENCE_MAX: Span = Span::from_secs(10);

/// A ring moves by at most this many transitions in one round.
const ROUND_STEPS_MAX: usize = 16;

/// A commit is tried again this often when another writer was faster.
pub(crate) const TRIES_MAX: usize = 8;

pub(crate) fn key(ring: &RingName) -> Key {
    Key::new(&["ring", ring.as_str()])
}

impl Engine {
    /// Reads a ring, linearizably, and believes it only when it opens, makes sense, and is no older
    /// than what this server has seen.
    pub(crate) fn load(&self, ring: &RingName) -> Result<Arc<Loaded>, EngineError> {
        let result = self.load_believed(ring);
        match &result {
            Ok(_) => {
                lock(&self.refused).remove(ring);
            }
            Err(error @ EngineError::Distrusted { .. }) => {
                lock(&self.refused).insert(ring.clone(), error.to_string());
            }
            Err(_) => {}
        }
        result
    }

    fn load_believed(&self, ring: &RingName) -> Result<Arc<Loaded>, EngineError> {
        let key = key(ring);
        if let Some(stored) = self.records.store.read(&key)?
            && let Some(known) = self.cached(ring, stored.seq)
        {
            return Ok(known);
        }
        // The mark, and the row after it: a mark follows its commit, so one that was read first is
        // never ahead of the row, whoever commits meanwhile.
        let mark = self.high_water.mark(key.as_str())?;
        let Some(stored) = self.records.store.read(&key)? else {
            return Err(match mark {
                None => EngineError::NotFound { what: "ring", name: ring.to_string() },
                Some(mark) => EngineError::Distrusted {
                    subject: key.as_str().into(),
                    cause: format!("its row is missing; it had come to r{}", mark.revision),
                    remedy: REPLAY_REMEDY.into(),
                },
            });
        };
        let record = self.records.open::<Document>(&key, &stored.value, stored.seq)?;
        let document = record.value;
        let distrust = |cause: String, remedy: &str| EngineError::Distrusted {
            subject: key.as_str().into(),
            cause,
            remedy: remedy.into(),
        };
        document.check().map_err(|cause| distrust(cause, "Restore the store from a backup"))?;
        let own = &document.ring;
        let sealed_as = (record.incarnation.as_str(), record.revision);
        if sealed_as != (own.incarnation.0.as_str(), own.revision.0) || own.name != *ring {
            return Err(distrust(
                "its seal and its content name different documents".into(),
                "Restore the store from a backup",
            ));
        }
        if let Some(mark) = &mark {
            if mark.incarnation != own.incarnation.0 {
                let cause =
                    format!("it is of incarnation {}, not {}", own.incarnation, mark.incarnation);
                return Err(distrust(cause, REPLAY_REMEDY));
            }
            if own.revision.0 < mark.revision {
                let cause = format!("it is {}, but had come to r{}", own.revision, mark.revision);
                return Err(distrust(cause, REPLAY_REMEDY));
            }
        }
        if mark.is_none_or(|mark| mark.revision < own.revision.0) {
            self.raise(key.as_str(), &own.incarnation.0, own.revision.0)?;
        }
        self.keep(document, stored.seq)
    }

    fn cached(&self, ring: &RingName, seq: Seq) -> Option<Arc<Loaded>> {
        lock(&self.cache).get(ring).filter(|known| known.seq == seq).cloned()
    }

    /// Opens the material of a document and keeps it for the next reader.
    fn keep(&self, document: Document, seq: Seq) -> Result<Arc<Loaded>, EngineError> {
        let mut material = BTreeMap::new();
        for (number, version) in &document.ring.versions {
            if version.has_material() {
                material.insert(*number, document.material(*number)?);
            }
        }
        let ring = document.ring.name.clone();
        let loaded = Arc::new(Loaded { document, material, seq });
        lock(&self.cache).insert(ring, Arc::clone(&loaded));
        Ok(loaded)
    }

    /// What is seen of the world, read after the ring was.
    pub(crate) fn view(&self, loaded: &Loaded) -> Result<View, EngineError> {
        self.follow()?;
        self.view_among(loaded, &self.server_records()?)
    }

    /// Reads what the rings of one round have in common, so that a round costs one list of the
    /// servers and not one for each ring.
    pub(crate) fn round(&self, began: ClusterTime) -> Result<Round, EngineError> {
        let followed = *lock(&self.feed);
        Ok(Round { began, followed, servers: self.server_records()? })
    }

    /// What a tick looks at, and the present after that. A process that another server heard after
    /// the view was read may seem gone, so the two must not lie further apart than
    /// [`Self::leash`]; a leader's clock, which only its own rounds record, sees to that for a
    /// view that is read here.
    fn sight(&self, loaded: &Loaded, round: Option<&Round>) -> Result<(View, Now), EngineError> {
        // A stage may only be judged by what was seen after its commit; what the round read is
        // too old for a document that somebody, or the step before, has committed since.
        if let Some(round) = round.filter(|round| round.followed >= loaded.seq) {
            let view = self.view_among(loaded, &round.servers)?;
            let now = self.now();
            if now.cluster.since(round.began) <= self.leash() {
                return Ok((view, now));
            }
        }
        let view = self.view(loaded)?;
        Ok((view, self.now()))
    }

    /// What is seen of the world when these are the servers.
    fn view_among(
        &self,
        loaded: &Loaded,
        servers: &[(Key, Record<ServerRecord>)],
    ) -> Result<View, EngineError> {
        let ring = &loaded.document.ring;
        let mut instances = self.presence.instances(ring, self.leash());
        let served = self.server_uses(loaded, servers);
        instances.extend(Self::serving_instances(&served));
        let uses = ring.primary().map(|number| {
            let signed = self.serving.signed(&ring.name, number);
            self.presence.uses(&ring.name, number).and(signed)
        });
        let scans = self.findings.of(&ring.name);
        Ok(View {
            digest: Self::convergence(ring, &instances, &scans)?,
            instances,
            scans,
            servers: self.servers(loaded, servers),
            settled_at: self.leads_since().after(ring.policy.lease_ttl),
            uses: uses.map_or(0, |uses| uses.count),
            last_use: uses.and_then(|uses| uses.last),
        })
    }

    /// The digest of what a promotion would be based on; of use at that stage only.
    fn convergence(
        ring: &Ring,
        instances: &[Instance],
        scans: &[Scan],
    ) -> Result<String, EngineError> {
        if ring.path.as_ref().is_none_or(|path| path.stage != Stage::Confirm) {
            return Ok(String::new());
        }
        let evidence = match scans {
            [] => serde_json::to_vec(instances),
            scans => serde_json::to_vec(&(instances, scans)),
        };
        let evidence = evidence.map_err(EngineError::defect)?;
        Ok(audit::hex(digest::digest(&digest::SHA256, &evidence).as_ref()))
    }

    fn server_records(&self) -> Result<Vec<(Key, Record<ServerRecord>)>, EngineError> {
        self.records.list::<ServerRecord>("server/", None, 64)
    }

    /// The live servers, and whether each serves this document's keyset.
    fn servers(&self, loaded: &Loaded, records: &[(Key, Record<ServerRecord>)]) -> Vec<Server> {
        let ring = &loaded.document.ring;
        let now = self.now().cluster;
        let mut servers = Vec::with_capacity(records.len());
        for (key, record) in records {
            let own = key.tail() == self.server;
            let silent = now.since(record.value.at) > SERVER_SILENCE_MAX;
            if silent && !own {
                continue;
            }
            let current = self.applied_by(key, record) >= loaded.seq;
            let revision = if current { ring.keyset_revision } else { Revision::default() };
            servers.push(Server { id: key.tail().into(), serves: revision });
        }
        servers
    }

    /// Up to where a server has applied the store. What this one knows of itself is newer than its
    /// record.
    fn applied_by(&self, key: &Key, record: &Record<ServerRecord>) -> Seq {
        if key.tail() == self.server { self.serving.applied() } else { Seq(record.value.applied) }
    }

    /// What each server accepted of a ring by itself.
    fn server_uses(
        &self,
        loaded: &Loaded,
        records: &[(Key, Record<ServerRecord>)],
    ) -> Vec<ServerUse> {
        let ring = &loaded.document.ring.name;
        let of = |(key, record): &(Key, Record<ServerRecord>)| ServerUse {
            server: key.tail().into(),
            is_current: self.applied_by(key, record) >= loaded.seq,
            counts: if key.tail() == self.server {
                self.serving.counts_of(ring)
            } else {
                record.value.uses.of(ring).cloned().unwrap_or_default()
            },
        };
        records.iter().map(of).filter(|server| !server.counts.is_empty()).collect()
    }

    /// How a ring stands.
    ///
    /// # Errors
    /// When there is none, or it is not believed.
    pub fn snapshot(&self, ring: &RingName) -> Result<Snapshot, EngineError> {
        let loaded = self.load(ring)?;
        self.snapshot_of(&loaded)
    }

    pub(crate) fn snapshot_of(&self, loaded: &Loaded) -> Result<Snapshot, EngineError> {
        let ring = loaded.document.ring.clone();
        self.follow()?;
        let servers = self.server_records()?;
        let view = self.view_among(loaded, &servers)?;
        let now = self.now();
        Ok(Snapshot {
            served: self.server_uses(loaded, &servers),
            gates: rotation::gates(&ring, &view, now),
            scheduled: rotation::scheduled(&ring, &view),
            instances: self.presence.infos(&ring.name, now.cluster),
            revocations: self.believed_count(&ring.name)?,
            spec: loaded.document.spec.clone(),
            ring,
            view,
            now,
        })
    }

    /// Moves a ring as far as it can go now. It takes no input besides the name: whatever is to be
    /// done follows from what is stored and seen, so that any server can go on after any crash.
    pub(crate) fn reconcile(&self, ring: &RingName, round: Option<&Round>) {
        match self.reconcile_steps(ring, round) {
            Ok(rest) => self.schedule(ring, rest.as_ref()),
            Err(error) => {
                if matches!(error, EngineError::NotLeader) {
                    self.step_down();
                }
                tracing::warn!(%ring, cause = %error, "the ring cannot be moved now");
                let pause = match error {
                    EngineError::Distrusted { .. } => Span::from_secs(30),
                    _ => Span::from_secs(1),
                };
                self.look_again(ring, pause);
            }
        }
    }

    /// Moves a ring until nothing is to be done, and returns what it then looked like; nothing when
    /// it moved so often that others come first.
    fn reconcile_steps(
        &self,
        ring: &RingName,
        round: Option<&Round>,
    ) -> Result<Option<Rest>, EngineError> {
        for _ in 0..ROUND_STEPS_MAX {
            let loaded = self.load(ring)?;
            match self.fulfil_wish(&loaded) {
                Ok(false) => {}
                Ok(true) | Err(EngineError::Contended(_)) => continue,
                Err(error) => return Err(error),
            }
            let (view, now) = self.sight(&loaded, round)?;
            let input = Input::Tick { view: view.clone() };
            let step = rotation::step(&loaded.document.ring, input.clone(), now)?;
            if step.ring != loaded.document.ring {
                let change = Change::new(input, step, now, "keywheel");
                match self.commit(&loaded, &change) {
                    Ok(_) => {}
                    Err(EngineError::Contended(_)) => continue,
                    Err(error) => return Err(error),
                }
                continue;
            }
            let cause = step.effects.iter().find_map(|effect| match effect {
                Effect::Rotate { cause } => Some(cause.clone()),
                _ => None,
            });
            let external = loaded.document.ring.policy.kind == Kind::External;
            let Some(cause) = cause.filter(|_| !external) else {
                // Nothing is due; or one is whose keys somebody else makes, which status shows.
                return Ok(Some(Rest { loaded, view, now }));
            };
            self.rotate_due(&loaded, cause, now)?;
        }
        Ok(None)
    }

    /// Begins a rotation that a trigger asked for.
    fn rotate_due(&self, loaded: &Loaded, cause: Cause, now: Now) -> Result<(), EngineError> {
        let ring = &loaded.document.ring;
        let key = self.mint(&ring.name, &ring.policy.kind, None)?;
        let input = Input::Rotate { cause, minted: key.minted.clone() };
        let step = rotation::step(ring, input.clone(), now)?;
        let change = Change { new_key: Some(key), ..Change::new(input, step, now, "keywheel") };
        match self.commit(loaded, &change) {
            Ok(_) | Err(EngineError::Contended(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn look_again(&self, name: &RingName, pause: Span) {
        let moment = Elapsed(self.clock.monotonic().0.saturating_add(pause.to_std()));
        lock(&self.agenda).set(name, Some(moment), None);
    }

    /// Puts a ring back on the agenda.
    fn schedule(&self, name: &RingName, rest: Option<&Rest>) {
        let Some(Rest { loaded, view, now }) = rest else {
            self.look_again(name, Span::ZERO);
            return;
        };
        let ring = &loaded.document.ring;
        let monotonic = self.clock.monotonic();
        let later = |span: Span| Elapsed(monotonic.0.saturating_add(span.to_std()));
        let wake = rotation::wake(ring, view, *now);
        let mut next = wake.cluster.map(|moment| {
            let wait = moment.since(now.cluster);
            later(wait.max(Span::from_millis(1)).min(Span::from_secs(3_600)))
        });
        if wake.soon {
            let half = Span::from_millis(ring.policy.lease_ttl.as_millis() / 2);
            let soon = half.min(Span::from_secs(1)).max(Span::from_millis(20));
            next = Some(next.map_or(later(soon), |moment| moment.min(later(soon))));
        }
        // A moment that has passed and changed nothing (quiet hours, no room) is looked at again.
        let by_wall = wake.wall.map(|moment| moment.max(now.wall.after(Span::from_secs(1))));
        lock(&self.agenda).set(name, next, by_wall);
        let leash = self.leash();
        let _best_effort = self.presence.forget_gone(&self.records, ring, leash, now.cluster);
    }

    /// Commits a transition: the document, what it erases, the audit entries, the journal, the
    /// notices and the clock, all or nothing.
    pub(crate) fn commit(
        &self,
        loaded: &Loaded,
        change: &Change,
    ) -> Result<Arc<Loaded>, EngineError> {
        let fence = self.fence().ok_or(EngineError::NotLeader)?;
        let former = &loaded.document;
        let mut document = Document { ring: change.step.ring.clone(), ..former.clone() };
        change.apply(&mut document);
        let journal = JournalEntry {
            before: former.ring.clone(),
            input: if change.replayable {
                Ok(change.input.clone())
            } else {
                Err(change.input.name().into())
            },
            now: change.now,
            after: document.ring.clone(),
        };
        let expect = Expect::At(loaded.seq);
        let sealed = self.write_all(document, change, Some(&journal), expect, Some(fence));
        sealed.inspect_err(|error| {
            if !matches!(error, EngineError::Contended(_)) {
                // What is true now is not known; the next reader asks the store.
                lock(&self.cache).remove(&former.ring.name);
            }
        })
    }

    pub(crate) fn write_all(
        &self,
        mut document: Document,
        change: &Change,
        journal: Option<&JournalEntry>,
        expect: Expect,
        fence: Option<crate::ports::Fence>,
    ) -> Result<Arc<Loaded>, EngineError> {
        let ring = document.ring.name.clone();
        let at = change.now.wall.to_string();
        let _turn = lock(&self.turn);
        let appended = audit::append(&self.records, &at, change.events(&ring)?)?;
        document.audit_head.clone_from(&appended.head);
        let (incarnation, revision) =
            (document.ring.incarnation.0.clone(), document.ring.revision.0);
        let key = key(&ring);
        let mut writes =
            vec![self.records.write_as(key.clone(), expect, &incarnation, revision, &document)?];
        writes.extend(appended.writes);
        if let Some(journal) = journal {
            writes.extend(journal::append(&self.records, journal)?);
        }
        if self.keep_notices {
            writes.extend(self.notices(&ring, change, appended.number)?);
        }
        for instance in change.ended() {
            writes.push(self.presence.end(&self.records, &ring, instance, change.now.cluster)?);
        }
        // Others may have moved the clock since this change was decided on.
        let cluster = self.now().cluster.max(change.now.cluster);
        writes.push(self.time_write(cluster, self.leash())?);
        let seq = self.records.store.commit(&Commit { fence, writes }).map_err(|error| {
            if let CommitError::Unknown(cause) = &error {
                tracing::warn!(%ring, %cause, "the answer to a commit was lost");
            }
            EngineError::from(error)
        })?;
        for instance in change.ended() {
            self.presence.mark_ended(&ring, instance, seq, change.now.cluster);
        }
        self.raise(key.as_str(), &incarnation, revision)?;
        self.raise(audit::HEAD_KEY, "-", appended.number)?;
        let erased = change.step.effects.iter().any(|e| matches!(e, Effect::Erase { .. }));
        if erased && let Err(cause) = self.records.store.scrub() {
            tracing::warn!(%ring, %cause, "erased material may linger in a file of the store");
        }
        for notice in change.notices() {
            tracing::info!(%ring, revision, notice = notice_name(notice), "transition");
        }
        self.keep(document, seq)
    }

    fn notices(
        &self,
        ring: &RingName,
        change: &Change,
        head: u64,
    ) -> Result<Vec<crate::ports::Write>, EngineError> {
        let notices: Vec<_> = change.notices().collect();
        let first = head.saturating_sub(notices.len() as u64);
        let mut writes = Vec::with_capacity(notices.len());
        for (id, notice) in (first + 1..).zip(notices) {
            let pending = PendingNotice {
                id,
                ring: ring.clone(),
                notice: notice.clone(),
                at: change.now.wall,
                attempts: 0,
                next_attempt: change.now.wall,
            };
            writes.push(outbox::append(&self.records, &pending)?);
        }
        Ok(writes)
    }
}

const REPLAY_REMEDY: &str = "The store was set back or edited. Put the newer one back, or accept \
                             this one with `keywheel restore --adopt`";

/// A transition to be committed, with what goes along.
pub(crate) struct Change {
    pub(crate) input: Input,
    pub(crate) step: Step,
    pub(crate) now: Now,
    pub(crate) actor: String,
    pub(crate) reason: Option<String>,
    pub(crate) new_key: Option<NewKey>,
    pub(crate) spec: Option<Spec>,
    pub(crate) receipt: Option<crate::document::Receipt>,
    /// What is to be revoked when the rotation that begins here is done.
    pub(crate) revoke: AfterRotation,
    /// Whether the step alone leads to the new ring.
    pub(crate) replayable: bool,
}

impl Change {
    pub(crate) fn new(input: Input, step: Step, now: Now, actor: &str) -> Self {
        Self {
            input,
            step,
            now,
            actor: actor.into(),
            reason: None,
            new_key: None,
            spec: None,
            receipt: None,
            revoke: AfterRotation::default(),
            replayable: true,
        }
    }

    /// Brings material and declaration in line with the ring.
    fn apply(&self, document: &mut Document) {
        if let Some(key) = &self.new_key {
            let added = document.ring.versions.iter().find(|(number, version)| {
                version.kid == key.minted.kid && !document.material.contains_key(number)
            });
            if let Some((number, _)) = added {
                let stored = StoredMaterial::new(&key.material, &key.salt);
                document.material.insert(*number, stored);
                document.wish = self.wish(*number);
            }
        }
        for effect in &self.step.effects {
            if let Effect::Erase { version } = effect {
                document.material.remove(version);
            }
        }
        if let Some(spec) = &self.spec {
            document.spec = spec.clone();
        }
        if let Some(receipt) = &self.receipt {
            document.remember(receipt.clone());
        }
    }

    fn wish(&self, version: VersionNumber) -> Option<Wish> {
        (!self.revoke.is_nothing()).then(|| Wish {
            version,
            revoke: self.revoke,
            actor: self.actor.clone(),
            reason: self.reason.clone(),
        })
    }

    fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.step.effects.iter().filter_map(|effect| match effect {
            Effect::Notify { notice } => Some(notice),
            _ => None,
        })
    }

    fn ended(&self) -> impl Iterator<Item = &InstanceId> {
        self.step.effects.iter().filter_map(|effect| match effect {
            Effect::EndInstance { instance } => Some(instance),
            _ => None,
        })
    }

    /// What goes into the audit record: each notice, or at least the input itself.
    fn events(&self, ring: &RingName) -> Result<Vec<Event>, EngineError> {
        let mut events = Vec::new();
        for notice in self.notices() {
            let mut detail = serde_json::to_value(notice).map_err(EngineError::defect)?;
            if let (Some(reason), Some(object)) = (&self.reason, detail.as_object_mut()) {
                object.insert("reason".into(), reason.clone().into());
            }
            events.push(Event {
                actor: self.actor.clone(),
                ring: Some(ring.clone()),
                action: notice_name(notice).into(),
                detail,
            });
        }
        if events.is_empty() {
            events.push(Event {
                actor: self.actor.clone(),
                ring: Some(ring.clone()),
                action: self.input.name().into(),
                detail: serde_json::json!({ "reason": self.reason }),
            });
        }
        Ok(events)
    }
}

/// The name of a notice, as it stands in the audit record, in `[[notify]]` and in logs.
pub const fn notice_name(notice: &Notice) -> &'static str {
    match notice {
        Notice::Created { .. } => "created",
        Notice::Started { .. } => "started",
        Notice::Published { .. } => "published",
        Notice::Served { .. } => "served",
        Notice::Promoted { .. } => "promoted",
        Notice::Done { .. } => "done",
        Notice::Draining { .. } => "draining",
        Notice::Retired { .. } => "retired",
        Notice::Dropped { .. } => "dropped",
        Notice::Destroyed { .. } => "destroyed",
        Notice::RolledBack { .. } => "rolled_back",
        Notice::Stalled { .. } => "stalled",
        Notice::Failed { .. } => "failed",
        Notice::Overdue { .. } => "overdue",
        Notice::Compromised { .. } => "compromised",
        Notice::Refused { .. } => "refused",
        Notice::Suspended { .. } => "suspended",
        Notice::ResumedVersion { .. } => "resumed_version",
        Notice::Waived { .. } => "waived",
        Notice::InstanceEnded { .. } => "instance_ended",
        Notice::Approved { .. } => "approved",
        Notice::Evidence { .. } => "evidence",
        Notice::Column { .. } => "column",
        Notice::ColumnsReleased { .. } => "columns_released",
        Notice::Paused { .. } => "paused",
        Notice::Resumed => "resumed",
        Notice::Edited => "edited",
        Notice::Restored { .. } => "restored",
        Notice::Deleted { .. } => "deleted",
    }
}
