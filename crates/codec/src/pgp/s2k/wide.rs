//! Sixteen SHA-1 hashes at once on AVX-512, each in a lane of its own. Everything here is safe once
//! it is known that this machine has it; `extensions` asks.
//!
//! All lanes hash a block at the same time, so tasks are sorted by how much they hash and go in
//! groups: their blocks differ, and which block comes when is the same for all of them. A lane that
//! has reached its end is read out, and idles until the longest one is done.

use std::arch::x86_64::{
    __m512i, _mm_extract_epi32, _mm512_add_epi32, _mm512_extracti32x4_epi32, _mm512_rol_epi32,
    _mm512_set_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_ternarylogic_epi32,
    _mm512_xor_si512,
};

use zeroize::{Zeroize, Zeroizing};

use super::stream::{BLOCK_BYTES, SHA1_BYTES, Stream, Task, blocks, different};

/// How many lanes there are.
pub(super) const LANES: usize = 16;

/// What SHA-1 begins with.
const START: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
/// What it adds to the words of each twenty rounds.
const CONSTANTS: [u32; 4] = [0x5A82_7999, 0x6ED9_EBA1, 0x8F1B_BCDC, 0xCA62_C1D6];

/// b ? c : d, as the table of a logic operation with three inputs.
const CHOOSE: i32 = 0xCA;
const PARITY: i32 = 0x96;
const MAJORITY: i32 = 0xE8;

/// The eighty words that SHA-1 makes of one block of each lane, with its constants added.
#[derive(Clone, Copy)]
struct Schedule([__m512i; 80]);

impl Zeroize for Schedule {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// The five words of the hash of each lane.
type State = [__m512i; 5];

/// Hashes for up to sixteen tasks that have the same zeros, the shorter ones first.
#[target_feature(enable = "avx512f")]
pub(super) fn hash(passphrase: &[u8], tasks: &[Task<'_>], hashes: &mut [[u8; SHA1_BYTES]]) {
    let (Some(first), Some(last)) = (tasks.first(), tasks.last()) else { return };
    let mut stream = Stream::new(passphrase, first);
    let longest = blocks(last.bytes(passphrase));
    let head = usize::from(first.zeros > 0).min(longest);
    let repeated = different(stream.period()).min(longest - head);
    let none = Schedule([_mm512_setzero_si512(); 80]);
    let mut schedules = Zeroizing::new(vec![none; head + repeated]);
    let mut words = Zeroizing::new(vec![[[0; LANES]; 16]; head + repeated]);
    for (lane, task) in tasks.iter().enumerate() {
        stream.turn_to(task);
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        for (number, words) in words.iter_mut().enumerate() {
            stream.block(number, &mut block);
            lay(&block, lane, words);
        }
    }
    for (schedule, words) in schedules.iter_mut().zip(words.iter()) {
        expand(words, schedule);
    }
    let (head, repeated) = schedules.split_at(head);
    let mut turns = head.iter().chain(repeated.iter().cycle());

    let mut state = START.map(|word| _mm512_set1_epi32(word.cast_signed()));
    let mut done = 0;
    let lanes: Vec<(usize, &Task<'_>)> = tasks.iter().enumerate().collect();
    for same in lanes.chunk_by(|(_, one), (_, other)| one.job.stretch == other.job.stretch) {
        let Some((_, one)) = same.first() else { continue };
        let total = one.bytes(passphrase);
        for schedule in turns.by_ref().take(blocks(total) - done) {
            state = compress(state, schedule);
        }
        done = blocks(total);
        finish(&mut stream, same, total, state, hashes);
    }
}

/// Hashes what is left of lanes that end here, and writes their hashes.
#[target_feature(enable = "avx512f")]
fn finish(
    stream: &mut Stream,
    ending: &[(usize, &Task<'_>)],
    total: u64,
    mut state: State,
    hashes: &mut [[u8; SHA1_BYTES]],
) {
    let mut words = Zeroizing::new([[[0; LANES]; 16]; 2]);
    let mut blocks = 0;
    for (lane, task) in ending {
        stream.turn_to(task);
        let mut tail = Zeroizing::new([[0; BLOCK_BYTES]; 2]);
        blocks = stream.tail(total, &mut tail);
        tail.iter().zip(words.iter_mut()).for_each(|(block, words)| lay(block, *lane, words));
    }
    let mut schedule = Zeroizing::new(Schedule([_mm512_setzero_si512(); 80]));
    for words in words.iter().take(blocks) {
        expand(words, &mut schedule);
        state = compress(state, &schedule);
    }
    let words = Zeroizing::new(state.map(|word| numbers(word)));
    for (lane, task) in ending {
        let Some(hash) = hashes.get_mut(task.to) else { continue };
        for (to, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(words.iter()) {
            *to = word.get(*lane).copied().unwrap_or_default().to_be_bytes();
        }
    }
}

/// Lays the words of a block into a lane.
fn lay(block: &[u8; BLOCK_BYTES], lane: usize, words: &mut [[u32; LANES]; 16]) {
    for (to, from) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        if let Some(to) = to.get_mut(lane) {
            *to = u32::from_be_bytes(*from);
        }
    }
}

/// The next sixteen words, each in the place of the one that is sixteen before it.
macro_rules! next {
    ($words:ident, $($to:literal: $three:literal $eight:literal $fourteen:literal,)*) => {$(
        let mixed = _mm512_ternarylogic_epi32::<PARITY>(
            $words[$three], $words[$eight], $words[$fourteen],
        );
        $words[$to] = _mm512_rol_epi32::<1>(_mm512_xor_si512(mixed, $words[$to]));
    )*};
}

/// Makes the eighty words of a block.
#[target_feature(enable = "avx512f")]
fn expand(block: &[[u32; LANES]; 16], schedule: &mut Schedule) {
    let mut words = [_mm512_setzero_si512(); 16];
    for (to, lanes) in words.iter_mut().zip(block) {
        *to = vector(lanes);
    }
    for (number, sixteen) in schedule.0.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        if number > 0 {
            next!(words,
                0: 13 8 2, 1: 14 9 3, 2: 15 10 4, 3: 0 11 5,
                4: 1 12 6, 5: 2 13 7, 6: 3 14 8, 7: 4 15 9,
                8: 5 0 10, 9: 6 1 11, 10: 7 2 12, 11: 8 3 13,
                12: 9 4 14, 13: 10 5 15, 14: 11 6 0, 15: 12 7 1,
            );
        }
        *sixteen = words;
    }
    for (twenty, constant) in schedule.0.as_chunks_mut::<20>().0.iter_mut().zip(CONSTANTS) {
        let constant = _mm512_set1_epi32(constant.cast_signed());
        for word in twenty {
            *word = _mm512_add_epi32(*word, constant);
        }
    }
}

/// Twenty rounds with the same function; after five the words are in their places again.
macro_rules! rounds {
    ($function:ident, $words:expr, $a:ident, $b:ident, $c:ident, $d:ident, $e:ident) => {
        for five in $words.as_chunks::<5>().0 {
            let [v, w, x, y, z] = *five;
            round!($function, v, $a, $b, $c, $d, $e);
            round!($function, w, $e, $a, $b, $c, $d);
            round!($function, x, $d, $e, $a, $b, $c);
            round!($function, y, $c, $d, $e, $a, $b);
            round!($function, z, $b, $c, $d, $e, $a);
        }
    };
}

macro_rules! round {
    ($function:ident, $word:ident, $a:ident, $b:ident, $c:ident, $d:ident, $e:ident) => {
        let mixed = _mm512_ternarylogic_epi32::<$function>($b, $c, $d);
        let sum = _mm512_add_epi32(_mm512_add_epi32($e, $word), mixed);
        $e = _mm512_add_epi32(sum, _mm512_rol_epi32::<5>($a));
        $b = _mm512_rol_epi32::<30>($b);
    };
}

/// Mixes one block of each lane into its hash.
#[target_feature(enable = "avx512f")]
#[inline]
#[expect(clippy::many_single_char_names, reason = "the names that SHA-1 has for them")]
fn compress(state: State, schedule: &Schedule) -> State {
    let [mut a, mut b, mut c, mut d, mut e] = state;
    let [first, second, third, fourth] = schedule.0.as_chunks::<20>().0 else { return state };
    rounds!(CHOOSE, first, a, b, c, d, e);
    rounds!(PARITY, second, a, b, c, d, e);
    rounds!(MAJORITY, third, a, b, c, d, e);
    rounds!(PARITY, fourth, a, b, c, d, e);
    let [a0, b0, c0, d0, e0] = state;
    [
        _mm512_add_epi32(a0, a),
        _mm512_add_epi32(b0, b),
        _mm512_add_epi32(c0, c),
        _mm512_add_epi32(d0, d),
        _mm512_add_epi32(e0, e),
    ]
}

/// One number in each lane.
#[target_feature(enable = "avx512f")]
#[inline]
fn vector(lanes: &[u32; LANES]) -> __m512i {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = lanes.map(u32::cast_signed);
    _mm512_set_epi32(p, o, n, m, l, k, j, i, h, g, f, e, d, c, b, a)
}

/// The number of each lane.
#[target_feature(enable = "avx512f")]
fn numbers(vector: __m512i) -> [u32; LANES] {
    let mut numbers = [0; LANES];
    let quarters = [
        _mm512_extracti32x4_epi32::<0>(vector),
        _mm512_extracti32x4_epi32::<1>(vector),
        _mm512_extracti32x4_epi32::<2>(vector),
        _mm512_extracti32x4_epi32::<3>(vector),
    ];
    for (four, quarter) in numbers.as_chunks_mut::<4>().0.iter_mut().zip(quarters) {
        *four = [
            _mm_extract_epi32::<0>(quarter),
            _mm_extract_epi32::<1>(quarter),
            _mm_extract_epi32::<2>(quarter),
            _mm_extract_epi32::<3>(quarter),
        ]
        .map(i32::cast_unsigned);
    }
    numbers
}
