//! A real nginx and what speaks to it: clients that tell wrong answers from lost connections,
//! `wrk`, and a websocket that stays open.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(unreachable_pub, reason = "each test binary has its own copy")]

pub mod callers;
pub mod delivery;
pub mod load;
pub mod site;
pub mod websocket;
