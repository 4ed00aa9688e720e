//! The server from outside: real engine, real sockets, one world for each test.
#![cfg(test)]

mod support;

mod agents;
mod bad_input;
mod conditions;
mod edge;
mod columns;
mod consumers;
mod feed;
mod notices;
mod overload;
mod revocations;
mod rights;
mod scans;
mod surface;
mod transport;
