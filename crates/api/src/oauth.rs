//! What OAuth 2.0 asks of an authorization server beside issuing: introspection (RFC 7662) and
//! revocation (RFC 7009).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Form of `POST /oauth/introspect` and `POST /oauth/revoke`.
#[derive(Clone, Deserialize, JsonSchema)]
pub struct TokenForm {
    /// The token.
    pub token: String,
    /// What kind it is. It is a hint, and ignored.
    #[serde(default)]
    pub token_type_hint: Option<String>,
}

/// Answer of `POST /oauth/introspect`. A token that is not good has nothing but `active`, whatever
/// is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Introspection {
    /// Whether the token is good now.
    pub active: bool,
    /// Always `Bearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// The ring whose key made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<String>,
    /// The key that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The registered claims of the token: `scope`, `client_id`, `username`, `exp`, `iat`, `nbf`,
    /// `sub`, `aud`, `iss` and `jti`, as far as it has them.
    #[serde(flatten)]
    pub claims: serde_json::Map<String, Value>,
}
