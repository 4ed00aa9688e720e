//! Whether the primary is young enough to be used (`max_age_at_use`). The server decides when to
//! rotate; here a process tells it at once that an old primary is in use, once for each primary.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::client::RingHandle;
use crate::clock::{BootTime, boot_time};
use crate::error::ClientError;

/// What the application and the watcher share of one ring.
#[derive(Default)]
pub(crate) struct Fresh {
    /// Until when the primary is young enough, plus one; 0 where the policy has no such age.
    until: AtomicU64,
    /// Whether the server was told that this primary is too old.
    told: AtomicBool,
    wish: AtomicBool,
}

impl Fresh {
    /// Notes until when the present primary is young enough.
    pub(crate) fn set(&self, until: Option<BootTime>, now: BootTime) {
        if until.is_none_or(|until| until > now) {
            self.told.store(false, Ordering::SeqCst);
        }
        self.until.store(until.map_or(0, |at| at.0.saturating_add(1)), Ordering::SeqCst);
    }

    /// Whether the primary is too old to be used at this moment.
    fn is_over(&self, now: impl FnOnce() -> BootTime) -> bool {
        let until = self.until.load(Ordering::Relaxed).checked_sub(1);
        until.is_some_and(|until| until <= now().0)
    }

    /// Whether to tell the server; true once for each primary.
    fn is_to_be_told(&self) -> bool {
        let is_first = !self.told.swap(true, Ordering::SeqCst);
        if is_first {
            self.wish.store(true, Ordering::SeqCst);
        }
        is_first
    }

    /// Whether somebody wishes that the server is told.
    pub(crate) fn take_wish(&self) -> bool {
        self.wish.load(Ordering::Relaxed) && self.wish.swap(false, Ordering::SeqCst)
    }
}

impl RingHandle {
    /// Whether the primary is young enough to be used; nothing where nothing is held yet. Tells the
    /// server nothing, starts nothing and waits for nothing; see [`RingHandle::ensure_fresh`].
    pub fn is_fresh(&self) -> Option<bool> {
        self.look(|slot, _| !slot.fresh.is_over(boot_time))
    }

    /// Whether the primary is younger than the policy's `max_age_at_use`; true where the policy has
    /// none. When it is older the use is reported at once, and not with the next renewal: the
    /// server then begins a rotation. That happens once for each primary, so that this may be
    /// called for every request: it costs nanoseconds.
    ///
    /// # Errors
    /// When nothing has arrived.
    pub fn ensure_fresh(&self) -> Result<bool, ClientError> {
        match self.is_fresh() {
            Some(true) => return Ok(true),
            Some(false) => {}
            None => {
                self.current()?;
                return self.ensure_fresh();
            }
        }
        self.slot(|live, slot| {
            if slot.fresh.is_to_be_told() {
                let keyset = slot.keyset.load();
                let number = keyset.as_ref().and_then(|keyset| keyset.primary_number());
                let version = number.and_then(|number| keyset.as_ref()?.by_number(number));
                if let Some(version) = version {
                    version.tally.protected.fetch_add(1, Ordering::Relaxed);
                }
                live.wake.ring();
            }
        })?;
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_told_once_for_each_primary() {
        let fresh = Fresh::default();
        assert!(!fresh.is_over(|| BootTime(u64::MAX)), "no age was set");
        fresh.set(Some(BootTime(100)), BootTime(50));
        assert!(!fresh.is_over(|| BootTime(99)));
        assert!(fresh.is_over(|| BootTime(100)));
        assert!(fresh.is_to_be_told() && fresh.take_wish());
        assert!(!fresh.is_to_be_told() && !fresh.take_wish());
        // The same primary once more, a published version beside it: nothing new.
        fresh.set(Some(BootTime(110)), BootTime(110));
        assert!(fresh.is_over(|| BootTime(110)) && !fresh.is_to_be_told());
        fresh.set(Some(BootTime(300)), BootTime(120));
        assert!(!fresh.is_over(|| BootTime(299)) && fresh.is_over(|| BootTime(300)));
        assert!(fresh.is_to_be_told());
        fresh.set(None, BootTime(400));
        assert!(!fresh.is_over(|| BootTime(u64::MAX)));
    }
}
