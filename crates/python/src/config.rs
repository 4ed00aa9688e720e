//! How the servers are reached, settled with the first use and not before: arguments first, then
//! the environment, then the file that `KEYWHEEL_CLIENT_CONFIG` names.

use std::path::PathBuf;

use keywheel_client::{Builder, Client, TlsOptions, TokenSource};
use keywheel_core::time::Span;
use serde::Deserialize;

/// What a process says about its client. Absent is: not said.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the keys come from.
    pub(crate) url: Option<String>,
    /// The file with the token.
    pub(crate) token_file: Option<PathBuf>,
    /// The consumer, where it is not to be the token's.
    pub(crate) consumer: Option<String>,
    /// The directory of the sealed host cache.
    pub(crate) host_cache: Option<PathBuf>,
    /// Certificates to trust over https.
    pub(crate) ca_file: Option<PathBuf>,
    /// How long the first use may wait.
    pub(crate) first_use_timeout_secs: Option<f64>,
}

/// Why there is no configuration.
#[derive(Debug)]
pub(crate) struct ConfigError(pub(crate) String);

/// Names the file. The command's `KEYWHEEL_CONFIG` names another kind, and may be set beside it.
const FILE: &str = "KEYWHEEL_CLIENT_CONFIG";

const NO_URL: &str = "no keywheel server is named; set KEYWHEEL_URL to its address \
                      (unix:/run/keywheel/keywheel.sock, https://host:port), or to file:… or env: \
                      where no server is";

/// Where a file cannot be understood. What toml says of it may quote the line, and the line may
/// hold a secret.
pub(crate) fn line(text: &str, error: &toml::de::Error) -> usize {
    let before = error.span().and_then(|span| text.get(..span.start));
    before.map_or(0, |before| before.matches('\n').count().saturating_add(1))
}

/// The table that shows this to be a configuration of the command or of its agent, if it is one.
fn of_a_server(text: &str) -> Option<&'static str> {
    let file: toml::Table = text.parse().ok()?;
    // A client's file has a consumer too, by its name.
    let is_theirs = |name: &&str| file.get(*name).is_some_and(|found| !found.is_str());
    ["server", "ring", "notify", "authz", "oidc", "consumer"].into_iter().find(is_theirs)
}

impl Config {
    /// The configuration of this process: `given` wins over the environment, that over the file.
    pub(crate) fn settle(given: &Self) -> Result<Self, ConfigError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let file = match variable(FILE) {
            Some(path) => Self::read(&path)?,
            None => Self::default(),
        };
        let path = |name: &str| variable(name).map(PathBuf::from);
        let pick = |given: &Option<PathBuf>, name: &str, file: Option<PathBuf>| {
            given.clone().or_else(|| path(name)).or(file)
        };
        Ok(Self {
            url: given.url.clone().or_else(|| variable("KEYWHEEL_URL")).or(file.url),
            token_file: pick(&given.token_file, "KEYWHEEL_TOKEN_FILE", file.token_file),
            consumer: given
                .consumer
                .clone()
                .or_else(|| variable("KEYWHEEL_CONSUMER"))
                .or(file.consumer),
            host_cache: pick(&given.host_cache, "KEYWHEEL_HOST_CACHE", file.host_cache),
            ca_file: pick(&given.ca_file, "KEYWHEEL_CA_FILE", file.ca_file),
            first_use_timeout_secs: given.first_use_timeout_secs.or(file.first_use_timeout_secs),
        })
    }

    fn read(path: &str) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError(format!(
                "the file {path} that {FILE} names cannot be read ({error}); check that it exists \
                 and belongs to this user"
            ))
        })?;
        if let Some(table) = of_a_server(&text) {
            return Err(ConfigError(format!(
                "the file {path} that {FILE} names has [{table}] in it, so it configures the \
                 keywheel command and not an application, which only has to find the server: set \
                 KEYWHEEL_URL and KEYWHEEL_TOKEN_FILE, or name a file with url and token_file"
            )));
        }
        toml::from_str(&text).map_err(|error| {
            ConfigError(format!(
                "the file {path} that {FILE} names cannot be understood at line {}; it takes url, \
                 token_file, consumer, host_cache, ca_file and first_use_timeout_secs",
                line(&text, &error)
            ))
        })
    }

    /// Where the keys come from.
    pub(crate) fn url(&self) -> Result<&str, ConfigError> {
        self.url.as_deref().ok_or_else(|| ConfigError(NO_URL.into()))
    }

    /// Begins a client of the server.
    pub(crate) fn builder(&self) -> Result<Builder, ConfigError> {
        let token = match &self.token_file {
            Some(path) => TokenSource::File(path.clone()),
            None => TokenSource::Environment,
        };
        let mut builder = Client::builder(self.url()?, token);
        if let Some(consumer) = &self.consumer {
            builder = builder.consumer(consumer);
        }
        if let Some(directory) = &self.host_cache {
            builder = builder.host_cache(directory);
        }
        if let Some(file) = &self.ca_file {
            builder = builder.tls(TlsOptions { ca_file: Some(file.clone()) });
        }
        if let Some(seconds) = self.first_use_timeout_secs {
            let timeout = std::time::Duration::try_from_secs_f64(seconds).map_err(|_| {
                ConfigError(format!(
                    "{seconds} is no time to wait; give first_use_timeout in seconds, 0 or more"
                ))
            })?;
            let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            builder = builder.first_use_timeout(Span::from_millis(millis));
        }
        Ok(builder)
    }
}
