//! The simulated world: real engines over a store that fails, processes that follow the real rules
//! of the client library, a network that loses, repeats and reorders, clocks that jump, and
//! operators who do whatever they may. One thread, no wall clock: a seed is a whole history, and
//! replays exactly.
//!
//! After each event every named invariant is checked; at the end the faults stop, and every ring
//! must come to rest and turn once more. The model check next door is exhaustive over a small
//! abstract world; this one is a sample of the real thing.

mod faults;
mod laws;
mod machine;
mod master;
mod operator;
mod process;
mod random;
mod report;
mod scenario;
mod simulation;
mod truth;

use std::collections::BTreeMap;

pub use report::{campaign, find};

/// A defect that is put into a world on purpose, to show that the world would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The store takes commits of a leader that was replaced.
    StoreIgnoresTheFence,
    /// The store acknowledges registrations and renewals, and forgets them.
    StoreForgetsProcesses,
    /// The monotonic clock of a server jumps with its wall clock.
    ClockFollowsTheWall,
    /// A process goes on to protect however long it has been offline.
    ClientIgnoresOfflineMax,
    /// A process says that it has switched while older work is in progress.
    ClientForgetsOlderWork,
    /// A process proves a keyset before its requests use it.
    ClientProvesWhatItDoesNotUse,
}

/// A run that kept every invariant.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What it did.
    pub tally: Tally,
    /// What happened, when the run kept it.
    pub log: Vec<String>,
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that were acted out.
    pub events: u64,
    /// Rotations that came to their end.
    pub rotations: u64,
    /// Rotations that were taken back.
    pub rollbacks: u64,
    /// Versions that were compromised.
    pub compromises: u64,
    /// Restores from a backup.
    pub restores: u64,
    /// Faults and acts, by kind.
    pub counted: BTreeMap<&'static str, u64>,
}

/// A broken invariant, and how to see it again.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The seed.
    pub seed: u64,
    /// When, in milliseconds of the world's time.
    pub at_millis: u64,
    /// What was broken; begins with the invariant's name.
    pub why: String,
    /// What happened before, when the run kept it.
    pub log: Vec<String>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for line in &self.log {
            writeln!(f, "{line}")?;
        }
        write!(
            f,
            "seed {} at {} ms: {}\nreplay it with its event log: KEYWHEEL_SEED={} cargo test -p \
             keywheel-testkit --test world replay -- --nocapture",
            self.seed, self.at_millis, self.why, self.seed
        )
    }
}

/// Runs the world of a seed.
///
/// # Errors
/// With the first invariant that broke.
pub fn run(seed: u64, flaw: Option<Flaw>, keep_log: bool) -> Result<Run, Box<Violation>> {
    let run = || simulation::run(seed, flaw, keep_log);
    // An engine must never panic; if one does, the seed is what matters.
    std::panic::catch_unwind(run).unwrap_or_else(|_| {
        Err(Box::new(Violation {
            seed,
            at_millis: 0,
            why: "invariant_no_panic: something panicked, see above".into(),
            log: Vec::new(),
        }))
    })
}
