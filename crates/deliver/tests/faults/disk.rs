//! A disk that fails.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use keywheel_deliver::file::{Disk, OsDisk, Rename};
use rustix::io::Errno;

/// What happens at the n-th operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, and the others do not.
    Error(Errno),
    /// A write stops half way, and then nothing more happens.
    Killed,
}

/// A disk that fails once, writes a few bytes at a time, and may not know how to exchange names.
pub(crate) struct FaultyDisk {
    at: usize,
    fault: Fault,
    exchanges: bool,
    done: AtomicUsize,
}

impl FaultyDisk {
    pub(crate) fn new(at: usize, fault: Fault, exchanges: bool) -> Self {
        Self { at, fault, exchanges, done: AtomicUsize::new(0) }
    }

    /// Whether the fault has happened.
    pub(crate) fn struck(&self) -> bool {
        self.done.load(Ordering::Relaxed) > self.at
    }

    fn step(&self) -> io::Result<()> {
        let step = self.done.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::Error(errno) if step == self.at => Err(errno.into()),
            Fault::Killed if step >= self.at => Err(Errno::INTR.into()),
            _ => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn create(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<OwnedFd> {
        self.step()?;
        OsDisk.create(folder, name)
    }

    fn create_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        self.step()?;
        OsDisk.create_folder(folder, name)
    }

    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        let some = &bytes[..bytes.len().min(10)];
        if let Err(error) = self.step() {
            if self.done.load(Ordering::Relaxed) == self.at + 1 {
                OsDisk.write(file, &some[..some.len() / 2])?;
            }
            return Err(error);
        }
        OsDisk.write(file, some)
    }

    fn set_owner(&self, file: BorrowedFd<'_>, user: u32, group: u32) -> io::Result<()> {
        self.step()?;
        OsDisk.set_owner(file, user, group)
    }

    fn set_mode(&self, file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
        self.step()?;
        OsDisk.set_mode(file, mode)
    }

    fn sync(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        self.step()?;
        OsDisk.sync(file)
    }

    fn rename(
        &self,
        folder: BorrowedFd<'_>,
        from: &Path,
        to: &Path,
        how: Rename,
    ) -> io::Result<()> {
        self.step()?;
        if !self.exchanges && how != Rename::Replace {
            return Err(Errno::INVAL.into());
        }
        OsDisk.rename(folder, from, to, how)
    }

    fn remove(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        self.step()?;
        OsDisk.remove(folder, name)
    }

    fn remove_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        self.step()?;
        OsDisk.remove_folder(folder, name)
    }
}
