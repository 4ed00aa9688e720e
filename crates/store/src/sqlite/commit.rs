//! The compare-and-swap: every expectation holds and everything is written, or nothing is.

use keywheel_engine::ports::{Commit, CommitError, Expect, Fence, Key, Seq, StoreError, Write};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, Transaction, TransactionBehavior};

use crate::database::store_error;

/// For how many commits a removed key stays in the change feed; the port asks for this many.
const REMOVED_KEPT_COMMITS: u64 = 100_000;

pub(super) fn run(writer: &mut Connection, commit: &Commit) -> Result<Seq, CommitError> {
    let transaction = writer
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| store_error(&error))?;
    // Any early return drops the transaction, which rolls it back.
    let (head, newest_fence) = counters(&transaction)?;
    if commit.fence.is_some_and(|fence| fence != newest_fence) {
        return Err(CommitError::Fenced);
    }
    if let Some(key) = written_twice(commit) {
        return Err(CommitError::Conflict(key));
    }
    if let Some(key) = broken_expectation(&transaction, &commit.writes)? {
        return Err(CommitError::Conflict(key));
    }
    let seq = Seq(head.0 + 1);
    write_all(&transaction, seq, &commit.writes).map_err(|error| store_error(&error))?;
    transaction.commit().map_err(|error| commit_error(&error))?;
    Ok(seq)
}

fn written_twice(commit: &Commit) -> Option<Key> {
    let mut keys: Vec<&Key> = commit.writes.iter().map(|write| &write.key).collect();
    keys.sort_unstable();
    keys.array_windows().find(|[one, next]| one == next).map(|[key, _]| (*key).clone())
}

fn counters(transaction: &Transaction<'_>) -> Result<(Seq, Fence), StoreError> {
    transaction
        .prepare_cached("SELECT seq, fence FROM state")
        .and_then(|mut statement| {
            statement.query_row([], |row| Ok((Seq(row.get(0)?), Fence(row.get(1)?))))
        })
        .map_err(|error| store_error(&error))
}

fn broken_expectation(
    transaction: &Transaction<'_>,
    writes: &[Write],
) -> Result<Option<Key>, StoreError> {
    let check = || {
        let mut statement = transaction.prepare_cached("SELECT seq FROM kv WHERE key = ?1")?;
        for write in writes {
            let stored: Option<u64> = match write.expect {
                Expect::Any => continue,
                _ => statement.query_row([write.key.as_str()], |row| row.get(0)).optional()?,
            };
            let expected = match write.expect {
                Expect::At(seq) => Some(seq.0),
                Expect::Absent | Expect::Any => None,
            };
            if stored != expected {
                return Ok(Some(write.key.clone()));
            }
        }
        Ok(None)
    };
    check().map_err(|error: rusqlite::Error| store_error(&error))
}

fn write_all(transaction: &Transaction<'_>, seq: Seq, writes: &[Write]) -> rusqlite::Result<()> {
    for write in writes {
        let key = write.key.as_str();
        if let Some(value) = &write.value {
            transaction
                .prepare_cached(
                    "INSERT INTO kv (key, value, seq) VALUES (?1, ?2, ?3) ON CONFLICT (key) \
                     DO UPDATE SET value = excluded.value, seq = excluded.seq",
                )?
                .execute((key, value, seq.0))?;
            transaction.prepare_cached("DELETE FROM removed WHERE key = ?1")?.execute([key])?;
        } else {
            let removed =
                transaction.prepare_cached("DELETE FROM kv WHERE key = ?1")?.execute([key])?;
            // Removing what is not there changes nothing, so nobody needs to hear of it.
            if removed > 0 {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO removed (key, seq) VALUES (?1, ?2)")?
                    .execute((key, seq.0))?;
            }
        }
    }
    let forgotten = seq.0.saturating_sub(REMOVED_KEPT_COMMITS);
    transaction.prepare_cached("DELETE FROM removed WHERE seq < ?1")?.execute([forgotten])?;
    transaction.prepare_cached("UPDATE state SET seq = ?1")?.execute([seq.0])?;
    Ok(())
}

/// A commit that failed for want of room or of the lock left nothing in the log that could be taken
/// for a commit. After a failed write or flush, nobody knows what reached the disk.
pub(super) fn commit_error(error: &rusqlite::Error) -> CommitError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            store_error(error).into()
        }
        _ => CommitError::Unknown(error.to_string()),
    }
}
