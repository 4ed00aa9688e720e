//! The tests of the core, as one program: what moves, what is refused and in which words, and what
//! holds of every ring that random inputs can bring about.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "helpers of tests may stop a test, and tables are built line by line"
)]

mod columns;
mod common;
mod evidence;
mod findings;
mod health;
mod plan;
mod policy;
mod revocation;
mod schedule;
mod span;
mod table;
mod totality;
mod way;
