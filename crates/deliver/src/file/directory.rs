//! The same for a directory of small files, which is replaced as a whole: a reader that opens it
//! finds the former files or the new ones, never some of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use zeroize::Zeroizing;

use super::place::{self, Place};
use super::{Disk, Facts, FileError, OsDisk, Rename, Wanted, is_held, is_unsupported, settle_in};
use crate::settings::FileOptions;
use crate::values::CONTENT_BYTES_MAX;

/// Files by name.
pub type Files = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// The most files that a directory may hold.
const FILES_MAX: usize = 1_000;

/// A directory as it was read.
pub struct Present {
    files: Files,
    facts: Facts,
    each: BTreeMap<String, Facts>,
}

impl Present {
    /// What is in it.
    pub const fn files(&self) -> &Files {
        &self.files
    }

    /// Whether nothing was changed between both. Renaming a directory changes its own times.
    fn is(&self, other: &Self) -> bool {
        let same = (self.facts.device, self.facts.inode, self.facts.mode)
            == (other.facts.device, other.facts.inode, other.facts.mode);
        same && self.each == other.each && self.files == other.files
    }
}

/// Reads the directory; nothing when it is not there.
///
/// # Errors
/// When it holds anything but plain files, or cannot be read.
pub fn read(options: &FileOptions) -> Result<Option<Present>, FileError> {
    let place = Place::open(&options.path)?;
    read_in(&place, place.name())
}

fn read_in(place: &Place, name: &Path) -> Result<Option<Present>, FileError> {
    let Some(folder) = place.open_in(name)? else { return Ok(None) };
    let path = place.beside(name);
    let failed = |source| FileError::io(&path, "read", source);
    let facts = folder.metadata().map_err(failed)?;
    if !facts.is_dir() {
        return Err(FileError::NotPlain { path, kind: place::kind_of(&facts) });
    }
    let (mut files, mut each) = (Files::new(), BTreeMap::new());
    for name in names(&folder, &path)? {
        let foreign = || FileError::Foreign { path: path.clone(), name: name.clone() };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, name.as_str(), flags, Mode::empty());
        let file = File::from(file.map_err(|_| foreign())?);
        let facts = file.metadata().map_err(failed)?;
        if !facts.is_file() || facts.nlink() > 1 {
            return Err(foreign());
        }
        let bytes = read_file(file, facts.size(), &path)?;
        each.insert(name.clone(), Facts::of(&facts));
        files.insert(name, bytes);
    }
    Ok(Some(Present { files, facts: Facts::of(&facts), each }))
}

fn read_file(mut file: File, size: u64, path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    use std::io::Read as _;
    let limit_bytes = CONTENT_BYTES_MAX;
    let room = usize::try_from(size).ok().filter(|size| *size <= limit_bytes);
    let too_large = || FileError::TooLarge { path: path.to_owned(), limit_bytes };
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(room.ok_or_else(too_large)?.saturating_add(1)));
    (&mut file)
        .take(size.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| FileError::io(path, "read", source))?;
    if bytes.len() as u64 == size {
        Ok(bytes)
    } else {
        Err(FileError::EditedMeanwhile { path: path.to_owned() })
    }
}

fn names(folder: &File, path: &Path) -> Result<Vec<String>, FileError> {
    let failed = |source: rustix::io::Errno| FileError::io(path, "read", source.into());
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() >= FILES_MAX {
            return Err(FileError::TooLarge { path: path.to_owned(), limit_bytes: FILES_MAX });
        }
        names.push(String::from_utf8_lossy(name).into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// The permission bits of a directory whose files have this mode: who may read may enter.
const fn folder_mode(mode: u32) -> u32 {
    0o700 | (mode & 0o077) | ((mode & 0o044) >> 2)
}

/// Whether the directory has these files, modes and owners already.
///
/// # Errors
/// When the mode or owner that is wanted cannot be had.
pub fn is_current(
    options: &FileOptions,
    files: &Files,
    present: Option<&Present>,
) -> Result<bool, FileError> {
    let Some(present) = present else { return Ok(false) };
    let (folder, each) = wanted(options, Some(present))?;
    let met = folder.is_met_by(&present.facts) && present.each.values().all(|f| each.is_met_by(f));
    Ok(met && present.files == *files)
}

/// What the directory and the files in it are to be like.
fn wanted(options: &FileOptions, present: Option<&Present>) -> Result<(Wanted, Wanted), FileError> {
    let mode = folder_mode(options.mode & 0o777);
    let options_folder = FileOptions { mode, ..options.clone() };
    let folder = Wanted::of(&options_folder, present.map(|present| &present.facts))?;
    Ok((folder, Wanted { mode: options.mode & 0o777, ..folder }))
}

/// A new directory beside the present one. Removed when dropped.
pub struct Staged<'d> {
    disk: &'d dyn Disk,
    place: Place,
    path: PathBuf,
    name: Option<PathBuf>,
    _held: File,
    names: BTreeSet<String>,
    options: FileOptions,
}

/// Stages new files for the directory.
///
/// # Errors
/// When they cannot be written, or a file is there that does not belong to them.
pub fn stage(
    options: &FileOptions,
    files: &Files,
    present: Option<&Present>,
) -> Result<Staged<'static>, FileError> {
    stage_on(&OsDisk, options, files, present)
}

/// [`stage`] on another disk.
///
/// # Errors
/// As [`stage`].
pub fn stage_on<'d>(
    disk: &'d dyn Disk,
    options: &FileOptions,
    files: &Files,
    present: Option<&Present>,
) -> Result<Staged<'d>, FileError> {
    let place = Place::open(&options.path)?;
    let strange =
        present.and_then(|present| present.files.keys().find(|f| !files.contains_key(*f)));
    if let Some(name) = strange {
        return Err(FileError::Foreign { path: place.path, name: name.clone() });
    }
    let (folder_wanted, wanted) = wanted(options, present)?;
    super::remove_unfinished(disk, &place, wanted.user);
    let name = place.unguessable()?;
    let written = write_new(disk, &place, &name, files, folder_wanted, wanted);
    let held = written.inspect_err(|_| {
        if let Ok(Some(folder)) = place.open_in(&name) {
            remove_any(disk, &place, &name, &folder);
        }
    })?;
    Ok(Staged {
        disk,
        path: place.beside(&name),
        place,
        name: Some(name),
        _held: held,
        names: files.keys().cloned().collect(),
        options: options.clone(),
    })
}

fn write_new(
    disk: &dyn Disk,
    place: &Place,
    name: &Path,
    files: &Files,
    folder_wanted: Wanted,
    wanted: Wanted,
) -> Result<File, FileError> {
    let failed = |source| FileError::io(&place.path, "written", source);
    disk.create_folder(place.folder(), name).map_err(failed)?;
    let gone = || FileError::StagedChanged { path: place.beside(name) };
    let folder = place.open_in(name)?.ok_or_else(gone)?;
    let _ = rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive);
    for (file_name, bytes) in files {
        let file = disk.create(folder.as_fd(), Path::new(file_name)).map_err(failed)?;
        let file = File::from(file);
        super::give(disk, place, &file, wanted)?;
        place::write_all(disk, file.as_fd(), bytes).map_err(failed)?;
        disk.sync(file.as_fd()).map_err(failed)?;
    }
    // The owner may enter only now, when it is whole.
    super::give(disk, place, &folder, folder_wanted)?;
    disk.sync(folder.as_fd()).map_err(failed)?;
    Ok(folder)
}

impl Staged<'_> {
    /// Where the staged directory stands, for checks.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the staged directory in the place of the present one, which must still be `expected`.
    /// After an error the target is whole, as with [`super::Staged::swap`].
    ///
    /// # Errors
    /// When somebody changed the directory meanwhile, or the disk or file system refuses.
    pub fn swap(mut self, expected: Option<&Present>) -> Result<(), FileError> {
        let Some(name) = self.name.clone() else { return Ok(()) };
        let staged = read_in(&self.place, &name)?;
        if !staged.is_some_and(|staged| staged.files.keys().eq(self.names.iter())) {
            return Err(FileError::StagedChanged { path: self.path.clone() });
        }
        self.place.check_same()?;
        settle_in(self.disk, &self.place, &self.options)?;
        let edited = || FileError::EditedMeanwhile { path: self.place.path.clone() };
        let failed = |source| FileError::io(&self.place.path, "replaced", source);
        let (disk, folder, target) = (self.disk, self.place.folder(), self.place.name());
        match (expected, read_in(&self.place, target)?) {
            (None, None) => disk.rename(folder, &name, target, Rename::New).map_err(failed)?,
            (Some(expected), Some(found)) if expected.is(&found) => {
                exchange(disk, &self.place, &name)?;
                // From here on it is what was there, and not ours to remove.
                self.name = None;
                let came_out = read_in(&self.place, &name).ok().flatten();
                if !came_out.is_some_and(|came_out| expected.is(&came_out)) {
                    exchange(disk, &self.place, &name)?;
                    self.name = Some(name);
                    return Err(FileError::EditedMeanwhile { path: self.place.path.clone() });
                }
                let former = self.place.former();
                disk.rename(folder, &name, &former, Rename::Replace).map_err(failed)?;
            }
            _ => return Err(edited()),
        }
        self.name = None;
        self.place.sync(self.disk)
    }
}

fn exchange(disk: &dyn Disk, place: &Place, name: &Path) -> Result<(), FileError> {
    disk.rename(place.folder(), name, place.name(), Rename::Exchange).map_err(|error| {
        if is_unsupported(&error) {
            FileError::NoExchange { path: place.path.clone() }
        } else {
            FileError::io(&place.path, "replaced", error)
        }
    })
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        if let Ok(Some(folder)) = self.place.open_in(&name) {
            remove_any(self.disk, &self.place, &name, &folder);
        }
    }
}

/// Takes a [`Staged::swap`] back; see [`super::put_back`].
///
/// # Errors
/// When the disk refuses. The target is whole then too.
pub fn put_back(options: &FileOptions, previous: Option<&Files>) -> Result<(), FileError> {
    put_back_on(&OsDisk, options, previous)
}

/// [`put_back`] on another disk.
///
/// # Errors
/// As [`put_back`].
pub fn put_back_on(
    disk: &dyn Disk,
    options: &FileOptions,
    previous: Option<&Files>,
) -> Result<(), FileError> {
    let place = Place::open(&options.path)?;
    let present = read_in(&place, place.name())?;
    let Some(previous) = previous else {
        if present.is_some() {
            // Out of the way in one step; nobody shall find half of it.
            let name = place.unguessable()?;
            disk.rename(place.folder(), place.name(), &name, Rename::Replace)
                .map_err(|source| FileError::io(&place.path, "put back", source))?;
            if let Some(folder) = place.open_in(&name)? {
                remove_any(disk, &place, &name, &folder);
            }
        }
        return place.sync(disk);
    };
    let present = present.as_ref();
    let serves = |name: &Path| {
        let kept = read_in(&place, name).ok().flatten();
        kept.is_some_and(|kept| kept.files == *previous) && !is_held(&place, name)
    };
    let mut kept = Some(place.former()).filter(|name| serves(name));
    if kept.is_none() {
        if present.is_some_and(|present| present.files == *previous) {
            return place.sync(disk);
        }
        kept = place.unfinished().into_iter().find(|name| serves(name));
    }
    let Some(name) = kept else {
        stage_on(disk, options, previous, present)?.swap(present)?;
        return super::drop_former(disk, &place);
    };
    if present.is_none() {
        disk.rename(place.folder(), &name, place.name(), Rename::New)
            .map_err(|source| FileError::io(&place.path, "put back", source))?;
        return place.sync(disk);
    }
    exchange(disk, &place, &name)?;
    if let Some(folder) = place.open_in(&name)? {
        remove_any(disk, &place, &name, &folder);
    }
    place.sync(disk)
}

/// What the directory was like before; see [`super::former`].
///
/// # Errors
/// When the directory around it cannot be read.
pub fn former(
    options: &FileOptions,
    is_it: &dyn Fn(&Files) -> bool,
) -> Result<Option<Present>, FileError> {
    let place = Place::open(&options.path)?;
    let mut names = vec![place.former()];
    names.extend(place.unfinished());
    let numbers = 1..=crate::settings::BACKUPS_MAX;
    names.extend(numbers.map(|number| place.hidden(&number.to_string())));
    let found = names.iter().filter_map(|name| read_in(&place, name).ok().flatten());
    Ok(found.into_iter().find(|found| is_it(&found.files)))
}

/// Removes a hidden file, or a hidden directory with the plain files in it. What fails here is
/// hidden still, nobody may read it who might not before, and it is tried again next time.
pub(super) fn remove_any(disk: &dyn Disk, place: &Place, name: &Path, opened: &File) {
    if !opened.metadata().is_ok_and(|facts| facts.is_dir()) {
        let _ = disk.remove(place.folder(), name);
        return;
    }
    let Ok(entries) = rustix::fs::Dir::read_from(opened) else { return };
    for entry in entries.take(FILES_MAX).filter_map(Result::ok) {
        let file = Path::new(std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()));
        if file != Path::new(".") && file != Path::new("..") {
            let _ = disk.remove(opened.as_fd(), file);
        }
    }
    let _ = disk.remove_folder(place.folder(), name);
}
