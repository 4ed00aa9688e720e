//! Opening a SQLite file safely: created for its owner only, recognised as ours before anything in
//! it is changed, and set up so that an acknowledged commit survives a power cut.
//!
//! What the tables mean is left to the store and to the high-water mark.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use keywheel_engine::ports::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::private_file;

/// How long one attempt waits for another process that holds the write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A kind of file that this crate keeps in SQLite.
#[derive(Clone, Copy)]
pub(crate) struct Format {
    /// What people call it.
    pub(crate) name: &'static str,
    /// The number in the file's header that says whose it is.
    pub(crate) application_id: i32,
    /// The newest schema that this build knows.
    pub(crate) schema_version: i32,
    /// The statements that make an empty file one of these.
    pub(crate) schema: &'static str,
}

/// Why a database file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It cannot be made, or its folder cannot be reached.
    #[error("the {what} {} cannot be opened", .path.display())]
    Io {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Others than its owner can read it.
    #[error("the {what} {} has mode {mode:04o}, so others than its owner can reach it", .path.display())]
    Exposed {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no file of this kind.
    #[error("{} is not a keywheel {what}: {detail}", .path.display())]
    Foreign {
        /// What it should have been.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A newer keywheel wrote it.
    #[error(
        "the {what} {} has schema {found}, but this keywheel knows schemas up to {known}",
        .path.display()
    )]
    Newer {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i32,
        /// The newest one known here.
        known: i32,
    },
    /// It is damaged, locked, or on a full disk.
    #[error("the {what} {} cannot be used", .path.display())]
    Store {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: StoreError,
    },
}

impl OpenError {
    /// What the operator can do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Io { path, .. } => {
                format!("make sure that the folder of {} exists and is yours", path.display())
            }
            Self::Exposed { path, .. } => format!("run: chmod 600 {}", path.display()),
            Self::Foreign { path, .. } => format!(
                "nothing in it was changed; name another file in the configuration, or move {} away",
                path.display()
            ),
            Self::Newer { .. } => {
                "install the keywheel that wrote it, or a later one; nothing was changed".to_owned()
            }
            Self::Store { source: StoreError::Full(_), .. } => {
                "free some space on its disk and start again".to_owned()
            }
            Self::Store { source: StoreError::Corrupt(_), path, .. } => {
                format!("move {} away and restore the last backup", path.display())
            }
            Self::Store { path, .. } => {
                format!("see which other program keeps {} locked", path.display())
            }
        }
    }
}

/// A database file that was recognised or newly made.
#[derive(Clone)]
pub(crate) struct DatabaseFile {
    format: Format,
    path: PathBuf,
    identity: Identity,
}

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(facts: &Metadata) -> Self {
        Self { device: facts.dev(), inode: facts.ino() }
    }
}

impl DatabaseFile {
    /// Makes the file when there is none, and checks that it is one of this format.
    pub(crate) fn prepare(path: &Path, format: Format) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io { what: format.name, path: path.to_owned(), source };
        // An absolute path keeps SQLite from reading a special meaning into a name.
        let path = std::path::absolute(path).map_err(io)?;
        match private_file::open_new(&path) {
            Ok(_) => private_file::sync_folder(&path).map_err(io)?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io(error)),
        }
        let identity = Identity::of(&std::fs::metadata(&path).map_err(io)?);
        let file = Self { format, path, identity };
        file.check_modes()?;
        file.check_schema()?;
        Ok(file)
    }

    /// The file, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses to go on when the file was moved away or exchanged, as by a restore beside a running
    /// server: what is written to an open connection then would be acknowledged and lost.
    pub(crate) fn check_in_place(&self) -> Result<(), StoreError> {
        match std::fs::metadata(&self.path) {
            Ok(facts) if Identity::of(&facts) == self.identity => Ok(()),
            Ok(_) => Err(StoreError::Unavailable(format!(
                "{} was replaced by another file while it was in use; start keywheel again",
                self.path.display()
            ))),
            Err(error) => Err(StoreError::Unavailable(format!(
                "{} was moved away while it was in use: {error}",
                self.path.display()
            ))),
        }
    }

    /// Opens one more connection to it.
    pub(crate) fn connect(&self) -> Result<Connection, StoreError> {
        self.open().map_err(|error| store_error(&error))
    }

    /// The same, with the error that start-up shows.
    pub(crate) fn connect_at_start(&self) -> Result<Connection, OpenError> {
        self.open().map_err(|error| self.refused(&error))
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        // Without CREATE, a file that was moved away in the meantime is an error and not an empty
        // store.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // Erased documents must not linger in free pages.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "cell_size_check", true)?;
        connection.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(connection)
    }

    fn check_modes(&self) -> Result<(), OpenError> {
        for suffix in ["", "-wal", "-shm"] {
            let path = private_file::with_suffix(&self.path, suffix);
            let facts = match std::fs::metadata(&path) {
                Ok(facts) => facts,
                // Another process may remove its log at this moment.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(OpenError::Io { what: self.format.name, path, source }),
            };
            let mode = facts.permissions().mode() & 0o7777;
            if mode & 0o077 != 0 {
                return Err(OpenError::Exposed { what: self.format.name, path, mode });
            }
        }
        Ok(())
    }

    /// Recognises the file before changing anything in it; makes the schema in an empty one.
    fn check_schema(&self) -> Result<(), OpenError> {
        let mut connection = self.connect_at_start()?;
        let refused = |error: rusqlite::Error| self.refused(&error);
        if let Some(header) = header(&connection).map_err(refused)? {
            self.judge(&header)?;
            return self.ensure_log(&connection);
        }
        self.ensure_log(&connection)?;
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(refused)?;
        if let Some(header) = self::header(&transaction).map_err(refused)? {
            // Another process made the schema since the first look.
            return self.judge(&header);
        }
        transaction.execute_batch(self.format.schema).map_err(refused)?;
        transaction
            .pragma_update(None, "application_id", self.format.application_id)
            .map_err(refused)?;
        transaction
            .pragma_update(None, "user_version", self.format.schema_version)
            .map_err(refused)?;
        transaction.commit().map_err(refused)
    }

    fn judge(&self, header: &Header) -> Result<(), OpenError> {
        let (what, path) = (self.format.name, self.path.clone());
        if header.application_id != self.format.application_id {
            let detail =
                format!("it is another program's database (id {:#010x})", header.application_id);
            return Err(OpenError::Foreign { what, path, detail });
        }
        if header.schema_version > self.format.schema_version {
            let (found, known) = (header.schema_version, self.format.schema_version);
            return Err(OpenError::Newer { what, path, found, known });
        }
        Ok(())
    }

    /// Readers go on beside a writer only with a write-ahead log. A backup that was put in place
    /// comes without one.
    fn ensure_log(&self, connection: &Connection) -> Result<(), OpenError> {
        let mode: String = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
            .map_err(|error| self.refused(&error))?;
        if mode == "wal" {
            return Ok(());
        }
        let source = StoreError::Unavailable(
            "its file system offers no shared memory, which a write-ahead log needs".to_owned(),
        );
        Err(OpenError::Store { what: self.format.name, path: self.path.clone(), source })
    }

    fn refused(&self, error: &rusqlite::Error) -> OpenError {
        let (what, path) = (self.format.name, self.path.clone());
        if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) {
            return OpenError::Foreign { what, path, detail: "it is no database".to_owned() };
        }
        OpenError::Store { what, path, source: store_error(error) }
    }
}

struct Header {
    application_id: i32,
    schema_version: i32,
}

/// What the file says it is, or nothing when nobody has written into it yet.
fn header(connection: &Connection) -> rusqlite::Result<Option<Header>> {
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application_id, schema_version) = (number("application_id")?, number("user_version")?);
    let is_empty = (objects, application_id, schema_version) == (0, 0, 0);
    Ok((!is_empty).then_some(Header { application_id, schema_version }))
}

/// Says in the port's words what SQLite said in its own.
pub(crate) fn store_error(error: &rusqlite::Error) -> StoreError {
    use rusqlite::Error as E;
    use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
    let said = error.to_string();
    match error {
        E::SqliteFailure(code, _) => match code.code {
            ErrorCode::DiskFull => StoreError::Full(said),
            // The shared-memory index is the first file to grow, and only a full disk stops it.
            _ if code.extended_code == SQLITE_IOERR_SHMSIZE => StoreError::Full(said),
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch => StoreError::Corrupt(said),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                StoreError::Unavailable(format!(
                    "another process held the write lock for more than {} s",
                    BUSY_TIMEOUT.as_secs()
                ))
            }
            // The statements are fixed, so what they miss was taken away by somebody.
            ErrorCode::Unknown if said.starts_with("no such") => StoreError::Corrupt(said),
            _ => StoreError::Unavailable(said),
        },
        E::SqlInputError { .. }
        | E::InvalidColumnType(..)
        | E::FromSqlConversionFailure(..)
        | E::IntegralValueOutOfRange(..)
        | E::Utf8Error(..)
        | E::QueryReturnedNoRows => StoreError::Corrupt(said),
        _ => StoreError::Unavailable(said),
    }
}
