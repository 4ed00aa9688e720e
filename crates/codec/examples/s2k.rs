//! Prints what it costs to make keys of passphrases, as pgcrypto does by default: with the sha1
//! crate over a buffer, and as keywheel does it for many values at once. In one run, one core.

#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(clippy::disallowed_methods, reason = "a stopwatch is no decision")]
#![expect(clippy::unwrap_used, reason = "an example that fails ends")]

use std::time::Instant;

use keywheel_codec::{Format, Key, Limits, Opened, Shape, WriteOptions, pgp};
use sha1::Digest as _;
use zeroize::Zeroizing;

const VALUES: usize = 40;
const RUNS: usize = 150;
/// What pgcrypto hashes on average.
const MEAN_BYTES: f64 = 144_384.0;
/// A count that there is, near the mean.
const COUNT: u32 = 139_264;

/// Microseconds for each `MEAN_BYTES`.
fn time(run: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    run();
    let values = f64::from(u32::try_from(VALUES).unwrap());
    start.elapsed().as_secs_f64() * 1e6 / values * MEAN_BYTES / f64::from(COUNT)
}

fn buffered(passphrase: &[u8]) -> impl FnMut() {
    let tile: Vec<u8> = b"saltsalt".iter().chain(passphrase).copied().cycle().take(8192).collect();
    move || {
        for _ in 0..VALUES {
            let mut hash = sha1::Sha1::new();
            let mut left = COUNT as usize;
            while left > 0 {
                let take = left.min(tile.len());
                hash.update(tile.get(..take).unwrap());
                left -= take;
            }
            std::hint::black_box(hash.finalize());
        }
    }
}

fn together(passphrase: &[u8]) -> impl FnMut() {
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
    move || {
        let values: Vec<&[u8]> = sealed.iter().map(Vec::as_slice).collect();
        let opened = Format::Pgp.open_many(&values, &key, Limits::default());
        assert!(opened.iter().all(Result::is_ok));
    }
}

/// What keywheel takes on this machine.
fn best() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "AVX-512, sixteen at once";
        }
        if std::arch::is_x86_feature_detected!("sha") {
            return "the extensions for SHA, four at once";
        }
    }
    "nothing, one at a time"
}

fn main() {
    println!(
        "A key of a passphrase, as pgcrypto stretches it by default: \u{b5}s for {MEAN_BYTES} \
         bytes of SHA-1, the best of {RUNS} turns. The peer is the sha1 crate over a buffer; keywheel opens \
         whole values, {VALUES} together, with the best that this CPU has: {}.\n",
        best()
    );
    println!("| bytes of the passphrase | buffered \u{b5}s | keywheel \u{b5}s | less |");
    println!("|--:|--:|--:|--:|");
    for bytes in [8_usize, 23, 24, 32, 44, 56, 64, 100] {
        let passphrase = vec![b'k'; bytes];
        let (mut buffered, mut together) = (buffered(&passphrase), together(&passphrase));
        let (mut one, mut many) = (f64::MAX, f64::MAX);
        for _ in 0..RUNS {
            one = one.min(time(&mut buffered));
            many = many.min(time(&mut together));
        }
        println!("| {bytes} | {one:.1} | {many:.1} | {:.2}\u{d7} |", one / many);
    }
}
