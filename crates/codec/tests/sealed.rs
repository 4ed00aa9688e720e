//! keywheel's own format: what is sealed opens, and nothing that was touched does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use keywheel_codec::sealed::{self, Algorithm, Header};
use keywheel_codec::{Format, Key, Limits, OpenError, SealError};
use proptest::prelude::*;

fn key(byte: u8) -> Key {
    Key::generated(vec![byte; 32])
}

fn seal(plain: &[u8], header: Header, context: &[u8], salt: u8) -> Vec<u8> {
    sealed::seal(plain, &key(7), header, context, &mut |bytes| bytes.fill(salt)).unwrap()
}

const HEADER: Header = Header { algorithm: Algorithm::Aes256Gcm, version: 0x0102_0304 };

#[test]
fn the_header_is_what_the_documentation_says() {
    let value = seal(b"salary", HEADER, b"", 9);
    assert_eq!(&value[..8], b"KW\x01\x01\x01\x02\x03\x04");
    assert_eq!(&value[8..32], &[9; 24]);
    assert_eq!(value.len(), 32 + 6 + 16);
    assert_eq!(sealed::census(&value), Ok(HEADER));
    assert_eq!(HEADER.to_string(), "keywheel AES-256-GCM, version 16909060");
}

#[test]
fn every_flipped_bit_is_noticed() {
    for algorithm in [Algorithm::Aes256Gcm, Algorithm::ChaCha20Poly1305] {
        let header = Header { algorithm, ..HEADER };
        let mut value = seal(b"4111 1111 1111 1111", header, b"people.card", 9);
        for bit in 0..value.len() * 8 {
            value[bit / 8] ^= 1 << (bit % 8);
            let opened = sealed::open(&value, &key(7), b"people.card", Limits::default());
            assert!(opened.is_err(), "bit {bit} was not noticed");
            value[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(sealed::open(&value, &key(7), b"people.card", Limits::default()).is_ok());
    }
}

#[test]
fn every_shorter_value_is_refused() {
    let value = seal(b"salary", HEADER, b"", 9);
    for length in 0..value.len() {
        assert!(sealed::open(&value[..length], &key(7), b"", Limits::default()).is_err());
    }
}

#[test]
fn another_key_or_context_does_not_open() {
    let value = seal(b"salary", HEADER, b"people.salary", 9);
    let open = |key: &Key, context: &[u8]| sealed::open(&value, key, context, Limits::default());
    assert_eq!(open(&key(8), b"people.salary").unwrap_err(), OpenError::WrongKey);
    assert_eq!(open(&key(7), b"people.bonus").unwrap_err(), OpenError::WrongKey);
    assert_eq!(open(&key(7), b"people.salary").unwrap().plain.as_slice(), b"salary");
}

#[test]
fn two_salts_give_two_values() {
    assert_ne!(seal(b"salary", HEADER, b"", 1)[32..], seal(b"salary", HEADER, b"", 2)[32..]);
}

#[test]
fn a_passphrase_is_refused() {
    let passphrase = Key::passphrase(b"correct horse".to_vec());
    let sealed = sealed::seal(b"x", &passphrase, HEADER, b"", &mut |bytes| bytes.fill(1));
    assert!(matches!(sealed, Err(SealError::Key { .. })));
}

#[test]
fn a_plaintext_over_the_limit_is_refused() {
    let value = seal(&[0; 65], HEADER, b"", 1);
    let open = |plain_bytes_max| sealed::open(&value, &key(7), b"", Limits { plain_bytes_max });
    assert_eq!(open(64).unwrap_err(), OpenError::TooLarge { limit_bytes: 64 });
    assert!(open(65).is_ok());
}

#[test]
fn a_move_keeps_the_algorithm() {
    let header = Header { algorithm: Algorithm::ChaCha20Poly1305, version: 3 };
    let value = seal(b"salary", header, b"", 1);
    let opened = Format::Sealed.open(&value, &key(7), Limits::default()).unwrap();
    let write = keywheel_codec::WriteOptions { pgp: WRITE, version: 4 };
    let moved = Format::Sealed.seal(&opened, &key(8), &write, &mut |bytes| bytes.fill(2)).unwrap();
    assert_eq!(sealed::census(&moved), Ok(Header { version: 4, ..header }));
}

const WRITE: keywheel_codec::pgp::Write = keywheel_codec::pgp::Write {};

proptest! {
    #[test]
    fn what_is_sealed_opens(
        plain: Vec<u8>, context: Vec<u8>, material: Vec<u8>, version: u32, salt: u8, gcm: bool,
    ) {
        let algorithm =
            if gcm { Algorithm::Aes256Gcm } else { Algorithm::ChaCha20Poly1305 };
        let key = Key::generated(material);
        let header = Header { algorithm, version };
        let value =
            sealed::seal(&plain, &key, header, &context, &mut |bytes| bytes.fill(salt)).unwrap();
        let opened = sealed::open(&value, &key, &context, Limits::default()).unwrap();
        prop_assert_eq!(opened.plain.as_slice(), plain.as_slice());
    }

    #[test]
    fn no_bytes_make_it_panic(value: Vec<u8>, fitting: bool) {
        let value = if fitting { [b"KW\x01\x01".as_slice(), &value].concat() } else { value };
        let opened = sealed::open(&value, &key(7), b"", Limits::default());
        prop_assert!(opened.is_err());
    }
}
