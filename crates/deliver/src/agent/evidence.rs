//! How it is known that a consumer uses a ring's keys: by what its probes really show.

use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::RingName;

use crate::settings::{Attempt, Delivery, Probe, Reload};

/// The level that a delivery reaches for a ring once all of it has passed. A probe counts for the
/// ring whose artefact or fingerprint it shows, and a command without an artefact, which is a check
/// of the user's own, for all. That a port is open says nothing about keys.
pub fn level(delivery: &Delivery, ring: &RingName) -> EvidenceLevel {
    let of_sinks = delivery.sinks.iter().flat_map(|sink| {
        let ready = sink.reload.iter().flat_map(|reload| match reload {
            Reload::Rolling { ready, .. } => ready.as_slice(),
            _ => &[],
        });
        sink.probes.iter().chain(ready)
    });
    if of_sinks.chain(&delivery.probes).any(|probe| shows(probe, ring)) {
        EvidenceLevel::Probed
    } else {
        EvidenceLevel::Attested
    }
}

fn shows(probe: &Probe, ring: &RingName) -> bool {
    match &probe.attempt {
        Attempt::Http(http) => {
            http.artefact.as_ref().is_some_and(|artefact| artefact.ring == *ring)
                || http.fingerprint.as_ref().is_some_and(|header| header.ring == *ring)
        }
        Attempt::Command { artefact, .. } => {
            artefact.as_ref().is_none_or(|artefact| artefact.ring == *ring)
        }
        Attempt::NginxWorkers(_) | Attempt::Tcp { .. } => false,
    }
}
