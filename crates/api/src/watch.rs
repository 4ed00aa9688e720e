//! The change feed: hints that something changed. Truth is what a client then reads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One event of `GET /v1/watch` (server-sent events, event name `change`), and one entry of its
/// long poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The cursor for `?since=…`.
    pub seq: u64,
    /// The ring that changed.
    pub ring: String,
    /// Its keyset revision; a client that holds it has nothing to do.
    pub revision: u64,
    /// Its incarnation.
    pub incarnation: String,
    /// The number of its newest revocations; a client that has come to it has nothing to fetch.
    /// Absent when the server does not believe what its store says of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations: Option<u64>,
}

/// Answer of `GET /v1/watch?since=…&wait=30s`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changes {
    /// Oldest first; empty when the wait was over.
    pub changes: Vec<Change>,
    /// The cursor for the next call.
    pub seq: u64,
}
