//! What happens between the start of a child and the program in it. The child is this program once
//! more: only a process itself can learn its own number for `LISTEN_PID`, ask to be killed with its
//! parent, and put its limits back. It waits for its environment on standard input, so that the
//! server knows of the process, by its number, before the keys reach it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use zeroize::Zeroizing;

/// The first descriptor that is handed over (sd_listen_fds(3)).
pub const FIRST_FD: i32 = 3;
/// The most that a child is given, names included.
const ENVIRONMENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The size of a core that the kernel takes for "none", also where cores go to a program
/// (`fs/coredump.c`).
const NO_CORE: u64 = 1;
/// Exit codes of shells for a program that is not there, and for one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;

/// Variables of whoever started `keywheel exec`, which mean its process and not the program's.
const NOT_PASSED_ON: [&str; 6] = [
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
];

/// The limit for core files that this process had, to be put back for the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreLimit(Option<u64>);

impl CoreLimit {
    /// Switches core files of this process off, as it holds keys. The hard limit stays, so that
    /// children can have what was there before.
    pub fn lower() -> Self {
        let present = getrlimit(Resource::Core);
        let none = Rlimit { current: Some(NO_CORE), maximum: present.maximum };
        // Sandboxes may forbid it; the program is no less useful then.
        let _ = setrlimit(Resource::Core, none);
        Self(present.current)
    }

    fn restore(self) {
        let maximum = getrlimit(Resource::Core).maximum;
        let _ = setrlimit(Resource::Core, Rlimit { current: self.0, maximum });
    }

    /// As an argument.
    pub fn to_argument(self) -> String {
        self.0.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string())
    }

    /// From an argument; what is no number is no limit.
    pub fn from_argument(text: &str) -> Self {
        Self(text.parse().ok())
    }
}

/// Writes an environment for a child that waits.
///
/// # Errors
/// When the child has ended.
pub(super) fn send<'a>(
    mut to: impl Write,
    variables: impl Iterator<Item = (&'a str, &'a str)>,
) -> io::Result<()> {
    let mut block = Zeroizing::new(Vec::new());
    for (name, value) in variables {
        // Grown by hand, so that no former buffer with keys in it is left behind.
        let more = name.len().saturating_add(value.len()).saturating_add(2);
        let mut larger = Zeroizing::new(Vec::with_capacity(block.len().saturating_add(more)));
        larger.extend_from_slice(&block);
        larger.extend_from_slice(name.as_bytes());
        larger.push(b'=');
        larger.extend_from_slice(value.as_bytes());
        larger.push(0);
        block = larger;
    }
    to.write_all(&block)?;
    // An empty entry says that it is complete: a parent that dies says nothing more.
    to.write_all(&[0])?;
    to.flush()
}

/// Reads an environment; nothing when it is not complete.
fn receive(from: impl Read) -> io::Result<Option<Vec<(OsString, OsString)>>> {
    let mut block = Zeroizing::new(Vec::new());
    from.take(ENVIRONMENT_BYTES_MAX).read_to_end(&mut block)?;
    let Some(entries) = block.strip_suffix(&[0]) else { return Ok(None) };
    let mut variables = Vec::new();
    let mut is_complete = entries.is_empty();
    for entry in entries.split(|byte| *byte == 0).filter(|_| !entries.is_empty()) {
        is_complete = entry.is_empty();
        let mut parts = entry.splitn(2, |byte| *byte == b'=');
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            let own = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
            variables.push((own(name), own(value)));
        }
    }
    Ok(is_complete.then_some(variables))
}

/// Becomes the program, once its environment has arrived. Comes back only when it cannot, with the
/// exit code.
pub fn become_program(argv: &[OsString], sockets: usize, core: CoreLimit) -> (u8, String) {
    // Asked for before anything is read: if the parent dies before this, the read below ends
    // without an environment; if it dies after, the kernel ends this process.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    let variables = match receive(io::stdin().lock()) {
        Ok(Some(variables)) => variables,
        // Nobody is there any more who would want to know.
        Ok(None) => return (1, String::new()),
        Err(error) => return (1, format!("the environment did not arrive: {error}")),
    };
    // Standard input was the parent's pipe; several copies could not share a real one anyway.
    if let Ok(null) = std::fs::File::open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
    }
    let Some((program, arguments)) = argv.split_first() else {
        return (NOT_FOUND, "no program was named".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments);
    for name in NOT_PASSED_ON {
        command.env_remove(name);
    }
    command.envs(variables);
    if sockets > 0 {
        let pid = std::process::id().to_string();
        command.env("LISTEN_FDS", sockets.to_string()).env("LISTEN_PID", pid);
    }
    core.restore();
    // Signals that this process handles or blocks are put back by this call.
    let error = command.exec();
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let exit_code = if is_missing { NOT_FOUND } else { NOT_RUNNABLE };
    (exit_code, format!("{} cannot be run: {error}", shown(program)))
}

fn shown(program: &OsStr) -> String {
    String::from_utf8_lossy(program.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(variables: &[(&str, &str)]) -> Option<Vec<(OsString, OsString)>> {
        let mut block = Vec::new();
        send(&mut block, variables.iter().copied()).unwrap();
        receive(block.as_slice()).unwrap()
    }

    #[test]
    fn an_environment_arrives_whole_or_not_at_all() {
        let arrived = through(&[("A", "1=2"), ("B", ""), ("C", "line\nline")]).unwrap();
        let text: Vec<_> = arrived
            .iter()
            .map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap()))
            .collect();
        assert_eq!(text, [("A", "1=2"), ("B", ""), ("C", "line\nline")]);
        assert_eq!(through(&[]).unwrap(), []);
        let mut block = Vec::new();
        send(&mut block, [("A", "1"), ("B", "2")].into_iter()).unwrap();
        for length in 0..block.len() {
            assert!(receive(&block[..length]).unwrap().is_none(), "{length}");
        }
    }

    #[test]
    fn a_core_limit_survives_as_an_argument() {
        for limit in [CoreLimit(None), CoreLimit(Some(0)), CoreLimit(Some(4_096))] {
            assert_eq!(CoreLimit::from_argument(&limit.to_argument()), limit);
        }
    }
}
