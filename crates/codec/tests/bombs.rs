//! Messages that inflate to a thousand times their size, opened in a process of its own: what is
//! judged is the memory that the system counted.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails by panicking")]

use std::process::Command;

use aes::Aes256;
use aes::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};
use flate2::{Compress, Compression, FlushCompress};
use keywheel_codec::{Format, Key, Limits, OpenError, Opened, Shape, WriteOptions, pgp};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Tells the test below what to open.
const CASE: &str = "KEYWHEEL_TEST_BOMB";
const MIB: usize = 1 << 20;
const LIMITS: Limits = Limits { plain_bytes_max: MIB };
/// With nothing opened a process has about 10 MiB, so a plaintext of 1 MiB cannot need more.
const PEAK_MIB: usize = 40;

/// A literal packet of 1 GiB of zeros, compressed: a piece that stands for itself, again and again.
fn compressed(number: u8) -> Vec<u8> {
    let mut deflate = Compress::new(Compression::best(), false);
    let mut piece = |data: &[u8]| {
        let mut out = Vec::with_capacity(8_192);
        deflate.compress_vec(data, &mut out, FlushCompress::Full).unwrap();
        out
    };
    // A packet without a length ends with the data.
    let head = piece(&[0x80 | 11 << 2 | 3, b'b', 0, 0, 0, 0, 0]);
    let zeros = vec![0; MIB];
    let first = piece(&zeros);
    assert!(first.len() < 4_096);
    let zlib: &[u8] = if number == 2 { &[0x78, 0x9C] } else { &[] };
    let packet = [0x80 | 8 << 2 | 3, number];
    [packet.as_slice(), zlib, &head, &first.repeat(1_024)].concat()
}

fn encrypt(key: &[u8], data: &mut [u8]) {
    let cipher = Aes256::new_from_slice(key).unwrap();
    let mut register = Array::from([0; 16]);
    for chunk in data.chunks_mut(16) {
        cipher.encrypt_block(&mut register);
        for (byte, mask) in chunk.iter_mut().zip(&register) {
            *byte ^= mask;
        }
        for (to, byte) in register.iter_mut().zip(chunk) {
            *to = *byte;
        }
    }
}

fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0xC0 | tag, 255], length.as_slice(), body].concat()
}

/// A message with AES-256, a modification check, and a passphrase that is hashed once; with no
/// passphrase one that was never encrypted.
fn message(inside: &[u8], passphrase: Option<&str>) -> Vec<u8> {
    let mut data = [b"sixteen bytes .. ..".get(..16).unwrap(), b"..", inside].concat();
    data.extend_from_slice(&[0xD3, 0x14]);
    let check = Sha1::digest(&data);
    data.extend_from_slice(&check);
    if let Some(passphrase) = passphrase {
        encrypt(&Sha256::digest(passphrase), &mut data);
    }
    [packet(3, &[4, 9, 0, 8]), packet(18, &[&[1], data.as_slice()].concat())].concat()
}

fn key(text: &str) -> Key {
    Key::passphrase(text.as_bytes().to_vec())
}

/// The most memory that this process ever had.
fn peak_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() / 1_024
}

fn refused(format: &Format, value: &[u8], passphrase: &str) -> OpenError {
    format.open(value, &key(passphrase), LIMITS).unwrap_err()
}

fn run(case: &str) -> usize {
    let too_large = OpenError::TooLarge { limit_bytes: MIB };
    for number in [1, 2] {
        let inside = compressed(number);
        assert!(inside.len() < 2 * MIB);
        match case {
            "encrypted" => {
                let bomb = message(&inside, Some("right"));
                assert_eq!(refused(&Format::Pgp, &bomb, "right"), too_large);
                assert_eq!(refused(&Format::Pgp, &bomb, "wrong"), OpenError::WrongKey);
                assert!(Format::Pgp.census(&bomb).is_ok());
            }
            "never encrypted" => {
                let bomb = message(&inside, None);
                let header = Format::Pgp.census(&bomb).unwrap().to_string();
                assert!(header.contains("NOT ENCRYPTED"), "{header}");
                let error = refused(&Format::Pgp, &bomb, "any");
                assert!(matches!(error, OpenError::Unsupported { .. }), "{error}");
                assert_eq!(pgp::open_exposed(&bomb, LIMITS).unwrap_err(), too_large);
            }
            "many" => {
                let bomb = message(&inside, Some("right"));
                let bombs = [bomb.as_slice(); 50];
                let opened = Format::Pgp.open_many(&bombs, &key("right"), LIMITS);
                assert!(opened.into_iter().all(|one| one.unwrap_err() == too_large));
            }
            other => panic!("{other}"),
        }
    }
    PEAK_MIB
}

/// A message of this many bytes, sealed and opened as a mover does.
fn run_size(mebibytes: usize) -> usize {
    for compression in [pgp::Compression::None, pgp::Compression::Zip] {
        let key = Key::generated(b"0123456789abcdef".to_vec());
        let shape = Shape::Pgp(pgp::Shape::bytes().compressed(compression));
        let opened = Opened { plain: Zeroizing::new(vec![7; mebibytes * MIB]), shape };
        let write = WriteOptions { pgp: pgp::Write::for_key(&key), version: 1 };
        let sealed = Format::Pgp.seal(&opened, &key, &write, &mut |to| to.fill(7)).unwrap();
        let again = Format::Pgp.open(&sealed, &key, Limits::default()).unwrap();
        assert!(again.plain == opened.plain);
    }
    6 * mebibytes + PEAK_MIB
}

/// Is started by the other tests, as a program of its own; alone it does nothing.
#[test]
fn what_is_opened_in_a_process_of_its_own() {
    let Ok(case) = std::env::var(CASE) else { return };
    let most = case.parse().map_or_else(|_| run(&case), run_size);
    println!("a peak of {} MiB", peak_mib());
    assert!(peak_mib() < most, "{case}: {} of {most} MiB", peak_mib());
}

/// What the process says of its memory.
fn start(case: &str) -> String {
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "what_is_opened_in_a_process_of_its_own", "--nocapture"])
        .env(CASE, case)
        .output()
        .unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ended.status.success() && said.contains("a peak of"), "{said}");
    let peak = said.lines().find(|line| line.contains("a peak of")).unwrap_or_default();
    format!("{case}: {peak}")
}

#[test]
fn a_bomb_of_a_gibibyte_is_refused_in_little_memory() {
    println!("{}", start("encrypted"));
}

#[test]
fn a_bomb_that_was_never_encrypted_is_seen_and_refused_in_little_memory() {
    println!("{}", start("never encrypted"));
}

#[test]
fn many_bombs_are_refused_in_little_memory() {
    println!("{}", start("many"));
}

#[test]
fn a_large_message_takes_a_few_times_its_size() {
    for mebibytes in ["1", "40"] {
        println!("{}", start(mebibytes));
    }
}
