//! HTTP/1.1 messages (RFC 9112) as bytes, as far as this client needs them. No I/O.
//!
//! The general clients of the ecosystem log whole messages when an application turns its log up;
//! these messages carry keys and tokens, so nothing here logs.

use zeroize::Zeroizing;

/// A response head longer than this is refused.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
const MAX_CHUNK_LINE_BYTES: usize = 256;

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct MessageError(pub(super) &'static str);

/// The head of a response.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) keep_alive: bool,
    pub(super) body: Body,
}

/// Grows by hand, so that no copy of a secret is left behind.
pub(super) fn append(buffer: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    let needed = buffer.len().saturating_add(bytes.len());
    if needed > buffer.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2)));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(bytes);
}

/// Writes a request. `None` when a header or the path could break out of its line.
pub(super) fn write_request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
) -> Option<Zeroizing<Vec<u8>>> {
    let mut request = Zeroizing::new(Vec::with_capacity(1024));
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if !path.starts_with('/') || !visible(path) {
        return None;
    }
    for part in [method, " ", path, " HTTP/1.1\r\n"] {
        append(&mut request, part.as_bytes());
    }
    for (name, value) in headers {
        let in_line = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !visible(name) || name.contains(':') || !in_line {
            return None;
        }
        for part in [name, ": ", value, "\r\n"] {
            append(&mut request, part.as_bytes());
        }
    }
    if let Some(body) = body {
        append(&mut request, format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    append(&mut request, b"\r\n");
    append(&mut request, body.unwrap_or_default());
    Some(request)
}

/// Reads the head of a response; `None` while it is not all there. Interim responses are skipped.
pub(super) fn parse_head(input: &[u8]) -> Result<Option<(usize, Head)>, MessageError> {
    let mut skipped: usize = 0;
    loop {
        let rest = input.get(skipped..).unwrap_or_default();
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(rest) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if input.len() < MAX_HEAD_BYTES => return Ok(None),
            Ok(httparse::Status::Partial) => return Err(MessageError("its head is too long")),
            Err(_) => return Err(MessageError("it does not speak HTTP")),
        };
        let used = skipped.saturating_add(length);
        match response.code {
            Some(101) | None => return Err(MessageError("it switches protocols")),
            Some(100..=199) => skipped = used,
            Some(status) => {
                return Ok(Some((used, settle(status, response.version, response.headers)?)));
            }
        }
    }
}

fn settle(
    status: u16,
    version: Option<u8>,
    headers: &[httparse::Header<'_>],
) -> Result<Head, MessageError> {
    let mut keep_alive = version == Some(1);
    let mut length: Option<u64> = None;
    let mut chunked = false;
    let mut kept = Vec::new();
    for header in headers {
        let Ok(value) = str::from_utf8(header.value) else { continue };
        let value = value.trim();
        let name = header.name.to_ascii_lowercase();
        match name.as_str() {
            "connection" => {
                for token in value.split(',').map(str::trim) {
                    if token.eq_ignore_ascii_case("close") {
                        keep_alive = false;
                    }
                }
            }
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => chunked = true,
            "transfer-encoding" => return Err(MessageError("it encodes in an unknown way")),
            "content-length" => {
                let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                let new = digits.then(|| value.parse().ok()).flatten();
                if new.is_none() || (length.is_some() && length != new) {
                    return Err(MessageError("its length is no number"));
                }
                length = new;
            }
            _ => {}
        }
        kept.push((name, value.to_owned()));
    }
    let body = match (status, chunked, length) {
        (204 | 304, _, _) | (_, false, Some(0)) => Body::Ended,
        (_, true, Some(_)) => return Err(MessageError("it gives two lengths")),
        (_, true, None) => Body::ChunkSize,
        (_, false, Some(left)) => Body::Fixed(left),
        (_, false, None) => Body::UntilClose,
    };
    if matches!(body, Body::UntilClose) {
        keep_alive = false;
    }
    let content_type = kept
        .iter()
        .find(|(name, _)| name == "content-type")
        .map(|(_, value)| value.to_ascii_lowercase())
        .unwrap_or_default();
    Ok(Head { status, content_type, headers: kept, keep_alive, body })
}

/// What is left of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes.
    Fixed(u64),
    /// The line with the size of the next chunk.
    ChunkSize,
    /// So many bytes of a chunk.
    ChunkData(u64),
    /// The line end after a chunk.
    ChunkEnd,
    /// What may come after the last chunk.
    Trailers,
    /// Everything until the connection ends.
    UntilClose,
    /// Nothing.
    Ended,
}

impl Body {
    /// Takes in what it can, appends the content to `output`, and says how many bytes it took.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        output: &mut Zeroizing<Vec<u8>>,
    ) -> Result<usize, MessageError> {
        let mut used: usize = 0;
        while let Some((taken, next)) = self.step(input.get(used..).unwrap_or_default(), output)? {
            used = used.saturating_add(taken);
            *self = next;
        }
        Ok(used)
    }

    fn step(
        self,
        input: &[u8],
        output: &mut Zeroizing<Vec<u8>>,
    ) -> Result<Option<(usize, Self)>, MessageError> {
        if input.is_empty() {
            return Ok(None);
        }
        let mut copy = |left: u64| {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
            append(output, input.get(..count).unwrap_or_default());
            (count, left.saturating_sub(count as u64))
        };
        Ok(match self {
            Self::Ended => None,
            Self::UntilClose => Some((copy(u64::MAX).0, self)),
            Self::Fixed(left) => {
                let (count, left) = copy(left);
                Some((count, if left == 0 { Self::Ended } else { Self::Fixed(left) }))
            }
            Self::ChunkData(left) => {
                let (count, left) = copy(left);
                Some((count, if left == 0 { Self::ChunkEnd } else { Self::ChunkData(left) }))
            }
            Self::ChunkSize => match httparse::parse_chunk_size(input) {
                Ok(httparse::Status::Complete((length, 0))) => Some((length, Self::Trailers)),
                Ok(httparse::Status::Complete((length, size))) => {
                    Some((length, Self::ChunkData(size)))
                }
                Ok(httparse::Status::Partial) => partial_line(input)?,
                Err(_) => return Err(MessageError("a chunk has no size")),
            },
            Self::ChunkEnd => match input {
                [b'\r', b'\n', ..] => Some((2, Self::ChunkSize)),
                [b'\r'] => None,
                _ => return Err(MessageError("a chunk does not end where it should")),
            },
            Self::Trailers => match input.windows(2).position(|pair| pair == b"\r\n") {
                Some(0) => Some((2, Self::Ended)),
                Some(length) => Some((length.saturating_add(2), Self::Trailers)),
                None => partial_line(input)?,
            },
        })
    }
}

fn partial_line(input: &[u8]) -> Result<Option<(usize, Body)>, MessageError> {
    if input.len() > MAX_CHUNK_LINE_BYTES {
        return Err(MessageError("a line between chunks is too long"));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(mut body: Body, bytes: &[u8], cut: usize) -> (Body, Vec<u8>) {
        let mut output = Zeroizing::new(Vec::new());
        let mut pending = Vec::new();
        for piece in bytes.chunks(cut.max(1)) {
            pending.extend_from_slice(piece);
            let used = body.decode(&pending, &mut output).unwrap();
            pending.drain(..used);
        }
        (body, output.to_vec())
    }

    #[test]
    fn requests_cannot_be_smuggled() {
        for (path, header) in [("/a b", "x"), ("/a\r\nb", "x"), ("a", "x"), ("/a", "x\r\ny: z")] {
            assert!(write_request("GET", path, &[("x", header)], None).is_none());
        }
        let request = write_request("POST", "/v1/x?a=b", &[("x-y", "z 1")], Some(b"{}")).unwrap();
        assert_eq!(
            request.as_slice(),
            b"POST /v1/x?a=b HTTP/1.1\r\nx-y: z 1\r\ncontent-length: 2\r\n\r\n{}"
        );
    }

    #[test]
    fn heads_are_read_strictly() {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: A/b\r\n\
                       Content-Length: 3\r\n\r\nabc";
        let (used, head) = parse_head(answer).unwrap().unwrap();
        assert_eq!((head.status, head.content_type.as_str(), head.keep_alive), (200, "a/b", true));
        assert_eq!((head.body, used), (Body::Fixed(3), answer.len() - 3));
        for bad in [
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            "HTTP/1.1 101 Switching\r\n\r\n",
            "SSH-2.0-OpenSSH\r\n\r\n",
        ] {
            assert!(parse_head(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse_head(&vec![b'H'; MAX_HEAD_BYTES]).is_err());
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD_BYTES));
        assert!(parse_head(endless.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn chunks_are_put_together_wherever_they_are_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            cut in 1_usize..20,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x};ext=1\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
            let (body, content) = decoded(Body::ChunkSize, &wire, cut);
            prop_assert_eq!(body, Body::Ended);
            prop_assert_eq!(content, chunks.concat());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse_head(&bytes);
            let _ = Body::ChunkSize.decode(&bytes, &mut Zeroizing::new(Vec::new()));
        }
    }
}
