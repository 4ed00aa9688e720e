//! How far a move is, told after every batch.

use std::sync::Mutex;

use crate::job::Counts;

/// Why a move waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pause {
    /// A standby is behind.
    Replica,
    /// Much WAL is written.
    Wal,
    /// Many rows are dead.
    Dead,
    /// A row is locked.
    Lock,
    /// Others waited for rows that the last batch held.
    Others,
}

/// How far a move is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The pass over the table.
    pub pass: i32,
    /// How many rows the table is thought to have.
    pub rows_about: u64,
    /// What this run did in this pass.
    pub counts: Counts,
    /// How many rows a batch has now.
    pub batch_rows: usize,
    /// Why it waits, when it does.
    pub pause: Option<Pause>,
}

/// Collects what workers did, and tells it.
pub(crate) struct Reporter<'a> {
    tell: &'a (dyn Fn(&Progress) + Sync),
    state: Mutex<Progress>,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(tell: &'a (dyn Fn(&Progress) + Sync), rows_about: u64) -> Self {
        let state = Mutex::new(Progress { rows_about, ..Progress::default() });
        Self { tell, state }
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut state);
        let state = *state;
        (self.tell)(&state);
    }

    pub(crate) fn pass(&self, pass: i32) {
        self.change(|state| {
            state.pass = pass;
            state.counts = Counts::default();
        });
    }

    /// Gives back what was done in this pass.
    pub(crate) fn add(&self, counts: Counts, batch_rows: usize) -> Counts {
        let mut sum = counts;
        self.change(|state| {
            state.counts += counts;
            state.batch_rows = batch_rows;
            state.pause = None;
            sum = state.counts;
        });
        sum
    }

    pub(crate) fn pause(&self, pause: Pause) {
        self.change(|state| state.pause = Some(pause));
    }
}
