//! The guard around a use that protects: while one is outstanding, this process does not say that
//! it has left the version behind (law 2).
//!
//! A guard first counts itself in, then looks whether its keyset is still the present one. The
//! watcher first shows the new keyset, then looks for guards of the older ones. Whichever comes
//! first, one of the two sees the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use keywheel_core::id::{Incarnation, Kid, Revision, RingName, VersionNumber};
use keywheel_core::time::Span;
use keywheel_jose::Material;
use keywheel_jose::token::Signer;

use crate::clock::BootTime;
use crate::error::{ClientError, ProtectError};
use crate::keyset::{Keyset, Primary, Version};
use crate::live::{Live, Slot};

/// Permission to protect with the primary version, until it is dropped. Keep it as short as the
/// work that it covers: a rotation waits for it.
///
/// It does not cover a child that is forked meanwhile, which has to take its own. Nor can it be
/// printed:
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_client::Guard>();
/// ```
#[must_use = "a guard covers the work that is done while it lives"]
pub struct Guard {
    keyset: Arc<Keyset>,
    primary: Primary,
    live: Arc<Live>,
    index: usize,
}

/// Where another thread may come in between; tests let it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Loaded,
    Counted,
}

impl Guard {
    pub(crate) fn take(
        live: &Arc<Live>,
        index: usize,
        now: BootTime,
    ) -> Result<Self, ProtectError> {
        Self::take_between(live, index, now, |_| ())
    }

    fn take_between(
        live: &Arc<Live>,
        index: usize,
        now: BootTime,
        mut between: impl FnMut(Moment),
    ) -> Result<Self, ProtectError> {
        let Some(slot) = live.slots.get(index) else {
            return Err(ClientError::Closed.into());
        };
        loop {
            let Some(keyset) = slot.keyset.load_full() else {
                return Err(slot.missing(&live.status).into());
            };
            check_contact(slot, &keyset, now)?;
            let primary = match (&keyset.primary, keyset.primary_number) {
                (Some(primary), _) => primary.clone(),
                (None, Some(_)) => return Err(ProtectError::NotAProtector),
                (None, None) => return Err(ProtectError::NoPrimary),
            };
            between(Moment::Loaded);
            keyset.in_use.guards.fetch_add(1, Ordering::SeqCst);
            let epoch = keyset.in_use.epoch.0;
            // From here on dropping the guard counts it out again.
            let guard = Self { keyset, primary, live: Arc::clone(live), index };
            between(Moment::Counted);
            if live.closing.load(Ordering::SeqCst) {
                return Err(ClientError::Closed.into());
            }
            if slot.epoch.load(Ordering::SeqCst) <= epoch {
                guard.primary.version.tally.protected.fetch_add(1, Ordering::Relaxed);
                return Ok(guard);
            }
        }
    }

    /// The ring.
    pub fn ring(&self) -> &RingName {
        self.keyset.ring()
    }

    /// The life of the ring that the version belongs to.
    pub fn incarnation(&self) -> &Incarnation {
        &self.primary.version.incarnation
    }

    /// The keyset revision that this guard counts for.
    pub fn revision(&self) -> Revision {
        self.keyset.revision()
    }

    /// The number of the version to protect with.
    pub fn number(&self) -> VersionNumber {
        self.primary.version.number
    }

    /// Its kid.
    pub fn kid(&self) -> &Kid {
        &self.primary.version.kid
    }

    /// The key.
    pub fn material(&self) -> &Material {
        &self.primary.material
    }

    /// The key, for whoever outlives the guard. Protecting with it then is not covered.
    pub fn shared_material(&self) -> Arc<Material> {
        Arc::clone(&self.primary.material)
    }

    pub(crate) fn live(&self) -> *const Live {
        Arc::as_ptr(&self.live)
    }

    pub(crate) const fn keyset(&self) -> &Arc<Keyset> {
        &self.keyset
    }

    pub(crate) const fn version(&self) -> &Arc<Version> {
        &self.primary.version
    }

    /// What makes tokens with the key.
    pub(crate) fn signer(&self) -> Option<&Signer> {
        self.primary.version.signer.as_ref()
    }

    /// What is protected now may live at most this long. A longer life would outlast the key.
    pub fn longest_lifetime(&self) -> Span {
        self.primary.longest_lifetime
    }
}

/// Whoever has not been heard for `offline_max` counts as stopped, and so must have stopped.
pub(crate) fn check_contact(
    slot: &Slot,
    keyset: &Keyset,
    now: BootTime,
) -> Result<(), ProtectError> {
    let offline_max = keyset.offline_max;
    let silent_for = now.since(slot.contact().ok_or(ProtectError::Unconfirmed)?);
    if silent_for > offline_max {
        return Err(ProtectError::Offline { silent_for, offline_max });
    }
    Ok(())
}

impl Drop for Guard {
    fn drop(&mut self) {
        let in_use = &self.keyset.in_use;
        let was_last = in_use.guards.fetch_sub(1, Ordering::SeqCst) == 1;
        let superseded = self
            .live
            .slots
            .get(self.index)
            .is_some_and(|slot| slot.epoch.load(Ordering::SeqCst) > in_use.epoch.0);
        // The bell of a parent must stay silent: it is a socket that both processes have.
        if was_last && superseded && self.live.is_own() {
            self.live.wake.ring();
        }
    }
}

#[cfg(test)]
mod tests;
