//! Which ring is due when, so that a tick costs as much as there are rings due.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use keywheel_core::id::RingName;
use keywheel_core::time::WallTime;

use crate::ports::Elapsed;

/// The moments at which rings want to be looked at.
#[derive(Default)]
pub(crate) struct Agenda {
    by_monotonic: BTreeSet<(Elapsed, RingName)>,
    by_wall: BTreeSet<(WallTime, RingName)>,
    known: HashMap<RingName, (Option<Elapsed>, Option<WallTime>)>,
}

impl Agenda {
    /// Sets both moments of a ring; the former ones are forgotten.
    pub(crate) fn set(
        &mut self,
        ring: &RingName,
        monotonic: Option<Elapsed>,
        wall: Option<WallTime>,
    ) {
        self.remove(ring);
        if let Some(moment) = monotonic {
            self.by_monotonic.insert((moment, ring.clone()));
        }
        if let Some(moment) = wall {
            self.by_wall.insert((moment, ring.clone()));
        }
        if monotonic.is_some() || wall.is_some() {
            self.known.insert(ring.clone(), (monotonic, wall));
        }
    }

    /// Brings a ring forward to this moment, if it is not due earlier.
    pub(crate) fn bring_forward(&mut self, ring: &RingName, moment: Elapsed) {
        let (monotonic, wall) = self.known.get(ring).copied().unwrap_or_default();
        if monotonic.is_none_or(|known| known > moment) {
            self.set(ring, Some(moment), wall);
        }
    }

    pub(crate) fn remove(&mut self, ring: &RingName) {
        let Some((monotonic, wall)) = self.known.remove(ring) else { return };
        if let Some(moment) = monotonic {
            self.by_monotonic.remove(&(moment, ring.clone()));
        }
        if let Some(moment) = wall {
            self.by_wall.remove(&(moment, ring.clone()));
        }
    }

    /// Takes the rings that are due, at most `limit` of them.
    pub(crate) fn due(
        &mut self,
        monotonic: Elapsed,
        wall: WallTime,
        limit: usize,
    ) -> Vec<RingName> {
        let mut due: Vec<_> = self
            .by_monotonic
            .iter()
            .take_while(|(moment, _)| *moment <= monotonic)
            .take(limit)
            .map(|(_, ring)| ring.clone())
            .collect();
        let room = limit.saturating_sub(due.len());
        due.extend(
            self.by_wall
                .iter()
                .take_while(|(moment, _)| *moment <= wall)
                .take(room)
                .map(|(_, ring)| ring.clone()),
        );
        for ring in &due {
            self.remove(ring);
        }
        due.sort();
        due.dedup();
        due
    }

    /// How long until the next ring is due.
    pub(crate) fn idle(&self, monotonic: Elapsed, wall: WallTime) -> Option<Duration> {
        let first = self.by_monotonic.first();
        let first = first.map(|(moment, _)| moment.0.saturating_sub(monotonic.0));
        let second = self.by_wall.first().map(|(moment, _)| moment.since(wall).to_std());
        first.into_iter().chain(second).min()
    }
}
