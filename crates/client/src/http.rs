//! A small blocking client: JSON and server-sent events over HTTP/1.1, on TCP with or without TLS
//! or on a unix socket. The consumer library and the command line both stand on it.
//!
//! Every call has a deadline and a bound on its answer. Buffers that may hold keys are zeroized,
//! and nothing is logged. It follows no redirects and uses no proxy: a token goes to the server
//! that was named, and to nobody else.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use keywheel_api::problem::{CONTENT_TYPE as PROBLEM_TYPE, Problem};
use keywheel_core::time::Span;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

mod connection;
mod endpoint;
mod message;
mod once;
mod sse;
mod token;
mod wake;

pub use endpoint::{Endpoint, EndpointError};
pub use once::{OnceError, Target, TlsName, connect_once, once};
pub use sse::Event;
pub use token::{TOKEN_FILE_VARIABLE, Token, TokenError};
pub use wake::Wake;

use crate::clock::{BootTime, boot_time};
use connection::{Connection, Stop};
use endpoint::Place;
use message::{Body, Head, MAX_HEAD_BYTES, MessageError, append, parse_head, write_request};

/// How long one call may take, unless the caller says otherwise.
pub const DEFAULT_TIMEOUT: Span = Span::from_secs(15);
/// A stream that says nothing for this long is dead: servers say something every 15 seconds.
pub const EVENT_SILENCE: Span = Span::from_secs(45);
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
const MAX_CA_FILE_BYTES: u64 = 4 * 1024 * 1024;
const SYSTEM_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whom to trust over https.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// Certificates in PEM that may have signed the server's; the system's bundle when absent.
    pub ca_file: Option<PathBuf>,
}

/// Why a call did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The server answered with a problem document.
    #[error("{}; {}", _0.detail, _0.remedy)]
    Problem(Box<Problem>),
    /// No server answered.
    #[error("{cause}; {remedy}")]
    Unreachable {
        /// What happened.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// Something answered that is not a keywheel server of this API.
    #[error("{cause}; {remedy}")]
    Protocol {
        /// What happened.
        cause: String,
        /// What to do.
        remedy: String,
    },
    /// The bell rang during the call.
    #[error("the call was given up because something else became urgent; try again")]
    GivenUp,
    /// The call could not even be made.
    #[error("{cause}; {remedy}")]
    Setup {
        /// What happened.
        cause: String,
        /// What to do.
        remedy: String,
    },
}

impl HttpError {
    /// What happened.
    pub fn cause(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.detail,
            Self::Unreachable { cause, .. }
            | Self::Protocol { cause, .. }
            | Self::Setup { cause, .. } => cause,
            Self::GivenUp => "the call was given up because something else became urgent",
        }
    }

    /// What to do.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.remedy,
            Self::Unreachable { remedy, .. }
            | Self::Protocol { remedy, .. }
            | Self::Setup { remedy, .. } => remedy,
            Self::GivenUp => "try again",
        }
    }

    /// The problem document, when the server sent one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    fn setup(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Setup { cause: cause.into(), remedy: remedy.into() }
    }
}

/// What a server answered with, whole.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type, in lower case.
    pub content_type: String,
    /// Every header, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The first header of this (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// A client of one server. It keeps one connection open between calls.
pub struct Http {
    endpoint: Endpoint,
    authorization: Option<Zeroizing<String>>,
    tls: Option<Arc<ClientConfig>>,
    timeout: Span,
    kept: Mutex<Option<Connection>>,
}

impl Http {
    /// A client of the server at `endpoint`. It connects with the first call.
    ///
    /// # Errors
    /// When the address says https and there are no certificates to trust.
    pub fn new(
        endpoint: Endpoint,
        token: Option<&Token>,
        tls: &TlsOptions,
    ) -> Result<Self, HttpError> {
        let tls = match &endpoint.0 {
            Place::Tcp { tls: true, .. } => Some(tls_config(tls)?),
            _ => None,
        };
        let authorization = token.map(|token| {
            let mut value = Zeroizing::new(String::with_capacity(1024));
            value.push_str("Bearer ");
            value.push_str(token.expose());
            value
        });
        let kept = Mutex::new(None);
        Ok(Self { endpoint, authorization, tls, timeout: DEFAULT_TIMEOUT, kept })
    }

    /// The same client with another time limit for each call.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Span) -> Self {
        self.timeout = timeout;
        self
    }

    /// Where the server is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// `GET`.
    ///
    /// # Errors
    /// When the server refuses, does not answer, or answers something else.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, HttpError> {
        self.json("GET", path, None::<&()>, &[])
    }

    /// `POST` with a JSON body.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
        headers: &[(&str, &str)],
    ) -> Result<T, HttpError> {
        self.json("POST", path, body, headers)
    }

    /// `PUT` with a JSON body.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
        headers: &[(&str, &str)],
    ) -> Result<T, HttpError> {
        self.json("PUT", path, body, headers)
    }

    /// `DELETE`.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
        headers: &[(&str, &str)],
    ) -> Result<T, HttpError> {
        self.json("DELETE", path, body, headers)
    }

    /// Any method with a JSON body and a JSON answer; an empty answer reads as `null`.
    ///
    /// # Errors
    /// As [`Http::get`].
    pub fn json<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&impl Serialize>,
        headers: &[(&str, &str)],
    ) -> Result<T, HttpError> {
        let body = body.map(to_json).transpose()?;
        let deadline = boot_time().after(self.timeout);
        let answer = self.call(
            method,
            path,
            body.as_ref().map(|body| body.as_slice()),
            headers,
            deadline,
            None,
        )?;
        let content = if answer.body.is_empty() { b"null".as_slice() } else { &answer.body };
        serde_json::from_slice(content).map_err(|error| self.odd(&json_cause(&error)))
    }

    /// Makes one call and gives back the answer as it is, when its status is a success.
    ///
    /// # Errors
    /// When the server refuses or does not answer in time.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
        headers: &[(&str, &str)],
        deadline: BootTime,
        wake: Option<&Wake>,
    ) -> Result<Answer, HttpError> {
        let request = self.request(method, path, "application/json", headers, body)?;
        let kept = self.lock().take();
        let reused = kept.and_then(|mut connection| connection.is_quiet().then_some(connection));
        let outcome = match reused {
            // A server may close a kept connection in the moment in which it is used again; what
            // changes nothing is then simply asked again.
            Some(connection) => match self.exchange(connection, &request, deadline, wake) {
                Err(Stop::Failed(_)) if method == "GET" => {
                    self.exchange(self.open(deadline)?, &request, deadline, wake)
                }
                outcome => outcome,
            },
            None => self.exchange(self.open(deadline)?, &request, deadline, wake),
        };
        let (head, body) = outcome.map_err(|stop| self.unreachable(&stop))?;
        let Head { status, content_type, headers, .. } = head;
        if (200..300).contains(&status) {
            return Ok(Answer { status, content_type, headers, body });
        }
        Err(self.refusal(status, &content_type, &body))
    }

    /// Opens a stream of server-sent events.
    ///
    /// # Errors
    /// When the server refuses, does not answer in time, or answers something else.
    pub fn sse(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        wake: Option<&Wake>,
    ) -> Result<Events, HttpError> {
        let deadline = boot_time().after(self.timeout);
        let request = self.request("GET", path, "text/event-stream", headers, None)?;
        let mut connection = self.open(deadline)?;
        let stop = |stop| self.unreachable(&stop);
        connection.send(&request, deadline).map_err(stop)?;
        let head = receive_head(&mut connection, deadline, wake).map_err(stop)?;
        if head.status == 200 && head.content_type.starts_with("text/event-stream") {
            return Ok(Events {
                server: self.endpoint.to_string(),
                connection,
                body: head.body,
                parser: sse::Parser::default(),
                ready: std::collections::VecDeque::new(),
                heard: boot_time(),
                is_mute: true,
            });
        }
        let body = receive_body(&mut connection, head.body, deadline, wake).map_err(stop)?;
        Err(self.refusal(head.status, &head.content_type, &body))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, deadline: BootTime) -> Result<Connection, HttpError> {
        Connection::open(&self.endpoint, self.tls.as_ref(), deadline)
            .map_err(|stop| self.unreachable(&stop))
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        accept: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, HttpError> {
        let host = self.endpoint.host_header();
        let agent = concat!("keywheel/", env!("CARGO_PKG_VERSION"));
        let mut all = vec![("host", host.as_str()), ("user-agent", agent), ("accept", accept)];
        if let Some(authorization) = &self.authorization {
            all.push(("authorization", authorization));
        }
        if body.is_some() {
            all.push(("content-type", "application/json"));
        }
        all.extend_from_slice(headers);
        write_request(method, path, &all, body).ok_or_else(|| {
            HttpError::setup(
                "a part of the request has characters that HTTP does not carry",
                "use plain ASCII in names, reasons and keys of requests",
            )
        })
    }

    fn exchange(
        &self,
        mut connection: Connection,
        request: &[u8],
        deadline: BootTime,
        wake: Option<&Wake>,
    ) -> Result<(Head, Zeroizing<Vec<u8>>), Stop> {
        // A server may refuse a body before it has read it all; its answer says more than the
        // broken pipe does.
        let sent = connection.send(request, deadline);
        let head = match (receive_head(&mut connection, deadline, wake), sent) {
            (Ok(head), _) => head,
            (Err(_), Err(stop)) | (Err(stop), Ok(())) => return Err(stop),
        };
        let body = receive_body(&mut connection, head.body, deadline, wake)?;
        if head.keep_alive {
            *self.lock() = Some(connection);
        }
        Ok((head, body))
    }

    fn refusal(&self, status: u16, content_type: &str, body: &[u8]) -> HttpError {
        let problem = content_type
            .starts_with(PROBLEM_TYPE)
            .then(|| serde_json::from_slice::<Problem>(body).ok())
            .flatten();
        match problem {
            Some(problem) => HttpError::Problem(Box::new(problem)),
            None => self.odd(&format!("status {status} without a problem document")),
        }
    }

    /// Something answered that does not speak this API.
    fn odd(&self, what: &str) -> HttpError {
        HttpError::Protocol {
            cause: format!("{} answered with {what}", self.endpoint),
            remedy: "check that the address is that of a keywheel server of this release".into(),
        }
    }

    fn unreachable(&self, stop: &Stop) -> HttpError {
        unreachable(&self.endpoint.to_string(), stop)
    }
}

fn unreachable(server: &str, stop: &Stop) -> HttpError {
    let (cause, remedy) = match stop {
        Stop::Deadline => (
            format!("{server} did not answer in time"),
            "check that the server runs and is not overloaded, then try again",
        ),
        Stop::Woken => return HttpError::GivenUp,
        Stop::Failed(error) => {
            if let Some(MessageError(what)) =
                error.get_ref().and_then(|inner| inner.downcast_ref::<MessageError>())
            {
                return HttpError::Protocol {
                    cause: format!("what answers at {server} is no keywheel server: {what}"),
                    remedy: "check the address, and whether something stands in between".into(),
                };
            }
            let remedy = match error.kind() {
                ErrorKind::ConnectionRefused => "start the server, or correct the address",
                ErrorKind::NotFound => "start the server, or correct the path or host name",
                ErrorKind::PermissionDenied => {
                    "run as a user that may open the socket, or ask for membership in its group"
                }
                ErrorKind::InvalidData => {
                    "check the server's certificate, its name, and the ca_file that signed it"
                }
                _ => "check that the server runs, then try again",
            };
            (format!("{server} cannot be reached: {error}"), remedy)
        }
    };
    HttpError::Unreachable { cause, remedy: remedy.into() }
}

/// Names the place but not the content, which may be a key.
fn json_cause(error: &serde_json::Error) -> String {
    format!("JSON that does not fit at line {} column {}", error.line(), error.column())
}

/// Serializes into a buffer that is zeroized however often it grew.
pub(crate) fn to_json(body: &impl Serialize) -> Result<Zeroizing<Vec<u8>>, HttpError> {
    struct Sink(Zeroizing<Vec<u8>>);
    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            append(&mut self.0, bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sink = Sink(Zeroizing::new(Vec::with_capacity(1024)));
    serde_json::to_writer(&mut sink, body).map_err(|_| {
        HttpError::setup("the request cannot be written as JSON", "report this as a defect")
    })?;
    Ok(sink.0)
}

fn garbled(error: MessageError) -> Stop {
    Stop::Failed(io::Error::new(ErrorKind::InvalidInput, error))
}

fn receive_head(
    connection: &mut Connection,
    deadline: BootTime,
    wake: Option<&Wake>,
) -> Result<Head, Stop> {
    loop {
        if let Some((used, head)) = parse_head(connection.input()).map_err(garbled)? {
            connection.consume(used);
            return Ok(head);
        }
        if connection.input().len() >= MAX_HEAD_BYTES {
            return Err(garbled(MessageError("its head is too long")));
        }
        if connection.fill(deadline, wake)? == 0 {
            return Err(Stop::Failed(ErrorKind::UnexpectedEof.into()));
        }
    }
}

fn receive_body(
    connection: &mut Connection,
    mut body: Body,
    deadline: BootTime,
    wake: Option<&Wake>,
) -> Result<Zeroizing<Vec<u8>>, Stop> {
    let mut content = Zeroizing::new(Vec::with_capacity(4096));
    loop {
        let used = body.decode(connection.input(), &mut content).map_err(garbled)?;
        connection.consume(used);
        if content.len() > MAX_ANSWER_BYTES {
            return Err(garbled(MessageError("its answer is too long")));
        }
        if body == Body::Ended {
            return Ok(content);
        }
        if connection.fill(deadline, wake)? == 0 {
            return match body {
                Body::UntilClose => Ok(content),
                _ => Err(Stop::Failed(ErrorKind::UnexpectedEof.into())),
            };
        }
    }
}

/// What a wait for an event brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// An event.
    Event(Event),
    /// None until the deadline.
    Deadline,
    /// The bell rang.
    Woken,
    /// The server ended the stream.
    Ended,
}

/// A stream of server-sent events. As an iterator it waits for each event until the stream ends or
/// falls silent for [`EVENT_SILENCE`].
pub struct Events {
    server: String,
    connection: Connection,
    body: Body,
    parser: sse::Parser,
    ready: std::collections::VecDeque<Event>,
    heard: BootTime,
    is_mute: bool,
}

impl Events {
    /// The cursor to go on after: the last id that came, also without an event.
    pub fn last_id(&self) -> Option<&str> {
        self.parser.last_id()
    }

    /// Whether nothing has come yet, not even a sign of life. A stream that stays mute is probably
    /// held back by something in between.
    pub const fn is_mute(&self) -> bool {
        self.is_mute
    }

    /// Waits for the next event. A wait that ended early may be taken up again.
    ///
    /// # Errors
    /// When the connection fails, is silent for [`EVENT_SILENCE`], or carries something else.
    pub fn wait(&mut self, deadline: BootTime, wake: Option<&Wake>) -> Result<Next, HttpError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Next::Event(event));
            }
            let mut content = Zeroizing::new(Vec::with_capacity(1024));
            let decoded = self.body.decode(self.connection.input(), &mut content);
            let used = decoded.map_err(|error| unreachable(&self.server, &garbled(error)))?;
            self.connection.consume(used);
            self.is_mute &= content.is_empty();
            let events = self.parser.feed(&content).map_err(|error| HttpError::Protocol {
                cause: format!("{} sent an event that cannot be read: {error}", self.server),
                remedy: "check what stands between this process and the server".into(),
            })?;
            self.ready.extend(events);
            if !self.ready.is_empty() {
                continue;
            }
            if self.body == Body::Ended {
                return Ok(Next::Ended);
            }
            let silence_ends = self.heard.after(EVENT_SILENCE);
            match self.connection.fill(deadline.min(silence_ends), wake) {
                Ok(0) => return Ok(Next::Ended),
                Ok(_) => self.heard = boot_time(),
                Err(Stop::Woken) => return Ok(Next::Woken),
                Err(Stop::Deadline) if boot_time() < silence_ends => return Ok(Next::Deadline),
                Err(stop) => return Err(unreachable(&self.server, &stop)),
            }
        }
    }
}

impl Iterator for Events {
    type Item = Result<Event, HttpError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.wait(BootTime(u64::MAX), None) {
                Ok(Next::Event(event)) => return Some(Ok(event)),
                Ok(Next::Ended) => return None,
                Ok(Next::Deadline | Next::Woken) => {}
                Err(error) => {
                    self.body = Body::Ended;
                    return Some(Err(error));
                }
            }
        }
    }
}

fn tls_config(options: &TlsOptions) -> Result<Arc<ClientConfig>, HttpError> {
    let system = || SYSTEM_BUNDLES.into_iter().map(PathBuf::from).find(|path| path.is_file());
    let path = options.ca_file.clone().or_else(system).ok_or_else(|| {
        HttpError::setup(
            "this machine has no bundle of certificates to trust",
            "install ca-certificates, or name the certificate of your authority as ca_file",
        )
    })?;
    let unreadable = |what: String| {
        HttpError::setup(
            format!("the certificates in {} cannot be used: {what}", path.display()),
            "name a PEM file with the certificate of the authority that signed the server's",
        )
    };
    let facts = fs::metadata(&path).map_err(|error| unreadable(error.to_string()))?;
    if !facts.is_file() || facts.len() > MAX_CA_FILE_BYTES {
        return Err(unreadable("it is not a file, or too large".into()));
    }
    let pem = fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(unreadable("it holds none".into()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unreadable(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
