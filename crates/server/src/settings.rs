//! What a server is started with. Parsing `keywheel.toml` is left to the command line; only the
//! form of a listening address is settled here, because it is the server that must refuse a bad
//! one.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::edge::EdgeSettings;
use crate::notify::NotifyTarget;

/// Everything that a server needs besides its engine.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where to listen; at least one.
    pub listen: Vec<Listen>,
    /// Serves TLS on every TCP address. Without it only loopback addresses are accepted.
    pub tls: Option<Tls>,
    /// The file mode of unix sockets.
    pub socket_mode: SocketMode,
    /// Bounds on what callers may use.
    pub limits: Limits,
    /// Who is told about what happens to rings.
    pub notify: Vec<NotifyTarget>,
    /// Answers `/metrics` without a token to callers on loopback and on unix sockets.
    pub open_metrics_on_loopback: bool,
    /// What proxies may ask at `/authz`.
    pub authz: AuthzSettings,
    /// The issuer that discovery documents name; there are none when absent.
    pub issuer: Option<String>,
}

/// What proxies may ask, and where.
#[derive(Clone, Debug, Default)]
pub struct AuthzSettings {
    /// The rules.
    pub edge: EdgeSettings,
    /// Addresses at which nothing else is answered. Every listening address of the server answers
    /// too.
    pub listen: Vec<Listen>,
    /// The file mode of unix sockets among them.
    pub socket_mode: SocketMode,
}

/// A listening address: `127.0.0.1:7117`, `[::1]:0`, or `unix:/run/keywheel/keywheel.sock`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Listen {
    /// A TCP address; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// Text that is not a listening address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a listening address; write an IP address and a port (127.0.0.1:7117, [::1]:7117) \
     or unix:/absolute/path"
)]
pub struct ListenError(String);

impl Listen {
    /// Reads a listening address.
    ///
    /// ```
    /// use keywheel_server::Listen;
    /// assert!(Listen::parse("127.0.0.1:7117").is_ok());
    /// assert!(Listen::parse("unix:/run/keywheel/keywheel.sock").is_ok());
    /// assert!(Listen::parse("localhost:7117").is_err());
    /// ```
    ///
    /// # Errors
    /// When it is neither an IP address with a port nor `unix:` and an absolute path.
    pub fn parse(text: &str) -> Result<Self, ListenError> {
        let refuse = || ListenError(text.chars().take(120).collect());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            let usable = path.is_absolute() && path.file_name().is_some();
            return if usable { Ok(Self::Unix(path)) } else { Err(refuse()) };
        }
        text.parse().map(Self::Tcp).map_err(|_| refuse())
    }
}

impl FromStr for Listen {
    type Err = ListenError;
    fn from_str(text: &str) -> Result<Self, ListenError> {
        Self::parse(text)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The files that TLS needs, all PEM. They are read once, at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, leaf first.
    pub cert_file: PathBuf,
    /// The private key of the leaf.
    pub key_file: PathBuf,
    /// When given, callers must show a certificate that one of these authorities signed.
    pub client_ca_file: Option<PathBuf>,
}

/// The permission bits of a unix socket. Default `0660`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketMode(pub u32);

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o660)
    }
}

/// Bounds on what callers may use. Every default is meant for production.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones are closed at once. Default 20,000.
    pub connections: usize,
    /// Calls into the engine at once; further ones wait for `queue_timeout`, then 503. Default 32.
    pub engine_calls: usize,
    /// How long a call waits for its turn. Default 2 s.
    pub queue_timeout: Duration,
    /// The longest request body. Default 256 KiB.
    pub body_bytes: usize,
    /// The longest request line and headers together. Default 16 KiB, at least 8 KiB.
    pub header_bytes: usize,
    /// How long a connection may take to send its next request's headers. Default 60 s.
    pub header_timeout: Duration,
    /// How long a request may take, but for `/v1/watch`. Default 30 s.
    pub request_timeout: Duration,
    /// A connection that takes nothing of what is written to it for this long is closed.
    /// Default 20 s.
    pub write_timeout: Duration,
    /// How often a silent watcher is sent a comment, so that a dead connection is noticed.
    /// Default 15 s.
    pub heartbeat: Duration,
    /// How many changes are kept for watchers that fall behind; one that is further behind is cut
    /// off and comes back with its cursor. Default 4096.
    pub recent_changes: usize,
    /// For how many rings `/metrics` shows series. Default 1000.
    pub metric_rings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            engine_calls: 32,
            queue_timeout: Duration::from_secs(2),
            body_bytes: 256 * 1024,
            header_bytes: 16 * 1024,
            header_timeout: Duration::from_mins(1),
            request_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(20),
            heartbeat: Duration::from_secs(15),
            recent_changes: 4096,
            metric_rings: 1000,
        }
    }
}
