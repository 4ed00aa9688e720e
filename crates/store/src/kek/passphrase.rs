//! A master key derived from a passphrase, with Argon2id (RFC 9106).
//!
//! Salt and cost stand in a derivation file. It is no secret, but without it the passphrase opens
//! nothing, so it belongs into every backup. It also names the master key, so that a mistyped
//! passphrase is noticed before anything is touched.

use std::io;
use std::path::Path;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use keywheel_engine::ports::{Entropy, KekId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::KekOpenError;
use super::master::MasterKey;
use super::wrap_with_master_key;
use crate::private_file::{self, PrivateFileError, Readers};

const PASSPHRASE_BYTES_MIN: usize = 16;
const PASSPHRASE_BYTES_MAX: usize = 1_024;
const FILE_BYTES_MAX: usize = 4_096;
const MEMORY_KIB_MIN: u32 = 64 * 1024;
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 64;
const LANES_MAX: u32 = 16;

/// How much work one derivation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KdfCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for KdfCost {
    /// 64 MiB and three passes, the second recommendation of RFC 9106 on one core.
    fn default() -> Self {
        Self { memory_kib: MEMORY_KIB_MIN, passes: 3, lanes: 1 }
    }
}

impl KdfCost {
    /// A cost within bounds: 64 MiB to 1 GiB of memory, 1 to 64 passes, 1 to 16 lanes. Anything
    /// else is nothing.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let sound = (MEMORY_KIB_MIN..=MEMORY_KIB_MAX).contains(&memory_kib)
            && (1..=PASSES_MAX).contains(&passes)
            && (1..=LANES_MAX).contains(&lanes);
        sound.then_some(Self { memory_kib, passes, lanes })
    }
}

/// A master key from a passphrase.
///
/// ```no_run
/// use std::path::Path;
/// use std::sync::Arc;
/// use keywheel_store::SystemEntropy;
/// use keywheel_store::kek::{KdfCost, PassphraseKek};
///
/// let kek = PassphraseKek::open_or_create(
///     b"correct horse battery staple",
///     Path::new("master.kdf"),
///     KdfCost::default(),
///     Arc::new(SystemEntropy),
/// )?;
/// # let _ = kek;
/// # Ok::<(), keywheel_store::KekOpenError>(())
/// ```
pub struct PassphraseKek {
    master: MasterKey,
}

wrap_with_master_key!(PassphraseKek);

/// The derivation file, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Derivation {
    format: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    /// 32 hexadecimal digits.
    salt: String,
    /// The master key that comes out.
    kek_id: String,
}

const FORMAT: &str = "keywheel/argon2id/v1";

impl PassphraseKek {
    /// Derives the master key as the derivation file says. Takes a part of a second on purpose.
    ///
    /// # Errors
    /// When the passphrase is too short or is not the one the file was made with, or when the file
    /// is missing, damaged, or can be reached by others.
    pub fn open(
        passphrase: &[u8],
        derivation_path: &Path,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KekOpenError> {
        check_length(passphrase)?;
        let contents = private_file::read(derivation_path, FILE_BYTES_MAX, Readers::OwnerOnly)?;
        let refuse =
            |detail: String| KekOpenError::Derivation { path: derivation_path.to_owned(), detail };
        let derivation: Derivation =
            serde_json::from_slice(&contents).map_err(|error| refuse(error.to_string()))?;
        if derivation.format != FORMAT {
            return Err(refuse("it was written by another version of keywheel".to_owned()));
        }
        let cost = KdfCost::new(derivation.memory_kib, derivation.passes, derivation.lanes)
            .ok_or_else(|| refuse("its cost is outside the bounds".to_owned()))?;
        let salt = u128::from_str_radix(&derivation.salt, 16)
            .ok()
            .filter(|_| derivation.salt.len() == 32)
            .ok_or_else(|| refuse("its salt is not 32 hexadecimal digits".to_owned()))?;
        let master = derive(passphrase, salt.to_be_bytes(), cost, entropy)?;
        if master.id().0 != derivation.kek_id {
            return Err(KekOpenError::WrongPassphrase {
                path: derivation_path.to_owned(),
                needed: KekId(derivation.kek_id),
                given: master.id(),
            });
        }
        Ok(Self { master })
    }

    /// The same, but makes the derivation file when there is none. Only for a store that holds
    /// nothing yet.
    ///
    /// # Errors
    /// As [`PassphraseKek::open`]; and when the file cannot be written.
    pub fn open_or_create(
        passphrase: &[u8],
        derivation_path: &Path,
        cost: KdfCost,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KekOpenError> {
        match Self::open(passphrase, derivation_path, Arc::clone(&entropy)) {
            Err(KekOpenError::File(PrivateFileError::Missing { .. })) => {}
            opened => return opened,
        }
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let master = derive(passphrase, salt, cost, Arc::clone(&entropy))?;
        let derivation = Derivation {
            format: FORMAT.to_owned(),
            memory_kib: cost.memory_kib,
            passes: cost.passes,
            lanes: cost.lanes,
            salt: format!("{:032x}", u128::from_be_bytes(salt)),
            kek_id: master.id().0,
        };
        let mut text = serde_json::to_vec_pretty(&derivation)
            .map_err(|error| KekOpenError::Derive(error.to_string()))?;
        text.push(b'\n');
        match private_file::create(derivation_path, &text) {
            Ok(()) => Ok(Self { master }),
            // Another process made one since the first look; that one counts.
            Err(PrivateFileError::Io { source, .. })
                if source.kind() == io::ErrorKind::AlreadyExists =>
            {
                Self::open(passphrase, derivation_path, entropy)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads a passphrase from a private file, without the line end that editors add.
    ///
    /// # Errors
    /// When the file is missing, too large, or can be reached by others.
    pub fn read_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>, KekOpenError> {
        let mut contents =
            private_file::read(path, PASSPHRASE_BYTES_MAX, Readers::OwnerAndAccessList)?;
        for ending in [b'\n', b'\r'] {
            if contents.last() == Some(&ending) {
                contents.pop();
            }
        }
        Ok(contents)
    }
}

fn check_length(passphrase: &[u8]) -> Result<(), KekOpenError> {
    if passphrase.len() >= PASSPHRASE_BYTES_MIN {
        return Ok(());
    }
    Err(KekOpenError::ShortPassphrase {
        found_bytes: passphrase.len(),
        least_bytes: PASSPHRASE_BYTES_MIN,
    })
}

fn derive(
    passphrase: &[u8],
    salt: [u8; 16],
    cost: KdfCost,
    entropy: Arc<dyn Entropy>,
) -> Result<MasterKey, KekOpenError> {
    let failed = |error: argon2::Error| KekOpenError::Derive(error.to_string());
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(failed)?;
    // The last blocks give the key away, so they are wiped like it.
    let mut blocks = Zeroizing::new(Vec::new());
    blocks
        .try_reserve_exact(params.block_count())
        .map_err(|error| KekOpenError::Derive(error.to_string()))?;
    blocks.resize(params.block_count(), Block::default());
    let mut key = Zeroizing::new([0_u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            passphrase,
            &salt,
            key.as_mut_slice(),
            blocks.as_mut_slice(),
        )
        .map_err(failed)?;
    MasterKey::new(&key, entropy)
        .map_err(|_| KekOpenError::Derive("the derivation refused it".to_owned()))
}
