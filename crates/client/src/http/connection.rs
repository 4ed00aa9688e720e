//! One connection to a server, over TCP, TLS or a unix socket: every wait has a deadline, and a
//! bell can end it early.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use keywheel_core::time::Span;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::ServerName;
use zeroize::{Zeroize as _, Zeroizing};

use super::endpoint::{Endpoint, Place};
use super::message::MAX_HEAD_BYTES;
use super::wake::Wake;
use crate::clock::{BootTime, boot_time};

const LONGEST_WAIT: std::time::Duration = std::time::Duration::from_hours(1);

/// Why a wait ended without what it waited for.
pub(super) enum Stop {
    /// The deadline passed.
    Deadline,
    /// The bell rang.
    Woken,
    /// The connection failed.
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            Self::Unix(stream) => stream.write(buffer),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits until the socket is ready, the bell rings or the deadline passes.
fn wait(
    socket: &Socket,
    flags: PollFlags,
    deadline: BootTime,
    wake: Option<&Wake>,
) -> Result<(), Stop> {
    loop {
        let left = deadline.since(boot_time());
        if left == Span::ZERO {
            return Err(Stop::Deadline);
        }
        let timeout =
            Timespec::try_from(left.to_std().min(LONGEST_WAIT)).map_err(io::Error::other)?;
        let mut ready = [
            PollFd::new(socket, flags),
            wake.map_or_else(
                || PollFd::new(socket, flags),
                |wake| PollFd::new(wake, PollFlags::IN),
            ),
        ];
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(Stop::Failed(error.into())),
        }
        let [for_socket, for_wake] = &ready;
        if wake.is_some() && !for_wake.revents().is_empty() {
            return Err(Stop::Woken);
        }
        if !for_socket.revents().is_empty() {
            return Ok(());
        }
    }
}

/// Does a non-blocking operation as soon as the socket lets it.
fn when_ready<T>(
    socket: &mut Socket,
    flags: PollFlags,
    deadline: BootTime,
    wake: Option<&Wake>,
    mut operation: impl FnMut(&mut Socket) -> io::Result<T>,
) -> Result<T, Stop> {
    loop {
        match operation(socket) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                wait(socket, flags, deadline, wake)?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome.map_err(Stop::Failed),
        }
    }
}

fn open_tcp(host: &str, port: u16, deadline: BootTime) -> io::Result<Socket> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        let left = deadline.since(boot_time());
        if left == Span::ZERO {
            return Err(ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&address, left.to_std()) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                return Ok(Socket::Tcp(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connecting to a unix socket blocks for as long as its queue is full, unless asked not to; a
/// stopped server must not hold its clients.
fn open_unix(path: &Path, deadline: BootTime) -> io::Result<Socket> {
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    loop {
        match connect(&socket, &address) {
            Ok(()) => return Ok(Socket::Unix(UnixStream::from(socket))),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) if boot_time() < deadline => std::thread::sleep(PAUSE),
            Err(rustix::io::Errno::AGAIN) => return Err(ErrorKind::TimedOut.into()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// A connection.
pub(super) struct Connection {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
    input: Zeroizing<Box<[u8]>>,
    start: usize,
    end: usize,
}

impl Connection {
    /// Connects, and shakes hands where the address says https.
    pub(super) fn open(
        endpoint: &Endpoint,
        tls: Option<&Arc<ClientConfig>>,
        deadline: BootTime,
    ) -> Result<Self, Stop> {
        let place = &endpoint.0;
        let tls = match (place, tls) {
            (Place::Tcp { host, tls: true, .. }, Some(config)) => Some((config, host.as_str())),
            (Place::Tcp { tls: true, .. }, None) => {
                return Err(Stop::Failed(io::Error::other("there is no TLS configuration")));
            }
            _ => None,
        };
        Self::at(place, tls, deadline)
    }

    /// Connects, and shakes hands with who bears this name where there is a TLS configuration.
    pub(super) fn at(
        place: &Place,
        tls: Option<(&Arc<ClientConfig>, &str)>,
        deadline: BootTime,
    ) -> Result<Self, Stop> {
        let tls = match tls {
            Some((config, name)) => {
                let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
                let session = ClientConnection::new(Arc::clone(config), name);
                Some(Box::new(session.map_err(io::Error::other)?))
            }
            None => None,
        };
        let socket = match place {
            Place::Unix(path) => open_unix(path, deadline)?,
            Place::Tcp { host, port, .. } => open_tcp(host, *port, deadline)?,
        };
        let input = Zeroizing::new(vec![0; MAX_HEAD_BYTES].into_boxed_slice());
        let mut connection = Self { socket, tls, input, start: 0, end: 0 };
        while connection.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            connection.flush_tls(deadline)?;
            if connection.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
                connection.read_tls(deadline, None)?;
            }
        }
        Ok(connection)
    }

    /// Sends everything.
    pub(super) fn send(&mut self, mut bytes: &[u8], deadline: BootTime) -> Result<(), Stop> {
        while !bytes.is_empty() {
            let count = match &mut self.tls {
                None => when_ready(&mut self.socket, PollFlags::OUT, deadline, None, |socket| {
                    socket.write(bytes)
                })?,
                Some(tls) => tls.writer().write(bytes)?,
            };
            if count == 0 && self.tls.is_none() {
                return Err(Stop::Failed(ErrorKind::WriteZero.into()));
            }
            bytes = bytes.get(count..).unwrap_or_default();
            self.flush_tls(deadline)?;
        }
        Ok(())
    }

    fn flush_tls(&mut self, deadline: BootTime) -> Result<(), Stop> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            when_ready(&mut self.socket, PollFlags::OUT, deadline, None, |socket| {
                tls.write_tls(socket)
            })?;
        }
        Ok(())
    }

    fn read_tls(&mut self, deadline: BootTime, wake: Option<&Wake>) -> Result<(), Stop> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let count = when_ready(&mut self.socket, PollFlags::IN, deadline, wake, |socket| {
            tls.read_tls(socket)
        })?;
        if let Err(error) = tls.process_new_packets() {
            // The server deserves to know why; whether it hears it does not matter.
            let _ = tls.write_tls(&mut self.socket);
            return Err(Stop::Failed(io::Error::new(ErrorKind::InvalidData, error)));
        }
        if count == 0 && tls.is_handshaking() {
            return Err(Stop::Failed(ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    /// What has arrived and was not consumed yet.
    pub(super) fn input(&self) -> &[u8] {
        self.input.get(self.start..self.end).unwrap_or_default()
    }

    /// Takes bytes off the front of the input.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads more input; 0 when the server ended the connection.
    pub(super) fn fill(&mut self, deadline: BootTime, wake: Option<&Wake>) -> Result<usize, Stop> {
        self.input.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end.saturating_sub(self.start));
        loop {
            let end = self.end;
            let free = self.input.get_mut(end..).unwrap_or_default();
            if free.is_empty() {
                return Err(Stop::Failed(io::Error::other("the input buffer is full")));
            }
            let count = match &mut self.tls {
                None => when_ready(&mut self.socket, PollFlags::IN, deadline, wake, |socket| {
                    socket.read(free)
                })?,
                Some(tls) => match tls.reader().read(free) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.flush_tls(deadline)?;
                        self.read_tls(deadline, wake)?;
                        continue;
                    }
                    outcome => outcome?,
                },
            };
            self.end = end.saturating_add(count);
            return Ok(count);
        }
    }

    /// Whether a kept connection can carry another request: nothing arrived, and it has not ended.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let looked = self.socket.read(&mut byte);
        let nothing = looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        // Over TLS an unread record (a new session ticket) would be torn by this look, but then
        // the connection is given up and opened again.
        nothing && self.start == self.end
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.input.zeroize();
    }
}
