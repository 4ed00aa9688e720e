//! Where the key of a token is looked for: any caller's keys, or a set that was read from a JWK or
//! a JWKS document.

use std::collections::BTreeSet;

use super::json;
use super::jwk::{self, KeySetError};
use super::key::TokenKey;

/// The longest document that is read.
pub const MAX_KEY_SET_BYTES: usize = 1024 * 1024;
/// The most keys of a document.
const KEYS_MAX: usize = 256;

/// Where the key of a token is looked for.
pub trait Keys {
    /// The key with exactly this name.
    fn by_kid(&self, kid: &str) -> Option<&TokenKey>;

    /// The keys to try for a token that does not name its key, the likeliest first: the primary,
    /// the retiring ones, the published one. Only the first four are tried.
    fn without_kid(&self) -> impl Iterator<Item = &TokenKey>;
}

/// A set of keys. Like the keys in it, it shows itself to nobody:
/// ```compile_fail,E0277
/// fn needs<T: std::fmt::Debug>() {}
/// needs::<keywheel_jose::token::KeySet>();
/// ```
pub struct KeySet {
    keys: Vec<TokenKey>,
    passed_over: usize,
}

impl KeySet {
    /// Reads a JWK (RFC 7517 section 4) or a JWK set (section 5), public or private: of private
    /// keys only the half that verifies is kept. Members that are not known are passed over, and so
    /// are the keys of a set that are not for checking signatures, or of a type that is not known.
    ///
    /// # Errors
    /// When the document is not one of the two, says something twice, mixes symmetric keys with
    /// public ones, names two keys alike, or has no key that could be used.
    pub fn from_json(document: &[u8]) -> Result<Self, KeySetError> {
        if document.len() > MAX_KEY_SET_BYTES {
            return Err(KeySetError::TooLarge { bytes: document.len() });
        }
        let text = str::from_utf8(document).map_err(|_| KeySetError::Syntax)?;
        let members = json::scan(text)?;
        let Some(keys) = members.find(text, "keys") else {
            return Ok(Self { keys: vec![jwk::read(text, &members)?], passed_over: 0 });
        };
        if members.find(text, "kty").is_some() {
            return Err(KeySetError::Ambiguous);
        }
        Self::from_array(keys.of(text))
    }

    fn from_array(array: &str) -> Result<Self, KeySetError> {
        let elements = json::as_array(array).ok_or(KeySetError::Syntax)?;
        let mut set = Self { keys: Vec::new(), passed_over: 0 };
        let mut first_fault = None;
        let mut names = BTreeSet::new();
        for (nth, element) in elements.enumerate() {
            if nth >= KEYS_MAX {
                return Err(KeySetError::TooMany);
            }
            let members = json::scan(element)?;
            let outcome = jwk::read(element, &members);
            // A key for another purpose may have the name of one that checks signatures; a broken
            // one may not, because somebody meant it.
            if !matches!(outcome, Err(KeySetError::Purpose(_)))
                && let Some(kid) = jwk::kid(element, &members)
                && !names.insert(kid)
            {
                return Err(KeySetError::DuplicateKid);
            }
            match outcome {
                Ok(key) => set.keys.push(key),
                Err(error) if error.is_passed_over() => {
                    set.passed_over = set.passed_over.saturating_add(1);
                    first_fault.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        let is_symmetric = |key: &&TokenKey| key.is_symmetric();
        let symmetric = set.keys.iter().filter(is_symmetric).count();
        if symmetric != 0 && symmetric != set.keys.len() {
            return Err(KeySetError::Mixed);
        }
        match first_fault {
            Some(fault) if set.keys.is_empty() => Err(fault),
            None if set.keys.is_empty() => Err(KeySetError::Empty),
            _ => Ok(set),
        }
    }

    /// The keys, in the order of the document.
    pub fn keys(&self) -> &[TokenKey] {
        &self.keys
    }

    /// How many keys of the document were passed over.
    pub const fn passed_over(&self) -> usize {
        self.passed_over
    }
}

impl FromIterator<TokenKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = TokenKey>>(keys: I) -> Self {
        Self { keys: keys.into_iter().collect(), passed_over: 0 }
    }
}

impl Keys for KeySet {
    /// A single key without a name is the key of every token: whoever gives one key means it.
    fn by_kid(&self, kid: &str) -> Option<&TokenKey> {
        match self.keys.as_slice() {
            [only] if only.kid().is_none() => Some(only),
            keys => keys.iter().find(|key| key.kid() == Some(kid)),
        }
    }

    fn without_kid(&self) -> impl Iterator<Item = &TokenKey> {
        self.keys.iter()
    }
}
