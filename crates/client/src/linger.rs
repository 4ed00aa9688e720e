//! The primary for code that cannot be bracketed: a setting that a framework reads whenever it
//! likes, a variable of the environment. Whoever reads it is taken to protect with it for a second,
//! and the guard behind it stays as long as that.
//!
//! The watcher lets go of such guards, so that a rotation does not wait for a process that is idle.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keywheel_core::time::Span;

use crate::client::RingHandle;
use crate::clock::{BootTime, boot_time};
use crate::error::ProtectError;
use crate::guard::{Guard, check_contact};
use crate::keyset::{Keyset, Version};
use crate::live::{Live, Slot};

/// How long what was read may be protected with.
const LINGER: Span = Span::from_secs(1);

/// So many guards are kept of one ring. More keysets do not arrive within a second.
const KEPT_MAX: usize = 8;

/// A guard that is kept.
pub(crate) struct Kept {
    keyset: Arc<Keyset>,
    version: Arc<Version>,
    last_read: AtomicU64,
    released: AtomicBool,
}

impl Kept {
    /// Counts in beside a guard, which counts itself out when it is dropped.
    fn beside(guard: &Guard, now: BootTime) -> Self {
        let keyset = Arc::clone(guard.keyset());
        keyset.in_use.guards.fetch_add(1, Ordering::SeqCst);
        Self {
            keyset,
            version: Arc::clone(guard.version()),
            last_read: AtomicU64::new(now.0),
            released: AtomicBool::new(false),
        }
    }

    fn is_superseded(&self, slot: &Slot) -> bool {
        slot.epoch.load(Ordering::SeqCst) > self.keyset.in_use.epoch.0
    }

    /// Notes that it is read. Only afterwards may it be asked whether it is superseded: either the
    /// watcher sees that it is read, or the reader sees the newer keyset.
    fn note_read(&self, now: BootTime) {
        if self.last_read.load(Ordering::SeqCst) < now.0 {
            self.last_read.fetch_max(now.0, Ordering::SeqCst);
        }
    }

    fn ends_at(&self) -> BootTime {
        BootTime(self.last_read.load(Ordering::SeqCst)).after(LINGER)
    }

    fn release(&self) {
        if !self.released.swap(true, Ordering::SeqCst) {
            self.keyset.in_use.guards.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.release();
    }
}

impl Slot {
    /// Keeps one more.
    fn keep(&self, kept: &Arc<Kept>) {
        self.kept.rcu(|all| {
            let excess = all.len().saturating_sub(KEPT_MAX.saturating_sub(1));
            let before = all.iter().skip(excess);
            before.chain(std::iter::once(kept)).map(Arc::clone).collect::<Vec<_>>()
        });
    }

    /// Lets go of what a newer keyset has superseded and nobody has read for long enough; gives the
    /// moment at which to look again.
    pub(crate) fn let_go(&self, now: BootTime) -> Option<BootTime> {
        let mut again = None::<BootTime>;
        let mut gone = Vec::new();
        for kept in self.kept.load().iter().filter(|kept| kept.is_superseded(self)) {
            let end = kept.ends_at();
            if end <= now {
                gone.push(Arc::clone(kept));
            } else {
                again = Some(again.map_or(end, |known| known.min(end)));
            }
        }
        if !gone.is_empty() {
            let is_gone = |one: &Arc<Kept>| gone.iter().any(|gone| Arc::ptr_eq(one, gone));
            self.kept.rcu(|all| {
                all.iter().filter(|one| !is_gone(one)).map(Arc::clone).collect::<Vec<_>>()
            });
            for kept in gone {
                kept.release();
            }
        }
        again
    }
}

impl Live {
    /// Lets go of everything, because this process ends its work.
    pub(crate) fn let_all_go(&self) {
        for slot in &self.slots {
            for kept in slot.kept.swap(Arc::default()).iter() {
                kept.release();
            }
        }
    }
}

impl RingHandle {
    /// The version to protect with, for code that cannot be bracketed by a [`Guard`]. It may be
    /// used for a second; a rotation waits so long. Read it anew for each use: that costs a few
    /// loads.
    ///
    /// # Errors
    /// Like those of [`RingHandle::guard`].
    pub fn linger(&self) -> Result<Arc<Version>, ProtectError> {
        let now = boot_time();
        let read = self.slot(|live, slot| {
            let all = slot.kept.load();
            let kept = all.last()?;
            kept.note_read(now);
            if kept.is_superseded(slot) || live.closing.load(Ordering::SeqCst) {
                return None;
            }
            Some(check_contact(slot, &kept.keyset, now).map(|()| {
                kept.version.tally.protected.fetch_add(1, Ordering::Relaxed);
                Arc::clone(&kept.version)
            }))
        })?;
        read.unwrap_or_else(|| self.linger_anew())
    }

    #[cold]
    fn linger_anew(&self) -> Result<Arc<Version>, ProtectError> {
        let guard = self.guard()?;
        let version = Arc::clone(guard.version());
        self.slot(|live, slot| {
            if std::ptr::eq(Arc::as_ptr(live), guard.live()) {
                slot.keep(&Arc::new(Kept::beside(&guard, boot_time())));
                // It may be superseded already, while the watcher rests.
                live.wake.ring();
            }
        })?;
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use keywheel_core::id::{Kid, VersionNumber};
    use keywheel_core::kind::{Kind, SecretEncoding};
    use keywheel_jose::Material;

    use super::*;
    use crate::{Client, StillKeys};

    fn keys(numbers: std::ops::RangeInclusive<u32>) -> StillKeys {
        let newest = VersionNumber(*numbers.end());
        let versions = numbers.map(|number| {
            let kind = Kind::Secret { length: 32, encoding: SecretEncoding::Base64url };
            let mut byte = 0_u8;
            let mut fill = |buffer: &mut [u8]| {
                for place in buffer {
                    byte = byte.wrapping_mul(31).wrapping_add(number.to_le_bytes()[0]);
                    *place = byte;
                }
            };
            let material = Material::generate(&kind, &mut fill).unwrap();
            (VersionNumber(number), Kid(format!("k{number}")), Arc::new(material))
        });
        StillKeys::new(versions, newest, Span::from_secs(60)).unwrap()
    }

    fn guards(keyset: &Keyset) -> u64 {
        keyset.in_use.guards.load(Ordering::SeqCst)
    }

    #[test]
    fn what_was_read_is_held_for_a_second_and_what_nobody_reads_is_let_go() {
        let client = Client::still([("web".into(), keys(1..=1))]).unwrap();
        let ring = client.ring("web").unwrap();
        assert_eq!(ring.linger().unwrap().number(), VersionNumber(1));
        let first = ring.held().unwrap();
        assert_eq!(ring.linger().unwrap().number(), VersionNumber(1));
        assert_eq!(guards(&first), 1, "one guard, however often it is read");
        let now = boot_time();
        let let_go = |at| ring.slot(|_, slot| slot.let_go(at)).unwrap();
        assert_eq!(let_go(now.after(Span::from_secs(100))), None, "the present one stays");
        assert_eq!(guards(&first), 1);

        client.put("web", keys(1..=2)).unwrap();
        assert_eq!(ring.linger().unwrap().number(), VersionNumber(2));
        assert!(let_go(now).is_some());
        assert_eq!(guards(&first), 1, "whoever read the old one may still be at work");
        assert_eq!(let_go(now.after(Span::from_secs(100))), None);
        assert_eq!((guards(&first), guards(&ring.held().unwrap())), (0, 1));
        assert!(client.shutdown());
        assert!(ring.linger().is_err());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let client = Client::still([("web".into(), keys(1..=1))]).unwrap();
        let ring = client.ring("web").unwrap();
        let mut seen = Vec::new();
        for newest in 2..40 {
            ring.linger().unwrap();
            seen.push(ring.held().unwrap());
            client.put("web", keys(1..=newest)).unwrap();
        }
        assert_eq!(seen.iter().map(|keyset| guards(keyset)).sum::<u64>(), KEPT_MAX as u64);
    }
}
