//! In which order the sinks of one delivery are written, and how they are taken back: a pure state
//! machine. It says what is to be done next and is told what came of it; who does it is in
//! [`crate::agent`].
//!
//! ```text
//! prepare 1…n ─► record ─► swap 1 ─► reload 1 ─► probe 1 ─► swap 2 … ─► probe all ─► settle
//!      │            │         └──────────┴──────────┴─── any fails ───────┘
//!      ▼            ▼                                    ▼
//!   nothing was touched          put back n ─► reload n ─► probe n ─► … 1 ─► settle back
//! ```
//!
//! Everything is rendered, staged and checked before anything is touched, and the intent is durable
//! before the first swap. A delivery that was cut off leaves its intent behind; the next one begins
//! with those sinks marked as touched, goes forward, and takes them back too when it fails.

use std::fmt;

/// What the saga must know of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// There is a way back. Only the last sink may have none.
    pub is_reversible: bool,
    /// A former delivery that was cut off may have written it.
    pub is_touched: bool,
}

/// What a sink needs, as its preparation shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The content differs: write, reload, probe.
    Write,
    /// The content is right, but whether the consumer took it is not known: reload, probe.
    Reload,
    /// The consumer has taken this content: probe.
    Nothing,
}

/// What is to be done. A number is that of a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Render, compare, stage, check.
    Prepare(usize),
    /// Make durable what will be written, and what it replaces.
    Record,
    /// Put the staged content in the place of the present one.
    Swap(usize),
    /// Make durable that the sink without a way back is about to be written.
    RecordNoReturn(usize),
    /// Write the sink without a way back.
    Write(usize),
    /// Make the consumer take it.
    Reload(usize),
    /// See whether it did.
    Probe(usize),
    /// See whether the consumer as a whole works.
    ProbeAll,
    /// Make durable that all is delivered.
    Settle,
    /// Put the former content back.
    PutBack(usize),
    /// Make the consumer take the former content.
    ReloadBack(usize),
    /// See whether it did.
    ProbeBack(usize),
    /// Make durable that all is as it was.
    SettleBack,
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// A preparation is done, and this is what the sink needs.
    Needs(Need),
    /// It was refused, and changed nothing.
    Refused(String),
    /// It failed, and may have been done in part.
    Failed(String),
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything is written, taken and tried.
    Delivered {
        /// Whether anything had to be written or reloaded.
        changed: bool,
    },
    /// It failed, and nothing is touched or all is as it was.
    TakenBack {
        /// Why it failed.
        why: String,
    },
    /// It failed, and could not be taken back whole: the sinks may disagree.
    Stuck {
        /// Why it failed.
        why: String,
        /// What went wrong on the way back.
        further: Vec<String>,
    },
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This is to be done.
    Do(Act),
    /// Nothing is.
    Ended(End),
}

/// An outcome that does not fit what was to be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{act:?} with outcome {outcome:?} does not fit a delivery that expects {expected:?}")]
pub struct Illegal {
    /// What was said to be done.
    pub act: Act,
    /// What came of it.
    pub outcome: Outcome,
    /// What was expected.
    pub expected: Next,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sink {
    shape: Shape,
    need: Need,
    /// Written by this delivery, in part at least.
    is_written: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Forward(Act),
    Back { act: Act, why: String, further: Vec<String> },
    Ended(End),
}

/// One delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saga {
    sinks: Vec<Sink>,
    /// The sink without a way back was written, or may have been: there is only forward.
    no_return: bool,
    /// There is a durable intent, which has to be closed.
    is_recorded: bool,
    phase: Phase,
}

impl Saga {
    /// Begins a delivery. `no_return` says that a former one, which was cut off, may have written
    /// the sink without a way back.
    pub fn new(shapes: &[Shape], no_return: bool) -> Self {
        let sinks = shapes
            .iter()
            .map(|shape| Sink { shape: *shape, need: Need::Nothing, is_written: false })
            .collect();
        let is_recorded = no_return || shapes.iter().any(|shape| shape.is_touched);
        let first = if shapes.is_empty() { Act::ProbeAll } else { Act::Prepare(0) };
        Self { sinks, no_return, is_recorded, phase: Phase::Forward(first) }
    }

    /// What is to be done next.
    pub fn next(&self) -> Next {
        match &self.phase {
            Phase::Forward(act) | Phase::Back { act, .. } => Next::Do(*act),
            Phase::Ended(end) => Next::Ended(end.clone()),
        }
    }

    /// Whether the delivery is on its way back.
    pub const fn is_going_back(&self) -> bool {
        matches!(self.phase, Phase::Back { .. })
    }

    /// Learns what came of an act. Total: whatever does not fit is refused by name, and changes
    /// nothing.
    ///
    /// # Errors
    /// When something else was to be done, or the act cannot end like this.
    pub fn step(&mut self, act: Act, outcome: Outcome) -> Result<(), Illegal> {
        let expected = self.next();
        let fits = match (&outcome, act) {
            (Outcome::Needs(_), Act::Prepare(_)) => true,
            (Outcome::Needs(_), _) | (Outcome::Done, Act::Prepare(_)) => false,
            _ => true,
        };
        if expected != Next::Do(act) || !fits {
            return Err(Illegal { act, outcome, expected });
        }
        let phase = std::mem::replace(&mut self.phase, Phase::Forward(act));
        self.phase = match phase {
            Phase::Back { why, further, .. } => self.backward(act, outcome, why, further),
            Phase::Forward(_) | Phase::Ended(_) => self.forward(act, outcome),
        };
        Ok(())
    }

    fn forward(&mut self, act: Act, outcome: Outcome) -> Phase {
        let why = match outcome {
            Outcome::Done => return self.after(act),
            Outcome::Needs(need) => {
                if let Act::Prepare(index) = act
                    && let Some(sink) = self.sinks.get_mut(index)
                {
                    // What a delivery left that was cut off has not been taken for certain.
                    sink.need = match need {
                        Need::Nothing if sink.shape.is_touched => Need::Reload,
                        need => need,
                    };
                }
                return self.after(act);
            }
            Outcome::Refused(why) => why,
            Outcome::Failed(why) => {
                if let Act::Swap(index) = act {
                    self.wrote(index);
                }
                why
            }
        };
        if self.no_return {
            return Phase::Ended(End::Stuck {
                why,
                further: vec!["the last sink cannot be taken back, so the others stay".to_owned()],
            });
        }
        self.turn_back(why)
    }

    /// What follows an act that was done.
    fn after(&mut self, act: Act) -> Phase {
        let next = match act {
            Act::Prepare(index) if index.saturating_add(1) < self.sinks.len() => {
                Act::Prepare(index.saturating_add(1))
            }
            Act::Prepare(_) if self.needs_record() => Act::Record,
            Act::Prepare(_) => self.begin(0),
            Act::Record => {
                self.is_recorded = true;
                self.begin(0)
            }
            Act::Swap(index) => {
                self.wrote(index);
                Act::Reload(index)
            }
            Act::RecordNoReturn(index) => Act::Write(index),
            Act::Write(index) => {
                self.no_return = true;
                Act::Reload(index)
            }
            Act::Reload(index) => Act::Probe(index),
            Act::Probe(index) => self.begin(index.saturating_add(1)),
            Act::ProbeAll if self.is_changed() => Act::Settle,
            Act::ProbeAll => return Phase::Ended(End::Delivered { changed: false }),
            Act::Settle => return Phase::Ended(End::Delivered { changed: true }),
            // The way back is another function's.
            Act::PutBack(_) | Act::ReloadBack(_) | Act::ProbeBack(_) | Act::SettleBack => act,
        };
        Phase::Forward(next)
    }

    /// The first act for a sink; after the last one, the consumer as a whole is tried.
    fn begin(&self, index: usize) -> Act {
        match self.sinks.get(index) {
            None => Act::ProbeAll,
            Some(sink) => match sink.need {
                Need::Write if sink.shape.is_reversible => Act::Swap(index),
                Need::Write => Act::RecordNoReturn(index),
                Need::Reload => Act::Reload(index),
                Need::Nothing => Act::Probe(index),
            },
        }
    }

    fn wrote(&mut self, index: usize) {
        if let Some(sink) = self.sinks.get_mut(index) {
            sink.is_written = true;
        }
    }

    fn needs_record(&self) -> bool {
        self.sinks.iter().any(|sink| sink.need == Need::Write || sink.shape.is_touched)
    }

    fn is_changed(&self) -> bool {
        self.no_return
            || self.sinks.iter().any(|sink| sink.need != Need::Nothing || sink.shape.is_touched)
    }

    fn turn_back(&self, why: String) -> Phase {
        match self.last_to_take_back(self.sinks.len()) {
            Some(index) => Phase::Back { act: Act::PutBack(index), why, further: Vec::new() },
            None => self.settle_back(why, Vec::new()),
        }
    }

    /// The last sink before `end` that has to be taken back.
    fn last_to_take_back(&self, end: usize) -> Option<usize> {
        self.sinks.iter().take(end).rposition(|sink| {
            sink.shape.is_reversible && (sink.is_written || sink.shape.is_touched)
        })
    }

    fn backward(&self, act: Act, outcome: Outcome, why: String, mut further: Vec<String>) -> Phase {
        let failure = match outcome {
            Outcome::Refused(failure) | Outcome::Failed(failure) => Some(failure),
            Outcome::Done | Outcome::Needs(_) => None,
        };
        let failed = failure.is_some();
        further.extend(failure);
        let act = match act {
            // A consumer that is told to read a content that is not there would only fail worse.
            Act::PutBack(index) if !failed => Act::ReloadBack(index),
            Act::ReloadBack(index) if !failed => Act::ProbeBack(index),
            Act::PutBack(index) | Act::ReloadBack(index) | Act::ProbeBack(index) => {
                match self.last_to_take_back(index) {
                    Some(before) => Act::PutBack(before),
                    None => return self.settle_back(why, further),
                }
            }
            Act::SettleBack if !failed && further.is_empty() => {
                return Phase::Ended(End::TakenBack { why });
            }
            _ => return Phase::Ended(End::Stuck { why, further }),
        };
        Phase::Back { act, why, further }
    }

    /// The end of the way back. An intent that is not fulfilled stays durable, so that the next
    /// delivery takes it up.
    fn settle_back(&self, why: String, further: Vec<String>) -> Phase {
        if !further.is_empty() {
            return Phase::Ended(End::Stuck { why, further });
        }
        if !self.is_recorded {
            return Phase::Ended(End::TakenBack { why });
        }
        Phase::Back { act: Act::SettleBack, why, further }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare(_) => "prepare",
            Self::Swap(_) | Self::Write(_) => "write",
            Self::Record | Self::RecordNoReturn(_) => "record",
            Self::Reload(_) => "reload",
            Self::Probe(_) | Self::ProbeAll => "probe",
            Self::Settle => "settle",
            Self::PutBack(_) => "put back",
            Self::ReloadBack(_) => "reload the former content",
            Self::ProbeBack(_) => "probe the former content",
            Self::SettleBack => "settle the former content",
        })
    }
}

#[cfg(test)]
mod tests;
