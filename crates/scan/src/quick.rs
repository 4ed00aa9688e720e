//! Hashing of short names, of which a scan has many. Who writes a file whose names meet gains no
//! more by it than the time for that file.

use std::hash::{BuildHasherDefault, Hasher};

/// Hashes quickly.
pub(crate) type Quick = BuildHasherDefault<QuickHasher>;

/// As the compiler of Rust does it: a turn, a mix and a product for each eight bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct QuickHasher(u64);

const FACTOR: u64 = 0x51_7c_c1_b7_27_22_0a_95;

impl QuickHasher {
    const fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }
}

impl Hasher for QuickHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let tail = rest.iter().fold(0, |tail, byte| (tail << 8) | u64::from(*byte));
        self.add(tail);
    }

    fn write_u8(&mut self, byte: u8) {
        self.add(u64::from(byte));
    }

    fn write_u32(&mut self, word: u32) {
        self.add(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.add(u64::try_from(word).unwrap_or_default());
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}

/// The hash of a name.
pub(crate) fn hash(name: &[u8]) -> u64 {
    let mut hasher = QuickHasher::default();
    hasher.write(name);
    hasher.finish()
}
