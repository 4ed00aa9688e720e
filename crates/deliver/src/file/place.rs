//! Where a file stands: the open directory and the name in it. Once a directory is open, whatever
//! somebody does to the path, everything happens in that directory or not at all.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use super::{Disk, FileError};

const LINKS_MAX: usize = 40;
const COMPONENTS_MAX: usize = 400;
const ENTRIES_MAX: usize = 100_000;
/// The name of what is being written ends with this many random hexadecimal digits.
const RANDOM_DIGITS: usize = 32;

pub(super) struct Place {
    pub(super) path: PathBuf,
    folder_path: PathBuf,
    folder: File,
    name: OsString,
}

impl Place {
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let bad = || FileError::NotAbsolute { path: path.to_owned() };
        let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        if !path.is_absolute() || !path.components().all(plain) {
            return Err(bad());
        }
        let (folder, name) = path.parent().zip(path.file_name()).ok_or_else(bad)?;
        let opened = walk(path, folder)?;
        let facts = opened.metadata().map_err(|source| FileError::io(folder, "read", source))?;
        let mode = facts.mode() & 0o7777;
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            return Err(FileError::FolderOpen { folder: folder.to_owned(), mode });
        }
        let (path, folder_path) = (path.to_owned(), folder.to_owned());
        Ok(Self { path, folder_path, folder: opened, name: name.to_owned() })
    }

    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    pub(super) fn name(&self) -> &Path {
        Path::new(&self.name)
    }

    /// Whether the path still leads to the directory that was opened.
    pub(super) fn check_same(&self) -> Result<(), FileError> {
        let failed = |source| FileError::io(&self.folder_path, "read", source);
        let replaced = || FileError::FolderReplaced { folder: self.folder_path.clone() };
        let now = walk(&self.path, &self.folder_path).map_err(|error| match error {
            FileError::FolderMissing { .. } | FileError::ForeignLink { .. } => replaced(),
            error => error,
        })?;
        let (now, then) =
            (now.metadata().map_err(failed)?, self.folder.metadata().map_err(failed)?);
        let same = (now.dev(), now.ino()) == (then.dev(), then.ino());
        same.then_some(()).ok_or_else(replaced)
    }

    /// A hidden name beside the file: `.NAME.keywheel-…`.
    pub(super) fn hidden(&self, what: &str) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(".keywheel-");
        name.push(what);
        PathBuf::from(name)
    }

    /// The name of what was there before.
    pub(super) fn former(&self) -> PathBuf {
        self.hidden("former")
    }

    /// A name that nobody can guess, for what is being written.
    pub(super) fn unguessable(&self) -> Result<PathBuf, FileError> {
        let mut random = [0_u8; RANDOM_DIGITS / 2];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
            .map_err(|source| FileError::io(&self.path, "named", source.into()))?;
        let digits = crate::values::hex(&random);
        Ok(self.hidden(&format!("new-{}", *digits)))
    }

    /// The path of a name beside the file, for messages and other programs.
    pub(super) fn beside(&self, name: &Path) -> PathBuf {
        self.folder_path.join(name)
    }

    /// Opens something in the directory to read it; nothing when it is not there.
    pub(super) fn open_in(&self, name: &Path) -> Result<Option<File>, FileError> {
        let path = self.beside(name);
        // Without NONBLOCK, a pipe that somebody put there would make us wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(self.folder(), name, flags, Mode::empty()) {
            Ok(file) => Ok(Some(File::from(file))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(rustix::io::Errno::LOOP) => {
                let to = rustix::fs::readlinkat(self.folder(), name, Vec::new());
                let to = to.map(|to| OsString::from_vec(to.into_bytes())).unwrap_or_default();
                Err(FileError::Link { path, to: self.folder_path.join(to) })
            }
            Err(source) => Err(FileError::io(&path, "read", source.into())),
        }
    }

    /// Whether something has this name.
    pub(super) fn is_there(&self, name: &Path) -> bool {
        rustix::fs::statat(self.folder(), name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// The names of what was being written by processes that are gone, or are still at it.
    pub(super) fn unfinished(&self) -> Vec<PathBuf> {
        let start = self.hidden("new-");
        let random = |name: &[u8]| {
            let digits = name.strip_prefix(start.as_os_str().as_bytes());
            digits.is_some_and(|digits| {
                digits.len() == RANDOM_DIGITS && digits.iter().all(u8::is_ascii_hexdigit)
            })
        };
        let Ok(entries) = rustix::fs::Dir::read_from(self.folder()) else { return Vec::new() };
        let names = entries.take(ENTRIES_MAX).filter_map(Result::ok);
        let names = names.filter(|entry| random(entry.file_name().to_bytes()));
        names.map(|entry| PathBuf::from(OsStr::from_bytes(entry.file_name().to_bytes()))).collect()
    }

    /// Waits until the names in the directory are on the disk.
    pub(super) fn sync(&self, disk: &dyn Disk) -> Result<(), FileError> {
        disk.sync(self.folder())
            .map_err(|source| FileError::io(&self.folder_path, "synced", source))
    }
}

/// What kind of thing this is, for messages.
pub(super) fn kind_of(facts: &Metadata) -> &'static str {
    match FileType::from_raw_mode(facts.mode()) {
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::RegularFile => "file",
        _ => "pipe, socket or device",
    }
}

/// Opens a directory step by step. A symbolic link is followed when it is root's or ours, or when
/// the directory at the end belongs to the one who made the link: nobody else's files are reached
/// through it then.
fn walk(path: &Path, folder: &Path) -> Result<File, FileError> {
    let failed = |source: rustix::io::Errno| match source {
        rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR => {
            FileError::FolderMissing { folder: folder.to_owned() }
        }
        source => FileError::io(folder, "opened", source.into()),
    };
    let root = || rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let step = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let own = rustix::process::geteuid().as_raw();
    let mut at: OwnedFd = root().map_err(failed)?;
    let mut seen = PathBuf::from("/");
    let mut left: Vec<OsString> = parts(folder);
    let mut foreign: Vec<(PathBuf, u32)> = Vec::new();
    let (mut links, mut steps) = (0_usize, 0_usize);
    while let Some(part) = left.pop() {
        steps = steps.saturating_add(1);
        let facts = rustix::fs::statat(&at, &*part, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if FileType::from_raw_mode(facts.st_mode) != FileType::Symlink {
            at = rustix::fs::openat(&at, &*part, step, Mode::empty()).map_err(failed)?;
            seen.push(part);
            continue;
        }
        links = links.saturating_add(1);
        if links > LINKS_MAX || steps > COMPONENTS_MAX {
            return Err(failed(rustix::io::Errno::LOOP));
        }
        if facts.st_uid != 0 && facts.st_uid != own {
            foreign.push((seen.join(&part), facts.st_uid));
        }
        let to = rustix::fs::readlinkat(&at, &*part, Vec::new()).map_err(failed)?;
        let to = PathBuf::from(OsString::from_vec(to.into_bytes()));
        if to.is_absolute() {
            at = root().map_err(failed)?;
        }
        left.extend(parts(&to));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = File::from(rustix::fs::openat(&at, ".", flags, Mode::empty()).map_err(failed)?);
    let facts = opened.metadata().map_err(|source| FileError::io(folder, "read", source))?;
    match foreign.into_iter().find(|(_, owner)| *owner != facts.uid()) {
        Some((link, owner)) => Err(FileError::ForeignLink { path: path.to_owned(), link, owner }),
        None => Ok(opened),
    }
}

/// The names on a way, last first.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    let mut parts: Vec<OsString> = parts.collect();
    parts.reverse();
    parts
}

/// Writes all of it.
pub(super) fn write_all(disk: &dyn Disk, file: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = disk.write(file, bytes)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}
