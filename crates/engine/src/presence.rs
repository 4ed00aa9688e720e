//! The processes that hold keys: who registered, when each was last heard, and what it proved.
//!
//! A registration is durable before it is answered. Renewals and evidence are kept in memory and
//! written in batches; a server that dies loses some of them, which only makes gates wait longer:
//! a silent process is not taken for gone before everything that may be missing is allowed for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Condvar, Mutex, PoisonError};

use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{ConsumerName, Incarnation, InstanceId, Revision, RingName, VersionNumber};
use keywheel_core::ring::Ring;
use keywheel_core::time::{ClusterTime, Span, WallTime};
use keywheel_core::view::{Counts, Held, Instance, Moment};
use serde::{Deserialize, Serialize};

use crate::consumers::Done;
use crate::document::SecretText;
use crate::error::EngineError;
use crate::ports::{Commit, CommitError, Elapsed, Expect, Key, Seq, StoreError, Write};
use crate::records::{Record, Records};

/// What is known of one process of one ring.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    pub(crate) consumer: ConsumerName,
    pub(crate) host: String,
    pub(crate) pid: u32,
    pub(crate) secret: SecretText,
    pub(crate) last_contact: ClusterTime,
    pub(crate) last_contact_wall: WallTime,
    pub(crate) ended: bool,
    pub(crate) sequence: u64,
    pub(crate) held: Option<HeldOf>,
    pub(crate) counts: BTreeMap<VersionNumber, Counts>,
    pub(crate) uses: BTreeMap<VersionNumber, Uses>,
    /// How often it refused a kid that no version of the ring ever had.
    #[serde(default)]
    pub(crate) unknown: u64,
    /// Whether silence never means that it has stopped.
    #[serde(default)]
    pub(crate) endures: bool,
    /// Whether it was given a key. Noted for those that endure only.
    #[serde(default)]
    pub(crate) given: bool,
    /// Why what it proved does not stand any more.
    #[serde(default)]
    pub(crate) trouble: Option<String>,
    /// When a person ended it.
    #[serde(default)]
    pub(crate) ended_at: Option<ClusterTime>,
}

/// What a process proved, and of which life of the ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldOf {
    pub(crate) incarnation: Incarnation,
    pub(crate) revision: Revision,
    pub(crate) oldest_guard: Revision,
    pub(crate) level: EvidenceLevel,
}

/// How often, and when last, a process protected with a version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Uses {
    pub(crate) count: u64,
    pub(crate) last: Option<WallTime>,
}

impl Uses {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { count: self.count.saturating_add(other.count), last: self.last.max(other.last) }
    }
}

/// What people may know of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceInfo {
    /// Its name.
    pub id: InstanceId,
    /// Whose process it is.
    pub consumer: ConsumerName,
    /// Where it runs.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// How long it has been silent.
    pub silent_for: Span,
    /// How often it refused a kid that no version of the ring ever had.
    pub unknown: u64,
    /// How often it protected with each version.
    pub uses: BTreeMap<VersionNumber, u64>,
}

struct Entry {
    process: Process,
    stored: Seq,
    /// When it was last heard here, on this server's own clock.
    heard: Option<Elapsed>,
    /// When what the store knows of its contact was heard here.
    safe: Option<Elapsed>,
}

impl Entry {
    const fn stored(process: Process, stored: Seq) -> Self {
        Self { process, stored, heard: None, safe: None }
    }
}

type Ids = BTreeMap<InstanceId, Entry>;

/// A process on its way to the store.
struct Changed {
    ring: RingName,
    id: InstanceId,
    process: Process,
    replaces: Seq,
    heard: Option<Elapsed>,
}

/// How often a batch is written anew because another server was faster with one of its rows.
const CONFLICTS_MAX: usize = 64;

#[derive(Default)]
struct Table {
    rings: HashMap<RingName, Ids>,
    changed: BTreeSet<(RingName, InstanceId)>,
}

/// The table of processes, and its writer.
pub(crate) struct Presence {
    table: Mutex<Table>,
    writer: GroupWriter,
}

pub(crate) fn key(ring: &RingName, id: &InstanceId) -> Key {
    Key::new(&["instance", ring.as_str(), id.as_str()])
}

fn parse_key(key: &Key) -> Option<(RingName, InstanceId)> {
    let (ring, id) = key.as_str().strip_prefix("instance/")?.split_once('/')?;
    Some((ring.parse().ok()?, id.parse().ok()?))
}

impl Presence {
    /// Reads every process that the store knows of.
    pub(crate) fn load(records: &Records) -> Result<Self, EngineError> {
        let presence = Self { table: Mutex::default(), writer: GroupWriter::default() };
        let mut after = None;
        loop {
            let page = records.list::<Process>("instance/", after.as_ref(), 1_000)?;
            let Some((last, _)) = page.last() else { return Ok(presence) };
            after = Some(last.clone());
            for (key, record) in page {
                presence.adopt(&key, record, ClusterTime::default());
            }
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a row as the store has it, unless what is in memory is newer. Whom another server
    /// heard was heard `now` at the latest; that server's clock may be behind this one's.
    fn adopt(&self, key: &Key, record: Record<Process>, now: ClusterTime) {
        let Some((ring, id)) = parse_key(key) else { return };
        let mut table = self.table();
        let ids = table.rings.entry(ring).or_default();
        let mut theirs = record.value;
        match ids.get_mut(&id) {
            Some(known) if known.stored >= record.seq => {}
            Some(known) => {
                let own = &mut known.process;
                let was_heard =
                    theirs.sequence > own.sequence || theirs.last_contact > own.last_contact;
                let contact = own.last_contact.max(theirs.last_contact);
                let ended = own.ended || theirs.ended;
                let ended_at = own.ended_at.max(theirs.ended_at);
                if theirs.sequence >= own.sequence {
                    *own = theirs;
                }
                own.last_contact = if was_heard { contact.max(now) } else { contact };
                (own.ended, own.ended_at) = (ended, ended_at);
                known.stored = record.seq;
            }
            None => {
                theirs.last_contact = theirs.last_contact.max(now);
                ids.insert(id, Entry::stored(theirs, record.seq));
            }
        }
    }

    /// Follows a change that the store announced.
    pub(crate) fn follow(
        &self,
        records: &Records,
        key: &Key,
        seq: Seq,
        now: ClusterTime,
    ) -> Result<(), EngineError> {
        let Some((ring, id)) = parse_key(key) else { return Ok(()) };
        let known = self.table().rings.get(&ring).and_then(|ids| Some(ids.get(&id)?.stored));
        if known.is_some_and(|stored| stored >= seq) {
            return Ok(());
        }
        match records.read::<Process>(key)? {
            Some(record) => self.adopt(key, record, now),
            None => {
                if let Some(ids) = self.table().rings.get_mut(&ring) {
                    ids.remove(&id);
                }
            }
        }
        Ok(())
    }

    /// Reads a process that another server may have registered a moment ago.
    pub(crate) fn fetch(
        &self,
        records: &Records,
        ring: &RingName,
        id: &InstanceId,
        now: ClusterTime,
    ) -> Result<(), EngineError> {
        self.follow(records, &key(ring, id), Seq(u64::MAX), now)
    }

    /// Registers a process for several rings, durably, before it returns.
    pub(crate) fn register(
        &self,
        records: &Records,
        rings: &[RingName],
        id: &InstanceId,
        process: &Process,
        heard: Elapsed,
    ) -> Result<(), EngineError> {
        let mut writes = Vec::with_capacity(rings.len());
        for ring in rings {
            writes.push(records.write(key(ring, id), Expect::Absent, process)?);
        }
        let seq = self.writer.write(records, writes)?;
        let mut table = self.table();
        for ring in rings {
            let mut entry = Entry::stored(process.clone(), seq);
            (entry.heard, entry.safe) = (Some(heard), Some(heard));
            table.rings.entry(ring.clone()).or_default().insert(id.clone(), entry);
        }
        Ok(())
    }

    /// Changes what is known of a process. Nothing when it is not known.
    pub(crate) fn update<T>(
        &self,
        ring: &RingName,
        id: &InstanceId,
        heard: Elapsed,
        change: impl FnOnce(&mut Process) -> T,
    ) -> Option<T> {
        let mut table = self.table();
        let entry = table.rings.get_mut(ring)?.get_mut(id)?;
        let result = change(&mut entry.process);
        entry.heard = Some(heard);
        table.changed.insert((ring.clone(), id.clone()));
        Some(result)
    }

    /// What is known of a process.
    pub(crate) fn process(&self, ring: &RingName, id: &InstanceId) -> Option<Process> {
        self.table().rings.get(ring)?.get(id).map(|entry| entry.process.clone())
    }

    /// How many processes of a consumer are known.
    pub(crate) fn count(&self, ring: &RingName, consumer: &ConsumerName) -> usize {
        let table = self.table();
        let Some(ids) = table.rings.get(ring) else { return 0 };
        ids.values()
            .filter(|entry| entry.process.consumer == *consumer && !entry.process.ended)
            .count()
    }

    /// Sees to it that what a process is told about its own contact is never more than `at_most`
    /// ahead of what the store knows, because this server may die and then only the store tells
    /// how long the process may go on.
    pub(crate) fn secure(
        &self,
        records: &Records,
        ring: &RingName,
        id: &InstanceId,
        at_most: Span,
    ) -> Result<(), EngineError> {
        let ahead = {
            let table = self.table();
            let Some(entry) = table.rings.get(ring).and_then(|ids| ids.get(id)) else {
                return Ok(());
            };
            let Some(heard) = entry.heard else { return Ok(()) };
            entry.safe.is_none_or(|safe| heard.0.saturating_sub(safe.0) > at_most.to_std())
        };
        if ahead { self.write_some(records, &[(ring.clone(), id.clone())]) } else { Ok(()) }
    }

    /// Writes what is known of a process now, because nobody may act on less.
    pub(crate) fn write_now(
        &self,
        records: &Records,
        ring: &RingName,
        id: &InstanceId,
    ) -> Result<(), EngineError> {
        self.write_some(records, &[(ring.clone(), id.clone())])
    }

    /// The write that ends a process, to be committed together with what it follows from. It
    /// conflicts with any news of the process.
    pub(crate) fn end(
        &self,
        records: &Records,
        ring: &RingName,
        id: &InstanceId,
        now: ClusterTime,
    ) -> Result<Write, EngineError> {
        let known = {
            let table = self.table();
            let entry = table.rings.get(ring).and_then(|ids| ids.get(id));
            entry.map(|entry| (entry.process.clone(), entry.stored))
        };
        let key = key(ring, id);
        let Some((mut process, stored)) = known else {
            return Err(EngineError::Contended(key.as_str().into()));
        };
        (process.ended, process.ended_at) = (true, Some(now));
        records.write(key, Expect::At(stored), &process)
    }

    /// Takes in that a process was ended with the commit `seq`.
    pub(crate) fn mark_ended(&self, ring: &RingName, id: &InstanceId, seq: Seq, now: ClusterTime) {
        let mut table = self.table();
        if let Some(entry) = table.rings.get_mut(ring).and_then(|ids| ids.get_mut(id)) {
            (entry.process.ended, entry.process.ended_at) = (true, Some(now));
            entry.stored = entry.stored.max(seq);
        }
    }

    /// The rings that know a process, in order.
    pub(crate) fn rings_of(&self, id: &InstanceId) -> Vec<RingName> {
        let table = self.table();
        let known = table.rings.iter().filter(|(_, ids)| ids.contains_key(id));
        let mut rings: Vec<_> = known.map(|(ring, _)| ring.clone()).collect();
        rings.sort();
        rings
    }

    /// The processes of a ring as `core` looks at them.
    pub(crate) fn instances(&self, ring: &Ring, leash: Span) -> Vec<Instance> {
        let table = self.table();
        let Some(ids) = table.rings.get(&ring.name) else { return Vec::new() };
        ids.iter()
            .map(|(id, entry)| {
                let process = &entry.process;
                // What was proved in a former life of the ring says nothing about this one.
                let held = process.proved().filter(|held| held.incarnation == ring.incarnation);
                Instance {
                    id: id.clone(),
                    consumer: process.consumer.clone(),
                    process: format!("{}/{}", process.host, process.pid),
                    last_contact: process.last_contact,
                    heard_later: heard_later(leash),
                    ended: process.ended,
                    endures: process.outlasts_silence(),
                    trouble: process.trouble.clone(),
                    held: held.map(|held| Held {
                        revision: held.revision,
                        oldest_guard: held.oldest_guard,
                        level: held.level,
                    }),
                    counts: process.counts.clone(),
                }
            })
            .collect()
    }

    /// The processes of a ring as people look at them.
    pub(crate) fn infos(&self, ring: &RingName, now: ClusterTime) -> Vec<InstanceInfo> {
        let table = self.table();
        let Some(ids) = table.rings.get(ring) else { return Vec::new() };
        ids.iter()
            .map(|(id, entry)| InstanceInfo {
                id: id.clone(),
                consumer: entry.process.consumer.clone(),
                host: entry.process.host.clone(),
                pid: entry.process.pid,
                silent_for: now.since(entry.process.last_contact),
                unknown: entry.process.unknown,
                uses: entry.process.uses.iter().map(|(n, uses)| (*n, uses.count)).collect(),
            })
            .collect()
    }

    /// How often a version protected, and when last.
    pub(crate) fn uses(&self, ring: &RingName, version: VersionNumber) -> Uses {
        let table = self.table();
        let Some(ids) = table.rings.get(ring) else { return Uses::default() };
        ids.values()
            .filter_map(|entry| entry.process.uses.get(&version))
            .fold(Uses::default(), |sum, uses| sum.and(*uses))
    }

    /// Writes what changed since the last time, at most a thousand rows at once.
    pub(crate) fn flush(&self, records: &Records) -> Result<(), EngineError> {
        loop {
            let batch: Vec<_> = self.table().changed.iter().take(1_000).cloned().collect();
            if batch.is_empty() {
                return Ok(());
            }
            self.write_some(records, &batch)?;
        }
    }

    /// Writes these processes. Each write names the row that it replaces: another server may have
    /// heard the same process, and neither may undo what the other wrote.
    fn write_some(
        &self,
        records: &Records,
        names: &[(RingName, InstanceId)],
    ) -> Result<(), EngineError> {
        for _ in 0..CONFLICTS_MAX {
            let batch = self.take_changed(names);
            let mut writes = Vec::with_capacity(batch.len());
            for changed in &batch {
                let at = Expect::At(changed.replaces);
                let key = key(&changed.ring, &changed.id);
                writes.push(records.write(key, at, &changed.process)?);
            }
            if writes.is_empty() {
                return Ok(());
            }
            let error = match self.writer.write(records, writes) {
                Ok(seq) => {
                    self.mark_stored(&batch, seq);
                    return Ok(());
                }
                Err(error) => error,
            };
            let again = batch.into_iter().map(|changed| (changed.ring, changed.id));
            self.table().changed.extend(again);
            match error {
                Refusal::Conflict(key) => {
                    self.follow(records, &key, Seq(u64::MAX), ClusterTime::default())?;
                }
                error => return Err(error.into()),
            }
        }
        Err(EngineError::Contended("the processes".into()))
    }

    fn take_changed(&self, names: &[(RingName, InstanceId)]) -> Vec<Changed> {
        let mut table = self.table();
        let mut batch = Vec::with_capacity(names.len());
        for name in names {
            if !table.changed.remove(name) {
                continue;
            }
            let (ring, id) = name.clone();
            let entry = table.rings.get(&ring).and_then(|ids| ids.get(&id));
            if let Some(entry) = entry {
                batch.push(Changed {
                    process: entry.process.clone(),
                    replaces: entry.stored,
                    heard: entry.heard,
                    ring,
                    id,
                });
            }
        }
        batch
    }

    fn mark_stored(&self, batch: &[Changed], seq: Seq) {
        let mut table = self.table();
        for changed in batch {
            let entry = table.rings.get_mut(&changed.ring).and_then(|ids| ids.get_mut(&changed.id));
            if let Some(entry) = entry {
                entry.stored = entry.stored.max(seq);
                entry.safe = entry.safe.max(changed.heard);
            }
        }
    }

    /// Forgets processes that have been gone for so long that nothing can depend on them.
    pub(crate) fn forget_gone(
        &self,
        records: &Records,
        ring: &Ring,
        leash: Span,
        now: ClusterTime,
    ) -> Result<(), EngineError> {
        let gone = ring.silence().plus(heard_later(leash));
        let after = gone.plus(ring.silence()).plus(Span::from_secs(60));
        let gone: Vec<_> = {
            let table = self.table();
            let Some(ids) = table.rings.get(&ring.name) else { return Ok(()) };
            ids.iter()
                .filter(|(_, entry)| {
                    let process = &entry.process;
                    // Who ended it may ask once more.
                    let latest = process.ended_at.max(Some(process.last_contact));
                    latest.is_some_and(|latest| now.since(latest) > after)
                        && (process.ended || !process.outlasts_silence())
                })
                .map(|(id, entry)| (id.clone(), entry.stored))
                .take(1_000)
                .collect()
        };
        if gone.is_empty() {
            return Ok(());
        }
        let writes = gone
            .iter()
            .map(|(id, stored)| {
                // Not when another server has just heard of it again.
                Write { key: key(&ring.name, id), expect: Expect::At(*stored), value: None }
            })
            .collect();
        self.writer.write(records, writes)?;
        let mut table = self.table();
        for (id, _) in gone {
            if let Some(ids) = table.rings.get_mut(&ring.name) {
                ids.remove(&id);
            }
            table.changed.remove(&(ring.name.clone(), id));
        }
        Ok(())
    }

    /// Forgets everybody: a restored store does not know who runs.
    pub(crate) fn forget_all(&self, records: &Records) -> Result<(), EngineError> {
        let known: Vec<_> = {
            let table = self.table();
            table
                .rings
                .iter()
                .flat_map(|(ring, ids)| ids.keys().map(move |id| key(ring, id)))
                .collect()
        };
        for page in known.chunks(1_000) {
            let writes = page
                .iter()
                .map(|key| Write { key: key.clone(), expect: Expect::Any, value: None })
                .collect();
            self.writer.write(records, writes)?;
        }
        *self.table() = Table::default();
        Ok(())
    }
}

/// How much later than the store says a process may have been heard. Each part is bounded by one
/// lease of the leader: the clock that stamped the contact stood behind; the server that heard it
/// died before it wrote that down, see [`Presence::secure`]; it was heard again while a decision
/// was made. docs/decisions/0011 shows that whoever counts as gone has then stopped to protect.
const fn heard_later(leash: Span) -> Span {
    leash.plus(leash).plus(leash)
}

impl Process {
    /// What it proved, if that still stands.
    pub(crate) fn proved(&self) -> Option<&HeldOf> {
        self.held.as_ref().filter(|_| self.trouble.is_none())
    }

    /// Whether it counts however long it is silent. Whoever never got a key has nothing to go on
    /// with: it is a process that died before it could note who it is.
    pub(crate) const fn outlasts_silence(&self) -> bool {
        self.endures && self.given
    }

    /// Adds what a process did since its last report.
    pub(crate) fn count(&mut self, version: VersionNumber, done: Done, now: Moment) {
        let Done { protected, processed, rejected, unknown } = done;
        let counts = self.counts.entry(version).or_default();
        counts.processed = counts.processed.saturating_add(processed);
        counts.rejected = counts.rejected.saturating_add(rejected);
        counts.unknown = counts.unknown.saturating_add(unknown);
        if processed > 0 {
            counts.last_processed = Some(now);
        }
        if protected > 0 {
            let uses = self.uses.entry(version).or_default();
            uses.count = uses.count.saturating_add(protected);
            uses.last = Some(now.wall);
        }
    }
}

/// Lets many callers share one durable commit: whoever comes while one is under way waits, and the
/// next commit carries all of them.
#[derive(Default)]
struct GroupWriter {
    state: Mutex<GroupState>,
    done: Condvar,
}

#[derive(Default)]
struct GroupState {
    waiting: Vec<(u64, Vec<Write>)>,
    next_ticket: u64,
    writing: bool,
    results: HashMap<u64, Result<Seq, Refusal>>,
}

/// Why a commit that many shared was refused.
#[derive(Clone, Debug)]
enum Refusal {
    Conflict(Key),
    Full(String),
    Unknown(String),
    Unavailable(String),
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict(key) => Self::Conflict(key),
            CommitError::Unknown(cause) => Self::Unknown(cause),
            CommitError::Store(StoreError::Full(cause)) => Self::Full(cause),
            CommitError::Store(StoreError::Unavailable(cause)) => Self::Unavailable(cause),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<Refusal> for EngineError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Conflict(key) => Self::Contended(key.as_str().into()),
            Refusal::Full(cause) => Self::Store(StoreError::Full(cause)),
            Refusal::Unknown(cause) => Self::Unknown(cause),
            Refusal::Unavailable(cause) => Self::Store(StoreError::Unavailable(cause)),
        }
    }
}

/// The most writes that one commit carries.
const GROUP_WRITES_MAX: usize = 2_000;

impl GroupWriter {
    fn write(&self, records: &Records, writes: Vec<Write>) -> Result<Seq, Refusal> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push((ticket, writes));
        loop {
            if let Some(result) = state.results.remove(&ticket) {
                return result;
            }
            if state.writing {
                state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.writing = true;
            let batch = take_batch(&mut state.waiting);
            drop(state);
            let results = commit_batch(records, batch);
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.writing = false;
            state.results.extend(results);
            self.done.notify_all();
        }
    }
}

fn take_batch(waiting: &mut Vec<(u64, Vec<Write>)>) -> Vec<(u64, Vec<Write>)> {
    let mut keys = BTreeSet::new();
    let mut writes = 0;
    let mut count = 0;
    for (_, group) in waiting.iter() {
        // A commit writes each key once, so a second write of one waits for the next commit.
        let fresh = group.iter().all(|write| !keys.contains(&write.key));
        if count > 0 && (!fresh || writes + group.len() > GROUP_WRITES_MAX) {
            break;
        }
        keys.extend(group.iter().map(|write| write.key.clone()));
        writes += group.len();
        count += 1;
    }
    waiting.drain(..count).collect()
}

/// Commits a batch together; when that is refused, each on its own, so that one bad write harms
/// nobody else.
fn commit_batch(
    records: &Records,
    batch: Vec<(u64, Vec<Write>)>,
) -> Vec<(u64, Result<Seq, Refusal>)> {
    let all = batch.iter().flat_map(|(_, writes)| writes.iter().cloned()).collect();
    let together =
        records.store.commit(&Commit { fence: None, writes: all }).map_err(Refusal::from);
    match together {
        Ok(seq) => batch.into_iter().map(|(ticket, _)| (ticket, Ok(seq))).collect(),
        Err(error) if batch.len() == 1 => {
            batch.into_iter().map(|(ticket, _)| (ticket, Err(error.clone()))).collect()
        }
        Err(_) => batch
            .into_iter()
            .map(|(ticket, writes)| {
                let result = records.store.commit(&Commit { fence: None, writes });
                (ticket, result.map_err(Refusal::from))
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(ticket: u64, keys: &[&str]) -> (u64, Vec<Write>) {
        let write = |key: &&str| Write {
            key: Key::new(&[key]),
            expect: Expect::Absent,
            value: Some(vec![0]),
        };
        (ticket, keys.iter().map(write).collect())
    }

    #[test]
    fn a_process_that_was_stored_before_it_could_endure_still_opens() {
        let stored = r#"{"consumer":"web","host":"h","pid":7,"secret":"AA","last_contact":5,
            "last_contact_wall":6,"ended":false,"sequence":3,"held":null,"counts":{},"uses":{}}"#;
        let process: Process = serde_json::from_str(stored).unwrap();
        assert!(!process.outlasts_silence() && process.trouble.is_none());
    }

    #[test]
    fn one_commit_carries_everybody_but_writes_each_key_once() {
        let mut waiting =
            vec![group(0, &["a"]), group(1, &["b", "c"]), group(2, &["a"]), group(3, &["d"])];
        let tickets = |batch: &[(u64, Vec<Write>)]| -> Vec<u64> {
            batch.iter().map(|(ticket, _)| *ticket).collect()
        };
        let batch = take_batch(&mut waiting);
        assert_eq!(tickets(&batch), [0, 1]);
        assert_eq!(tickets(&waiting), [2, 3]);
        assert_eq!(tickets(&take_batch(&mut waiting)), [2, 3]);
        assert!(take_batch(&mut waiting).is_empty());
    }

    #[test]
    fn a_group_that_is_too_large_for_the_rest_goes_alone() {
        let keys: Vec<String> = (0..GROUP_WRITES_MAX).map(|index| index.to_string()).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut waiting = vec![group(0, &keys), group(1, &["x"])];
        assert_eq!(take_batch(&mut waiting).len(), 1);
        assert_eq!(take_batch(&mut waiting).len(), 1);
    }
}
