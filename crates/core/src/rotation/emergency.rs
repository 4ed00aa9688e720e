//! What never waits: compromise; and its reversible little sister, suspension.

use std::collections::BTreeMap;

use super::{Minted, Notice, Refused, RefusedKind, Work};
use crate::gate::{Gate, REENCRYPTION};
use crate::guard::Guard;
use crate::id::VersionNumber;
use crate::policy::OnCompromise;
use crate::ring::{Attribution, Direction, Exception, Law, Refusal, Stage, State};
use crate::schedule::Cause;
use crate::view::View;

impl Work {
    pub(super) fn compromise(
        &mut self,
        number: VersionNumber,
        by: &Attribution,
        order: Option<OnCompromise>,
        fresh: Minted,
        view: &View,
    ) -> Result<(), Refused> {
        let Some(version) = self.ring.versions.get(&number).cloned() else {
            return Err(self.no_such_version(number));
        };
        match version.state {
            // Said twice is said once.
            State::Compromised { .. } => return Ok(()),
            State::Destroyed { .. } => {
                return Err(self.refuse(
                    RefusedKind::Illegal,
                    format!("{number} is destroyed already"),
                    "Nothing accepts it; revoke what it protected if that may still matter",
                ));
            }
            _ => {}
        }
        let was_primary = matches!(version.state, State::Primary { .. }) || self.restores(number);
        let was_accepted = version.is_accepted(&self.ring.policy);
        let successor = was_primary.then(|| self.successor(number, fresh, view));
        self.leave_path(number, successor.map(|(successor, _)| successor));
        if let Some((successor, converged)) = successor {
            self.make_primary(successor, None, "compromise".into());
            self.begin(successor, Stage::Promote, Cause::Compromise, Direction::Emergency);
            if !converged {
                let exception = Exception::Compromise;
                self.bend(Law::AcceptBeforeUse, successor, exception, by.clone());
            }
        }
        // A key that never sealed anything, or from which everything had moved before it retired.
        let nothing_needs_it = self.ring.policy.kind.is_encryption()
            && (!was_accepted || version.protected_since.is_none());
        let refusal = match order.unwrap_or(self.ring.policy.on_compromise) {
            OnCompromise::SwitchFirst { within } if was_accepted && !nothing_needs_it => {
                Refusal::Pending { no_later_than: self.now.cluster.after(within) }
            }
            _ if nothing_needs_it => Refusal::Moved { at: self.now },
            _ => Refusal::Since { at: self.now },
        };
        let state = State::Compromised {
            since: self.now,
            by: by.clone(),
            refusal,
            exposure: BTreeMap::new(),
        };
        self.put(number, state);
        if version.protected_since.is_some() {
            let exception = Exception::Compromise;
            self.bend(Law::StopUseBeforeAcceptance, number, exception, by.clone());
        }
        self.notify(Notice::Compromised {
            version: number,
            successor: successor.map(|(successor, _)| successor),
            by: by.clone(),
            urgent_reencryption: self.ring.policy.kind.is_encryption(),
        });
        Ok(())
    }

    /// Lets a compromised encryption key go: not before its protectors have switched and nothing
    /// that it sealed needs it, and then at once.
    pub(super) fn follow_move(&mut self, number: VersionNumber, view: &View) {
        let Some(version) = self.ring.versions.get(&number).cloned() else { return };
        let gates = self.scene(view).tail_gates(number, &version);
        if !gates.iter().all(Gate::passes) {
            self.stall_tail(number, &version, &gates);
            return;
        }
        let State::Compromised { since, by, exposure, .. } = version.state else { return };
        self.mark_waived(number, Law::StopUseBeforeAcceptance, &gates);
        if version.switched.is_none() {
            self.note_switch(number);
            // Nobody could have counted to the end before.
            self.ring
                .evidence
                .retain(|record| record.version != number || record.gate.as_str() != REENCRYPTION);
            return;
        }
        let refusal = Refusal::Moved { at: self.now };
        self.put(number, State::Compromised { since, by, refusal, exposure });
        self.notify(Notice::Refused { version: number });
    }

    /// Picks the best version to take the primary's place, and says whether every instance is
    /// known to process with it.
    fn successor(
        &mut self,
        bad: VersionNumber,
        fresh: Minted,
        view: &View,
    ) -> (VersionNumber, bool) {
        let standby = self.ring.path.as_ref().map(|path| path.target).filter(|target| {
            let state = self.ring.versions.get(target).map(|version| &version.state);
            *target != bad && matches!(state, Some(State::Published { .. }))
        });
        if let Some(standby) = standby {
            let revision = self.ring.versions.get(&standby).map(|version| version.revision);
            let gate = revision.map(|needed| self.scene(view).instances(needed, standby));
            if gate.as_ref().is_some_and(Gate::passes) {
                return (standby, true);
            }
        }
        let retiring = self.ring.versions.iter().rev().find(|(number, version)| {
            **number != bad && matches!(version.state, State::Retiring { .. })
        });
        if let Some((number, version)) = retiring {
            let number = *number;
            // One that was replaced is still held by everybody; one that was let back in after a
            // suspension may not be yet.
            let gate =
                version.accepted_since.map(|needed| self.scene(view).instances(needed, number));
            return (number, gate.as_ref().is_some_and(Gate::passes));
        }
        if let Some(standby) = standby {
            return (standby, false);
        }
        (self.add(fresh), false)
    }

    /// Whether a version is on its way to be the primary again after a restore. Until it is, there
    /// is no other.
    fn restores(&self, number: VersionNumber) -> bool {
        self.ring
            .path
            .as_ref()
            .is_some_and(|path| path.target == number && path.direction == Direction::Restore)
    }

    /// Ends a forward path that an emergency has overtaken.
    fn leave_path(&mut self, bad: VersionNumber, successor: Option<VersionNumber>) {
        let Some(path) = self.ring.path.clone() else { return };
        let overtaken = path.target == bad || successor.is_some();
        if !overtaken {
            return;
        }
        self.ring.path = None;
        let unused = path.target != bad && successor != Some(path.target);
        if unused && path.stage != Stage::Promote {
            self.withdraw(path.target);
        }
    }

    pub(super) fn suspend(
        &mut self,
        number: VersionNumber,
        by: Attribution,
    ) -> Result<(), Refused> {
        let Some(version) = self.ring.versions.get(&number).cloned() else {
            return Err(self.no_such_version(number));
        };
        match &version.state {
            State::Suspended { .. } => return Ok(()),
            State::Published { .. } if self.restores(number) => {
                return Err(self.refuse(
                    RefusedKind::Illegal,
                    format!("{number} is to be the primary of a restored ring"),
                    "Wait until it is, or leave it with `compromise`",
                ));
            }
            State::Published { .. } | State::Retiring { .. } | State::Retired { .. } => {}
            State::Primary { .. } => {
                return Err(self.refuse(
                    RefusedKind::Illegal,
                    format!("{number} is the primary; without it nothing can be protected"),
                    "Go back with `rollback`, or leave it with `compromise`",
                ));
            }
            other => {
                let cause = format!("{number} is {}", other.name());
                let remedy = "Only published, retiring and retired versions can be suspended";
                return Err(self.refuse(RefusedKind::Illegal, cause, remedy));
            }
        }
        self.leave_path(number, None);
        if matches!(version.state, State::Retiring { .. }) {
            let exception = Exception::Suspend;
            self.bend(Law::StopUseBeforeAcceptance, number, exception, by.clone());
        }
        self.put(number, State::Suspended { since: self.now, by: by.clone() });
        self.notify(Notice::Suspended { version: number, by });
        Ok(())
    }

    /// Lets a suspended version be accepted again. Its tail starts over: what its protectors did
    /// in between is not known.
    pub(super) fn resume_version(&mut self, number: VersionNumber) -> Result<(), Refused> {
        let Some(version) = self.ring.versions.get(&number).cloned() else {
            return Err(self.no_such_version(number));
        };
        if !matches!(version.state, State::Suspended { .. }) {
            return Err(self.refuse(
                RefusedKind::Illegal,
                format!("{number} is {}, not suspended", version.state.name()),
                "Only a suspended version can be resumed",
            ));
        }
        let used = version.protected_since.is_some();
        let grows = used && !version.is_accepted(&self.ring.policy);
        let full = self.ring.accepted().count() >= self.ring.policy.max_accepted;
        if grows && full && self.guards.has(Guard::Capacity) {
            return Err(self.refuse(
                RefusedKind::GateClosed,
                format!("{} versions are accepted already", self.ring.policy.max_accepted),
                "Wait until one of them has retired, or raise max_accepted",
            ));
        }
        let state = if used {
            State::Retiring { since: self.now, last_switch: None }
        } else {
            State::Retired { since: self.now, dropped: None }
        };
        self.put(number, state);
        self.notify(Notice::ResumedVersion { version: number });
        Ok(())
    }
}
