//! Clients with connections that they keep. Each request has one right answer; what comes back is
//! right, wrong, or nothing because the connection ended.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The longest that an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// Every so manieth request shows a key that nobody ever had.
const BOGUS_EVERY: u64 = 4;
/// So many wrong answers are kept for the message.
const EXAMPLES_MAX: usize = 10;

/// Makes the key that a client shows. What it gives back is kept until the answer is there, as a
/// guard of the client library would be.
pub trait Keys: Send + Sync + 'static {
    /// Calls `show` with the key to show now.
    fn with(&self, show: &mut dyn FnMut(&str));

    /// Whether nginx may show this key to the upstream.
    fn is_known(&self, key: &str) -> bool;
}

/// What came of the requests.
#[derive(Default)]
pub struct Tally {
    pub right: AtomicU64,
    pub wrong: AtomicU64,
    /// Requests that got no whole answer.
    pub dropped: AtomicU64,
    pub examples: Mutex<Vec<String>>,
}

/// The clients; they end when this is dropped.
pub struct Callers {
    pub tally: Arc<Tally>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Callers {
    pub fn start(address: SocketAddr, count: usize, keys: &Arc<dyn Keys>) -> Self {
        let (tally, stop) = (Arc::new(Tally::default()), Arc::new(AtomicBool::new(false)));
        let threads = (0..count).map(|_| {
            let (tally, stop, keys) = (Arc::clone(&tally), Arc::clone(&stop), Arc::clone(keys));
            std::thread::spawn(move || call(address, &tally, &stop, &*keys))
        });
        Self { threads: threads.collect(), tally, stop }
    }

    /// How many requests were answered rightly so far.
    pub fn right(&self) -> u64 {
        self.tally.right.load(Ordering::SeqCst)
    }

    /// Ends them; gives back how many requests were answered, and how many got no answer.
    pub fn end(mut self) -> (u64, u64) {
        self.finish();
        let examples = self.tally.examples.lock().unwrap().clone();
        let wrong = self.tally.wrong.load(Ordering::SeqCst);
        assert_eq!(wrong, 0, "wrong answers: {examples:#?}");
        (self.right(), self.tally.dropped.load(Ordering::SeqCst))
    }

    fn finish(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.finish();
        }
    }
}

fn call(address: SocketAddr, tally: &Tally, stop: &AtomicBool, keys: &dyn Keys) {
    let mut connection = None;
    let mut number = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        number += 1;
        let mut request = |key: &str, right: u16| {
            let open = connection.take().or_else(|| Connection::open(address).ok());
            match open.map(|mut open| (open.ask(key), open)) {
                Some((Ok(answer), open)) => {
                    connection = open.is_kept.then_some(open);
                    tally.judge(&answer, right, keys);
                }
                Some((Err(_), _)) | None => {
                    tally.dropped.fetch_add(1, Ordering::SeqCst);
                }
            }
        };
        if number.is_multiple_of(BOGUS_EVERY) {
            request("nobody-ever-had-this-key", 403);
        } else {
            keys.with(&mut |key| request(key, 200));
        }
    }
}

impl Tally {
    fn judge(&self, answer: &Answer, right: u16, keys: &dyn Keys) {
        let shows_known = || answer.status != 200 || keys.is_known(&answer.body);
        if answer.status == right && shows_known() {
            self.right.fetch_add(1, Ordering::SeqCst);
            return;
        }
        self.wrong.fetch_add(1, Ordering::SeqCst);
        let mut examples = self.examples.lock().unwrap();
        if examples.len() < EXAMPLES_MAX {
            let known = if shows_known() { "" } else { ", with a key that nobody knows" };
            examples.push(format!("{} where {right} is right{known}", answer.status));
        }
    }
}

/// Asks until there is an answer: whoever comes to a worker that is about to end may get none.
pub fn ask_once(address: SocketAddr, key: &str) -> u16 {
    ask_with(address, &format!("X-Api-Key: {key}"))
}

/// Posts to a server on a unix socket; gives back status and body.
pub fn post(
    socket: &std::path::Path,
    path: &str,
    token: &str,
    media: &str,
    body: &str,
) -> (u16, String) {
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: keywheel\r\nConnection: close\r\nAuthorization: Bearer \
         {token}\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The same with another header.
pub fn ask_with(address: SocketAddr, header: &str) -> u16 {
    ask_for(address, "/", header)
}

/// The same for another path.
pub fn ask_for(address: SocketAddr, path: &str, header: &str) -> u16 {
    let mut status = None;
    crate::world::until("nginx answers", || {
        let answer = Connection::open(address).and_then(|mut open| open.get(path, header));
        status = answer.ok().map(|answer| answer.status);
        status.is_some()
    });
    status.unwrap()
}

/// A whole answer.
pub struct Answer {
    pub status: u16,
    body: String,
}

/// A connection to nginx.
pub struct Connection {
    stream: BufReader<TcpStream>,
    pub is_kept: bool,
}

impl Connection {
    pub fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), is_kept: true })
    }

    /// Sends a request and reads the whole answer.
    fn ask(&mut self, key: &str) -> std::io::Result<Answer> {
        self.ask_with(&format!("X-Api-Key: {key}"))
    }

    /// Sends a request with a header and reads the whole answer.
    pub fn ask_with(&mut self, header: &str) -> std::io::Result<Answer> {
        self.get("/", header)
    }

    /// Asks for a path.
    pub fn get(&mut self, path: &str, header: &str) -> std::io::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: edge\r\n{header}\r\n\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let broken = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let mut status = None;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let line = line.strip_suffix("\r\n").ok_or_else(broken)?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some((_, rest)) = line.split_once("http/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok());
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().map_err(|_| broken())?;
            } else if line == "connection: close" {
                self.is_kept = false;
            }
        }
        let mut body = String::new();
        let read = self.stream.by_ref().take(length).read_to_string(&mut body)?;
        let status = status.filter(|_| read as u64 == length).ok_or_else(broken)?;
        Ok(Answer { status, body })
    }
}
