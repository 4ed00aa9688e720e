//! `agent.toml`: from the file as people write it to what the agent works with. What a delivery may
//! be is judged here, all of it at once; nothing here touches the world.

use std::path::{Path, PathBuf};

use keywheel_core::id::ConsumerName;
use keywheel_deliver::settings::Delivery;
use keywheel_server::edge::EdgeSettings;
use keywheel_server::{Listen, SocketMode};

use super::error::{ConfigErrors, Manual};
use super::read_text;
use crate::failure::Failure;

mod act;
mod check;
mod exec_probes;
mod place;
mod probe;
mod raw;
mod settle;
mod sink;
mod take;
mod template;
#[cfg(test)]
mod tests;

pub use exec_probes::probes_of;
pub use raw::{
    RawAccept, RawAgent, RawAgentAuthz, RawAgentServer, RawArtefact, RawCheck, RawConsumer,
    RawFingerprint, RawHook, RawNginx, RawProbe, RawReload, RawRolling, RawSink, RawTake,
    RawTakeTable, RawWorkers,
};
pub use template::EXAMPLE;

/// What errors point to.
const MANUAL: Manual = Manual {
    see: "`keywheel agent --example` prints a file with every field",
    declared_once: "keep one of the two",
};

/// The configuration of an agent, settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// The file it came from.
    pub file: PathBuf,
    /// The server, and what the agent keeps.
    pub server: AgentServer,
    /// For whom it answers; not empty, unless proxies may ask.
    pub consumers: Vec<AgentConsumer>,
    /// What proxies may ask.
    pub authz: Option<AgentAuthz>,
}

/// What proxies on this host may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAuthz {
    /// The consumer that the edge is.
    pub consumer: ConsumerName,
    /// The file with its token; absent when the agent is the server.
    pub token_file: Option<PathBuf>,
    /// Where it listens; `--authz` may add to it.
    pub listen: Vec<Listen>,
    /// The mode of unix sockets.
    pub socket_mode: SocketMode,
    /// The rules.
    pub edge: EdgeSettings,
}

/// The server, and what the agent keeps on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentServer {
    /// Where the server listens; absent when the agent is the server.
    pub url: Option<String>,
    /// The authority that signed its certificate.
    pub ca_file: Option<PathBuf>,
    /// The folder for what the agent keeps.
    pub state_dir: PathBuf,
}

/// One consumer and how it shows who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConsumer {
    /// The file with its token; absent when the agent is the server.
    pub token_file: Option<PathBuf>,
    /// What it gets.
    pub delivery: Delivery,
}

/// Who the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// Another process.
    Elsewhere,
    /// The agent itself.
    Standalone,
}

impl AgentConfig {
    /// Reads and settles a configuration file.
    ///
    /// # Errors
    /// When it cannot be read, or with everything that is wrong in it.
    pub fn load(file: &Path, serving: Serving) -> Result<Self, Failure> {
        let text = read_text(file)?;
        Ok(Self::parse(file, &text, serving)?)
    }

    /// Settles a configuration that was read from `file`.
    ///
    /// # Errors
    /// With everything that is wrong in it.
    pub fn parse(file: &Path, text: &str, serving: Serving) -> Result<Self, ConfigErrors> {
        let raw: RawAgent = toml::from_str(text)
            .map_err(|error| ConfigErrors::unreadable(file, text, &error, &MANUAL))?;
        settle::settle(file, text, raw, serving)
    }
}
