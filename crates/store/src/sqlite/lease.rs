//! The lease: one row with a fencing token that only grows.
//!
//! A lease saves work and gives no safety; the fence in each commit does that. Still it should end
//! neither early nor late when somebody sets the wall clock. Processes share no other clock, so
//! each reads the wall once, when it first sees a grant or a renewal, and counts down from there on
//! its own monotonic clock.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keywheel_core::time::WallTime;
use keywheel_engine::ports::{Clock, Elapsed, Fence};
use rusqlite::{Connection, Row as SqlRow, Transaction};

const COLUMNS: &str = "fence, holder, renewals, ttl_millis, ends_wall_millis";

/// The lease as the file has it.
pub(super) struct Row {
    fence: u64,
    holder: Option<String>,
    renewals: u64,
    ttl: Duration,
    ends: WallTime,
}

impl Row {
    pub(super) fn fence(&self) -> Fence {
        Fence(self.fence)
    }

    pub(super) fn is_held_by_another(&self, holder: &str) -> bool {
        self.holder.as_deref().is_some_and(|present| present != holder)
    }

    /// What the wall clock says is left, never more than was granted.
    fn left(&self, wall: WallTime) -> Duration {
        self.ends.since(wall).to_std().min(self.ttl)
    }

    fn from_sql(row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            fence: row.get(0)?,
            holder: row.get(1)?,
            renewals: row.get(2)?,
            ttl: Duration::from_millis(row.get(3)?),
            ends: WallTime(row.get(4)?),
        })
    }
}

pub(super) fn read(connection: &Connection) -> rusqlite::Result<Row> {
    connection.prepare_cached(&format!("SELECT {COLUMNS} FROM state"))?.query_row([], Row::from_sql)
}

/// Grants the lease with the next fence.
pub(super) fn grant(
    transaction: &Transaction<'_>,
    present: &Row,
    holder: &str,
    ttl: Duration,
    now: WallTime,
) -> rusqlite::Result<Row> {
    let (ttl_millis, ends) = deadline(ttl, now);
    transaction
        .prepare_cached(&format!(
            "UPDATE state SET fence = ?1, holder = ?2, renewals = 0, ttl_millis = ?3, \
             ends_wall_millis = ?4 RETURNING {COLUMNS}"
        ))?
        .query_row((present.fence + 1, holder, ttl_millis, ends), Row::from_sql)
}

/// Extends the lease while this fence is the newest and was not given back.
pub(super) fn renew(
    transaction: &Transaction<'_>,
    fence: Fence,
    ttl: Duration,
    now: WallTime,
) -> rusqlite::Result<Option<Row>> {
    let Ok(fence) = i64::try_from(fence.0) else { return Ok(None) };
    let (ttl_millis, ends) = deadline(ttl, now);
    let mut statement = transaction.prepare_cached(&format!(
        "UPDATE state SET renewals = renewals + 1, ttl_millis = ?2, ends_wall_millis = ?3 \
         WHERE fence = ?1 AND holder IS NOT NULL RETURNING {COLUMNS}"
    ))?;
    let mut rows = statement.query((fence, ttl_millis, ends))?;
    rows.next()?.map(Row::from_sql).transpose()
}

/// Gives the lease back when this fence still has it.
pub(super) fn release(transaction: &Transaction<'_>, fence: Fence) -> rusqlite::Result<()> {
    let Ok(fence) = i64::try_from(fence.0) else { return Ok(()) };
    transaction
        .prepare_cached("UPDATE state SET holder = NULL WHERE fence = ?1")?
        .execute([fence])
        .map(|_| ())
}

fn deadline(ttl: Duration, now: WallTime) -> (i64, i64) {
    let ttl_millis = i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
    (ttl_millis, now.0.saturating_add(ttl_millis))
}

/// When this process first saw the present grant or renewal, as the moment at which it ends.
#[derive(Default)]
pub(super) struct Sightings {
    last: Mutex<Option<Sighting>>,
}

#[derive(Clone, Copy)]
struct Sighting {
    fence: u64,
    renewals: u64,
    ends: Elapsed,
}

impl Sightings {
    /// Whether the lease is over, by this process's own count.
    pub(super) fn has_ended(&self, lease: &Row, clock: &dyn Clock) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock.monotonic();
        let known =
            last.filter(|seen| (seen.fence, seen.renewals) == (lease.fence, lease.renewals));
        let sighting = known.unwrap_or_else(|| Sighting {
            fence: lease.fence,
            renewals: lease.renewals,
            ends: Elapsed(now.0.saturating_add(lease.left(clock.wall()))),
        });
        *last = Some(sighting);
        now >= sighting.ends
    }

    /// Remembers what this process granted or renewed itself.
    pub(super) fn note(&self, lease: &Row, ttl: Duration, clock: &dyn Clock) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = Elapsed(clock.monotonic().0.saturating_add(ttl));
        *last = Some(Sighting { fence: lease.fence, renewals: lease.renewals, ends });
    }
}
