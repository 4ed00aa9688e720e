//! A move from its begin to its end, and the ways to leave it in the midst.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use postgres::Client;

use crate::catalog::{self, Table};
use crate::error::Error;
use crate::job::{self, Counts, Held, Job};
use crate::plan::Plan;
use crate::progress::{Progress, Reporter};
use crate::settings::{Settings, Triggers};
use crate::target::{Keys, Target};
use crate::worker::{self, Pass};
use crate::{obstacle, scan, session};

/// A move of one column. A rollback is a move with the keys swapped.
#[derive(Clone, Debug)]
pub struct Move {
    /// What is moved.
    pub target: Target,
    /// How.
    pub settings: Settings,
}

/// How a move ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Whether it went to its end; otherwise somebody said stop, and the next run goes on.
    pub is_complete: bool,
    /// Whether it went on where an earlier run had ended.
    pub is_resumed: bool,
    /// How many passes there were.
    pub passes: i32,
    /// What was done: rows moved in all passes, and how the last pass found the others.
    pub counts: Counts,
    /// How many rows no key opens.
    pub in_quarantine: u64,
}

/// Makes a connection.
pub type Connect<'a> = &'a (dyn Fn() -> Result<Client, Error> + Sync);

impl Move {
    /// Moves all rows, or goes on where an earlier run with the same keys ended. With `dry_run`
    /// every value is opened and sealed, and nothing is written.
    ///
    /// `progress` is told after every batch; `stop` ends the move after the batch at hand. This
    /// must not run on a thread of an asynchronous runtime.
    ///
    /// # Errors
    /// Something stands in the way, or the server refuses. What was moved stays moved, and the
    /// next run goes on.
    pub fn run(
        &self,
        connect: Connect<'_>,
        keys: &Keys,
        progress: &(dyn Fn(&Progress) + Sync),
        stop: &AtomicBool,
    ) -> Result<Outcome, Error> {
        job::check(keys)?;
        let mut client = connect()?;
        session::prepare(&mut client, &self.settings)?;
        let table = ready(&mut client, &self.target, self.settings.triggers)?;
        let rows_about = table.leaves.iter().map(|leaf| leaf.rows).sum();
        let reporter = Reporter::new(progress, rows_about);
        if self.settings.dry_run {
            let counts = scan::dry(&mut client, self, &table, keys, &reporter, stop)?;
            let in_quarantine = counts.quarantined;
            let is_complete = !stop.load(Ordering::Relaxed);
            return Ok(Outcome { is_complete, counts, in_quarantine, ..Outcome::default() });
        }
        let held = job::hold(&mut client, &table.name, &self.target.column, keys)?;
        let is_resumed = held.resumed;
        let outcome = self.passes(&mut client, connect, &table, held, keys, &reporter, stop)?;
        Ok(Outcome { is_resumed, ..outcome })
    }

    /// Goes through the table until nothing is left to be done.
    #[expect(clippy::too_many_arguments, reason = "it is one loop, taken out for its length")]
    fn passes(
        &self,
        client: &mut Client,
        connect: Connect<'_>,
        table: &Table,
        mut held: Held,
        keys: &Keys,
        reporter: &Reporter<'_>,
        stop: &AtomicBool,
    ) -> Result<Outcome, Error> {
        let first_pass = held.pass;
        let mut table = table.clone();
        loop {
            reporter.pass(held.pass);
            self.pass(client, connect, &table, &held, keys, reporter, stop)?;
            if stop.load(Ordering::Relaxed) {
                job::end(client, &held, "stopped")?;
                break;
            }
            let done = job::total(client, &held, Some(held.pass))?;
            // Rows without a key may have been where the pass had been already.
            let by_place = table.leaves.iter().any(catalog::Leaf::is_by_place);
            let is_settled = done.missed == 0 && (done.moved == 0 || !by_place);
            if is_settled || held.pass - first_pass + 1 >= self.settings.passes_max {
                job::end(client, &held, "moved")?;
                break;
            }
            job::next_pass(client, &mut held)?;
            table = catalog::read(client, &self.target)?;
        }
        let all = job::total(client, &held, None)?;
        let last = job::total(client, &held, Some(held.pass))?;
        Ok(Outcome {
            is_complete: !stop.load(Ordering::Relaxed),
            is_resumed: false,
            passes: held.pass,
            counts: Counts { moved: all.moved, ..last },
            in_quarantine: job::in_quarantine(client, &held)?,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "what workers share is made here")]
    fn pass(
        &self,
        client: &mut Client,
        connect: Connect<'_>,
        table: &Table,
        held: &Held,
        keys: &Keys,
        reporter: &Reporter<'_>,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let plan = Plan::read(client, held, table, self.settings.range_rows)?;
        let pass = Pass {
            settings: &self.settings,
            target: &self.target,
            keys,
            table,
            held,
            plan: Mutex::new(plan),
            reporter,
            stop,
            failed: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            let further: Vec<_> = (1..self.settings.workers)
                .map(|_| scope.spawn(|| worker::work(&pass, &mut connect()?)))
                .collect();
            // The session that holds the lock works too: when it is lost, so is the move.
            let mine = worker::work(&pass, client);
            let others = further.into_iter().map(|one| one.join().unwrap_or(Err(Error::Worker)));
            others.fold(mine, Result::and)
        })
    }
}

/// Reads the table, and refuses it if something stands in the way.
pub(crate) fn ready(
    client: &mut Client,
    target: &Target,
    triggers: Triggers,
) -> Result<Table, Error> {
    let table = catalog::read(client, target)?;
    session::see(client, &table.schemas)?;
    let obstacles = obstacle::find(client, &table, target, triggers)?;
    match obstacles.into_iter().find(|one| one.refuses) {
        Some(obstacle) => Err(obstacle.into()),
        None => Ok(table),
    }
}

/// The jobs of a column, the newest first: what they did, and whether one is at work.
///
/// # Errors
/// There is no such column, or the server refuses.
pub fn status(client: &mut Client, target: &Target) -> Result<Vec<Job>, Error> {
    let table = catalog::read(client, target)?;
    job::jobs(client, &table.name, &target.column)
}
