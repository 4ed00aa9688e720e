//! What the edge judges by: the versions that a ring accepts now, and what was revoked. The server
//! has it from its engine, an agent from its client; the edge does not know the difference.

use std::sync::Arc;

use keywheel_core::id::{Kid, RingName, VersionNumber};
use keywheel_core::revocation::{Facts, Revoked};
use keywheel_jose::token::{Keys, TokenKey};

/// Where the edge finds what is accepted. Each call is answered from memory.
pub trait Authority: Send + Sync {
    /// What a ring accepts now; nothing when the ring is not known here.
    fn accepted(&self, ring: &RingName) -> Option<Arc<Accepted>>;

    /// Whether something was revoked.
    ///
    /// # Errors
    /// When nobody can tell any more, and the ring's policy says that nothing passes then.
    fn revoked(&self, ring: &RingName, facts: &Facts<'_>) -> Result<Option<Revoked>, Stale>;

    /// Told of a kid that no version of the ring has. It must cost nothing: anybody can make one
    /// up.
    fn unknown_kid(&self, _ring: &RingName, _kid: &str) {}
}

/// Nobody can tell any more what was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale;

/// Counts what was accepted and refused with one version.
pub trait Tally: Send + Sync {
    /// One token passed.
    fn processed(&self);
    /// One token did not, though it named this version.
    fn rejected(&self);
}

/// The versions that a ring accepts at one moment.
pub struct Accepted {
    /// The keyset revision. What passed under another one is looked at again.
    pub generation: u64,
    /// Primary, retiring, published: the order in which a token without a kid is tried.
    versions: Vec<Version>,
    has_asymmetric: bool,
}

/// One version.
pub struct Version {
    /// Its number.
    pub number: VersionNumber,
    /// Its kid.
    pub kid: Kid,
    /// Checks its tokens.
    pub key: TokenKey,
    /// Whether checking a signature costs so much that what passed is remembered.
    pub is_asymmetric: bool,
    /// Counts.
    pub tally: Arc<dyn Tally>,
}

impl Accepted {
    /// The versions in the order in which they are tried.
    pub fn new(generation: u64, versions: Vec<Version>) -> Self {
        let has_asymmetric = versions.iter().any(|version| version.is_asymmetric);
        Self { generation, versions, has_asymmetric }
    }

    /// Whether checking a signature of some version costs so much that what passed is remembered.
    pub(super) const fn has_asymmetric(&self) -> bool {
        self.has_asymmetric
    }

    /// The version that this key belongs to.
    pub(super) fn version_of(&self, key: &TokenKey) -> Option<&Version> {
        self.versions.iter().find(|version| std::ptr::eq(&raw const version.key, key))
    }

    /// The version with this kid.
    pub fn version(&self, kid: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.kid.0 == kid)
    }
}

impl Keys for Accepted {
    fn by_kid(&self, kid: &str) -> Option<&TokenKey> {
        self.version(kid).map(|version| &version.key)
    }

    fn without_kid(&self) -> impl Iterator<Item = &TokenKey> {
        self.versions.iter().map(|version| &version.key)
    }
}
