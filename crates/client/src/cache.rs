//! The sealed host cache: lets a process start while no server answers. It is opt-in twice, by the
//! client and by the ring's policy.
//!
//! A file holds the material of one ring as it last arrived, sealed with AES-256-GCM under a key
//! that is derived from the consumer's token. Whoever cannot read the token cannot read the cache;
//! and whoever can, could ask the server for the same. Nothing in a file is believed before its
//! seal was opened.
//!
//! A file stands on the word of the instance whose contact it notes: as long as that instance
//! counts as running or lost, the servers expect somebody to protect with these keys. An instance
//! that says goodbye therefore withdraws the permission to protect first.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::{aead, hkdf};
use keywheel_core::id::RingName;
use keywheel_core::time::Span;
use zeroize::Zeroizing;

use crate::clock::BootTime;
use crate::http::Token;
use crate::private::{self, Refusal};

const MAGIC: &[u8; 8] = b"kwcache1";
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
const KEY_INFO: &[u8] = b"keywheel/host-cache/v1";
const BOOT_ID_PATH: &str = "/proc/sys/kernel/random/boot_id";
const BOOT_ID_BYTES: usize = 36;

/// Why the host cache was not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    /// The system refused.
    #[error(
        "the host cache {} cannot be used ({source}); give this process a directory of its own \
         with mode 0700",
        path.display()
    )]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could have put it there, or could read it.
    #[error(
        "the host cache {} is not private: {why}; remove it, and give this process a directory of \
         its own with mode 0700",
        path.display()
    )]
    NotPrivate {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// It was torn, edited, or sealed under another token.
    #[error(
        "the host cache of ring {ring} does not open and was ignored: it is damaged or belongs to \
         another token; it is written anew with the next contact"
    )]
    Damaged {
        /// The ring.
        ring: String,
    },
}

impl CacheError {
    pub(crate) fn damaged(ring: &RingName) -> Self {
        Self::Damaged { ring: ring.to_string() }
    }
}

/// What the cache holds of one ring.
pub(crate) struct Entry {
    /// When a server last confirmed this, on the wall clock.
    pub(crate) contact_wall_millis: i64,
    /// The same on the boot clock.
    pub(crate) contact: BootTime,
    /// On whose word it stands.
    pub(crate) instance: String,
    /// Whether to protect with it.
    pub(crate) may_protect: bool,
    /// The material as it arrived.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// An entry that was read back.
pub(crate) struct Recalled {
    pub(crate) may_protect: bool,
    pub(crate) body: Zeroizing<Vec<u8>>,
    instance: String,
    contact_wall_millis: i64,
    contact: BootTime,
    same_boot: bool,
}

impl Recalled {
    /// How long ago the contact was; `None` when that cannot be known. Within one boot both clocks
    /// are asked and the longer answer counts, so that setting the wall clock back gains nothing.
    pub(crate) fn age(&self, now: BootTime, wall_millis: i64) -> Option<Span> {
        let by_wall = wall_millis.saturating_sub(self.contact_wall_millis);
        let by_wall = u64::try_from(by_wall).ok().map(Span::from_millis);
        let by_boot = self.same_boot.then(|| now.since(self.contact));
        match (by_wall, by_boot) {
            (wall, Some(boot)) => Some(wall.unwrap_or(Span::ZERO).max(boot)),
            (wall, None) => wall,
        }
    }
}

/// The cache of one consumer on this host.
pub(crate) struct HostCache {
    directory: PathBuf,
    /// The consumer's name, or the public id of its token.
    whose: String,
    key: Option<aead::LessSafeKey>,
}

fn derive(token: &Token) -> Option<aead::LessSafeKey> {
    let secret = token.expose().as_bytes();
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret);
    let material = extracted.expand(&[KEY_INFO], &aead::AES_256_GCM).ok()?;
    Some(aead::LessSafeKey::new(aead::UnboundKey::from(material)))
}

fn boot_id() -> Option<[u8; BOOT_ID_BYTES]> {
    let text = fs::read(BOOT_ID_PATH).ok()?;
    text.get(..BOOT_ID_BYTES)?.try_into().ok()
}

impl HostCache {
    pub(crate) fn new(directory: &Path, token: &Token, whose: &str) -> Self {
        let directory = directory.to_owned();
        Self { directory, whose: whose.to_owned(), key: derive(token) }
    }

    fn path(&self, ring: &RingName) -> PathBuf {
        self.directory.join(format!("{}@{ring}.kwcache", self.whose))
    }

    fn associated(&self, ring: &RingName) -> Vec<u8> {
        // Names hold no `/`.
        [MAGIC.as_slice(), self.whose.as_bytes(), b"/", ring.as_str().as_bytes()].concat()
    }

    /// Writes an entry in one step: a reader sees the old one or the new one.
    pub(crate) fn store(&self, ring: &RingName, entry: &Entry) -> Result<(), CacheError> {
        self.check_directory()?;
        let sealed = self.seal(ring, entry).ok_or_else(|| CacheError::damaged(ring))?;
        let path = self.path(ring);
        let temporary = self.directory.join(format!(".{ring}.{}.new", std::process::id()));
        private::write(&path, &temporary, &sealed).map_err(|source| CacheError::Io { path, source })
    }

    /// Reads an entry; nothing when there is none.
    pub(crate) fn load(&self, ring: &RingName) -> Result<Option<Recalled>, CacheError> {
        let path = self.path(ring);
        let sealed = match private::read(&path, MAX_FILE_BYTES) {
            Ok(None) => return Ok(None),
            Ok(Some(sealed)) => sealed,
            Err(Refusal::Io(source)) => return Err(CacheError::Io { path, source }),
            Err(Refusal::NotPrivate(why)) => return Err(CacheError::NotPrivate { path, why }),
        };
        self.check_directory()?;
        self.open(ring, &sealed).map(Some).ok_or_else(|| CacheError::damaged(ring))
    }

    /// Takes back the permission to protect with what stands on this instance's word.
    pub(crate) fn withdraw(&self, ring: &RingName, instance: &str) {
        let Ok(Some(found)) = self.load(ring) else { return };
        if found.instance != instance || !found.may_protect {
            return;
        }
        let entry = Entry {
            contact_wall_millis: found.contact_wall_millis,
            contact: found.contact,
            instance: found.instance,
            may_protect: false,
            body: found.body,
        };
        if self.store(ring, &entry).is_err() {
            // Better no cache than one that promises too much.
            let _ = fs::remove_file(self.path(ring));
        }
    }

    fn check_directory(&self) -> Result<(), CacheError> {
        let path = || self.directory.clone();
        let made = fs::DirBuilder::new().mode(0o700).create(&self.directory);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(CacheError::Io { path: path(), source: error });
            }
            _ => {}
        }
        let facts = fs::symlink_metadata(&self.directory)
            .map_err(|source| CacheError::Io { path: path(), source })?;
        let why = if !facts.is_dir() {
            "it is not a directory"
        } else if facts.uid() != rustix::process::geteuid().as_raw() {
            "it belongs to another user"
        } else if facts.mode() & 0o077 != 0 {
            "others may enter it"
        } else {
            return Ok(());
        };
        Err(CacheError::NotPrivate { path: path(), why })
    }

    /// The layout: magic, nonce, sealed text. The text: wall time, boot time, boot id, whether to
    /// protect, length and name of the instance, material.
    fn seal(&self, ring: &RingName, entry: &Entry) -> Option<Vec<u8>> {
        let mut nonce = [0; aead::NONCE_LEN];
        rustix::rand::getrandom(&mut nonce, rustix::rand::GetRandomFlags::empty()).ok()?;
        let length = u8::try_from(entry.instance.len()).ok()?;
        let room = entry.body.len().saturating_add(512);
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        text.extend_from_slice(&entry.contact_wall_millis.to_be_bytes());
        text.extend_from_slice(&entry.contact.0.to_be_bytes());
        text.extend_from_slice(&boot_id().unwrap_or([0; BOOT_ID_BYTES]));
        text.extend_from_slice(&[u8::from(entry.may_protect), length]);
        text.extend_from_slice(entry.instance.as_bytes());
        text.extend_from_slice(&entry.body);
        let tag = self
            .key
            .as_ref()?
            .seal_in_place_separate_tag(
                aead::Nonce::assume_unique_for_key(nonce),
                aead::Aad::from(self.associated(ring)),
                &mut text,
            )
            .ok()?;
        Some([MAGIC.as_slice(), &nonce, &text, tag.as_ref()].concat())
    }

    fn open(&self, ring: &RingName, sealed: &[u8]) -> Option<Recalled> {
        let rest = sealed.strip_prefix(MAGIC.as_slice())?;
        let (nonce, rest) = rest.split_first_chunk::<{ aead::NONCE_LEN }>()?;
        let mut buffer = Zeroizing::new(rest.to_vec());
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let aad = aead::Aad::from(self.associated(ring));
        let text: &[u8] = self.key.as_ref()?.open_in_place(nonce, aad, &mut buffer).ok()?;
        let (wall, text) = text.split_first_chunk::<8>()?;
        let (contact, text) = text.split_first_chunk::<8>()?;
        let (boot, text) = text.split_first_chunk::<BOOT_ID_BYTES>()?;
        let ([may_protect, length], text) = text.split_first_chunk::<2>()?;
        let (instance, body) = text.split_at_checked(usize::from(*length))?;
        Some(Recalled {
            may_protect: *may_protect == 1,
            body: Zeroizing::new(body.to_vec()),
            instance: str::from_utf8(instance).ok()?.to_owned(),
            contact_wall_millis: i64::from_be_bytes(*wall),
            contact: BootTime(u64::from_be_bytes(*contact)),
            same_boot: boot_id().is_some_and(|present| present == *boot),
        })
    }
}

#[cfg(test)]
mod tests;
