//! The tests of this crate against its public face: specifications, round trips, refusals, proofs,
//! and the `openssl` command.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "clippy does not see that the helpers of these tests are tests as well"
)]

mod openssl;
mod proofs;
mod round_trips;
mod strict;
mod support;
mod vectors;
