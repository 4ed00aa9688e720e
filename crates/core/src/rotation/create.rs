//! The first document of a ring.

use std::collections::BTreeMap;

use super::{Effect, Minted, Notice, Step};
use crate::id::{Incarnation, Revision, RingName, VersionNumber};
use crate::policy::Policy;
use crate::ring::{Ring, State, Version};
use crate::time::Now;

/// Creates a ring whose first version is primary at once: no process can hold anything else yet. An
/// imported key is what every process uses already, so adopting keywheel invalidates nothing.
pub fn create(
    name: RingName,
    incarnation: Incarnation,
    policy: Policy,
    first: Minted,
    now: Now,
) -> Step {
    let number = VersionNumber(1);
    let revision = Revision(1);
    let version = Version {
        kid: first.kid,
        kind: first.kind,
        fingerprint: first.fingerprint,
        origin: first.origin,
        created: now,
        state: State::Primary { since: now, predecessor: None, convergence: String::new() },
        revision,
        accepted_since: Some(revision),
        protected_since: Some(now),
        promises: policy.promises(),
        recovery_tested: first.recovery_tested,
        stalled: None,
        switched: None,
    };
    let ring = Ring {
        name,
        incarnation,
        revision,
        keyset_revision: revision,
        created: now,
        policy,
        versions: BTreeMap::from([(number, version)]),
        path: None,
        wanted: None,
        paused: None,
        waivers: Vec::new(),
        evidence: Vec::new(),
        columns: Vec::new(),
        bent: Vec::new(),
        silence_pin: None,
        overdue_reported: None,
        deleted: None,
    };
    let effects = vec![Effect::Notify { notice: Notice::Created { version: number } }];
    Step { ring, effects }
}
