//! Registration of processes, and their proofs.

use std::collections::BTreeMap;

use keywheel_core::gate::EvidenceLevel;
use keywheel_jose::proof::{AcceptedSetDigest, Proof};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ring::{Counts, is_zero};

/// Body of `POST /v1/instances`. The consumer is the token's.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Which consumer this process believes to belong to; refused when the token is another's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// The rings that it will use, at most 64.
    pub rings: Vec<String>,
    /// Where it runs, for people: at most 64 characters.
    pub host: String,
    /// Its process id.
    pub pid: u32,
    /// Whether silence never means that it has stopped: nobody stops the consumer when its agent
    /// reaches no server. A rotation then waits until it is heard again, said goodbye, was
    /// succeeded, is waived or was ended by a person. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub endures: bool,
    /// The instance whose place this one takes, in the rings that this one registers for. It ends
    /// once this registration is durable. An instance that is not known any more is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeds: Option<Predecessor>,
}

/// An instance that another one takes the place of.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Predecessor {
    /// Its name.
    pub instance: String,
    /// The secret that it got with its registration, base64url.
    pub secret: String,
}

/// Answer to a registration. The registration is durable when this arrives.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Registered {
    /// The process's name from now on.
    pub instance: String,
    /// What only this process knows, base64url; a forked child must register for itself.
    pub secret: String,
    /// The nonce for the first report of each ring, base64url, by ring.
    pub nonces: BTreeMap<String, String>,
}

/// Body of `POST /v1/instances/{instance}/end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndInstance {
    /// Why, in words.
    pub reason: String,
    /// Only in this ring; in every ring that it registered for when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<String>,
}

/// An instance that counts no more. This is durable when it arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndedInstance {
    /// Its name.
    pub instance: String,
    /// Where it has ended, in order.
    pub rings: Vec<String>,
}

/// Body of `POST /v1/reports`: what an instance holds now, for one or several rings.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// Who reports.
    pub instance: String,
    /// One for each ring, at most 64.
    pub reports: Vec<Report>,
    /// The process is about to end and uses nothing any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goodbye: bool,
}

/// What an instance holds of one ring.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The ring.
    pub ring: String,
    /// Which life of it.
    pub incarnation: String,
    /// The keyset revision that it holds.
    pub revision: u64,
    /// Grows with each report of this ring; starts at 1.
    pub sequence: u64,
    /// The nonce that the proofs and the answer were made with: the one from the last
    /// acknowledgement, or from the registration. When an acknowledgement was lost it is an old
    /// one; the verdict is then `stale`, and carries the right one.
    pub nonce: String,
    /// The digest of the accepted set (docs/reference/proof).
    #[schemars(with = "String")]
    pub accepted_set: AcceptedSetDigest,
    /// A proof for each accepted version, by number. Absent in a renewal, which then says only
    /// that the process lives and counts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<u32, String>")]
    pub proofs: BTreeMap<u32, Proof>,
    /// Protectors: the answer to the challenge with the version they protect with, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// With proofs: how it is known that the consumer uses what is proved: `attested`, `held`,
    /// `exercised` or `probed`. Default `held`: it is the process itself that proves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceLevel>,
    /// What was proved before does not stand any more, and why: at most 300 printable characters.
    /// Not beside proofs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The oldest keyset revision that work in progress still protects with.
    pub oldest_guard: u64,
    /// What it did with each version since its last acknowledged report, by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<u32, Counts>,
    /// How often it refused a kid that it does not know, since its last acknowledged report.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u64,
    /// The most frequent of these kids, 16 at most, each with how often it came at least. A kid of
    /// more than 128 characters, or with others than printable ASCII, is only counted above.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unknown_kids: BTreeMap<String, u64>,
    /// Says that this process had to do with old keys because it could not reach a server, in
    /// milliseconds since its last contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_for_millis: Option<u64>,
    /// A revision that a server offered and this process refused because it holds a newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_revision: Option<u64>,
}

/// Answer to reports.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Acknowledged {
    /// One for each report, in the same order.
    pub rings: Vec<Acknowledgement>,
    /// The head of the audit record, for whoever wants to keep it.
    pub audit_head: String,
}

/// What the server made of one report.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Acknowledgement {
    /// The ring.
    pub ring: String,
    /// `proved`, `renewed` (heard, nothing proved), `stale` (an older revision
    /// or an old nonce, or the server has no proof of yours: load again and prove) or `rejected`
    /// (the proof does not hold, see `why`: say goodbye, and register anew).
    pub verdict: String,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The keyset revision that the server serves.
    pub revision: u64,
    /// Which life of the ring.
    pub incarnation: String,
    /// The nonce for the next report, base64url.
    pub nonce: String,
    /// The number of the ring's newest revocations. Absent when the server does not believe what
    /// its store says of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations: Option<u64>,
}
