//! Files that only their owner may read: made new, never replaced, on disk when they are said to
//! be.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A new file of mode 0600 that has its name but no contents yet. Dropped unfilled, it goes away.
pub struct Reserved {
    path: PathBuf,
    file: File,
    filled: bool,
}

impl Reserved {
    /// Makes the file.
    ///
    /// # Errors
    /// When something has that name, or it cannot be made.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = opened.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::failed(
                format!("{} exists, and it is never replaced", path.display()),
                "name a file that does not exist yet",
            ),
            _ => Failure::io("written", path, &error),
        })?;
        Ok(Self { path: path.to_owned(), file, filled: false })
    }

    /// Writes the contents, durably.
    ///
    /// # Errors
    /// When the disk refuses; the file is then gone again.
    pub fn fill(self, mut contents: &[u8]) -> Result<(), Failure> {
        self.copy_from(&mut contents)
    }

    /// Copies the contents from a reader, durably.
    ///
    /// # Errors
    /// As [`Reserved::fill`].
    pub fn copy_from(mut self, reader: &mut impl Read) -> Result<(), Failure> {
        std::io::copy(reader, &mut self.file)
            .and_then(|_| self.file.sync_all())
            .map_err(|error| Failure::io("written", &self.path, &error))?;
        self.filled = true;
        Ok(())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.filled {
            // Ours alone: it was made under a name that nothing had.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Writes a new file of mode 0600.
///
/// # Errors
/// As [`Reserved::new`] and [`Reserved::fill`].
pub fn write_new(path: &Path, contents: &[u8]) -> Result<(), Failure> {
    Reserved::new(path)?.fill(contents)
}

/// Makes a folder of mode 0700 with its parents, unless it exists.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::io("made", path, &error))
}
