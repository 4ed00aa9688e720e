//! What is done to each rotation, and what must be seen then.

use keywheel_api::ring::{GateStatus, Laggard, RingStatus};
use keywheel_client::clock::boot_time;
use keywheel_core::time::Span;
use keywheel_engine::ports::Clock as _;
use keywheel_store::SystemClock;
use serde::Serialize;

use super::board::Board;
use super::plan::{SERVER_AWAY_FOR, STOPPED_FOR, Trial, USED_BEFORE_ROLLBACK};
use super::scene::Scene;
use super::stages;
use super::summary::grouped;
use crate::failure::Failure;
use crate::show::Tone;

/// How long a step of a rotation may take on a slow machine.
const STEP_WITHIN: Span = Span::from_secs(40);
/// How many requests must be signed with a new version before the rotation is taken back.
const SIGNED_BEFORE_ROLLBACK: u64 = 40;

/// Something that had to be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Observation {
    pub(super) expected: String,
    pub(super) seen: bool,
}

/// What a trial has seen.
pub(super) struct Seen {
    /// In a few words, for the table.
    pub(super) note: String,
    pub(super) observations: Vec<Observation>,
}

/// The versions of a rotation.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) from: u32,
    pub(super) to: u32,
}

/// Rotates, and does to the rotation what the trial says.
///
/// # Errors
/// When something does not happen in time.
pub(super) fn perform(scene: &mut Scene, trial: Trial, turn: Turn) -> Result<Seen, Failure> {
    match trial {
        Trial::Plain => plain(scene, turn),
        Trial::Stopped => stopped(scene, turn),
        Trial::RolledBack => rolled_back(scene, turn),
        Trial::Killed => killed(scene, turn),
    }
}

fn plain(scene: &mut Scene, turn: Turn) -> Result<Seen, Failure> {
    rotate(scene, turn)?;
    everybody_signs_with(scene, turn.to)?;
    Ok(Seen { note: Trial::Plain.words().into(), observations: vec![switched(turn.to)] })
}

fn stopped(scene: &mut Scene, turn: Turn) -> Result<Seen, Failure> {
    let victim = scene.workers.len().saturating_sub(1);
    let worker = scene.workers.get(victim).ok_or_else(no_worker)?;
    let pid = worker.pid();
    worker.stop()?;
    let name = set_stopped(scene, victim, true);
    scene.shared.tell(Tone::Waiting, format!("SIGSTOP: {name} (pid {pid}) stands still"));
    rotate(scene, turn)?;

    let mut named = None;
    scene.until("the gate to name the stopped process", STEP_WITHIN, |ring| {
        named = missing(ring, pid).map(in_words);
        named.is_some()
    })?;
    let words = named.unwrap_or_default();
    scene.shared.tell(Tone::Waiting, format!("the gate holds and names it: {words}"));

    let until = boot_time().after(STOPPED_FOR);
    let mut held = true;
    let last = scene.until("the gate to hold", STEP_WITHIN, |ring| {
        held &= ring.stage == "confirm"
            && ring.primary == Some(turn.from)
            && missing(ring, pid).is_some();
        !held || boot_time() >= until
    })?;
    let words = missing(&last, pid).map_or(words, in_words);
    scene.shared.tell(Tone::Waiting, format!("still held: {words}"));

    scene.draw()?;

    scene.workers.get(victim).ok_or_else(no_worker)?.go_on()?;
    set_stopped(scene, victim, false);
    scene.shared.tell(Tone::Good, format!("SIGCONT: {name} wakes up and catches up"));
    everybody_signs_with(scene, turn.to)?;
    Ok(Seen {
        note: format!("{name} stopped for {STOPPED_FOR}"),
        observations: vec![
            observed(format!("the gate named {name} (pid {pid})"), true),
            observed(
                format!("the gate held for {STOPPED_FOR}, v{} stayed primary", turn.from),
                held,
            ),
            switched(turn.to),
        ],
    })
}

fn rolled_back(scene: &mut Scene, turn: Turn) -> Result<Seen, Failure> {
    let Turn { from, to } = turn;
    rotate(scene, turn)?;
    scene.until_board("requests signed with the new version", STEP_WITHIN, |board| {
        board.tally().signed_with(to) >= SIGNED_BEFORE_ROLLBACK
    })?;
    scene.pass(USED_BEFORE_ROLLBACK)?;
    let before = scene.admin()?.status()?;
    let promoted = before.primary == Some(to);
    scene.admin()?.act("rollback", "the demonstration goes back half way")?;
    let signed = scene.tally().signed_with(to);
    let signed = grouped(signed);
    let words = format!("rollback: v{to} has signed {signed} requests, v{from} is primary again");
    scene.shared.tell(Tone::Waiting, words);
    let back = scene.until("the former version to be primary", STEP_WITHIN, |ring| {
        ring.primary == Some(from) && ring.path.is_none()
    })?;
    let state = back.versions.iter().find(|version| version.number == to);
    let drains = state.is_some_and(|version| version.state == "retiring");
    everybody_signs_with(scene, from)?;

    // Whatever of the withdrawn version is accepted from here on was signed before.
    let accepted_before = scene.tally().accepted_of(to);
    scene.until_board(
        "a request of the withdrawn version to be accepted",
        STEP_WITHIN,
        |board| board.tally().accepted_of(to) > accepted_before,
    )?;
    scene.shared.tell(Tone::Good, format!("what v{to} signed before is still accepted"));
    Ok(Seen {
        note: format!("v{to} rolled back to v{from}"),
        observations: vec![
            observed(format!("v{to} was primary and had signed {signed} requests"), promoted),
            observed(format!("v{from} became primary again, v{to} went on to be accepted"), drains),
            observed(format!("requests signed with v{to} were accepted after the rollback"), true),
        ],
    })
}

fn killed(scene: &mut Scene, turn: Turn) -> Result<Seen, Failure> {
    let recorded = scene.newest_entry()?;
    rotate(scene, turn)?;
    scene
        .until("the workers to be asked for proof", STEP_WITHIN, |ring| ring.stage == "confirm")?;
    scene.kill_server();
    let killed_at = SystemClock.wall();
    scene.shared.tell(Tone::Bad, "SIGKILL: the server is gone");
    let before = scene.tally().requests;
    scene.pass(SERVER_AWAY_FOR)?;
    let alone = scene.tally().requests.saturating_sub(before);
    let words = format!("{} requests were answered without a server", grouped(alone));
    scene.shared.tell(Tone::Good, words);
    scene.start_server()?;
    let record = scene.admin()?.audit(recorded)?;
    let stage = stages::reached(&record, killed_at);
    let name = stage.unwrap_or("no stage");
    let words = format!("the server is back on the same data; it was killed in `{name}`");
    scene.shared.tell(Tone::Good, words);
    let ring = everybody_signs_with(scene, turn.to)?;
    let numbers: Vec<u32> = ring.versions.iter().map(|version| version.number).collect();
    let whole = numbers == (1..=turn.to).collect::<Vec<_>>();
    let primaries = ring.versions.iter().filter(|version| version.state == "primary").count();
    Ok(Seen {
        note: format!("server killed in `{name}`, away for {SERVER_AWAY_FOR}"),
        observations: vec![
            observed(
                format!("the server was killed in mid-rotation, in `{name}`"),
                stage.is_some(),
            ),
            observed(
                format!("{} requests were answered while it was away", grouped(alone)),
                alone > 0,
            ),
            observed("it came back and finished the rotation", true),
            observed("no version was lost or doubled", whole && primaries == 1),
        ],
    })
}

fn rotate(scene: &Scene, turn: Turn) -> Result<(), Failure> {
    scene.admin()?.act("rotate", "the demonstration turns the key")?;
    let words = format!("rotate: v{} is to follow v{}", turn.to, turn.from);
    scene.shared.tell(Tone::Strong, words);
    Ok(())
}

fn everybody_signs_with(scene: &mut Scene, version: u32) -> Result<RingStatus, Failure> {
    let ring = scene
        .until("the version to be primary", STEP_WITHIN, |ring| ring.primary == Some(version))?;
    scene.until_board("every worker to sign with it", STEP_WITHIN, |board: &Board| {
        board.workers.iter().all(|card| card.tally.signs_with == Some(version))
    })?;
    scene.shared.tell(Tone::Good, format!("every worker signs with v{version}"));
    Ok(ring)
}

fn switched(to: u32) -> Observation {
    observed(format!("every worker switched to v{to}"), true)
}

/// The gate `instances` of the stage `confirm`, if it waits for this process.
fn missing(ring: &RingStatus, pid: u32) -> Option<&Laggard> {
    let confirm = ring.gates.iter().filter(|stage| stage.stage == "confirm");
    let waits = |gate: &&GateStatus| gate.name == "instances" && gate.status == "waiting";
    let gates = confirm.flat_map(|stage| &stage.gates).filter(waits);
    let ending = format!("/{pid}");
    gates.flat_map(|gate| &gate.missing).find(|laggard| {
        laggard.process.as_deref().is_some_and(|process| process.ends_with(&ending))
    })
}

/// Who is missing, since when and why.
pub(super) fn in_words(laggard: &Laggard) -> String {
    let process = laggard.process.as_deref().unwrap_or("no process");
    let silent = laggard.silent_for.as_deref();
    let silent = silent.map(|silent| format!(", silent for {silent}")).unwrap_or_default();
    format!("{} {process} is {}{silent}; {}", laggard.consumer, laggard.standing, laggard.why)
}

fn set_stopped(scene: &Scene, worker: usize, stopped: bool) -> String {
    let mut board = scene.shared.board();
    let Some(card) = board.workers.get_mut(worker) else { return String::new() };
    card.stopped = stopped;
    card.name.clone()
}

fn observed(expected: impl Into<String>, seen: bool) -> Observation {
    Observation { expected: expected.into(), seen }
}

fn no_worker() -> Failure {
    Failure::failed("there is no worker on stage", crate::console::REPORT)
}
