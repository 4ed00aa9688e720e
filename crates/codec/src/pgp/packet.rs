//! Packets: their headers of both kinds, and their bodies, whole or in parts.

use std::ops::Deref;

use zeroize::Zeroizing;

use crate::OpenError;

/// Session key under a public key.
pub(super) const PUBLIC_SESSION: u8 = 1;
/// Session key under a passphrase.
pub(super) const SESSION: u8 = 3;
/// Compressed packets.
pub(super) const COMPRESSED: u8 = 8;
/// Encrypted packets without a modification check.
pub(super) const ENCRYPTED: u8 = 9;
/// Nothing.
pub(super) const MARKER: u8 = 10;
/// The plaintext.
pub(super) const LITERAL: u8 = 11;
/// Encrypted packets with a modification check.
pub(super) const ENCRYPTED_CHECKED: u8 = 18;
/// The modification check.
pub(super) const CHECK: u8 = 19;
/// Encrypted packets with an AEAD, of a draft.
pub(super) const ENCRYPTED_AEAD: u8 = 20;

/// The most that pgcrypto takes in one length.
const LENGTH_MAX: usize = 16 << 20;
/// The parts in which more than that is written: 8 MiB.
const PART_BITS: u8 = 23;

/// The body of a packet.
pub(super) enum Body<'a> {
    /// It stands in one piece.
    Whole(&'a [u8]),
    /// It stood in parts.
    Parts(Zeroizing<Vec<u8>>),
}

impl Deref for Body<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Parts(bytes) => bytes,
        }
    }
}

/// One packet.
pub(super) struct Packet<'a> {
    /// What it is.
    pub tag: u8,
    /// Where its header is.
    pub at: usize,
    /// What is in it.
    pub body: Body<'a>,
}

/// Reads packets one after the other.
pub(super) struct Packets<'a> {
    data: &'a [u8],
    at: usize,
}

fn malformed(at: usize, why: &'static str) -> OpenError {
    OpenError::Malformed { at, why }
}

/// How long the next piece of a body is, and whether another one follows.
struct Length {
    bytes: usize,
    partial: bool,
}

impl<'a> Packets<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// The next packet; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Packet<'a>>, OpenError> {
        let at = self.at;
        let Some(&head) = self.data.get(at) else { return Ok(None) };
        self.at = at.saturating_add(1);
        if head & 0x80 == 0 {
            return Err(malformed(at, "no OpenPGP packet begins like this"));
        }
        let (tag, body) = if head & 0x40 == 0 {
            ((head >> 2) & 0x0F, self.old(head & 3)?)
        } else {
            (head & 0x3F, self.new_format()?)
        };
        if tag == 0 {
            return Err(malformed(at, "no OpenPGP packet begins like this"));
        }
        Ok(Some(Packet { tag, at, body }))
    }

    fn old(&mut self, kind: u8) -> Result<Body<'a>, OpenError> {
        let bytes = match kind {
            0 => self.number(1)?,
            1 => self.number(2)?,
            2 => self.number(4)?,
            _ => self.data.len().saturating_sub(self.at),
        };
        self.take(bytes).map(Body::Whole)
    }

    fn new_format(&mut self) -> Result<Body<'a>, OpenError> {
        let mut length = self.length()?;
        let first = self.take(length.bytes)?;
        if !length.partial {
            return Ok(Body::Whole(first));
        }
        // All that is left is more than enough, and never moves: no plaintext is left behind.
        let room = first.len().saturating_add(self.data.len().saturating_sub(self.at));
        let mut parts = Zeroizing::new(Vec::with_capacity(room));
        parts.extend_from_slice(first);
        while length.partial {
            length = self.length()?;
            parts.extend_from_slice(self.take(length.bytes)?);
        }
        Ok(Body::Parts(parts))
    }

    fn length(&mut self) -> Result<Length, OpenError> {
        let whole = |bytes| Ok(Length { bytes, partial: false });
        match self.number(1)? {
            first @ 0..=191 => whole(first),
            first @ 192..=223 => {
                let second = self.number(1)?;
                whole(((first - 192) << 8) + second + 192)
            }
            255 => whole(self.number(4)?),
            first => Ok(Length { bytes: 1 << (first & 0x1F), partial: true }),
        }
    }

    fn number(&mut self, bytes: usize) -> Result<usize, OpenError> {
        let digits = self.take(bytes)?;
        Ok(digits.iter().fold(0, |number, digit| (number << 8) | usize::from(*digit)))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], OpenError> {
        let end = self.at.checked_add(bytes).ok_or_else(|| malformed(self.at, "cut short"))?;
        let taken = self.data.get(self.at..end);
        self.at = end;
        taken.ok_or_else(|| malformed(self.data.len(), "cut short"))
    }
}

/// Writes a packet's header, and its body behind it.
pub(super) fn write(tag: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(0xC0 | tag);
    let mut rest = body;
    while rest.len() > LENGTH_MAX {
        let (part, behind) = rest.split_at(1 << PART_BITS);
        out.push(0xE0 | PART_BITS);
        out.extend_from_slice(part);
        rest = behind;
    }
    write_length(rest.len(), out);
    out.extend_from_slice(rest);
}

/// The most bytes that [`write`] adds to a body.
pub(super) fn overhead(body_bytes: usize) -> usize {
    8 + (body_bytes >> PART_BITS)
}

fn write_length(bytes: usize, out: &mut Vec<u8>) {
    // The body has at most 16 MiB, so four bytes hold its length.
    let [.., fourth, third, second, first] = bytes.to_be_bytes();
    match bytes {
        0..192 => out.push(first),
        192..8384 => {
            let [.., high, low] = (bytes - 192).to_be_bytes();
            out.extend_from_slice(&[high + 192, low]);
        }
        _ => out.extend_from_slice(&[255, fourth, third, second, first]),
    }
}
