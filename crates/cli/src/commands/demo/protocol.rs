//! What workers say to one another: length-prefixed frames over unix sockets, one answer to each
//! request. Whether a signature is accepted is decided by the worker that reads it.

use std::io::{self, Read, Write};

use keywheel_client::clock::BootTime;

/// No frame of the demonstration comes near this.
const FRAME_BYTES_MAX: u32 = 4096;
/// Signatures of other protocols with the same key mean nothing here.
const DOMAIN: &[u8] = b"keywheel/demo/request/v1";

/// A signed request. All workers share one machine, and so one boot clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Its number, of this sender.
    pub(super) number: u64,
    /// When it was signed.
    pub(super) issued: BootTime,
    /// What is asked.
    pub(super) message: String,
    /// Which key signed it.
    pub(super) kid: String,
    /// The signature over everything above.
    pub(super) signature: Vec<u8>,
}

/// The bytes that a signature covers.
pub(super) fn signed_bytes(number: u64, issued: BootTime, message: &str, kid: &str) -> Vec<u8> {
    let mut bytes = DOMAIN.to_vec();
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&issued.0.to_be_bytes());
    put(&mut bytes, message.as_bytes());
    put(&mut bytes, kid.as_bytes());
    bytes
}

impl Request {
    /// The bytes that the signature covers.
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        signed_bytes(self.number, self.issued, &self.message, &self.kid)
    }

    /// The frame's content.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.issued.0.to_be_bytes());
        put(&mut bytes, self.message.as_bytes());
        put(&mut bytes, self.kid.as_bytes());
        put(&mut bytes, &self.signature);
        bytes
    }

    /// Reads a frame's content, all of it.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let (issued, rest) = rest.split_first_chunk::<8>()?;
        let (message, rest) = take(rest)?;
        let (kid, rest) = take(rest)?;
        let (signature, rest) = take(rest)?;
        rest.is_empty().then_some(())?;
        Some(Self {
            number: u64::from_be_bytes(*number),
            issued: BootTime(u64::from_be_bytes(*issued)),
            message: String::from_utf8(message.to_vec()).ok()?,
            kid: String::from_utf8(kid.to_vec()).ok()?,
            signature: signature.to_vec(),
        })
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The signature holds.
    Accepted,
    /// It lived longer than a request may, so its signature was not even looked at.
    Expired,
    /// The signature is not accepted, and why.
    Refused(String),
}

impl Answer {
    /// The frame's content.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Accepted => vec![b'a'],
            Self::Expired => vec![b'e'],
            Self::Refused(why) => [b"r", why.as_bytes()].concat(),
        }
    }

    /// Reads a frame's content.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (b'a', []) => Some(Self::Accepted),
            (b'e', []) => Some(Self::Expired),
            (b'r', why) => Some(Self::Refused(String::from_utf8_lossy(why).into_owned())),
            _ => None,
        }
    }
}

/// Writes a frame.
pub(super) fn write_frame(stream: &mut impl Write, content: &[u8]) -> io::Result<()> {
    let length = u32::try_from(content.len()).ok().filter(|length| *length <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("the frame is too long"))?;
    stream.write_all(&[length.to_be_bytes().as_slice(), content].concat())
}

/// Reads a frame; `None` when the other side has closed between frames.
pub(super) fn read_frame(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = u32::from_be_bytes(length);
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::other("the frame is too long"));
    }
    let mut content = vec![0; length as usize];
    stream.read_exact(&mut content)?;
    Ok(Some(content))
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend(part.iter().take(usize::from(length)));
}

fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            number: 7,
            issued: BootTime(99),
            message: "order 7".into(),
            kid: "k".into(),
            signature: vec![1, 2, 3],
        }
    }

    #[test]
    fn frames_carry_what_was_written_and_end_cleanly() {
        let mut wire = Vec::new();
        write_frame(&mut wire, &request().encode()).unwrap();
        write_frame(&mut wire, &Answer::Refused("unknown key".into()).encode()).unwrap();
        let mut reader = wire.as_slice();
        let first = read_frame(&mut reader).unwrap().unwrap();
        assert_eq!(Request::decode(&first), Some(request()));
        let second = read_frame(&mut reader).unwrap().unwrap();
        assert_eq!(Answer::decode(&second), Some(Answer::Refused("unknown key".into())));
        assert_eq!(read_frame(&mut reader).unwrap(), None);
    }

    #[test]
    fn torn_and_oversize_frames_are_refused() {
        let whole = request().encode();
        for length in 0..whole.len() {
            assert_eq!(Request::decode(&whole[..length]), None, "{length}");
        }
        assert_eq!(Request::decode(&[whole.as_slice(), b"x"].concat()), None);
        assert!(read_frame(&mut [255, 255, 255, 255, 0].as_slice()).is_err());
        assert!(read_frame(&mut [0, 0, 0, 9, 1].as_slice()).is_err());
        assert_eq!(Answer::decode(b"aa"), None);
    }

    #[test]
    fn a_signature_covers_each_part_by_itself() {
        let moved = signed_bytes(1, BootTime(1), "ab", "c");
        assert_ne!(moved, signed_bytes(1, BootTime(1), "a", "bc"));
    }
}
