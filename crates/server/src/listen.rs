//! Binding addresses: TCP, and unix sockets with a lock beside them, so that a stale socket file is
//! replaced and a live one is not.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};

use crate::error::StartError;
use crate::settings::{Listen, Settings, SocketMode};

/// A socket that is bound and listens.
pub(crate) enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The file of a unix socket. Dropping it removes the file; the lock goes with it.
pub(crate) struct SocketFile {
    path: PathBuf,
    _lock: File,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Ours for as long as the lock is: no other server can have put its own in this place.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "socket file not removed");
        }
    }
}

/// Binds every address, or none: whatever was bound before a failure is given back.
pub(crate) async fn bind_all(settings: &Settings) -> Result<Vec<(Listen, Bound)>, StartError> {
    if settings.listen.is_empty() {
        return Err(StartError::NowhereToListen);
    }
    let mut bound = Vec::with_capacity(settings.listen.len());
    for listen in &settings.listen {
        if let Listen::Tcp(address) = listen
            && settings.tls.is_none()
            && !address.ip().is_loopback()
        {
            return Err(StartError::PlainHttp(*address));
        }
    }
    for listen in &settings.listen {
        bound.push(match listen {
            Listen::Tcp(address) => {
                let refuse = |source| StartError::Bind { address: address.to_string(), source };
                let listener = TcpListener::bind(address).await.map_err(refuse)?;
                let local = listener.local_addr().map_err(refuse)?;
                (Listen::Tcp(local), Bound::Tcp(listener))
            }
            Listen::Unix(path) => {
                let (listener, file) = bind_unix(path, settings.socket_mode)?;
                (listen.clone(), Bound::Unix(listener, file))
            }
        });
    }
    Ok(bound)
}

fn bind_unix(path: &Path, mode: SocketMode) -> Result<(UnixListener, SocketFile), StartError> {
    let refuse = |source: io::Error| StartError::Bind {
        address: format!("unix:{}", path.display()),
        source,
    };
    let lock = lock_beside(path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => StartError::SocketInUse(path.into()),
        _ => refuse(error),
    })?;
    refuse_what_lives(path)?;
    // The socket gets its mode before it gets its name, and takes the place of a stale one in the
    // same moment.
    let fresh = beside(path, "~");
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refuse(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&fresh).map_err(refuse)?;
    let placed = std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode.0))
        .and_then(|()| std::fs::rename(&fresh, path));
    if let Err(error) = placed {
        let _ = std::fs::remove_file(&fresh);
        return Err(refuse(error));
    }
    Ok((listener, SocketFile { path: path.into(), _lock: lock }))
}

fn refuse_what_lives(path: &Path) -> Result<(), StartError> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(StartError::NotASocket(path.into()));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        _ => Err(StartError::SocketInUse(path.into())),
    }
}

fn lock_beside(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(beside(path, ".lock"))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
