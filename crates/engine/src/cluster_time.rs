//! Cluster time: a clock that only a leader moves and that nobody can make jump.
//!
//! It runs ahead of its last record by one lease at most. So whoever reads the record knows the
//! leader's clock to within a lease, and can say when a process was heard.

use keywheel_core::time::{ClusterTime, Span, WallTime};

use crate::ports::Elapsed;

/// The running clock of a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClusterClock {
    time: ClusterTime,
    wall: WallTime,
    monotonic: Elapsed,
    lease: Span,
    limit: ClusterTime,
}

impl ClusterClock {
    /// Starts from the recorded time. Whatever passed since it was recorded is not credited.
    pub const fn start(time: ClusterTime, wall: WallTime, monotonic: Elapsed, lease: Span) -> Self {
        Self { time, wall, monotonic, lease, limit: time.after(lease) }
    }

    /// This time stands in the store now.
    pub fn recorded(&mut self, time: ClusterTime) {
        self.limit = self.limit.max(time.after(self.lease));
    }

    /// Moves on by the smaller of what the two clocks say has passed, and by no more than one
    /// lease: a leader that slept longer did not lead. What would carry it further than a lease
    /// beyond the record counts for nobody.
    pub fn advance(&mut self, wall: WallTime, monotonic: Elapsed) -> ClusterTime {
        let by_wall = wall.since(self.wall);
        let by_monotonic = monotonic.0.saturating_sub(self.monotonic.0);
        let by_monotonic =
            Span::from_millis(u64::try_from(by_monotonic.as_millis()).unwrap_or(u64::MAX));
        let step = by_wall.min(by_monotonic).min(self.lease).min(self.limit.since(self.time));
        self.time = self.time.after(step);
        self.wall = wall;
        // Only whole milliseconds were credited; the rest stays on the account, or a clock that is
        // read often would stand still. What the wall clock held back is not owed.
        self.monotonic = if step == by_monotonic {
            Elapsed(self.monotonic.0.saturating_add(step.to_std()))
        } else {
            monotonic
        };
        self.time
    }

    /// The time at the last move.
    pub const fn time(&self) -> ClusterTime {
        self.time
    }
}
