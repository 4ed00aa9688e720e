//! Time and entropy as ports, so that nothing inside reads a clock or draws a random number.

use std::time::Duration;

use keywheel_core::time::WallTime;

/// A moment on a monotonic clock, as the time since an arbitrary start of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Elapsed(pub Duration);

/// Two clocks: one that people read and that may jump, one that only moves forward.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn wall(&self) -> WallTime;

    /// The monotonic clock. It must not count time in which the machine was suspended as less than
    /// it was; `CLOCK_BOOTTIME` and `CLOCK_MONOTONIC` both serve.
    fn monotonic(&self) -> Elapsed;
}

/// The source of every secret, nonce and identity.
pub trait Entropy: Send + Sync {
    /// Fills the buffer with bytes that nobody can guess.
    fn fill(&self, buffer: &mut [u8]);
}
