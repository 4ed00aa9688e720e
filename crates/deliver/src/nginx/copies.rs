//! Hidden copies of configuration files, beside them, for one test of nginx.
//!
//! A copy is readable by this user only, held by a lock while it is used, and removed when dropped.
//! What a killed process left behind has its name and no lock; the next test in the folder removes
//! it. The names begin with a dot, so that no pattern of `include` matches them.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, OFlags, flock};

/// What marks a copy in its name.
const MARK: &[u8] = b".keywheel-check-";
/// How much of the original's name a copy has in its own, for whoever finds one.
const NAME_BYTES_MAX: usize = 100;
/// The most entries of a folder that are looked through for left-overs.
const ENTRIES_MAX: usize = 65_536;

/// So that no thread of this process takes a copy for a left-over before it is locked.
static MAKING: Mutex<()> = Mutex::new(());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A copy, still empty when it is made.
pub(super) struct SiblingCopy {
    path: PathBuf,
    file: File,
}

impl SiblingCopy {
    /// Makes an empty copy beside a file.
    pub(super) fn beside(original: &Path) -> io::Result<Self> {
        let name = original.file_name().unwrap_or(OsStr::new("file")).as_bytes();
        let mut hidden = OsString::from(".");
        hidden.push(OsStr::from_bytes(name.get(..NAME_BYTES_MAX).unwrap_or(name)));
        hidden.push(OsStr::from_bytes(MARK));
        hidden.push(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let path = original.with_file_name(hidden);
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let copy = Self { path, file };
        flock(&copy.file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(copy)
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of it.
    pub(super) fn fill(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)
    }
}

impl Drop for SiblingCopy {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; the next test in this folder tries again.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Removes copies that a process left behind when it was killed; gives back how many.
pub(super) fn sweep(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let entries = entries.take(ENTRIES_MAX).flatten();
    let left = entries.filter(|entry| {
        owner(&entry.file_name()).is_some_and(|pid| is_left_over(&entry.path(), pid))
    });
    left.filter(|entry| std::fs::remove_file(entry.path()).is_ok()).count()
}

/// The process that made the copy of this name; none when it is no copy's name.
fn owner(name: &OsStr) -> Option<u32> {
    let name = name.as_bytes();
    let start = name.windows(MARK.len()).rposition(|part| part == MARK)?;
    let id = std::str::from_utf8(name.get(start.saturating_add(MARK.len())..)?).ok()?;
    let (pid, number) = id.split_once('-')?;
    number.parse::<u64>().ok()?;
    pid.parse().ok().filter(|_| name.starts_with(b"."))
}

fn is_left_over(path: &Path, pid: u32) -> bool {
    // A process of another namespace may have the same id or none here, so the lock decides; the
    // id protects a copy of another process in the moment before it is locked.
    let lives = pid != std::process::id() && Path::new("/proc").join(pid.to_string()).exists();
    let me = rustix::process::geteuid().as_raw();
    let is_ours = path.symlink_metadata().is_ok_and(|found| found.is_file() && found.uid() == me);
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
    !lives
        && is_ours
        && OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(path)
            .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_copy_is_private_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = SiblingCopy::beside(&folder.path().join("nginx.conf")).unwrap();
        copy.fill(b"a;").unwrap();
        assert_eq!(copy.path().metadata().unwrap().mode() & 0o7777, 0o600);
        assert_eq!(copy.path().parent(), Some(folder.path()));
        assert_eq!(sweep(folder.path()), 0, "a copy in use was taken for a left-over");
        drop(copy);
        assert_eq!(names(folder.path()), [] as [&str; 0]);
    }

    #[test]
    fn left_overs_go_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(folder.path().join(name), "").unwrap();
        // No process has the highest id: the kernel's limit is lower.
        write(".a.conf.keywheel-check-4294967295-0");
        write(&format!(".a.conf.keywheel-check-{}-99999", std::process::id()));
        for name in
            ["a.conf.keywheel-check-1-0", ".a.keywheel-check-x-0", ".a.keywheel-check-", "a"]
        {
            write(name);
        }
        write(&format!(".b.keywheel-check-{}-0", std::os::unix::process::parent_id()));
        let linked = folder.path().join(".l.keywheel-check-4294967295-1");
        std::os::unix::fs::symlink("a", linked).unwrap();
        assert_eq!(sweep(folder.path()), 2);
        assert_eq!(names(folder.path()).len(), 6);
    }

    #[test]
    fn long_names_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let copy = SiblingCopy::beside(&folder.path().join("x".repeat(250))).unwrap();
        assert!(copy.path().exists());
    }
}
