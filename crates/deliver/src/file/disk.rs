//! Every operation that changes the disk, as a port: what a disk that is full, read-only or broken,
//! or a process that is killed, does to a write is tested by putting such a disk in.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid};

/// What becomes of a name that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rename {
    /// It is replaced.
    Replace,
    /// It stays, and the rename fails.
    New,
    /// Both trade places.
    Exchange,
}

/// What changes the disk. Names are relative to an open directory, so that nobody can move it away
/// between two operations.
pub trait Disk: Send + Sync {
    /// Makes a file of mode 0600 under a name that nothing has, and opens it.
    ///
    /// # Errors
    /// What the operating system says; so for each of these.
    fn create(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<OwnedFd>;
    /// Makes a directory of mode 0700 under a name that nothing has.
    ///
    /// # Errors
    /// What the operating system says.
    fn create_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()>;
    /// Writes some bytes, and says how many.
    ///
    /// # Errors
    /// What the operating system says.
    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize>;
    /// Gives an open file or directory an owner.
    ///
    /// # Errors
    /// What the operating system says.
    fn set_owner(&self, file: BorrowedFd<'_>, user: u32, group: u32) -> io::Result<()>;
    /// Gives an open file or directory its permission bits.
    ///
    /// # Errors
    /// What the operating system says.
    fn set_mode(&self, file: BorrowedFd<'_>, mode: u32) -> io::Result<()>;
    /// Waits until an open file or directory is on the disk.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync(&self, file: BorrowedFd<'_>) -> io::Result<()>;
    /// Renames within a directory.
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, folder: BorrowedFd<'_>, from: &Path, to: &Path, how: Rename)
    -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()>;
}

/// The disk of this host.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn create(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<OwnedFd> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600))?)
    }

    fn create_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o700))?)
    }

    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| rustix::io::write(file, bytes))?)
    }

    fn set_owner(&self, file: BorrowedFd<'_>, user: u32, group: u32) -> io::Result<()> {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        Ok(rustix::fs::fchown(file, Some(user), Some(group))?)
    }

    fn set_mode(&self, file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode & 0o777))?)
    }

    fn sync(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        Ok(rustix::fs::fsync(file)?)
    }

    fn rename(
        &self,
        folder: BorrowedFd<'_>,
        from: &Path,
        to: &Path,
        how: Rename,
    ) -> io::Result<()> {
        let flags = match how {
            Rename::Replace => return Ok(rustix::fs::renameat(folder, from, folder, to)?),
            Rename::New => RenameFlags::NOREPLACE,
            Rename::Exchange => RenameFlags::EXCHANGE,
        };
        Ok(rustix::fs::renameat_with(folder, from, folder, to, flags)?)
    }

    fn remove(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?)
    }

    fn remove_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
    }
}
