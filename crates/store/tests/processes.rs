//! The SQLite store between real processes: fencing, a kill in the middle of commits, a full disk.
//!
//! A test starts this very program again with a role in its environment; [`in_another_process`] is
//! where that process begins.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use keywheel_engine::ports::{
    Commit, CommitError, Expect, Fence, Key, Seq, Store as _, StoreError, Write,
};
use keywheel_store::{OpenError, SqliteStore, SystemClock};

const ROLE: &str = "KEYWHEEL_TEST_ROLE";
const FOLDER: &str = "KEYWHEEL_TEST_FOLDER";
const FENCE: &str = "KEYWHEEL_TEST_FENCE";
const TTL: Duration = Duration::from_hours(1);

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(&folder.join("keywheel.db"), Arc::new(SystemClock)).unwrap()
}

fn put(
    store: &SqliteStore,
    fence: Option<Fence>,
    name: &str,
    value: &[u8],
) -> Result<Seq, CommitError> {
    let key = Key::from_stored(name.to_owned());
    let write = Write { key, expect: Expect::Any, value: Some(value.to_vec()) };
    store.commit(&Commit { fence, writes: vec![write] })
}

fn this_program(role: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["in_another_process", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(FOLDER, folder).stdin(Stdio::null());
    command
}

#[test]
fn in_another_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let folder = std::env::var_os(FOLDER).unwrap();
    let folder = Path::new(&folder);
    match role.as_str() {
        "commit with fence" => {
            let fence = Fence(std::env::var(FENCE).unwrap().parse().unwrap());
            let store = open(folder);
            let acquired = store.acquire("child", TTL).unwrap();
            let committed = put(&store, Some(fence), "ring/a", b"child").is_ok();
            println!("acquired {acquired:?}, committed {committed}");
        }
        "commit for ever" => {
            let store = open(folder);
            for n in 0_u64.. {
                put(&store, None, &format!("k/{n:06}"), &n.to_be_bytes().repeat(300)).unwrap();
                println!("acknowledged {n}");
            }
        }
        "fill the disk" => fill_the_disk(folder),
        other => panic!("no such role: {other}"),
    }
}

#[test]
fn a_second_process_cannot_commit_with_an_older_fence() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let older = store.acquire("parent", TTL).unwrap().unwrap();
    let newest = store.acquire("parent", TTL).unwrap().unwrap();
    let child = |fence: Fence| {
        let mut command = this_program("commit with fence", folder.path());
        let output = command.env(FENCE, fence.0.to_string()).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let said = child(older);
    assert!(said.contains("acquired None, committed false"), "{said}");
    assert_eq!(store.head().unwrap(), Seq(0));
    let said = child(newest);
    assert!(said.contains("acquired None, committed true"), "{said}");
    assert_eq!(store.head().unwrap(), Seq(1));

    store.release(newest).unwrap();
    let said = child(newest);
    assert!(said.contains(&format!("acquired Some({:?})", Fence(newest.0 + 1))), "{said}");
    let result = put(&store, Some(newest), "ring/a", b"late");
    assert!(matches!(result, Err(CommitError::Fenced)), "{result:?}");
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let mut child =
            this_program("commit for ever", folder.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = Vec::new();
        let mut note = |line: std::io::Result<String>| {
            let line = line.unwrap();
            let number = line.rsplit_once("acknowledged ").and_then(|(_, n)| n.parse::<u64>().ok());
            acknowledged.extend(number);
        };
        lines.by_ref().take(60).for_each(&mut note);
        child.kill().unwrap();
        lines.for_each(&mut note);
        child.wait().unwrap();
        assert!(acknowledged.len() > 30, "{acknowledged:?}");

        let store = open(folder.path());
        store.integrity_check().unwrap();
        for n in acknowledged {
            let key = Key::from_stored(format!("k/{n:06}"));
            let stored = store.read(&key).unwrap();
            let expected = n.to_be_bytes().repeat(300);
            assert!(stored.is_some_and(|stored| stored.value == expected), "{n} is lost");
        }
    }
}

/// A file system of one mebibyte, seen by one child process only, so that nothing is mounted on the
/// machine itself. Needs the right to make a mount namespace.
#[test]
fn a_really_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let exe = this_program("fill the disk", folder.path());
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--map-root-user", "sh", "-c"])
        .arg("mount -t tmpfs -o size=1m tmpfs \"$0\" && echo mounted && exec \"$@\"")
        .arg(folder.path())
        .arg(exe.get_program())
        .args(exe.get_args());
    for (name, value) in exe.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped: `unshare` cannot be started: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    if !said.contains("mounted") {
        return eprintln!("skipped: no private file system can be mounted: {complained}");
    }
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("filled and recovered"), "{said}");
    assert!(folder.path().read_dir().unwrap().next().is_none(), "the mount leaked out");
}

fn fill_the_disk(folder: &Path) {
    let store = open(folder);
    let mut last = 0;
    let full = (0_u64..10_000).find_map(|n| {
        match put(&store, None, &format!("k/{n:06}"), &n.to_be_bytes().repeat(1_000)) {
            Ok(_) => {
                last = n;
                None
            }
            Err(error) => Some(error),
        }
    });
    let is_full = matches!(full, Some(CommitError::Store(StoreError::Full(_))));
    assert!(is_full, "{full:?}");
    let all_there = |store: &SqliteStore| {
        let listed = store.list("k/", None, usize::MAX).unwrap();
        assert_eq!(listed.len() as u64, last + 1);
        for (n, (_, stored)) in (0_u64..).zip(listed) {
            assert_eq!(stored.value, n.to_be_bytes().repeat(1_000));
        }
    };
    all_there(&store);
    assert_eq!(store.head().unwrap(), Seq(last + 1));
    let lease = store.acquire("one", TTL);
    assert!(matches!(lease, Err(StoreError::Full(_)) | Ok(Some(_))), "{lease:?}");
    let backup = store.backup_to(&folder.join("backup.db"));
    assert!(backup.is_err_and(|error| error.remedy().starts_with("free some space")));
    assert!(!folder.join("backup.db").exists());
    drop(store);

    // A start on a full disk either works or says that the disk is full.
    let filler = folder.join("filler");
    let _ = std::fs::write(&filler, vec![0; 2 << 20]);
    match SqliteStore::open(&folder.join("keywheel.db"), Arc::new(SystemClock)) {
        Ok(store) => all_there(&store),
        Err(OpenError::Store { source: StoreError::Full(_), .. }) => {}
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
    std::fs::remove_file(&filler).unwrap();
    let store = open(folder);
    all_there(&store);
    store.integrity_check().unwrap();
    let removal =
        Write { key: Key::from_stored("k/000000".into()), expect: Expect::Any, value: None };
    if let Err(error) = store.commit(&Commit { fence: None, writes: vec![removal] }) {
        assert!(matches!(error, CommitError::Store(StoreError::Full(_))), "{error}");
    }
    println!("filled and recovered");
}
