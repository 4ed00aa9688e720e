//! The exit codes of `keywheel`. They are part of its interface: scripts and monitoring read them.

use std::process::ExitCode;

use keywheel_api::problem::{Kind, Problem};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done,
    /// It failed for a reason that has no code of its own.
    Failed,
    /// It was called the wrong way; or, with `apply --dry-run`, changes are pending.
    Usage,
    /// A ring is overdue or its rotation stalls.
    Late,
    /// The server refused: a gate is closed, or the ring is in another state.
    Refused,
    /// The server or its store cannot be reached.
    Unreachable,
    /// A token, a right or the permission of a file is missing.
    Permission,
    /// A scan found what it was told to fail on; a move left rows that need an old key.
    Found,
    /// What `keywheel exec` ran ended with this code.
    Program(u8),
}

/// The text that stands at the end of every `--help`.
pub const HELP: &str = "Exit codes:
  0  done
  1  failed
  2  wrong usage or configuration; `apply --dry-run`: changes are pending
  3  a ring is overdue, or its rotation stalls
  4  refused by the server: a gate is closed, or the ring's state does not allow it
  5  the server or its store cannot be reached
  6  a token, a right or a file's permission is missing
  7  `scan`: it found what --fail-on names; `reencrypt`: rows still need an old key";

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Late => 3,
            Self::Refused => 4,
            Self::Unreachable => 5,
            Self::Permission => 6,
            Self::Found => 7,
            Self::Program(code) => code,
        }
    }

    /// The code for a problem that a server reported. A kind that this release does not know is
    /// judged by its HTTP status.
    pub fn of_problem(problem: &Problem) -> Self {
        match problem.kind() {
            Some(Kind::Unauthenticated | Kind::Forbidden) => Self::Permission,
            Some(Kind::NotLeader | Kind::StoreUnavailable | Kind::TooMany) => Self::Unreachable,
            Some(Kind::StoreRefused | Kind::Internal) => Self::Failed,
            Some(_) => Self::Refused,
            None => match problem.status {
                401 | 403 => Self::Permission,
                429 | 502..=504 => Self::Unreachable,
                400..=499 => Self::Refused,
                _ => Self::Failed,
            },
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_problem_has_a_code_that_help_explains() {
        for kind in Kind::ALL {
            let exit = Exit::of_problem(&Problem::new(kind, "cause", "remedy"));
            assert_ne!(exit, Exit::Done, "{kind:?}");
            assert!(HELP.contains(&format!("\n  {}  ", exit.code())), "{kind:?}");
        }
    }

    #[test]
    fn an_unknown_kind_is_judged_by_its_status() {
        let mut problem = Problem::new(Kind::Internal, "cause", "remedy");
        problem.r#type = "https://keywheel.dev/problems/from-the-future".into();
        for (status, exit) in [
            (403, Exit::Permission),
            (409, Exit::Refused),
            (503, Exit::Unreachable),
            (500, Exit::Failed),
        ] {
            problem.status = status;
            assert_eq!(Exit::of_problem(&problem), exit, "{status}");
        }
    }
}
