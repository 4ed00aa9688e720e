//! Why a server could not start: cause in the message, remedy beside it.

use std::path::PathBuf;

/// Why a server could not start. Nothing listens afterwards.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No address was given.
    #[error("no listening address was given")]
    NowhereToListen,
    /// Plain HTTP would leave the machine.
    #[error("{0} is not on loopback and no TLS certificate was given")]
    PlainHttp(std::net::SocketAddr),
    /// The address cannot be used.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another server listens on this unix socket.
    #[error("another server listens on {}", .0.display())]
    SocketInUse(PathBuf),
    /// Something that is not a socket lies at the path.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// A file of TLS or of a notification target cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// Certificate and key do not make a TLS server.
    #[error("TLS cannot be served with these files: {0}")]
    Tls(String),
    /// A notification target cannot be used.
    #[error("the notification target `{name}` cannot be used: {cause}")]
    Notify {
        /// Its name.
        name: String,
        /// Why.
        cause: String,
    },
    /// The engine does not answer.
    #[error("the engine cannot be read")]
    Engine(#[source] keywheel_engine::EngineError),
}

impl StartError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::NowhereToListen => "Set server.listen, for example [\"127.0.0.1:7117\"]".into(),
            Self::PlainHttp(address) => format!(
                "Give server.tls a certificate and a key, or listen on 127.0.0.1:{} and let a \
                 proxy on this machine end TLS",
                address.port()
            ),
            Self::Bind { source, .. } => match source.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "Stop what listens there, or choose another address".into()
                }
                std::io::ErrorKind::PermissionDenied => {
                    "Choose a port above 1023, or give the server's user the right to the \
                     directory"
                        .into()
                }
                std::io::ErrorKind::NotFound => "Create the socket's directory".into(),
                std::io::ErrorKind::InvalidInput => {
                    "Choose a shorter path; a socket's has room for about 100 bytes".into()
                }
                _ => "Choose an address of this machine".into(),
            },
            Self::SocketInUse(_) => "Stop it first, or choose another path".into(),
            Self::NotASocket(_) => "Choose another path; the file was left as it is".into(),
            Self::File { .. } => {
                "See that the file exists and that the server's user may read it".into()
            }
            Self::Tls(_) => "Give a PEM certificate chain, leaf first, and its own key".into(),
            Self::Notify { .. } => "Correct the [[notify]] entry".into(),
            Self::Engine(error) => error.remedy(),
        }
    }
}
