//! Raw values against a real pgcrypto in both directions, and the hazard that they are.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test fails by panicking"
)]

#[path = "../../postgres/tests/support/server.rs"]
mod support;

use keywheel_codec::raw::{Algorithm, Cipher, Options, Validator};
use keywheel_codec::{Format, Key, Limits, OpenError, Opened, SealError, Shape, WriteOptions, pgp};
use postgres::Client;
use proptest::prelude::*;
use support::Server;
use zeroize::Zeroizing;

fn anything() -> Validator {
    Validator::new(|_| true)
}

fn format(cipher: &str, iv: &[u8], validator: Validator) -> Format {
    Format::Raw(Options::new(cipher.parse().unwrap(), validator).with_iv(iv))
}

fn key(bytes: &[u8]) -> Key {
    Key::generated(bytes.to_vec())
}

fn open(format: &Format, value: &[u8], bytes: &[u8]) -> Result<Opened, OpenError> {
    format.open(value, &key(bytes), Limits::default())
}

fn seal(format: &Format, plain: &[u8], bytes: &[u8]) -> Result<Vec<u8>, SealError> {
    let opened = Opened { plain: Zeroizing::new(plain.to_vec()), shape: Shape::Raw };
    let write = WriteOptions { pgp: pgp::Write::for_key(&key(bytes)), version: 1 };
    format.seal(&opened, &key(bytes), &write, &mut |_| {})
}

fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at * 7 + seed * 31 + 1) % 256).unwrap()).collect()
}

#[test]
fn values_are_those_of_pgcrypto_to_the_byte() {
    let mut server = Server::start(true);
    let mut client = server.client();
    let ciphers = ["aes", "aes-cbc", "aes-ecb", "bf-cbc", "bf-ecb", "des-cbc", "des-ecb"];
    let more = ["3des-cbc", "3des-ecb", "cast5-cbc", "cast5-ecb"];
    let mut compared = 0;
    for cipher in ciphers.into_iter().chain(more) {
        for padding in ["", "/pad:pkcs", "/pad:none"] {
            let cipher = format!("{cipher}{padding}");
            for key_bytes in [1, 3, 4, 5, 7, 8, 10, 11, 16, 17, 23, 24, 25, 32, 33, 56, 57, 80] {
                compared += compare(&mut client, &cipher, &bytes(key_bytes, 5));
            }
        }
    }
    assert_eq!(compared, 11 * 18 * (2 * 6 * 3 + 4 * 3));
}

/// Both directions for each length and IV.
fn compare(client: &mut Client, cipher: &str, key: &[u8]) -> usize {
    let lengths: &[usize] =
        if cipher.ends_with("none") { &[0, 16, 32, 1024] } else { &[0, 1, 15, 16, 17, 1000] };
    let ivs = [Vec::new(), bytes(5, 3), bytes(20, 4)];
    let encrypt =
        client.prepare("SELECT encrypt_iv($1, $2, $3, $4), decrypt_iv($5, $2, $3, $4)").unwrap();
    for iv in &ivs {
        let format = format(cipher, iv, anything());
        for length in lengths {
            let plain = bytes(*length, 1);
            let ours = seal(&format, &plain, key).unwrap();
            let row =
                client.query_one(&encrypt, &[&plain, &key, iv, &cipher.to_owned(), &ours]).unwrap();
            let theirs: Vec<u8> = row.get(0);
            let what = format!("{cipher}, {} bytes of key, {length} of data", key.len());
            assert!(theirs == ours, "{what}: pgcrypto writes another value");
            assert!(row.get::<_, Vec<u8>>(1) == plain, "{what}: pgcrypto reads another plaintext");
            assert!(*open(&format, &theirs, key).unwrap().plain == plain, "{what}");
        }
    }
    ivs.len() * lengths.len()
}

#[test]
fn what_pgcrypto_refuses_is_refused() {
    let mut server = Server::start(true);
    let mut client = server.client();
    let none = format("aes-cbc/pad:none", &[], anything());
    assert!(client.query("SELECT encrypt('\\x01', 'k', 'aes-cbc/pad:none')", &[]).is_err());
    assert!(matches!(seal(&none, &[1], b"k"), Err(SealError::Plaintext { .. })));
    let pkcs = format("aes-cbc", &[], anything());
    assert!(client.query("SELECT decrypt('', 'k', 'aes-cbc')", &[]).is_err());
    assert!(matches!(open(&pkcs, &[], b"k"), Err(OpenError::Malformed { at: 0, .. })));
    assert!(client.query("SELECT decrypt('\\x0102', 'k', 'aes-cbc')", &[]).is_err());
    assert!(matches!(open(&pkcs, &[1, 2], b"k"), Err(OpenError::Malformed { at: 2, .. })));
}

/// The hazard of raw values: of 4,000 wrong keys some open, and only a validator tells.
#[test]
fn hazard_a_wrong_key_opens_without_an_error() {
    let json = br#"{"iban": "DE02120300000000202051", "salary": 4200}"#;
    let text = b"DE02120300000000202051";
    let iban = |text: &str| text.len() == 22 && text.starts_with("DE");
    let mut accepted = [0; 4];
    for cipher in ["aes-cbc", "bf-cbc"] {
        let value = seal(&format(cipher, &[], anything()), json, b"right").unwrap();
        let other = seal(&format(cipher, &[], anything()), text, b"right").unwrap();
        for number in 0..4_000 {
            let wrong = format!("wrong key {number}");
            let opens = |value: &[u8], validator: Validator| {
                usize::from(open(&format(cipher, &[], validator), value, wrong.as_bytes()).is_ok())
            };
            accepted[0] += opens(&value, anything());
            accepted[1] += opens(&value, Validator::json());
            accepted[2] += opens(&other, anything());
            accepted[3] += opens(&other, Validator::text(iban));
        }
        assert!(open(&format(cipher, &[], Validator::json()), &value, b"right").is_ok());
        assert!(open(&format(cipher, &[], Validator::text(iban)), &other, b"right").is_ok());
    }
    assert!(accepted[0] > 0 && accepted[2] > 0, "{accepted:?}");
    assert_eq!((accepted[1], accepted[3]), (0, 0));
}

#[test]
fn the_validator_says_that_a_plaintext_is_none() {
    let value = seal(&format("aes", &[], anything()), b"not json", b"k").unwrap();
    let json = format("aes", &[], Validator::json());
    assert_eq!(open(&json, &value, b"k").unwrap_err(), OpenError::Implausible);
    assert!(matches!(seal(&json, b"not json", b"k"), Err(SealError::Plaintext { .. })));
}

#[test]
fn a_type_is_read_as_pgcrypto_does() {
    let cipher = |text: &str| text.parse::<Cipher>();
    assert_eq!(cipher("aes"), cipher("AES-cbc/pad:pkcs"));
    assert_eq!(cipher("3des").unwrap().algorithm, Algorithm::TripleDes);
    for unknown in ["", "aes-cfb", "aes-cbc/pad:zeros", "aes/pkcs", "rot13", "aes-cbc-ecb"] {
        assert!(cipher(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn a_key_without_bytes_is_named() {
    for cipher in ["bf", "cast5"] {
        let format = format(cipher, &[], anything());
        assert!(matches!(seal(&format, b"x", b""), Err(SealError::Key { .. })), "{cipher}");
        let opened = open(&format, &[0; 8], b"");
        assert!(matches!(opened, Err(OpenError::Unsupported { .. })), "{cipher}");
    }
}

proptest! {
    #[test]
    fn what_is_sealed_opens(
        plain: Vec<u8>, key in prop::collection::vec(any::<u8>(), 1..70), iv: Vec<u8>, at in 0..10_usize,
    ) {
        let ciphers = ["aes", "bf", "des", "3des", "cast5"];
        let mode = if at < 5 { "cbc" } else { "ecb" };
        let format = format(&format!("{}-{mode}", ciphers[at % 5]), &iv, anything());
        let value = seal(&format, &plain, &key).unwrap();
        let opened = open(&format, &value, &key).unwrap();
        prop_assert_eq!(opened.plain.as_slice(), plain.as_slice());
    }
}
