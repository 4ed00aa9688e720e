//! A relay between clients and the server that can misbehave.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::World;

/// What a relay does with a new connection, by the path of its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fault {
    /// Passes everything on.
    None,
    /// Closes the connection when the change feed is asked for.
    DropFeed,
    /// Answers the stream, but not the long poll, with a page of a proxy.
    PageForStream,
    /// Passes reports on and swallows their answers.
    SwallowAcknowledgements,
    /// Sends the first report twice, as one who repeats what was heard would.
    ReplayOnce,
    /// Says nothing to anybody.
    Mute,
}

/// Stands between clients and the server.
pub(crate) struct Relay {
    pub(crate) socket: PathBuf,
    fault: Arc<AtomicU8>,
    pub(crate) hits: Arc<AtomicUsize>,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Relay {
    pub(crate) fn before(world: &World) -> Self {
        let socket = world.folder.path().join("relay.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let fault = Arc::new(AtomicU8::new(0));
        let hits = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(Mutex::new(Vec::new()));
        let relay =
            Self { socket, fault: fault.clone(), hits: hits.clone(), open: Arc::clone(&open) };
        let upstream = world.socket();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (fault, hits, open) = (fault.clone(), hits.clone(), open.clone());
                let upstream = upstream.clone();
                std::thread::spawn(move || serve(stream, &upstream, &fault, &hits, &open));
            }
        });
        relay
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Misbehaves from now on, towards open connections too.
    pub(crate) fn set(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn serve(
    mut client: UnixStream,
    upstream: &Path,
    fault: &AtomicU8,
    hits: &AtomicUsize,
    open: &Mutex<Vec<UnixStream>>,
) -> Option<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 8192];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = client.read(&mut buffer).ok().filter(|count| *count > 0)?;
        head.extend_from_slice(&buffer[..count]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let path = text.split(' ').nth(1)?.to_owned();
    let is_stream = path.starts_with("/v1/watch") && !path.contains("wait=");
    let is = |kind: Fault| fault.load(Ordering::SeqCst) == kind as u8;
    open.lock().unwrap().push(client.try_clone().ok()?);
    if is(Fault::Mute) {
        hits.fetch_add(1, Ordering::SeqCst);
        while client.read(&mut buffer).ok()? > 0 {}
        return None;
    }
    if is(Fault::DropFeed) && path.starts_with("/v1/watch") {
        hits.fetch_add(1, Ordering::SeqCst);
        let _ = client.shutdown(std::net::Shutdown::Both);
        return None;
    }
    if is(Fault::PageForStream) && is_stream {
        hits.fetch_add(1, Ordering::SeqCst);
        let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<hi>";
        client.write_all(page.as_bytes()).ok()?;
        return None;
    }
    let mut server = UnixStream::connect(upstream).ok()?;
    let (back, front) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let deaf = Arc::new(AtomicBool::new(false));
    let watch = |bytes: &[u8]| {
        let reports = b"POST /v1/reports";
        if !bytes.windows(reports.len()).any(|window| window == reports) {
            return;
        }
        if is(Fault::SwallowAcknowledgements) {
            hits.fetch_add(1, Ordering::SeqCst);
            deaf.store(true, Ordering::SeqCst);
        }
        if is(Fault::ReplayOnce) {
            fault.store(Fault::None as u8, Ordering::SeqCst);
            hits.fetch_add(1, Ordering::SeqCst);
            let mut first = UnixStream::connect(upstream).unwrap();
            first.write_all(bytes).unwrap();
            let count = first.read(&mut [0; 8192]).unwrap();
            assert!(count > 0);
        }
    };
    watch(&head);
    server.write_all(&head).ok()?;
    let swallow = Arc::clone(&deaf);
    std::thread::spawn(move || copy(back, front, |_| !swallow.load(Ordering::SeqCst)));
    copy(client, server, |bytes| {
        watch(bytes);
        true
    });
    Some(())
}

fn copy(mut from: UnixStream, mut to: UnixStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !passes(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}
