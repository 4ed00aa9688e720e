//! What pgcrypto's `encrypt` and `encrypt_iv` return: a block cipher, and nothing that tells a
//! wrong key from the right one.
//!
//! About one wrong key of 256 gives a plaintext whose padding is sound, so nothing opens without
//! a [`Validator`] that says what a plaintext looks like.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aes::{Aes128, Aes192, Aes256};
use blowfish::Blowfish;
use cast5::Cast5;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{
    Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt as _, BlockModeEncrypt as _,
    InnerIvInit as _, KeyInit,
};
use des::{Des, TdesEde3};
use zeroize::Zeroizing;

use crate::format::{Limits, Opened, Shape};
use crate::{Key, OpenError, SealError};

/// The longest block of any of the ciphers.
const IV_BYTES_MAX: usize = 16;

/// A block cipher of pgcrypto's `encrypt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// AES (`aes`); the length of the key chooses 128, 192 or 256 bits.
    Aes,
    /// Blowfish (`bf`).
    Blowfish,
    /// DES (`des`).
    Des,
    /// Triple DES with three keys (`3des`).
    TripleDes,
    /// CAST5 (`cast5`).
    Cast5,
}

impl Algorithm {
    const fn block_bytes(self) -> usize {
        match self {
            Self::Aes => 16,
            Self::Blowfish | Self::Des | Self::TripleDes | Self::Cast5 => 8,
        }
    }
}

/// How blocks are chained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Each block with the one before it (`cbc`).
    Cbc,
    /// Each block for itself (`ecb`).
    Ecb,
}

/// How a plaintext is brought to whole blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// PKCS#7 (`pkcs`).
    Pkcs,
    /// Not at all: it must have whole blocks (`none`).
    None,
}

/// What pgcrypto calls the type of an encryption: `aes-cbc/pad:pkcs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cipher {
    /// The cipher.
    pub algorithm: Algorithm,
    /// How blocks are chained.
    pub mode: Mode,
    /// How the last one is filled.
    pub padding: Padding,
}

/// A type of encryption that is none of pgcrypto's, or one that keywheel does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use aes, bf, des, 3des or cast5, then -cbc or -ecb, then /pad:pkcs or /pad:none")]
pub struct UnknownCipher;

impl FromStr for Cipher {
    type Err = UnknownCipher;

    /// Reads the type as pgcrypto does: `-cbc` and `/pad:pkcs` may be left out.
    fn from_str(text: &str) -> Result<Self, UnknownCipher> {
        let (cipher, padding) = match text.split_once('/') {
            None | Some((_, "" | "pad:pkcs")) => (text.split('/').next(), Padding::Pkcs),
            Some((cipher, "pad:none")) => (Some(cipher), Padding::None),
            Some(_) => return Err(UnknownCipher),
        };
        let cipher = cipher.ok_or(UnknownCipher)?.to_ascii_lowercase();
        let (name, mode) = match cipher.rsplit_once('-') {
            None => (cipher.as_str(), Mode::Cbc),
            Some((name, "cbc")) => (name, Mode::Cbc),
            Some((name, "ecb")) => (name, Mode::Ecb),
            Some(_) => return Err(UnknownCipher),
        };
        let algorithm = match name {
            "aes" | "rijndael" => Algorithm::Aes,
            "bf" | "blowfish" => Algorithm::Blowfish,
            "des" => Algorithm::Des,
            "3des" | "des3" => Algorithm::TripleDes,
            "cast5" => Algorithm::Cast5,
            _ => return Err(UnknownCipher),
        };
        Ok(Self { algorithm, mode, padding })
    }
}

/// Says whether bytes can be a plaintext of the column.
#[derive(Clone)]
pub struct Validator(Arc<Accepts>);

type Accepts = dyn Fn(&[u8]) -> bool + Send + Sync;

impl Validator {
    /// A validator of bytes.
    pub fn new(accepts: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(accepts))
    }

    /// Accepts JSON (RFC 8259).
    pub fn json() -> Self {
        Self::new(|plain| serde_json::from_slice::<serde::de::IgnoredAny>(plain).is_ok())
    }

    /// Accepts UTF-8 of which the pattern says yes.
    pub fn text(pattern: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::new(move |plain| std::str::from_utf8(plain).is_ok_and(&pattern))
    }

    /// Whether these bytes can be a plaintext.
    pub fn accepts(&self, plain: &[u8]) -> bool {
        (self.0)(plain)
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator(…)")
    }
}

/// How values are written, and what their plaintexts look like.
#[derive(Clone, Debug)]
pub struct Options {
    cipher: Cipher,
    iv: [u8; IV_BYTES_MAX],
    validator: Validator,
}

impl Options {
    /// Values of `encrypt`, whose IV is zero.
    pub const fn new(cipher: Cipher, validator: Validator) -> Self {
        Self { cipher, iv: [0; IV_BYTES_MAX], validator }
    }

    /// Values of `encrypt_iv`. As pgcrypto does, a short IV is filled with zeros, and of a long one
    /// only the first block is used.
    #[must_use]
    pub fn with_iv(mut self, iv: &[u8]) -> Self {
        self.iv = [0; IV_BYTES_MAX];
        for (to, from) in self.iv.iter_mut().zip(iv) {
            *to = *from;
        }
        self
    }

    /// The cipher.
    pub const fn cipher(&self) -> Cipher {
        self.cipher
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Encrypt,
    Decrypt,
}

/// A key of exactly these bytes: cut, or filled with zeros.
fn fitted(key: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut fitted = Zeroizing::new(Vec::with_capacity(length));
    fitted.extend(key.iter().copied().chain(std::iter::repeat(0)).take(length));
    fitted
}

/// A key of Blowfish: at most 56 bytes, of its own length. The cipher repeats a key anyway, so one
/// shorter than the crate takes is given to it four times.
fn blowfish_key(key: &[u8]) -> Zeroizing<Vec<u8>> {
    let key = key.get(..56).unwrap_or(key);
    Zeroizing::new(if key.len() < 4 { key.repeat(4) } else { key.to_vec() })
}

/// Encrypts or decrypts whole blocks where they lie; `None` when the key does not fit.
fn apply(options: &Options, key: &Key, direction: Direction, blocks: &mut [u8]) -> Option<()> {
    let key = key.bytes();
    let run = Run { mode: options.cipher.mode, iv: &options.iv, direction, blocks };
    match (options.cipher.algorithm, key.len()) {
        (Algorithm::Aes, 0..=16) => run.with::<Aes128>(&fitted(key, 16)),
        (Algorithm::Aes, 17..=24) => run.with::<Aes192>(&fitted(key, 24)),
        (Algorithm::Aes, _) => run.with::<Aes256>(&fitted(key, 32)),
        (Algorithm::Blowfish, _) => run.with::<Blowfish>(&blowfish_key(key)),
        (Algorithm::Des, _) => run.with::<Des>(&fitted(key, 8)),
        (Algorithm::TripleDes, _) => run.with::<TdesEde3>(&fitted(key, 24)),
        // CAST5 has fewer rounds with at most 10 bytes, so the length says something.
        (Algorithm::Cast5, 0) => None,
        (Algorithm::Cast5, length) => run.with::<Cast5>(&fitted(key, length.clamp(5, 16))),
    }
}

/// Blocks, and what is to be done with them.
struct Run<'a> {
    mode: Mode,
    iv: &'a [u8; IV_BYTES_MAX],
    direction: Direction,
    blocks: &'a mut [u8],
}

impl Run<'_> {
    fn with<C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt>(self, key: &[u8]) -> Option<()> {
        let cipher = C::new_from_slice(key).ok()?;
        let iv = self.iv.get(..C::block_size())?;
        let length = self.blocks.len();
        match (self.mode, self.direction) {
            (Mode::Cbc, Direction::Encrypt) => {
                let mode = cbc::Encryptor::inner_iv_slice_init(cipher, iv).ok()?;
                mode.encrypt_padded::<NoPadding>(self.blocks, length).ok()?;
            }
            (Mode::Cbc, Direction::Decrypt) => {
                let mode = cbc::Decryptor::inner_iv_slice_init(cipher, iv).ok()?;
                mode.decrypt_padded::<NoPadding>(self.blocks).ok()?;
            }
            (Mode::Ecb, direction) => {
                for bytes in self.blocks.chunks_exact_mut(C::block_size()) {
                    let block = <&mut Block<C>>::try_from(bytes).ok()?;
                    match direction {
                        Direction::Encrypt => cipher.encrypt_block(block),
                        Direction::Decrypt => cipher.decrypt_block(block),
                    }
                }
            }
        }
        Some(())
    }
}

/// How many bytes are padding, where it is sound.
fn padding_bytes(plain: &[u8], block_bytes: usize) -> Option<usize> {
    let &last = plain.last()?;
    let count = usize::from(last);
    let start = plain.len().checked_sub(count)?;
    let sound =
        (1..=block_bytes).contains(&count) && plain.get(start..)?.iter().all(|byte| *byte == last);
    sound.then_some(count)
}

pub(crate) fn open(
    value: &[u8],
    key: &Key,
    options: &Options,
    limits: Limits,
) -> Result<Opened, OpenError> {
    let Cipher { algorithm, padding, .. } = options.cipher;
    let block_bytes = algorithm.block_bytes();
    if !value.len().is_multiple_of(block_bytes) {
        return Err(OpenError::Malformed { at: value.len(), why: "it ends within a block" });
    }
    if padding == Padding::Pkcs && value.is_empty() {
        return Err(OpenError::Malformed { at: 0, why: "it is empty, so there is no padding" });
    }
    if value.len().saturating_sub(block_bytes) > limits.plain_bytes_max {
        return Err(OpenError::TooLarge { limit_bytes: limits.plain_bytes_max });
    }
    let mut plain = Zeroizing::new(value.to_vec());
    apply(options, key, Direction::Decrypt, &mut plain)
        .ok_or(OpenError::Unsupported { what: "a key without bytes" })?;
    if padding == Padding::Pkcs {
        let count = padding_bytes(&plain, block_bytes).ok_or(OpenError::WrongKey)?;
        let length = plain.len().saturating_sub(count);
        plain.truncate(length);
    }
    if plain.len() > limits.plain_bytes_max {
        return Err(OpenError::TooLarge { limit_bytes: limits.plain_bytes_max });
    }
    if !options.validator.accepts(&plain) {
        return Err(OpenError::Implausible);
    }
    Ok(Opened { plain, shape: Shape::Raw })
}

pub(crate) fn seal(plain: &[u8], key: &Key, options: &Options) -> Result<Vec<u8>, SealError> {
    let Cipher { algorithm, padding, .. } = options.cipher;
    let block_bytes = algorithm.block_bytes();
    if !options.validator.accepts(plain) {
        return Err(SealError::Plaintext { why: "the validator of the column refuses it" });
    }
    let over = plain.len().checked_rem(block_bytes).unwrap_or(0);
    let count = match padding {
        Padding::Pkcs => block_bytes.saturating_sub(over),
        Padding::None if over == 0 => 0,
        Padding::None => {
            return Err(SealError::Plaintext { why: "it has no whole blocks, and is not padded" });
        }
    };
    let mut value = Zeroizing::new(plain.to_vec());
    let fill = u8::try_from(count).map_err(|_| SealError::Plaintext { why: "it is too large" })?;
    value.resize(plain.len().saturating_add(count), fill);
    apply(options, key, Direction::Encrypt, &mut value)
        .ok_or(SealError::Key { why: "it has no bytes" })?;
    Ok(std::mem::take(&mut *value))
}
