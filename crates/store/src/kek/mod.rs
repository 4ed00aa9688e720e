//! Master keys: where they come from, and how they wrap data keys.
//!
//! [`KekSource`] is what the configuration says; opening it gives a [`KekRing`], the present master
//! key and, while one is being replaced, the former. Hardware tokens and key services will be
//! further adapters of the same port.

mod credential;
mod error;
mod file;
mod master;
mod passphrase;
mod ring;
mod source;

pub use crate::private_file::PrivateFileError;
pub use credential::CredentialKek;
pub use error::KekOpenError;
pub use file::{FileKek, FileRotation};
pub use passphrase::{KdfCost, PassphraseKek};
pub use ring::KekRing;
pub use source::{KekSource, KekSourceError};

/// Implements the port by handing everything to the master key inside.
macro_rules! wrap_with_master_key {
    ($kek:ty) => {
        impl keywheel_engine::ports::Kek for $kek {
            fn id(&self) -> keywheel_engine::ports::KekId {
                self.master.id()
            }

            fn wrap(
                &self,
                context: &[u8],
                data_key: &[u8; 32],
            ) -> Result<keywheel_engine::ports::WrappedKey, keywheel_engine::ports::KekError> {
                self.master.wrap(context, data_key)
            }

            fn unwrap(
                &self,
                context: &[u8],
                wrapped: &keywheel_engine::ports::WrappedKey,
            ) -> Result<zeroize::Zeroizing<[u8; 32]>, keywheel_engine::ports::KekError> {
                self.master.unwrap(context, wrapped)
            }
        }
    };
}
use wrap_with_master_key;

#[cfg(test)]
mod tests;
