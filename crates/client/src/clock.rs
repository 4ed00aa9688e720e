//! The one place of this crate that reads clocks. Everything else takes the time as an argument.
//!
//! Waits count the boot clock, which never jumps and goes on while the machine sleeps: a laptop
//! that wakes up after a day must know that it has been away. The wall clock serves the host cache,
//! because nothing else survives a reboot, and tokens, which say their times by it, also to tell
//! which revocations may be forgotten.

use keywheel_core::time::Span;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// A moment on the boot clock, in milliseconds. It means nothing on another machine or after a
/// reboot. The count begins long before the boot, so that what happened before can be written too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(pub u64);

impl BootTime {
    /// The moment `span` later; it stops at the last moment that there is.
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.as_millis()))
    }

    /// The moment `span` earlier; it stops at the first moment that there is.
    pub const fn before(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.as_millis()))
    }

    /// How long ago `earlier` was; nothing when it lies ahead.
    pub const fn since(self, earlier: Self) -> Span {
        Span::from_millis(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// 34 years.
const BEFORE_BOOT_MILLIS: u64 = 1 << 40;

/// The present on the boot clock.
pub fn boot_time() -> BootTime {
    let since_boot = u64::try_from(millis(clock_gettime(CLOCK))).unwrap_or(0);
    BootTime(since_boot.saturating_add(BEFORE_BOOT_MILLIS))
}

/// The present on the wall clock, in milliseconds since the Unix epoch.
pub fn wall_millis() -> i64 {
    millis(clock_gettime(ClockId::Realtime))
}

const fn millis(moment: Timespec) -> i64 {
    moment.tv_sec.saturating_mul(1_000).saturating_add(moment.tv_nsec / 1_000_000)
}
