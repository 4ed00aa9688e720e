//! Why a master key cannot be had. Every variant is a cause that an operator can act on.

use std::path::PathBuf;

use keywheel_engine::ports::KekId;

use crate::private_file::PrivateFileError;

/// Why a master key cannot be opened or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KekOpenError {
    /// A file of it cannot be read or written, or others can reach it.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The file holds no master key.
    #[error("{} holds no master key: {detail}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        detail: &'static str,
    },
    /// The process was started without credentials.
    #[error(
        "the master key is the credential `{name}`, but the process was started without credentials"
    )]
    NoCredentials {
        /// The credential.
        name: String,
    },
    /// The credential's name is a path.
    #[error("`{name}` cannot name a credential")]
    CredentialName {
        /// The name.
        name: String,
    },
    /// The passphrase is too short to protect anything.
    #[error("the passphrase has {found_bytes} bytes, and at least {least_bytes} are needed")]
    ShortPassphrase {
        /// Its length.
        found_bytes: usize,
        /// The least length.
        least_bytes: usize,
    },
    /// Another passphrase was used when the derivation file was made.
    #[error(
        "the passphrase gives master key {}, but {} was made for {}",
        given.0, .path.display(), needed.0
    )]
    WrongPassphrase {
        /// The derivation file.
        path: PathBuf,
        /// The master key that it was made for.
        needed: KekId,
        /// The one that this passphrase gives.
        given: KekId,
    },
    /// The derivation file is not one, or asks for the unreasonable.
    #[error("{} does not say how to derive the master key: {detail}", .path.display())]
    Derivation {
        /// The derivation file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The derivation itself failed, for want of memory.
    #[error("the master key cannot be derived from the passphrase: {0}")]
    Derive(String),
}

impl KekOpenError {
    /// What the operator can do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::File(error) => error.remedy(),
            Self::Content { path, .. } => format!(
                "put back the copy of {} that you keep; nothing else opens what it sealed",
                path.display()
            ),
            Self::NoCredentials { name } => format!(
                "add LoadCredential={name}:… or LoadCredentialEncrypted={name}:… to the systemd \
                 unit, and start keywheel as that unit"
            ),
            Self::CredentialName { .. } => {
                "name the credential as in LoadCredential=, without a slash".to_owned()
            }
            Self::ShortPassphrase { .. } => {
                "use a longer passphrase, for example the output of: openssl rand -base64 24"
                    .to_owned()
            }
            Self::WrongPassphrase { .. } => {
                "give the passphrase that was used at first; nothing was changed".to_owned()
            }
            Self::Derivation { path, .. } => format!(
                "restore {} from a backup; without it the passphrase alone opens nothing",
                path.display()
            ),
            Self::Derive(_) => "give the process more memory, then start again".to_owned(),
        }
    }
}
