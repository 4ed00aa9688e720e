//! The one transition function: from a ring and an input to the next ring and its effects.
//!
//! [`step`] is pure and total. An input that makes no sense in the present state returns a
//! [`Refused`] that says so; it never panics and never does nothing in silence. The engine persists
//! the returned ring first and performs the effects after; each may be performed twice.

use serde::{Deserialize, Serialize};

use crate::gate::{
    ColumnRecord, ColumnReport, EvidenceLevel, EvidenceRecord, Gate, Laggard, Scene, Verdict,
};
use crate::guard::Guards;
use crate::id::{ColumnName, ConsumerName, GateName, Incarnation, InstanceId, Kid, VersionNumber};
use crate::kind::Kind;
use crate::policy::{OnCompromise, Policy};
use crate::ring::{Attribution, Origin, Ring, Stage};
use crate::schedule::Cause;
use crate::time::{Now, Span};
use crate::view::View;

mod columns;
mod create;
mod emergency;
mod forward;
mod operator;
mod tail;
mod tick;

pub use create::create;
pub use tail::{DrainProved, GraceElapsed};
pub use tick::{Wake, wake};

/// The public half of material that the engine just made or took over; the material itself stays
/// with the engine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Minted {
    /// Its key id.
    pub kid: Kid,
    /// What kind of key it is.
    pub kind: Kind,
    /// Its keyed fingerprint.
    pub fingerprint: String,
    /// Where it came from.
    pub origin: Origin,
    /// Whether a second wrap of it was opened and compared.
    pub recovery_tested: bool,
}

/// What can happen to a ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Time passed, or something was reported.
    Tick {
        /// What was seen of the world.
        view: View,
    },
    /// Begin a rotation with this new version.
    Rotate {
        /// Why.
        cause: Cause,
        /// The new version.
        minted: Minted,
    },
    /// Promote now, if every gate is open.
    Promote {
        /// What was seen of the world.
        view: View,
    },
    /// A person approves the promotion in progress.
    Approve {
        /// Who and why.
        by: Attribution,
    },
    /// Take the rotation back.
    Rollback {
        /// Who and why.
        by: Attribution,
    },
    /// Hold the ring still.
    Pause {
        /// Who and why.
        by: Attribution,
    },
    /// Let it go on.
    Resume,
    /// Take a version out for a while.
    Suspend {
        /// Which.
        version: VersionNumber,
        /// Who and why.
        by: Attribution,
    },
    /// Let a suspended version be accepted again.
    ResumeVersion {
        /// Which.
        version: VersionNumber,
    },
    /// A version is in wrong hands.
    Compromise {
        /// Which.
        version: VersionNumber,
        /// Who and why.
        by: Attribution,
        /// What to do first; the policy's choice when absent.
        order: Option<OnCompromise>,
        /// A successor, in case that no better one exists.
        fresh: Minted,
        /// What was seen of the world.
        view: View,
    },
    /// Erase a retired version, when its time has come.
    Destroy {
        /// Which.
        version: VersionNumber,
        /// What was seen of the world.
        view: View,
    },
    /// A person opens a gate, or excuses one instance at it.
    Waive {
        /// Which gate.
        gate: GateName,
        /// For which version; the one that stands before that gate when absent.
        version: Option<VersionNumber>,
        /// Only this instance.
        instance: Option<InstanceId>,
        /// Who and why.
        by: Attribution,
        /// For how long.
        lasts: Span,
        /// What was seen of the world.
        view: View,
    },
    /// A person says that an instance has ended which cannot say so itself.
    EndInstance {
        /// Which.
        instance: InstanceId,
        /// Who and why.
        by: Attribution,
        /// What was seen of the world.
        view: View,
    },
    /// Evidence came in.
    Evidence {
        /// Which gate.
        gate: GateName,
        /// About which version; the path's target when absent.
        version: Option<VersionNumber>,
        /// What was found.
        verdict: Verdict,
        /// How strongly.
        level: EvidenceLevel,
        /// Who reported it.
        by: String,
    },
    /// Somebody counted what a column holds under a version.
    Column {
        /// Which column.
        column: ColumnName,
        /// The life of the ring that was read before the count began.
        incarnation: Incarnation,
        /// What was counted.
        report: ColumnReport,
        /// The consumer that reports; nothing when it is somebody who may speak of every column.
        worker: Option<ConsumerName>,
        /// Who reported it.
        by: String,
    },
    /// The application reported an event.
    Event {
        /// Its name.
        name: String,
    },
    /// The policy changed.
    Edit {
        /// The new one.
        policy: Box<Policy>,
        /// Who answers for removing a consumer that still has instances.
        removing: Option<Attribution>,
        /// What was seen of the world.
        view: View,
    },
    /// The document came from a backup; it begins a new life.
    Restore {
        /// The new life.
        incarnation: Incarnation,
        /// Who and why.
        by: Attribution,
    },
    /// The ring is not needed any more.
    Delete {
        /// Who and why.
        by: Attribution,
        /// Says that what it protected may become unreadable.
        lose_data: bool,
        /// What was seen of the world.
        view: View,
    },
}

impl Input {
    /// The input's name, as it is written in refusals and in the journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tick { .. } => "tick",
            Self::Rotate { .. } => "rotate",
            Self::Promote { .. } => "promote",
            Self::Approve { .. } => "approve",
            Self::Rollback { .. } => "rollback",
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Suspend { .. } => "suspend",
            Self::ResumeVersion { .. } => "resume version",
            Self::Compromise { .. } => "compromise",
            Self::Destroy { .. } => "destroy",
            Self::Waive { .. } => "waive",
            Self::EndInstance { .. } => "end an instance",
            Self::Evidence { .. } => "evidence",
            Self::Column { .. } => "column",
            Self::Event { .. } => "event",
            Self::Edit { .. } => "edit",
            Self::Restore { .. } => "restore",
            Self::Delete { .. } => "delete",
        }
    }
}

/// What follows from a transition, to be done after it was persisted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Make the next version and give it back as [`Input::Rotate`].
    Rotate {
        /// Why.
        cause: Cause,
    },
    /// Erase this version's material everywhere.
    Erase {
        /// Which.
        version: VersionNumber,
    },
    /// Note, in the same commit, that this instance has ended.
    EndInstance {
        /// Which.
        instance: InstanceId,
    },
    /// Tell people and the audit record.
    Notify {
        /// What.
        notice: Notice,
    },
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Notice {
    /// A ring was created.
    Created {
        /// Its first version.
        version: VersionNumber,
    },
    /// A rotation began.
    Started {
        /// The new version.
        version: VersionNumber,
        /// Why.
        cause: Cause,
    },
    /// Consumers may process with it.
    Published {
        /// Which.
        version: VersionNumber,
    },
    /// Every server serves it; consumers are asked for proof.
    Served {
        /// Which.
        version: VersionNumber,
    },
    /// It is the primary now.
    Promoted {
        /// Which.
        version: VersionNumber,
        /// Which one it replaced.
        replaced: Option<VersionNumber>,
    },
    /// Every protector switched; the forward path is over.
    Done {
        /// The new primary.
        version: VersionNumber,
    },
    /// The last protector left a replaced version.
    Draining {
        /// Which.
        version: VersionNumber,
    },
    /// It is no longer accepted.
    Retired {
        /// Which.
        version: VersionNumber,
    },
    /// Every instance has shown that it dropped it.
    Dropped {
        /// Which.
        version: VersionNumber,
    },
    /// Its material is erased.
    Destroyed {
        /// Which.
        version: VersionNumber,
    },
    /// A rotation was taken back.
    RolledBack {
        /// Which version was withdrawn.
        version: VersionNumber,
        /// Which one is to be, or is again, the primary.
        to: Option<VersionNumber>,
        /// Who and why.
        by: Attribution,
    },
    /// A stage takes too long.
    Stalled {
        /// The version on its way.
        version: VersionNumber,
        /// The stage.
        stage: String,
        /// Who is missing.
        missing: Vec<Laggard>,
        /// The gates that are closed.
        gates: Vec<String>,
    },
    /// A gate failed.
    Failed {
        /// The version on its way.
        version: VersionNumber,
        /// The gate.
        gate: String,
        /// Why.
        why: String,
    },
    /// A rotation should have begun long ago.
    Overdue {
        /// Why it should have.
        cause: Cause,
    },
    /// A version was compromised.
    Compromised {
        /// Which.
        version: VersionNumber,
        /// What took its place, when it was primary.
        successor: Option<VersionNumber>,
        /// Who and why.
        by: Attribution,
        /// Whether data under it must be re-encrypted now.
        urgent_reencryption: bool,
    },
    /// Consumers are told to refuse a compromised version.
    Refused {
        /// Which.
        version: VersionNumber,
    },
    /// A version was suspended.
    Suspended {
        /// Which.
        version: VersionNumber,
        /// Who and why.
        by: Attribution,
    },
    /// A suspended version is accepted again.
    ResumedVersion {
        /// Which.
        version: VersionNumber,
    },
    /// A gate was waived.
    Waived {
        /// Which.
        gate: GateName,
        /// For which version.
        version: VersionNumber,
        /// Who and why.
        by: Attribution,
    },
    /// An instance was ended by a person.
    InstanceEnded {
        /// Which.
        instance: InstanceId,
        /// Whose it was.
        consumer: ConsumerName,
        /// Who and why.
        by: Attribution,
    },
    /// A promotion was approved.
    Approved {
        /// Which version.
        version: VersionNumber,
        /// Who and why.
        by: Attribution,
    },
    /// Evidence came in.
    Evidence {
        /// The record.
        record: EvidenceRecord,
    },
    /// The worker of a column reported.
    Column {
        /// The record.
        record: ColumnRecord,
    },
    /// Columns were taken out of the policy, or mean other data now, while versions retire: what they
    /// hold no longer counts.
    ColumnsReleased {
        /// Which.
        columns: Vec<ColumnName>,
        /// The versions that do not wait for them any more.
        versions: Vec<VersionNumber>,
    },
    /// The ring is held still.
    Paused {
        /// Who and why.
        by: Attribution,
    },
    /// It goes on.
    Resumed,
    /// The policy changed.
    Edited,
    /// The ring came back from a backup.
    Restored {
        /// Who and why.
        by: Attribution,
    },
    /// The ring is a tombstone.
    Deleted {
        /// Who and why.
        by: Attribution,
    },
}

/// What a transition did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The ring after it; equal to the one before when nothing was to be done.
    pub ring: Ring,
    /// What follows.
    pub effects: Vec<Effect>,
}

/// Why an input was refused. The ring is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {input} at {stage}: {cause}")]
pub struct Refused {
    /// What was asked for.
    pub input: &'static str,
    /// Where the ring stood: a stage, or a state of the version in question.
    pub stage: String,
    /// What kind of refusal this is.
    pub kind: RefusedKind,
    /// Why not.
    pub cause: String,
    /// What to do instead.
    pub remedy: String,
}

/// Kinds of refusal, for callers that must tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedKind {
    /// The input makes no sense in this state.
    Illegal,
    /// A gate is closed.
    GateClosed,
    /// There is no such version.
    NotFound,
    /// The request itself is wrong.
    Invalid,
    /// Somebody else may.
    Forbidden,
}

/// Moves a ring by one input.
///
/// # Errors
/// When the input makes no sense in the present state; the ring is then as it was.
pub fn step(ring: &Ring, input: Input, now: Now) -> Result<Step, Refused> {
    step_with(ring, input, now, Guards::ALL)
}

/// [`step`] under a chosen set of rules. Only the model check chooses.
///
/// # Errors
/// As [`step`].
pub fn step_with(ring: &Ring, input: Input, now: Now, guards: Guards) -> Result<Step, Refused> {
    let name = input.name();
    if ring.deleted.is_some() && !matches!(input, Input::Tick { .. }) {
        return Err(refused(
            name,
            "tombstone",
            RefusedKind::Illegal,
            "this ring was deleted",
            "Create a ring with another name",
        ));
    }
    let mut work = Work { ring: ring.clone(), effects: Vec::new(), now, guards, name };
    work.ring.revision = ring.revision.next();
    match input {
        Input::Tick { view } => work.tick(&view),
        Input::Rotate { cause, minted } => work.rotate(cause, minted)?,
        Input::Promote { view } => work.promote_now(&view)?,
        Input::Approve { by } => work.approve(by)?,
        Input::Rollback { by } => work.rollback(by)?,
        Input::Pause { by } => work.pause(by)?,
        Input::Resume => work.resume()?,
        Input::Suspend { version, by } => work.suspend(version, by)?,
        Input::ResumeVersion { version } => work.resume_version(version)?,
        Input::Compromise { version, by, order, fresh, view } => {
            work.compromise(version, &by, order, fresh, &view)?;
        }
        Input::Destroy { version, view } => work.destroy_now(version, &view)?,
        Input::Waive { gate, version, instance, by, lasts, view } => {
            work.waive(gate, version, instance, by, lasts, &view)?;
        }
        Input::EndInstance { instance, by, view } => work.end_instance(&instance, by, &view)?,
        Input::Evidence { gate, version, verdict, level, by } => {
            work.evidence(gate, version, verdict, level, by)?;
        }
        Input::Column { column, incarnation, report, worker, by } => {
            work.column(column, &incarnation, report, worker.as_ref(), by)?;
        }
        Input::Event { name } => work.event(name)?,
        Input::Edit { policy, removing, view } => work.edit(*policy, removing, &view)?,
        Input::Restore { incarnation, by } => work.restore(incarnation, by),
        Input::Delete { by, lose_data, view } => work.delete(by, lose_data, &view)?,
    }
    Ok(work.finish(ring))
}

/// A transition in progress: a copy of the ring that becomes the next document, or nothing.
struct Work {
    ring: Ring,
    effects: Vec<Effect>,
    now: Now,
    guards: Guards,
    name: &'static str,
}

impl Work {
    fn finish(mut self, before: &Ring) -> Step {
        let keyset = self.ring.keyset();
        if keyset == before.keyset() {
            // Whoever holds the present keyset knows these states already, so nobody has to be
            // asked for a revision that will never be delivered.
            for version in self.ring.versions.values_mut() {
                version.revision = version.revision.min(before.keyset_revision);
            }
            if let Some(pin) = &mut self.ring.silence_pin {
                pin.since = pin.since.min(before.keyset_revision);
            }
        } else {
            self.ring.keyset_revision = self.ring.revision;
        }
        let mut unchanged = self.ring.clone();
        unchanged.revision = before.revision;
        if unchanged == *before {
            self.ring.revision = before.revision;
        }
        Step { ring: self.ring, effects: self.effects }
    }

    fn scene<'a>(&'a self, view: &'a View) -> Scene<'a> {
        Scene { ring: &self.ring, view, now: self.now, guards: self.guards }
    }

    fn notify(&mut self, notice: Notice) {
        self.effects.push(Effect::Notify { notice });
    }

    fn refuse(
        &self,
        kind: RefusedKind,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Refused {
        let stage = self.ring.path.as_ref().map_or("rest", |path| path.stage.name());
        refused(self.name, stage, kind, cause, remedy)
    }

    fn no_such_version(&self, version: VersionNumber) -> Refused {
        let last = self.ring.versions.keys().next_back();
        let known = last.map_or_else(|| "none".into(), |last| format!("v1 to {last}"));
        self.refuse(
            RefusedKind::NotFound,
            format!("there is no {version} in this ring"),
            format!("Its versions are {known}"),
        )
    }
}

fn refused(
    input: &'static str,
    stage: &str,
    kind: RefusedKind,
    cause: impl Into<String>,
    remedy: impl Into<String>,
) -> Refused {
    Refused { input, stage: stage.into(), kind, cause: cause.into(), remedy: remedy.into() }
}

/// Every gate that the ring stands before now: those of the forward path, then those of each tail.
pub fn gates(ring: &Ring, view: &View, now: Now) -> Vec<(VersionNumber, &'static str, Vec<Gate>)> {
    let scene = Scene { ring, view, now, guards: Guards::ALL };
    let path =
        ring.path.iter().map(|path| (path.target, path.stage.name(), scene.path_gates(path)));
    let tails = ring.versions.iter().filter_map(|(number, version)| {
        let gates = scene.tail_gates(*number, version);
        (!gates.is_empty()).then(|| (*number, tail::stage_name(&version.state), gates))
    });
    // Only when it has something to say: in good order there is no gate any more.
    let watched = scene.watch().filter(|(_, gate)| !gate.passes());
    let watched = watched.map(|(number, gate)| (number, Stage::Promote.name(), vec![gate]));
    path.chain(watched).chain(tails).collect()
}

/// When and why the schedule asks for the next rotation.
pub fn scheduled(ring: &Ring, view: &View) -> Option<(crate::time::WallTime, Cause)> {
    ring.policy.triggers.scheduled(&tick::usage(ring, view)?)
}
