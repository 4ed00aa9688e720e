//! A master key that lives in memory and can be exchanged. It keeps nothing secret, it only notices
//! what a real one notices: the wrong key, another context, changed bytes.

use std::sync::atomic::{AtomicU64, Ordering};

use keywheel_engine::ports::{Kek, KekError, KekId, WrappedKey};
use zeroize::Zeroizing;

use super::random::Random;

/// Every master key that the world has had; the newest wraps, all of them open.
#[derive(Default)]
pub(crate) struct WorldKek {
    generation: AtomicU64,
}

const CHECK_BYTES: usize = 8;

impl WorldKek {
    /// Makes a new master key the present one.
    pub(crate) fn rotate(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }
}

fn name(generation: u64) -> KekId {
    KekId(format!("{generation:016x}"))
}

fn pad(generation: u64, context: &[u8]) -> Random {
    let seed = context
        .iter()
        .fold(generation ^ 0x6b65_6b21, |seed, byte| Random::new(seed ^ u64::from(*byte)).next());
    Random::new(seed)
}

fn apply(generation: u64, context: &[u8], data: &mut [u8]) -> u64 {
    let mut pad = pad(generation, context);
    for byte in data.iter_mut() {
        *byte ^= pad.next().to_le_bytes().first().copied().unwrap_or(0);
    }
    pad.next()
}

fn checksum(seal: u64, wrapped: &[u8]) -> [u8; CHECK_BYTES] {
    wrapped.iter().fold(seal, |sum, byte| Random::new(sum ^ u64::from(*byte)).next()).to_le_bytes()
}

impl Kek for WorldKek {
    fn id(&self) -> KekId {
        name(self.generation.load(Ordering::Relaxed))
    }

    fn wrap(&self, context: &[u8], data_key: &[u8; 32]) -> Result<WrappedKey, KekError> {
        let generation = self.generation.load(Ordering::Relaxed);
        let mut bytes = data_key.to_vec();
        let seal = apply(generation, context, &mut bytes);
        let check = checksum(seal, &bytes);
        bytes.extend_from_slice(&check);
        Ok(WrappedKey { kek: name(generation), bytes })
    }

    fn unwrap(
        &self,
        context: &[u8],
        wrapped: &WrappedKey,
    ) -> Result<Zeroizing<[u8; 32]>, KekError> {
        let newest = self.generation.load(Ordering::Relaxed);
        let Some(generation) = (0..=newest).find(|one| name(*one) == wrapped.kek) else {
            return Err(KekError::WrongKey { needed: wrapped.kek.clone(), given: self.id() });
        };
        let Some((body, check)) = wrapped.bytes.split_last_chunk::<CHECK_BYTES>() else {
            return Err(KekError::Damaged);
        };
        let mut key = Zeroizing::new([0u8; 32]);
        if body.len() != key.len() {
            return Err(KekError::Damaged);
        }
        key.copy_from_slice(body);
        let seal = apply(generation, context, key.as_mut_slice());
        if checksum(seal, body) == *check { Ok(key) } else { Err(KekError::Damaged) }
    }
}
