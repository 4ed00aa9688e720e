//! The token of a caller. It is read from a file that nobody else may read, never from a command
//! line or an environment variable, which other processes see.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Names the file that holds the token.
pub const TOKEN_FILE_VARIABLE: &str = "KEYWHEEL_TOKEN_FILE";

const MAX_TOKEN_BYTES: u64 = 512;

/// A caller's token, `kw_<id>_<secret>`. It cannot be printed:
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_client::Token>();
/// ```
#[derive(Clone)]
pub struct Token(Zeroizing<Box<str>>);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be read.
    #[error(
        "the token file {} cannot be read; check that it exists and belongs to this user",
        path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error(
        "the token file {} may be read by others (mode {mode:o}); chmod 600 it, and replace the \
         token if it was so for long",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is not a file.
    #[error(
        "the token file {} is not a regular file; name the file that holds the token",
        path.display()
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The text is not a token.
    #[error("this is not a keywheel token; paste it whole, as `keywheel token create` showed it")]
    Form,
}

impl Token {
    /// Takes a token that is already in memory.
    ///
    /// # Errors
    /// When it cannot be one.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, TokenError> {
        let text: Zeroizing<String> = text.into();
        let trimmed = text.trim();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let parts = trimmed.splitn(3, '_').filter(|part| !part.is_empty()).count();
        let fits = u64::try_from(trimmed.len()).is_ok_and(|length| length <= MAX_TOKEN_BYTES);
        if fits && parts == 3 && trimmed.starts_with("kw_") && trimmed.chars().all(allowed) {
            Ok(Self(Zeroizing::new(Box::from(trimmed))))
        } else {
            Err(TokenError::Form)
        }
    }

    /// Its public part, by which `keywheel token list` knows it.
    pub fn id(&self) -> &str {
        self.0.split('_').nth(1).unwrap_or_default()
    }

    /// Reads a token from a file of mode 0600 or stricter.
    ///
    /// # Errors
    /// When it cannot be read, may be read by others, or holds no token.
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        let read = |source| TokenError::Read { path: path.to_owned(), source };
        let mut options = File::options();
        // Without this flag a named pipe at that path would hold the process for ever.
        let file = options
            .read(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(path)
            .map_err(read)?;
        let facts = file.metadata().map_err(read)?;
        if !facts.is_file() {
            return Err(TokenError::NotAFile { path: path.to_owned() });
        }
        let mode = facts.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Exposed { path: path.to_owned(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(1024));
        file.take(MAX_TOKEN_BYTES.saturating_add(64)).read_to_string(&mut text).map_err(read)?;
        Self::new(text)
    }

    /// Reads the token from the file that `KEYWHEEL_TOKEN_FILE` names; `None` when it names none.
    ///
    /// # Errors
    /// As [`Token::from_file`].
    pub fn from_environment() -> Result<Option<Self>, TokenError> {
        match std::env::var_os(TOKEN_FILE_VARIABLE) {
            Some(path) if !path.is_empty() => Self::from_file(Path::new(&path)).map(Some),
            _ => Ok(None),
        }
    }

    /// The token itself, for the `Authorization` header and for the key of the host cache.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn written(directory: &Path, text: &str, mode: u32) -> PathBuf {
        let path = directory.join(format!("token-{mode:o}-{}", text.len()));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_token_comes_from_a_file_that_only_its_owner_reads() {
        let directory = tempfile::tempdir().unwrap();
        let good = written(directory.path(), "kw_abc_DEF-123_x\n", 0o600);
        assert_eq!(Token::from_file(&good).unwrap().expose(), "kw_abc_DEF-123_x");
        for mode in [0o640, 0o604, 0o660, 0o644, 0o620] {
            let path = written(directory.path(), "kw_abc_secretsecret", mode);
            let error = Token::from_file(&path).err().unwrap();
            assert!(matches!(error, TokenError::Exposed { .. }));
            assert!(!error.to_string().contains("secretsecret"));
        }
        let missing = Token::from_file(&directory.path().join("missing")).err().unwrap();
        assert!(matches!(missing, TokenError::Read { .. }));
        let folder = Token::from_file(directory.path()).err().unwrap();
        assert!(matches!(folder, TokenError::NotAFile { .. } | TokenError::Exposed { .. }));
    }

    #[test]
    fn what_is_not_a_token_is_refused() {
        let long = format!("kw_a_{}", "x".repeat(600));
        for text in ["", "kw_", "kw_a", "kw__b", "xx_a_b", "kw_a_b c", "kw_a_b\r\nx: y", &long] {
            assert!(Token::new(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
