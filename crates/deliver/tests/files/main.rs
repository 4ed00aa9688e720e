//! What is written into files, and how: contents as their readers see them, and writes that race
//! with others.
#![expect(
    clippy::unwrap_used,
    reason = "clippy does not see that the helpers of these tests are tests as well"
)]

mod contents;
mod env_file;
mod messages;
mod real;
mod support;
