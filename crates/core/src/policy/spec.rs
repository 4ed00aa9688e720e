//! A ring as people write it, in `keywheel.toml` and in the API. Every field is documented with its
//! unit and default; the configuration schema is generated from here.

use serde::{Deserialize, Serialize};

use super::{ColumnFormat, OnStall, Role};
use crate::gate::EvidenceLevel;

/// A ring as it is declared.
///
/// Times are text: a whole number and a unit (`ms`, `s`, `m`, `h`, `d`, `w`), or a sum (`1h30m`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// `secret`, `signing`, `encryption` or `external`.
    pub kind: String,
    /// Signing: `EdDSA` (default), `ES256`, `ES384`, `ES512`, `RS256`, `RS384`, `RS512`, `PS256`,
    /// `PS384`, `PS512`, `HS256`, `HS384`, `HS512`. Encryption: `AES-256-GCM` (default),
    /// `ChaCha20-Poly1305`, `Fernet`, `passphrase`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// The modulus of RSA keys: 2048, 3072 (default) or 4096.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsa_bits: Option<u16>,
    /// Secrets: how many random bytes are drawn, 16 to 1024. Default 48.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_bytes: Option<u16>,
    /// Secrets: `base64url` (default), `hex`, or `raw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// Secrets: the characters to draw from, instead of an encoding. With it, `length_bytes` counts
    /// characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alphabet: Option<String>,

    /// Rotates this long after the last promotion. Default: never by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_every: Option<String>,
    /// Rotates when a cron expression says so: minute, hour, day of month, month, day of week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// The time zone of `cron` and `quiet_hours`, an IANA name. Default `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Rotates when the primary is used at a greater age than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_at_use: Option<String>,
    /// Rotates when the primary has protected this many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_uses: Option<u64>,
    /// Rotates when the application reports one of these events, for example `login`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_event: Vec<String>,
    /// Spreads scheduled rotations by up to this much. Default `0s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<String>,
    /// No scheduled rotation starts in this part of the day, written `22:00-06:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<String>,

    /// What the ring protects lives at most this long: the `exp` of tokens, the age of cookies.
    pub longest_lifetime: String,
    /// How far the clocks of consumers may be apart. Default `60s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew: Option<String>,
    /// Keeps a replaced version accepted for this much longer. Default `0s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    /// Retires a version only this long after its last use was seen. Default: the skew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_use: Option<String>,
    /// Checks your own idea of when a version is retired: refused when shorter than what it
    /// protects may live. Default: computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire_after: Option<String>,
    /// How many versions are accepted at once, the primary among them, 2 to 64. Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_accepted: Option<usize>,
    /// Reports a stage that takes longer. Default `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_after: Option<String>,
    /// What a stalled stage does: `hold` (default) or `rollback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_stall: Option<OnStall>,
    /// An instance is lost when it has not reported for this long. Default `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ttl: Option<String>,
    /// A client that has had no contact for this long refuses to protect. Default `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline_max: Option<String>,
    /// Destroys a retired version after this time. Default `30d`; `never` for encryption rings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destroy_after: Option<String>,
    /// A compromised primary is refused at once (`reject_first`) or after its protectors have
    /// switched (`switch_first`, default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_compromise: Option<String>,
    /// With `switch_first`, the longest time a compromised version stays accepted. Default `60s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch_within: Option<String>,
    /// Whether a person must approve each promotion. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
    /// Gates of your own that must have passed before promotion, for example `probes`; and
    /// `findings`, which `keywheel scan --report` answers: no place is known that would break.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<String>,
    /// Where `require` names `findings`, a scan that is older than this must be reported again.
    /// `never` when its age does not matter. Default `30d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings_max_age: Option<String>,
    /// After a promotion, more rejections than this share are a failure, 0 to 100 percent.
    /// Default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rejected_percent: Option<u8>,
    /// A client that has not known for this long what was revoked refuses every token. At least
    /// `lease_ttl`. Default: it goes on with what it knows, and reports how old that is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations_stale_after: Option<String>,
    /// Keeps the `jti` of every token that is reported as issued until it expires, so that all of
    /// them can be revoked one by one. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ledger: bool,
    /// Consumers that cannot report, such as a verifier that fetches the JWK set: a profile
    /// (`pyjwkclient`, `envoy`, …), or a name with the time to learn of a key, `name=5m`, and where
    /// it differs the time to forget one, `name=5m/1h`. A name that is neither is given 20 minutes
    /// and 24 hours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passive: Vec<String>,
    /// Consumers that report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumer: Vec<ConsumerSpec>,
    /// Encryption: the columns of databases that hold values under the ring's keys. A replaced key
    /// retires only when none of them needs it any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub column: Vec<ColumnSpec>,
}

/// A declared service that uses a ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConsumerSpec {
    /// Its name, as its token and its instances call it.
    pub name: String,
    /// `protect` or `process`.
    pub role: Role,
    /// Gates stay closed while fewer instances are live. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_instances: Option<usize>,
    /// How many instances there can be; only to check `min_instances`. Default 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_instances: Option<usize>,
    /// It can hold a single value (an environment variable, nginx `set $secret`). Needs `cutover`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub one_slot: bool,
    /// Declares that a one-slot consumer is switched at promotion, and that it may refuse or make
    /// wrong what is in flight while it reloads.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cutover: bool,
    /// How strongly each instance must have been shown to hold a version before it counts:
    /// `attested` (default), `held`, `exercised` or `probed`. A process that links the client
    /// library reaches `held`; more is what an agent finds out by trying the real path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_evidence: Option<EvidenceLevel>,
}

/// A column of a database whose values are moved from key to key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// What reports and gates call it. Default: the table and the column, `orders.card`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The table, as SQL writes it, with its schema where it needs one.
    pub table: String,
    /// The column of that table.
    pub column: String,
    /// How a value is written: `pgp` (default), `pgp-armored`, `fernet`, `keywheel` or `raw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<ColumnFormat>,
    /// Which consumer of the ring moves its rows and reports how far it is.
    pub worker: String,
}
