//! Takes key material off the wire: everything is checked and parsed before any of it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_api::material::Material as Wire;
use keywheel_core::id::{Incarnation, Kid, Revision, RingName, VersionNumber};
use keywheel_core::ring::Keyset;
use keywheel_core::time::Span;
use keywheel_jose::{DeliveryError, Holder};
use zeroize::Zeroizing;

use crate::keyset::{Tally, Version};
use crate::state::Offer;

const VERSIONS_MAX: usize = 256;

/// Material that cannot be used. None of it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MaterialError {
    /// It is about another ring.
    #[error("the server sent another ring; use client and server of one release")]
    OtherRing,
    /// It contradicts itself.
    #[error("the server sent a keyset that cannot be: {0}; use client and server of one release")]
    Impossible(&'static str),
    /// A version cannot be read.
    #[error("{version} cannot be used")]
    Version {
        /// Which one.
        version: VersionNumber,
        /// Why not.
        #[source]
        source: DeliveryError,
    },
}

/// Material that was checked.
pub(crate) struct Arrived {
    pub(crate) offer: Offer,
    pub(crate) versions: Vec<Arc<Version>>,
    pub(crate) cacheable: bool,
    /// The newest number of what is revoked.
    pub(crate) revocations: Option<u64>,
    /// For how long yet the primary is young enough to be used.
    pub(crate) fresh_for: Option<Span>,
}

/// Checks and parses material. `tally` gives the counters of a version, which outlive keysets.
pub(crate) fn parse(
    wire: Wire,
    ring: &RingName,
    mut tally: impl FnMut(&Incarnation, VersionNumber) -> Arc<Tally>,
) -> Result<Arrived, MaterialError> {
    let impossible = MaterialError::Impossible;
    if wire.ring != ring.as_str() {
        return Err(MaterialError::OtherRing);
    }
    if wire.versions.len() > VERSIONS_MAX {
        return Err(impossible("more versions than there can be"));
    }
    if wire.incarnation.is_empty() || wire.lease_ttl_millis == 0 {
        return Err(impossible("no incarnation, or no lease"));
    }
    let incarnation = Incarnation(wire.incarnation);
    let mut accepted = BTreeMap::new();
    let mut versions = Vec::with_capacity(wire.versions.len());
    for version in wire.versions {
        let number = VersionNumber(version.number);
        let kid = Kid(version.kid);
        let salt = URL_SAFE_NO_PAD.decode(&version.salt).map_err(|_| impossible("a bad salt"))?;
        let holder = Holder::from_delivery(&version.kind, &version.delivery.0)
            .map_err(|source| MaterialError::Version { version: number, source })?;
        if accepted.insert(number, kid.clone()).is_some() {
            return Err(impossible("two versions of one number"));
        }
        let key = Version::key_of(holder);
        let (token_key, signer) = Version::token_keys(&key, &kid);
        let is_guessable = Version::may_be_guessed(&key, &version.kind);
        versions.push(Arc::new(Version {
            incarnation: incarnation.clone(),
            number,
            kid,
            kind: version.kind,
            salt: Zeroizing::new(salt),
            key,
            token_key,
            signer,
            is_guessable,
            tally: tally(&incarnation, number),
        }));
    }
    if accepted.values().collect::<BTreeSet<_>>().len() != accepted.len() {
        return Err(impossible("two versions of one kid"));
    }
    let primary = wire.primary.map(VersionNumber);
    if primary.is_some_and(|primary| !accepted.contains_key(&primary)) {
        return Err(impossible("a primary that is not accepted"));
    }
    versions.sort_by_key(|version| version.number);
    let keyset = Keyset {
        incarnation,
        revision: Revision(wire.revision),
        primary,
        accepted,
        longest_lifetime: Span::from_millis(wire.longest_lifetime_millis),
        offline_max: Span::from_millis(wire.offline_max_millis),
        lease_ttl: Span::from_millis(wire.lease_ttl_millis),
        revocations_stale_after: wire.revocations_stale_after_millis.map(Span::from_millis),
        ledger: wire.ledger,
    };
    let offer = Offer { keyset, skew: Span::from_millis(wire.skew_millis) };
    Ok(Arrived {
        offer,
        versions,
        cacheable: wire.cacheable,
        revocations: wire.revocations,
        fresh_for: wire.fresh_for_millis.map(Span::from_millis),
    })
}

#[cfg(test)]
pub(crate) mod tests;
