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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u8, Option<u16>, Option<u16>),
        Forward(u8, u16),
        Remove(u8),
        Due(u16, u16, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let moment = || prop::option::of(0_u16..50);
        prop_oneof![
            (0_u8..6, moment(), moment()).prop_map(|(ring, a, b)| Step::Set(ring, a, b)),
            (0_u8..6, 0_u16..50).prop_map(|(ring, moment)| Step::Forward(ring, moment)),
            (0_u8..6).prop_map(Step::Remove),
            (0_u16..50, 0_u16..50, 0_usize..4).prop_map(|(a, b, limit)| Step::Due(a, b, limit)),
        ]
    }

    fn name(ring: u8) -> RingName {
        format!("r{ring}").parse().unwrap()
    }

    const fn elapsed(moment: u16) -> Elapsed {
        Elapsed(Duration::from_secs(moment as u64))
    }

    fn wall(moment: u16) -> WallTime {
        WallTime(i64::from(moment) * 1_000)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// It gives out exactly the rings whose moment has come, each once, and forgets no other.
        #[test]
        fn it_gives_out_what_is_due_and_keeps_the_rest(steps in prop::collection::vec(step(), 0..80)) {
            let mut agenda = Agenda::default();
            let mut model: BTreeMap<RingName, (Option<u16>, Option<u16>)> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Set(ring, a, b) => {
                        agenda.set(&name(ring), a.map(elapsed), b.map(wall));
                        model.insert(name(ring), (a, b));
                    }
                    Step::Forward(ring, moment) => {
                        agenda.bring_forward(&name(ring), elapsed(moment));
                        let known = model.entry(name(ring)).or_default();
                        known.0 = Some(known.0.map_or(moment, |known| known.min(moment)));
                    }
                    Step::Remove(ring) => {
                        agenda.remove(&name(ring));
                        model.remove(&name(ring));
                    }
                    Step::Due(a, b, limit) => {
                        let due = agenda.due(elapsed(a), wall(b), limit);
                        let is_due = |(by, at): &(Option<u16>, Option<u16>)| {
                            by.is_some_and(|moment| moment <= a)
                                || at.is_some_and(|moment| moment <= b)
                        };
                        let expected = model.values().filter(|moments| is_due(moments)).count();
                        prop_assert!(due.len() <= limit);
                        prop_assert!(due.len() == expected.min(limit) || due.len() * 2 >= limit);
                        for ring in &due {
                            let moments = model.remove(ring);
                            prop_assert!(moments.as_ref().is_some_and(is_due), "{} was not", ring);
                        }
                    }
                }
                model.retain(|_, moments| *moments != (None, None));
                let idle = agenda.idle(elapsed(0), wall(0));
                let earliest = model.values().flat_map(|(a, b)| a.iter().chain(b)).min();
                let earliest = earliest.map(|moment| Duration::from_secs(u64::from(*moment)));
                prop_assert_eq!(idle, earliest);
            }
        }
    }
}
