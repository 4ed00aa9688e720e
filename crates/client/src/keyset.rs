//! What the application reads: the versions of a ring as of one moment. It never changes; the
//! watcher puts another one in its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keywheel_api::ring::Counts;
use keywheel_core::id::{Incarnation, Kid, Revision, RingName, VersionNumber};
use keywheel_core::kind::{EncryptionAlgorithm, Kind};
use keywheel_core::time::Span;
use keywheel_jose::token::{Signer, TokenKey};
use keywheel_jose::{Holder, Material, PublicKey, UseError};
use zeroize::Zeroizing;

use crate::state::Epoch;

/// What was done with a version and not reported yet.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) protected: AtomicU64,
    pub(crate) processed: AtomicU64,
    pub(crate) rejected: AtomicU64,
}

impl Tally {
    /// Takes the counts out.
    pub(crate) fn take(&self) -> Counts {
        Counts {
            protected: self.protected.swap(0, Ordering::Relaxed),
            processed: self.processed.swap(0, Ordering::Relaxed),
            rejected: self.rejected.swap(0, Ordering::Relaxed),
            // Who holds a version knows its kid.
            unknown: 0,
        }
    }
}

pub(crate) enum Key {
    Whole(Arc<Material>),
    Half(PublicKey),
}

/// One version that this process holds. Like the key in it, it can be neither printed nor compared:
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_client::Version>();
/// ```
/// ```compile_fail,E0277
/// fn needs<T: PartialEq>() {}
/// needs::<keywheel_client::Version>();
/// ```
pub struct Version {
    pub(crate) incarnation: Incarnation,
    pub(crate) number: VersionNumber,
    pub(crate) kid: Kid,
    pub(crate) kind: Kind,
    pub(crate) salt: Zeroizing<Vec<u8>>,
    pub(crate) key: Key,
    /// Checks tokens; `None` for kinds that sign none. Made when the version arrives rather than
    /// with its first use, because a fork could come in between.
    pub(crate) token_key: Option<TokenKey>,
    /// Makes tokens.
    pub(crate) signer: Option<Signer>,
    /// Whether it is a passphrase that a person may have chosen.
    pub(crate) is_guessable: bool,
    pub(crate) tally: Arc<Tally>,
}

impl Version {
    pub(crate) fn key_of(holder: Holder) -> Key {
        match holder {
            Holder::Full(material) => Key::Whole(Arc::new(material)),
            Holder::Public(public) => Key::Half(public),
        }
    }

    /// What checks and what makes tokens with a key, as far as it can.
    pub(crate) fn token_keys(key: &Key, kid: &Kid) -> (Option<TokenKey>, Option<Signer>) {
        match key {
            Key::Whole(material) => {
                (TokenKey::of_material(material, kid).ok(), Signer::of_material(material, kid).ok())
            }
            Key::Half(public) => (Some(TokenKey::of_public(public, kid)), None),
        }
    }

    /// Whether values that are sealed with it need stretching: it is a passphrase of fewer than 128
    /// bits, as far as such can be told.
    pub(crate) fn may_be_guessed(key: &Key, kind: &Kind) -> bool {
        let passphrase = Kind::Encryption { algorithm: EncryptionAlgorithm::Passphrase };
        match key {
            Key::Whole(material) => *kind == passphrase && !material.weaknesses().is_empty(),
            Key::Half(_) => false,
        }
    }

    /// Its number.
    pub const fn number(&self) -> VersionNumber {
        self.number
    }

    /// Its key id.
    pub const fn kid(&self) -> &Kid {
        &self.kid
    }

    /// What kind of key it is.
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The life of the ring that it belongs to.
    pub const fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    /// The whole key; `None` when this process holds the half that verifies.
    pub fn material(&self) -> Option<&Material> {
        match &self.key {
            Key::Whole(material) => Some(material),
            Key::Half(_) => None,
        }
    }

    /// The whole key, for whoever outlives the keyset; see [`Version::material`].
    pub fn shared_material(&self) -> Option<Arc<Material>> {
        match &self.key {
            Key::Whole(material) => Some(Arc::clone(material)),
            Key::Half(_) => None,
        }
    }

    /// The salt of this version's proofs, which only those who hold the version know.
    pub fn proof_salt(&self) -> &[u8] {
        &self.salt
    }

    /// Whether it is a passphrase that a person may have chosen; what it seals is stretched.
    pub const fn is_guessable(&self) -> bool {
        self.is_guessable
    }

    /// The half that verifies; `None` for symmetric keys.
    pub fn public_key(&self) -> Option<&PublicKey> {
        match &self.key {
            Key::Whole(material) => material.public_key(),
            Key::Half(public) => Some(public),
        }
    }

    /// Checks a signature, and counts it as processed or rejected.
    ///
    /// # Errors
    /// When it is not this key's signature of this message, or the key is one that encrypts.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), UseError> {
        let outcome = match &self.key {
            Key::Whole(material) => material.verify(message, signature),
            Key::Half(public) => public.verify(message, signature),
        };
        match &outcome {
            Ok(()) => self.processed(1),
            Err(_) => self.rejected(1),
        }
        outcome
    }

    /// Counts what the application verified, decrypted or accepted with this version.
    pub fn processed(&self, count: u64) {
        self.tally.processed.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts what the application refused of this version.
    pub fn rejected(&self, count: u64) {
        self.tally.rejected.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn proof_secret(&self) -> Zeroizing<Vec<u8>> {
        match &self.key {
            Key::Whole(material) => material.proof_secret(),
            Key::Half(public) => public.proof_secret(),
        }
    }
}

/// How many guards of one epoch are outstanding.
#[derive(Debug)]
pub(crate) struct InUse {
    pub(crate) epoch: Epoch,
    pub(crate) guards: AtomicU64,
}

impl InUse {
    pub(crate) fn of(epoch: Epoch) -> Arc<Self> {
        Arc::new(Self { epoch, guards: AtomicU64::new(0) })
    }

    pub(crate) fn is_used(&self) -> bool {
        self.guards.load(Ordering::SeqCst) != 0
    }
}

/// The version to protect with.
#[derive(Clone)]
pub(crate) struct Primary {
    pub(crate) version: Arc<Version>,
    pub(crate) material: Arc<Material>,
    pub(crate) longest_lifetime: Span,
}

/// The versions of a ring as of one moment.
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_client::Keyset>();
/// ```
pub struct Keyset {
    pub(crate) ring: RingName,
    pub(crate) incarnation: Incarnation,
    pub(crate) revision: Revision,
    pub(crate) primary_number: Option<VersionNumber>,
    pub(crate) versions: Vec<Arc<Version>>,
    pub(crate) primary: Option<Primary>,
    pub(crate) offline_max: Span,
    pub(crate) lease_ttl: Span,
    pub(crate) revocations_stale_after: Option<Span>,
    pub(crate) ledger: bool,
    pub(crate) in_use: Arc<InUse>,
}

impl Keyset {
    /// The ring.
    pub const fn ring(&self) -> &RingName {
        &self.ring
    }

    /// Which life of the ring.
    pub const fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    /// The keyset revision.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Grows with each change of what this process holds, also when only a former life ends.
    pub fn epoch(&self) -> Epoch {
        self.in_use.epoch
    }

    /// Whether every version is a symmetric key, so that using one takes a microsecond.
    pub fn is_symmetric(&self) -> bool {
        self.versions.iter().all(|version| version.kind.is_symmetric())
    }

    /// Every accepted version: those of the present life in order of number, then those of a
    /// former life that are accepted for a while longer.
    pub fn versions(&self) -> &[Arc<Version>] {
        &self.versions
    }

    /// The number of the primary version, whether or not this process holds all of it. To protect
    /// with it, take a guard.
    pub const fn primary_number(&self) -> Option<VersionNumber> {
        self.primary_number
    }

    /// What is protected now may live at most this long; nothing when this process protects
    /// nothing.
    pub fn longest_lifetime(&self) -> Option<Span> {
        self.primary.as_ref().map(|primary| primary.longest_lifetime)
    }

    /// How long the server goes without a report until it counts the process as lost.
    pub const fn lease_ttl(&self) -> Span {
        self.lease_ttl
    }

    /// How long this process may protect without having reached a server.
    pub const fn offline_max(&self) -> Span {
        self.offline_max
    }

    /// After how long without knowing what was revoked every token is refused; never when absent.
    pub const fn revocations_stale_after(&self) -> Option<Span> {
        self.revocations_stale_after
    }

    /// Whether the ring keeps a ledger of what was issued.
    pub const fn keeps_ledger(&self) -> bool {
        self.ledger
    }

    /// The versions in the order in which to try them on what names no key: the primary, then the
    /// versions before it, the latest first, then those that come after it.
    pub fn in_order_of_trial(&self) -> impl Iterator<Item = &Arc<Version>> {
        let primary = self.primary_number;
        let versions = || self.versions.iter();
        let first = versions().filter(move |version| Some(version.number) == primary);
        let older =
            versions().rev().filter(move |version| primary.is_none_or(|at| version.number < at));
        let newer = versions().filter(move |version| primary.is_some_and(|at| version.number > at));
        first.chain(older).chain(newer)
    }

    /// The accepted version with this kid.
    pub fn by_kid(&self, kid: &str) -> Option<&Arc<Version>> {
        self.versions.iter().find(|version| version.kid.0 == kid)
    }

    /// The accepted version with this number; of the present life before a former one.
    pub fn by_number(&self, number: VersionNumber) -> Option<&Arc<Version>> {
        self.versions.iter().find(|version| version.number == number)
    }
}
