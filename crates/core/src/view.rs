//! What the engine saw of the world, as data: the instances, the servers, and what they reported.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gate::EvidenceLevel;
use crate::id::{ConsumerName, InstanceId, Revision, ScanName, VersionNumber};
use crate::ring::{Attribution, Ring};
use crate::time::{ClusterTime, Span, WallTime};

/// Everything a tick looks at besides the ring itself, read after the ring was and before the
/// clocks were: what it shows must not be later than the present of the tick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct View {
    /// Every registered instance of the ring that has not been forgotten.
    pub instances: Vec<Instance>,
    /// Every live server, with the keyset revision that it serves.
    pub servers: Vec<Server>,
    /// Before this moment a new leader has not heard of everybody yet; gates stay closed. Unless
    /// contacts outlive a leader to within [`Instance::heard_later`], this is later than the
    /// takeover by more than [`Ring::silence`] and one of the leader's leases, which may pass
    /// between reading this view and deciding on it.
    pub settled_at: ClusterTime,
    /// How often the primary protected since its promotion, as reported.
    pub uses: u64,
    /// When the primary last protected, as reported.
    pub last_use: Option<WallTime>,
    /// What scans of code bases found that uses the ring, by name.
    #[serde(default)]
    pub scans: Vec<Scan>,
    /// A digest of the evidence above, for the record of what a gate opened on.
    pub digest: String,
}

/// One process of a consumer, as the servers know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// Its name.
    pub id: InstanceId,
    /// Whose process it is.
    pub consumer: ConsumerName,
    /// As it introduced itself, `host/pid`, for people.
    #[serde(default)]
    pub process: String,
    /// The last moment at which it is known to have been heard.
    pub last_contact: ClusterTime,
    /// How much later than that it may have been heard: by a clock that stands behind, by a server
    /// that died before it wrote that down, or since this view was read. It counts as lost from
    /// its last known contact on, but as gone only this much later.
    #[serde(default)]
    pub heard_later: Span,
    /// Whether it said goodbye or was seen dead.
    pub ended: bool,
    /// Whether silence never means that it has stopped.
    #[serde(default)]
    pub endures: bool,
    /// What it has proved to hold, of the present incarnation; nothing while it is in trouble.
    pub held: Option<Held>,
    /// Why what it proved before does not stand any more.
    #[serde(default)]
    pub trouble: Option<String>,
    /// What it did with each version since the version's last promotion.
    pub counts: BTreeMap<VersionNumber, Counts>,
}

/// What an instance proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Held {
    /// The keyset revision that it processes with, and protects with for new work.
    pub revision: Revision,
    /// The oldest keyset revision that work still in progress protects with.
    pub oldest_guard: Revision,
    /// How this is known.
    pub level: EvidenceLevel,
}

/// What an instance did with one version.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Counts {
    /// Verified, decrypted or accepted.
    pub processed: u64,
    /// Refused by a process that knew the version.
    pub rejected: u64,
    /// Refused because the process did not know the version's kid.
    #[serde(default)]
    pub unknown: u64,
    /// When it last accepted something of this version.
    pub last_processed: Option<Moment>,
}

/// A moment on both clocks, without the need for a [`crate::time::Now`] in ordered types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment {
    /// For waits.
    pub cluster: ClusterTime,
    /// For people.
    pub wall: WallTime,
}

/// A live server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Server {
    /// Its name.
    pub id: String,
    /// The newest keyset revision of this ring that it serves.
    pub serves: Revision,
}

/// What the last scan of one code base says about a ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scan {
    /// The code base.
    pub name: ScanName,
    /// When it was reported.
    pub at: Moment,
    /// Places that a rotation would break: those without a waiver first, then those whose waivers
    /// end first. A view need not have all of them.
    pub blocking: Vec<BlockingPlace>,
    /// How many more there are without a waiver.
    pub more: usize,
}

/// A place that a rotation would break.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockingPlace {
    /// Where it is and why it breaks, in words.
    pub place: String,
    /// Who takes it upon himself.
    pub waiver: Option<PlaceWaiver>,
}

/// A person's word that a place may break.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlaceWaiver {
    /// Who and why.
    pub by: Attribution,
    /// Until when.
    pub until: ClusterTime,
}

/// Whether a process still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It renews.
    Live,
    /// It stopped renewing and may still run.
    Lost,
    /// It ended, or has been silent for so long that its client refuses to protect. The latter
    /// never happens to one that endures.
    Gone,
}

impl Instance {
    /// Whether it still counts. A silent process counts until `offline_max` and the skew are over
    /// since the last moment at which it may have been heard, because until then it may protect
    /// with what it holds; one that endures counts until it ends.
    pub fn standing(&self, ring: &Ring, now: ClusterTime) -> Standing {
        let silent = now.since(self.last_contact);
        let is_over = silent > ring.silence().plus(self.heard_later);
        if self.ended || (is_over && !self.endures) {
            Standing::Gone
        } else if silent > ring.policy.lease_ttl {
            Standing::Lost
        } else {
            Standing::Live
        }
    }
}
