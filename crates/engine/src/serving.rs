//! What a server answers from memory, without asking the store: tokens at its edge, and the public
//! keys that it shows. A server that does so is a consumer of its own rings. It says here how far
//! it has applied what the store holds, so that no gate opens before it serves the revision that
//! the gate is about, and what it accepted, so that the record of an exposure names it too.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use keywheel_core::id::{InstanceId, RingName, VersionNumber};
use keywheel_core::ring::{Ring, Stage};
use keywheel_core::time::Span;
use keywheel_core::view::{Counts, Instance, Moment};
use keywheel_jose::Material;
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, ServerRecord, lock};
use crate::error::EngineError;
use crate::ports::{Commit, Expect, Key, Seq};
use crate::presence::Uses;
use crate::rings::Loaded;

/// What stands for a server among the instances whose counts the gates look at.
const SERVERS: &str = "server";

/// A ring as a server answers for it from memory.
pub struct Served(Arc<Loaded>);

impl Served {
    /// The ring.
    pub fn ring(&self) -> &Ring {
        &self.0.document.ring
    }

    /// The key of a version; nothing when it was erased.
    pub fn material(&self, number: VersionNumber) -> Option<&Material> {
        self.0.material.get(&number)
    }
}

/// What a server accepted and refused by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUse {
    /// The server's name.
    pub server: String,
    /// Whether it serves what the ring holds now.
    pub is_current: bool,
    /// What it did with each version.
    pub counts: BTreeMap<VersionNumber, Counts>,
}

/// What a server did with the versions of each ring.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ServedCounts(HashMap<RingName, BTreeMap<VersionNumber, Counts>>);

impl ServedCounts {
    pub(crate) fn of(&self, ring: &RingName) -> Option<&BTreeMap<VersionNumber, Counts>> {
        self.0.get(ring)
    }
}

/// How far this server has come with serving.
pub(crate) struct Serving {
    /// Everything up to this change is applied. The highest number there is while nothing is
    /// answered from memory: what is read before each answer is always current.
    applied: AtomicU64,
    counts: Mutex<ServedCounts>,
    signed: Mutex<HashMap<RingName, BTreeMap<VersionNumber, Uses>>>,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            applied: AtomicU64::new(u64::MAX),
            counts: Mutex::default(),
            signed: Mutex::default(),
        }
    }
}

impl Serving {
    /// The newest change that every answer takes account of.
    pub(crate) fn applied(&self) -> Seq {
        Seq(self.applied.load(Ordering::SeqCst))
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.applied() != Seq(u64::MAX)
    }

    /// How often this server protected with a version, and when last.
    pub(crate) fn signed(&self, ring: &RingName, version: VersionNumber) -> Uses {
        let signed = lock(&self.signed);
        signed.get(ring).and_then(|all| all.get(&version)).copied().unwrap_or_default()
    }

    pub(crate) fn counts(&self) -> ServedCounts {
        lock(&self.counts).clone()
    }

    pub(crate) fn counts_of(&self, ring: &RingName) -> BTreeMap<VersionNumber, Counts> {
        lock(&self.counts).of(ring).cloned().unwrap_or_default()
    }
}

impl Engine {
    /// A ring with its keys, for answers from memory. It is read from the store.
    ///
    /// # Errors
    /// When there is none, or it is not believed.
    pub fn served(&self, ring: &RingName) -> Result<Served, EngineError> {
        Ok(Served(self.load(ring)?))
    }

    /// Says that this server answers from memory from now on. Until [`Engine::applied`] is told how
    /// far it has come, it has applied nothing, and gates wait for it. What it counted before its
    /// last end goes on.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn serves_from_memory(&self) -> Result<(), EngineError> {
        self.serving.applied.store(0, Ordering::SeqCst);
        let former = self.records.read::<ServerRecord>(&self.own_key())?;
        if let Some(former) = former {
            *lock(&self.serving.counts) = former.value.uses;
        }
        Ok(())
    }

    fn own_key(&self) -> Key {
        Key::new(&["server", &self.server])
    }

    /// Says that every answer from now on takes account of all changes up to this one, these rings
    /// among them.
    pub fn applied<'a>(&self, seq: Seq, rings: impl IntoIterator<Item = &'a RingName>) {
        if !self.serving.is_serving() {
            return;
        }
        self.serving.applied.fetch_max(seq.0, Ordering::SeqCst);
        let mut waited_for = false;
        for ring in rings {
            let waits = lock(&self.cache).get(ring).is_some_and(|loaded| {
                let path = loaded.document.ring.path.as_ref();
                path.is_some_and(|path| path.stage == Stage::Publish)
            });
            if waits {
                self.enlist(ring);
                waited_for = true;
            }
        }
        if waited_for {
            self.poke();
        }
    }

    /// Counts what this server accepted and refused by itself since the last call.
    pub fn count_served(
        &self,
        ring: &RingName,
        version: VersionNumber,
        processed: u64,
        rejected: u64,
    ) {
        let now = self.now();
        let mut all = lock(&self.serving.counts);
        let versions = all.0.entry(ring.clone()).or_default();
        let counts = versions.entry(version).or_default();
        counts.processed = counts.processed.saturating_add(processed);
        counts.rejected = counts.rejected.saturating_add(rejected);
        if processed > 0 {
            counts.last_processed = Some(Moment { cluster: now.cluster, wall: now.wall });
        }
    }

    /// Counts a token that this server signed.
    pub(crate) fn count_signed(&self, ring: &RingName, version: VersionNumber) {
        let wall = self.now().wall;
        let mut all = lock(&self.serving.signed);
        let uses = all.entry(ring.clone()).or_default().entry(version).or_default();
        uses.count = uses.count.saturating_add(1);
        uses.last = uses.last.max(Some(wall));
    }

    /// Forgets what was counted for a ring's versions that are no more.
    pub fn forget_served(&self, ring: &RingName, keep: impl Fn(VersionNumber) -> bool) {
        let mut all = lock(&self.serving.counts);
        if let Some(versions) = all.0.get_mut(ring) {
            versions.retain(|number, _| keep(*number));
            if versions.is_empty() {
                all.0.remove(ring);
            }
        }
    }

    /// The servers' own use of a ring as instances that have ended: gates look at their counts, and
    /// wait for none of them; that they serve the revision is what the gate `servers` asks.
    pub(crate) fn serving_instances(uses: &[ServerUse]) -> Vec<Instance> {
        let named =
            |index: usize| -> Option<InstanceId> { format!("{SERVERS}-{index}").parse().ok() };
        uses.iter()
            .enumerate()
            .filter(|(_, server)| !server.counts.is_empty())
            .filter_map(|(index, server)| {
                Some(Instance {
                    id: named(index)?,
                    consumer: SERVERS.parse().ok()?,
                    process: server.server.clone(),
                    last_contact: keywheel_core::time::ClusterTime::default(),
                    heard_later: Span::ZERO,
                    ended: true,
                    endures: false,
                    held: None,
                    trouble: None,
                    counts: server.counts.clone(),
                })
            })
            .collect()
    }

    /// What this server's record says now.
    pub(crate) fn own_record(&self, at: keywheel_core::time::ClusterTime) -> ServerRecord {
        let followed = *lock(&self.feed);
        ServerRecord {
            applied: followed.min(self.serving.applied()).0,
            at,
            uses: self.serving.counts(),
        }
    }

    /// Records that this server, which does not lead, serves from memory, so that the leader waits
    /// for it.
    pub(crate) fn record_serving(&self) -> Result<(), EngineError> {
        if !self.serving.is_serving() {
            return Ok(());
        }
        let record = self.own_record(self.now().cluster);
        let write = self.records.write(self.own_key(), Expect::Any, &record)?;
        let commit = Commit { fence: None, writes: vec![write] };
        self.records.store.commit(&commit).map(drop).map_err(EngineError::from)
    }
}
