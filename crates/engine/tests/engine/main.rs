//! The tests of the engine, as one program: real keys and proofs over a store in memory whose calls
//! are counted and fail on demand. What happens by chance is left to the simulated world of
//! `keywheel-testkit`; here each story is told once, on purpose.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may stop a test"
)]

mod agents;
mod columns;
mod leadership;
mod notices;
mod outcomes;
mod presence;
mod proofs;
mod requests;
mod restore;
mod revocations;
mod rotation;
mod scale;
mod scans;
mod serving;
mod support;
mod tampering;
mod time;
mod tokens;
mod triggers;
