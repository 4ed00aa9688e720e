//! One key at a time, on any machine, with any hash.

use sha1::Digest as Hash;
use zeroize::Zeroizing;

use super::Job;
use crate::pgp::algorithm::Digest;

/// How much of the repeated stream is laid out, so that the hash is called for whole blocks.
const TILE_BYTES: usize = 8192;

/// Derives one key.
pub(super) fn derive(passphrase: &[u8], job: &Job) -> Zeroizing<Vec<u8>> {
    match job.digest {
        Digest::Md5 => with::<md5::Md5>(passphrase, job),
        Digest::Sha1 => with::<sha1::Sha1>(passphrase, job),
        Digest::Sha224 => with::<sha2::Sha224>(passphrase, job),
        Digest::Sha256 => with::<sha2::Sha256>(passphrase, job),
        Digest::Sha384 => with::<sha2::Sha384>(passphrase, job),
        Digest::Sha512 => with::<sha2::Sha512>(passphrase, job),
        // Refused when the message was read.
        Digest::Ripemd160 => Zeroizing::default(),
    }
}

fn with<H: Hash>(passphrase: &[u8], job: &Job) -> Zeroizing<Vec<u8>> {
    let total = job.bytes(passphrase);
    let tile = tile(passphrase, job.salted(), total);
    let mut key = Zeroizing::new(Vec::with_capacity(job.key_bytes + 64));
    let mut zeros = 0_usize;
    while key.len() < job.key_bytes {
        let mut hash = H::new();
        for _ in 0..zeros {
            hash.update([0]);
        }
        let mut left = total;
        while left > 0 && !tile.is_empty() {
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(tile.len());
            hash.update(tile.get(..take).unwrap_or_default());
            left = left.saturating_sub(take as u64);
        }
        let mut out = hash.finalize();
        key.extend_from_slice(&out);
        zeroize::Zeroize::zeroize(out.as_mut_slice());
        zeros += 1;
    }
    key.truncate(job.key_bytes);
    key
}

/// Salt and passphrase, as often as fits, and no more of it than is hashed.
fn tile(passphrase: &[u8], salt: &[u8], total: u64) -> Zeroizing<Vec<u8>> {
    let period = salt.len() + passphrase.len();
    let wanted = usize::try_from(total).unwrap_or(usize::MAX).min(TILE_BYTES);
    let mut tile = Zeroizing::new(Vec::with_capacity(wanted + period));
    while tile.len() < wanted && period > 0 {
        tile.extend_from_slice(salt);
        tile.extend_from_slice(passphrase);
    }
    tile
}
