//! A real application server behind `keywheel exec`: users stay logged in through rotations and a
//! rollback, and at the end of each stage every worker, by its process id, holds what it should.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use keywheel_api::ring::{RingStatus, StageGates, Verb};
use keywheel_core::time::Span;
use load::{Load, Seen, ask};
use rustix::process::{Pid, Signal, kill_process};
use support::{Admin, Installation, Process, eventually, installation, write_private};

const LIFETIME: Span = Span::from_secs(3);
const RING: &str = "[ring.web]\nkind = \"secret\"\nlongest_lifetime = \"3s\"\nskew = \"0s\"\n\
                    lease_ttl = \"2s\"\noffline_max = \"2s\"\nstall_after = \"5m\"\n\
                    [[ring.web.consumer]]\nname = \"web\"\nrole = \"protect\"\n";
const WORKERS: usize = 2;
const USERS: usize = 2;
/// Requests find workers by chance; so many find each of a few for certain.
const ASKED_MAX: usize = 2_000;

/// A gunicorn behind exec, its server, and its users.
struct Bench {
    exec: Child,
    admin: Admin,
    socket: PathBuf,
    log: PathBuf,
    _server: Process,
    _installation: Installation,
}

/// What one worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Worker {
    primary: String,
    accepted: BTreeSet<String>,
}

fn venv() -> Option<PathBuf> {
    let gunicorn = std::env::var_os("KEYWHEEL_VENV").map(|v| PathBuf::from(v).join("bin/gunicorn"));
    if gunicorn.is_none() {
        eprintln!("SKIPPED: KEYWHEEL_VENV does not say where gunicorn is; run cargo xtask test");
    }
    gunicorn
}

impl Bench {
    fn start(gunicorn: &PathBuf, options: &[&str], arguments: &[&str]) -> Self {
        let installation = installation(RING);
        let server = installation.start(&[]).unwrap();
        let admin = installation.admin().unwrap();
        let token = admin.token_text("web", "consumer", &["web"]).unwrap();
        write_private(&installation.path("web.token"), token.as_bytes()).unwrap();
        let app = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gunicorn/app.py");
        std::fs::copy(app, installation.path("app.py")).unwrap();
        let socket = installation.path("app");
        let listen = format!("unix:{}", socket.display());
        let mut command = installation.command(&["--token-file", "web.token", "exec"]);
        command.args(["--consumer", "web", "--listen", &listen, "--ready", "/healthz"]);
        command.args([
            "--env=SECRET_KEY=ring:web",
            "--env=SECRET_KEY_FALLBACKS=ring:web:others,join=,",
            "--env=KEY_ID=ring:web,form=kid",
            "--env=KEY_IDS=ring:web:accepted,form=kid,join=,",
        ]);
        command.args(options).arg("--").arg(gunicorn);
        command.args(["--workers", &WORKERS.to_string(), "--graceful-timeout", "20"]);
        command.arg("--no-control-socket");
        command.args(arguments).arg("app:app");
        let log = installation.path("exec.log");
        let exec = spawn(command, &log);
        let bench =
            Self { exec, admin, socket, log, _server: server, _installation: installation };
        bench.until("gunicorn is ready", |ring| ring.consumers[0].live == 1);
        bench
    }

    fn ring(&self) -> RingStatus {
        self.admin.ring("web").unwrap()
    }

    fn until(&self, what: &str, condition: impl Fn(&RingStatus) -> bool) -> RingStatus {
        let found = eventually(what, || {
            let ring = self.ring();
            Ok(condition(&ring).then_some(ring))
        });
        found.unwrap_or_else(|error| {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            panic!("{error}\n{:#?}\n{log}", self.ring())
        })
    }

    /// Asks until every worker of every gunicorn that runs has said what it holds.
    fn workers(&self) -> BTreeMap<u32, Worker> {
        let mut seen = BTreeMap::new();
        for _ in 0..ASKED_MAX {
            let answer = ask(&self.socket, "/who", None).unwrap();
            let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            let texts = said["accepted"].as_array().unwrap().iter();
            let accepted = texts.map(|kid| kid.as_str().unwrap().to_owned()).collect();
            let primary = said["primary"].as_str().unwrap().to_owned();
            let pid = u32::try_from(said["pid"].as_u64().unwrap()).unwrap();
            seen.insert(pid, Worker { primary, accepted });
            let expected = self.worker_pids();
            seen.retain(|pid, _| expected.contains(pid));
            if !expected.is_empty() && expected.iter().all(|pid| seen.contains_key(pid)) {
                return seen;
            }
        }
        panic!("of {:?} only {:?} answered", self.worker_pids(), seen.keys());
    }

    /// The children of the children of exec.
    fn worker_pids(&self) -> BTreeSet<u32> {
        children(self.exec.id()).into_iter().flat_map(children).collect()
    }

    fn kid(ring: &RingStatus, number: u32) -> String {
        ring.versions.iter().find(|version| version.number == number).unwrap().kid.clone()
    }

    /// A rotation from the first stage to the last, with what must hold at the end of each.
    fn rotate(&self) {
        let former = self.ring().primary.unwrap();
        let begun = self.admin.rotate("web").unwrap();
        let target = begun.path.unwrap().version;
        let ring = self.until("the next one is promoted", |ring| ring.primary == Some(target));
        let (old, new) = (Self::kid(&ring, former), Self::kid(&ring, target));
        for (pid, worker) in self.workers() {
            assert!(worker.accepted.contains(&new), "{pid} was never shown {new}: {worker:?}");
        }
        self.until("all protect with it", |ring| ring.path.is_none());
        for (pid, worker) in self.workers() {
            assert_eq!(worker.primary, new, "{pid} protects with another one");
        }
        self.until("the former one is dropped", |ring| {
            let mut versions = ring.versions.iter();
            let state = versions.find(|version| version.number == former).map(|v| &*v.state);
            let of_former = |gates: &&StageGates| gates.version == former;
            let stages = || ring.gates.iter().filter(of_former).map(|gates| &*gates.stage);
            state.is_none_or(|state| state != "retiring") && stages().all(|s| s == "destroy")
        });
        for (pid, worker) in self.workers() {
            assert!(!worker.accepted.contains(&old), "{pid} still accepts {old}");
            assert_eq!(worker.primary, new, "{pid}");
        }
    }

    /// Promotes another one and takes it back.
    fn roll_back(&self) {
        let former = self.ring().primary.unwrap();
        let target = self.admin.rotate("web").unwrap().path.unwrap().version;
        self.until("the next one is promoted", |ring| ring.primary == Some(target));
        let body = Verb { reason: Some("a test".into()), ..Verb::default() };
        let path = "/v1/rings/web/rollback";
        let _: RingStatus = self.admin.http.post(path, Some(&body), &[]).unwrap();
        let ring = self.until("the former one protects again", |ring| {
            ring.primary == Some(former) && ring.path.is_none()
        });
        for (pid, worker) in self.workers() {
            assert_eq!(worker.primary, Self::kid(&ring, former), "{pid}");
        }
    }

    fn end(mut self) {
        kill_process(Pid::from_child(&self.exec), Signal::TERM).unwrap();
        let status = eventually("exec ends", || Ok(self.exec.try_wait().unwrap())).unwrap();
        assert_eq!(status.code(), Some(0), "{}", std::fs::read_to_string(&self.log).unwrap());
        self.until("its goodbye was heard", |ring| ring.consumers[0].live == 0);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.exec.kill();
        let _ = self.exec.wait();
    }
}

fn spawn(mut command: Command, log: &std::path::Path) -> Child {
    let file = std::fs::File::create(log).unwrap();
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    command.spawn().unwrap()
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.flatten().map(|task| {
        std::fs::read_to_string(task.path().join("children")).unwrap_or_default()
    });
    let pids = |list: String| list.split_whitespace().filter_map(|p| p.parse().ok()).collect();
    lists.flat_map(|list| -> Vec<u32> { pids(list) }).collect()
}

fn rotations() -> usize {
    if std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full") { 10 } else { 3 }
}

fn run(options: &[&str], arguments: &[&str]) {
    let Some(gunicorn) = venv() else { return };
    let bench = Bench::start(&gunicorn, options, arguments);
    let load = Load::start(&bench.socket, USERS, LIFETIME);
    for _ in 0..rotations() {
        bench.rotate();
    }
    bench.roll_back();
    let seen = load.stop();
    assert_eq!(seen.failures, Vec::<String>::new(), "of {} requests", seen.requests);
    assert!(seen.requests > 100 && seen.shown_again > 10, "{seen:?}");
    let Seen { requests, shown_again, .. } = seen;
    eprintln!("{arguments:?}: {requests} requests, {shown_again} sessions shown again");
    bench.end();
}

#[test]
fn sync_workers() {
    run(&[], &["--worker-class", "sync"]);
}

#[test]
fn sync_workers_with_preload() {
    run(&[], &["--worker-class", "sync", "--preload"]);
}

#[test]
fn gthread_workers() {
    run(&[], &["--worker-class", "gthread", "--threads", "4"]);
}

#[test]
fn gthread_workers_with_preload() {
    run(&[], &["--worker-class", "gthread", "--threads", "4", "--preload"]);
}
