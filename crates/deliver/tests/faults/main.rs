//! The whole way of a file or directory to the disk, with each operation failing, and with the
//! process killed at each.
//!
//! This is a program of its own, because who is writing holds a lock, and a child that another test
//! starts at that moment has it too until it becomes its program: what was left over then rightly
//! stays where it is.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy does not see that the helpers of these tests are tests as well"
)]

mod disk;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use keywheel_deliver::file::{self, Disk, FileError, directory};
use keywheel_deliver::settings::FileOptions;
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::disk::{Fault, FaultyDisk};

const OLD: &[u8] = b"OLD_KEY=the former content of the file\n";
const NEW: &[u8] = b"NEW_KEY=the content that takes its place\n";
const OLDER: &[u8] = b"SECRET_KEY=what the newest backup holds\n";
const FAULTS: [Fault; 5] = [
    Fault::Error(Errno::NOSPC),
    Fault::Error(Errno::ROFS),
    Fault::Error(Errno::ACCESS),
    Fault::Error(Errno::IO),
    Fault::Killed,
];
/// More operations than any of the ways needs.
const STEPS_MAX: usize = 200;

fn options(path: &Path) -> FileOptions {
    FileOptions { path: path.to_owned(), mode: 0o600, owner: None, backups: 0 }
}

struct Scene {
    folder: tempfile::TempDir,
    options: FileOptions,
    /// What the owner and group are, which only root can make others than its own.
    owner: (u32, u32),
}

impl Scene {
    fn new(backups: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.env");
        fs::write(&path, OLD).unwrap();
        let owner = if rustix::process::geteuid().is_root() { (4321, 4322) } else { own() };
        chown(&path, Some(owner.0), Some(owner.1)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let backup = folder.path().join(".app.env.keywheel-1");
        fs::write(&backup, OLDER).unwrap();
        fs::set_permissions(&backup, Permissions::from_mode(0o600)).unwrap();
        let options = FileOptions { backups, ..options(&path) };
        Self { folder, options, owner }
    }

    /// What stands in the target: all of the one or all of the other, and with the right mode.
    fn content(&self) -> &'static [u8] {
        let facts = fs::metadata(&self.options.path).unwrap();
        assert_eq!((facts.uid(), facts.gid()), self.owner);
        let mode = facts.mode() & 0o7777;
        let bytes = fs::read(&self.options.path).unwrap();
        match mode {
            0o640 if bytes == OLD => OLD,
            0o600 if bytes == NEW => NEW,
            _ => panic!("{mode:04o} {}", String::from_utf8_lossy(&bytes)),
        }
    }

    /// Nothing beside the target can be read by others than before, and nothing is lost.
    fn check_hidden(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let hidden: Vec<PathBuf> = entries.filter(|path| *path != self.options.path).collect();
        for path in &hidden {
            let mode = fs::metadata(path).unwrap().mode() & 0o7777;
            // A copy of the former file may have the mode that it had.
            let allowed = if OLD.starts_with(&fs::read(path).unwrap()) { 0o640 } else { 0o600 };
            assert_eq!(mode & !allowed, 0, "{} has {mode:04o}", path.display());
        }
        hidden
    }

    fn backup(&self, number: u8) -> Option<Vec<u8>> {
        fs::read(self.folder.path().join(format!(".app.env.keywheel-{number}"))).ok()
    }
}

fn own() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

fn swap(disk: &dyn Disk, options: &FileOptions) -> Result<(), FileError> {
    let present = file::read(options)?;
    let staged = file::stage_on(disk, options, NEW, present.as_ref())?;
    assert_eq!(fs::read(staged.path()).unwrap(), NEW);
    staged.swap(present.as_ref())
}

fn deliver(disk: &dyn Disk, options: &FileOptions) -> Result<(), FileError> {
    swap(disk, options)?;
    file::settle_on(disk, options)
}

/// Runs a way with a fault at each of its operations, and says at how many there was one.
fn at_every_step(mut way: impl FnMut(&FaultyDisk)) -> usize {
    let mut struck = 0;
    for exchanges in [true, false] {
        for fault in FAULTS {
            let steps = (0..STEPS_MAX).take_while(|step| {
                let disk = FaultyDisk::new(*step, fault, exchanges);
                way(&disk);
                disk.struck()
            });
            struck += steps.count();
        }
    }
    struck
}

#[test]
fn a_file_is_whole_whatever_fails() {
    for backups in [0, 2] {
        let struck = at_every_step(|disk| {
            let scene = Scene::new(backups);
            let outcome = deliver(disk, &scene.options);
            let content = scene.content();
            scene.check_hidden();
            if outcome.is_ok() {
                assert_eq!(content, NEW);
            }
            // The next run completes it, and clears up.
            deliver(&file::OsDisk, &scene.options).unwrap();
            assert_eq!(scene.content(), NEW);
            let hidden = scene.check_hidden();
            let kept: Vec<_> = (1..=3).filter_map(|number| scene.backup(number)).collect();
            assert_eq!(hidden.len(), kept.len(), "{hidden:?}");
            assert!(kept.len() <= usize::from(backups));
            if backups > 0 {
                assert!(kept.contains(&OLD.to_vec()) || kept.contains(&OLDER.to_vec()));
            }
        });
        assert!(struck > 100, "{struck}");
    }
}

#[test]
fn a_delivery_can_be_taken_back_whatever_fails() {
    let struck = at_every_step(|disk| {
        let scene = Scene::new(1);
        swap(&file::OsDisk, &scene.options).unwrap();
        assert_eq!(scene.content(), NEW);
        if file::put_back_on(disk, &scene.options, Some(OLD)).is_ok() {
            assert_eq!(scene.content(), OLD);
        }
        scene.content();
        scene.check_hidden();
        file::put_back(&scene.options, Some(OLD)).unwrap();
        assert_eq!(scene.content(), OLD);
        assert_eq!(scene.backup(1).as_deref(), Some(OLDER));
    });
    assert!(struck > 10, "{struck}");
}

#[test]
fn a_swap_that_was_killed_can_be_taken_back() {
    at_every_step(|disk| {
        let scene = Scene::new(1);
        let _ = swap(disk, &scene.options);
        // After a crash only a digest is known of what was there.
        if scene.content() == NEW {
            let former = file::former(&scene.options, &|bytes| bytes == OLD).unwrap().unwrap();
            file::put_back(&scene.options, Some(former.bytes())).unwrap();
        }
        assert_eq!(scene.content(), OLD);
        assert_eq!(scene.backup(1).as_deref(), Some(OLDER));
        scene.check_hidden();
    });
}

#[test]
fn a_new_file_is_whole_or_absent_whatever_fails() {
    at_every_step(|disk| {
        let folder = tempfile::tempdir().unwrap();
        let options = options(&folder.path().join("key"));
        let outcome = swap(disk, &options);
        match fs::read(&options.path) {
            Ok(bytes) => assert_eq!(bytes, NEW),
            Err(_) => assert!(outcome.is_err()),
        }
        file::put_back(&options, None).unwrap();
        assert!(!options.path.exists());
        deliver(&file::OsDisk, &options).unwrap();
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!((fs::read(&options.path).unwrap().as_slice(), names), (NEW, 1));
    });
}

fn files(text: &str) -> directory::Files {
    let file =
        |name: &str| (name.to_owned(), Zeroizing::new(format!("{name} {text}").into_bytes()));
    ["a", "b", "c"].map(file).into()
}

fn swap_directory(disk: &dyn Disk, options: &FileOptions) -> Result<(), FileError> {
    let present = directory::read(options)?;
    directory::stage_on(disk, options, &files("new"), present.as_ref())?.swap(present.as_ref())
}

fn in_directory(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let facts = entry.metadata().unwrap();
            assert_eq!(facts.mode() & 0o7777, 0o600);
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn a_directory_is_whole_whatever_fails() {
    let plain = |files: &directory::Files| -> BTreeMap<String, Vec<u8>> {
        files.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect()
    };
    let (old, new) = (plain(&files("old")), plain(&files("new")));
    let struck = at_every_step(|disk| {
        let folder = tempfile::tempdir().unwrap();
        let options = FileOptions { backups: 1, ..options(&folder.path().join("credentials")) };
        directory::stage(&options, &files("old"), None).unwrap().swap(None).unwrap();
        let outcome = swap_directory(disk, &options).and_then(|()| file::settle_on(disk, &options));
        let found = in_directory(&options.path);
        assert!(found == old || found == new, "{found:?}");
        assert!(outcome.is_err() || found == new);
        for entry in fs::read_dir(folder.path()).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o077, 0);
        }
        if found == new {
            let is_old = |files: &directory::Files| *files == self::files("old");
            let former = directory::former(&options, &is_old).unwrap().unwrap();
            directory::put_back(&options, Some(former.files())).unwrap();
            assert_eq!(in_directory(&options.path), old);
        }
        let Err(error) = swap_directory(&file::OsDisk, &options) else {
            file::settle(&options).unwrap();
            assert_eq!(in_directory(&options.path), new);
            let names = fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(names, 2, "the directory and its backup");
            return;
        };
        panic!("{error}");
    });
    assert!(struck > 50, "{struck}");
}
