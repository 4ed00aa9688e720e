//! Why a server is not reached: the cause, and what to do about it. No message holds a part of the
//! URL but the names of its options and of files.

use rustls::CertificateError;

/// Why a server is not reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is none of PostgreSQL.
    #[error("the URL is not one of PostgreSQL")]
    Url,
    /// An option of the URL, or of the environment, is not known or has no such value.
    #[error("the option {option}: {why}")]
    Option {
        /// Its name.
        option: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server is elsewhere, and the connection might be unencrypted.
    #[error("the server is not on this machine, and the connection would not be encrypted")]
    Plaintext,
    /// A file of certificates or of a key cannot be used.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The system names no authority that it trusts.
    #[error("this system has no certificates of authorities")]
    NoRoots,
    /// The server encrypts nothing.
    #[error("the server does not speak TLS")]
    NoTls,
    /// Nobody who is trusted vouches for the server.
    #[error("nobody who is trusted vouches for the server: {0}")]
    Untrusted(String),
    /// The server is another one than was asked for.
    #[error("the certificate of the server is for another name: {0}")]
    OtherName(String),
    /// The server cannot be reached, or lets nobody in.
    #[error("the server cannot be reached: {0}")]
    Connect(String),
}

impl Error {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Url => {
                "write postgresql://user@host/database, or \
                 postgresql://user@/database?host=/run/postgresql for a socket"
            }
            Self::Option { .. } => "leave it out, or see docs/how-to/reencrypt.md",
            Self::Plaintext => {
                "leave sslmode out, so that the connection is encrypted and the server checked, or \
                 forward the port through ssh and name the near end; --allow-plaintext is for \
                 networks that are trusted themselves"
            }
            Self::File { .. } => "see that the file is there, in PEM, and may be read",
            Self::NoRoots => "install ca-certificates, or name a file with sslrootcert=…",
            Self::NoTls => {
                "set ssl = on at the server, or forward the port through ssh and name the near end"
            }
            Self::Untrusted(_) => {
                "name the certificate of its authority with sslrootcert=FILE (who runs the database \
                 offers it); sslmode=require encrypts without a check of who answers"
            }
            Self::OtherName(_) => {
                "name the host as its certificate does, with hostaddr=… where that name leads \
                 elsewhere; sslmode=verify-ca leaves the name out of the check"
            }
            Self::Connect(_) => {
                "see that the server runs and lets this role in; the password comes from the URL, \
                 PGPASSWORD or ~/.pgpass"
            }
        }
    }

    /// Whether what was given cannot be used, whatever the server does.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Url | Self::Option { .. } | Self::Plaintext | Self::File { .. })
    }

    /// What went wrong as the server was called.
    pub(crate) fn of(error: &postgres::Error) -> Self {
        if let Some(error) = error.as_db_error() {
            return Self::Connect(error.message().to_owned());
        }
        let Some(source) = std::error::Error::source(error) else {
            return Self::Connect(error.to_string());
        };
        let inner = source.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(
                why @ (CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. }),
            )) => Self::OtherName(why.to_string()),
            Some(rustls::Error::InvalidCertificate(why)) => Self::Untrusted(why.to_string()),
            _ if source.to_string() == "server does not support TLS" => Self::NoTls,
            _ => Self::Connect(source.to_string()),
        }
    }
}
