//! What pgcrypto's `encrypt` and `encrypt_iv` return.

use crate::format::{Limits, Opened};
use crate::{Key, OpenError, SealError};

/// How values are written.
#[derive(Clone, Debug)]
pub struct Options {}

pub(crate) fn open(_: &[u8], _: &Key, _: &Options, _: Limits) -> Result<Opened, OpenError> {
    Err(OpenError::Unsupported { what: "raw" })
}
pub(crate) fn seal(_: &[u8], _: &Key, _: &Options) -> Result<Vec<u8>, SealError> {
    Err(SealError::Plaintext { why: "raw" })
}
