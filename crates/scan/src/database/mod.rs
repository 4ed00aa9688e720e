//! A live PostgreSQL database: what its functions, views, triggers, defaults, policies and settings
//! do with keys, and which columns hold what a key encrypted.
//!
//! Everything is asked within one read-only transaction with time limits. Values never leave the
//! server: of a setting only the name is asked for, and whether a column holds ciphertext is
//! counted by the server itself, over few rows.
//!
//! Who connects, with which password and how encrypted, is decided by the caller; see [`Address`].

mod columns;
mod objects;

use std::path::PathBuf;

use keywheel_postgres::Address;
use postgres::{IsolationLevel, Transaction};

use crate::site::Sites;
use crate::source::SourceFile;
use crate::sql::{self, Within};

/// How long one question may take on the server.
const STATEMENT_TIMEOUT: &str = "20s";
/// How long to wait for a lock of somebody else.
const LOCK_TIMEOUT: &str = "2s";
/// The most objects of one kind.
const OBJECTS_MAX: usize = 20_000;
/// The longest definition that is read, in bytes.
const DEFINITION_MAX: usize = 1_000_000;

/// What was found in one object of the database.
pub struct ObjectSites {
    /// The object: `postgresql:public.seal(text)`.
    pub path: PathBuf,
    /// The places in its definition, by the lines of that.
    pub sites: Sites,
}

/// What a scan of a database gives.
#[derive(Default)]
pub struct DatabaseScan {
    /// The objects with places, in the order of the questions.
    pub objects: Vec<ObjectSites>,
    /// How many definitions were read.
    pub definitions: usize,
    /// How many columns were sampled.
    pub columns: usize,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
}

/// Why a database cannot be scanned. No message holds a part of the URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The server cannot be reached as it was asked for.
    #[error(transparent)]
    Reach(#[from] keywheel_postgres::Error),
    /// The server gave up in the midst.
    #[error("the server stopped answering: {0}")]
    Query(String),
}

impl DatabaseError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Reach(error) => error.remedy(),
            Self::Query(_) => "try again, or scan while the server has less to do",
        }
    }
}

/// Scans a database.
///
/// # Errors
/// The server cannot be asked. An object that the role may not see is a note.
pub fn scan(address: &Address) -> Result<DatabaseScan, DatabaseError> {
    // The client has an event loop of its own, which must not run within another one.
    std::thread::scope(|scope| {
        let scan = scope.spawn(|| scan_here(address));
        scan.join().unwrap_or_else(|_| Err(DatabaseError::Query("it panicked".to_owned())))
    })
}

fn scan_here(address: &Address) -> Result<DatabaseScan, DatabaseError> {
    let mut client = address.connect("keywheel scan")?;
    let mut transaction = client
        .build_transaction()
        .read_only(true)
        .isolation_level(IsolationLevel::RepeatableRead)
        .start()
        .map_err(|error| DatabaseError::Query(said(&error)))?;
    let limits = format!(
        "SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'; \
         SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; SET LOCAL search_path = pg_catalog"
    );
    transaction.batch_execute(&limits).map_err(|error| DatabaseError::Query(said(&error)))?;
    let mut scan = DatabaseScan::default();
    for question in objects::QUESTIONS {
        ask(&mut transaction, question, &mut scan)?;
    }
    objects::settings(&mut transaction, &mut scan)?;
    columns::sample(&mut transaction, &mut scan)?;
    // Nothing was written; ending it so says it to the server, too.
    transaction.rollback().map_err(|error| DatabaseError::Query(said(&error)))?;
    Ok(scan)
}

/// What the server, or the system, says of an error.
fn said(error: &postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return error.message().to_owned();
    }
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

/// Asks for definitions and reads them; a question that the role may not ask becomes a note.
fn ask(
    transaction: &mut Transaction<'_>,
    question: &objects::Question,
    scan: &mut DatabaseScan,
) -> Result<(), DatabaseError> {
    let rows = match query(transaction, question.sql)? {
        Ok(rows) => rows,
        Err(why) => {
            scan.notes.push(format!("{} could not be read: {why}", question.about));
            return Ok(());
        }
    };
    if rows.len() > OBJECTS_MAX {
        scan.notes.push(format!("of {} only {OBJECTS_MAX} were read", question.about));
    }
    for row in rows.iter().take(OBJECTS_MAX) {
        let (Ok(name), Ok(Some(text))) =
            (row.try_get::<_, String>(0), row.try_get::<_, Option<String>>(1))
        else {
            continue;
        };
        scan.definitions += 1;
        if text.len() > DEFINITION_MAX {
            scan.notes
                .push(format!("{name} is longer than {DEFINITION_MAX} bytes and was not read"));
            continue;
        }
        definition(&name, &text, question.within, scan);
    }
    Ok(())
}

/// Asks within a savepoint, so that what the server refuses ends nothing else.
fn query(
    transaction: &mut Transaction<'_>,
    text: &str,
) -> Result<Result<Vec<postgres::Row>, String>, DatabaseError> {
    let fatal = |error: &postgres::Error| DatabaseError::Query(said(error));
    let mut savepoint = transaction.transaction().map_err(|error| fatal(&error))?;
    match savepoint.query(text, &[]) {
        Ok(rows) => {
            savepoint.commit().map_err(|error| fatal(&error))?;
            Ok(Ok(rows))
        }
        Err(error) if error.is_closed() => Err(fatal(&error)),
        Err(error) => {
            savepoint.rollback().map_err(|error| fatal(&error))?;
            Ok(Err(said(&error)))
        }
    }
}

fn definition(name: &str, text: &str, within: Within, scan: &mut DatabaseScan) {
    let found = sql::sites_in(text, within);
    if found.is_empty() {
        return;
    }
    let path = PathBuf::from(format!("postgresql:{name}"));
    let file = SourceFile::new(&path, text);
    let mut sites = Sites::default();
    sites.found.extend(found.iter().map(|one| sql::site(one, &file, 0)));
    scan.objects.push(ObjectSites { path, sites });
}
