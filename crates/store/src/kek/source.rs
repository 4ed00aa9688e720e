//! What the configuration says about the master key: `{ file = "…" }`, `{ credential = "…" }` or
//! `{ passphrase_file = "…" }`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use keywheel_engine::ports::{Entropy, Kek};
use serde::{Deserialize, Serialize};

use super::credential::CredentialKek;
use super::error::KekOpenError;
use super::file::{FileKek, FileRotation};
use super::passphrase::{KdfCost, PassphraseKek};
use super::ring::KekRing;
use crate::private_file;

/// Where the master key comes from.
///
/// ```
/// use keywheel_store::KekSource;
/// let source: KekSource = serde_json::from_str(r#"{"file": "master.key"}"#)?;
/// assert_eq!(source, KekSource::File { path: "master.key".into() });
/// assert!(serde_json::from_str::<KekSource>(r#"{"file": "a", "credential": "b"}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawSource", into = "RawSource")]
#[non_exhaustive]
pub enum KekSource {
    /// A file of mode 0600, made at first start.
    File {
        /// The file.
        path: PathBuf,
    },
    /// A systemd credential.
    Credential {
        /// Its name, as in `LoadCredential=`.
        name: String,
    },
    /// A passphrase in a file, through Argon2id.
    Passphrase {
        /// The file with the passphrase.
        path: PathBuf,
        /// The file with salt and cost; `<passphrase_file>.kdf` unless said otherwise.
        derivation_path: PathBuf,
    },
}

/// The configuration names no master key, or more than one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`kek` must name one master key: {{ file = \"…\" }}, {{ credential = \"…\" }}, or \
     {{ passphrase_file = \"…\" }} with an optional kdf_file"
)]
pub struct KekSourceError;

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passphrase_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kdf_file: Option<PathBuf>,
}

impl TryFrom<RawSource> for KekSource {
    type Error = KekSourceError;

    fn try_from(raw: RawSource) -> Result<Self, KekSourceError> {
        match (raw.file, raw.credential, raw.passphrase_file, raw.kdf_file) {
            (Some(path), None, None, None) => Ok(Self::File { path }),
            (None, Some(name), None, None) => Ok(Self::Credential { name }),
            (None, None, Some(path), derivation) => {
                let derivation_path =
                    derivation.unwrap_or_else(|| private_file::with_suffix(&path, ".kdf"));
                Ok(Self::Passphrase { path, derivation_path })
            }
            _ => Err(KekSourceError),
        }
    }
}

impl From<KekSource> for RawSource {
    fn from(source: KekSource) -> Self {
        match source {
            KekSource::File { path } => Self { file: Some(path), ..Self::default() },
            KekSource::Credential { name } => Self { credential: Some(name), ..Self::default() },
            KekSource::Passphrase { path, derivation_path } => Self {
                passphrase_file: Some(path),
                kdf_file: Some(derivation_path),
                ..Self::default()
            },
        }
    }
}

impl KekSource {
    /// The same source with relative paths taken from this folder.
    #[must_use]
    pub fn relative_to(self, folder: &Path) -> Self {
        match self {
            Self::File { path } => Self::File { path: folder.join(path) },
            Self::Credential { name } => Self::Credential { name },
            Self::Passphrase { path, derivation_path } => Self::Passphrase {
                path: folder.join(path),
                derivation_path: folder.join(derivation_path),
            },
        }
    }

    /// Opens the master key that must be there. When a rotation of a key file was interrupted, both
    /// keys are in the ring.
    ///
    /// # Errors
    /// When it is missing, can be reached by others, or is not what it should be.
    pub fn open(&self, entropy: Arc<dyn Entropy>) -> Result<KekRing, KekOpenError> {
        match self {
            Self::File { path } => {
                let present = FileKek::open(path, Arc::clone(&entropy))?;
                with_pending(path, present, entropy)
            }
            Self::Credential { name } => {
                let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
                alone(CredentialKek::open(folder.as_deref(), name, entropy)?)
            }
            Self::Passphrase { path, derivation_path } => {
                let passphrase = PassphraseKek::read_passphrase(path)?;
                alone(PassphraseKek::open(&passphrase, derivation_path, entropy)?)
            }
        }
    }

    /// Opens the master key, or makes it at the first start: a key file, or the derivation file of
    /// a passphrase. Only for a store that holds nothing yet; a new key opens nothing that an old
    /// one sealed, so with data at hand use [`KekSource::open`], which says what is missing.
    ///
    /// # Errors
    /// As [`KekSource::open`]; and when a file cannot be written.
    pub fn open_or_create(&self, entropy: Arc<dyn Entropy>) -> Result<KekRing, KekOpenError> {
        match self {
            Self::File { path } => {
                let present = FileKek::open_or_create(path, Arc::clone(&entropy))?;
                with_pending(path, present, entropy)
            }
            Self::Credential { .. } => self.open(entropy),
            Self::Passphrase { path, derivation_path } => {
                let passphrase = PassphraseKek::read_passphrase(path)?;
                let cost = KdfCost::default();
                alone(PassphraseKek::open_or_create(&passphrase, derivation_path, cost, entropy)?)
            }
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it ends the arms of a match whose others can fail")]
fn alone(kek: impl Kek + 'static) -> Result<KekRing, KekOpenError> {
    Ok(KekRing::new(Arc::new(kek), Vec::new()))
}

fn with_pending(
    path: &Path,
    present: FileKek,
    entropy: Arc<dyn Entropy>,
) -> Result<KekRing, KekOpenError> {
    let ring = KekRing::new(Arc::new(present), Vec::new());
    if let Some(pending) = FileRotation::pending(path, entropy)? {
        ring.promote(pending.next());
    }
    Ok(ring)
}
