//! A keywheel server as `keywheel serve` runs one: SQLite, a high-water file, a master key, one
//! thread that drives, and a runtime that serves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keywheel_core::id::RingName;
use keywheel_core::ring::Stage;
use keywheel_engine::{Engine, NewToken, RingScope, Role, Snapshot, Verb};
use keywheel_server::{Listen, Server, Settings};
use keywheel_store::{FileHighWater, SqliteStore, SystemClock};

use crate::counting::Counting;
use crate::world::{self, context};
use crate::{Fallible, child, measure};

/// How long a rotation of a bench may take.
const ROTATION_MAX: Duration = Duration::from_mins(2);

/// How often a rotation is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Opens the state in a folder; makes it when there is none.
pub(crate) fn open(folder: &Path) -> Fallible<(Engine, Arc<Counting>)> {
    let clock = Arc::new(SystemClock);
    let sealer = world::sealer(folder)?;
    let sqlite = SqliteStore::open(&folder.join("keywheel.db"), clock.clone())?;
    let store = Arc::new(Counting::new(Arc::new(sqlite)));
    let marks = Arc::new(FileHighWater::open(&folder.join("high-water.db"))?);
    let engine = world::engine(Arc::clone(&store), sealer, marks, clock)?;
    Ok((engine, store))
}

/// Makes a token for a consumer of a ring.
pub(crate) fn token(engine: &Engine, ring: &RingName, consumer: &str) -> Fallible<String> {
    let new = NewToken {
        name: format!("bench-{consumer}"),
        role: Role::Consumer,
        rings: RingScope::Only(vec![ring.clone()]),
        consumer: Some(consumer.parse()?),
        cidr: None,
        uid: None,
        expires_in: None,
    };
    Ok(engine.create_token(new, &context())?.0.to_string())
}

pub(crate) fn serve(folder: &Path, listen: &str) -> Fallible<()> {
    let (engine, store) = open(folder)?;
    let engine = Arc::new(engine);
    engine.drive();
    let stopping = Arc::new(AtomicBool::new(false));
    let driver = {
        let (engine, stopping) = (Arc::clone(&engine), Arc::clone(&stopping));
        std::thread::spawn(move || {
            while !stopping.load(Ordering::Acquire) {
                let nap = engine.drive();
                engine.nap(nap);
            }
        })
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let settings = Settings { listen: vec![Listen::parse(listen)?], ..Settings::default() };
    let running = runtime.block_on(Server::start(Arc::clone(&engine), settings))?;
    let port = match running.addresses() {
        [Listen::Tcp(address)] => address.port(),
        _ => 0,
    };
    let obeyed = child::obey(port, |words| match words {
        ["pause", ring] => act(&engine, &store, ring, &Verb::Pause),
        ["resume", ring] => act(&engine, &store, ring, &Verb::Resume),
        ["rotate", ring, instances] => rotate(&engine, &store, ring, instances.parse()?),
        ["settle", ring] => settle(&engine, ring),
        other => Err(format!("{other:?} means nothing to the server").into()),
    });
    stopping.store(true, Ordering::Release);
    engine.poke();
    runtime.block_on(running.stop(Duration::from_secs(1)));
    drop(driver.join());
    engine.stop();
    obeyed
}

/// One transition; answers when it was committed.
fn act(engine: &Engine, store: &Counting, ring: &str, verb: &Verb) -> Fallible<Vec<u64>> {
    engine.act(&ring.parse()?, verb, &context())?;
    Ok(vec![child::nanos(store.ring_committed())])
}

/// Looks at a ring again and again until it is as wanted.
fn until(
    engine: &Engine,
    ring: &RingName,
    what: &str,
    wanted: impl Fn(&Snapshot) -> bool,
) -> Fallible<()> {
    let deadline = measure::monotonic() + ROTATION_MAX;
    loop {
        let snapshot = engine.snapshot(ring)?;
        if wanted(&snapshot) {
            return Ok(());
        }
        if measure::monotonic() > deadline {
            let stage = snapshot.ring.path.as_ref().map(|path| path.stage);
            return Err(format!("{ring} has not {what} in time; it stands at {stage:?}").into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A whole rotation. Answers when the publish was committed, when the last instance had proved it,
/// when the promotion was committed, and when the last one had switched.
fn rotate(engine: &Engine, store: &Counting, ring: &str, instances: usize) -> Fallible<Vec<u64>> {
    let ring: RingName = ring.parse()?;
    let former = engine.snapshot(&ring)?.ring.primary();
    engine.act(&ring, &Verb::Rotate { import: None }, &context())?;
    let stage = |snapshot: &Snapshot| snapshot.ring.path.as_ref().map(|path| path.stage);
    until(engine, &ring, "been published", |snapshot| {
        stage(snapshot).is_some_and(|stage| stage >= Stage::Publish)
            || snapshot.ring.primary() != former
    })?;
    let published = store.ring_committed();
    until(engine, &ring, "been proved", |snapshot| {
        let published = snapshot.ring.keyset_revision;
        let proved = snapshot.view.instances.iter().filter(|instance| {
            instance.held.as_ref().is_some_and(|held| held.revision >= published)
        });
        proved.count() >= instances || snapshot.ring.primary() != former
    })?;
    let proved = measure::monotonic();
    until(engine, &ring, "been promoted", |snapshot| snapshot.ring.primary() != former)?;
    let promoted = store.ring_committed();
    until(engine, &ring, "been switched to", |snapshot| snapshot.ring.path.is_none())?;
    let switched = measure::monotonic();
    Ok([published, proved, promoted, switched].map(child::nanos).to_vec())
}

/// Waits until nothing but the primary is accepted.
fn settle(engine: &Engine, ring: &str) -> Fallible<Vec<u64>> {
    until(engine, &ring.parse()?, "retired what was replaced", |snapshot| {
        snapshot.ring.path.is_none() && snapshot.ring.accepted().count() == 1
    })?;
    Ok(Vec::new())
}
