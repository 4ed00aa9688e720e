//! Key material on its way to a consumer. Its types have no `Debug`, on purpose.

use keywheel_core::kind::Kind;
use keywheel_jose::DangerDelivery;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/rings/{ring}/material?instance=…`: what this caller's role may hold.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Material {
    /// The ring.
    pub ring: String,
    /// Which life of the ring.
    pub incarnation: String,
    /// The keyset revision; what a client proves to hold.
    pub revision: u64,
    /// Protect with this version. Absent while a restored ring waits for its consumers: go on with
    /// what you had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<u32>,
    /// Process with these.
    pub versions: Vec<VersionMaterial>,
    /// What is protected may live at most this long, in milliseconds.
    pub longest_lifetime_millis: u64,
    /// Stop to protect after this long without contact, in milliseconds.
    pub offline_max_millis: u64,
    /// How far clocks may be apart, in milliseconds.
    pub skew_millis: u64,
    /// Report at least this often, in milliseconds.
    pub lease_ttl_millis: u64,
    /// Refuse every token after this long without knowing what was revoked, in milliseconds; go on
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations_stale_after_millis: Option<u64>,
    /// The number of the ring's newest revocations. Absent when the server does not believe what
    /// its store says of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations: Option<u64>,
    /// For how long yet the primary is younger than the policy's `max_age_at_use`, in milliseconds;
    /// absent when the policy has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_for_millis: Option<u64>,
    /// Whether what is issued is to be reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ledger: bool,
    /// Whether the host cache may keep this (sealed) for cold starts.
    pub cacheable: bool,
}

/// One version as this caller may hold it.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct VersionMaterial {
    /// Its number.
    pub number: u32,
    /// Its key id.
    pub kid: String,
    /// What kind of key it is.
    #[schemars(with = "serde_json::Value")]
    pub kind: Kind,
    /// The proof salt, base64url.
    pub salt: String,
    /// The key, or its public half.
    #[schemars(with = "DeliverySchema")]
    pub delivery: DangerDelivery,
}

/// A key as it travels.
#[derive(Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub struct DeliverySchema {
    /// `text`, `base64url`, `pkcs8-pem` or `spki-pem`.
    pub format: String,
    /// The key.
    pub value: String,
}
