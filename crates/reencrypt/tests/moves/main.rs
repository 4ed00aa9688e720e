//! A real PostgreSQL with a real pgcrypto: what the server sealed is moved, and the server opens
//! what was moved.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test fails by panicking"
)]

mod basic;
mod hazards;
mod inspected;
mod killed;
mod online;
mod secrecy;
mod support;
