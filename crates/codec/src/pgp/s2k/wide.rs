//! Sixteen SHA-1 hashes at once on AVX-512, each in a lane of its own. Everything here is safe once
//! it is known that this machine has it; `extensions` asks.
//!
//! All lanes hash a block at the same time, so tasks are sorted by how much they hash and go in
//! groups. Their blocks differ by the salts alone: where the passphrase stands and which block
//! comes when is the same for all of them. A lane that has reached its end is read out, and idles
//! until the longest one is done.

use std::arch::x86_64::{
    __m512i, _mm_extract_epi32, _mm512_add_epi32, _mm512_and_si512, _mm512_extracti32x4_epi32,
    _mm512_or_si512, _mm512_rol_epi32, _mm512_set_epi32, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_sllv_epi32, _mm512_srlv_epi32, _mm512_ternarylogic_epi32, _mm512_xor_si512,
};

use zeroize::{Zeroize, Zeroizing};

use super::stream::{BLOCK_BYTES, SHA1_BYTES, Task, blocks, different};

/// How many lanes there are.
pub(super) const LANES: usize = 16;
const SALT_BYTES: usize = 8;

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

/// What groups with the same passphrase share: room for schedules, and the stream without salts.
pub(super) struct Wide<'p> {
    passphrase: &'p [u8],
    period: usize,
    /// Salts of zeros and passphrases: one period and a block more.
    tile: Zeroizing<Vec<u8>>,
    schedules: Zeroizing<Vec<Schedule>>,
}

/// The salts of one group in two words, and how many zeros there are before the stream.
struct Salts {
    words: [__m512i; 2],
    zeros: usize,
}

impl<'p> Wide<'p> {
    pub(super) fn new(passphrase: &'p [u8]) -> Self {
        let period = SALT_BYTES + passphrase.len();
        let mut tile = Zeroizing::new(Vec::with_capacity(2 * period + BLOCK_BYTES));
        while tile.len() < period + BLOCK_BYTES {
            tile.extend_from_slice(&[0; SALT_BYTES]);
            tile.extend_from_slice(passphrase);
        }
        Self { passphrase, period, tile, schedules: Zeroizing::default() }
    }

    /// Hashes for up to sixteen tasks that have the same zeros, the shorter ones first.
    #[target_feature(enable = "avx512f")]
    pub(super) fn hash(&mut self, tasks: &[Task<'_>], hashes: &mut [[u8; SHA1_BYTES]]) {
        let (Some(first), Some(last)) = (tasks.first(), tasks.last()) else { return };
        let salts = Salts { words: salts(tasks), zeros: first.zeros };
        let longest = blocks(last.bytes(self.passphrase));
        let head = usize::from(first.zeros > 0).min(longest);
        let used = head + different(self.period).min(longest - head);
        let mut schedules = std::mem::take(&mut self.schedules);
        if schedules.len() < used {
            let none = Schedule([_mm512_setzero_si512(); 80]);
            schedules = Zeroizing::new(vec![none; used]);
        }
        for (number, schedule) in schedules.iter_mut().enumerate().take(used) {
            expand(self.words(number, &salts), schedule);
        }
        let (used, _) = schedules.split_at(used);
        let (head, repeated) = used.split_at(head);
        let mut turns = head.iter().chain(repeated.iter().cycle());

        let mut state = START.map(|word| _mm512_set1_epi32(word.cast_signed()));
        let mut done = 0;
        let mut lane = 0;
        for same in tasks.chunk_by(|one, other| one.job.stretch == other.job.stretch) {
            let Some(one) = same.first() else { continue };
            let total = one.bytes(self.passphrase);
            for schedule in turns.by_ref().take(blocks(total) - done) {
                state = compress(&state, schedule);
            }
            done = blocks(total);
            let ended = Zeroizing::new(self.finish(total, &salts, &state));
            for (task, lane) in same.iter().zip(lane..) {
                let Some(hash) = hashes.get_mut(task.to) else { continue };
                for (to, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(ended.iter()) {
                    *to = word.get(lane).copied().unwrap_or_default().to_be_bytes();
                }
            }
            lane += same.len();
        }
        self.schedules = schedules;
    }

    /// The words of the block of this number, in each lane with its salt.
    #[target_feature(enable = "avx512f")]
    fn words(&self, number: usize, salts: &Salts) -> [__m512i; 16] {
        let offset = number * BLOCK_BYTES;
        let zeros = salts.zeros.saturating_sub(offset).min(BLOCK_BYTES);
        let phase = offset.saturating_sub(salts.zeros) % self.period.max(1);
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        let from = self.tile.iter().skip(phase);
        block.iter_mut().skip(zeros).zip(from).for_each(|(to, from)| *to = *from);
        let mut words = [_mm512_setzero_si512(); 16];
        for (to, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
            *to = _mm512_set1_epi32(i32::from_be_bytes(*bytes));
        }
        // Eight bytes more, so that a salt that began in the block before has its place too.
        let mut place = zeros + SALT_BYTES - phase.min(SALT_BYTES);
        if phase > SALT_BYTES {
            place = zeros + SALT_BYTES + self.period - phase;
        }
        while place < BLOCK_BYTES + SALT_BYTES {
            insert(&mut words, place, &salts.words);
            place += self.period.max(1);
        }
        words
    }

    /// What follows the last whole block: the rest, a bit, and the length in bits. The hashes after
    /// it.
    #[target_feature(enable = "avx512f")]
    fn finish(&self, total: u64, salts: &Salts, state: &State) -> [[u32; LANES]; 5] {
        let left = usize::try_from(total % BLOCK_BYTES as u64).unwrap_or_default();
        let mut first = self.words(blocks(total), salts);
        for (word, from) in first.iter_mut().zip((0..).step_by(4)) {
            let kept = left.saturating_sub(from).min(4);
            // Of four bytes as many as are kept, and then the bit.
            let mask = u32::try_from(!(u64::from(u32::MAX) >> (8 * kept)) & 0xFFFF_FFFF);
            let bit =
                if (from..from + 4).contains(&left) { 0x8000_0000_u32 >> (8 * kept) } else { 0 };
            let mask = _mm512_set1_epi32(mask.unwrap_or_default().cast_signed());
            let bit = _mm512_set1_epi32(bit.cast_signed());
            *word = _mm512_or_si512(_mm512_and_si512(*word, mask), bit);
        }
        let mut second = [_mm512_setzero_si512(); 16];
        let fits = left < BLOCK_BYTES - 8;
        let bits = total.saturating_mul(8);
        let halves = [bits >> 32, bits & 0xFFFF_FFFF];
        let end = if fits { &mut first } else { &mut second };
        for (word, half) in end.iter_mut().skip(14).zip(halves) {
            *word = _mm512_set1_epi32(u32::try_from(half).unwrap_or_default().cast_signed());
        }
        let mut schedule = Zeroizing::new(Schedule([_mm512_setzero_si512(); 80]));
        expand(first, &mut schedule);
        let mut state = compress(state, &schedule);
        if !fits {
            expand(second, &mut schedule);
            state = compress(&state, &schedule);
        }
        state.map(|word| numbers(word))
    }
}

/// The salts of tasks, one in each lane.
#[target_feature(enable = "avx512f")]
fn salts(tasks: &[Task<'_>]) -> [__m512i; 2] {
    let mut halves = [[0; LANES]; 2];
    for (lane, task) in tasks.iter().enumerate() {
        for (half, bytes) in halves.iter_mut().zip(task.job.salt.as_chunks::<4>().0) {
            if let Some(to) = half.get_mut(lane) {
                *to = u32::from_be_bytes(*bytes);
            }
        }
    }
    [vector(&halves[0]), vector(&halves[1])]
}

/// Puts salts into a block where it has zeros: `place` counts from eight bytes before it.
#[target_feature(enable = "avx512f")]
fn insert(words: &mut [__m512i; 16], place: usize, [high, low]: &[__m512i; 2]) {
    let bits = i32::try_from(place % 4 * 8).unwrap_or_default();
    let (right, left) = (_mm512_set1_epi32(bits), _mm512_set1_epi32(32 - bits));
    let parts = [
        _mm512_srlv_epi32(*high, right),
        // A shift by 32 leaves nothing.
        _mm512_or_si512(_mm512_sllv_epi32(*high, left), _mm512_srlv_epi32(*low, right)),
        _mm512_sllv_epi32(*low, left),
    ];
    for (part, at) in parts.into_iter().zip(place / 4..) {
        let word = at.checked_sub(SALT_BYTES / 4).and_then(|at| words.get_mut(at));
        if let Some(word) = word {
            *word = _mm512_or_si512(*word, part);
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
fn expand(mut words: [__m512i; 16], schedule: &mut Schedule) {
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
fn compress(state: &State, schedule: &Schedule) -> State {
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    let [first, second, third, fourth] = schedule.0.as_chunks::<20>().0 else { return *state };
    rounds!(CHOOSE, first, a, b, c, d, e);
    rounds!(PARITY, second, a, b, c, d, e);
    rounds!(MAJORITY, third, a, b, c, d, e);
    rounds!(PARITY, fourth, a, b, c, d, e);
    let [a0, b0, c0, d0, e0] = *state;
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
#[expect(clippy::many_single_char_names, reason = "sixteen lanes")]
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
