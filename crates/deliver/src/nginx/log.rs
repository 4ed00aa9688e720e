//! The end of nginx's error log, where the reason stands when a reload was refused.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use keywheel_scan::nginx::parse;
use zeroize::Zeroizing;

use super::check::bare;
use crate::redact::Redactor;
use crate::settings::Nginx;

/// How much of the log's end is read at most.
const TAIL_BYTES_MAX: u64 = 64 * 1024;
/// How much of the main file is read at most.
const MAIN_BYTES_MAX: u64 = 1024 * 1024;
/// How much of a message is repeated.
const SAID_CHARS_MAX: usize = 300;

/// Where a log ended at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogMark {
    path: PathBuf,
    inode: u64,
    bytes: u64,
}

impl LogMark {
    /// The end of the log that the main file names; none when it names none that is a file.
    pub(super) fn of(nginx: &Nginx) -> Option<Self> {
        // The main file alone, because the rest may be broken at this very moment.
        let main = File::open(&nginx.config).ok()?;
        let mut text = Zeroizing::new(Vec::new());
        main.take(MAIN_BYTES_MAX).read_to_end(&mut text).ok()?;
        let directives = parse(&text).ok()?;
        let mut named = directives.iter().filter(|directive| directive.is("error_log"));
        let path = named.find_map(|directive| {
            let path = Path::new(std::ffi::OsStr::from_bytes(&directive.arguments.first()?.value));
            // A relative path begins at a folder that only nginx knows.
            path.is_absolute().then(|| path.canonicalize().ok()).flatten()
        })?;
        // In a container the log is often a link to `/dev/stderr`, which would be this process's.
        let is_own = path.starts_with("/dev") || path.starts_with("/proc");
        let found = path.metadata().ok().filter(|found| found.is_file() && !is_own)?;
        Some(Self { path, inode: found.ino(), bytes: found.len() })
    }

    /// The last `[emerg]` message since then, of this master if its messages can be told.
    pub(super) fn emerg_since(&self, master: u32, hide: &Redactor) -> Option<String> {
        let mut file = File::open(&self.path).ok()?;
        let found = file.metadata().ok()?;
        // A log that was replaced or cut off meanwhile is new from its beginning.
        let is_same = found.ino() == self.inode && found.len() >= self.bytes;
        let from = if is_same { self.bytes } else { 0 };
        let from = from.max(found.len().saturating_sub(TAIL_BYTES_MAX));
        file.seek(SeekFrom::Start(from)).ok()?;
        let mut tail = Zeroizing::new(Vec::new());
        file.take(TAIL_BYTES_MAX).read_to_end(&mut tail).ok()?;
        let text = Zeroizing::new(String::from_utf8_lossy(&tail).into_owned());
        let mut emergs = text.lines().rev().filter(|line| line.contains("[emerg]"));
        let mark = format!("[emerg] {master}#");
        let line = emergs.clone().find(|line| line.contains(&mark)).or_else(|| emergs.next())?;
        Some(hide.line(bare(line).as_bytes(), SAID_CHARS_MAX))
    }
}
