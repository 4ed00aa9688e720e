//! What people do to the ring. Every verb reads and commits at once; any server may carry it out.

use std::rc::Rc;

use keywheel_core::id::{GateName, Incarnation, Kid, VersionNumber};
use keywheel_core::kind::Kind;
use keywheel_core::policy::OnCompromise;
use keywheel_core::ring::{Attribution, Origin, State};
use keywheel_core::rotation::{Input, Minted};
use keywheel_core::schedule::Cause;

use super::action::Action;
use super::apply::Fault;
use super::flaw::Flaw;
use super::scenario::WITHIN;
use super::state::{Backup, KIDS, Presence, Server, World, bit, kid_number, ticks};

/// Who does it all.
pub(crate) fn operator() -> Attribution {
    Attribution { who: "operator".into(), reason: "the model check".into() }
}

/// The public half of a key of this world.
pub(crate) fn minted(kind: &Kind, number: u8) -> Minted {
    Minted {
        kid: Kid(format!("k{number}")),
        kind: kind.clone(),
        fingerprint: String::new(),
        origin: Origin::Generated,
        recovery_tested: true,
    }
}

impl World {
    pub(crate) fn operate(&mut self, action: Action) -> Result<bool, Fault> {
        match action {
            Action::Backup => return Ok(self.back_up()),
            Action::Restore => return self.restore(),
            _ => {}
        }
        if !self.spend(action) {
            return Ok(false);
        }
        let Some(next) = self.ask(&self.doc, action, || self.input(action))? else {
            return Ok(false);
        };
        self.replace(next);
        let newest = self.doc.versions.values().map(|version| kid_number(&version.kid)).max();
        self.minted = self.minted.max(newest.unwrap_or(0));
        Ok(true)
    }

    /// Takes an action from the budget; false when there is none left.
    fn spend(&mut self, action: Action) -> bool {
        let left = match action {
            Action::Rotate => &mut self.budget.rotate,
            Action::Rollback => &mut self.budget.rollback,
            Action::Pause => &mut self.budget.pause,
            Action::Compromise { .. } => &mut self.budget.compromise,
            Action::Suspend(_) => &mut self.budget.suspend,
            Action::Edit(_) => &mut self.budget.edit,
            Action::Waive { .. } => &mut self.budget.waive,
            // Each of these only ends what another one began.
            _ => return true,
        };
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }

    fn input(&self, action: Action) -> Option<Input> {
        let by = operator();
        let view = self.view();
        let fresh = || {
            let number = self.minted + 1;
            (usize::from(number) < KIDS).then(|| minted(&self.policy().kind, number))
        };
        Some(match action {
            Action::Rotate => {
                let cause = Cause::Operator { by: by.who, reason: None };
                Input::Rotate { cause, minted: fresh()? }
            }
            Action::Rollback => Input::Rollback { by },
            Action::Pause => Input::Pause { by },
            Action::Resume => Input::Resume,
            Action::Suspend(version) => Input::Suspend { version, by },
            Action::ResumeVersion(version) => Input::ResumeVersion { version },
            Action::Compromise { version, reject_first } => {
                let order = if reject_first {
                    OnCompromise::RejectFirst
                } else {
                    OnCompromise::SwitchFirst { within: ticks(WITHIN) }
                };
                Input::Compromise { version, by, order: Some(order), fresh: fresh()?, view }
            }
            Action::Edit(index) => {
                let policy = self.setup.policies.get(usize::from(index))?.clone();
                Input::Edit { policy: Box::new(policy), removing: Some(by), view }
            }
            Action::Waive { gate, node } => Input::Waive {
                gate: GateName::try_from(gate.to_owned()).ok()?,
                version: None,
                instance: node.and_then(|node| self.setup.ids.get(usize::from(node)).cloned()),
                by,
                lasts: ticks(WITHIN),
                view,
            },
            Action::Destroy(version) => Input::Destroy { version, view },
            _ => return None,
        })
    }

    fn back_up(&mut self) -> bool {
        if self.budget.restore == 0 || self.backup.is_some() {
            return false;
        }
        self.backup = Some(Rc::new(Backup {
            doc: self.doc.clone(),
            presence: self.presence.clone(),
            cluster: self.cluster,
        }));
        true
    }

    /// Stops every server, puts the backup in place of the store, and adopts it. Processes keep
    /// running with the keys of the former life.
    fn restore(&mut self) -> Result<bool, Fault> {
        let Some(backup) = self.backup.clone().filter(|_| self.budget.restore > 0) else {
            return Ok(false);
        };
        if backup.doc.revision == self.doc.revision {
            return Ok(false);
        }
        self.budget.restore -= 1;
        self.backup = None;
        self.cluster = backup.cluster;
        self.presence.clone_from(&backup.presence);
        let keeps = self.setup.rules.has(Flaw::IncarnationIgnored);
        for one in &mut self.presence {
            let held = one.held.filter(|_| keeps);
            *one = Presence { held, contact: 0, volatile: false, ..*one };
        }
        self.ring_lives += 1;
        let incarnation = Incarnation(format!("life{}", self.ring_lives));
        let input = || Some(Input::Restore { incarnation, by: operator() });
        let Some(next) = self.ask(&backup.doc, Action::Restore, input)? else {
            return Err("a restore changed nothing".into());
        };
        self.leader = None;
        for bent in &self.doc.bent {
            let version = self.doc.versions.get(&bent.version);
            self.pardoned |= version.map_or(0, |version| bit(kid_number(&version.kid)));
        }
        self.replace(next);
        let serves = self.current;
        for server in &mut self.servers {
            *server = Server { fence: 0, asleep: false, pending: None, mark: server.mark, serves };
        }
        Ok(true)
    }

    /// Every action that may be possible now; [`World::apply`] has the last word.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let mut all = vec![Action::Tick, Action::Time];
        self.server_actions(&mut all);
        self.node_actions(&mut all);
        self.operator_actions(&mut all);
        all
    }

    fn server_actions(&self, all: &mut Vec<Action>) {
        let budget = &self.budget;
        if self.leader.is_some() && budget.sleep > 0 {
            all.extend([Action::Sleep { decided: true }, Action::Sleep { decided: false }]);
        }
        if self.leader.is_some() && budget.crash > 0 {
            all.push(Action::Crash);
        }
        if budget.jump > 0 {
            all.extend([Action::Jump(4), Action::Jump(-4)]);
        }
        let mut free = self.leader.is_none();
        for (index, server) in (0u8..).zip(&self.servers) {
            if server.asleep {
                all.push(Action::Wake(index));
            } else if free {
                // Servers that stand by are alike, so one takeover is enough.
                all.push(Action::Takeover(index));
                free = false;
            }
            if self.setup.lagging_servers {
                all.push(Action::TakeUp(index));
                if self.passive.is_some() {
                    all.push(Action::Fetch(index));
                }
            }
        }
    }

    fn node_actions(&self, all: &mut Vec<Action>) {
        use super::state::Phase;
        let budget = &self.budget;
        for (node, state) in (0u8..).zip(&self.nodes) {
            if state.inbox.is_some() {
                all.push(Action::Deliver(node));
            }
            if state.outbox.is_some() {
                all.push(Action::DeliverReport(node));
            }
            if state.work.is_some() {
                all.push(Action::EndWork(node));
            }
            match (state.phase, state.cut) {
                (Phase::Absent, _) if budget.join > 0 => all.push(Action::Register(node)),
                (Phase::Joining, false) => {
                    for server in 0..3 {
                        all.push(Action::Load { node, server });
                    }
                }
                (Phase::Running, true) => all.push(Action::Heal(node)),
                (Phase::Running, false) => {
                    if self.has_news(usize::from(node)) {
                        all.push(Action::Sync { node, keep: false });
                    }
                    let budgeted = [
                        (budget.work, Action::Sync { node, keep: true }),
                        (budget.late, Action::Delay(node)),
                        (budget.late, Action::DelayReport(node)),
                        (budget.cut, Action::Cut(node)),
                        (budget.leave, Action::Goodbye(node)),
                    ];
                    let left = budgeted.into_iter().filter(|(left, _)| *left > 0);
                    all.extend(left.map(|(_, action)| action));
                }
                _ => {}
            }
        }
    }

    fn operator_actions(&self, all: &mut Vec<Action>) {
        let budget = &self.budget;
        let simple = [
            (budget.rotate, Action::Rotate),
            (budget.rollback, Action::Rollback),
            (budget.pause, Action::Pause),
            (budget.restore, Action::Backup),
            (budget.restore, Action::Restore),
        ];
        all.extend(simple.into_iter().filter(|(left, _)| *left > 0).map(|(_, action)| action));
        if self.doc.paused.is_some() {
            all.push(Action::Resume);
        }
        if budget.edit > 0 {
            all.extend((0u8..).zip(&self.setup.policies).map(|(index, _)| Action::Edit(index)));
        }
        if budget.waive > 0 {
            for gate in ["instances", "protectors", "expiry", "drop"] {
                all.push(Action::Waive { gate, node: None });
                let nodes = (0u8..).zip(&self.nodes);
                all.extend(nodes.map(|(node, _)| Action::Waive { gate, node: Some(node) }));
            }
        }
        for (number, version) in &self.doc.versions {
            self.version_actions(*number, &version.state, all);
        }
    }

    fn version_actions(&self, version: VersionNumber, state: &State, all: &mut Vec<Action>) {
        if self.budget.compromise > 0 {
            all.push(Action::Compromise { version, reject_first: true });
            all.push(Action::Compromise { version, reject_first: false });
        }
        if matches!(state, State::Suspended { .. }) {
            all.push(Action::ResumeVersion(version));
        } else if self.budget.suspend > 0 {
            all.push(Action::Suspend(version));
        }
        if self.policy().destroy_after.is_some() {
            all.push(Action::Destroy(version));
        }
    }
}
