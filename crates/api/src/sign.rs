//! Tokens that the server signs, for those who must not hold the key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Body of `POST /v1/rings/{ring}/sign`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sign {
    /// The claims, without `iat` and `jti`, which the server adds. An `exp` must be within the
    /// ring's longest lifetime.
    pub claims: Map<String, Value>,
    /// How long the token lives, such as `10m`; not beside an `exp`. Default: the ring's longest
    /// lifetime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
}

/// A token. It is a credential: keep it out of logs.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct Signed {
    /// The token.
    pub token: String,
    /// The key that signed it.
    pub kid: String,
    /// Its name, by which it can be revoked.
    pub jti: String,
    /// When it ends, in seconds since 1970.
    pub expires: i64,
}
