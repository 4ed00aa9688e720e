//! HTTP/1.1 (RFC 9112) as far as a proxy's question needs it: heads in, heads out, and how much of
//! a body to step over. Pure; connections are [`super::listener`]'s.
//!
//! A general server costs as much as the check itself. This one reads a head with httparse, and
//! whatever it does not want to understand ends the connection after the answer, so that no byte is
//! ever taken for the beginning of another question.

use std::mem::MaybeUninit;

use hyper::StatusCode;
use hyper::header::HeaderName;

use super::asked::{Asked, Headers, text};

/// The longest head.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// The most headers that a head may have.
pub(super) const HEADERS_MAX: usize = 128;
/// A longer body is not stepped over.
const BODY_BYTES_MAX: u64 = 1024 * 1024;

/// A question that was read.
pub(super) struct Question<'b> {
    pub(super) asked: Asked<'b>,
    /// How long its head is.
    pub(super) head_bytes: usize,
    /// How much of a body follows that nobody wants.
    pub(super) body_bytes: u64,
    /// Whether another question may follow.
    pub(super) goes_on: bool,
}

/// What a buffer begins with.
pub(super) enum Read<'b> {
    Question(Question<'b>),
    /// A head that is not whole yet.
    Part,
    /// Nothing that can be answered; the status says what is wrong.
    Bad(StatusCode),
}

/// Room for the headers of one head.
pub(super) type Room<'b> = [MaybeUninit<httparse::Header<'b>>; HEADERS_MAX];

/// Room that costs nothing to make.
pub(super) const fn room<'b>() -> Room<'b> {
    [const { MaybeUninit::uninit() }; HEADERS_MAX]
}

/// Reads the head that a buffer begins with.
pub(super) fn read<'b>(buffer: &'b [u8], room: &'b mut Room<'b>) -> Read<'b> {
    let mut head = httparse::Request::new(&mut []);
    match head.parse_with_uninit_headers(buffer, room) {
        Ok(httparse::Status::Complete(head_bytes)) => {
            let (method, target, version) = (head.method, head.path, head.version);
            question(method, target, version, head.headers, head_bytes)
                .map_or(Read::Bad(StatusCode::BAD_REQUEST), Read::Question)
        }
        Ok(httparse::Status::Partial) if buffer.len() < HEAD_BYTES_MAX => Read::Part,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            Read::Bad(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
        }
        Err(_) => Read::Bad(StatusCode::BAD_REQUEST),
    }
}

fn question<'b>(
    method: Option<&'b str>,
    target: Option<&'b str>,
    version: Option<u8>,
    list: &'b [httparse::Header<'b>],
    head_bytes: usize,
) -> Option<Question<'b>> {
    let headers = Headers::List(list);
    let (body_bytes, ends) = frame(list)?;
    let goes_on = version == Some(1) && body_bytes <= BODY_BYTES_MAX && !ends;
    let target = text(target?.as_bytes())?;
    Some(Question {
        asked: Asked { method: method?, target, headers },
        head_bytes,
        body_bytes,
        goes_on,
    })
}

/// How long the body is: endless when that is not said in advance. And whether the other side
/// wants the connection to end, or to become another one. Nothing when the length is said twice, or
/// not as a number.
fn frame(headers: &[httparse::Header<'_>]) -> Option<(u64, bool)> {
    let (mut length, mut is_chunked, mut ends) = (None, false, false);
    for header in headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        // One look at the length of the name tells most headers from these.
        match header.name.len() {
            14 if is("content-length") => {
                let digits = header.value;
                if length.is_some() || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return None;
                }
                length = Some(str::from_utf8(digits).ok()?.parse().ok()?);
            }
            17 if is("transfer-encoding") => is_chunked = true,
            7 if is("upgrade") => ends = true,
            6 if is("expect") => ends = true,
            10 if is("connection") => {
                let mut words = header.value.split(|byte| *byte == b',');
                ends |= words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"close"));
            }
            _ => {}
        }
    }
    Some((if is_chunked { u64::MAX } else { length.unwrap_or(0) }, ends))
}

/// What every answer says. It carries no `Date`: nothing may keep it.
const ALWAYS: &[u8] = b"\r\ncache-control: no-store\r\ncontent-length: 0";
/// How most answers begin: the same in one piece.
const PASSED: &[u8] = b"HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 0";

/// Begins an answer, which has no body.
pub(super) fn begin(out: &mut Vec<u8>, status: StatusCode) {
    if status == StatusCode::OK {
        out.extend_from_slice(PASSED);
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or("Answer").as_bytes());
    out.extend_from_slice(ALWAYS);
}

/// Says one header of an answer.
pub(super) fn say(out: &mut Vec<u8>, name: &HeaderName, value: &str) {
    for piece in ["\r\n", name.as_str(), ": ", value] {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// Ends an answer.
pub(super) fn end(out: &mut Vec<u8>, goes_on: bool) {
    let end: &[u8] = if goes_on { b"\r\n\r\n" } else { b"\r\nconnection: close\r\n\r\n" };
    out.extend_from_slice(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Method, target and the original URI; the length of head and body, and whether it goes on.
    type Known = ((String, String, Vec<String>), usize, u64, bool);

    fn known(text: &str) -> Known {
        match read(text.as_bytes(), &mut room()) {
            Read::Question(Question { asked, head_bytes, body_bytes, goes_on }) => {
                let uris = asked.headers.all("x-original-uri").map(text_of).collect();
                let said = (asked.method.to_owned(), asked.target.to_owned(), uris);
                (said, head_bytes, body_bytes, goes_on)
            }
            Read::Part => panic!("a part: {text}"),
            Read::Bad(status) => panic!("{status}: {text}"),
        }
    }

    fn text_of(value: &[u8]) -> String {
        super::text(value).unwrap().to_owned()
    }

    fn bad(text: &str) -> u16 {
        match read(text.as_bytes(), &mut room()) {
            Read::Bad(status) => status.as_u16(),
            Read::Question(_) => panic!("a question: {text}"),
            Read::Part => panic!("a part: {text}"),
        }
    }

    #[test]
    fn a_question_is_read_and_what_follows_it_is_left() {
        let text = "PATCH /authz/a?b=c HTTP/1.1\r\nHost: x\r\nX-Original-URI: /a\r\n\r\nGET ";
        let said = ("PATCH".into(), "/authz/a?b=c".into(), vec!["/a".into()]);
        assert_eq!(known(text), (said, text.len() - 4, 0, true));
        for end in 0..text.len() - 4 {
            let part = &text.as_bytes()[..end];
            assert!(matches!(read(part, &mut room()), Read::Part), "{end}");
        }
    }

    #[test]
    fn a_body_is_stepped_over_or_ends_the_connection() {
        let with = |headers: &str| known(&format!("POST /authz HTTP/1.1\r\n{headers}\r\n\r\n"));
        let (_, _, body_bytes, goes_on) = with("Content-Length: 12");
        assert_eq!((body_bytes, goes_on), (12, true));
        for headers in [
            "Content-Length: 1048577",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "Transfer-Encoding: xchunked",
            "Connection: keep-alive, Close",
            "Upgrade: websocket",
            "Expect: 100-continue",
        ] {
            assert!(!with(headers).3, "{headers}");
        }
        assert!(!known("GET /authz HTTP/1.0\r\n\r\n").3);
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
        begin(&mut out, StatusCode::UNAUTHORIZED);
        say(&mut out, &hyper::header::WWW_AUTHENTICATE, "Bearer");
        end(&mut out, true);
        begin(&mut out, StatusCode::OK);
        end(&mut out, false);
        let wanted = "HTTP/1.1 401 Unauthorized\r\ncache-control: no-store\r\n\
                      content-length: 0\r\nwww-authenticate: Bearer\r\n\r\n\
                      HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 0\r\n\
                      connection: close\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }
}
