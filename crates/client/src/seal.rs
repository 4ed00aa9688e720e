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
    /// The format of the ring has no form that is text.
    #[error(
        "keywheel's own format is bytes and not text; use a column of bytes, or a ring of the \
         algorithm Fernet or passphrase"
    )]
    NoText,
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

/// What kind of column the value is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Bytes,
    Text,
}

const fn algorithm(kind: &Kind) -> Option<EncryptionAlgorithm> {
    match kind {
        Kind::Encryption { algorithm } => Some(*algorithm),
        Kind::Secret { .. } | Kind::Signing { .. } | Kind::External => None,
    }
}

/// The key of a version. A passphrase that was imported and may be guessed keeps its stretching.
fn key(version: &Version, material: &Material) -> Key {
    let bytes = material.expose().to_vec();
    if version.is_guessable { Key::passphrase(bytes) } else { Key::generated(bytes) }
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
        self.seal_literal(plain, Literal::Bytes, Column::Bytes, context)
    }

    /// The same for a text, which `pgp_sym_decrypt` gives back as one.
    ///
    /// # Errors
    /// Those of [`RingHandle::seal`].
    pub fn seal_text(&self, plain: &str, context: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal_literal(plain.as_bytes(), Literal::Text, Column::Bytes, context)
    }

    /// Seals bytes for a column that is text: into an OpenPGP message in armor, as
    /// `armor(pgp_sym_encrypt_bytea(…))` would, or into a Fernet token.
    ///
    /// # Errors
    /// Those of [`RingHandle::seal`], and when the ring's format has no form that is text.
    pub fn seal_armored(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.seal_literal(plain, Literal::Bytes, Column::Text, &[])
    }

    /// The same for a text.
    ///
    /// # Errors
    /// Those of [`RingHandle::seal_armored`].
    pub fn seal_text_armored(&self, plain: &str) -> Result<Vec<u8>, SealError> {
        self.seal_literal(plain.as_bytes(), Literal::Text, Column::Text, &[])
    }

    fn seal_literal(
        &self,
        plain: &[u8],
        literal: Literal,
        column: Column,
        context: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let guard = self.guard()?;
        let algorithm = algorithm(guard.material().kind()).ok_or(SealError::WrongKind)?;
        let key = key(guard.version(), guard.material());
        let fill = &mut random::fill;
        if let Some(algorithm) = own(algorithm) {
            if column == Column::Text {
                return Err(SealError::NoText);
            }
            let header = sealed::Header { algorithm, version: guard.number().0 };
            return Ok(sealed::seal(plain, &key, header, context, fill)?);
        }
        if !context.is_empty() {
            return Err(SealError::Context);
        }
        let messages = match column {
            Column::Bytes => Format::Pgp,
            Column::Text => Format::PgpArmored,
        };
        let (format, shape) = match (algorithm, literal) {
            (EncryptionAlgorithm::Fernet, _) => {
                let now = u64::try_from(wall_millis().div_euclid(1_000)).unwrap_or(0);
                (Format::Fernet, Shape::Fernet(fernet::Shape::created_at(now)))
            }
            (_, Literal::Text) => (messages, Shape::Pgp(pgp::Shape::text())),
            (_, Literal::Bytes) => (messages, Shape::Pgp(pgp::Shape::bytes())),
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

    /// Opens many values, each as [`RingHandle::open`] would, in the order in which they were
    /// given. What OpenPGP messages cost to open is computed for several at once, so this is the
    /// way to read many rows.
    ///
    /// # Errors
    /// When nothing has arrived. What is wrong with one value stands in its place.
    pub fn open_many(
        &self,
        values: &[&[u8]],
        context: &[u8],
    ) -> Result<Vec<Result<OpenedValue, OpenError>>, ClientError> {
        let keyset = self.current()?;
        let is_named = |value: &[u8]| sealed::census(value).is_ok();
        let mut trials: Vec<_> = values
            .iter()
            .map(|value| Trial { value, outcome: None, is_open: is_named(value) })
            .collect();
        for version in keyset.in_order_of_trial() {
            try_many(version, &mut trials, context);
        }
        let settled = |trial: Trial<'_>| match trial.outcome {
            Some(outcome) => outcome,
            None if is_named(trial.value) => self.open(trial.value, context),
            None => Err(OpenError::NoKey),
        };
        Ok(trials.into_iter().map(settled).collect())
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
            Err(error) => refusal = Some(says_more(refusal, error)),
        }
    }
    Err(refusal.unwrap_or(OpenError::NoKey))
}

/// Which of two refusals is told. That a key is the wrong one says the least.
fn says_more(former: Option<OpenError>, error: OpenError) -> OpenError {
    match (former, error) {
        (Some(former), OpenError::NoKey | OpenError::WrongKind) => former,
        (_, error) => error,
    }
}

/// A value among many, and what the versions that were tried made of it.
struct Trial<'a> {
    value: &'a [u8],
    outcome: Option<Result<OpenedValue, OpenError>>,
    /// Nothing more is tried.
    is_open: bool,
}

/// Opens with one version whatever is still closed.
fn try_many(version: &Arc<Version>, trials: &mut [Trial<'_>], context: &[u8]) {
    for format in [Format::Pgp, Format::PgpArmored] {
        let is_armored = matches!(format, Format::PgpArmored);
        let mut meant: Vec<_> = trials
            .iter_mut()
            .filter(|trial| !trial.is_open && is_armor(trial.value) == is_armored)
            .collect();
        let values: Vec<&[u8]> = meant.iter().map(|trial| trial.value).collect();
        let opened = open_each_with(version, &values, &format, context);
        for (trial, opened) in meant.iter_mut().zip(opened) {
            trial.is_open = opened.is_ok();
            let former = trial.outcome.take().and_then(Result::err);
            trial.outcome = Some(opened.map_err(|error| says_more(former, error)));
        }
    }
}

fn is_armor(value: &[u8]) -> bool {
    value.trim_ascii_start().starts_with(ARMOR)
}

/// Opens a value with one version, and counts it where that succeeds.
fn open_with(
    version: &Arc<Version>,
    value: &[u8],
    context: &[u8],
) -> Result<OpenedValue, OpenError> {
    let messages = if is_armor(value) { Format::PgpArmored } else { Format::Pgp };
    let mut opened = open_each_with(version, &[value], &messages, context);
    opened.pop().unwrap_or(Err(OpenError::NoKey))
}

/// Opens values with one version, and counts those where that succeeds. `messages` is how OpenPGP
/// messages among them are written.
fn open_each_with(
    version: &Arc<Version>,
    values: &[&[u8]],
    messages: &Format,
    context: &[u8],
) -> Vec<Result<OpenedValue, OpenError>> {
    let refused = |error: OpenError| values.iter().map(|_| Err(error.clone())).collect();
    let (Some(material), Some(algorithm)) = (version.material(), algorithm(version.kind())) else {
        return refused(OpenError::WrongKind);
    };
    let (key, limits) = (key(version, material), Limits::default());
    let opened: Vec<_> = if own(algorithm).is_some() {
        values.iter().map(|value| sealed::open(value, &key, context, limits)).collect()
    } else if !context.is_empty() {
        return refused(OpenError::Context);
    } else if algorithm == EncryptionAlgorithm::Fernet {
        Format::Fernet.open_many(values, &key, limits)
    } else {
        messages.open_many(values, &key, limits)
    };
    let count = opened.iter().filter(|opened| opened.is_ok()).count();
    if count > 0 {
        version.processed(u64::try_from(count).unwrap_or(u64::MAX));
    }
    let said = |opened: Result<Opened, keywheel_codec::OpenError>| match opened {
        Ok(opened) => Ok(OpenedValue { version: Arc::clone(version), plain: opened.plain }),
        Err(keywheel_codec::OpenError::WrongKey) => Err(OpenError::NoKey),
        Err(error) => Err(error.into()),
    };
    opened.into_iter().map(said).collect()
}
