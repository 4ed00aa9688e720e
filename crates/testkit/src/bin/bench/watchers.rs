//! 10,000 watchers of one ring on one server: memory, CPU, and how long after a commit the last one
//! is told. The peer is a bare axum stream that repeats the same bytes. The other side is one
//! thread of this process, which reads all connections by epoll.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use keywheel_core::id::RingName;
use rustix::event::epoll;

use crate::child::{self, Child, Kind, Usage};
use crate::measure::{self, Distribution, micros, millis};
use crate::table::{Table, figure, grouped, ratio};
use crate::{Fallible, Scale, keywheel, world};

/// How long everybody may take to hear of a commit.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
struct Sizes {
    watchers: usize,
    commits: usize,
    idle: Duration,
}

pub(crate) fn run(scale: Scale) -> Fallible<String> {
    let sizes = scale.pick(
        Sizes { watchers: 1_000, commits: 4, idle: Duration::from_secs(2) },
        Sizes { watchers: 10_000, commits: 20, idle: Duration::from_secs(20) },
    );
    child::raise_file_limit()?;
    let folder = tempfile::tempdir()?;
    let token = prepare(folder.path())?;
    let own = measure_one(Kind::Keywheel, folder.path(), &token, sizes)?;
    let bare = measure_one(Kind::Axum, folder.path(), &token, sizes)?;

    let mut table = Table::new(&["", "keywheel", "bare axum", "to bare axum"]);
    let mut row = |name: &str, value: fn(&Outcome) -> f64| {
        let (own, bare) = (value(&own), value(&bare));
        table.row(name, &[figure(own), figure(bare), ratio(own, bare)]);
    };
    row("resident before anybody came, MiB", |one| mebibytes(one.empty.memory.resident_kib));
    row("resident with all connected, MiB", |one| mebibytes(one.connected.memory.resident_kib));
    row("resident after the commits, MiB", |one| mebibytes(one.told.memory.resident_kib));
    row("peak, MiB", |one| mebibytes(one.idled.memory.peak_kib));
    row("KiB a connection", Outcome::per_connection_kib);
    row("CPU µs to take a connection", |one| one.each(one.empty, one.connected, 1));
    row("CPU µs a delivery", |one| one.each(one.connected, one.told, one.sizes.commits));
    row("idle CPU, ms a second", |one| {
        millis(one.idled.cpu.saturating_sub(one.told.cpu)) / one.sizes.idle.as_secs_f64()
    });
    row("commit to the median told, median ms", |one| millis(one.median_told.quantile(50)));
    row("commit to the last told, median ms", |one| millis(one.last_told.quantile(50)));
    row("commit to the last told, maximum ms", |one| millis(one.last_told.quantile(100)));
    Ok(format!(
        "{} watchers of one ring on loopback TCP, plain text; {} commits, each told to all of \
         them; the idle time is {} s and includes a heartbeat to each when it is longer than 15 s. \
         The reader runs on the same cores as the server. Budget: 256 MiB, 500 ms.\n\n{}",
        grouped(sizes.watchers as f64),
        sizes.commits,
        sizes.idle.as_secs(),
        table.finish()
    ))
}

fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Makes the state that the server starts with, and returns a consumer's token.
fn prepare(folder: &Path) -> Fallible<String> {
    let (engine, _) = keywheel::open(folder)?;
    engine.drive();
    let ring: RingName = "access-token".parse()?;
    let spec = world::spec(serde_json::json!({
        "kind": "signing",
        "longest_lifetime": "15m",
        "consumer": [{ "name": "web", "role": "protect" }],
    }))?;
    engine.put_ring(&ring, &spec, None, None, &world::context())?;
    let token = keywheel::token(&engine, &ring, "web")?;
    engine.stop();
    Ok(token)
}

/// What was seen of one server.
struct Outcome {
    sizes: Sizes,
    empty: Usage,
    connected: Usage,
    told: Usage,
    idled: Usage,
    median_told: Distribution,
    last_told: Distribution,
}

impl Outcome {
    fn per_connection_kib(&self) -> f64 {
        let (before, after) = (self.empty.memory.resident_kib, self.told.memory.resident_kib);
        after.saturating_sub(before) as f64 / self.sizes.watchers as f64
    }

    /// CPU between two moments, for each watcher and each of so many times.
    fn each(&self, before: Usage, after: Usage, times: usize) -> f64 {
        let spent = micros(after.cpu.saturating_sub(before.cpu));
        spent / (self.sizes.watchers * times) as f64
    }
}

fn measure_one(kind: Kind, folder: &Path, token: &str, sizes: Sizes) -> Fallible<Outcome> {
    let mut child = Child::start(kind, folder, "127.0.0.1:0")?;
    let port = child.port()?;
    let empty = child.usage()?;
    let mut watchers = Watchers::connect(port, token, sizes.watchers)?;
    let connected = child.usage()?;
    let (mut median_told, mut last_told) = (Distribution::default(), Distribution::default());
    for number in 0..sizes.commits {
        child.tell(match (kind, number % 2) {
            (Kind::Axum | Kind::Authz | Kind::AuthzNull, _) => "publish",
            (Kind::Keywheel, 0) => "pause access-token",
            (Kind::Keywheel, _) => "resume access-token",
        })?;
        let told = watchers.hear()?;
        let committed = *child.answer()?.first().ok_or("a commit has no time")?;
        let committed = Duration::from_nanos(committed);
        median_told.add(told.quantile(50).saturating_sub(committed));
        last_told.add(told.quantile(100).saturating_sub(committed));
    }
    let told = child.usage()?;
    child.idle(sizes.idle)?;
    let idled = child.usage()?;
    Ok(Outcome { sizes, empty, connected, told, idled, median_told, last_told })
}

/// All the connections.
struct Watchers {
    epoll: rustix::fd::OwnedFd,
    streams: Vec<TcpStream>,
}

impl Watchers {
    /// Connects one after the other, and waits until each has been greeted.
    fn connect(port: u16, token: &str, count: usize) -> Fallible<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut streams = Vec::with_capacity(count);
        let request = format!(
            "GET /v1/watch HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             accept: text/event-stream\r\n\r\n"
        );
        for number in 0..count {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            read_greeting(&mut stream)?;
            stream.set_nonblocking(true)?;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
            streams.push(stream);
        }
        Ok(Self { epoll, streams })
    }

    /// Waits until each watcher was told of one change, and says when each was.
    fn hear(&mut self) -> Fallible<Distribution> {
        let deadline = measure::monotonic() + PATIENCE;
        let mut moments = Vec::with_capacity(self.streams.len());
        let mut events = Vec::with_capacity(1_024);
        let mut buffer = [0_u8; 4_096];
        while moments.len() < self.streams.len() {
            if measure::monotonic() > deadline {
                let (told, all) = (moments.len(), self.streams.len());
                return Err(format!("only {told} of {all} watchers were told").into());
            }
            let pause = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
            events.clear();
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&pause))?;
            for event in &events {
                let index = usize::try_from(event.data.u64())?;
                let Some(stream) = self.streams.get_mut(index) else { continue };
                let length = stream.read(&mut buffer)?;
                let bytes = buffer.get(..length).unwrap_or_default();
                if bytes.is_empty() {
                    return Err("a watcher was cut off".into());
                }
                // Heartbeats come in between; a change is one small write, never cut in two.
                if contains(bytes, b"event: change") {
                    moments.push(measure::monotonic());
                }
            }
        }
        Ok(moments.into_iter().collect())
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Reads the head of the answer and the first event, which says where the stream begins.
fn read_greeting(stream: &mut TcpStream) -> Fallible<()> {
    let mut seen = Vec::new();
    let mut buffer = [0_u8; 1_024];
    while !contains(&seen, b"retry: 1000\n\n") {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            let told = String::from_utf8_lossy(&seen).into_owned();
            return Err(format!("a watcher was refused: {told}").into());
        }
        seen.extend_from_slice(buffer.get(..length).unwrap_or_default());
    }
    Ok(())
}
