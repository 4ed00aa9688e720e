//! One server at a time on one store. The lock is the kernel's, so it ends with the process however
//! that ends; the file's text only says who holds it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::failure::Failure;

/// A lock that is held. Dropping it gives it back; the file stays.
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// When another process holds it, or the file cannot be made.
    pub fn take(path: &Path) -> Result<Self, Failure> {
        match Self::try_take(path)? {
            Some(lock) => Ok(lock),
            None => Err(Failure::failed(
                format!(
                    "another keywheel process{} uses this store: {} is locked",
                    holder(path).map(|pid| format!(" (pid {pid})")).unwrap_or_default(),
                    path.display()
                ),
                "stop that process first; one store has one server",
            )),
        }
    }

    /// Takes the lock unless another process holds it.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn try_take(path: &Path) -> Result<Option<Self>, Failure> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| Failure::io("locked", path, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(Failure::io("locked", &PathBuf::from(path), &error.into())),
        }
    }

    /// Says in the file who holds the lock. Only for people, so a failure does no harm.
    pub fn announce(&mut self) {
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            writeln!(file, "{}", std::process::id())
        };
        if let Err(error) = write(&mut self.file) {
            tracing::debug!(%error, "the lock file does not say who holds it");
        }
    }
}

/// Who holds the lock, as the file says.
pub fn holder(path: &Path) -> Option<u32> {
    let mut text = String::new();
    File::open(path).ok()?.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
