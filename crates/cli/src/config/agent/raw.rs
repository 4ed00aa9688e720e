//! `agent.toml` as people write it. The published JSON schema is generated from these types, and
//! the file that `keywheel agent --example` prints is tested against it; so every field is
//! documented here with its unit and default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::config::raw::RawRoute;

/// The configuration of `keywheel agent`. Paths are absolute. Lengths of time are text: a whole
/// number and a unit (`ms`, `s`, `m`, `h`, `d`, `w`), or a sum (`1h30m`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "agent.toml")]
pub struct RawAgent {
    /// The server, and what the agent keeps on this host. Changes take effect at its next start.
    pub server: RawAgentServer,
    /// For whom the agent answers on this host. SIGHUP makes it read them again.
    #[serde(default)]
    pub consumer: Vec<RawConsumer>,
    /// What proxies on this host may ask at `/authz`, which goes on when the server is down.
    /// Changes take effect at the agent's next start.
    pub authz: Option<RawAgentAuthz>,
}

/// What proxies on this host may ask at `/authz`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAgentAuthz {
    /// Where it is answered: `unix:` and a whole path, or a loopback address. `--authz` names it
    /// too.
    #[serde(default)]
    pub listen: Vec<String>,
    /// The mode of unix sockets among them. Default `"0660"`.
    pub socket_mode: Option<String>,
    /// The consumer that the edge is, as the policies of its rings declare it.
    pub consumer: String,
    /// The file of mode 0600 with its token. Default: that of `server`. Not with `--standalone`.
    pub token_file: Option<PathBuf>,
    /// Which proxy asks: `nginx`, `envoy`, `traefik` or `caddy`. Default `nginx`.
    pub profile: Option<String>,
    /// What requests need.
    #[serde(default)]
    pub route: Vec<RawRoute>,
}

/// The server, and what the agent keeps on this host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAgentServer {
    /// Where the server listens: `unix:/path.sock`, `http://127.0.0.1:7117` or
    /// `https://host:port`. Not with `--standalone`, where the agent is the server.
    pub url: Option<String>,
    /// The file of mode 0600 with the token of every consumer that names none itself. Not with
    /// `--standalone`, where the agent makes tokens.
    pub token_file: Option<PathBuf>,
    /// The authority (PEM) that signed the server's certificate. Default: that of the system.
    pub ca_file: Option<PathBuf>,
    /// The folder for what the agent keeps: who it is at the server, how far a delivery has come,
    /// and, while one goes on, the contents that it replaces. Made with mode 0700.
    /// Default `/var/lib/keywheel-agent`.
    pub state_dir: Option<PathBuf>,
}

/// A consumer on this host that cannot speak for itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConsumer {
    /// Its name, as the policies of its rings declare it.
    pub name: String,
    /// The file of mode 0600 with its token. Default: that of `server`.
    pub token_file: Option<PathBuf>,
    /// Changes are collected until none came for this long. Default `1s`.
    pub wait: Option<String>,
    /// Changes are collected for no longer than this. Default: four times `wait`.
    pub wait_most: Option<String>,
    /// Each delivery waits a random time of at most this, so that hosts do not reload together.
    /// Default `0s`.
    pub splay: Option<String>,
    /// A delivery that takes longer has failed and is taken back. Default `5m`.
    pub deadline: Option<String>,
    /// What happens when no server was reached for the ring's `offline_max`: `keep` goes on, and
    /// rotations wait for this consumer however long it takes; `stop` runs the command in `stop`,
    /// and the consumer counts as gone. Default `keep`.
    pub when_offline: Option<String>,
    /// The command that stops the consumer; only with `when_offline = "stop"`.
    pub stop: Option<RawHook>,
    /// What is written, first to last. A failure takes it back, last to first.
    #[serde(default)]
    pub sink: Vec<RawSink>,
    /// What shows that the consumer really took it, after the last sink.
    #[serde(default)]
    pub probe: Vec<RawProbe>,
}

/// One place that is written; exactly one of `file`, `env_file`, `json`, `template`, `nginx`,
/// `jwks`, `credentials` and `command`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawSink {
    /// What it is called in messages; unique within the consumer.
    pub name: String,
    /// A file that holds `value` and nothing else.
    pub file: Option<PathBuf>,
    /// A file of `NAME=value` lines. The variables in `set` are written; everything else in it
    /// stays as it is, byte for byte.
    pub env_file: Option<PathBuf>,
    /// With `env_file`: who reads it. `any`: values that not every reader understands alike are
    /// refused. `unquoting`: shells, systemd and dotenv libraries, which take quotes off.
    /// `literal`: `docker --env-file`, to which quotes are part of the value. Default `any`.
    pub readers: Option<String>,
    /// A file with a JSON object that has the members in `set`.
    pub json: Option<PathBuf>,
    /// A file that is made from `source` or `text`.
    pub template: Option<PathBuf>,
    /// A file with directives for nginx: `set` and `accept`.
    pub nginx: Option<PathBuf>,
    /// A file with the public keys of `rings` as a JWK set.
    pub jwks: Option<PathBuf>,
    /// A folder with one file for each name in `set`, as systemd has credentials. The folder is
    /// replaced as a whole.
    pub credentials: Option<PathBuf>,
    /// A command that gets the values in `set` as JSON on standard input. Nothing takes it back,
    /// so it must be the last sink.
    pub command: Option<Vec<String>>,

    /// With `file`: what stands in it.
    pub value: Option<RawTake>,
    /// Names, and which values they get.
    #[serde(default)]
    pub set: BTreeMap<String, RawTake>,
    /// With `nginx`: variables that are 1 when a request shows any accepted value of a ring.
    #[serde(default)]
    pub accept: BTreeMap<String, RawAccept>,
    /// With `jwks` and `template`: the rings.
    #[serde(default)]
    pub rings: Vec<String>,
    /// With `template`: the file with the template. A change of it is delivered.
    pub source: Option<PathBuf>,
    /// With `template`: the template itself.
    pub text: Option<String>,

    /// The permission bits of the file in octal. Default `"0600"`, with `jwks` `"0644"`.
    pub mode: Option<String>,
    /// Whose the file is: `user` or `user:group`. Default: as it was, or the agent's.
    pub owner: Option<String>,
    /// How many former contents are kept beside the file, 0 to 20. Default 1.
    pub backups: Option<u8>,
    /// Lets everybody on this host read secrets. Default false.
    #[serde(default)]
    pub danger_world_readable: bool,
    /// With `command`: after this it is told to end. Default `30s`.
    pub timeout: Option<String>,
    /// With `command`: after this much longer it is killed. Default `5s`.
    pub kill_after: Option<String>,

    /// What must succeed on the staged file before it replaces the present one.
    pub check: Option<RawCheck>,
    /// What makes the consumer take the new content, in order.
    #[serde(default)]
    pub reload: Vec<RawReload>,
    /// What shows that this sink was taken, before the next one is written.
    #[serde(default)]
    pub probe: Vec<RawProbe>,
}

/// Which values of a ring: its name alone for the value to protect with, or a table.
#[derive(Debug)]
pub struct RawTake(pub RawTakeTable);

/// Which values of a ring, and how they are written.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Take")]
pub struct RawTakeTable {
    /// The ring.
    pub ring: String,
    /// `primary`: the one to protect with. `others`: every other one that is accepted. `accepted`:
    /// all of them. Default `primary`.
    pub which: Option<String>,
    /// Where the value that protects stands in a list: `primary_first`, then newest first; or
    /// `primary_last`, after the others, oldest first. Default `primary_first`.
    pub order: Option<String>,
    /// `text`, `bytes`, `base64`, `hex`, `public_pem`, `kid` or `fingerprint`; `bytes` only with
    /// `file` and `credentials`. Default `text`: the text of a secret, PEM of a private key.
    pub form: Option<String>,
    /// Stands between several values. Default `,`.
    pub join: Option<String>,
    /// Writes several values as a JSON array instead. Default false.
    #[serde(default)]
    pub json: bool,
}

/// A variable of nginx that is 1 for every accepted value of a ring.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAccept {
    /// The variable that is looked at, for example `$http_x_api_key`.
    pub from: String,
    /// The ring.
    pub ring: String,
    /// How a value is written, as in `set`. Default `text`.
    pub form: Option<String>,
}

/// A program that is run without a shell.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawHook {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// After this it is told to end. Default `30s`.
    pub timeout: Option<String>,
    /// After this much longer it is killed. Default `5s`.
    pub kill_after: Option<String>,
}

/// What must succeed on a staged file; exactly one of `command` and `nginx`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCheck {
    /// A program and its arguments; `{staged}` is the staged file.
    pub command: Option<Vec<String>>,
    /// With `command`: after this it is told to end. Default `30s`.
    pub timeout: Option<String>,
    /// With `command`: after this much longer it is killed. Default `5s`.
    pub kill_after: Option<String>,
    /// `nginx -t` with the staged file in the place of the present one.
    pub nginx: Option<RawNginx>,
}

/// An nginx on this host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawNginx {
    /// The program. Default `/usr/sbin/nginx`.
    pub program: Option<PathBuf>,
    /// Its main configuration file. Default `/etc/nginx/nginx.conf`.
    pub config: Option<PathBuf>,
    /// The file with the master's process id. Default `/run/nginx.pid`.
    pub pid_file: Option<PathBuf>,
}

/// What makes a consumer take new content; exactly one of `signal`, `command`, `http` and
/// `rolling`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawReload {
    /// The name of a signal: `HUP`, `USR1`, `USR2`, `TERM`, `INT`, `QUIT` or `WINCH`.
    pub signal: Option<String>,
    /// With `signal`: the file with the process id.
    pub pid_file: Option<PathBuf>,
    /// A program and its arguments.
    pub command: Option<Vec<String>>,
    /// A URL that is called: `http://` on loopback, or `unix:/path.sock:/path`. 2xx is success.
    pub http: Option<String>,
    /// With `http`: GET, POST or PUT. Default `POST`.
    pub method: Option<String>,
    /// With `command`: after this it is told to end. With `http`: the longest time. Default `30s`.
    pub timeout: Option<String>,
    /// With `command`: after this much longer it is killed. Default `5s`.
    pub kill_after: Option<String>,
    /// One target is restarted after the other.
    pub rolling: Option<RawRolling>,
}

/// One target is restarted after the other, so that some are always there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRolling {
    /// The program and its arguments; `{target}` is the target.
    pub command: Vec<String>,
    /// After this the command is told to end. Default `30s`.
    pub timeout: Option<String>,
    /// After this much longer it is killed. Default `5s`.
    pub kill_after: Option<String>,
    /// Unit names, ports, whatever the command takes.
    pub targets: Vec<String>,
    /// At least this many are always left alone. Default 1.
    pub floor: Option<usize>,
    /// What shows that a target is back; `{target}` is the target.
    #[serde(default)]
    pub ready: Vec<RawProbe>,
}

/// What shows that the real path works; exactly one of `http`, `command`, `nginx_workers` and
/// `tcp`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawProbe {
    /// What it is called in messages. Default: what it tries and its number.
    pub name: Option<String>,
    /// How long it is tried anew until it must have succeeded. Default `30s`.
    pub within: Option<String>,
    /// The longest time of one try. Default `5s`.
    pub timeout: Option<String>,

    /// Sends requests to this URL, each on a connection of its own: `http://…` on loopback,
    /// `https://…`, or `unix:/path.sock:/path`.
    pub http: Option<String>,
    /// With `http`: GET, HEAD or POST. Default `GET`.
    pub method: Option<String>,
    /// With `http`: headers; `{artefact}` in a value is the artefact.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// With `http` and `command`: what is shown under each accepted version.
    pub artefact: Option<RawArtefact>,
    /// With `http`: so many requests in a row must agree, 1 to 1000. Default 5.
    pub fresh: Option<u16>,
    /// With `http`: what a good artefact is answered with. Default: 200 to 299.
    #[serde(default)]
    pub accepted: Vec<u16>,
    /// With `http`: what a bogus artefact is answered with. Default: 401 and 403.
    #[serde(default)]
    pub refused: Vec<u16>,
    /// With `http`: a header whose value must be the fingerprint of a ring's primary.
    pub fingerprint: Option<RawFingerprint>,
    /// With `http`: every worker must have answered.
    pub workers: Option<RawWorkers>,

    /// Runs a program that gets the artefacts as JSON on standard input; exit code 0 is success.
    pub command: Option<Vec<String>>,
    /// With `command`: this long after `timeout` it is killed. Default `5s`.
    pub kill_after: Option<String>,

    /// No worker of this nginx is older than the last reload.
    pub nginx_workers: Option<RawNginx>,

    /// Connects to this `host:port`.
    pub tcp: Option<String>,
    /// The name that the certificate must bear. With `tcp` it makes the probe speak TLS. Default
    /// with `https://`: the host of the URL.
    pub tls_name: Option<String>,
    /// With `tls_name`: the authority (PEM) that signed the certificate. Default: that of the
    /// system.
    pub tls_ca_file: Option<PathBuf>,
}

/// Something made with a version, which a consumer of that version accepts; at most one of `hmac`
/// and `jwt`, and the value itself without them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawArtefact {
    /// The ring.
    pub ring: String,
    /// HMAC-SHA-256 of this message, in lower-case hexadecimal.
    pub hmac: Option<String>,
    /// A token that lives for a minute, with these claims beside `iat` and `exp`.
    pub jwt: Option<BTreeMap<String, serde_json::Value>>,
}

/// A response header that shows which key is used.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawFingerprint {
    /// Its name.
    pub header: String,
    /// The ring.
    pub ring: String,
}

/// Which processes must all have answered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawWorkers {
    /// The response header with the process id.
    pub header: String,
    /// The file with the id of the process whose children they are. Only `keywheel exec` knows it
    /// by itself.
    pub pid_file: Option<PathBuf>,
}

impl<'de> Deserialize<'de> for RawTake {
    // By hand, because an untagged enum would not say which field of the table is wrong.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Short;
        impl<'de> Visitor<'de> for Short {
            type Value = RawTake;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a ring, or a table with `ring`")
            }

            fn visit_str<E: serde::de::Error>(self, ring: &str) -> Result<RawTake, E> {
                Ok(RawTake(RawTakeTable { ring: ring.to_owned(), ..RawTakeTable::default() }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawTake, A::Error> {
                RawTakeTable::deserialize(MapAccessDeserializer::new(map)).map(RawTake)
            }
        }
        deserializer.deserialize_any(Short)
    }
}

impl JsonSchema for RawTake {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RawTake".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let table = generator.subschema_for::<RawTakeTable>();
        schemars::json_schema!({
            "description": "The name of a ring, for the value to protect with; or a table.",
            "anyOf": [{ "type": "string" }, table],
        })
    }
}
