//! The gate `reencryption` of a ring that declares columns: whether any of them still needs a replaced
//! key. What a column holds, its worker counts; here stands only which count is believed.

use serde::{Deserialize, Serialize};

use super::{EvidenceLevel, Gate, REENCRYPTION, Scene};
use crate::id::{ColumnName, Revision, VersionNumber};
use crate::ring::Version;
use crate::time::Now;

/// What the worker of a column counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnReport {
    /// Which version must not be needed any more.
    pub version: VersionNumber,
    /// The revision of the ring that the worker had read before its scan began.
    pub seen: Revision,
    /// How many rows only this version opens.
    pub left: u64,
    /// How many rows were moved away from it.
    pub moved: u64,
    /// How many rows no key opens.
    pub quarantined: u64,
    /// How many rows the column has.
    pub rows: u64,
    /// Whether every row was looked at, after every transaction had ended that was open when the
    /// writers had switched.
    pub verified: bool,
}

impl ColumnReport {
    /// Whether some row still needs the version, or nobody knows what it needs.
    pub const fn found(&self) -> bool {
        self.left > 0 || self.quarantined > 0
    }

    /// Whether it says that nothing needs the version.
    pub const fn is_zero(&self) -> bool {
        self.verified && !self.found()
    }
}

/// The newest report about a column and a version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnRecord {
    /// Which column.
    pub column: ColumnName,
    /// What was counted.
    pub report: ColumnReport,
    /// Who reported it.
    pub by: String,
    /// When.
    pub at: Now,
    /// The revision that has the last report which found rows. A zero that was counted without
    /// knowing of it says nothing.
    pub found_in: Option<Revision>,
}

impl ColumnRecord {
    /// Whether it opens the gate of its version.
    pub fn counts(&self, version: &Version) -> bool {
        self.report.is_zero() && version.switched.is_some_and(|at| self.report.seen >= at)
    }

    fn why(&self, version: &Version) -> String {
        let ColumnReport { left, moved, seen, verified, .. } = self.report;
        let moved = format!("{left} {} left, {moved} moved", rows(left));
        match version.switched {
            Some(at) if left == 0 && verified && seen < at => {
                format!("counted at {seen}, before the last switch at {at}")
            }
            _ if left == 0 && !verified => format!("{moved}, not verified"),
            _ => moved,
        }
    }
}

const fn rows(count: u64) -> &'static str {
    if count == 1 { "row" } else { "rows" }
}

/// How many columns a gate names.
const NAMED_MAX: usize = 8;

impl Scene<'_> {
    pub(super) fn columns(&self, number: VersionNumber, version: &Version) -> Gate {
        let (mut quarantined, mut closed) = (Vec::new(), Vec::new());
        for name in self.ring.policy.columns.keys() {
            let mut records = self.ring.columns.iter();
            let record = records.find(|one| one.column == *name && one.report.version == number);
            match record {
                Some(record) if record.counts(version) => {}
                Some(record) if record.report.quarantined > 0 => {
                    let count = record.report.quarantined;
                    quarantined.push(format!("{name} ({count} {})", rows(count)));
                }
                Some(record) => closed.push(format!("{name} ({})", record.why(version))),
                None => closed.push(format!("{name} (no report)")),
            }
        }
        if !quarantined.is_empty() {
            let named = named(quarantined);
            return Gate::failed(REENCRYPTION, format!("no key opens rows of {named}"));
        }
        if closed.is_empty() {
            return Gate::open(REENCRYPTION, EvidenceLevel::Probed);
        }
        Gate::waiting(REENCRYPTION, format!("a verified zero of {}", named(closed)))
    }
}

fn named(mut columns: Vec<String>) -> String {
    let more = columns.len().saturating_sub(NAMED_MAX);
    columns.truncate(NAMED_MAX);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{rest}", columns.join(", "))
}
