//! The change feed, and the bell that wakes those who wait for it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use keywheel_engine::ports::{Change, Key, Seq, StoreError};
use rusqlite::Connection;

/// How soon the commit of another process is noticed. Looking costs a few microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) fn head(connection: &Connection) -> rusqlite::Result<Seq> {
    connection.prepare_cached("SELECT seq FROM state")?.query_row([], |row| row.get(0)).map(Seq)
}

/// Whole commits only: a watcher remembers nothing but the number of the last commit it saw, so a
/// commit that was cut in two would lose its second half.
pub(super) fn changes(
    connection: &Connection,
    since: Seq,
    limit: usize,
) -> rusqlite::Result<Vec<Change>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    // No commit has a greater number than this, so a `since` beyond it only means "nothing yet".
    let since = i64::try_from(since.0).unwrap_or(i64::MAX);
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut found = select(
        connection,
        "SELECT seq, key FROM kv WHERE seq > ?1 UNION ALL \
         SELECT seq, key FROM removed WHERE seq > ?1 ORDER BY seq, key LIMIT ?2",
        [since, one_more],
    )?;
    let Some(cut) = found.get(limit).map(|change| change.seq) else {
        return Ok(found);
    };
    found.retain(|change| change.seq < cut);
    if !found.is_empty() {
        return Ok(found);
    }
    let cut = i64::try_from(cut.0).unwrap_or(i64::MAX);
    select(
        connection,
        "SELECT seq, key FROM kv WHERE seq = ?1 UNION ALL \
         SELECT seq, key FROM removed WHERE seq = ?1 ORDER BY seq, key LIMIT ?2",
        [cut, i64::MAX],
    )
}

fn select(
    connection: &Connection,
    statement: &str,
    parameters: [i64; 2],
) -> rusqlite::Result<Vec<Change>> {
    connection
        .prepare_cached(statement)?
        .query_map(parameters, |row| {
            Ok(Change { seq: Seq(row.get(0)?), key: Key::from_stored(row.get(1)?) })
        })?
        .collect()
}

/// Rings for the commits of this process at once; those of others are looked for.
#[derive(Default)]
pub(super) struct Bell {
    newest: Mutex<Seq>,
    rung: Condvar,
}

impl Bell {
    pub(super) fn ring(&self, seq: Seq) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = (*newest).max(seq);
        self.rung.notify_all();
    }

    /// Waits in short turns, so that no clock has to be read to know when the time is over.
    pub(super) fn wait(
        &self,
        since: Seq,
        at_most: Duration,
        head: impl Fn() -> Result<Seq, StoreError>,
    ) -> Result<Seq, StoreError> {
        let mut left = at_most;
        loop {
            let now = head()?;
            if now > since || left.is_zero() {
                return Ok(now);
            }
            let turn = left.min(LOOK_EVERY);
            let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = self
                .rung
                .wait_timeout_while(newest, turn, |newest| *newest <= since)
                .unwrap_or_else(PoisonError::into_inner);
            if waited.1.timed_out() {
                left = left.saturating_sub(turn);
            }
        }
    }
}
