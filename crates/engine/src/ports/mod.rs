//! What the engine asks of the world, as traits: a store, master keys, clocks, entropy, and a
//! memory outside the store. Adapters live elsewhere; this module only states the contracts.
//!
//! The ports are synchronous. A rotation spends its life waiting for processes, not for disks, and
//! a blocking port keeps the reconciler, the simulated world and the consumer library free of any
//! runtime; the HTTP server calls it from its blocking pool (docs/decisions/0002).

mod clock;
mod kek;
mod seal;
mod store;

pub use clock::{Clock, Elapsed, Entropy};
pub use kek::{Kek, KekError, KekId, WrappedKey};
pub use seal::{Opened, Seal, SealFault};
pub use store::{
    Caps, Change, Commit, CommitError, Expect, Fence, HighWater, HighWaterError, Key, Mark, Seq,
    Store, StoreError, Stored, Write,
};
