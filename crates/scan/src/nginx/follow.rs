//! From the main file to every file that it is made of: reads `include`, as nginx does, with bounds
//! on depth, number and size.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::{At, FollowError};
use super::glob::{self, Imagined};
use super::lex::Span;
use super::tree::{Directive, parse, walk};

/// The most bytes that one file may have.
pub const FILE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most bytes that all files may have together.
pub const TOTAL_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The most files.
pub const FILES_MAX: usize = 4096;
/// How deep files may include each other.
pub const INCLUDE_DEPTH_MAX: usize = 32;

/// A configuration: its main file first, then the others in the order in which nginx meets them.
/// Each file stands here once, however often it is included.
#[derive(Debug)]
pub struct Configuration {
    /// The files.
    pub files: Vec<File>,
    /// Where the file that was not to be read is included, by the paths under which it is.
    pub unread: Vec<PathBuf>,
}

/// One file of a configuration.
pub struct File {
    /// Its path as the include has it, made absolute.
    pub path: PathBuf,
    /// What it says. It may hold secrets, so it is erased when dropped.
    pub text: Zeroizing<Vec<u8>>,
    /// The same, read.
    pub directives: Vec<Directive>,
    /// The files that it includes.
    pub includes: Vec<Include>,
}

/// One `include` and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// Where the directive stands.
    pub span: Span,
    /// The files, in order. A pattern may match none.
    pub paths: Vec<PathBuf>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({}, {} bytes)", self.path.display(), self.text.len())
    }
}

impl Configuration {
    /// The file of this path.
    pub fn file(&self, path: &Path) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

/// A file that counts as included, existing and empty, whatever it is: another will stand in for
/// it.
pub struct Unread {
    folder: PathBuf,
    name: OsString,
}

impl Unread {
    /// The file of this absolute path, whose folder has to exist.
    ///
    /// # Errors
    /// The folder cannot be resolved, or the path names no file.
    pub fn new(path: &Path) -> std::io::Result<Self> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(std::io::Error::from(std::io::ErrorKind::InvalidFilename));
        };
        Ok(Self { folder: folder.canonicalize()?, name: name.to_owned() })
    }

    /// Whether a path leads to this file, through links or not.
    pub fn is(&self, path: &Path) -> bool {
        let named = path.file_name() == Some(&self.name)
            && path.parent().is_some_and(|folder| self.is_folder(folder));
        named || path.canonicalize().is_ok_and(|path| path == self.folder.join(&self.name))
    }

    fn is_folder(&self, folder: &Path) -> bool {
        folder.canonicalize().is_ok_and(|folder| folder == self.folder)
    }
}

impl Imagined for Unread {
    fn name_in(&self, folder: &Path) -> Option<&OsStr> {
        self.is_folder(folder).then_some(&self.name)
    }
}

/// Reads the configuration whose main file this is. Relative includes start at its folder.
///
/// # Errors
/// A file is missing, cannot be read, is no configuration, includes itself, or is too much.
pub fn follow(main: &Path) -> Result<Configuration, FollowError> {
    Follower::of(main, None)?.configuration(main)
}

/// The same without reading one of the files, which need not exist.
///
/// # Errors
/// As [`follow`].
pub fn follow_without(main: &Path, unread: &Unread) -> Result<Configuration, FollowError> {
    Follower::of(main, Some(unread))?.configuration(main)
}

struct Follower<'a> {
    /// Where relative includes start: nginx's `conf_prefix`.
    folder: PathBuf,
    unread: Option<&'a Unread>,
    /// The files, and where each stands among them.
    files: Vec<File>,
    places: BTreeMap<PathBuf, usize>,
    unread_paths: Vec<PathBuf>,
    bytes: usize,
    /// The files that are being read, outermost first.
    chain: Vec<PathBuf>,
}

impl<'a> Follower<'a> {
    fn of(main: &Path, unread: Option<&'a Unread>) -> Result<Self, FollowError> {
        let folder = std::path::absolute(main)
            .map_err(|source| FollowError::Unreadable { path: main.into(), from: None, source })?
            .parent()
            .unwrap_or(Path::new("/"))
            .to_owned();
        Ok(Self {
            folder,
            unread,
            files: Vec::new(),
            places: BTreeMap::new(),
            unread_paths: Vec::new(),
            bytes: 0,
            chain: Vec::new(),
        })
    }

    fn configuration(mut self, main: &Path) -> Result<Configuration, FollowError> {
        let path = self.folder.join(main.file_name().unwrap_or_default());
        self.read(&path, None)?;
        Ok(Configuration { files: self.files, unread: self.unread_paths })
    }

    /// Reads a file and all that it includes.
    fn read(&mut self, path: &Path, from: Option<At>) -> Result<(), FollowError> {
        if let Some(start) = self.chain.iter().position(|open| open == path)
            && let Some(from) = from
        {
            let mut chain = self.chain.get(start..).unwrap_or_default().to_vec();
            chain.push(path.to_owned());
            return Err(FollowError::Cycle { path: path.to_owned(), from, chain });
        }
        if self.places.contains_key(path) {
            return Ok(());
        }
        if self.files.len() >= FILES_MAX {
            return Err(FollowError::TooManyFiles { path: path.to_owned() });
        }
        if self.chain.len() >= INCLUDE_DEPTH_MAX
            && let Some(from) = from
        {
            return Err(FollowError::TooDeep { path: path.to_owned(), from });
        }
        let text = self.text(path, from)?;
        let directives =
            parse(&text).map_err(|error| FollowError::Syntax { path: path.to_owned(), error })?;
        let includes = self.includes(&directives)?;
        let place = self.files.len();
        self.places.insert(path.to_owned(), place);
        self.files.push(File {
            path: path.to_owned(),
            text,
            directives,
            includes: includes.clone(),
        });
        self.chain.push(path.to_owned());
        for include in includes {
            let from = At { path: path.to_owned(), line: include.span.line };
            for path in include.paths {
                if self.unread.is_some_and(|unread| unread.is(&path)) {
                    self.unread_paths.push(path);
                } else {
                    self.read(&path, Some(from.clone()))?;
                }
            }
        }
        self.chain.pop();
        Ok(())
    }

    /// The bytes of a file, within the bounds.
    fn text(&mut self, path: &Path, from: Option<At>) -> Result<Zeroizing<Vec<u8>>, FollowError> {
        let unreadable =
            |from, source| FollowError::Unreadable { path: path.to_owned(), from, source };
        // Asked before it is opened: a named pipe would not open until somebody writes.
        let kind = match path.metadata() {
            Ok(kind) => kind,
            Err(source) => return Err(unreadable(from, source)),
        };
        if !kind.is_file() {
            return Err(FollowError::NotAFile { path: path.to_owned(), from });
        }
        let allowed = FILE_BYTES_MAX.min(TOTAL_BYTES_MAX.saturating_sub(self.bytes));
        let size = usize::try_from(kind.len()).unwrap_or(usize::MAX);
        // With room for all of it from the start, so that growing leaves no copy behind.
        let mut text = Zeroizing::new(Vec::with_capacity(size.min(allowed).saturating_add(2)));
        let limit = u64::try_from(allowed).unwrap_or(u64::MAX).saturating_add(1);
        let read =
            std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text));
        if let Err(source) = read {
            return Err(unreadable(from, source));
        }
        if text.len() > allowed {
            return Err(FollowError::TooLarge { path: path.to_owned() });
        }
        self.bytes = self.bytes.saturating_add(text.len());
        Ok(text)
    }

    /// The includes of a file, with the files that they lead to.
    fn includes(&self, directives: &[Directive]) -> Result<Vec<Include>, FollowError> {
        let mut found = Vec::new();
        walk(directives, &mut |directive| {
            if let (true, [argument]) = (directive.is("include"), directive.arguments.as_slice()) {
                found.push((directive.span, argument.value.clone()));
            }
        });
        let mut includes = Vec::with_capacity(found.len());
        for (span, value) in found {
            let path = self.folder.join(OsStr::from_bytes(&value));
            let paths = if glob::is_pattern(&path) {
                let imagined = self.unread.map(|unread| unread as &dyn Imagined);
                glob::expand(&path, imagined, FILES_MAX)
                    .ok_or_else(|| FollowError::TooManyFiles { path: path.clone() })?
            } else {
                vec![path]
            };
            includes.push(Include { span, paths });
        }
        Ok(includes)
    }
}
