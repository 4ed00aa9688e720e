//! The client from outside: real servers, and some that misbehave.
#![cfg(test)]

#[path = "../support/mod.rs"]
mod support;

mod deferred;
mod http;
mod refused;
mod relay;
mod revocations;
mod rotation;
mod servers;
mod tokens;
mod values;
