//! What a client is told before it begins: where the keys come from, and whom it answers for.

use std::path::PathBuf;

use arc_swap::ArcSwap;
use keywheel_core::id::{ConsumerName, RingName};
use keywheel_core::text::is_printable;
use keywheel_core::time::Span;

use crate::client::Client;
use crate::error::BuildError;
use crate::http::{Endpoint, TlsOptions, Token};
use crate::still::StillKeys;

const RINGS_MAX: usize = 64;
/// The most characters of a host's name or label.
pub(crate) const HOST_CHARS_MAX: usize = 64;
pub(crate) const FIRST_USE_TIMEOUT: Span = Span::from_secs(10);

/// Where the token comes from. A file is read with the first use, and again when the server does
/// not accept the token any more.
#[derive(Clone)]
pub enum TokenSource {
    /// This token.
    Value(Token),
    /// A file that only its owner may read.
    File(PathBuf),
    /// The file that `KEYWHEEL_TOKEN_FILE` names.
    Environment,
}

impl From<Token> for TokenSource {
    fn from(token: Token) -> Self {
        Self::Value(token)
    }
}

/// Where keys come from.
pub(crate) enum Origin {
    /// A server gives them, and changes them.
    Server(Server),
    /// They were given with the client, one entry a ring, and no server is asked.
    Still(Box<[ArcSwap<StillKeys>]>),
}

/// How a server is reached.
pub(crate) struct Server {
    pub(crate) endpoint: Endpoint,
    pub(crate) token: TokenSource,
    pub(crate) tls: TlsOptions,
}

/// What a client was told to do.
pub(crate) struct Settings {
    pub(crate) origin: Origin,
    pub(crate) consumer: Option<ConsumerName>,
    pub(crate) rings: Box<[RingName]>,
    pub(crate) host_cache: Option<PathBuf>,
    pub(crate) first_use_timeout: Span,
    pub(crate) deferred: bool,
    pub(crate) endures: bool,
    pub(crate) identity_file: Option<PathBuf>,
    pub(crate) pid: Option<u32>,
    pub(crate) host: Option<String>,
}

/// Collects what a client needs to know.
pub struct Builder {
    endpoint: String,
    token: TokenSource,
    tls: TlsOptions,
    consumer: Option<String>,
    rings: Vec<String>,
    host_cache: Option<PathBuf>,
    first_use_timeout: Span,
    deferred: bool,
    endures: bool,
    identity_file: Option<PathBuf>,
    pid: Option<u32>,
    host: Option<String>,
}

impl Builder {
    pub(crate) fn new(endpoint: String, token: TokenSource) -> Self {
        Self {
            endpoint,
            token,
            tls: TlsOptions::default(),
            consumer: None,
            rings: Vec::new(),
            host_cache: None,
            first_use_timeout: FIRST_USE_TIMEOUT,
            deferred: false,
            endures: false,
            identity_file: None,
            pid: None,
            host: None,
        }
    }

    /// The declared consumer that this process belongs to; that of the token unless set.
    #[must_use]
    pub fn consumer(mut self, name: impl Into<String>) -> Self {
        self.consumer = Some(name.into());
        self
    }

    /// A ring that this process uses. Call it once for each.
    #[must_use]
    pub fn ring(mut self, name: impl Into<String>) -> Self {
        self.rings.push(name.into());
        self
    }

    /// Whom to trust over https.
    #[must_use]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = options;
        self
    }

    /// Keeps what arrives in this directory, sealed under the token, so that a process that starts
    /// while no server answers has keys. Only for rings whose policy permits it.
    #[must_use]
    pub fn host_cache(mut self, directory: impl Into<PathBuf>) -> Self {
        self.host_cache = Some(directory.into());
        self
    }

    /// How long the first use may wait for the server; 10 seconds unless set.
    #[must_use]
    pub fn first_use_timeout(mut self, timeout: Span) -> Self {
        self.first_use_timeout = timeout;
        self
    }

    /// Answers for a consumer that cannot speak: a keyset that merely arrived here proves nothing.
    /// Reports renew the lease and count, and prove only after [`crate::RingHandle::confirm`]; a
    /// newer keyset has to be confirmed anew. Such a client takes no guards of its own: work that
    /// the consumer does counts for the keyset that was confirmed last. When it is dropped or shut
    /// down it says no goodbye, because the consumer goes on without it; see [`Client::leave`].
    #[must_use]
    pub fn deferred(mut self) -> Self {
        self.deferred = true;
        self
    }

    /// Tells the server that silence never means that the consumer has stopped: nobody stops it
    /// when no server is reached, so a rotation waits until it is heard again, was ended, or is
    /// waived.
    #[must_use]
    pub fn endures(mut self) -> Self {
        self.endures = true;
        self
    }

    /// Keeps who this process is to the server in this file (mode 0600), so that after a restart
    /// it takes the place of its former self at once. One running process may use a file. A file
    /// that is not there yet is made; one that is damaged, or that others may read, is refused.
    #[must_use]
    pub fn identity_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.identity_file = Some(path.into());
        self
    }

    /// The process that the server is told of, when this client answers for another one.
    #[must_use]
    pub fn pid(mut self, pid: u32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// What people are shown as the host, instead of its name: at most 64 characters.
    #[must_use]
    pub fn host(mut self, label: impl Into<String>) -> Self {
        self.host = Some(label.into());
        self
    }

    /// Makes the client. It starts no thread, opens no socket and touches no file.
    ///
    /// # Errors
    /// When the settings cannot work.
    pub fn build(self) -> Result<Client, BuildError> {
        let consumer = self.consumer.map(|name| name.parse()).transpose()?;
        let rings: Result<Vec<RingName>, _> = self.rings.iter().map(|name| name.parse()).collect();
        let rings = check_rings(rings?)?;
        if self.host.as_deref().is_some_and(|host| !is_host_label(host)) {
            return Err(BuildError::Host);
        }
        let endpoint = Endpoint::parse(&self.endpoint)?;
        let settings = Settings {
            origin: Origin::Server(Server { endpoint, token: self.token, tls: self.tls }),
            consumer,
            rings,
            host_cache: self.host_cache,
            first_use_timeout: self.first_use_timeout,
            deferred: self.deferred,
            endures: self.endures,
            identity_file: self.identity_file,
            pid: self.pid,
            host: self.host,
        };
        Ok(Client::new(settings))
    }
}

/// Each ring once, and not too many.
pub(crate) fn check_rings(rings: Vec<RingName>) -> Result<Box<[RingName]>, BuildError> {
    let mut distinct: Vec<_> = rings.iter().collect();
    distinct.sort();
    distinct.dedup();
    if rings.is_empty() || rings.len() > RINGS_MAX || distinct.len() != rings.len() {
        return Err(BuildError::Rings { count: rings.len() });
    }
    Ok(rings.into_boxed_slice())
}

fn is_host_label(label: &str) -> bool {
    (1..=HOST_CHARS_MAX).contains(&label.chars().count()) && label.chars().all(is_printable)
}
