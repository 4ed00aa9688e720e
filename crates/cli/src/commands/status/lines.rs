//! `status --watch` without a terminal: one line for a ring whenever how it stands has changed.

use std::collections::BTreeMap;

use keywheel_core::id::RingName;
use keywheel_core::time::Span;

use super::{now, read};
use crate::failure::Outcome;
use crate::follow::Follower;
use crate::invocation::Invocation;
use crate::remote::Remote;
use crate::show;

/// How often is looked although nothing was heard: time alone moves gates and standings.
const LOOK_EVERY: Span = Span::from_secs(5);

pub(super) fn run(invocation: &Invocation, remote: &Remote, ring: Option<&RingName>) -> Outcome {
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    let mut follower = Follower::join(remote)?;
    loop {
        for ring in read(remote, ring)? {
            let line = show::ring::line(&ring);
            if told.get(&ring.name) == Some(&line) {
                continue;
            }
            if invocation.console.json() {
                let compact = serde_json::to_string(&ring).unwrap_or_default();
                invocation.console.line(&compact)?;
            } else {
                invocation.console.line(&format!("{} {line}", now()))?;
            }
            told.insert(ring.name, line);
        }
        follower.next(LOOK_EVERY)?;
    }
}
