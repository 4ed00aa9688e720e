//! Verifiers as others wrote them, unmodified, through a whole rotation: each fetches the JWK set
//! as it likes and never refuses a token, because the gate `propagation` waits for it. And what
//! happens without that gate.
//!
//! Their caches are shortened to a few seconds. `cargo xtask campaign jwks` runs the same test with
//! the times that they have by themselves.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a helper of a test fails by panicking, and says what it leaves out"
)]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use keywheel_client::{Client, RingHandle};
use support::{Admin, Installation, Process, SERVER, eventually, write_private};

/// How long a set is kept, and not fetched again, in the short test.
const SHORT: [&str; 2] = ["4", "2"];

/// Whether the verifiers keep the times that they have by themselves.
fn by_themselves() -> bool {
    std::env::var_os("KEYWHEEL_JWKS_DEFAULTS").is_some()
}

/// A verifier in a process of its own, which answers each token with one line.
struct Verifier {
    name: &'static str,
    child: Child,
    tokens: ChildStdin,
    answers: BufReader<ChildStdout>,
    accepted: usize,
}

impl Drop for Verifier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Verifier {
    fn start(name: &'static str, mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let tokens = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { name, child, tokens, answers, accepted: 0 }
    }

    /// What it says of a token.
    fn ask(&mut self, token: &str) -> Result<(), String> {
        writeln!(self.tokens, "{token}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        match answer.trim() {
            "ok" => {
                self.accepted += 1;
                Ok(())
            }
            other => Err(format!("{}: {other}", self.name)),
        }
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jwks").join(name)
}

fn python(name: &'static str, file: &str, arguments: &[&str]) -> Option<Verifier> {
    let Some(venv) = std::env::var_os("KEYWHEEL_VENV") else {
        eprintln!("SKIPPED {name}: KEYWHEEL_VENV is not set; run `cargo xtask test`");
        return None;
    };
    let mut command = Command::new(PathBuf::from(venv).join("bin/python"));
    command.arg(source(file)).args(arguments);
    Some(Verifier::start(name, command))
}

/// The copies of programs that were made so far.
static COPIES: AtomicUsize = AtomicUsize::new(0);

/// Node finds packages beside the program, so that is copied to where they are: whole, whoever else
/// does the same just now.
fn node(name: &'static str, file: &str, arguments: &[&str]) -> Option<Verifier> {
    let Some(folder) = std::env::var_os("KEYWHEEL_NODE") else {
        eprintln!("SKIPPED {name}: KEYWHEEL_NODE is not set; run `cargo xtask test`");
        return None;
    };
    let program = PathBuf::from(&folder).join(file);
    let number = COPIES.fetch_add(1, Ordering::Relaxed);
    let copy = PathBuf::from(folder).join(format!("{file}.{}-{number}", std::process::id()));
    std::fs::copy(source(file), &copy).unwrap();
    std::fs::rename(copy, &program).unwrap();
    let mut command = Command::new("node");
    command.arg(program).args(arguments);
    Some(Verifier::start(name, command))
}

fn go(folder: &Path, arguments: &[&str]) -> Option<Verifier> {
    let program = folder.join("go-oidc");
    let mut build = Command::new("go");
    build.current_dir(source("")).args(["build", "-o"]).arg(&program).arg(".");
    match build.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        Err(error) => {
            eprintln!("SKIPPED go-oidc: there is no Go toolchain here ({error})");
            return None;
        }
    }
    let mut command = Command::new(program);
    command.args(arguments);
    Some(Verifier::start("go-oidc", command))
}

struct World {
    installation: Installation,
    server: Process,
    admin: Admin,
    ring: RingHandle,
    client: Client,
}

impl World {
    /// A ring whose verifiers are these, and one process that signs.
    fn new(passive: &str) -> Self {
        let listen = SERVER.replace("\"unix:s\"", "\"unix:s\", \"127.0.0.1:0\"");
        let ring = format!(
            "[ring.tokens]\nkind = \"signing\"\nalgorithm = \"ES256\"\n\
             longest_lifetime = \"8s\"\nskew = \"1s\"\npassive = [{passive}]\n\
             [[ring.tokens.consumer]]\nname = \"issuer\"\nrole = \"protect\"\n"
        );
        let configuration = format!("{listen}{ring}");
        let installation = Installation::new(&support::binary(), &configuration).unwrap();
        let server = installation.start(&[]).unwrap();
        let admin = installation.admin().unwrap();
        let token = admin.token("issuer", "consumer", &["tokens"]).unwrap();
        let builder = Client::builder(installation.endpoint(), token).consumer("issuer");
        let client = builder.ring("tokens").build().unwrap();
        let ring = client.ring("tokens").unwrap();
        drop(ring.guard().unwrap());
        Self { installation, server, admin, ring, client }
    }

    /// Where the verifiers find the keys.
    fn keys(&self) -> String {
        let log = self.installation.log();
        let (_, rest) = log.split_once("address=127.0.0.1:").unwrap();
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        format!("http://127.0.0.1:{port}/.well-known/jwks.json")
    }

    fn token(&self) -> String {
        let claims = br#"{"iss":"https://issuer.example","aud":"app","sub":"somebody"}"#;
        self.ring.sign_token(claims).unwrap()
    }

    fn state(&self, number: u32) -> String {
        let status = self.admin.ring("tokens").unwrap();
        let version = status.versions.iter().find(|version| version.number == number);
        version.map(|version| version.state.clone()).unwrap_or_default()
    }
}

/// Every verifier that this machine can run.
fn verifiers(world: &World) -> Vec<Verifier> {
    let url = world.keys();
    let times: &[&str] = if by_themselves() { &[] } else { &SHORT };
    let with_times: Vec<&str> =
        std::iter::once(url.as_str()).chain(times.iter().copied()).collect();
    let folder = world.installation.path("");
    [
        python("PyJWKClient", "pyjwkclient.py", &with_times),
        python("Authlib", "authlib_client.py", &[&url]),
        node("jose", "jose.mjs", &with_times),
        node("jwks-rsa", "jwks_rsa.mjs", &with_times),
        go(&folder, &[&url]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn no_verifier_refuses_a_token_through_a_whole_rotation() {
    // For what has no time of its own, the time of the test is declared.
    let passive = if by_themselves() {
        r#""pyjwkclient", "jose", "jwks-rsa", "authlib=1s/1m", "go-oidc=1s/1m""#
    } else {
        r#""verifiers=3s/5s""#
    };
    let mut world = World::new(passive);
    let mut verifiers = verifiers(&world);
    assert!(!verifiers.is_empty() || std::env::var_os("KEYWHEEL_VENV").is_none());
    // A token may be too old by the time at which a verifier has started, on a busy machine.
    for verifier in &mut verifiers {
        eventually(verifier.name, || Ok(verifier.ask(&world.token()).ok())).unwrap();
    }
    let mut refused = Vec::new();
    let mut check = |world: &World| {
        for verifier in &mut verifiers {
            // Made for each, so that none is old when the turn of the last one comes.
            refused.extend(verifier.ask(&world.token()).err());
        }
    };
    check(&world);
    world.admin.rotate("tokens").unwrap();
    let mut seen = Vec::new();
    let mut rounds = 0;
    loop {
        check(&world);
        rounds += 1;
        let states = format!("{} {}", world.state(1), world.state(2));
        if seen.last() != Some(&states) {
            seen.push(states.clone());
        }
        if states == "retired primary" && rounds > 20 {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    check(&world);
    assert_eq!(refused, [""; 0], "through {seen:?}");
    for verifier in &verifiers {
        println!("{}: {} tokens accepted, none refused", verifier.name, verifier.accepted);
        assert!(verifier.accepted > 20, "{}", verifier.name);
    }
    assert!(seen.iter().any(|states| states == "primary published"), "{seen:?}");
    world.client.shutdown();
    world.server.kill();
}

#[test]
fn without_the_propagation_gate_a_verifier_refuses_what_is_valid() {
    let mut world = World::new(r#""verifiers=1h""#);
    let url = world.keys();
    // jose keeps its set and does not fetch again for as long as the gate would have waited.
    let Some(mut jose) = node("jose", "jose.mjs", &[&url, "3600", "3600"]) else { return };
    eventually("jose has started", || Ok(jose.ask(&world.token()).ok())).unwrap();
    world.admin.rotate("tokens").unwrap();
    eventually("the new version waits at the gate", || {
        let status = world.admin.ring("tokens").map_err(support::words)?;
        let gates = status.gates.iter().flat_map(|stage| &stage.gates);
        let waits =
            gates.clone().any(|gate| gate.name == "propagation" && gate.status == "waiting");
        Ok(waits.then_some(()))
    })
    .unwrap();
    jose.ask(&world.token()).unwrap();
    let token = world.admin.token_text("breaker", "breakglass", &["tokens"]).unwrap();
    write_private(&world.installation.path("breaker"), token.as_bytes()).unwrap();
    let waive = ["waive", "tokens", "propagation", "--token-file", "breaker"];
    let reason = ["--reason", "to show what the gate prevents"];
    let waived = world.installation.run(&[&waive[..], &reason[..]].concat()).unwrap();
    assert!(waived.status.success(), "{}", String::from_utf8_lossy(&waived.stderr));
    let refused = eventually("the signer uses the new version", || {
        if world.state(2) != "primary" {
            return Ok(None);
        }
        Ok(jose.ask(&world.token()).err())
    });
    let refused = refused.unwrap();
    assert!(refused.contains("ERR_JWKS_NO_MATCHING_KEY"), "{refused}");
    world.client.shutdown();
    world.server.kill();
}
