//! The keys of one ring as the watcher keeps them: it puts together what the application reads out
//! of what the pure state decided on.

use std::collections::BTreeMap;
use std::sync::Arc;

use keywheel_api::material::Material;
use keywheel_api::ring::Counts;
use keywheel_core::id::{Incarnation, RingName, VersionNumber};
use zeroize::Zeroizing;

use crate::clock::BootTime;
use crate::keyset::{InUse, Key, Keyset, Primary, Tally, Version};
use crate::material::{self, Arrived, MaterialError};
use crate::state::{ConsumerState, Epoch, Offer};

type Tallies = BTreeMap<(Incarnation, VersionNumber), Arc<Tally>>;

/// The keys of one ring.
#[derive(Default)]
pub(crate) struct Local {
    pub(crate) versions: Vec<Arc<Version>>,
    tallies: Tallies,
    in_use: Vec<Arc<InUse>>,
    /// The material as it arrived, for the host cache.
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
    /// The contact for which the host cache was written last.
    pub(crate) cached_at: Option<BootTime>,
}

impl Local {
    /// Parses material; versions that were known keep their counters.
    pub(crate) fn parse(
        &mut self,
        wire: Material,
        ring: &RingName,
    ) -> Result<Arrived, MaterialError> {
        let tallies = &mut self.tallies;
        material::parse(wire, ring, |life, number| {
            Arc::clone(tallies.entry((life.clone(), number)).or_default())
        })
    }

    /// Takes over the versions of a keyset that was applied.
    pub(crate) fn adopt(&mut self, versions: Vec<Arc<Version>>) {
        let Some(life) = versions.first().map(|version| version.incarnation.clone()) else {
            return;
        };
        self.versions.retain(|version| version.incarnation != life);
        self.versions.extend(versions);
    }

    fn of<'a>(&'a self, offer: &'a Offer) -> impl Iterator<Item = &'a Arc<Version>> {
        let keyset = &offer.keyset;
        self.versions.iter().filter(|version| {
            version.incarnation == keyset.incarnation
                && keyset.accepted.contains_key(&version.number)
        })
    }

    /// What the application is to see. Forgets the keys that nothing accepts any more.
    pub(crate) fn view(&mut self, state: &ConsumerState) -> Option<Keyset> {
        let held = state.held()?;
        let former = state.former().iter().rev().map(|former| &former.offer);
        let versions: Vec<_> =
            std::iter::once(held).chain(former).flat_map(|offer| self.of(offer)).cloned().collect();
        self.versions.clone_from(&versions);
        let primary = state.primary().and_then(|protector| {
            let version = versions.iter().find(|version| {
                version.incarnation == *protector.incarnation && version.number == protector.version
            })?;
            let Key::Whole(material) = &version.key else { return None };
            Some(Primary {
                version: Arc::clone(version),
                material: Arc::clone(material),
                longest_lifetime: protector.longest_lifetime,
            })
        });
        let in_use = InUse::of(state.epoch());
        self.in_use.push(Arc::clone(&in_use));
        let keyset = &held.keyset;
        Some(Keyset {
            ring: state.ring().clone(),
            incarnation: keyset.incarnation.clone(),
            revision: keyset.revision,
            primary_number: state.primary().map(|protector| protector.version),
            versions,
            primary,
            offline_max: state.offline_max(),
            lease_ttl: keyset.lease_ttl,
            revocations_stale_after: keyset.revocations_stale_after,
            ledger: keyset.ledger,
            in_use,
        })
    }

    /// The oldest epoch that a guard holds. Epochs that were left and are not held by any guard
    /// can never be held again, and are forgotten.
    pub(crate) fn oldest_guard(&mut self) -> Option<Epoch> {
        let present = self.in_use.last().map(|in_use| in_use.epoch);
        self.in_use.retain(|in_use| Some(in_use.epoch) == present || in_use.is_used());
        self.in_use.iter().find(|in_use| in_use.is_used()).map(|in_use| in_use.epoch)
    }

    /// Whether any guard is outstanding.
    pub(crate) fn is_in_use(&self) -> bool {
        self.in_use.iter().any(|in_use| in_use.is_used())
    }

    /// Takes out what was counted for the versions of a life.
    pub(crate) fn take_counts(&mut self, life: &Incarnation) -> BTreeMap<VersionNumber, Counts> {
        let counts = self
            .tallies
            .iter()
            .filter(|((incarnation, _), _)| incarnation == life)
            .map(|((_, number), tally)| (*number, tally.take()))
            .filter(|(_, counts)| *counts != Counts::default())
            .collect();
        // Whoever still holds a version may still count; what nobody holds has been counted.
        self.tallies.retain(|_, tally| Arc::strong_count(tally) > 1);
        counts
    }
}
