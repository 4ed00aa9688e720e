//! Fernet tokens (<https://github.com/fernet/spec>), as Python's `cryptography` writes them.
//!
//! When a token expires is a matter of who reads it: a column is read for years, so the time is
//! kept and never judged.

use aes::Aes128;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use zeroize::Zeroizing;

use crate::format::{Fill, Limits, Opened, Shape as Shapes};
use crate::{Key, OpenError, SealError};

const VERSION: u8 = 0x80;
const BLOCK_BYTES: usize = 16;
const TAG_BYTES: usize = 32;
/// Version, time, IV, one block, tag.
const BYTES_MIN: usize = 1 + 8 + BLOCK_BYTES + BLOCK_BYTES + TAG_BYTES;

/// What stays of a token when its key changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    created_secs: u64,
}

impl Shape {
    /// A token of this time, in seconds since 1970.
    pub const fn created_at(created_secs: u64) -> Self {
        Self { created_secs }
    }

    /// When the token was written, in seconds since 1970.
    pub const fn created_secs(self) -> u64 {
        self.created_secs
    }
}

/// The two halves of a key.
struct Halves {
    signing: hmac::Key,
    encryption: Zeroizing<[u8; BLOCK_BYTES]>,
}

/// Reads the text of a key: 32 bytes in base64url with padding.
fn halves(key: &Key) -> Option<Halves> {
    let bytes = Zeroizing::new(URL_SAFE.decode(key.bytes()).ok()?);
    let (signing, rest) = bytes.split_first_chunk::<BLOCK_BYTES>()?;
    let encryption = Zeroizing::new(*rest.first_chunk::<BLOCK_BYTES>()?);
    (bytes.len() == 2 * BLOCK_BYTES)
        .then(|| Halves { signing: hmac::Key::new(hmac::HMAC_SHA256, signing), encryption })
}

/// The parts of a token; `signed` is all but the tag.
struct Parts<'a> {
    signed: &'a [u8],
    tag: &'a [u8],
    created_secs: u64,
    iv: &'a [u8; BLOCK_BYTES],
    body: &'a [u8],
}

fn decode(value: &[u8]) -> Result<Vec<u8>, OpenError> {
    URL_SAFE.decode(value).map_err(|error| {
        let at = match error {
            base64::DecodeError::InvalidByte(at, _) => at,
            _ => value.len(),
        };
        OpenError::Malformed { at, why: "not base64url with padding" }
    })
}

fn parse(token: &[u8]) -> Result<Parts<'_>, OpenError> {
    let short = OpenError::Malformed { at: 0, why: "too short for a Fernet token" };
    if token.len() < BYTES_MIN {
        return Err(short);
    }
    let Some((signed, tag)) = token.split_last_chunk::<TAG_BYTES>() else { return Err(short) };
    let Some((&version, rest)) = signed.split_first() else { return Err(short) };
    if version != VERSION {
        return Err(OpenError::Malformed { at: 0, why: "not a Fernet token" });
    }
    let Some((time, rest)) = rest.split_first_chunk::<8>() else { return Err(short) };
    let Some((iv, body)) = rest.split_first_chunk::<BLOCK_BYTES>() else { return Err(short) };
    if !body.len().is_multiple_of(BLOCK_BYTES) {
        return Err(OpenError::Malformed { at: 0, why: "the ciphertext ends within a block" });
    }
    Ok(Parts { signed, tag, created_secs: u64::from_be_bytes(*time), iv, body })
}

pub(crate) fn open(value: &[u8], key: &Key, limits: Limits) -> Result<Opened, OpenError> {
    let token = decode(value)?;
    let parts = parse(&token)?;
    if parts.body.len().saturating_sub(BLOCK_BYTES) > limits.plain_bytes_max {
        return Err(OpenError::TooLarge { limit_bytes: limits.plain_bytes_max });
    }
    let halves = halves(key)
        .ok_or(OpenError::Unsupported { what: "a Fernet key other than 32 bytes in base64url" })?;
    hmac::verify(&halves.signing, parts.signed, parts.tag).map_err(|_| OpenError::WrongKey)?;
    let cipher = cbc::Decryptor::<Aes128>::new((&*halves.encryption).into(), parts.iv.into());
    let mut plain = Zeroizing::new(parts.body.to_vec());
    let length = cipher
        .decrypt_padded::<Pkcs7>(&mut plain)
        .map_err(|_| OpenError::Malformed { at: 0, why: "signed, and its padding is wrong" })?
        .len();
    plain.truncate(length);
    if plain.len() > limits.plain_bytes_max {
        return Err(OpenError::TooLarge { limit_bytes: limits.plain_bytes_max });
    }
    let shape = Shapes::Fernet(Shape { created_secs: parts.created_secs });
    Ok(Opened { plain, shape })
}

pub(crate) fn seal(opened: &Opened, key: &Key, fill: Fill<'_>) -> Result<Vec<u8>, SealError> {
    let Shapes::Fernet(shape) = &opened.shape else {
        return Err(SealError::Plaintext { why: "a Fernet token has a time, and none is given" });
    };
    let halves =
        halves(key).ok_or(SealError::Key { why: "a Fernet key is 32 bytes in base64url" })?;
    let mut iv = [0; BLOCK_BYTES];
    fill(&mut iv);
    let cipher = cbc::Encryptor::<Aes128>::new((&*halves.encryption).into(), (&iv).into());
    let mut body = Zeroizing::new(opened.plain.to_vec());
    let length = body.len();
    body.resize(length.saturating_add(BLOCK_BYTES), 0);
    let body = cipher
        .encrypt_padded::<Pkcs7>(&mut body, length)
        .map_err(|_| SealError::Plaintext { why: "it is too large" })?;
    let mut token = vec![VERSION];
    token.extend_from_slice(&shape.created_secs.to_be_bytes());
    token.extend_from_slice(&iv);
    token.extend_from_slice(body);
    let tag = hmac::sign(&halves.signing, &token);
    token.extend_from_slice(tag.as_ref());
    Ok(URL_SAFE.encode(token).into_bytes())
}

pub(crate) fn census(value: &[u8]) -> Result<(), OpenError> {
    parse(&decode(value)?).map(|_| ())
}
