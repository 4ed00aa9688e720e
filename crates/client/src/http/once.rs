//! One request on a connection of its own, to anything that speaks HTTP/1.1: reload addresses and
//! probes of services that are no keywheel servers. It keeps nothing between calls, neither a
//! connection nor a TLS session, because whoever probes wants to be a stranger each time.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use keywheel_core::time::Span;
use rustls::ClientConfig;
use rustls::client::Resumption;
use zeroize::Zeroizing;

use super::connection::{Connection, Stop};
use super::endpoint::{EndpointError, Place, is_loopback, refuse, split_port};
use super::message::{Body, Head, MAX_HEAD_BYTES, MessageError, parse_head, write_request};
use super::{Answer, HttpError, TlsOptions, garbled, tls_config};
use crate::clock::{BootTime, boot_time};

/// How often a caller's wish to stop is asked for.
const LOOK: Span = Span::from_millis(50);
/// More of an answer than this is not waited for; the status has been read by then.
const READ_BYTES_MAX: usize = 64 * 1024;
const FORMS: &str =
    "write http://127.0.0.1:8000/path, https://host/path or unix:/run/app.sock:/path";

/// Where a service is, and what is asked of it: `http://127.0.0.1:8000/path`, `https://host/path`
/// or `unix:/run/app.sock:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    place: Place,
    path: String,
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// When it is none, carries credentials or a fragment, or has characters that would break out
    /// of a request.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let (place, path) = match text.strip_prefix("unix:") {
            Some(rest) => {
                let (socket, path) = rest.split_once(":/").unwrap_or((rest, ""));
                if !socket.starts_with('/') || socket.contains('\0') {
                    return Err(refuse("the path of the socket is not absolute", FORMS));
                }
                (Place::Unix(PathBuf::from(socket)), format!("/{path}"))
            }
            None => tcp(text)?,
        };
        if path.contains('#') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            let remedy = "leave out fragments and percent-encode other characters";
            return Err(refuse("the path has characters that HTTP does not carry", remedy));
        }
        Ok(Self { place, path })
    }

    /// Whether nothing of the exchange leaves this machine.
    pub fn is_local(&self) -> bool {
        match &self.place {
            Place::Unix(_) => true,
            Place::Tcp { host, .. } => is_loopback(host),
        }
    }

    /// The name that the certificate must bear unless another one is asked for; `None` for plain
    /// HTTP.
    pub fn tls_name(&self) -> Option<&str> {
        match &self.place {
            Place::Tcp { host, tls: true, .. } => Some(host),
            _ => None,
        }
    }

    fn host_header(&self) -> String {
        super::Endpoint(self.place.clone()).host_header()
    }
}

fn tcp(text: &str) -> Result<(Place, String), EndpointError> {
    let (tls, rest) = match text.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("https", rest)) => (true, rest),
        _ => return Err(refuse("this is not the address of a service", FORMS)),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err(refuse(
            "the address carries credentials, which end up in logs and process lists",
            "take them out",
        ));
    }
    let (host, port) = split_port(authority)?;
    let port = port.unwrap_or(if tls { 443 } else { 80 });
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok((Place::Tcp { host, port, tls }, path))
}

/// The address as it was meant, without its query, which may carry what messages should not.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        match &self.place {
            Place::Unix(socket) => write!(f, "unix:{}:{path}", socket.display()),
            place @ Place::Tcp { .. } => write!(f, "{}{path}", super::Endpoint(place.clone())),
        }
    }
}

/// Whom a TLS connection must lead to.
#[derive(Clone)]
pub struct TlsName {
    config: Arc<ClientConfig>,
    name: String,
}

impl TlsName {
    /// Who bears this name in a certificate that is trusted.
    ///
    /// # Errors
    /// When there are no certificates to trust.
    pub fn new(name: &str, options: &TlsOptions) -> Result<Self, HttpError> {
        let mut config = ClientConfig::clone(&*tls_config(options)?);
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), name: name.to_owned() })
    }
}

/// Why there is no answer. It never repeats what was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnceError {
    /// Nothing came in time.
    #[error("it did not answer in time")]
    Late,
    /// The caller wished to stop.
    #[error("it was given up because this process was asked to stop")]
    Stopped,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Failed(std::io::Error),
    /// What came is not HTTP.
    #[error("it does not answer as HTTP has it: {0}")]
    NotHttp(&'static str),
    /// The request cannot be written.
    #[error("a header has characters that HTTP does not carry")]
    Request,
}

impl From<Stop> for OnceError {
    fn from(stop: Stop) -> Self {
        let error = match stop {
            Stop::Deadline => return Self::Late,
            Stop::Woken => return Self::Stopped,
            Stop::Failed(error) => error,
        };
        match error.get_ref().and_then(|inner| inner.downcast_ref::<MessageError>()) {
            Some(MessageError(what)) => Self::NotHttp(what),
            None if error.kind() == std::io::ErrorKind::TimedOut => Self::Late,
            None => Self::Failed(error),
        }
    }
}

/// Connects to `host:port`, shakes hands where TLS is asked for, and hangs up.
///
/// # Errors
/// When nothing listens there in time, or it is not who it should be.
pub fn connect_once(
    address: &str,
    tls: Option<&TlsName>,
    deadline: BootTime,
) -> Result<(), OnceError> {
    let (host, port) = split_port(address)
        .ok()
        .and_then(|(host, port)| Some((host, port?)))
        .ok_or_else(|| OnceError::Failed(std::io::ErrorKind::InvalidInput.into()))?;
    let place = Place::Tcp { host, port, tls: tls.is_some() };
    let tls = tls.map(|tls| (&tls.config, tls.name.as_str()));
    Connection::at(&place, tls, deadline)?;
    Ok(())
}

/// Makes a request on a new connection, reads the answer, and hangs up. Of the content at most
/// 64 KiB are read. A `host` header replaces the one that follows from the address.
///
/// # Errors
/// When there is no answer by the deadline, or `stop` says to stop.
pub fn once(
    target: &Target,
    tls: Option<&TlsName>,
    method: &str,
    headers: &[(&str, &str)],
    deadline: BootTime,
    stop: &dyn Fn() -> bool,
) -> Result<Answer, OnceError> {
    let host = target.host_header();
    let agent = concat!("keywheel/", env!("CARGO_PKG_VERSION"));
    let ours = [("host", host.as_str()), ("user-agent", agent), ("accept", "*/*")];
    let given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    let mut all: Vec<(&str, &str)> = ours.into_iter().filter(|(name, _)| !given(name)).collect();
    all.push(("connection", "close"));
    all.extend_from_slice(headers);
    let body = matches!(method, "POST" | "PUT").then_some(b"".as_slice());
    let request = write_request(method, &target.path, &all, body).ok_or(OnceError::Request)?;
    let tls = tls.map(|tls| (&tls.config, tls.name.as_str()));
    let mut connection = Connection::at(&target.place, tls, deadline)?;
    connection.send(&request, deadline)?;
    let head = receive_head(&mut connection, deadline, stop)?;
    let content = if method == "HEAD" { Body::Ended } else { head.body };
    let body = receive_some(&mut connection, content, deadline, stop)?;
    let Head { status, content_type, headers, .. } = head;
    Ok(Answer { status, content_type, headers, body })
}

/// Reads more, and asks now and then whether to stop.
fn fill(
    connection: &mut Connection,
    deadline: BootTime,
    stop: &dyn Fn() -> bool,
) -> Result<usize, OnceError> {
    loop {
        if stop() {
            return Err(OnceError::Stopped);
        }
        match connection.fill(deadline.min(boot_time().after(LOOK)), None) {
            Err(Stop::Deadline) if boot_time() < deadline => {}
            outcome => return Ok(outcome?),
        }
    }
}

fn receive_head(
    connection: &mut Connection,
    deadline: BootTime,
    stop: &dyn Fn() -> bool,
) -> Result<Head, OnceError> {
    loop {
        if let Some((used, head)) = parse_head(connection.input()).map_err(garbled)? {
            connection.consume(used);
            return Ok(head);
        }
        if connection.input().len() >= MAX_HEAD_BYTES {
            return Err(OnceError::NotHttp("its head is too long"));
        }
        if fill(connection, deadline, stop)? == 0 {
            return Err(OnceError::Failed(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
}

fn receive_some(
    connection: &mut Connection,
    mut body: Body,
    deadline: BootTime,
    stop: &dyn Fn() -> bool,
) -> Result<Zeroizing<Vec<u8>>, OnceError> {
    let mut content = Zeroizing::new(Vec::with_capacity(4096));
    loop {
        let used = body.decode(connection.input(), &mut content).map_err(garbled)?;
        connection.consume(used);
        if body == Body::Ended || content.len() >= READ_BYTES_MAX {
            content.truncate(READ_BYTES_MAX);
            return Ok(content);
        }
        if fill(connection, deadline, stop)? == 0 {
            return match body {
                Body::UntilClose => Ok(content),
                _ => Err(OnceError::Failed(std::io::ErrorKind::UnexpectedEof.into())),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_their_query() {
        for (text, shown, path, is_local) in [
            ("http://127.0.0.1:80/a?b=c", "http://127.0.0.1:80/a", "/a?b=c", true),
            ("http://localhost", "http://localhost:80/", "/", true),
            ("https://App.example?x", "https://app.example:443/", "/?x", false),
            ("unix:/run/a.sock:/x/y", "unix:/run/a.sock:/x/y", "/x/y", true),
            ("unix:/run/a.sock", "unix:/run/a.sock:/", "/", true),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.to_string().as_str(), target.path.as_str()), (shown, path));
            assert_eq!(target.is_local(), is_local, "{text}");
        }
        for text in [
            "",
            "ftp://x/",
            "http://",
            "http://u:p@h/",
            "http://h/a b",
            "http://h/#f",
            "unix:a.sock:/x",
            "http://h/\r\nx: y",
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_request_is_made_and_its_host_may_be_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let mut reader = BufReader::new(listener.accept().unwrap().0);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                reader.read_line(&mut head).unwrap();
            }
            reader.get_mut().write_all(b"HTTP/1.1 401 No\r\nX-Pid: 7\r\n\r\nno").unwrap();
            head
        });
        let target = Target::parse(&format!("http://{address}/x?y")).unwrap();
        let deadline = boot_time().after(Span::from_secs(20));
        let headers = [("Host", "app.example"), ("x-a", "b c")];
        let answer = once(&target, None, "GET", &headers, deadline, &|| false).unwrap();
        assert_eq!((answer.status, answer.header("x-pid")), (401, Some("7")));
        assert_eq!(answer.body.as_slice(), b"no");
        let head = server.join().unwrap();
        assert!(head.starts_with("GET /x?y HTTP/1.1\r\n"));
        assert_eq!(head.to_ascii_lowercase().matches("host:").count(), 1, "{head}");
        assert!(head.contains("Host: app.example\r\n") && head.contains("connection: close\r\n"));
    }

    #[test]
    fn a_server_that_says_nothing_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let far = boot_time().after(Span::from_secs(600));
        let stopped = once(&target, None, "GET", &[], far, &|| true);
        assert!(matches!(stopped, Err(OnceError::Stopped)));
        let soon = boot_time().after(Span::from_millis(30));
        let late = once(&target, None, "GET", &[], soon, &|| false);
        assert!(matches!(late, Err(OnceError::Late)));
    }
}
