//! Whether a token was revoked: what it costs to ask, and what the set takes in memory. Peer: the
//! standard library's `HashSet` of the same texts, which knows of no expiry and no other thread.

use std::collections::HashSet;
use std::hint::black_box;
use std::time::Duration;

use keywheel_core::revocation::{Facts, Revocation, RevocationSet};

use crate::measure::{micros_each, thread_cpu};
use crate::table::{Table, figure, grouped, ratio};
use crate::{Fallible, Scale};

/// How many different tokens are asked about, in an order in which no two follow each other in
/// memory.
const ASKED: usize = 65_536;

const EXPIRES: i64 = 4_000_000_000;

pub(crate) fn run(scale: Scale) -> Fallible<String> {
    let sizes: &[usize] = match scale {
        Scale::Ci => &[0, 100_000, 1_000_000],
        Scale::Full => &[0, 100_000, 1_000_000, 10_000_000],
    };
    let spent = Duration::from_millis(scale.pick(100, 500));
    let mut text = String::from(
        "A `jti` is a UUID as text; each question is about another token, so a large set is asked \
         outside of the processor's caches. The peer is `std::collections::HashSet<String>` without \
         a lock: its bytes are those of the texts and of the table.\n\n",
    );
    let mut table = Table::new(&[
        "revoked",
        "not revoked, CPU ns",
        "std HashSet ns",
        "to that",
        "revoked, CPU ns",
        "std HashSet ns",
        "to that",
        "bytes an entry",
        "std HashSet bytes",
        "apply, CPU ns",
    ]);
    for size in sizes {
        let row = measure(*size, spent)?;
        let per_entry = |bytes: f64| {
            if *size == 0 { "–".to_owned() } else { figure(bytes / *size as f64) }
        };
        let found = |cost: f64| if *size == 0 { "–".to_owned() } else { figure(cost) };
        table.row(
            grouped(*size as f64),
            &[
                figure(row.miss),
                figure(row.peer_miss),
                ratio(row.miss, row.peer_miss),
                found(row.hit),
                found(row.peer_hit),
                if *size == 0 { "–".into() } else { ratio(row.hit, row.peer_hit) },
                per_entry(row.bytes),
                per_entry(row.peer_bytes),
                per_entry(row.apply),
            ],
        );
    }
    text.push_str(&table.finish());
    Ok(text)
}

struct Row {
    miss: f64,
    hit: f64,
    peer_miss: f64,
    peer_hit: f64,
    bytes: f64,
    peer_bytes: f64,
    apply: f64,
}

fn measure(size: usize, spent: Duration) -> Fallible<Row> {
    let set = RevocationSet::new([0x5a; 16]);
    let started = thread_cpu();
    for number in 0..size {
        set.apply(&Revocation::jti(uuid(number), EXPIRES)?);
    }
    let apply = thread_cpu().saturating_sub(started).as_nanos() as f64;
    let bytes = set.bytes() as f64;
    let absent: Vec<String> = (0..ASKED).map(|number| uuid(usize::MAX - number)).collect();
    let step = (size / ASKED).max(1);
    let present: Vec<String> =
        (0..ASKED).map(|number| uuid((number * step) % size.max(1))).collect();
    let ask = |jti: &String| {
        let facts = Facts { jti: Some(jti), issued_at: Some(0), ..Facts::default() };
        set.check(&facts).is_some()
    };
    let (miss, hit) = (nanos_each(&absent, spent, ask)?, nanos_each(&present, spent, ask)?);
    drop(set);
    let peer: HashSet<String> = (0..size).map(uuid).collect();
    let ask = |jti: &String| peer.contains(jti);
    let (peer_miss, peer_hit) =
        (nanos_each(&absent, spent, ask)?, nanos_each(&present, spent, ask)?);
    // A bucket holds a String and one control byte; seven of eight may be full.
    let buckets = (peer.capacity() * 8 / 7).next_power_of_two();
    let peer_bytes = (buckets * (size_of::<String>() + 1) + size * 36) as f64;
    Ok(Row { miss, hit, peer_miss, peer_hit, bytes, peer_bytes, apply })
}

/// CPU nanoseconds of one question.
fn nanos_each(tokens: &[String], spent: Duration, ask: impl Fn(&String) -> bool) -> Fallible<f64> {
    let round =
        micros_each(spent, || Ok(tokens.iter().filter(|token| ask(black_box(token))).count()))?;
    Ok(round * 1_000.0 / tokens.len() as f64)
}

/// A text of the form of a UUID that follows from a number.
fn uuid(number: usize) -> String {
    let mut x = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(number as u64);
        x ^ (x >> 31)
    };
    let (a, b) = (next(), next());
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xffff,
        b >> 48,
        b & 0xffff_ffff_ffff
    )
}
