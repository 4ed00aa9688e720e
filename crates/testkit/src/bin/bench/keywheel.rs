//! A keywheel server as `keywheel serve` runs one: SQLite, a high-water file, a master key, one
//! thread that drives, and a runtime that serves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keywheel_core::id::RingName;
use keywheel_core::ring::{Ring, Stage};
use keywheel_core::rotation::Input;
use keywheel_engine::{Engine, JournalEntry, NewToken, RingScope, Role, Snapshot, Verb};
use keywheel_server::{Listen, Server, Settings};
use keywheel_store::{FileHighWater, SqliteStore, SystemClock};

use crate::counting::{Committed, Counting};
use crate::world::{self, context};
use crate::{Fallible, child, measure};

/// How long a rotation of a bench may take.
const ROTATION_MAX: Duration = Duration::from_mins(2);

/// How often a rotation is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

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
        ["rotate", ring] => rotate(&engine, &store, ring),
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
    let committed = store.ring_commits().pop().ok_or("nothing was committed")?;
    Ok(vec![child::nanos(committed.ended)])
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
        // tidy: sleeps because it looks again whether the ring has come there.
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A whole rotation. Answers how long after the commit of the publish the last proof before the
/// promotion was accepted, when the promotion was committed, and when the last switch was; and how
/// many instances had proved when it was promoted.
///
/// The moments of commits are the store's. Those of the proofs are in the journal: a promotion
/// carries what was seen of each instance, and when it was heard last.
fn rotate(engine: &Engine, store: &Counting, ring: &str) -> Fallible<Vec<u64>> {
    let ring: RingName = ring.parse()?;
    let former = engine.snapshot(&ring)?.ring.primary();
    store.forget_ring_commits();
    engine.act(&ring, &Verb::Rotate { import: None }, &context())?;
    until(engine, &ring, "finished its rotation", |snapshot| {
        snapshot.ring.path.is_none() && snapshot.ring.primary() != former
    })?;
    let steps = steps(engine, store, &ring)?;
    let find = |what: &str, wanted: &dyn Fn(&Ring) -> bool| {
        let found = steps.iter().find(|(entry, _)| wanted(&entry.after));
        found.ok_or_else(|| format!("the journal has no {what}"))
    };
    let (publish, published) = find("publish", &|ring| {
        ring.path.as_ref().is_some_and(|path| path.stage >= Stage::Publish)
    })?;
    let (promote, promoted) = find("promotion", &|ring| ring.primary() != former)?;
    let (_, switched) =
        find("last switch", &|ring| ring.primary() != former && ring.path.is_none())?;
    let Ok(Input::Tick { view }) = &promote.input else {
        return Err("the promotion was no tick".into());
    };
    let last = view.instances.iter().map(|instance| instance.last_contact).max();
    let heard = last.ok_or("nobody was heard")?.since(publish.now.cluster).to_std();
    let proved = heard.saturating_sub(published.ended.saturating_sub(published.began));
    let instances = view.instances.iter().filter(|instance| {
        let held = instance.held.as_ref();
        held.is_some_and(|held| held.revision >= publish.after.keyset_revision)
    });
    let instances = u64::try_from(instances.count())?;
    let since = |moment: &Committed| moment.ended.saturating_sub(published.ended);
    let durations = [proved, since(promoted), since(switched)].map(child::nanos);
    Ok(durations.into_iter().chain([instances]).collect())
}

/// The transitions since the commits were forgotten, each with its commit.
fn steps(
    engine: &Engine,
    store: &Counting,
    ring: &RingName,
) -> Fallible<Vec<(JournalEntry, Committed)>> {
    loop {
        let commits = store.ring_commits();
        let journal = engine.journal(ring)?;
        if commits.len() == store.ring_commits().len() {
            let older = journal.len().saturating_sub(commits.len());
            return Ok(journal.into_iter().skip(older).zip(commits).collect());
        }
    }
}

/// Waits until nothing but the primary is accepted.
fn settle(engine: &Engine, ring: &str) -> Fallible<Vec<u64>> {
    until(engine, &ring.parse()?, "retired what was replaced", |snapshot| {
        snapshot.ring.path.is_none() && snapshot.ring.accepted().count() == 1
    })?;
    Ok(Vec::new())
}
