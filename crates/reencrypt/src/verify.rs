//! The full scan after a move: whether a single row is left that an old key alone opens.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use postgres::{Client, IsolationLevel};

use crate::catalog::{self, Leaf};
use crate::error::{Doing as _, Error};
use crate::horizon::{self, Holder};
use crate::job::{self, Counts};
use crate::progress::{Progress, Reporter};
use crate::scan::{self, count};
use crate::session;
use crate::settings::Settings;
use crate::statement::{Item, PageLimit, Statements};
use crate::target::{Keys, Target};
use crate::trial::{Found, Trial};

/// The most rows that are named.
const NAMED_MAX: usize = 100;

/// A row, named by its table and its key, or by its place where it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowName {
    /// The table.
    pub table: String,
    /// The text of its key columns.
    pub key: Vec<String>,
}

/// What a full scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Rows read.
    pub rows: u64,
    /// Rows that the new key opens.
    pub fine: u64,
    /// Rows where the column is NULL.
    pub null: u64,
    /// Rows that an old key alone opens, by the name of the key.
    pub left: Vec<(String, u64)>,
    /// Rows that no key opens.
    pub quarantined: u64,
    /// The first rows that are not fine.
    pub named: Vec<RowName>,
    /// Who kept the scan from counting: transactions from before it, open still. The scan is
    /// made nevertheless, and proves nothing.
    pub held_by: Vec<Holder>,
    /// Whether the scan went to its end.
    pub is_complete: bool,
}

impl Verdict {
    /// How many rows an old key alone opens, or none.
    pub fn found(&self) -> u64 {
        self.left.iter().map(|(_, rows)| rows).sum::<u64>() + self.quarantined
    }

    /// Whether nothing is left, and nothing can come after: verified zero.
    pub fn is_zero(&self) -> bool {
        self.is_complete && self.held_by.is_empty() && self.found() == 0
    }
}

/// Waits for every transaction that is open now, at most for `longest`, and then reads every row
/// in one snapshot. To be called once all writers have the new key.
///
/// # Errors
/// Something hides rows, or the server refuses.
pub fn verify(
    client: &mut Client,
    target: &Target,
    keys: &Keys,
    settings: &Settings,
    longest: Duration,
    progress: &(dyn Fn(&Progress) + Sync),
    stop: &AtomicBool,
) -> Result<Verdict, Error> {
    const DOING: &str = "reading every row";
    job::check(keys)?;
    session::prepare(client, settings)?;
    // No more is needed than to read; where a policy hides rows, the server says so.
    let table = catalog::read(client, target)?;
    session::see(client, &table.schemas)?;
    let moment = horizon::horizon(client)?;
    let held_by = horizon::wait_for(client, &moment, longest)?;
    let rows_about = table.leaves.iter().map(|leaf| leaf.rows).sum();
    let reporter = Reporter::new(progress, rows_about);
    let left = keys.from.iter().map(|(name, _)| (name.clone(), 0)).collect();
    let mut verdict = Verdict { left, held_by, ..Verdict::default() };
    let mut trial = Trial::new(&target.format, keys, settings);
    let limit = PageLimit { rows: settings.batch_rows_max, bytes: settings.batch_bytes_max };
    let leaves = table.leaves.iter().map(|leaf| Ok((leaf, Statements::prepare(client, leaf)?)));
    let leaves: Vec<_> = leaves.collect::<Result<_, Error>>()?;
    // One snapshot: a row that moves while it is read is neither missed nor seen twice.
    let mut transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .doing(DOING)?;
    for (leaf, statements) in &leaves {
        // The table may have grown since the catalog was read.
        let mut leaf = (*leaf).clone();
        leaf.pages = pages(&mut transaction, leaf.oid)?;
        scan::each_page(&mut transaction, &leaf, statements, limit, stop, &mut |items| {
            judge(&mut trial, &leaf, &items, &mut verdict)?;
            reporter.add(Counts { read: count(items.len()), ..Counts::default() }, limit.rows);
            Ok(())
        })?;
    }
    transaction.rollback().doing(DOING)?;
    verdict.is_complete = !stop.load(std::sync::atomic::Ordering::Relaxed);
    Ok(verdict)
}

/// Opens the values of a page and counts them.
fn judge(
    trial: &mut Trial<'_>,
    leaf: &Leaf,
    items: &[Item],
    verdict: &mut Verdict,
) -> Result<(), Error> {
    let (values, named): (Vec<&[u8]>, Vec<&Item>) =
        items.iter().filter_map(|item| Some((item.value.as_deref()?, item))).unzip();
    verdict.rows += count(items.len());
    verdict.null += count(items.len() - values.len());
    let mut not_fine = Vec::new();
    trial.each(&values, &mut |_, found| {
        for (at, found) in found {
            match found {
                Found::Current => {
                    verdict.fine += 1;
                    continue;
                }
                Found::Old(place, _) => {
                    if let Some((_, rows)) = verdict.left.get_mut(place) {
                        *rows += 1;
                    }
                }
                Found::Several | Found::None(_) => verdict.quarantined += 1,
            }
            not_fine.push(at);
        }
        Ok(())
    })?;
    not_fine.sort_unstable();
    for item in not_fine.iter().filter_map(|at| named.get(*at)) {
        if verdict.named.len() < NAMED_MAX {
            verdict.named.push(RowName { table: leaf.name.clone(), key: item.key.clone() });
        }
    }
    Ok(())
}

/// How many pages a table has now.
fn pages(client: &mut impl postgres::GenericClient, oid: u32) -> Result<u32, Error> {
    const DOING: &str = "reading the catalog";
    let row = client
        .query_one(
            "SELECT (pg_catalog.pg_relation_size($1::oid) \
             / pg_catalog.current_setting('block_size')::int8)::int8",
            &[&oid],
        )
        .doing(DOING)?;
    let pages: i64 = row.try_get(0).doing(DOING)?;
    Ok(u32::try_from(pages).unwrap_or(u32::MAX))
}
