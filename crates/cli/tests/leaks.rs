//! Secrets never leave by a side door: logs at the most talkative level, answers of commands and of
//! the API to those without the right, errors that quote what they were given, the process list,
//! the files of the store and its backup. Known secrets are looked for in all of these, and the
//! search itself is shown to find what is leaked on purpose.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking"
)]

mod support;
#[path = "support/search.rs"]
mod search;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keywheel_client::{Client, Token};
use search::Search;
use support::{Admin, Installation, Process, SERVER, eventually, write_private};

const RINGS: [&str; 4] = ["taken", "pem", "made", "sealed"];

/// The consumer `app` holds everything; `edge` verifies for one ring, and `other` uses another one.
fn configuration() -> String {
    let mut text = SERVER.to_owned();
    let kinds = ["secret", "signing", "secret", "encryption"];
    for (ring, kind) in RINGS.iter().zip(kinds) {
        let _ = writeln!(text, "[ring.{ring}]\nkind = \"{kind}\"\nlongest_lifetime = \"1h\"");
        let _ = writeln!(text, "[[ring.{ring}.consumer]]\nname = \"app\"\nrole = \"protect\"");
        if *ring == "pem" {
            let _ = writeln!(text, "[[ring.{ring}.consumer]]\nname = \"edge\"\nrole = \"process\"");
        }
    }
    text + "[ring.foreign]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\n\
            [[ring.foreign.consumer]]\nname = \"other\"\nrole = \"protect\"\n"
}

/// Bytes that nobody else has, the same in every run.
fn known_bytes(seed: u8, length: usize) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let mut next = || {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        (state >> 24) as u8
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

/// An Ed25519 key in PKCS#8 (RFC 8410): a fixed prefix and the seed.
fn pem_of(seed: &[u8]) -> String {
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let body = STANDARD.encode([&prefix, seed].concat());
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

/// A server with secrets that the test knows.
struct World {
    installation: Installation,
    server: Process,
    admin: Admin,
    search: Search,
    /// The text of the secret that was imported.
    taken: String,
    pem: String,
    tokens: Vec<(&'static str, String)>,
    /// What was said by anybody who must not say secrets, and by whom.
    said: Vec<(String, Vec<u8>)>,
}

impl World {
    fn new() -> Self {
        let installation = Installation::new(&support::binary(), &configuration()).unwrap();
        let server = installation.start(&["--no-apply", "-vv"]).unwrap();
        let admin = installation.admin().unwrap();
        let mut world = Self {
            installation,
            server,
            admin,
            search: Search::default(),
            taken: URL_SAFE_NO_PAD.encode(known_bytes(1, 36)),
            pem: pem_of(&known_bytes(2, 32)),
            tokens: Vec::new(),
            said: Vec::new(),
        };
        world.search.add("the imported secret", world.taken.as_bytes());
        world.search.add("the imported secret's bytes", &known_bytes(1, 36));
        world.search.add("the imported key", &known_bytes(2, 32));
        world.import();
        world.make_tokens();
        world.fetch();
        world
    }

    fn import(&mut self) {
        write_private(&self.installation.path("taken.txt"), self.taken.as_bytes()).unwrap();
        write_private(&self.installation.path("key.pem"), self.pem.as_bytes()).unwrap();
        for arguments in [
            ["ring", "import", "taken", "taken.txt"].as_slice(),
            &["ring", "import", "pem", "key.pem"],
            &["apply"],
        ] {
            let output = self.run(arguments);
            assert!(output.contains("exit status: 0"), "{arguments:?}: {output}");
        }
    }

    fn make_tokens(&mut self) {
        let roles = [
            ("app", "consumer"),
            ("edge", "consumer"),
            ("other", "consumer"),
            ("auditor", "auditor"),
            ("operator", "operator"),
            ("breakglass", "breakglass"),
            ("gate", "evidence:probes"),
        ];
        for (name, role) in roles {
            let rings = if name == "other" { ["foreign"] } else { ["*"] };
            self.tokens.push((name, self.admin.token_text(name, role, &rings).unwrap()));
        }
        self.tokens.push(("admin", self.installation.admin_token_text().unwrap()));
        for (name, token) in &self.tokens {
            let secret = token.splitn(3, '_').nth(2).unwrap();
            self.search.add(&format!("the token of {name}"), secret.as_bytes());
            if let Ok(bytes) = URL_SAFE_NO_PAD.decode(secret) {
                self.search.add(&format!("the token of {name}, decoded"), &bytes);
            }
        }
    }

    fn token(&self, name: &str) -> &str {
        &self.tokens.iter().find(|(known, _)| *known == name).unwrap().1
    }

    /// Learns the other secrets as a consumer does.
    fn fetch(&mut self) {
        let token = Token::new(self.token("app").to_owned()).unwrap();
        let mut builder = Client::builder(self.installation.endpoint(), token).consumer("app");
        for ring in RINGS {
            builder = builder.ring(ring);
        }
        let client = builder.build().unwrap();
        client.start().unwrap();
        for ring in RINGS {
            let keyset = client.ring(ring).unwrap().current().unwrap();
            let material = keyset.versions()[0].material().unwrap();
            self.search.add(&format!("the key of {ring}"), material.expose());
        }
        let master = std::fs::read_to_string(self.installation.path("state/master.key")).unwrap();
        let hex = master.lines().last().unwrap();
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap())
            .collect();
        self.search.add("the master key", &bytes);

        let body = r#"{"consumer":"app","rings":["made"],"host":"test","pid":1}"#;
        let answer = self.ask("POST", "/v1/instances", Some(self.token("app")), body);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let registered: keywheel_api::instance::Registered =
            serde_json::from_str(body.trim()).unwrap_or_else(|error| panic!("{error}: {answer}"));
        self.search.add("an instance's secret", registered.secret.as_bytes());
        let secret = URL_SAFE_NO_PAD.decode(&registered.secret).unwrap();
        self.search.add("an instance's secret, decoded", &secret);
    }

    /// One request, as bytes on the wire; the answer with its head.
    fn ask(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> String {
        let mut stream = UnixStream::connect(self.installation.path("state/s")).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let authorization =
            token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{authorization}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Runs a command, and remembers what it said.
    fn run(&mut self, arguments: &[&str]) -> String {
        let output = self.installation.run(arguments).unwrap();
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        let text = format!("{}\n{}", output.status, String::from_utf8_lossy(&said));
        self.said.push((format!("keywheel {}", arguments.join(" ")), said));
        text
    }

    /// Every question that the API answers, from everybody who may not hold keys.
    fn ask_everything(&mut self) {
        let document = self.admin.document("/openapi.json").unwrap();
        let paths = document["paths"].as_object().unwrap();
        let readable = paths.iter().filter(|(_, operations)| operations.get("get").is_some());
        let paths: Vec<&String> = readable.map(|(path, _)| path).collect();
        assert!(paths.len() > 8, "{paths:?}");
        let mut asked = 0;
        for (name, token) in &self.tokens {
            for path in &paths {
                for ring in RINGS {
                    // A caller with the right gets keys, by this path alone.
                    if *name == "app" && path.ends_with("/material") {
                        continue;
                    }
                    let path = match path.as_str() {
                        "/v1/watch" => "/v1/watch?since=0&wait=1s".to_owned(),
                        path => path.replace("{ring}", ring),
                    };
                    assert!(!path.contains('{'), "{path}");
                    let path = path.replace("/material", "/material?instance=none");
                    let answer = self.ask("GET", &path, Some(token), "");
                    asked += 1;
                    self.said.push((format!("GET {path} by {name}"), answer.into_bytes()));
                    if !path.contains(ring) {
                        break;
                    }
                }
            }
        }
        assert!(asked > 100, "{asked}");
        for path in paths {
            let answer = self.ask("GET", &path.replace("{ring}", "taken"), None, "");
            self.said.push((format!("GET {path} by nobody"), answer.into_bytes()));
        }
        self.verify_only();
    }

    /// Who may only verify gets the public half.
    fn verify_only(&mut self) {
        let token = self.token("edge");
        let body = r#"{"consumer":"edge","rings":["pem"],"host":"test","pid":1}"#;
        let answer = self.ask("POST", "/v1/instances", Some(token), body);
        let registered: serde_json::Value =
            serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1.trim()).unwrap();
        let instance = registered["instance"].as_str().unwrap();
        let path = format!("/v1/rings/pem/material?instance={instance}");
        let answer = self.ask("GET", &path, Some(token), "");
        assert!(answer.contains("BEGIN PUBLIC KEY"), "{answer}");
        self.said.push(("the material of who verifies".into(), answer.into_bytes()));
    }

    /// Requests that are wrong in ways that tempt an error to quote them.
    fn provoke_errors(&mut self) {
        let secret = self.taken.clone();
        let pem = self.pem.replace('\n', "\\n");
        let policy = r#""policy":{"kind":"secret","longest_lifetime":"1h"}"#;
        let admin = self.token("admin").to_owned();
        let bodies = [
            format!(r#"{{{policy},"import":"{secret}"}}"#),
            format!(r#"{{{policy},"import":{{"format":"text","value":["{secret}"]}}}}"#),
            format!(r#"{{{policy},"import":{{"format":"{secret}","value":""}}}}"#),
            format!(r#"{{{policy},"import":{{"format":"pem","value":"{pem}"}}}}"#),
            format!(r#"{{{policy},"import":{{"format":"hex","value":"{secret}"}}}}"#),
            format!(r#"{{{policy},"import":{{"format":"jwk","value":"{secret}"}}}}"#),
            format!(r#"{{{policy},"import":{{"format":"text","value":"{secret}"}}"#),
            secret.clone(),
            format!(r#""{secret}""#),
        ];
        for body in bodies {
            let answer = self.ask("PUT", "/v1/rings/fresh", Some(&admin), &body);
            assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
            self.said.push((format!("PUT {}", body.replace(&secret, "…")), answer.into_bytes()));
        }
        for token in [format!("{admin}x"), secret, "kw_0123456789abcdef_".to_owned() + &admin] {
            let answer = self.ask("GET", "/v1/rings", Some(&token), "");
            assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
            self.said.push(("a wrong token".into(), answer.into_bytes()));
        }
    }

    fn run_commands(&mut self) {
        let broken = self.pem.replace("END PRIVATE", "END BROKEN");
        write_private(&self.installation.path("broken.pem"), broken.as_bytes()).unwrap();
        let wrong = format!("{}x\n", self.token("admin"));
        write_private(&self.installation.path("wrong.token"), wrong.as_bytes()).unwrap();
        write_private(&self.installation.path("no.token"), self.taken.as_bytes()).unwrap();
        let env = format!("SECRET={}\nBROKEN=\"{}\n", self.taken, self.taken);
        write_private(&self.installation.path("app.env"), env.as_bytes()).unwrap();
        let toml = format!("{}[ring.x]\nkind = \"{}\"\n", configuration(), self.taken);
        write_private(&self.installation.path("broken.toml"), toml.as_bytes()).unwrap();
        for arguments in [
            ["status", "-vv"].as_slice(),
            &["status", "--json"],
            &["status", "taken"],
            &["plan", "taken"],
            &["ring", "list", "--json"],
            &["token", "list", "--json"],
            &["audit", "--json"],
            &["audit", "--verify"],
            &["doctor"],
            &["doctor", "--json"],
            &["kek", "status"],
            &["backup", "--to", "backup.db"],
            &["rotate", "made", "-vv"],
        ] {
            self.run(arguments);
        }
        for arguments in [
            ["ring", "import", "taken", "taken.txt"].as_slice(),
            &["ring", "import", "fresh", "taken.txt", "--format", "hex"],
            &["ring", "import", "fresh", "broken.pem", "-vv"],
            &["ring", "import", "fresh", "broken.pem", "--format", "jwk"],
            &["ring", "import", "fresh", "--env-file", "app.env", "--key", "BROKEN"],
            &["status", "--token-file", "wrong.token", "-vv"],
            &["status", "--token-file", "no.token"],
            &["eject", "--to", "out"],
            &["serve"],
        ] {
            let said = self.run(arguments);
            assert!(!said.contains("exit status: 0"), "{arguments:?}: {said}");
        }
    }

    fn look_at_processes(&mut self) {
        let ps = std::process::Command::new("ps").args(["axeww"]).output();
        if let Ok(ps) = ps {
            let lists_it = String::from_utf8_lossy(&ps.stdout).contains("serve --no-apply");
            assert!(lists_it, "the server is not in the list of processes");
            self.said.push(("ps".into(), ps.stdout));
        }
        for file in ["cmdline", "environ", "status"] {
            let path = format!("/proc/{}/{file}", self.server.id());
            // The kernel hides the rest of a process without dumps from all but root.
            if let Ok(bytes) = std::fs::read(&path) {
                self.said.push((path, bytes));
            }
        }
    }

    /// Every secret in everything that was said, and in every file but those that are for secrets.
    fn leaks(&self) -> Vec<String> {
        let mut leaks = Vec::new();
        let mut judge = |place: &str, bytes: &[u8]| {
            leaks.extend(self.search.find(bytes).iter().map(|what| format!("{what}: {place}")));
        };
        self.said.iter().for_each(|(who, bytes)| judge(who, bytes));
        judge("the log", self.installation.log().as_bytes());
        judge("the backup", &std::fs::read(self.installation.path("backup.db")).unwrap());
        let mut files = 0;
        for entry in std::fs::read_dir(self.installation.path("state")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_for_secrets = ["master.key", "admin.token"].contains(&name.as_str());
            if !is_for_secrets && path.is_file() {
                judge(&name, &std::fs::read(&path).unwrap());
                files += 1;
            }
        }
        assert!(files >= 4, "the store has more files than {files}");
        leaks
    }
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn secrets_are_nowhere_but_where_they_belong() {
    let mut world = World::new();
    world.ask_everything();
    world.provoke_errors();
    world.run_commands();
    world.look_at_processes();
    eventually("the store is written", || {
        Ok((world.admin.ring("made").is_ok_and(|ring| ring.versions.len() > 1)).then_some(()))
    })
    .unwrap();
    let log = world.installation.log();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log is not talkative:\n{log}");
    let leaks = world.leaks();
    assert!(leaks.is_empty(), "{leaks:#?}");

    // Whoever has the right gets the secret, so it is this secret that was looked for.
    let body = r#"{"consumer":"app","rings":["taken"],"host":"test","pid":2}"#;
    let answer = world.ask("POST", "/v1/instances", Some(world.token("app")), body);
    let registered: serde_json::Value =
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1.trim()).unwrap();
    let path =
        format!("/v1/rings/taken/material?instance={}", registered["instance"].as_str().unwrap());
    let answer = world.ask("GET", &path, Some(world.token("app")), "");
    assert!(world.search.find(answer.as_bytes()).contains("the imported secret in raw"), "{path}");

    // The same search finds a leak in each kind of place.
    let seed = known_bytes(2, 32);
    let token = world.token("admin").to_owned();
    append(&world.installation.path("server.log"), format!("seeded {token}\n").as_bytes());
    let odd = STANDARD.encode([b"x", seed.as_slice(), b"y"].concat());
    append(&world.installation.path("state/seeded"), odd.as_bytes());
    world.said.push(("seeded".into(), format!("{seed:02X?}").replace(", ", "").into()));
    let leaks = world.leaks();
    for leak in [
        "the token of admin in raw: the log",
        "the imported key in base64: seeded",
        "the imported key in hex: seeded",
    ] {
        assert!(leaks.iter().any(|found| found == leak), "{leak}: {leaks:#?}");
    }
}

#[test]
fn the_search_finds_every_form_at_every_offset() {
    let secret = known_bytes(3, 40);
    let mut search = Search::default();
    search.add("it", &secret);
    for before in 0..7 {
        let noise = known_bytes(4, before);
        for whole in [&secret[..], &secret[..16], &secret[24..]] {
            let bytes = [&noise[..], whole, b"after"].concat();
            let hex = search::hex(&bytes);
            assert!(search.find(&bytes).contains("it in raw"));
            assert!(search.find(hex.as_bytes()).contains("it in hex"));
            for text in [STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
                assert!(search.find(text.as_bytes()).contains("it in base64"), "{before}");
            }
        }
    }
    assert!(search.find(&known_bytes(5, 100_000)).is_empty());
}

/// Tells whether a type can be printed with `{:?}`: its own constant, which is there only then,
/// goes before that of the trait.
struct Probe<T>(std::marker::PhantomData<T>);

trait Otherwise {
    const HAS_DEBUG: bool = false;
}

impl<T> Otherwise for Probe<T> {}

impl<T: std::fmt::Debug> Probe<T> {
    const HAS_DEBUG: bool = true;
}

#[test]
fn what_holds_a_secret_cannot_be_printed() {
    let printable = [
        ("jose::Material", Probe::<keywheel_jose::Material>::HAS_DEBUG),
        ("jose::DangerDelivery", Probe::<keywheel_jose::DangerDelivery>::HAS_DEBUG),
        ("client::Token", Probe::<Token>::HAS_DEBUG),
        ("client::Version", Probe::<keywheel_client::Version>::HAS_DEBUG),
        ("client::Keyset", Probe::<keywheel_client::Keyset>::HAS_DEBUG),
        ("client::Guard", Probe::<keywheel_client::Guard>::HAS_DEBUG),
        ("api::Material", Probe::<keywheel_api::material::Material>::HAS_DEBUG),
        ("api::VersionMaterial", Probe::<keywheel_api::material::VersionMaterial>::HAS_DEBUG),
        ("api::CreatedToken", Probe::<keywheel_api::token::CreatedToken>::HAS_DEBUG),
        ("api::Registered", Probe::<keywheel_api::instance::Registered>::HAS_DEBUG),
    ];
    let printable: Vec<_> =
        printable.iter().filter(|(_, printable)| *printable).map(|(name, _)| name).collect();
    assert!(printable.is_empty(), "{printable:?}");
    let sees_debug = Probe::<keywheel_api::ring::RingStatus>::HAS_DEBUG;
    assert!(sees_debug, "the probe sees no Debug at all");

    // This one has a Debug that leaves the key out.
    let secret = URL_SAFE_NO_PAD.encode(known_bytes(6, 48));
    let mut search = Search::default();
    search.add("it", secret.as_bytes());
    let import = keywheel_api::ring::Import { format: "text".into(), value: secret };
    assert!(search.find(format!("{import:?}").as_bytes()).is_empty());
}
