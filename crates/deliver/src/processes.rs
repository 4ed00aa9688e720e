//! What `/proc` says about other processes.

use std::fs;
use std::path::PathBuf;

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
