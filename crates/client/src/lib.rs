//! The consumer library: watch, swap, prove, guards, fork safety.

pub mod clock;
pub mod http;
