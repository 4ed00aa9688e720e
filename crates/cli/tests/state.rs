//! What stands on the disk: locks, master keys, modes, edited and replayed rows, backups, and a
//! disk that takes no more. Each a clear error with a remedy, and nothing lost.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod world;

use std::path::Path;

use rusqlite::Connection;
use world::{Ran, WEB, World, set_mode, until};

/// The stored bytes of a value.
fn row(world: &World, key: &str) -> Vec<u8> {
    let connection = Connection::open(world.state("keywheel.db")).unwrap();
    connection.query_row("SELECT value FROM kv WHERE key = ?1", [key], |row| row.get(0)).unwrap()
}

/// Everything that the store keeps. The file may differ while this is the same: whoever opens the
/// database may move what stands in its log.
fn rows(world: &World) -> Vec<(String, Vec<u8>, i64)> {
    let connection = Connection::open(world.state("keywheel.db")).unwrap();
    let mut all = connection.prepare("SELECT key, value, seq FROM kv ORDER BY key").unwrap();
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn put_row(world: &World, key: &str, value: &[u8]) {
    let connection = Connection::open(world.state("keywheel.db")).unwrap();
    let done = connection.execute("UPDATE kv SET value = ?2 WHERE key = ?1", (key, value));
    assert_eq!(done.unwrap(), 1);
}

/// Runs a server that must refuse to start.
fn refused_start(world: &World) -> String {
    let mut server = world.start(world.command(&["serve"]));
    let (code, log) = server.wait();
    assert_ne!(code, 0, "{log}");
    format!("exit code {code}\n{}", world.clean(&without_events(&log)))
}

/// Log lines carry times; what counts here is the error behind them.
fn without_events(log: &str) -> String {
    log.lines().skip_while(|line| !line.starts_with("error:")).collect::<Vec<_>>().join("\n")
}

fn incarnation(world: &World) -> String {
    let ring = world.json(&["status", "web"]);
    ring.get("incarnation").unwrap().as_str().unwrap().to_owned()
}

#[test]
fn second_server_is_refused() {
    let world = World::with(WEB);
    let server = world.serve();
    let log = refused_start(&world).replace(&server.pid().to_string(), "[PID]");
    insta::assert_snapshot!("second_server", log);
    // Another configuration with the same store meets the same lock.
    let text = std::fs::read_to_string(world.path("keywheel.toml")).unwrap();
    let other = text.replace("unix:keywheel.sock", "unix:other.sock");
    world.write("other.toml", other);
    let mut second = world.start(world.command(&["serve", "--config", "other.toml"]));
    assert_eq!(second.wait().0, 1);
    for args in [
        ["kek", "rotate"].as_slice(),
        &["restore", "--adopt"],
        &["eject", "--to", "out", "--reveal"],
    ] {
        let ran = world.run(args);
        assert_eq!(ran.code, 1, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("uses this store"), "{args:?}: {}", ran.stderr);
    }
    assert!(!world.path("out").exists());
    world.ok(&["status"]);
    server.kill();
    // The kernel gave the lock back with the process.
    world.serve().stop();
}

#[test]
fn a_missing_or_wrong_master_key_is_named_and_nothing_is_touched() {
    let world = World::with(WEB);
    world.serve().stop();
    let before = rows(&world);
    assert!(!before.is_empty());
    let key = world.state("master.key");
    std::fs::rename(&key, world.path("kept.key")).unwrap();
    insta::assert_snapshot!("missing_master_key", refused_start(&world));
    assert!(!key.exists(), "another key was made");
    std::fs::write(&key, "8f".repeat(31) + "01").unwrap();
    set_mode(&key, 0o600);
    insta::assert_snapshot!("wrong_master_key", refused_start(&world));
    std::fs::write(&key, "no key at all").unwrap();
    insta::assert_snapshot!("no_master_key", refused_start(&world));
    assert!(rows(&world) == before, "something was written");
    std::fs::remove_file(&key).unwrap();
    std::fs::rename(world.path("kept.key"), &key).unwrap();
    let server = world.serve();
    world.ok(&["audit", "--verify"]);
    server.stop();
}

#[test]
fn files_that_others_can_read_are_refused() {
    let world = World::with(WEB);
    world.serve().stop();
    for (name, snapshot) in [("master.key", "exposed_master_key"), ("keywheel.db", "exposed_store")]
    {
        set_mode(&world.state(name), 0o644);
        let log = refused_start(&world);
        assert!(log.starts_with("exit code 6\n"), "{log}");
        insta::assert_snapshot!(snapshot, log);
        set_mode(&world.state(name), 0o600);
    }
    let server = world.serve();
    set_mode(&world.state("admin.token"), 0o644);
    insta::assert_snapshot!("exposed_token", world.transcript(&["status"]));
    let doctor = world.run(&["doctor"]);
    assert_eq!(doctor.code, 1);
    assert!(doctor.stdout.contains("fail  admin token"), "{}", doctor.stdout);
    set_mode(&world.state("admin.token"), 0o600);
    world.ok(&["doctor"]);
    server.stop();
}

#[test]
fn a_hand_edited_row_is_refused_by_name() {
    let world = World::with(&format!("{WEB}{}", WEB.replace("ring.web", "ring.other")));
    world.serve().stop();
    let good = row(&world, "ring/web");
    let mut edited = good.clone();
    let middle = edited.len() / 2;
    edited[middle] ^= 1;
    put_row(&world, "ring/web", &edited);
    let doctor = world.run(&["doctor"]);
    assert!(doctor.stdout.contains("fail  sealed values"), "{}", doctor.stdout);
    let server = world.serve();
    insta::assert_snapshot!("edited_row", world.transcript(&["status", "web"]));
    world.ok(&["status", "other"]);
    assert_eq!(world.run(&["rotate", "web"]).code, 1);
    server.stop();
    put_row(&world, "ring/web", &good);
    let server = world.serve();
    world.ok(&["status", "web"]);
    server.stop();
}

#[test]
fn a_replayed_row_stops_transitions_until_it_is_adopted() {
    let world = World::with(WEB);
    world.serve().stop();
    let old = row(&world, "ring/web");
    let server = world.serve();
    world.ok(&["pause", "web", "--reason", "to make the document newer"]);
    let before = incarnation(&world);
    server.stop();
    put_row(&world, "ring/web", &old);
    let doctor = world.run(&["doctor"]);
    assert!(doctor.stdout.contains("fail  high-water mark"), "{}", doctor.stdout);
    let server = world.serve();
    insta::assert_snapshot!("replayed_row", world.transcript(&["status", "web"]));
    server.stop();
    insta::assert_snapshot!("adopted", world.transcript(&["restore", "--adopt"]));
    let server = world.serve();
    assert_ne!(incarnation(&world), before);
    world.ok(&["audit", "--verify"]);
    server.stop();
}

#[test]
fn a_row_that_does_not_open_keeps_no_other_ring_from_being_adopted() {
    let world = World::with(&format!("{WEB}{}", WEB.replace("ring.web", "ring.other")));
    world.serve().stop();
    let mut edited = row(&world, "ring/other");
    let middle = edited.len() / 2;
    edited[middle] ^= 1;
    put_row(&world, "ring/other", &edited);
    insta::assert_snapshot!("adopted_in_part", world.transcript(&["restore", "--adopt"]));
    let server = world.serve();
    world.ok(&["status", "web"]);
    assert_eq!(world.run(&["status", "other"]).code, 1);
    server.stop();
}

#[test]
fn a_full_restore_gives_every_ring_a_new_life() {
    let world = World::with(WEB);
    let server = world.serve();
    let before = incarnation(&world);
    let told = world.transcript(&["backup", "--to", "backup.db"]);
    let digits = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
    insta::assert_snapshot!("backup", digits(&told));
    assert_eq!(world::mode(&world.path("backup.db")), 0o600);
    insta::assert_snapshot!("backup_exists", world.transcript(&["backup", "--to", "backup.db"]));
    world.ok(&["token", "create", "late", "--role", "auditor", "--out", "late.token"]);
    world.ok(&["rotate", "web"]);
    server.stop();

    // An older database in the place of the store is noticed. How far the rotation had come by then
    // is a matter of time.
    let kept = std::fs::read(world.state("keywheel.db")).unwrap();
    std::fs::copy(world.path("backup.db"), world.state("keywheel.db")).unwrap();
    let refused = refused_start(&world);
    let (said, more) = refused.split_once("had come to ").unwrap();
    let (_, more) = more.split_once(" before").unwrap();
    insta::assert_snapshot!("set_back", format!("{said}had come to N before{more}"));
    std::fs::write(world.state("keywheel.db"), kept).unwrap();

    let told = world.ok(&["restore", "--from", "backup.db"]);
    assert!(told.contains("1 ring began a new life: web."), "{told}");
    let former = std::fs::read_dir(world.state("")).unwrap();
    let former: Vec<String> = former
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("before-restore"))
        .collect();
    assert_eq!(former.len(), 1, "{former:?}");
    let server = world.serve();
    assert_ne!(incarnation(&world), before);
    world.ok(&["audit", "--verify"]);
    let late = world.run(&["status", "--token-file", "late.token"]);
    assert_eq!(late.code, 6, "a token that the backup does not know is no token");
    server.stop();
}

#[test]
fn what_is_no_backup_changes_nothing() {
    let world = World::with(WEB);
    world.serve().stop();
    let before = std::fs::read(world.state("keywheel.db")).unwrap();
    world.write("junk.db", "this is not a database, whatever its name says".repeat(100));
    Connection::open(world.path("foreign.db"))
        .unwrap()
        .execute_batch("CREATE TABLE t (a)")
        .unwrap();
    world.write("empty.db", "");
    for name in ["junk.db", "foreign.db", "empty.db", "absent.db"] {
        let transcript = world.transcript(&["restore", "--from", name]);
        insta::assert_snapshot!(format!("restore_{name}"), transcript);
    }
    assert_eq!(std::fs::read(world.state("keywheel.db")).unwrap(), before);
    world.serve().stop();
}

#[test]
fn the_master_key_is_replaced_and_old_backups_need_the_old_one() {
    let world = World::with(WEB);
    let server = world.serve();
    let before = incarnation(&world);
    world.ok(&["backup", "--to", "old.db"]);
    server.stop();
    let old_key = std::fs::read(world.state("master.key")).unwrap();
    world.ok(&["kek", "rotate"]);
    assert_ne!(std::fs::read(world.state("master.key")).unwrap(), old_key);
    let status = world.json(&["kek", "status"]);
    assert_eq!(status["sealed_values"].as_object().unwrap().len(), 1);
    let server = world.serve();
    assert_eq!(incarnation(&world), before, "nothing but the seal changed");
    world.ok(&["audit", "--verify"]);
    server.stop();
    let refused = world.run(&["restore", "--from", "old.db"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("that key is"), "{}", refused.stderr);
}

#[test]
fn an_interrupted_replacement_of_the_master_key_is_taken_up_again() {
    let world = World::with(WEB);
    world.serve().stop();
    // What a run leaves behind that was killed after it had made the next key.
    std::fs::write(world.state("master.key.next"), "5a".repeat(31) + "01").unwrap();
    set_mode(&world.state("master.key.next"), 0o600);
    let server = world.serve();
    world.ok(&["status", "web"]);
    let (_, log) = server.stop();
    assert!(log.contains("keywheel kek rotate"), "{log}");
    world.ok(&["kek", "rotate"]);
    assert!(!world.state("master.key.next").exists());
    let server = world.serve();
    world.ok(&["status", "web"]);
    server.stop();
}

#[test]
fn a_disk_that_takes_no_more_loses_nothing() {
    let world = World::with(WEB);
    world.serve().stop();
    let backup = full(&world, 16, &["backup", "--to", "backup.db"]);
    assert_eq!(backup.code, 1, "{}", backup.stdout);
    assert!(backup.stderr.contains("remedy: "), "{}", backup.stderr);
    assert!(!world.path("backup.db").exists());
    let left: Vec<_> = std::fs::read_dir(world.path("")).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().contains("partial")));

    // The log of the store may grow to what it is and no further.
    let server = world.start(limited(&world, 64, &["serve"]));
    until("the server answers", || world.run(&["status"]).code == 0);
    let mut refused = None;
    for turn in 0..200 {
        let verb = if turn % 2 == 0 { "pause" } else { "resume" };
        let ran = world.run(&[verb, "web", "--reason", "fills the disk"]);
        if ran.code != 0 {
            refused = Some(ran);
            break;
        }
    }
    let refused = refused.expect("the store took more than the disk has");
    assert!(matches!(refused.code, 1 | 5), "{}: {}", refused.code, refused.stderr);
    assert!(refused.stderr.contains("remedy: "), "{}", refused.stderr);
    server.kill();
    let server = world.serve();
    world.ok(&["status", "web"]);
    world.ok(&["audit", "--verify"]);
    server.stop();
}

/// A command that can write no file beyond so many KiB, which the kernel refuses as it refuses a
/// write to a full disk.
fn limited(world: &World, kib: usize, args: &[&str]) -> std::process::Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_keywheel")).display().to_string();
    let mut command = std::process::Command::new("bash");
    command
        .current_dir(world.path(""))
        .arg("-c")
        .arg(format!("trap '' XFSZ; ulimit -f {kib}; exec {binary} {}", args.join(" ")));
    command
}

fn full(world: &World, kib: usize, args: &[&str]) -> Ran {
    Ran::of(&mut limited(world, kib, args))
}
