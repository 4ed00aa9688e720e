//! What a check at `/authz` costs behind nginx: nginx and the server that it asks, together, over
//! nginx and a bare server that says yes; and FastAPI with PyJWT in the same place. Same socket
//! kind, kept connections, distinct tokens, one run, rounds interleaved in an order that changes.
//!
//! How often a server sleeps and is woken costs as much as what it does, and depends on which core
//! the others run on. So everybody has a place: nginx's worker on one core, the load and the server
//! that nginx asks on the other.

mod place;
mod servers;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::child::{Child, Kind};
use crate::measure;
use crate::others::{self, Guard, cpu_of, wait};
use crate::table::{Table, figure};
use crate::{Fallible, Scale};
use place::Core;

pub(crate) use servers::{serve_edge, serve_null};

const REVOKED: [u32; 3] = [0, 100_000, 1_000_000];
/// A set of Python costs the same whatever its size.
const PEER_REVOKED: u32 = 100_000;
const CONNECTIONS: &str = "32";
const TOKENS: usize = 1_000;
/// So many that hardly any comes twice while it could be remembered.
const NEW_TOKENS: usize = 100_000;
/// The newest releases when this was written.
const PACKAGES: [&str; 2] = ["fastapi==0.165.0", "uvicorn[standard]==0.54.0"];
/// The newest, and the last one before a change that made each check cost twice as much.
const PYJWT: [&str; 2] = ["2.15.1", "2.13.0"];
const APP: &str = include_str!("app.py");
/// Shows one token after another.
const SCRIPT: &str = r#"
local tokens, next = {}, 0
wrong = 0
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args)
    for line in io.lines(args[1]) do table.insert(tokens, "Bearer " .. line) end
    next = os.time() * 25013 % #tokens
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
    /// The file with the tokens that are shown.
    tokens: &'static str,
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
    let rounds = scale.pick(1, 15);
    let seconds = "1s";
    for (ring, algorithm) in servers::RINGS {
        let tokens = servers::tokens(ring, algorithm, TOKENS)?;
        std::fs::write(scratch.0.join(format!("{ring}.tokens")), tokens)?;
    }
    let (ring, algorithm) = servers::RINGS[0];
    let new = servers::tokens(ring, algorithm, NEW_TOKENS)?;
    std::fs::write(scratch.0.join("new.tokens"), new)?;
    std::fs::write(scratch.0.join("load.lua"), SCRIPT)?;
    let upstreams = upstreams(&scratch.0)?;
    let nginx = Nginx::start(&scratch.0, &upstreams)?;
    let mut cases = cases();
    let count = cases.len().max(1);
    for round in 0..=rounds {
        let (last, first) = cases.split_at_mut(round % count);
        for case in first.iter_mut().chain(last) {
            let upstream = upstreams.get(&case.upstream).ok_or("a case without an upstream")?;
            let cost = nginx.measure(&scratch.0, upstream, case, seconds)?;
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
    let mut add = |name: String, upstream: String, ring, tokens| {
        cases.push(Case { name, upstream, ring, tokens, rounds: Vec::new() });
    };
    for (ring, what) in [("hs", "HS256"), ("ed", "EdDSA")] {
        add(format!("bare, {what}"), "null".into(), ring, ring);
        for revoked in REVOKED {
            let name = format!("keywheel, {what}, remembered, {revoked} revoked");
            add(name, format!("edge{revoked}"), ring, ring);
        }
        if ring == "hs" {
            let name = format!("keywheel, {what}, each token new, {PEER_REVOKED} revoked");
            add(name, format!("edge{PEER_REVOKED}"), ring, "new");
        }
    }
    for version in PYJWT {
        let name = format!("FastAPI + PyJWT {version}, HS256, {PEER_REVOKED} revoked");
        add(name, peer(version), "hs", "hs");
    }
    cases
}

/// The name of FastAPI with this PyJWT, for nginx too.
fn peer(pyjwt: &str) -> String {
    format!("python-{pyjwt}")
}

fn upstreams(folder: &Path) -> Fallible<BTreeMap<String, Upstream>> {
    let mut all = BTreeMap::new();
    let mut add = |name: String, pid: u32, process: Process| -> Fallible<()> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        all.insert(name.clone(), Upstream { name, pid, port, _process: process });
        Ok(())
    };
    let listen = |name: &str| format!("unix:{}", folder.join(format!("{name}.sock")).display());
    let start = |kind, folder: &Path, name: &str| -> Fallible<Child> {
        let program = place::on(Core::Load, &std::env::current_exe()?);
        let mut child = Child::start_as(program, kind, folder, &listen(name))?;
        child.port()?;
        Ok(child)
    };
    let null = start(Kind::AuthzNull, folder, "null")?;
    add("null".into(), null.pid(), Process::Own(null))?;
    for revoked in REVOKED {
        let name = format!("edge{revoked}");
        let edge = start(Kind::Authz, &folder.join(revoked.to_string()), &name)?;
        add(name, edge.pid(), Process::Own(edge))?;
    }
    let secret = folder.join("hs.secret");
    let (ring, algorithm) = servers::RINGS[0];
    // Behind its head of six bytes, what is stored of a symmetric key is the key.
    let stored = servers::material(ring, algorithm)?.to_stored();
    std::fs::write(&secret, stored.get(6..).unwrap_or_default())?;
    std::fs::write(folder.join("app.py"), APP)?;
    for version in PYJWT {
        let name = peer(version);
        let socket = folder.join(format!("{name}.sock"));
        let process = place::on(Core::Load, &python(version)?)
            .arg(folder.join("app.py"))
            .args([&socket, &secret])
            .args([&PEER_REVOKED.to_string(), version])
            .stdin(Stdio::null())
            .spawn()?;
        let guard = Guard(process);
        wait(|| std::os::unix::net::UnixStream::connect(&socket).is_ok())?;
        add(name, guard.0.id(), Process::Python(guard))?;
    }
    Ok(all)
}

/// The interpreter of an environment of its own with this PyJWT.
fn python(pyjwt: &str) -> Fallible<PathBuf> {
    let pyjwt = format!("pyjwt=={pyjwt}");
    let [fastapi, uvicorn] = PACKAGES;
    others::python(&format!("authz-{pyjwt}"), &[fastapi, uvicorn, &pyjwt])
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
        let master = place::on(Core::Nginx, Path::new(program))
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
        case: &Case,
        seconds: &str,
    ) -> Fallible<Cost> {
        let before = (self.cpu(), cpu_of(upstream.pid));
        let output = place::on(Core::Load, Path::new("wrk"))
            .args(["--threads", "1", "--connections", CONNECTIONS, "--duration", seconds])
            .args(["--timeout", "30s", "--script"])
            .arg(folder.join("load.lua"))
            .arg(format!("http://127.0.0.1:{}/{}/", upstream.port, case.ring))
            .arg("--")
            .arg(folder.join(format!("{}.tokens", case.tokens)))
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

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or_default()
}

impl Case {
    fn median(&self, of: impl Fn(Cost) -> f64) -> f64 {
        median(self.rounds.iter().map(|cost| of(*cost)))
    }

    /// What this costs over what the other costs, in the median of the rounds: what disturbs a
    /// round disturbs both.
    fn to(&self, other: Option<&Self>) -> f64 {
        let others = other.map_or(&[][..], |other| &other.rounds);
        median(self.rounds.iter().zip(others).map(|(own, other)| own.total() / other.total()))
    }
}

fn report(cases: &[Case], rounds: usize, seconds: &str) -> String {
    let [newest, older] = PYJWT;
    let mut text = format!(
        "nginx with one worker asks a server on a unix socket with kept connections about each \
         request; `wrk` shows {TOKENS} distinct tokens on {CONNECTIONS} connections. CPU time of \
         nginx's worker and of the server, from the scheduler, over the requests; medians of \
         {rounds} interleaved rounds of {seconds}, ratios within each round. {} *Bare* is a raw \
         tokio server that reads a request and says 200. The edge checks signature, `exp`, issuer, \
         required claims, route, and what was revoked, with two accepted versions; FastAPI under \
         uvicorn with uvloop (`{}`) and PyJWT check signature, `exp`, issuer, required claims and \
         a set of revoked `jti`, with two keys. The bare server is done sooner, so it sleeps and is \
         woken more often, which costs as much as a part of the check: no ratio below one says \
         that the edge does less. Budget: 1.10× of bare, a tenth of FastAPI.\n\n",
        place::told(),
        PACKAGES.join("`, `"),
    );
    let mut table = Table::new(&[
        "",
        "nginx, µs",
        "server, µs",
        "together, µs",
        "to bare",
        &format!("to PyJWT {newest}"),
        &format!("to PyJWT {older}"),
    ]);
    let of = |upstream: &str, ring: &str| {
        cases.iter().find(|case| case.upstream == upstream && case.ring == ring)
    };
    for case in cases {
        let to = |other: Option<&Case>| {
            let is_bare = case.upstream == "null";
            let ratio = figure(case.to(other));
            if is_bare { "–".into() } else { format!("{ratio}×") }
        };
        table.row(
            &case.name,
            &[
                figure(case.median(|cost| cost.nginx)),
                figure(case.median(|cost| cost.auth)),
                figure(case.median(Cost::total)),
                to(of("null", case.ring)),
                to(of(&peer(newest), "hs")),
                to(of(&peer(older), "hs")),
            ],
        );
    }
    text.push_str(&table.finish());
    text
}
