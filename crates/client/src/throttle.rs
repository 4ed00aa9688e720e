//! A token bucket without a lock, shared by all threads of a process.

use std::sync::atomic::{AtomicU64, Ordering};

use keywheel_core::time::Span;

use crate::clock::BootTime;

/// Lets `burst` through at once, and then one every `interval`.
#[derive(Debug)]
pub(crate) struct Throttle {
    interval_millis: u64,
    burst: u64,
    /// The moment at which the bucket is full again.
    full_at: AtomicU64,
}

impl Throttle {
    pub(crate) const fn new(interval: Span, burst: u64) -> Self {
        Self { interval_millis: interval.as_millis(), burst, full_at: AtomicU64::new(0) }
    }

    /// Whether one more may pass.
    pub(crate) fn admits(&self, now: BootTime) -> bool {
        let window = self.interval_millis.saturating_mul(self.burst);
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                let next = full_at.max(now.0).saturating_add(self.interval_millis);
                (next <= now.0.saturating_add(window)).then_some(next)
            })
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_more_than_the_burst_and_the_rate(
            steps in prop::collection::vec(0_u64..300, 1..200),
        ) {
            let throttle = Throttle::new(Span::from_millis(100), 3);
            let mut now = 5_000;
            let mut passed = 0;
            for step in &steps {
                now += step;
                passed += u64::from(throttle.admits(BootTime(now)));
                prop_assert!(passed <= 3 + (now - 5_000) / 100);
            }
            prop_assert!(passed >= 1);
            prop_assert!(throttle.admits(BootTime(now + 300)));
        }
    }
}
