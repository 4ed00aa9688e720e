//! Tells systemd, or whoever started the process, how the server is: the datagrams of
//! `sd_notify(3)`, without the library.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends a message to the socket that `NOTIFY_SOCKET` names, if it names one.
pub(in crate::commands) fn notify(message: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(name.as_bytes(), message) {
        tracing::debug!(%error, "the supervisor does not listen");
    }
}

fn send(name: &[u8], message: &str) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.send_to_addr(message.as_bytes(), &address(name)?)?;
    Ok(())
}

/// A name that starts with `@` is in the abstract name space of Linux.
fn address(name: &[u8]) -> std::io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt as _;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let unique = format!("@keywheel-{}", folder.path().display());
        let names = [path.as_os_str().as_bytes(), unique.as_bytes()];
        for name in names.into_iter().take(if cfg!(target_os = "linux") { 2 } else { 1 }) {
            let socket = UnixDatagram::bind_addr(&address(name).unwrap()).unwrap();
            send(name, "READY=1").unwrap();
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1");
        }
    }
}
