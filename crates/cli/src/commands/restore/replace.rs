//! Puts a backup where the store was. Until the last rename the present store is untouched, and
//! after it the former one stands beside it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keywheel_engine::ports::{Clock as _, Kek as _};
use keywheel_store::{KekSource, OpenError, SqliteStore, SystemClock, SystemEntropy};

use crate::config::ServerConfig;
use crate::failure::{Failure, chain};
use crate::private::Reserved;
use crate::state::{kek_failure, open_failure, sealed_under, wrong_kek};

/// The files that make up a database, by what follows its name.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Replaces the store and says where the former one is kept, if there was one.
pub(super) fn replace(server: &ServerConfig, backup: &Path) -> Result<Option<PathBuf>, Failure> {
    let fresh = with_suffix(&server.store, ".restoring");
    for suffix in SUFFIXES {
        remove(&with_suffix(&fresh, suffix))?;
    }
    let prepared = copy(backup, &fresh).and_then(|()| check(server, backup, &fresh));
    let placed = prepared.and_then(|()| place(server, &fresh));
    if placed.is_err() {
        for suffix in SUFFIXES {
            let _ = std::fs::remove_file(with_suffix(&fresh, suffix));
        }
    }
    placed
}

fn copy(backup: &Path, fresh: &Path) -> Result<(), Failure> {
    let facts = std::fs::metadata(backup).map_err(|error| Failure::io("read", backup, &error))?;
    if !facts.is_file() {
        return Err(Failure::failed(
            format!("{} is not a file", backup.display()),
            "name a file that keywheel backup wrote",
        ));
    }
    let mut source =
        std::fs::File::open(backup).map_err(|error| Failure::io("read", backup, &error))?;
    Reserved::new(fresh)?.copy_from(&mut source)
}

/// The backup must be a store, whole, and sealed under the master key that is at hand.
fn check(server: &ServerConfig, backup: &Path, fresh: &Path) -> Result<(), Failure> {
    let store = SqliteStore::open(fresh, Arc::new(SystemClock)).map_err(|error| match error {
        OpenError::Foreign { detail, .. } => Failure::failed(
            format!("{} is no backup of a keywheel store: {detail}", backup.display()),
            "name a file that keywheel backup wrote; nothing was changed",
        ),
        error => open_failure(&error),
    })?;
    store.integrity_check().map_err(|error| {
        Failure::failed(
            format!("{} is damaged: {}", backup.display(), chain(&error)),
            "use another backup; nothing was changed",
        )
    })?;
    let needed = sealed_under(&store)?;
    let kek = server
        .kek
        .open(Arc::new(SystemEntropy))
        .map_err(|error| kek_failure(&error, needed.as_deref()))?;
    let Some(needed) = needed else {
        return Err(Failure::failed(
            format!("{} holds nothing", backup.display()),
            "use another backup; nothing was changed",
        ));
    };
    let at_hand = kek.id().0 == needed || kek.former_ids().iter().any(|id| id.0 == needed);
    if at_hand {
        return Ok(());
    }
    let mut failure = wrong_kek(&needed, &kek.id().0);
    if let KekSource::File { path } = &server.kek {
        let former = with_suffix(path, &format!(".{needed}"));
        if former.exists() {
            failure.remedy = format!(
                "that key is {}: name it as server.kek.file, restore, then run keywheel kek rotate",
                former.display()
            );
        }
    }
    Err(failure)
}

fn place(server: &ServerConfig, fresh: &Path) -> Result<Option<PathBuf>, Failure> {
    let mut kept = None;
    if server.store.exists() {
        let stamp = SystemClock.wall().to_timestamp().strftime("%Y%m%dT%H%M%SZ").to_string();
        let aside = with_suffix(&server.store, &format!(".before-restore-{stamp}"));
        // The log first: without its database it is harmless, and the database without its log
        // would be an older state.
        for suffix in SUFFIXES.iter().rev() {
            let (from, to) = (with_suffix(&server.store, suffix), with_suffix(&aside, suffix));
            match std::fs::rename(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => renamed.map_err(|error| Failure::io("kept", &from, &error))?,
            }
        }
        kept = Some(aside);
    }
    std::fs::rename(fresh, &server.store)
        .and_then(|()| sync_folder(&server.store))
        .map_err(|error| Failure::io("put in place", &server.store, &error))?;
    Ok(kept)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::io("removed", path, &error))
        }
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
