//! Sealing: what turns a document into the only bytes that a store ever sees, and back.
//!
//! Each subject (a store key such as `ring/web-session`) has a data key of its own, which the
//! master key wraps. The ciphertext is bound to subject, incarnation and revision, so a row that
//! was edited, torn, or moved to another key does not open. That an old row was put back whole is
//! left to the high-water mark to notice, from the revision.

mod port;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest;
use keywheel_engine::ports::{Entropy, Kek, KekError, KekId, WrappedKey};
use zeroize::Zeroizing;

use crate::envelope::{Envelope, EnvelopeError, PLAINTEXT_BYTES_MAX, USES_MAX};

const SEAL_DOMAIN: &str = "keywheel/seal/v1";
const DATA_KEY_DOMAIN: &str = "keywheel/data-key/v1";

/// What a sealed value belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The store key under which it stands: `ring/web-session`.
    pub key: &'a str,
    /// The incarnation of the ring; 1 to 64 printable ASCII characters without spaces.
    pub incarnation: &'a str,
    /// The revision of the document.
    pub revision: u64,
}

/// A value that was opened, with what it turned out to belong to.
pub struct Unsealed {
    /// Its incarnation, now authentic.
    pub incarnation: String,
    /// Its revision, now authentic.
    pub revision: u64,
    /// The document.
    pub plaintext: Zeroizing<Vec<u8>>,
}

/// Why a value could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It was sealed under a master key that this server was not given.
    #[error("{subject} was sealed under master key {}, but the server was given {}", needed.0, given.0)]
    WrongKek {
        /// The store key.
        subject: String,
        /// The master key that it needs.
        needed: KekId,
        /// The one at hand.
        given: KekId,
    },
    /// It was edited, torn, or moved there from elsewhere.
    #[error("{subject} is damaged: {detail}")]
    Damaged {
        /// The store key.
        subject: String,
        /// What is wrong with it.
        detail: String,
    },
    /// It cannot be sealed as it is.
    #[error("{subject} cannot be sealed: {detail}")]
    Refused {
        /// The store key.
        subject: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The master key provider failed.
    #[error("the data key of {subject} cannot be wrapped or opened")]
    Kek {
        /// The store key.
        subject: String,
        /// What the provider said.
        source: KekError,
    },
}

impl SealError {
    /// What the operator can do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::WrongKek { needed, .. } => format!(
                "give the server the master key whose id is {}; nothing was changed",
                needed.0
            ),
            Self::Damaged { .. } => {
                "restore it from the last backup; a row edited by hand is never believed".to_owned()
            }
            Self::Refused { .. } => {
                "this is a fault in keywheel; please report it with this message".to_owned()
            }
            Self::Kek { .. } => "check the master key provider, then try again".to_owned(),
        }
    }

    fn damaged(subject: &str, detail: impl Into<String>) -> Self {
        Self::Damaged { subject: subject.to_owned(), detail: detail.into() }
    }

    fn refused(subject: &str, detail: impl Into<String>) -> Self {
        Self::Refused { subject: subject.to_owned(), detail: detail.into() }
    }

    fn kek(subject: &str, error: KekError) -> Self {
        let subject = subject.to_owned();
        match error {
            KekError::WrongKey { needed, given } => Self::WrongKek { subject, needed, given },
            KekError::Damaged => Self::Damaged {
                subject,
                detail: "its data key does not open; the row was changed, torn, or moved from \
                         another key"
                    .to_owned(),
            },
            source => Self::Kek { subject, source },
        }
    }
}

/// Seals and opens values under a master key.
///
/// ```
/// use std::sync::Arc;
/// use keywheel_store::{FileKek, Sealer, Subject, SystemEntropy};
///
/// # let folder = tempfile::tempdir()?;
/// let entropy = Arc::new(SystemEntropy);
/// let kek = FileKek::open_or_create(&folder.path().join("master.key"), entropy.clone())?;
/// let sealer = Sealer::new(Arc::new(kek), entropy);
/// let subject = Subject { key: "ring/web-session", incarnation: "b1f0", revision: 7 };
/// let sealed = sealer.seal(&subject, b"the document")?;
/// assert_eq!(sealer.open(&subject, &sealed)?.as_slice(), b"the document");
/// assert!(sealer.open(&Subject { key: "ring/other", ..subject }, &sealed).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sealer {
    kek: Arc<dyn Kek>,
    entropy: Arc<dyn Entropy>,
    opened: DataKeys,
}

impl Sealer {
    /// Seals under this master key, with nonces and data keys from this source.
    pub fn new(kek: Arc<dyn Kek>, entropy: Arc<dyn Entropy>) -> Self {
        Self { kek, entropy, opened: DataKeys::default() }
    }

    /// Seals a value under a data key of its own.
    ///
    /// # Errors
    /// When the value is larger than 16 MiB, the incarnation is no name, or the master key fails.
    pub fn seal(&self, subject: &Subject<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut data_key = DataKey::new(Zeroizing::new([0; 32]));
        if let Some(bytes) = Arc::get_mut(&mut data_key) {
            self.entropy.fill(bytes.as_mut_slice());
        }
        let wrapped = self.wrap(subject.key, &data_key)?;
        self.seal_with(subject, plaintext, &data_key, wrapped, 1)
    }

    /// Seals the successor of a value under the same data key, which saves the wrap. Takes a fresh
    /// one when the incarnation or the master key has changed or the data key has served its time.
    ///
    /// # Errors
    /// As [`Sealer::seal`]; and when the previous value does not open.
    pub fn seal_after(
        &self,
        subject: &Subject<'_>,
        plaintext: &[u8],
        previous: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let previous = parse(subject.key, previous)?;
        let reusable = previous.incarnation == subject.incarnation
            && *previous.kek() == self.kek.id()
            && previous.uses < USES_MAX;
        if !reusable {
            return self.seal(subject, plaintext);
        }
        // Opening it proves the use count, which somebody could otherwise set back in the store.
        let data_key = self.unwrap(subject.key, &previous.wrapped)?;
        decrypt(subject.key, &previous, &data_key)?;
        let uses = previous.uses + 1;
        self.seal_with(subject, plaintext, &data_key, previous.wrapped, uses)
    }

    /// Opens a value that must belong to exactly this subject.
    ///
    /// # Errors
    /// When it needs another master key, was changed or torn, or belongs elsewhere.
    pub fn open(
        &self,
        subject: &Subject<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let envelope = parse(subject.key, sealed)?;
        if (envelope.incarnation, envelope.revision) != (subject.incarnation, subject.revision) {
            return Err(SealError::damaged(
                subject.key,
                format!(
                    "it is revision {} of incarnation {}, and revision {} of {} was expected",
                    envelope.revision, envelope.incarnation, subject.revision, subject.incarnation
                ),
            ));
        }
        let data_key = self.unwrap(subject.key, &envelope.wrapped)?;
        decrypt(subject.key, &envelope, &data_key)
    }

    /// Opens whatever genuine value stands under this key, and says which one it is. The caller
    /// compares that with the high-water mark.
    ///
    /// # Errors
    /// When it needs another master key, was changed or torn, or belongs to another key.
    pub fn unseal(&self, key: &str, sealed: &[u8]) -> Result<Unsealed, SealError> {
        let envelope = parse(key, sealed)?;
        let data_key = self.unwrap(key, &envelope.wrapped)?;
        let plaintext = decrypt(key, &envelope, &data_key)?;
        let (incarnation, revision) = (envelope.incarnation.to_owned(), envelope.revision);
        Ok(Unsealed { incarnation, revision, plaintext })
    }

    /// Moves a value to the present master key: only its data key is wrapped anew, the ciphertext
    /// stays. A value that is there already comes back as it was.
    ///
    /// Whoever has both the former master key and the former bytes still knows the data key; after
    /// the theft of a master key, [`Sealer::seal`] each value again.
    ///
    /// # Errors
    /// When the former master key is not at hand, or the value was changed or torn.
    pub fn rewrap(&self, key: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut envelope = parse(key, sealed)?;
        if *envelope.kek() == self.kek.id() {
            return Ok(sealed.to_vec());
        }
        let data_key = self.unwrap(key, &envelope.wrapped)?;
        envelope.wrapped = self.wrap(key, &data_key)?;
        envelope.encode().map_err(|error| SealError::refused(key, error.to_string()))
    }

    fn seal_with(
        &self,
        subject: &Subject<'_>,
        plaintext: &[u8],
        data_key: &DataKey,
        wrapped: WrappedKey,
        uses: u32,
    ) -> Result<Vec<u8>, SealError> {
        if plaintext.len() > PLAINTEXT_BYTES_MAX {
            return Err(SealError::refused(subject.key, "it is larger than 16 MiB"));
        }
        let mut nonce = [0; 12];
        self.entropy.fill(&mut nonce);
        // Room for the tag, so that no copy of the plaintext is left behind by a growing buffer.
        let mut buffer = Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len());
        buffer.extend_from_slice(plaintext);
        let associated = associated_data(subject, uses);
        cipher(data_key)
            .and_then(|cipher| {
                let nonce = Nonce::assume_unique_for_key(nonce);
                cipher.seal_in_place_append_tag(nonce, Aad::from(associated), &mut buffer)
            })
            .map_err(|_| SealError::refused(subject.key, "the cipher refused it"))?;
        let Subject { key, incarnation, revision } = *subject;
        let envelope =
            Envelope { wrapped, uses, incarnation, revision, nonce, ciphertext: &buffer };
        envelope.encode().map_err(|error| SealError::refused(key, error.to_string()))
    }

    fn wrap(&self, key: &str, data_key: &DataKey) -> Result<WrappedKey, SealError> {
        let wrapped = self
            .kek
            .wrap(&wrap_context(key), data_key)
            .map_err(|error| SealError::kek(key, error))?;
        self.opened.put(DataKeys::name(key, &wrapped), data_key);
        Ok(wrapped)
    }

    fn unwrap(&self, key: &str, wrapped: &WrappedKey) -> Result<DataKey, SealError> {
        let name = DataKeys::name(key, wrapped);
        if let Some(known) = self.opened.find(&name) {
            return Ok(known);
        }
        let data_key = self
            .kek
            .unwrap(&wrap_context(key), wrapped)
            .map(DataKey::new)
            .map_err(|error| SealError::kek(key, error))?;
        self.opened.put(name, &data_key);
        Ok(data_key)
    }
}

fn parse<'a>(key: &str, sealed: &'a [u8]) -> Result<Envelope<'a>, SealError> {
    Envelope::parse(sealed)
        .map_err(|error: EnvelopeError| SealError::damaged(key, error.to_string()))
}

fn decrypt(
    key: &str,
    envelope: &Envelope<'_>,
    data_key: &DataKey,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let changed = |_| SealError::damaged(key, "it was changed or torn since keywheel wrote it");
    let subject = Subject { key, incarnation: envelope.incarnation, revision: envelope.revision };
    let associated = Aad::from(associated_data(&subject, envelope.uses));
    let nonce = Nonce::assume_unique_for_key(envelope.nonce);
    let mut buffer = Zeroizing::new(envelope.ciphertext.to_vec());
    let cipher = cipher(data_key).map_err(changed)?;
    let plaintext_bytes =
        cipher.open_in_place(nonce, associated, &mut buffer).map_err(changed)?.len();
    buffer.truncate(plaintext_bytes);
    Ok(buffer)
}

fn cipher(data_key: &DataKey) -> Result<LessSafeKey, aws_lc_rs::error::Unspecified> {
    UnboundKey::new(&AES_256_GCM, data_key.as_slice()).map(LessSafeKey::new)
}

/// Every field with its length before it, so that no two subjects give the same bytes. The master
/// key and the wrapped data key stay out: they change when the master key rotates.
fn associated_data(subject: &Subject<'_>, uses: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    for text in [SEAL_DOMAIN, subject.key, subject.incarnation] {
        push_counted(&mut out, text.as_bytes());
    }
    out.extend_from_slice(&subject.revision.to_be_bytes());
    out.extend_from_slice(&uses.to_be_bytes());
    out
}

fn wrap_context(key: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    push_counted(&mut out, DATA_KEY_DOMAIN.as_bytes());
    push_counted(&mut out, key.as_bytes());
    out
}

fn push_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A data key that stays where it is on the heap until it is wiped there.
type DataKey = Arc<Zeroizing<[u8; 32]>>;

/// The data keys that were opened lately, so that a slow master key (a hardware token) is asked
/// once for each ring. Bounded by two generations: when the young one is full it becomes the old
/// one, and what nobody asked for since is wiped.
#[derive(Default)]
struct DataKeys {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<[u8; 32], DataKey>,
    old: HashMap<[u8; 32], DataKey>,
}

/// 100,000 rings fit into the two generations together.
const GENERATION_KEYS_MAX: usize = 65_536;

impl DataKeys {
    /// Names a data key by all that must agree for it to be the right one.
    fn name(key: &str, wrapped: &WrappedKey) -> [u8; 32] {
        let mut bytes = Vec::with_capacity(256);
        for part in [key.as_bytes(), wrapped.kek.0.as_bytes(), &wrapped.bytes] {
            push_counted(&mut bytes, part);
        }
        let mut name = [0; 32];
        name.copy_from_slice(digest::digest(&digest::SHA256, &bytes).as_ref());
        name
    }

    fn find(&self, name: &[u8; 32]) -> Option<DataKey> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = generations.young.get(name) {
            return Some(Arc::clone(known));
        }
        let known = generations.old.remove(name)?;
        generations.put(*name, Arc::clone(&known));
        Some(known)
    }

    fn put(&self, name: [u8; 32], data_key: &DataKey) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.put(name, Arc::clone(data_key));
    }
}

impl Generations {
    fn put(&mut self, name: [u8; 32], data_key: DataKey) {
        if self.young.len() >= GENERATION_KEYS_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, data_key);
    }
}

#[cfg(test)]
mod tests;
