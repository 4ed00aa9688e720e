//! Who drives a rotation: ports, reconciler, triggers, cluster time and the event journal.
//!
//! The engine decides nothing about keys by itself: `keywheel_core::rotation::step` does. The
//! engine reads, calls it, persists what it returned under a compare-and-swap and a fence, and then
//! performs the effects. It knows no HTTP and no database.

pub mod ports;
