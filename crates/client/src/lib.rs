//! The consumer library: watch, swap, prove, guards, fork safety.
