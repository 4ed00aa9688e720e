//! Why `keywheel exec` cannot run a program.

use std::borrow::Cow;
use std::io;

use super::environment::EnvironmentError;
use super::sockets::SocketError;

/// Why a program cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The keys did not arrive in time.
    #[error("the program is not started without its keys: {cause}")]
    NoKeys {
        /// What the client said.
        cause: String,
    },
    /// The variables cannot be written.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A socket cannot be opened.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A child cannot be started.
    #[error("a child cannot be started")]
    Start {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no client for a child.
    #[error("the server cannot be asked for the keys: {cause}")]
    Client {
        /// Why.
        cause: String,
    },
    /// The program does not get ready.
    #[error("the program does not get ready: {cause}")]
    NotReady {
        /// What the check said.
        cause: String,
    },
}

impl ExecError {
    /// What to do about it.
    pub fn remedy(&self) -> Cow<'static, str> {
        match self {
            Self::NoKeys { .. } => {
                "check the server, the token, and that the ring's policy declares the consumer; \
                 --start-timeout says how long this waits"
                    .into()
            }
            Self::Environment(error) => error.remedy(),
            Self::Socket(error) => error.remedy().into(),
            Self::Start { .. } => "check the limits of this user: ulimit -u and ulimit -n".into(),
            Self::Client { .. } => "check --server and --token-file".into(),
            Self::NotReady { .. } => {
                "see what the program says; --ready-timeout says how long this waits".into()
            }
        }
    }
}
