//! What was revoked before its time, and what was issued. Moments are whole seconds since
//! 1970-01-01T00:00:00Z, as in the tokens themselves.

use keywheel_core::revocation::Revocation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Body of `POST /v1/revocations`. What is revoked stays revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The ring whose tokens are meant.
    pub ring: String,
    /// What is revoked, at most 10000. A consumer that protects may name tokens and subjects.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoke: Vec<Revocation>,
    /// Everything that was issued until now, the whole present second included.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub active: bool,
    /// Everything that the ledger says was issued, token by token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub issued: bool,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What was revoked. This is durable when it arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevokedTokens {
    /// The ring.
    pub ring: String,
    /// The number that whoever knows of this has come to; see `since` and the change feed.
    pub number: u64,
    /// How many revocations were written down; what had expired already was not.
    pub count: u64,
}

/// Answer of `GET /v1/revocations?ring=…&since=…`: a part of the log. Followed from 0 it is the
/// whole set; followed from where one has come to it is the news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revocations {
    /// The ring.
    pub ring: String,
    /// Which life of it; in another one, begin from 0.
    pub incarnation: String,
    /// Some of it may have been told before. A part may be empty before the end.
    pub revocations: Vec<Revocation>,
    /// `since` of the next call.
    pub next: u64,
    /// The newest number; when `next` has come to it, that was all.
    pub newest: u64,
}

/// Body of `POST /v1/rings/{ring}/issued`, for a ring with `ledger = true`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportIssued {
    /// At most 4096.
    pub issued: Vec<IssuedToken>,
}

/// A token that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuedToken {
    /// Its `jti`.
    pub jti: String,
    /// Its `exp`.
    pub expires: i64,
    /// The `kid` of the version that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

/// What was written down. This is durable when it arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedIssued {
    /// The ring.
    pub ring: String,
    /// How many tokens.
    pub count: u64,
}
