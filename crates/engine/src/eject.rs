//! Key material for whoever leaves keywheel. No route of the server leads here: only a process that
//! holds the store and its master key can call this.

use std::sync::Arc;

use keywheel_core::id::{RingName, VersionNumber};
use keywheel_core::ring::Ring;
use keywheel_jose::Material;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::rings::Loaded;

/// A ring with the material of each version that still has any.
pub struct Ejected(Arc<Loaded>);

impl Ejected {
    /// The ring.
    pub fn ring(&self) -> &Ring {
        &self.0.document.ring
    }

    /// The material of a version; nothing when it was erased.
    pub fn material(&self, number: VersionNumber) -> Option<&Material> {
        self.0.material.get(&number)
    }
}

impl Engine {
    /// Opens a ring with all of its keys.
    ///
    /// # Errors
    /// When there is none, or it is not believed.
    pub fn eject(&self, ring: &RingName) -> Result<Ejected, EngineError> {
        Ok(Ejected(self.load(ring)?))
    }
}
