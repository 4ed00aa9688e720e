//! A worker: a process of one of the two services. It signs requests to the workers of the other
//! service, checks what they send, and tells its parent what came of it. It knows nothing of
//! rotations.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keywheel_core::time::Span;
use serde::{Deserialize, Serialize};

use self::counters::Counters;
use self::keys::{Keys, SingleKey};
use self::pace::Pace;
use super::parent::{self, Order};
use super::process;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};

mod counters;
mod desk;
pub(super) mod keys;
mod pace;
mod ring_keys;
mod sender;

/// How often a worker tells what it has done.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// How a worker is to work; a file that its parent writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// What it is called, and its socket.
    pub(super) name: String,
    /// The service that it belongs to.
    pub(super) service: String,
    /// The folder with everybody's socket.
    pub(super) folder: PathBuf,
    /// The names of the workers of the other service.
    pub(super) peers: Vec<String>,
    /// How many requests it sends.
    pub(super) requests_per_sec: u32,
    /// How long a request lives.
    pub(super) lifetime: Span,
    /// Where its keys come from.
    pub(super) source: Source,
}

/// Where keys come from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub(super) enum Source {
    /// A ring of a keywheel server.
    Ring {
        /// Its name.
        ring: String,
        /// The server's socket.
        server: String,
        /// The file with the token.
        token_file: PathBuf,
    },
    /// A file with the only key.
    File(PathBuf),
}

/// The socket of a worker.
fn socket_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(name).with_extension("sock")
}

/// What the threads of a worker share.
struct Worker {
    settings: Settings,
    keys: Box<dyn Keys>,
    counters: Counters,
    pace: Pace,
}

/// Works until the parent ends.
///
/// # Errors
/// When the settings cannot be read, the keys not be had, or the socket not be made.
pub(super) fn run(file: &Path) -> Outcome {
    let text = std::fs::read(file).map_err(|error| Failure::io("read", file, &error))?;
    let settings: Settings =
        serde_json::from_slice(&text).map_err(|error| failed("read its settings", &error))?;
    let keys = open_keys(&settings).map_err(|cause| failed("get its keys", &cause))?;
    let socket = socket_of(&settings.folder, &settings.name);
    let listener =
        UnixListener::bind(&socket).map_err(|error| Failure::io("listened at", &socket, &error))?;
    let pace = Pace::new(settings.requests_per_sec);
    let worker = Arc::new(Worker { settings, keys, counters: Counters::default(), pace });
    spawn(&worker, move |worker| desk::serve(&worker, &listener))?;
    spawn(&worker, |worker| desk::check_again(&worker))?;
    for peer in worker.settings.peers.clone() {
        spawn(&worker, move |worker| sender::run(&worker, &peer))?;
    }
    spawn(&worker, |worker| tell(&worker))?;
    parent::listen(|order| match order {
        Order::Go => worker.pace.begin(),
        Order::Rest => worker.pace.end(),
        Order::Reload => {
            if let Err(cause) = worker.keys.reload() {
                worker.counters.describe(format!("the key cannot be read: {cause}"));
            }
        }
    });
    worker.keys.leave();
    Ok(Exit::Done)
}

fn open_keys(settings: &Settings) -> Result<Box<dyn Keys>, String> {
    match &settings.source {
        Source::File(path) => Ok(Box::new(SingleKey::open(path)?)),
        Source::Ring { ring, server, token_file } => {
            Ok(Box::new(ring_keys::RingKeys::open(&settings.service, ring, server, token_file)?))
        }
    }
}

/// Starts a thread that lives as long as the process.
fn spawn(
    worker: &Arc<Worker>,
    work: impl FnOnce(Arc<Worker>) + Send + 'static,
) -> Result<(), Failure> {
    let worker = Arc::clone(worker);
    process::thread(move || work(worker))
}

/// Tells the parent, until nobody listens.
fn tell(worker: &Worker) {
    let mut out = std::io::stdout();
    loop {
        let tally = worker.counters.tally(worker.keys.signs_with(), worker.pace.is_going());
        let Ok(mut line) = serde_json::to_vec(&tally) else { return };
        line.push(b'\n');
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            return;
        }
        std::thread::sleep(TELL_EVERY);
    }
}

fn failed(what: &str, cause: &dyn std::fmt::Display) -> Failure {
    Failure::failed(
        format!("a worker of the demonstration could not {what}: {cause}"),
        "run it again; if it stays so, please report it",
    )
}
