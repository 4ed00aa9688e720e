//! Laws 1 and 2 over the whole world: whatever was protected and is still valid is accepted by
//! every process that a rotation answers for. Exceptions count only where the document declares
//! them.

use keywheel_core::id::{Incarnation, Kid};
use keywheel_core::ring::{Exception, Ring, State};

use super::process::Process;
use super::truth::{Check, RingTruth};

/// Checks both laws for one ring.
pub(crate) fn check(truth: &RingTruth, processes: &[Process], now: u64) -> Check {
    let Some(doc) = &truth.doc else { return Ok(()) };
    if doc.deleted.is_some() {
        return Ok(());
    }
    let valid = truth.protected.iter().filter(|(_, until)| **until > now);
    for ((incarnation, kid), _) in valid {
        if truth.compromised.contains(kid) {
            continue;
        }
        for (number, process) in processes.iter().enumerate() {
            let Some(index) = local_of(process, doc) else { continue };
            let present = *incarnation == doc.incarnation;
            let concerned = if present {
                process.is_covered(index, now)
            } else {
                knew(process, index, incarnation, kid, now)
            };
            if !concerned
                || process.accepts(index, kid, now)
                || excepted(truth, doc, process, index, kid, present)
            {
                continue;
            }
            return Err(describe(doc, process, (number, index), incarnation, kid));
        }
    }
    Ok(())
}

fn local_of(process: &Process, doc: &Ring) -> Option<usize> {
    process.locals.iter().position(|local| local.name == doc.name)
}

/// A process that left a life of the ring goes on to accept what it knew of it.
fn knew(process: &Process, index: usize, life: &Incarnation, kid: &Kid, now: u64) -> bool {
    let left = process.locals.get(index).map(|local| &local.left);
    process.alive
        && process.paused_until <= now
        && left.is_some_and(|left| left.contains(&(life.clone(), kid.clone())))
}

/// Says which law it is: a process that has not got there yet, or one that has gone too far.
fn describe(
    doc: &Ring,
    process: &Process,
    (number, index): (usize, usize),
    incarnation: &Incarnation,
    kid: &Kid,
) -> String {
    let version = doc.versions.iter().find(|(_, version)| version.kid == *kid);
    let held = process.state(index).and_then(|state| state.held());
    let holds = held.map(|offer| offer.keyset.revision);
    let same_life = held.is_some_and(|offer| offer.keyset.incarnation == *incarnation);
    let (name, state) = version.map_or(("a lost version".into(), "lost"), |(number, version)| {
        (number.to_string(), version.state.name())
    });
    let since = version.and_then(|(_, version)| version.accepted_since);
    let behind = same_life && since.is_some_and(|since| holds.is_none_or(|holds| holds < since));
    let law =
        if behind { "invariant_accept_before_use" } else { "invariant_stop_use_before_acceptance" };
    format!(
        "{law}: p{number} of {} ({}) refuses what was protected with {name} of {}, which is {state} \
         at {} of {}; it holds {}",
        process.consumer,
        doc.name,
        incarnation.0.get(..6).unwrap_or("?"),
        doc.revision,
        doc.incarnation.0.get(..6).unwrap_or("?"),
        holds.map_or_else(|| "nothing".into(), |holds| holds.to_string())
    )
}

/// Whether a declared exception explains that a process does not accept a key.
fn excepted(
    truth: &RingTruth,
    doc: &Ring,
    process: &Process,
    index: usize,
    kid: &Kid,
    present: bool,
) -> bool {
    let version = doc.versions.iter().find(|(_, version)| version.kid == *kid);
    // What was lost with the store is accepted by whoever knew it, and nobody else is asked.
    let Some((number, version)) = version else { return false };
    if !present {
        return false;
    }
    let by = |exception| {
        doc.bent.iter().any(|bent| bent.version == *number && bent.exception == exception)
    };
    let instance = process.identity.as_ref().map(|identity| &identity.instance);
    if instance.is_some_and(|instance| truth.waived_instances.contains(instance))
        || truth.waived.contains(number)
    {
        return true;
    }
    let held = process.state(index).and_then(|state| state.held());
    let behind = held.is_none_or(|offer| {
        offer.keyset.incarnation != doc.incarnation
            || version.accepted_since.is_none_or(|since| offer.keyset.revision < since)
    });
    match version.state {
        State::Suspended { .. } => true,
        _ if truth.suspended.contains(kid) => behind,
        _ => behind && by(Exception::Compromise),
    }
}
