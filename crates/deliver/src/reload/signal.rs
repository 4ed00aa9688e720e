//! A signal to the process that a pid file names, if it is still the one that was meant: numbers
//! are given out again, and the default of most signals is to end whoever gets them.

use std::path::Path;
use std::time::Duration;

use keywheel_client::clock::wall_millis;
use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::ReloadError;
use crate::processes::{self, Process};

/// Clocks of file systems are coarse, and a clock that is set right moves the time of the boot.
const SLACK: Duration = Duration::from_mins(1);

/// The signals that make services reload, or end so that a manager starts them again. The others
/// are left out because no service can react to them, or because they are for the kernel to send.
pub(super) fn named(name: &str) -> Result<Signal, ReloadError> {
    Ok(match name {
        "HUP" => Signal::HUP,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "TERM" => Signal::TERM,
        "QUIT" => Signal::QUIT,
        "INT" => Signal::INT,
        "WINCH" => Signal::WINCH,
        "ALRM" => Signal::ALARM,
        "CONT" => Signal::CONT,
        _ => return Err(ReloadError::SignalName { signal: name.chars().take(20).collect() }),
    })
}

pub(super) fn send(name: &str, pid_file: &Path) -> Result<(), ReloadError> {
    let signal = named(name)?;
    let file = processes::pid_file(pid_file)?;
    let pid = file.pid;
    let gone = || ReloadError::NoProcess { pid };
    let target = Pid::from_raw(pid).ok_or_else(gone)?;
    // The descriptor stands for the process that has the number now. What is asked about the number
    // afterwards is asked about this process, or it has ended and the signal goes nowhere.
    let descriptor = match pidfd_open(target, PidfdFlags::empty()) {
        Ok(descriptor) => Some(descriptor),
        Err(Errno::SRCH) => return Err(gone()),
        Err(_) => None,
    };
    let process = Process::look(pid).filter(|process| !process.is_zombie).ok_or_else(gone)?;
    let written = file.written.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    if started(&process).is_some_and(|started| started > written.saturating_add(SLACK)) {
        return Err(ReloadError::OtherProcess { pid });
    }
    if !may_name(file.owner, pid) {
        return Err(ReloadError::OtherOwner { pid });
    }
    let sent = match descriptor {
        Some(descriptor) => pidfd_send_signal(descriptor, signal),
        None => kill_process(target, signal),
    };
    sent.map_err(|error| match error {
        Errno::SRCH => gone(),
        error => ReloadError::Send { pid, source: error.into() },
    })
}

/// When a process started, as the wall clock would have it now.
fn started(process: &Process) -> Option<Duration> {
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let up_secs: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let up = Duration::try_from_secs_f64(up_secs).ok()?;
    let ticks = clock_ticks_per_second().max(1);
    let after_boot =
        Duration::from_millis(process.started.saturating_mul(1_000).checked_div(ticks)?);
    let now = Duration::from_millis(u64::try_from(wall_millis()).ok()?);
    now.checked_sub(up.checked_sub(after_boot).unwrap_or_default())
}

/// A file of root's or of this agent's user may name any process, one of somebody else's only a
/// process of theirs: a service must not be able to direct the agent's signals elsewhere.
fn may_name(file_owner: u32, pid: i32) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    let users = || processes::status_field(pid, "Uid").unwrap_or_default();
    file_owner == 0
        || file_owner == ours
        || users().split_ascii_whitespace().any(|user| user.parse() == Ok(file_owner))
}
