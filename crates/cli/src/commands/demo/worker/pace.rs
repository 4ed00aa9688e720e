//! The pace of a worker: a slot every so often, taken by whichever sender is free. So a peer that
//! does not answer slows nobody down; the other senders take its slots.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keywheel_client::clock::boot_time;

/// How far behind the pace may fall before slots are lost; the machine is too slow for it then, and
/// a burst would only make that worse.
const BEHIND_MAX_MILLIS: u64 = 200;
const MICROS: u64 = 1_000_000;

#[derive(Default)]
struct State {
    going: bool,
    /// The next slot, in microseconds of the boot clock.
    next: u64,
}

/// Slots at an even distance.
pub(super) struct Pace {
    distance_micros: u64,
    state: Mutex<State>,
    changed: Condvar,
}

impl Pace {
    /// So many slots a second, once it begins.
    pub(super) fn new(per_sec: u32) -> Self {
        let distance_micros = MICROS / u64::from(per_sec.max(1));
        Self { distance_micros, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Slots come from now on.
    pub(super) fn begin(&self) {
        let mut state = self.lock();
        state.going = true;
        state.next = boot_time().0.saturating_mul(1_000);
        self.changed.notify_all();
    }

    /// No slot comes any more.
    pub(super) fn end(&self) {
        self.lock().going = false;
    }

    /// Whether slots come.
    pub(super) fn is_going(&self) -> bool {
        self.lock().going
    }

    /// Waits for the next slot.
    pub(super) fn slot(&self) {
        loop {
            let mut state = self.lock();
            while !state.going {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let now = boot_time().0.saturating_mul(1_000);
            let slot = state.next.max(now.saturating_sub(BEHIND_MAX_MILLIS * 1_000));
            state.next = slot.saturating_add(self.distance_micros);
            drop(state);
            std::thread::sleep(Duration::from_micros(slot.saturating_sub(now)));
            if self.is_going() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
