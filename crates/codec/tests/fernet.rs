//! Fernet tokens against the vectors of the specification, and against Python's `cryptography`.

use keywheel_codec::{Format, Key, Limits, OpenError, Opened, SealError, Shape, fernet};
use proptest::prelude::*;
use zeroize::Zeroizing;

const SECRET: &[u8] = b"cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=";

/// `generate.json` and `verify.json` of the specification.
const HELLO: &str = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7\
                     JcbmrR64jVmpU4IwqDA==";
/// 1985-10-26T01:20:00-07:00.
const HELLO_SECS: u64 = 499_162_800;

fn key() -> Key {
    Key::generated(SECRET.to_vec())
}

fn open(token: &str) -> Result<Opened, OpenError> {
    Format::Fernet.open(token.as_bytes(), &key(), Limits::default())
}

fn seal(plain: &[u8], created_secs: u64, key: &Key, iv: &[u8; 16]) -> Result<Vec<u8>, SealError> {
    let shape = Shape::Fernet(fernet::Shape::created_at(created_secs));
    let opened = Opened { plain: Zeroizing::new(plain.to_vec()), shape };
    let write = keywheel_codec::WriteOptions { pgp: WRITE, version: 1 };
    Format::Fernet.seal(&opened, key, &write, &mut |bytes| bytes.copy_from_slice(iv))
}

const WRITE: keywheel_codec::pgp::Write = keywheel_codec::pgp::Write {};

#[test]
fn the_vector_of_the_specification_is_sealed_to_the_byte() {
    let iv = std::array::from_fn(|at| u8::try_from(at).unwrap());
    assert_eq!(seal(b"hello", HELLO_SECS, &key(), &iv).unwrap(), HELLO.as_bytes());
}

#[test]
fn the_vector_of_the_specification_opens_with_its_time() {
    let opened = open(HELLO).unwrap();
    assert_eq!(opened.plain.as_slice(), b"hello");
    assert_eq!(opened.shape, Shape::Fernet(fernet::Shape::created_at(HELLO_SECS)));
}

/// `invalid.json`, without the two that are of an unacceptable time: a column has no time to live.
#[test]
fn the_invalid_vectors_are_refused() {
    let refused = |token: &str| open(token).unwrap_err();
    let mac = "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUF\
               BQUFBQUFBQQ==";
    assert_eq!(refused(mac), OpenError::WrongKey);
    let short = "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA==";
    assert!(matches!(refused(short), OpenError::Malformed { .. }));
    let base64 = "%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1Ydy\
                  kRtfsH-p1YsUD2Q==";
    assert!(matches!(refused(base64), OpenError::Malformed { at: 0, .. }));
    let block = "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7\
                 mrfyudzUm";
    assert!(matches!(refused(block), OpenError::Malformed { .. }));
    let padding = "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6C\
                   nJNYIbkuKNqOhw==";
    assert!(matches!(refused(padding), OpenError::Malformed { .. }));
    let iv = "gAAAAAAdwJ6xBQECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAkLhFLHpGtDBRLRTZeUfWgHSv49TF2AUEZ1T\
              IvcZjK1zQ==";
    assert!(matches!(refused(iv), OpenError::Malformed { .. }));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let mut token = HELLO.as_bytes().to_vec();
    for bit in 0..token.len() * 8 {
        token[bit / 8] ^= 1 << (bit % 8);
        let opened = Format::Fernet.open(&token, &key(), Limits::default());
        assert!(opened.is_err(), "bit {bit} was not noticed");
        token[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn a_key_that_is_none_is_named() {
    for text in ["", "short", "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4"] {
        let key = Key::generated(text.as_bytes().to_vec());
        let opened = Format::Fernet.open(HELLO.as_bytes(), &key, Limits::default());
        assert!(matches!(opened, Err(OpenError::Unsupported { .. })), "{text}");
        assert!(matches!(seal(b"x", 0, &key, &[0; 16]), Err(SealError::Key { .. })), "{text}");
    }
}

#[test]
fn a_plaintext_over_the_limit_is_refused() {
    let limits = Limits { plain_bytes_max: 4 };
    let opened = Format::Fernet.open(HELLO.as_bytes(), &key(), limits);
    assert_eq!(opened.unwrap_err(), OpenError::TooLarge { limit_bytes: 4 });
}

#[test]
fn a_census_needs_no_key() {
    assert_eq!(Format::Fernet.census(HELLO.as_bytes()), Ok(keywheel_codec::Header::Fernet));
    assert!(Format::Fernet.census(b"gAAAA").is_err());
}

proptest! {
    #[test]
    fn what_is_sealed_opens(plain: Vec<u8>, created_secs: u64, iv: [u8; 16]) {
        let token = seal(&plain, created_secs, &key(), &iv).unwrap();
        let opened = Format::Fernet.open(&token, &key(), Limits::default()).unwrap();
        prop_assert_eq!(opened.plain.as_slice(), plain.as_slice());
        prop_assert_eq!(opened.shape, Shape::Fernet(fernet::Shape::created_at(created_secs)));
    }

    #[test]
    fn no_bytes_make_it_panic(value: Vec<u8>) {
        prop_assert!(Format::Fernet.open(&value, &key(), Limits::default()).is_err());
    }
}
