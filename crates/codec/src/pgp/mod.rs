//! OpenPGP messages under a passphrase (RFC 4880), as pgcrypto and GnuPG write them.

use crate::format::{Fill, Limits, Opened};
use crate::{Key, OpenError, SealError};

/// What stays of a message when its key changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {}

/// What a message says of itself to who has no key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Header {}

/// How messages are written.
#[derive(Clone, Debug)]
pub struct Write {}

pub(crate) fn open_many(v: &[&[u8]], _: &Key, _: Limits) -> Vec<Result<Opened, OpenError>> {
    v.iter().map(|_| Err(OpenError::Unsupported { what: "pgp" })).collect()
}
pub(crate) fn open_armored_many(v: &[&[u8]], _: &Key, _: Limits) -> Vec<Result<Opened, OpenError>> {
    v.iter().map(|_| Err(OpenError::Unsupported { what: "pgp" })).collect()
}
pub(crate) fn seal_many(
    v: &[&Opened],
    _: &Key,
    _: &Write,
    _: Fill<'_>,
) -> Vec<Result<Vec<u8>, SealError>> {
    v.iter().map(|_| Err(SealError::Plaintext { why: "pgp" })).collect()
}
pub(crate) fn seal_armored_many(
    v: &[&Opened],
    _: &Key,
    _: &Write,
    _: Fill<'_>,
) -> Vec<Result<Vec<u8>, SealError>> {
    v.iter().map(|_| Err(SealError::Plaintext { why: "pgp" })).collect()
}
pub(crate) fn census(_: &[u8]) -> Result<Header, OpenError> {
    Err(OpenError::Unsupported { what: "pgp" })
}
pub(crate) fn census_armored(_: &[u8]) -> Result<Header, OpenError> {
    Err(OpenError::Unsupported { what: "pgp" })
}
