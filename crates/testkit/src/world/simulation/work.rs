//! What processes do for a living: they protect, for a while, and check what others protected.

use std::collections::BTreeSet;

use keywheel_client::clock::BootTime;
use keywheel_core::policy::{Role, Spec};
use keywheel_engine::ReportOutcome;

use super::{Event, World};

impl World {
    pub(super) fn take_outcomes(
        &mut self,
        process: usize,
        asked_at: BootTime,
        indices: &[usize],
        outcomes: &[ReportOutcome],
    ) {
        let now = self.now();
        let mut rejected = false;
        for (index, outcome) in indices.iter().zip(outcomes) {
            let Some(one) = self.processes.get_mut(process) else { return };
            rejected |= one.acknowledged(*index, outcome, asked_at, now, &mut self.random);
            if !matches!(outcome.verdict, keywheel_engine::ReportVerdict::Renewed) {
                let (verdict, revision) = (&outcome.verdict, outcome.revision);
                self.say(format_args!("p{process} is told {verdict:?} at {revision}"));
            }
        }
        if rejected && let Some(one) = self.processes.get_mut(process) {
            one.farewell = one.farewell_reports(now);
            one.forget_identity(now, &mut self.random);
            self.shared.count("proof rejected");
        }
    }

    pub(super) fn work(&mut self, process: usize) {
        let now = self.now();
        let Some(one) = self.processes.get(process) else { return };
        if !one.alive {
            return;
        }
        let again = self.random.between(150, 700);
        let moment = now.saturating_add(again).max(one.paused_until);
        self.at(moment, Event::Work { process });
        if !self.runs(process) {
            return;
        }
        let rings = self.processes.get(process).map_or(0, |one| one.locals.len());
        for index in 0..rings {
            self.exercise(process, index);
            let share = self.random.between(30, 100);
            let Some(one) = self.processes.get_mut(process) else { return };
            if one.role != Role::Protect {
                continue;
            }
            let Some(work) = one.begin_work(index, now, share) else { continue };
            let takes = if self.random.chance(60) {
                self.random.between(1_000, 9_000)
            } else {
                self.random.below(150)
            };
            self.after(takes, Event::WorkEnds { process, index, work });
        }
    }

    /// Checks something that somebody protected and that is still valid.
    fn exercise(&mut self, process: usize, index: usize) {
        let now = self.now();
        let Some(one) = self.processes.get_mut(process) else { return };
        let Some(ring) = one.locals.get(index).and_then(|one| self.truth.rings.get(one.ring))
        else {
            return;
        };
        let valid = ring.protected.iter().filter(|(_, until)| **until > now);
        let valid: BTreeSet<_> = valid.map(|((_, kid), _)| kid).collect();
        let held = one.state(index).and_then(|state| state.held());
        let accepted = held.into_iter().flat_map(|offer| &offer.keyset.accepted);
        let numbers: Vec<_> =
            accepted.filter(|(_, kid)| valid.contains(kid)).map(|(number, _)| *number).collect();
        if let Some(number) = self.random.pick(&numbers) {
            one.exercise(index, *number);
        }
    }

    pub(super) fn end_work(&mut self, process: usize, index: usize, work: u64) {
        let now = self.now();
        let Some(one) = self.processes.get_mut(process) else { return };
        if !one.alive {
            return;
        }
        if one.paused_until > now {
            let until = one.paused_until;
            return self.at(until, Event::WorkEnds { process, index, work });
        }
        if let Some(artefact) = one.end_work(index, work, now) {
            self.truth.protected(&artefact);
        }
        self.step_soon(process, 1);
    }

    pub(crate) fn spec(&self, ring: usize) -> Option<Spec> {
        serde_json::from_value(self.policies.get(ring)?.clone()).ok()
    }

    /// The processes that run, by number.
    pub(crate) fn running(&self) -> Vec<usize> {
        let running = self.processes.iter().enumerate().filter(|(_, one)| one.alive);
        running.map(|(number, _)| number).collect()
    }

    /// The kinds of role that still have somebody running.
    pub(crate) fn running_of(&self, service: &str) -> BTreeSet<usize> {
        let mut running = self.running();
        running.retain(|number| {
            self.processes.get(*number).is_some_and(|one| one.consumer.as_str() == service)
        });
        running.into_iter().collect()
    }
}
