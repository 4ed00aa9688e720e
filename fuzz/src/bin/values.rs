//! Fernet tokens, keywheel's own values and raw ones: no bytes do any harm, and what opens is
//! sealed again as the same.

#![no_main]

use keywheel_codec::raw::{Options, Validator};
use keywheel_codec::{Format, Key, Limits, OpenError, Opened, Shape, WriteOptions, pgp};
use keywheel_codec::{fernet, sealed};
use zeroize::Zeroizing;

fn key() -> Key {
    Key::generated(b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=".to_vec())
}

fn options() -> WriteOptions {
    WriteOptions { pgp: pgp::Write::for_key(&key()), version: 1 }
}

fn formats() -> Vec<Format> {
    let mut formats = vec![Format::Fernet, Format::Sealed];
    for cipher in ["aes", "aes-ecb/pad:none", "bf", "des", "3des-ecb", "cast5"] {
        let cipher = cipher.parse().unwrap_or_else(|_| panic!("{cipher} is a cipher"));
        formats.push(Format::Raw(Options::new(cipher, Validator::new(|_| true)).with_iv(b"iv")));
    }
    formats
}

fn seeds() -> Vec<Vec<u8>> {
    let shapes = [
        Shape::Fernet(fernet::Shape::created_at(1_700_000_000)),
        Shape::Sealed(sealed::Algorithm::Aes256Gcm),
        Shape::Sealed(sealed::Algorithm::ChaCha20Poly1305),
        Shape::Raw,
    ];
    let mut seeds = Vec::new();
    for shape in shapes {
        let opened = Opened { plain: Zeroizing::new(b"a value of 16 by".to_vec()), shape };
        for format in formats() {
            seeds.extend(format.seal(&opened, &key(), &options(), &mut |to| to.fill(7)));
        }
    }
    seeds
}

keywheel_fuzz::target!(seeds: seeds(), |input: &[u8]| {
    let limits = Limits { plain_bytes_max: 1 << 20 };
    let key = key();
    for format in formats() {
        let census = format.census(input);
        match format.open(input, &key, limits) {
            Err(OpenError::Malformed { .. } | OpenError::Unsupported { .. }) => {}
            Err(_) => assert!(census.is_ok(), "it was read without a key, and now it is not"),
            Ok(opened) => {
                let sealed = format.seal(&opened, &key, &options(), &mut |to| to.fill(9));
                let again = sealed.map(|sealed| format.open(&sealed, &key, limits));
                let Ok(Ok(again)) = again else { panic!("what opens is not sealed again") };
                assert_eq!(again.plain, opened.plain, "the plaintext is another one");
                assert_eq!(again.shape, opened.shape, "the shape is another one");
            }
        }
    }
});
