//! A master key that systemd hands to the service, decrypted into memory that is never swapped.

use std::path::Path;
use std::sync::Arc;

use keywheel_engine::ports::Entropy;

use super::error::KekOpenError;
use super::master::MasterKey;
use super::wrap_with_master_key;
use crate::private_file::{self, Readers};

/// A master key from a systemd credential (`LoadCredential=`, `LoadCredentialEncrypted=`).
///
/// ```
/// # use std::os::unix::fs::PermissionsExt;
/// use std::sync::Arc;
/// use keywheel_store::SystemEntropy;
/// use keywheel_store::kek::CredentialKek;
///
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("keywheel");
/// # std::fs::write(&file, "8f".repeat(31) + "01")?;
/// # std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400))?;
/// // The folder is what systemd puts into $CREDENTIALS_DIRECTORY.
/// let kek = CredentialKek::open(Some(folder.path()), "keywheel", Arc::new(SystemEntropy))?;
/// # let _ = kek;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CredentialKek {
    master: MasterKey,
}

wrap_with_master_key!(CredentialKek);

impl CredentialKek {
    /// Reads the credential from the folder that systemd named, if it named one.
    ///
    /// # Errors
    /// When the process has no credentials, or this one is missing or holds no key.
    pub fn open(
        folder: Option<&Path>,
        name: &str,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KekOpenError> {
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(KekOpenError::CredentialName { name: name.to_owned() });
        }
        let folder = folder.ok_or_else(|| KekOpenError::NoCredentials { name: name.to_owned() })?;
        let path = folder.join(name);
        let contents = private_file::read(&path, 256, Readers::OwnerAndAccessList)?;
        let master = super::file::parse(&path, &contents, entropy)?;
        Ok(Self { master })
    }
}
