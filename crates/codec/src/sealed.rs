//! keywheel's own format.

use crate::format::{Fill, Limits, Opened};
use crate::{Key, OpenError, SealError};

/// What a value says of itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Header {}

pub(crate) fn open(_: &[u8], _: &Key, _: &[u8], _: Limits) -> Result<Opened, OpenError> {
    Err(OpenError::Unsupported { what: "sealed" })
}
pub(crate) fn seal(_: &[u8], _: &Key, _: u32, _: &[u8], _: Fill<'_>) -> Result<Vec<u8>, SealError> {
    Err(SealError::Plaintext { why: "sealed" })
}
pub(crate) fn census(_: &[u8]) -> Result<Header, OpenError> {
    Err(OpenError::Unsupported { what: "sealed" })
}
