//! What else the server has to do while a column moves: standbys and subscribers that follow, WAL,
//! and sessions that want the same rows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keywheel_reencrypt::{Pause, Progress, Triggers};
use postgres::Client;

use crate::basic::{fill, opened};
use crate::support::{
    Database, NEW, OLD, Server, keys, keys_of, of, people, told, until, until_blocked,
};

const PEOPLE: &str = "CREATE TABLE people (n int PRIMARY KEY, secret bytea)";

#[test]
fn a_standby_that_is_behind_is_waited_for() {
    let server = std::sync::Arc::new(Server::start(&[]));
    let mut database = Database::on(server, PEOPLE);
    let standby = database.server.standby();
    let mut follower = Client::connect(&standby.url(), postgres::NoTls).unwrap();
    // What is replayed is held back, and the fill alone is more than may be outstanding.
    let follows = "SELECT count(*) > 0 FROM pg_stat_replication WHERE replay_lsn IS NOT NULL";
    until(&mut database.client, follows);
    follower.batch_execute("SELECT pg_wal_replay_pause()").unwrap();
    until(&mut follower, "SELECT pg_get_wal_replay_pause_state() = 'paused'");
    database.client.batch_execute(&fill(1_000)).unwrap();
    let mut follows = people();
    follows.settings.replica_lag_bytes_max = Some(64 << 10);
    let follower = Mutex::new(follower);
    let resume = |progress: &Progress, _: &AtomicBool| {
        if progress.pause == Some(Pause::Replica) {
            let mut follower = follower.lock().unwrap();
            follower.batch_execute("SELECT pg_wal_replay_resume()").unwrap();
        }
    };
    let (outcome, told) = told(&database, &follows, &keys(), &resume);
    assert_eq!(outcome.counts.moved, 800);
    assert_eq!((told[1].pause, told[1].counts.moved), (Some(Pause::Replica), 0));
    // The standby ends with the same values.
    let url = standby.url_of("owner", &database.name);
    let mut follower = Client::connect(&url, postgres::NoTls).unwrap();
    until(&mut follower, &format!("SELECT ({}) = 1000", opened(NEW)));
}

/// A table with a key, one without, and one in partitions.
const PUBLISHED: &str = "CREATE TABLE people (n int PRIMARY KEY, secret bytea); \
    CREATE TABLE letters (n int, secret bytea); ALTER TABLE letters REPLICA IDENTITY FULL; \
    CREATE TABLE visits (n int PRIMARY KEY, secret bytea) PARTITION BY RANGE (n); \
    CREATE TABLE early PARTITION OF visits FOR VALUES FROM (0) TO (300); \
    CREATE TABLE late PARTITION OF visits FOR VALUES FROM (300) TO (9999)";

#[test]
fn a_subscriber_gets_every_moved_row_and_is_waited_for() {
    let mut database = Database::on(Arc::new(Server::start(&[])), PUBLISHED);
    let mut subscriber = Database::on(Arc::new(Server::start(&[])), PUBLISHED);
    let copies = "INSERT INTO letters SELECT * FROM people WHERE n <= 200; \
                  INSERT INTO visits SELECT * FROM people WHERE n BETWEEN 200 AND 400";
    database.client.batch_execute(&format!("{}; {copies}", fill(500))).unwrap();
    let publish = "CREATE PUBLICATION secrets FOR TABLE people, letters, visits \
                   WITH (publish_via_partition_root = true)";
    database.client.batch_execute(publish).unwrap();
    let subscribe = format!(
        "CREATE SUBSCRIPTION secrets CONNECTION '{}' PUBLICATION secrets",
        database.url("owner")
    );
    subscriber.client.batch_execute(&subscribe).unwrap();
    let follows = "SELECT (SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r') = 3";
    until(&mut subscriber.client, follows);

    // The subscriber cannot write, and has more to do than may be outstanding.
    let mut locks = subscriber.connect();
    locks.batch_execute("BEGIN; LOCK TABLE people IN EXCLUSIVE MODE").unwrap();
    let more = fill(1_500).replace("generate_series(1,", "generate_series(501,");
    database.client.batch_execute(&more).unwrap();
    let locks = Mutex::new(locks);
    let release = |progress: &Progress, _: &AtomicBool| {
        if progress.pause == Some(Pause::Replica) {
            locks.lock().unwrap().batch_execute("ROLLBACK").unwrap();
        }
    };
    let mut this = people();
    this.settings.replica_lag_bytes_max = Some(64 << 10);
    let (outcome, told) = told(&database, &this, &keys(), &release);
    assert_eq!(outcome.counts.moved, 1_200);
    assert_eq!((told[1].pause, told[1].counts.moved), (Some(Pause::Replica), 0));
    for table in ["letters", "visits"] {
        assert!(database.run(&of(table, "secret"), &keys()).unwrap().counts.moved > 100);
    }

    // It ends with the very values of the publisher, and they open with the new key.
    for (table, rows) in [("people", 1_500), ("letters", 200), ("visits", 201)] {
        let new = opened(NEW).replace("people", table);
        until(&mut subscriber.client, &format!("SELECT ({new}) = {rows}"));
        let sum = format!("SELECT sum(hashtext(n || encode(secret, 'hex'))) FROM {table}");
        assert_eq!(database.number(&sum), subscriber.number(&sum), "{table}");
    }
}

#[test]
fn much_wal_makes_the_mover_wait() {
    let mut database = Database::new(PEOPLE);
    database.client.batch_execute(&fill(4_000)).unwrap();
    let mut this = people();
    this.settings.batch_rows_start = 50;
    this.settings.batch_rows_max = 50;
    // A byte a second: what the first look at the server begins, the second one waits for.
    this.settings.wal_bytes_per_sec_max = Some(1);
    let stop_there = |progress: &Progress, stop: &AtomicBool| {
        stop.fetch_or(progress.pause == Some(Pause::Wal), Ordering::Relaxed);
        // tidy: sleeps because the move shall last until the server is looked at again.
        std::thread::sleep(Duration::from_millis(10));
    };
    let (outcome, waited) = told(&database, &this, &keys(), &stop_there);
    assert!(waited.iter().any(|one| one.pause == Some(Pause::Wal)), "{outcome:?}");
    assert!(!outcome.is_complete && (1..3_200).contains(&outcome.counts.moved), "{outcome:?}");

    // With more than it writes there is no reason to wait.
    this.settings.wal_bytes_per_sec_max = Some(1 << 40);
    let (outcome, waited) = told(&database, &this, &keys(), &stop_there);
    assert!(waited.iter().all(|one| one.pause.is_none()), "{waited:?}");
    assert!(outcome.is_resumed && outcome.counts.moved == 3_200, "{outcome:?}");
    assert_eq!(database.number(&opened(NEW)), 4_000);
}

#[test]
fn who_waits_for_rows_of_a_batch_goes_first_and_batches_shrink() {
    let mut database = Database::new(PEOPLE);
    database.client.batch_execute(&fill(600)).unwrap();
    // The first batch stays open until this test lets it go.
    database
        .client
        .batch_execute(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF NEW.n = 98 THEN PERFORM pg_advisory_xact_lock(98); END IF; RETURN NEW; END $$; \
             CREATE TRIGGER hold BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION hold(); \
             SELECT pg_advisory_lock(98)",
        )
        .unwrap();
    let mut this = people();
    this.settings.triggers = Triggers::Fire;
    this.settings.lock_timeout = Duration::from_mins(1);
    let mut watcher = database.connect();
    let (outcome, first) = std::thread::scope(|scope| {
        let access = &database.access;
        let moves = scope.spawn(|| told(access, &this, &keys(), &|_, _| {}));
        until_blocked(&mut watcher);
        let waits = scope.spawn(|| {
            let sql = format!(
                "UPDATE people SET secret = pgp_sym_encrypt('text 3', '{OLD}') WHERE n = 3"
            );
            access.connect().batch_execute(&sql).unwrap();
        });
        let both = "SELECT count(*) = 2 FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                    WHERE NOT l.granted AND a.datname = current_database()";
        until(&mut watcher, both);
        database.client.batch_execute("SELECT pg_advisory_unlock(98)").unwrap();
        waits.join().unwrap();
        moves.join().unwrap()
    });
    assert_eq!(outcome.counts.moved, 480);
    let at = first.iter().position(|one| one.pause == Some(Pause::Others)).unwrap();
    assert_eq!((first[at].counts.moved, first[at + 1].batch_rows), (0, 50), "{first:?}");
    // Nobody waits any more, so batches grow and nothing is yielded.
    let back = keys_of(NEW, OLD);
    let (outcome, second) = told(&database, &this, &back, &|_, _| {});
    assert!(second.iter().all(|one| one.pause != Some(Pause::Others)), "{second:?}");
    assert_eq!(outcome.counts.moved, 479);
    assert_eq!(database.number(&opened(OLD)), 600);
}
