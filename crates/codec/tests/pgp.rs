//! OpenPGP messages that are sealed and opened again.

use keywheel_codec::pgp;
use keywheel_codec::{Format, Key, Limits, Opened, Shape, WriteOptions};
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
                assert_eq!(refused, keywheel_codec::OpenError::WrongKey);
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

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn what_pgcrypto_wrote_opens() {
    let key = Key::passphrase(b"secret".to_vec());
    for (options, hex) in WRITTEN_BY_PGCRYPTO {
        let opened = Format::Pgp.open(&bytes(hex), &key, Limits::default());
        let opened = opened.unwrap_or_else(|err| panic!("{options}: {err}"));
        assert_eq!(&**opened.plain, "hello wörld".as_bytes(), "{options}");
    }
}
