//! What the edge judges by: the versions that a ring accepts now, and what was revoked. The server
//! has it from its engine, an agent from its client; the edge does not know the difference.

use std::sync::Arc;

use keywheel_core::id::{Kid, RingName, VersionNumber};
use keywheel_core::revocation::{Facts, Revoked};
use keywheel_jose::token::{Keys, TokenKey};

use super::header;
use super::said::{Said, Saying as _, X_AUTH_KID, X_KEY_GENERATION};

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
    versions: Vec<Ready>,
}

/// A version, and what every answer says that it let pass.
pub(super) struct Ready {
    pub(super) version: Version,
    /// Nothing when the kid is too long for a header.
    pub(super) said: Option<Said>,
}

/// One version.
pub struct Version {
    /// Its number.
    pub number: VersionNumber,
    /// Its kid.
    pub kid: Kid,
    /// Checks its tokens.
    pub key: TokenKey,
    /// Whether checking a signature costs so much that what passed is remembered at once, and not
    /// only when it is seen again.
    pub is_asymmetric: bool,
    /// Counts.
    pub tally: Arc<dyn Tally>,
}

impl Accepted {
    /// The versions in the order in which they are tried.
    pub fn new(generation: u64, versions: Vec<Version>) -> Self {
        let ready = |version: Version| {
            let said = header::value(&version.kid.0).map(|kid| {
                let mut said = Said::default();
                said.say(&X_KEY_GENERATION, &generation.to_string());
                said.say(&X_AUTH_KID, &kid);
                said
            });
            Ready { version, said }
        };
        Self { generation, versions: versions.into_iter().map(ready).collect() }
    }

    /// The version that this key belongs to.
    pub(super) fn version_of(&self, key: &TokenKey) -> Option<&Ready> {
        self.versions.iter().find(|ready| std::ptr::eq(&raw const ready.version.key, key))
    }

    /// The version with this kid.
    pub(super) fn version(&self, kid: &str) -> Option<&Ready> {
        self.versions.iter().find(|ready| ready.version.kid.0 == kid)
    }
}

impl Keys for Accepted {
    fn by_kid(&self, kid: &str) -> Option<&TokenKey> {
        self.version(kid).map(|ready| &ready.version.key)
    }

    fn without_kid(&self) -> impl Iterator<Item = &TokenKey> {
        self.versions.iter().map(|ready| &ready.version.key)
    }
}
