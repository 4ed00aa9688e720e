//! A real engine and a real server on a unix socket, and a relay that stands in between and can
//! misbehave.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(unreachable_pub, reason = "each test binary has its own copy")]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keywheel_client::{Builder, Client, Token};
use keywheel_core::id::RingName;
use keywheel_core::time::Span;
use keywheel_engine::ports::Store;
use keywheel_engine::{Context, Engine, NewToken, Parts, RingScope, Role, Snapshot, Verb};
use keywheel_server::{Listen, Running, Server, Settings};
use keywheel_store::kek::FileKek;
use keywheel_store::{MemoryHighWater, MemoryStore, Sealer, SystemClock, SystemEntropy};
use serde_json::{Value, json};

pub struct World {
    pub engine: Arc<Engine>,
    pub socket: PathBuf,
    pub folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    running: Option<Running>,
    stopping: Arc<AtomicBool>,
    driver: Option<JoinHandle<()>>,
}

pub fn context() -> Context {
    Context { actor: "test".into(), reason: Some("a test".into()), ..Context::default() }
}

/// A protector `api` and a processor `edge`, with short times.
pub fn spec(kind: &str) -> Value {
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

pub fn with(mut spec: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kek = FileKek::open_or_create(&folder.path().join("key"), Arc::new(SystemEntropy));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let engine = Engine::open(Parts {
            store,
            seal: Arc::new(Sealer::new(Arc::new(kek.unwrap()), Arc::new(SystemEntropy))),
            high_water: Arc::new(MemoryHighWater::default()),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            server: "test".into(),
            lease_ttl: Span::from_secs(3),
            keep_notices: false,
        });
        let engine = Arc::new(engine.unwrap());
        engine.drive();
        let socket = folder.path().join("keywheel.sock");
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
        let driver = Some(driver);
        let mut world = Self { engine, socket, folder, runtime, running: None, stopping, driver };
        world.start();
        world
    }

    pub fn start(&mut self) {
        let settings =
            Settings { listen: vec![Listen::Unix(self.socket.clone())], ..Settings::default() };
        let start = Server::start(Arc::clone(&self.engine), settings);
        self.running = Some(self.runtime.block_on(start).unwrap());
    }

    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop(Duration::from_secs(2)));
        }
    }

    pub fn endpoint(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    pub fn put(&self, ring: &str, spec: &Value) {
        let spec = serde_json::from_value(spec.clone()).unwrap();
        self.engine.put_ring(&name(ring), &spec, None, None, &context()).unwrap();
    }

    pub fn act(&self, ring: &str, verb: &Verb) {
        self.engine.act(&name(ring), verb, &context()).unwrap();
    }

    pub fn rotate(&self, ring: &str) {
        self.act(ring, &Verb::Rotate { import: None });
    }

    pub fn snapshot(&self, ring: &str) -> Snapshot {
        self.engine.snapshot(&name(ring)).unwrap()
    }

    pub fn primary(&self, ring: &str) -> Option<u32> {
        self.snapshot(ring).ring.primary().map(|number| number.0)
    }

    /// The instances that have proved the present keyset, by name.
    pub fn proved(&self, ring: &str) -> Vec<String> {
        let snapshot = self.snapshot(ring);
        let present = snapshot.ring.keyset().revision;
        let proved = snapshot.view.instances.iter().filter(|instance| {
            !instance.ended && instance.held.is_some_and(|held| held.revision == present)
        });
        proved.map(|instance| instance.id.to_string()).collect()
    }

    pub fn token(&self, consumer: &str) -> Token {
        let new = NewToken {
            name: consumer.into(),
            role: Role::Consumer,
            rings: RingScope::All,
            consumer: Some(consumer.parse().unwrap()),
            cidr: None,
            uid: None,
            expires_in: None,
        };
        let (token, _) = self.engine.create_token(new, &context()).unwrap();
        Token::new(token.to_string()).unwrap()
    }

    pub fn builder(&self, consumer: &str, ring: &str) -> Builder {
        Client::builder(self.endpoint(), self.token(consumer)).consumer(consumer).ring(ring)
    }

    pub fn client(&self, consumer: &str, ring: &str) -> Client {
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

pub fn name(ring: &str) -> RingName {
    ring.parse().unwrap()
}

/// Waits for a condition, and says what did not happen when it does not.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + Duration::from_secs(40);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < deadline, "{what}: it did not happen");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[expect(clippy::disallowed_methods, reason = "tests wait with a deadline on the real clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// What a relay does with a new connection, by the path of its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// Passes everything on.
    None,
    /// Closes the connection when the change feed is asked for.
    DropFeed,
    /// Answers the stream, but not the long poll, with a page of a proxy.
    PageForStream,
    /// Passes reports on and swallows their answers.
    SwallowAcknowledgements,
    /// Says nothing to anybody.
    Mute,
}

/// Stands between clients and the server.
pub struct Relay {
    pub socket: PathBuf,
    fault: Arc<AtomicU8>,
    pub hits: Arc<AtomicUsize>,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Relay {
    pub fn before(world: &World) -> Self {
        let socket = world.folder.path().join("relay.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let fault = Arc::new(AtomicU8::new(0));
        let hits = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(Mutex::new(Vec::new()));
        let relay =
            Self { socket, fault: fault.clone(), hits: hits.clone(), open: Arc::clone(&open) };
        let upstream = world.socket.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (fault, hits, open) = (fault.clone(), hits.clone(), open.clone());
                let upstream = upstream.clone();
                std::thread::spawn(move || serve(stream, &upstream, &fault, &hits, &open));
            }
        });
        relay
    }

    pub fn endpoint(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    /// Misbehaves from now on, towards open connections too.
    pub fn set(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

fn serve(
    mut client: UnixStream,
    upstream: &Path,
    fault: &AtomicU8,
    hits: &AtomicUsize,
    open: &Mutex<Vec<UnixStream>>,
) -> Option<()> {
    let mut head = Vec::new();
    let mut buffer = [0; 8192];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = client.read(&mut buffer).ok().filter(|count| *count > 0)?;
        head.extend_from_slice(&buffer[..count]);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let path = text.split(' ').nth(1)?.to_owned();
    let is_stream = path.starts_with("/v1/watch") && !path.contains("wait=");
    let is = |kind: Fault| fault.load(Ordering::SeqCst) == kind as u8;
    open.lock().unwrap().push(client.try_clone().ok()?);
    if is(Fault::Mute) {
        hits.fetch_add(1, Ordering::SeqCst);
        while client.read(&mut buffer).ok()? > 0 {}
        return None;
    }
    if is(Fault::DropFeed) && path.starts_with("/v1/watch") {
        hits.fetch_add(1, Ordering::SeqCst);
        let _ = client.shutdown(std::net::Shutdown::Both);
        return None;
    }
    if is(Fault::PageForStream) && is_stream {
        hits.fetch_add(1, Ordering::SeqCst);
        let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<hi>";
        client.write_all(page.as_bytes()).ok()?;
        return None;
    }
    let mut server = UnixStream::connect(upstream).ok()?;
    server.write_all(&head).ok()?;
    let (back, front) = (server.try_clone().ok()?, client.try_clone().ok()?);
    let deaf = Arc::new(AtomicBool::new(false));
    let watch = |bytes: &[u8]| {
        let reports = b"POST /v1/reports";
        if is(Fault::SwallowAcknowledgements)
            && bytes.windows(reports.len()).any(|window| window == reports)
        {
            hits.fetch_add(1, Ordering::SeqCst);
            deaf.store(true, Ordering::SeqCst);
        }
    };
    watch(&head);
    let swallow = Arc::clone(&deaf);
    std::thread::spawn(move || copy(back, front, |_| !swallow.load(Ordering::SeqCst)));
    copy(client, server, |bytes| {
        watch(bytes);
        true
    });
    Some(())
}

fn copy(mut from: UnixStream, mut to: UnixStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !passes(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}
