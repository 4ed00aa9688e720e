//! Goes through a table and writes nothing: a dry run, and the full scan of a verification.

use std::sync::atomic::{AtomicBool, Ordering};

use postgres::{Client, GenericClient};

use crate::batch::{self, Fate, Judged};
use crate::catalog::{Leaf, Table};
use crate::error::Error;
use crate::job::Counts;
use crate::plan;
use crate::progress::Reporter;
use crate::run::Move;
use crate::statement::{Item, PageLimit, Span, Statements};
use crate::target::Keys;
use crate::trial::Trial;

/// How many pages are looked at for one batch, where rows are named by their place.
const PAGES: u32 = 16;

/// Opens and seals everything, and counts what would be moved.
pub(crate) fn dry(
    client: &mut Client,
    this: &Move,
    table: &Table,
    keys: &Keys,
    reporter: &Reporter<'_>,
    stop: &AtomicBool,
) -> Result<Counts, Error> {
    let mut trial = Trial::new(&this.target.format, keys, &this.settings);
    let mut total = Counts::default();
    let limit =
        PageLimit { rows: this.settings.batch_rows_start, bytes: this.settings.batch_bytes_max };
    for leaf in &table.leaves {
        let statements = Statements::prepare(client, leaf)?;
        each_page(client, leaf, &statements, limit, stop, &mut |items| {
            let judged = batch::judge(&mut trial, items)?;
            let mut counts = batch::tally(&judged);
            counts.read = count(judged.len());
            counts.moved = count(judged.iter().filter(|one| is_move(one)).count());
            reporter.add(counts, limit.rows);
            total += counts;
            Ok(())
        })?;
    }
    Ok(total)
}

fn is_move(one: &Judged) -> bool {
    matches!(one.fate, Fate::Move(_))
}

/// A count of things in memory.
pub(crate) fn count(many: usize) -> u64 {
    u64::try_from(many).unwrap_or(u64::MAX)
}

/// Reads a leaf page by page.
pub(crate) fn each_page(
    client: &mut impl GenericClient,
    leaf: &Leaf,
    statements: &Statements,
    limit: PageLimit,
    stop: &AtomicBool,
    take: &mut dyn FnMut(Vec<Item>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut low = None;
    let mut fitting = limit.rows;
    while !stop.load(Ordering::Relaxed) {
        let high = leaf.is_by_place().then(|| {
            let block = low.as_ref().and_then(plan::block).unwrap_or(0);
            block.saturating_add(PAGES).min(leaf.pages)
        });
        let span = Span { low: low.clone(), high: high.map(plan::before) };
        let rows = limit.rows.min(fitting);
        let items = statements.page(client, &span, PageLimit { rows, ..limit })?;
        match (items.last(), high) {
            (Some(last), _) => {
                low = Some(last.key.clone());
                fitting = limit.fitting(&items);
                take(items)?;
            }
            (None, Some(high)) if high < leaf.pages => low = Some(plan::before(high)),
            (None, _) => break,
        }
    }
    Ok(())
}
