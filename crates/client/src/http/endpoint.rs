//! Where a server is: `http://127.0.0.1:7117`, `https://keys.example.org`, `unix:/run/….sock`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// Where a server is. Plain HTTP exists on loopback only, because what travels is keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(pub(super) Place);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Tcp { host: String, port: u16, tls: bool },
    Unix(PathBuf),
}

const HTTPS_PORT: u16 = 443;
const HTTP_PORT: u16 = 80;

/// Text that is not the address of a server. It never repeats the text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}; {remedy}")]
pub struct EndpointError {
    /// What is wrong.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

pub(super) const fn refuse(cause: &'static str, remedy: &'static str) -> EndpointError {
    EndpointError { cause, remedy }
}

const FORMS: &str =
    "write unix:/run/keywheel/keywheel.sock, http://127.0.0.1:7117 or https://host:port";

impl Endpoint {
    /// Reads the address of a server.
    ///
    /// # Errors
    /// When it is none, carries credentials or a path, or would send keys over a network in clear.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') || path.contains('\0') {
                return Err(refuse("the path of the socket is not absolute", FORMS));
            }
            return Ok(Self(Place::Unix(PathBuf::from(path))));
        }
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(refuse("this is not the address of a keywheel server", FORMS)),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains('@') {
            return Err(refuse(
                "the address carries credentials, which end up in logs and process lists",
                "take them out and put the token into a file",
            ));
        }
        if authority.contains(['/', '?', '#']) {
            return Err(refuse("the address has a path or a query", "give host and port only"));
        }
        let (host, port) = split_port(authority)?;
        let port = port.unwrap_or(if tls { HTTPS_PORT } else { HTTP_PORT });
        if !tls && !is_loopback(&host) {
            return Err(refuse(
                "plain http would send keys over the network in clear",
                "use https://, or run the client beside the server and use 127.0.0.1 or the socket",
            ));
        }
        Ok(Self(Place::Tcp { host, port, tls }))
    }

    /// The value of the `Host` header.
    pub(super) fn host_header(&self) -> String {
        match &self.0 {
            Place::Unix(_) => "localhost".to_owned(),
            Place::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Place::Tcp { host, port, .. } => format!("{host}:{port}"),
        }
    }
}

pub(super) fn split_port(authority: &str) -> Result<(String, Option<u16>), EndpointError> {
    let no_port = || refuse("the port is not a number from 1 to 65535", FORMS);
    let no_host = || refuse("the address has no host, or one with impossible characters", FORMS);
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(no_host)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| no_host())?;
            let port = if rest.is_empty() {
                None
            } else {
                Some(rest.strip_prefix(':').ok_or_else(no_port)?)
            };
            (host, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if host.is_empty() || (!authority.starts_with('[') && !host.chars().all(bare)) {
        return Err(no_host());
    }
    let port = match port {
        None => None,
        Some(digits) => {
            Some(digits.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(no_port)?)
        }
    };
    Ok((host.to_ascii_lowercase(), port))
}

/// Only addresses count, and `localhost`, which resolvers must keep on this machine (RFC 6761).
pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
            Place::Tcp { tls, .. } => {
                let scheme = if *tls { "https" } else { "http" };
                write!(f, "{scheme}://{}", self.host_header())
            }
        }
    }
}

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_of_every_form_are_read() {
        for (text, shown) in [
            ("http://127.0.0.1:7117", "http://127.0.0.1:7117"),
            ("http://127.0.0.1:7117/", "http://127.0.0.1:7117"),
            ("http://localhost:7117", "http://localhost:7117"),
            ("http://[::1]:7117", "http://[::1]:7117"),
            ("https://Keys.example.org", "https://keys.example.org:443"),
            ("unix:/run/keywheel.sock", "unix:/run/keywheel.sock"),
            ("unix:///run/keywheel.sock", "unix:/run/keywheel.sock"),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn addresses_that_would_leak_are_refused_with_a_remedy() {
        for (text, part) in [
            ("http://10.0.0.1:7117", "in clear"),
            ("http://localhost.example.org:7117", "in clear"),
            ("http://127.0.0.1.example.org", "in clear"),
            ("https://user:hunter2@host", "credentials"),
            ("https://host/path", "path"),
            ("https://host?token=hunter2", "query"),
            ("https://host:0", "port"),
            ("https://host:65536", "port"),
            ("https://", "host"),
            ("https://a b", "host"),
            ("https://[fe80::zz]", "host"),
            ("unix:relative.sock", "absolute"),
            ("ftp://host", "not the address"),
            ("", "not the address"),
        ] {
            let error = Endpoint::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            if let Ok(endpoint) = Endpoint::parse(&text) {
                prop_assert_eq!(Endpoint::parse(&endpoint.to_string()).unwrap(), endpoint);
            }
        }
    }
}
