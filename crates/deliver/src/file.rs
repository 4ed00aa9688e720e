//! One way to write a file, so that whoever reads it sees the former content or the new one, whole,
//! whatever fails in between. What stands in it is left to [`crate::render`].
//!
//! [`stage`] writes the new content into a hidden file of the same directory, with its owner and
//! mode, and waits until it is on the disk. [`Staged::swap`] exchanges it with the present one in
//! one step and then compares what came out with what was expected, so that a change that somebody
//! made meanwhile is put back, not lost. What was there stays as `.NAME.keywheel-former`, with its
//! owner and mode, until [`settle`] makes a backup of it or removes it; so [`put_back`] needs no
//! room on a full disk.
//!
//! A process that is killed leaves the target whole, and at most hidden files that nobody may read
//! who might not read the target. The next [`stage`] removes those that no living process holds.

pub mod directory;

mod disk;
mod error;
mod owner;
mod place;

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use zeroize::Zeroizing;

pub use disk::{Disk, OsDisk, Rename};
pub use error::FileError;

use crate::settings::{BACKUPS_MAX, FileOptions};
use crate::values::CONTENT_BYTES_MAX;
use place::Place;

/// Who may do what with a file, and what tells it from any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    mode: u32,
    user: u32,
    group: u32,
}

impl Facts {
    fn of(facts: &Metadata) -> Self {
        Self {
            device: facts.dev(),
            inode: facts.ino(),
            size: facts.size(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
            mode: facts.mode() & 0o7777,
            user: facts.uid(),
            group: facts.gid(),
        }
    }

    /// Whether it is the same file with the same content. A rename changes the time of change, so
    /// that one is left out.
    fn is_same_content(&self, other: &Self) -> bool {
        (self.device, self.inode, self.size, self.modified)
            == (other.device, other.inode, other.size, other.modified)
    }
}

/// A file as it was read.
pub struct Present {
    bytes: Zeroizing<Vec<u8>>,
    facts: Facts,
}

impl Present {
    /// What stands in it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its permission bits.
    pub const fn mode(&self) -> u32 {
        self.facts.mode
    }

    /// The numbers of its user and group.
    pub const fn owner(&self) -> (u32, u32) {
        (self.facts.user, self.facts.group)
    }

    fn is(&self, other: &Self) -> bool {
        self.facts == other.facts && *self.bytes == *other.bytes
    }
}

/// What a file is to be like.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Wanted {
    mode: u32,
    user: u32,
    group: u32,
}

impl Wanted {
    fn of(options: &FileOptions, present: Option<&Facts>) -> Result<Self, FileError> {
        let (user, group) = match (&options.owner, present) {
            (Some(owner), _) => owner::resolve(owner)?,
            (None, Some(present)) => (present.user, present.group),
            (None, None) => {
                let own = rustix::process::geteuid().as_raw();
                (own, rustix::process::getegid().as_raw())
            }
        };
        let mode = options.mode & 0o777;
        if let Some(present) = present.filter(|present| mode & 0o077 & !present.mode != 0) {
            let (path, present) = (options.path.clone(), present.mode);
            return Err(FileError::WouldWiden { path, present, wanted: mode });
        }
        Ok(Self { mode, user, group })
    }

    const fn is_met_by(&self, facts: &Facts) -> bool {
        self.mode == facts.mode && self.user == facts.user && self.group == facts.group
    }
}

/// Reads the file; nothing when it is not there.
///
/// # Errors
/// When it is not a plain file that can be replaced, or cannot be read.
pub fn read(options: &FileOptions) -> Result<Option<Present>, FileError> {
    let place = Place::open(&options.path)?;
    read_in(&place, place.name())
}

fn read_in(place: &Place, name: &Path) -> Result<Option<Present>, FileError> {
    let Some(mut file) = place.open_in(name)? else { return Ok(None) };
    let path = place.beside(name);
    let failed = |source| FileError::io(&path, "read", source);
    let before = file.metadata().map_err(failed)?;
    if !before.is_file() {
        return Err(FileError::NotPlain { path, kind: place::kind_of(&before) });
    }
    if before.nlink() > 1 {
        return Err(FileError::HardLinks { path, links: before.nlink() });
    }
    // The group bits of the mode would then be the mask of the list, and mean something else.
    if rustix::fs::fgetxattr(&file, "system.posix_acl_access", &mut [0_u8; 0][..]).is_ok() {
        return Err(FileError::AccessList { path });
    }
    let limit_bytes = CONTENT_BYTES_MAX;
    let too_large = || FileError::TooLarge { path: path.clone(), limit_bytes };
    let size = usize::try_from(before.size()).map_err(|_| too_large())?;
    if size > limit_bytes {
        return Err(too_large());
    }
    // One more byte than there is shows a file that grows, and needs no second allocation.
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.saturating_add(1)));
    let most = before.size().saturating_add(1);
    (&mut file).take(most).read_to_end(&mut bytes).map_err(failed)?;
    let after = file.metadata().map_err(failed)?;
    if Facts::of(&before) != Facts::of(&after) || bytes.len() != size {
        return Err(FileError::EditedMeanwhile { path });
    }
    Ok(Some(Present { bytes, facts: Facts::of(&after) }))
}

/// Whether the file has these bytes, mode and owner already, so that nothing need be written.
///
/// # Errors
/// When the mode or owner that is wanted cannot be had.
pub fn is_current(
    options: &FileOptions,
    bytes: &[u8],
    present: Option<&Present>,
) -> Result<bool, FileError> {
    let Some(present) = present else { return Ok(false) };
    let wanted = Wanted::of(options, Some(&present.facts))?;
    Ok(wanted.is_met_by(&present.facts) && present.bytes() == bytes)
}

/// New content beside the present one, whole and on the disk. Removed when dropped.
pub struct Staged<'d> {
    disk: &'d dyn Disk,
    place: Place,
    path: PathBuf,
    name: Option<PathBuf>,
    /// Open, and locked as long as this process lives, so that nobody takes it for a left-over.
    file: File,
    facts: Facts,
    options: FileOptions,
}

/// Stages new content for the file.
///
/// # Errors
/// When it cannot be written, or not with the mode and owner that are wanted.
pub fn stage(
    options: &FileOptions,
    bytes: &[u8],
    present: Option<&Present>,
) -> Result<Staged<'static>, FileError> {
    stage_on(&OsDisk, options, bytes, present)
}

/// [`stage`] on another disk.
///
/// # Errors
/// As [`stage`].
pub fn stage_on<'d>(
    disk: &'d dyn Disk,
    options: &FileOptions,
    bytes: &[u8],
    present: Option<&Present>,
) -> Result<Staged<'d>, FileError> {
    let place = Place::open(&options.path)?;
    let wanted = Wanted::of(options, present.map(|present| &present.facts))?;
    remove_unfinished(disk, &place, wanted.user);
    let name = place.unguessable()?;
    let path = place.beside(&name);
    let staged = write_new(disk, &place, &name, bytes, wanted);
    let (file, facts) = staged.inspect_err(|_| {
        // The name is ours alone, so removing what is left of it harms nobody.
        let _ = disk.remove(place.folder(), &name);
    })?;
    Ok(Staged { disk, place, path, name: Some(name), file, facts, options: options.clone() })
}

fn write_new(
    disk: &dyn Disk,
    place: &Place,
    name: &Path,
    bytes: &[u8],
    wanted: Wanted,
) -> Result<(File, Facts), FileError> {
    let failed = |source| FileError::io(&place.path, "written", source);
    let file = File::from(disk.create(place.folder(), name).map_err(failed)?);
    let _ = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive);
    give(disk, place, &file, wanted)?;
    place::write_all(disk, file.as_fd(), bytes).map_err(failed)?;
    disk.sync(file.as_fd()).map_err(failed)?;
    let facts = Facts::of(&file.metadata().map_err(failed)?);
    if facts.size != bytes.len() as u64 || !wanted.is_met_by(&facts) {
        return Err(failed(io::Error::other("the file is not what was written")));
    }
    Ok((file, facts))
}

/// Gives a new file its owner, and then its mode: until then it is its maker's alone.
fn give(disk: &dyn Disk, place: &Place, file: &File, wanted: Wanted) -> Result<(), FileError> {
    let failed = |source| FileError::io(&place.path, "written", source);
    let facts = file.metadata().map_err(failed)?;
    let Wanted { mode, user, group } = wanted;
    if (facts.uid(), facts.gid()) != (user, group) {
        disk.set_owner(file.as_fd(), user, group).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => {
                FileError::Owner { path: place.path.clone(), user, group, source }
            }
            _ => failed(source),
        })?;
    }
    disk.set_mode(file.as_fd(), mode).map_err(failed)
}

/// Removes what killed processes left unfinished. What fails here is tried again next time.
fn remove_unfinished(disk: &dyn Disk, place: &Place, user: u32) {
    let own = rustix::process::geteuid().as_raw();
    for name in place.unfinished() {
        let Ok(Some(file)) = place.open_in(&name) else { continue };
        let ours = file.metadata().is_ok_and(|facts| [own, user].contains(&facts.uid()));
        // Whoever is still at it holds a lock.
        let free = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if ours && free {
            directory::remove_any(disk, place, &name, &file);
        }
    }
}

impl Staged<'_> {
    /// Where the staged file stands, for checks.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the staged file in the place of the present one, which must still be `expected`.
    ///
    /// After an error the target is whole: it holds the former content, or the new one when only
    /// the last step failed, which is to wait for the disk. [`read`] tells which.
    ///
    /// # Errors
    /// When somebody changed the file or its directory meanwhile, or the disk refuses.
    pub fn swap(mut self, expected: Option<&Present>) -> Result<(), FileError> {
        let Some(name) = self.name.clone() else { return Ok(()) };
        self.check_staged(&name)?;
        self.place.check_same()?;
        // What a delivery before this one left over belongs into the backups now.
        settle_in(self.disk, &self.place, &self.options)?;
        let edited = || FileError::EditedMeanwhile { path: self.place.path.clone() };
        let failed = |source| FileError::io(&self.place.path, "replaced", source);
        let (disk, folder, target) = (self.disk, self.place.folder(), self.place.name());
        match (expected, read_in(&self.place, target)?) {
            (None, None) => match disk.rename(folder, &name, target, Rename::New) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(edited()),
                Err(error) if is_unsupported(&error) => {
                    disk.rename(folder, &name, target, Rename::Replace).map_err(failed)?;
                }
                renamed => renamed.map_err(failed)?,
            },
            (Some(expected), Some(found)) if expected.is(&found) => {
                match disk.rename(folder, &name, target, Rename::Exchange) {
                    Err(error) if is_unsupported(&error) => self.replace(&name, expected)?,
                    exchanged => {
                        exchanged.map_err(failed)?;
                        self.keep_former(name, expected)?;
                    }
                }
            }
            _ => return Err(edited()),
        }
        self.name = None;
        self.place.sync(self.disk)
    }

    /// Whether the staged file is still what was staged: checks ran in between.
    fn check_staged(&self, name: &Path) -> Result<(), FileError> {
        let changed = || FileError::StagedChanged { path: self.path.clone() };
        let found = self.place.open_in(name)?.ok_or_else(changed)?;
        let failed = |source| FileError::io(&self.path, "read", source);
        let found = Facts::of(&found.metadata().map_err(failed)?);
        let held = Facts::of(&self.file.metadata().map_err(failed)?);
        (found == held && held == self.facts).then_some(()).ok_or_else(changed)
    }

    /// After the exchange, `name` is what was there, so from here on it is not ours to remove. It
    /// is kept when it is what was expected, and put back when it is not.
    fn keep_former(&mut self, name: PathBuf, expected: &Present) -> Result<(), FileError> {
        self.name = None;
        let (disk, folder) = (self.disk, self.place.folder());
        let found = read_in(&self.place, &name);
        let same = found.as_ref().ok().and_then(Option::as_ref).is_some_and(|found| {
            found.facts.is_same_content(&expected.facts) && found.bytes == expected.bytes
        });
        if same {
            let kept = disk.rename(folder, &name, &self.place.former(), Rename::Replace);
            return kept.map_err(|source| FileError::io(&self.place.path, "kept", source));
        }
        disk.rename(folder, &name, self.place.name(), Rename::Exchange)
            .map_err(|source| FileError::io(&self.place.path, "put back", source))?;
        self.name = Some(name);
        Err(FileError::EditedMeanwhile { path: self.place.path.clone() })
    }

    /// The same where the file system cannot exchange names, with a copy of the former content.
    fn replace(&self, name: &Path, expected: &Present) -> Result<(), FileError> {
        let copy = self.place.unguessable()?;
        let Facts { mode, user, group, .. } = expected.facts;
        let (disk, folder) = (self.disk, self.place.folder());
        let failed = |source| FileError::io(&self.place.path, "replaced", source);
        write_new(disk, &self.place, &copy, &expected.bytes, Wanted { mode, user, group })
            .and_then(|_| {
                let former = self.place.former();
                disk.rename(folder, &copy, &former, Rename::Replace).map_err(failed)
            })
            .inspect_err(|_| {
                let _ = disk.remove(folder, &copy);
            })?;
        let found = read_in(&self.place, self.place.name())?;
        if !found.is_some_and(|found| expected.is(&found)) {
            return Err(FileError::EditedMeanwhile { path: self.place.path.clone() });
        }
        disk.rename(folder, name, self.place.name(), Rename::Replace).map_err(failed)
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            let _ = self.disk.remove(self.place.folder(), &name);
        }
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// What the file was like before the last [`Staged::swap`], or before it was written at all by
/// keywheel: the newest of its former contents that `is_it` recognises, for whoever knows only a
/// digest after a crash.
///
/// # Errors
/// When the directory cannot be read.
pub fn former(
    options: &FileOptions,
    is_it: &dyn Fn(&[u8]) -> bool,
) -> Result<Option<Present>, FileError> {
    let place = Place::open(&options.path)?;
    let mut names = vec![place.former()];
    names.extend(place.unfinished());
    names.extend((1..=BACKUPS_MAX).map(|number| place.hidden(&number.to_string())));
    for name in names {
        // One that cannot be read is not it.
        let found = read_in(&place, &name).ok().flatten();
        if let Some(found) = found.filter(|found| is_it(found.bytes())) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Takes a [`Staged::swap`] back: `previous` is what was there before, or nothing when there was no
/// file. The former file itself takes its place again where it still exists, with its mode and
/// owner, for which a full disk has room enough.
///
/// # Errors
/// When the disk refuses. The target is whole then too.
pub fn put_back(options: &FileOptions, previous: Option<&[u8]>) -> Result<(), FileError> {
    put_back_on(&OsDisk, options, previous)
}

/// [`put_back`] on another disk.
///
/// # Errors
/// As [`put_back`].
pub fn put_back_on(
    disk: &dyn Disk,
    options: &FileOptions,
    previous: Option<&[u8]>,
) -> Result<(), FileError> {
    let place = Place::open(&options.path)?;
    let present = read_in(&place, place.name())?;
    let failed = |source| FileError::io(&place.path, "put back", source);
    let Some(previous) = previous else {
        if present.is_some() {
            disk.remove(place.folder(), place.name()).map_err(failed)?;
        }
        return place.sync(disk);
    };
    let present = present.as_ref();
    let serves = |name: &Path| {
        let kept = read_in(&place, name).ok().flatten();
        kept.is_some_and(|kept| kept.bytes() == previous) && !is_held(&place, name)
    };
    let mut kept = Some(place.former()).filter(|name| serves(name));
    if kept.is_none() {
        if present.is_some_and(|present| present.bytes() == previous) {
            return place.sync(disk);
        }
        // One that was killed within a swap had no time to give it that name.
        kept = place.unfinished().into_iter().find(|name| serves(name));
    }
    if let Some(name) = kept {
        disk.rename(place.folder(), &name, place.name(), Rename::Replace).map_err(failed)?;
        return place.sync(disk);
    }
    let mode = options.mode & present.map_or(0o777, |present| 0o700 | present.mode());
    let options = FileOptions { mode, ..options.clone() };
    stage_on(disk, &options, previous, present)?.swap(present)?;
    drop_former(disk, &place)
}

/// Removes what a restored content has replaced.
fn drop_former(disk: &dyn Disk, place: &Place) -> Result<(), FileError> {
    if let Some(former) = place.open_in(&place.former())? {
        directory::remove_any(disk, place, &place.former(), &former);
    }
    place.sync(disk)
}

/// Whether a living process is still writing this.
fn is_held(place: &Place, name: &Path) -> bool {
    let Ok(Some(file)) = place.open_in(name) else { return true };
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
}

/// Ends a delivery that stands: what was there before becomes the newest backup, or is removed when
/// none are kept. Backups beyond the wanted number are removed.
///
/// # Errors
/// When the disk refuses; the target is not touched by any of this.
pub fn settle(options: &FileOptions) -> Result<(), FileError> {
    settle_on(&OsDisk, options)
}

/// [`settle`] on another disk.
///
/// # Errors
/// As [`settle`].
pub fn settle_on(disk: &dyn Disk, options: &FileOptions) -> Result<(), FileError> {
    let place = Place::open(&options.path)?;
    settle_in(disk, &place, options)
}

fn settle_in(disk: &dyn Disk, place: &Place, options: &FileOptions) -> Result<(), FileError> {
    let backups = options.backups.min(BACKUPS_MAX);
    let mut changed = false;
    let former = place.former();
    if let Some(file) = place.open_in(&former)? {
        changed = true;
        let facts = file.metadata().map_err(|source| FileError::io(&place.path, "read", source))?;
        let same = is_same_as_target(place, &former);
        if backups == 0 || same {
            directory::remove_any(disk, place, &former, &file);
        } else {
            keep(disk, place, &file, &facts, backups)?;
        }
    }
    for number in backups.saturating_add(1)..=BACKUPS_MAX {
        let name = place.hidden(&number.to_string());
        if let Some(file) = place.open_in(&name)? {
            changed = true;
            directory::remove_any(disk, place, &name, &file);
        }
    }
    if changed { place.sync(disk) } else { Ok(()) }
}

/// When only the mode or owner changed, there is nothing to keep.
fn is_same_as_target(place: &Place, former: &Path) -> bool {
    let bytes = |name| read_in(place, name).ok().flatten().map(|found| found.bytes);
    bytes(former).is_some_and(|former| bytes(place.name()).is_some_and(|now| *now == *former))
}

/// Makes the former file the newest backup, which its owner alone may read.
fn keep(
    disk: &dyn Disk,
    place: &Place,
    file: &File,
    facts: &Metadata,
    backups: u8,
) -> Result<(), FileError> {
    let failed = |source| FileError::io(&place.path, "kept as a backup", source);
    let private = if facts.is_dir() { 0o700 } else { 0o600 };
    disk.set_mode(file.as_fd(), facts.mode() & private).map_err(failed)?;
    let name = |number: u8| place.hidden(&number.to_string());
    if let Some(oldest) = place.open_in(&name(backups))? {
        directory::remove_any(disk, place, &name(backups), &oldest);
    }
    for number in (1..backups).rev() {
        if place.is_there(&name(number)) {
            let next = name(number.saturating_add(1));
            disk.rename(place.folder(), &name(number), &next, Rename::Replace).map_err(failed)?;
        }
    }
    disk.rename(place.folder(), &place.former(), &name(1), Rename::Replace).map_err(failed)
}
