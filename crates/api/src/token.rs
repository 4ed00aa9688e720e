//! Tokens of callers: `kw_<id>_<secret>`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Body of `POST /v1/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What it is called in audit and status.
    pub name: String,
    /// `admin`, `operator`, `breakglass`, `consumer`, `auditor`, or `evidence:<gate>`.
    pub role: String,
    /// The rings it is good for; `*` for all.
    pub rings: Vec<String>,
    /// Role `consumer`: which consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// Binds it to a network (CIDR), for example `10.0.0.0/8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// Binds it to a user id on the unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Ends after this time, for example `90d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
}

/// Answer to [`CreateToken`]; the only time that the token is shown.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct CreatedToken {
    /// The token.
    pub token: String,
    /// What is known about it.
    pub info: TokenInfo,
}

/// A token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenInfo {
    /// The part of the token that may be shown.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its rings.
    pub rings: Vec<String>,
    /// Its consumer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// Its network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// Its user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it ends, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// When it was revoked, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

/// Answer of `GET /v1/tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// In order of creation.
    pub tokens: Vec<TokenInfo>,
}
