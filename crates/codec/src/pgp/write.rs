//! Writing: a session key packet with a fresh salt, and encrypted data with a modification check.

use std::io::Write as _;

use sha1::Digest as _;
use zeroize::Zeroizing;

use super::algorithm::{Cipher, Compression, Digest, Stretch, count_of};
use super::message::CHECK_HEADER;
use super::s2k::Job;
use super::{Shape, cfb, packet};
use crate::format::Fill;
use crate::{Key, SealError};

/// The count byte that gpg has by default, and the least that pgcrypto has.
const COUNT_DEFAULT: u8 = 96;
/// pgcrypto adds five random bits to it.
const COUNT_SPREAD: u8 = 0x1F;

/// How messages are written: always with a modification check, always with a fresh salt, never with
/// a session key packet that holds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    cipher: Cipher,
    count: Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    /// What pgcrypto takes: a random one of 65,536 to 253,952 bytes.
    Spread,
    /// One that was asked for.
    Byte(u8),
}

impl Write {
    /// AES-256, with the stretching that fits the key: the least for one that nobody can guess,
    /// else what pgcrypto does by default.
    pub fn for_key(key: &Key) -> Self {
        let count = if key.is_strong() { Count::Byte(0) } else { Count::Spread };
        Self { cipher: Cipher::Aes256, count }
    }

    /// The same with AES-128, which is pgcrypto's default.
    #[must_use]
    pub fn aes128(self) -> Self {
        Self { cipher: Cipher::Aes128, ..self }
    }

    /// The same with at least so many bytes hashed for a key; 65,011,712 is the most there is.
    #[must_use]
    pub fn stretched(self, bytes: u32) -> Self {
        let byte = (0..=u8::MAX).find(|byte| count_of(*byte) >= bytes).unwrap_or(u8::MAX);
        Self { count: Count::Byte(byte), ..self }
    }

    fn count_byte(&self, fill: Fill<'_>) -> u8 {
        match self.count {
            Count::Byte(byte) => byte,
            Count::Spread => {
                let mut random = [0; 1];
                fill(&mut random);
                let [random] = random;
                COUNT_DEFAULT + (random & COUNT_SPREAD)
            }
        }
    }
}

/// The start of a message, and the key that it asks for.
pub(super) struct Start {
    packet: Vec<u8>,
    pub job: Job,
}

/// Draws the salt of a message.
pub(super) fn start(write: &Write, fill: Fill<'_>) -> Start {
    let mut salt = [0; 8];
    fill(&mut salt);
    let count = write.count_byte(fill);
    let (number, key_bytes) = match write.cipher {
        Cipher::Aes128 => (7, 16),
        _ => (9, 32),
    };
    let mut body = vec![4, number, 3, 2];
    body.extend_from_slice(&salt);
    body.push(count);
    let mut packet = Vec::with_capacity(16);
    packet::write(packet::SESSION, &body, &mut packet);
    let stretch = Stretch::Iterated { count: count_of(count) };
    Start { packet, job: Job { digest: Digest::Sha1, stretch, salt, key_bytes } }
}

/// Writes a message under the key that its start asked for.
pub(super) fn finish(
    write: &Write,
    start: &Start,
    key: &[u8],
    (plain, shape): (&[u8], &Shape),
    fill: Fill<'_>,
) -> Result<Vec<u8>, SealError> {
    let inside = inside(plain, shape)?;
    let block_bytes = write.cipher.block_bytes();
    let mut data = Zeroizing::new(Vec::with_capacity(inside.len() + block_bytes + 64));
    data.push(1);
    let mut prefix = Zeroizing::new([0; 18]);
    let (random, repeated) = prefix.split_at_mut(16);
    fill(random);
    repeated.copy_from_slice(random.get(14..).unwrap_or_default());
    data.extend_from_slice(&*prefix);
    data.extend_from_slice(&inside);
    data.extend_from_slice(&CHECK_HEADER);
    let hash = sha1::Sha1::digest(data.get(1..).unwrap_or_default());
    data.extend_from_slice(&hash);
    cfb::encrypt(write.cipher, key, &[], data.get_mut(1..).unwrap_or_default())
        .map_err(|_| SealError::Key { why: "of another length than the cipher's" })?;
    let room = start.packet.len() + data.len() + packet::overhead(data.len());
    let mut message = Vec::with_capacity(room);
    message.extend_from_slice(&start.packet);
    packet::write(packet::ENCRYPTED_CHECKED, &data, &mut message);
    Ok(message)
}

/// The packets that are encrypted.
fn inside(plain: &[u8], shape: &Shape) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let name_bytes = u8::try_from(shape.name.len()).map_err(|_| SealError::Plaintext {
        why: "the name of a literal has more than 255 bytes",
    })?;
    let mut body = Zeroizing::new(Vec::with_capacity(plain.len() + shape.name.len() + 8));
    body.push(shape.kind);
    body.push(name_bytes);
    body.extend_from_slice(&shape.name);
    body.extend_from_slice(&shape.date.to_be_bytes());
    body.extend_from_slice(plain);
    let literal = wrap(packet::LITERAL, &body);
    let number = match shape.compression {
        Compression::None => return Ok(literal),
        Compression::Zip => 1,
        Compression::Zlib => 2,
    };
    // Deflating makes little more of what it cannot make less of.
    let most = literal.len() + literal.len() / 1000 + 1024;
    let mut deflated = Zeroizing::new(Vec::with_capacity(most));
    deflated.push(number);
    let level = flate2::Compression::default();
    let done = if shape.compression == Compression::Zip {
        let mut encoder = flate2::write::DeflateEncoder::new(&mut *deflated, level);
        encoder.write_all(&literal).and_then(|()| encoder.finish().map(drop))
    } else {
        let mut encoder = flate2::write::ZlibEncoder::new(&mut *deflated, level);
        encoder.write_all(&literal).and_then(|()| encoder.finish().map(drop))
    };
    done.map_err(|_| SealError::Plaintext { why: "it cannot be compressed" })?;
    Ok(wrap(packet::COMPRESSED, &deflated))
}

fn wrap(tag: u8, body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut packet = Zeroizing::new(Vec::with_capacity(body.len() + packet::overhead(body.len())));
    packet::write(tag, body, &mut packet);
    packet
}
