//! Why a column cannot be moved: the cause, and what to do about it.
//!
//! What a server says of an error may hold parts of rows. Only its SQLSTATE and the names of
//! objects are kept, so that no message of this crate ever holds a value, a parameter or a key.

use std::fmt;

/// What of a server's error can be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The SQLSTATE; empty when the server did not say one.
    pub sqlstate: String,
    /// Whether the server answered, and the answer cannot be read.
    pub is_unread: bool,
    /// The table, where the server names one.
    pub table: Option<String>,
    /// The column, where the server names one.
    pub column: Option<String>,
    /// The constraint, where the server names one.
    pub constraint: Option<String>,
}

impl Said {
    pub(crate) fn of(error: &postgres::Error) -> Self {
        let Some(error) = error.as_db_error() else {
            // A socket that failed has an error of the system beneath, or is closed by now.
            let source = std::error::Error::source(error);
            let is_socket = source.is_some_and(<dyn std::error::Error>::is::<std::io::Error>);
            let is_unread = !is_socket && !error.is_closed();
            return Self { is_unread, ..Self::default() };
        };
        Self {
            is_unread: false,
            sqlstate: error.code().code().to_owned(),
            table: error.table().map(str::to_owned),
            column: error.column().map(str::to_owned),
            constraint: error.constraint().map(str::to_owned),
        }
    }

    fn meaning(&self) -> &'static str {
        match self.sqlstate.as_str() {
            "" if self.is_unread => "what the server answers cannot be read",
            "" => "the connection failed",
            "42501" => "a right is missing",
            "55P03" => "a lock was not free in time",
            "57014" => "it took too long, or was cancelled",
            "40P01" => "it met a deadlock",
            "23514" => "a check constraint refuses the value",
            "22001" => "the value is too long for the column",
            "25006" => "the server takes no writes",
            "42P01" => "the table is not there",
            "42703" => "the column is not there",
            "53100" => "the disk is full",
            "57P01" | "57P02" | "57P03" => "the server is ending",
            code if code.starts_with("23") => "a constraint refuses the value",
            code if code.starts_with("28") => "the role is not let in",
            code if code.starts_with("53") => "the server has no room left",
            _ => "the server refuses",
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())?;
        if !self.sqlstate.is_empty() {
            write!(f, " (SQLSTATE {})", self.sqlstate)?;
        }
        let named =
            [("table", &self.table), ("column", &self.column), ("constraint", &self.constraint)];
        for (kind, name) in named {
            if let Some(name) = name {
                write!(f, ", {kind} {name}")?;
            }
        }
        Ok(())
    }
}

/// Why a column cannot be looked at, moved or verified.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server cannot be reached as it was asked for.
    #[error(transparent)]
    Reach(#[from] keywheel_postgres::Error),
    /// The server refused something.
    #[error("{doing}: {said}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// What the server says.
        said: Said,
    },
    /// There is no such table or column, or it is none that could be moved.
    #[error("{table}: {why}")]
    Target {
        /// The table.
        table: String,
        /// What is wrong with it.
        why: String,
        /// What to do.
        remedy: String,
    },
    /// Both keys are the same.
    #[error("the key to move to is the key to move from")]
    SameKey,
    /// There is no key to move from.
    #[error("there is no key to move from")]
    NoOldKey,
    /// Somebody else moves this column.
    #[error("another mover holds {table}")]
    Busy {
        /// The table.
        table: String,
    },
    /// A trigger stored something else than was written.
    #[error("a trigger of {table} changes the values that are written; nothing was kept")]
    Changed {
        /// The table.
        table: String,
    },
    /// A trigger lets no update through.
    #[error("a trigger or rule of {table} swallows updates")]
    Swallowed {
        /// The table.
        table: String,
    },
    /// Too many rows that no key opens.
    #[error("{rows} rows of {table} open with no key that was given")]
    Unopened {
        /// The table.
        table: String,
        /// How many.
        rows: u64,
    },
    /// A row stayed locked.
    #[error("rows of {table} stayed locked for {waited_secs} s")]
    Locked {
        /// The table.
        table: String,
        /// How long was waited.
        waited_secs: u64,
    },
    /// The new value does not open, or is not what the old one was.
    #[error("a value that was just sealed does not open again; nothing was written")]
    OwnOutput,
    /// The format cannot hold what was read.
    #[error("a value cannot be sealed: {0}")]
    Seal(String),
    /// There are no random bytes.
    #[error("the system gives no random bytes")]
    Entropy,
    /// A thread ended in the midst.
    #[error("a worker ended in the midst")]
    Worker,
}

impl Error {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        let text = match self {
            Self::Reach(error) => error.remedy(),
            Self::Database { said, .. } => database_remedy(&said.sqlstate),
            Self::Target { remedy, .. } => return remedy.clone(),
            Self::SameKey => "give two different keys",
            Self::NoOldKey => "name at least one key that values may still be under",
            Self::Busy { .. } => "wait for it, or end it; one mover at a time has a column",
            Self::Changed { .. } | Self::Swallowed { .. } => {
                "disable the trigger for the time of the move, or let it pass updates of this \
                 column as they are"
            }
            Self::Unopened { .. } => {
                "see that the old keys are the right ones and all are given; where so many rows \
                 are damaged indeed, raise quarantine_max"
            }
            Self::Locked { .. } => {
                "see pg_stat_activity for transactions that stay open, end them, and run again: \
                 what was moved stays moved"
            }
            Self::OwnOutput => "report it as a defect: nothing was lost",
            Self::Seal(_) => "see that the key fits the format",
            Self::Entropy => "see that the system's random generator works, and run again",
            Self::Worker => "report it as a defect, and run again: what was moved stays moved",
        };
        text.to_owned()
    }

    pub(crate) fn sqlstate(&self) -> &str {
        match self {
            Self::Database { said, .. } => &said.sqlstate,
            _ => "",
        }
    }
}

fn database_remedy(sqlstate: &str) -> &'static str {
    match sqlstate {
        "42501" => "inspect the column: it lists the GRANT statements that are missing",
        "23514" | "22001" => "the new values may be longer: widen the column or its check",
        "25006" => "name the primary server",
        "53100" => "make room, and run again: what was moved stays moved",
        _ => "run again when the server is well: what was moved stays moved",
    }
}

/// Says what was being done when a statement failed.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, postgres::Error> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|error| Error::Database { doing, said: Said::of(&error) })
    }
}
