//! Formats of encrypted values: what pgcrypto writes, Fernet tokens, and keywheel's own.
//!
//! A [`Format`] opens a value with a key and seals it again with another one, so that nothing but
//! the key changes: the literal type, the compression and the time of a value stay what they were.
//! It is pure: no clock, no file, no socket, and randomness is an argument.

pub mod fernet;
pub mod pgp;
pub mod raw;
pub mod sealed;

mod error;
mod format;
mod key;

pub use error::{OpenError, SealError};
pub use format::{Fill, Format, Header, Limits, Opened, Shape, WriteOptions};
pub use key::Key;
