//! `init --from-app` and `doctor --python`, with a real interpreter and small applications: what
//! they say, and that the way they show from a static key to a ring loses no cookie.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a test that is left out says so")]

mod world;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use world::{Ran, World};

const KEY: &str = "the-key-of-the-shop";

const SHOP: &str = "from datetime import timedelta\nfrom flask import Flask\n\
                    app = Flask(__name__)\napp.secret_key = \"the-key-of-the-shop\"\n\
                    app.permanent_session_lifetime = timedelta(days=7)\n\
                    print(\"the shop opens\")\n";

/// The interpreter of the tests' environment, into which keywheel's package was installed.
fn interpreter() -> Option<PathBuf> {
    let Some(venv) = std::env::var_os("KEYWHEEL_VENV") else {
        eprintln!("SKIPPED: KEYWHEEL_VENV does not say where Flask is; run cargo xtask test");
        return None;
    };
    let python = PathBuf::from(venv).join("bin/python");
    let asked = Command::new(&python).args(["-c", "import keywheel.inspect, flask"]).output();
    let there = asked.is_ok_and(|asked| asked.status.success());
    assert!(there, "the package is not in that environment; run cargo xtask test");
    Some(python)
}

fn run(world: &World, python: &Path, args: &[&str]) -> Ran {
    let mut all = args.to_vec();
    all.extend(["--python-bin", python.to_str().unwrap()]);
    let ran = world.run(&all);
    assert!(!ran.stdout.contains(KEY) && !ran.stderr.contains(KEY), "{}{}", ran.stdout, ran.stderr);
    ran
}

/// What was said, without what is another on each machine.
fn clean(world: &World, ran: &Ran) -> String {
    let folder = world.path("").display().to_string();
    let text = format!("exit code {}\n{}{}", ran.code, ran.stdout, ran.stderr);
    let text = text.replace(&folder, "FOLDER/").replace(folder.trim_end_matches('/'), "FOLDER");
    let version =
        |word: &str| word.chars().next().is_some_and(|c| c.is_ascii_digit()) && word.contains('.');
    let line = |line: &str| {
        let words = line.split(' ').map(|word| {
            let bare = word.trim_end_matches([',', ')', '.']);
            if version(bare) { word.replace(bare, "N") } else { word.to_owned() }
        });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_ring_is_drafted_for_an_application_and_takes_its_key_over() {
    let Some(python) = interpreter() else { return };
    let world = World::new();
    world.write("shop.py", SHOP);
    let drafted = run(&world, &python, &["init", "--from-app", "shop:app"]);
    insta::assert_snapshot!("draft_told", clean(&world, &drafted));
    let text = std::fs::read_to_string(world.path("keywheel.toml")).unwrap();
    assert!(!text.contains(KEY));
    let ran = Ran { code: 0, stdout: text, stderr: String::new() };
    insta::assert_snapshot!("draft_flask", clean(&world, &ran));
    let mode = std::fs::metadata(world.path("web.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The commands that the draft shows.
    let server = world.serve_with(&["--no-apply"]);
    world.ok(&["ring", "import", "web", "web.key", "--format", "raw"]);
    world.ok(&["apply"]);
    let ring = world.json(&["status", "web"]);
    assert_eq!(ring.pointer("/primary").and_then(serde_json::Value::as_u64), Some(1), "{ring}");
    server.stop();
    world.ok(&["eject", "--to", "out", "--reveal"]);
    let found = Command::new("grep").args(["-rlF", KEY]).arg(world.path("out")).output().unwrap();
    assert!(found.status.success(), "the ring has another key than the application had");
}

#[test]
fn a_draft_never_replaces_a_file_and_leaves_none_behind() {
    let Some(python) = interpreter() else { return };
    let world = World::new();
    world.write("shop.py", SHOP);
    world.write("web.key", "somebody's");
    let refused = run(&world, &python, &["init", "--from-app", "shop:app"]);
    insta::assert_snapshot!("draft_key_file_is_there", clean(&world, &refused));
    assert!(!world.path("keywheel.toml").exists());
    assert_eq!(std::fs::read(world.path("web.key")).unwrap(), b"somebody's");
    let other = ["init", "--from-app", "shop:app", "--key-file", "other.key", "--ring", "session"];
    assert_eq!(run(&world, &python, &other).code, 0);
    let again = run(&world, &python, &other);
    assert!(again.stderr.contains("never replaced"), "{}", again.stderr);
}

#[test]
fn the_doctor_of_an_application_says_where_what_and_why() {
    let Some(python) = interpreter() else { return };
    let world = World::new();
    let traps = "from itsdangerous import TimestampSigner\nimport jwt, threading\n\
                 links = TimestampSigner(app.secret_key)\n\
                 keys = [\"new\", \"old\"]\n\
                 def read(token):\n    return jwt.decode(token, keys, algorithms=[\"HS256\"])\n\
                 def rotate_key(): ...\n\
                 timer = threading.Timer(3600, rotate_key)\ntimer.name = \"turner\"\n\
                 timer.start()\n";
    world.write("shop.py", format!("{SHOP}{traps}"));
    let told = run(&world, &python, &["doctor", "--python", "shop:app"]);
    insta::assert_snapshot!("doctor_python", clean(&world, &told));
    let json = run(&world, &python, &["doctor", "--json", "--python", "shop:app"]);
    let findings: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let objects: Vec<_> =
        findings.as_array().unwrap().iter().filter_map(|f| f.get("object")).collect();
    assert_eq!(objects, ["shop.rotate_key", "shop.links"]);
    // Advice alone is no failure.
    world.write("shop.py", SHOP);
    assert_eq!(run(&world, &python, &["doctor", "--python", "shop:app"]).code, 0);
}

#[test]
fn what_cannot_be_looked_at_is_refused_with_a_remedy() {
    let world = World::new();
    world.write("shop.py", "import os\nos.environ[\"SHOP_DATABASE\"]\n");
    let absent = ["doctor", "--python", "shop:app", "--python-bin", "./no-such-python"];
    insta::assert_snapshot!("python_absent", world.transcript(&absent));
    // An interpreter that lacks the package, as the system's usually does.
    let fake = "#!/bin/sh\necho 'python3: No module named keywheel' >&2\nexit 1\n";
    world.write("fake", fake);
    world::set_mode(&world.path("fake"), 0o755);
    let lacking = ["doctor", "--python", "shop:app", "--python-bin", "./fake"];
    insta::assert_snapshot!("python_without_package", world.transcript(&lacking));
    world.write("fake", "#!/bin/sh\necho '{\"format\": 9}'\n");
    insta::assert_snapshot!("python_other_package", world.transcript(&lacking));
    let Some(python) = interpreter() else { return };
    let broken = run(&world, &python, &["doctor", "--python", "shop:app"]);
    insta::assert_snapshot!("python_app_fails", clean(&world, &broken));
}
