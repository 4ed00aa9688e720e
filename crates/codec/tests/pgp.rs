//! OpenPGP messages that are sealed and opened again.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

use keywheel_codec::pgp;
use keywheel_codec::{Format, Key, Limits, OpenError, Opened, Shape, WriteOptions};
use proptest::collection::vec;
use proptest::prelude::*;
use zeroize::Zeroizing;

fn fill() -> impl FnMut(&mut [u8]) {
    let mut state = 1_u32;
    move |buffer: &mut [u8]| {
        for byte in buffer {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = state.to_be_bytes()[0];
        }
    }
}

#[test]
fn what_is_sealed_opens_and_nothing_else_does() {
    let key = Key::generated(b"correct horse battery staple".to_vec());
    let wrong = Key::generated(b"correct horse battery stable".to_vec());
    let write = WriteOptions { pgp: pgp::Write::for_key(&key), version: 1 };
    for format in [Format::Pgp, Format::PgpArmored] {
        for size in [0, 1, 15, 16, 17, 100, 8191, 8192, 65_536] {
            for shape in [
                pgp::Shape::text(),
                pgp::Shape::bytes().compressed(pgp::Compression::Zip),
                pgp::Shape::unicode().dated(7).compressed(pgp::Compression::Zlib),
            ] {
                let plain = Zeroizing::new(vec![7; size]);
                let opened = Opened { plain, shape: Shape::Pgp(shape) };
                let sealed = format.seal(&opened, &key, &write, &mut fill()).unwrap();
                let again = format.open(&sealed, &key, Limits::default()).unwrap();
                assert_eq!(again.plain, opened.plain);
                assert_eq!(again.shape, opened.shape);
                let refused = format.open(&sealed, &wrong, Limits::default()).unwrap_err();
                assert_eq!(refused, OpenError::WrongKey);
            }
        }
    }
}

/// What pgcrypto 1.3 of PostgreSQL 15 wrote, under "secret".
const WRITTEN_BY_PGCRYPTO: &[(&str, &str)] = &[
    (
        "",
        "c30d040703020211ec2df9642f8e6fd23d01044d542a52c3c8d679c74e9e9d9a9a0da114bbf207653dd2428c93\
         c9dea044c0186659540f0937d5d70dbe56299eafce0b2c687175552c4460855d07",
    ),
    (
        "cipher-algo=3des,compress-algo=1",
        "c30d040203021964daaa79b2da8d6bd23a01072a5df5753d231d81ca10ed3612e57900a78aeeefbb411f258a6a5\
         6455201201faffe75f6e05a186d0afe705375bdd7492889e054a667143b",
    ),
    (
        "cipher-algo=aes256,sess-key=1,compress-algo=2,unicode-mode=1",
        "c32e04090302af2ae3aa06514bb0787a6ff5d360ab76da2a7db3200e3f5b79b643d9e82a37a9394b714666e223c5\
         7322d248015073624c4904f7357a1c6f88bebbe473697d1eae109b30b161f3e3c91a51b5aecb51f17eca467c0830\
         09dc3e41ad81696ade705eeae48e061b584d6de53fbde7772ee8ccb207a2",
    ),
];

/// The same with disable-mdc=1,s2k-count=1024: nothing in it tells a wrong key for sure.
const WRITTEN_WITHOUT_CHECK: &str = "c30d0407030232bc50dcb18bd90400c9260e6f3d5d095441e1e4d1e055608ffdd4dd2e45f0eae0c5d11e6e45\
     f3a07a08833d854af75562";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn what_pgcrypto_wrote_opens() {
    let key = Key::passphrase(b"secret".to_vec());
    let without = ("disable-mdc=1", WRITTEN_WITHOUT_CHECK);
    for (options, hex) in WRITTEN_BY_PGCRYPTO.iter().chain([&without]) {
        let opened = Format::Pgp.open(&bytes(hex), &key, Limits::default());
        let opened = opened.unwrap_or_else(|err| panic!("{options}: {err}"));
        assert_eq!(&**opened.plain, "hello wörld".as_bytes(), "{options}");
    }
}

fn sealed(plain: Vec<u8>, shape: pgp::Shape, key: &Key) -> Vec<u8> {
    let write = WriteOptions { pgp: pgp::Write::for_key(key), version: 1 };
    let opened = Opened { plain: Zeroizing::new(plain), shape: Shape::Pgp(shape) };
    Format::Pgp.seal(&opened, key, &write, &mut fill()).unwrap()
}

#[test]
fn no_other_key_opens() {
    let value =
        sealed(b"a value".to_vec(), pgp::Shape::text(), &Key::generated(b"the key".to_vec()));
    let old = bytes(WRITTEN_WITHOUT_CHECK);
    for number in 0..20_000_u32 {
        let wrong = Key::generated(number.to_be_bytes().to_vec());
        let refused = Format::Pgp.open(&value, &wrong, Limits::default()).unwrap_err();
        assert_eq!(refused, OpenError::WrongKey);
        let refused = Format::Pgp.open(&old, &wrong, Limits::default()).unwrap_err();
        assert_eq!(refused, OpenError::WrongKey);
    }
}

#[test]
fn a_bomb_is_refused_while_it_is_inflated() {
    let key = Key::generated(b"the key".to_vec());
    for compression in [pgp::Compression::Zip, pgp::Compression::Zlib] {
        let shape = pgp::Shape::bytes().compressed(compression);
        let bomb = sealed(vec![0; 64 << 20], shape, &key);
        assert!(bomb.len() < 128 << 10, "{}", bomb.len());
        let limits = Limits { plain_bytes_max: 1 << 20 };
        let refused = Format::Pgp.open(&bomb, &key, limits).unwrap_err();
        assert_eq!(refused, OpenError::TooLarge { limit_bytes: 1 << 20 });
    }
    let fits = sealed(vec![0; 1 << 20], pgp::Shape::bytes(), &key);
    let limits = |plain_bytes_max| Limits { plain_bytes_max };
    assert!(Format::Pgp.open(&fits, &key, limits(1 << 20)).is_ok());
    let refused = Format::Pgp.open(&fits, &key, limits((1 << 20) - 1)).unwrap_err();
    assert_eq!(refused, OpenError::TooLarge { limit_bytes: (1 << 20) - 1 });
}

#[test]
fn what_is_not_a_message_under_one_passphrase_is_named() {
    let key = Key::generated(b"the key".to_vec());
    let message = sealed(b"a value".to_vec(), pgp::Shape::text(), &key);
    let (session, data) = message.split_at(15);
    let unsupported = |value: &[u8]| match Format::Pgp.open(value, &key, Limits::default()) {
        Err(OpenError::Unsupported { what }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(unsupported(&[0xC1, 1, 3]), "encryption to a public key");
    assert_eq!(unsupported(&[session, &[0xC1, 1, 3]].concat()), "encryption to a public key");
    assert_eq!(
        unsupported(&[session, session, data].concat()),
        "a message under several passphrases"
    );
    assert_eq!(unsupported(data), "a message without a session key packet");
    for (number, what) in [(1, "the cipher IDEA"), (10, "the cipher Twofish")] {
        let mut other = message.clone();
        other[3] = number;
        assert_eq!(unsupported(&other), what);
    }
    let marked = [&[0xCA, 3, b'P', b'G', b'P'], message.as_slice()].concat();
    assert_eq!(&**Format::Pgp.open(&marked, &key, Limits::default()).unwrap().plain, b"a value");
}

/// Every byte that is changed, and every byte that is cut off, is noticed.
#[test]
fn damage_is_noticed() {
    let key = Key::generated(b"the key".to_vec());
    let message = sealed(b"a value".to_vec(), pgp::Shape::text(), &key);
    for at in 0..message.len() {
        assert!(Format::Pgp.open(&message[..at], &key, Limits::default()).is_err());
        for bit in 0..8 {
            let mut other = message.clone();
            other[at] ^= 1 << bit;
            assert!(Format::Pgp.open(&other, &key, Limits::default()).is_err(), "{at} {bit}");
        }
    }
}

proptest! {
    #[test]
    fn anything_comes_back(
        plain in vec(any::<u8>(), 0..3000),
        passphrase in vec(any::<u8>(), 0..100),
        (kind, date, compression, small, strong) in
            (0..3, any::<u32>(), 0..3, any::<bool>(), any::<bool>()),
        armored in any::<bool>(),
    ) {
        let key = if strong { Key::generated(passphrase) } else { Key::passphrase(passphrase) };
        let shape = match kind {
            0 => pgp::Shape::text(),
            1 => pgp::Shape::bytes(),
            _ => pgp::Shape::unicode(),
        };
        let compression = match compression {
            0 => pgp::Compression::None,
            1 => pgp::Compression::Zip,
            _ => pgp::Compression::Zlib,
        };
        let shape = Shape::Pgp(shape.dated(date).compressed(compression));
        let write = pgp::Write::for_key(&key);
        let write = if small { write.aes128() } else { write };
        let write = WriteOptions { pgp: write, version: 1 };
        let opened = Opened { plain: Zeroizing::new(plain), shape };
        let format = if armored { Format::PgpArmored } else { Format::Pgp };
        let sealed = format.seal(&opened, &key, &write, &mut fill()).unwrap();
        let again = format.open(&sealed, &key, Limits::default()).unwrap();
        prop_assert_eq!(&again.plain, &opened.plain);
        prop_assert_eq!(&again.shape, &opened.shape);
    }

    #[test]
    fn any_bytes_are_looked_at_without_harm(value in vec(any::<u8>(), 0..200)) {
        let key = Key::generated(b"the key".to_vec());
        for format in [Format::Pgp, Format::PgpArmored] {
            prop_assert!(format.open(&value, &key, Limits::default()).is_err());
            let _ = format.census(&value);
        }
    }
}
