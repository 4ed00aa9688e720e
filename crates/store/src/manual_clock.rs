//! A clock that a test moves by hand, so that no test waits for time to pass.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keywheel_core::time::WallTime;
use keywheel_engine::ports::{Clock, Elapsed};

/// A clock that stands still until it is told to move. The wall can also jump by itself, as a
/// machine's does when somebody sets it.
///
/// ```
/// use std::time::Duration;
/// use keywheel_engine::ports::Clock;
/// let clock = keywheel_store::ManualClock::default();
/// let (wall, elapsed) = (clock.wall(), clock.monotonic());
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.wall().0 - wall.0, 5_000);
/// clock.jump_wall_millis(-60_000);
/// assert_eq!(clock.monotonic().0 - elapsed.0, Duration::from_secs(5));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    hands: Mutex<Hands>,
}

#[derive(Clone, Copy, Debug)]
struct Hands {
    wall: WallTime,
    elapsed: Duration,
}

impl Default for ManualClock {
    /// Starts in November 2025, one day after the machine was switched on.
    fn default() -> Self {
        let wall = WallTime(1_763_000_000_000);
        Self { hands: Mutex::new(Hands { wall, elapsed: Duration::from_hours(24) }) }
    }
}

impl ManualClock {
    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        self.change(|hands| {
            let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            hands.wall.0 = hands.wall.0.saturating_add(millis);
            hands.elapsed = hands.elapsed.saturating_add(by);
        });
    }

    /// Sets the wall clock forward or back; the monotonic clock does not notice.
    pub fn jump_wall_millis(&self, by_millis: i64) {
        self.change(|hands| hands.wall.0 = hands.wall.0.saturating_add(by_millis));
    }

    fn change(&self, change: impl FnOnce(&mut Hands)) {
        change(&mut self.hands.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read(&self) -> Hands {
        *self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> WallTime {
        self.read().wall
    }

    fn monotonic(&self) -> Elapsed {
        Elapsed(self.read().elapsed)
    }
}
