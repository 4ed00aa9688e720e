//! One value of any format, opened and sealed again.

use zeroize::Zeroizing;

use crate::{Key, OpenError, SealError, fernet, pgp, raw, sealed};

/// Fills a buffer with random bytes.
pub type Fill<'a> = &'a mut dyn FnMut(&mut [u8]);

/// How a value is written.
#[derive(Clone, Debug)]
pub enum Format {
    /// An OpenPGP message, as `pgp_sym_encrypt` returns it.
    Pgp,
    /// The same in armor.
    PgpArmored,
    /// What pgcrypto's `encrypt` and `encrypt_iv` return; without integrity.
    Raw(raw::Options),
    /// A Fernet token.
    Fernet,
    /// keywheel's own format.
    Sealed,
}

/// What a value may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most bytes that a plaintext may have.
    pub plain_bytes_max: usize,
}

impl Default for Limits {
    /// 1 GiB, the most that a field of PostgreSQL holds.
    fn default() -> Self {
        Self { plain_bytes_max: 1 << 30 }
    }
}

/// A plaintext, and what else makes the value what it is.
#[derive(Clone)]
pub struct Opened {
    /// The plaintext.
    pub plain: Zeroizing<Vec<u8>>,
    /// What stays when the key changes.
    pub shape: Shape,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// What of a value is neither its plaintext nor its key, and stays when the key changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Of an OpenPGP message: the literal type, the name, the date, the compression.
    Pgp(pgp::Shape),
    /// Of a raw value: the format says all.
    Raw,
    /// Of a Fernet token: its time.
    Fernet(fernet::Shape),
    /// Of keywheel's own format: its algorithm.
    Sealed(sealed::Algorithm),
}

impl Shape {
    /// The algorithm of a value in keywheel's own format; AES-256-GCM where it was none of it.
    const fn sealed(&self) -> sealed::Algorithm {
        match self {
            Self::Sealed(algorithm) => *algorithm,
            Self::Pgp(_) | Self::Raw | Self::Fernet(_) => sealed::Algorithm::Aes256Gcm,
        }
    }
}

/// What a value says of itself to who has no key, for a census.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Header {
    /// An OpenPGP message.
    Pgp(pgp::Header),
    /// Anything.
    Raw,
    /// A Fernet token.
    Fernet,
    /// keywheel's own format.
    Sealed(sealed::Header),
}

impl std::fmt::Display for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pgp(header) => header.fmt(f),
            Self::Raw => f.write_str("raw, which says nothing of itself"),
            Self::Fernet => f.write_str("Fernet"),
            Self::Sealed(header) => header.fmt(f),
        }
    }
}

/// How values are written anew.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// How OpenPGP messages are.
    pub pgp: pgp::Write,
    /// Which version of a ring the key is, for formats that say so.
    pub version: u32,
}

impl Format {
    /// Opens a value.
    ///
    /// # Errors
    /// When it is none of the format, too large, or not under this key.
    pub fn open(&self, value: &[u8], key: &Key, limits: Limits) -> Result<Opened, OpenError> {
        let mut opened = self.open_many(&[value], key, limits);
        opened.pop().unwrap_or(Err(OpenError::WrongKey))
    }

    /// Opens many values; what can be computed for several at once is.
    pub fn open_many(
        &self,
        values: &[&[u8]],
        key: &Key,
        limits: Limits,
    ) -> Vec<Result<Opened, OpenError>> {
        let each = |open: &dyn Fn(&[u8]) -> Result<Opened, OpenError>| {
            values.iter().map(|value| open(value)).collect()
        };
        match self {
            Self::Pgp => pgp::open_many(values, key, limits),
            Self::PgpArmored => pgp::open_armored_many(values, key, limits),
            Self::Raw(options) => each(&|value| raw::open(value, key, options, limits)),
            Self::Fernet => each(&|value| fernet::open(value, key, limits)),
            Self::Sealed => each(&|value| sealed::open(value, key, &[], limits)),
        }
    }

    /// Seals many plaintexts.
    pub fn seal_many(
        &self,
        opened: &[&Opened],
        key: &Key,
        write: &WriteOptions,
        fill: Fill<'_>,
    ) -> Vec<Result<Vec<u8>, SealError>> {
        match self {
            Self::Pgp => pgp::seal_many(opened, key, &write.pgp, fill),
            Self::PgpArmored => pgp::seal_armored_many(opened, key, &write.pgp, fill),
            Self::Raw(options) => {
                opened.iter().map(|one| raw::seal(&one.plain, key, options)).collect()
            }
            Self::Fernet => opened.iter().map(|one| fernet::seal(one, key, fill)).collect(),
            Self::Sealed => opened
                .iter()
                .map(|one| {
                    let header =
                        sealed::Header { algorithm: one.shape.sealed(), version: write.version };
                    sealed::seal(&one.plain, key, header, &[], fill)
                })
                .collect(),
        }
    }

    /// Seals one plaintext.
    ///
    /// # Errors
    /// When the key or the plaintext does not fit the format.
    pub fn seal(
        &self,
        opened: &Opened,
        key: &Key,
        write: &WriteOptions,
        fill: Fill<'_>,
    ) -> Result<Vec<u8>, SealError> {
        let mut sealed = self.seal_many(&[opened], key, write, fill);
        sealed.pop().unwrap_or(Err(SealError::Plaintext { why: "there is none" }))
    }

    /// What a value says of itself without a key.
    ///
    /// # Errors
    /// When it is none of the format.
    pub fn census(&self, value: &[u8]) -> Result<Header, OpenError> {
        match self {
            Self::Pgp => pgp::census(value).map(Header::Pgp),
            Self::PgpArmored => pgp::census_armored(value).map(Header::Pgp),
            Self::Raw(_) => Ok(Header::Raw),
            Self::Fernet => fernet::census(value).map(|()| Header::Fernet),
            Self::Sealed => sealed::census(value).map(Header::Sealed),
        }
    }
}
