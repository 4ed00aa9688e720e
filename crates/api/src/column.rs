//! Columns of databases that hold values under a ring's keys, and how far each has moved to another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ring::GateStatus;

/// Body of `PUT /v1/rings/{ring}/columns/{column}`: what the column's worker counted.
///
/// A verified zero counts only when the worker had read the ring after the version's last switch, and
/// after the last report that found rows; so it reads the ring, then scans, then reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnReport {
    /// Which version must not be needed any more.
    pub version: u32,
    /// The ring's `incarnation`, as it was read before the scan began.
    pub incarnation: String,
    /// The ring's `revision`, as it was read before the scan began.
    pub seen: u64,
    /// How many rows only this version opens.
    pub left: u64,
    /// How many rows were moved away from it so far.
    pub moved: u64,
    /// How many rows no key opens.
    pub quarantined: u64,
    /// How many rows the column has.
    pub rows: u64,
    /// Whether every row was looked at, after every transaction had ended that was open at the last
    /// switch.
    pub verified: bool,
}

/// Answer of `GET /v1/rings/{ring}/columns`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RingColumns {
    /// The ring.
    pub ring: String,
    /// Which life of the ring this is.
    pub incarnation: String,
    /// The revision, for `seen` of a scan that begins after this was read.
    pub revision: u64,
    /// The version to move rows to; absent while a restored ring waits for its consumers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<u32>,
    /// The versions to move rows away from.
    pub retiring: Vec<RetiringVersion>,
    /// The declared columns, in order of name.
    pub columns: Vec<ColumnStatus>,
}

/// A version that retires when no column needs it any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetiringVersion {
    /// Its number.
    pub version: u32,
    /// The revision that brought its last switch: a zero that was seen before does not count. Absent
    /// while somebody may still protect with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched: Option<u64>,
    /// How the gate `reencryption` stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateStatus>,
}

/// A declared column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ColumnStatus {
    /// Its name.
    pub name: String,
    /// The table, as SQL writes it.
    pub table: String,
    /// The column of that table.
    pub column: String,
    /// `pgp`, `pgp-armored`, `fernet`, `keywheel` or `raw`.
    pub format: String,
    /// The consumer that moves its rows.
    pub worker: String,
    /// The newest report about each version, in order of version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<ReportedColumn>,
}

/// What was reported of a column and a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedColumn {
    /// The version.
    pub version: u32,
    /// How many rows only this version opens.
    pub left: u64,
    /// How many rows were moved away from it.
    pub moved: u64,
    /// How many rows no key opens.
    pub quarantined: u64,
    /// How many rows the column has.
    pub rows: u64,
    /// Whether every row was looked at.
    pub verified: bool,
    /// The revision that the worker had read before.
    pub seen: u64,
    /// Whether the gate believes that nothing needs the version.
    pub counts: bool,
    /// Who reported it.
    pub by: String,
    /// When, RFC 3339.
    pub at: String,
}
