//! What a server keeps on this machine, opened: lock, master key, store, high-water marks, engine.
//! `serve` and the commands that work without a server come through here.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use keywheel_engine::ports::{Clock as _, Kek as _, Key, Store as _};
use keywheel_engine::{Engine, EngineError, Parts};
use keywheel_store::kek::PrivateFileError;
use keywheel_store::{
    Envelope, FileHighWater, KekOpenError, KekRing, OpenError, Sealer, SqliteStore, SystemClock,
    SystemEntropy,
};

use crate::config::ServerConfig;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::private;

mod lock;

pub use lock::{Lock, holder};

/// The state of a server, opened and locked: no other process opens it meanwhile.
pub struct State {
    /// The store.
    pub store: Arc<SqliteStore>,
    /// The high-water marks.
    pub high_water: Arc<FileHighWater>,
    /// The master key.
    pub kek: Arc<KekRing>,
    /// Whether the store was made just now.
    pub is_new: bool,
    lock: Lock,
}

impl State {
    /// Opens the state, and makes what is missing when there is nothing yet.
    ///
    /// # Errors
    /// When another process has it, the master key is missing or another one, or a file cannot be
    /// used. Nothing is changed then.
    pub fn open_or_create(config: &ServerConfig) -> Result<Self, Failure> {
        make_folders(config)?;
        Self::open_locked(config, Lock::take(&config.lock_file())?, true)
    }

    /// Opens the state that must be there.
    ///
    /// # Errors
    /// As [`State::open_or_create`], and when there is none.
    pub fn open(config: &ServerConfig) -> Result<Self, Failure> {
        must_exist(config)?;
        Self::open_with(config, Lock::take(&config.lock_file())?)
    }

    /// The same under a lock that is held already.
    ///
    /// # Errors
    /// As [`State::open`].
    pub fn open_with(config: &ServerConfig, lock: Lock) -> Result<Self, Failure> {
        must_exist(config)?;
        Self::open_locked(config, lock, false)
    }

    fn open_locked(config: &ServerConfig, lock: Lock, may_create: bool) -> Result<Self, Failure> {
        let (store, needed) = if config.store.exists() {
            let store = open_store(config)?;
            let needed = sealed_under(&store)?;
            (Some(store), needed)
        } else {
            (None, None)
        };
        let is_new = needed.is_none();
        // The key comes before the store, so that no store ever waits for a key that was not made.
        let kek = if is_new && may_create {
            config.kek.open_or_create(Arc::new(SystemEntropy))
        } else {
            config.kek.open(Arc::new(SystemEntropy))
        };
        let kek = kek.map_err(|error| kek_failure(&error, needed.as_deref()))?;
        if let Some(needed) = &needed {
            let given = kek.id().0;
            if *needed != given && !kek.former_ids().iter().any(|id| id.0 == *needed) {
                return Err(wrong_kek(needed, &given));
            }
        }
        let store = store.map_or_else(|| open_store(config), Ok)?;
        let high_water =
            FileHighWater::open(&config.high_water).map_err(|error| open_failure(&error))?;
        Ok(Self {
            store: Arc::new(store),
            high_water: Arc::new(high_water),
            kek: Arc::new(kek),
            is_new,
            lock,
        })
    }

    /// Opens the engine over this state.
    ///
    /// # Errors
    /// When the store holds something that is not believed. Nothing is changed then.
    pub fn engine(&self, config: &ServerConfig, keep_notices: bool) -> Result<Engine, Failure> {
        Engine::open(self.parts(config, keep_notices)).map_err(|error| engine_failure(&error))
    }

    /// Opens the engine over a store that may be older than what this machine has seen.
    ///
    /// # Errors
    /// When the store holds something that does not open.
    pub fn engine_set_back(&self, config: &ServerConfig) -> Result<Engine, Failure> {
        Engine::open_set_back(self.parts(config, false)).map_err(|error| engine_failure(&error))
    }

    fn parts(&self, config: &ServerConfig, keep_notices: bool) -> Parts {
        let sealer = Sealer::new(Arc::clone(&self.kek) as _, Arc::new(SystemEntropy));
        Parts {
            store: Arc::clone(&self.store) as _,
            seal: Arc::new(sealer),
            high_water: Arc::clone(&self.high_water) as _,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            server: config.name.clone().unwrap_or_else(host_name),
            lease_ttl: config.lease_ttl,
            keep_notices,
        }
    }

    /// Says in the lock who holds it.
    pub fn announce(&mut self) {
        self.lock.announce();
    }
}

/// There must be a store before anything can be done with it.
///
/// # Errors
/// When there is none.
pub fn must_exist(config: &ServerConfig) -> Result<(), Failure> {
    if config.store.exists() {
        return Ok(());
    }
    Err(Failure::failed(
        format!("there is no store {}", config.store.display()),
        "check --config and server.store; the first start of the server makes one",
    ))
}

/// Makes the folders that the state needs.
///
/// # Errors
/// When one cannot be made.
pub fn make_folders(config: &ServerConfig) -> Result<(), Failure> {
    private::make_folder(&config.state_dir)?;
    for file in [&config.store, &config.high_water] {
        if let Some(folder) = file.parent() {
            private::make_folder(folder)?;
        }
    }
    keep_out_of_version_control(&config.state_dir)
}

/// Drives an engine until it leads. A server that was killed may have left a lease behind.
///
/// # Errors
/// When the lease does not end.
pub fn lead(engine: &Engine, config: &ServerConfig) -> Result<(), Failure> {
    let deadline = SystemClock.monotonic().0 + config.lease_ttl.to_std() * 3;
    loop {
        let nap = engine.drive();
        if engine.health().leads {
            return Ok(());
        }
        if SystemClock.monotonic().0 >= deadline {
            return Err(Failure::failed(
                "another server leads this store, although it does not hold the lock",
                "stop the servers that use this store from other machines",
            ));
        }
        engine.nap(nap.min(std::time::Duration::from_millis(200)));
    }
}

fn open_store(config: &ServerConfig) -> Result<SqliteStore, Failure> {
    SqliteStore::open(&config.store, Arc::new(SystemClock)).map_err(|error| open_failure(&error))
}

/// The master key under which a store is sealed; nothing when it holds nothing yet.
///
/// # Errors
/// When the store does not answer.
pub fn sealed_under(store: &SqliteStore) -> Result<Option<String>, Failure> {
    let first = store.list("", None::<&Key>, 1).map_err(|error| {
        Failure::failed(chain(&error), "run: keywheel doctor; or restore a backup")
    })?;
    let Some((_, stored)) = first.first() else { return Ok(None) };
    // What is no envelope is judged where it is opened, with a better message.
    let id = Envelope::parse(&stored.value).map(|envelope| envelope.kek().0.clone());
    Ok(Some(id.unwrap_or_default()))
}

/// The master key at hand is another one than the store wants.
pub fn wrong_kek(needed: &str, given: &str) -> Failure {
    let cause = if needed.is_empty() {
        "the store holds values that are not sealed: it was damaged or edited".to_owned()
    } else {
        format!("the store was sealed under master key {needed}, but the one given is {given}")
    };
    Failure::failed(
        cause,
        "give the server the master key that it names, or restore a backup; nothing was changed",
    )
}

/// Says what is wrong with the master key, and which one the store wants.
pub fn kek_failure(error: &KekOpenError, needed: Option<&str>) -> Failure {
    let exit = match error {
        KekOpenError::File(PrivateFileError::Exposed { .. } | PrivateFileError::Owner { .. }) => {
            Exit::Permission
        }
        KekOpenError::File(PrivateFileError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Exit::Permission
        }
        _ => Exit::Failed,
    };
    let wanted = needed.filter(|needed| !needed.is_empty());
    let wanted = wanted
        .map(|needed| format!("; the store was sealed under master key {needed}"))
        .unwrap_or_default();
    Failure::new(exit, format!("the master key: {}{wanted}", chain(error)), error.remedy())
}

/// Says why a database file cannot be used.
pub fn open_failure(error: &OpenError) -> Failure {
    let exit = match error {
        OpenError::Exposed { .. } => Exit::Permission,
        OpenError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Exit::Permission
        }
        _ => Exit::Failed,
    };
    Failure::from_error(exit, error, error.remedy())
}

/// Says why the engine could not do what was asked.
pub fn engine_failure(error: &EngineError) -> Failure {
    let exit = match error {
        EngineError::Refused(_) => Exit::Refused,
        EngineError::Forbidden { .. } | EngineError::Unauthenticated => Exit::Permission,
        EngineError::NotLeader => Exit::Unreachable,
        _ => Exit::Failed,
    };
    Failure::from_error(exit, error, error.remedy())
}

/// The state folder tends to stand in a checkout, and what is in it must never be committed.
fn keep_out_of_version_control(folder: &Path) -> Result<(), Failure> {
    let path = folder.join(".gitignore");
    match std::fs::OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(mut file) => {
            file.write_all(b"*\n").map_err(|error| Failure::io("written", &path, &error))
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Failure::io("written", &path, &error)),
    }
}

/// The name of this machine, in the characters that a server's name may have.
fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let clean: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .take(64)
        .collect();
    if clean.is_empty() { "keywheel".to_owned() } else { clean }
}
