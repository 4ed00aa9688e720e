//! Who this process is to the server, kept in a file, so that after a restart it takes the place of
//! its former self instead of leaving a rotation to wait for a process that is not there any more.
//!
//! One running process uses a file: a lock beside it sees to that. It says nothing about what the
//! process holds.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_api::instance::Predecessor;
use keywheel_core::id::InstanceId;
use zeroize::Zeroizing;

use crate::http::{HttpError, to_json};
use crate::private::{self, Refusal};
use crate::report::Identity;

const MAX_FILE_BYTES: u64 = 4 * 1024;

/// Why an identity file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    /// The system refused.
    #[error("the identity file {} cannot be used ({source})", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could have put it there, or could read it.
    #[error("the identity file {} is not private: {why}", path.display())]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// It was torn or edited.
    #[error("the identity file {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Another process has it.
    #[error("the identity file {} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

impl IdentityError {
    pub(crate) const fn remedy(&self) -> &'static str {
        match self {
            Self::Io { .. } => "give this process a directory of its own with mode 0700",
            Self::NotPrivate { .. } | Self::Damaged { .. } => {
                "remove it; then end the instance that it stood for with `keywheel instance end`"
            }
            Self::InUse { .. } => "give each process a file of its own, or stop the other one",
        }
    }
}

impl From<IdentityError> for HttpError {
    fn from(error: IdentityError) -> Self {
        Self::Setup { cause: error.to_string(), remedy: error.remedy().into() }
    }
}

/// The file, locked for as long as this lives.
pub(crate) struct IdentityFile {
    path: PathBuf,
    _lock: File,
}

impl IdentityFile {
    /// Takes the file for this process, and reads who it was before.
    pub(crate) fn open(path: &Path) -> Result<(Self, Option<Identity>), IdentityError> {
        let io = |source| IdentityError::Io { path: path.to_owned(), source };
        let mut options = File::options();
        let options = options.create(true).truncate(false).write(true).mode(0o600);
        let lock = options.open(beside(path, ".lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(IdentityError::InUse { path: path.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let bytes = private::read(path, MAX_FILE_BYTES).map_err(|refusal| match refusal {
            Refusal::Io(source) => io(source),
            Refusal::NotPrivate(why) => IdentityError::NotPrivate { path: path.to_owned(), why },
        })?;
        let former = match bytes {
            Some(bytes) => Some(
                parse(&bytes).ok_or_else(|| IdentityError::Damaged { path: path.to_owned() })?,
            ),
            None => None,
        };
        Ok((Self { path: path.to_owned(), _lock: lock }, former))
    }

    /// Keeps who this process is from now on.
    pub(crate) fn keep(&self, identity: &Identity) -> Result<(), IdentityError> {
        let io = |source| IdentityError::Io { path: self.path.clone(), source };
        let json = to_json(&*predecessor(identity)).map_err(|error| io(io::Error::other(error)))?;
        private::write(&self.path, &beside(&self.path, ".new"), &json).map_err(io)
    }

    /// What it stood for has ended.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// The wire form, which is also that of the file. Its secret is erased when it is dropped.
pub(crate) struct Told(Predecessor);

impl std::ops::Deref for Told {
    type Target = Predecessor;

    fn deref(&self) -> &Predecessor {
        &self.0
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0.secret);
    }
}

pub(crate) fn predecessor(identity: &Identity) -> Told {
    Told(Predecessor {
        instance: identity.instance.to_string(),
        secret: URL_SAFE_NO_PAD.encode(identity.secret.as_slice()),
    })
}

fn parse(bytes: &[u8]) -> Option<Identity> {
    let told = Told(serde_json::from_slice(bytes).ok()?);
    let instance: InstanceId = told.instance.parse().ok()?;
    let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(&told.secret).ok()?);
    (!secret.is_empty()).then_some(Identity { instance, secret })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn identity(name: &str) -> Identity {
        Identity { instance: name.parse().unwrap(), secret: Zeroizing::new(vec![7; 32]) }
    }

    fn refused(path: &Path) -> String {
        let error = IdentityFile::open(path).err().unwrap();
        format!("{error}; {}", error.remedy()).replace(path.to_str().unwrap(), "FILE")
    }

    #[test]
    fn who_a_process_was_is_known_after_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity");
        let (file, former) = IdentityFile::open(&path).unwrap();
        assert!(former.is_none());
        file.keep(&identity("a1")).unwrap();
        file.keep(&identity("b2")).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(
            refused(&path),
            "the identity file FILE is in use by another process; give each process a file of its \
             own, or stop the other one"
        );
        drop(file);
        let (file, former) = IdentityFile::open(&path).unwrap();
        let former = former.unwrap();
        assert_eq!((former.instance.as_str(), former.secret.len()), ("b2", 32));
        file.remove();
        drop(file);
        assert!(IdentityFile::open(&path).unwrap().1.is_none());
    }

    #[test]
    fn a_damaged_or_exposed_file_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity");
        IdentityFile::open(&path).unwrap().0.keep(&identity("a1")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(refused(&path).starts_with("the identity file FILE is damaged; remove it;"));
        }
        std::fs::write(&path, &whole).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(
            refused(&path),
            "the identity file FILE is not private: others may open it; remove it; then end the \
             instance that it stood for with `keywheel instance end`"
        );
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(refused(&path).contains("it is not a file"));
    }
}
