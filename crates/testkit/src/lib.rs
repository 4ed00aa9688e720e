//! The simulated world: virtual clock, faulty store, consumers, and the model check with its named
//! invariants.

pub mod kill;
pub mod model;
pub mod world;
