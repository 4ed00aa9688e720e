//! Others write while a column moves; the mover is killed; transactions stay open.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keywheel_codec::{Format, Limits};
use keywheel_reencrypt::{Error, Holder, Pause, Settings, Vacuum, Verdict};
use postgres::Client;

use crate::basic::{fill, opened};
use crate::support::{Access, Database, NEW, OLD, Server, keys, keys_of, people};

const PEOPLE: &str = "CREATE TABLE people (n int PRIMARY KEY, secret bytea)";

fn filled(rows: u32) -> Database {
    let mut database = Database::new(PEOPLE);
    database.client.batch_execute(&fill(rows)).unwrap();
    database
}

fn verify(database: &Database, longest: Duration) -> Verdict {
    let mut client = database.connect();
    let stop = AtomicBool::new(false);
    let settings = Settings::default();
    let target = people().target;
    keywheel_reencrypt::verify(&mut client, &target, &keys(), &settings, longest, &|_| {}, &stop)
        .unwrap()
}

/// Waits until a question is answered with true.
fn until(client: &mut Client, sql: &str) {
    while !client.query_one(sql, &[]).unwrap().get::<_, bool>(0) {
        // tidy: sleeps because the server can only be asked again.
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a session waits for a lock.
fn until_blocked(client: &mut Client) {
    let sql = "SELECT count(*) > 0 FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
               WHERE NOT l.granted AND a.datname = current_database()";
    until(client, sql);
}

#[test]
fn an_uncommitted_write_is_waited_for_and_not_lost() {
    let mut database = filled(200);
    let mut writer = database.connect();
    let mut watcher = database.connect();
    let mut write = writer.transaction().unwrap();
    write
        .batch_execute(&format!(
            "UPDATE people SET secret = pgp_sym_encrypt('changed', '{OLD}') WHERE n = 12; \
             DELETE FROM people WHERE n = 13; \
             UPDATE people SET secret = NULL WHERE n = 14; \
             UPDATE people SET secret = pgp_sym_encrypt('changed', '{NEW}') WHERE n = 17"
        ))
        .unwrap();
    let outcome = std::thread::scope(|scope| {
        let database = &database.access;
        let moved = scope.spawn(|| database.run(&people(), &keys()));
        until_blocked(&mut watcher);
        write.commit().unwrap();
        moved.join().unwrap().unwrap()
    });
    assert_eq!((outcome.counts.moved, outcome.counts.missed), (157, 0));
    let changed = format!(
        "SELECT count(*) FROM people WHERE n IN (12, 17) \
         AND pgp_sym_decrypt(secret, '{NEW}') = 'changed'"
    );
    assert_eq!(database.number(&changed), 2);
    assert_eq!(database.number("SELECT count(*) FROM people WHERE n = 14 AND secret IS NULL"), 1);
    let verdict = verify(&database, Duration::from_mins(1));
    assert!(verdict.is_zero() && verdict.rows == 199, "{verdict:?}");
}

#[test]
fn a_lock_that_stays_shrinks_batches_and_ends_the_run_and_the_next_goes_on() {
    let mut database = filled(400);
    let mut writer = database.connect();
    let mut write = writer.transaction().unwrap();
    write.execute("SELECT FROM people WHERE n = 301 FOR UPDATE", &[]).unwrap();
    let mut waits = people();
    waits.settings.lock_timeout = Duration::from_millis(20);
    waits.settings.locked_max = Duration::from_millis(100);
    let error = database.run(&waits, &keys()).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    let moved = database.number("SELECT sum(rows_moved)::int8 FROM keywheel.reencrypt_range");
    assert!((160..320).contains(&moved), "{moved}");
    write.commit().unwrap();
    let outcome = database.run(&waits, &keys()).unwrap();
    assert!(outcome.is_resumed && outcome.counts.moved == 320, "{outcome:?}");
    assert_eq!(database.number(&opened(NEW)), 400);
}

#[test]
fn a_time_limit_of_statements_is_met_with_smaller_batches() {
    let mut database = filled(300);
    database
        .client
        .batch_execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql \
             AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$; \
             CREATE TRIGGER slow BEFORE UPDATE ON people \
             FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .unwrap();
    let mut limited = people();
    limited.settings.triggers = keywheel_reencrypt::Triggers::Fire;
    // All rows at once take five seconds, and the smallest batch is far within the limit.
    limited.settings.batch_rows_start = 300;
    limited.settings.batch_rows_min = 5;
    limited.settings.statement_timeout = Duration::from_secs(3);
    assert_eq!(database.run(&limited, &keys()).unwrap().counts.moved, 240);
    assert_eq!(database.number(&opened(NEW)), 300);
}

/// What a writer knows of its rows: their numbers and texts.
type Known = BTreeMap<i32, String>;

/// Inserts, updates and deletes rows of its own with one of the keys, until told to stop.
fn write_until(stop: &AtomicBool, database: &Access, first: i32, key: &str) -> Known {
    let mut client = database.connect();
    let mut known = Known::new();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) || round < 40 {
        let n = first + round % 50;
        let text = format!("written {round}");
        let seal = format!("pgp_sym_encrypt('{text}', '{key}', 's2k-count=1024')");
        if known.contains_key(&n) && round % 7 == 3 {
            client.execute(&format!("DELETE FROM people WHERE n = {n}"), &[]).unwrap();
            known.remove(&n);
        } else {
            let sql = format!(
                "INSERT INTO people VALUES ({n}, {seal}) \
                 ON CONFLICT (n) DO UPDATE SET secret = EXCLUDED.secret"
            );
            client.execute(&sql, &[]).unwrap();
            known.insert(n, text);
        }
        round += 1;
    }
    known
}

/// Reads rows as an application does that has both keys; every value opens with one of them.
fn read_until(stop: &AtomicBool, database: &Access) -> u32 {
    let mut client = database.connect();
    let keys = keys();
    let mut read = 0;
    while !stop.load(Ordering::Relaxed) {
        let first = i32::try_from(read % 500).unwrap() * 100;
        let sql = "SELECT secret FROM people WHERE n BETWEEN $1 AND $1 + 20 AND secret IS NOT NULL";
        for row in client.query(sql, &[&first]).unwrap() {
            let value: Vec<u8> = row.get(0);
            let opens = |key| Format::Pgp.open(&value, key, Limits::default()).is_ok();
            assert!(opens(&keys.to.1) || opens(&keys.from[0].1));
        }
        read += 1;
    }
    read
}

#[test]
fn writers_with_both_keys_lose_nothing_during_a_move() {
    let is_full = std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full");
    let rows: u32 = if is_full { 1_000_000 } else { 50_000 };
    let end = i32::try_from(rows).unwrap();
    let mut database = filled(rows);
    let stop = AtomicBool::new(false);
    let mut moves = people();
    moves.settings.workers = 2;
    moves.settings.range_rows = 5_000;
    let known: Vec<Known> = std::thread::scope(|scope| {
        let (stop, database) = (&stop, &database.access);
        let writers: Vec<_> = [(-500, OLD), (-400, NEW), (end + 1_000, OLD), (end + 1_100, NEW)]
            .map(|(first, key)| scope.spawn(move || write_until(stop, database, first, key)))
            .into_iter()
            .collect();
        let reader = scope.spawn(move || read_until(stop, database));
        let outcome = database.run(&moves, &keys());
        stop.store(true, Ordering::Relaxed);
        assert!(outcome.unwrap().counts.read >= u64::from(rows));
        assert!(reader.join().unwrap() > 0);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    // Writers have the new key now; what old ones wrote behind the mover is moved by one more run.
    database.run(&moves, &keys()).unwrap();
    let verdict = verify(&database, Duration::from_mins(1));
    assert!(verdict.is_zero(), "{verdict:?}");
    for (n, text) in known.iter().flatten() {
        let sql = format!(
            "SELECT count(*) FROM people \
             WHERE n = {n} AND pgp_sym_decrypt(secret, '{NEW}') = '{text}'"
        );
        assert_eq!(database.number(&sql), 1, "{n}");
    }
    let sql = "DELETE FROM people WHERE n NOT BETWEEN 1 AND $1";
    database.client.execute(sql, &[&end]).unwrap();
    assert_eq!(database.number(&opened(NEW)), i64::from(rows));
}

#[test]
fn a_rollback_in_the_middle_brings_every_row_back() {
    let mut database = filled(2_000);
    let config = keywheel_reencrypt::config(&database.url("owner"), false).unwrap();
    let stop = AtomicBool::new(false);
    let halfway = |progress: &keywheel_reencrypt::Progress| {
        stop.store(progress.counts.read >= 600, Ordering::Relaxed);
    };
    let outcome =
        people().run(&|| keywheel_reencrypt::connect(&config), &keys(), &halfway, &stop).unwrap();
    assert!(!outcome.is_complete && outcome.counts.moved >= 480 && outcome.counts.moved < 1_600);
    database.until_no_mover();
    let jobs = keywheel_reencrypt::status(&mut database.client, &people().target).unwrap();
    assert_eq!((jobs.len(), jobs[0].state.as_str(), jobs[0].is_held), (1, "stopped", false));
    let back = database.run(&people(), &keys_of(NEW, OLD)).unwrap();
    assert_eq!(back.counts.moved, outcome.counts.moved);
    assert!(!back.is_resumed);
    assert_eq!(database.number(&opened(OLD)), 2_000);
    let jobs = keywheel_reencrypt::status(&mut database.client, &people().target).unwrap();
    let states: Vec<_> = jobs.iter().map(|job| job.state.as_str()).collect();
    assert_eq!(states, ["moved", "superseded"]);
}

#[test]
fn a_second_mover_of_a_column_is_refused() {
    let mut database = filled(20);
    database
        .client
        .execute(
            "SELECT pg_advisory_lock(hashtextextended('keywheel reencrypt public.people secret', 0))",
            &[],
        )
        .unwrap();
    let table = "public.people".to_owned();
    assert_eq!(database.run(&people(), &keys()).unwrap_err(), Error::Busy { table });
}

#[test]
fn open_and_prepared_transactions_hold_the_horizon_and_are_named() {
    let server = std::sync::Arc::new(Server::start(&[]));
    let mut database = Database::on(server, PEOPLE);
    database.client.batch_execute(&fill(50)).unwrap();
    database.run(&people(), &keys()).unwrap();
    let mut prepares = database.connect();
    prepares
        .batch_execute(&format!(
            "BEGIN; INSERT INTO people VALUES (99, pgp_sym_encrypt('late', '{OLD}')); \
             PREPARE TRANSACTION 'left lying'"
        ))
        .unwrap();
    let mut opens = database.connect();
    opens.batch_execute("SET application_name = 'batch job'; BEGIN; SELECT 1").unwrap();

    let verdict = verify(&database, Duration::ZERO);
    assert!(!verdict.is_zero());
    let named: Vec<String> = verdict.held_by.iter().map(ToString::to_string).collect();
    assert!(named.iter().any(|one| one.contains("prepared transaction left lying of owner")));
    assert!(named.iter().any(|one| one.contains("batch job")), "{named:?}");
    assert!(matches!(verdict.held_by[0], Holder::Session { .. }));

    // The late write shows once it is committed, and the gate would stay shut.
    opens.batch_execute("COMMIT").unwrap();
    prepares.batch_execute("COMMIT PREPARED 'left lying'").unwrap();
    let verdict = verify(&database, Duration::from_mins(1));
    assert_eq!(verdict.left, [("old".to_owned(), 1)]);
    assert_eq!(verdict.named[0].key, ["99"]);
    assert!(!verdict.is_zero() && verdict.held_by.is_empty());
    database.run(&people(), &keys()).unwrap();
    assert!(verify(&database, Duration::from_mins(1)).is_zero());

    // And a write with the old key after a verified zero is found by the next scan.
    let late = format!("UPDATE people SET secret = pgp_sym_encrypt('later', '{OLD}') WHERE n = 3");
    database.client.batch_execute(&late).unwrap();
    assert_eq!(verify(&database, Duration::from_mins(1)).left, [("old".to_owned(), 1)]);
}

#[test]
fn a_standby_that_is_behind_is_waited_for() {
    let server = std::sync::Arc::new(Server::start(&[]));
    let mut database = Database::on(server, PEOPLE);
    let standby = database.server.standby();
    let mut follower = Client::connect(&standby.url("owner", "postgres"), postgres::NoTls).unwrap();
    // What is replayed is held back, and the fill alone is more than may be outstanding.
    let follows = "SELECT count(*) > 0 FROM pg_stat_replication WHERE replay_lsn IS NOT NULL";
    until(&mut database.client, follows);
    follower.batch_execute("SELECT pg_wal_replay_pause()").unwrap();
    until(&mut follower, "SELECT pg_get_wal_replay_pause_state() = 'paused'");
    database.client.batch_execute(&fill(1_000)).unwrap();
    let mut follows = people();
    follows.settings.replica_lag_bytes_max = Some(64 << 10);
    let config = keywheel_reencrypt::config(&database.url("owner"), false).unwrap();
    let stop = AtomicBool::new(false);
    let waited = AtomicBool::new(false);
    let follower = std::sync::Mutex::new(follower);
    let watch = |progress: &keywheel_reencrypt::Progress| {
        if progress.pause == Some(Pause::Replica) && !waited.swap(true, Ordering::Relaxed) {
            assert_eq!(progress.counts.moved, 0);
            let mut follower = follower.lock().unwrap();
            follower.batch_execute("SELECT pg_wal_replay_resume()").unwrap();
        }
    };
    let outcome =
        follows.run(&|| keywheel_reencrypt::connect(&config), &keys(), &watch, &stop).unwrap();
    assert_eq!(outcome.counts.moved, 800);
    assert!(waited.load(Ordering::Relaxed));
}

#[test]
fn dead_rows_are_removed_between_ranges_so_that_a_table_grows_little() {
    let mut sizes = Vec::new();
    for vacuum in [Vacuum::Auto, Vacuum::Never] {
        let mut database = filled(10_000);
        let before = database.number("SELECT pg_relation_size('people')");
        let mut moves = people();
        moves.settings.vacuum = vacuum;
        moves.settings.range_rows = 1_000;
        // Only what was moved since tells when, as nobody counts dead rows for others to wait for.
        moves.settings.dead_fraction_max = if vacuum == Vacuum::Auto { 0.2 } else { 2.0 };
        database.client.batch_execute("ANALYZE people").unwrap();
        assert_eq!(database.run(&moves, &keys()).unwrap().counts.moved, 8_000);
        let after = database.number("SELECT pg_relation_size('people')");
        sizes.push(after * 100 / before);
    }
    assert!(sizes[0] < 150 && sizes[1] > 170, "{sizes:?} percent");
}
