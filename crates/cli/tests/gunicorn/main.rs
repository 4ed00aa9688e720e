//! A real application server behind `keywheel exec` and behind `keywheel agent`: users stay logged
//! in through rotations and a rollback, and at the end of each stage every worker, by its process
//! id, holds what it should.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking, and says what it left out"
)]

#[path = "../support/mod.rs"]
mod support;

mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use keywheel_api::ring::{RingStatus, StageGates, Verb};
use keywheel_core::time::Span;
use load::{Load, Seen, ask};
use rustix::process::{Pid, Signal, kill_process};
use support::{Admin, Installation, Process, eventually, installation, write_private};

const LIFETIME: Span = Span::from_secs(2);
const RING: &str = "[ring.web]\nkind = \"secret\"\nlongest_lifetime = \"2s\"\nskew = \"0s\"\n\
                    lease_ttl = \"2s\"\noffline_max = \"2s\"\nstall_after = \"5m\"\n\
                    [[ring.web.consumer]]\nname = \"web\"\nrole = \"protect\"\n\
                    min_evidence = \"probed\"\n";
const WORKERS: usize = 2;
const USERS: usize = 2;
/// What shows to exec that every worker uses the keys.
const PROBES: &str = "[[probe]]\nhttp = \"/proof\"\nheaders = { X-Proof = \"{artefact}\" }\n\
                      artefact = { ring = \"web\", hmac = \"a probe\" }\n\
                      fingerprint = { header = \"X-Key-Fp\", ring = \"web\" }\n\
                      workers = { header = \"X-Pid\" }\n";
const AGENT: &str = r#"
[server]
url = "unix:[DIR]/state/s"
token_file = "[DIR]/web.token"
state_dir = "[DIR]/agent"

[[consumer]]
name = "web"
wait = "20ms"

[[consumer.sink]]
name = "env"
env_file = "[DIR]/env"
set.SECRET_KEY = "web"
set.SECRET_KEY_FALLBACKS = { ring = "web", which = "others" }
set.KEY_ID = { ring = "web", form = "kid" }
set.KEY_FP = { ring = "web", form = "fingerprint" }
set.KEY_IDS = { ring = "web", which = "accepted", form = "kid" }
reload = [{ command = ["sh", "[DIR]/reload.sh"] }]

[[consumer.probe]]
http = "unix:[DIR]/app:/proof"
headers = { X-Proof = "{artefact}" }
artefact = { ring = "web", hmac = "a probe" }
fingerprint = { header = "X-Key-Fp", ring = "web" }
workers = { header = "X-Pid", pid_file = "[DIR]/app.pid" }
within = "60s"
"#;
/// How the agent's hook starts gunicorn when none runs.
const START: &str = r"set -e
if [ ! -s [DIR]/app.pid ]; then
    SECRET_FILE=[DIR]/env exec setsid [GUNICORN] --daemon --pid [DIR]/app.pid --chdir [DIR]/ \
        --bind unix:[DIR]/app --workers 2 --graceful-timeout 120 --no-control-socket \
        --error-logfile [DIR]/gunicorn.log [ARGUMENTS] app:app
fi
old=$(cat [DIR]/app.pid)
";
/// New workers load the application anew, and with it the file.
const HUP: &str = "kill -HUP $old\n";
/// With preload the master has loaded the application, so another one has to.
const UPGRADE: &str = r#"
kill -USR2 $old
until [ -s [DIR]/app.pid.2 ]; do sleep 0.05; done
new=$(cat [DIR]/app.pid.2)
until [ -n "$(cat /proc/$new/task/$new/children)" ]; do sleep 0.05; done
kill -TERM $old
until [ "$(cat [DIR]/app.pid)" = "$new" ]; do sleep 0.05; done
"#;

/// A gunicorn, what gives it its keys, and their server.
struct Bench {
    keywheel: Child,
    admin: Admin,
    socket: PathBuf,
    log: PathBuf,
    /// Where gunicorn writes its process id, when it is no child of ours.
    pid_file: Option<PathBuf>,
    _server: Process,
    installation: Installation,
}

/// What one worker holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Worker {
    primary: String,
    accepted: BTreeSet<String>,
}

fn gunicorn() -> Option<PathBuf> {
    let gunicorn = std::env::var_os("KEYWHEEL_VENV").map(|v| PathBuf::from(v).join("bin/gunicorn"));
    if gunicorn.is_none() {
        eprintln!("SKIPPED: KEYWHEEL_VENV does not say where gunicorn is; run cargo xtask test");
    }
    gunicorn
}

/// An installation with a server, a token, and the application.
fn installed(ring: &str) -> (Installation, Process, Admin) {
    let installation = installation(ring);
    let server = installation.start(&[]).unwrap();
    let admin = installation.admin().unwrap();
    let token = admin.token_text("web", "consumer", &["web"]).unwrap();
    write_private(&installation.path("web.token"), token.as_bytes()).unwrap();
    let app = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gunicorn/app.py");
    std::fs::copy(app, installation.path("app.py")).unwrap();
    (installation, server, admin)
}

impl Bench {
    /// Starts gunicorn behind exec.
    fn exec(ring: &str, variables: &[&str], arguments: &[&str]) -> Option<Self> {
        let gunicorn = gunicorn()?;
        let (installation, server, admin) = installed(ring);
        let socket = installation.path("app");
        let listen = format!("unix:{}", socket.display());
        std::fs::write(installation.path("probes.toml"), PROBES).unwrap();
        let mut command = installation.command(&["--token-file", "web.token", "exec"]);
        command.args(["--consumer", "web", "--listen", &listen, "--ready", "/healthz"]);
        command.args(variables).arg("--").arg(gunicorn);
        command.args(["--workers", &WORKERS.to_string(), "--graceful-timeout", "120"]);
        command.arg("--no-control-socket").args(arguments).arg("app:app");
        Some(Self::start(command, socket, None, installation, server, admin))
    }

    /// Starts an agent that writes an environment file and takes gunicorn to new content as
    /// `reload` says, a shell script.
    fn agent(arguments: &str, reload: &str) -> Option<Self> {
        let gunicorn = gunicorn()?;
        let (installation, server, admin) = installed(RING);
        let folder = installation.path("");
        let folder = folder.display().to_string();
        let put = |text: &str| {
            let text = text.replace("[DIR]/", &folder).replace("[ARGUMENTS]", arguments);
            text.replace("[GUNICORN]", &gunicorn.display().to_string())
        };
        std::fs::write(installation.path("reload.sh"), put(&format!("{START}{reload}"))).unwrap();
        std::fs::write(installation.path("agent.toml"), put(AGENT)).unwrap();
        let command = installation.command(&["--config", "agent.toml", "agent"]);
        let (socket, pid_file) = (installation.path("app"), installation.path("app.pid"));
        Some(Self::start(command, socket, Some(pid_file), installation, server, admin))
    }

    fn start(
        command: Command,
        socket: PathBuf,
        pid_file: Option<PathBuf>,
        installation: Installation,
        server: Process,
        admin: Admin,
    ) -> Self {
        let log = installation.path("keywheel.log");
        let keywheel = spawn(command, &log);
        let bench = Self { keywheel, admin, socket, log, pid_file, _server: server, installation };
        bench.until("gunicorn is ready", |ring| {
            let instances = &ring.consumers[0].instances;
            instances.iter().any(|one| one.holds.is_some())
        });
        bench
    }

    fn said(&self) -> String {
        let logs = [&self.log, &self.installation.path("gunicorn.log")];
        logs.map(|log| std::fs::read_to_string(log).unwrap_or_default()).join("\n")
    }

    fn ring(&self) -> RingStatus {
        self.admin.ring("web").unwrap()
    }

    fn until(&self, what: &str, condition: impl Fn(&RingStatus) -> bool) -> RingStatus {
        let found = eventually(what, || {
            let ring = self.ring();
            Ok(condition(&ring).then_some(ring))
        });
        found.unwrap_or_else(|error| panic!("{error}\n{:#?}\n{}", self.ring(), self.said()))
    }

    /// Asks until every worker of every gunicorn that runs has said what it holds. While one
    /// gunicorn takes over from another there is no pid file, and so nobody to ask, for a second
    /// or more.
    fn workers(&self) -> BTreeMap<u32, Worker> {
        let mut seen = BTreeMap::new();
        let mut missing = BTreeSet::new();
        let all = eventually("every worker has answered", || {
            let (pid, worker) = self.who();
            seen.insert(pid, worker);
            let expected = self.worker_pids();
            seen.retain(|pid, _| expected.contains(pid));
            missing = expected.iter().filter(|pid| !seen.contains_key(pid)).copied().collect();
            Ok((!expected.is_empty() && missing.is_empty()).then_some(()))
        });
        all.unwrap_or_else(|error| panic!("{error}: {:?}, not {missing:?}", seen.keys()));
        seen
    }

    fn who(&self) -> (u32, Worker) {
        let answer = ask(&self.socket, "/who", None).unwrap();
        let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let texts = said["accepted"].as_array().unwrap().iter();
        let accepted = texts.map(|kid| kid.as_str().unwrap().to_owned()).collect();
        let primary = said["primary"].as_str().unwrap().to_owned();
        let pid = u32::try_from(said["pid"].as_u64().unwrap()).unwrap();
        (pid, Worker { primary, accepted })
    }

    /// The workers of every gunicorn that runs.
    fn worker_pids(&self) -> BTreeSet<u32> {
        let masters = match &self.pid_file {
            None => children(self.keywheel.id()),
            Some(file) => master(file).into_iter().collect(),
        };
        masters.into_iter().flat_map(children).collect()
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
        kill_process(Pid::from_child(&self.keywheel), Signal::TERM).unwrap();
        let status = eventually("it ends", || Ok(self.keywheel.try_wait().unwrap())).unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.said());
        if self.pid_file.is_none() {
            self.until("its goodbye was heard", |ring| ring.consumers[0].live == 0);
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.keywheel.kill();
        let _ = self.keywheel.wait();
        let Some(pid) = self.pid_file.as_deref().and_then(master) else { return };
        let workers = children(pid);
        for pid in [pid].into_iter().chain(workers) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// The process id in a file.
fn master(file: &Path) -> Option<u32> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn spawn(mut command: Command, log: &Path) -> Child {
    let file = std::fs::File::create(log).unwrap();
    command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
    command.spawn().unwrap()
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks
        .flatten()
        .map(|task| std::fs::read_to_string(task.path().join("children")).unwrap_or_default());
    let pids = |list: String| list.split_whitespace().filter_map(|p| p.parse().ok()).collect();
    lists.flat_map(|list| -> Vec<u32> { pids(list) }).collect()
}

fn rotations() -> usize {
    if std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full") { 10 } else { 3 }
}

fn run(bench: Option<Bench>) {
    let Some(bench) = bench else { return };
    let load = Load::start(&bench.socket, USERS, LIFETIME);
    for _ in 0..rotations() {
        bench.rotate();
    }
    bench.roll_back();
    let seen = load.stop();
    let Seen { requests, shown_again, failures } = seen;
    assert_eq!(failures, Vec::<String>::new(), "of {requests} requests\n{}", bench.said());
    assert!(requests > 100 && shown_again > 10, "{requests} requests, {shown_again} shown again");
    eprintln!("{requests} requests, {shown_again} sessions shown again, none failed");
    bench.end();
}

const VARIABLES: [&str; 5] = [
    "--env=SECRET_KEY=ring:web",
    "--env=SECRET_KEY_FALLBACKS=ring:web:others,join=,",
    "--env=KEY_ID=ring:web,form=kid",
    "--env=KEY_FP=ring:web,form=fingerprint",
    "--env=KEY_IDS=ring:web:accepted,form=kid,join=,",
];

/// Kinds of workers, and whether the application is loaded before or after they are made. They run
/// side by side, because each spends most of its time waiting for sessions to get old.
const KINDS: [(&str, &str); 4] = [
    ("sync", "--worker-class sync"),
    ("sync, preload", "--worker-class sync --preload"),
    ("gthread", "--worker-class gthread --threads 4"),
    ("gthread, preload", "--worker-class gthread --threads 4 --preload"),
];

fn of_each_kind(bench: impl Fn(&str) -> Option<Bench> + Sync) {
    std::thread::scope(|scope| {
        for (name, arguments) in KINDS {
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn_scoped(scope, || run(bench(arguments))).unwrap();
        }
    });
}

#[test]
fn behind_exec_nobody_is_logged_out() {
    of_each_kind(|arguments| {
        let mut options = VARIABLES.to_vec();
        if arguments.contains("gthread") {
            // Here a probe shows keys to every worker before the old ones go.
            options.extend(["--probe", "probes.toml"]);
        }
        Bench::exec(RING, &options, &arguments.split(' ').collect::<Vec<_>>())
    });
}

#[test]
fn behind_an_agent_nobody_is_logged_out() {
    of_each_kind(|arguments| {
        let reload = if arguments.contains("--preload") { UPGRADE } else { HUP };
        Bench::agent(arguments, reload)
    });
}

/// What the other tests would see if rotations lost sessions: an application that is given one key,
/// and declares that it puts up with that.
#[test]
fn users_of_a_one_slot_consumer_are_logged_out() {
    let ring = RING.replace("role =", "one_slot = true\ncutover = true\nrole =");
    let variables = [
        "--env=SECRET_KEY=ring:web",
        "--env=SECRET_KEY_FALLBACKS=ring:web,form=kid",
        "--env=KEY_ID=ring:web,form=kid",
        "--env=KEY_FP=ring:web,form=fingerprint",
        "--env=KEY_IDS=ring:web:accepted,form=kid,join=,",
    ];
    let Some(bench) = Bench::exec(&ring, &variables, &["--worker-class", "sync"]) else { return };
    // The application itself ends no session, so one may be shown so late that a busy machine does
    // not make it too old.
    let load = Load::start(&bench.socket, USERS, Span::from_secs(10));
    let target = bench.admin.rotate("web").unwrap().path.unwrap().version;
    bench.until("it is cut over", |ring| ring.primary == Some(target) && ring.path.is_none());
    bench.until("somebody is logged out", |_| load.failures() > 0);
    let seen = load.stop();
    assert!(seen.failures.iter().any(|failure| failure.starts_with("/check: 401")), "{seen:?}");
}
