//! `keywheel scan --database`: what a live PostgreSQL does with keys, beside the files.

use keywheel_postgres::{Address, Environment};
use keywheel_scan::database::{self, DatabaseError};
use keywheel_scan::join::Read;
use keywheel_scan::report::{Note, NoteKind};

use crate::exit::Exit;
use crate::failure::{Failure, chain};

/// What was read of a database.
#[derive(Default)]
pub(super) struct Database {
    /// Its objects.
    pub(super) read: Vec<Read>,
    /// What could not be read of it.
    pub(super) notes: Vec<Note>,
}

/// Asks the database of a URL.
pub(super) fn read(url: &str, allow_plaintext: bool) -> Result<Database, Failure> {
    let scan = Address::parse(url, &Environment::read(), allow_plaintext)
        .map_err(DatabaseError::from)
        .and_then(|address| database::scan(&address))
        .map_err(|error| refused(&error))?;
    let read = scan.objects.into_iter().map(|object| Read {
        path: object.path.to_string_lossy().into_owned(),
        sites: object.sites,
        ..Read::default()
    });
    let note = |says| Note { kind: NoteKind::Unreadable, path: None, says };
    Ok(Database { read: read.collect(), notes: scan.notes.into_iter().map(note).collect() })
}

fn refused(error: &DatabaseError) -> Failure {
    let exit = match error {
        DatabaseError::Reach(error) if error.is_usage() => Exit::Usage,
        _ => Exit::Unreachable,
    };
    Failure::new(exit, format!("--database: {}", chain(error)), error.remedy())
}
