//! Progress: from every reachable world, once nothing goes wrong any more, the ring comes to rest,
//! or a gate says what it waits for; and what cannot go on can be taken back.

use std::collections::HashSet;

use keywheel_core::gate::GateStatus;
use keywheel_core::ring::State;
use keywheel_core::rotation::{self, Input};

use super::action::Action;
use super::encode::fingerprint;
use super::law::Violation;
use super::operator::operator;
use super::state::{Budget, KIDS, Phase, World};

/// Enough rounds for every wait of the small world, one after another.
const ROUNDS: usize = 60;

/// Remembers from which worlds it goes on, so that each is followed once.
#[derive(Default)]
pub(crate) struct Progress {
    known: HashSet<u128>,
}

impl Progress {
    /// Follows the fair continuation of a world to its rest.
    pub(crate) fn check(&mut self, world: &World) -> Result<(), Violation> {
        let violation = |why| Violation { invariant: "progress", why };
        let mut world = healed(world);
        let mut seen = Vec::new();
        for _ in 0..ROUNDS {
            let print = fingerprint(&world);
            if self.known.contains(&print) {
                self.known.extend(seen);
                return Ok(());
            }
            seen.push(print);
            way_back(&world).map_err(violation)?;
            if at_rest(&world) {
                self.known.extend(seen);
                return Ok(());
            }
            world = round(world).map_err(violation)?;
        }
        named(&world).map_err(violation)?;
        self.known.extend(seen);
        Ok(())
    }
}

/// The same world after every fault has ended.
fn healed(world: &World) -> World {
    let mut world = world.clone();
    world.budget = Budget::default();
    world.backup = None;
    world.jumped = 0;
    world.lives = [0; KIDS];
    for server in &mut world.servers {
        server.asleep = false;
        server.pending = None;
        server.serves = world.current;
        server.mark = (world.real, i64::try_from(world.real).unwrap_or(0));
    }
    for index in 0..world.nodes.len() {
        let number = u8::try_from(index).unwrap_or(u8::MAX);
        if let Some(node) = world.nodes.get_mut(index) {
            node.inbox = None;
            node.outbox = None;
        }
        world.happen_to_node(Action::Heal(number));
        world.happen_to_node(Action::EndWork(number));
        renew(&mut world, number);
    }
    world.settle();
    advance(&mut world, Action::Resume);
    world
}

fn advance(world: &mut World, action: Action) -> bool {
    match world.apply(action) {
        Ok(Some(next)) => {
            *world = next;
            true
        }
        _ => false,
    }
}

fn renew(world: &mut World, node: u8) {
    world.happen_to_node(Action::Load { node, server: 0 });
    world.happen_to_node(Action::Sync { node, keep: false });
}

/// One round in which everybody does what it should.
fn round(mut world: World) -> Result<World, String> {
    advance(&mut world, Action::Takeover(0));
    while let Some(next) = world.apply(Action::Tick)? {
        world = next;
        for server in 0..3 {
            advance(&mut world, Action::TakeUp(server));
        }
        for node in 0..world.nodes.len() {
            renew(&mut world, u8::try_from(node).unwrap_or(u8::MAX));
        }
        world.settle();
    }
    advance(&mut world, Action::Fetch(0));
    advance(&mut world, Action::Time);
    Ok(world)
}

/// Whether nothing is under way.
fn at_rest(world: &World) -> bool {
    let ring = &world.doc;
    let destroys = ring.policy.destroy_after.is_some();
    ring.path.is_none()
        && ring.primary().is_some()
        && ring.versions.values().all(|version| match &version.state {
            State::Retiring { .. } | State::Published { .. } | State::Staged { .. } => false,
            State::Retired { dropped, .. } => dropped.is_some() && !destroys,
            _ => true,
        })
}

/// Until its predecessor is destroyed, a primary can be taken back; unless that one is compromised.
fn way_back(world: &World) -> Result<(), String> {
    let ring = &world.doc;
    let former = ring.versions.values().find_map(|version| match version.state {
        State::Primary { predecessor, .. } => predecessor,
        _ => None,
    });
    let state = former.and_then(|former| ring.versions.get(&former)).map(|former| &former.state);
    if ring.path.is_some() || !matches!(state, Some(State::Retiring { .. } | State::Retired { .. }))
    {
        return Ok(());
    }
    let back = Input::Rollback { by: operator() };
    match rotation::step_with(ring, back, world.now(), world.setup.rules.guards) {
        Ok(_) => Ok(()),
        Err(refused) => Err(format!("the primary cannot be taken back: {refused}")),
    }
}

/// Whether the ring says why it does not go on.
fn named(world: &World) -> Result<(), String> {
    let ring = &world.doc;
    if ring.primary().is_none() && ring.path.is_none() {
        return Err("no primary, and nothing under way that would bring one".into());
    }
    let gates = rotation::gates(ring, &world.view(), world.now());
    for (version, stage, gates) in &gates {
        let closed = gates.iter().find(|gate| !gate.passes());
        let Some(gate) = closed else {
            return Err(format!("{version} stands still at {stage} with every gate open"));
        };
        let on = match &gate.status {
            GateStatus::Waiting { on, until: None, .. } => on,
            GateStatus::Failed { why } => why,
            _ => return Err(format!("{version} waits at {stage} for a time that never comes")),
        };
        if on.is_empty() {
            return Err(format!("{version} waits at {stage} and does not say for what"));
        }
    }
    let missing = world.nodes.iter().all(|node| node.phase == Phase::Running);
    if let Some((version, stage, gates)) = gates.first().filter(|_| missing) {
        return Err(format!("{version} is stuck at {stage} with everybody there: {gates:?}"));
    }
    let waits = ring.path.as_ref().filter(|path| path.stage != keywheel_core::ring::Stage::Promote);
    let back = Input::Rollback { by: operator() };
    if waits.is_some_and(|path| path.direction == keywheel_core::ring::Direction::Forward)
        && rotation::step(ring, back, world.now()).is_err()
    {
        return Err("a rotation that waits cannot be taken back".into());
    }
    Ok(())
}
