//! What was encrypted: a literal packet, compressed or not.

use flate2::{Decompress, FlushDecompress, Status};
use zeroize::Zeroizing;

use super::Shape;
use super::algorithm::Compression;
use super::packet::{self, Packet, Packets};
use crate::OpenError;
use crate::format::Limits;

/// More than the header of a literal packet can have: type, name, date, lengths.
const LITERAL_HEADER_MAX: usize = 1024;
/// What inflating begins with.
const INFLATE_BYTES: usize = 4096;
/// The most packets beside the literal.
const PACKETS_MAX: usize = 64;

fn malformed(at: usize, why: &'static str) -> OpenError {
    OpenError::Malformed { at, why }
}

/// Reads the packets that were encrypted.
pub(super) fn read(data: &[u8], limits: Limits) -> Result<(Zeroizing<Vec<u8>>, Shape), OpenError> {
    let packet = the_one(data)?;
    match packet.tag {
        packet::LITERAL => literal(&packet.body, Compression::None, limits),
        packet::COMPRESSED => {
            let (number, compressed) =
                packet.body.split_first().ok_or_else(|| malformed(packet.at, "cut short"))?;
            let compression = Compression::of(*number)?;
            let inflated = match compression {
                Compression::None => return inner(compressed, compression, limits),
                Compression::Zip => inflate(compressed, false, limits)?,
                Compression::Zlib => inflate(compressed, true, limits)?,
            };
            inner(&inflated, compression, limits)
        }
        tag => Err(other(tag, packet.at)),
    }
}

fn inner(
    data: &[u8],
    compression: Compression,
    limits: Limits,
) -> Result<(Zeroizing<Vec<u8>>, Shape), OpenError> {
    let packet = the_one(data)?;
    match packet.tag {
        packet::LITERAL => literal(&packet.body, compression, limits),
        packet::COMPRESSED => Err(OpenError::Unsupported { what: "compression twice" }),
        tag => Err(other(tag, packet.at)),
    }
}

/// The one packet that is no marker.
fn the_one(data: &[u8]) -> Result<Packet<'_>, OpenError> {
    let mut packets = Packets::new(data);
    let mut found: Option<Packet<'_>> = None;
    for _ in 0..PACKETS_MAX {
        let Some(packet) = packets.next()? else {
            return found.ok_or_else(|| malformed(0, "there is no plaintext"));
        };
        if packet.tag == packet::MARKER {
            continue;
        }
        if found.is_some() {
            return Err(OpenError::Unsupported { what: "more than one packet of plaintext" });
        }
        found = Some(packet);
    }
    Err(malformed(0, "too many packets"))
}

fn other(tag: u8, at: usize) -> OpenError {
    match tag {
        2 | 4 => OpenError::Unsupported { what: "a signed message" },
        packet::ENCRYPTED | packet::ENCRYPTED_CHECKED | packet::SESSION => {
            OpenError::Unsupported { what: "encryption twice" }
        }
        packet::CHECK => malformed(at, "a modification check where none belongs"),
        _ => malformed(at, "a packet that is no plaintext"),
    }
}

fn literal(
    body: &[u8],
    compression: Compression,
    limits: Limits,
) -> Result<(Zeroizing<Vec<u8>>, Shape), OpenError> {
    let cut = || malformed(0, "the literal packet is cut short");
    let (kind, rest) = body.split_first().ok_or_else(cut)?;
    let (name_bytes, rest) = rest.split_first().ok_or_else(cut)?;
    let (name, rest) = rest.split_at_checked(usize::from(*name_bytes)).ok_or_else(cut)?;
    let (date, plain) = rest.split_first_chunk().ok_or_else(cut)?;
    if !matches!(kind, b'b' | b't' | b'u' | b'l' | b'1' | b'm') {
        return Err(malformed(0, "a literal packet of unknown type"));
    }
    if plain.len() > limits.plain_bytes_max {
        return Err(OpenError::TooLarge { limit_bytes: limits.plain_bytes_max });
    }
    let shape = Shape {
        kind: *kind,
        name: name.to_vec(),
        date: u32::from_be_bytes(*date),
        compression,
        checked: true,
        armor: Vec::new(),
    };
    Ok((Zeroizing::new(plain.to_vec()), shape))
}

/// Inflates as much as a plaintext may have, and not a byte more. The buffer grows by a new one, so
/// that none is left behind with plaintext in it.
fn inflate(data: &[u8], frame: bool, limits: Limits) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let wrong = || malformed(0, "compressed data are damaged");
    // Parts of a literal packet may have a length each.
    let most = limits.plain_bytes_max.saturating_add(limits.plain_bytes_max >> 8);
    let most = most.saturating_add(LITERAL_HEADER_MAX);
    let mut inflater = Decompress::new(frame);
    let mut out = Zeroizing::new(Vec::with_capacity(INFLATE_BYTES.min(most)));
    loop {
        let read = usize::try_from(inflater.total_in()).map_err(|_| wrong())?;
        let input = data.get(read..).ok_or_else(wrong)?;
        let before = out.len();
        let status =
            inflater.decompress_vec(input, &mut out, FlushDecompress::None).map_err(|_| wrong())?;
        if matches!(status, Status::StreamEnd) {
            let end = usize::try_from(inflater.total_in()).map_err(|_| wrong())?;
            return if end == data.len() { Ok(out) } else { Err(wrong()) };
        }
        if out.len() < out.capacity() {
            if out.len() == before && inflater.total_in() == read as u64 {
                return Err(wrong());
            }
            continue;
        }
        if out.len() >= most {
            return Err(OpenError::TooLarge { limit_bytes: limits.plain_bytes_max });
        }
        let mut wider = Zeroizing::new(Vec::with_capacity(out.len().saturating_mul(2).min(most)));
        wider.extend_from_slice(&out);
        out = wider;
    }
}
