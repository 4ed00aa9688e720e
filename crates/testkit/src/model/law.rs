//! What must hold of every reachable world. Each invariant has a name, and looks at what really is:
//! never at what the core believes.

use keywheel_core::ring::{Direction, Exception, Law, Ring, Stage, State, Version};

use super::state::{World, bit, kid_number};

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub invariant: &'static str,
    /// What was found, in words.
    pub why: String,
}

type Check = fn(&World, &World) -> Result<(), String>;

/// Every invariant, by name. Each looks at a world and the one before it.
pub(crate) const INVARIANTS: [(&str, Check); 9] = [
    ("accept before use", invariant_accept_before_use),
    ("stop use before acceptance", invariant_stop_use_before_acceptance),
    ("destroy last", invariant_destroy_last),
    ("one primary", invariant_one_primary),
    ("bounded acceptance", invariant_bounded_acceptance),
    ("sound document", invariant_sound_document),
    ("compromise is final", invariant_compromise_is_final),
    ("revisions grow", invariant_revisions_grow),
    ("promotion has a quorum", invariant_promotion_has_a_quorum),
];

/// Checks all of them.
pub(crate) fn check(before: &World, after: &World) -> Result<(), Violation> {
    for (invariant, check) in INVARIANTS {
        check(before, after).map_err(|why| Violation { invariant, why })?;
    }
    Ok(())
}

/// Law 1: what any process may protect with now, every process that counts accepts.
fn invariant_accept_before_use(_: &World, world: &World) -> Result<(), String> {
    for index in 0..world.nodes.len() {
        for (kid, _) in world.protecting(index) {
            accepted_everywhere(world, kid)
                .map_err(|by| format!("{} protects with k{kid}, which {by}", world.name(index)))?;
        }
    }
    Ok(())
}

/// Law 2: whatever may live now, every process that counts accepts.
fn invariant_stop_use_before_acceptance(_: &World, world: &World) -> Result<(), String> {
    for (kid, until) in (0u8..).zip(world.lives) {
        if world.real < until {
            accepted_everywhere(world, kid)
                .map_err(|by| format!("what k{kid} protected may still live, but {by}"))?;
        }
    }
    Ok(())
}

/// Law 3: nothing is destroyed while it is accepted somewhere or something it protected lives.
fn invariant_destroy_last(_: &World, world: &World) -> Result<(), String> {
    for version in world.doc.versions.values() {
        if !matches!(version.state, State::Destroyed { .. }) {
            continue;
        }
        let kid = kid_number(&version.kid);
        let compromised = excused_by(&world.doc, version, Exception::Compromise);
        if world.alive() & bit(kid) != 0 && !compromised {
            return Err(format!("k{kid} is destroyed, but what it protected may live"));
        }
        for (index, node) in world.nodes.iter().enumerate() {
            if world.counts(index) && node.accepts() & bit(kid) != 0 {
                return Err(format!("k{kid} is destroyed, but {} accepts it", world.name(index)));
            }
        }
    }
    Ok(())
}

fn invariant_one_primary(_: &World, world: &World) -> Result<(), String> {
    let states = world.doc.versions.values().map(|version| &version.state);
    let primaries = states.filter(|state| matches!(state, State::Primary { .. })).count();
    let path = world.doc.path.as_ref();
    let restoring = path.is_some_and(|path| path.direction == Direction::Restore);
    match primaries {
        1 => Ok(()),
        0 if restoring => Ok(()),
        0 => Err("nothing is primary, and nothing is on its way to be".into()),
        more => Err(format!("{more} versions are primary")),
    }
}

/// The accepted set stays within the policy; an emergency may add one.
fn invariant_bounded_acceptance(before: &World, world: &World) -> Result<(), String> {
    let regular = |version: &Version| !matches!(version.state, State::Compromised { .. });
    let accepted = world.doc.accepted().filter(|(_, version)| regular(version)).count();
    let emergency = world.doc.bent.iter().any(|bent| bent.exception == Exception::Compromise);
    let most = world.policy().max_accepted + usize::from(emergency);
    let restored = before.current.life != world.current.life
        || world.doc.bent.iter().any(|bent| bent.exception == Exception::Restore);
    if accepted > most && !restored {
        return Err(format!("{accepted} versions are accepted, {most} may be"));
    }
    Ok(())
}

fn invariant_sound_document(before: &World, world: &World) -> Result<(), String> {
    if std::rc::Rc::ptr_eq(&before.doc, &world.doc) {
        return Ok(());
    }
    world.setup.memo.borrow_mut().once(&world.doc, |ring| {
        ring.check()?;
        let text = serde_json::to_string(ring).map_err(|error| error.to_string())?;
        let back: Ring = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        if back != *ring {
            return Err("the document changes on its way through the store".into());
        }
        Ok(())
    })
}

/// A version that was compromised stays so, or is destroyed.
fn invariant_compromise_is_final(before: &World, world: &World) -> Result<(), String> {
    if before.current.life != world.current.life {
        return Ok(());
    }
    for (number, version) in &before.doc.versions {
        let after = world.doc.versions.get(number).map(|version| &version.state);
        let stays = matches!(after, Some(State::Compromised { .. } | State::Destroyed { .. }));
        if matches!(version.state, State::Compromised { .. }) && !stays {
            let after = after.map_or("missing", State::name);
            return Err(format!("{number} was compromised and is {after} now"));
        }
    }
    Ok(())
}

/// Within a life, the document's and the keyset's revisions grow whenever what they count changes,
/// and no version is lost.
fn invariant_revisions_grow(before: &World, world: &World) -> Result<(), String> {
    let (old, new) = (&before.doc, &world.doc);
    if before.current.life != world.current.life || std::rc::Rc::ptr_eq(old, new) {
        return Ok(());
    }
    if new.revision <= old.revision {
        return Err(format!("the document went from {} to {}", old.revision, new.revision));
    }
    let (old_keys, new_keys) = (before.current, world.current);
    if old_keys != new_keys && new_keys.revision <= old_keys.revision {
        return Err(format!(
            "the keyset changed and went from {} to {}",
            old_keys.revision, new_keys.revision
        ));
    }
    match old.versions.keys().find(|number| !new.versions.contains_key(number)) {
        Some(lost) => Err(format!("{lost} is lost")),
        None => Ok(()),
    }
}

/// Nobody is promoted for nobody: when a gate made a version primary, each consumer had as many
/// processes as its policy asks for, or a person excused the rest. Who leaves after the gate looked
/// at them might as well have left after the commit, so a leader that slept in between answers for
/// what it had read.
fn invariant_promotion_has_a_quorum(before: &World, world: &World) -> Result<(), String> {
    let stage = |world: &World| world.doc.path.as_ref().map(|path| (path.target, path.stage));
    let Some((target, Stage::Promote)) = stage(world) else { return Ok(()) };
    let confirmed = stage(before) == Some((target, Stage::Confirm));
    let waived = world.doc.bent.iter().any(|bent| {
        bent.version == target
            && bent.law == Law::AcceptBeforeUse
            && matches!(bent.exception, Exception::Waiver | Exception::Compromise)
    });
    if !confirmed || waived {
        return Ok(());
    }
    let woken =
        before.servers.iter().zip(&world.servers).find_map(|(before, after)| {
            before.pending.as_ref().filter(|_| after.pending.is_none())
        });
    let quorum = woken.map_or_else(|| world.quorum(), |pending| pending.quorum.clone());
    quorum.map_err(|why| format!("{target} was promoted with {why}"))
}

/// Whether every process that counts accepts a key; otherwise says who does not.
fn accepted_everywhere(world: &World, kid: u8) -> Result<(), String> {
    for (index, node) in world.nodes.iter().enumerate() {
        if world.counts(index)
            && node.accepts() & bit(kid) == 0
            && !excused(world, kid, Some(index))
        {
            return Err(format!("{} does not accept", world.name(index)));
        }
    }
    match world.passive_accepts() {
        Some(accepted) if accepted & bit(kid) == 0 && !excused(world, kid, None) => {
            Err("the passive consumer does not accept".into())
        }
        _ => Ok(()),
    }
}

fn excused_by(ring: &Ring, version: &Version, exception: Exception) -> bool {
    let number = ring.versions.iter().find(|(_, one)| one.kid == version.kid);
    let Some((number, _)) = number else { return false };
    ring.bent.iter().any(|bent| bent.version == *number && bent.exception == exception)
}

/// Whether the document records an exception that explains why a process does not accept a key.
fn excused(world: &World, kid: u8, index: Option<usize>) -> bool {
    let doc = &world.doc;
    let restored = doc.bent.iter().any(|bent| bent.exception == Exception::Restore);
    if restored && world.pardoned & bit(kid) != 0 {
        return true;
    }
    let version = doc.versions.values().find(|version| kid_number(&version.kid) == kid);
    let Some(version) = version else {
        // The key was made after the backup and lost with the store. Whoever had it keeps it.
        let had = index.and_then(|index| world.nodes.get(index));
        return restored && had.is_none_or(|node| node.ever & bit(kid) == 0);
    };
    let by = |exception| excused_by(doc, version, exception);
    match version.state {
        State::Compromised { .. } if by(Exception::Compromise) => return true,
        State::Suspended { .. } if by(Exception::Suspend) => return true,
        _ if by(Exception::Waiver) => return true,
        _ => {}
    }
    // An emergency made it primary, or a suspension ended, before this process had heard of it.
    let Some(keys) = index.and_then(|index| world.nodes.get(index)).and_then(|node| node.keys)
    else {
        return by(Exception::Compromise) || by(Exception::Suspend);
    };
    let behind = keys.life != world.current.life
        || version.accepted_since.is_none_or(|since| keys.revision < since);
    behind && (by(Exception::Compromise) || by(Exception::Suspend))
}
