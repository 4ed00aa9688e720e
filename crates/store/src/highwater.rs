//! The memory outside the store: how far each ring had come when this server last saw it.
//!
//! It stands in a file of its own, so that putting back an older store does not put back the memory
//! too. What follows from a mark that was passed or missed is for the engine to say.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keywheel_engine::ports::{HighWater, HighWaterError, Mark};
use rusqlite::{Connection, OptionalExtension as _};

use crate::database::{DatabaseFile, Format, OpenError};

const FORMAT: Format = Format {
    name: "high-water file",
    // "kwHW"
    application_id: 0x6b77_4857,
    schema_version: 1,
    schema: "CREATE TABLE mark (
                 subject     TEXT NOT NULL PRIMARY KEY,
                 incarnation TEXT NOT NULL,
                 revision    INTEGER NOT NULL
             ) STRICT, WITHOUT ROWID;",
};

/// High-water marks in a small SQLite file beside the server.
///
/// ```
/// use keywheel_engine::ports::{HighWater, Mark};
/// use keywheel_store::FileHighWater;
///
/// # let folder = tempfile::tempdir()?;
/// let marks = FileHighWater::open(&folder.path().join("high-water.db"))?;
/// let mark = |revision| Mark { incarnation: "b1f0".to_owned(), revision };
/// marks.raise("ring/web-session", &mark(7))?;
/// marks.raise("ring/web-session", &mark(3))?;
/// assert_eq!(marks.mark("ring/web-session")?, Some(mark(7)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileHighWater {
    connection: Mutex<Connection>,
}

impl FileHighWater {
    /// Opens the file, which is made with mode 0600 when there is none.
    ///
    /// # Errors
    /// When it cannot be made or reached, others can read it, or it is another or a damaged file.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let connection = DatabaseFile::prepare(path, FORMAT)?.connect_at_start()?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HighWaterError> {
        work(&self.lock()).map_err(|error| HighWaterError(error.to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Each method is one statement, so a panic leaves nothing half done.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn select(connection: &Connection, subject: &str) -> rusqlite::Result<Option<Mark>> {
    connection
        .prepare_cached("SELECT incarnation, revision FROM mark WHERE subject = ?1")?
        .query_row([subject], |row| Ok(Mark { incarnation: row.get(0)?, revision: row.get(1)? }))
        .optional()
}

impl HighWater for FileHighWater {
    fn mark(&self, subject: &str) -> Result<Option<Mark>, HighWaterError> {
        self.run(|connection| select(connection, subject))
    }

    fn raise(&self, subject: &str, mark: &Mark) -> Result<(), HighWaterError> {
        self.run(|connection| {
            // Most calls tell nothing new, and a read costs no disk write.
            if select(connection, subject)?.is_some_and(|present| !is_raised(&present, mark)) {
                return Ok(());
            }
            connection
                .prepare_cached(
                    "INSERT INTO mark (subject, incarnation, revision) VALUES (?1, ?2, ?3) \
                     ON CONFLICT (subject) DO UPDATE \
                     SET incarnation = excluded.incarnation, revision = excluded.revision \
                     WHERE incarnation <> excluded.incarnation OR revision < excluded.revision",
                )?
                .execute((subject, &mark.incarnation, mark.revision))
                .map(|_| ())
        })
    }

    fn adopt(&self, subject: &str, mark: Option<&Mark>) -> Result<(), HighWaterError> {
        self.run(|connection| {
            let Some(mark) = mark else {
                return connection
                    .prepare_cached("DELETE FROM mark WHERE subject = ?1")?
                    .execute([subject])
                    .map(|_| ());
            };
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO mark (subject, incarnation, revision) \
                     VALUES (?1, ?2, ?3)",
                )?
                .execute((subject, &mark.incarnation, mark.revision))
                .map(|_| ())
        })
    }

    fn all(&self) -> Result<Vec<(String, Mark)>, HighWaterError> {
        self.run(|connection| {
            connection
                .prepare_cached("SELECT subject, incarnation, revision FROM mark ORDER BY subject")?
                .query_map([], |row| {
                    Ok((row.get(0)?, Mark { incarnation: row.get(1)?, revision: row.get(2)? }))
                })?
                .collect()
        })
    }
}

fn is_raised(present: &Mark, mark: &Mark) -> bool {
    present.incarnation != mark.incarnation || present.revision < mark.revision
}

/// High-water marks in memory, for tests and for the simulated world.
#[derive(Debug, Default)]
pub struct MemoryHighWater {
    marks: Mutex<BTreeMap<String, Mark>>,
}

impl MemoryHighWater {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HighWater for MemoryHighWater {
    fn mark(&self, subject: &str) -> Result<Option<Mark>, HighWaterError> {
        Ok(self.lock().get(subject).cloned())
    }

    fn raise(&self, subject: &str, mark: &Mark) -> Result<(), HighWaterError> {
        let mut marks = self.lock();
        if marks.get(subject).is_none_or(|present| is_raised(present, mark)) {
            marks.insert(subject.to_owned(), mark.clone());
        }
        Ok(())
    }

    fn adopt(&self, subject: &str, mark: Option<&Mark>) -> Result<(), HighWaterError> {
        let mut marks = self.lock();
        match mark {
            Some(mark) => marks.insert(subject.to_owned(), mark.clone()),
            None => marks.remove(subject),
        };
        Ok(())
    }

    fn all(&self) -> Result<Vec<(String, Mark)>, HighWaterError> {
        Ok(self.lock().iter().map(|(subject, mark)| (subject.clone(), mark.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mark(incarnation: &str, revision: u64) -> Mark {
        Mark { incarnation: incarnation.to_owned(), revision }
    }

    fn contract(marks: &dyn HighWater) {
        assert_eq!(marks.mark("ring/a").unwrap(), None);
        assert!(marks.all().unwrap().is_empty());
        marks.raise("ring/a", &mark("one", 5)).unwrap();
        for (raised, expected) in
            [(mark("one", 4), 5), (mark("one", 5), 5), (mark("one", 9), 9), (mark("one", 0), 9)]
        {
            marks.raise("ring/a", &raised).unwrap();
            assert_eq!(marks.mark("ring/a").unwrap(), Some(mark("one", expected)));
        }
        marks.raise("ring/a", &mark("two", 1)).unwrap();
        assert_eq!(marks.mark("ring/a").unwrap(), Some(mark("two", 1)));
        marks.raise("ring/b", &mark("x", 1)).unwrap();
        marks.adopt("ring/b", Some(&mark("x", 0))).unwrap();
        let all = marks.all().unwrap();
        assert_eq!(all, [("ring/a".into(), mark("two", 1)), ("ring/b".into(), mark("x", 0))]);
        marks.adopt("ring/b", None).unwrap();
        marks.adopt("ring/b", None).unwrap();
        assert_eq!(marks.mark("ring/b").unwrap(), None);
        assert_eq!(marks.all().unwrap().len(), 1);
    }

    #[test]
    fn marks_in_memory_keep_the_contract() {
        contract(&MemoryHighWater::default());
    }

    #[test]
    fn marks_in_a_file_keep_the_contract_and_outlive_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("high-water.db");
        contract(&FileHighWater::open(&path).unwrap());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600);
        let again = FileHighWater::open(&path).unwrap();
        assert_eq!(again.mark("ring/a").unwrap(), Some(mark("two", 1)));
    }

    #[test]
    fn racing_raises_end_at_the_highest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("high-water.db");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    let marks = FileHighWater::open(path).unwrap();
                    for revision in 0..20 {
                        marks.raise("ring/a", &mark("one", revision * 4 + thread)).unwrap();
                    }
                });
            }
        });
        let marks = FileHighWater::open(&path).unwrap();
        assert_eq!(marks.mark("ring/a").unwrap(), Some(mark("one", 79)));
    }

    #[test]
    fn a_torn_log_keeps_what_was_acknowledged_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("high-water.db");
        let marks = FileHighWater::open(&path).unwrap();
        marks.raise("ring/a", &mark("one", 1)).unwrap();
        let log = path.with_extension("db-wal");
        let whole = std::fs::metadata(&log).unwrap().len();
        marks.raise("ring/a", &mark("one", 2)).unwrap();
        let longer = std::fs::metadata(&log).unwrap().len();
        assert!(longer > whole);
        // What a power cut leaves: the files as they are, the last write half done.
        for cut in [whole, whole + 1, whole + 2_000, longer - 1, longer] {
            let copy = folder.path().join(format!("copy-{cut}.db"));
            std::fs::copy(&path, &copy).unwrap();
            let copied_log = copy.with_extension("db-wal");
            std::fs::copy(&log, &copied_log).unwrap();
            let file = std::fs::OpenOptions::new().write(true).open(&copied_log).unwrap();
            file.set_len(cut).unwrap();
            let found = FileHighWater::open(&copy).unwrap().mark("ring/a").unwrap();
            let expected = if cut == longer { 2 } else { 1 };
            assert_eq!(found, Some(mark("one", expected)), "cut at {cut}");
        }
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_an_empty_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("high-water.db");
        let marks = FileHighWater::open(&path).unwrap();
        for n in 0..500 {
            marks.adopt(&format!("ring/{n:04}"), Some(&mark("one", n))).unwrap();
        }
        drop(marks);
        let mut bytes = std::fs::read(&path).unwrap();
        for page in bytes.chunks_mut(4_096).skip(1) {
            page[..64].fill(0xa5);
        }
        std::fs::write(&path, bytes).unwrap();
        let marks = FileHighWater::open(&path).unwrap();
        assert!(marks.mark("ring/0001").is_err());
        assert!(marks.all().is_err());
        assert!(marks.raise("ring/0001", &mark("one", 9)).is_err());
    }
}
