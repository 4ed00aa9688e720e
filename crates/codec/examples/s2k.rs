//! Prints what it costs to make keys of passphrases, as pgcrypto does by default: with the sha1
//! crate over a buffer, and as keywheel does it for many values at once. In one run, one core.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(clippy::disallowed_methods, reason = "a stopwatch is no decision")]
#![expect(clippy::unwrap_used, reason = "an example that fails ends")]

use std::time::Instant;

use keywheel_codec::{Format, Key, Limits, Opened, Shape, WriteOptions, pgp};
use sha1::Digest as _;
use zeroize::Zeroizing;

const VALUES: usize = 400;
const RUNS: usize = 7;
/// What pgcrypto hashes on average.
const MEAN_BYTES: f64 = 144_384.0;
/// A count that there is, near the mean.
const COUNT: u32 = 139_264;

/// The median of some runs, in microseconds for each `MEAN_BYTES`.
fn median(mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2] * 1e6 / f64::from(u32::try_from(VALUES).unwrap()) * MEAN_BYTES
        / f64::from(COUNT)
}

fn buffered(passphrase: &[u8]) -> f64 {
    let tile: Vec<u8> = b"saltsalt".iter().chain(passphrase).copied().cycle().take(8192).collect();
    median(|| {
        for _ in 0..VALUES {
            let mut hash = sha1::Sha1::new();
            let mut left = COUNT as usize;
            while left > 0 {
                let take = left.min(tile.len());
                hash.update(&tile[..take]);
                left -= take;
            }
            std::hint::black_box(hash.finalize());
        }
    })
}

fn together(passphrase: &[u8]) -> f64 {
    let key = Key::passphrase(passphrase.to_vec());
    let write = pgp::Write::for_key(&key).aes128().stretched(COUNT);
    let write = WriteOptions { pgp: write, version: 1 };
    let mut salt = 0_u8;
    let mut fill = |buffer: &mut [u8]| {
        salt = salt.wrapping_add(1);
        buffer.fill(salt);
    };
    let plain = Zeroizing::new(b"a value".to_vec());
    let opened = Opened { plain, shape: Shape::Pgp(pgp::Shape::text()) };
    let sealed = Format::Pgp.seal_many(&[&opened; VALUES], &key, &write, &mut fill);
    let sealed: Vec<Vec<u8>> = sealed.into_iter().map(Result::unwrap).collect();
    let values: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
    median(|| {
        let opened = Format::Pgp.open_many(&values, &key, Limits::default());
        assert!(opened.iter().all(Result::is_ok));
    })
}

fn main() {
    println!("us for each {MEAN_BYTES} bytes; median of {RUNS} runs of {VALUES} values");
    println!("{:>10} {:>10} {:>10} {:>8}", "passphrase", "buffered", "together", "ratio");
    for bytes in [8_usize, 23, 24, 32, 44, 56, 64, 100] {
        let passphrase = vec![b'k'; bytes];
        let (one, many) = (buffered(&passphrase), together(&passphrase));
        println!("{bytes:>10} {one:>10.1} {many:>10.1} {:>8.2}", one / many);
    }
}
