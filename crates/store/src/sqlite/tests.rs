//! What only the SQLite store has: a file, its mode, its damage, a full disk, backups, two clocks.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keywheel_engine::ports::{
    Commit, CommitError, Expect, Fence, Key, Seq, Store as _, StoreError, Write,
};
use rusqlite::Connection;

use super::{BackupError, SqliteStore};
use crate::{ManualClock, OpenError};

const TTL: Duration = Duration::from_secs(10);

struct Place {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn try_open(&self, name: &str) -> Result<SqliteStore, OpenError> {
        SqliteStore::open(&self.path(name), self.clock.clone())
    }

    fn open(&self) -> SqliteStore {
        self.try_open("keywheel.db").unwrap()
    }

    fn raw(&self) -> Connection {
        Connection::open(self.path("keywheel.db")).unwrap()
    }

    fn refusal(&self, name: &str) -> OpenError {
        self.try_open(name).err().expect("the file is refused")
    }
}

fn key(text: &str) -> Key {
    Key::from_stored(text.to_owned())
}

fn put(store: &SqliteStore, name: &str, value: &[u8]) -> Result<Seq, CommitError> {
    let write = Write { key: key(name), expect: Expect::Any, value: Some(value.to_vec()) };
    store.commit(&Commit { fence: None, writes: vec![write] })
}

fn remove(store: &SqliteStore, name: &str) -> Seq {
    let write = Write { key: key(name), expect: Expect::Any, value: None };
    store.commit(&Commit { fence: None, writes: vec![write] }).unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn the_file_and_its_companions_are_the_owners_only() {
    let place = Place::new();
    let store = place.open();
    put(&store, "ring/a", b"x").unwrap();
    for name in ["keywheel.db", "keywheel.db-wal", "keywheel.db-shm"] {
        assert_eq!(mode(&place.path(name)), 0o600, "{name}");
    }
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let place = Place::new();
    put(&place.open(), "ring/a", b"x").unwrap();
    chmod(&place.path("keywheel.db"), 0o640);
    let refusal = place.refusal("keywheel.db");
    assert!(matches!(refusal, OpenError::Exposed { mode: 0o640, .. }), "{refusal}");
    assert!(refusal.remedy().starts_with("run: chmod 600 "), "{}", refusal.remedy());
    chmod(&place.path("keywheel.db"), 0o600);
    assert!(place.open().read(&key("ring/a")).unwrap().is_some());
}

#[test]
fn a_foreign_file_is_refused_and_left_as_it_was() {
    let place = Place::new();
    let text = place.path("notes.txt");
    std::fs::write(&text, "these are my notes, and they are no database at all; ".repeat(20))
        .unwrap();
    let other = place.path("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    for path in [text, other] {
        chmod(&path, 0o600);
        let before = std::fs::read(&path).unwrap();
        let refusal = place.refusal(path.file_name().unwrap().to_str().unwrap());
        assert!(matches!(refusal, OpenError::Foreign { .. }), "{refusal}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[test]
fn the_high_water_file_is_no_store() {
    let place = Place::new();
    crate::FileHighWater::open(&place.path("marks.db")).unwrap();
    assert!(matches!(place.refusal("marks.db"), OpenError::Foreign { .. }));
}

#[test]
fn a_newer_schema_is_refused_with_the_remedy() {
    let place = Place::new();
    drop(place.open());
    place.raw().pragma_update(None, "user_version", 2).unwrap();
    let refusal = place.refusal("keywheel.db");
    assert!(matches!(refusal, OpenError::Newer { found: 2, known: 1, .. }), "{refusal}");
    assert!(refusal.remedy().contains("install the keywheel that wrote it"));
}

#[test]
fn a_missing_folder_is_an_error_that_names_it() {
    let place = Place::new();
    let refusal = place.refusal("no/such/folder.db");
    assert!(matches!(refusal, OpenError::Io { .. }), "{refusal}");
    assert!(refusal.to_string().contains("no/such/folder.db"));
}

#[test]
fn names_that_sqlite_treats_specially_are_plain_files() {
    let place = Place::new();
    for name in [":memory:", "file:x?mode=memory", "with space", "ünïcode"] {
        put(&place.try_open(name).unwrap(), "ring/a", b"x").unwrap();
        let again = place.try_open(name).unwrap();
        assert!(again.read(&key("ring/a")).unwrap().is_some(), "{name}");
    }
}

#[test]
fn many_first_starts_at_once_make_one_store() {
    let place = Place::new();
    let seqs = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|n| {
                scope.spawn({
                    let place = &place;
                    move || put(&place.open(), &format!("k/{n}"), b"x").unwrap()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(place.open().list("k/", None, 10).unwrap().len(), 6);
    assert_eq!(seqs.into_iter().max(), Some(Seq(6)));
}

#[test]
fn a_torn_file_is_refused_or_reported_and_never_believed() {
    let place = Place::new();
    let store = place.open();
    for n in 0..40 {
        put(&store, &format!("ring/{n:02}"), &[n; 3_000]).unwrap();
    }
    drop(store);
    let whole = std::fs::read(place.path("keywheel.db")).unwrap();
    assert!(whole.len() > 100_000, "the store is large enough to be torn");
    for cut in [100, 4_096, 8_192, whole.len() / 2] {
        let torn = place.path("torn.db");
        std::fs::write(&torn, &whole[..cut]).unwrap();
        chmod(&torn, 0o600);
        let result = place
            .try_open("torn.db")
            .map(|store| (store.integrity_check().is_err(), store.list("", None, 100).is_err()));
        match result {
            Err(
                OpenError::Foreign { .. } | OpenError::Store { source: StoreError::Corrupt(_), .. },
            ) => {}
            Err(other) => panic!("cut at {cut}: {other}"),
            Ok(found) => assert_eq!(found, (true, true), "cut at {cut}"),
        }
    }
}

#[test]
fn scribbled_pages_are_reported() {
    let place = Place::new();
    let store = place.open();
    for n in 0..40 {
        put(&store, &format!("ring/{n:02}"), &[n; 3_000]).unwrap();
    }
    assert!(store.integrity_check().is_ok());
    drop(store);
    let path = place.path("keywheel.db");
    let mut bytes = std::fs::read(&path).unwrap();
    for page in bytes.chunks_mut(4_096).skip(2) {
        page[..64].fill(0xa5);
    }
    std::fs::write(&path, bytes).unwrap();
    let store = place.open();
    assert!(matches!(store.integrity_check(), Err(StoreError::Corrupt(_))));
    assert!(matches!(store.list("", None, 100), Err(StoreError::Corrupt(_))));
}

#[test]
fn an_edited_schema_or_counter_is_damage() {
    for edit in [
        "DROP TABLE kv",
        "DELETE FROM state",
        "UPDATE state SET seq = -1",
        "ALTER TABLE state RENAME COLUMN seq TO number",
    ] {
        let place = Place::new();
        put(&place.open(), "ring/a", b"x").unwrap();
        place.raw().execute_batch(edit).unwrap();
        let store = place.open();
        let result = put(&store, "ring/a", b"y");
        let damaged = matches!(result, Err(CommitError::Store(StoreError::Corrupt(_))));
        assert!(damaged, "{edit}: {result:?}");
    }
}

#[test]
fn a_store_that_was_moved_away_or_replaced_takes_no_commit() {
    let place = Place::new();
    let (path, aside) = (place.path("keywheel.db"), place.path("aside.db"));
    let store = place.open();
    put(&store, "ring/a", b"x").unwrap();
    store.backup_to(&place.path("backup.db")).unwrap();
    let refuses = || {
        let put = put(&store, "ring/a", b"y");
        matches!(put, Err(CommitError::Store(StoreError::Unavailable(_))))
            && store.acquire("one", TTL).is_err()
            && store.backup_to(&place.path("second.db")).is_err()
    };
    std::fs::rename(&path, &aside).unwrap();
    assert!(refuses(), "the file is gone");
    std::fs::copy(place.path("backup.db"), &path).unwrap();
    assert!(refuses(), "another file is there");
    std::fs::rename(&aside, &path).unwrap();
    put(&store, "ring/a", b"y").unwrap();
}

#[test]
fn only_a_commit_that_may_have_happened_is_unknown() {
    use rusqlite::ffi;
    let outcome = |code| {
        super::commit::commit_error(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    };
    for code in
        [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR, ffi::SQLITE_NOMEM]
    {
        assert!(matches!(outcome(code), CommitError::Unknown(_)), "{code}");
    }
    let full = outcome(ffi::SQLITE_FULL);
    assert!(matches!(full, CommitError::Store(StoreError::Full(_))), "{full}");
    let busy = outcome(ffi::SQLITE_BUSY);
    assert!(matches!(busy, CommitError::Store(StoreError::Unavailable(_))), "{busy}");
}

#[test]
fn a_full_disk_refuses_the_commit_and_keeps_the_last_good_one() {
    let place = Place::new();
    let store = place.open();
    let good = put(&store, "ring/a", &[1; 5_000]).unwrap();
    let limit = |pages: u32| store.writer().pragma_update(None, "max_page_count", pages).unwrap();
    limit(12);
    let result = put(&store, "ring/a", &vec![2; 200_000]);
    assert!(matches!(result, Err(CommitError::Store(StoreError::Full(_)))), "{result:?}");
    let stored = store.read(&key("ring/a")).unwrap().unwrap();
    assert_eq!((stored.seq, stored.value), (good, vec![1; 5_000]));
    assert_eq!(store.head().unwrap(), good);
    limit(1_000_000);
    put(&store, "ring/a", &vec![2; 200_000]).unwrap();
    assert!(store.integrity_check().is_ok());
}

#[test]
fn reads_do_not_wait_for_a_writer_and_writers_give_up_in_the_end() {
    let place = Place::new();
    let store = place.open();
    put(&store, "ring/a", b"x").unwrap();
    let other = place.raw();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE state SET seq = 99").unwrap();
    assert_eq!(store.head().unwrap(), Seq(1), "an unfinished commit is not seen");
    assert!(store.read(&key("ring/a")).unwrap().is_some());
    store.writer().busy_timeout(Duration::from_millis(20)).unwrap();
    let result = put(&store, "ring/a", b"y");
    assert!(matches!(result, Err(CommitError::Store(StoreError::Unavailable(_)))), "{result:?}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(put(&store, "ring/a", b"y").unwrap(), Seq(2));
}

#[test]
fn more_readers_than_connections_take_turns() {
    let place = Place::new();
    let store = place.open();
    put(&store, "ring/a", b"x").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(store.read(&key("ring/a")).unwrap().is_some());
                }
            });
        }
    });
}

#[test]
fn removed_keys_leave_the_feed_after_a_hundred_thousand_commits() {
    let place = Place::new();
    let store = place.open();
    put(&store, "ring/a", b"x").unwrap();
    let removed = remove(&store, "ring/a");
    let set_head = |seq: u64| store.writer().execute("UPDATE state SET seq = ?1", [seq]).unwrap();
    let is_in_feed = || store.changes(Seq(0), 10).unwrap().iter().any(|c| c.seq == removed);
    set_head(removed.0 + 99_999);
    put(&store, "ring/b", b"x").unwrap();
    assert!(is_in_feed(), "it is the 100,000th commit since");
    put(&store, "ring/b", b"x").unwrap();
    assert!(!is_in_feed(), "it is kept for ever");
}

#[test]
fn what_was_erased_is_in_no_file() {
    let place = Place::new();
    let store = place.open();
    let secret = b"a sealed document that is to be destroyed for good";
    put(&store, "ring/a", secret).unwrap();
    put(&store, "ring/b", b"something else").unwrap();
    store.scrub().unwrap();
    let holds_secret = || {
        std::fs::read_dir(place.folder.path()).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(secret.len()).any(|window| window == secret)
        })
    };
    assert!(holds_secret(), "the search finds what is there");
    remove(&store, "ring/a");
    store.scrub().unwrap();
    assert!(!holds_secret());
}

#[test]
fn a_backup_is_whole_private_and_replaces_nothing() {
    let place = Place::new();
    let store = place.open();
    put(&store, "ring/a", b"x").unwrap();
    remove(&store, "ring/a");
    let head = put(&store, "ring/b", &vec![7; 50_000]).unwrap();
    let target = place.path("backup.db");
    store.backup_to(&target).unwrap();
    assert_eq!(mode(&target), 0o600);
    put(&store, "ring/b", b"later").unwrap();

    let copy = place.try_open("backup.db").unwrap();
    assert_eq!(copy.head().unwrap(), head);
    assert_eq!(copy.read(&key("ring/b")).unwrap().unwrap().value, vec![7; 50_000]);
    assert_eq!(copy.changes(Seq(0), 10).unwrap().len(), 2, "the feed is in the backup too");
    copy.integrity_check().unwrap();

    let refusal = store.backup_to(&target).unwrap_err();
    assert!(matches!(refusal, BackupError::Exists(_)), "{refusal}");
    assert_eq!(copy.head().unwrap(), head, "the first backup is untouched");
    let dangling = place.path("link.db");
    std::os::unix::fs::symlink(place.path("nowhere.db"), &dangling).unwrap();
    assert!(matches!(store.backup_to(&dangling), Err(BackupError::Exists(_))));
    let refusal = store.backup_to(&place.path("no/folder.db")).unwrap_err();
    assert!(matches!(refusal, BackupError::Io { .. }), "{refusal}");
    let leftovers = std::fs::read_dir(place.folder.path()).unwrap();
    let is_partial = |name: &std::ffi::OsStr| name.to_str().unwrap().contains("partial");
    assert!(!leftovers.map(|entry| entry.unwrap().file_name()).any(|name| is_partial(&name)));
}

#[test]
fn a_backup_beside_a_writer_is_one_moment() {
    let place = Place::new();
    let store = place.open();
    let both = |n: u32| {
        let write = |name| Write {
            key: key(name),
            expect: Expect::Any,
            value: Some(n.to_be_bytes().repeat(2_000)),
        };
        store.commit(&Commit { fence: None, writes: vec![write("pair/a"), write("pair/b")] })
    };
    both(0).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (1..60).for_each(|n| _ = both(n).unwrap()));
        for n in 0..5 {
            let name = format!("backup-{n}.db");
            store.backup_to(&place.path(&name)).unwrap();
            let pair = place.try_open(&name).unwrap().list("pair/", None, 2).unwrap();
            assert_eq!(pair[0].1, pair[1].1);
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_restored_store_repeats_no_fence_and_no_number() {
    let place = Place::new();
    let store = place.open();
    put(&store, "ring/a", b"old").unwrap();
    store.backup_to(&place.path("backup.db")).unwrap();
    // What happened after the backup was taken, and is not in it.
    let later: Vec<Fence> = (0..3).map(|_| store.acquire("one", TTL).unwrap().unwrap()).collect();
    let later_seq = put(&store, "ring/a", b"new").unwrap();

    let restored = place.try_open("backup.db").unwrap();
    restored.leap_after_restore().unwrap();
    let fence = restored.acquire("two", TTL).unwrap().unwrap();
    assert!(later.iter().all(|former| *former < fence));
    for former in later {
        let stale = Commit { fence: Some(former), writes: Vec::new() };
        assert!(matches!(restored.commit(&stale), Err(CommitError::Fenced)));
    }
    assert!(restored.head().unwrap() > later_seq);
    let write =
        Write { key: key("ring/a"), expect: Expect::At(later_seq), value: Some(b"x".to_vec()) };
    let result = restored.commit(&Commit { fence: None, writes: vec![write] });
    assert!(matches!(result, Err(CommitError::Conflict(_))), "{result:?}");
}

#[test]
fn a_wall_clock_set_forward_ends_no_lease() {
    let place = Place::new();
    let (one, other) = (place.open(), place.open());
    one.acquire("one", TTL).unwrap().unwrap();
    assert_eq!(other.acquire("other", TTL).unwrap(), None);
    place.clock.jump_wall_millis(3_600_000);
    assert_eq!(other.acquire("other", TTL).unwrap(), None);
    place.clock.advance(TTL);
    assert!(other.acquire("other", TTL).unwrap().is_some());
}

#[test]
fn a_wall_clock_set_back_keeps_no_dead_leader_in_office() {
    for seen_before in [true, false] {
        let place = Place::new();
        let (one, other) = (place.open(), place.open());
        one.acquire("one", TTL).unwrap().unwrap();
        if seen_before {
            assert_eq!(other.acquire("other", TTL).unwrap(), None);
        }
        place.clock.jump_wall_millis(-3_600_000);
        assert_eq!(other.acquire("other", TTL).unwrap(), None);
        place.clock.advance(TTL);
        assert!(other.acquire("other", TTL).unwrap().is_some(), "seen before: {seen_before}");
    }
}

#[test]
fn every_refusal_names_a_cause_and_a_remedy() {
    let path = PathBuf::from("/state/keywheel.db");
    let store = |source| OpenError::Store { what: "store", path: path.clone(), source };
    for error in [
        OpenError::Io { what: "store", path: path.clone(), source: std::io::Error::other("x") },
        OpenError::Exposed { what: "store", path: path.clone(), mode: 0o644 },
        OpenError::Foreign {
            what: "store",
            path: path.clone(),
            detail: "it is no database".into(),
        },
        OpenError::Newer { what: "store", path: path.clone(), found: 3, known: 1 },
        store(StoreError::Full("x".into())),
        store(StoreError::Corrupt("x".into())),
        store(StoreError::Unavailable("x".into())),
    ] {
        assert!(error.to_string().contains("/state/keywheel.db"), "{error}");
        assert!(error.remedy().len() > 10, "{error} has no remedy");
    }
}
