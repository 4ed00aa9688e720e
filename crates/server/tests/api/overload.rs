//! A store that became slow: callers are told so, threads do not pile up, and what needs no store
//! goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use keywheel_engine::ports::{
    Caps, Change, Commit, CommitError, Fence, Key, Seq, Store, StoreError, Stored,
};
use keywheel_store::{MemoryStore, SystemClock};

use crate::support::{Request, World, eventually, spec};

/// A memory store whose reads of one ring can be held up.
struct Sluggish {
    inner: MemoryStore,
    held: Mutex<bool>,
    changed: Condvar,
    panics: AtomicBool,
}

impl Sluggish {
    fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.changed.notify_all();
    }
}

impl Store for Sluggish {
    fn caps(&self) -> Caps {
        self.inner.caps()
    }

    fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        // The engine's own thread goes on; only what serves requests breaks.
        let serving = std::thread::current().name().is_some_and(|name| name.starts_with("tokio"));
        assert!(!serving || !self.panics.load(Ordering::Relaxed), "hunter2");
        if key.as_str() == "ring/slow" {
            let held = self.held.lock().unwrap();
            drop(self.changed.wait_while(held, |held| *held).unwrap());
        }
        self.inner.read(key)
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.inner.list(prefix, after, limit)
    }

    fn commit(&self, commit: &Commit) -> Result<Seq, CommitError> {
        self.inner.commit(commit)
    }

    fn head(&self) -> Result<Seq, StoreError> {
        self.inner.head()
    }

    fn changes(&self, since: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.inner.changes(since, limit)
    }

    fn wait(&self, since: Seq, at_most: Duration) -> Result<Seq, StoreError> {
        self.inner.wait(since, at_most)
    }

    fn acquire(&self, holder: &str, ttl: Duration) -> Result<Option<Fence>, StoreError> {
        self.inner.acquire(holder, ttl)
    }

    fn renew(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        self.inner.renew(fence, ttl)
    }

    fn release(&self, fence: Fence) -> Result<(), StoreError> {
        self.inner.release(fence)
    }
}

fn slow_world(change: impl FnOnce(&mut keywheel_server::Limits)) -> (Arc<Sluggish>, World) {
    let store = Arc::new(Sluggish {
        inner: MemoryStore::new(Arc::new(SystemClock)),
        held: Mutex::new(false),
        changed: Condvar::new(),
        panics: AtomicBool::new(false),
    });
    let world = World::over(store.clone(), |settings, _| change(&mut settings.limits));
    world.declare("slow", &spec("secret"));
    (store, world)
}

/// Holds a store up until it is dropped, also when a test fails.
struct Held<'a>(&'a Sluggish);

impl<'a> Held<'a> {
    fn new(store: &'a Sluggish) -> Self {
        store.hold(true);
        Self(store)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.hold(false);
    }
}

#[test]
fn who_finds_every_turn_taken_is_told_so() {
    let (store, world) = slow_world(|limits| {
        limits.engine_calls = 1;
        limits.queue_timeout = Duration::from_millis(500);
    });
    std::thread::scope(|scope| {
        let held = Held::new(&store);
        let first = scope.spawn(|| {
            // Those who look whether the turn is taken may have it for a moment themselves.
            eventually("a turn", || {
                let answer = world.ask("operator", "GET", "/v1/rings/slow");
                (answer.status == 200).then_some(())
            });
        });
        let busy = eventually("the refusal", || {
            let answer = world.ask("auditor", "GET", "/v1/audit");
            (answer.status == 503).then_some(answer)
        });
        assert_eq!(busy.problem(), "store-unavailable");
        assert_eq!(busy.header("retry-after"), Some("1"));
        assert_eq!(world.send(&Request::new("GET", "/healthz")).status, 200);
        drop(held);
        first.join().unwrap();
    });
    assert_eq!(world.ask("operator", "GET", "/v1/rings").status, 200);
}

#[test]
fn a_request_that_takes_too_long_is_answered() {
    let (store, world) = slow_world(|limits| {
        // Long enough for the ring to be declared on a busy machine.
        limits.request_timeout = Duration::from_secs(3);
    });
    let held = Held::new(&store);
    let answer = world.ask("operator", "GET", "/v1/rings/slow");
    assert_eq!(answer.problem(), "store-unavailable");
    drop(held);
}

#[test]
fn a_panic_is_answered_and_forgotten() {
    let (store, world) = slow_world(|limits| limits.engine_calls = 1);
    store.panics.store(true, Ordering::Relaxed);
    let answer = world.ask("operator", "GET", "/v1/rings/slow");
    assert_eq!(answer.problem(), "internal");
    assert!(!answer.body.contains("hunter2"), "{answer:?}");
    store.panics.store(false, Ordering::Relaxed);
    assert_eq!(world.ask("operator", "GET", "/v1/rings/slow").status, 200);
}

#[test]
fn connections_beyond_the_limit_are_closed_and_counted() {
    let world = World::with(|settings, _| settings.limits.connections = 2);
    let idle: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = std::net::TcpStream::connect(world.address).unwrap();
            let request = Request::new("GET", "/healthz");
            std::io::Write::write_all(&mut stream, &request.bytes(false)).unwrap();
            let mut reader = std::io::BufReader::new(stream);
            assert_eq!(crate::support::http::read_answer(&mut reader).status, 200);
            reader
        })
        .collect();
    let mut third = std::net::TcpStream::connect(world.address).unwrap();
    let mut nothing = Vec::new();
    let _ = std::io::Read::read_to_end(&mut third, &mut nothing);
    assert!(nothing.is_empty());
    drop(idle);
    let text = eventually("room again", || {
        let mut stream = std::net::TcpStream::connect(world.address).unwrap();
        let request = Request::new("GET", "/metrics").token(world.token("operator"));
        std::io::Write::write_all(&mut stream, &request.bytes(true)).unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).ok()?;
        text.contains("keywheel_watchers").then_some(text)
    });
    assert!(text.contains("keywheel_connections_turned_away_total"), "{text}");
    assert!(!text.contains("keywheel_connections_turned_away_total 0\n"), "{text}");
}
