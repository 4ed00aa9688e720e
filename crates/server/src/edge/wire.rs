//! HTTP/1.1 (RFC 9112) as far as a proxy's question needs it: heads in, heads out, and how much of
//! a body to step over. Pure; connections are [`super::listener`]'s.
//!
//! A general server costs as much as the check itself. This one reads a head with httparse, and
//! whatever it does not want to understand ends the connection after the answer, so that no byte is
//! ever taken for the beginning of another question.

use hyper::http::request::Parts;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use hyper::{StatusCode, header};

/// The longest head.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 128;
/// A longer body is not stepped over.
const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// A question that was read.
pub(super) struct Question {
    pub(super) parts: Parts,
    /// How long its head is.
    pub(super) head_bytes: usize,
    /// How much of a body follows that nobody wants.
    pub(super) body_bytes: u64,
    /// Whether another question may follow.
    pub(super) goes_on: bool,
}

/// What a buffer begins with.
pub(super) enum Read {
    Question(Box<Question>),
    /// A head that is not whole yet.
    Part,
    /// Nothing that can be answered; the status says what is wrong.
    Bad(StatusCode),
}

/// Reads the head that a buffer begins with.
pub(super) fn read(buffer: &[u8]) -> Read {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(buffer) {
        Ok(httparse::Status::Complete(head_bytes)) => question(&head, head_bytes),
        Ok(httparse::Status::Partial) if buffer.len() < HEAD_BYTES_MAX => Read::Part,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            Read::Bad(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
        }
        Err(_) => Read::Bad(StatusCode::BAD_REQUEST),
    }
}

fn question(head: &httparse::Request<'_, '_>, head_bytes: usize) -> Read {
    let known = parts(head).and_then(|parts| {
        let body_bytes = body_bytes(&parts.headers)?;
        let goes_on =
            head.version == Some(1) && body_bytes <= BODY_BYTES_MAX && !ends(&parts.headers);
        Some(Question { parts, head_bytes, body_bytes, goes_on })
    });
    known.map_or(Read::Bad(StatusCode::BAD_REQUEST), |known| Read::Question(Box::new(known)))
}

fn parts(head: &httparse::Request<'_, '_>) -> Option<Parts> {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.method = Method::from_bytes(head.method?.as_bytes()).ok()?;
    parts.uri = Uri::try_from(head.path?).ok()?;
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for one in head.headers.iter() {
        let name = HeaderName::from_bytes(one.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(one.value).ok()?);
    }
    parts.headers = headers;
    Some(parts)
}

/// How long the body is: endless when that is not said in advance, and nothing when it is said
/// twice, or not as a number.
fn body_bytes(headers: &HeaderMap) -> Option<u64> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return None;
    }
    let length = match length.map(HeaderValue::as_bytes) {
        None => 0,
        Some(digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            str::from_utf8(digits).ok()?.parse().ok()?
        }
        Some(_) => return None,
    };
    let is_chunked = headers.contains_key(header::TRANSFER_ENCODING);
    Some(if is_chunked { u64::MAX } else { length })
}

/// Whether the other side wants the connection to end, or to become another one.
fn ends(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
        || headers.contains_key(header::EXPECT)
        || headers.get_all(header::CONNECTION).iter().any(|value| {
            let mut words = value.as_bytes().split(|byte| *byte == b',');
            words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"))
        })
}

/// Writes an answer without a body. It carries no `Date`: nothing may keep it.
pub(super) fn write(out: &mut Vec<u8>, status: StatusCode, headers: &HeaderMap, goes_on: bool) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("Answer").as_bytes());
    for (name, value) in headers {
        line(out, name.as_str().as_bytes(), value.as_bytes());
    }
    line(out, b"cache-control", b"no-store");
    line(out, b"content-length", b"0");
    if !goes_on {
        line(out, b"connection", b"close");
    }
    out.extend_from_slice(b"\r\n\r\n");
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for piece in [b"\r\n", name, b": ", value] {
        out.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Question {
        match read(text.as_bytes()) {
            Read::Question(question) => *question,
            Read::Part => panic!("a part: {text}"),
            Read::Bad(status) => panic!("{status}: {text}"),
        }
    }

    fn bad(text: &str) -> u16 {
        match read(text.as_bytes()) {
            Read::Bad(status) => status.as_u16(),
            Read::Question(_) => panic!("a question: {text}"),
            Read::Part => panic!("a part: {text}"),
        }
    }

    #[test]
    fn a_question_is_read_and_what_follows_it_is_left() {
        let text = "PATCH /authz/a?b=c HTTP/1.1\r\nHost: x\r\nX-Original-URI: /a\r\n\r\nGET ";
        let question = known(text);
        assert_eq!(question.parts.method, "PATCH");
        assert_eq!(question.parts.uri.path(), "/authz/a");
        assert_eq!(question.parts.headers["x-original-uri"], "/a");
        assert_eq!((question.head_bytes, question.body_bytes), (text.len() - 4, 0));
        assert!(question.goes_on);
        for end in 0..text.len() - 4 {
            assert!(matches!(read(&text.as_bytes()[..end]), Read::Part), "{end}");
        }
    }

    #[test]
    fn a_body_is_stepped_over_or_ends_the_connection() {
        let with = |headers: &str| known(&format!("POST /authz HTTP/1.1\r\n{headers}\r\n\r\n"));
        let plain = with("Content-Length: 12");
        assert_eq!((plain.body_bytes, plain.goes_on), (12, true));
        for headers in [
            "Content-Length: 1048577",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Transfer-Encoding: xchunked",
            "Connection: keep-alive, Close",
            "Upgrade: websocket",
            "Expect: 100-continue",
        ] {
            assert!(!with(headers).goes_on, "{headers}");
        }
        assert!(!known("GET /authz HTTP/1.0\r\n\r\n").goes_on);
    }

    #[test]
    fn lengths_that_readers_may_read_differently_are_refused() {
        for headers in [
            "Content-Length: 5\r\nContent-Length: 5",
            "Content-Length: 5, 5",
            "Content-Length: +5",
            "Content-Length: -1",
            "Content-Length: 0x5",
            "Content-Length: ",
            "Content-Length: 99999999999999999999",
            "Content-Length : 5",
            "X: a\r\n Content-Length: 5",
            "X: a\0b",
        ] {
            let text = format!("POST /authz HTTP/1.1\r\n{headers}\r\n\r\n");
            assert_eq!(bad(&text), 400, "{headers}");
        }
        assert_eq!(bad("GET  /authz HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(bad("GET /authz HTTP/2.0\r\n\r\n"), 400);
    }

    #[test]
    fn heads_are_bounded() {
        let many = "X: y\r\n".repeat(HEADERS_MAX + 1);
        assert_eq!(bad(&format!("GET / HTTP/1.1\r\n{many}\r\n")), 431);
        let long = format!("GET /{} HTTP/1.1\r\nX: y", "a".repeat(HEAD_BYTES_MAX));
        assert_eq!(bad(&long), 431);
    }

    #[test]
    fn an_answer_has_no_body_and_may_not_be_kept() {
        let mut out = Vec::new();
        let headers = HeaderMap::from_iter([(header::WWW_AUTHENTICATE, "Bearer".parse().unwrap())]);
        write(&mut out, StatusCode::UNAUTHORIZED, &headers, true);
        write(&mut out, StatusCode::OK, &HeaderMap::new(), false);
        let wanted = "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Bearer\r\n\
                      cache-control: no-store\r\ncontent-length: 0\r\n\r\n\
                      HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 0\r\n\
                      connection: close\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }
}
