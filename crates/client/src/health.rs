//! How a ring stands in this process, for whoever shows it to people.

use std::sync::Arc;

use keywheel_core::gate::EvidenceLevel;
use keywheel_core::id::{InstanceId, Revision};
use keywheel_core::time::Span;

/// How a ring stands in this process.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent fact to show")]
pub struct Health {
    /// This process's name at the server, once it is registered.
    pub instance: Option<InstanceId>,
    /// The keyset revision that is held.
    pub revision: Option<Revision>,
    /// How long ago a server was last reached.
    pub last_contact: Option<Span>,
    /// Whether that is longer ago than the lease permits: keys may be out of date.
    pub stale: bool,
    /// Whether protecting is refused because it is longer ago than `offline_max`.
    pub offline: bool,
    /// Whether a server has acknowledged the proof of what is held.
    pub proved: bool,
    /// Of a deferred client: how it is known that the consumer uses what is held. Nothing while
    /// that is not confirmed, and for a client that speaks for itself.
    pub confirmed: Option<EvidenceLevel>,
    /// Whether changes are announced to this process.
    pub listening: bool,
    /// Whether what is held came from the host cache, and no server has confirmed it yet.
    pub from_cache: bool,
    /// How often a server offered an older keyset, which was refused.
    pub refused_revisions: u64,
    /// How long ago it was last known that all that is revoked is known here; nothing before it
    /// first was.
    pub revocations_known_for: Option<Span>,
    /// Whether that is longer ago than the policy permits, or, where it says nothing about it, than
    /// a lease: tokens may be accepted that were revoked meanwhile, or all of them are refused.
    pub revocations_stale: bool,
    /// How many revocations are known.
    pub revocations: usize,
    /// How many issued tokens wait to be reported to the ledger.
    pub issued_waiting: usize,
    /// How many issued tokens the ledger will never know of, because too many waited or the server
    /// refused them.
    pub issued_dropped: u64,
    /// What the last attempt to reach a server ended with, if it failed: cause and remedy.
    pub trouble: Option<Arc<str>>,
}

impl Health {
    /// That of a ring of which nothing is known yet.
    pub(crate) const fn unknown() -> Self {
        Self {
            instance: None,
            revision: None,
            last_contact: None,
            stale: true,
            offline: true,
            proved: false,
            confirmed: None,
            listening: false,
            from_cache: false,
            refused_revisions: 0,
            revocations_known_for: None,
            revocations_stale: true,
            revocations: 0,
            issued_waiting: 0,
            issued_dropped: 0,
            trouble: None,
        }
    }
}
