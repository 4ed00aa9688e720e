//! Adapters of the engine's ports: where documents, leases, master keys and marks really live.
//!
//! [`SqliteStore`] is the embedded default and [`MemoryStore`] the one of tests and of the
//! simulated world; both pass the one suite in [`conformance`], which later engines must pass too.
//! [`Sealer`] turns documents into the only bytes that a store ever sees, under a data key that a
//! master key of [`kek`] wraps. What the documents say, and when they change, is the engine's
//! business.

pub mod conformance;
pub mod kek;

mod database;
mod envelope;
mod highwater;
mod manual_clock;
mod memory;
mod os;
mod private_file;
mod seal;
mod sqlite;

pub use database::OpenError;
pub use envelope::{Envelope, EnvelopeError};
pub use highwater::{FileHighWater, MemoryHighWater};
pub use kek::{FileKek, KekOpenError, KekRing, KekSource};
pub use manual_clock::ManualClock;
pub use memory::{MemorySnapshot, MemoryStore};
pub use os::{SystemClock, SystemEntropy};
pub use seal::{SealError, Sealer, Subject, Unsealed};
pub use sqlite::{BackupError, SqliteStore};

/// Fails to compile as soon as something that holds keys can be printed.
#[cfg(test)]
mod secrecy {
    use crate::kek::{CredentialKek, FileRotation, PassphraseKek};
    use crate::{Envelope, FileKek, KekRing, Sealer, Unsealed};

    macro_rules! cannot_be_printed {
        ($($holder:ty),+ $(,)?) => {$(
            const _: fn() = || {
                // When the type has Debug, both impls apply and the compiler cannot choose.
                trait Ambiguous<Choice> {
                    fn chosen() {}
                }
                impl<T: ?Sized> Ambiguous<()> for T {}
                struct HasDebug;
                impl<T: ?Sized + std::fmt::Debug> Ambiguous<HasDebug> for T {}
                struct HasDisplay;
                impl<T: ?Sized + std::fmt::Display> Ambiguous<HasDisplay> for T {}
                let _ = <$holder as Ambiguous<_>>::chosen;
            };
        )+};
    }

    cannot_be_printed!(
        CredentialKek,
        Envelope<'static>,
        FileKek,
        FileRotation,
        KekRing,
        PassphraseKek,
        Sealer,
        Unsealed,
    );
}
