//! The embedded default: one SQLite file with a write-ahead log, shared by any number of processes
//! of one machine.
//!
//! A commit is one `BEGIN IMMEDIATE` transaction with `synchronous=FULL`, so it is on disk when it
//! is acknowledged. Reads run beside it on connections of their own. What the values mean, and how
//! they are sealed, is not known here.

mod backup;
mod commit;
mod feed;
mod lease;
mod readers;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keywheel_engine::ports::{
    Caps, Change, Clock, Commit, CommitError, Fence, Key, Seq, Store, StoreError, Stored,
};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use crate::database::{DatabaseFile, Format, OpenError, store_error};
use feed::Bell;
use lease::Sightings;
use readers::Readers;

pub use backup::BackupError;

const FORMAT: Format = Format {
    name: "store",
    // "kwST"
    application_id: 0x6b77_5354,
    schema_version: 1,
    schema: include_str!("schema.sql"),
};

/// A store in one SQLite file.
///
/// ```
/// use std::sync::Arc;
/// use keywheel_engine::ports::{Commit, Expect, Key, Store, Write};
/// use keywheel_store::{SqliteStore, SystemClock};
///
/// # let folder = tempfile::tempdir()?;
/// let store = SqliteStore::open(&folder.path().join("keywheel.db"), Arc::new(SystemClock))?;
/// let key = Key::new(&["ring", "web-session"]);
/// let write = Write { key: key.clone(), expect: Expect::Absent, value: Some(b"sealed".to_vec()) };
/// let seq = store.commit(&Commit { fence: None, writes: vec![write] })?;
/// assert_eq!(store.read(&key)?.map(|stored| stored.seq), Some(seq));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SqliteStore {
    file: DatabaseFile,
    clock: Arc<dyn Clock>,
    writer: Mutex<Connection>,
    readers: Readers,
    bell: Bell,
    sightings: Sightings,
}

impl SqliteStore {
    /// Opens the store in this file, which is made when there is none. The clock judges leases.
    ///
    /// # Errors
    /// When the file cannot be made or reached, others than its owner can read it, it is no
    /// keywheel store or one of a newer schema, or it is damaged. Nothing is changed then.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let file = DatabaseFile::prepare(path, FORMAT)?;
        let writer = Mutex::new(file.connect_at_start()?);
        let readers = Readers::open(&file)?;
        Ok(Self {
            file,
            clock,
            writer,
            readers,
            bell: Bell::default(),
            sightings: Sightings::default(),
        })
    }

    /// Leaps both counters far ahead. To be called once on a store that was put back from a backup:
    /// no fence and no commit number that was given out after the backup was taken can then be
    /// mistaken for one that is given out from now on.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn leap_after_restore(&self) -> Result<(), StoreError> {
        const LEAP: i64 = 1 << 32;
        self.write(|transaction| {
            transaction.execute(
                "UPDATE state SET seq = seq + ?1, fence = fence + ?1, holder = NULL",
                [LEAP],
            )
        })?;
        self.bell.ring(self.head()?);
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic between two statements leaves at worst an open transaction, which the next
        // BEGIN reports; the connection itself stays sound.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one write transaction whose outcome may be forgotten when the commit itself fails:
    /// every caller can repeat it harmlessly.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.file.check_in_place()?;
        let mut writer = self.writer();
        let run = || {
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&transaction)?;
            transaction.commit()?;
            Ok(result)
        };
        run().map_err(|error: rusqlite::Error| store_error(&error))
    }
}

impl Store for SqliteStore {
    fn caps(&self) -> Caps {
        Caps { linearizable: true, durable: true, watch: false, lossy_failover: false }
    }

    fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.readers.with(|connection| {
            connection
                .prepare_cached("SELECT value, seq FROM kv WHERE key = ?1")?
                .query_row([key.as_str()], |row| {
                    Ok(Stored { value: row.get(0)?, seq: Seq(row.get(1)?) })
                })
                .optional()
        })
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        // Rows are taken one by one until the prefix ends, so no upper bound needs to be made up.
        let (statement, from) = match after {
            Some(after) if after.as_str() >= prefix => (
                "SELECT key, value, seq FROM kv WHERE key > ?1 ORDER BY key LIMIT ?2",
                after.as_str(),
            ),
            _ => ("SELECT key, value, seq FROM kv WHERE key >= ?1 ORDER BY key LIMIT ?2", prefix),
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers.with(|connection| {
            let mut statement = connection.prepare_cached(statement)?;
            let mut rows = statement.query((from, limit))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let key: String = row.get(0)?;
                if !key.starts_with(prefix) {
                    break;
                }
                let stored = Stored { value: row.get(1)?, seq: Seq(row.get(2)?) };
                found.push((Key::from_stored(key), stored));
            }
            Ok(found)
        })
    }

    fn commit(&self, commit: &Commit) -> Result<Seq, CommitError> {
        self.file.check_in_place()?;
        let seq = commit::run(&mut self.writer(), commit)?;
        self.bell.ring(seq);
        Ok(seq)
    }

    fn head(&self) -> Result<Seq, StoreError> {
        self.readers.with(feed::head)
    }

    fn changes(&self, since: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.readers.with(|connection| feed::changes(connection, since, limit))
    }

    fn wait(&self, since: Seq, at_most: Duration) -> Result<Seq, StoreError> {
        self.bell.wait(since, at_most, || self.head())
    }

    fn acquire(&self, holder: &str, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        let taken = |lease: &lease::Row| {
            lease.is_held_by_another(holder) && !self.sightings.has_ended(lease, &*self.clock)
        };
        // Whoever only waits for the lease must not queue for the write lock.
        if taken(&self.readers.with(lease::read)?) {
            return Ok(None);
        }
        let granted = self.write(|transaction| {
            let lease = lease::read(transaction)?;
            if taken(&lease) {
                return Ok(None);
            }
            lease::grant(transaction, &lease, holder, ttl, self.clock.wall()).map(Some)
        })?;
        if let Some(lease) = &granted {
            self.sightings.note(lease, ttl, &*self.clock);
        }
        Ok(granted.map(|lease| lease.fence()))
    }

    fn renew(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        let renewed =
            self.write(|transaction| lease::renew(transaction, fence, ttl, self.clock.wall()))?;
        if let Some(lease) = &renewed {
            self.sightings.note(lease, ttl, &*self.clock);
        }
        Ok(renewed.is_some())
    }

    fn scrub(&self) -> Result<(), StoreError> {
        Self::scrub(self)
    }

    fn release(&self, fence: Fence) -> Result<(), StoreError> {
        self.write(|transaction| lease::release(transaction, fence))
    }
}

#[cfg(test)]
mod tests;
