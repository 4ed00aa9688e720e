//! Answers for consumers that cannot speak: a thread for each follows its rings, delivers, tries
//! the real path, and only then confirms. What a delivery is, is in [`crate::saga`]; how a consumer
//! stands, is told to whoever asks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use keywheel_client::{BuildError, Client, TlsOptions, TokenSource};
use keywheel_core::id::ConsumerName;
use keywheel_core::time::Span;
use rustix::fs::FlockOperation;

use crate::file::{Disk, OsDisk};
use crate::journal::{Journal, JournalError};
use crate::settings::{Delivery, WhenOffline};

mod board;
mod consumer;
mod delivery;
mod evidence;
mod pace;
mod place;
mod world;

pub use board::{Standing, Standings};
pub use delivery::{Carried, Carrier};
pub use evidence::level;
pub use world::{Host, Trouble, World};

use board::Board;
use consumer::Worker;

/// The most consumers of one agent; each has a thread and a connection.
pub const CONSUMERS_MAX: usize = 256;

/// The folder with one folder for each consumer.
const CONSUMERS: &str = "consumers";

/// What all consumers of an agent share.
#[derive(Clone)]
pub struct Settings {
    /// Where the server listens.
    pub endpoint: String,
    /// Whom to trust over https.
    pub tls: TlsOptions,
    /// The folder for what the agent keeps.
    pub state_dir: PathBuf,
}

/// One consumer and how it shows who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The file with its token.
    pub token_file: PathBuf,
    /// What it gets.
    pub delivery: Delivery,
}

/// Why an agent cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The folder for what it keeps.
    #[error("{} cannot be used", .path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another agent works with it.
    #[error("another agent uses {}", .path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// Others may look into the folder.
    #[error("{} may be used by others (mode {mode:04o})", .path.display())]
    Exposed {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There are too many consumers.
    #[error("{count} consumers are more than {CONSUMERS_MAX}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A client cannot be made.
    #[error("consumer {consumer}")]
    Client {
        /// The consumer.
        consumer: ConsumerName,
        /// Why.
        #[source]
        source: BuildError,
    },
    /// A journal cannot be used.
    #[error("consumer {consumer}")]
    Journal {
        /// The consumer.
        consumer: ConsumerName,
        /// Why.
        #[source]
        source: JournalError,
    },
    /// A thread cannot be started.
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
}

impl AgentError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Folder { path, .. } => format!(
                "let the agent's user write {}, or name another folder as server.state_dir",
                path.display()
            ),
            Self::Locked { .. } => {
                "stop the other agent, or give this one a server.state_dir of its own".to_owned()
            }
            Self::Exposed { path, .. } => format!("run: chmod 700 {}", path.display()),
            Self::TooMany { .. } => "share them between several agents".to_owned(),
            Self::Client { .. } => "correct the consumer in the agent's file".to_owned(),
            Self::Journal { source, .. } => source.remedy(),
            Self::Thread(_) => "raise the limits of this process (ulimit -u)".to_owned(),
        }
    }
}

/// A running consumer.
struct Running {
    consumer: Consumer,
    client: Client,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Running {
    fn tell_to_stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.client.nudge();
    }

    fn join(self) {
        let Self { thread, consumer, .. } = self;
        if thread.join().is_err() {
            tracing::error!(consumer = %consumer.delivery.consumer, "its thread had panicked");
        }
    }
}

/// A running agent.
pub struct Agent {
    settings: Settings,
    disk: Arc<dyn Disk>,
    board: Arc<Board>,
    running: BTreeMap<ConsumerName, Running>,
    /// Held as long as this agent lives, so that no other one works with its folder.
    _lock: File,
}

impl Agent {
    /// Starts a thread for each consumer.
    ///
    /// # Errors
    /// When the folder cannot be used, or a consumer cannot be started; none runs then.
    pub fn start(settings: Settings, consumers: Vec<Consumer>) -> Result<Self, AgentError> {
        make_folder(&settings.state_dir)?;
        make_folder(&settings.state_dir.join(CONSUMERS))?;
        let lock = lock(&settings.state_dir)?;
        let mut agent = Self {
            settings,
            disk: Arc::new(OsDisk),
            board: Arc::new(Board::default()),
            running: BTreeMap::new(),
            _lock: lock,
        };
        match agent.reconfigure(consumers) {
            Ok(()) => Ok(agent),
            Err(error) => {
                agent.stop();
                Err(error)
            }
        }
    }

    /// Stops consumers that are not declared any more, restarts those that changed, starts new
    /// ones, and leaves the others alone. A consumer that is not declared any more goes on with
    /// what it has; the server goes on waiting for it until its policy does not name it any more.
    ///
    /// # Errors
    /// When a consumer cannot be started; the others run.
    pub fn reconfigure(&mut self, consumers: Vec<Consumer>) -> Result<(), AgentError> {
        if consumers.len() > CONSUMERS_MAX {
            return Err(AgentError::TooMany { count: consumers.len() });
        }
        let stays = |running: &Running| consumers.contains(&running.consumer);
        let ending: Vec<ConsumerName> = self
            .running
            .iter()
            .filter(|(_, running)| !stays(running))
            .map(|(name, _)| name.clone())
            .collect();
        self.end(&ending);
        let mut outcome = Ok(());
        for consumer in consumers {
            let name = consumer.delivery.consumer.clone();
            if self.running.contains_key(&name) {
                continue;
            }
            match self.begin(consumer) {
                Ok(running) => {
                    self.running.insert(name, running);
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }

    fn end(&mut self, names: &[ConsumerName]) {
        let ending: Vec<Running> =
            names.iter().filter_map(|name| self.running.remove(name)).collect();
        for running in &ending {
            running.tell_to_stop();
        }
        for running in ending {
            let name = running.consumer.delivery.consumer.clone();
            running.join();
            self.board.remove(&name);
        }
    }

    fn begin(&self, consumer: Consumer) -> Result<Running, AgentError> {
        let name = consumer.delivery.consumer.clone();
        let folder = self.settings.state_dir.join(CONSUMERS).join(name.as_str());
        make_folder(&folder)?;
        let journal = Journal::open(Arc::clone(&self.disk), &folder)
            .map_err(|source| AgentError::Journal { consumer: name.clone(), source })?;
        journal.sweep();
        let client = self
            .client(&consumer, &folder)
            .map_err(|source| AgentError::Client { consumer: name.clone(), source })?;
        let stop = Arc::new(AtomicBool::new(false));
        self.board.set(&name, Standing::Waiting { why: None });
        let worker = Worker::new(
            consumer.delivery.clone(),
            client.clone(),
            journal,
            Arc::clone(&self.disk),
            Arc::clone(&stop),
            Arc::clone(&self.board),
        )
        .map_err(|source| AgentError::Client { consumer: name.clone(), source })?;
        let thread = std::thread::Builder::new()
            .name(format!("deliver-{name}"))
            .spawn(move || worker.run())
            .map_err(AgentError::Thread)?;
        Ok(Running { consumer, client, stop, thread })
    }

    fn client(&self, consumer: &Consumer, folder: &Path) -> Result<Client, BuildError> {
        let delivery = &consumer.delivery;
        let token = TokenSource::File(consumer.token_file.clone());
        let mut builder = Client::builder(self.settings.endpoint.clone(), token)
            .consumer(delivery.consumer.as_str())
            .tls(self.settings.tls.clone())
            .deferred()
            .identity_file(folder.join("identity"));
        // Whoever is stopped in time has stopped when the server thinks so; anybody else goes on.
        if delivery.when_offline == WhenOffline::Keep {
            builder = builder.endures();
        }
        for ring in &delivery.rings {
            builder = builder.ring(ring.as_str());
        }
        builder.build()
    }

    /// How the consumers stand.
    pub fn standings(&self) -> Standings {
        self.board.standings()
    }

    /// Waits until a standing changes or [`Agent::waker`] wakes it, at most for `limit`, unless
    /// `ready` says that there is nothing to wait for.
    pub fn wait(&self, limit: Span, ready: impl Fn(&Standings) -> bool) {
        self.board.wait(limit, ready);
    }

    /// Wakes [`Agent::wait`] from another thread.
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let board = Arc::clone(&self.board);
        move || board.nudge()
    }

    /// Ends all threads. A delivery that goes on is taken back. No goodbye is said for a consumer
    /// that goes on without the agent.
    pub fn stop(mut self) {
        let all: Vec<ConsumerName> = self.running.keys().cloned().collect();
        self.end(&all);
    }
}

fn make_folder(path: &Path) -> Result<(), AgentError> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = |source| AgentError::Folder { path: path.to_owned(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let mode = std::fs::metadata(path).map_err(failed)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(AgentError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

fn lock(state_dir: &Path) -> Result<File, AgentError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = state_dir.join("lock");
    let failed = |source| AgentError::Folder { path: path.clone(), source };
    let file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| AgentError::Locked { path: state_dir.to_owned() })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn settings(state_dir: &Path) -> Settings {
        Settings {
            endpoint: "unix:/nowhere.sock".to_owned(),
            tls: TlsOptions::default(),
            state_dir: state_dir.to_owned(),
        }
    }

    #[test]
    fn two_agents_do_not_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let state_dir = folder.path().join("state");
        let agent = Agent::start(settings(&state_dir), Vec::new()).ok().unwrap();
        let error = Agent::start(settings(&state_dir), Vec::new()).err().unwrap();
        assert!(matches!(error, AgentError::Locked { .. }), "{error}");
        assert!(error.remedy().contains("state_dir"));
        agent.stop();
        assert!(Agent::start(settings(&state_dir), Vec::new()).is_ok());
    }

    #[test]
    fn a_folder_that_others_may_use_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = Agent::start(settings(folder.path()), Vec::new()).err().unwrap();
        assert!(matches!(error, AgentError::Exposed { mode: 0o755, .. }), "{error}");
        assert!(error.remedy().starts_with("run: chmod 700"));
    }
}
