//! A mover that is killed at random moments, again and again: nothing is lost, and each run goes on
//! where the last one ended.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use keywheel_reencrypt::{Error, Keys, Move};

use crate::basic::{fill, opened};
use crate::formats;
use crate::support::{Database, NEW, keys, people};

/// Tells the test below that it is the mover, and of which database.
const URL: &str = "KEYWHEEL_TEST_MOVER_URL";
/// Tells it the format; without it, OpenPGP.
const FORMAT: &str = "KEYWHEEL_TEST_MOVER_FORMAT";

/// A move in small batches, of this format or of OpenPGP.
fn this(format: Option<&str>) -> (Move, Keys) {
    let case = format.and_then(|name| formats::cases().into_iter().find(|case| case.name == name));
    let (mut this, keys) = case.map_or((people(), keys()), |case| (case.this(), case.keys()));
    this.settings.batch_rows_start = 20;
    this.settings.batch_rows_min = 20;
    this.settings.batch_rows_max = 20;
    this.settings.range_rows = 600;
    (this, keys)
}

/// Moves; waits while the server has not noticed yet that the last mover is dead.
fn moves(url: &str, format: Option<&str>) -> keywheel_reencrypt::Outcome {
    let config = keywheel_reencrypt::config(url, false).unwrap();
    let stop = AtomicBool::new(false);
    let (this, keys) = this(format);
    loop {
        let run = this.run(&|| keywheel_reencrypt::connect(&config), &keys, &|_| {}, &stop);
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
        moves(&url, std::env::var(FORMAT).ok().as_deref());
    }
}

fn start(url: &str, format: Option<&str>) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::the_mover_that_is_killed"])
        .env(URL, url)
        .envs(format.map(|format| (FORMAT, format)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills movers one after the other, each at some moment of its share of all rows. Gives back how
/// many were alive then.
fn kill_again_and_again(
    database: &mut Database,
    format: Option<&str>,
    kills: i64,
    total: i64,
) -> i64 {
    let url = database.url("owner");
    let moved = "SELECT CASE WHEN to_regclass('keywheel.reencrypt_range') IS NULL THEN 0 ELSE \
                 (xpath('/row/n/text()', query_to_xml('SELECT COALESCE(sum(rows_moved), 0) AS n \
                 FROM keywheel.reencrypt_range', false, true, '')))[1]::text::int8 END";
    let mut random = u64::from(std::process::id());
    let mut killed = 0;
    for round in 0..kills {
        let mut child = start(&url, format);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let part = i64::try_from(random >> 40).unwrap() % (total / (kills + 1));
        let until = total * round / (kills + 1) + part;
        while database.number(moved) < until && child.try_wait().unwrap().is_none() {}
        // tidy: sleeps because the moment shall be any one within a batch.
        std::thread::sleep(Duration::from_micros(random >> 52));
        killed += i64::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    killed
}

#[test]
fn a_mover_that_is_killed_goes_on_where_it_was() {
    let is_full = std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full");
    let (kills, rows): (i64, u32) = if is_full { (100, 40_000) } else { (10, 4_000) };
    let mut database = Database::new("CREATE TABLE people (n int PRIMARY KEY, secret bytea)");
    database.client.batch_execute(&fill(rows)).unwrap();
    let total = i64::from(rows) * 4 / 5;
    let killed = kill_again_and_again(&mut database, None, kills, total);
    let outcome = moves(&database.url("owner"), None);
    assert!(outcome.is_resumed && outcome.is_complete, "killed {killed}: {outcome:?}");
    assert_eq!(
        (outcome.counts.moved, outcome.counts.read),
        (u64::try_from(total).unwrap(), rows.into())
    );
    assert_eq!(database.number(&opened(NEW)), i64::from(rows));
    assert!(killed > kills / 2, "{killed} of {kills} were alive");
}

#[test]
fn a_mover_of_any_format_that_is_killed_goes_on_where_it_was() {
    for case in formats::cases() {
        let name = case.name;
        let mut database = case.filled(2_000);
        let killed = kill_again_and_again(&mut database, Some(name), 2, 1_800);
        let outcome = moves(&database.url("owner"), Some(name));
        assert!(outcome.is_resumed && outcome.is_complete, "{name} {killed}: {outcome:?}");
        assert_eq!((outcome.counts.moved, outcome.in_quarantine), (1_800, 0), "{name}");
        assert_eq!(case.opened_rows(&mut database, true), 2_000, "{name}");
    }
}
