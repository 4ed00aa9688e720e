//! A mover that is killed at random moments, again and again: nothing is lost, and each run goes on
//! where the last one ended.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use keywheel_reencrypt::{Error, Move};

use crate::basic::{fill, opened};
use crate::support::{Database, NEW, keys, people};

/// Tells the test below that it is the mover, and of which database.
const URL: &str = "KEYWHEEL_TEST_MOVER_URL";

fn this() -> Move {
    let mut this = people();
    this.settings.batch_rows_start = 20;
    this.settings.batch_rows_min = 20;
    this.settings.batch_rows_max = 20;
    this.settings.range_rows = 600;
    this
}

/// Moves; waits while the server has not noticed yet that the last mover is dead.
fn moves(url: &str) -> keywheel_reencrypt::Outcome {
    let config = keywheel_reencrypt::config(url, false).unwrap();
    let stop = AtomicBool::new(false);
    loop {
        let run = this().run(&|| keywheel_reencrypt::connect(&config), &keys(), &|_| {}, &stop);
        match run {
            Ok(outcome) => return outcome,
            // tidy: sleeps because the server says in no other way that a session has ended.
            Err(Error::Busy { .. }) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Is started by the other test, as a program of its own; alone it does nothing.
#[test]
fn the_mover_that_is_killed() {
    if let Ok(url) = std::env::var(URL) {
        moves(&url);
    }
}

fn start(url: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::the_mover_that_is_killed"])
        .env(URL, url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_mover_that_is_killed_goes_on_where_it_was() {
    let is_full = std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full");
    let (kills, rows): (i64, u32) = if is_full { (100, 40_000) } else { (10, 4_000) };
    let mut database = Database::new("CREATE TABLE people (n int PRIMARY KEY, secret bytea)");
    database.client.batch_execute(&fill(rows)).unwrap();
    let total = i64::from(rows) * 4 / 5;
    let url = database.url("owner");
    let moved = "SELECT CASE WHEN to_regclass('keywheel.reencrypt_range') IS NULL THEN 0 ELSE \
                 (xpath('/row/n/text()', query_to_xml('SELECT COALESCE(sum(rows_moved), 0) AS n \
                 FROM keywheel.reencrypt_range', false, true, '')))[1]::text::int8 END";
    let mut random = u64::from(std::process::id());
    let mut killed = 0;
    for round in 0..kills {
        let mut child = start(&url);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let part = i64::try_from(random >> 40).unwrap() % (total / (kills + 1));
        let until = total * round / (kills + 1) + part;
        while database.number(moved) < until && child.try_wait().unwrap().is_none() {}
        // tidy: sleeps because the moment shall be any one within a batch.
        std::thread::sleep(Duration::from_micros(random >> 52));
        killed += i32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let outcome = moves(&url);
    assert!(outcome.is_resumed && outcome.is_complete, "killed {killed}: {outcome:?}");
    assert_eq!(
        (outcome.counts.moved, outcome.counts.read),
        (u64::try_from(total).unwrap(), rows.into())
    );
    assert_eq!(database.number(&opened(NEW)), i64::from(rows));
    assert!(i64::from(killed) > kills / 2, "{killed} of {kills} were alive");
}
