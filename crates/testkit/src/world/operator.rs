//! What people do: rotations and their way back, emergencies, policy edits, backups and restores;
//! and at the end, whatever it takes to bring each ring to rest.

use std::rc::Rc;
use std::sync::Arc;

use keywheel_core::gate::{EvidenceLevel, Verdict};
use keywheel_core::id::VersionNumber;
use keywheel_core::policy::OnCompromise;
use keywheel_core::ring::{Refusal, Ring, Stage, State};
use keywheel_core::time::Span;
use keywheel_engine::{Context, Engine, EngineError, Verb};

use super::scenario::{edited, without_triggers};
use super::simulation::{Body, Event, World};
use super::truth::Check;

/// The longest time that a world is given to come to rest, in milliseconds.
const REST_WITHIN: u64 = 180_000;

pub(crate) fn context() -> Context {
    Context { actor: "operator".into(), reason: Some("because".into()), ..Context::default() }
}

impl World {
    /// Creates every ring. The store works at this moment.
    pub(crate) fn create_rings(&mut self) -> Check {
        for ring in 0..self.policies.len() {
            let Some(spec) = self.spec(ring) else {
                return Err("the world's policy does not parse".into());
            };
            let Some(name) = self.truth.rings.get(ring).map(|one| one.name.clone()) else {
                continue;
            };
            self.with_leader("create", |engine| {
                engine.put_ring(&name, &spec, None, None, &context()).map(drop)
            })?
            .map_err(|error| format!("the world's ring cannot be: {error}"))?;
            self.check()?;
        }
        Ok(())
    }

    /// Asks one server after the other, because only the leader acts.
    pub(crate) fn with_leader(
        &mut self,
        what: &str,
        ask: impl Fn(&Engine) -> Result<(), EngineError>,
    ) -> Result<Result<(), EngineError>, String> {
        let first = self.random.index(self.servers.len());
        let mut last = Err(EngineError::NotLeader);
        for turn in 0..self.servers.len() {
            let server = (first + turn) % self.servers.len();
            if self.shared.is_paused(server).is_some() {
                continue;
            }
            let Some(engine) = self.shared.engine(server) else { continue };
            last = ask(&engine);
            match &last {
                Err(EngineError::NotLeader) => {}
                Err(error) => {
                    self.permitted(what, error)?;
                    return Ok(last);
                }
                Ok(()) => {
                    self.say(format_args!("operator: {what}"));
                    return Ok(last);
                }
            }
        }
        Ok(last)
    }

    fn ask(&mut self, ring: usize, what: &str, verb: &Verb) -> Check {
        let Some(name) = self.truth.rings.get(ring).map(|one| one.name.clone()) else {
            return Ok(());
        };
        let done =
            self.with_leader(what, |engine| engine.act(&name, verb, &context()).map(drop))?.is_ok();
        if done {
            self.shared.count(verb_name(verb));
        }
        Ok(())
    }

    /// Does something, and something else later.
    pub(crate) fn act(&mut self) -> Check {
        if self.is_calm {
            return Ok(());
        }
        let mean = self.scenario.act_every;
        let again = self.random.between(mean / 4, mean * 2);
        self.after(again, Event::Act);
        let ring = self.random.index(self.policies.len());
        let Some(doc) = self.truth.rings.get(ring).and_then(|one| one.doc.clone()) else {
            return Ok(());
        };
        match self.random.below(25) {
            0..=6 => self.ask(ring, "rotate", &Verb::Rotate { import: None }),
            7 | 8 => self.ask(ring, "rollback", &Verb::Rollback),
            9 => self.ask(ring, "pause", &Verb::Pause),
            10 => self.ask(ring, "resume", &Verb::Resume),
            11 => self.ask(ring, "event", &Verb::Event { name: "login".into() }),
            12 => self.edit(ring),
            13 => {
                self.back_up();
                Ok(())
            }
            14 => self.rewrap(),
            15 => self.ask(ring, "promote", &Verb::Promote),
            22 | 23 => self.revoke(ring),
            16..=18 if self.scenario.has_emergencies => self.emergency(ring, &doc),
            19 | 20 if self.scenario.has_emergencies => self.waive(ring, &doc),
            21 if self.scenario.has_restores => self.restore(),
            _ => self.nudge(ring, &doc),
        }
    }

    /// Gives a rotation what only people give: approval and evidence.
    fn nudge(&mut self, ring: usize, doc: &Ring) -> Check {
        let Some(path) = &doc.path else { return Ok(()) };
        if doc.policy.approval && path.approved.is_none() {
            self.ask(ring, "approve", &Verb::Approve)?;
        }
        for gate in &doc.policy.required_gates {
            let evidence = Verb::Evidence {
                gate: gate.clone(),
                version: None,
                verdict: Verdict::Pass,
                level: EvidenceLevel::Probed,
            };
            self.ask(ring, "evidence", &evidence)?;
        }
        Ok(())
    }

    fn edit(&mut self, ring: usize) -> Check {
        let Some(policy) = self.policies.get(ring).cloned() else { return Ok(()) };
        let next = edited(&policy, &mut self.random);
        self.put(ring, next)
    }

    fn put(&mut self, ring: usize, policy: serde_json::Value) -> Check {
        let Some(name) = self.truth.rings.get(ring).map(|one| one.name.clone()) else {
            return Ok(());
        };
        let Ok(spec) = serde_json::from_value(policy.clone()) else { return Ok(()) };
        let put = self.with_leader("edit", |engine| {
            engine.put_ring(&name, &spec, None, None, &context()).map(drop)
        })?;
        if put.is_ok() {
            self.shared.count("policy edited");
            if let Some(known) = self.policies.get_mut(ring) {
                *known = policy;
            }
        }
        Ok(())
    }

    pub(crate) fn back_up(&mut self) {
        self.backups.push(self.store.snapshot());
        if self.backups.len() > 3 {
            self.backups.remove(0);
        }
    }

    fn rewrap(&mut self) -> Check {
        self.kek.rotate();
        let server = self.random.index(self.servers.len());
        if let Some(engine) = self.shared.engine(server)
            && self.shared.is_paused(server).is_none()
        {
            self.shared.count("master key rotated");
            if let Err(error) = engine.rewrap_all() {
                self.permitted("rewrap", &error)?;
            }
        }
        Ok(())
    }

    fn emergency(&mut self, ring: usize, doc: &Ring) -> Check {
        let numbers: Vec<_> = doc.versions.keys().copied().collect();
        let Some(number) = self.random.pick(&numbers).copied() else { return Ok(()) };
        let suspended = doc
            .versions
            .iter()
            .find(|(_, version)| matches!(version.state, State::Suspended { .. }));
        let verb = match (self.random.below(3), suspended) {
            (0, Some((number, _))) => Verb::ResumeVersion(*number),
            (0 | 1, _) => Verb::Suspend(number),
            _ => {
                let number =
                    if self.random.chance(500) { doc.primary().unwrap_or(number) } else { number };
                let order = match self.random.below(3) {
                    0 => None,
                    1 => Some(OnCompromise::RejectFirst),
                    _ => Some(OnCompromise::SwitchFirst { within: Span::from_secs(3) }),
                };
                Verb::Compromise { version: number, order }
            }
        };
        self.ask(ring, "emergency", &verb)
    }

    fn waive(&mut self, ring: usize, doc: &Ring) -> Check {
        let gates = ["instances", "protectors", "drop", "expiry", "propagation"];
        let Some(gate) = self.random.pick(&gates).and_then(|gate| gate.parse().ok()) else {
            return Ok(());
        };
        let version = doc.path.as_ref().map(|path| path.target);
        let lasts = Span::from_secs(self.random.between(2, 10));
        self.ask(ring, "waive", &Verb::Waive { gate, version, instance: None, lasts })
    }

    /// Puts the store back to a backup, as `keywheel restore --adopt` does on one server; the
    /// others start with an empty memory outside the store.
    fn restore(&mut self) -> Check {
        if self.truth.rings.iter().any(|ring| ring.restored >= 2) {
            return Ok(());
        }
        let Some(backup) = self.random.pick(&self.backups).cloned() else { return Ok(()) };
        self.say(format_args!("operator: restores a backup"));
        self.shared.count("restore");
        for server in 0..self.servers.len() {
            let gracefully = self.random.chance(500);
            self.stop_server(server, gracefully);
        }
        self.shared.heal();
        self.store.restore(&backup);
        self.shared.forget_fences();
        self.truth.forget();
        self.backups = vec![backup];
        for server in 1..self.servers.len() {
            self.forget_marks(server);
            let back = self.random.between(2_500, 8_000);
            self.after(back, Event::Start { server });
        }
        let Some(parts) = self.parts(0) else { return Ok(()) };
        let fail = |error: &EngineError| format!("invariant_restore_is_adopted: {error}");
        let engine = Engine::open_set_back(parts).map_err(|error| fail(&error))?;
        engine.drive();
        // The lease in the backup may be somebody else's, and must end first.
        self.shared.pass_until(self.now().saturating_add(2_500));
        engine.drive();
        engine.adopt(&context()).map_err(|error| fail(&error))?;
        self.adopt_engine(0, engine);
        Ok(())
    }

    /// A process ends in order: no work is cut off, and it says goodbye.
    pub(crate) fn say_goodbye(&mut self, number: usize) -> Option<usize> {
        let now = self.now();
        let process = self.processes.get_mut(number)?;
        let farewell = process.farewell_reports(now);
        let server = process.server;
        let service = self.end_process(number);
        if let Some((instance, reports)) = farewell
            && !self.is_blocked(number, server)
        {
            let body =
                Body::Report { indices: Rc::new(Vec::new()), instance, reports, goodbye: true };
            self.after(5, Event::Request { server, process: number, call: 0, body });
        }
        service
    }

    /// Faults stop, everybody is there, and time passes: every ring comes to rest, and turns once
    /// more.
    pub(crate) fn come_to_rest(&mut self) -> Check {
        self.heal();
        self.run_for(8_000)?;
        for ring in 0..self.policies.len() {
            self.settle(ring)?;
        }
        self.liveness_every_ring_rests("after the faults")?;
        for ring in 0..self.policies.len() {
            self.liveness_ring_turns(ring)?;
        }
        self.liveness_every_ring_rests("after one more rotation")?;
        self.liveness_everybody_learns_what_is_revoked()?;
        if self.scenario.ends_in_deletion { self.liveness_ring_can_be_deleted() } else { Ok(()) }
    }

    /// Every process leaves, and then every ring can go, with all of its keys.
    fn liveness_ring_can_be_deleted(&mut self) -> Check {
        for number in self.running() {
            self.say_goodbye(number);
        }
        let end = self.now().saturating_add(REST_WITHIN);
        for ring in 0..self.policies.len() {
            loop {
                self.run_for(1_000)?;
                let known = self.truth.rings.get(ring);
                let Some(doc) = known.and_then(|one| one.doc.as_ref()) else { break };
                if doc.deleted.is_some() {
                    if known.is_some_and(|one| !one.material.is_empty()) {
                        return Err("liveness_ring_can_be_deleted: keys are left over".into());
                    }
                    break;
                }
                if self.now() > end {
                    return Err("liveness_ring_can_be_deleted: it is still there".into());
                }
                // A passive consumer never says that it has let go.
                let lose_data = !doc.policy.passive.is_empty();
                self.ask(ring, "delete", &Verb::Delete { lose_data })?;
            }
        }
        Ok(())
    }

    fn heal(&mut self) {
        self.say(format_args!("all faults end"));
        self.is_calm = true;
        self.shared.heal();
        self.blocked.clear();
        self.network_bad_until = 0;
        for server in 0..self.servers.len() {
            if let Some(one) = self.servers.get(server) {
                one.clock.repair();
            }
            self.after(1, Event::Start { server });
        }
        for process in &mut self.processes {
            process.paused_until = 0;
        }
        for number in self.running() {
            self.step_soon(number, 1);
        }
        for service in 0..self.scenario.services.len() {
            let name = self.scenario.services.get(service).map_or("", |one| one.name);
            if self.running_of(name).is_empty() {
                self.join(service);
            }
        }
    }

    /// Takes back what an operator would have to take back: a pause, a suspension, triggers.
    fn settle(&mut self, ring: usize) -> Check {
        if let Some(policy) = self.policies.get(ring).cloned() {
            self.put(ring, without_triggers(&policy))?;
        }
        let doc = self.truth.rings.get(ring).and_then(|one| one.doc.clone());
        if doc.is_some_and(|doc| doc.paused.is_some()) {
            self.ask(ring, "resume", &Verb::Resume)?;
        }
        Ok(())
    }

    fn liveness_every_ring_rests(&mut self, when: &str) -> Check {
        let end = self.now().saturating_add(REST_WITHIN);
        loop {
            self.run_for(1_000)?;
            let mut busy = None;
            for ring in 0..self.policies.len() {
                let Some(doc) = self.truth.rings.get(ring).and_then(|one| one.doc.clone()) else {
                    continue;
                };
                if let Some(why) = unrest(&doc) {
                    busy = Some((ring, why));
                    self.nudge(ring, &doc)?;
                    self.give_room(ring, &doc)?;
                }
            }
            let Some((ring, why)) = busy else { return Ok(()) };
            if self.now() > end {
                let gates = self.closed_gates(ring);
                return Err(format!("liveness_every_ring_rests: {when}: {why}; {gates}"));
            }
        }
    }

    /// A version that was suspended for good takes up no room, but one that failed its gates does.
    fn give_room(&mut self, ring: usize, doc: &Ring) -> Check {
        if doc.paused.is_some() {
            return self.ask(ring, "resume", &Verb::Resume);
        }
        Ok(())
    }

    fn liveness_ring_turns(&mut self, ring: usize) -> Check {
        let number =
            |world: &Self| world.truth.rings.get(ring).and_then(|one| one.doc.as_ref()?.primary());
        let before = number(self);
        let end = self.now().saturating_add(REST_WITHIN);
        let newest = |world: &Self| {
            let doc = world.truth.rings.get(ring).and_then(|one| one.doc.as_ref());
            doc.and_then(|doc| doc.versions.keys().next_back().copied())
        };
        let newest_before = newest(self);
        while newest(self) == newest_before {
            self.ask(ring, "rotate", &Verb::Rotate { import: None })?;
            self.run_for(500)?;
            if self.now() > end {
                return Err("liveness_ring_turns: no rotation can begin".into());
            }
        }
        let target: Option<VersionNumber> = newest(self);
        loop {
            self.run_for(500)?;
            let Some(doc) = self.truth.rings.get(ring).and_then(|one| one.doc.clone()) else {
                return Ok(());
            };
            if doc.primary() == target && doc.path.is_none() {
                return Ok(());
            }
            self.nudge(ring, &doc)?;
            if self.now() > end {
                let stage = doc.path.as_ref().map(|path| path.stage);
                let gates = self.closed_gates(ring);
                return Err(format!(
                    "liveness_ring_turns: from {before:?} to {target:?} it stands at {stage:?}; {gates}"
                ));
            }
        }
    }

    fn closed_gates(&mut self, ring: usize) -> String {
        let Some(name) = self.truth.rings.get(ring).map(|one| one.name.clone()) else {
            return String::new();
        };
        let engine: Option<Arc<Engine>> =
            (0..self.servers.len()).find_map(|server| self.shared.engine(server));
        let snapshot = engine.and_then(|engine| engine.snapshot(&name).ok());
        snapshot.map_or_else(String::new, |snapshot| format!("{:?}", snapshot.gates))
    }
}

/// Why a ring is not at rest, if it is not.
fn unrest(doc: &Ring) -> Option<String> {
    if doc.deleted.is_some() {
        return None;
    }
    if doc.paused.is_some() {
        return Some(format!("{} is paused", doc.name));
    }
    if let Some(path) = &doc.path {
        let stage: Stage = path.stage;
        return Some(format!("{} of {} is at {}", path.target, doc.name, stage.name()));
    }
    doc.versions.iter().find_map(|(number, version)| {
        let moving = match &version.state {
            State::Retiring { .. } | State::Retired { dropped: None, .. } => true,
            State::Compromised { refusal, .. } => matches!(refusal, Refusal::Pending { .. }),
            _ => false,
        };
        moving.then(|| format!("{number} of {} is {}", doc.name, version.state.name()))
    })
}

const fn verb_name(verb: &Verb) -> &'static str {
    match verb {
        Verb::Rotate { .. } => "rotate asked",
        Verb::Rollback => "rollback asked",
        Verb::Pause => "ring paused",
        Verb::Resume => "ring resumed",
        Verb::Suspend(_) => "version suspended",
        Verb::ResumeVersion(_) => "version resumed",
        Verb::Compromise { .. } => "compromise declared",
        Verb::Waive { .. } => "gate waived",
        Verb::Event { .. } => "event reported",
        Verb::Promote => "promotion asked",
        Verb::Approve => "promotion approved",
        Verb::Delete { .. } => "ring deleted",
        _ => "other act",
    }
}
