//! Starting a server, and keeping one that has nothing to do. The peer is a bare axum server that
//! says hello.

use std::path::Path;
use std::time::Duration;

use crate::child::{self, Child, Kind, Usage};
use crate::measure::{self, Distribution, millis};
use crate::table::{Table, figure, grouped, ratio};
use crate::{Fallible, Scale, rings};

/// How long a server may take to be ready.
const READY_MAX: Duration = Duration::from_mins(1);

pub(crate) fn run(scale: Scale) -> Fallible<String> {
    let starts = scale.pick(3, 15);
    let idle = Duration::from_secs(scale.pick(2, 10));
    let sizes: &[usize] = scale.pick(&[0, 1_000], &[0, 1_000, 20_000]);
    let mut table = Table::new(&[
        "server",
        "exec to ready, median ms",
        "maximum ms",
        "CPU ms until ready",
        "to bare axum",
        "CPU ms until at rest",
        "resident MiB",
        "to bare axum",
        "idle CPU, ms a second",
    ]);
    let bare = measure_one(Kind::Axum, None, starts, idle)?;
    let mut row = |name: &str, one: &Outcome| {
        let cpu = millis(one.ready_cpu.quantile(50));
        let resident = one.rest.memory.resident_kib as f64 / 1024.0;
        let bare_resident = bare.rest.memory.resident_kib as f64 / 1024.0;
        let cells = [
            figure(millis(one.ready.quantile(50))),
            figure(millis(one.ready.quantile(100))),
            figure(cpu),
            ratio(cpu, millis(bare.ready_cpu.quantile(50))),
            figure(millis(one.rest.cpu)),
            figure(resident),
            ratio(resident, bare_resident),
            figure(millis(one.idle) / idle.as_secs_f64()),
        ];
        table.row(name, &cells);
    };
    row("bare axum", &bare);
    for rings in sizes {
        let state = tempfile::tempdir()?;
        if *rings > 0 {
            rings::seed(state.path(), *rings)?;
        }
        let own = measure_one(Kind::Keywheel, (*rings > 0).then(|| state.path()), starts, idle)?;
        let name = match rings {
            0 => "keywheel, first start".to_owned(),
            rings => format!("keywheel, {} rings", grouped(*rings as f64)),
        };
        row(&name, &own);
    }
    Ok(format!(
        "{starts} starts each, on a unix socket; ready is the first good answer of `/readyz`. A \
         first start makes the master key and the files; at rest is when every ring has been \
         looked at. Idle over {} s.\n\n{}",
        idle.as_secs(),
        table.finish()
    ))
}

/// What was seen of one server.
struct Outcome {
    ready: Distribution,
    ready_cpu: Distribution,
    rest: Usage,
    idle: Duration,
}

/// Starts a server several times, with this state or without any.
fn measure_one(
    kind: Kind,
    state: Option<&Path>,
    starts: usize,
    idle: Duration,
) -> Fallible<Outcome> {
    let (mut ready, mut ready_cpu) = (Distribution::default(), Distribution::default());
    let mut last = None;
    for _ in 0..starts {
        drop(last.take());
        let fresh = tempfile::tempdir()?;
        let folder = state.unwrap_or_else(|| fresh.path());
        let socket = fresh.path().join("socket");
        let listen = format!("unix:{}", socket.display());
        let started = measure::monotonic();
        let mut child = Child::start(kind, folder, &listen)?;
        while child::get(&socket, "/readyz").is_none() {
            if measure::monotonic() > started + READY_MAX {
                return Err("a server did not become ready".into());
            }
            // tidy: sleeps because it looks again whether the server is ready.
            std::thread::sleep(Duration::from_micros(500));
        }
        ready.add(measure::monotonic().saturating_sub(started));
        child.port()?;
        ready_cpu.add(child.usage()?.cpu);
        last = Some((child, fresh));
    }
    let (mut child, _folder) = last.ok_or("no server was started")?;
    let rest = come_to_rest(&mut child)?;
    let idle = child.idle(idle)?;
    Ok(Outcome { ready, ready_cpu, rest, idle })
}

/// Waits until a server uses next to no time, and says what it used until then.
fn come_to_rest(child: &mut Child) -> Fallible<Usage> {
    for _ in 0..120 {
        if child.idle(Duration::from_millis(500))? < Duration::from_millis(10) {
            break;
        }
    }
    child.usage()
}
