//! Where a server is, who logs in, and how the connection is encrypted.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use postgres::config::{Host, SslMode};
use postgres::{Client, Config};

use crate::environment::Environment;
use crate::error::Error;
use crate::tls::{self, Check, Identity, Roots};

/// How long a server may take to answer a call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server and a role there.
#[derive(Clone)]
pub struct Address {
    config: Config,
    check: Check,
    identity: Option<Identity>,
}

/// What a URL says of TLS; the library beneath knows only a part of it.
#[derive(Default)]
struct Asked {
    mode: Option<String>,
    roots: Option<String>,
    chain: Option<String>,
    key: Option<String>,
}

impl Address {
    /// Reads a URL, completed by the environment. A server on another machine is not reached
    /// unencrypted unless `allow_plaintext`.
    ///
    /// # Errors
    /// It is no URL of PostgreSQL, an option is not known, or the connection would not be
    /// encrypted.
    pub fn parse(
        url: &str,
        environment: &Environment,
        allow_plaintext: bool,
    ) -> Result<Self, Error> {
        let is_url = url.starts_with("postgresql://") || url.starts_with("postgres://");
        let (rest, asked) = taken(Some(url).filter(|_| is_url).ok_or(Error::Url)?);
        let mut config: Config = rest.parse().map_err(|error| refused(&error))?;
        let asked = Asked {
            mode: asked.mode.or_else(|| environment.ssl_mode.clone()),
            roots: asked.roots.or_else(|| environment.ssl_root_cert.clone()),
            chain: asked.chain.or_else(|| environment.ssl_cert.clone()),
            key: asked.key.or_else(|| environment.ssl_key.clone()),
        };
        let (mode, check) = encryption(&asked, place(&config), environment, allow_plaintext)?;
        config.ssl_mode(mode);
        environment.log_in(&mut config);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        let identity = match (asked.chain, asked.key) {
            (Some(chain), Some(key)) => Some(Identity { chain: chain.into(), key: key.into() }),
            (None, None) => None,
            (chain, _) => {
                let option = if chain.is_some() { "sslcert" } else { "sslkey" };
                let why = "sslcert and sslkey go together";
                return Err(Error::Option { option: option.to_owned(), why });
            }
        };
        Ok(Self { config, check, identity })
    }

    /// Connects, under the name of an application. The client has an event loop of its own, which
    /// must not run within another one.
    ///
    /// # Errors
    /// The server cannot be reached, is not who it should be, or lets nobody in.
    pub fn connect(&self, application: &str) -> Result<Client, Error> {
        let mut config = self.config.clone();
        config.application_name(application);
        let tls = tls::connector(&self.check, self.identity.as_ref())?;
        let refused = match config.connect(tls.clone()) {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        // As `prefer` has it: where TLS does not come about, it goes without.
        if config.get_ssl_mode() == SslMode::Prefer && is_of_tls(&refused) {
            config.ssl_mode(SslMode::Disable);
            return config.connect(tls).map_err(|error| Error::of(&error));
        }
        Err(Error::of(&refused))
    }
}

/// Whether the handshake failed; the library beneath says its kinds of errors only in words.
fn is_of_tls(error: &postgres::Error) -> bool {
    error.to_string().starts_with("error performing TLS handshake")
}

/// Where a server is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind a socket of the file system, where no TLS is spoken.
    Socket,
    /// On this machine.
    Here,
    /// On another one.
    Elsewhere,
}

/// Where the servers of a configuration are: addresses say more than names.
fn place(config: &Config) -> Place {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        let is_here = addresses.iter().all(IpAddr::is_loopback);
        return if is_here { Place::Here } else { Place::Elsewhere };
    }
    let hosts = config.get_hosts();
    if hosts.iter().all(|host| matches!(host, Host::Unix(_))) {
        return Place::Socket;
    }
    let is_here = hosts.iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
        }
    });
    if is_here { Place::Here } else { Place::Elsewhere }
}

/// How the connection is encrypted, and who vouches for the server.
fn encryption(
    asked: &Asked,
    place: Place,
    environment: &Environment,
    allow_plaintext: bool,
) -> Result<(SslMode, Check), Error> {
    if place == Place::Socket {
        return Ok((SslMode::Disable, Check::Nothing));
    }
    let is_system = asked.roots.as_deref() == Some("system");
    let file = asked.roots.as_ref().filter(|_| !is_system).map(PathBuf::from);
    let file = file.or_else(|| environment.root_file().filter(|_| !is_system).map(PathBuf::from));
    let vouching = |file: Option<PathBuf>| file.map_or(Roots::System, Roots::File);
    let default = if is_system || (place == Place::Elsewhere && !allow_plaintext) {
        "verify-full"
    } else {
        "prefer"
    };
    let wrong = |why| Error::Option { option: "sslmode".to_owned(), why };
    let mode = asked.mode.as_deref().unwrap_or(default);
    if is_system && mode != "verify-full" {
        return Err(wrong("with sslrootcert=system it can only be verify-full"));
    }
    let (mode, check) = match mode {
        "disable" => (SslMode::Disable, Check::Nothing),
        "allow" | "prefer" => (SslMode::Prefer, Check::Nothing),
        "require" => {
            let check = file.map(|file| Check::Authority(Roots::File(file)));
            (SslMode::Require, check.unwrap_or(Check::Nothing))
        }
        "verify-ca" => (SslMode::Require, Check::Authority(vouching(file))),
        "verify-full" => (SslMode::Require, Check::Host(vouching(file))),
        _ => return Err(wrong("it is disable, prefer, require, verify-ca or verify-full")),
    };
    if mode != SslMode::Require && place == Place::Elsewhere && !allow_plaintext {
        return Err(Error::Plaintext);
    }
    Ok((mode, check))
}

/// Takes out of a URL what it says of TLS.
fn taken(url: &str) -> (String, Asked) {
    let Some((before, options)) = url.split_once('?') else {
        return (url.to_owned(), Asked::default());
    };
    let mut asked = Asked::default();
    let mut rest = Vec::new();
    for option in options.split('&') {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let place = match name {
            "sslmode" => &mut asked.mode,
            "sslrootcert" => &mut asked.roots,
            "sslcert" => &mut asked.chain,
            "sslkey" => &mut asked.key,
            _ => {
                rest.push(option);
                continue;
            }
        };
        *place = Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
    }
    let mark = if rest.is_empty() { "" } else { "?" };
    (format!("{before}{mark}{}", rest.join("&")), asked)
}

/// What the library beneath says of a URL; of its words only the name of an option is kept.
fn refused(error: &postgres::Error) -> Error {
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    for (start, why) in [
        ("unknown option `", "it is not known"),
        ("invalid value for option `", "it has no such value"),
    ] {
        if let Some(name) = text.strip_prefix(start).and_then(|rest| rest.strip_suffix('`')) {
            return Error::Option { option: name.to_owned(), why };
        }
    }
    Error::Url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> Result<(SslMode, Check), Error> {
        let address = Address::parse(url, &Environment::default(), false)?;
        Ok((address.config.get_ssl_mode(), address.check))
    }

    #[test]
    fn a_server_elsewhere_is_encrypted_and_checked_unless_something_else_is_said() {
        let far = |options: &str| of(&format!("postgresql://a:secret@db.example/b{options}"));
        let full = |roots| Ok((SslMode::Require, Check::Host(roots)));
        let file = || Roots::File("/ca file.pem".into());
        assert_eq!(far(""), full(Roots::System));
        assert_eq!(far("?sslrootcert=/ca%20file.pem"), full(file()));
        assert_eq!(far("?sslrootcert=system"), full(Roots::System));
        assert_eq!(far("?sslmode=verify-full"), full(Roots::System));
        let authority = |roots| Ok((SslMode::Require, Check::Authority(roots)));
        assert_eq!(far("?sslmode=verify-ca&sslrootcert=/ca%20file.pem"), authority(file()));
        assert_eq!(far("?sslrootcert=/ca%20file.pem&sslmode=require"), authority(file()));
        assert_eq!(far("?sslmode=require"), Ok((SslMode::Require, Check::Nothing)));
        for weak in ["disable", "allow", "prefer"] {
            assert_eq!(far(&format!("?sslmode={weak}")), Err(Error::Plaintext), "{weak}");
        }
        assert_eq!(far("?hostaddr=192.0.2.1&sslmode=prefer"), Err(Error::Plaintext));
        let there = of("postgresql://a@localhost/b?hostaddr=192.0.2.1&sslmode=disable");
        assert_eq!(there, Err(Error::Plaintext), "an address says more than a name");
        let url = "postgresql://a@db.example/b";
        let allowed = Address::parse(url, &Environment::default(), true).unwrap();
        assert_eq!(allowed.config.get_ssl_mode(), SslMode::Prefer);
    }

    #[test]
    fn a_server_on_this_machine_is_reached_as_psql_would() {
        let prefer = Ok((SslMode::Prefer, Check::Nothing));
        assert_eq!(of("postgresql://a@127.0.0.1/b"), prefer);
        assert_eq!(of("postgresql://a@localhost:5433/b?application_name=c"), prefer);
        assert_eq!(of("postgresql://a@db.example/b?hostaddr=127.0.0.1"), prefer, "a tunnel");
        let socket = of("postgresql://a@/b?host=/run/postgresql&sslmode=verify-full");
        assert_eq!(socket, Ok((SslMode::Disable, Check::Nothing)), "no TLS is spoken there");
    }

    #[test]
    fn what_is_not_known_is_named_and_no_value_with_it() {
        for (url, option) in [
            ("postgresql://a:secret@localhost/b?sslmode=secret", "sslmode"),
            ("postgresql://a:secret@localhost/b?sslmode=require&sslrootcert=system", "sslmode"),
            ("postgresql://a:secret@localhost/b?sslcrl=secret", "sslcrl"),
            ("postgresql://a:secret@localhost/b?channel_binding=secret", "channel_binding"),
            ("postgresql://a:secret@localhost/b?sslcert=secret", "sslcert"),
        ] {
            let error = of(url).unwrap_err();
            assert!(error.to_string().contains(option), "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        for url in ["mysql://a:secret@localhost/b", "postgresql://a:secret@localhost:nope/b"] {
            let error = of(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn the_environment_completes_a_url_and_does_not_overrule_it() {
        let environment =
            Environment { ssl_mode: Some("disable".to_owned()), ..Environment::default() };
        let mode = |url| {
            let address = Address::parse(url, &environment, false)?;
            Ok(address.config.get_ssl_mode())
        };
        assert_eq!(mode("postgresql://a@localhost/b"), Ok(SslMode::Disable));
        assert_eq!(mode("postgresql://a@localhost/b?sslmode=require"), Ok(SslMode::Require));
        assert_eq!(mode("postgresql://a@db.example/b"), Err(Error::Plaintext));
    }
}
