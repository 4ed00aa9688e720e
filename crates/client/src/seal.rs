//! Values of a ring that encrypts: sealed with the primary, opened with every version that this
//! process holds. What a value looks like stands in `keywheel_codec`; here the keys, the guard, the
//! clock and the counts come to it.

use std::sync::Arc;

use keywheel_codec::{Format, Key, Limits, Opened, Shape, WriteOptions, fernet, pgp, sealed};
use keywheel_core::id::VersionNumber;
use keywheel_core::kind::{EncryptionAlgorithm, Kind};
use keywheel_jose::Material;
use zeroize::Zeroizing;

use crate::client::RingHandle;
use crate::clock::wall_millis;
use crate::error::{ClientError, ProtectError};
use crate::keyset::{Keyset, Version};
use crate::random;

const ARMOR: &[u8] = b"-----BEGIN PGP MESSAGE-----";

/// A value that was opened.
pub struct OpenedValue {
    /// The version that sealed it.
    pub version: Arc<Version>,
    /// The plaintext.
    pub plain: Zeroizing<Vec<u8>>,
}

/// Why nothing was sealed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Nothing may be protected now.
    #[error(transparent)]
    Protect(#[from] ProtectError),
    /// The ring's keys do not encrypt.
    #[error("the keys of this ring seal no values; use a ring of the kind `encryption`")]
    WrongKind,
    /// The format of the ring has no place for a context.
    #[error(
        "Fernet tokens and OpenPGP messages authenticate no context; leave it out, or use a ring of \
         the algorithm AES-256-GCM or ChaCha20-Poly1305"
    )]
    Context,
    /// The key or the plaintext does not fit the format.
    #[error(transparent)]
    Format(#[from] keywheel_codec::SealError),
}

/// Why a value does not open.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The client cannot do its work.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The ring's keys do not encrypt.
    #[error("the keys of this ring open no values; use a ring of the kind `encryption`")]
    WrongKind,
    /// The format of the ring has no place for a context.
    #[error(
        "Fernet tokens and OpenPGP messages authenticate no context; leave it out, or use a ring of \
         the algorithm AES-256-GCM or ChaCha20-Poly1305"
    )]
    Context,
    /// The value names a version that is not accepted, or no accepted version opens it.
    #[error(
        "no accepted version opens the value: its key was retired or is of another ring, the \
         context is another one, or the value is damaged"
    )]
    NoKey,
    /// It is no value of the ring.
    #[error("it is no value of this ring: {0}")]
    Format(#[from] keywheel_codec::OpenError),
}

/// What is sealed, which an OpenPGP message tells.
#[derive(Clone, Copy)]
enum Literal {
    Text,
    Bytes,
}

const fn algorithm(kind: &Kind) -> Option<EncryptionAlgorithm> {
    match kind {
        Kind::Encryption { algorithm } => Some(*algorithm),
        Kind::Secret { .. } | Kind::Signing { .. } | Kind::External => None,
    }
}

/// The key of a version. A passphrase of a ring has 128 bits at least, as its kind says.
fn key(material: &Material) -> Key {
    Key::generated(material.expose().to_vec())
}

impl RingHandle {
    /// Seals bytes with the primary: into an OpenPGP message where the ring's algorithm is
    /// `passphrase`, as `pgp_sym_encrypt_bytea` would; into a Fernet token where it is `Fernet`;
    /// otherwise into keywheel's own format. `context` says where the value belongs, and has to be
    /// given again to open it; it is empty where the format has no place for it.
    ///
    /// # Errors
    /// When nothing may be protected, or the ring is of another kind.
    pub fn seal(&self, plain: &[u8], context: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal_literal(plain, Literal::Bytes, context)
    }

    /// The same for a text, which `pgp_sym_decrypt` gives back as one.
    ///
    /// # Errors
    /// Those of [`RingHandle::seal`].
    pub fn seal_text(&self, plain: &str, context: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal_literal(plain.as_bytes(), Literal::Text, context)
    }

    fn seal_literal(
        &self,
        plain: &[u8],
        literal: Literal,
        context: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let guard = self.guard()?;
        let algorithm = algorithm(guard.material().kind()).ok_or(SealError::WrongKind)?;
        let key = key(guard.material());
        let fill = &mut random::fill;
        if let Some(algorithm) = own(algorithm) {
            let header = sealed::Header { algorithm, version: guard.number().0 };
            return Ok(sealed::seal(plain, &key, header, context, fill)?);
        }
        if !context.is_empty() {
            return Err(SealError::Context);
        }
        let (format, shape) = match (algorithm, literal) {
            (EncryptionAlgorithm::Fernet, _) => {
                let now = u64::try_from(wall_millis().div_euclid(1_000)).unwrap_or(0);
                (Format::Fernet, Shape::Fernet(fernet::Shape::created_at(now)))
            }
            (_, Literal::Text) => (Format::Pgp, Shape::Pgp(pgp::Shape::text())),
            (_, Literal::Bytes) => (Format::Pgp, Shape::Pgp(pgp::Shape::bytes())),
        };
        let write = WriteOptions { pgp: pgp::Write::for_key(&key), version: guard.number().0 };
        let opened = Opened { plain: Zeroizing::new(plain.to_vec()), shape };
        Ok(format.seal(&opened, &key, &write, fill)?)
    }

    /// Opens a value: with the version that it names, otherwise with every version that is held,
    /// the primary first. It counts as processed for the version that opens it, and as rejected for
    /// one that it names and that did not seal it. A ring of the algorithm `passphrase` also opens
    /// what pgcrypto sealed, in armor too.
    ///
    /// # Errors
    /// When no accepted version opens it, it is no value, the ring is of another kind, or nothing
    /// has arrived.
    pub fn open(&self, value: &[u8], context: &[u8]) -> Result<OpenedValue, OpenError> {
        let keyset = self.current()?;
        match sealed::census(value) {
            Ok(header) => self.open_named(&keyset, VersionNumber(header.version), value, context),
            Err(_) => open_by_trial(&keyset, value, context),
        }
    }

    /// Opens a value in keywheel's own format.
    fn open_named(
        &self,
        keyset: &Keyset,
        number: VersionNumber,
        value: &[u8],
        context: &[u8],
    ) -> Result<OpenedValue, OpenError> {
        if keyset.by_number(number).is_none() {
            // Whoever has not heard of a version asks for it.
            if let Some(version) = self.ask_again(|keyset| keyset.by_number(number).cloned())? {
                return open_with(&version, value, context).inspect_err(|_| version.rejected(1));
            }
        }
        let opened = open_by_trial(keyset, value, context);
        if matches!(opened, Err(OpenError::NoKey))
            && let Some(version) = keyset.by_number(number)
        {
            version.rejected(1);
        }
        opened
    }
}

/// keywheel's own format for this algorithm, where it has one.
const fn own(algorithm: EncryptionAlgorithm) -> Option<sealed::Algorithm> {
    match algorithm {
        EncryptionAlgorithm::Aes256Gcm => Some(sealed::Algorithm::Aes256Gcm),
        EncryptionAlgorithm::ChaCha20Poly1305 => Some(sealed::Algorithm::ChaCha20Poly1305),
        EncryptionAlgorithm::Fernet | EncryptionAlgorithm::Passphrase => None,
    }
}

/// Tries the version that the value names, which may be one of a former life too, and then every
/// other one. What is wrong with the value itself is said only where no version opens it.
fn open_by_trial(keyset: &Keyset, value: &[u8], context: &[u8]) -> Result<OpenedValue, OpenError> {
    let named = sealed::census(value).ok().map(|header| VersionNumber(header.version));
    let is_named = |version: &&Arc<Version>| Some(version.number()) == named;
    let first = keyset.versions().iter().filter(is_named);
    let others = keyset.in_order_of_trial().filter(|version| !is_named(version));
    let mut refusal = None;
    for version in first.chain(others) {
        match open_with(version, value, context) {
            Ok(opened) => return Ok(opened),
            // That a key is the wrong one says the least.
            Err(OpenError::NoKey) => refusal = refusal.or(Some(OpenError::NoKey)),
            Err(error @ OpenError::WrongKind) => refusal = refusal.or(Some(error)),
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.unwrap_or(OpenError::NoKey))
}

/// Opens a value with one version, and counts it where that succeeds.
fn open_with(
    version: &Arc<Version>,
    value: &[u8],
    context: &[u8],
) -> Result<OpenedValue, OpenError> {
    let (Some(material), Some(algorithm)) = (version.material(), algorithm(version.kind())) else {
        return Err(OpenError::WrongKind);
    };
    let (key, limits) = (key(material), Limits::default());
    let opened = if own(algorithm).is_some() {
        sealed::open(value, &key, context, limits)
    } else if !context.is_empty() {
        return Err(OpenError::Context);
    } else {
        let format = match algorithm {
            EncryptionAlgorithm::Fernet => Format::Fernet,
            _ if value.trim_ascii_start().starts_with(ARMOR) => Format::PgpArmored,
            _ => Format::Pgp,
        };
        format.open(value, &key, limits)
    };
    match opened {
        Ok(opened) => {
            version.processed(1);
            Ok(OpenedValue { version: Arc::clone(version), plain: opened.plain })
        }
        Err(keywheel_codec::OpenError::WrongKey) => Err(OpenError::NoKey),
        Err(error) => Err(error.into()),
    }
}
