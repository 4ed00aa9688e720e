//! One connection that moves ranges, batch by batch.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postgres::Client;

use crate::batch::{self, Judged, Place};
use crate::catalog::Table;
use crate::error::Error;
use crate::job::{self, Counts, Held, Range};
use crate::plan::{self, Plan};
use crate::progress::{Pause, Reporter};
use crate::session::{self, now};
use crate::settings::Settings;
use crate::statement::{Item, PageLimit, RowKey, Span, Statements};
use crate::target::{Keys, Target};
use crate::throttle::Throttle;
use crate::trial::Trial;

/// How often rows are read again that others keep changing.
const ROUNDS_MAX: usize = 10;
/// How long to wait after a lock was not free, at first.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// The longest such wait.
const LOCK_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long others go first that waited for rows: as long as the batch took, within these.
const YIELD_MIN: Duration = Duration::from_millis(20);
const YIELD_MAX: Duration = Duration::from_secs(1);

/// What all workers of a pass share.
pub(crate) struct Pass<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) target: &'a Target,
    pub(crate) keys: &'a Keys,
    pub(crate) table: &'a Table,
    pub(crate) held: &'a Held,
    pub(crate) plan: Mutex<Plan>,
    pub(crate) reporter: &'a Reporter<'a>,
    pub(crate) stop: &'a AtomicBool,
    /// Set when a worker fails, so that the others end after their batch.
    pub(crate) failed: AtomicBool,
}

impl Pass<'_> {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.failed.load(Ordering::Relaxed)
    }
}

/// One connection at work.
pub(crate) struct Worker<'a, 'c> {
    pass: &'a Pass<'a>,
    client: &'c mut Client,
    statements: Vec<Statements>,
    trial: Trial<'a>,
    throttle: Throttle<'a>,
    batch_rows: usize,
    /// How many rows fit into the most bytes of a batch.
    fitting_rows: usize,
    /// How many pages to look at for a batch, where rows are named by their place.
    batch_pages: u32,
}

/// Moves ranges until none is left, or somebody says stop.
pub(crate) fn work(pass: &Pass<'_>, client: &mut Client) -> Result<(), Error> {
    let done = work_here(pass, client);
    if done.is_err() {
        pass.failed.store(true, Ordering::Relaxed);
    }
    done
}

fn work_here(pass: &Pass<'_>, client: &mut Client) -> Result<(), Error> {
    session::prepare(client, pass.settings)?;
    session::see(client, &pass.table.schemas)?;
    let leaves = pass.table.leaves.iter();
    let statements =
        leaves.map(|leaf| Statements::prepare(client, leaf)).collect::<Result<Vec<_>, _>>()?;
    let settings = pass.settings;
    let mut worker = Worker {
        pass,
        client,
        statements,
        trial: Trial::new(&pass.target.format, pass.keys, settings),
        throttle: Throttle::new(settings, pass.reporter, pass.stop),
        batch_rows: settings
            .batch_rows_start
            .clamp(settings.batch_rows_min, settings.batch_rows_max),
        fitting_rows: usize::MAX,
        batch_pages: 4,
    };
    while !pass.is_over() {
        let range = {
            let mut plan = pass.plan.lock().unwrap_or_else(PoisonError::into_inner);
            plan.next(worker.client, pass.held, pass.table, &worker.statements)?
        };
        let Some(range) = range else { break };
        worker.range(range)?;
    }
    Ok(())
}

impl Worker<'_, '_> {
    fn range(&mut self, mut range: Range) -> Result<(), Error> {
        let pass = self.pass;
        let Some(leaf) = pass.table.leaves.get(range.leaf) else { return Ok(()) };
        let settings = pass.settings;
        let mut moved = 0;
        loop {
            if pass.is_over() {
                return Ok(());
            }
            self.throttle.wait(self.client, leaf)?;
            let rows = self.batch_rows.min(self.fitting_rows);
            let limit = PageLimit { rows, bytes: settings.batch_bytes_max };
            let span = self.window(&range.span, leaf.is_by_place());
            let Some(statements) = self.statements.get(range.leaf) else { return Ok(()) };
            let items = match statements.page(self.client, &span, limit) {
                Err(error) if is_passing(&error) && self.batch_rows > settings.batch_rows_min => {
                    self.batch_rows = (self.batch_rows / 2).max(settings.batch_rows_min);
                    continue;
                }
                items => items?,
            };
            let Some(last) = items.last() else {
                if span.high == range.span.high {
                    break;
                }
                // Nothing in these pages; on to the next ones.
                range.span.low = span.high;
                self.batch_pages = self.batch_pages.saturating_mul(2).min(1 << 16);
                continue;
            };
            let last = last.key.clone();
            self.fitting_rows = limit.fitting(&items);
            if items.len() < limit.rows / 2 {
                self.batch_pages = self.batch_pages.saturating_mul(2).min(1 << 16);
            }
            moved += self.rows(&range, items)?.moved;
            range.span.low = Some(last);
        }
        job::done(self.client, pass.held, &range)?;
        self.throttle.ranged(self.client, leaf, moved)
    }

    /// The part of a span in which the next batch is looked for: of places few pages at a time,
    /// because the server sorts what it finds there.
    fn window(&self, span: &Span, by_place: bool) -> Span {
        let Some(high) = span.high.as_ref().filter(|_| by_place).and_then(plan::block) else {
            return span.clone();
        };
        let low = span.low.as_ref().and_then(plan::block).unwrap_or(0);
        let end = low.saturating_add(self.batch_pages.max(1)).min(high);
        Span { low: span.low.clone(), high: Some(plan::before(end)) }
    }

    /// Judges rows once and writes them in as many transactions as it takes.
    fn rows(&mut self, range: &Range, items: Vec<Item>) -> Result<Counts, Error> {
        let judged = batch::judge(&mut self.trial, items)?;
        let mut total = Counts::default();
        let mut rest = judged.as_slice();
        while !rest.is_empty() {
            let (chunk, after) =
                rest.split_at_checked(self.batch_rows.max(1)).unwrap_or((rest, &[]));
            // Otherwise the batch is smaller now.
            if let Some(counts) = self.chunk(range, chunk)? {
                let sum = self.pass.reporter.add(counts, self.batch_rows);
                if sum.quarantined > self.pass.settings.quarantine_max {
                    let leaf = self.pass.table.leaves.get(range.leaf);
                    let table = leaf.map(|leaf| leaf.name.clone()).unwrap_or_default();
                    return Err(Error::Unopened { table, rows: sum.quarantined });
                }
                total += counts;
                rest = after;
            }
        }
        Ok(total)
    }

    /// Writes a part of a page, and settles rows that others changed. None: it was locked, and
    /// shall be tried with fewer rows.
    fn chunk(&mut self, range: &Range, chunk: &[Judged]) -> Result<Option<Counts>, Error> {
        let Some(last) = chunk.last() else { return Ok(Some(Counts::default())) };
        let reached = last.item.key.clone();
        let mut first = batch::tally(chunk);
        first.read = u64::try_from(chunk.len()).unwrap_or(0);
        let is_least = chunk.len() <= self.pass.settings.batch_rows_min;
        let Some((mut total, mut missed)) =
            self.write(range, chunk, Some(&reached), first, is_least)?
        else {
            return Ok(None);
        };
        if missed.is_empty() {
            return Ok(Some(total));
        }
        let mut unchanged = old_values(chunk, &missed);
        for _ in 0..ROUNDS_MAX {
            let Some(statements) = self.statements.get(range.leaf) else { break };
            let items = statements.again(self.client, &missed)?;
            let judged = batch::judge(&mut self.trial, items)?;
            if judged.iter().any(|one| unchanged.contains(&(&one.item.key, &one.item.value))) {
                let Some(leaf) = self.pass.table.leaves.get(range.leaf) else { break };
                return Err(Error::Swallowed { table: leaf.name.clone() });
            }
            let is_by_place = self.is_by_place(range);
            let gone = missed.len().saturating_sub(judged.len());
            let mut counts = batch::tally(&judged);
            // A row that left its place is elsewhere in the table, or deleted.
            counts.missed = if is_by_place { u64::try_from(gone).unwrap_or(0) } else { 0 };
            unchanged = Vec::new();
            let Some((counts, still)) = self.write(range, &judged, Some(&reached), counts, true)?
            else {
                continue;
            };
            total += counts;
            missed = still;
            if missed.is_empty() {
                return Ok(Some(total));
            }
        }
        let left = Counts { missed: u64::try_from(missed.len()).unwrap_or(0), ..Counts::default() };
        job::checkpoint(self.client, self.pass.held, range, Some(&reached), left)?;
        total += left;
        Ok(Some(total))
    }

    fn is_by_place(&self, range: &Range) -> bool {
        self.pass.table.leaves.get(range.leaf).is_some_and(crate::catalog::Leaf::is_by_place)
    }

    /// Writes, and waits where rows are locked: the batch becomes smaller until it is the least,
    /// which is then tried until the time is over.
    fn write(
        &mut self,
        range: &Range,
        judged: &[Judged],
        reached: Option<&RowKey>,
        counts: Counts,
        is_least: bool,
    ) -> Result<Option<(Counts, Vec<RowKey>)>, Error> {
        let pass = self.pass;
        let (Some(leaf), Some(statements)) =
            (pass.table.leaves.get(range.leaf), self.statements.get(range.leaf))
        else {
            return Ok(Some((counts, Vec::new())));
        };
        let place = Place { held: pass.held, range, leaf, statements };
        let begun = now();
        let mut pause = LOCK_PAUSE;
        loop {
            let tried = now();
            match batch::write(self.client, &place, judged, reached, counts) {
                Ok(done) => {
                    let took = tried.elapsed();
                    if done.waiters > 0 {
                        self.yield_to_others(took);
                    } else {
                        self.pace(took, judged.len());
                    }
                    return Ok(Some((done.counts, done.missed)));
                }
                Err(error) if is_passing(&error) && !self.client.is_closed() => {
                    pass.reporter.pause(Pause::Lock);
                    self.batch_rows = (self.batch_rows / 2).max(pass.settings.batch_rows_min);
                    if begun.elapsed() > pass.settings.locked_max || pass.is_over() {
                        let waited_secs = begun.elapsed().as_secs();
                        return Err(Error::Locked { table: leaf.name.clone(), waited_secs });
                    }
                    std::thread::sleep(pause);
                    pause = pause.saturating_mul(2).min(LOCK_PAUSE_MAX);
                    if !is_least {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets those go first who waited for rows of the last batch, and holds fewer of them next.
    fn yield_to_others(&mut self, took: Duration) {
        self.batch_rows = (self.batch_rows / 2).max(self.pass.settings.batch_rows_min);
        self.pass.reporter.pause(Pause::Others);
        std::thread::sleep(took.clamp(YIELD_MIN, YIELD_MAX));
    }

    /// Lets batches take about as long as they should.
    fn pace(&mut self, took: Duration, rows: usize) {
        let settings = self.pass.settings;
        let wanted = settings.batch_time;
        if took < wanted / 2 && rows >= self.batch_rows {
            self.batch_rows = (self.batch_rows + self.batch_rows / 2).min(settings.batch_rows_max);
        } else if took > wanted.saturating_mul(2) {
            self.batch_rows = (self.batch_rows / 2).max(settings.batch_rows_min);
        }
    }
}

/// The values that were expected of rows which did not take a new one.
fn old_values<'a>(
    chunk: &'a [Judged],
    missed: &[RowKey],
) -> Vec<(&'a RowKey, &'a Option<Vec<u8>>)> {
    let missed: std::collections::HashSet<&RowKey> = missed.iter().collect();
    let mine = chunk.iter().filter(|one| missed.contains(&one.item.key));
    mine.map(|one| (&one.item.key, &one.item.value)).collect()
}

/// Whether trying again may help: a lock, a deadlock, a time limit, a serialization failure.
fn is_passing(error: &Error) -> bool {
    matches!(error.sqlstate(), "55P03" | "40P01" | "57014" | "40001")
}
