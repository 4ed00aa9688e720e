//! The forward path, `stage → publish → confirm → promote`, and the way back from each of its
//! stages.

use super::{Minted, Notice, Refused, RefusedKind, Work};
use crate::gate::{FINDINGS, Gate, GateStatus, REENCRYPTION};
use crate::guard::Guard;
use crate::id::VersionNumber;
use crate::policy::Promises;
use crate::ring::{
    Attribution, BENT_MAX, Bent, Direction, Exception, Law, Path, Stage, State, Version,
};
use crate::schedule::Cause;
use crate::view::View;

impl Work {
    pub(super) fn rotate(&mut self, cause: Cause, minted: Minted) -> Result<(), Refused> {
        if let Some(path) = &self.ring.path {
            return Err(self.refuse(
                RefusedKind::Illegal,
                format!("{} is already on its way", path.target),
                "Wait for it, or take it back with `rollback`",
            ));
        }
        if self.ring.paused.is_some() {
            return Err(self.refuse(
                RefusedKind::Illegal,
                "the ring is paused",
                "Let it go on with `resume`",
            ));
        }
        let number = self.add(minted);
        self.ring.wanted = None;
        self.ring.waivers.clear();
        self.ring.evidence.retain(|record| record.gate.as_str() == REENCRYPTION);
        self.forget_columns_of_the_past();
        self.begin(number, Stage::Stage, cause.clone(), Direction::Forward);
        self.notify(Notice::Started { version: number, cause });
        Ok(())
    }

    /// Adds a version that nobody has yet.
    pub(super) fn add(&mut self, minted: Minted) -> VersionNumber {
        let number = self.ring.next_number();
        let version = Version {
            kid: minted.kid,
            kind: minted.kind,
            fingerprint: minted.fingerprint,
            origin: minted.origin,
            created: self.now,
            state: State::Staged { since: self.now },
            revision: self.ring.revision,
            accepted_since: None,
            protected_since: None,
            promises: Promises::default(),
            recovery_tested: minted.recovery_tested,
            stalled: None,
            switched: None,
        };
        self.ring.versions.insert(number, version);
        number
    }

    pub(super) fn begin(
        &mut self,
        target: VersionNumber,
        stage: Stage,
        cause: Cause,
        direction: Direction,
    ) {
        self.ring.path = Some(Path {
            target,
            stage,
            since: self.now,
            cause,
            direction,
            approved: None,
            stalled: None,
        });
    }

    /// Puts a version into a state, and notes from which keyset revision that holds.
    pub(super) fn put(&mut self, number: VersionNumber, state: State) {
        let revision = self.ring.revision;
        let Some(version) = self.ring.versions.get_mut(&number) else { return };
        if !matches!(state, State::Retired { .. }) {
            version.switched = None;
        }
        version.state = state;
        version.stalled = None;
        version.revision = revision;
        let accepted = version.is_accepted(&self.ring.policy);
        version.accepted_since = match (accepted, version.accepted_since) {
            (true, None) => Some(revision),
            (true, since) => since,
            (false, _) => None,
        };
    }

    /// Moves the forward path by at most one stage.
    pub(super) fn advance(&mut self, view: &View) {
        let Some(path) = self.ring.path.clone() else { return };
        let gates = self.scene(view).path_gates(&path);
        if !gates.iter().all(Gate::passes) {
            self.stall(&path, &gates);
            return;
        }
        self.mark_waived(path.target, Law::AcceptBeforeUse, &gates);
        match path.stage {
            Stage::Stage => self.publish(&path),
            Stage::Publish => {
                if let Some(version) = self.ring.versions.get_mut(&path.target)
                    && let State::Published { served, .. } = &mut version.state
                {
                    *served = Some(self.now.cluster);
                }
                self.enter(Stage::Confirm);
                self.notify(Notice::Served { version: path.target });
            }
            Stage::Confirm => self.promote(&path, view),
            Stage::Promote => {
                self.ring.path = None;
                self.notify(Notice::Done { version: path.target });
            }
        }
    }

    fn enter(&mut self, stage: Stage) {
        if let Some(path) = &mut self.ring.path {
            path.stage = stage;
            path.since = self.now;
            path.stalled = None;
        }
    }

    fn publish(&mut self, path: &Path) {
        self.put(path.target, State::Published { since: self.now, served: None });
        self.enter(Stage::Publish);
        self.notify(Notice::Published { version: path.target });
    }

    fn promote(&mut self, path: &Path, view: &View) {
        let replaced = self.ring.primary();
        self.make_primary(path.target, replaced, view.digest.clone());
        self.enter(Stage::Promote);
        for consumer in self.ring.policy.consumers.values() {
            if consumer.cutover {
                let by = Attribution {
                    who: "policy".into(),
                    reason: "a one-slot consumer is cut over at promotion".into(),
                };
                self.bend(Law::AcceptBeforeUse, path.target, Exception::Cutover, by);
                break;
            }
        }
        self.notify(Notice::Promoted { version: path.target, replaced });
    }

    /// Makes a version primary and sends the former one on its tail.
    pub(super) fn make_primary(
        &mut self,
        number: VersionNumber,
        predecessor: Option<VersionNumber>,
        convergence: String,
    ) {
        if let Some(former) = self.ring.primary() {
            self.put(former, State::Retiring { since: self.now, last_switch: None });
        } else {
            self.retire_former_life();
        }
        self.put(number, State::Primary { since: self.now, predecessor, convergence });
        let promises = self.ring.policy.promises();
        let now = self.now;
        if let Some(version) = self.ring.versions.get_mut(&number) {
            version.promises = version.promises.widen(promises);
            version.protected_since.get_or_insert(now);
        }
    }

    /// The first primary after a restore is what clients switch to, whichever version of the former
    /// life they went on with until then.
    fn retire_former_life(&mut self) {
        let retiring = |version: &Version| matches!(version.state, State::Retiring { .. });
        let numbers: Vec<_> = self
            .ring
            .versions
            .iter()
            .filter(|(_, version)| retiring(version))
            .map(|(number, _)| *number)
            .collect();
        for number in numbers {
            self.put(number, State::Retiring { since: self.now, last_switch: None });
        }
    }

    pub(super) fn promote_now(&mut self, view: &View) -> Result<(), Refused> {
        let Some(path) = self.ring.path.clone() else {
            return Err(self.refuse(
                RefusedKind::Illegal,
                "no rotation is under way",
                "Begin one with `rotate`",
            ));
        };
        if path.stage != Stage::Confirm {
            return Err(self.refuse(
                RefusedKind::Illegal,
                format!("{} is not waiting for its promotion", path.target),
                "Only the stage `confirm` ends in a promotion",
            ));
        }
        if self.ring.paused.is_some() {
            return Err(self.refuse(
                RefusedKind::Illegal,
                "the ring is paused",
                "Let it go on with `resume`",
            ));
        }
        let gates = self.scene(view).path_gates(&path);
        let closed: Vec<_> =
            gates.iter().filter(|gate| !gate.passes()).map(|gate| gate.name.as_str()).collect();
        if !closed.is_empty() {
            return Err(self.refuse(
                RefusedKind::GateClosed,
                format!("closed: {}", closed.join(", ")),
                "See `status` for who is missing; a gate can be waived with the right `breakglass`",
            ));
        }
        self.advance(view);
        Ok(())
    }

    /// Takes the present rotation back, or the last one when none is under way.
    pub(super) fn rollback(&mut self, by: Attribution) -> Result<(), Refused> {
        let path = self.ring.path.clone();
        match path {
            Some(path) if path.direction == Direction::Emergency => Err(self.refuse(
                RefusedKind::Illegal,
                "the ring is leaving a compromised version",
                "Rotate again when this is done; a compromised version never comes back",
            )),
            Some(path) if path.direction == Direction::Restore => Err(self.refuse(
                RefusedKind::Illegal,
                "the ring was restored and has no other version to go back to",
                "Wait until its consumers have confirmed it",
            )),
            Some(path) if path.stage != Stage::Promote => {
                self.withdraw(path.target);
                self.ring.path = None;
                let to = self.ring.primary();
                self.notify(Notice::RolledBack { version: path.target, to, by });
                Ok(())
            }
            _ => self.demote(by),
        }
    }

    /// Takes a version that nobody protects with out of the accepted set, unless something that it
    /// protected earlier may live.
    pub(super) fn withdraw(&mut self, number: VersionNumber) {
        let state = self.ring.versions.get(&number).map(|version| &version.state);
        if matches!(state, Some(State::Retired { .. })) {
            // It was on its way back and waited for room; nobody accepts it.
            return;
        }
        let used = self.ring.versions.get(&number).is_some_and(|v| v.protected_since.is_some());
        let state = if used && self.guards.has(Guard::WithdrawnAccepted) {
            State::Retiring { since: self.now, last_switch: Some(self.now.cluster) }
        } else {
            State::Retired { since: self.now, dropped: None }
        };
        self.put(number, state);
    }

    /// Makes the predecessor of the primary the primary again.
    fn demote(&mut self, by: Attribution) -> Result<(), Refused> {
        let primary = self.ring.primary().and_then(|n| Some((n, self.ring.versions.get(&n)?)));
        let Some((number, version)) = primary else {
            return Err(self.refuse(RefusedKind::Illegal, "the ring has no primary", "Wait"));
        };
        let State::Primary { predecessor: Some(former), .. } = version.state else {
            return Err(self.refuse(
                RefusedKind::Illegal,
                format!("{number} has no predecessor to go back to"),
                "Rotate forward instead",
            ));
        };
        let confirmed_since = version.accepted_since;
        let Some(target) = self.ring.versions.get(&former) else {
            return Err(self.no_such_version(former));
        };
        // Whoever confirmed the present primary held the former one too, if it was there already.
        let still_held =
            target.accepted_since.is_some() && target.accepted_since <= confirmed_since;
        match &target.state {
            State::Retiring { .. } if still_held => self.flip(number, former),
            State::Retiring { .. } | State::Retired { .. } => {
                if self.guards.has(Guard::RollbackConfirms) {
                    self.republish(former, &by);
                } else {
                    self.flip(number, former);
                }
            }
            State::Compromised { .. } if !self.guards.has(Guard::CompromisedTarget) => {
                self.flip(number, former);
            }
            other => {
                return Err(self.refuse(
                    RefusedKind::Illegal,
                    format!("its predecessor {former} is {}", other.name()),
                    "Rotate forward instead; a compromised or destroyed version never comes back",
                ));
            }
        }
        self.notify(Notice::RolledBack { version: number, to: Some(former), by });
        Ok(())
    }

    fn flip(&mut self, from: VersionNumber, to: VersionNumber) {
        self.make_primary(to, None, "rollback".into());
        if !self.guards.has(Guard::WithdrawnAccepted) {
            self.put(from, State::Retired { since: self.now, dropped: None });
        }
        let cause = Cause::Operator { by: "rollback".into(), reason: None };
        self.begin(to, Stage::Promote, cause, Direction::Back);
    }

    /// Lets a former version be confirmed once more. One that nobody accepts any more waits for
    /// room in the accepted set first, like a new one.
    fn republish(&mut self, target: VersionNumber, by: &Attribution) {
        let cause = Cause::Operator { by: by.who.clone(), reason: Some(by.reason.clone()) };
        let state = self.ring.versions.get(&target).map(|version| &version.state);
        if matches!(state, Some(State::Retired { .. })) {
            self.begin(target, Stage::Stage, cause, Direction::Back);
        } else {
            self.put(target, State::Published { since: self.now, served: None });
            self.begin(target, Stage::Publish, cause, Direction::Back);
        }
    }

    /// Reports a stage that takes too long, once, and does what the policy says.
    fn stall(&mut self, path: &Path, gates: &[Gate]) {
        let failed = gates.iter().find_map(|gate| match &gate.status {
            GateStatus::Failed { why } => Some((gate.name.clone(), why.clone())),
            _ => None,
        });
        // A gate that time alone will open is slow, not stalled.
        let stuck = gates.iter().any(|gate| {
            matches!(
                gate.status,
                GateStatus::Waiting { until: None, .. } | GateStatus::Failed { .. }
            )
        });
        let late = self.now.cluster.since(path.since.cluster) >= self.ring.policy.stall_after;
        // What a scan found stood there before the rotation began. Were the policy to take that
        // back at once, the schedule would begin it again at once.
        let at_once = failed.as_ref().is_some_and(|(gate, _)| gate != FINDINGS);
        if path.stalled.is_some() || !stuck || !(late || at_once) {
            return;
        }
        if let Some(path) = &mut self.ring.path {
            path.stalled = Some(self.now);
        }
        if let Some((gate, why)) = failed {
            self.notify(Notice::Failed { version: path.target, gate, why });
        }
        self.notify_stalled(path.target, path.stage.name(), gates);
        let back = self.ring.policy.on_stall == crate::policy::OnStall::Rollback;
        if back && path.direction == Direction::Forward && path.stage != Stage::Stage {
            let by = Attribution {
                who: "policy".into(),
                reason: format!("stage {} stalled", path.stage.name()),
            };
            // A stalled rotation that has no way back keeps waiting; people were told above.
            let _refused = self.rollback(by);
        }
    }

    /// Says which gates keep a stage, and who is missing there.
    pub(super) fn notify_stalled(
        &mut self,
        version: VersionNumber,
        stage: &'static str,
        gates: &[Gate],
    ) {
        let closed = || gates.iter().filter(|gate| !gate.passes());
        let missing = closed().flat_map(Gate::missing).cloned().collect();
        let gates = closed().map(|gate| gate.name.clone()).collect();
        self.notify(Notice::Stalled { version, stage: stage.into(), missing, gates });
    }

    /// Leaves a mark for each gate that a stage passed by a waiver, and for each instance that was
    /// excused at one.
    pub(super) fn mark_waived(&mut self, version: VersionNumber, law: Law, gates: &[Gate]) {
        let now = self.now.cluster;
        let excused = self.ring.waivers.iter().filter(|waiver| {
            waiver.instance.is_some()
                && waiver.version == version
                && now < waiver.until
                && gates.iter().any(|gate| gate.name == waiver.gate.as_str())
        });
        let mut marks: Vec<_> = excused.map(|waiver| waiver.by.clone()).collect();
        marks.extend(gates.iter().filter_map(|gate| match &gate.status {
            GateStatus::Waived { by, .. } => Some(by.clone()),
            _ => None,
        }));
        for by in marks {
            self.bend(law, version, Exception::Waiver, by);
        }
    }

    pub(super) fn bend(
        &mut self,
        law: Law,
        version: VersionNumber,
        exception: Exception,
        by: Attribution,
    ) {
        if self.ring.bent.len() >= BENT_MAX {
            self.ring.bent.remove(0);
        }
        self.ring.bent.push(Bent { law, version, exception, by, at: self.now });
    }
}
