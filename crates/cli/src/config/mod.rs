//! `keywheel.toml`: from the file as people write it to what the commands work with. A [`Config`]
//! exists only when every field makes sense; what a ring's policy means is judged by
//! `keywheel_core::policy`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use keywheel_core::id::RingName;
use keywheel_core::policy::Spec;
use keywheel_core::time::Span;
use keywheel_server::notify::NotifyTarget;
use keywheel_server::{AuthzSettings, Listen, Tls};
use keywheel_store::KekSource;

use crate::failure::Failure;

pub mod agent;
mod authz;
mod error;
mod locate;
mod raw;
mod settle;
mod template;

use error::Manual;
pub use error::{ConfigError, ConfigErrors};
pub use raw::{
    RawAuthz, RawConfig, RawNotify, RawOidc, RawRoute, RawServer, RawSlack, RawTls, RawWebhook,
};
pub use template::TEMPLATE;

/// The largest configuration that is read; ten thousand rings fit.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What errors point to.
const MANUAL: Manual = Manual {
    see: "`keywheel init` writes a file with every field",
    declared_once: "keep one of the two; a ring is declared once",
};

/// The configuration, settled.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it came from.
    pub file: PathBuf,
    /// How the server runs.
    pub server: ServerConfig,
    /// The declared rings. Each has a policy that settles.
    pub rings: BTreeMap<RingName, Spec>,
    /// Who is told of what.
    pub notify: Vec<NotifyTarget>,
    /// What proxies may ask.
    pub authz: AuthzSettings,
    /// The issuer that discovery names.
    pub issuer: Option<String>,
}

/// How the server runs. Paths are complete.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where it listens; not empty.
    pub listen: Vec<Listen>,
    /// The folder for what it keeps.
    pub state_dir: PathBuf,
    /// The database.
    pub store: PathBuf,
    /// The high-water marks.
    pub high_water: PathBuf,
    /// The master key.
    pub kek: KekSource,
    /// The certificate for HTTPS.
    pub tls: Option<Tls>,
    /// What this server is called; the host's name when absent.
    pub name: Option<String>,
    /// How long a dead server keeps the lead.
    pub lease_ttl: Span,
    /// Whether metrics need no token on this machine.
    pub open_metrics: bool,
}

impl ServerConfig {
    /// The file with the token of the first administrator.
    pub fn admin_token(&self) -> PathBuf {
        self.state_dir.join("admin.token")
    }

    /// The file whose lock says that a server runs on the store. It stands beside the database, so
    /// that two configurations with one store meet at one lock.
    pub fn lock_file(&self) -> PathBuf {
        let mut name = self.store.as_os_str().to_owned();
        name.push(".lock");
        PathBuf::from(name)
    }
}

impl Config {
    /// Reads and settles a configuration file.
    ///
    /// # Errors
    /// When it cannot be read, or with everything that is wrong in it.
    pub fn load(file: &Path) -> Result<Self, Failure> {
        Ok(Self::parse(file, &read_text(file)?)?)
    }

    /// Settles a configuration that was read from `file`; relative paths start in its folder.
    ///
    /// # Errors
    /// With everything that is wrong in it.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigErrors> {
        let raw: RawConfig = toml::from_str(text)
            .map_err(|error| ConfigErrors::unreadable(file, text, &error, &MANUAL))?;
        settle::settle(file, text, raw)
    }
}

/// Reads the text of a configuration file of bounded size.
fn read_text(file: &Path) -> Result<String, Failure> {
    let size = std::fs::metadata(file).map_err(|error| Failure::io("read", file, &error))?.len();
    if size > FILE_BYTES_MAX {
        return Err(Failure::failed(
            format!("{} is larger than {FILE_BYTES_MAX} bytes", file.display()),
            "check that it is the configuration you mean",
        ));
    }
    std::fs::read_to_string(file).map_err(|error| Failure::io("read", file, &error))
}
