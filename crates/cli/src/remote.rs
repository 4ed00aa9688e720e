//! The server, as the commands ask it: API v1 with the types of `keywheel_api`, and failures with
//! their exit codes.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_api::column::{ColumnReport, RingColumns};
use keywheel_api::ring::{RingStatus, Rings};
use keywheel_client::http::{Endpoint, Http, HttpError, TlsOptions, Token, TokenError};
use keywheel_core::id::{ColumnName, RingName};
use keywheel_engine::ports::Entropy as _;
use keywheel_server::Listen;
use keywheel_store::SystemEntropy;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Config;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::invocation::Invocation;

/// More pages than this are no list of rings but a server that repeats itself.
const PAGES_MAX: usize = 10_000;

/// The server of this invocation.
pub struct Remote {
    http: Http,
}

impl Remote {
    /// Finds out where the server is and who asks; connects with the first call.
    ///
    /// # Errors
    /// When neither flags nor configuration say so, or the token cannot be read.
    pub fn open(invocation: &Invocation) -> Result<Self, Failure> {
        let global = &invocation.global;
        // Somebody who names both needs no configuration on this machine.
        let config = match (&global.server, &global.token_file) {
            (Some(_), Some(_)) => None,
            (Some(_), None) if !global.config.exists() => None,
            _ => Some(invocation.config()?),
        };
        let endpoint = match (&global.server, &config) {
            (Some(text), _) => parse_endpoint(text)?,
            (None, Some(config)) => endpoint_of(config)?,
            (None, None) => return Err(nowhere()),
        };
        let token_file = global
            .token_file
            .clone()
            .or_else(|| config.as_ref().map(|config| config.server.admin_token()))
            .ok_or_else(no_token)?;
        let token = Token::from_file(&token_file).map_err(|error| token_failure(&error))?;
        Self::connect(endpoint, &token, global.ca_file.clone())
    }

    fn connect(
        endpoint: Endpoint,
        token: &Token,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, Failure> {
        let http = Http::new(endpoint, Some(token), &TlsOptions { ca_file })?;
        Ok(Self { http })
    }

    /// The client itself, for streams.
    pub const fn http(&self) -> &Http {
        &self.http
    }

    /// Reads something.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        Ok(self.http.get(path)?)
    }

    /// Asks for a change, once: a lost answer may be asked for again without doing it twice.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn change<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: &impl Serialize,
        if_revision: Option<u64>,
    ) -> Result<T, Failure> {
        let key = idempotency_key();
        // An entity tag is quoted (RFC 9110 section 8.8.3).
        let revision = if_revision.map(|revision| format!("\"{revision}\""));
        let mut headers = vec![("idempotency-key", key.as_str())];
        headers.extend(revision.as_deref().map(|revision| ("if-match", revision)));
        Ok(self.http.json(method, path, Some(body), &headers)?)
    }

    /// How a ring stands.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn ring(&self, name: &RingName) -> Result<RingStatus, Failure> {
        self.get(&format!("/v1/rings/{name}"))
    }

    /// The columns of a ring, with what a mover has to know before it begins: the primary, the
    /// versions that retire, and the revision that counts as seen from now on.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn columns(&self, ring: &RingName) -> Result<RingColumns, Failure> {
        self.get(&format!("/v1/rings/{ring}/columns"))
    }

    /// Reports what a column holds, with the token of its worker. The `revision` of the answer is
    /// one that a scan which begins now has seen.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn report_column(
        &self,
        ring: &RingName,
        column: &ColumnName,
        report: &ColumnReport,
    ) -> Result<RingStatus, Failure> {
        self.change("PUT", &format!("/v1/rings/{ring}/columns/{column}"), report, None)
    }

    /// How every ring stands that the token may see.
    ///
    /// # Errors
    /// As [`Remote::get`].
    pub fn rings(&self) -> Result<Vec<RingStatus>, Failure> {
        let mut all = Vec::new();
        let mut path = "/v1/rings".to_owned();
        for _ in 0..PAGES_MAX {
            let page: Rings = self.get(&path)?;
            all.extend(page.rings);
            match page.next {
                Some(next) => path = format!("/v1/rings?after={next}"),
                None => return Ok(all),
            }
        }
        Err(Failure::failed("the server's list of rings does not end", "check the server"))
    }
}

fn idempotency_key() -> String {
    let mut bytes = [0_u8; 16];
    SystemEntropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads the address of a server as a user wrote it.
///
/// # Errors
/// When it is none.
pub fn parse_endpoint(text: &str) -> Result<Endpoint, Failure> {
    Endpoint::parse(text).map_err(|error| {
        Failure::new(Exit::Usage, format!("--server: {}", error.cause), error.remedy)
    })
}

/// Where a server of this configuration can be asked: a socket first, because it needs no name and
/// no certificate.
///
/// # Errors
/// When the configuration leaves the port to the system.
pub fn endpoint_of(config: &Config) -> Result<Endpoint, Failure> {
    let text = address_of(config)?;
    Endpoint::parse(&text).map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("{text} in {} cannot be asked: {}", config.file.display(), error.cause),
            "name the server with --server",
        )
    })
}

fn address_of(config: &Config) -> Result<String, Failure> {
    let listen = &config.server.listen;
    let socket = listen.iter().find(|listen| matches!(listen, Listen::Unix(_)));
    Ok(match socket.or_else(|| listen.first()) {
        Some(Listen::Unix(path)) => format!("unix:{}", path.display()),
        Some(Listen::Tcp(address)) => {
            let scheme = if config.server.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{address}")
        }
        None => return Err(nowhere()),
    })
}

/// Where the server is and which file holds the token, for a command that is a consumer. The token
/// of an administrator is none for it, so there is no default.
///
/// # Errors
/// When neither flags nor configuration say so, or the token cannot be read.
pub fn of_consumer(invocation: &Invocation) -> Result<(String, PathBuf), Failure> {
    let global = &invocation.global;
    let endpoint = match &global.server {
        Some(text) => parse_endpoint(text).map(|_| text.clone())?,
        None if global.config.exists() => address_of(&invocation.config()?)?,
        None => return Err(nowhere()),
    };
    let token_file = global.token_file.clone().ok_or_else(|| {
        Failure::new(
            Exit::Permission,
            "there is no token of the consumer",
            "name the file that holds it with --token-file; make one with: keywheel token create",
        )
    })?;
    Token::from_file(&token_file).map_err(|error| token_failure(&error))?;
    Ok((endpoint, token_file))
}

fn nowhere() -> Failure {
    Failure::new(
        Exit::Usage,
        "it is not known where the server is",
        "name it with --server, or name its configuration with --config",
    )
}

fn no_token() -> Failure {
    Failure::new(
        Exit::Permission,
        "there is no token to show to the server",
        "name the file that holds it with --token-file",
    )
}

fn token_failure(error: &TokenError) -> Failure {
    let text = match error {
        TokenError::Read { path, source } if source.kind() == std::io::ErrorKind::NotFound => {
            return Failure::new(
                Exit::Permission,
                format!("there is no token file {}", path.display()),
                "start the server once, which makes one, or name yours with --token-file",
            );
        }
        error => chain(error),
    };
    // These messages carry their remedy behind the semicolon.
    let (cause, remedy) = text.split_once("; ").unwrap_or((&text, "check the token file"));
    Failure::new(Exit::Permission, cause, remedy)
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let exit = match &error {
            HttpError::Problem(problem) => return (**problem).clone().into(),
            HttpError::Unreachable { .. } => Exit::Unreachable,
            HttpError::Setup { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        Self::new(exit, error.cause(), error.remedy())
    }
}
