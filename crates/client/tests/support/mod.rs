//! A real engine and a real server on a unix socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keywheel_client::{Builder, Client, Token};
use keywheel_core::id::RingName;
use keywheel_core::time::Span;
use keywheel_engine::ports::{
    Caps, Change, Commit, CommitError, Fence, Key, Seq, Store, StoreError, Stored,
};
use keywheel_engine::{Context, Engine, NewToken, Parts, RingScope, Role, Snapshot, Verb};
use keywheel_server::edge::{EdgeSettings, Profile, Route};
use keywheel_server::{AuthzSettings, Listen, Running, Server, Settings};
use keywheel_store::kek::FileKek;
use keywheel_store::{MemoryHighWater, MemoryStore, Sealer, SystemClock, SystemEntropy};
use serde_json::{Value, json};

pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) folder: tempfile::TempDir,
    /// While this is set the store does not answer.
    pub(crate) away: Arc<AtomicBool>,
    /// What `/authz` answers for, from the next start.
    pub(crate) routes: Vec<Route>,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) running: Option<Running>,
    pub(crate) stopping: Arc<AtomicBool>,
    driver: Option<JoinHandle<()>>,
}

/// A store that can be made not to answer.
struct Fragile {
    inner: MemoryStore,
    away: Arc<AtomicBool>,
}

impl Fragile {
    fn here(&self) -> Result<&MemoryStore, StoreError> {
        if self.away.load(Ordering::Acquire) {
            return Err(StoreError::Unavailable("nobody answers".into()));
        }
        Ok(&self.inner)
    }
}

impl Store for Fragile {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.here()?.read(key)
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.here()?.list(prefix, after, limit)
    }

    fn commit(&self, commit: &Commit) -> Result<Seq, CommitError> {
        self.here()?.commit(commit)
    }

    fn head(&self) -> Result<Seq, StoreError> {
        self.here()?.head()
    }

    fn changes(&self, since: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.here()?.changes(since, limit)
    }

    fn wait(&self, since: Seq, at_most: Duration) -> Result<Seq, StoreError> {
        self.here()?.wait(since, at_most)
    }

    fn acquire(&self, holder: &str, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        self.here()?.acquire(holder, ttl)
    }

    fn renew(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        self.here()?.renew(fence, ttl)
    }

    fn release(&self, fence: Fence) -> Result<(), StoreError> {
        self.here()?.release(fence)
    }
}

pub(crate) fn context() -> Context {
    Context { actor: "test".into(), reason: Some("a test".into()), ..Context::default() }
}

/// A protector `api` and a processor `edge`, with short times.
pub(crate) fn spec(kind: &str) -> Value {
    json!({
        "kind": kind,
        "longest_lifetime": "2s",
        "skew": "1s",
        "lease_ttl": "2s",
        "offline_max": "20s",
        "consumer": [
            { "name": "api", "role": "protect" },
            { "name": "edge", "role": "process" },
        ],
    })
}

pub(crate) fn with(mut spec: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

impl World {
    pub(crate) fn new() -> Self {
        let away = Arc::new(AtomicBool::new(false));
        let inner = MemoryStore::new(Arc::new(SystemClock));
        let store: Arc<dyn Store> = Arc::new(Fragile { inner, away: Arc::clone(&away) });
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let mut world = Self::over(store, &key, "test", folder);
        world.away = away;
        world.start();
        world
    }

    /// An engine over a store that others may use too, under the same key; its server is yet to be
    /// started.
    pub(crate) fn over(
        store: Arc<dyn Store>,
        key: &Path,
        server: &str,
        folder: tempfile::TempDir,
    ) -> Self {
        let kek = FileKek::open_or_create(key, Arc::new(SystemEntropy));
        let engine = Engine::open(Parts {
            store,
            seal: Arc::new(Sealer::new(Arc::new(kek.unwrap()), Arc::new(SystemEntropy))),
            high_water: Arc::new(MemoryHighWater::default()),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            server: server.into(),
            lease_ttl: Span::from_secs(3),
            keep_notices: false,
        });
        let engine = Arc::new(engine.unwrap());
        engine.drive();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let driver = std::thread::spawn({
            let (engine, stopping) = (Arc::clone(&engine), Arc::clone(&stopping));
            move || {
                while !stopping.load(Ordering::Acquire) {
                    let nap = engine.drive();
                    engine.nap(nap);
                }
            }
        });
        Self {
            engine,
            folder,
            away: Arc::default(),
            routes: Vec::new(),
            runtime,
            running: None,
            stopping,
            driver: Some(driver),
        }
    }

    pub(crate) fn start(&mut self) {
        let edge = EdgeSettings { profile: Profile::Envoy, routes: self.routes.clone() };
        let settings = Settings {
            listen: vec![Listen::Unix(self.socket())],
            authz: AuthzSettings { edge, ..AuthzSettings::default() },
            ..Settings::default()
        };
        let start = Server::start(Arc::clone(&self.engine), settings);
        self.running = Some(self.runtime.block_on(start).unwrap());
    }

    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop(Duration::from_secs(2)));
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("keywheel.sock")
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    pub(crate) fn put(&self, ring: &str, spec: &Value) {
        let spec = serde_json::from_value(spec.clone()).unwrap();
        self.engine.put_ring(&name(ring), &spec, None, None, &context()).unwrap();
    }

    pub(crate) fn act(&self, ring: &str, verb: &Verb) {
        self.engine.act(&name(ring), verb, &context()).unwrap();
    }

    pub(crate) fn rotate(&self, ring: &str) {
        self.act(ring, &Verb::Rotate { import: None });
    }

    pub(crate) fn snapshot(&self, ring: &str) -> Snapshot {
        self.engine.snapshot(&name(ring)).unwrap()
    }

    pub(crate) fn primary(&self, ring: &str) -> Option<u32> {
        self.snapshot(ring).ring.primary().map(|number| number.0)
    }

    /// The instances that have proved the present keyset, by name.
    pub(crate) fn proved(&self, ring: &str) -> Vec<String> {
        let snapshot = self.snapshot(ring);
        let present = snapshot.ring.keyset().revision;
        let proved = snapshot.view.instances.iter().filter(|instance| {
            !instance.ended && instance.held.is_some_and(|held| held.revision == present)
        });
        proved.map(|instance| instance.id.to_string()).collect()
    }

    pub(crate) fn token(&self, consumer: &str) -> Token {
        Token::new(self.token_text(consumer).0).unwrap()
    }

    /// A token as text, and its id.
    pub(crate) fn token_text(&self, consumer: &str) -> (String, String) {
        let new = NewToken {
            name: consumer.into(),
            role: Role::Consumer,
            rings: RingScope::All,
            consumer: Some(consumer.parse().unwrap()),
            cidr: None,
            uid: None,
            expires_in: None,
        };
        let (token, info) = self.engine.create_token(new, &context()).unwrap();
        (token.to_string(), info.id)
    }

    pub(crate) fn builder(&self, consumer: &str, ring: &str) -> Builder {
        Client::builder(self.endpoint(), self.token(consumer)).consumer(consumer).ring(ring)
    }

    pub(crate) fn client(&self, consumer: &str, ring: &str) -> Client {
        self.builder(consumer, ring).build().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
        self.stopping.store(true, Ordering::Release);
        self.engine.poke();
        if let Some(driver) = self.driver.take() {
            driver.join().unwrap();
        }
    }
}

pub(crate) fn name(ring: &str) -> RingName {
    ring.parse().unwrap()
}

/// Waits for a condition, and says what did not happen when it does not.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + Duration::from_mins(3);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < deadline, "{what}: it did not happen");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[expect(clippy::disallowed_methods, reason = "tests wait with a deadline on the real clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
