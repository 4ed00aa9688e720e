//! Why a hook did not do what it should, and what to do about it.

use std::io;

use keywheel_core::time::Span;

use crate::settings::Hook;

/// How much of a program's last words stands in a message.
const WORDS_CHARS_MAX: usize = 160;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Code(i32),
    Signal(i32),
    TimedOut { was_killed: bool },
    Stopped,
    Lost,
}

/// What a program said last, fit to be shown.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Output {
    pub(super) fn both(self) -> String {
        match (self.stdout.is_empty(), self.stderr.is_empty()) {
            (true, _) => self.stderr,
            (false, true) => self.stdout,
            (false, false) => format!("{}\n{}", self.stdout.trim_end(), self.stderr),
        }
    }

    /// The last words as a part of a sentence: what programs complain about stands in the end of
    /// standard error.
    fn words(&self) -> String {
        let said = [&self.stderr, &self.stdout].into_iter().find(|text| !text.trim().is_empty());
        let words: Vec<&str> =
            said.map(|text| text.split_whitespace().collect()).unwrap_or_default();
        let line = words.join(" ");
        let surplus = line.chars().count().saturating_sub(WORDS_CHARS_MAX);
        let end: String = line.chars().skip(surplus).collect();
        match (end.is_empty(), surplus) {
            (true, _) => String::new(),
            (false, 0) => format!("; it said: {end}"),
            (false, _) => format!("; it said: …{end}"),
        }
    }
}

/// Why a hook failed. It holds no secret that the caller had named.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HookError {
    /// There is nothing to run.
    #[error("the command is empty")]
    Empty,
    /// There is no such program.
    #[error("the program {program} was not found")]
    NotFound {
        /// The program.
        program: String,
    },
    /// It is there, but cannot be executed.
    #[error("the program {program} cannot be executed by this user")]
    NotExecutable {
        /// The program.
        program: String,
    },
    /// The machine does not let it start.
    #[error("the program {program} cannot be started")]
    Start {
        /// The program.
        program: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It did not end in time.
    #[error(
        "{program} did not end within {timeout}{}{words}",
        if *was_killed { ", ignored SIGTERM and was killed" } else { " and was told to end" }
    )]
    Timeout {
        /// The program.
        program: String,
        /// The time that it had.
        timeout: Span,
        /// Whether it ignored SIGTERM.
        was_killed: bool,
        /// What it said last, as a part of a sentence.
        words: String,
    },
    /// It ended with another exit code than 0.
    #[error("{program} ended with exit code {code}{words}")]
    ExitCode {
        /// The program.
        program: String,
        /// The code.
        code: i32,
        /// What it said last, as a part of a sentence.
        words: String,
        /// All that was kept of what it said, for whoever understands this program.
        output_tail: String,
    },
    /// A signal ended it.
    #[error("{program} was ended by signal {signal}{words}")]
    Signalled {
        /// The program.
        program: String,
        /// The signal's number.
        signal: i32,
        /// What it said last, as a part of a sentence.
        words: String,
    },
    /// The caller gave it up.
    #[error("{program} was ended early because this process was asked to stop")]
    Stopped {
        /// The program.
        program: String,
    },
    /// How it ended cannot be known.
    #[error("how {program} ended cannot be known")]
    Lost {
        /// The program.
        program: String,
    },
}

impl HookError {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Empty => "name the program and its arguments",
            Self::NotFound { .. } => {
                "give its absolute path, and check the first line if it is a script"
            }
            Self::NotExecutable { .. } => {
                "make it executable (chmod +x), start a script with #!, and check the user and noexec"
            }
            Self::Start { .. } => "check the limits on processes and memory of this service",
            Self::Timeout { was_killed: false, .. } => {
                "find out what it waits for, or give it a longer timeout"
            }
            Self::Timeout { was_killed: true, .. } => {
                "find out what it waits for and why it ignores SIGTERM, or give it a longer timeout"
            }
            Self::ExitCode { .. } => "run it by hand as the same user and see why it fails",
            Self::Signalled { .. } => {
                "look into the journal for a crash or the out-of-memory killer"
            }
            Self::Stopped { .. } => "start the agent again; it goes on where it was",
            Self::Lost { .. } => {
                "check that nothing else reaps this process's children and that its storage responds"
            }
        }
    }

    pub(super) fn start(program: &str, error: io::Error) -> Self {
        let program = program.to_owned();
        // A script without `#!`, or a program for another machine.
        let is_no_program = error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error());
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { program },
            io::ErrorKind::PermissionDenied => Self::NotExecutable { program },
            _ if is_no_program => Self::NotExecutable { program },
            _ => Self::Start { program, source: error },
        }
    }

    pub(super) fn ended(program: &str, hook: &Hook, ending: Ending, output: &Output) -> Self {
        let (program, words) = (program.to_owned(), output.words());
        match ending {
            Ending::Code(code) => {
                Self::ExitCode { program, code, words, output_tail: output.clone().both() }
            }
            Ending::Signal(signal) => Self::Signalled { program, signal, words },
            Ending::TimedOut { was_killed } => {
                Self::Timeout { program, timeout: hook.timeout, was_killed, words }
            }
            Ending::Stopped => Self::Stopped { program },
            Ending::Lost => Self::Lost { program },
        }
    }
}
