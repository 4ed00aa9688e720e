//! The rings that this process has named, and the client that follows them. The rings that are
//! known at the first use share one client, hence one thread and one name at the server; each one
//! that is named later gets a client of its own.
//!
//! There is no lock here: a fork in the wrong moment would leave it locked in the child.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use keywheel_client::{BuildError, Client, ClientError, RingHandle};
use keywheel_core::id::RingName;
use pyo3::prelude::*;

use crate::config::{Config, ConfigError};
use crate::error::{self, Raise as _, raise};
use crate::notify;
use crate::ring::Ring;

/// How many clients a process has, at most. Rings that are named in time share one.
const CLIENTS_MAX: usize = 16;

#[derive(Clone, Default)]
struct State {
    config: Config,
    named: Vec<String>,
    bound: BTreeMap<String, RingHandle>,
    clients: Vec<Client>,
}

/// The rings of one configuration.
#[pyclass(frozen, module = "keywheel._keywheel")]
pub(crate) struct Registry {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    state: ArcSwap<State>,
}

/// Why a ring cannot be followed.
pub(crate) enum BindError {
    Config(ConfigError),
    Build(BuildError),
    /// Somebody turned a warning into an exception.
    Warned(PyErr),
}

impl BindError {
    pub(crate) fn raise(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Warned(error) => error,
            Self::Config(error) => raise(py, "ConfigurationError", &error.0),
            Self::Build(error) => error.raise(py),
        }
    }
}

impl Shared {
    /// One that knows no ring.
    pub(crate) fn empty() -> Self {
        Self { state: ArcSwap::default() }
    }

    /// The ring, followed from now on.
    pub(crate) fn bind(&self, py: Python<'_>, name: &str) -> Result<RingHandle, BindError> {
        loop {
            let present = self.state.load_full();
            if let Some(handle) = present.bound.get(name) {
                return Ok(handle.clone());
            }
            if present.clients.len() >= CLIENTS_MAX {
                return Err(BindError::Config(ConfigError(format!(
                    "ring {name} was named after the first use of a ring, as {CLIENTS_MAX} others \
                     were before it, and each needs a thread of its own; name every ring where \
                     modules are imported"
                ))));
            }
            let mut next = State::clone(&present);
            let client = next.client().map_err(BindError::Config)?.map_err(BindError::Build)?;
            for name in std::mem::take(&mut next.named) {
                let handle = client.ring(&name).map_err(BindError::Build)?;
                next.bound.insert(name, handle);
            }
            next.clients.push(client);
            // Another thread may have come in between; the next round finds whoever was first.
            let is_first = next.clients.len() == 1;
            let before = self.state.compare_and_swap(&present, Arc::new(next));
            if is_first && Arc::ptr_eq(&before, &present) {
                warn(py, &present.config)?;
            }
        }
    }
}

/// Says once what is wrong with the configuration and still works.
fn warn(py: Python<'_>, config: &Config) -> Result<(), BindError> {
    let config = Config::settle(config).map_err(BindError::Config)?;
    let Some(text) = crate::still::warning(&config) else { return Ok(()) };
    let text = CString::new(text).unwrap_or_default();
    let module = py.import("keywheel.exceptions");
    let category = module.and_then(|module| module.getattr("KeyFileWarning"));
    category.and_then(|category| PyErr::warn(py, &category, &text, 1)).map_err(BindError::Warned)
}

impl State {
    fn client(&self) -> Result<Result<Client, BuildError>, ConfigError> {
        let config = Config::settle(&self.config)?;
        if let Some(rings) = crate::still::rings(&config, &self.named)? {
            return Ok(Client::still(rings));
        }
        let mut builder = config.builder()?;
        for name in &self.named {
            builder = builder.ring(name);
        }
        Ok(builder.build())
    }
}

#[pymethods]
impl Registry {
    #[new]
    fn new() -> Self {
        Self { shared: Arc::new(Shared::empty()) }
    }

    /// Says how the server is reached; what is not said comes from the environment.
    #[pyo3(signature = (*, url=None, token_file=None, consumer=None, host_cache=None, ca_file=None,
                        first_use_timeout=None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords of the Python function")]
    fn configure(
        &self,
        py: Python<'_>,
        url: Option<String>,
        token_file: Option<PathBuf>,
        consumer: Option<String>,
        host_cache: Option<PathBuf>,
        ca_file: Option<PathBuf>,
        first_use_timeout: Option<f64>,
    ) -> PyResult<()> {
        if !self.shared.state.load().bound.is_empty() {
            let text = "keys are in use already; call keywheel.configure before the first use of a \
                        ring";
            return Err(raise(py, "ConfigurationError", text));
        }
        let first_use_timeout_secs = first_use_timeout;
        let config =
            Config { url, token_file, consumer, host_cache, ca_file, first_use_timeout_secs };
        self.shared.state.rcu(|state| State { config: config.clone(), ..State::clone(state) });
        Ok(())
    }

    /// A ring by its name. Nothing is opened, started or asked.
    fn ring(&self, py: Python<'_>, name: String) -> PyResult<Ring> {
        let checked: Result<RingName, _> = name.parse();
        checked.map_err(|error| BindError::Build(error.into()).raise(py))?;
        self.shared.state.rcu(|state| {
            let mut state = State::clone(state);
            if !state.bound.contains_key(&name) && !state.named.contains(&name) {
                state.named.push(name.clone());
            }
            state
        });
        Ok(Ring::new(name, Arc::clone(&self.shared)))
    }

    /// Starts following every ring that was named, and waits until each has arrived or could not.
    /// What is raised names every one that has not.
    fn start(&self, py: Python<'_>) -> PyResult<()> {
        let first = self.shared.state.load().named.first().cloned();
        if let Some(name) = first {
            self.shared.bind(py, &name).map_err(|error| error.raise(py))?;
        }
        let clients = self.shared.state.load().clients.clone();
        notify::revive()?;
        let failed: Vec<ClientError> = py.detach(|| {
            clients.iter().filter_map(|client| client.start_all().err()).flatten().collect()
        });
        if failed.is_empty() { Ok(()) } else { Err(error::raise_all(py, &failed)) }
    }

    /// Waits until no thread is about to attach to the interpreter. Python calls it before it
    /// forks.
    fn settle(&self, py: Python<'_>) -> PyResult<()> {
        Ok(notify::settle(py)?)
    }

    /// Ends every subscription. Python calls it before it ends.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        Ok(notify::leave(py)?)
    }

    /// Lets those who listen hear in a forked child too. Python calls it there.
    fn revive(&self) -> PyResult<()> {
        Ok(notify::revive()?)
    }

    /// Says goodbye to the server. True when it was said in time.
    fn shutdown(&self, py: Python<'_>) -> bool {
        let clients = self.shared.state.load().clients.clone();
        py.detach(|| {
            // All of them say goodbye at the same time.
            clients.iter().for_each(Client::begin_shutdown);
            clients.iter().filter(|client| !client.shutdown()).count() == 0
        })
    }
}
