//! An HTTP client that sends exactly what it is told to, one request a connection.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(2);

/// A request, head and body.
#[derive(Clone)]
pub(crate) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            headers: vec![("host".into(), "keywheel".into())],
            body: Vec::new(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string().as_bytes())
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub(crate) fn bytes(&self, close: bool) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let own_length = self.headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("content-length")
                || name.eq_ignore_ascii_case("transfer-encoding")
        });
        if !own_length && !self.body.is_empty() {
            write!(head, "content-length: {}\r\n", self.body.len()).unwrap();
        }
        if close {
            head += "connection: close\r\n";
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The kind of a problem document, which every refusal must be.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: keywheel_api::problem::Problem = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem.status, self.status, "{self:?}");
        assert!(!problem.detail.is_empty() && !problem.remedy.is_empty(), "{self:?}");
        let kind = problem.kind().unwrap_or_else(|| panic!("unknown type: {self:?}"));
        kind.parts().0.to_owned()
    }
}

pub(crate) fn exchange(address: &SocketAddr, request: &Request) -> Answer {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    over(stream, request)
}

pub(crate) fn exchange_unix(socket: &Path, request: &Request) -> Answer {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    over(stream, request)
}

/// One request over a stream that is then closed.
pub(crate) fn over(mut stream: impl Read + Write, request: &Request) -> Answer {
    // A server that has refused already may not read the rest.
    let _ = stream.write_all(&request.bytes(true));
    let _ = stream.flush();
    read_answer(&mut BufReader::new(stream))
}

pub(crate) fn read_head(reader: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {line:?}"));
    let status = status.parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end();
        if line.is_empty() {
            return (status, headers);
        }
        let (name, value) = line.split_once(':').unwrap();
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

pub(crate) fn read_answer(reader: &mut impl BufRead) -> Answer {
    let (status, headers) = read_head(reader);
    let of = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let mut body = Vec::new();
    if of("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        while let Some(chunk) = read_chunk(reader) {
            body.extend_from_slice(&chunk);
        }
    } else if let Some(length) = of("content-length") {
        body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut body).unwrap();
    }
    Answer { status, headers, body: String::from_utf8(body).unwrap() }
}

/// One chunk of a chunked body; nothing at its end.
pub(crate) fn read_chunk(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap() == 0 {
        return None;
    }
    let length = usize::from_str_radix(line.trim(), 16).unwrap();
    let mut chunk = vec![0; length + 2];
    reader.read_exact(&mut chunk).unwrap();
    chunk.truncate(length);
    (length > 0).then_some(chunk)
}

/// An open change feed.
pub(crate) struct Events {
    reader: BufReader<TcpStream>,
    buffer: String,
}

/// One server-sent event or comment block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<u64>,
    pub(crate) name: Option<String>,
    pub(crate) data: Option<Value>,
    pub(crate) comment: Option<String>,
}

impl Events {
    pub(crate) fn open(address: &SocketAddr, request: &Request) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&request.bytes(false)).unwrap();
        let mut reader = BufReader::new(stream);
        let (status, headers) = read_head(&mut reader);
        assert_eq!(status, 200, "{headers:?}");
        assert!(headers.contains(&("content-type".into(), "text/event-stream".into())));
        let mut events = Self { reader, buffer: String::new() };
        // The greeting: it says from where the feed goes on.
        let greeting = events.next().unwrap();
        assert!(greeting.id.is_some() && greeting.name.is_none(), "{greeting:?}");
        events
    }

    /// The next event; nothing when the server ended the feed.
    pub(crate) fn next(&mut self) -> Option<Event> {
        while !self.buffer.contains("\n\n") {
            let chunk = read_chunk(&mut self.reader)?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        let (block, rest) = self.buffer.split_once("\n\n").unwrap();
        let mut event = Event::default();
        for line in block.lines() {
            match line.split_once(": ").unwrap() {
                ("id", id) => event.id = Some(id.parse().unwrap()),
                ("event", name) => event.name = Some(name.into()),
                ("data", data) => event.data = Some(serde_json::from_str(data).unwrap()),
                ("", comment) => event.comment = Some(comment.into()),
                ("retry", _) => {}
                other => panic!("not an event: {other:?}"),
            }
        }
        self.buffer = rest.to_owned();
        Some(event)
    }

    /// The next change, past comments.
    pub(crate) fn change(&mut self) -> Option<Event> {
        loop {
            let event = self.next()?;
            if event.name.as_deref() == Some("change") {
                return Some(event);
            }
        }
    }
}
