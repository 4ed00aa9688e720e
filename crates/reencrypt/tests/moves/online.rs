//! Others write while a column moves; the mover is killed; transactions stay open.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keywheel_codec::{Format, Limits};
use keywheel_reencrypt::{Error, Holder, Move, Settings, Triggers, Vacuum, Verdict};

use crate::basic::{fill, opened};
use crate::support::{
    Access, Database, NEW, OLD, Server, keys, keys_of, people, until, until_blocked,
};

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
    limited.settings.triggers = Triggers::Fire;
    // All rows at once take five seconds, and the smallest batch is far within the limit.
    limited.settings.batch_rows_start = 300;
    limited.settings.batch_rows_min = 5;
    limited.settings.statement_timeout = Duration::from_secs(3);
    assert_eq!(database.run(&limited, &keys()).unwrap().counts.moved, 240);
    assert_eq!(database.number(&opened(NEW)), 300);
}

/// What a writer knows of its rows: their numbers and texts.
type Known = BTreeMap<i32, String>;

/// Inserts, updates and deletes rows of its own with one of the keys, until told to stop. Each time
/// it comes to a row again, there stands what it wrote last, under one of the keys.
fn write_until(stop: &AtomicBool, database: &Access, first: i32, key: &str) -> Known {
    let mut client = database.connect();
    let mut known = Known::new();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) || round < 40 {
        let n = first + round % 50;
        let text = format!("written {round}");
        let seal = format!("pgp_sym_encrypt('{text}', '{key}', 's2k-count=1024')");
        if let Some(text) = known.get(&n) {
            let row = client.query_one("SELECT secret FROM people WHERE n = $1", &[&n]).unwrap();
            assert_eq!(read(row.get(0)), text.as_bytes(), "{n}");
        }
        if known.contains_key(&n) && round % 7 == 3 {
            client.execute(&format!("DELETE FROM people WHERE n = {n}"), &[]).unwrap();
            known.remove(&n);
        } else {
            let update = format!("UPDATE people SET secret = {seal} WHERE n = {n}");
            if client.execute(&update, &[]).unwrap() == 0 {
                assert!(!known.contains_key(&n), "{n} is lost");
                let insert = format!("INSERT INTO people VALUES ({n}, {seal})");
                client.execute(&insert, &[]).unwrap();
            }
            known.insert(n, text);
        }
        round += 1;
    }
    known
}

/// What stands in a value, for who has both keys.
fn read(value: &[u8]) -> Vec<u8> {
    let keys = keys();
    let open = |key| Format::Pgp.open(value, key, Limits::default());
    open(&keys.to.1).or_else(|_| open(&keys.from[0].1)).unwrap().plain.to_vec()
}

/// Reads rows as an application does that has both keys; every value opens with one of them.
fn read_until(stop: &AtomicBool, database: &Access) -> u32 {
    let mut client = database.connect();
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        let first = i32::try_from(rounds % 500).unwrap() * 100;
        let sql = "SELECT secret FROM people WHERE n BETWEEN $1 AND $1 + 20 AND secret IS NOT NULL";
        for row in client.query(sql, &[&first]).unwrap() {
            read(row.get(0));
        }
        rounds += 1;
    }
    rounds
}

#[test]
fn writers_with_both_keys_lose_nothing_during_a_move() {
    let is_full = std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full");
    let rows: u32 = if is_full { 1_000_000 } else { 50_000 };
    let mut moves = people();
    moves.settings.workers = 2;
    moves.settings.range_rows = 5_000;
    writers_lose_nothing(&mut filled(rows), rows, &moves);
}

/// Moves while others insert, update, delete and read; then each row is what was last written.
fn writers_lose_nothing(database: &mut Database, rows: u32, moves: &Move) {
    let end = i32::try_from(rows).unwrap();
    let stop = AtomicBool::new(false);
    let known: Vec<Known> = std::thread::scope(|scope| {
        let (stop, database) = (&stop, &database.access);
        let writers: Vec<_> = [(-500, OLD), (-400, NEW), (end + 1_000, OLD), (end + 1_100, NEW)]
            .map(|(first, key)| scope.spawn(move || write_until(stop, database, first, key)))
            .into_iter()
            .collect();
        let reader = scope.spawn(move || read_until(stop, database));
        // Again and again, as the writers with the old key go on.
        let outcomes: Vec<_> = (0..4).map(|_| database.run(moves, &keys())).collect();
        stop.store(true, Ordering::Relaxed);
        for outcome in outcomes {
            assert!(outcome.unwrap().counts.read >= u64::from(rows));
        }
        assert!(reader.join().unwrap() > 0);
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    // Writers have the new key now; what old ones wrote behind the mover is moved by one more run.
    database.run(moves, &keys()).unwrap();
    let verdict = verify(database, Duration::from_mins(1));
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

/// In partitions, with a generated column, an index on a function, and a trigger.
const OF_EVERY_KIND: &str = "CREATE TABLE people (n int PRIMARY KEY, secret bytea, \
        bytes int GENERATED ALWAYS AS (octet_length(secret)) STORED) PARTITION BY RANGE (n); \
    CREATE TABLE low PARTITION OF people FOR VALUES FROM (MINVALUE) TO (1000); \
    CREATE TABLE high PARTITION OF people FOR VALUES FROM (1000) TO (MAXVALUE); \
    CREATE INDEX by_start ON people (substring(secret FROM 1 FOR 40)); \
    CREATE TABLE seen (n int); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql \
        AS $$ BEGIN INSERT INTO seen VALUES (NEW.n); RETURN NEW; END $$; \
    CREATE TRIGGER note BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION note()";

#[test]
fn writers_lose_nothing_where_much_hangs_on_a_column_and_a_subscriber_follows() {
    let mut database = Database::on(Arc::new(Server::start(&[])), OF_EVERY_KIND);
    let mut subscriber = Database::on(Arc::new(Server::start(&[])), OF_EVERY_KIND);
    database.client.batch_execute("CREATE PUBLICATION secrets FOR TABLE people").unwrap();
    let subscribe = format!(
        "CREATE SUBSCRIPTION secrets CONNECTION '{}' PUBLICATION secrets",
        database.url("owner")
    );
    subscriber.client.batch_execute(&subscribe).unwrap();
    database.client.batch_execute(&fill(4_000)).unwrap();
    let mut moves = people();
    moves.settings.triggers = Triggers::Fire;
    moves.settings.workers = 2;
    moves.settings.range_rows = 500;
    writers_lose_nothing(&mut database, 4_000, &moves);
    assert!(database.number("SELECT count(*) FROM seen") >= 3_200);
    let wrong = "SELECT count(*) FROM people WHERE bytes IS DISTINCT FROM octet_length(secret)";
    assert_eq!((database.number(wrong), subscriber.number(wrong)), (0, 0));
    until(&mut subscriber.client, &format!("SELECT ({}) = 4000", opened(NEW)));
    let sum = "SELECT sum(hashtext(n || encode(secret, 'hex'))) FROM people";
    assert_eq!(database.number(sum), subscriber.number(sum));
}

#[test]
fn writers_lose_nothing_where_rows_have_no_key() {
    let mut database = Database::new("CREATE TABLE people (n int, secret bytea)");
    database.client.batch_execute(&fill(3_000)).unwrap();
    writers_lose_nothing(&mut database, 3_000, &people());
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
    let server = Arc::new(Server::start(&[]));
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
