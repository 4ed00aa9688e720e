//! Copies of a running store, and the check of a doubtful one.

use std::path::{Path, PathBuf};

use keywheel_engine::ports::StoreError;

use super::SqliteStore;
use crate::database::store_error;
use crate::private_file;

/// Why a backup was not made. There is no file under its name then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Something has that name already.
    #[error("{} exists already, and a backup never replaces a file", .0.display())]
    Exists(PathBuf),
    /// The file cannot be made there.
    #[error("the backup {} cannot be written", .path.display())]
    Io {
        /// The backup.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The store could not be read, or the backup's disk is full.
    #[error("the backup {} was not finished", .path.display())]
    Store {
        /// The backup.
        path: PathBuf,
        /// What went wrong.
        source: StoreError,
    },
}

impl BackupError {
    /// What the operator can do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Exists(_) => "name a file that does not exist yet".to_owned(),
            Self::Io { path, .. } => {
                format!("make sure that the folder of {} exists and is yours", path.display())
            }
            Self::Store { source: StoreError::Full(_), path } => {
                format!("free some space on the disk of {}", path.display())
            }
            Self::Store { .. } => "run: keywheel doctor".to_owned(),
        }
    }
}

impl SqliteStore {
    /// Copies the store, as it is at one moment, into a new file of mode 0600, while everybody goes
    /// on. Values stay sealed, so the copy opens only with the same master key. On disk when this
    /// returns.
    ///
    /// # Errors
    /// When the file exists or cannot be written, or the store does not answer.
    pub fn backup_to(&self, path: &Path) -> Result<(), BackupError> {
        if path.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(path.to_owned()));
        }
        let partial = private_file::partial_path(path);
        let result = self.copy_to(&partial, path);
        if result.is_err() {
            // The name is ours alone, so removing what is left of it harms nobody.
            let _ = std::fs::remove_file(&partial);
        }
        result
    }

    fn copy_to(&self, partial: &Path, path: &Path) -> Result<(), BackupError> {
        let io = |source: std::io::Error| {
            if source.kind() == std::io::ErrorKind::AlreadyExists {
                return BackupError::Exists(path.to_owned());
            }
            BackupError::Io { path: path.to_owned(), source }
        };
        let store = |source| BackupError::Store { path: path.to_owned(), source };
        // The copy is made into an empty file, so that nobody else can read it at any moment.
        let target = private_file::open_partial(partial).map_err(io)?;
        let name = std::path::absolute(partial).map_err(io)?;
        let name = name.to_str().ok_or_else(|| {
            io(std::io::Error::new(std::io::ErrorKind::InvalidInput, "the path is not UTF-8"))
        })?;
        self.file.check_in_place().map_err(store)?;
        let source = self.file.connect().map_err(store)?;
        source.execute("VACUUM INTO ?1", [name]).map_err(|error| store(store_error(&error)))?;
        target.sync_all().map_err(io)?;
        private_file::publish(partial, path).map_err(io)
    }

    /// Reads every page and compares tables with their indexes.
    ///
    /// # Errors
    /// `Corrupt` with what was found, or when the store does not answer.
    pub fn integrity_check(&self) -> Result<(), StoreError> {
        let found: Vec<String> = self.readers.with(|connection| {
            connection
                .prepare("PRAGMA integrity_check(20)")?
                .query_map([], |row| row.get(0))?
                .collect()
        })?;
        match found.as_slice() {
            [only] if only == "ok" => Ok(()),
            _ => Err(StoreError::Corrupt(found.join("; "))),
        }
    }

    /// Moves the write-ahead log into the file and empties it, so that what was erased from the
    /// store is in neither. For use after a version was destroyed.
    ///
    /// # Errors
    /// When a reader or writer of another process stood in the way; try again later.
    pub fn scrub(&self) -> Result<(), StoreError> {
        let busy: i64 = self
            .writer()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|error| store_error(&error))?;
        if busy == 0 {
            return Ok(());
        }
        Err(StoreError::Unavailable("another process is using the write-ahead log".to_owned()))
    }
}
