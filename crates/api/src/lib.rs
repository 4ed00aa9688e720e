//! The wire types of API v1, shared by server, client and command line.
//!
//! Each module is one resource. Times are RFC 3339 in UTC, lengths of time are text (`30m`), binary
//! values are base64url without padding. Requests refuse unknown fields. What the values mean is
//! decided elsewhere; this crate only says what travels.

pub mod audit;
pub mod column;
pub mod instance;
pub mod jwks;
pub mod material;
pub mod oauth;
pub mod problem;
pub mod revocation;
pub mod ring;
pub mod scan;
pub mod sign;
pub mod token;
pub mod watch;
