//! What is hashed for a key, in blocks: salt and passphrase again and again. There are only so many
//! different blocks of that, so whoever hashes many of them prepares each once.

use zeroize::Zeroizing;

use super::Job;
use crate::pgp::algorithm::{Digest, Stretch};

pub(super) const BLOCK_BYTES: usize = 64;
pub(super) const SHA1_BYTES: usize = 20;
/// More different blocks than this do not fit the caches, and are hashed one message at a time.
const SCHEDULES_MAX: usize = 256;

/// One hash that is asked for: for the key of one job, with so many zeros before the stream.
#[derive(Clone, Copy)]
pub(super) struct Task<'j> {
    pub(super) job: &'j Job,
    pub(super) zeros: usize,
    /// Where it is written.
    pub(super) to: usize,
}

impl Task<'_> {
    /// How many bytes are hashed.
    pub(super) fn bytes(&self, passphrase: &[u8]) -> u64 {
        self.zeros as u64 + self.job.bytes(passphrase)
    }
}

/// The hashes that the keys of jobs consist of, those of one key one after the other.
pub(super) fn tasks<'j>(jobs: &[&'j Job]) -> Vec<Task<'j>> {
    let mut tasks = Vec::with_capacity(jobs.len() * 2);
    for job in jobs {
        for zeros in 0..job.key_bytes.div_ceil(SHA1_BYTES) {
            tasks.push(Task { job, zeros, to: tasks.len() });
        }
    }
    tasks
}

/// Whether the stream of this job is SHA-1's, and repeats itself soon enough.
pub(super) fn suits(passphrase: &[u8], job: &Job) -> bool {
    let stretched = matches!(job.stretch, Stretch::Salted | Stretch::Iterated { .. });
    let period = job.salt.len() + passphrase.len();
    let few = different(period).min(blocks(job.bytes(passphrase))) <= SCHEDULES_MAX;
    job.digest == Digest::Sha1 && stretched && few
}

/// How many whole blocks there are in so many bytes.
pub(super) fn blocks(bytes: u64) -> usize {
    usize::try_from(bytes / BLOCK_BYTES as u64).unwrap_or(usize::MAX)
}

/// How many different blocks a stream of this period has.
pub(super) fn different(period: usize) -> usize {
    let twos = period.trailing_zeros().min(BLOCK_BYTES.trailing_zeros());
    period >> twos
}

/// What is hashed: some zeros, then salt and passphrase again and again.
pub(super) struct Stream {
    zeros: usize,
    period: usize,
    /// One period and a block more, so that a block can begin anywhere in the period.
    tile: Zeroizing<Vec<u8>>,
}

impl Stream {
    pub(super) fn new(passphrase: &[u8], task: &Task<'_>) -> Self {
        let period = task.job.salt.len() + passphrase.len();
        let mut tile = Zeroizing::new(Vec::with_capacity(2 * period + BLOCK_BYTES));
        while tile.len() < period + BLOCK_BYTES {
            tile.extend_from_slice(&task.job.salt);
            tile.extend_from_slice(passphrase);
        }
        Self { zeros: task.zeros, period, tile }
    }

    /// How many bytes there are before it repeats itself.
    pub(super) const fn period(&self) -> usize {
        self.period
    }

    /// Writes the block of this number.
    pub(super) fn block(&self, number: usize, block: &mut [u8; BLOCK_BYTES]) {
        let offset = number * BLOCK_BYTES;
        let zeros = self.zeros.saturating_sub(offset).min(BLOCK_BYTES);
        let phase = offset.saturating_sub(self.zeros) % self.period.max(1);
        let (before, to) = block.split_at_mut(zeros);
        before.fill(0);
        let from = self.tile.get(phase..phase + to.len()).unwrap_or_default();
        if from.len() == to.len() {
            to.copy_from_slice(from);
        }
    }

    /// Writes what follows the last whole block of so many bytes, and says how many blocks that
    /// takes: the rest, a bit, and the length in bits.
    pub(super) fn tail(&self, total: u64, tail: &mut [[u8; BLOCK_BYTES]; 2]) -> usize {
        let left = usize::try_from(total % BLOCK_BYTES as u64).unwrap_or_default();
        let [first, second] = tail;
        self.block(blocks(total), first);
        second.fill(0);
        first.iter_mut().skip(left).for_each(|to| *to = 0);
        first.iter_mut().skip(left).take(1).for_each(|to| *to = 0x80);
        let fits = left < BLOCK_BYTES - 8;
        let with_length = if fits { first } else { second };
        let length = total.saturating_mul(8).to_be_bytes();
        with_length.iter_mut().rev().zip(length.iter().rev()).for_each(|(to, from)| *to = *from);
        if fits { 1 } else { 2 }
    }
}
