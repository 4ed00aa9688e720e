//! Rings, their versions, stages and gates, and what operators ask of them.

use std::collections::BTreeMap;

use keywheel_core::policy::Spec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::column::ColumnStatus;

/// Every ring that the caller may see. Answer of `GET /v1/rings`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rings {
    /// In order of name.
    pub rings: Vec<RingStatus>,
    /// Rings that the server refuses to believe, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedRing>,
    /// The name to continue after, when there are more: `?after=…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A ring whose stored form was changed, torn or set back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedRing {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// How a ring stands. Answer of `GET /v1/rings/{ring}` and of every verb.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RingStatus {
    /// Its name.
    pub name: String,
    /// `secret`, `signing`, `encryption` or `external`.
    pub kind: String,
    /// Which life of the ring this is.
    pub incarnation: String,
    /// How often the ring document was replaced; the value for `If-Match`.
    pub revision: u64,
    /// The revision at which what consumers hold last changed.
    pub keyset_revision: u64,
    /// `rest`, or the stage of the forward path: `stage`, `publish`, `confirm`, `promote`.
    pub stage: String,
    /// The rotation in progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathStatus>,
    /// The primary version's number; absent while a restored ring waits for its consumers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<u32>,
    /// Every version.
    pub versions: Vec<VersionStatus>,
    /// The gates that stand before the forward path and before each tail.
    pub gates: Vec<StageGates>,
    /// The consumers and their instances.
    pub consumers: Vec<ConsumerStatus>,
    /// When the schedule asks for the next rotation, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation: Option<String>,
    /// Whether that moment has passed.
    pub overdue: bool,
    /// Since when an operator holds it still, by whom and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Mark>,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<String>,
    /// How much is revoked. Absent when the server does not believe what it stored about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations: Option<RevocationCount>,
    /// The declared columns, and what their workers reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnStatus>,
    /// Every time a law was bent, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bent: Vec<BentLaw>,
    /// The policy as it was declared.
    pub policy: Spec,
}

/// How much of a ring is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevocationCount {
    /// How many revocations the server keeps; those that have expired leave within the hour.
    pub kept: u64,
    /// The number of the newest ones, as clients follow it; 0 when nothing was ever revoked.
    pub newest: u64,
}

/// A rotation in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathStatus {
    /// The version that is to become primary, or just did.
    pub version: u32,
    /// `forward`, `back`, `emergency` or `restore`.
    pub direction: String,
    /// Why it began, in words.
    pub cause: String,
    /// When the present stage began, RFC 3339.
    pub since: String,
    /// Whether the stage outlived `stall_after`.
    pub stalled: bool,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Mark>,
}

/// One version of a ring; never its material.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionStatus {
    /// Its number.
    pub number: u32,
    /// Its key id.
    pub kid: String,
    /// `staged`, `published`, `primary`, `retiring`, `retired`, `suspended`, `compromised` or
    /// `destroyed`.
    pub state: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// Its algorithm or form, in words.
    pub algorithm: String,
    /// A keyed fingerprint of the material, safe to show.
    pub fingerprint: String,
    /// `generated` or `imported`.
    pub origin: String,
    /// Why it should be replaced soon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weaknesses: Vec<String>,
    /// For a compromised version: what each consumer did with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposure: Vec<ExposureStatus>,
}

/// What one consumer did with a compromised version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExposureStatus {
    /// The consumer; or `server` and a server's name, for what that server accepted by itself.
    pub consumer: String,
    /// When one of its instances last accepted the version, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_accepted: Option<String>,
    /// When all of its instances had shown that they refuse it, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_since: Option<String>,
}

/// The gates before one stage of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageGates {
    /// The version.
    pub version: u32,
    /// `stage`, `publish`, `confirm`, `promote`, `drain`, `retire` or `destroy`.
    pub stage: String,
    /// Its gates.
    pub gates: Vec<GateStatus>,
}

/// How one gate stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateStatus {
    /// Its name.
    pub name: String,
    /// `open`, `waiting`, `failed` or `waived`.
    pub status: String,
    /// Open: how this is known: `probed`, `exercised`, `held`, `attested` or `assumed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Waiting: what for. Failed: why. Waived: by whom and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Waiting: how long until time alone opens it. Waived: how long the waiver lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<String>,
    /// Who is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Laggard>,
    /// Gate `findings`, failed: the first places in code that would break, each with its scan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
}

/// An instance that a gate waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Laggard {
    /// Its consumer.
    pub consumer: String,
    /// Its name; absent when an instance that should exist does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Its process, as it introduced itself: `host/pid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// `live`, `lost` or `gone`.
    pub standing: String,
    /// How long it has been silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_for: Option<String>,
    /// What is missing.
    pub why: String,
}

/// A consumer and its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConsumerStatus {
    /// Its name.
    pub name: String,
    /// `protect` or `process`, as declared.
    pub role: String,
    /// How many live instances it must have.
    pub min_instances: usize,
    /// How many are live.
    pub live: usize,
    /// How many are lost.
    pub lost: usize,
    /// Those that are not gone.
    pub instances: Vec<InstanceStatus>,
}

/// One process of a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstanceStatus {
    /// Its name.
    pub id: String,
    /// As it introduced itself: `host/pid`.
    pub process: String,
    /// `live` or `lost`.
    pub standing: String,
    /// How long it has been silent.
    pub silent_for: String,
    /// Whether it counts however long it is silent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub endures: bool,
    /// The keyset revision that it proved to hold; absent while it is in trouble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<u64>,
    /// How that is known: `probed`, `exercised`, `held` or `attested`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Why what it proved before does not stand any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// What it did with each version, by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<u32, Counts>,
    /// When it last said that it had accepted something of each version, RFC 3339, by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub last_accepted: BTreeMap<u32, String>,
    /// How often it refused a kid that no version of the ring ever had.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u64,
}

/// What an instance did with one version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// How often it protected with it.
    #[serde(default)]
    pub protected: u64,
    /// How often it verified, decrypted or accepted.
    #[serde(default)]
    pub processed: u64,
    /// How often it refused although it knew the version.
    #[serde(default)]
    pub rejected: u64,
    /// How often it refused because it did not know the version's kid.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
pub(crate) const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A law that was bent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BentLaw {
    /// `accept_before_use`, `stop_use_before_acceptance` or `destroy_last`.
    pub law: String,
    /// For which version.
    pub version: u32,
    /// By which declared exception: `compromise`, `suspend`, `waiver`, `cutover`,
    /// `removed_consumer`, `ended_instance` or `restore`.
    pub exception: String,
    /// Who and why.
    pub by: Mark,
}

/// Who did something, why and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// The caller, as its token is named.
    pub who: String,
    /// The reason given.
    pub reason: String,
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

/// Body of `PUT /v1/rings/{ring}`: creates a ring, or changes its policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutRing {
    /// The policy.
    pub policy: Spec,
    /// The key that a team already uses, to be taken over as the first primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<Import>,
    /// Answers for removing a consumer that still has instances; needs the right `breakglass`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removing_because: Option<String>,
}

/// Existing key material. It travels towards the server only.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// `raw`, `text`, `hex`, `base64`, `base64url`, `pem` or `jwk`.
    pub format: String,
    /// The bytes of the file or value, in base64url without padding, whatever the format.
    pub value: String,
}

impl std::fmt::Debug for Import {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import").field("format", &self.format).finish_non_exhaustive()
    }
}

/// Body of the operator verbs and of the verbs on one version. Every field is optional but where
/// the verb says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verb {
    /// Why, in words. Required for `suspend`, `compromise` and `waive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `compromise`: `reject_first` or `switch_first`; the policy's choice when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// `rotate` of a ring of kind `external`: the new key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<Import>,
    /// `rotate`: when it is done, everything that the versions before the new one protected is
    /// revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoke_active: bool,
    /// `rotate`: when it is done, what the ledger says was issued before is revoked, one by one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoke_issued: bool,
    /// `delete`: says that what the ring protected may become unreadable. Needed for an encryption
    /// ring, and while a lost instance or a passive consumer may still accept it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lose_data: bool,
}

/// Body of `POST /v1/rings/{ring}/gates/{gate}/waive`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waive {
    /// Why, in words.
    pub reason: String,
    /// For how long, for example `10m`. At most `24h`, for one finding at most `90d`.
    pub lasts: String,
    /// Only for this instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Gate `findings`: only this finding, by its id; over new reports and over rotations, and for
    /// at most `90d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// The code base whose finding it is, should several have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<String>,
    /// For which version; the one that stands before the gate when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// Body of `PUT /v1/rings/{ring}/gates/{gate}`: evidence from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// `pass` or `fail`.
    pub verdict: String,
    /// Why it failed. Required with `fail`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How this is known: `probed`, `exercised`, `held`, `attested` (default) or `assumed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// About which version; the rotation in progress when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// Body of `POST /v1/rings/{ring}/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// The event's name, one of the policy's `on_event`.
    pub name: String,
}

/// Answer of `GET /v1/rings/{ring}/plan`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// When the ring would begin by itself, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<String>,
    /// Why it would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The stages in order.
    pub stages: Vec<PlannedStage>,
    /// What is not safe, or not known, and why.
    pub warnings: Vec<String>,
}

/// One stage of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStage {
    /// Its name.
    pub stage: String,
    /// The least time after the begin at which it can be left.
    pub earliest_end: String,
    /// What it waits for.
    pub waits_for: Vec<String>,
    /// Consumers that are switched in this stage although they could not accept before, and what
    /// that costs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cutover: Vec<String>,
    /// What would break if it were skipped.
    pub unsafe_if_skipped: String,
}
