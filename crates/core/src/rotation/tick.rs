//! What time and reports move: the forward path, the tails, the triggers, and the record of an
//! exposure.

use super::{Effect, Notice, Work};
use crate::gate::{Gate, GateStatus, Scene};
use crate::guard::Guards;
use crate::policy::OnStall;
use crate::ring::{Attribution, Exposure, Refusal, Ring, State};
use crate::schedule::{Cause, Usage};
use crate::time::{ClusterTime, Now, WallTime};
use crate::view::View;

impl Work {
    pub(super) fn tick(&mut self, view: &View) {
        if self.ring.deleted.is_some() {
            return;
        }
        self.follow_compromised(view);
        if self.ring.paused.is_some() {
            return;
        }
        self.unpin_silence(view);
        self.ring.waivers.retain(|waiver| self.now.cluster < waiver.until);
        self.advance(view);
        self.advance_tails(view);
        self.watch(view);
        self.trigger(view);
    }

    /// Follows a primary for a while after its path is over, because its tokens arrive only then.
    /// What goes wrong is told once, and taken back by the policy.
    fn watch(&mut self, view: &View) {
        let Some((number, gate)) = self.scene(view).watch() else { return };
        let GateStatus::Failed { why } = gate.status else { return };
        let told = self.ring.versions.get_mut(&number).map(|version| &mut version.stalled);
        let Some(told @ None) = told else { return };
        *told = Some(self.now);
        self.notify(Notice::Failed { version: number, gate: gate.name, why });
        if self.ring.policy.on_stall == OnStall::Rollback {
            let by = Attribution {
                who: "policy".into(),
                reason: format!("{number} is refused after its promotion"),
            };
            // Without a way back it stays as it is; people were told above.
            let _refused = self.rollback(by);
        }
    }

    /// A shortened `offline_max` counts from when every client that still counts knows it.
    fn unpin_silence(&mut self, view: &View) {
        let Some(pin) = self.ring.silence_pin else { return };
        let all_know = self
            .scene(view)
            .expected()
            .all(|instance| instance.held.is_some_and(|held| held.revision >= pin.since));
        if all_know && self.now.cluster >= view.settled_at {
            self.ring.silence_pin = None;
        }
    }

    fn trigger(&mut self, view: &View) {
        if self.ring.path.is_some() {
            return;
        }
        let Some(usage) = usage(&self.ring, view) else { return };
        let wanted = self.ring.wanted.clone();
        let due = wanted.or_else(|| self.ring.policy.triggers.due(&usage, self.now.wall));
        let cause = due.or_else(|| weak(&self.ring, self.now.wall));
        if let Some(cause) = cause {
            self.effects.push(Effect::Rotate { cause });
        }
        self.report_overdue(&usage);
    }

    /// A rotation that should have begun a whole `stall_after` ago is told once.
    fn report_overdue(&mut self, usage: &Usage) {
        if self.ring.policy.triggers.is_quiet(self.now.wall) {
            return;
        }
        let Some((moment, cause)) = self.ring.policy.triggers.scheduled(usage) else { return };
        let late = moment.after(self.ring.policy.stall_after);
        if self.now.wall >= late && self.ring.overdue_reported != Some(moment) {
            self.ring.overdue_reported = Some(moment);
            self.notify(Notice::Overdue { cause });
        }
    }

    /// Follows each compromised version: when it is refused, and what each consumer did with it.
    fn follow_compromised(&mut self, view: &View) {
        let numbers: Vec<_> = self.ring.versions.keys().copied().collect();
        for number in numbers {
            let Some(version) = self.ring.versions.get(&number).cloned() else { continue };
            let is_readable = version.is_accepted(&self.ring.policy);
            let State::Compromised { since, by, refusal, mut exposure } = version.state else {
                continue;
            };
            if let Refusal::Pending { no_later_than } = refusal {
                let switched = self.scene(view).protectors(version.revision, number).passes();
                if switched || self.now.cluster >= no_later_than {
                    let refusal = Refusal::Since { at: self.now };
                    self.put(number, State::Compromised { since, by, refusal, exposure });
                    if !self.ring.policy.kind.is_encryption() {
                        self.notify(Notice::Refused { version: number });
                    }
                }
                continue;
            }
            for name in self.ring.policy.consumers.keys() {
                let entry: &mut Exposure = exposure.entry(name.clone()).or_default();
                let own = view.instances.iter().filter(|one| one.consumer == *name);
                let used = own.clone().filter_map(|one| one.counts.get(&number)?.last_processed);
                entry.last_accepted = entry.last_accepted.max(used.map(|moment| moment.wall).max());
                let refuses = own
                    .filter(|one| {
                        one.standing(&self.ring, self.now.cluster) != crate::view::Standing::Gone
                    })
                    .all(|one| one.held.is_some_and(|held| held.revision >= version.revision));
                if refuses && !is_readable && self.now.cluster >= view.settled_at {
                    entry.refused_since.get_or_insert(self.now.wall);
                }
            }
            self.note(number, State::Compromised { since, by, refusal, exposure });
            if is_readable {
                self.follow_move(number, view);
            }
        }
    }
}

/// What the triggers look at, or nothing while there is no primary.
pub(super) fn usage(ring: &Ring, view: &View) -> Option<Usage> {
    let number = ring.primary()?;
    let version = ring.versions.get(&number)?;
    let seed = ring.incarnation.0.bytes().fold(u64::from(number.0), |seed, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    Some(Usage {
        promoted: version.state.since().wall,
        uses: view.uses,
        last_use: view.last_use,
        seed,
    })
}

/// A weak imported primary is replaced first, wherever the ring rotates by itself at all.
fn weak(ring: &Ring, now: WallTime) -> Option<Cause> {
    let quiet = ring.policy.triggers.is_quiet(now);
    (is_weak(ring) && !quiet).then_some(Cause::WeakImport)
}

fn is_weak(ring: &Ring) -> bool {
    let triggers = &ring.policy.triggers;
    let automatic = triggers.rotate_every.is_some() || triggers.cron.is_some();
    let primary = ring.primary().and_then(|number| ring.versions.get(&number));
    automatic && primary.is_some_and(|version| !version.weaknesses().is_empty())
}

/// When the engine should look at a ring again, were nothing to be reported before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// At this moment of the cluster's clock.
    pub cluster: Option<ClusterTime>,
    /// At this moment of the wall clock.
    pub wall: Option<WallTime>,
    /// Soon: it waits for instances, whose silence has an end too.
    pub soon: bool,
}

/// Computes when time alone may next move a ring.
pub fn wake(ring: &Ring, view: &View, now: Now) -> Wake {
    let mut wake = Wake::default();
    if ring.deleted.is_some() {
        return wake;
    }
    let mut earliest = |moment: ClusterTime| {
        wake.cluster = Some(wake.cluster.map_or(moment, |known| known.min(moment)));
    };
    let mut soon = false;
    let scene = Scene { ring, view, now, guards: Guards::ALL };
    let path = ring.path.iter().map(|path| scene.path_gates(path));
    let tails = ring.versions.iter().map(|(number, version)| scene.tail_gates(*number, version));
    for gates in path.chain(tails) {
        for gate in &gates {
            match &gate.status {
                GateStatus::Waiting { until: Some(moment), .. } => earliest(*moment),
                GateStatus::Waiting { missing, .. } => soon |= !missing.is_empty(),
                GateStatus::Waived { until, .. } => earliest(*until),
                GateStatus::Open { .. } | GateStatus::Failed { .. } => {}
            }
        }
        soon |= !gates.is_empty() && gates.iter().all(Gate::passes);
    }
    for waiver in &ring.waivers {
        earliest(waiver.until);
    }
    if let Some(path) = &ring.path {
        if path.stalled.is_none() {
            earliest(path.since.cluster.after(ring.policy.stall_after));
        }
        soon = true;
    }
    for version in ring.versions.values() {
        match &version.state {
            State::Compromised { refusal: Refusal::Pending { no_later_than }, .. } => {
                earliest(*no_later_than);
                soon = true;
            }
            // While it is read it waits for what its gates say, and nobody refuses it yet.
            State::Compromised { .. } if version.is_accepted(&ring.policy) => {}
            State::Compromised { exposure, .. } => {
                soon |= exposure.len() < ring.policy.consumers.len()
                    || exposure.values().any(|one| one.refused_since.is_none());
            }
            _ => {}
        }
    }
    wake.soon = soon || ring.silence_pin.is_some() || ring.wanted.is_some();
    if ring.paused.is_none() && ring.path.is_none() {
        wake.wall = usage(ring, view).and_then(|usage| {
            let triggers = &ring.policy.triggers;
            let weak = is_weak(ring).then(|| triggers.not_quiet(now.wall));
            weak.into_iter().chain(triggers.wake(&usage, now.wall)).min()
        });
    }
    wake
}
