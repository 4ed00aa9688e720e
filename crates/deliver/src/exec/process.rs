//! One child: started through the shim in a process group of its own, told things, and reaped.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use keywheel_client::clock::boot_time;
use keywheel_core::time::Span;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, test_kill_process_group,
    waitid,
};

use super::environment::Given;
use super::settings::INDEX;
use super::shim::{self, CoreLimit};

/// Processes that were killed are gone within this, unless the kernel holds them.
const GONE_WITHIN: Span = Span::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a child is started with.
pub(super) struct Start<'a> {
    pub(super) argv: &'a [OsString],
    pub(super) slot: usize,
    pub(super) sockets: Vec<OwnedFd>,
    pub(super) core: CoreLimit,
}

/// A child that was started.
pub(super) struct Process {
    pid: Pid,
    input: Option<ChildStdin>,
    /// Whether it was reaped, after which its number may mean another process.
    is_reaped: Arc<Mutex<bool>>,
}

/// A started child that nobody waits for yet.
pub(super) struct Unattended {
    child: Child,
    is_reaped: Arc<Mutex<bool>>,
}

impl Process {
    /// Starts the shim, which waits for its environment. Call it on a thread that lives as long as
    /// the child may: the kernel ends the child with the thread that started it.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn start(start: Start<'_>) -> io::Result<(Self, Unattended)> {
        // On Linux this finds the program even after its file was replaced by an upgrade.
        let mut command = Command::new("/proc/self/exe");
        let index = start.slot.to_string();
        let sockets = start.sockets.len().to_string();
        let core = start.core.to_argument();
        command.arg0("keywheel").args(["internal", "exec-child", "--sockets", &sockets]);
        command.args(["--core-limit", &core, "--"]);
        command.args(start.argv.iter().map(|argument| match argument.to_str() {
            Some(text) => text.replace(INDEX, &index).into(),
            None => argument.clone(),
        }));
        let mappings = (shim::FIRST_FD..).zip(start.sockets);
        let mappings =
            mappings.map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd }).collect();
        command.fd_mappings(mappings).map_err(io::Error::other)?;
        let mut child = command.process_group(0).stdin(Stdio::piped()).spawn()?;
        let is_reaped = Arc::new(Mutex::new(false));
        let pid = Pid::from_child(&child);
        let input = child.stdin.take();
        let process = Self { pid, input, is_reaped: Arc::clone(&is_reaped) };
        Ok((process, Unattended { child, is_reaped }))
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Gives the shim what it waits for; it then becomes the program.
    ///
    /// # Errors
    /// When it has ended.
    pub(super) fn give(&mut self, given: &Given, slot: usize) -> io::Result<()> {
        let Some(input) = self.input.take() else { return Ok(()) };
        let index = slot.to_string();
        let variables = given.for_slot(slot);
        let own = variables.iter().map(|(name, value)| (*name, value.as_ref()));
        shim::send(input, own.chain([("KEYWHEEL_INDEX", index.as_str())]))
    }

    /// Sends a signal to the child alone.
    pub(super) fn signal(&self, signal: Signal) {
        self.while_it_is(|pid| kill_process(pid, signal));
    }

    /// Kills the child and everything in its process group.
    pub(super) fn kill(&self) {
        self.while_it_is(|pid| kill_process_group(pid, Signal::KILL));
    }

    fn while_it_is(&self, send: impl FnOnce(Pid) -> rustix::io::Result<()>) {
        let is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_reaped {
            // A child that has just ended was what signals are mostly for.
            let _ = send(self.pid);
        }
    }
}

impl Unattended {
    /// Waits for the end of the child, ends what it left in its process group, and reaps it.
    pub(super) fn wait(mut self) -> io::Result<ExitStatus> {
        let pid = Pid::from_child(&self.child);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
        // Whatever is left holds the key too, so the child has not ended before it has. As long as
        // the child is not reaped its group cannot be another's.
        let _ = kill_process_group(pid, Signal::KILL);
        let status = {
            let mut is_reaped = self.is_reaped.lock().unwrap_or_else(PoisonError::into_inner);
            *is_reaped = true;
            self.child.wait()
        };
        let deadline = boot_time().after(GONE_WITHIN);
        while test_kill_process_group(pid).is_ok() && boot_time() < deadline {
            std::thread::sleep(LOOK_EVERY);
        }
        status
    }
}

/// The exit code that a shell would give.
pub(super) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| signal.saturating_add(128)));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// How a child ended, in words.
pub(super) fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_shells() {
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(15)), 143);
        assert_eq!(told(ExitStatus::from_raw(9)), "was ended by signal 9");
    }
}
