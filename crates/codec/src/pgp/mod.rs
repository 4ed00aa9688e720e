//! OpenPGP messages under a passphrase (RFC 4880), as pgcrypto and GnuPG write them.
//!
//! Read are messages with one session key packet, with and without a modification check, compressed
//! or not. Written are messages with AES and a modification check only; what else a message had
//! ([`Shape`]) stays what it was.

mod algorithm;
mod armor;
mod cfb;
mod content;
mod message;
mod packet;
mod s2k;
mod write;

use std::fmt;

pub use algorithm::{Cipher, Compression, Digest, Stretch};
pub use write::Write;

use message::Message;

use crate::format::{Fill, Limits, Opened};
use crate::{Key, OpenError, SealError};

/// What stays of a message when its key changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The type of the literal: `t` text, `u` text in UTF-8, `b` bytes.
    kind: u8,
    /// The name of a file.
    name: Vec<u8>,
    /// Seconds since 1970.
    date: u32,
    compression: Compression,
    /// Whether the message had a modification check; it has one when it is written again.
    checked: bool,
    /// The header lines of the armor.
    armor: Vec<String>,
}

impl Shape {
    const fn of(kind: u8) -> Self {
        Self {
            kind,
            name: Vec::new(),
            date: 0,
            compression: Compression::None,
            checked: true,
            armor: Vec::new(),
        }
    }

    /// A new text, as `pgp_sym_encrypt` writes it.
    pub const fn text() -> Self {
        Self::of(b't')
    }

    /// Whether a message that was written with this shape has the other one: all stays, and a
    /// modification check is there in any case.
    pub fn is_kept_by(&self, written: &Self) -> bool {
        Self { checked: true, ..self.clone() } == *written
    }

    /// New bytes, as `pgp_sym_encrypt_bytea` writes them.
    pub const fn bytes() -> Self {
        Self::of(b'b')
    }

    /// A new text that says that it is UTF-8, as pgcrypto's `unicode-mode` writes it.
    pub const fn unicode() -> Self {
        Self::of(b'u')
    }

    /// The same with a time, in seconds since 1970.
    #[must_use]
    pub fn dated(self, seconds: u32) -> Self {
        Self { date: seconds, ..self }
    }

    /// The same, compressed.
    #[must_use]
    pub fn compressed(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// Whether the plaintext is a text.
    pub const fn is_text(&self) -> bool {
        matches!(self.kind, b't' | b'u')
    }

    /// How the message is compressed.
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// When the message was made, in seconds since 1970, if it tells.
    pub const fn date(&self) -> u32 {
        self.date
    }

    /// Whether the message had a modification check; it has one when it is written again.
    pub const fn had_check(&self) -> bool {
        self.checked
    }
}

/// What a message says of itself to who has no key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Header {
    /// The cipher; of a message with a session key, the one that encrypts that key.
    pub cipher: Cipher,
    /// The hash that makes the key of the passphrase.
    pub digest: Digest,
    /// How.
    pub stretch: Stretch,
    /// Whether it carries a session key.
    pub session_key: bool,
    /// Whether it has a modification check.
    pub checked: bool,
    /// Whether it is not encrypted at all ([`open_exposed`]).
    pub exposed: bool,
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}", self.cipher, self.digest, self.stretch)?;
        f.write_str(if self.session_key { ", session key" } else { "" })?;
        f.write_str(if self.checked { "" } else { ", no modification check" })?;
        f.write_str(if self.exposed { ", NOT ENCRYPTED" } else { "" })
    }
}

/// Opens a message that is not encrypted at all.
///
/// pgcrypto writes such ones where its OpenSSL does not have the cipher, which is so for Blowfish
/// and CAST5 with OpenSSL 3 unless it is told to load them: it does not look at the error, and
/// stores the plaintext in the frame of a message. No key protects them, so anybody who can write
/// to the table could have made them; [`crate::Format::open`] refuses them, and this is for whoever
/// decides to take what they say.
///
/// # Errors
/// When the message is encrypted, or none.
pub fn open_exposed(value: &[u8], limits: Limits) -> Result<Opened, OpenError> {
    Message::parse(value)?.open_exposed(limits)
}

/// Opens many; their keys are derived together.
pub(crate) fn open_many(
    values: &[&[u8]],
    key: &Key,
    limits: Limits,
) -> Vec<Result<Opened, OpenError>> {
    let mut jobs = Vec::with_capacity(values.len());
    let parsed: Vec<_> = values
        .iter()
        .map(|value| {
            let message = Message::parse(value)?;
            message.supported()?;
            jobs.push(message.job);
            Ok(message)
        })
        .collect();
    let mut keys = s2k::derive_many(key.bytes(), &jobs).into_iter();
    parsed
        .into_iter()
        .map(|message| {
            let message: Message<'_> = message?;
            let key = keys.next().ok_or(OpenError::WrongKey)?;
            message.open(&key, limits)
        })
        .collect()
}

/// Opens many in armor.
pub(crate) fn open_armored_many(
    values: &[&[u8]],
    key: &Key,
    limits: Limits,
) -> Vec<Result<Opened, OpenError>> {
    let unwrapped: Vec<_> = values.iter().map(|value| armor::read(value)).collect();
    let messages: Vec<&[u8]> =
        unwrapped.iter().flatten().map(|armored| armored.message.as_slice()).collect();
    let mut opened = open_many(&messages, key, limits).into_iter();
    unwrapped
        .iter()
        .map(|armored| {
            let armored = armored.as_ref().map_err(Clone::clone)?;
            let mut opened = opened.next().unwrap_or(Err(OpenError::WrongKey))?;
            if let crate::Shape::Pgp(shape) = &mut opened.shape {
                shape.armor.clone_from(&armored.headers);
            }
            Ok(opened)
        })
        .collect()
}

/// What of a message is written again; of a value of another format, bytes.
fn shape_of(opened: &Opened) -> Shape {
    match &opened.shape {
        crate::Shape::Pgp(shape) => shape.clone(),
        _ => Shape::bytes(),
    }
}

/// Seals many; their keys are derived together.
pub(crate) fn seal_many(
    opened: &[&Opened],
    key: &Key,
    write: &Write,
    fill: Fill<'_>,
) -> Vec<Result<Vec<u8>, SealError>> {
    let starts: Vec<_> = opened.iter().map(|_| write::start(write, &mut *fill)).collect();
    let jobs: Vec<_> = starts.iter().map(|start| start.job).collect();
    let keys = s2k::derive_many(key.bytes(), &jobs);
    opened
        .iter()
        .zip(starts.iter().zip(&keys))
        .map(|(opened, (start, key))| {
            write::finish(write, start, key, (&opened.plain, &shape_of(opened)), &mut *fill)
        })
        .collect()
}

/// Seals many in armor.
pub(crate) fn seal_armored_many(
    opened: &[&Opened],
    key: &Key,
    write: &Write,
    fill: Fill<'_>,
) -> Vec<Result<Vec<u8>, SealError>> {
    let sealed = seal_many(opened, key, write, fill);
    opened
        .iter()
        .zip(sealed)
        .map(|(opened, message)| Ok(armor::write(&message?, &shape_of(opened).armor)))
        .collect()
}

/// What a message says of itself.
pub(crate) fn census(value: &[u8]) -> Result<Header, OpenError> {
    Message::parse(value).map(|message| message.header())
}

/// The same of one in armor.
pub(crate) fn census_armored(value: &[u8]) -> Result<Header, OpenError> {
    census(&armor::read(value)?.message)
}
