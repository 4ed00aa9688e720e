//! 100,000 rings: what a start costs, and that a tick costs as much as there are rings due.
//!
//! The peer is the loop that keywheel does not have: one that opens the document of every ring in
//! each tick. It only reads and unseals, so it is cheaper than any real one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keywheel_core::id::RingName;
use keywheel_engine::Engine;
use keywheel_engine::ports::{Clock, HighWater, Store};
use keywheel_store::{
    FileHighWater, ManualClock, MemoryHighWater, MemoryStore, Sealer, SqliteStore, SystemClock,
};

use crate::counting::{Calls, Counting};
use crate::measure::{self, Cost, micros, millis};
use crate::table::{Table, figure, grouped, ratio};
use crate::world::{self, context};
use crate::{Fallible, Scale};

/// A tick comes this often while nothing pokes the engine.
const TICK: Duration = Duration::from_secs(1);

const DAY: Duration = Duration::from_hours(24);

/// How many rings there are, and how many become due together.
#[derive(Clone, Copy)]
struct Sizes {
    rings: usize,
    few: usize,
    many: usize,
}

pub(crate) fn run(scale: Scale) -> Fallible<String> {
    let sizes = scale.pick(
        Sizes { rings: 5_000, few: 10, many: 200 },
        Sizes { rings: 100_000, few: 10, many: 1_000 },
    );
    let folder = tempfile::tempdir()?;
    let sealer = world::sealer(folder.path())?;
    let clock = Arc::new(ManualClock::default());
    let memory = Arc::new(MemoryStore::new(clock.clone()));
    let marks = Arc::new(MemoryHighWater::default());
    fill(&memory, &marks, clock.clone(), &sealer, sizes)?;
    let file_clock = Arc::new(ManualClock::default());
    let (sqlite, file_marks) =
        keep_in_files(folder.path(), memory.as_ref(), marks.as_ref(), file_clock.clone())?;

    let mut text = format!(
        "{} rings, of which {} and then {} become due together. A tick is one call of \
         `Engine::drive()` a second; *due* rings either begin to rotate or are in the middle of a \
         rotation that waits for proofs, and are looked at. Reads and commits are calls of the \
         store port, the lease's among them. The naive peer opens every ring's document in each \
         tick.\n\n",
        grouped(sizes.rings as f64),
        sizes.few,
        grouped(sizes.many as f64)
    );
    let in_memory = Run { name: "in memory", store: memory, marks, clock, sealer: &sealer };
    text.push_str(&in_memory.measure(sizes)?);
    let in_sqlite = Run {
        name: "SQLite",
        store: sqlite,
        marks: file_marks,
        clock: file_clock,
        sealer: &sealer,
    };
    text.push_str(&in_sqlite.measure(sizes)?);
    Ok(text)
}

/// Makes the state of a server with this many rings, none of them due.
pub(crate) fn seed(folder: &Path, rings: usize) -> Fallible<()> {
    let sealer = world::sealer(folder)?;
    let clock = Arc::new(SystemClock);
    let memory = Arc::new(MemoryStore::new(clock.clone()));
    let marks = Arc::new(MemoryHighWater::default());
    fill(&memory, &marks, clock.clone(), &sealer, Sizes { rings, few: 0, many: 0 })?;
    keep_in_files(folder, memory.as_ref(), marks.as_ref(), clock).map(drop)
}

/// Copies everything into the files of a server.
fn keep_in_files(
    folder: &Path,
    store: &dyn Store,
    marks: &dyn HighWater,
    clock: Arc<dyn Clock>,
) -> Fallible<(Arc<SqliteStore>, Arc<FileHighWater>)> {
    let sqlite = SqliteStore::open(&folder.join("keywheel.db"), clock)?;
    let file_marks = high_water_file(folder, marks)?;
    world::copy(store, &sqlite)?;
    Ok((Arc::new(sqlite), Arc::new(file_marks)))
}

/// Makes the rings: a few rotate every day, many every second day, the rest once a month.
fn fill(
    store: &Arc<MemoryStore>,
    marks: &Arc<MemoryHighWater>,
    clock: Arc<dyn Clock>,
    sealer: &Arc<Sealer>,
    sizes: Sizes,
) -> Fallible<()> {
    let counting = Arc::new(Counting::new(store.clone()));
    let engine = world::engine(counting, Arc::clone(sealer), marks.clone(), clock)?;
    engine.drive();
    for number in 0..sizes.rings {
        let every = match number {
            number if number < sizes.few => "1d",
            number if number < sizes.many => "2d",
            _ => "30d",
        };
        let spec = world::spec(serde_json::json!({
            "kind": "secret",
            "longest_lifetime": "15m",
            "rotate_every": every,
            "consumer": [{ "name": "web", "role": "protect" }],
        }))?;
        let ring: RingName = format!("ring-{number:06}").parse()?;
        engine.put_ring(&ring, &spec, None, None, &context())?;
    }
    engine.stop();
    Ok(())
}

/// The marks in a file as a server keeps them. It is filled in memory, where each mark does not
/// cost a write to the disk, and then put in its place.
fn high_water_file(folder: &Path, marks: &dyn HighWater) -> Fallible<FileHighWater> {
    let path = folder.join("high-water.db");
    let shared = Path::new("/dev/shm");
    if shared.is_dir() {
        let fast = tempfile::tempdir_in(shared)?;
        let file = FileHighWater::open(&fast.path().join("high-water.db"))?;
        for (subject, mark) in marks.all()? {
            file.raise(&subject, &mark)?;
        }
        drop(file);
        std::fs::copy(fast.path().join("high-water.db"), &path)?;
        return Ok(FileHighWater::open(&path)?);
    }
    let file = FileHighWater::open(&path)?;
    for (subject, mark) in marks.all()? {
        file.raise(&subject, &mark)?;
    }
    Ok(file)
}

/// One store with its rings.
struct Run<'a> {
    name: &'static str,
    store: Arc<dyn Store>,
    marks: Arc<dyn HighWater>,
    clock: Arc<ManualClock>,
    sealer: &'a Arc<Sealer>,
}

/// What one tick took, on average over several.
struct Tick {
    cost: Cost,
    calls: Calls,
    ticks: u32,
}

impl Tick {
    fn cpu_micros(&self) -> f64 {
        micros(self.cost.cpu) / f64::from(self.ticks)
    }

    fn per_tick(&self, calls: u64) -> f64 {
        calls as f64 / f64::from(self.ticks)
    }
}

/// What a start took.
struct Start {
    open: Cost,
    opened: Calls,
    first: Cost,
    looked: Calls,
}

impl Start {
    fn describe(&self, rings: f64) -> String {
        let each = |(cost, calls): (Cost, Calls)| {
            let (cpu, reads) = (micros(cost.cpu) / rings, calls.reads as f64 / rings);
            format!("{} µs and {} reads a ring", figure(cpu), figure(reads))
        };
        format!(
            "Start: `Engine::open` {} ms CPU ({}); the first look at every ring {} ms CPU ({}); \
             {:.1} s on the wall.\n\n",
            grouped(millis(self.open.cpu)),
            each((self.open, self.opened)),
            grouped(millis(self.first.cpu)),
            each((self.first, self.looked)),
            (self.open.wall + self.first.wall).as_secs_f64(),
        )
    }
}

impl Run<'_> {
    fn measure(self, sizes: Sizes) -> Fallible<String> {
        let store = Arc::new(Counting::new(self.store.clone()));
        let (engine, open) = measure::cost(|| {
            world::engine(
                store.clone(),
                Arc::clone(self.sealer),
                self.marks.clone(),
                self.clock.clone(),
            )
        });
        let engine = engine?;
        let opened = store.take();
        let ((), first) = measure::cost(|| settle(&engine));
        let looked = store.take();
        let rings = sizes.rings as f64;

        let idle = self.ticks(&engine, &store, 100);
        let mut table = Table::new(&[
            "tick",
            "CPU µs",
            "to the tick with none due",
            "CPU µs per due ring",
            "reads per tick",
            "reads per due ring",
            "commits per tick",
            "wall ms",
        ]);
        let mut row = |name: &str, due: usize, tick: &Tick| {
            let due = due as f64;
            let extra = (tick.cpu_micros() - idle.cpu_micros()).max(0.0);
            let extra_reads = tick.per_tick(tick.calls.reads) - idle.per_tick(idle.calls.reads);
            let each = |value: f64| if due > 0.0 { figure(value / due) } else { "–".into() };
            let cells = [
                figure(tick.cpu_micros()),
                ratio(tick.cpu_micros(), idle.cpu_micros()),
                each(extra),
                figure(tick.per_tick(tick.calls.reads)),
                each(extra_reads),
                figure(tick.per_tick(tick.calls.commits)),
                figure(millis(tick.cost.wall) / f64::from(tick.ticks)),
            ];
            table.row(name, &cells);
        };
        row("0 due", 0, &idle);
        for (days, due) in [(1, sizes.few), (2, sizes.many)] {
            // Those of the day before stand at `confirm` already.
            let fresh = if days == 1 { due } else { due - sizes.few };
            let begin = self.tick_after(&engine, &store, DAY);
            row(&format!("{fresh} begin to rotate"), fresh, &begin);
            let wait = self.ticks(&engine, &store, 10);
            row(&format!("{due} wait for proofs"), due, &wait);
        }
        let naive = self.naive(3)?;
        row(&format!("naive, all {} looked at", grouped(rings)), sizes.rings, &naive);
        engine.stop();

        let start = Start { open, opened, first, looked };
        Ok(format!("**Store {}**\n\n{}\n{}", self.name, table.finish(), start.describe(rings)))
    }

    fn ticks(&self, engine: &Engine, store: &Counting, ticks: u32) -> Tick {
        store.take();
        let ((), cost) = measure::cost(|| {
            for _ in 0..ticks {
                self.clock.advance(TICK);
                settle(engine);
            }
        });
        Tick { cost, calls: store.take(), ticks }
    }

    fn tick_after(&self, engine: &Engine, store: &Counting, pause: Duration) -> Tick {
        store.take();
        self.clock.advance(pause);
        let ((), cost) = measure::cost(|| settle(engine));
        Tick { cost, calls: store.take(), ticks: 1 }
    }

    fn naive(&self, ticks: u32) -> Fallible<Tick> {
        let store = Counting::new(self.store.clone());
        let (result, cost) = measure::cost(|| -> Fallible<()> {
            for _ in 0..ticks {
                let mut after = None;
                loop {
                    let page = store.list("ring/", after.as_ref(), 1_000)?;
                    let Some((last, _)) = page.last() else { break };
                    after = Some(last.clone());
                    for (key, stored) in &page {
                        std::hint::black_box(self.sealer.unseal(key.as_str(), &stored.value))?;
                    }
                }
            }
            Ok(())
        });
        result?;
        Ok(Tick { cost, calls: store.take(), ticks })
    }
}

/// Drives until nothing is due.
fn settle(engine: &Engine) {
    while engine.drive().is_zero() {}
}
