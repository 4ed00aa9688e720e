//! Whether a token was revoked: what it costs to ask, and what the set takes in memory. Peers: the
//! standard library's `HashSet` of the same texts, which knows of no expiry and no other thread,
//! and a Redis that is asked from Python.

mod redis;

use std::collections::HashSet;
use std::fmt::Write as _;
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

/// How many Redis is given: what the budget speaks of.
const REDIS: usize = 1_000_000;

/// The bytes of a UUID as text.
const UUID: usize = 36;

/// UUIDs in one piece of memory, because the text of a token that is verified was read just before:
/// it costs no look into memory of its own.
struct Texts(String);

impl Texts {
    fn of(numbers: impl Iterator<Item = usize>) -> Self {
        Self(numbers.map(uuid).collect())
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.0.len() / UUID).filter_map(|index| self.0.get(index * UUID..(index + 1) * UUID))
    }

    fn lines(&self) -> String {
        self.iter().flat_map(|text| [text, "\n"]).collect()
    }
}

pub(crate) fn run(scale: Scale) -> Fallible<String> {
    let sizes: &[usize] = match scale {
        Scale::Ci => &[0, 100_000, 1_000_000],
        Scale::Full => &[0, 100_000, 1_000_000, 10_000_000],
    };
    let spent = Duration::from_millis(scale.pick(100, 500));
    let mut text = String::from(
        "A `jti` is a UUID as text; each question is about another of 65,536 tokens, whose texts \
         stand in one piece of memory, as a text does that was just read; a large set is asked \
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
    let mut ours = None;
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
        if *size == REDIS {
            ours = Some(row);
        }
    }
    text.push_str(&table.finish());
    if let Some(ours) = ours {
        text.push_str(&beside_redis(&ours, scale.pick("1", "5"))?);
    }
    Ok(text)
}

/// The questions about as many tokens put to Redis, over ours.
fn beside_redis(ours: &Row, seconds: &str) -> Fallible<String> {
    let (absent, present) = asked(REDIS);
    let answer = redis::ask(&Texts::of(0..REDIS), &absent, &present, seconds)?;
    let redis::Answer { server, client, parser, .. } = &answer;
    let mut text = format!(
        "\nThe same {} `jti` in a set of Redis {server}, put there by SADD and asked by SISMEMBER \
         from Python with redis-py {client} and hiredis {parser}, one question at a time: over TCP on \
         loopback with the client's pool, as its documentation begins, and over a unix socket on \
         one kept connection, the cheapest way that it has. CPU of the client and of the server, {seconds} s of \
         questions each; ours is the row above. Budget: 1,000×.\n\n",
        grouped(REDIS as f64)
    );
    let mut table = Table::new(&[
        "",
        "Python, CPU ns",
        "Redis, CPU ns",
        "together",
        "on the wall, ns",
        "ours, CPU ns",
        "together to ours",
    ]);
    let ([miss, hit], [kept_miss, kept_hit]) = (answer.pooled, answer.kept);
    for (name, peer, ours) in [
        ("not revoked", miss, ours.miss),
        ("revoked", hit, ours.hit),
        ("not revoked, kept connection", kept_miss, ours.miss),
        ("revoked, kept connection", kept_hit, ours.hit),
    ] {
        let redis::Cost(client, server, wall) = peer;
        let cells = [client, server, peer.cpu(), wall, ours].map(figure);
        table.row(name, &[cells.as_slice(), &[ratio(peer.cpu(), ours)]].concat());
    }
    text.push_str(&table.finish());
    let each = figure(answer.bytes / REDIS as f64);
    writeln!(text, "\nIts set takes {each} bytes an entry and forgets nothing by itself.")?;
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
    let (absent, present) = asked(size);
    let ask = |jti: &str| {
        let facts = Facts { jti: Some(jti), issued_at: Some(0), ..Facts::default() };
        set.check(&facts).is_some()
    };
    let (miss, hit) = (nanos_each(&absent, spent, ask)?, nanos_each(&present, spent, ask)?);
    drop(set);
    let peer: HashSet<String> = (0..size).map(uuid).collect();
    let ask = |jti: &str| peer.contains(jti);
    let (peer_miss, peer_hit) =
        (nanos_each(&absent, spent, ask)?, nanos_each(&present, spent, ask)?);
    // A bucket holds a String and one control byte; seven of eight may be full.
    let buckets = (peer.capacity() * 8 / 7).next_power_of_two();
    let peer_bytes = (buckets * (size_of::<String>() + 1) + size * 36) as f64;
    Ok(Row { miss, hit, peer_miss, peer_hit, bytes, peer_bytes, apply })
}

/// Tokens that are not in a set of this size, and tokens that are.
fn asked(size: usize) -> (Texts, Texts) {
    let step = (size / ASKED).max(1);
    let absent = Texts::of((0..ASKED).map(|number| usize::MAX - number));
    (absent, Texts::of((0..ASKED).map(|number| (number * step) % size.max(1))))
}

/// CPU nanoseconds of one question. Where each text begins is found before.
fn nanos_each(texts: &Texts, spent: Duration, ask: impl Fn(&str) -> bool) -> Fallible<f64> {
    let texts: Vec<&str> = texts.iter().collect();
    let round =
        micros_each(spent, || Ok(texts.iter().filter(|text| ask(black_box(**text))).count()))?;
    Ok(round * 1_000.0 / ASKED as f64)
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
