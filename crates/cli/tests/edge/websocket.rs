//! A websocket through nginx, and what is behind it: an upstream that accepts and echoes.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_mins(2);
/// A text frame of a client (RFC 6455 section 5.2), masked with zeros.
const FRAME: [u8; 10] = [0x81, 0x84, 0, 0, 0, 0, b'p', b'i', b'n', b'g'];

/// Listens for as long as the test runs.
pub fn serve(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    // nginx's workers may run as another user, and must come through the folders above as well.
    std::fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    for folder in path.ancestors().skip(1).take(2) {
        std::fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    }
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            std::thread::spawn(move || echo(stream));
        }
    });
}

fn echo(stream: UnixStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    }
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                  Connection: Upgrade\r\n\r\n";
    reader.get_mut().write_all(answer.as_bytes()).ok()?;
    let mut frame = [0; FRAME.len()];
    loop {
        reader.read_exact(&mut frame).ok()?;
        reader.get_mut().write_all(&frame).ok()?;
    }
}

/// An open websocket.
pub struct WebSocket(BufReader<TcpStream>);

impl WebSocket {
    pub fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = "GET /socket HTTP/1.1\r\nHost: edge\r\nUpgrade: websocket\r\n\
                       Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 101"), "{line}");
        while line != "\r\n" {
            line.clear();
            assert_ne!(reader.read_line(&mut line).unwrap(), 0);
        }
        let mut open = Self(reader);
        assert!(open.is_open());
        open
    }

    /// Whether a frame goes there and back.
    pub fn is_open(&mut self) -> bool {
        let mut frame = [0; FRAME.len()];
        self.0.get_mut().write_all(&FRAME).is_ok()
            && self.0.read_exact(&mut frame).is_ok()
            && frame == FRAME
    }
}
