//! Keys of a move, from files that only their owner may read.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use keywheel_codec::Key;
use keywheel_reencrypt::Keys;
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::failure::Failure;

/// The most bytes of a key file.
const KEY_BYTES_MAX: usize = 64 * 1024;

/// Reads the keys, and swaps them for the way back.
///
/// # Errors
/// A file cannot be read or used, or there are several old keys and a way back.
pub(super) fn of_files(
    old: &[PathBuf],
    new: &Path,
    generated: bool,
    back: bool,
) -> Result<Keys, Failure> {
    let named =
        |path: &Path| Ok::<_, Failure>((path.display().to_string(), read(path, generated)?));
    let mut from = old.iter().map(|path| named(path)).collect::<Result<Vec<_>, _>>()?;
    let mut to = named(new)?;
    if back {
        let [one] = from.as_mut_slice() else {
            return Err(Failure::new(
                Exit::Usage,
                "the way back leads to one key",
                "name exactly one --old-key-file",
            ));
        };
        std::mem::swap(one, &mut to);
    }
    Ok(Keys { from, to, version: 0 })
}

/// Reads a key; a line end after it does not belong to it.
fn read(path: &Path, generated: bool) -> Result<Key, Failure> {
    let facts = std::fs::metadata(path).map_err(|error| Failure::io("read", path, &error))?;
    if facts.mode() & 0o077 != 0 {
        return Err(Failure::new(
            Exit::Permission,
            format!("{} can be read by others than its owner", path.display()),
            format!("chmod 600 {}", path.display()),
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| Failure::io("read", path, &error))?;
    let mut bytes = Zeroizing::new(bytes);
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    if bytes.is_empty() || bytes.len() > KEY_BYTES_MAX {
        return Err(Failure::new(
            Exit::Usage,
            format!("{} holds no key: it has {} bytes", path.display(), bytes.len()),
            "write the passphrase into it as pgp_sym_encrypt is given it",
        ));
    }
    Ok(if generated { Key::generated(bytes) } else { Key::passphrase(bytes) })
}
