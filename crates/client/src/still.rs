//! Keys that stand still: given with the client, moved by hand, and proved to nobody. Tests of an
//! application use them, and tools that run where no server is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use keywheel_core::id::{Incarnation, Kid, Revision, RingName, VersionNumber};
use keywheel_core::time::Span;
use keywheel_jose::Material;
use zeroize::Zeroizing;

use crate::builder::{self, FIRST_USE_TIMEOUT, Origin, Settings};
use crate::clock::boot_time;
use crate::error::BuildError;
use crate::keyset::{InUse, Key, Keyset, Primary, Version};
use crate::live::Live;
use crate::state::Epoch;

/// Longer than anybody waits, and short enough to be added to a time.
const FOR_EVER: Span = Span::from_secs(100 * 365 * 24 * 60 * 60);

/// The keys of one ring, for [`crate::Client::still`]. Like the keys in it, it shows itself to
/// nobody:
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_client::StillKeys>();
/// ```
pub struct StillKeys {
    versions: Vec<(VersionNumber, Kid, Arc<Material>)>,
    primary: VersionNumber,
    longest_lifetime: Span,
}

impl StillKeys {
    /// The accepted versions, each with its number, its kid and its key, and which one protects.
    /// `longest_lifetime` is what the ring's policy would promise.
    ///
    /// # Errors
    /// When there is no version, two have one number or kid, or the primary is none of them.
    pub fn new(
        versions: impl IntoIterator<Item = (VersionNumber, Kid, Arc<Material>)>,
        primary: VersionNumber,
        longest_lifetime: Span,
    ) -> Result<Self, BuildError> {
        let mut versions: Vec<_> = versions.into_iter().collect();
        versions.sort_by_key(|(number, ..)| *number);
        let mut kids: Vec<_> = versions.iter().map(|(_, kid, _)| kid).collect();
        kids.sort();
        let doubles = versions.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0))
            || kids.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
        let has_primary = versions.iter().any(|(number, ..)| *number == primary);
        if doubles || !has_primary {
            return Err(BuildError::StillKeys);
        }
        Ok(Self { versions, primary, longest_lifetime })
    }

    fn keyset(&self, ring: &RingName, epoch: Epoch) -> Keyset {
        let incarnation = Incarnation("still".into());
        let version = |(number, kid, material): &(VersionNumber, Kid, Arc<Material>)| {
            let key = Key::Whole(Arc::clone(material));
            let (token_key, signer) = Version::token_keys(&key, kid);
            let is_guessable = Version::may_be_guessed(&key, material.kind());
            Arc::new(Version {
                incarnation: incarnation.clone(),
                number: *number,
                kid: kid.clone(),
                kind: material.kind().clone(),
                salt: Zeroizing::new(Vec::new()),
                key,
                token_key,
                signer,
                is_guessable,
                tally: Arc::default(),
            })
        };
        let versions: Vec<_> = self.versions.iter().map(version).collect();
        let primary = versions.iter().find(|version| version.number == self.primary);
        let primary = primary.and_then(|version| {
            let material = version.shared_material()?;
            let longest_lifetime = self.longest_lifetime;
            Some(Primary { version: Arc::clone(version), material, longest_lifetime })
        });
        Keyset {
            ring: ring.clone(),
            incarnation,
            revision: Revision(epoch.0),
            primary_number: Some(self.primary),
            versions,
            primary,
            offline_max: FOR_EVER,
            lease_ttl: FOR_EVER,
            revocations_stale_after: None,
            ledger: false,
            in_use: InUse::of(epoch),
        }
    }
}

/// The settings of a client with these keys.
pub(crate) fn settings(
    rings: impl IntoIterator<Item = (String, StillKeys)>,
) -> Result<Settings, BuildError> {
    let (mut names, mut keys) = (Vec::new(), Vec::new());
    for (name, ring_keys) in rings {
        names.push(name.parse()?);
        keys.push(ArcSwap::from_pointee(ring_keys));
    }
    Ok(Settings {
        origin: Origin::Still(keys.into_boxed_slice()),
        consumer: None,
        rings: builder::check_rings(names)?,
        host_cache: None,
        first_use_timeout: FIRST_USE_TIMEOUT,
        deferred: false,
        endures: false,
        identity_file: None,
        pid: None,
        host: None,
    })
}

/// Shows the keys of every ring to the application.
pub(crate) fn show_all(live: &Live, keys: &[ArcSwap<StillKeys>]) {
    for (index, place) in keys.iter().enumerate() {
        show(live, index, place);
    }
}

/// Shows the keys of one ring to the application.
pub(crate) fn show(live: &Live, index: usize, place: &ArcSwap<StillKeys>) {
    let Some(slot) = live.slots.get(index) else { return };
    let epoch = Epoch(slot.epoch.load(Ordering::SeqCst).saturating_add(1));
    let now = boot_time();
    // Before the keys are seen: another thread may take a guard as soon as they are.
    slot.set_contact(now);
    slot.set_revocations_confirmed(now);
    slot.show(Arc::new(place.load().keyset(&slot.ring, epoch)));
    slot.attempted();
    slot.revocation_attempted();
}
