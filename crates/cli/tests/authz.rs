//! nginx asks `/authz` of an agent and of the server, under load, while the key turns: no token
//! that is good is refused, none that was revoked or compromised passes once it was refused, and
//! the death of the server changes no answer of the agent.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking"
)]

mod edge;
mod world;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use edge::callers::Connection;
use edge::site::{Master, free_address};
use keywheel_client::{Client, RingHandle, Token, TokenSource};
use keywheel_jose::token::Signer;
use world::{Server, World, until};

/// Connections through nginx to the agent, and to the server.
const AGENT_CALLERS: usize = 24;
const SERVER_CALLERS: usize = 8;
/// So many answers between two changes.
const ANSWERS_LEAST: u64 = 1_000;
/// Each caller shows so many of its earlier tokens again.
const KEPT: usize = 8;
/// The pause after an answer, which leaves the machine to what is tested.
const PAUSE: Duration = Duration::from_millis(4);

const RINGS: &str = r#"
[authz]
# nginx's workers are other users where the test runs as root.
listen = ["unix:../authz.sock"]
socket_mode = "0666"
[[authz.route]]
prefix = "/"
ring = "access"

[ring.access]
kind = "signing"
algorithm = "EdDSA"
longest_lifetime = "10m"
skew = "0s"
lease_ttl = "2s"
on_compromise = "reject_first"
[[ring.access.consumer]]
name = "app"
role = "protect"
[[ring.access.consumer]]
name = "edge"
role = "process"
"#;

const AGENT: &str = r#"
[server]
url = "unix:[STATE]keywheel.sock"
state_dir = "[WORLD]agent"
[authz]
listen = ["unix:[WORLD]agent-authz.sock"]
socket_mode = "0666"
consumer = "edge"
token_file = "[WORLD]edge.token"
[[authz.route]]
prefix = "/"
ring = "access"
"#;

const NGINX: &str = r#"
pid [WORLD]nginx.pid;
error_log [WORLD]nginx.log warn;
worker_processes 2;
events { worker_connections 256; }
http {
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path [WORLD]t1; proxy_temp_path [WORLD]t2; fastcgi_temp_path [WORLD]t3;
    uwsgi_temp_path [WORLD]t4; scgi_temp_path [WORLD]t5;
    proxy_http_version 1.1;
    upstream agent { server unix:[WORLD]agent-authz.sock; keepalive 32; }
    upstream server { server unix:[WORLD]authz.sock; keepalive 32; }
    server { listen [AGENT]; location / { auth_request /authz; root [WORLD]; try_files /hello.txt =404; }
        location = /authz { internal; proxy_pass http://agent/authz; proxy_pass_request_body off;
            proxy_set_header Content-Length ""; proxy_set_header Connection "";
            proxy_set_header X-Original-URI $request_uri; } }
    server { listen [SERVER]; location / { auth_request /authz; root [WORLD]; try_files /hello.txt =404; }
        location = /authz { internal; proxy_pass http://server/authz; proxy_pass_request_body off;
            proxy_set_header Content-Length ""; proxy_set_header Connection "";
            proxy_set_header X-Original-URI $request_uri; } }
}
"#;

/// Everything together.
struct Scene {
    app: Client,
    nginx: Master,
    agent: Server,
    server: Server,
    by_agent: SocketAddr,
    by_server: SocketAddr,
    world: World,
}

impl Scene {
    fn start() -> Self {
        let world = World::with(RINGS);
        let (by_agent, by_server) = (free_address(), free_address());
        let fill = |text: &str| {
            let folder = world.path("").display().to_string();
            let text = text.replace("[STATE]", &format!("{folder}.keywheel/"));
            let text = text.replace("[AGENT]", &by_agent.to_string());
            text.replace("[SERVER]", &by_server.to_string()).replace("[WORLD]", &folder)
        };
        world.write("nginx.conf", fill(NGINX));
        world.write("hello.txt", "hello\n");
        world.write("agent.toml", fill(AGENT));
        let server = world.serve();
        for consumer in ["app", "edge"] {
            let out = format!("{consumer}.token");
            let create = ["token", "create", consumer, "--role", "consumer", "--ring", "access"];
            world.ok(&[&create[..], &["--consumer", consumer, "--out", &out]].concat());
        }
        let agent = world.start(world.command(&["agent", "--config", "agent.toml"]));
        until("the agent's edge listens", || world.path("agent-authz.sock").exists());
        let endpoint = format!("unix:{}", world.state("keywheel.sock").display());
        let token = Token::from_file(Path::new(&world.path("app.token"))).unwrap();
        let app =
            Client::builder(endpoint, TokenSource::from(token)).consumer("app").ring("access");
        let app = app.build().unwrap();
        app.start().unwrap();
        let nginx = Master::start(&world.path("nginx.conf"), &world.path("nginx-stderr"));
        until("nginx listens", || std::net::TcpStream::connect(by_server).is_ok());
        Self { app, nginx, agent, server, by_agent, by_server, world }
    }

    fn ring(&self) -> RingHandle {
        self.app.ring("access").unwrap()
    }

    fn status(&self) -> serde_json::Value {
        self.world.json(&["status", "access"])
    }
}

/// What is known to be dead, by kid and by jti: it may be refused, and from the time that stands
/// here it must be, because each edge has refused it.
#[derive(Default)]
struct Graves(Mutex<HashMap<String, Option<Instant>>>);

/// What a token may be answered with.
#[derive(PartialEq)]
enum Due {
    Pass,
    Either,
    Refusal,
}

impl Graves {
    /// From now on it may be refused.
    fn dig(&self, name: &str) {
        self.0.lock().unwrap().insert(name.to_owned(), None);
    }

    /// From now on it must be.
    fn close(&self, name: &str) {
        self.0.lock().unwrap().insert(name.to_owned(), Some(now()));
    }

    fn due(&self, token: &Shown, asked: Instant) -> Due {
        let graves = self.0.lock().unwrap();
        let mut due = Due::Pass;
        for name in [&token.kid, &token.jti] {
            match graves.get(name) {
                Some(Some(since)) if *since < asked => return Due::Refusal,
                Some(_) => due = Due::Either,
                None => {}
            }
        }
        due
    }
}

#[derive(Clone)]
struct Shown {
    kid: String,
    jti: String,
    text: String,
}

/// Signs as the application does: under a guard.
fn sign(ring: &RingHandle) -> Shown {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let jti = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let guard = ring.guard().unwrap();
    let expires = wall() + 300;
    let claims = serde_json::json!({ "sub": "ada", "jti": jti, "iat": wall(), "exp": expires });
    let signer = Signer::of_material(guard.material(), guard.kid()).unwrap();
    let text = signer.sign(claims.to_string().as_bytes()).unwrap();
    Shown { kid: guard.kid().0.clone(), jti, text }
}

/// Clients that show distinct tokens, fresh ones and earlier ones.
struct Callers {
    stop: Arc<AtomicBool>,
    right: Arc<AtomicU64>,
    wrong: Arc<Mutex<Vec<String>>>,
    threads: Vec<JoinHandle<()>>,
    log: std::path::PathBuf,
}

impl Callers {
    fn start(scene: &Scene, address: SocketAddr, count: usize, graves: &Arc<Graves>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (right, wrong) =
            (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::<Vec<String>>::default()));
        let threads = (0..count).map(|_| {
            let (stop, graves, ring) = (Arc::clone(&stop), Arc::clone(graves), scene.ring());
            let (right, wrong) = (Arc::clone(&right), Arc::clone(&wrong));
            std::thread::spawn(move || {
                let mut connection = Connection::open(address).unwrap();
                let mut kept: Vec<Shown> = Vec::new();
                let mut number = 0_usize;
                while !stop.load(Ordering::SeqCst) {
                    number += 1;
                    let token = match kept.get(number % (2 * KEPT)) {
                        Some(earlier) => earlier.clone(),
                        None => sign(&ring),
                    };
                    let asked = now();
                    let header = format!("Authorization: Bearer {}", token.text);
                    match connection.ask_with(&header) {
                        Ok(answer) => {
                            // Judged as of the question for what must be refused, and as of the
                            // answer for what may be.
                            let is_right = match answer.status {
                                200 => graves.due(&token, asked) != Due::Refusal,
                                401 => graves.due(&token, now()) != Due::Pass,
                                _ => false,
                            };
                            if is_right {
                                right.fetch_add(1, Ordering::SeqCst);
                            } else {
                                let what =
                                    format!("{} for {} {}", answer.status, token.kid, token.jti);
                                wrong.lock().unwrap().push(what);
                            }
                            if !answer_keeps(&connection) {
                                connection = Connection::open(address).unwrap();
                            }
                        }
                        Err(error) => {
                            wrong.lock().unwrap().push(error.to_string());
                            connection = Connection::open(address).unwrap();
                        }
                    }
                    if kept.len() < KEPT {
                        kept.push(token);
                    } else if number.is_multiple_of(64) {
                        kept[number / 64 % KEPT] = token;
                    }
                    std::thread::park_timeout(PAUSE);
                }
            })
        });
        Self { threads: threads.collect(), stop, right, wrong, log: scene.world.path("nginx.log") }
    }

    /// Waits until this much more was answered rightly.
    fn go_on(&self) {
        let least = self.right.load(Ordering::SeqCst) + ANSWERS_LEAST;
        until("enough was answered", || {
            self.check();
            self.right.load(Ordering::SeqCst) > least
        });
    }

    fn check(&self) {
        let wrong = self.wrong.lock().unwrap().clone();
        let shown = &wrong[..wrong.len().min(10)];
        let nginx = std::fs::read_to_string(&self.log).unwrap_or_default();
        assert!(wrong.is_empty(), "{} wrong answers, such as {shown:#?}\n{nginx}", wrong.len());
    }

    fn end(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
        self.check();
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn answer_keeps(connection: &Connection) -> bool {
    connection.is_kept
}

#[test]
fn nobody_notices_that_the_key_turns_and_whoever_is_refused_is_refused_at_once() {
    let scene = Scene::start();
    let world = &scene.world;
    let graves = Arc::new(Graves::default());
    let by_agent = Callers::start(&scene, scene.by_agent, AGENT_CALLERS, &graves);
    let by_server = Callers::start(&scene, scene.by_server, SERVER_CALLERS, &graves);
    let both = || {
        by_agent.go_on();
        by_server.go_on();
    };
    both();
    for _ in 0..3 {
        let ran = world.run(&["rotate", "access", "--wait", "--timeout", "3m"]);
        assert_eq!(ran.code, 0, "{}{}{}", ran.stdout, ran.stderr, scene.agent.log());
        both();
    }
    let before = scene.status()["primary"].clone();
    world.ok(&["rollback", "access", "--reason", "a test"]);
    until("the former key is back", || {
        by_agent.check();
        scene.status()["primary"] != before
    });
    both();

    let revoked = sign(&scene.ring());
    ask_until(&scene, &revoked, 200);
    graves.dig(&revoked.jti);
    revoke(world, &revoked);
    let began = now();
    ask_until(&scene, &revoked, 401);
    println!("what was revoked is refused after {:?}", began.elapsed());
    graves.close(&revoked.jti);

    let bad = scene.status();
    let number = bad["primary"].as_u64().unwrap();
    let versions = bad["versions"].as_array().unwrap();
    let bad = versions.iter().find(|one| one["number"] == number).unwrap();
    let mut leaked = sign(&scene.ring());
    until("the application signs with it", || {
        leaked = sign(&scene.ring());
        leaked.kid == bad["kid"].as_str().unwrap()
    });
    graves.dig(&leaked.kid);
    compromise(world, number);
    let began = now();
    ask_until(&scene, &leaked, 401);
    println!("what leaked is refused after {:?}", began.elapsed());
    graves.close(&leaked.kid);
    both();
    report_names_everybody(&scene, number);
    by_server.end();

    scene.server.kill();
    by_agent.go_on();
    by_agent.go_on();
    by_agent.end();
    drop((scene.nginx, scene.agent));
}

/// Asks both edges until each gives this answer.
fn ask_until(scene: &Scene, token: &Shown, status: u16) {
    for address in [scene.by_agent, scene.by_server] {
        until("the edge answers so", || {
            let header = format!("Authorization: Bearer {}", token.text);
            Connection::open(address).and_then(|mut open| open.ask_with(&header)).unwrap().status
                == status
        });
    }
}

fn revoke(world: &World, token: &Shown) {
    let admin = std::fs::read_to_string(world.state("admin.token")).unwrap();
    let (path, form) = ("/oauth/revoke", "application/x-www-form-urlencoded");
    let body = format!("token={}", token.text);
    let socket = world.state("keywheel.sock");
    let (status, body) = edge::callers::post(&socket, path, admin.trim(), form, &body);
    assert_eq!(status, 200, "{body}");
}

fn compromise(world: &World, number: u64) {
    let create = ["token", "create", "fire", "--role", "breakglass", "--ring", "access"];
    world.ok(&[&create[..], &["--out", "fire.token"]].concat());
    let number = number.to_string();
    let args =
        ["--token-file", "fire.token", "compromise", "access", &number, "--reason", "it leaked"];
    world.ok(&args);
}

/// The record of the compromise names each process, with when it last accepted the bad version.
fn report_names_everybody(scene: &Scene, number: u64) {
    let number_text = number.to_string();
    until("the report names everybody", || {
        let status = scene.status();
        let consumers = status["consumers"].as_array().unwrap();
        let edge = consumers.iter().find(|one| one["name"] == "edge").unwrap();
        let instances = edge["instances"].as_array().unwrap();
        let by_instance =
            instances.iter().all(|one| one["last_accepted"][&number_text].is_string());
        let versions = status["versions"].as_array().unwrap();
        let bad = versions.iter().find(|one| one["number"] == number).unwrap();
        let exposure = bad["exposure"].as_array();
        let server = exposure.is_some_and(|all| {
            let own = all.iter().find(|one| one["consumer"] == "server test");
            own.is_some_and(|own| own["last_accepted"].is_string())
        });
        !instances.is_empty() && by_instance && server
    });
}

#[expect(clippy::disallowed_methods, reason = "a test measures on the real clock")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "tokens need the real time")]
fn wall() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_secs()).unwrap()
}
