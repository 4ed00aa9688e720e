//! Files that only their owner may read: how they are made, and what is checked before one is
//! believed. What the files contain is left to their readers.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::OFlags;
use zeroize::Zeroizing;

/// Read and write for the owner, nothing for anybody else.
pub(crate) const OWNER_ONLY: u32 = 0o600;

/// Who besides the owner may read a file before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Nobody.
    OwnerOnly,
    /// The group bits may be set: systemd shows the mask of an access list there.
    OwnerAndAccessList,
}

/// Why a private file cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateFileError {
    /// There is no such file.
    #[error("{} does not exist", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// Somebody besides the owner may read or replace it.
    #[error("{} has mode {mode:04o}, so others than its owner can reach it", .path.display())]
    Exposed {
        /// The file, or the folder around it.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to another user.
    #[error("{} belongs to uid {owner}, but this process runs as uid {expected}", .path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        expected: u32,
    },
    /// It is a symbolic link, a folder, a pipe or a device.
    #[error("{} is not a plain file but a {kind}", .path.display())]
    NotPlain {
        /// The path.
        path: PathBuf,
        /// What it is instead.
        kind: &'static str,
    },
    /// It is larger than anything of its kind can be.
    #[error("{} is larger than {limit_bytes} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit_bytes: usize,
    },
    /// The operating system refused.
    #[error("{} cannot be {action}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was attempted: `read`, `written`.
        action: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
}

impl PrivateFileError {
    /// What the operator can do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Missing { path } => {
                format!("restore {} from where you keep a copy of it", path.display())
            }
            Self::Exposed { path, .. } if path.is_dir() => {
                format!("run: chmod o-w {}", path.display())
            }
            Self::Exposed { path, .. } => format!(
                "run: chmod 600 {}; if others could have read it, replace the key that it holds",
                path.display()
            ),
            Self::Owner { path, expected, .. } => {
                format!("run: chown {expected} {}", path.display())
            }
            Self::NotPlain { path, .. } => {
                format!("put the file itself at {}, or name the place it really is", path.display())
            }
            Self::TooLarge { path, .. } => {
                format!("check that {} is the file you mean", path.display())
            }
            Self::Io { path, .. } => {
                format!("check the folder and the permissions of {}", path.display())
            }
        }
    }

    fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound && action == "read" {
            return Self::Missing { path: path.to_owned() };
        }
        Self::Io { path: path.to_owned(), action, source }
    }
}

/// Reads a whole private file, after checking on the open handle that it is one.
pub(crate) fn read(
    path: &Path,
    limit_bytes: usize,
    readers: Readers,
) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    // Without NONBLOCK, opening a pipe that somebody put there would wait for a writer forever.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|source| {
        if path.is_symlink() {
            PrivateFileError::NotPlain { path: path.to_owned(), kind: "symbolic link" }
        } else {
            PrivateFileError::io(path, "read", source)
        }
    })?;
    check(path, &file, readers)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit_bytes.saturating_add(1)));
    let most = u64::try_from(limit_bytes).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|source| PrivateFileError::io(path, "read", source))?;
    if bytes.len() > limit_bytes {
        return Err(PrivateFileError::TooLarge { path: path.to_owned(), limit_bytes });
    }
    Ok(bytes)
}

fn check(path: &Path, file: &File, readers: Readers) -> Result<(), PrivateFileError> {
    let facts = file.metadata().map_err(|source| PrivateFileError::io(path, "read", source))?;
    if !facts.is_file() {
        let kind = if facts.is_dir() { "folder" } else { "pipe or device" };
        return Err(PrivateFileError::NotPlain { path: path.to_owned(), kind });
    }
    let expected = rustix::process::geteuid().as_raw();
    let trusted =
        facts.uid() == expected || (facts.uid() == 0 && readers == Readers::OwnerAndAccessList);
    if !trusted {
        return Err(PrivateFileError::Owner {
            path: path.to_owned(),
            owner: facts.uid(),
            expected,
        });
    }
    let mode = facts.permissions().mode() & 0o7777;
    let forbidden = match readers {
        Readers::OwnerOnly => 0o077,
        Readers::OwnerAndAccessList => 0o027,
    };
    if mode & forbidden != 0 {
        return Err(PrivateFileError::Exposed { path: path.to_owned(), mode });
    }
    check_folder(&folder_of(path))
}

/// A folder in which anybody may rename files lets anybody replace a key, whatever its own mode.
fn check_folder(folder: &Path) -> Result<(), PrivateFileError> {
    let facts = folder.metadata().map_err(|source| PrivateFileError::io(folder, "read", source))?;
    let mode = facts.permissions().mode() & 0o7777;
    let replaceable = mode & 0o002 != 0 && mode & 0o1000 == 0;
    if replaceable {
        return Err(PrivateFileError::Exposed { path: folder.to_owned(), mode });
    }
    Ok(())
}

/// Makes a private file with these contents, all of them or none, on disk when this returns.
/// An existing file is never replaced: that is an `AlreadyExists` error.
pub(crate) fn create(path: &Path, contents: &[u8]) -> Result<(), PrivateFileError> {
    let partial = partial_path(path);
    let made = write_new(&partial, contents).and_then(|()| publish(&partial, path));
    if made.is_err() {
        // The name is ours alone, so removing what is left of it harms nobody.
        let _ = std::fs::remove_file(&partial);
    }
    made.map_err(|source| PrivateFileError::io(path, "written", source))
}

/// Opens a new private file; nothing may exist under its name.
pub(crate) fn open_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(path)
}

/// Opens a new file under a name from [`partial_path`]. What a killed process of the same id left
/// there (in a container every process has id 1) is removed first.
pub(crate) fn open_partial(partial: &Path) -> io::Result<File> {
    match open_new(partial) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(partial)?;
            open_new(partial)
        }
        opened => opened,
    }
}

fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = open_partial(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Gives a finished file its real name, unless something has that name already.
pub(crate) fn publish(partial: &Path, path: &Path) -> io::Result<()> {
    // A link, unlike a rename, refuses to replace, on every file system that keyring files live on.
    std::fs::hard_link(partial, path)?;
    std::fs::remove_file(partial)?;
    sync_folder(path)
}

/// Makes names that were created or removed beside `path` survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// A name beside `path` that no other thread or process uses.
pub(crate) fn partial_path(path: &Path) -> PathBuf {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    with_suffix(path, &format!(".partial-{}-{serial}", std::process::id()))
}

/// `path` with text appended to its last component.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
