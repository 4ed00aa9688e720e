//! What a verb says when it cannot go on: a cause, a remedy, and an exit code.

use std::fmt;
use std::process::ExitCode;

/// The class of a failure; each has its own exit code, listed in the usage text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A test or a check found something. Exit code 1.
    Found,
    /// The command line was wrong. Exit code 2.
    Usage,
    /// The machine lacks something: a package, the network, a right. Exit code 3.
    Machine,
}

/// A failure with its remedy.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// What kind it is.
    pub class: Class,
    /// What happened.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

impl Failure {
    /// A test or a check found something.
    pub(crate) fn found(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { class: Class::Found, cause: cause.into(), remedy: remedy.into() }
    }

    /// The command line was wrong.
    pub(crate) fn usage(cause: impl Into<String>) -> Self {
        let remedy = "see `cargo xtask help`".to_owned();
        Self { class: Class::Usage, cause: cause.into(), remedy }
    }

    /// The machine lacks something.
    pub(crate) fn machine(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { class: Class::Machine, cause: cause.into(), remedy: remedy.into() }
    }

    /// The exit code of this class.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.class {
            Class::Found => 1,
            Class::Usage => 2,
            Class::Machine => 3,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  remedy: {}", self.cause, self.remedy)
    }
}
