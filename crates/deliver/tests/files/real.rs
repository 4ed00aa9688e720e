//! Writes against a real file system: full, read-only, gone, edited or led elsewhere meanwhile.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use keywheel_deliver::file::{self, Disk, FileError, OsDisk, Rename, directory};
use keywheel_deliver::settings::{FileOptions, Owner};
use zeroize::Zeroizing;

use crate::support::options;

fn target() -> (tempfile::TempDir, FileOptions) {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&folder.path().join("key"));
    (folder, options)
}

fn write(options: &FileOptions, bytes: &[u8]) -> Result<(), FileError> {
    let present = file::read(options)?;
    if file::is_current(options, bytes, present.as_ref())? {
        return Ok(());
    }
    file::stage(options, bytes, present.as_ref())?.swap(present.as_ref())?;
    file::settle(options)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let (folder, options) = target();
    write(&options, b"one").unwrap();
    let before = fs::metadata(&options.path).unwrap();
    write(&options, b"one").unwrap();
    let after = fs::metadata(&options.path).unwrap();
    assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()));
    assert_eq!(mode(&options.path), 0o600);
    // A mode that is too wide is a change.
    fs::set_permissions(&options.path, Permissions::from_mode(0o644)).unwrap();
    write(&options, b"one").unwrap();
    assert_eq!(mode(&options.path), 0o600);
    assert_eq!(names(folder.path()), ["key"]);
}

#[test]
fn backups_are_private_and_counted() {
    let (folder, mut options) = target();
    options.backups = 2;
    options.mode = 0o644;
    for content in ["one", "two", "three", "four"] {
        write(&options, content.as_bytes()).unwrap();
    }
    assert_eq!(names(folder.path()), [".key.keywheel-1", ".key.keywheel-2", "key"]);
    let kept = |number| folder.path().join(format!(".key.keywheel-{number}"));
    assert_eq!(fs::read(kept(1)).unwrap(), b"three");
    assert_eq!(fs::read(kept(2)).unwrap(), b"two");
    assert_eq!((mode(&kept(1)), mode(&options.path)), (0o600, 0o644));
    options.backups = 0;
    write(&options, b"five").unwrap();
    assert_eq!(names(folder.path()), ["key"]);
}

#[test]
fn a_mode_is_never_widened() {
    let (_folder, mut options) = target();
    write(&options, b"one").unwrap();
    options.mode = 0o640;
    let refused = write(&options, b"two").unwrap_err();
    assert!(matches!(refused, FileError::WouldWiden { present: 0o600, wanted: 0o640, .. }));
    assert_eq!(fs::read(&options.path).unwrap(), b"one");
    fs::set_permissions(&options.path, Permissions::from_mode(0o400)).unwrap();
    options.mode = 0o600;
    write(&options, b"two").unwrap();
    assert_eq!(mode(&options.path), 0o600);
}

#[test]
fn what_somebody_changed_meanwhile_is_kept() {
    type Edit = fn(&Path);
    let edits: [(Edit, &[u8]); 4] = [
        (|path| fs::write(path, b"edited").unwrap(), b"edited"),
        (
            |path| {
                fs::write(path.with_extension("x"), b"moved here").unwrap();
                fs::rename(path.with_extension("x"), path).unwrap();
            },
            b"moved here",
        ),
        (
            // The same length, and a time of modification that was put back.
            |path| {
                let before = fs::metadata(path).unwrap().modified().unwrap();
                let mut file = OpenOptions::new().write(true).open(path).unwrap();
                file.write_all(b"ONE").unwrap();
                file.set_modified(before).unwrap();
            },
            b"ONE",
        ),
        (|path| fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap(), b"one"),
    ];
    for (edit, expected) in edits {
        let (folder, options) = target();
        write(&options, b"one").unwrap();
        let present = file::read(&options).unwrap();
        let staged = file::stage(&options, b"two", present.as_ref()).unwrap();
        edit(&options.path);
        let refused = staged.swap(present.as_ref()).unwrap_err();
        assert!(matches!(refused, FileError::EditedMeanwhile { .. }), "{refused}");
        assert_eq!(fs::read(&options.path).unwrap(), expected);
        assert_eq!(names(folder.path()), ["key"]);
    }
    // Made, and removed.
    let (_folder, options) = target();
    let staged = file::stage(&options, b"two", None).unwrap();
    fs::write(&options.path, b"theirs").unwrap();
    assert!(matches!(staged.swap(None), Err(FileError::EditedMeanwhile { .. })));
    let present = file::read(&options).unwrap();
    let staged = file::stage(&options, b"two", present.as_ref()).unwrap();
    fs::remove_file(&options.path).unwrap();
    assert!(matches!(staged.swap(present.as_ref()), Err(FileError::EditedMeanwhile { .. })));
    assert!(!options.path.exists());
}

/// A disk on which somebody edits the target between the last look and the exchange.
struct Racing {
    target: PathBuf,
    content: &'static [u8],
    done: AtomicBool,
}

impl Disk for Racing {
    fn create(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<OwnedFd> {
        OsDisk.create(folder, name)
    }
    fn create_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        OsDisk.create_folder(folder, name)
    }
    fn write(&self, file: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
        OsDisk.write(file, bytes)
    }
    fn set_owner(&self, file: BorrowedFd<'_>, user: u32, group: u32) -> io::Result<()> {
        OsDisk.set_owner(file, user, group)
    }
    fn set_mode(&self, file: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
        OsDisk.set_mode(file, mode)
    }
    fn sync(&self, file: BorrowedFd<'_>) -> io::Result<()> {
        OsDisk.sync(file)
    }
    fn rename(
        &self,
        folder: BorrowedFd<'_>,
        from: &Path,
        to: &Path,
        how: Rename,
    ) -> io::Result<()> {
        if !self.done.swap(true, Ordering::Relaxed) {
            fs::write(&self.target, self.content).unwrap();
        }
        OsDisk.rename(folder, from, to, how)
    }
    fn remove(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        OsDisk.remove(folder, name)
    }
    fn remove_folder(&self, folder: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
        OsDisk.remove_folder(folder, name)
    }
}

#[test]
fn an_edit_in_the_last_moment_is_put_back() {
    for start in [Some(&b"one"[..]), None] {
        let (folder, options) = target();
        if let Some(start) = start {
            write(&options, start).unwrap();
        }
        let present = file::read(&options).unwrap();
        let disk = Racing {
            target: options.path.clone(),
            content: b"edited",
            done: AtomicBool::new(false),
        };
        let staged = file::stage_on(&disk, &options, b"two", present.as_ref()).unwrap();
        let refused = staged.swap(present.as_ref()).unwrap_err();
        assert!(matches!(refused, FileError::EditedMeanwhile { .. }), "{refused}");
        assert_eq!(fs::read(&options.path).unwrap(), b"edited");
        assert_eq!(names(folder.path()), ["key"]);
    }
}

#[test]
fn readers_never_see_a_mix() {
    let (_folder, options) = target();
    let content = |number: usize| format!("{number:04}").repeat(5_000).into_bytes();
    write(&options, &content(0)).unwrap();
    let ended = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut reads = 0_u32;
            while !ended.load(Ordering::Relaxed) || reads == 0 {
                let bytes = fs::read(&options.path).unwrap();
                assert_eq!(bytes, bytes[..4].repeat(5_000));
                reads += 1;
            }
            reads
        });
        for number in 1..100 {
            write(&options, &content(number)).unwrap();
        }
        ended.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(reads > 0);
    assert_eq!(fs::read(&options.path).unwrap(), content(99));
}

#[test]
fn a_staged_file_that_a_check_changed_is_not_used() {
    let (_folder, options) = target();
    write(&options, b"one").unwrap();
    let present = file::read(&options).unwrap();
    let staged = file::stage(&options, b"two", present.as_ref()).unwrap();
    fs::write(staged.path(), b"TWO").unwrap();
    assert!(matches!(staged.swap(present.as_ref()), Err(FileError::StagedChanged { .. })));
    assert_eq!(fs::read(&options.path).unwrap(), b"one");
}

#[test]
fn a_directory_that_is_gone_or_another_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("conf");
    fs::create_dir(&folder).unwrap();
    let options = options(&folder.join("key"));
    write(&options, b"one").unwrap();
    let present = file::read(&options).unwrap();
    let staged = |text: &[u8]| file::stage(&options, text, present.as_ref()).unwrap();

    // Led elsewhere by a symbolic link.
    let moved = staged(b"two");
    let away = root.path().join("away");
    fs::rename(&folder, &away).unwrap();
    let elsewhere = root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, &folder).unwrap();
    assert!(matches!(moved.swap(present.as_ref()), Err(FileError::FolderReplaced { .. })));
    assert!(names(&elsewhere).is_empty());
    assert_eq!(
        (names(&away), fs::read(away.join("key")).unwrap()),
        (vec!["key".into()], b"one".into())
    );

    // Gone.
    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    let removed = staged(b"two");
    fs::remove_dir_all(&folder).unwrap();
    assert!(removed.swap(present.as_ref()).is_err());
    assert!(matches!(file::read(&options), Err(FileError::FolderMissing { .. })));
}

#[test]
fn links_lead_nobody_astray() {
    let root = tempfile::tempdir().unwrap();
    let (real, link) = (root.path().join("real"), root.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink("real", &link).unwrap();
    // Our own link to a directory is followed; one in the place of the file is not.
    write(&options(&link.join("key")), b"one").unwrap();
    assert_eq!(fs::read(real.join("key")).unwrap(), b"one");
    symlink("key", real.join("alias")).unwrap();
    let alias = options(&real.join("alias"));
    assert!(matches!(file::read(&alias), Err(FileError::Link { .. })));
    fs::hard_link(real.join("key"), real.join("second")).unwrap();
    let second = options(&real.join("second"));
    assert!(matches!(file::read(&second), Err(FileError::HardLinks { links: 2, .. })));
    fs::remove_file(real.join("second")).unwrap();
    let folder = options(&real);
    assert!(matches!(file::read(&folder), Err(FileError::NotPlain { .. })));
    if rustix::process::geteuid().is_root() {
        lchown(&link, Some(4321), Some(4321)).unwrap();
        let refused = file::read(&options(&link.join("key"))).err().unwrap();
        assert!(matches!(refused, FileError::ForeignLink { owner: 4321, .. }), "{refused}");
        chown(&real, Some(4321), Some(4321)).unwrap();
        assert!(file::read(&options(&link.join("key"))).is_ok());
    }
    fs::set_permissions(&real, Permissions::from_mode(0o777)).unwrap();
    let open = file::read(&options(&real.join("key"))).err().unwrap();
    assert!(matches!(open, FileError::FolderOpen { mode: 0o777, .. }), "{open}");
}

#[test]
fn left_overs_are_removed_and_living_ones_are_not() {
    let (folder, options) = target();
    let left = format!(".key.keywheel-new-{}", "0a".repeat(16));
    let theirs = ".key.keywheel-new-backup";
    fs::write(folder.path().join(&left), b"half of a sec").unwrap();
    fs::write(folder.path().join(theirs), b"not ours").unwrap();
    let living = file::stage(&options, b"one", None).unwrap();
    assert!(!folder.path().join(&left).exists());
    let second = file::stage(&options, b"two", None).unwrap();
    assert!(living.path().exists());
    second.swap(None).unwrap();
    drop(living);
    assert_eq!(names(folder.path()), [theirs, "key"]);
    assert_eq!(fs::read(&options.path).unwrap(), b"two");
}

#[test]
fn owners_are_set_or_refused() {
    let (_folder, mut options) = target();
    options.owner = Some(Owner { user: "4321".into(), group: Some("4322".into()) });
    let outcome = write(&options, b"one");
    if rustix::process::geteuid().is_root() {
        outcome.unwrap();
        let facts = fs::metadata(&options.path).unwrap();
        assert_eq!((facts.uid(), facts.gid(), facts.mode() & 0o7777), (4321, 4322, 0o600));
        // Without an owner in the settings, it stays whose it is.
        options.owner = None;
        write(&options, b"two").unwrap();
        assert_eq!(fs::metadata(&options.path).unwrap().uid(), 4321);
    } else {
        assert!(matches!(outcome, Err(FileError::Owner { user: 4321, group: 4322, .. })));
        assert!(!options.path.exists());
    }
}

#[test]
fn a_foreign_file_in_a_credentials_directory_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let options = FileOptions { mode: 0o640, ..options(&folder.path().join("credentials")) };
    let files = |text: &str| [("key".to_owned(), Zeroizing::new(text.as_bytes().to_vec()))].into();
    directory::stage(&options, &files("one"), None).unwrap().swap(None).unwrap();
    assert_eq!((mode(&options.path), mode(&options.path.join("key"))), (0o750, 0o640));
    let present = directory::read(&options).unwrap();
    assert!(directory::is_current(&options, &files("one"), present.as_ref()).unwrap());
    fs::write(options.path.join("mine"), b"x").unwrap();
    let staged = directory::stage(&options, &files("two"), present.as_ref()).unwrap();
    let refused = staged.swap(present.as_ref()).unwrap_err();
    assert!(matches!(refused, FileError::EditedMeanwhile { .. }), "{refused}");
    let present = directory::read(&options).unwrap();
    let refused = directory::stage(&options, &files("two"), present.as_ref()).err().unwrap();
    assert!(matches!(refused, FileError::Foreign { .. }), "{refused}");
    fs::remove_file(options.path.join("mine")).unwrap();
    let present = directory::read(&options).unwrap();
    directory::stage(&options, &files("two"), present.as_ref())
        .unwrap()
        .swap(present.as_ref())
        .unwrap();
    assert_eq!(fs::read(options.path.join("key")).unwrap(), b"two");
    directory::put_back(&options, Some(&files("one"))).unwrap();
    assert_eq!(fs::read(options.path.join("key")).unwrap(), b"one");
    assert_eq!(names(folder.path()), ["credentials"]);
}

const CHILD: &str = "KEYWHEEL_TEST_WRITES_TO";

/// Not a test by itself: what [`a_limit_or_a_kill_leaves_the_former_content`] runs.
#[test]
fn child_writes() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let refused = write(&options(Path::new(&path)), &b"x".repeat(100_000)).unwrap_err();
    assert!(matches!(refused, FileError::Io { .. }), "{refused}");
    assert!(refused.remedy().contains("LimitFSIZE="), "{}", refused.remedy());
}

#[test]
fn a_limit_or_a_kill_leaves_the_former_content() {
    // The limit ends a write with EFBIG where the signal is ignored, and kills where it is not.
    for (setting, killed) in [("trap '' XFSZ; ulimit -f 8", false), ("ulimit -f 8", true)] {
        let (folder, options) = target();
        write(&options, b"one").unwrap();
        let status = Command::new("/bin/sh")
            .args(["-c", &format!("{setting}; ulimit -c 0; exec \"$@\""), "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "real::child_writes"])
            .env(CHILD, &options.path)
            .output()
            .unwrap()
            .status;
        assert_eq!(status.signal().is_some(), killed, "{status}");
        assert_eq!(status.success(), !killed, "{status}");
        assert_eq!(fs::read(&options.path).unwrap(), b"one");
        assert_eq!(names(folder.path()).len(), 1 + usize::from(killed));
        for name in names(folder.path()) {
            assert_eq!(mode(&folder.path().join(name)), 0o600);
        }
        write(&options, b"two").unwrap();
        assert_eq!(names(folder.path()), ["key"]);
    }
}

/// A small file system in memory, gone when this is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Nothing where mounting is not permitted.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k,mode=700", "keywheel-test"])
            .arg(folder.path())
            .output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(folder))
    }

    fn remount(&self, how: &str) {
        let how = format!("remount,{how}");
        assert!(
            Command::new("mount").args(["-o", &how]).arg(self.0.path()).status().unwrap().success()
        );
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_or_read_only_disk_leaves_the_former_content() {
    let Some(disk) = SmallDisk::mount() else {
        // Permission is refused where this user cannot mount; root is not stopped by a mode.
        let (folder, options) = target();
        write(&options, b"one").unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o500)).unwrap();
        let outcome = write(&options, b"two");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(rustix::process::geteuid().is_root() || outcome.is_err());
        return;
    };
    let options = options(&disk.0.path().join("key"));
    write(&options, &[b'o'; 9_000]).unwrap();
    let present = file::read(&options).unwrap();
    file::stage(&options, &[b'n'; 9_000], present.as_ref())
        .unwrap()
        .swap(present.as_ref())
        .unwrap();
    // Now the disk fills up; the way back needs no room.
    let mut filler = fs::File::create(disk.0.path().join("filler")).unwrap();
    while filler.write_all(&[0; 1024]).is_ok() {}
    drop(filler);
    file::put_back(&options, Some(&[b'o'; 9_000])).unwrap();
    assert_eq!(fs::read(&options.path).unwrap(), [b'o'; 9_000]);
    let mut filler = OpenOptions::new().append(true).open(disk.0.path().join("filler")).unwrap();
    while filler.write_all(&[0; 1024]).is_ok() {}
    let refused = write(&options, &[b'n'; 9_000]).unwrap_err();
    assert!(refused.remedy().starts_with("free space"), "{}", refused.remedy());
    assert_eq!(fs::read(&options.path).unwrap(), [b'o'; 9_000]);
    assert_eq!(names(disk.0.path()), ["filler", "key"]);
    drop(filler);
    disk.remount("ro");
    let refused = write(&options, b"new").unwrap_err();
    assert!(refused.remedy().contains("ReadWritePaths="), "{}", refused.remedy());
    assert_eq!(fs::read(&options.path).unwrap(), [b'o'; 9_000]);
}
