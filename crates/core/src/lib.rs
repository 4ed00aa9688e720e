//! What a rotation is: rings, versions, states, stages, gates, policy and schedule.
//!
//! This crate does no input or output and reads no clock; time and observations are arguments. Its
//! heart is [`rotation::step`], one total function from a ring and an input to the next ring and
//! the effects that follow from it.

pub mod id;
pub mod kind;
pub mod time;
pub mod gate;
pub mod guard;
pub mod plan;
pub mod policy;
pub mod revocation;
pub mod ring;
pub mod rotation;
pub mod schedule;
pub mod text;
pub mod view;
