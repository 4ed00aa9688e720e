//! `keywheel reencrypt` against a real PostgreSQL with pgcrypto: with keys in files, and with those
//! of a ring, whose old version does not retire while one row needs it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test fails by panicking"
)]

#[path = "../../../postgres/tests/support/server.rs"]
mod postgres;
mod ring;
mod site;
mod tls;
#[path = "../world/mod.rs"]
mod world;

use ::postgres::Client;
use postgres::Server;
use site::Ended;
use world::{World, until_or};

const OLD: &str = "correct horse battery staple, the first of them";
const NEW: &str = "a passphrase that takes the place of the other";
const PEOPLE: i64 = 1_200;

/// A table of people, each with a number that pgcrypto encrypted.
fn people(client: &mut Client, key: &str) {
    client.batch_execute("CREATE TABLE people (id int PRIMARY KEY, ssn bytea, note text)").unwrap();
    let fill = "INSERT INTO people SELECT n, pgp_sym_encrypt('ssn ' || n, $1, 's2k-count=1024'), \
                'note ' || n FROM generate_series(1, $2::bigint) n";
    client.execute(fill, &[&key, &PEOPLE]).unwrap();
}

/// How many of them a key opens to what they were.
fn open_with(client: &mut Client, key: &str) -> i64 {
    let opens = "CREATE OR REPLACE FUNCTION opens(c bytea, k text, n int) RETURNS bool \
                 LANGUAGE plpgsql AS $$ BEGIN RETURN pgp_sym_decrypt(c, k) = 'ssn ' || n; \
                 EXCEPTION WHEN OTHERS THEN RETURN false; END $$";
    client.batch_execute(opens).unwrap();
    let count = "SELECT count(*) FROM people WHERE opens(ssn, $1, id)";
    client.query_one(count, &[&key]).unwrap().get(0)
}

fn key_file(world: &World, name: &str, key: &str) {
    world.write(name, format!("{key}\n"));
    world::set_mode(&world.path(name), 0o600);
}

#[test]
fn rows_move_to_the_new_key_and_back() {
    let mut server = Server::start(false);
    let mut client = server.client();
    people(&mut client, OLD);
    let world = World::new();
    key_file(&world, "old.key", OLD);
    key_file(&world, "new.key", NEW);
    let url = server.url();
    let about = ["--database", &url, "--table", "people", "--column", "ssn"];
    let keys = ["--old-key-file", "old.key", "--new-key-file", "new.key"];
    let task = |task: &str, more: &[&str]| {
        world.run(&[&["reencrypt", task], about.as_slice(), &keys, more].concat())
    };

    let told = task("inspect", &[]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.contains("open with old.key"), "{}", told.stdout);
    let told = task("run", &["--dry-run"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.contains("1200 rows would be moved"), "{}", told.stdout);
    assert_eq!(open_with(&mut client, OLD), PEOPLE, "nothing was written");
    let told = task("verify", &[]);
    assert_eq!(told.code, 7, "{}{}", told.stdout, told.stderr);
    assert!(told.stdout.contains("1200 rows open with old.key alone"), "{}", told.stdout);

    let told = task("run", &["--generated-keys"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stdout.contains("1200 rows moved"), "{}", told.stdout);
    assert_eq!(open_with(&mut client, NEW), PEOPLE);
    let told = task("verify", &[]);
    assert_eq!(told.code, 0, "{}{}", told.stdout, told.stderr);
    assert!(told.stdout.contains("verified: no row needs an old key"), "{}", told.stdout);
    let told = task("status", &[]);
    assert!(told.stdout.contains("old.key → new.key"), "{}", told.stdout);

    let told = task("rollback", &["--generated-keys"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert_eq!(open_with(&mut client, OLD), PEOPLE);
}

/// Readers that hold both keys miss no row while others move, are left in the middle, and go back.
#[test]
fn a_move_that_is_taken_back_midway_leaves_every_row_readable() {
    let mut server = Server::start(false);
    let mut client = server.client();
    people(&mut client, OLD);
    let world = World::new();
    key_file(&world, "old.key", OLD);
    key_file(&world, "new.key", NEW);
    let url = server.url();
    let all = |task: &'static str| {
        let about = ["--database", &url, "--table", "people", "--column", "ssn"];
        let keys = ["--old-key-file", "old.key", "--new-key-file", "new.key"];
        world.command(&[["reencrypt", task].as_slice(), &about, &keys].concat())
    };
    let mut writer = server.client();
    let mut locked = writer.transaction().unwrap();
    locked.execute("SELECT FROM people WHERE id = 700 FOR UPDATE", &[]).unwrap();
    let mut run = all("run");
    let mut run = Ended::new(run.args(["--batch-rows", "50", "--generated-keys"]), &world, "run");
    let moved = |client: &mut Client| open_with(client, NEW);
    until_or("some rows have moved", || moved(&mut client) > 0, || run.said());
    let either = "SELECT count(*) FROM people WHERE opens(ssn, $1, id) OR opens(ssn, $2, id)";
    let mut readable = || client.query_one(either, &[&OLD, &NEW]).unwrap().get::<_, i64>(0);
    assert_eq!(readable(), PEOPLE);
    run.kill();
    assert_eq!(readable(), PEOPLE);
    assert!(open_with(&mut client, OLD) > 0);
    locked.rollback().unwrap();
    let back = world::Ran::of(&mut all("rollback"));
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert_eq!(open_with(&mut client, OLD), PEOPLE);
}

#[test]
fn what_cannot_be_done_says_why() {
    let world = World::new();
    key_file(&world, "old.key", OLD);
    key_file(&world, "new.key", NEW);
    let run = |more: &[&str]| world.run(&[&["reencrypt", "run"], more].concat());
    let socket = "postgresql://owner@/postgres?host=/nowhere";
    let people = ["--database", socket, "--table", "people", "--column", "ssn"];
    let told = run(&people);
    assert_eq!(told.code, 2, "{}", told.stderr);
    assert!(told.stderr.contains("the new key is missing"), "{}", told.stderr);
    let keys = ["--old-key-file", "old.key", "--new-key-file", "new.key"];
    let told = run(&[people.as_slice(), &keys].concat());
    assert_eq!(told.code, 5, "{}", told.stderr);
    let far = ["--database", "postgresql://owner@db.example.org/shop?sslmode=disable"];
    let about = ["--table", "people", "--column", "ssn"];
    let told = run(&[far.as_slice(), &about, &keys].concat());
    assert_eq!(told.code, 2, "{}", told.stderr);
    assert!(told.stderr.contains("would not be encrypted"), "{}", told.stderr);
    world::set_mode(&world.path("old.key"), 0o644);
    let told = run(&[people.as_slice(), &keys].concat());
    assert_eq!(told.code, 6, "{}", told.stderr);
    assert!(told.stderr.contains("chmod 600"), "{}", told.stderr);
    for secret in [OLD, NEW] {
        assert!(!told.stderr.contains(secret));
    }
    let told = run(&[people.as_slice(), &["--format", "raw"], &keys].concat());
    assert_eq!(told.code, 2, "{}", told.stderr);
    assert!(told.stderr.contains("--plaintext"), "{}", told.stderr);
}
