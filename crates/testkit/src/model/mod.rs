//! The model check: every state of a small world, searched breadth first.
//!
//! The world is small (three servers, a few processes, times of a few milliseconds), but what moves
//! the ring in it is the production transition function, `keywheel_core::rotation::step_with`. The
//! search visits every reachable state, so what it does not find within the printed bounds is not
//! there. A way to a broken invariant is a shortest one, told in words.
//!
//! The simulated world of the engine, with its real store and clients, is somebody else's business.

mod action;
mod apply;
mod client;
mod encode;
mod flaw;
mod law;
mod memo;
mod mutants;
mod operator;
mod progress;
mod report;
mod scenario;
mod search;
mod state;
mod words;

pub use flaw::{Flaw, Rules};
pub use law::Violation;
pub use mutants::{MUTANTS, Mutant};
pub use report::{Report, report};
pub use scenario::{Scale, Scenario, scenario, scenarios};
pub use search::{Counterexample, Outcome, search};
pub use state::Budget;
