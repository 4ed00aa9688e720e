//! keywheel's own format: an AEAD with the version of its key in the header.
//!
//! A value is `KW` 0x01, the algorithm (1 byte), the version (4 bytes, big-endian), a salt of 24
//! random bytes, the ciphertext and its tag of 16 bytes. Key and nonce are HKDF-SHA256 (RFC 5869)
//! of the material with that salt, so every value has its own key and no count of values is too
//! many. Header, salt and the caller's context are authenticated.

use aws_lc_rs::aead::{
    AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use crate::format::{Fill, Limits, Opened, Shape};
use crate::{Key, OpenError, SealError};

const MAGIC: [u8; 3] = *b"KW\x01";
const HEADER_BYTES: usize = 8;
const SALT_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const INFO: &[u8] = b"keywheel/sealed/v1";

/// Which AEAD a value is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// AES-256 in Galois/counter mode (NIST SP 800-38D).
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305,
}

impl Algorithm {
    const fn code(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::ChaCha20Poly1305 => 2,
        }
    }

    const fn of_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Aes256Gcm),
            2 => Some(Self::ChaCha20Poly1305),
            _ => None,
        }
    }
}

/// What a value says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Header {
    /// The AEAD.
    pub algorithm: Algorithm,
    /// Which version of a ring the key is.
    pub version: u32,
}

impl Header {
    fn bytes(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let version = self.version.to_be_bytes();
        let parts = MAGIC.into_iter().chain([self.algorithm.code()]).chain(version);
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }
}

impl std::fmt::Display for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let algorithm = match self.algorithm {
            Algorithm::Aes256Gcm => "AES-256-GCM",
            Algorithm::ChaCha20Poly1305 => "ChaCha20-Poly1305",
        };
        write!(f, "keywheel {algorithm}, version {}", self.version)
    }
}

/// How many bytes of key and nonce a value needs.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES + NONCE_LEN
    }
}

/// The key of one value, its nonce, and what is authenticated with it.
struct Cipher {
    key: LessSafeKey,
    nonce: Nonce,
    authenticated: Vec<u8>,
}

impl Cipher {
    /// `None` cannot be met: every length here is one that the library takes.
    fn new(
        material: &Key,
        header: Header,
        salt: &[u8; SALT_BYTES],
        context: &[u8],
    ) -> Option<Self> {
        let algorithm = match header.algorithm {
            Algorithm::Aes256Gcm => &AES_256_GCM,
            Algorithm::ChaCha20Poly1305 => &CHACHA20_POLY1305,
        };
        let extracted = Salt::new(HKDF_SHA256, salt).extract(material.bytes());
        let code = [header.algorithm.code()];
        let info = [INFO, &code];
        let mut derived = Zeroizing::new([0; KEY_BYTES + NONCE_LEN]);
        extracted.expand(&info, Length).ok()?.fill(derived.as_mut_slice()).ok()?;
        let (key, nonce) = derived.split_first_chunk::<KEY_BYTES>()?;
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let authenticated = [header.bytes().as_slice(), salt, context].concat();
        Some(Self { key, nonce, authenticated })
    }

    fn open(self, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let mut plain = Zeroizing::new(body.to_vec());
        let opened =
            self.key.open_in_place(self.nonce, Aad::from(self.authenticated), plain.as_mut());
        let length = opened.map_err(|_| OpenError::WrongKey)?.len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// The header of a value, its salt, and the ciphertext with its tag.
fn parse(value: &[u8]) -> Result<(Header, &[u8; SALT_BYTES], &[u8]), OpenError> {
    let short = OpenError::Malformed { at: value.len(), why: "the value ends too early" };
    let Some((magic, rest)) = value.split_first_chunk::<3>() else { return Err(short) };
    if magic != &MAGIC {
        return Err(OpenError::Malformed { at: 0, why: "not a value of keywheel's format" });
    }
    let Some((&code, rest)) = rest.split_first() else { return Err(short) };
    let algorithm = Algorithm::of_code(code)
        .ok_or(OpenError::Unsupported { what: "the algorithm in the header" })?;
    let Some((version, rest)) = rest.split_first_chunk::<4>() else { return Err(short) };
    let Some((salt, body)) = rest.split_first_chunk::<SALT_BYTES>() else { return Err(short) };
    if body.len() < TAG_BYTES {
        return Err(short);
    }
    Ok((Header { algorithm, version: u32::from_be_bytes(*version) }, salt, body))
}

/// Opens a value that was sealed with this context.
///
/// # Errors
/// When it is none of the format, too large, or not under this key and context.
pub fn open(value: &[u8], key: &Key, context: &[u8], limits: Limits) -> Result<Opened, OpenError> {
    let (header, salt, body) = parse(value)?;
    if body.len().saturating_sub(TAG_BYTES) > limits.plain_bytes_max {
        return Err(OpenError::TooLarge { limit_bytes: limits.plain_bytes_max });
    }
    let cipher = Cipher::new(key, header, salt, context).ok_or(OpenError::WrongKey)?;
    Ok(Opened { plain: cipher.open(body)?, shape: Shape::Sealed(header.algorithm) })
}

/// Seals a plaintext. The context is not written: who opens the value has to know it.
///
/// # Errors
/// When the key is a passphrase, which this format does not stretch.
pub fn seal(
    plain: &[u8],
    key: &Key,
    header: Header,
    context: &[u8],
    fill: Fill<'_>,
) -> Result<Vec<u8>, SealError> {
    if !key.is_strong() {
        return Err(SealError::Key {
            why: "it is a passphrase, and keywheel's format takes only generated keys",
        });
    }
    let mut salt = [0; SALT_BYTES];
    fill(&mut salt);
    let too_large = SealError::Plaintext { why: "it is too large" };
    let Some(cipher) = Cipher::new(key, header, &salt, context) else { return Err(too_large) };
    // The plaintext is encrypted where it lies, and is not left behind when this fails.
    let mut body = Zeroizing::new(Vec::with_capacity(plain.len().saturating_add(TAG_BYTES)));
    body.extend_from_slice(plain);
    let authenticated = Aad::from(cipher.authenticated);
    let sealed = cipher.key.seal_in_place_append_tag(cipher.nonce, authenticated, &mut *body);
    if sealed.is_err() {
        return Err(too_large);
    }
    Ok([header.bytes().as_slice(), &salt, &body].concat())
}

/// What a value says of itself, without a key.
///
/// # Errors
/// When it is none of the format.
pub fn census(value: &[u8]) -> Result<Header, OpenError> {
    parse(value).map(|(header, ..)| header)
}
