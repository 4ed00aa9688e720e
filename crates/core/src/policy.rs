//! What a ring is asked to do: the settled policy, and the raw form that people write.
//!
//! [`Spec`] is what stands in `keywheel.toml` and in `PUT /v1/rings/{ring}`. [`Policy`] is what the
//! rest of the code works with; it exists only when every field makes sense with every other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::gate::EvidenceLevel;
use crate::id::{ColumnName, ConsumerName, GateName};
use crate::kind::Kind;
use crate::schedule::Triggers;
use crate::time::Span;

mod columns;
mod passive;
pub mod profiles;
mod settle;
mod spec;

pub use columns::{COLUMNS_MAX, Column, ColumnFormat};
pub use passive::Passive;
pub use settle::{PolicyError, PolicyErrors};
pub use spec::{ColumnSpec, ConsumerSpec, Spec};

/// The longest that a JWK set may be kept, however slow the passive consumers are said to be.
const JWKS_MAX_AGE_MAX: Span = Span::from_secs(300);

/// The policy of a ring, settled.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Policy {
    /// What its keys are.
    pub kind: Kind,
    /// When it rotates by itself.
    pub triggers: Triggers,
    /// What it protects lives at most this long.
    pub longest_lifetime: Span,
    /// How far the clocks of consumers may be apart.
    pub skew: Span,
    /// An extra time that a replaced version stays accepted.
    pub hold: Span,
    /// After the lifetime is over, a version must not have been used for this long.
    pub quiet_use: Span,
    /// At most this many versions are accepted at once, the primary among them.
    pub max_accepted: usize,
    /// A stage that takes longer is reported.
    pub stall_after: Span,
    /// What happens then.
    pub on_stall: OnStall,
    /// An instance that has not renewed for this long is lost.
    pub lease_ttl: Span,
    /// A client that has had no contact for this long refuses to protect, and its instance is gone.
    pub offline_max: Span,
    /// A retired version is destroyed after this time; never when absent.
    pub destroy_after: Option<Span>,
    /// What a compromise does first.
    pub on_compromise: OnCompromise,
    /// Whether a person must approve each promotion.
    pub approval: bool,
    /// Gates of the user's own (`probes`, `findings`, …) that must have passed before promotion.
    pub required_gates: BTreeSet<GateName>,
    /// Where the gate `findings` is required, a scan that is older than this must be reported
    /// again; nothing when its age does not matter.
    #[serde(default = "findings_max_age")]
    pub findings_max_age: Option<Span>,
    /// When rejections of the new primary count as a failed promotion.
    pub health: Health,
    /// Consumers that cannot report, with the times after which they surely know.
    #[serde(deserialize_with = "passive::of_any_age")]
    pub passive: BTreeMap<String, Passive>,
    /// Consumers that report.
    pub consumers: BTreeMap<ConsumerName, Consumer>,
    /// A client that could not learn of revocations for this long refuses every token; it goes on,
    /// and says how old its knowledge is, when absent.
    #[serde(default)]
    pub revocations_stale_after: Option<Span>,
    /// Whether tokens that were issued are written down until they expire.
    #[serde(default)]
    pub ledger: bool,
    /// The columns that hold values under its keys; a replaced key waits for all of them.
    #[serde(default)]
    pub columns: BTreeMap<ColumnName, Column>,
}

/// A declared service that uses the ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Consumer {
    /// What it does with the key.
    pub role: Role,
    /// Fewer live instances than this keep the gates closed.
    pub min_instances: usize,
    /// It can hold one value only and is cut over at promotion; declared by the user, because for
    /// the length of its reload law 1 cannot hold for it.
    pub cutover: bool,
    /// Its instances must have been shown to hold a version at least this strongly.
    #[serde(default = "least_evidence")]
    pub min_evidence: EvidenceLevel,
}

/// How long a scan says enough about code that people go on to change.
#[expect(clippy::unnecessary_wraps, reason = "it stands in for a field that may have none")]
const fn findings_max_age() -> Option<Span> {
    Some(Span::from_secs(30 * 86_400))
}

/// What every instance gives: its word. Rings of before this could be asked for ask for no more.
const fn least_evidence() -> EvidenceLevel {
    EvidenceLevel::Attested
}

/// What a consumer does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Signs, encrypts, logs in; and checks as well.
    Protect,
    /// Verifies, decrypts, accepts.
    Process,
}

/// What a stalled stage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnStall {
    /// Keeps waiting, and says who is missing.
    Hold,
    /// Takes the rotation back.
    Rollback,
}

/// What a compromise of the primary does first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum OnCompromise {
    /// The bad version is refused at once, whatever it protected.
    RejectFirst,
    /// Protectors switch first; the bad version is refused when all have, or after `within`.
    SwitchFirst {
        /// The longest time the bad version stays accepted.
        within: Span,
    },
}

/// When rejections after a promotion mean that it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Health {
    /// Rejected share of all verifications of the new primary, in percent, that is still fine.
    pub max_rejected_percent: u8,
    /// Fewer verifications than this say nothing.
    pub min_samples: u64,
}

impl Policy {
    /// How long a version stays accepted after the last protector has left it: everything that was
    /// promised while it was primary.
    pub fn promises(&self) -> Promises {
        Promises {
            longest_lifetime: self.longest_lifetime,
            skew: self.skew,
            hold: self.hold,
            cache: self.kept_for(),
        }
    }

    /// The longest time that a passive consumer needs to learn of a key.
    pub fn propagation(&self) -> Span {
        self.passive.values().map(|one| one.learns_within).max().unwrap_or(Span::ZERO)
    }

    /// The longest time that a passive consumer goes on with a key that was taken away.
    pub fn kept_for(&self) -> Span {
        self.passive.values().map(|one| one.keeps_for).max().unwrap_or(Span::ZERO)
    }

    /// How long a JWK set of this ring may be kept by whoever heeds `max-age`. A copy of before a
    /// key was published must be over before that key is used, so this is shorter by the skew than
    /// what the gate `propagation` waits, and five minutes at most. It is zero, which is
    /// `no-cache`, where no passive consumer is declared: nothing would wait for such a copy.
    pub fn jwks_max_age(&self) -> Span {
        self.propagation().minus(self.skew).min(JWKS_MAX_AGE_MAX)
    }

    /// Whether this consumer can make what others accept.
    pub fn protects(&self, consumer: &Consumer) -> bool {
        consumer.role == Role::Protect || self.kind.is_symmetric()
    }
}

/// The maxima that held while a version was primary. They only grow; a later policy cannot take
/// back what a token in somebody's pocket was promised.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Promises {
    /// The longest life of what it protects.
    pub longest_lifetime: Span,
    /// How far clocks may be apart.
    pub skew: Span,
    /// Extra time.
    pub hold: Span,
    /// How old a passive consumer's copy may be.
    pub cache: Span,
}

impl Promises {
    /// The larger of each.
    pub fn widen(self, other: Self) -> Self {
        Self {
            longest_lifetime: self.longest_lifetime.max(other.longest_lifetime),
            skew: self.skew.max(other.skew),
            hold: self.hold.max(other.hold),
            cache: self.cache.max(other.cache),
        }
    }

    /// The whole time for which a version stays accepted after its last use to protect.
    pub fn accepted_for(&self) -> Span {
        self.longest_lifetime.plus(self.skew).plus(self.hold).plus(self.cache)
    }
}
