//! Which rules are in force: those of the core by [`Guards`], those of the store, the clock and the
//! client by [`Flaw`]. A run with a rule taken away is a seeded mutant.

use keywheel_core::guard::{Guard, Guards};

/// A rule outside the core, taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The store lets a deposed leader write.
    NoFencing,
    /// The store lets a writer replace a document that it did not read.
    NoCompareAndSwap,
    /// Waits count the wall clock.
    WallClock,
    /// A new leader credits the wall time in which nobody led.
    DowntimeCredited,
    /// Clients and servers compare revisions of different lives of a ring.
    IncarnationIgnored,
    /// A client goes back to a life of the ring that it has left.
    FormerLifeRevived,
    /// A client forgets the keys of a former life at once.
    FormerLifeForgotten,
    /// A joining process is served from a server's cache.
    JoinFromCache,
    /// A client takes a keyset that is older than its own.
    OlderKeysetTaken,
    /// A client goes on protecting however long it is cut off.
    OfflineMaxIgnored,
    /// A contact counts from its stamp, although the clock that stamped it may stand behind.
    StampsTrusted,
    /// A new leader takes the contacts that were written down for all that there were.
    LossForgotten,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::NoFencing,
        Self::NoCompareAndSwap,
        Self::WallClock,
        Self::DowntimeCredited,
        Self::IncarnationIgnored,
        Self::FormerLifeRevived,
        Self::FormerLifeForgotten,
        Self::JoinFromCache,
        Self::OlderKeysetTaken,
        Self::OfflineMaxIgnored,
        Self::StampsTrusted,
        Self::LossForgotten,
    ];
}

/// The rules of a run.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Those of the core.
    pub guards: Guards,
    /// The one outside the core that is missing, if any.
    pub flaw: Option<Flaw>,
}

impl Rules {
    /// Nothing is missing.
    pub const SOUND: Self = Self { guards: Guards::ALL, flaw: None };

    /// A guard of the core is missing.
    pub const fn without(guard: Guard) -> Self {
        Self { guards: Guards::danger_without(guard), flaw: None }
    }

    /// A rule outside the core is missing.
    pub const fn with(flaw: Flaw) -> Self {
        Self { guards: Guards::ALL, flaw: Some(flaw) }
    }

    pub(crate) fn has(self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}
