//! What `/proc` says about other processes, and what their pid files say.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;

/// The most processes that are looked at. A machine with more has other troubles.
const PROCESSES_MAX: usize = 65_536;

/// One process as of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    /// It has ended, and nobody has asked how.
    pub(crate) is_zombie: bool,
    /// When it started, in clock ticks since the boot. Together with the pid it names a process for
    /// ever, while a pid alone is given out again.
    pub(crate) started: u64,
}

impl Process {
    /// Looks at a process; `None` when there is none.
    pub(crate) fn look(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(folder(pid).join("stat")).ok()?;
        Self::parse(pid, &text)
    }

    /// Reads `/proc/<pid>/stat`. The second field is the name of the program in parentheses, which
    /// may hold blanks and parentheses itself.
    fn parse(pid: i32, text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let started = fields.nth(16)?.parse().ok()?;
        Some(Self { pid, parent, group, is_zombie: matches!(state, "Z" | "X"), started })
    }
}

/// The folder of a process.
pub(crate) fn folder(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

/// Every process that can be seen. Those that come and go meanwhile may be missing.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.take(PROCESSES_MAX).filter_map(Process::look).collect()
}

/// A line of `/proc/<pid>/status`.
pub(crate) fn status_field(pid: i32, name: &str) -> Option<String> {
    let text = fs::read_to_string(folder(pid).join("status")).ok()?;
    let field = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(field.trim().to_owned())
}

/// The arguments of a process, with blanks between them, which a process may have rewritten.
pub(crate) fn title(pid: i32) -> String {
    let bytes = fs::read(folder(pid).join("cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split('\0').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The children of a process, by all of its threads.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(folder(pid).join("task")) else { return Vec::new() };
    let mut children = Vec::new();
    for thread in threads.filter_map(Result::ok) {
        if let Ok(text) = fs::read_to_string(thread.path().join("children")) {
            let pids = text.split_ascii_whitespace();
            children.extend(pids.filter_map(|pid| pid.parse::<i32>().ok()));
        } else {
            // Not every kernel offers the list; and a thread may just have ended.
            let ours = all().into_iter().filter(|process| process.parent == pid);
            return ours.map(|process| process.pid).collect();
        }
    }
    children.truncate(PROCESSES_MAX);
    children
}

/// What is wrong with a pid file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PidFileError {
    /// It cannot be read.
    #[error("the pid file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It holds something else than one number.
    #[error("the pid file {} does not hold one process id", path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// Others than its owner may write it.
    #[error("the pid file {} can be written by everybody", path.display())]
    Writable {
        /// The file.
        path: PathBuf,
    },
}

impl PidFileError {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Read { .. } => "check the path, and that the service is running",
            Self::Form { .. } => "name the file that the service writes its process id into",
            Self::Writable { .. } => {
                "chmod o-w it: whoever writes it decides which process is meant"
            }
        }
    }
}

/// What a pid file says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PidFile {
    pub(crate) pid: i32,
    /// Whose the file is.
    pub(crate) owner: u32,
    pub(crate) written: SystemTime,
}

/// A number and a line end need less.
const PID_FILE_BYTES_MAX: u64 = 32;

/// Reads a pid file: one positive number, and at most blanks or a line end behind it.
pub(crate) fn pid_file(path: &Path) -> Result<PidFile, PidFileError> {
    let read = |source| PidFileError::Read { path: path.to_owned(), source };
    let form = || PidFileError::Form { path: path.to_owned() };
    // Without this flag a named pipe at that path would hold the caller for ever.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(read)?;
    let facts = file.metadata().map_err(read)?;
    if !facts.is_file() || facts.len() > PID_FILE_BYTES_MAX {
        return Err(form());
    }
    if facts.mode() & 0o002 != 0 {
        return Err(PidFileError::Writable { path: path.to_owned() });
    }
    let mut text = String::new();
    file.take(PID_FILE_BYTES_MAX).read_to_string(&mut text).map_err(read)?;
    let digits = text.trim_end();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let pid = digits.parse().ok().filter(|pid| is_number && *pid > 0).ok_or_else(form)?;
    Ok(PidFile { pid, owner: facts.uid(), written: facts.modified().map_err(read)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let line = "7 (a) b (c)) S 1 5 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987 11 12";
        let process = Process::parse(7, line).unwrap();
        assert_eq!((process.parent, process.group, process.started), (1, 5, 987));
        assert!(!process.is_zombie);
        assert_eq!(Process::parse(7, "7 (a"), None);
        assert_eq!(Process::parse(7, "7 (a) S 1"), None);
    }

    #[test]
    fn this_process_is_found() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let process = Process::look(pid).unwrap();
        assert!(all().contains(&process));
        assert!(title(pid).contains("keywheel_deliver"));
        assert_eq!(status_field(pid, "Pid"), Some(pid.to_string()));
    }
}
