//! What people and other programs ask for, apart from rotations and emergencies.

use super::{Effect, Notice, Refused, RefusedKind, Work};
use crate::gate::{BUILT_IN, EvidenceLevel, EvidenceRecord, Gate, REENCRYPTION, Verdict};
use crate::guard::Guard;
use crate::id::{GateName, Incarnation, InstanceId, VersionNumber};
use crate::policy::Policy;
use crate::ring::{
    Attribution, Direction, Exception, Law, Paused, SilencePin, Stage, State, Version, Waiver,
};
use crate::schedule::Cause;
use crate::time::Span;
use crate::view::{Instance, Standing, View};

impl Work {
    pub(super) fn approve(&mut self, by: Attribution) -> Result<(), Refused> {
        let waiting = self.ring.path.as_mut().filter(|path| path.stage != Stage::Promote);
        let Some(path) = waiting else {
            return Err(self.refuse(
                RefusedKind::Illegal,
                "no promotion waits for approval",
                "Begin a rotation with `rotate`",
            ));
        };
        if path.approved.is_none() {
            path.approved = Some(by.clone());
            let version = path.target;
            self.notify(Notice::Approved { version, by });
        }
        Ok(())
    }

    pub(super) fn pause(&mut self, by: Attribution) -> Result<(), Refused> {
        if self.ring.paused.is_some() {
            return Err(self.refuse(RefusedKind::Illegal, "the ring is paused already", "Nothing"));
        }
        self.ring.paused = Some(Paused { since: self.now, by: by.clone() });
        self.notify(Notice::Paused { by });
        Ok(())
    }

    pub(super) fn resume(&mut self) -> Result<(), Refused> {
        if self.ring.paused.take().is_none() {
            return Err(self.refuse(RefusedKind::Illegal, "the ring is not paused", "Nothing"));
        }
        // Time spent paused is not the stage's fault.
        let now = self.now;
        if let Some(path) = &mut self.ring.path {
            path.since = now;
        }
        self.notify(Notice::Resumed);
        Ok(())
    }

    pub(super) fn event(&mut self, name: String) -> Result<(), Refused> {
        let known = &self.ring.policy.triggers.on_event;
        if !known.contains(&name) {
            let list: Vec<_> = known.iter().map(String::as_str).collect();
            let shown: String = name.chars().take(64).collect();
            return Err(self.refuse(
                RefusedKind::Invalid,
                format!("the policy has no event `{shown}`"),
                if list.is_empty() {
                    "Name it in on_event first".into()
                } else {
                    format!("Its events are {}", list.join(", "))
                },
            ));
        }
        self.ring.wanted.get_or_insert(Cause::Event { name });
        Ok(())
    }

    pub(super) fn evidence(
        &mut self,
        gate: GateName,
        version: Option<VersionNumber>,
        verdict: Verdict,
        level: EvidenceLevel,
        by: String,
    ) -> Result<(), Refused> {
        if gate.as_str() == REENCRYPTION {
            self.check_uncounted()?;
        } else if BUILT_IN.contains(&gate.as_str()) {
            return Err(self.refuse(
                RefusedKind::Invalid,
                format!("`{gate}` is a gate that keywheel judges by itself"),
                "Report to a gate of your own, such as `probes` or `findings`",
            ));
        }
        let target = version.or_else(|| self.ring.path.as_ref().map(|path| path.target));
        let Some(version) = target else {
            return Err(self.refuse(
                RefusedKind::Illegal,
                "no rotation is under way that this could be evidence for",
                "Name the version, or report during the stage `confirm`",
            ));
        };
        if !self.ring.versions.contains_key(&version) {
            return Err(self.no_such_version(version));
        }
        let record = EvidenceRecord {
            gate,
            version,
            verdict,
            level,
            by,
            at: self.now,
            revision: self.ring.revision,
        };
        self.ring
            .evidence
            .retain(|known| known.gate != record.gate || known.version != record.version);
        self.ring.evidence.push(record.clone());
        self.notify(Notice::Evidence { record });
        Ok(())
    }

    pub(super) fn waive(
        &mut self,
        gate: GateName,
        version: Option<VersionNumber>,
        instance: Option<InstanceId>,
        by: Attribution,
        lasts: Span,
        view: &View,
    ) -> Result<(), Refused> {
        let closed = self.closed_gates(view);
        let found = closed
            .iter()
            .find(|(number, name)| {
                *name == gate.as_str() && version.is_none_or(|version| version == *number)
            })
            .map(|(number, _)| *number);
        let Some(version) = found else {
            let names: Vec<_> = closed.iter().map(|(_, name)| name.as_str()).collect();
            return Err(self.refuse(
                RefusedKind::Illegal,
                format!("no closed gate `{gate}` stands before this ring now"),
                if names.is_empty() {
                    "Nothing is closed".into()
                } else {
                    format!("Closed now: {}", names.join(", "))
                },
            ));
        };
        let until = self.now.cluster.after(lasts);
        self.ring.waivers.push(Waiver {
            gate: gate.clone(),
            version,
            instance,
            by: by.clone(),
            until,
        });
        self.notify(Notice::Waived { gate, version, by });
        Ok(())
    }

    fn closed_gates(&self, view: &View) -> Vec<(VersionNumber, String)> {
        let scene = self.scene(view);
        let path = self.ring.path.iter().map(|path| (path.target, scene.path_gates(path)));
        let tails = self
            .ring
            .versions
            .iter()
            .map(|(number, version)| (*number, scene.tail_gates(*number, version)));
        let watched = scene.watch().map(|(number, gate)| (number, vec![gate]));
        path.chain(watched)
            .chain(tails)
            .flat_map(|(number, gates)| {
                gates
                    .into_iter()
                    .filter(|gate| !Gate::passes(gate))
                    .map(move |gate| (number, gate.name))
            })
            .collect()
    }

    /// Ends an instance that cannot say goodbye. One that is heard runs, whatever a person thinks;
    /// one that is silent may run as well, so this leaves its mark also when no gate waits.
    pub(super) fn end_instance(
        &mut self,
        instance: &InstanceId,
        by: Attribution,
        view: &View,
    ) -> Result<(), Refused> {
        let Some(known) = view.instances.iter().find(|known| known.id == *instance) else {
            return Err(self.refuse(
                RefusedKind::NotFound,
                format!("there is no instance {instance} in this ring"),
                "Give its id; `keywheel status` lists them",
            ));
        };
        if known.ended {
            return Ok(());
        }
        if known.standing(&self.ring, self.now.cluster) == Standing::Live {
            let lease = self.ring.policy.lease_ttl;
            return Err(self.refuse(
                RefusedKind::Illegal,
                format!("instance {instance} is live: it was heard within the last {lease}"),
                "Stop it first; it can be ended when it has been silent for longer than that",
            ));
        }
        let target = self.ring.path.as_ref().map(|path| path.target);
        let version = target.or_else(|| self.ring.primary()).unwrap_or(VersionNumber(0));
        self.bend(Law::AcceptBeforeUse, version, Exception::EndedInstance, by.clone());
        self.effects.push(Effect::EndInstance { instance: instance.clone() });
        let consumer = known.consumer.clone();
        self.notify(Notice::InstanceEnded { instance: instance.clone(), consumer, by });
        Ok(())
    }

    pub(super) fn edit(
        &mut self,
        policy: Policy,
        removing: Option<Attribution>,
        view: &View,
    ) -> Result<(), Refused> {
        let same_family = std::mem::discriminant(&policy.kind)
            == std::mem::discriminant(&self.ring.policy.kind)
            && policy.kind.is_symmetric() == self.ring.policy.kind.is_symmetric();
        if !same_family {
            return Err(self.refuse(
                RefusedKind::Invalid,
                "a ring cannot become one of another kind",
                "Create a second ring, move its consumers, then delete this one",
            ));
        }
        self.check_removed(&policy, removing, view)?;
        if policy == self.ring.policy {
            return Ok(());
        }
        let silence = self.ring.silence();
        if policy.offline_max.plus(policy.skew) < silence {
            self.ring.silence_pin = Some(SilencePin { silence, since: self.ring.revision });
        }
        let promises = policy.promises();
        let former = std::mem::replace(&mut self.ring.policy, policy);
        self.settle_columns(&former.columns);
        for version in self.ring.versions.values_mut() {
            if matches!(version.state, State::Primary { .. }) {
                version.promises = version.promises.widen(promises);
            }
            // How far clocks are apart and how old copies may be is a fact about consumers, not a
            // promise about new work, so it holds for what older versions protected too.
            version.promises.skew = version.promises.skew.max(promises.skew);
            version.promises.cache = version.promises.cache.max(promises.cache);
        }
        self.notify(Notice::Edited);
        Ok(())
    }

    /// A consumer with processes that may still run is not forgotten in silence.
    fn check_removed(
        &mut self,
        policy: &Policy,
        removing: Option<Attribution>,
        view: &View,
    ) -> Result<(), Refused> {
        let running = view.instances.iter().find(|instance| {
            self.ring.policy.consumers.contains_key(&instance.consumer)
                && !policy.consumers.contains_key(&instance.consumer)
                && instance.standing(&self.ring, self.now.cluster) != Standing::Gone
        });
        let Some(running) = running else { return Ok(()) };
        let Some(by) = removing else {
            return Err(self.refuse(
                RefusedKind::GateClosed,
                format!(
                    "consumer {} still has instances, {} among them",
                    running.consumer, running.id
                ),
                "Stop them first, or remove it with the right `breakglass` and a reason",
            ));
        };
        let version = self.ring.primary().unwrap_or(VersionNumber(0));
        self.bend(Law::AcceptBeforeUse, version, Exception::RemovedConsumer, by);
        Ok(())
    }

    /// Begins a new life from a backup. Nothing that was said in the former life counts, and what
    /// was primary then must be confirmed again before anybody protects with it.
    pub(super) fn restore(&mut self, incarnation: Incarnation, by: Attribution) {
        // A ring that was restored before, and has no primary yet, was on the way to this one.
        let on_its_way = self.ring.path.as_ref().map(|path| path.target);
        let primary = self.ring.primary().or(on_its_way);
        let suspects = self.may_have_protected();
        self.ring.incarnation = incarnation;
        self.ring.created = self.now;
        self.ring.path = None;
        self.ring.wanted = None;
        self.ring.waivers.clear();
        self.ring.evidence.clear();
        self.ring.columns.clear();
        if let Some(pin) = &mut self.ring.silence_pin {
            pin.since = self.ring.revision;
        }
        let numbers: Vec<_> = self.ring.versions.keys().copied().collect();
        for number in numbers {
            if suspects.contains(&number) {
                self.hold_after_restore(number);
                continue;
            }
            let state = self.ring.versions.get(&number).map(|version| version.state.clone());
            match state {
                Some(State::Retired { .. }) => {
                    self.put(number, State::Retired { since: self.now, dropped: None });
                }
                Some(state) => self.put(number, state),
                None => {}
            }
        }
        if let Some(target) = primary {
            if self.guards.has(Guard::RestoreConfirms) {
                self.put(target, State::Published { since: self.now, served: None });
                let cause = Cause::Operator { by: by.who.clone(), reason: Some(by.reason.clone()) };
                self.begin(target, Stage::Publish, cause, Direction::Restore);
            }
            self.bend(Law::DestroyLast, target, Exception::Restore, by.clone());
        }
        self.notify(Notice::Restored { by });
    }

    /// Versions that may have been primary after the backup was taken, or may still be in use: what
    /// was on its way, what had been replaced, and what a rollback could have gone back to.
    fn may_have_protected(&self) -> Vec<VersionNumber> {
        let predecessor = self.ring.versions.values().find_map(|version| match version.state {
            State::Primary { predecessor, .. } => predecessor,
            _ => None,
        });
        let may = |(number, version): &(&VersionNumber, &Version)| match version.state {
            State::Staged { .. } | State::Published { .. } | State::Retiring { .. } => true,
            State::Retired { .. } => predecessor == Some(**number),
            _ => false,
        };
        self.ring.versions.iter().filter(may).map(|(number, _)| *number).collect()
    }

    /// Accepts a version for as long as what it may have protected in the lost part of the former
    /// life can live.
    fn hold_after_restore(&mut self, number: VersionNumber) {
        self.put(number, State::Retiring { since: self.now, last_switch: None });
        let (promises, now) = (self.ring.policy.promises(), self.now);
        if let Some(version) = self.ring.versions.get_mut(&number) {
            version.promises = version.promises.widen(promises);
            version.protected_since.get_or_insert(now);
        }
    }

    /// Why somebody whom nobody sees may still accept what the ring protected, and what to do then.
    fn may_be_needed(&self, view: &View) -> Option<(String, &'static str)> {
        let standing = |one: &Instance| one.standing(&self.ring, self.now.cluster);
        if let Some(lost) = view.instances.iter().find(|one| standing(one) == Standing::Lost) {
            let cause = format!("instance {} of {} is lost and may run", lost.id, lost.consumer);
            return Some((cause, "Wait until it is gone, or delete with lose_data and a reason"));
        }
        let restored = self.ring.path.as_ref().is_some_and(|p| p.direction == Direction::Restore);
        if restored && self.now.cluster < self.ring.created.cluster.after(self.ring.silence()) {
            let cause = "processes that the restored store does not know of may run";
            return Some((
                cause.into(),
                "Wait until they have come back or gone offline, or delete with lose_data",
            ));
        }
        if let Some(name) = self.ring.policy.passive.keys().next() {
            return Some((
                format!("passive consumer `{name}` cannot say whether it still accepts it"),
                "Take it out of the policy first, or delete with lose_data and a reason",
            ));
        }
        self.ring.policy.kind.is_encryption().then(|| {
            (
                "what this ring encrypted could never be read again".into(),
                "Decrypt it first or take the keys out with `eject`, then delete with lose_data",
            )
        })
    }

    /// Refused while anybody accepts it. Whoever may only be thought to needs the caller's word
    /// that what the ring protected may become unreadable.
    pub(super) fn delete(
        &mut self,
        by: Attribution,
        lose_data: bool,
        view: &View,
    ) -> Result<(), Refused> {
        let standing = |one: &Instance| one.standing(&self.ring, self.now.cluster);
        if let Some(live) = view.instances.iter().find(|one| standing(one) == Standing::Live) {
            return Err(self.refuse(
                RefusedKind::GateClosed,
                format!("instance {} of {} still accepts it", live.id, live.consumer),
                "Stop its consumers first",
            ));
        }
        if let Some((cause, remedy)) = self.may_be_needed(view) {
            if !lose_data {
                return Err(self.refuse(RefusedKind::GateClosed, cause, remedy));
            }
            for number in self.ring.accepted().map(|(number, _)| number).collect::<Vec<_>>() {
                self.bend(Law::StopUseBeforeAcceptance, number, Exception::Waiver, by.clone());
            }
        }
        let numbers: Vec<_> = self.ring.versions.keys().copied().collect();
        for number in numbers {
            if self.ring.versions.get(&number).is_some_and(crate::ring::Version::has_material) {
                self.put(number, State::Destroyed { since: self.now });
                self.effects.push(Effect::Erase { version: number });
            }
        }
        self.ring.path = None;
        self.ring.wanted = None;
        self.ring.deleted = Some(self.now);
        self.notify(Notice::Deleted { by });
        Ok(())
    }
}
