//! The one place where this crate touches the machine's clocks and its random number generator.
//!
//! Everything else takes them as the engine's `Clock` and `Entropy` ports.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keywheel_core::time::WallTime;
use keywheel_engine::ports::{Clock, Elapsed, Entropy};
use rustix::time::{ClockId, clock_gettime};

/// The clocks of the machine: the wall clock, and a monotonic one that goes on during suspend.
///
/// ```
/// use keywheel_engine::ports::Clock;
/// let clock = keywheel_store::SystemClock;
/// assert!(clock.monotonic() <= clock.monotonic());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// A suspended machine must not make a lease look younger than it is, so the clock that counts
/// suspended time is preferred where there is one.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MONOTONIC: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const MONOTONIC: ClockId = ClockId::Monotonic;

impl Clock for SystemClock {
    fn wall(&self) -> WallTime {
        #[expect(clippy::disallowed_methods, reason = "this is the edge that the Clock port names")]
        let now = SystemTime::now();
        WallTime(match now.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
            Err(before) => {
                i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |millis| -millis)
            }
        })
    }

    fn monotonic(&self) -> Elapsed {
        let now = clock_gettime(MONOTONIC);
        let secs = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
        Elapsed(Duration::new(secs, nanos))
    }
}

/// The operating system's random number generator, by way of AWS-LC.
///
/// ```
/// use keywheel_engine::ports::Entropy;
/// let mut nonce = [0_u8; 32];
/// keywheel_store::SystemEntropy.fill(&mut nonce);
/// assert_ne!(nonce, [0; 32]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the edge that the Entropy port names"
        )]
        let filled = aws_lc_rs::rand::fill(buffer);
        #[expect(
            clippy::expect_used,
            reason = "without entropy every key made from here on would be guessable; there is no \
                      safe way to continue, and AWS-LC itself ends the process before this line"
        )]
        filled.expect("the operating system gives random bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_past_the_day_this_was_written() {
        assert!(SystemClock.wall() > WallTime(1_760_000_000_000));
    }

    #[test]
    fn the_monotonic_clock_advances() {
        let start = SystemClock.monotonic();
        assert!((0..10_000_000).any(|_| SystemClock.monotonic() > start));
    }

    #[test]
    fn two_draws_differ() {
        let (mut one, mut two) = ([0_u8; 32], [0_u8; 32]);
        SystemEntropy.fill(&mut one);
        SystemEntropy.fill(&mut two);
        assert_ne!(one, two);
    }
}
