//! Columns of the formats other than OpenPGP: moved, stopped, gone on with, verified, brought back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keywheel_codec::raw::{Options, Validator};
use keywheel_codec::{Format, Key, Limits, Opened, Shape, WriteOptions, fernet, pgp, sealed};
use keywheel_reencrypt::{Keys, Move, Verdict};

use crate::support::{Access, Database, of};

/// A format, with the type of a column that holds it and two keys that fit it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    column_type: &'static str,
    format: Format,
    old: &'static str,
    new: &'static str,
}

/// A raw format of pgcrypto, whose plaintexts are what a validator takes.
fn raw(cipher: &str, validator: Validator) -> Format {
    Format::Raw(Options::new(cipher.parse().unwrap(), validator))
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let case = |name, column_type, format, old, new| Case { name, column_type, format, old, new };
    let fernet = [
        "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    ];
    vec![
        case("raw", "bytea", raw("aes", Validator::json()), "old raw key", "new raw key"),
        case("raw-bf", "bytea", raw("bf-ecb", Validator::json()), "old raw key", "new raw key"),
        case("fernet", "text", Format::Fernet, fernet[0], fernet[1]),
        case("fernet-bytes", "bytea", Format::Fernet, fernet[0], fernet[1]),
        case("keywheel", "bytea", Format::Sealed, "an old key of 32 bytes, at random", "a new one"),
    ]
}

fn key(text: &str) -> Key {
    Key::generated(text.as_bytes().to_vec())
}

impl Case {
    /// A table with rows under the old key, every tenth of them NULL. The server itself makes
    /// those that it can.
    pub(crate) fn filled(&self, rows: usize) -> Database {
        let column = self.column_type;
        let mut database =
            Database::new(&format!("CREATE TABLE people (n int PRIMARY KEY, secret {column})"));
        if self.name == "raw" {
            let sql = format!(
                "INSERT INTO people SELECT n, CASE WHEN n % 10 <> 0 THEN \
                    encrypt(convert_to('{{\"row\": ' || n || '}}', 'UTF8'), '{}', 'aes') END \
                 FROM generate_series(0, {rows} - 1) n",
                self.old
            );
            database.client.batch_execute(&sql).unwrap();
            return database;
        }
        for n in 0..rows {
            let value = (n % 10 != 0).then(|| self.seal(&self.opened(n)));
            let n = i32::try_from(n).unwrap();
            let sql = "INSERT INTO people VALUES ($1, $2)";
            match (value, column) {
                (None, _) => database.client.execute("INSERT INTO people VALUES ($1)", &[&n]),
                (Some(value), "text") => {
                    database.client.execute(sql, &[&n, &String::from_utf8(value).unwrap()])
                }
                (Some(value), _) => database.client.execute(sql, &[&n, &value]),
            }
            .unwrap();
        }
        database
    }

    /// What a row holds: with it a time or an algorithm where the format has one.
    fn opened(&self, n: usize) -> Opened {
        let shape = match self.format {
            Format::Fernet => Shape::Fernet(fernet::Shape::created_at(1_700_000_000 + n as u64)),
            Format::Sealed if n.is_multiple_of(2) => {
                Shape::Sealed(sealed::Algorithm::ChaCha20Poly1305)
            }
            Format::Sealed => Shape::Sealed(sealed::Algorithm::Aes256Gcm),
            _ => Shape::Raw,
        };
        Opened { plain: format!("{{\"row\": {n}}}").into_bytes().into(), shape }
    }

    fn seal(&self, opened: &Opened) -> Vec<u8> {
        let mut counter = 0_u8;
        let mut fill = |bytes: &mut [u8]| {
            for byte in bytes.iter_mut().zip(opened.plain.iter().cycle()) {
                counter = counter.wrapping_mul(31).wrapping_add(*byte.1);
                *byte.0 = counter;
            }
        };
        let key = key(self.old);
        let write = WriteOptions { pgp: pgp::Write::for_key(&key), version: 1 };
        self.format.seal(opened, &key, &write, &mut fill).unwrap()
    }

    pub(crate) fn keys(&self) -> Keys {
        keys_of(self.old, self.new, 2)
    }

    pub(crate) fn this(&self) -> Move {
        let mut this = of("people", "secret");
        this.target.format = self.format.clone();
        this
    }

    /// How many rows the new or the old key opens to what they were, NULL among them.
    pub(crate) fn opened_rows(&self, database: &mut Database, is_new: bool) -> usize {
        let key = key(if is_new { self.new } else { self.old });
        let cast = if self.column_type == "text" { "convert_to(secret, 'UTF8')" } else { "secret" };
        let sql = format!("SELECT n, {cast} FROM people");
        let rows = database.client.query(&sql, &[]).unwrap();
        let is_right = |row: &&postgres::Row| {
            let n = usize::try_from(row.get::<_, i32>(0)).unwrap();
            let Some(value) = row.get::<_, Option<Vec<u8>>>(1) else { return n % 10 == 0 };
            let wanted = self.opened(n);
            self.format
                .open(&value, &key, Limits::default())
                .is_ok_and(|opened| opened.plain == wanted.plain && opened.shape == wanted.shape)
        };
        rows.iter().filter(is_right).count()
    }

    fn verify(&self, database: &Access, keys: &Keys) -> Verdict {
        let mut client = database.connect();
        let (stop, this) = (AtomicBool::new(false), self.this());
        let longest = Duration::from_mins(1);
        keywheel_reencrypt::verify(
            &mut client,
            &this.target,
            keys,
            &this.settings,
            longest,
            &|_| {},
            &stop,
        )
        .unwrap()
    }
}

fn keys_of(from: &str, to: &str, version: u32) -> Keys {
    Keys { from: vec![("old".to_owned(), key(from))], to: ("new".to_owned(), key(to)), version }
}

#[test]
fn every_format_moves_goes_on_is_verified_and_comes_back() {
    for case in cases() {
        let name = case.name;
        let mut database = case.filled(700);
        assert_eq!(case.opened_rows(&mut database, false), 700, "{name}");
        let verdict = case.verify(&database, &case.keys());
        assert!(!verdict.is_zero() && verdict.left == [("old".to_owned(), 630)], "{name}");

        // Stopped in the midst, gone on with, verified.
        let config = keywheel_reencrypt::config(&database.url("owner"), false).unwrap();
        let connect = || keywheel_reencrypt::connect(&config);
        let stop = AtomicBool::new(false);
        let halfway = |progress: &keywheel_reencrypt::Progress| {
            stop.store(progress.counts.read >= 200, Ordering::Relaxed);
        };
        let outcome = case.this().run(&connect, &case.keys(), &halfway, &stop).unwrap();
        assert!(!outcome.is_complete && outcome.counts.moved < 630, "{name}: {outcome:?}");
        let outcome = database.run(&case.this(), &case.keys()).unwrap();
        assert!(outcome.is_resumed && outcome.is_complete, "{name}: {outcome:?}");
        assert_eq!((outcome.counts.moved, outcome.in_quarantine), (630, 0), "{name}");
        assert_eq!(case.opened_rows(&mut database, true), 700, "{name}");
        let verdict = case.verify(&database, &case.keys());
        assert!(verdict.is_zero() && (verdict.fine, verdict.null) == (630, 70), "{name}");

        // And all the way back.
        let back = keys_of(case.new, case.old, 1);
        assert_eq!(database.run(&case.this(), &back).unwrap().counts.moved, 630, "{name}");
        assert_eq!(case.opened_rows(&mut database, false), 700, "{name}");
    }
}

#[test]
fn a_value_of_keywheels_own_format_says_the_version_that_it_was_moved_to() {
    let case = cases().pop().unwrap();
    let mut database = case.filled(50);
    database.run(&case.this(), &case.keys()).unwrap();
    let sql = "SELECT secret FROM people WHERE secret IS NOT NULL";
    let mut versions = BTreeMap::new();
    for row in database.client.query(sql, &[]).unwrap() {
        let header = sealed::census(&row.get::<_, Vec<u8>>(0)).unwrap();
        *versions.entry(header.version).or_insert(0) += 1;
    }
    assert_eq!(versions, BTreeMap::from([(2, 45)]));
}

/// A wrong key opens one raw value in 256; the validator refuses what comes out.
#[test]
fn a_raw_value_that_the_validator_refuses_goes_to_quarantine() {
    let case = &cases()[0];
    let mut database = case.filled(100);
    let strange = "UPDATE people SET secret = \
                   encrypt(convert_to('{\"row\": ' || n || '}', 'UTF8'), 'a third key', 'aes')";
    let more = "INSERT INTO people SELECT n, '' FROM generate_series(1000, 4999) n";
    database.client.batch_execute(&format!("{more}; {strange} WHERE n >= 1000")).unwrap();
    let (old, anything) = (key(case.old), raw("aes", Validator::new(|_| true)));
    let rows = database.client.query("SELECT secret FROM people WHERE n >= 1000", &[]).unwrap();
    let silent = rows
        .iter()
        .filter(|row| anything.open(row.get(0), &old, Limits::default()).is_ok())
        .count();
    assert!(silent > 0, "none of {} opens silently", rows.len());

    let mut this = case.this();
    this.settings.quarantine_max = 5_000;
    let outcome = database.run(&this, &case.keys()).unwrap();
    assert_eq!((outcome.counts.moved, outcome.in_quarantine), (90, 4_000));
    let sql = "SELECT count(*) FROM keywheel.reencrypt_quarantine WHERE reason LIKE $1";
    let implausible: i64 =
        database.client.query_one(sql, &[&"the plaintext is not what%"]).unwrap().get(0);
    assert!(implausible > 0, "the validator refused none");
    // The rows are what they were.
    let sql = "SELECT count(*) FROM people WHERE n >= 1000 AND \
               convert_from(decrypt(secret, 'a third key', 'aes'), 'UTF8') = '{\"row\": ' || n || '}'";
    assert_eq!(database.number(sql), 4_000);
    let verdict = case.verify(&database, &case.keys());
    assert!(!verdict.is_zero() && verdict.quarantined == 4_000);
}

/// With a validator that takes nearly everything, a value can open with both keys. Which one is the
/// right one cannot be told, and moving it by the wrong one would destroy it.
#[test]
fn a_raw_value_that_both_keys_open_is_left_alone() {
    let case = Case { format: raw("aes", Validator::new(|_| true)), ..cases().remove(0) };
    let mut database = case.filled(3_000);
    let outcome = database.run(&case.this(), &case.keys()).unwrap();
    let first = outcome.in_quarantine;
    assert!(first > 0 && outcome.counts.moved + first == 2_700, "{outcome:?}");
    // The next run meets values of the new key only, of which the old one opens some.
    let again = database.run(&case.this(), &case.keys()).unwrap();
    assert!(again.in_quarantine > first && again.counts.moved == 0, "{again:?}");
    let moved = usize::try_from(outcome.counts.moved).unwrap();
    let right = [true, false].map(|is_new| case.opened_rows(&mut database, is_new));
    assert!(right[0] == moved + 300 && right[0] + right[1] == 3_000 + 300, "{right:?}");
    let sql =
        "SELECT count(*) FROM keywheel.reencrypt_quarantine WHERE reason LIKE 'more than one%'";
    assert!(database.number(sql) > 0);
}
