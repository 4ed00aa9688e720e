//! With what a worker signs and checks: a ring of keywheel, or the single key of the classic way.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use keywheel_core::kind::{Kind, SecretEncoding};
use keywheel_jose::{ImportFormat, Material};
use zeroize::Zeroizing;

/// A signature, and which key made it.
pub(super) struct Signed {
    pub(super) version: u32,
    pub(super) kid: String,
    pub(super) signature: Vec<u8>,
}

/// With what a worker signs and checks.
pub(super) trait Keys: Send + Sync {
    /// Signs what `bytes` makes of the kid.
    fn sign(&self, bytes: &dyn Fn(&str) -> Vec<u8>) -> Result<Signed, String>;

    /// Checks a signature, and says of which version it is.
    fn verify(&self, kid: &str, bytes: &[u8], signature: &[u8]) -> Result<u32, String>;

    /// The version that signs now.
    fn signs_with(&self) -> Option<u32>;

    /// Reads the key again, where that has a meaning.
    fn reload(&self) -> Result<(), String>;

    /// The process ends.
    fn leave(&self) {}
}

const SECRET: Kind = Kind::Secret { length: 48, encoding: SecretEncoding::Base64url };

/// Writes a new key for everybody who reads the file from now on: its number and itself, each on a
/// line.
///
/// # Errors
/// When the key cannot be made, or the file not be written.
pub(in super::super) fn write_key_file(
    path: &Path,
    version: u32,
    fill: &mut keywheel_jose::Fill<'_>,
) -> Result<(), String> {
    let material = Material::generate(&SECRET, fill).map_err(|error| error.to_string())?;
    let number = format!("{version}\n");
    let text = Zeroizing::new([number.as_bytes(), material.expose()].concat());
    let fresh = path.with_extension("new");
    crate::private::write_new(&fresh, &text).map_err(|failure| failure.cause)?;
    std::fs::rename(&fresh, path).map_err(|error| error.to_string())
}

/// One key in one file: the classic way.
pub(super) struct SingleKey {
    path: PathBuf,
    held: RwLock<Arc<(u32, Material)>>,
}

impl SingleKey {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        Ok(Self { path: path.into(), held: RwLock::new(Arc::new(read_key_file(path)?)) })
    }

    fn held(&self) -> Arc<(u32, Material)> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read_key_file(path: &Path) -> Result<(u32, Material), String> {
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|error| error.to_string())?);
    let (number, secret) = text.split_once('\n').ok_or("the key file has one line only")?;
    let version = number.parse().map_err(|_| "the key file does not begin with a number")?;
    let imported = Material::import(&SECRET, secret.as_bytes(), ImportFormat::Text)
        .map_err(|error| error.to_string())?;
    Ok((version, imported.material))
}

impl Keys for SingleKey {
    fn sign(&self, bytes: &dyn Fn(&str) -> Vec<u8>) -> Result<Signed, String> {
        let held = self.held();
        let (version, material) = &*held;
        let kid = format!("key-{version}");
        let signature = material.sign(&bytes(&kid)).map_err(|error| error.to_string())?;
        Ok(Signed { version: *version, kid, signature })
    }

    fn verify(&self, kid: &str, bytes: &[u8], signature: &[u8]) -> Result<u32, String> {
        let held = self.held();
        let (version, material) = &*held;
        material
            .verify(bytes, signature)
            .map(|()| *version)
            .map_err(|_| format!("signed with {kid}, but this process has key-{version}"))
    }

    fn signs_with(&self) -> Option<u32> {
        Some(self.held().0)
    }

    fn reload(&self) -> Result<(), String> {
        let fresh = Arc::new(read_key_file(&self.path)?);
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}
