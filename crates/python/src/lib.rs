//! The native half of the Python package `keywheel`. It translates between Python and the crates
//! below, and decides nothing: what a key is, when it may be used, and what makes a token good
//! stand in `keywheel-client` and `keywheel-jose`. What belongs to one framework stands in Python.

#![expect(clippy::unused_self, reason = "Python calls methods on objects")]

#[cfg(feature = "bench")]
mod bench;
mod config;
mod error;
mod expect;
mod guard;
mod json;
mod notify;
mod registry;
mod revoke;
mod ring;
mod seal;
mod secret;
mod shape;
mod snapshot;
mod still;
mod token;

use pyo3::prelude::*;

/// The native half of `keywheel`; see the package for what is public.
#[pymodule(gil_used = false)]
mod _keywheel {
    #[cfg(feature = "bench")]
    #[pymodule_export]
    use crate::bench::Bare;
    #[pymodule_export]
    use crate::guard::Guard;
    #[pymodule_export]
    use crate::notify::Subscription;
    #[pymodule_export]
    use crate::registry::Registry;
    #[pymodule_export]
    use crate::ring::Ring;
    #[pymodule_export]
    use crate::secret::Secret;
    #[pymodule_export]
    use crate::snapshot::{Snapshot, Version};
    #[pymodule_export]
    use crate::still::StillRing;
    #[pymodule_export]
    use crate::token::{Verifier, decode, encode};
}
