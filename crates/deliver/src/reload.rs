//! Makes a consumer take new content: by a signal, a command, a request, or one restart after the
//! other. Whether it did is for the probes to say; a reload that reports success proves nothing.

use keywheel_client::clock::boot_time;
use keywheel_client::http::{OnceError, Target, once};
use keywheel_core::time::Span;

use crate::hook::{self, HookError};
use crate::probe::{self, ProbeError};
use crate::processes::PidFileError;
use crate::redact::Redactor;
use crate::settings::Reload;
use crate::values::AllValues;

mod rolling;
mod signal;
#[cfg(test)]
mod tests;

const METHODS: [&str; 3] = ["GET", "POST", "PUT"];

/// Reloads. `values` are what the probes of a rolling restart show, and `hide` is taken out of
/// messages beside them. It ends early when `stop` says so.
///
/// # Errors
/// When the consumer was not told, or said that it failed.
pub fn reload(
    reload: &Reload,
    values: &AllValues,
    hide: &Redactor,
    stop: &dyn Fn() -> bool,
) -> Result<(), ReloadError> {
    check(reload)?;
    match reload {
        Reload::Signal { signal, pid_file } => signal::send(signal, pid_file),
        Reload::Command(hook) => {
            hook::run(hook, &[], None, &hide.and(values), stop)?;
            Ok(())
        }
        Reload::Http { method, url, timeout } => request(method, url, *timeout, stop),
        Reload::Rolling { restart, targets, ready, .. } => {
            rolling::restart(restart, targets, ready, values, &hide.and(values), stop)
        }
    }
}

/// Refuses what could never work, when settings are read.
///
/// # Errors
/// When the signal, the method, the address or the floor makes no sense.
pub fn check(reload: &Reload) -> Result<(), ReloadError> {
    match reload {
        Reload::Signal { signal, .. } => signal::named(signal).map(|_| ()),
        Reload::Command(_) => Ok(()),
        Reload::Http { method, url, .. } => {
            if METHODS.contains(&method.as_str()) {
                address(url).map(|_| ())
            } else {
                Err(ReloadError::Method { method: method.chars().take(20).collect() })
            }
        }
        Reload::Rolling { targets, floor, .. } => rolling::check(targets, *floor),
    }
}

/// Reload addresses stay on this machine: whoever can reach one makes a service restart, and plain
/// HTTP tells everybody on the way how.
fn address(url: &str) -> Result<Target, ReloadError> {
    let refuse = |cause, remedy| ReloadError::Address { cause, remedy };
    let target = Target::parse(url).map_err(|error| refuse(error.cause, error.remedy))?;
    if target.tls_name().is_some() {
        return Err(refuse(
            "https is not offered for a reload",
            "use http:// on loopback or a unix socket, or a command such as curl",
        ));
    }
    if !target.is_local() {
        return Err(refuse(
            "the address is on another machine",
            "use 127.0.0.1 or a unix socket, or a command that reaches it",
        ));
    }
    Ok(target)
}

fn request(
    method: &str,
    url: &str,
    timeout: Span,
    stop: &dyn Fn() -> bool,
) -> Result<(), ReloadError> {
    let target = address(url)?;
    let deadline = boot_time().after(timeout);
    match once(&target, None, method, &[], deadline, stop) {
        Ok(answer) if (200..300).contains(&answer.status) => Ok(()),
        Ok(answer) => Err(ReloadError::Status { place: target.to_string(), status: answer.status }),
        Err(OnceError::Stopped) => Err(ReloadError::Stopped),
        Err(error) => {
            Err(ReloadError::Answer { place: target.to_string(), cause: error.to_string() })
        }
    }
}

/// Why a reload failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// No such signal is sent.
    #[error("the signal {signal} is not one that makes a service reload")]
    SignalName {
        /// What was given.
        signal: String,
    },
    /// The pid file is of no use.
    #[error(transparent)]
    PidFile(#[from] PidFileError),
    /// The process that the file names does not run.
    #[error("the process {pid} that the pid file names does not run")]
    NoProcess {
        /// Its number.
        pid: i32,
    },
    /// The number belongs to another process by now.
    #[error("the process {pid} started after the pid file was written, so it is another one")]
    OtherProcess {
        /// Its number.
        pid: i32,
    },
    /// Whoever wrote the pid file has no say over the process that it names.
    #[error("the pid file belongs to another user than the process {pid} that it names")]
    OtherOwner {
        /// Its number.
        pid: i32,
    },
    /// The kernel did not deliver the signal.
    #[error("the signal cannot be sent to the process {pid}")]
    Send {
        /// Its number.
        pid: i32,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The command failed.
    #[error(transparent)]
    Hook(#[from] HookError),
    /// The method is none that is offered.
    #[error("the method {method} is not offered for a reload")]
    Method {
        /// What was given.
        method: String,
    },
    /// The address makes no sense.
    #[error("{cause}")]
    Address {
        /// What is wrong with it.
        cause: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// No answer.
    #[error("{place} gave no answer: {cause}")]
    Answer {
        /// Who was asked.
        place: String,
        /// What happened.
        cause: String,
    },
    /// The service refused.
    #[error("{place} answered with status {status}")]
    Status {
        /// Who was asked.
        place: String,
        /// The status.
        status: u16,
    },
    /// Restarting one target leaves fewer alone than must be.
    #[error("restarting one of {targets} targets leaves {}, and {floor} must always be there", targets.saturating_sub(1))]
    Floor {
        /// How many there are.
        targets: usize,
        /// How many must be left alone.
        floor: usize,
    },
    /// A target is named twice, or none is.
    #[error("the targets of a rolling restart are not one or more different names")]
    Targets,
    /// A target did not restart.
    #[error("the target {target} did not restart after {done} of {of} were done: {source}")]
    Restart {
        /// Which.
        target: String,
        /// How many were done.
        done: usize,
        /// Of how many.
        of: usize,
        /// Why.
        source: HookError,
    },
    /// A target is not back.
    #[error("the target {target} is not back after {done} of {of} were done: {source}")]
    Ready {
        /// Which.
        target: String,
        /// How many were done before it.
        done: usize,
        /// Of how many.
        of: usize,
        /// Why.
        source: Box<ProbeError>,
    },
    /// The caller gave it up.
    #[error("the reload was given up because this process was asked to stop")]
    Stopped,
}

impl ReloadError {
    /// What to do about it.
    pub fn remedy(&self) -> &str {
        match self {
            Self::SignalName { .. } => {
                "use HUP, USR1, USR2, TERM, QUIT, INT, WINCH, ALRM or CONT, without SIG"
            }
            Self::PidFile(error) => error.remedy(),
            Self::NoProcess { .. } => "start the service, or correct the path of its pid file",
            Self::OtherProcess { .. } => {
                "remove the pid file that an ended process left behind, and restart the service"
            }
            Self::OtherOwner { .. } => "give the pid file to root or to the user of the service",
            Self::Send { .. } => "run the agent as the service's user or as root",
            Self::Hook(error) => error.remedy(),
            Self::Method { .. } => "use GET, POST or PUT",
            Self::Address { remedy, .. } => remedy,
            Self::Answer { .. } => "check that the service runs and listens at this address",
            Self::Status { .. } => "see the service's log for why it refuses to reload",
            Self::Floor { .. } => "add a target, or lower the floor",
            Self::Targets => "name each target once",
            Self::Restart { source, .. } => source.remedy(),
            Self::Ready { source, .. } => source.remedy(),
            Self::Stopped => "start the agent again; it goes on where it was",
        }
    }
}

/// Puts a target into the places that are made for it in a probe.
fn at_target(probe: &crate::settings::Probe, target: &str) -> crate::settings::Probe {
    probe::with(probe, &[("target", target)])
}
