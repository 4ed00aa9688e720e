//! OpenPGP messages, with and without armor: no bytes do any harm, what opens has a census, and is
//! sealed again as the same.

#![no_main]

use keywheel_codec::{Format, Header, Key, Limits, OpenError, Opened, Shape, WriteOptions, pgp};
use zeroize::Zeroizing;

fn key() -> Key {
    Key::generated(b"a key that was generated".to_vec())
}

fn options() -> WriteOptions {
    WriteOptions { pgp: pgp::Write::for_key(&key()), version: 1 }
}

fn seeds() -> Vec<Vec<u8>> {
    let shapes = [
        pgp::Shape::text(),
        pgp::Shape::bytes().compressed(pgp::Compression::Zip),
        pgp::Shape::unicode().dated(1).compressed(pgp::Compression::Zlib),
    ];
    let mut seeds = Vec::new();
    for shape in shapes {
        let plain = Zeroizing::new(b"a value, a value, a value".to_vec());
        let opened = Opened { plain, shape: Shape::Pgp(shape) };
        for format in [Format::Pgp, Format::PgpArmored] {
            seeds.extend(format.seal(&opened, &key(), &options(), &mut |to| to.fill(7)));
        }
    }
    seeds
}

/// Whether a message asks for much hashing, which it may: up to 65 MB, each time it is opened. That
/// is no fault, and would be taken for a hang on a busy machine.
fn is_slow(format: &Format, input: &[u8]) -> bool {
    let Ok(Header::Pgp(header)) = format.census(input) else { return false };
    matches!(header.stretch, pgp::Stretch::Iterated { count } if count > 1 << 18)
}

keywheel_fuzz::target!(seeds: seeds(), |input: &[u8]| {
    let limits = Limits { plain_bytes_max: 1 << 20 };
    let key = key();
    let _ = pgp::open_exposed(input, limits);
    for format in [Format::Pgp, Format::PgpArmored] {
        if is_slow(&format, input) {
            continue;
        }
        let census = format.census(input);
        match format.open(input, &key, limits) {
            Err(OpenError::Malformed { .. } | OpenError::Unsupported { .. }) => {}
            Err(_) => assert!(census.is_ok(), "it was read without a key, and now it is not"),
            Ok(opened) => {
                let sealed = format.seal(&opened, &key, &options(), &mut |to| to.fill(9));
                let again = sealed.map(|sealed| format.open(&sealed, &key, limits));
                let Ok(Ok(again)) = again else { panic!("what opens is not sealed again") };
                assert_eq!(again.plain, opened.plain, "the plaintext is another one");
            }
        }
    }
});
