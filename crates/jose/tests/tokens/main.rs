//! Tokens against their specifications and against other implementations.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "clippy does not see that the helpers of these tests are tests as well"
)]

mod oracles;
mod python;
mod vectors;
