//! Who fetched the public keys of a ring.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answer of `GET /v1/rings/{ring}/jwks-clients`: what this server remembers since its start, of at
/// most 1,024 clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JwksClients {
    /// The keyset revision that is served now. Whoever fetched an earlier one may not know the
    /// newest key.
    pub revision: u64,
    /// The clients, the latest first.
    pub clients: Vec<JwksClient>,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JwksClient {
    /// Its address, or the user id at a unix socket. Behind a proxy, the proxy's.
    pub address: String,
    /// What it calls itself.
    pub user_agent: String,
    /// The newest keyset revision of the ring that it fetched, or was told that it has.
    pub revision: u64,
    /// How often it fetched any JWK set.
    pub fetches: u64,
    /// When it was first seen, RFC 3339.
    pub first: String,
    /// When it was last seen, RFC 3339.
    pub last: String,
}
