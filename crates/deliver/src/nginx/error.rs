//! What can be wrong about an include and about a reload, each with a remedy.

use std::fmt;
use std::io;
use std::path::PathBuf;

use keywheel_core::time::Span;
use keywheel_scan::nginx::{FollowError, SyntaxError};

use crate::hook::HookError;

/// Why a staged file may not take its place in a configuration of nginx. It holds no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The folder of the target cannot be resolved.
    #[error("the place of {} cannot be found", target.display())]
    Target {
        /// The file that is to be replaced.
        target: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The present configuration cannot be put together.
    #[error(transparent)]
    Configuration(#[from] FollowError),
    /// nginx would never read the file.
    #[error(
        "no include of {} leads to {}: nginx would not read it ({files} files looked at)",
        main.display(),
        target.display()
    )]
    NotIncluded {
        /// The file that is to be replaced.
        target: PathBuf,
        /// The main configuration file.
        main: PathBuf,
        /// How many files make up the configuration.
        files: usize,
    },
    /// The staged file cannot be read.
    #[error("the staged file {} cannot be read", path.display())]
    Staged {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was staged is not in nginx's language.
    #[error("the new content of {} is no configuration: {error}", target.display())]
    Syntax {
        /// The file that is to be replaced.
        target: PathBuf,
        /// What is wrong with it.
        error: SyntaxError,
    },
    /// A copy of an including file cannot be made beside it.
    #[error("no copy of {} can be made beside it for the test", path.display())]
    Copy {
        /// The including file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// nginx refuses the configuration.
    #[error("nginx refuses the configuration with the new {}: {said}", target.display())]
    Refused {
        /// The file that is to be replaced.
        target: PathBuf,
        /// What nginx said, in terms of the present files.
        said: String,
    },
    /// The test itself could not be run.
    #[error("the configuration could not be tested: {0}")]
    Hook(#[source] HookError),
}

impl CheckError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Target { .. } => "make the folder, or correct the path".to_owned(),
            Self::Configuration(error) => error.remedy(),
            Self::NotIncluded { target, .. } => format!(
                "write `include {};` where it belongs, or name the main file that nginx runs with",
                target.display()
            ),
            Self::Staged { .. } => "see whether something else removes files there".to_owned(),
            Self::Syntax { error, .. } => error.fault.remedy().to_owned(),
            Self::Copy { path, .. } => format!(
                "let the agent's user write to the folder of {}; nginx reads relative paths from \
                 there, so the copy cannot stand elsewhere",
                path.display()
            ),
            Self::Refused { .. } => {
                "correct the sink, or what includes it; nginx goes on with what it has".to_owned()
            }
            Self::Hook(error) => error.remedy().to_owned(),
        }
    }
}

/// A worker that still serves what was before the reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldWorker {
    /// Its process id.
    pub pid: u32,
    /// How long it has lived.
    pub age: Span,
    /// Whether it takes no new connections any more and waits for its last ones to end.
    pub is_shutting_down: bool,
}

impl fmt::Display for OldWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_shutting_down { ", shutting down" } else { "" };
        write!(f, "{} ({} old{state})", self.pid, self.age)
    }
}

/// Why a reload does not count as taken, yet or at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkersError {
    /// There is no nginx where the pid file says.
    #[error("nginx does not run: {why}")]
    NotRunning {
        /// What was found instead.
        why: String,
    },
    /// What the kernel tells about processes cannot be read.
    #[error("the workers of nginx (master {master}) cannot be seen")]
    Unseen {
        /// The master's process id.
        master: u32,
    },
    /// It is not done with a reload yet.
    #[error("nginx (master {master}) still reads its configuration")]
    Busy {
        /// The master's process id.
        master: u32,
    },
    /// The master lives, but has no workers.
    #[error("nginx (master {master}) has no worker")]
    NoWorker {
        /// The master's process id.
        master: u32,
    },
    /// No new worker came: nginx goes on with the configuration that it had.
    #[error(
        "nginx (master {master}) did not take the reload: its youngest worker is {youngest_age} \
         old{}",
        Emerg(emerg)
    )]
    Kept {
        /// The master's process id.
        master: u32,
        /// How long the youngest worker has lived.
        youngest_age: Span,
        /// What nginx wrote to its error log since the reload; without it, it may still be about
        /// to take the reload.
        emerg: Option<String>,
    },
    /// Workers from before the reload are still there.
    #[error("workers of nginx from before the reload are still there: {}", List(workers))]
    Old {
        /// They.
        workers: Vec<OldWorker>,
    },
}

struct Emerg<'a>(&'a Option<String>);

impl fmt::Display for Emerg<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |said| write!(f, "; its error log says: {said}"))
    }
}

/// How many workers a message names.
const NAMED_MAX: usize = 8;

struct List<'a>(&'a [OldWorker]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, worker) in self.0.iter().take(NAMED_MAX).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{worker}")?;
        }
        match self.0.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl WorkersError {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::NotRunning { .. } => {
                "start nginx, and give the pid file that its configuration names (`pid`)"
            }
            Self::Unseen { .. } => {
                "let the agent see nginx's processes: mount /proc without hidepid, and share the \
                 process namespace if one of them runs in a container"
            }
            Self::Busy { .. } => {
                "see what holds it up: often a name of an upstream that no name server answers for"
            }
            Self::NoWorker { .. } => "see nginx's error log; its workers end as soon as they start",
            Self::Kept { emerg: Some(_), .. } => {
                "correct what the error log names, then reload nginx"
            }
            Self::Kept { emerg: None, .. } => "see nginx's error log for [emerg]; run `nginx -t`",
            Self::Old { .. } => {
                "set worker_shutdown_timeout, so that long connections (websockets, streams) end, \
                 or end those workers by hand"
            }
        }
    }

    /// Whether waiting cannot help: nginx has said that it refuses.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Kept { emerg: Some(_), .. })
    }
}
