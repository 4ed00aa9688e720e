//! The sockets that outlive the program: opened once, handed to every child as systemd would
//! (sd_listen_fds(3)). While no child listens, connections wait in the queue of the kernel.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// How many connections wait while one child hands over to the next. The kernel lowers it to
/// `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// Where the program listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address")]
pub struct AddressError(String);

impl AddressError {
    /// What to do about it.
    pub const REMEDY: &str = "write 127.0.0.1:8000, [::1]:8000 or unix:/path/to.sock";
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(AddressError(text.to_owned())),
            None => text.parse().map(Self::Tcp).map_err(|_| AddressError(text.to_owned())),
        }
    }
}

/// Why a socket cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{address} cannot be listened on")]
pub struct SocketError {
    address: Address,
    #[source]
    source: io::Error,
}

impl SocketError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => "stop what listens there, or choose another address",
            io::ErrorKind::PermissionDenied => "choose another address, or give the right to it",
            _ => "check the address",
        }
    }
}

/// An open socket. Dropping it closes it, and removes the file of a unix socket.
pub struct Socket {
    fd: OwnedFd,
    file: Option<PathBuf>,
}

impl Socket {
    /// Listens. A file that a former socket left behind is replaced; one that somebody listens on
    /// is not.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(address: &Address) -> Result<Self, SocketError> {
        let opened = match address {
            Address::Tcp(tcp) => TcpListener::bind(tcp).map(|socket| (socket.into(), None)),
            Address::Unix(path) => {
                bind_unix(path).map(|socket| (socket.into(), Some(path.clone())))
            }
        };
        let opened = opened.and_then(|(fd, file): (OwnedFd, _)| {
            rustix::net::listen(&fd, BACKLOG)?;
            Ok(Self { fd, file })
        });
        opened.map_err(|source| SocketError { address: address.clone(), source })
    }

    /// Another handle of the same socket.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn handle(&self) -> io::Result<OwnedFd> {
        self.fd.as_fd().try_clone_to_owned()
    }
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = std::fs::symlink_metadata(path)
                .is_ok_and(|meta| std::os::unix::fs::FileTypeExt::is_socket(&meta.file_type()));
            let refused = UnixStream::connect(path).err().map(|error| error.kind());
            if !is_socket || refused != Some(io::ErrorKind::ConnectionRefused) {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        outcome => outcome,
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // Whoever removed it before did what this is for.
            let _ = std::fs::remove_file(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        assert_eq!("127.0.0.1:8000".parse::<Address>().unwrap().to_string(), "127.0.0.1:8000");
        assert_eq!("unix:/run/app".parse::<Address>().unwrap().to_string(), "unix:/run/app");
        for text in ["8000", "localhost:8000", "unix:app.sock", "http://127.0.0.1:1", ""] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_that_was_left_behind_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let address = Address::Unix(path.clone());
        drop(UnixListener::bind(&path).unwrap());
        let socket = Socket::open(&address).unwrap();
        assert_eq!(
            Socket::open(&address).err().unwrap().remedy(),
            "stop what listens there, or choose another address"
        );
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
        std::fs::write(&path, "a file of somebody's").unwrap();
        assert!(Socket::open(&address).is_err());
        assert!(path.exists());
    }
}
