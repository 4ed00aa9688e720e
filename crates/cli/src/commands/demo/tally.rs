//! What a worker has done so far. Workers write it as one JSON line on standard output several
//! times a second; the director adds the newest of each up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many failures one tally describes in words; all of them are counted.
pub(super) const DESCRIBED_MAX: usize = 3;

/// What one worker has done since it began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tally {
    /// Requests that were answered, either way.
    pub(super) requests: u64,
    /// Requests that nobody has answered yet.
    pub(super) waiting: u64,
    /// Requests that had expired when a stopped process woke up, and were signed and sent again.
    pub(super) sent_again: u64,
    /// Accepted requests that were checked once more at the end of their life.
    pub(super) rechecked: u64,
    /// What failed.
    pub(super) failures: Failures,
    /// The version that new requests are signed with.
    pub(super) signs_with: Option<u32>,
    /// How many requests were signed with each version.
    pub(super) signed: BTreeMap<u32, u64>,
    /// How many signatures were accepted of each version, later checks included.
    pub(super) accepted: BTreeMap<u32, u64>,
    /// The newest failures in words, since the last tally.
    pub(super) described: Vec<String>,
    /// Whether nothing is under way.
    pub(super) idle: bool,
}

/// What failed, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failures {
    /// Requests whose signature was refused.
    pub(super) refused: u64,
    /// Requests that were accepted once, and refused later although they had not expired.
    pub(super) refused_later: u64,
    /// Requests that were never answered.
    pub(super) unanswered: u64,
    /// Requests that could not be signed.
    pub(super) unsigned: u64,
}

impl Failures {
    /// All of them.
    pub(super) const fn all(self) -> u64 {
        self.refused + self.refused_later + self.unanswered + self.unsigned
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            refused: self.refused + other.refused,
            refused_later: self.refused_later + other.refused_later,
            unanswered: self.unanswered + other.unanswered,
            unsigned: self.unsigned + other.unsigned,
        }
    }
}

impl Tally {
    /// The sum of several workers.
    pub(super) fn sum<'a>(tallies: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut all = Self { idle: true, ..Self::default() };
        for one in tallies {
            all.requests += one.requests;
            all.waiting += one.waiting;
            all.sent_again += one.sent_again;
            all.rechecked += one.rechecked;
            all.failures = all.failures.plus(one.failures);
            for (version, count) in &one.signed {
                *all.signed.entry(*version).or_default() += count;
            }
            for (version, count) in &one.accepted {
                *all.accepted.entry(*version).or_default() += count;
            }
            all.idle &= one.idle;
        }
        all
    }

    /// How many signatures of a version were accepted.
    pub(super) fn accepted_of(&self, version: u32) -> u64 {
        self.accepted.get(&version).copied().unwrap_or(0)
    }

    /// How many requests were signed with a version.
    pub(super) fn signed_with(&self, version: u32) -> u64 {
        self.signed.get(&version).copied().unwrap_or(0)
    }
}
