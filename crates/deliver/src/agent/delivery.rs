//! Carries out one delivery: does what the saga asks for, and tells it what came of it.

use std::collections::BTreeMap;

use super::place::{Place, Prepared};
use super::world::{self, Trouble, World};
use crate::file::Disk;
use crate::journal::{Intent, Journal, JournalError};
use crate::saga::{Act, End, Need, Next, Outcome, Saga, Shape};
use crate::settings::{Delivery, Probe, Reload, Sink, Target};
use crate::values::AllValues;

/// What one delivery needs.
pub struct Carrier<'a> {
    /// What is delivered.
    pub delivery: &'a Delivery,
    /// The values that are delivered.
    pub values: &'a AllValues,
    /// The values that were delivered last, if they are known.
    pub former: Option<&'a AllValues>,
    /// Whether the consumer is reloaded even if nothing changed.
    pub forced: bool,
    /// Everything beside files.
    pub world: &'a dyn World,
    /// The files.
    pub disk: &'a dyn Disk,
    /// Why the delivery may not go on forward, when it may not.
    pub halt: &'a dyn Fn() -> Option<String>,
}

/// How a delivery went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// How it ended.
    pub end: End,
    /// What is still in the way of a delivery that stands: the new content is in use, but not
    /// everywhere yet. It must not be confirmed.
    pub pending: Option<String>,
}

/// Nothing stops the way back, except what bounds each of its steps.
const NEVER: &dyn Fn() -> bool = &|| false;

impl<'a> Carrier<'a> {
    /// Delivers, or takes everything back.
    ///
    /// # Errors
    /// When the journal cannot be used before anything began.
    pub fn deliver(&self, journal: &mut Journal) -> Result<Carried, JournalError> {
        self.forget(journal)?;
        let mut pending = None;
        let shapes: Vec<Shape> = self
            .delivery
            .sinks
            .iter()
            .map(|sink| Shape {
                is_reversible: !matches!(sink.target, Target::Irreversible(..)),
                is_touched: journal.touched().iter().any(|touched| touched.sink == sink.name),
            })
            .collect();
        let mut saga = Saga::new(&shapes, journal.is_past_return());
        let mut prepared: Vec<Option<Prepared<'a>>> = shapes.iter().map(|_| None).collect();
        loop {
            let act = match saga.next() {
                Next::Ended(end) => return Ok(Carried { end, pending }),
                Next::Do(act) => act,
            };
            let outcome = match (self.halt)() {
                Some(why) if !saga.is_going_back() => Outcome::Refused(why),
                _ => self.act(act, &mut prepared, journal, &mut pending),
            };
            if let Err(error) = saga.step(act, outcome) {
                // Cannot happen: the act was the saga's own. Whatever was done stays recorded.
                tracing::error!(%error, "the delivery lost its way");
                let end = End::Stuck { why: error.to_string(), further: Vec::new() };
                return Ok(Carried { end, pending });
            }
        }
    }

    /// Sinks that were taken out of the configuration, or moved, belong to somebody else now.
    fn forget(&self, journal: &mut Journal) -> Result<(), JournalError> {
        let sinks = &self.delivery.sinks;
        let gone = journal.forget_unknown(|touched| {
            let same = |sink: &&Sink| sink.name == touched.sink;
            sinks.iter().find(same).and_then(Place::path_of) == Some(&touched.path)
        })?;
        for touched in gone {
            tracing::warn!(
                consumer = %self.delivery.consumer,
                sink = touched.sink,
                path = %touched.path.display(),
                "an unfinished delivery wrote here, and the sink is not declared any more: \
                 it stays as it is"
            );
        }
        Ok(())
    }

    fn act(
        &self,
        act: Act,
        prepared: &mut [Option<Prepared<'a>>],
        journal: &mut Journal,
        pending: &mut Option<String>,
    ) -> Outcome {
        match act {
            Act::Prepare(index) => self.prepare(index, prepared, journal),
            Act::Record => done(act, self.record(prepared, journal)),
            Act::Swap(index) => self.swap(index, prepared),
            Act::RecordNoReturn(_) => {
                done(act, journal.pass_return().map_err(|error| of_journal(&error)))
            }
            Act::Write(index) => self.with(index, prepared, |sink, content| {
                let Target::Irreversible(hook, _) = &sink.target else { return Ok(()) };
                self.world.run(hook, content, &|| (self.halt)().is_some())
            }),
            Act::Reload(index) => self.with(index, prepared, |sink, _| {
                let stop = || (self.halt)().is_some();
                sink.reload
                    .iter()
                    .try_for_each(|reload| self.world.reload(sink, reload, self.values, &stop))
            }),
            Act::Probe(index) => {
                self.with(index, prepared, |sink, _| self.probe(&sink.probes, pending))
            }
            Act::ProbeAll => match self.probe(&self.delivery.probes, pending) {
                Ok(()) => Outcome::Done,
                Err(trouble) => self.failed("the consumer as a whole", &trouble),
            },
            Act::Settle => done(act, self.settle(prepared, journal)),
            Act::PutBack(index) => self.put_back(index, prepared, journal),
            Act::ReloadBack(index) => self.with(index, prepared, |sink, _| self.reload_back(sink)),
            Act::ProbeBack(index) => self.with(index, prepared, |sink, _| self.probe_back(sink)),
            Act::SettleBack => done(act, journal.settle_back().map_err(|error| of_journal(&error))),
        }
    }

    fn prepare(
        &self,
        index: usize,
        prepared: &mut [Option<Prepared<'a>>],
        journal: &Journal,
    ) -> Outcome {
        let (Some(sink), Some(slot)) = (self.delivery.sinks.get(index), prepared.get_mut(index))
        else {
            return Outcome::Refused(format!("there is no sink {index}"));
        };
        let place = Place { sink, disk: self.disk };
        let made = match place.prepare(self.values, journal) {
            Ok(made) => made,
            Err(trouble) => return self.refused(&sink.name, &trouble),
        };
        if journal.is_foreign(&sink.name, made.present()) {
            tracing::warn!(
                consumer = %self.delivery.consumer,
                sink = sink.name,
                "somebody else wrote here while a delivery was unfinished"
            );
        }
        if let (Some(check), Some(staged), Some(path)) =
            (&sink.check, made.staged_path(), Place::path_of(sink))
        {
            let stop = || (self.halt)().is_some();
            if let Err(trouble) = self.world.check(check, path, staged, &stop) {
                return self.refused(&sink.name, &trouble);
            }
        }
        let need = match made.need() {
            Need::Nothing if self.forced && Place::path_of(sink).is_some() => Need::Reload,
            Need::Nothing if self.forced => Need::Write,
            need => need,
        };
        *slot = Some(made);
        Outcome::Needs(need)
    }

    fn record(
        &self,
        prepared: &[Option<Prepared<'a>>],
        journal: &mut Journal,
    ) -> Result<(), Trouble> {
        let pairs = self.delivery.sinks.iter().zip(prepared);
        let intents: Vec<Intent<'_>> = pairs
            .filter_map(|(sink, prepared)| {
                let (path, prepared) = (Place::path_of(sink)?, prepared.as_ref()?);
                (prepared.need() == Need::Write).then(|| Intent {
                    sink: &sink.name,
                    path,
                    former: prepared.present(),
                    next: prepared.content(),
                })
            })
            .collect();
        journal.begin(&intents).map_err(|error| of_journal(&error))
    }

    fn swap(&self, index: usize, prepared: &mut [Option<Prepared<'a>>]) -> Outcome {
        let (Some(sink), Some(Some(prepared))) =
            (self.delivery.sinks.get(index), prepared.get_mut(index))
        else {
            return Outcome::Refused(format!("sink {index} was not prepared"));
        };
        match prepared.swap() {
            Ok(()) => Outcome::Done,
            Err((trouble, true)) => self.refused(&sink.name, &trouble),
            Err((trouble, false)) => self.failed(&sink.name, &trouble),
        }
    }

    fn settle(
        &self,
        prepared: &[Option<Prepared<'a>>],
        journal: &mut Journal,
    ) -> Result<(), Trouble> {
        let pairs = self.delivery.sinks.iter().zip(prepared);
        let taken: BTreeMap<_, _> = pairs
            .filter_map(|(sink, prepared)| {
                Some((sink.name.clone(), prepared.as_ref()?.digest().clone()))
            })
            .collect();
        journal.settle(taken).map_err(|error| of_journal(&error))?;
        for sink in &self.delivery.sinks {
            // The delivery stands; a backup that is missing takes nothing from it.
            if let Err(trouble) = (Place { sink, disk: self.disk }).settle() {
                tracing::warn!(
                    consumer = %self.delivery.consumer,
                    sink = sink.name,
                    cause = trouble.cause,
                    remedy = trouble.remedy,
                    "the former content was not kept as a backup"
                );
            }
        }
        Ok(())
    }

    fn put_back(
        &self,
        index: usize,
        prepared: &[Option<Prepared<'a>>],
        journal: &Journal,
    ) -> Outcome {
        let Some(sink) = self.delivery.sinks.get(index) else {
            return Outcome::Refused(format!("there is no sink {index}"));
        };
        let prepared = prepared.get(index).and_then(Option::as_ref);
        let kept;
        let former = match prepared.filter(|prepared| !prepared.was_touched) {
            Some(prepared) => prepared.present(),
            None => match journal.former(&sink.name) {
                Ok(bytes) => {
                    kept = bytes;
                    kept.as_ref().map(|bytes| bytes.as_slice())
                }
                Err(error) => return self.failed(&sink.name, &of_journal(&error)),
            },
        };
        tracing::info!(consumer = %self.delivery.consumer, sink = sink.name, "puts back");
        match (Place { sink, disk: self.disk }).put_back(former) {
            Ok(()) => Outcome::Done,
            Err(trouble) => self.failed(&sink.name, &trouble),
        }
    }

    fn reload_back(&self, sink: &Sink) -> Result<(), Trouble> {
        let empty = AllValues::new();
        sink.reload.iter().try_for_each(|reload| match (reload, self.former) {
            (reload, Some(former)) => self.world.reload(sink, reload, former, NEVER),
            (Reload::Rolling { restart, targets, floor, ready }, None) => {
                let judges = |probe: &&_| !world::needs_values(probe);
                let ready = ready.iter().filter(judges).cloned().collect();
                let (restart, targets) = (restart.clone(), targets.clone());
                let reload = Reload::Rolling { restart, targets, floor: *floor, ready };
                self.world.reload(sink, &reload, &empty, NEVER)
            }
            (reload, None) => self.world.reload(sink, reload, &empty, NEVER),
        })
    }

    fn probe_back(&self, sink: &Sink) -> Result<(), Trouble> {
        let empty = AllValues::new();
        let values = self.former.unwrap_or(&empty);
        let judges = |probe: &&_| self.former.is_some() || !world::needs_values(probe);
        let mut probes = sink.probes.iter().filter(judges);
        probes.try_for_each(|probe| match self.world.probe(probe, values, NEVER) {
            // What was put back is in use, and that is all that can be done here.
            Err(trouble) if trouble.is_pending => Ok(()),
            tried => tried,
        })
    }

    fn probe(&self, probes: &[Probe], pending: &mut Option<String>) -> Result<(), Trouble> {
        let stop = || (self.halt)().is_some();
        for probe in probes {
            let Err(mut trouble) = self.world.probe(probe, self.values, &stop) else { continue };
            trouble.cause = format!("probe {}: {}", probe.name, trouble.cause);
            if !trouble.is_pending {
                return Err(trouble);
            }
            tracing::warn!(
                consumer = %self.delivery.consumer,
                cause = trouble.cause,
                remedy = trouble.remedy,
                "what was delivered is not in use everywhere yet"
            );
            pending.get_or_insert(trouble.cause);
        }
        Ok(())
    }

    fn with(
        &self,
        index: usize,
        prepared: &[Option<Prepared<'a>>],
        act: impl FnOnce(&Sink, &[u8]) -> Result<(), Trouble>,
    ) -> Outcome {
        let Some(sink) = self.delivery.sinks.get(index) else {
            return Outcome::Refused(format!("there is no sink {index}"));
        };
        let prepared = prepared.get(index).and_then(Option::as_ref);
        match act(sink, prepared.map_or(&[], Prepared::content)) {
            Ok(()) => Outcome::Done,
            Err(trouble) => self.failed(&sink.name, &trouble),
        }
    }

    fn failed(&self, sink: &str, trouble: &Trouble) -> Outcome {
        Outcome::Failed(self.tell(sink, trouble))
    }

    fn refused(&self, sink: &str, trouble: &Trouble) -> Outcome {
        Outcome::Refused(self.tell(sink, trouble))
    }

    fn tell(&self, sink: &str, trouble: &Trouble) -> String {
        tracing::warn!(
            consumer = %self.delivery.consumer,
            sink,
            cause = trouble.cause,
            remedy = trouble.remedy,
            "a step of the delivery failed"
        );
        format!("{sink}: {}", trouble.cause)
    }
}

fn done(act: Act, outcome: Result<(), Trouble>) -> Outcome {
    match outcome {
        Ok(()) => Outcome::Done,
        Err(trouble) => {
            tracing::warn!(%act, cause = trouble.cause, remedy = trouble.remedy, "failed");
            Outcome::Failed(trouble.cause)
        }
    }
}

fn of_journal(error: &JournalError) -> Trouble {
    Trouble::of(error, error.remedy())
}
