//! A directory of one file for each name, as systemd's `$CREDENTIALS_DIRECTORY` has it.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{RenderError, of};
use crate::settings::Take;
use crate::values::AllValues;

/// The longest name that systemd gives a credential.
const NAME_BYTES_MAX: usize = 255;

/// Renders the files of a credentials directory, by name.
///
/// # Errors
/// When a name cannot be one, or a value is missing.
pub fn credentials(
    set: &BTreeMap<String, Take>,
    values: &AllValues,
) -> Result<BTreeMap<String, Zeroizing<Vec<u8>>>, RenderError> {
    let mut files = BTreeMap::new();
    for (name, take) in set {
        // A hidden file could be one of keywheel's own, and is none that a service reads.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+');
        let fits = name.len() <= NAME_BYTES_MAX && !name.is_empty() && !name.starts_with('.');
        if !fits || !name.chars().all(plain) {
            return Err(RenderError::Name { name: name.clone(), what: "a credential" });
        }
        files.insert(name.clone(), of(values, &take.ring)?.bytes(take)?);
    }
    Ok(files)
}
