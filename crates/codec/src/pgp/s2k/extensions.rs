//! Many SHA-1 keys at once, with what the CPU has for it: sixteen on AVX-512 (`wide`), or four on
//! the SHA extensions of x86-64, which is the rest of this file. The only file of this crate with
//! unsafe code.
//!
//! One message waits for itself: each step of SHA-1 needs the one before it. So four messages take
//! turns in the same loop, and a message that ends makes room for the next. What is hashed is salt
//! and passphrase again and again, so there are only so many different blocks; the schedule of each
//! (what SHA-1 makes of a block before it mixes it into its state) is computed once.

#![expect(unsafe_code, reason = "functions for CPUs that have been asked for are called so")]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_set_epi32, _mm_setzero_si128,
    _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32,
    _mm_xor_si128,
};
use std::collections::VecDeque;

use zeroize::{Zeroize, Zeroizing};

use super::Job;
use super::stream::{self, BLOCK_BYTES, SHA1_BYTES, Stream, Task, blocks, different};
use super::wide::{self, Wide};

/// How many messages take turns.
const LANES: usize = 4;
/// From how many messages on sixteen lanes cost less than four that take turns, where there are
/// both.
const WIDE_MIN: usize = 5;

/// What SHA-1 makes of one block: eighty words, four in each vector, the first one on top.
#[derive(Clone, Copy)]
struct Schedule([__m128i; 20]);

impl Zeroize for Schedule {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// The five words of a hash: four of them, the first one on top, and the fifth on top of another.
#[derive(Clone, Copy)]
struct State {
    abcd: __m128i,
    e: __m128i,
}

/// Some blocks of a message: schedules that are used in turn, until so many were.
#[derive(Clone, Copy)]
struct Segment {
    from: usize,
    len: usize,
    blocks: usize,
}

/// A message that is being hashed.
struct Lane {
    state: State,
    schedules: Zeroizing<Vec<Schedule>>,
    segments: VecDeque<Segment>,
    /// Which schedule of the first segment is next.
    at: usize,
    to: usize,
}

fn has_wide() -> bool {
    is_x86_feature_detected!("avx512f")
}

fn has_sha() -> bool {
    is_x86_feature_detected!("sha")
        && is_x86_feature_detected!("ssse3")
        && is_x86_feature_detected!("sse4.1")
}

/// Whether this machine can, and this is a job for it.
pub(super) fn suits(passphrase: &[u8], job: &Job) -> bool {
    stream::suits(passphrase, job) && (has_wide() || has_sha())
}

/// Derives the keys of jobs that [`suits`] said yes to.
pub(super) fn derive(passphrase: &[u8], jobs: &[&Job]) -> Vec<Zeroizing<Vec<u8>>> {
    let hashes = hash_all(passphrase, stream::tasks(jobs), has_wide(), has_sha());
    let mut hashes = hashes.iter();
    let key_of = |job: &&Job| {
        let parts = job.key_bytes.div_ceil(SHA1_BYTES);
        let mut key = Zeroizing::new(Vec::with_capacity(parts * SHA1_BYTES));
        hashes.by_ref().take(parts).for_each(|hash| key.extend_from_slice(hash));
        key.truncate(job.key_bytes);
        key
    };
    jobs.iter().map(key_of).collect()
}

/// The hashes of all tasks. The machine must have one of the two.
fn hash_all(
    passphrase: &[u8],
    mut tasks: Vec<Task<'_>>,
    has_wide: bool,
    has_sha: bool,
) -> Zeroizing<Vec<[u8; SHA1_BYTES]>> {
    let mut hashes = Zeroizing::new(vec![[0; SHA1_BYTES]; tasks.len()]);
    let mut narrow = VecDeque::new();
    if has_wide {
        tasks.sort_by_key(|task| (task.zeros, task.bytes(passphrase)));
        let mut wide = Wide::new(passphrase);
        for same in tasks.chunk_by(|one, other| one.zeros == other.zeros) {
            for group in same.chunks(wide::LANES) {
                if has_sha && group.len() < WIDE_MIN {
                    narrow.extend(group.iter().copied());
                    continue;
                }
                // SAFETY: this machine has the feature.
                unsafe { wide.hash(group, &mut hashes) };
            }
        }
    } else {
        narrow.extend(tasks);
    }
    if has_sha && !narrow.is_empty() {
        // SAFETY: this machine has the three features.
        unsafe { take_turns_all(passphrase, narrow, &mut hashes) };
    }
    hashes
}

/// Hashes all tasks, four at a time.
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn take_turns_all(
    passphrase: &[u8],
    mut tasks: VecDeque<Task<'_>>,
    hashes: &mut [[u8; SHA1_BYTES]],
) {
    let mut lanes: Vec<Lane> = Vec::with_capacity(LANES);
    while lanes.len() < LANES
        && let Some(task) = tasks.pop_front()
    {
        let mut lane = Lane::empty();
        lane.begin(passphrase, &task);
        lanes.push(lane);
    }
    while !lanes.is_empty() {
        take_turns(&mut lanes);
        let mut at = 0;
        while let Some(lane) = lanes.get_mut(at) {
            if !lane.segments.is_empty() {
                at += 1;
                continue;
            }
            if let Some(to) = hashes.get_mut(lane.to) {
                *to = *bytes_of(lane.state);
            }
            if let Some(task) = tasks.pop_front() {
                lane.begin(passphrase, &task);
            } else {
                lanes.swap_remove(at);
            }
        }
    }
}

/// Hashes as many blocks of each lane as all of them have in their first segments.
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn take_turns(lanes: &mut [Lane]) {
    let first = |lane: &Lane| lane.segments.front().map_or(0, |segment| segment.blocks);
    let blocks = lanes.iter().map(first).min().unwrap_or_default();
    match &mut *lanes {
        [a, b, c, d] => run([a, b, c, d], blocks),
        [a, b, c] => run([a, b, c], blocks),
        [a, b] => run([a, b], blocks),
        others => others.iter_mut().for_each(|lane| run([lane], blocks)),
    }
    for lane in lanes {
        lane.advance(blocks);
    }
}

/// Four rounds of every lane, from the second four on.
macro_rules! rounds {
    ($abcd:ident, $before:ident, $words:ident, $($at:literal: $function:literal),*) => {$(
        for ((abcd, before), words) in $abcd.iter_mut().zip(&mut $before).zip(&$words) {
            let e = _mm_sha1nexte_epu32(*before, words.0[$at]);
            *before = *abcd;
            *abcd = _mm_sha1rnds4_epu32::<$function>(*abcd, e);
        }
    )*};
}

/// Hashes so many blocks of each lane, in turns. All of them have that many.
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn run<const N: usize>(mut lanes: [&mut Lane; N], blocks: usize) {
    let none = Schedule([_mm_setzero_si128(); 20]);
    let mut states = lanes.each_ref().map(|lane| lane.state);
    let tables = lanes.each_ref().map(|lane| lane.table());
    let mut at = lanes.each_ref().map(|lane| lane.at);
    for _ in 0..blocks {
        let mut words = [&none; N];
        for ((words, table), at) in words.iter_mut().zip(&tables).zip(&mut at) {
            *at = if *at < table.len() { *at } else { 0 };
            *words = table.get(*at).unwrap_or(&none);
            *at += 1;
        }
        let mut abcd = states.map(|state| state.abcd);
        let mut before = abcd;
        for ((abcd, state), words) in abcd.iter_mut().zip(&states).zip(&words) {
            *abcd = _mm_sha1rnds4_epu32::<0>(*abcd, _mm_add_epi32(state.e, words.0[0]));
        }
        rounds!(abcd, before, words, 1: 0, 2: 0, 3: 0, 4: 0, 5: 1, 6: 1, 7: 1, 8: 1, 9: 1);
        rounds!(abcd, before, words, 10: 2, 11: 2, 12: 2, 13: 2, 14: 2);
        rounds!(abcd, before, words, 15: 3, 16: 3, 17: 3, 18: 3, 19: 3);
        for ((state, abcd), before) in states.iter_mut().zip(&abcd).zip(&before) {
            state.e = _mm_sha1nexte_epu32(*before, state.e);
            state.abcd = _mm_add_epi32(state.abcd, *abcd);
        }
    }
    for ((lane, state), at) in lanes.iter_mut().zip(states).zip(at) {
        lane.state = state;
        lane.at = at;
    }
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn schedule(block: &[u8; BLOCK_BYTES]) -> Schedule {
    let mut words = [_mm_setzero_si128(); 20];
    for (to, from) in words.iter_mut().zip(block.as_chunks::<16>().0) {
        let [a, b, c, d] = *from.as_chunks::<4>().0 else { continue };
        *to = _mm_set_epi32(
            i32::from_be_bytes(a),
            i32::from_be_bytes(b),
            i32::from_be_bytes(c),
            i32::from_be_bytes(d),
        );
    }
    let [mut a, mut b, mut c, mut d, ..] = words;
    for next in words.iter_mut().skip(4) {
        *next = _mm_sha1msg2_epu32(_mm_xor_si128(_mm_sha1msg1_epu32(a, b), c), d);
        (a, b, c, d) = (b, c, d, *next);
    }
    Schedule(words)
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn bytes_of(state: State) -> Zeroizing<[u8; SHA1_BYTES]> {
    let words = [
        _mm_extract_epi32::<3>(state.abcd),
        _mm_extract_epi32::<2>(state.abcd),
        _mm_extract_epi32::<1>(state.abcd),
        _mm_extract_epi32::<0>(state.abcd),
        _mm_extract_epi32::<3>(state.e),
    ];
    let mut bytes = Zeroizing::new([0; SHA1_BYTES]);
    for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}

impl State {
    /// Where SHA-1 begins.
    #[target_feature(enable = "sse2")]
    fn start() -> Self {
        let word = u32::cast_signed;
        Self {
            abcd: _mm_set_epi32(
                word(0x6745_2301),
                word(0xEFCD_AB89),
                word(0x98BA_DCFE),
                word(0x1032_5476),
            ),
            e: _mm_set_epi32(word(0xC3D2_E1F0), 0, 0, 0),
        }
    }
}

impl Lane {
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn empty() -> Self {
        Self {
            state: State::start(),
            schedules: Zeroizing::default(),
            segments: VecDeque::with_capacity(3),
            at: 0,
            to: 0,
        }
    }

    /// The schedules of the first segment.
    fn table(&self) -> &[Schedule] {
        let Some(segment) = self.segments.front() else { return &[] };
        self.schedules.get(segment.from..segment.from + segment.len).unwrap_or_default()
    }

    /// Notes that so many blocks of the first segment were hashed.
    fn advance(&mut self, blocks: usize) {
        let Some(segment) = self.segments.front_mut() else { return };
        segment.blocks = segment.blocks.saturating_sub(blocks);
        if segment.blocks == 0 {
            self.segments.pop_front();
            self.at = 0;
        }
    }

    /// Begins another message: first the block with the zeros, if there are any, then the blocks
    /// of the repeated stream, then what is left of it with SHA-1's padding.
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn begin(&mut self, passphrase: &[u8], task: &Task<'_>) {
        let stream = Stream::new(passphrase, task);
        let total = task.bytes(passphrase);
        let full = blocks(total);
        let head = usize::from(task.zeros > 0).min(full);
        let repeated = full - head;
        let different = different(stream.period()).min(repeated);
        let mut tail = Zeroizing::new([[0; BLOCK_BYTES]; 2]);
        let tails = stream.tail(total, &mut tail);

        // The passphrase can be read from schedules, so none is left behind.
        self.schedules.zeroize();
        self.segments.clear();
        self.state = State::start();
        self.to = task.to;
        self.at = 0;
        self.schedules.reserve_exact(head + different + tails);
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        for number in 0..head + different {
            stream.block(number, &mut block);
            self.schedules.push(schedule(&block));
        }
        for block in tail.iter().take(tails) {
            self.schedules.push(schedule(block));
        }
        self.segments.extend(
            [
                Segment { from: 0, len: head, blocks: head },
                Segment { from: head, len: different, blocks: repeated },
                Segment { from: head + different, len: tails, blocks: tails },
            ]
            .into_iter()
            .filter(|segment| segment.blocks > 0),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgp::algorithm::{Digest, Stretch, count_of};
    use crate::pgp::s2k::portable;

    /// Each way that this machine has by itself; what is chosen is tested in the module above.
    #[test]
    fn each_way_is_the_same_as_one_by_one() {
        let passphrase = b"a passphrase of some length";
        let job = |number: u8| Job {
            digest: Digest::Sha1,
            stretch: match number % 3 {
                0 => Stretch::Salted,
                _ => Stretch::Iterated { count: count_of(number.wrapping_mul(7) % 60) },
            },
            salt: [number; 8],
            key_bytes: if number.is_multiple_of(2) { 32 } else { 16 },
        };
        let jobs: Vec<Job> = (0..50).map(job).collect();
        let jobs: Vec<&Job> = jobs.iter().collect();
        for (wide, sha) in [(has_wide(), false), (false, has_sha()), (has_wide(), has_sha())] {
            if !wide && !sha {
                continue;
            }
            let tasks = stream::tasks(&jobs);
            let hashes = hash_all(passphrase, tasks.clone(), wide, sha);
            for task in tasks {
                let whole = Job { key_bytes: 40, ..*task.job };
                let key = portable::derive(passphrase, &whole);
                let from = task.zeros * SHA1_BYTES;
                assert_eq!(hashes[task.to], key[from..from + SHA1_BYTES]);
            }
        }
    }
}
