//! The document that is the whole truth about a ring. Only [`crate::rotation::step`] changes it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::gate::{ColumnRecord, EvidenceRecord};
use crate::id::{
    ConsumerName, GateName, Incarnation, InstanceId, Kid, Revision, RingName, VersionNumber,
};
use crate::kind::Kind;
use crate::policy::{Policy, Promises};
use crate::schedule::Cause;
use crate::time::{ClusterTime, Now, Span, WallTime};

/// A named set of key versions with one policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ring {
    /// Its name.
    pub name: RingName,
    /// Which life of the ring this is.
    pub incarnation: Incarnation,
    /// How often this document was replaced.
    pub revision: Revision,
    /// The revision at which what consumers hold last changed.
    pub keyset_revision: Revision,
    /// When it was created or restored.
    pub created: Now,
    /// What it is asked to do.
    pub policy: Policy,
    /// Every version that ever was, by number.
    pub versions: BTreeMap<VersionNumber, Version>,
    /// The forward path in progress.
    pub path: Option<Path>,
    /// A trigger that waits for the present path to end.
    pub wanted: Option<Cause>,
    /// Set while an operator holds the ring still.
    pub paused: Option<Paused>,
    /// Gates that a person opened.
    pub waivers: Vec<Waiver>,
    /// Evidence that came from outside, newest for each gate and version.
    pub evidence: Vec<EvidenceRecord>,
    /// What the workers of columns counted, newest for each column and version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnRecord>,
    /// Every time a law was bent, and by whom; the newest [`BENT_MAX`].
    pub bent: Vec<Bent>,
    /// A longer silence that clients were once allowed, until all of them know the present one.
    pub silence_pin: Option<SilencePin>,
    /// The scheduled moment that was already reported as overdue.
    pub overdue_reported: Option<WallTime>,
    /// Set once: the ring is a tombstone.
    pub deleted: Option<Now>,
}

/// How many marks of bent laws a ring document keeps; the audit record keeps all.
pub const BENT_MAX: usize = 64;

/// A shortened `offline_max` counts only when every client knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SilencePin {
    /// The former `offline_max` and skew together.
    pub silence: Span,
    /// The keyset revision that carries the present one.
    pub since: Revision,
}

/// One key of a ring; the material stands elsewhere, sealed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// What tokens and documents call it.
    pub kid: Kid,
    /// What kind of key it is; a policy may change the algorithm between versions.
    pub kind: Kind,
    /// A keyed fingerprint of the material, safe to log.
    pub fingerprint: String,
    /// Where the material came from.
    pub origin: Origin,
    /// When it was made.
    pub created: Now,
    /// What it may do now.
    pub state: State,
    /// The keyset revision that brought the present state to consumers.
    pub revision: Revision,
    /// Since which keyset revision it has been accepted without a break.
    pub accepted_since: Option<Revision>,
    /// When it first became primary; absent when it never protected anything.
    pub protected_since: Option<Now>,
    /// The maxima promised while it was primary.
    pub promises: Promises,
    /// Whether a second wrap of the material was opened and compared when it was made.
    pub recovery_tested: bool,
    /// When its tail was reported as stalled at the present stage.
    pub stalled: Option<Now>,
    /// The revision that brought its last switch, when it retires: what was seen before may be
    /// older than the last value that was protected with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched: Option<Revision>,
}

/// Where key material came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "origin", rename_all = "snake_case")]
pub enum Origin {
    /// keywheel made it from the operating system's entropy.
    Generated,
    /// A team was using it already.
    Imported {
        /// Why it should be replaced soon; empty when it is as good as a generated one.
        weaknesses: Vec<String>,
    },
}

/// What a version may do (NIST SP 800-57 names in DESIGN). Each state carries what it needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// In the store only; nobody has it.
    Staged {
        /// Since when.
        since: Now,
    },
    /// Every consumer processes with it, none protects.
    Published {
        /// Since when.
        since: Now,
        /// When the last server served it; propagation counts from here.
        served: Option<ClusterTime>,
    },
    /// Protectors protect with it, all process with it.
    Primary {
        /// Since when.
        since: Now,
        /// The version it replaced, the way back.
        predecessor: Option<VersionNumber>,
        /// The digest of the convergence on which it was promoted.
        convergence: String,
    },
    /// All process with it, none protects any more.
    Retiring {
        /// Since when.
        since: Now,
        /// When the last protector had left it; the wait of law 2 counts from here.
        last_switch: Option<ClusterTime>,
    },
    /// None accepts it; the material is kept for the way back.
    Retired {
        /// Since when.
        since: Now,
        /// When every instance had shown that it dropped it.
        dropped: Option<ClusterTime>,
    },
    /// Taken out for a while, reversibly.
    Suspended {
        /// Since when.
        since: Now,
        /// Who and why.
        by: Attribution,
    },
    /// Known or feared to be in wrong hands; never a target of a rollback.
    Compromised {
        /// Since when.
        since: Now,
        /// Who and why.
        by: Attribution,
        /// Whether consumers refuse it already, or only from a time on.
        refusal: Refusal,
        /// What each consumer did with it.
        exposure: BTreeMap<ConsumerName, Exposure>,
    },
    /// The material is erased; the record stays.
    Destroyed {
        /// Since when.
        since: Now,
    },
}

/// Who did something out of the ordinary, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attribution {
    /// The caller, as its token is named.
    pub who: String,
    /// The reason given.
    pub reason: String,
}

/// When consumers stop to accept a compromised version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// As soon as its protectors have switched, and no later than this.
    Pending {
        /// The latest moment.
        no_later_than: ClusterTime,
    },
    /// Since this moment. An encryption key still opens what it sealed, until that has moved.
    Since {
        /// The moment.
        at: Now,
    },
    /// An encryption key that nothing needs any more, since this moment.
    Moved {
        /// The moment.
        at: Now,
    },
}

/// What one consumer did with a compromised version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Exposure {
    /// When one of its instances last said that it accepted the version.
    pub last_accepted: Option<WallTime>,
    /// When all of its instances had shown that they no longer do.
    pub refused_since: Option<WallTime>,
}

/// The forward path of a rotation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Path {
    /// The version that is to become primary, or just did.
    pub target: VersionNumber,
    /// How far it has come.
    pub stage: Stage,
    /// When this stage began.
    pub since: Now,
    /// Why the rotation began.
    pub cause: Cause,
    /// Whether it goes forward, back, or out of an emergency.
    pub direction: Direction,
    /// Who approved the promotion.
    pub approved: Option<Attribution>,
    /// When this stage was reported as stalled.
    pub stalled: Option<Now>,
}

/// The stages of the forward path. Those of a tail are the states of its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Sealed in the store.
    Stage,
    /// Committed as accepted; servers are taking it up.
    Publish,
    /// Waiting for proof that every instance processes with it.
    Confirm,
    /// Committed as primary; protectors are switching.
    Promote,
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// A rotation.
    Forward,
    /// A rotation taken back.
    Back,
    /// Away from a compromised version.
    Emergency,
    /// After a restore from a backup.
    Restore,
}

/// An operator holds the ring still.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Paused {
    /// Since when.
    pub since: Now,
    /// Who and why.
    pub by: Attribution,
}

/// A gate, or one instance at a gate, that a person opened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Waiver {
    /// Which gate.
    pub gate: GateName,
    /// For which version; a waiver never carries over to the next rotation.
    pub version: VersionNumber,
    /// Only for this instance, or for the whole gate.
    pub instance: Option<InstanceId>,
    /// Who and why.
    pub by: Attribution,
    /// Until when it holds.
    pub until: ClusterTime,
}

/// A law was bent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bent {
    /// Which one.
    pub law: Law,
    /// For which version.
    pub version: VersionNumber,
    /// By which of the declared exceptions.
    pub exception: Exception,
    /// Who and why.
    pub by: Attribution,
    /// When.
    pub at: Now,
}

/// The three laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Law {
    /// No instance protects before every expected instance processes.
    AcceptBeforeUse,
    /// A version stays accepted while something it protected may live.
    StopUseBeforeAcceptance,
    /// Until destruction there is a way back.
    DestroyLast,
}

/// The declared ways to bend a law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exception {
    /// A compromise never waits.
    Compromise,
    /// A version was suspended while something it protected may live.
    Suspend,
    /// A person opened a gate.
    Waiver,
    /// A one-slot consumer was cut over.
    Cutover,
    /// A consumer with instances was removed from the policy.
    RemovedConsumer,
    /// A person said that an instance which still counted had ended.
    EndedInstance,
    /// Keys made after a backup were lost with the store.
    Restore,
}

impl State {
    /// Since when it is in this state.
    pub const fn since(&self) -> Now {
        match self {
            Self::Staged { since }
            | Self::Published { since, .. }
            | Self::Primary { since, .. }
            | Self::Retiring { since, .. }
            | Self::Retired { since, .. }
            | Self::Suspended { since, .. }
            | Self::Compromised { since, .. }
            | Self::Destroyed { since } => *since,
        }
    }

    /// The state's name, as it is written everywhere.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Staged { .. } => "staged",
            Self::Published { .. } => "published",
            Self::Primary { .. } => "primary",
            Self::Retiring { .. } => "retiring",
            Self::Retired { .. } => "retired",
            Self::Suspended { .. } => "suspended",
            Self::Compromised { .. } => "compromised",
            Self::Destroyed { .. } => "destroyed",
        }
    }
}

impl Stage {
    /// The stage's name, as it is written everywhere.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Publish => "publish",
            Self::Confirm => "confirm",
            Self::Promote => "promote",
        }
    }
}

impl Version {
    /// Whether consumers process with it: the accepted set.
    pub fn is_accepted(&self, policy: &Policy) -> bool {
        match &self.state {
            State::Published { .. } | State::Primary { .. } | State::Retiring { .. } => true,
            // What an encryption key protected must stay readable until it is re-encrypted.
            State::Suspended { .. } => policy.kind.is_encryption(),
            State::Compromised { refusal, .. } => match refusal {
                Refusal::Pending { .. } => true,
                Refusal::Since { .. } => policy.kind.is_encryption(),
                Refusal::Moved { .. } => false,
            },
            State::Staged { .. } | State::Retired { .. } | State::Destroyed { .. } => false,
        }
    }

    /// Whether the sealed material must still exist.
    pub const fn has_material(&self) -> bool {
        !matches!(self.state, State::Destroyed { .. })
    }

    /// Why an imported key should be replaced, if it should.
    pub fn weaknesses(&self) -> &[String] {
        match &self.origin {
            Origin::Imported { weaknesses } => weaknesses,
            Origin::Generated => &[],
        }
    }
}

/// What the outside must know to hold a ring: which versions, and what each may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Keyset {
    /// Which life of the ring.
    pub incarnation: Incarnation,
    /// The revision at which this last changed.
    pub revision: Revision,
    /// Protect with this one; absent only while a restored ring waits for its consumers.
    pub primary: Option<VersionNumber>,
    /// Process with these, in order of number.
    pub accepted: BTreeMap<VersionNumber, Kid>,
    /// What is protected may live at most this long.
    pub longest_lifetime: Span,
    /// Stop to protect after this long without contact.
    pub offline_max: Span,
    /// Report at least this often.
    pub lease_ttl: Span,
    /// Refuse every token after this long without knowing what was revoked; never when absent.
    #[serde(default)]
    pub revocations_stale_after: Option<Span>,
    /// Report what was issued.
    #[serde(default)]
    pub ledger: bool,
}

impl Ring {
    /// The primary version, if there is one.
    pub fn primary(&self) -> Option<VersionNumber> {
        self.versions
            .iter()
            .find(|(_, version)| matches!(version.state, State::Primary { .. }))
            .map(|(number, _)| *number)
    }

    /// The versions that consumers process with, in order of number.
    pub fn accepted(&self) -> impl Iterator<Item = (VersionNumber, &Version)> {
        self.versions
            .iter()
            .filter(|(_, version)| version.is_accepted(&self.policy))
            .map(|(number, version)| (*number, version))
    }

    /// What consumers hold at the present revision.
    pub fn keyset(&self) -> Keyset {
        Keyset {
            incarnation: self.incarnation.clone(),
            revision: self.keyset_revision,
            primary: self.primary(),
            accepted: self.accepted().map(|(number, v)| (number, v.kid.clone())).collect(),
            longest_lifetime: self.policy.longest_lifetime,
            offline_max: self.policy.offline_max,
            lease_ttl: self.policy.lease_ttl,
            revocations_stale_after: self.policy.revocations_stale_after,
            ledger: self.policy.ledger,
        }
    }

    /// The number of the version that has this kid, whatever its state.
    pub fn number_of(&self, kid: &str) -> Option<VersionNumber> {
        self.versions.iter().find(|(_, one)| one.kid.0 == kid).map(|(number, _)| *number)
    }

    /// The version whose acceptance is followed now: the one that is being promoted, and for
    /// `stall_after` after that the primary that replaced another.
    pub fn watched(&self, now: ClusterTime) -> Option<VersionNumber> {
        let number = self.primary()?;
        let state = self.versions.get(&number).map(|version| &version.state);
        let Some(State::Primary { since, predecessor: Some(_), .. }) = state else { return None };
        let young = now.since(since.cluster) < self.policy.stall_after;
        let promoting = self.path.as_ref().is_some_and(|path| path.target == number);
        (young || promoting).then_some(number)
    }

    /// How long a silent instance may still protect: `offline_max` and the skew, or what clients
    /// were told before.
    pub fn silence(&self) -> Span {
        let present = self.policy.offline_max.plus(self.policy.skew);
        self.silence_pin.map_or(present, |pin| pin.silence.max(present))
    }

    /// The number that the next version gets.
    pub fn next_number(&self) -> VersionNumber {
        VersionNumber(self.versions.keys().next_back().map_or(1, |last| last.0.saturating_add(1)))
    }

    /// Whether anything is under way that a tick may move.
    pub fn is_moving(&self) -> bool {
        self.path.is_some()
            || self.versions.values().any(|version| {
                matches!(
                    version.state,
                    State::Retiring { .. }
                        | State::Retired { dropped: None, .. }
                        | State::Compromised { .. }
                )
            })
    }

    /// Checks what must hold of every document, whatever happened to it.
    ///
    /// # Errors
    /// With the first thing that cannot be.
    pub fn check(&self) -> Result<(), String> {
        let primaries = self
            .versions
            .iter()
            .filter(|(_, version)| matches!(version.state, State::Primary { .. }))
            .count();
        if primaries > 1 {
            return Err(format!("{primaries} versions are primary"));
        }
        if self.keyset_revision > self.revision {
            return Err("the keyset is newer than the document".into());
        }
        if let Some(path) = &self.path {
            let target = self.versions.get(&path.target).map(|version| &version.state);
            let fits = matches!(
                (path.stage, target),
                (Stage::Stage, Some(State::Staged { .. } | State::Retired { .. }))
                    | (Stage::Publish | Stage::Confirm, Some(State::Published { .. }))
                    | (Stage::Promote, Some(State::Primary { .. }))
            );
            if !fits {
                let state = target.map_or("missing", State::name);
                return Err(format!("{} is {state} at stage {}", path.target, path.stage.name()));
            }
        }
        let kids: BTreeSet<_> = self.versions.values().map(|version| &version.kid).collect();
        if kids.len() != self.versions.len() {
            return Err("two versions have the same kid".into());
        }
        let newest = |version: &Version| Some(version.revision).max(version.switched);
        if self.versions.values().any(|version| newest(version) > Some(self.revision)) {
            return Err("a version is newer than the document".into());
        }
        Ok(())
    }
}
