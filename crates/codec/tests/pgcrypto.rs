//! Against a real pgcrypto, over its options: what it writes opens here, and what is sealed again
//! opens there, as the same text or the same bytes.
//!
//! A sample of all combinations is tried; `KEYWHEEL_SCALE=full` tries every one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of a test fails by panicking"
)]

#[path = "../../postgres/tests/support/server.rs"]
mod support;
#[path = "support/random.rs"]
mod random;

use std::fmt::Write as _;

use keywheel_codec::pgp::{self, Compression};
use keywheel_codec::{Format, Header, Key, Limits, OpenError, Opened, Shape, WriteOptions};
use postgres::Client;
use random::Random;
use support::Server;
use zeroize::Zeroizing;

const OLD: &str = "an old passphrase, ünïcode";
const NEW: &str = "0123456789abcdef0123456789abcdef";
const SAMPLE: usize = 900;
const BATCH: usize = 60;

const CIPHERS: &[&str] = &["aes128", "aes192", "aes256", "bf", "3des", "cast5"];
const DIGESTS: &[&str] = &["md5", "sha1", "sha256", "sha384", "sha512"];
const STRETCHES: &[&str] = &["0", "1", "3", "3,s2k-count=1024", "3,s2k-count=100000"];
const COMPRESSIONS: &[&str] = &["0", "1", "2", "1,compress-level=1", "2,compress-level=9"];
const SESSIONS: &[&str] = &["0", "1", "1,s2k-cipher-algo=aes256", "1,s2k-cipher-algo=3des"];
const CHECKS: &[&str] = &["0", "1"];
const KINDS: &[Kind] = &[Kind::Text, Kind::Bytes, Kind::Unicode, Kind::Lines];
const SIZES: &[usize] = &[0, 1, 15, 16, 17, 100, 8191, 8192, 65_536, 1 << 20];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Bytes,
    Unicode,
    /// A text whose ends of lines are converted.
    Lines,
}

#[derive(Debug)]
struct Case {
    options: String,
    kind: Kind,
    size: usize,
}

/// The case of this number of all combinations; the sizes take turns.
fn case(number: usize) -> Case {
    let mut left = number;
    let mut pick = |count: usize| {
        let picked = left % count;
        left /= count;
        picked
    };
    let kind = KINDS[pick(KINDS.len())];
    let options = format!(
        "cipher-algo={},s2k-digest-algo={},s2k-mode={},compress-algo={},sess-key={},disable-mdc={}{}",
        CIPHERS[pick(CIPHERS.len())],
        DIGESTS[pick(DIGESTS.len())],
        STRETCHES[pick(STRETCHES.len())],
        COMPRESSIONS[pick(COMPRESSIONS.len())],
        SESSIONS[pick(SESSIONS.len())],
        CHECKS[pick(CHECKS.len())],
        match kind {
            Kind::Text | Kind::Bytes => "",
            Kind::Unicode => ",unicode-mode=1",
            Kind::Lines => ",convert-crlf=1",
        }
    );
    // A number that shares no factor with the counts above, so that all sizes meet all options.
    let size = SIZES[(number + number / 7 + number / 49) % SIZES.len()];
    Case { options, kind, size }
}

fn all() -> usize {
    [KINDS.len(), CIPHERS.len(), DIGESTS.len(), STRETCHES.len(), COMPRESSIONS.len(), SESSIONS.len()]
        .iter()
        .product::<usize>()
        * CHECKS.len()
}

fn text(size: usize, random: &mut Random) -> String {
    let mut text = String::with_capacity(size);
    while text.len() < size {
        let left = size - text.len();
        match random.below(40) {
            0 => text.push('\n'),
            1 if left > 1 => text.push('ö'),
            2 if left > 3 => text.push('🔑'),
            other => text.push(char::from(b'a' + u8::try_from(other % 26).unwrap())),
        }
    }
    text
}

/// What pgcrypto makes of plaintexts.
fn encrypt(client: &mut Client, cases: &[Case], plain: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let kinds: Vec<bool> = cases.iter().map(|case| case.kind == Kind::Bytes).collect();
    let options: Vec<&str> = cases.iter().map(|case| case.options.as_str()).collect();
    let sql = "SELECT CASE WHEN b THEN pgp_sym_encrypt_bytea(p, $4, o)
                           ELSE pgp_sym_encrypt(convert_from(p, 'UTF8'), $4, o) END
               FROM unnest($1::bytea[], $2::bool[], $3::text[]) WITH ORDINALITY AS u(p, b, o, n)
               ORDER BY n";
    let rows = client.query(sql, &[&plain, &kinds, &options, &OLD]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What pgcrypto reads in messages.
fn decrypt(client: &mut Client, cases: &[Case], sealed: &[Vec<u8>], key: &str) -> Vec<Vec<u8>> {
    let kinds: Vec<bool> = cases.iter().map(|case| case.kind == Kind::Bytes).collect();
    let options = |case: &Case| if case.kind == Kind::Lines { "convert-crlf=1" } else { "" };
    let options: Vec<&str> = cases.iter().map(options).collect();
    let sql = "SELECT CASE WHEN b THEN pgp_sym_decrypt_bytea(p, $4, o)
                           ELSE convert_to(pgp_sym_decrypt(p, $4, o), 'UTF8') END
               FROM unnest($1::bytea[], $2::bool[], $3::text[]) WITH ORDINALITY AS u(p, b, o, n)
               ORDER BY n";
    let rows = client.query(sql, &[&sealed, &kinds, &options, &key]).unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// What stands in the literal packet.
fn literal(case: &Case, plain: &[u8]) -> Vec<u8> {
    if case.kind != Kind::Lines {
        return plain.to_vec();
    }
    String::from_utf8(plain.to_vec()).unwrap().replace('\n', "\r\n").into_bytes()
}

fn check(client: &mut Client, cases: &[Case], random: &mut Random) {
    let plain: Vec<Vec<u8>> = cases
        .iter()
        .map(|case| match case.kind {
            Kind::Bytes => random.bytes(case.size),
            _ => text(case.size, random).into_bytes(),
        })
        .collect();
    let written = encrypt(client, cases, &plain);
    let values: Vec<&[u8]> = written.iter().map(Vec::as_slice).collect();
    let old = Key::passphrase(OLD.as_bytes().to_vec());
    let opened = Format::Pgp.open_many(&values, &old, Limits::default());
    let opened: Vec<Opened> = cases
        .iter()
        .zip(opened)
        .map(|(case, opened)| opened.unwrap_or_else(|err| panic!("{case:?}: {err}")))
        .collect();
    for ((case, plain), opened) in cases.iter().zip(&plain).zip(&opened) {
        assert!(**opened.plain == literal(case, plain), "{case:?}");
    }
    let wrong = Key::passphrase(b"another passphrase".to_vec());
    for (case, opened) in
        cases.iter().zip(Format::Pgp.open_many(&values, &wrong, Limits::default()))
    {
        assert_eq!(opened.unwrap_err(), OpenError::WrongKey, "{case:?}");
    }

    let new = Key::generated(NEW.as_bytes().to_vec());
    let write = pgp::Write::for_key(&new);
    let write = if random.below(2) == 0 { write.aes128() } else { write };
    let write = WriteOptions { pgp: write, version: 1 };
    let again: Vec<&Opened> = opened.iter().collect();
    let sealed = Format::Pgp.seal_many(&again, &new, &write, &mut |to| random.fill(to));
    let sealed: Vec<Vec<u8>> = sealed.into_iter().map(Result::unwrap).collect();
    let read = decrypt(client, cases, &sealed, NEW);
    for ((case, plain), read) in cases.iter().zip(&plain).zip(&read) {
        assert!(plain == read, "{case:?}");
    }
}

fn run(numbers: &[usize]) {
    let mut server = Server::start(true);
    let mut client = server.client();
    let mut random = Random::new(1);
    for batch in numbers.chunks(BATCH) {
        let cases: Vec<Case> = batch.iter().map(|number| case(*number)).collect();
        check(&mut client, &cases, &mut random);
    }
}

#[test]
fn both_ways_over_all_options() {
    let is_full = std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full");
    let numbers: Vec<usize> = if is_full {
        (0..all()).collect()
    } else {
        let mut random = Random::new(7);
        (0..SAMPLE).map(|_| random.below(all())).collect()
    };
    run(&numbers);
    println!("{} of {} combinations, both ways", numbers.len(), all());
}

#[test]
fn armor_both_ways() {
    let mut server = Server::start(true);
    let mut client = server.client();
    let mut random = Random::new(2);
    let key = Key::passphrase(OLD.as_bytes().to_vec());
    let write = WriteOptions { pgp: pgp::Write::for_key(&key), version: 1 };
    for size in [0, 1, 2, 3, 40, 57, 58, 100, 10_000] {
        let plain = random.bytes(size);
        let sql = "SELECT armor(pgp_sym_encrypt_bytea($1, $2)),
                          armor(pgp_sym_encrypt_bytea($1, $2), ARRAY['Version', 'x'], ARRAY['1', 'y z'])";
        let row = client.query_one(sql, &[&plain, &OLD]).unwrap();
        for (column, headers) in [(0, 0), (1, 2)] {
            let armored: String = row.get(column);
            for armored in [armored.clone(), armored.replace('\n', "\r\n")] {
                let opened =
                    Format::PgpArmored.open(armored.as_bytes(), &key, Limits::default()).unwrap();
                assert_eq!(**opened.plain, plain);
                let sealed =
                    Format::PgpArmored.seal(&opened, &key, &write, &mut |to| random.fill(to));
                let sealed = String::from_utf8(sealed.unwrap()).unwrap();
                let sql = "SELECT pgp_sym_decrypt_bytea(dearmor($1), $2),
                                  (SELECT count(*) FROM pgp_armor_headers($1))";
                let row = client.query_one(sql, &[&sealed, &OLD]).unwrap();
                assert_eq!(row.get::<_, Vec<u8>>(0), plain);
                assert_eq!(row.get::<_, i64>(1), headers);
            }
        }
    }
}

/// pgcrypto takes no packet of more than 16 MiB in one piece.
#[test]
fn what_is_large_is_written_in_parts() {
    let mut server = Server::start(true);
    let mut client = server.client();
    let mut random = Random::new(3);
    let key = Key::generated(NEW.as_bytes().to_vec());
    let write = WriteOptions { pgp: pgp::Write::for_key(&key), version: 1 };
    let plain = random.bytes((16 << 20) + 5);
    for compression in [Compression::None, Compression::Zip] {
        let shape = Shape::Pgp(pgp::Shape::bytes().compressed(compression));
        let opened = Opened { plain: Zeroizing::new(plain.clone()), shape };
        let sealed = Format::Pgp.seal(&opened, &key, &write, &mut |to| random.fill(to)).unwrap();
        let sql = "SELECT pgp_sym_decrypt_bytea($1, $2) = $3";
        assert!(client.query_one(sql, &[&sealed, &NEW, &plain]).unwrap().get::<_, bool>(0));
        let again = Format::Pgp.open(&sealed, &key, Limits::default()).unwrap();
        assert!(again.plain == opened.plain);
    }
}

/// Where OpenSSL has no Blowfish and no CAST5, pgcrypto does not notice, and what it writes is not
/// encrypted at all.
#[test]
fn what_pgcrypto_did_not_encrypt_is_named() {
    let mut server = Server::start(false);
    let mut client = server.client();
    let key = Key::passphrase(OLD.as_bytes().to_vec());
    for cipher in ["bf", "cast5"] {
        for more in [
            "",
            ",disable-mdc=1",
            ",compress-algo=1",
            ",compress-algo=2,disable-mdc=1",
            ",sess-key=1",
            ",sess-key=1,s2k-cipher-algo=aes256",
            // Encrypted, under a session key that is not.
            ",cipher-algo=aes256,sess-key=1",
        ] {
            let options = format!("cipher-algo={cipher},s2k-cipher-algo={cipher}{more}");
            let sql = "SELECT pgp_sym_encrypt('plain for all to see', $1, $2)";
            let written: Vec<u8> = client.query_one(sql, &[&OLD, &options]).unwrap().get(0);
            let Header::Pgp(header) = Format::Pgp.census(&written).unwrap() else { panic!() };
            let mut named = String::new();
            write!(named, "{header}").unwrap();
            assert!(named.contains("NOT ENCRYPTED"), "{options}: {named}");
            let refused = Format::Pgp.open(&written, &key, Limits::default()).unwrap_err();
            assert!(matches!(refused, OpenError::Unsupported { .. }), "{options}: {refused}");
            let opened = pgp::open_exposed(&written, Limits::default()).unwrap();
            assert_eq!(&**opened.plain, b"plain for all to see", "{options}");
        }
    }
    let sql = "SELECT pgp_sym_encrypt('a', $1, 'cipher-algo=3des')";
    let written: Vec<u8> = client.query_one(sql, &[&OLD]).unwrap().get(0);
    assert!(pgp::open_exposed(&written, Limits::default()).is_err());
}
