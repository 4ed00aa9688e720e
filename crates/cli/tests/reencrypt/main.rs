//! `keywheel reencrypt` against a real PostgreSQL with pgcrypto: with keys in files, and with those
//! of a ring, whose old version does not retire while one row needs it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test fails by panicking"
)]

#[path = "../../codec/tests/support/postgres.rs"]
mod postgres;
mod world;

use ::postgres::Client;
use postgres::Server;
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
    let far = ["--database", "postgresql://owner@db.example.org/shop", "--table", "people"];
    let told = run(&[far.as_slice(), &["--column", "ssn"], &keys].concat());
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

const PII: &str = "[ring.pii]\nkind = \"encryption\"\nalgorithm = \"passphrase\"\n\
                   longest_lifetime = \"1s\"\ndestroy_after = \"never\"\n\
                   [[ring.pii.consumer]]\nname = \"mover\"\nrole = \"protect\"\n\
                   min_instances = 0\n\
                   [[ring.pii.column]]\ntable = \"people\"\ncolumn = \"ssn\"\nworker = \"mover\"\n";

#[test]
fn a_ring_hears_from_its_mover_that_no_row_needs_the_old_version() {
    let mut server = Server::start(false);
    let mut client = server.client();
    people(&mut client, OLD);
    let world = World::with(PII);
    let keywheel = world.serve_with(&["--no-apply"]);
    world.write("first.key", OLD);
    world::set_mode(&world.path("first.key"), 0o600);
    world.ok(&["ring", "import", "pii", "first.key"]);
    world.ok(&["apply"]);
    let create = ["token", "create", "mover", "--role", "consumer", "--consumer", "mover"];
    world.ok(&[create.as_slice(), &["--ring", "pii", "--out", "mover.token"]].concat());
    let url = server.url();
    let mover = ["reencrypt", "run", "--token-file", "mover.token", "--database", &url];
    let of = ["--ring", "pii", "--consumer", "mover", "--every", "1"];
    let mut mover = world.command(&[mover.as_slice(), &of].concat());
    let log = std::fs::File::create(world.path("mover.log")).unwrap();
    let mover = mover.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let mut mover = Ended(mover);

    let status = || world.ok(&["status", "pii"]);
    let told = || {
        let log = std::fs::read_to_string(world.path("mover.log")).unwrap();
        format!("{}{log}", status())
    };
    until_or("the mover lives", || status().contains("1 live"), told);
    world.ok(&["rotate", "pii"]);
    until_or("the gate believes that no row needs v1", || is_open(&status()), told);
    assert_eq!((open_with(&mut client, OLD), told().matches(OLD).count()), (0, 0));
    assert!(told().contains("1200 rows moved"), "{}", told());
    assert!(told().contains("verified: no row needs an old key"), "{}", told());
    let columns = world.ok(&["ring", "columns", "pii"]);
    assert!(columns.contains("people.ssn"), "{columns}");
    mover.stop();
    keywheel.stop();
}

/// Whether the gate has opened, by the worker's own count.
fn is_open(status: &str) -> bool {
    let words = |line: &str| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    status.lines().any(|line| words(line) == "reencryption open probed")
}

/// A process that is ended with the test.
struct Ended(std::process::Child);

impl Ended {
    /// Asks it to end, which it does in good order.
    fn stop(&mut self) {
        let pid = self.0.id().to_string();
        std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
