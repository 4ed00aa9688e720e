//! The hash-chained record of who did what.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/audit?after=…&limit=…`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// Oldest first.
    pub entries: Vec<AuditEntry>,
    /// Whether the chain from the first of these to the last holds.
    pub verified: bool,
    /// The hash of the newest entry of all.
    pub head: String,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Its number, from 1, without gaps.
    pub number: u64,
    /// When, RFC 3339.
    pub at: String,
    /// Who: the name of a token, or `keywheel`.
    pub actor: String,
    /// The ring, where one was concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<String>,
    /// What was done.
    pub action: String,
    /// The particulars.
    pub detail: serde_json::Value,
    /// The hash of the entry before.
    pub previous: String,
    /// The hash of this entry, which covers all of the above.
    pub hash: String,
}
