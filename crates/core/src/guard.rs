//! The safety rules of a rotation by name, so that a test can take one away and show that the model
//! check would notice. Production code always has all of them.

/// One rule that keeps a law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Guard {
    /// Promotion waits for the proof of every expected instance.
    Convergence,
    /// A lost instance still counts until it is gone.
    LostCounts,
    /// Promotion waits for `min_instances` live instances, and never for nobody at all.
    MinInstances,
    /// A new leader keeps gates closed until it has heard of everybody.
    Takeover,
    /// Confirmation waits until every server serves the published version.
    Servers,
    /// Evidence counts only when it is as new as what it is evidence of.
    FreshEvidence,
    /// A replaced version keeps the promises that held while it was primary.
    PinnedPromises,
    /// The wait of law 2 begins when the last protector has switched.
    LastSwitch,
    /// A switch is not done while older work is in progress.
    OlderGuard,
    /// A version that was taken back stays accepted while what it protected may live.
    WithdrawnAccepted,
    /// A compromised version is never a target of a rollback.
    CompromisedTarget,
    /// A rollback to a retired version confirms it again first.
    RollbackConfirms,
    /// Destruction waits until every instance has dropped the version.
    DropAttested,
    /// At most `max_accepted` versions are accepted.
    Capacity,
    /// A restored ring has no primary until its consumers have confirmed it.
    RestoreConfirms,
    /// A passive consumer is given time to learn of a version.
    Propagation,
}

/// Which rules are in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guards {
    removed: u32,
}

impl Guards {
    /// All of them.
    pub const ALL: Self = Self { removed: 0 };

    /// All but one. Only for tests of the model check.
    #[cfg(feature = "danger-mutants")]
    pub const fn danger_without(guard: Guard) -> Self {
        Self { removed: 1 << guard as u32 }
    }

    /// Whether a rule is in force.
    pub const fn has(self, guard: Guard) -> bool {
        self.removed & (1 << guard as u32) == 0
    }
}
