//! From passphrases to keys (RFC 4880, 3.7), for many messages at once.

#[cfg(target_arch = "x86_64")]
mod extensions;
mod portable;
#[cfg(target_arch = "x86_64")]
mod stream;
#[cfg(target_arch = "x86_64")]
mod wide;

use zeroize::Zeroizing;

use super::algorithm::{Digest, Stretch};

/// One key that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// The hash.
    pub digest: Digest,
    /// How it is stretched.
    pub stretch: Stretch,
    /// The salt, where the stretching has one.
    pub salt: [u8; 8],
    /// How many bytes the key has.
    pub key_bytes: usize,
}

impl Job {
    /// The salt that is hashed.
    fn salted(&self) -> &[u8] {
        match self.stretch {
            Stretch::Simple => &[],
            Stretch::Salted | Stretch::Iterated { .. } => &self.salt,
        }
    }

    /// How many bytes of salt and passphrase are hashed: all of them once at least.
    fn bytes(&self, passphrase: &[u8]) -> u64 {
        let once = (self.salted().len() + passphrase.len()) as u64;
        match self.stretch {
            Stretch::Simple | Stretch::Salted => once,
            Stretch::Iterated { count } => once.max(u64::from(count)),
        }
    }
}

/// Derives a key for each job, in their order: those that can be together, the others one by one.
pub(super) fn derive_many(passphrase: &[u8], jobs: &[Job]) -> Vec<Zeroizing<Vec<u8>>> {
    let together: Vec<bool> = jobs.iter().map(|job| suits(passphrase, job)).collect();
    let chosen: Vec<&Job> =
        jobs.iter().zip(&together).filter(|(_, together)| **together).map(|(job, _)| job).collect();
    let mut keys = derive_together(passphrase, &chosen).into_iter();
    let each = jobs.iter().zip(together);
    each.map(|(job, together)| {
        let key = if together { keys.next() } else { None };
        key.unwrap_or_else(|| portable::derive(passphrase, job))
    })
    .collect()
}

#[cfg(target_arch = "x86_64")]
use extensions::{derive as derive_together, suits};

#[cfg(not(target_arch = "x86_64"))]
fn suits(_: &[u8], _: &Job) -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn derive_together(_: &[u8], _: &[&Job]) -> Vec<Zeroizing<Vec<u8>>> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn job() -> impl Strategy<Value = Job> {
        let digest = prop_oneof![
            4 => Just(Digest::Sha1),
            1 => Just(Digest::Md5),
            1 => Just(Digest::Sha256),
            1 => Just(Digest::Sha512),
        ];
        let stretch = prop_oneof![
            Just(Stretch::Simple),
            Just(Stretch::Salted),
            (0_u8..120).prop_map(|byte| Stretch::Iterated {
                count: super::super::algorithm::count_of(byte)
            }),
        ];
        (digest, stretch, any::<[u8; 8]>(), prop_oneof![Just(16_usize), Just(24), Just(32)])
            .prop_map(|(digest, stretch, salt, key_bytes)| Job { digest, stretch, salt, key_bytes })
    }

    proptest! {
        #[test]
        fn together_is_the_same_as_one_by_one(
            passphrase in vec(any::<u8>(), 0..200),
            jobs in vec(job(), 0..12),
        ) {
            let together = derive_many(&passphrase, &jobs);
            for (job, key) in jobs.iter().zip(together) {
                prop_assert_eq!(&key, &portable::derive(&passphrase, job));
            }
        }
    }
}
