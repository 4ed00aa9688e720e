//! A server that logs all it can, and statements that fail: no key and no plaintext is anywhere.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keywheel_reencrypt::{Settings, inspect, status, verify};

use crate::support::{Database, Server, keys_of, people};

const OLD: &str = "Kx7-old-key-never-shown";
const NEW: &str = "Qz9-new-key-never-shown";
const PLAIN: &str = "plaintext-never-shown";

/// A server that shows whatever it can.
const ALL_LOGGED: [&str; 16] = [
    "shared_preload_libraries=auto_explain,pg_stat_statements",
    "log_statement=all",
    "log_min_duration_statement=0",
    "log_parameter_max_length=-1",
    "log_parameter_max_length_on_error=-1",
    "log_error_verbosity=verbose",
    "log_min_messages=debug1",
    "log_lock_waits=on",
    "deadlock_timeout=10ms",
    "auto_explain.log_min_duration=0",
    "auto_explain.log_analyze=on",
    "auto_explain.log_verbose=on",
    "auto_explain.log_nested_statements=on",
    "auto_explain.log_parameter_max_length=-1",
    "pg_stat_statements.track=all",
    "track_activity_query_size=1048576",
];

/// A text in every form in which it could be shown. Base64 depends on what stands before it, so
/// its middle is looked for at each of the three places.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    let mut hex = String::new();
    for byte in secret.bytes() {
        write!(hex, "{byte:02x}").unwrap();
    }
    forms.push(hex.to_uppercase());
    forms.push(hex);
    for skipped in 0..3 {
        let bytes = &secret.as_bytes()[skipped..];
        let whole = bytes.len() / 3 * 3;
        forms.push(base64(&bytes[..whole]));
    }
    forms
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks_exact(3) {
        let number = three.iter().fold(0_usize, |number, byte| (number << 8) | usize::from(*byte));
        for shift in [18, 12, 6, 0] {
            text.push(char::from(LETTERS[(number >> shift) & 63]));
        }
    }
    text
}

fn shown(text: &str) -> Vec<String> {
    let secrets = [OLD, NEW, PLAIN].into_iter().flat_map(forms);
    secrets.filter(|secret| text.contains(secret.as_str())).collect()
}

#[test]
fn the_forms_of_a_secret_are_found() {
    assert_eq!(shown(&format!("x{OLD}y")), [OLD]);
    assert_eq!(base64(b"abcdef"), "YWJjZGVm");
    assert_eq!(shown("4b78372d6f6c642d6b65792d6e657665722d73686f776e").len(), 1);
}

/// All that a server shows of a session.
fn all_of(database: &mut Database, table: &str) -> String {
    let sql = format!("SELECT string_agg(t::text, E'\\n') FROM {table} t");
    database.client.query_one(&sql, &[]).unwrap().get::<_, Option<String>>(0).unwrap_or_default()
}

/// A database where all is logged, save for how its rows were made.
fn filled() -> Database {
    let mut database =
        Database::on(Arc::new(Server::start(&ALL_LOGGED)), "CREATE EXTENSION pg_stat_statements");
    // The rows are made unseen; from then on everything is logged.
    database
        .client
        .batch_execute(
            "SET log_statement = 'none'; SET log_min_duration_statement = -1; \
             SET log_min_messages = 'panic'; SET log_min_error_statement = 'panic'; \
             SET auto_explain.log_min_duration = -1; SET pg_stat_statements.track = 'none'",
        )
        .unwrap();
    database
        .client
        .batch_execute(&format!(
            "CREATE TABLE people (n int PRIMARY KEY, secret bytea); INSERT INTO people \
             SELECT n, pgp_sym_encrypt('{PLAIN}-' || n, '{OLD}', 's2k-count=1024') \
             FROM generate_series(1, 2000) n; \
             UPDATE people SET secret = '\\x0102' WHERE n = 1500; \
             ALTER TABLE people ADD CONSTRAINT no_more CHECK (n < 1000 OR secret IS NULL) NOT VALID"
        ))
        .unwrap();
    database
}

#[test]
fn keys_and_plaintexts_reach_no_log_and_no_view() {
    let mut database = filled();
    let keys = keys_of(OLD, NEW);
    let mut this = people();
    this.settings.lock_timeout = Duration::from_millis(50);
    this.settings.locked_max = Duration::from_millis(200);
    let mut told = String::new();

    // A lock that is not free, then a constraint that refuses.
    let mut blocker = database.connect();
    blocker.batch_execute("BEGIN; SELECT n FROM people WHERE n = 500 FOR UPDATE").unwrap();
    write!(told, "{:?}", database.run(&this, &keys).unwrap_err()).unwrap();
    blocker.batch_execute("ROLLBACK").unwrap();
    let error = database.run(&this, &keys).unwrap_err();
    write!(told, "{error:?} {error} {}", error.remedy()).unwrap();
    database.client.batch_execute("ALTER TABLE people DROP CONSTRAINT no_more").unwrap();

    // And to the end, while what the server shows of running statements is read.
    let is_over = AtomicBool::new(false);
    let access = database.access.clone();
    std::thread::scope(|scope| {
        let moved = scope.spawn(|| {
            let outcome = access.run(&this, &keys);
            is_over.store(true, Ordering::Relaxed);
            outcome
        });
        while !is_over.load(Ordering::Relaxed) {
            let seen = all_of(&mut database, "pg_stat_activity");
            assert!(shown(&seen).is_empty());
        }
        assert_eq!(moved.join().unwrap().unwrap().counts.moved, 1_999);
    });
    let mut client = database.connect();
    let stop = AtomicBool::new(false);
    let settings = Settings::default();
    let whole = Duration::from_mins(1);
    let verdict =
        verify(&mut client, &this.target, &keys, &settings, whole, &|_| {}, &stop).unwrap();
    assert_eq!((verdict.fine, verdict.quarantined), (1_999, 1));
    let seen = inspect(&mut client, &this.target, Some(&keys), &settings).unwrap();
    let jobs = status(&mut client, &this.target).unwrap();
    write!(told, "{verdict:?} {seen:?} {jobs:?} {keys:?} {this:?}").unwrap();

    for table in ["pg_stat_statements", "keywheel.reencrypt_job", "keywheel.reencrypt_quarantine"] {
        told.push_str(&all_of(&mut database, table));
    }
    let log = database.server.path("log");
    let logged = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    assert!(shown(&told).is_empty() && shown(&logged).is_empty());
    // The log is one that would show them: it has the statements, their parameters and errors.
    for wanted in ["UPDATE ONLY public.people", "parameters: $1", "55P03", "23514", "Query Text"] {
        assert!(logged.contains(wanted), "{wanted}");
    }
    let sql = "SELECT count(pgp_sym_decrypt(secret, $1)) FROM people WHERE n = 1";
    client.query_one(sql, &[&NEW]).unwrap();
    let logged = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    assert_eq!(shown(&logged), [NEW]);
}
