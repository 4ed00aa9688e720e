//! One file a resource: its operations and their handlers. A handler reads what the pipeline has
//! checked, calls the engine once, and writes down what it said.

pub(crate) mod audit;
pub(crate) mod columns;
pub(crate) mod events;
pub(crate) mod gates;
pub(crate) mod health;
pub(crate) mod instances;
pub(crate) mod issued;
pub(crate) mod jwks;
pub(crate) mod material;
pub(crate) mod metrics;
pub(crate) mod oauth;
pub(crate) mod plan;
pub(crate) mod reports;
pub(crate) mod revocations;
pub(crate) mod rings;
pub(crate) mod root;
pub(crate) mod scans;
pub(crate) mod sign;
pub(crate) mod tokens;
pub(crate) mod verbs;
pub(crate) mod versions;
pub(crate) mod watch;
