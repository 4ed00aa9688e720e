//! What to deliver, settled: every value of these types makes sense by itself. They come from
//! `agent.toml` or from the arguments of `keywheel exec`; nothing here touches the world.

use std::collections::BTreeMap;
use std::path::PathBuf;

use keywheel_core::id::{ConsumerName, RingName};
use keywheel_core::time::Span;

/// Everything that one consumer on this host gets, in the order in which it gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// For whom this agent answers.
    pub consumer: ConsumerName,
    /// The rings that its sinks and probes name.
    pub rings: Vec<RingName>,
    /// What is written, first to last. A failure takes them back, last to first.
    pub sinks: Vec<Sink>,
    /// What shows that the consumer really took it, after the last sink.
    pub probes: Vec<Probe>,
    /// How long changes are collected before they are delivered together, at most.
    pub wait: Wait,
    /// A random delay of at most this before a delivery, so that hosts do not reload together.
    pub splay: Span,
    /// A delivery that takes longer has failed.
    pub deadline: Span,
    /// What happens when no server was reached for the ring's `offline_max`.
    pub when_offline: WhenOffline,
}

/// Changes are delivered when none came for `least`, and after `most` even if they go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The quiet time.
    pub least: Span,
    /// The longest delay.
    pub most: Span,
}

/// What becomes of a consumer that no server can reach any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhenOffline {
    /// It goes on with what it has; no silence ever counts as its end, so a rotation waits for it
    /// until it is back or waived.
    Keep,
    /// It is stopped with this hook, and so counts as gone.
    Stop(Hook),
}

/// One place that is written, and what follows from writing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// For messages and the journal; unique within the delivery.
    pub name: String,
    /// What is written where.
    pub target: Target,
    /// What must succeed on the staged file before it replaces the present one.
    pub check: Option<Check>,
    /// What makes the consumer take the new content, in order.
    pub reload: Vec<Reload>,
    /// What shows that this sink was taken, before the next one is written.
    pub probes: Vec<Probe>,
}

/// What is written where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One file.
    File {
        /// Where and how.
        file: FileOptions,
        /// What.
        content: Content,
    },
    /// A directory of one file for each name, as `LoadCredential=` and `$CREDENTIALS_DIRECTORY`
    /// have it. The whole directory is replaced at once.
    Credentials {
        /// Where and how; `path` is the directory, `mode` that of its files.
        file: FileOptions,
        /// File names and what is in them.
        set: BTreeMap<String, Take>,
    },
    /// A command that gets the values as JSON on standard input. There is no way back, so it may
    /// only be the last sink.
    Irreversible(Hook, BTreeMap<String, Take>),
}

/// Where a file stands and how it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOptions {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its permission bits; 0600 unless said otherwise.
    pub mode: u32,
    /// Whose it is; unchanged, or the agent's, when absent.
    pub owner: Option<Owner>,
    /// How many former contents are kept beside it, at most [`BACKUPS_MAX`].
    pub backups: u8,
}

/// The most former contents that are kept.
pub const BACKUPS_MAX: u8 = 20;

/// A user and a group, each a name or a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub user: String,
    /// The group; the user's first when absent.
    pub group: Option<String>,
}

/// What stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The value and nothing else.
    Raw(Take),
    /// `NAME=value` lines. Variables that are not named here, comments, order and line ends stay as
    /// they are, byte for byte.
    Env(EnvFile),
    /// A JSON object; a member that holds several values is an array.
    Json(BTreeMap<String, Take>),
    /// A template in the language of Jinja; see [`crate::render`] for what it can see.
    Template(Template),
    /// Directives for nginx.
    Nginx(NginxInclude),
    /// The public keys of signing rings as a JWK set (RFC 7517 section 5).
    Jwks(Vec<RingName>),
}

/// Variables of an environment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvFile {
    /// The variables and what is in them.
    pub set: BTreeMap<String, Take>,
    /// Who reads the file.
    pub readers: EnvReaders,
}

/// Those who read environment files differ about quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EnvReaders {
    /// Any of them: a value that they would not all read alike is refused.
    #[default]
    Any,
    /// Shells, systemd, and dotenv libraries, which take quotes off.
    Unquoting,
    /// `docker --env-file`, to which everything behind the `=` is the value.
    Literal,
}

/// Where a template comes from. A file is read for each delivery, and a change of it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// It stands in the configuration.
    Inline(String),
    /// It stands in this file.
    File(PathBuf),
}

/// Which values of a ring, how each is written, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// The ring.
    pub ring: RingName,
    /// Which of its versions.
    pub which: Which,
    /// In which order several values stand.
    pub order: Order,
    /// How one value is written.
    pub form: Form,
    /// How several values become one text.
    pub several: Several,
}

/// Which versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one to protect with.
    Primary,
    /// Every other one that is accepted: Django's and Flask's `SECRET_KEY_FALLBACKS`.
    Others,
    /// All that are accepted: a list for `MultiFernet` or itsdangerous.
    Accepted,
}

/// Frameworks differ about where in a list the key stands that protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The primary, then the others, newest first: Django, `MultiFernet`, Rails.
    PrimaryFirst,
    /// The others, oldest first, then the primary: itsdangerous.
    PrimaryLast,
}

/// How one value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The text of a secret, PEM of a private key. A key that is bytes and no text is refused.
    Text,
    /// The bytes themselves, for a file that holds one value and nothing else.
    Bytes,
    /// The bytes in standard base64 with padding.
    Base64,
    /// The bytes in lower-case hexadecimal.
    Hex,
    /// The public half in PEM.
    PublicPem,
    /// The key id.
    Kid,
    /// The keyed fingerprint, which may be shown.
    Fingerprint,
}

/// How several values become one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Several {
    /// With this between them. Values that could not be told apart again are an error.
    Join(String),
    /// As a JSON array.
    Json,
}

/// Directives for nginx, to be included where variables may be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NginxInclude {
    /// `set $name "value";` for each. Holds one value: such a consumer is one-slot.
    pub set: BTreeMap<String, Take>,
    /// `map $from $name { default 0; "~^value\z" 1; … }` for each, which accepts every version.
    /// Stands in the `http` context.
    pub accept: BTreeMap<String, Accept>,
}

/// A map that is 1 for every accepted value of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The variable that is looked at, `$http_x_api_key` for example.
    pub from: String,
    /// The values.
    pub take: Take,
}

/// What must succeed on a staged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// A command; `{staged}` in its arguments is the staged file.
    Command(Hook),
    /// `nginx -t` on the configuration with the staged file in the place of the present one.
    Nginx(Nginx),
}

/// An nginx on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nginx {
    /// The program.
    pub program: PathBuf,
    /// Its main configuration file.
    pub config: PathBuf,
    /// The file with the master's process id.
    pub pid_file: PathBuf,
}

/// What makes a consumer take new content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Sends a signal.
    Signal {
        /// Its name without `SIG`: `HUP`.
        signal: String,
        /// The file with the process id.
        pid_file: PathBuf,
    },
    /// Runs a command.
    Command(Hook),
    /// Calls a URL; 2xx is success.
    Http {
        /// GET, POST or PUT.
        method: String,
        /// Where to; `http://…` on loopback or `unix:/path.sock:/path`.
        url: String,
        /// The longest time.
        timeout: Span,
    },
    /// Restarts one target after the other, so that at least `floor` are always there.
    Rolling {
        /// `{target}` in its arguments is the target.
        restart: Hook,
        /// The targets: unit names, ports, whatever the command takes.
        targets: Vec<String>,
        /// At least this many are always left alone.
        floor: usize,
        /// What shows that a target is back; `{target}` in URLs and arguments is the target.
        ready: Vec<Probe>,
    },
}

/// A program that is run without a shell. Its arguments never carry a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// After this it is told to end.
    pub timeout: Span,
    /// After this much longer it is killed.
    pub kill_after: Span,
}

/// What shows that the real path works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// For messages; unique within the delivery.
    pub name: String,
    /// What is tried.
    pub attempt: Attempt,
    /// How long it is tried anew until it must have succeeded.
    pub within: Span,
    /// The longest time of one try.
    pub timeout: Span,
}

/// What a probe tries.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there are few probes, each made once")]
pub enum Attempt {
    /// HTTP requests on connections of their own.
    Http(HttpAttempt),
    /// A command that gets the artefacts as JSON on standard input. Exit code 0 is success.
    Command {
        /// The command.
        hook: Hook,
        /// What it gets.
        artefact: Option<Artefact>,
    },
    /// No worker of nginx is older than the reload.
    NginxWorkers(Nginx),
    /// A TCP connection, with a TLS handshake where that is said.
    Tcp {
        /// Host and port.
        address: String,
        /// Whom to trust.
        tls: Option<Tls>,
    },
}

/// How a probe speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The name that the certificate must bear, which is also asked for (SNI).
    pub name: String,
    /// Certificates in PEM that may have signed it; the system's bundle when absent.
    pub ca_file: Option<PathBuf>,
}

/// HTTP requests that show which key a server uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAttempt {
    /// `http://…` on loopback, `https://…` or `unix:/path.sock:/path`.
    pub url: String,
    /// For https: the name that the certificate must bear, and whom to trust. The host of the URL
    /// and the system's bundle when absent.
    pub tls: Option<Tls>,
    /// GET, HEAD or POST.
    pub method: String,
    /// Headers; `{artefact}` in a value is the artefact.
    pub headers: Vec<(String, String)>,
    /// What is shown under each accepted version, and what must be refused.
    pub artefact: Option<Artefact>,
    /// So many requests in a row must agree, each on a new connection.
    pub fresh: u16,
    /// What a good artefact is answered with; 200 to 299 when empty.
    pub accepted: Vec<u16>,
    /// What a bogus artefact is answered with; 401 and 403 when empty.
    pub refused: Vec<u16>,
    /// The header whose value must be the fingerprint of a ring's primary.
    pub fingerprint: Option<FingerprintHeader>,
    /// Every worker must have answered.
    pub workers: Option<Workers>,
}

/// A response header that shows which key is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FingerprintHeader {
    /// Its name.
    pub header: String,
    /// The ring whose primary it must show.
    pub ring: RingName,
}

/// Which processes must all have answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// The response header with the process id.
    pub header: String,
    /// The process whose children they are.
    pub parent: Parent,
}

/// The process above the workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parent {
    /// The one that this file names.
    PidFile(PathBuf),
    /// This one.
    Pid(u32),
}

/// Something made with a version, which a consumer of that version accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artefact {
    /// The ring.
    pub ring: RingName,
    /// What it is.
    pub make: Make,
}

/// What an artefact is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Make {
    /// The value itself, for static API keys.
    Value,
    /// HMAC-SHA-256 of this message, in lower-case hexadecimal.
    Hmac(String),
    /// A signed token (RFC 7515) that lives for a minute, with these claims beside `iat` and `exp`.
    Jwt(BTreeMap<String, serde_json::Value>),
}
