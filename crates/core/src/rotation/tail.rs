//! The tail of a replaced version, `drain → retire → destroy`, and the proofs that the last step
//! asks for.

use super::{Effect, Notice, Refused, RefusedKind, Work};
use crate::gate::{Gate, Scene};
use crate::id::VersionNumber;
use crate::ring::{Law, Refusal, Stage, State, Version};
use crate::time::Now;
use crate::view::View;

/// Shows that every instance has dropped a version. Only this module makes one.
pub struct DrainProved(());

/// Shows that the time for the way back is over. Only this module makes one.
pub struct GraceElapsed(());

impl Work {
    /// Moves every tail by at most one stage.
    pub(super) fn advance_tails(&mut self, view: &View) {
        let numbers: Vec<_> = self.ring.versions.keys().copied().collect();
        for number in numbers {
            self.advance_tail(number, view);
        }
    }

    fn advance_tail(&mut self, number: VersionNumber, view: &View) {
        if self.ring.path.as_ref().is_some_and(|path| path.target == number) {
            // It is on its way back.
            return;
        }
        let Some(version) = self.ring.versions.get(&number).cloned() else { return };
        if matches!(version.state, State::Compromised { .. }) {
            // Nothing holds up a compromised version, a pause neither; see `follow_compromised`.
            return;
        }
        let gates = self.scene(view).tail_gates(number, &version);
        if !gates.iter().all(Gate::passes) {
            self.stall_tail(number, &version, &gates);
            return;
        }
        if gates.is_empty() {
            return;
        }
        self.mark_waived(number, Law::StopUseBeforeAcceptance, &gates);
        match version.state {
            State::Retiring { since, last_switch: None } => {
                // Not a change of what consumers hold, so the revision of the state stays.
                self.note(number, State::Retiring { since, last_switch: Some(self.now.cluster) });
                self.note_switch(number);
                self.notify(Notice::Draining { version: number });
            }
            State::Retiring { last_switch: Some(_), .. } => {
                self.put(number, State::Retired { since: self.now, dropped: None });
                self.notify(Notice::Retired { version: number });
            }
            State::Retired { since, dropped: None } => {
                self.note(number, State::Retired { since, dropped: Some(self.now.cluster) });
                self.notify(Notice::Dropped { version: number });
            }
            State::Retired { .. } => {
                if let Ok((drained, grace)) = destroyable(&self.scene(view), number, &version) {
                    self.destroy(number, &drained, &grace);
                }
            }
            _ => {}
        }
    }

    /// Reports a tail that waits for instances too long, once for each of its stages. While the
    /// forward path waits for protectors to switch, it is the one that says so.
    pub(super) fn stall_tail(&mut self, number: VersionNumber, version: &Version, gates: &[Gate]) {
        let switching = self.ring.path.as_ref().is_some_and(|path| path.stage == Stage::Promote);
        let told = version.stalled.is_some()
            || (switching && matches!(version.state, State::Retiring { .. }));
        let waited = self.now.cluster.since(version.state.since().cluster);
        let stuck = gates.iter().any(|gate| !gate.passes() && !gate.missing().is_empty());
        if told || !stuck || waited < self.ring.policy.stall_after {
            return;
        }
        if let Some(version) = self.ring.versions.get_mut(&number) {
            version.stalled = Some(self.now);
        }
        self.notify_stalled(number, stage_name(&version.state), gates);
    }

    /// Refines a state without touching what consumers hold.
    pub(super) fn note(&mut self, number: VersionNumber, state: State) {
        if let Some(version) = self.ring.versions.get_mut(&number) {
            if version.state != state {
                version.stalled = None;
            }
            version.state = state;
        }
    }

    pub(super) fn destroy_now(
        &mut self,
        number: VersionNumber,
        view: &View,
    ) -> Result<(), Refused> {
        let Some(version) = self.ring.versions.get(&number).cloned() else {
            return Err(self.no_such_version(number));
        };
        match destroyable(&self.scene(view), number, &version) {
            Ok((drained, grace)) => {
                self.destroy(number, &drained, &grace);
                Ok(())
            }
            Err(cause) => Err(self.refuse(
                RefusedKind::GateClosed,
                cause,
                "Destruction cannot be taken back, so it waits; see `status` for the moment",
            )),
        }
    }

    fn destroy(&mut self, number: VersionNumber, _: &DrainProved, _: &GraceElapsed) {
        self.put(number, State::Destroyed { since: self.now });
        self.ring.columns.retain(|record| record.report.version != number);
        self.effects.push(Effect::Erase { version: number });
        self.notify(Notice::Destroyed { version: number });
    }
}

fn destroyable(
    scene: &Scene<'_>,
    number: VersionNumber,
    version: &Version,
) -> Result<(DrainProved, GraceElapsed), String> {
    if scene.ring.path.as_ref().is_some_and(|path| path.target == number) {
        return Err(format!("{number} is on its way back"));
    }
    match &version.state {
        State::Retired { dropped: Some(_), .. } => {
            let gates = scene.tail_gates(number, version);
            if gates.iter().all(Gate::passes) {
                Ok((DrainProved(()), GraceElapsed(())))
            } else {
                Err(format!("the time for the way back of {number} is not over"))
            }
        }
        State::Retired { dropped: None, .. } => {
            Err(format!("not every instance has shown that it dropped {number}"))
        }
        State::Compromised { refusal: Refusal::Since { at }, .. }
            if !scene.ring.policy.kind.is_encryption() =>
        {
            compromised_destroyable(scene, number, version, *at)
        }
        State::Compromised { refusal: Refusal::Moved { at }, .. } => {
            compromised_destroyable(scene, number, version, *at)
        }
        State::Compromised { .. } if scene.ring.policy.kind.is_encryption() => {
            Err(format!("what {number} sealed still needs it"))
        }
        other => Err(format!("{number} is {}", other.name())),
    }
}

fn compromised_destroyable(
    scene: &Scene<'_>,
    number: VersionNumber,
    version: &Version,
    refused: Now,
) -> Result<(DrainProved, GraceElapsed), String> {
    if !scene.dropped(version.revision, number).passes() {
        return Err("not every instance has shown that it refuses it".into());
    }
    let grace = scene.ring.policy.destroy_after.unwrap_or(crate::time::Span::ZERO);
    if scene.now.cluster < refused.cluster.after(grace) {
        return Err("it is kept as evidence until destroy_after is over".into());
    }
    Ok((DrainProved(()), GraceElapsed(())))
}

pub(super) const fn stage_name(state: &State) -> &'static str {
    match state {
        State::Retiring { .. } | State::Compromised { .. } => "drain",
        State::Retired { dropped: None, .. } => "retire",
        _ => "destroy",
    }
}
