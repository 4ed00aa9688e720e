//! What a check at `/authz` costs behind nginx: nginx and the server that it asks, together, over
//! nginx and a bare server that says yes; and FastAPI with PyJWT in the same place. Same socket
//! kind, kept connections, distinct tokens, one run, rounds interleaved.

mod servers;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::child::{Child, Kind};
use crate::measure;
use crate::others::{Guard, cpu_of, python, wait};
use crate::table::{Table, figure, ratio};
use crate::{Fallible, Scale};

pub(crate) use servers::{serve_edge, serve_null};

const REVOKED: [u32; 3] = [0, 100_000, 1_000_000];
const CONNECTIONS: &str = "32";
const TOKENS: usize = 1_000;
/// The newest releases that were current when this was written.
const PACKAGES: [&str; 3] = ["fastapi==0.124.4", "uvicorn[standard]==0.38.0", "pyjwt==2.10.1"];
const APP: &str = include_str!("app.py");
/// Shows one token after another.
const SCRIPT: &str = r#"
local tokens, next = {}, 0
wrong = 0
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args)
    for line in io.lines(args[1]) do table.insert(tokens, "Bearer " .. line) end
end
function request()
    next = next % #tokens + 1
    wrk.headers["Authorization"] = tokens[next]
    return wrk.format()
end
function response(status) if status ~= 200 then wrong = wrong + 1 end end
function done(summary)
    local wrong = 0
    for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
    print(string.format("TOLD %d %d", summary.requests, wrong))
end
"#;

/// Something that nginx asks.
struct Upstream {
    name: String,
    pid: u32,
    /// The port of nginx that leads to it.
    port: u16,
    _process: Process,
}

/// Ends with this.
#[expect(dead_code, reason = "what it holds ends when it is dropped")]
enum Process {
    Own(Child),
    Python(Guard),
}

/// A row: the upstream, the kind of token, and the CPU of each round.
struct Case {
    name: String,
    upstream: String,
    ring: &'static str,
    rounds: Vec<Cost>,
}

/// CPU microseconds of one request.
#[derive(Clone, Copy)]
struct Cost {
    nginx: f64,
    auth: f64,
}

impl Cost {
    fn total(self) -> f64 {
        self.nginx + self.auth
    }
}

/// Runs the bench.
pub(crate) fn run(scale: Scale) -> Fallible<String> {
    let scratch = Scratch::new()?;
    let rounds = scale.pick(1, 3);
    let seconds = scale.pick("1s", "3s");
    for (ring, algorithm) in servers::RINGS {
        let tokens = servers::tokens(ring, algorithm, TOKENS)?;
        std::fs::write(scratch.0.join(format!("{ring}.tokens")), tokens)?;
    }
    std::fs::write(scratch.0.join("load.lua"), SCRIPT)?;
    let upstreams = upstreams(&scratch.0)?;
    let nginx = Nginx::start(&scratch.0, &upstreams)?;
    let mut cases = cases();
    for round in 0..=rounds {
        for case in &mut cases {
            let upstream = upstreams.get(&case.upstream).ok_or("a case without an upstream")?;
            let cost = nginx.measure(&scratch.0, upstream, case.ring, seconds)?;
            // The first round warms everything up.
            if round > 0 {
                case.rounds.push(cost);
            }
        }
    }
    Ok(report(&cases, rounds, seconds))
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, upstream: String, ring| {
        cases.push(Case { name, upstream, ring, rounds: Vec::new() });
    };
    for (ring, what) in [("hs", "HS256"), ("ed", "EdDSA, remembered")] {
        add(format!("bare, {what}"), "null".into(), ring);
        for revoked in REVOKED {
            add(format!("keywheel, {what}, {revoked} revoked"), format!("edge{revoked}"), ring);
        }
    }
    for revoked in REVOKED {
        add(format!("FastAPI + PyJWT, HS256, {revoked} revoked"), format!("python{revoked}"), "hs");
    }
    cases
}

fn upstreams(folder: &Path) -> Fallible<BTreeMap<String, Upstream>> {
    let mut all = BTreeMap::new();
    let mut add = |name: String, pid: u32, process: Process| -> Fallible<()> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        all.insert(name.clone(), Upstream { name, pid, port, _process: process });
        Ok(())
    };
    let listen = |name: &str| format!("unix:{}", folder.join(format!("{name}.sock")).display());
    let mut null = Child::start(Kind::AuthzNull, folder, &listen("null"))?;
    null.port()?;
    add("null".into(), null.pid(), Process::Own(null))?;
    for revoked in REVOKED {
        let name = format!("edge{revoked}");
        let count = folder.join(revoked.to_string());
        let mut edge = Child::start(Kind::Authz, &count, &listen(&name))?;
        edge.port()?;
        add(name, edge.pid(), Process::Own(edge))?;
    }
    let python = python("authz", &PACKAGES)?;
    let secret = folder.join("hs.secret");
    let (ring, algorithm) = servers::RINGS[0];
    // Behind its head of six bytes, what is stored of a symmetric key is the key.
    let stored = servers::material(ring, algorithm)?.to_stored();
    std::fs::write(&secret, stored.get(6..).unwrap_or_default())?;
    std::fs::write(folder.join("app.py"), APP)?;
    for revoked in REVOKED {
        let name = format!("python{revoked}");
        let socket = folder.join(format!("{name}.sock"));
        let process = Command::new(&python)
            .arg(folder.join("app.py"))
            .args([&socket, &secret])
            .arg(revoked.to_string())
            .stdin(Stdio::null())
            .spawn()?;
        let guard = Guard(process);
        wait(|| std::os::unix::net::UnixStream::connect(&socket).is_ok())?;
        add(name, guard.0.id(), Process::Python(guard))?;
    }
    Ok(all)
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Fallible<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::Builder::new().prefix("kwa").tempdir()?.keep();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Nginx {
    master: std::process::Child,
}

impl Nginx {
    fn start(folder: &Path, upstreams: &BTreeMap<String, Upstream>) -> Fallible<Self> {
        let at = folder.display();
        let mut text = format!(
            "pid {at}/nginx.pid;\nerror_log {at}/nginx.log warn;\nworker_processes 1;\n\
             events {{ worker_connections 512; }}\nhttp {{\naccess_log off;\n\
             keepalive_requests 100000000;\nproxy_http_version 1.1;\n\
             client_body_temp_path {at}/t1; proxy_temp_path {at}/t2; fastcgi_temp_path {at}/t3;\n\
             uwsgi_temp_path {at}/t4; scgi_temp_path {at}/t5;\n"
        );
        for upstream in upstreams.values() {
            let (name, port) = (&upstream.name, upstream.port);
            let _ = writeln!(
                text,
                "upstream {name} {{ server unix:{at}/{name}.sock; keepalive 32; \
                 keepalive_requests 100000000; }}\n\
                 server {{ listen 127.0.0.1:{port};\n\
                 location / {{ auth_request /authz; empty_gif; }}\n\
                 location = /authz {{ internal; proxy_pass http://{name}/authz;\n\
                 proxy_pass_request_body off; proxy_set_header Content-Length \"\";\n\
                 proxy_set_header Connection \"\"; proxy_set_header X-Original-URI $request_uri; \
                 }} }}"
            );
        }
        text.push_str("}\n");
        let config = folder.join("nginx.conf");
        std::fs::write(&config, text)?;
        let program =
            if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" };
        let master = Command::new(program)
            .args(["-e", "stderr", "-g", "daemon off;", "-c"])
            .arg(&config)
            .stdin(Stdio::null())
            .spawn()?;
        let nginx = Self { master };
        for upstream in upstreams.values() {
            wait(|| std::net::TcpStream::connect(("127.0.0.1", upstream.port)).is_ok())?;
        }
        Ok(nginx)
    }

    fn workers(&self) -> Vec<u32> {
        let pid = self.master.id();
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        text.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    fn cpu(&self) -> Duration {
        self.workers().into_iter().map(cpu_of).sum()
    }

    fn measure(
        &self,
        folder: &Path,
        upstream: &Upstream,
        ring: &str,
        seconds: &str,
    ) -> Fallible<Cost> {
        let before = (self.cpu(), cpu_of(upstream.pid));
        let output = Command::new("wrk")
            .args(["--threads", "1", "--connections", CONNECTIONS, "--duration", seconds])
            .args(["--timeout", "30s", "--script"])
            .arg(folder.join("load.lua"))
            .arg(format!("http://127.0.0.1:{}/{ring}/", upstream.port))
            .arg("--")
            .arg(folder.join(format!("{ring}.tokens")))
            .output()?;
        let after = (self.cpu(), cpu_of(upstream.pid));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = text.lines().find_map(|line| line.strip_prefix("TOLD ")).unwrap_or_default();
        let numbers: Vec<u32> = told.split(' ').filter_map(|word| word.parse().ok()).collect();
        let (Some(requests), Some(0)) = (numbers.first().filter(|all| **all > 0), numbers.get(1))
        else {
            return Err(format!("{}: wrk says: {text}", upstream.name).into());
        };
        let each = |after: Duration, before: Duration| {
            measure::micros(after.saturating_sub(before)) / f64::from(*requests)
        };
        Ok(Cost { nginx: each(after.0, before.0), auth: each(after.1, before.1) })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.master);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.master.wait();
    }
}

/// Seconds since 1970, for the `exp` of tokens.
fn wall_secs() -> i64 {
    use keywheel_engine::ports::Clock as _;
    keywheel_store::SystemClock.wall().seconds()
}

fn median(rounds: &[Cost], of: impl Fn(Cost) -> f64) -> f64 {
    let mut all: Vec<f64> = rounds.iter().map(|cost| of(*cost)).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn report(cases: &[Case], rounds: usize, seconds: &str) -> String {
    let mut text = format!(
        "nginx with one worker asks a server on a unix socket with kept connections about each \
         request; `wrk` shows {TOKENS} distinct tokens on {CONNECTIONS} connections. CPU time of \
         nginx's worker and of the server, from the scheduler, over the requests; medians of \
         {rounds} interleaved rounds of {seconds}. *Bare* is a raw tokio server that reads a \
         request and says 200. The edge checks signature, `exp`, issuer, required claims, route, \
         and what was revoked; FastAPI 0.124 under uvicorn 0.38 (uvloop) with PyJWT 2.10 checks \
         signature, `exp`, required claims and a set of revoked `jti`. Budget: 1.10× of bare, a \
         tenth of FastAPI.\n\n"
    );
    let mut table =
        Table::new(&["", "nginx, µs", "server, µs", "together, µs", "to bare", "to FastAPI"]);
    let total = |name: &str| {
        let case = cases.iter().find(|case| case.name.starts_with(name));
        case.map_or(0.0, |case| median(&case.rounds, Cost::total))
    };
    for case in cases {
        let together = median(&case.rounds, Cost::total);
        let bare = total(if case.ring == "hs" { "bare, HS256" } else { "bare, EdDSA" });
        let revoked = case.name.rsplit(", ").next().unwrap_or_default();
        let peer = total(&format!("FastAPI + PyJWT, HS256, {revoked}"));
        let to_peer =
            if case.name.starts_with("bare") { "–".into() } else { ratio(together, peer) };
        table.row(
            &case.name,
            &[
                figure(median(&case.rounds, |cost| cost.nginx)),
                figure(median(&case.rounds, |cost| cost.auth)),
                figure(together),
                ratio(together, bare),
                to_peer,
            ],
        );
    }
    text.push_str(&table.finish());
    text
}
