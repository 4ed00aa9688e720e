//! Messages: the session key packet, the encrypted packet, and what is in it.

use sha1::Digest as _;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::algorithm::{Cipher, Digest, Stretch, count_of};
use super::content;
use super::packet::{self, Packet, Packets};
use super::s2k::Job;
use super::{Header, cfb};
use crate::format::{Limits, Opened};
use crate::{OpenError, Shape};

/// Bytes of the modification check's packet: its header and a SHA-1.
const CHECK_BYTES: usize = 22;
/// The header of the modification check's packet.
pub(super) const CHECK_HEADER: [u8; 2] = [0xD3, 0x14];
/// How much of a plaintext is looked at to see whether it is one.
const LOOK_BYTES: usize = 4_096;
/// The most markers before a packet.
const MARKERS_MAX: usize = 16;

/// A message whose headers were read.
pub(super) struct Message<'a> {
    /// The cipher of the session key packet.
    pub cipher: Cipher,
    /// How the passphrase becomes a key.
    pub job: Job,
    /// The session key, encrypted, where there is one.
    session: Option<Vec<u8>>,
    /// What is encrypted.
    body: packet::Body<'a>,
    /// Whether it ends with a modification check.
    checked: bool,
}

fn malformed(at: usize, why: &'static str) -> OpenError {
    OpenError::Malformed { at, why }
}

impl<'a> Message<'a> {
    /// Reads the headers.
    pub(super) fn parse(value: &'a [u8]) -> Result<Self, OpenError> {
        let mut packets = Packets::new(value);
        let session = expect_some(&mut packets)?;
        match session.tag {
            packet::SESSION => {}
            packet::PUBLIC_SESSION => {
                return Err(OpenError::Unsupported { what: "encryption to a public key" });
            }
            packet::ENCRYPTED | packet::ENCRYPTED_CHECKED => {
                return Err(OpenError::Unsupported {
                    what: "a message without a session key packet",
                });
            }
            packet::COMPRESSED | packet::LITERAL => {
                return Err(OpenError::Unsupported { what: "a message that is not encrypted" });
            }
            _ => return Err(malformed(session.at, "not a message under a passphrase")),
        }
        let (cipher, job, session) = parse_session(&session)?;
        let encrypted = expect_some(&mut packets)?;
        let checked = match encrypted.tag {
            packet::ENCRYPTED => false,
            packet::ENCRYPTED_CHECKED => true,
            packet::ENCRYPTED_AEAD => {
                return Err(OpenError::Unsupported { what: "encryption with an AEAD" });
            }
            packet::SESSION => {
                return Err(OpenError::Unsupported { what: "a message under several passphrases" });
            }
            packet::PUBLIC_SESSION => {
                return Err(OpenError::Unsupported { what: "encryption to a public key" });
            }
            _ => return Err(malformed(encrypted.at, "no encrypted data follow")),
        };
        match encrypted.body.first() {
            Some(1) if checked => {}
            Some(2) if checked => {
                return Err(OpenError::Unsupported { what: "encryption with an AEAD" });
            }
            _ if checked => return Err(malformed(encrypted.at, "of unknown version")),
            _ => {}
        }
        if let Some(more) = packets.next()? {
            return Err(malformed(more.at, "something follows the message"));
        }
        Ok(Self { cipher, job, session, body: encrypted.body, checked })
    }

    /// Refuses what is known by name only.
    pub(super) fn supported(&self) -> Result<(), OpenError> {
        self.job.digest.supported()?;
        self.cipher.key_bytes().map(drop)
    }

    /// What is known without a key.
    pub(super) fn header(&self) -> Header {
        Header {
            cipher: self.cipher,
            digest: self.job.digest,
            stretch: self.job.stretch,
            session_key: self.session.is_some(),
            checked: self.checked,
            exposed: self.is_exposed(),
        }
    }

    /// Opens it with the key that its job gave.
    pub(super) fn open(self, derived: &[u8], limits: Limits) -> Result<Opened, OpenError> {
        let opened = session_key(self.cipher, derived, self.session.as_deref())
            .and_then(|(cipher, key)| self.open_with(cipher, &key, limits));
        match opened {
            Err(OpenError::WrongKey) if self.is_exposed() => {
                Err(OpenError::Unsupported { what: "a message that is not encrypted at all" })
            }
            other => other,
        }
    }

    fn open_with(&self, cipher: Cipher, key: &[u8], limits: Limits) -> Result<Opened, OpenError> {
        let mut data = Zeroizing::new(self.data().to_vec());
        let prefix_bytes = cipher.block_bytes() + 2;
        if self.checked {
            cfb::decrypt(cipher, key, &[], &mut data)?;
        } else {
            let (prefix, inside) = data
                .split_at_mut_checked(prefix_bytes)
                .ok_or_else(|| malformed(0, "the encrypted data are cut short"))?;
            let iv = prefix.get(2..).unwrap_or_default().to_vec();
            cfb::decrypt(cipher, key, &[], prefix)?;
            cfb::decrypt(cipher, key, &iv, inside)?;
        }
        self.read(&data, prefix_bytes, limits)
    }

    /// Reads data that are in plain text.
    fn read(&self, data: &[u8], prefix_bytes: usize, limits: Limits) -> Result<Opened, OpenError> {
        let (plain, shape) = if self.checked {
            content::read(checked(data, prefix_bytes)?, limits)?
        } else {
            let (prefix, inside) =
                data.split_at_checked(prefix_bytes).ok_or(OpenError::WrongKey)?;
            if !repeats(prefix) {
                return Err(OpenError::WrongKey);
            }
            // Nothing says that the key is right, so nonsense is what a wrong key gives.
            content::read(inside, limits).map_err(|err| match err {
                OpenError::Malformed { .. } => OpenError::WrongKey,
                other => other,
            })?
        };
        let shape = super::Shape { checked: self.checked, ..shape };
        Ok(Opened { plain, shape: Shape::Pgp(shape) })
    }

    /// What is encrypted, behind the version.
    fn data(&self) -> &[u8] {
        self.body.get(usize::from(self.checked)..).unwrap_or_default()
    }

    /// Opens a message whose maker had no such cipher and did not notice: the data or the session
    /// key are as they were.
    pub(super) fn open_exposed(&self, limits: Limits) -> Result<Opened, OpenError> {
        let plain = |block_bytes: usize| {
            let data = self.data();
            // Here is no key that the time could tell of; most messages are done with.
            match data.get(..block_bytes + 2) {
                Some(prefix) if !repeats(prefix) => Err(OpenError::WrongKey),
                _ => self.read(data, block_bytes + 2, limits),
            }
        };
        let Some((number, key)) = self.session.as_deref().and_then(<[u8]>::split_first) else {
            return plain(self.cipher.block_bytes());
        };
        // The cipher of the data is named next to their key, which may be encrypted.
        for block_bytes in [8, 16] {
            let opened = plain(block_bytes);
            if matches!(opened, Ok(_) | Err(OpenError::TooLarge { .. })) {
                return opened;
            }
        }
        let cipher = Cipher::of(*number).map_err(|_| OpenError::WrongKey)?;
        if cipher.key_bytes() == Ok(key.len()) {
            self.open_with(cipher, key, limits)
        } else {
            Err(OpenError::WrongKey)
        }
    }

    /// Whether it is not encrypted at all. Nobody asked for the plaintext, so it is inflated no
    /// further than to see that there is one.
    fn is_exposed(&self) -> bool {
        let opened = self.open_exposed(Limits { plain_bytes_max: LOOK_BYTES });
        matches!(opened, Ok(_) | Err(OpenError::TooLarge { .. }))
    }
}

fn expect_some<'a>(packets: &mut Packets<'a>) -> Result<Packet<'a>, OpenError> {
    for _ in 0..MARKERS_MAX {
        match packets.next()? {
            Some(packet) if packet.tag == packet::MARKER => {}
            Some(packet) => return Ok(packet),
            None => return Err(malformed(0, "cut short")),
        }
    }
    Err(malformed(0, "too many markers"))
}

fn parse_session(packet: &Packet<'_>) -> Result<(Cipher, Job, Option<Vec<u8>>), OpenError> {
    let cut = || malformed(packet.at, "the session key packet is cut short");
    let (version, cipher, mode, digest, rest) = match &*packet.body {
        [version, cipher, mode, digest, rest @ ..] => (*version, *cipher, *mode, *digest, rest),
        [version @ 5..=6, ..] => (*version, 0, 0, 0, &[][..]),
        _ => return Err(cut()),
    };
    match version {
        4 => {}
        5 | 6 => return Err(OpenError::Unsupported { what: "a session key under an AEAD" }),
        _ => return Err(malformed(packet.at, "a session key packet of unknown version")),
    }
    let cipher = Cipher::of(cipher)?;
    let (stretch, salt, rest) = match mode {
        0 => (Stretch::Simple, [0; 8], rest),
        1 => {
            let (salt, rest) = rest.split_first_chunk().ok_or_else(cut)?;
            (Stretch::Salted, *salt, rest)
        }
        3 => {
            let (salt, rest) = rest.split_first_chunk().ok_or_else(cut)?;
            let (count, rest) = rest.split_first().ok_or_else(cut)?;
            (Stretch::Iterated { count: count_of(*count) }, *salt, rest)
        }
        _ => return Err(OpenError::Unsupported { what: "a way of stretching of unknown number" }),
    };
    let digest = Digest::of(digest)?;
    let session = match rest.len() {
        0 => None,
        // A number and a key of 16 to 32 bytes.
        17..=33 => Some(rest.to_vec()),
        _ => return Err(malformed(packet.at, "an encrypted session key of odd length")),
    };
    // The job of a cipher that is not supported is never run.
    let key_bytes = cipher.key_bytes().unwrap_or_default();
    Ok((cipher, Job { digest, stretch, salt, key_bytes }, session))
}

/// The key of the data, and its cipher: what was derived, or what that decrypts.
fn session_key(
    cipher: Cipher,
    derived: &[u8],
    session: Option<&[u8]>,
) -> Result<(Cipher, Zeroizing<Vec<u8>>), OpenError> {
    let Some(session) = session else {
        return Ok((cipher, Zeroizing::new(derived.to_vec())));
    };
    let mut decrypted = Zeroizing::new(session.to_vec());
    cfb::decrypt(cipher, derived, &[], &mut decrypted)?;
    let (number, key) = decrypted.split_first().ok_or(OpenError::WrongKey)?;
    let cipher = Cipher::of(*number).map_err(|_| OpenError::WrongKey)?;
    if key.len() != cipher.key_bytes().map_err(|_| OpenError::WrongKey)? {
        return Err(OpenError::WrongKey);
    }
    Ok((cipher, Zeroizing::new(key.to_vec())))
}

/// Whether the prefix repeats its last two bytes: a first look at the key.
fn repeats(prefix: &[u8]) -> bool {
    matches!(prefix, [.., a, b, c, d] if a == c && b == d)
}

/// What is between the prefix and the modification check, if that fits. All is looked at in any
/// case: how long it takes says nothing of the prefix.
fn checked(data: &[u8], prefix_bytes: usize) -> Result<&[u8], OpenError> {
    let cut = || malformed(0, "the encrypted data are cut short");
    let end = data.len().checked_sub(CHECK_BYTES).ok_or_else(cut)?;
    let (prefix, _) = data.split_at_checked(prefix_bytes).ok_or_else(cut)?;
    let inside = data.get(prefix_bytes..end).ok_or_else(cut)?;
    let (hashed, check) = data.split_at_checked(end + CHECK_HEADER.len()).ok_or_else(cut)?;
    let fits = sha1::Sha1::digest(hashed).as_slice().ct_eq(check);
    if repeats(prefix) & hashed.ends_with(&CHECK_HEADER) & bool::from(fits) {
        Ok(inside)
    } else {
        Err(OpenError::WrongKey)
    }
}
