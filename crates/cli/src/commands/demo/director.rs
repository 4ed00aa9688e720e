//! The script: sets the stage, turns the key as often as planned, and adds up what came of it.

use std::sync::Arc;

use keywheel_api::ring::RingStatus;
use keywheel_core::time::Span;

use super::board::Shared;
use super::naive;
use super::parent::Order;
use super::plan::{Plan, Trial};
use super::scene::Scene;
use super::stages::Stages;
use super::summary::{Rotation, Summary};
use super::tally::Tally;
use super::trials::{self, Turn};
use crate::failure::Failure;
use crate::show::Tone;

/// A look at the present state between two rotations.
const PAUSE: Span = Span::from_millis(1_200);
/// How long the tail of a rotation may take on a slow machine.
const TAIL_WITHIN: Span = Span::from_secs(60);
/// How long the load may go on to reach the number of requests that prove something.
const LOAD_WITHIN: Span = Span::from_secs(60);
/// Longer than a sender waits for an answer.
const ANSWERS_WITHIN: Span = Span::from_secs(30);

/// Performs the demonstration.
///
/// # Errors
/// When a process does not come up, ends by itself, or something does not happen in time.
pub(super) fn direct(plan: &Plan, shared: &Arc<Shared>) -> Result<Summary, Failure> {
    if !plan.naive {
        let (rotations, total) = turn_ring(plan, shared)?;
        let elapsed = shared.board().elapsed();
        return Ok(Summary::of_rotations(rotations, &total, plan.requests_min, elapsed));
    }
    let (swaps, swapped) = naive::swap(plan, shared)?;
    shared.tell(Tone::Strong, "for comparison: the same load, and a ring of keywheel");
    let comparison =
        Plan { trials: vec![Trial::Plain], requests_min: 0, snapshot: None, ..plan.clone() };
    let (rotations, total) = turn_ring(&comparison, shared)?;
    let elapsed = shared.board().elapsed();
    Ok(Summary::of_swaps(swaps, &swapped, rotations, &total, elapsed))
}

fn turn_ring(plan: &Plan, shared: &Arc<Shared>) -> Result<(Vec<Rotation>, Tally), Failure> {
    title(shared, "starting", "a server, and two services");
    let mut scene = Scene::new(shared, plan)?;
    shared.tell(Tone::Plain, "starting a server on SQLite");
    scene.start_server()?;
    let (api, billing) = plan.workers;
    shared.tell(Tone::Plain, format!("starting {api} workers of api and {billing} of billing"));
    scene.start_ring_workers(plan)?;
    shared.tell(Tone::Good, "every worker has proved its keys; requests begin");
    scene.say_to_all(Order::Go)?;
    scene.pass(PAUSE)?;
    let mut rotations = Vec::new();
    let count = plan.trials.len();
    for (index, trial) in plan.trials.iter().enumerate() {
        let number = index + 1;
        title(shared, &format!("rotation {number} of {count}"), trial.words());
        rotations.push(turn(&mut scene, number, *trial)?);
        scene.pass(PAUSE)?;
    }
    if scene.tally().requests < plan.requests_min {
        title(shared, "load", "until there are enough requests to prove something");
        let enough = plan.requests_min;
        scene.until_board("enough requests", LOAD_WITHIN, |board| {
            board.tally().requests >= enough
        })?;
    }
    let total = rest(&mut scene)?;
    scene.end();
    Ok((rotations, total))
}

fn title(shared: &Shared, title: &str, subtitle: &str) {
    let mut board = shared.board();
    board.title = title.into();
    board.subtitle = subtitle.into();
}

fn turn(scene: &mut Scene, number: usize, trial: Trial) -> Result<Rotation, Failure> {
    let from = scene.look()?.primary.unwrap_or(0);
    let newest = scene.look()?.versions.iter().map(|version| version.number).max();
    let to = newest.unwrap_or(0) + 1;
    let before = scene.tally();
    let recorded = scene.newest_entry()?;
    let seen = trials::perform(scene, trial, Turn { from, to })?;
    scene.until("the old version to drain and retire", TAIL_WITHIN, is_at_rest)?;
    let left = if trial == Trial::RolledBack { to } else { from };
    scene.shared.tell(Tone::Good, format!("v{left} is retired: every worker dropped it"));
    let after = scene.tally();
    Ok(Rotation {
        number,
        from,
        to,
        note: seen.note,
        requests: after.requests.saturating_sub(before.requests),
        failed: after.failures.all().saturating_sub(before.failures.all()),
        stages: Stages::read(&scene.admin()?.audit(recorded)?),
        observations: seen.observations,
    })
}

/// Nothing moves any more: only the far-off destruction of retired versions is left.
fn is_at_rest(ring: &RingStatus) -> bool {
    ring.path.is_none() && ring.gates.iter().all(|stage| stage.stage == "destroy")
}

/// Lets the workers finish what is under way. What is not answered by then never will be.
pub(super) fn rest(scene: &mut Scene) -> Result<Tally, Failure> {
    scene.shared.tell(Tone::Plain, "no new requests; waiting for the last answers");
    scene.say_to_all(Order::Rest)?;
    scene
        .until_board("every request to be answered", ANSWERS_WITHIN, |board| board.tally().idle)?;
    Ok(scene.tally())
}
