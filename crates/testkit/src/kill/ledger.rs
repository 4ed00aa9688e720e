//! What was seen of each ring from outside, and whether it can all be true: no version is lost or
//! doubled or goes backwards, and no clock does.

use std::collections::{BTreeMap, BTreeSet};

use keywheel_api::ring::{RingStatus, VersionStatus};

/// What a version is; it never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    kid: String,
    fingerprint: String,
    created: String,
}

/// The last that was seen of one version.
#[derive(Clone, Debug)]
struct Seen {
    identity: Identity,
    state: String,
}

/// The last that was seen of one ring.
#[derive(Clone, Debug, Default)]
struct RingSeen {
    incarnation: Option<String>,
    revision: u64,
    keyset_revision: u64,
    versions: BTreeMap<u32, Seen>,
}

/// Everything that was seen, and what of it cannot be.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    rings: BTreeMap<String, RingSeen>,
    clock: f64,
    /// How often something was looked at.
    pub looks: u64,
    /// What cannot be.
    pub faults: BTreeSet<String>,
}

/// The way of a version whose rotation nobody takes back.
const WAY: [&str; 6] = ["staged", "published", "primary", "retiring", "retired", "destroyed"];

impl Ledger {
    /// Takes note that another server begins. What the clock had gained since it was last recorded
    /// is lost, which retires nothing early; so it is compared within one life only.
    pub fn another_life(&mut self) {
        self.clock = 0.0;
    }

    /// Takes note of how a ring stands.
    pub fn ring(&mut self, status: &RingStatus) {
        self.looks += 1;
        let name = &status.name;
        let seen = self.rings.entry(name.clone()).or_default();
        let mut faults = Vec::new();
        let incarnation = seen.incarnation.get_or_insert_with(|| status.incarnation.clone());
        if *incarnation != status.incarnation {
            faults.push(format!("{name} began another life"));
        }
        if status.revision < seen.revision || status.keyset_revision < seen.keyset_revision {
            faults.push(format!(
                "{name} went back from revision {}/{} to {}/{}",
                seen.revision, seen.keyset_revision, status.revision, status.keyset_revision
            ));
        }
        seen.revision = status.revision;
        seen.keyset_revision = status.keyset_revision;
        for (expected, version) in (1_u32..).zip(&status.versions) {
            if version.number != expected {
                faults.push(format!("{name} has v{} where v{expected} belongs", version.number));
            }
        }
        let primaries = status.versions.iter().filter(|version| version.state == "primary");
        if primaries.count() != 1 {
            faults.push(format!("{name} has not exactly one primary"));
        }
        for number in seen.versions.keys() {
            if !status.versions.iter().any(|version| version.number == *number) {
                faults.push(format!("v{number} of {name} is lost"));
            }
        }
        faults.extend(status.versions.iter().filter_map(|version| seen.version(name, version)));
        self.faults.extend(faults);
        self.faults.extend(self.doubled());
    }

    /// Takes note of the cluster clock.
    pub fn clock(&mut self, seconds: f64) {
        if seconds < self.clock {
            self.faults.insert(format!("the clock went from {} to {seconds}", self.clock));
        }
        self.clock = seconds;
    }

    /// How many versions a ring was seen to have.
    pub fn versions(&self, ring: &str) -> u64 {
        self.rings.get(ring).map_or(0, |ring| ring.versions.len() as u64)
    }

    /// The kid of a version.
    pub fn kid(&self, ring: &str, number: u32) -> Option<&str> {
        Some(&self.rings.get(ring)?.versions.get(&number)?.identity.kid)
    }

    /// Kids and fingerprints that two versions share.
    fn doubled(&self) -> Vec<String> {
        let mut marks = BTreeSet::new();
        let all = self.rings.values().flat_map(|ring| ring.versions.values());
        let marks_of = all.flat_map(|seen| [&seen.identity.kid, &seen.identity.fingerprint]);
        marks_of
            .filter(|mark| !marks.insert(*mark))
            .map(|mark| format!("{mark} is double"))
            .collect()
    }
}

impl RingSeen {
    /// Takes note of a version, and says what cannot be.
    fn version(&mut self, ring: &str, version: &VersionStatus) -> Option<String> {
        let identity = Identity {
            kid: version.kid.clone(),
            fingerprint: version.fingerprint.clone(),
            created: version.created.clone(),
        };
        let now = Seen { identity, state: version.state.clone() };
        let before = self.versions.insert(version.number, now.clone())?;
        if before.identity != now.identity {
            return Some(format!("v{} of {ring} became another key", version.number));
        }
        if place(&now.state) < place(&before.state) {
            let (before, now) = (before.state, now.state);
            return Some(format!("v{} of {ring} went back from {before} to {now}", version.number));
        }
        None
    }
}

/// How far a state is on the way; a state that is not on it stands before everything.
fn place(state: &str) -> Option<usize> {
    WAY.iter().position(|known| *known == state)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn version(number: u32, kid: &str, state: &str) -> serde_json::Value {
        json!({
            "number": number, "kid": kid, "state": state, "since": "t", "created": "t",
            "algorithm": "EdDSA", "fingerprint": format!("print-{kid}"), "origin": "generated",
        })
    }

    fn ring(revision: u64, versions: &[serde_json::Value]) -> RingStatus {
        let status = json!({
            "name": "r", "kind": "signing", "incarnation": "i", "revision": revision,
            "keyset_revision": 1, "stage": "rest", "versions": versions, "gates": [],
            "consumers": [], "overdue": false,
            "policy": { "kind": "signing", "longest_lifetime": "1s" },
        });
        serde_json::from_value(status).unwrap()
    }

    fn faults(before: &RingStatus, after: &RingStatus) -> Vec<String> {
        let mut ledger = Ledger::default();
        ledger.ring(before);
        assert_eq!(ledger.faults, BTreeSet::new());
        ledger.ring(after);
        ledger.faults.into_iter().collect()
    }

    #[test]
    fn a_rotation_is_no_fault() {
        let before = ring(1, &[version(1, "a", "primary")]);
        let after = ring(2, &[version(1, "a", "retiring"), version(2, "b", "primary")]);
        assert!(faults(&before, &after).is_empty());
    }

    #[test]
    fn what_cannot_be_is_noticed() {
        let two = [version(1, "a", "retiring"), version(2, "b", "primary")];
        let before = ring(2, &two);
        let [one, other] = two;
        for (after, fault) in [
            (ring(3, &[version(1, "a", "primary")]), "v2 of r is lost"),
            (ring(3, &[one.clone(), version(2, "c", "primary")]), "v2 of r became another key"),
            (ring(3, &[version(1, "a", "published"), other.clone()]), "v1 of r went back"),
            (ring(3, &[one.clone(), other.clone(), version(4, "d", "staged")]), "v3 belongs"),
            (ring(3, &[one.clone(), other.clone(), version(3, "a", "staged")]), "a is double"),
            (ring(1, &[one.clone(), other]), "from revision 2/1 to 1/1"),
            (ring(3, &[one, version(2, "b", "retiring")]), "not exactly one primary"),
        ] {
            let found = faults(&before, &after);
            assert!(found.iter().any(|found| found.contains(fault)), "{fault}: {found:?}");
        }
    }

    #[test]
    fn a_clock_that_goes_back_is_noticed() {
        let mut ledger = Ledger::default();
        for seconds in [1.0, 1.0, 2.5] {
            ledger.clock(seconds);
        }
        assert!(ledger.faults.is_empty());
        ledger.clock(2.0);
        assert_eq!(ledger.faults.len(), 1);
        ledger.another_life();
        ledger.clock(1.5);
        assert_eq!(ledger.faults.len(), 1);
    }
}
