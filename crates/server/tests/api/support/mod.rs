//! A small world for the server's tests: a real engine over a memory store, a real server on
//! loopback and on a unix socket, tokens of every role, and an HTTP client that sends exactly what
//! it is told to.

pub(crate) mod http;
pub(crate) mod process;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keywheel_core::time::Span;
use keywheel_engine::ports::Store;
use keywheel_engine::{Context, Engine, NewToken, Parts, RingScope, Role};
use keywheel_server::{Listen, Running, Server, Settings};
use keywheel_store::kek::FileKek;
use keywheel_store::{MemoryHighWater, MemoryStore, Sealer, SystemClock, SystemEntropy};
use serde_json::{Value, json};

pub(crate) use http::{Answer, Request};

/// Every role, as tokens name it.
pub(crate) const ROLES: [&str; 9] = [
    "admin",
    "operator",
    "breakglass",
    "consumer",
    "auditor",
    "signer",
    "evidence:probes",
    "evidence:findings",
    "evidence:reencryption",
];

/// A server and everything behind it.
pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) address: SocketAddr,
    pub(crate) socket: PathBuf,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) running: Option<Running>,
    pub(crate) folder: tempfile::TempDir,
    tokens: BTreeMap<(String, String), String>,
    stopping: Arc<AtomicBool>,
    driver: Option<JoinHandle<()>>,
}

impl World {
    /// A server with default settings and the ring `web`.
    pub(crate) fn new() -> Self {
        let world = Self::with(|_, _| {});
        world.declare("web", &spec("secret"));
        world
    }

    /// A server with other settings, and no ring.
    pub(crate) fn with(change: impl FnOnce(&mut Settings, &Path)) -> Self {
        let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        Self::over(store, change)
    }

    /// A server over a store of one's own.
    pub(crate) fn over(store: Arc<dyn Store>, change: impl FnOnce(&mut Settings, &Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kek = FileKek::open_or_create(&folder.path().join("key"), Arc::new(SystemEntropy));
        let engine = Engine::open(Parts {
            store,
            seal: Arc::new(Sealer::new(Arc::new(kek.unwrap()), Arc::new(SystemEntropy))),
            high_water: Arc::new(MemoryHighWater::default()),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            server: "test".into(),
            lease_ttl: Span::from_secs(3),
            keep_notices: true,
        });
        let engine = Arc::new(engine.unwrap());
        engine.drive();
        let socket = folder.path().join("keywheel.sock");
        let mut settings = Settings {
            listen: vec![Listen::parse("127.0.0.1:0").unwrap(), Listen::Unix(socket.clone())],
            ..Settings::default()
        };
        change(&mut settings, folder.path());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let running = runtime.block_on(Server::start(Arc::clone(&engine), settings)).unwrap();
        let address = running.addresses().iter().find_map(|listen| match listen {
            Listen::Tcp(address) => Some(*address),
            Listen::Unix(_) => None,
        });
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
        let mut world = Self {
            engine,
            address: address.unwrap(),
            socket,
            runtime,
            running: Some(running),
            folder,
            tokens: BTreeMap::new(),
            stopping,
            driver: Some(driver),
        };
        for role in ROLES {
            world.mint(role, "*", RingScope::All);
            world.mint(role, "elsewhere", RingScope::Only(vec!["elsewhere".parse().unwrap()]));
        }
        world
    }

    fn mint(&mut self, role: &str, scope: &str, rings: RingScope) {
        let role_parsed = Role::try_from(role.to_owned()).unwrap();
        let consumer = (role == "consumer").then(|| "api".parse().unwrap());
        let token = self.make_token(NewToken {
            name: format!("{role} {scope}"),
            role: role_parsed,
            rings,
            consumer,
            cidr: None,
            uid: None,
            expires_in: None,
        });
        self.tokens.insert((role.into(), scope.into()), token);
    }

    /// Makes a token through the engine.
    pub(crate) fn make_token(&self, new: NewToken) -> String {
        let context = Context { actor: "test".into(), ..Context::default() };
        self.engine.create_token(new, &context).unwrap().0.to_string()
    }

    /// A token of a consumer.
    pub(crate) fn consumer(&self, name: &str, rings: &[&str]) -> String {
        self.make_token(NewToken {
            name: name.into(),
            role: Role::Consumer,
            rings: RingScope::Only(rings.iter().map(|ring| ring.parse().unwrap()).collect()),
            consumer: Some(name.parse().unwrap()),
            cidr: None,
            uid: None,
            expires_in: None,
        })
    }

    /// The token of a role that is good for every ring.
    pub(crate) fn token(&self, role: &str) -> &str {
        &self.tokens[&(role.to_owned(), "*".to_owned())]
    }

    /// The token of a role that is good for the ring `elsewhere` only.
    pub(crate) fn elsewhere(&self, role: &str) -> &str {
        &self.tokens[&(role.to_owned(), "elsewhere".to_owned())]
    }

    /// Sends a request over TCP.
    pub(crate) fn send(&self, request: &Request) -> Answer {
        http::exchange(&self.address, request)
    }

    /// Sends a request of a role.
    pub(crate) fn ask(&self, role: &str, method: &str, path: &str) -> Answer {
        self.send(&Request::new(method, path).token(self.token(role)))
    }

    /// Sends a request of a role with a JSON body.
    pub(crate) fn tell(&self, role: &str, method: &str, path: &str, body: &Value) -> Answer {
        self.send(&Request::new(method, path).token(self.token(role)).json(body))
    }

    /// Creates or changes a ring.
    pub(crate) fn declare(&self, ring: &str, policy: &Value) -> Answer {
        let path = format!("/v1/rings/{ring}");
        let answer = self.tell("admin", "PUT", &path, &json!({ "policy": policy }));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// How a ring stands.
    pub(crate) fn status(&self, ring: &str) -> Value {
        let answer = self.ask("auditor", "GET", &format!("/v1/rings/{ring}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Takes the server down, as a signal would.
    pub(crate) fn stop(&mut self, drain: Duration) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop(drain));
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(2));
        self.stopping.store(true, Ordering::Release);
        self.engine.poke();
        if let Some(driver) = self.driver.take() {
            driver.join().unwrap();
        }
    }
}

/// A policy with one protector and one processor, each with at least no instance.
pub(crate) fn spec(kind: &str) -> Value {
    json!({
        "kind": kind,
        "longest_lifetime": "10s",
        "skew": "1s",
        "lease_ttl": "5s",
        "offline_max": "20s",
        "on_event": ["login"],
        "require": ["probes"],
        "consumer": [
            { "name": "api", "role": "protect" },
            { "name": "edge", "role": "process" },
        ],
    })
}

/// Waits for a condition, and says what did not happen when it does not.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + Duration::from_mins(3);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < deadline, "{what}: it did not happen");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The moment, for deadlines.
#[expect(clippy::disallowed_methods, reason = "tests wait with a deadline on the real clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
