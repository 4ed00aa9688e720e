//! The tests of the core, as one program: what moves, what is refused and in which words, and what
//! holds of every ring that random inputs can bring about.

mod common;
mod plan;
mod policy;
mod schedule;
mod span;
mod table;
mod totality;
mod way;
