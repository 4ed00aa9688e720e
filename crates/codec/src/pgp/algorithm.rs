//! The algorithms that a message names, by the numbers that RFC 4880 gives them.

use std::fmt;

use crate::OpenError;

/// A cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cipher {
    /// Known by name only.
    Idea,
    /// Read, never written.
    TripleDes,
    /// Read, never written.
    Cast5,
    /// Read, never written.
    Blowfish,
    /// Read and written.
    Aes128,
    /// Read, never written.
    Aes192,
    /// Read and written.
    Aes256,
    /// Known by name only.
    Twofish,
    /// Known by name only.
    Camellia,
}

impl Cipher {
    pub(super) fn of(number: u8) -> Result<Self, OpenError> {
        Ok(match number {
            1 => Self::Idea,
            2 => Self::TripleDes,
            3 => Self::Cast5,
            4 => Self::Blowfish,
            7 => Self::Aes128,
            8 => Self::Aes192,
            9 => Self::Aes256,
            10 => Self::Twofish,
            11..=13 => Self::Camellia,
            0 => return Err(OpenError::Unsupported { what: "a message in plain text" }),
            _ => return Err(OpenError::Unsupported { what: "a cipher of unknown number" }),
        })
    }

    /// How many bytes a key has.
    pub(super) fn key_bytes(self) -> Result<usize, OpenError> {
        match self {
            Self::Cast5 | Self::Blowfish | Self::Aes128 => Ok(16),
            Self::TripleDes | Self::Aes192 => Ok(24),
            Self::Aes256 => Ok(32),
            Self::Idea => Err(OpenError::Unsupported { what: "the cipher IDEA" }),
            Self::Twofish => Err(OpenError::Unsupported { what: "the cipher Twofish" }),
            Self::Camellia => Err(OpenError::Unsupported { what: "the cipher Camellia" }),
        }
    }

    /// How many bytes a block has.
    pub(super) const fn block_bytes(self) -> usize {
        match self {
            Self::Idea | Self::TripleDes | Self::Cast5 | Self::Blowfish => 8,
            Self::Aes128 | Self::Aes192 | Self::Aes256 | Self::Twofish | Self::Camellia => 16,
        }
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idea => "IDEA",
            Self::TripleDes => "3DES",
            Self::Cast5 => "CAST5",
            Self::Blowfish => "Blowfish",
            Self::Aes128 => "AES-128",
            Self::Aes192 => "AES-192",
            Self::Aes256 => "AES-256",
            Self::Twofish => "Twofish",
            Self::Camellia => "Camellia",
        })
    }
}

/// The hash that makes a key of a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Digest {
    /// Read, never written.
    Md5,
    /// Read and written: what pgcrypto has by default.
    Sha1,
    /// Known by name only.
    Ripemd160,
    /// Read, never written.
    Sha224,
    /// Read, never written.
    Sha256,
    /// Read, never written.
    Sha384,
    /// Read, never written.
    Sha512,
}

impl Digest {
    pub(super) fn of(number: u8) -> Result<Self, OpenError> {
        Ok(match number {
            1 => Self::Md5,
            2 => Self::Sha1,
            3 => Self::Ripemd160,
            8 => Self::Sha256,
            9 => Self::Sha384,
            10 => Self::Sha512,
            11 => Self::Sha224,
            _ => return Err(OpenError::Unsupported { what: "a digest of unknown number" }),
        })
    }

    /// Refuses what is known by name only.
    pub(super) fn supported(self) -> Result<(), OpenError> {
        match self {
            Self::Ripemd160 => Err(OpenError::Unsupported { what: "the digest RIPEMD-160" }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Ripemd160 => "RIPEMD-160",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

/// How the literal packet is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// Deflate without a frame.
    Zip,
    /// Deflate in zlib's frame.
    Zlib,
}

impl Compression {
    pub(super) fn of(number: u8) -> Result<Self, OpenError> {
        Ok(match number {
            0 => Self::None,
            1 => Self::Zip,
            2 => Self::Zlib,
            3 => return Err(OpenError::Unsupported { what: "compression with bzip2" }),
            _ => return Err(OpenError::Unsupported { what: "compression of unknown number" }),
        })
    }
}

/// How a key is made of a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stretch {
    /// One hash of the passphrase (S2K mode 0).
    Simple,
    /// One hash of salt and passphrase (S2K mode 1).
    Salted,
    /// A hash of so many bytes of salt and passphrase, repeated (S2K mode 3).
    Iterated {
        /// How many bytes.
        count: u32,
    },
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple => f.write_str("not salted"),
            Self::Salted => f.write_str("salted"),
            Self::Iterated { count } => write!(f, "salted, {count} bytes"),
        }
    }
}

/// What the count byte of S2K mode 3 stands for.
pub(super) fn count_of(byte: u8) -> u32 {
    (16 + u32::from(byte & 15)) << (u32::from(byte >> 4) + 6)
}
