//! The gates: what each stage waits for, computed from the ring and what was seen of the world.
//!
//! The same functions serve the transition function and `status`, so that what an operator reads is
//! what the machine decides on.

use serde::{Deserialize, Serialize};

mod columns;
mod findings;
mod health;

pub use columns::{ColumnRecord, ColumnReport};

pub(crate) use findings::foreseen;

use crate::guard::{Guard, Guards};
use crate::id::{ConsumerName, GateName, InstanceId, Revision, VersionNumber};
use crate::policy::Consumer;
use crate::ring::{Attribution, Direction, Path, Refusal, Ring, State, Version};
use crate::time::{ClusterTime, Now, Span};
use crate::view::{Held, Instance, Standing, View};

/// The names of keywheel's own gates; evidence from outside cannot be given for these, but for
/// `reencryption`.
pub const BUILT_IN: &[&str] = &[
    "capacity",
    "servers",
    "instances",
    "propagation",
    "recovery",
    "approval",
    "protectors",
    "health",
    "expiry",
    "observed_use",
    REENCRYPTION,
    "drop",
    "destroy_after",
];

/// The gate of scans. A policy asks for it by name, as for a gate of the user's own; keywheel
/// judges it where a scan was reported.
pub const FINDINGS: &str = "findings";

/// The gate of what still needs a replaced encryption key.
pub const REENCRYPTION: &str = "reencryption";

/// How strongly something is known, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EvidenceLevel {
    /// A time passed.
    Assumed,
    /// Somebody said so.
    Attested,
    /// Possession was proved.
    Held,
    /// It was used by the process.
    Exercised,
    /// A real path was tried.
    Probed,
}

impl EvidenceLevel {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assumed => "assumed",
            Self::Attested => "attested",
            Self::Held => "held",
            Self::Exercised => "exercised",
            Self::Probed => "probed",
        }
    }
}

impl std::fmt::Display for EvidenceLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Evidence that came through the API.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRecord {
    /// Which gate.
    pub gate: GateName,
    /// About which version.
    pub version: VersionNumber,
    /// What was found.
    pub verdict: Verdict,
    /// How strongly.
    pub level: EvidenceLevel,
    /// Who reported it.
    pub by: String,
    /// When.
    pub at: Now,
    /// The document's revision when it was reported.
    pub revision: Revision,
}

/// What evidence says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The gate may open.
    Pass,
    /// It must not.
    Fail {
        /// Why, in words.
        why: String,
    },
}

/// A named condition of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: GateStatus,
}

/// How a gate stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum GateStatus {
    /// The condition is met.
    Open {
        /// How this is known.
        level: EvidenceLevel,
    },
    /// Not yet.
    Waiting {
        /// What for.
        on: String,
        /// When time alone will open it.
        until: Option<ClusterTime>,
        /// Who is missing.
        missing: Vec<Laggard>,
    },
    /// It will not open by itself.
    Failed {
        /// Why.
        why: String,
    },
    /// A person opened it.
    Waived {
        /// Who and why.
        by: Attribution,
        /// Until when.
        until: ClusterTime,
    },
}

/// An instance that a gate waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Laggard {
    /// Whose process.
    pub consumer: ConsumerName,
    /// Which one; nothing when an instance that should exist does not.
    pub instance: Option<InstanceId>,
    /// Live or lost.
    pub standing: Standing,
    /// When it was last heard.
    pub last_contact: ClusterTime,
    /// What is missing.
    pub why: String,
}

impl Gate {
    fn open(name: &str, level: EvidenceLevel) -> Self {
        Self { name: name.into(), status: GateStatus::Open { level } }
    }

    fn waiting(name: &str, on: impl Into<String>) -> Self {
        let status = GateStatus::Waiting { on: on.into(), until: None, missing: Vec::new() };
        Self { name: name.into(), status }
    }

    fn until(name: &str, on: impl Into<String>, moment: ClusterTime, now: ClusterTime) -> Self {
        if now >= moment {
            return Self::open(name, EvidenceLevel::Assumed);
        }
        let status =
            GateStatus::Waiting { on: on.into(), until: Some(moment), missing: Vec::new() };
        Self { name: name.into(), status }
    }

    fn failed(name: &str, why: impl Into<String>) -> Self {
        Self { name: name.into(), status: GateStatus::Failed { why: why.into() } }
    }

    /// The instances that it waits for.
    pub fn missing(&self) -> &[Laggard] {
        match &self.status {
            GateStatus::Waiting { missing, .. } => missing,
            _ => &[],
        }
    }

    /// Whether the stage may pass it.
    pub const fn passes(&self) -> bool {
        matches!(self.status, GateStatus::Open { .. } | GateStatus::Waived { .. })
    }
}

/// What the gate functions look at.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The ring.
    pub ring: &'a Ring,
    /// What was seen of the world.
    pub view: &'a View,
    /// The present.
    pub now: Now,
    /// The rules in force.
    pub guards: Guards,
}

impl Scene<'_> {
    /// The gates that a forward path stands before.
    pub fn path_gates(&self, path: &Path) -> Vec<Gate> {
        let Some(version) = self.ring.versions.get(&path.target) else { return Vec::new() };
        let gates = match path.stage {
            crate::ring::Stage::Stage => vec![self.capacity()],
            crate::ring::Stage::Publish => vec![self.servers(version.revision)],
            crate::ring::Stage::Confirm => self.confirm(path, version),
            crate::ring::Stage::Promote => {
                vec![self.protectors(version.revision, path.target), self.health(path.target)]
            }
        };
        self.waived(path.target, gates)
    }

    /// The gate that watches over a primary when its path is over already: what it protects has
    /// only then begun to arrive.
    pub fn watch(&self) -> Option<(VersionNumber, Gate)> {
        let number = self.ring.watched(self.now.cluster)?;
        if self.ring.path.is_some() {
            return None;
        }
        let gate = self.waived(number, vec![self.health(number)]).pop()?;
        Some((number, gate))
    }

    /// The gates that the tail of a replaced version stands before.
    pub fn tail_gates(&self, number: VersionNumber, version: &Version) -> Vec<Gate> {
        let gates = match &version.state {
            State::Retiring { last_switch: None, .. } if self.ring.primary().is_none() => {
                // After a restore clients go on with what they had until there is a primary.
                vec![Gate::waiting("protectors", "a primary to switch to")]
            }
            State::Retiring { last_switch: None, .. } => {
                vec![self.protectors(version.revision, number)]
            }
            State::Retiring { last_switch: Some(switched), .. } => {
                self.drain(number, version, *switched)
            }
            State::Retired { dropped: None, .. } => vec![self.dropped(version.revision, number)],
            State::Retired { dropped: Some(dropped), .. } => {
                vec![self.destroy_after(*dropped)]
            }
            State::Compromised { refusal: Refusal::Since { at }, .. }
                if self.ring.policy.kind.is_encryption() =>
            {
                self.moving_away(number, version, at.cluster)
            }
            _ => Vec::new(),
        };
        self.waived(number, gates)
    }

    fn waived(&self, version: VersionNumber, mut gates: Vec<Gate>) -> Vec<Gate> {
        for gate in &mut gates {
            if gate.passes() {
                continue;
            }
            let waiver = self.ring.waivers.iter().find(|waiver| {
                waiver.version == version
                    && waiver.instance.is_none()
                    && waiver.gate.as_str() == gate.name
                    && self.now.cluster < waiver.until
            });
            if let Some(waiver) = waiver {
                gate.status = GateStatus::Waived { by: waiver.by.clone(), until: waiver.until };
            }
        }
        gates
    }

    fn capacity(&self) -> Gate {
        let accepted = self.ring.accepted().count();
        let most = self.ring.policy.max_accepted;
        if accepted < most || !self.guards.has(Guard::Capacity) {
            return Gate::open("capacity", EvidenceLevel::Held);
        }
        let on = format!("{accepted} of {most} accepted versions; one must retire first");
        Gate::waiting("capacity", on)
    }

    fn servers(&self, needed: Revision) -> Gate {
        let behind = self.view.servers.iter().find(|server| server.serves < needed);
        match behind {
            Some(server) if self.guards.has(Guard::Servers) => {
                Gate::waiting("servers", format!("server {} serves {}", server.id, server.serves))
            }
            _ => Gate::open("servers", EvidenceLevel::Attested),
        }
    }

    fn confirm(&self, path: &Path, version: &Version) -> Vec<Gate> {
        let mut gates = vec![self.instances(version.revision, path.target)];
        let State::Published { served, .. } = &version.state else { return gates };
        let propagation = self.ring.policy.propagation();
        if propagation > Span::ZERO && self.guards.has(Guard::Propagation) {
            gates.push(match served {
                Some(served) => Gate::until(
                    "propagation",
                    "passive consumers to learn of it",
                    served.after(propagation),
                    self.now.cluster,
                ),
                None => Gate::waiting("propagation", "every server to serve it"),
            });
        }
        if path.direction == Direction::Restore && self.guards.has(Guard::RestoreConfirms) {
            let moment = self.ring.created.cluster.after(self.ring.silence());
            let on =
                "processes that the restored store does not know of to come back or go offline";
            gates.push(Gate::until("restored", on, moment, self.now.cluster));
        }
        gates.extend(self.reported(path.target, version.revision));
        if self.ring.policy.kind.is_encryption() && !version.recovery_tested {
            gates.push(Gate::failed("recovery", "no second wrap of the material was tested"));
        }
        if self.ring.policy.approval {
            gates.push(match &path.approved {
                Some(_) => Gate::open("approval", EvidenceLevel::Attested),
                None => Gate::waiting("approval", "an operator's approval"),
            });
        }
        gates
    }

    /// Gates that somebody else reports on: those required by the policy, and any that failed.
    fn reported(&self, target: VersionNumber, since: Revision) -> Vec<Gate> {
        let fresh = |record: &&EvidenceRecord| {
            record.version == target
                && (record.revision >= since || !self.guards.has(Guard::FreshEvidence))
        };
        let records: Vec<_> = self.ring.evidence.iter().filter(fresh).collect();
        let said = records.iter().find(|record| record.gate.as_str() == FINDINGS);
        let mut gates: Vec<_> = self.findings(said.copied()).into_iter().collect();
        let of_others = |name: &GateName| name.as_str() != FINDINGS;
        for name in self.ring.policy.required_gates.iter().filter(|name| of_others(name)) {
            let record = records.iter().find(|record| record.gate == *name);
            gates.push(match record.map(|record| (&record.verdict, record.level)) {
                None => Gate::waiting(name.as_str(), "evidence from outside"),
                Some((Verdict::Pass, level)) => Gate::open(name.as_str(), level),
                Some((Verdict::Fail { why }, _)) => Gate::failed(name.as_str(), why),
            });
        }
        for record in records {
            if let Verdict::Fail { why } = &record.verdict
                && !self.ring.policy.required_gates.contains(&record.gate)
                && record.gate.as_str() != REENCRYPTION
                && of_others(&record.gate)
            {
                gates.push(Gate::failed(record.gate.as_str(), why));
            }
        }
        gates
    }

    /// Whether every expected instance processes with the version: law 1.
    pub(crate) fn instances(&self, needed: Revision, target: VersionNumber) -> Gate {
        let name = "instances";
        if !self.guards.has(Guard::Convergence) {
            return Gate::open(name, EvidenceLevel::Held);
        }
        if let Some(gate) = self.unsettled(name) {
            return gate;
        }
        let holds = |instance: &Instance, held: &Held| {
            (held.revision >= needed || !self.guards.has(Guard::FreshEvidence))
                .then_some(())
                .ok_or_else(|| format!("holds {}, not yet {needed}", held.revision))?;
            self.shown_well_enough(instance, level_for(instance, held, target))
        };
        let mut missing = self.laggards((name, target), |consumer| !consumer.cutover, holds);
        missing.extend(self.too_few());
        if self.ring.policy.consumers.is_empty() && self.ring.policy.passive.is_empty() {
            return Gate::waiting(name, "at least one declared consumer");
        }
        self.judged(name, missing, |instance, held| level_for(instance, held, target))
    }

    /// Whether this is known as well as the policy asks for.
    fn shown_well_enough(&self, instance: &Instance, level: EvidenceLevel) -> Result<(), String> {
        let consumer = self.ring.policy.consumers.get(&instance.consumer);
        let least = consumer.map_or(EvidenceLevel::Assumed, |consumer| consumer.min_evidence);
        if level >= least { Ok(()) } else { Err(format!("shown by {level}, needs {least}")) }
    }

    /// Whether every protector has left older keysets, work in progress included: law 2.
    pub(crate) fn protectors(&self, needed: Revision, about: VersionNumber) -> Gate {
        let name = "protectors";
        if !self.guards.has(Guard::LastSwitch) {
            return Gate::open(name, EvidenceLevel::Held);
        }
        if let Some(gate) = self.unsettled(name) {
            return gate;
        }
        let policy = &self.ring.policy;
        let is_cut_over = |instance: &Instance| {
            policy.consumers.get(&instance.consumer).is_some_and(|consumer| consumer.cutover)
        };
        let switched = |instance: &Instance, held: &Held| {
            if held.revision < needed {
                Err(format!("protects with {}, not yet {needed}", held.revision))
            } else if held.oldest_guard < needed && self.guards.has(Guard::OlderGuard) {
                Err(format!("still finishes work that began with {}", held.oldest_guard))
            } else if is_cut_over(instance) {
                // The gate `instances` does not ask it, so this one does.
                self.shown_well_enough(instance, level_for(instance, held, about))
            } else {
                Ok(())
            }
        };
        let missing = self.laggards((name, about), |consumer| policy.protects(consumer), switched);
        self.judged(name, missing, |_, held| held.level)
    }

    /// Whether every instance has shown that it no longer accepts a retired version.
    pub(crate) fn dropped(&self, needed: Revision, about: VersionNumber) -> Gate {
        let name = "drop";
        if !self.guards.has(Guard::DropAttested) {
            return Gate::open(name, EvidenceLevel::Held);
        }
        if let Some(gate) = self.unsettled(name) {
            return gate;
        }
        let dropped = |_: &Instance, held: &Held| {
            (held.revision >= needed)
                .then_some(())
                .ok_or_else(|| format!("holds {}, not yet {needed}", held.revision))
        };
        let missing = self.laggards((name, about), |_| true, dropped);
        self.judged(name, missing, |_, held| held.level)
    }

    fn unsettled(&self, name: &str) -> Option<Gate> {
        let moment = self.view.settled_at;
        (self.now.cluster < moment && self.guards.has(Guard::Takeover)).then(|| {
            Gate::until(name, "a new leader to hear of everybody", moment, self.now.cluster)
        })
    }

    fn judged(
        &self,
        name: &str,
        missing: Vec<Laggard>,
        level: impl Fn(&Instance, &Held) -> EvidenceLevel,
    ) -> Gate {
        if !missing.is_empty() {
            let on = format!("{} missing", missing.len());
            let status = GateStatus::Waiting { on, until: None, missing };
            return Gate { name: name.into(), status };
        }
        let levels =
            self.expected().filter_map(|instance| Some(level(instance, instance.held.as_ref()?)));
        Gate::open(name, levels.min().unwrap_or(EvidenceLevel::Assumed))
    }

    /// The instances that still count: of declared consumers, and not gone.
    pub(crate) fn expected(&self) -> impl Iterator<Item = &Instance> {
        self.view.instances.iter().filter(|instance| {
            self.ring.policy.consumers.contains_key(&instance.consumer)
                && match instance.standing(self.ring, self.now.cluster) {
                    Standing::Live => true,
                    Standing::Lost => self.guards.has(Guard::LostCounts),
                    Standing::Gone => false,
                }
        })
    }

    fn laggards(
        &self,
        gate: (&str, VersionNumber),
        concerns: impl Fn(&Consumer) -> bool,
        test: impl Fn(&Instance, &Held) -> Result<(), String>,
    ) -> Vec<Laggard> {
        let policy = &self.ring.policy;
        let mut missing = Vec::new();
        for instance in self.expected() {
            let concerned = policy.consumers.get(&instance.consumer).is_some_and(&concerns);
            if !concerned || self.is_waived(gate, &instance.id) {
                continue;
            }
            let verdict = match &instance.held {
                None => Err(match &instance.trouble {
                    Some(trouble) => format!("in trouble: {trouble}"),
                    None => "has proved nothing yet".into(),
                }),
                Some(held) => test(instance, held),
            };
            if let Err(why) = verdict {
                missing.push(Laggard {
                    consumer: instance.consumer.clone(),
                    instance: Some(instance.id.clone()),
                    standing: instance.standing(self.ring, self.now.cluster),
                    last_contact: instance.last_contact,
                    why,
                });
            }
        }
        missing
    }

    fn is_waived(&self, (gate, version): (&str, VersionNumber), instance: &InstanceId) -> bool {
        self.ring.waivers.iter().any(|waiver| {
            waiver.gate.as_str() == gate
                && waiver.version == version
                && waiver.instance.as_ref() == Some(instance)
                && self.now.cluster < waiver.until
        })
    }

    fn too_few(&self) -> Vec<Laggard> {
        if !self.guards.has(Guard::MinInstances) {
            return Vec::new();
        }
        let policy = &self.ring.policy;
        let mut missing = Vec::new();
        for (name, consumer) in &policy.consumers {
            let live = self
                .view
                .instances
                .iter()
                .filter(|instance| {
                    instance.consumer == *name
                        && instance.standing(self.ring, self.now.cluster) == Standing::Live
                })
                .count();
            // A consumer that may have no instance still needs one when it is the only one, or an
            // empty world would look converged.
            let alone = policy.consumers.len() == 1 && policy.passive.is_empty();
            let least = if alone { consumer.min_instances.max(1) } else { consumer.min_instances };
            if live < least {
                missing.push(Laggard {
                    consumer: name.clone(),
                    instance: None,
                    standing: Standing::Gone,
                    last_contact: ClusterTime::default(),
                    why: format!("{live} of {least} instances are live"),
                });
            }
        }
        missing
    }

    fn drain(&self, number: VersionNumber, version: &Version, switched: ClusterTime) -> Vec<Gate> {
        let promises = if self.guards.has(Guard::PinnedPromises) {
            version.promises
        } else {
            self.ring.policy.promises()
        };
        let mut gates = Vec::new();
        let moment = switched.after(promises.accepted_for());
        let now = self.now.cluster;
        gates.push(match self.unsettled("expiry") {
            Some(gate) => gate,
            None => Gate::until("expiry", "what it protected to expire", moment, now),
        });
        let used = self.view.instances.iter().filter_map(|one| one.counts.get(&number));
        let used = used.filter_map(|counts| counts.last_processed).max();
        if let Some(used) = used {
            let quiet = used.cluster.after(self.ring.policy.quiet_use);
            gates.push(Gate::until("observed_use", "nobody to use it any more", quiet, now));
        }
        if self.ring.policy.kind.is_encryption() {
            gates.push(if self.ring.policy.columns.is_empty() {
                self.reencryption(number, switched)
            } else {
                self.columns(number, version)
            });
        }
        gates
    }

    /// What a compromised key waits for before nobody can read with it any more: nothing but that
    /// nothing needs it.
    fn moving_away(&self, number: VersionNumber, version: &Version, at: ClusterTime) -> Vec<Gate> {
        vec![match version.switched {
            None if self.ring.primary().is_none() => {
                Gate::waiting("protectors", "a primary to switch to")
            }
            None => self.protectors(version.revision, number),
            Some(_) if self.ring.policy.columns.is_empty() => self.reencryption(number, at),
            Some(_) => self.columns(number, version),
        }]
    }

    /// Where no column is declared, the word of somebody who counted.
    fn reencryption(&self, number: VersionNumber, switched: ClusterTime) -> Gate {
        let record = self.ring.evidence.iter().find(|record| {
            record.version == number
                && record.gate.as_str() == REENCRYPTION
                && record.at.cluster >= switched
        });
        match record.map(|record| (&record.verdict, record.level)) {
            None => Gate::waiting(REENCRYPTION, "a verified count of zero rows under it"),
            Some((Verdict::Pass, level)) => Gate::open(REENCRYPTION, level),
            Some((Verdict::Fail { why }, _)) => Gate::failed(REENCRYPTION, why),
        }
    }

    fn destroy_after(&self, dropped: ClusterTime) -> Gate {
        match self.ring.policy.destroy_after {
            None => Gate::waiting("destroy_after", "nothing: this ring never destroys by itself"),
            Some(after) => Gate::until(
                "destroy_after",
                "the time for the way back to pass",
                dropped.after(after),
                self.now.cluster,
            ),
        }
    }
}

/// How it is known that an instance processes with a version: what it did says more than what it
/// said.
fn level_for(instance: &Instance, held: &Held, version: VersionNumber) -> EvidenceLevel {
    let exercised = instance.counts.get(&version).is_some_and(|counts| counts.processed > 0);
    if exercised { held.level.max(EvidenceLevel::Exercised) } else { held.level }
}
