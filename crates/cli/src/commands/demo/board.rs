//! The board that everybody writes on and the presenters read from: workers, ring, server, events.
//! It decides nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keywheel_api::ring::RingStatus;
use keywheel_client::clock::{BootTime, boot_time};
use keywheel_core::time::Span;

use super::tally::Tally;
use crate::show::Tone;

/// How many events are kept for the screen.
const EVENTS_MAX: usize = 200;
/// How many samples of the rate are kept.
const RATES_MAX: usize = 240;
const SAMPLE_EVERY: Span = Span::from_millis(500);
/// Failures are all counted, but not each of them is told.
const FAILURE_WORDS_EVERY: Span = Span::from_millis(250);

/// What the threads of the demonstration share.
#[derive(Default)]
pub(super) struct Shared {
    board: Mutex<Board>,
    interrupted: AtomicBool,
}

impl Shared {
    /// The board, for a moment.
    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for an early end.
    pub(super) fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked for an early end.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// Tells an event.
    pub(super) fn tell(&self, tone: Tone, words: impl Into<String>) {
        self.board().tell(tone, words.into());
    }
}

/// How the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Server {
    /// The classic way has none.
    #[default]
    Absent,
    /// It runs, as this process.
    Up(u32),
    /// It was killed.
    Down,
}

/// A worker, as the board shows it.
#[derive(Clone, Debug)]
pub(super) struct Card {
    pub(super) name: String,
    pub(super) service: &'static str,
    pub(super) pid: u32,
    pub(super) stopped: bool,
    pub(super) tally: Tally,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Span,
    pub(super) tone: Tone,
    pub(super) words: String,
}

/// Everything that is shown.
pub(super) struct Board {
    began: BootTime,
    /// What goes on, for example `rotation 2 of 4`.
    pub(super) title: String,
    /// What is special about it.
    pub(super) subtitle: String,
    pub(super) server: Server,
    pub(super) ring: Option<RingStatus>,
    pub(super) workers: Vec<Card>,
    events: VecDeque<Event>,
    told: u64,
    rates: VecDeque<u64>,
    sampled: (BootTime, u64),
    failure_told: BootTime,
}

impl Default for Board {
    fn default() -> Self {
        let began = boot_time();
        Self {
            began,
            title: "starting".into(),
            subtitle: String::new(),
            server: Server::Absent,
            ring: None,
            workers: Vec::new(),
            events: VecDeque::new(),
            told: 0,
            rates: VecDeque::new(),
            sampled: (began, 0),
            failure_told: began,
        }
    }
}

impl Board {
    /// How long the demonstration runs.
    pub(super) fn elapsed(&self) -> Span {
        boot_time().since(self.began)
    }

    /// The sum of all workers.
    pub(super) fn tally(&self) -> Tally {
        Tally::sum(self.workers.iter().map(|card| &card.tally))
    }

    /// Takes in what a worker tells.
    pub(super) fn take_tally(&mut self, worker: usize, mut tally: Tally) {
        let words = std::mem::take(&mut tally.described);
        let Some(card) = self.workers.get_mut(worker) else { return };
        card.tally = tally;
        let now = boot_time();
        for words in words {
            if now.since(self.failure_told) >= FAILURE_WORDS_EVERY {
                self.failure_told = now;
                self.tell(Tone::Bad, format!("failed: {words}"));
            }
        }
    }

    /// Tells an event.
    pub(super) fn tell(&mut self, tone: Tone, words: String) {
        self.told += 1;
        self.events.push_back(Event { at: self.elapsed(), tone, words });
        while self.events.len() > EVENTS_MAX {
            self.events.pop_front();
        }
    }

    /// The newest events, oldest first.
    pub(super) fn newest(&self, count: usize) -> impl Iterator<Item = &Event> {
        self.events.iter().skip(self.events.len().saturating_sub(count))
    }

    /// The events after the first `seen`, and how many there were in all.
    pub(super) fn since(&self, seen: u64) -> (Vec<Event>, u64) {
        let fresh = usize::try_from(self.told.saturating_sub(seen)).unwrap_or(usize::MAX);
        (self.newest(fresh).cloned().collect(), self.told)
    }

    /// Notes the present rate, when it is time.
    pub(super) fn sample(&mut self) {
        let now = boot_time();
        let (then, before) = self.sampled;
        let passed = now.since(then);
        if passed < SAMPLE_EVERY {
            return;
        }
        let requests = self.tally().requests;
        let rate = requests.saturating_sub(before).saturating_mul(1_000) / passed.as_millis();
        self.rates.push_back(rate);
        while self.rates.len() > RATES_MAX {
            self.rates.pop_front();
        }
        self.sampled = (now, requests);
    }

    /// Requests per second over time, oldest first.
    pub(super) fn rates(&self, count: usize) -> Vec<u64> {
        self.rates.iter().skip(self.rates.len().saturating_sub(count)).copied().collect()
    }

    /// Requests per second now.
    pub(super) fn rate(&self) -> u64 {
        self.rates.back().copied().unwrap_or(0)
    }
}
