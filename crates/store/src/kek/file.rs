//! The default master key: a file of mode 0600, made at first start.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keywheel_engine::ports::{Entropy, Kek as _, KekId};
use zeroize::{Zeroize as _, Zeroizing};

use super::error::KekOpenError;
use super::master::MasterKey;
use super::wrap_with_master_key;
use crate::private_file::{self, PrivateFileError, Readers};

const HEADER: &str = "keywheel master key v1";
/// A header, 64 digits and two line ends are under 100 bytes.
const FILE_BYTES_MAX: usize = 256;

/// A master key from a file.
///
/// ```
/// use std::sync::Arc;
/// use keywheel_engine::ports::Kek;
/// use keywheel_store::{FileKek, SystemEntropy};
///
/// # let folder = tempfile::tempdir()?;
/// let path = folder.path().join("master.key");
/// let made = FileKek::open_or_create(&path, Arc::new(SystemEntropy))?;
/// let again = FileKek::open(&path, Arc::new(SystemEntropy))?;
/// assert_eq!(made.id(), again.id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FileKek {
    master: MasterKey,
}

wrap_with_master_key!(FileKek);

impl FileKek {
    /// Reads the master key from a file: the form that keywheel writes, 64 hexadecimal digits, or
    /// 32 raw bytes.
    ///
    /// # Errors
    /// When there is no such file, others than its owner can reach it, or it holds no key.
    pub fn open(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, KekOpenError> {
        let contents = private_file::read(path, FILE_BYTES_MAX, Readers::OwnerOnly)?;
        let master = parse(path, &contents, entropy)?;
        Ok(Self { master })
    }

    /// The same, but makes a key when there is no file. Only for a store that holds nothing yet: a
    /// new key opens nothing that an old one sealed.
    ///
    /// # Errors
    /// As [`FileKek::open`]; and when the file cannot be written.
    pub fn open_or_create(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, KekOpenError> {
        match Self::open(path, Arc::clone(&entropy)) {
            Err(KekOpenError::File(PrivateFileError::Missing { .. })) => {}
            opened => return opened,
        }
        let mut key = Zeroizing::new([0_u8; 32]);
        entropy.fill(key.as_mut_slice());
        match private_file::create(path, &spell(&key)) {
            // Another process made one since the first look; that one counts.
            Err(PrivateFileError::Io { source, .. })
                if source.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        Self::open(path, entropy)
    }
}

/// The replacement of a key file, in steps that can each be repeated after a crash.
///
/// While it lasts, the next key stands beside the present one in `<file>.next`, and
/// [`KekSource::open`](super::KekSource::open) gives a ring of both. Once every value was
/// rewrapped, [`FileRotation::finish`] gives the next key the file's name and keeps the former one,
/// which older backups still need, under its id.
pub struct FileRotation {
    path: PathBuf,
    former: KekId,
    next: Arc<FileKek>,
}

impl FileRotation {
    /// Makes the next key, or goes on with the one that an interrupted rotation made.
    ///
    /// # Errors
    /// When the present key cannot be read or the next one cannot be written.
    pub fn begin(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, KekOpenError> {
        let former = FileKek::open(path, Arc::clone(&entropy))?.id();
        let next = Arc::new(FileKek::open_or_create(&next_path(path), entropy)?);
        Ok(Self { path: path.to_owned(), former, next })
    }

    /// The rotation that was begun and not finished, if there is one.
    ///
    /// # Errors
    /// When one of the two keys is there but cannot be read.
    pub fn pending(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Option<Self>, KekOpenError> {
        match FileKek::open(&next_path(path), Arc::clone(&entropy)) {
            Ok(_) => Self::begin(path, entropy).map(Some),
            Err(KekOpenError::File(PrivateFileError::Missing { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next key, to rewrap with.
    pub fn next(&self) -> Arc<FileKek> {
        Arc::clone(&self.next)
    }

    /// Puts the next key into the file's place, and says where the former one is kept. To be called
    /// when nothing in the store needs the former key any more.
    ///
    /// # Errors
    /// When a file cannot be linked or renamed. The rotation can then be finished later.
    pub fn finish(self) -> Result<PathBuf, KekOpenError> {
        let Self { path, former, .. } = self;
        let kept = private_file::with_suffix(&path, &format!(".{}", former.0));
        let replaced = match std::fs::hard_link(&path, &kept) {
            // The last attempt was interrupted after this step.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
        .and_then(|()| std::fs::rename(next_path(&path), &path))
        .and_then(|()| private_file::sync_folder(&path));
        match replaced {
            Ok(()) => Ok(kept),
            Err(source) => Err(PrivateFileError::Io { path, action: "replaced", source }.into()),
        }
    }
}

fn next_path(path: &Path) -> PathBuf {
    private_file::with_suffix(path, ".next")
}

fn spell(key: &[u8; 32]) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX));
    text.extend_from_slice(HEADER.as_bytes());
    text.push(b'\n');
    for byte in key {
        text.extend_from_slice(&hex_digits(*byte));
    }
    text.push(b'\n');
    text
}

fn hex_digits(byte: u8) -> [u8; 2] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    [digit(byte >> 4), digit(byte & 0x0f)]
}

/// Reads the bytes of a key file or a credential.
pub(super) fn parse(
    path: &Path,
    contents: &[u8],
    entropy: Arc<dyn Entropy>,
) -> Result<MasterKey, KekOpenError> {
    let refuse = |detail| KekOpenError::Content { path: path.to_owned(), detail };
    let mut key = Zeroizing::new([0_u8; 32]);
    if contents.len() == key.len() {
        key.copy_from_slice(contents);
    } else {
        let body = match contents.strip_prefix(HEADER.as_bytes()) {
            Some(body) => body.trim_ascii_start(),
            None if contents.starts_with(b"keywheel master key") => {
                return Err(refuse("it was written by another version of keywheel"));
            }
            None => contents,
        };
        let digits = body.trim_ascii_end();
        if digits.is_empty() {
            return Err(refuse("it is empty"));
        }
        if digits.len() != 64 {
            return Err(refuse("64 hexadecimal digits or 32 raw bytes are needed"));
        }
        for (byte, pair) in key.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte =
                parse_pair(*pair).ok_or_else(|| refuse("it has a digit that is not 0-9 a-f"))?;
        }
    }
    let first = key.first().copied().unwrap_or_default();
    if key.iter().all(|byte| *byte == first) {
        key.zeroize();
        return Err(refuse("all its bytes are the same"));
    }
    MasterKey::new(&key, entropy).map_err(|_| refuse("the derivation refused it"))
}

fn parse_pair([high, low]: [u8; 2]) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|v| u8::try_from(v).ok());
    Some(value(high)? << 4 | value(low)?)
}
