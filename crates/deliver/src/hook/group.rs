//! A program in a process group of its own, with its pipes.
//!
//! One thread serves it: no pipe blocks, so neither a program that does not read nor a descendant
//! that keeps a pipe open can hold the caller. The program is not reaped before its group is dead,
//! because until then the kernel gives its number to nobody else, and a signal to the group reaches
//! only whom it is meant for.

use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use keywheel_core::time::Span;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};
use zeroize::Zeroizing;

use super::error::{Ending, Output};
use super::output::Tail;
use crate::processes;
use crate::redact::Redactor;

const READ_BYTES: usize = 64 * 1024;
/// A pipe holds 64 KiB unless somebody enlarged it, up to 1 MiB for an ordinary user.
const LAST_READS_MAX: usize = 16;

pub(super) struct Group<'a> {
    /// Absent once it was reaped.
    child: Option<Child>,
    pid: Pid,
    /// Becomes readable when the program ends; without one, the caller's looks notice it.
    end: Option<OwnedFd>,
    input: Option<(ChildStdin, &'a [u8])>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    stdout_tail: Tail,
    stderr_tail: Tail,
    buffer: Zeroizing<Vec<u8>>,
}

impl<'a> Group<'a> {
    pub(super) fn start(
        command: &mut Command,
        input: &'a [u8],
        hide: &Redactor,
    ) -> io::Result<Self> {
        let mut child = command.process_group(0).spawn()?;
        let pid = Pid::from_child(&child);
        let stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let ours = [
            stdin.as_ref().map(|pipe| pipe.as_fd()),
            stdout.as_ref().map(|pipe| pipe.as_fd()),
            stderr.as_ref().map(|pipe| pipe.as_fd()),
        ];
        let quick = ours.into_iter().flatten().try_for_each(|pipe| ioctl_fionbio(pipe, true));
        let mut group = Self {
            child: Some(child),
            pid,
            end: pidfd_open(pid, PidfdFlags::empty()).ok(),
            input: stdin.map(|stdin| (stdin, input)),
            stdout,
            stderr,
            stdout_tail: Tail::new(hide),
            stderr_tail: Tail::new(hide),
            buffer: Zeroizing::new(vec![0; READ_BYTES]),
        };
        match quick {
            Ok(()) => Ok(group),
            Err(error) => {
                group.kill();
                group.child.take().map(|mut child| child.wait());
                Err(error.into())
            }
        }
    }

    /// Carries input and output for at most this long, less when something happens.
    pub(super) fn serve(&mut self, at_most: Span) {
        let Ok(timeout) = Timespec::try_from(at_most.to_std()) else { return };
        let watched: [(Option<BorrowedFd<'_>>, PollFlags); 4] = [
            (self.end.as_ref().map(|end| end.as_fd()), PollFlags::IN),
            (self.input.as_ref().map(|(pipe, _)| pipe.as_fd()), PollFlags::OUT),
            (self.stdout.as_ref().map(|pipe| pipe.as_fd()), PollFlags::IN),
            (self.stderr.as_ref().map(|pipe| pipe.as_fd()), PollFlags::IN),
        ];
        let mut ready: Vec<PollFd<'_>> = watched
            .into_iter()
            .filter_map(|(descriptor, flags)| Some(PollFd::from_borrowed_fd(descriptor?, flags)))
            .collect();
        // An interrupted wait is a short one.
        let _ = poll(&mut ready, Some(&timeout));
        self.write();
        receive(&mut self.stdout, &mut self.stdout_tail, &mut self.buffer);
        receive(&mut self.stderr, &mut self.stderr_tail, &mut self.buffer);
    }

    fn write(&mut self) {
        let Some((pipe, left)) = &mut self.input else { return };
        let written = match pipe.write(left) {
            Ok(count) => count,
            Err(error) if is_passing(&error) => return,
            // A program that does not read its input is judged by its exit code alone.
            Err(_) => left.len(),
        };
        *left = left.get(written..).unwrap_or_default();
        if left.is_empty() {
            self.input = None;
        }
    }

    /// Whether the program itself has ended. It is not reaped yet.
    pub(super) fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        !matches!(waitid(WaitId::Pid(self.pid), options), Ok(None) | Err(rustix::io::Errno::INTR))
    }

    /// Whether anything but the program itself runs in its group.
    pub(super) fn has_others(&self) -> bool {
        let group = self.pid.as_raw_pid();
        processes::all()
            .iter()
            .any(|process| process.group == group && process.pid != group && !process.is_zombie)
    }

    /// Asks the whole group to end.
    pub(super) fn terminate(&self) {
        let _ = kill_process_group(self.pid, Signal::TERM);
    }

    /// Ends the whole group. The kernel lets no process of it start another one meanwhile.
    pub(super) fn kill(&self) {
        let _ = kill_process_group(self.pid, Signal::KILL);
    }

    /// Takes the exit status, if the program has ended. One that even a kill does not end, because
    /// the kernel holds it in an operation, is left to a thread that reaps it when that is over.
    pub(super) fn reap(&mut self) -> Ending {
        self.input = None;
        for _ in 0..LAST_READS_MAX {
            receive(&mut self.stdout, &mut self.stdout_tail, &mut self.buffer);
            receive(&mut self.stderr, &mut self.stderr_tail, &mut self.buffer);
        }
        let Some(mut child) = self.child.take() else { return Ending::Lost };
        match child.try_wait() {
            Ok(Some(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => Ending::Code(code),
                (None, signal) => Ending::Signal(signal.unwrap_or_default()),
            },
            Ok(None) => {
                std::thread::spawn(move || child.wait());
                Ending::Lost
            }
            Err(_) => Ending::Lost,
        }
    }

    pub(super) fn told(self, hide: &Redactor) -> Output {
        Output { stdout: self.stdout_tail.told(hide), stderr: self.stderr_tail.told(hide) }
    }
}

/// Takes in what is there.
fn receive<P: Read>(pipe: &mut Option<P>, tail: &mut Tail, buffer: &mut [u8]) {
    let Some(open) = pipe else { return };
    match open.read(buffer) {
        Ok(0) => *pipe = None,
        Ok(count) => tail.push(buffer.get(..count).unwrap_or_default()),
        Err(error) if is_passing(&error) => {}
        Err(_) => *pipe = None,
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
