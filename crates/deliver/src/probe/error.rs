//! What was missing when a probe did not pass. An operator reads it, so it names the version, the
//! worker and what was seen, and never what was sent.

use std::fmt::Write as _;

use keywheel_core::id::VersionNumber;
use keywheel_core::time::Span;

use crate::artefact::ArtefactError;
use crate::processes::PidFileError;

/// So many silent workers are named; of the others it is said how many they are.
const NAMED_MAX: usize = 8;

/// What was missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// No answer.
    #[error("{place} gave no answer: {cause}")]
    Answer {
        /// Who was asked.
        place: String,
        /// What happened.
        cause: String,
    },
    /// An accepted version was not accepted.
    #[error("version {version} was answered with status {status}{}", by(*worker))]
    Refused {
        /// The version.
        version: VersionNumber,
        /// The status.
        status: u16,
        /// Who answered.
        worker: Option<u32>,
    },
    /// Something that no key made was not refused.
    #[error(
        "a bogus artefact like that of version {version} was answered with status {status}{}",
        by(*worker)
    )]
    BogusNotRefused {
        /// The version.
        version: VersionNumber,
        /// The status.
        status: u16,
        /// Who answered.
        worker: Option<u32>,
        /// Whether the status is that of a good one.
        is_accepted: bool,
    },
    /// A version that is not accepted any more was not refused.
    #[error(
        "version {version}, which is not to be accepted any more, was answered with status {status}{}",
        by(*worker)
    )]
    StillAccepted {
        /// The version.
        version: VersionNumber,
        /// The status.
        status: u16,
        /// Who answered.
        worker: Option<u32>,
    },
    /// A request without an artefact got another status.
    #[error("the answer has status {status}{}", by(*worker))]
    Status {
        /// The status.
        status: u16,
        /// Who answered.
        worker: Option<u32>,
    },
    /// The fingerprint is another one, or there is none.
    #[error(
        "the header {header} shows {}{}; {wanted} is wanted",
        seen.as_deref().unwrap_or("no fingerprint"), by(*worker)
    )]
    Fingerprint {
        /// The header.
        header: String,
        /// The fingerprint that it showed.
        seen: Option<String>,
        /// That of the primary.
        wanted: String,
        /// Who answered.
        worker: Option<u32>,
    },
    /// The answer does not say who gave it.
    #[error("the header {header} of the answer holds no process id")]
    Pid {
        /// The header.
        header: String,
    },
    /// Not all workers have answered.
    #[error("{} of {} workers have not answered: {}", silent.len(), silent.len() + answered, named(silent))]
    Workers {
        /// Those that have not, by process id.
        silent: Vec<u32>,
        /// How many have.
        answered: usize,
    },
    /// The processes cannot be found, or something else stands in the way.
    #[error("{cause}")]
    Other {
        /// What happened.
        cause: String,
        /// What to do.
        remedy: String,
    },
}

fn by(worker: Option<u32>) -> String {
    worker.map(|pid| format!(" by worker {pid}")).unwrap_or_default()
}

fn named(pids: &[u32]) -> String {
    let shown: Vec<String> = pids.iter().take(NAMED_MAX).map(u32::to_string).collect();
    let mut text = shown.join(", ");
    if let Some(more @ 1..) = pids.len().checked_sub(NAMED_MAX) {
        let _ = write!(text, " and {more} more");
    }
    text
}

impl Missing {
    pub(super) fn other(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Other { cause: cause.into(), remedy: remedy.into() }
    }

    /// What to do about it.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Answer { .. } => "check that the service runs and listens at this address",
            Self::Refused { .. } => {
                "check that the service reads the file of the sink, reloads it and accepts its list"
            }
            Self::BogusNotRefused { is_accepted: true, .. } => {
                "the path answers without checking: look for a cache that ignores the credentials, \
                 or a place that bypasses the check"
            }
            Self::BogusNotRefused { is_accepted: false, .. } => {
                "name the statuses of a refusal as refused, or see why the service fails on it"
            }
            Self::StillAccepted { .. } => {
                "see whether the service's reload took effect in every worker, and whether it keeps \
                 keys of its own"
            }
            Self::Status { .. } => {
                "name the statuses of success as accepted, or see the service's log"
            }
            Self::Fingerprint { seen: Some(_), .. } => {
                "the service still uses another key: see whether its reload took effect"
            }
            Self::Fingerprint { seen: None, .. } => {
                "let the service send its key's fingerprint in this header"
            }
            Self::Pid { .. } => "let the service send its worker's process id in this header",
            Self::Workers { .. } => "see what these processes do; if they serve nothing, end them",
            Self::Other { remedy, .. } => remedy,
        }
    }
}

impl From<PidFileError> for Missing {
    fn from(error: PidFileError) -> Self {
        Self::other(error.to_string(), error.remedy())
    }
}

impl From<ArtefactError> for Missing {
    fn from(error: ArtefactError) -> Self {
        Self::other(error.to_string(), error.remedy())
    }
}

/// Why a probe did not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// It was tried for as long as it may take.
    #[error("the probe {probe} did not pass within {within} and {tries} tries: {missing}")]
    NotInTime {
        /// Its name.
        probe: String,
        /// The time that it had.
        within: Span,
        /// How often it was tried.
        tries: u32,
        /// What was missing in the end.
        missing: Missing,
    },
    /// No try can pass.
    #[error("the probe {probe} cannot pass: {missing}")]
    Never {
        /// Its name.
        probe: String,
        /// What stands in the way.
        missing: Missing,
    },
    /// The caller gave it up.
    #[error("the probe {probe} was given up because this process was asked to stop")]
    Stopped {
        /// Its name.
        probe: String,
    },
}

impl ProbeError {
    /// What to do about it.
    pub fn remedy(&self) -> &str {
        match self {
            Self::NotInTime { missing, .. } | Self::Never { missing, .. } => missing.remedy(),
            Self::Stopped { .. } => "start the agent again; it goes on where it was",
        }
    }

    /// What was missing; `None` when the caller gave the probe up.
    pub const fn missing(&self) -> Option<&Missing> {
        match self {
            Self::NotInTime { missing, .. } | Self::Never { missing, .. } => Some(missing),
            Self::Stopped { .. } => None,
        }
    }
}
