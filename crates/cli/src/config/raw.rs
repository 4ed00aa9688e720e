//! `keywheel.toml` as people write it. The published JSON schema is generated from these types, and
//! the file that `keywheel init` writes is tested against it; so every field is documented here
//! with its unit and default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use keywheel_core::policy::Spec;
use keywheel_store::KekSource;
use schemars::JsonSchema;
use serde::Deserialize;

/// The configuration of keywheel.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "keywheel.toml")]
pub struct RawConfig {
    /// How the server runs. Changes take effect at its next start.
    #[serde(default)]
    pub server: RawServer,
    /// The rings, by name. `keywheel apply` sends them to the server.
    #[serde(default)]
    pub ring: BTreeMap<String, Spec>,
    /// Who is told of what.
    #[serde(default)]
    pub notify: Vec<RawNotify>,
    /// What proxies may ask at `/authz`. Changes take effect at the next start.
    #[serde(default)]
    pub authz: RawAuthz,
    /// OpenID Connect discovery.
    #[serde(default)]
    pub oidc: RawOidc,
}

/// What proxies may ask at `/authz`. Without a route there is no `/authz`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAuthz {
    /// Addresses at which `/authz` is answered and nothing else, beside those of the server:
    /// `unix:` and a path, or loopback. Relative paths start in `state_dir`. Default: none.
    #[serde(default)]
    pub listen: Vec<String>,
    /// The mode of unix sockets among them. Default `"0660"`.
    pub socket_mode: Option<String>,
    /// Which proxy asks: `nginx`, `envoy`, `traefik` or `caddy`. Default `nginx`.
    pub profile: Option<String>,
    /// What requests need.
    #[serde(default)]
    pub route: Vec<RawRoute>,
}

/// OpenID Connect discovery.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOidc {
    /// The address at which clients reach this server, as tokens name it in `iss`. Default: none,
    /// and no discovery document.
    pub issuer: Option<String>,
}

/// How the server runs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawServer {
    /// Where the server listens: `address:port`, or `unix:` and a path. Relative paths start in
    /// `state_dir`. Without `tls`, addresses must be loopback.
    /// Default `["127.0.0.1:7117", "unix:keywheel.sock"]`.
    pub listen: Option<Vec<String>>,
    /// The folder for everything that the server keeps; made with mode 0700. Relative to this file.
    /// Default `.keywheel`.
    pub state_dir: Option<PathBuf>,
    /// Where rings are kept: `sqlite:` and a file. Relative paths start in `state_dir`.
    /// Default `sqlite:keywheel.db`.
    pub store: Option<String>,
    /// The file with the high-water marks, which reveals that an older store was put back. Better
    /// on another disk than the store. Relative paths start in `state_dir`.
    /// Default `high-water.db`.
    pub high_water: Option<PathBuf>,
    /// The master key. Default `{ file = "master.key" }`, made at the first start.
    #[schemars(with = "Option<KekSchema>")]
    pub kek: Option<KekSource>,
    /// The certificate for HTTPS. Default: none, so plain HTTP on loopback and unix sockets only.
    pub tls: Option<RawTls>,
    /// What this server is called in logs and leases. Default: the name of the host.
    pub name: Option<String>,
    /// How long a server that died keeps the lead, so that no other server acts for it. 2s to 60s.
    /// Default `10s`.
    pub lease_ttl: Option<String>,
    /// Answers `/metrics` without a token on loopback and on unix sockets. Default false.
    #[serde(default)]
    pub open_metrics: bool,
}

/// Where the master key comes from; exactly one of `file`, `credential` and `passphrase_file`.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Kek")]
#[expect(dead_code, reason = "only its schema is used; the value is a KekSource")]
struct KekSchema {
    /// A key file of mode 0600. Relative paths start in `state_dir`.
    file: Option<PathBuf>,
    /// The name of a systemd credential (`LoadCredential=`, `LoadCredentialEncrypted=`).
    credential: Option<String>,
    /// A file with a passphrase, turned into a key by Argon2id. Relative paths start in
    /// `state_dir`.
    passphrase_file: Option<PathBuf>,
    /// With `passphrase_file`: the file with salt and cost. Default: the passphrase file's name
    /// and `.kdf`.
    kdf_file: Option<PathBuf>,
}

/// The certificate for HTTPS. Relative paths start in the folder of this file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    /// The certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM, mode 0600.
    pub key: PathBuf,
    /// Demands a certificate of this authority (PEM) from each client. Default: none is asked for.
    pub client_ca: Option<PathBuf>,
}

/// Who is told of what; exactly one of `webhook`, `slack` and `command`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawNotify {
    /// The events: `stalled`, `failed`, `overdue`, `done`, `compromised`, or any other name in
    /// docs/operations.md; `*` for all.
    pub on: Vec<String>,
    /// Only for these rings. Default: all.
    pub rings: Option<Vec<String>>,
    /// Posts a signed JSON document.
    pub webhook: Option<RawWebhook>,
    /// Posts a line to a Slack-compatible webhook.
    pub slack: Option<RawSlack>,
    /// Runs a program, without a shell, with the document on standard input.
    pub command: Option<Vec<String>>,
    /// A command is killed when it takes longer. Default `30s`.
    pub timeout: Option<String>,
}

/// A webhook. Relative paths start in the folder of this file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWebhook {
    /// A file with the address: https, or http to loopback.
    pub url_file: PathBuf,
    /// A file with the secret that signs each document (HMAC-SHA256), at least 16 bytes.
    pub secret_file: PathBuf,
    /// The authority (PEM) that signed the address's certificate. Default: the well-known ones.
    pub ca_file: Option<PathBuf>,
}

/// A Slack-compatible webhook. Relative paths start in the folder of this file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSlack {
    /// A file with the address, which is as secret as a password.
    pub url_file: PathBuf,
    /// The authority (PEM) that signed the address's certificate. Default: the well-known ones.
    pub ca_file: Option<PathBuf>,
}

/// What a request needs, by its path. The longest prefix wins; a request that no route covers is
/// refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRoute {
    /// The paths that it covers: this one and those below it.
    pub prefix: String,
    /// The methods that it covers. Default: all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// The signing ring whose tokens pass.
    pub ring: String,
    /// The `iss` that tokens must have, one of these. Default: any.
    #[serde(default)]
    pub issuer: Vec<String>,
    /// The `aud` that tokens must have, one of these. Default: any.
    #[serde(default)]
    pub audience: Vec<String>,
    /// Claims that tokens must have besides `exp`.
    #[serde(default)]
    pub require: Vec<String>,
    /// Scopes that tokens must all have, in `scope` or `scp`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Scopes of which tokens must have one.
    #[serde(default)]
    pub any_scope: Vec<String>,
    /// Where the token stands: `bearer` (the Authorization header), `header:NAME`, `cookie:NAME` or
    /// `query:NAME`. A request that shows two tokens is refused. Default `["bearer"]`.
    pub token: Option<Vec<String>>,
    /// Headers of the answer, and the claims that stand in them. The key's id and the subject are
    /// always there, as `X-Auth-Kid` and `X-Auth-Subject`.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// How far the clocks of signers and of this machine may be apart. Default `0s`.
    pub leeway: Option<String>,
    /// The `typ` in the token's header, such as `at+jwt`. Default: any.
    pub typ: Option<String>,
}
