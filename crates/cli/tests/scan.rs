//! `keywheel scan` as people and pipelines meet it: the table, the exit codes, the baseline, the
//! ignores, and every error. What is found where is tested in `keywheel-scan`.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod world;

use serde_json::Value;
use world::{World, until_or};

const VALUE: &str = "Zq7planted9fKw2Lx81";

/// A small application with one key in several places.
fn shop() -> World {
    let world = World::new();
    for folder in ["app", "deploy", "tests"] {
        std::fs::create_dir(world.path(folder)).unwrap();
    }
    world.write(
        "app/settings.py",
        format!("import os\n\nSECRET_KEY = os.environ[\"SECRET_KEY\"]\nJWT_SECRET = \"{VALUE}\"\n"),
    );
    world.write(
        "app/tokens.py",
        "import jwt\n\nfrom app import settings\n\n\ndef token(claims):\n    \
         return jwt.encode(claims, settings.JWT_SECRET, algorithm=\"HS256\")\n",
    );
    world.write("deploy/web.env", "SECRET_KEY=\n");
    world.write("tests/test_tokens.py", "JWT_SECRET = \"only-a-test-value\"\n");
    world
}

#[test]
fn people_see_keys_and_what_would_break() {
    let world = shop();
    insta::assert_snapshot!("table", world.transcript(&["scan"]));
    insta::assert_snapshot!("verbose", world.transcript(&["scan", "-v", "--key", "jwt-secret"]));
    insta::assert_snapshot!("tests", world.transcript(&["scan", "--tests", "tests"]));
    insta::assert_snapshot!("quiet", world.transcript(&["scan", "-q"]));
    insta::assert_snapshot!("nothing", world.transcript(&["scan", "--key", "OTHER_KEY"]));
    insta::assert_snapshot!("mermaid", world.transcript(&["scan", "--format", "mermaid"]));
}

#[test]
fn programs_get_json_and_never_a_value() {
    let world = shop();
    let report = world.json(&["scan"]);
    assert_eq!(report["version"], 1);
    let findings = report["findings"].as_array().unwrap();
    let literal = findings.iter().find(|one| one["kind"] == "hardcoded").unwrap();
    assert_eq!(literal["literal"]["fingerprint"].as_str().unwrap().len(), 64);
    for form in ["table", "json", "sarif", "mermaid", "dot", "html"] {
        let output = format!("report.{form}");
        let told = world.run(&["scan", "-v", "--tests", "--format", form, "--output", &output]);
        assert_eq!(told.code, 0, "{}", told.stderr);
        let text = std::fs::read_to_string(world.path(&output)).unwrap();
        assert!(text.contains("app/settings.py"), "{form}: {text}");
        for said in [&text, &told.stdout, &told.stderr] {
            assert!(!said.contains(&VALUE[..8]), "{form}");
        }
        std::fs::remove_file(world.path(&output)).unwrap();
    }
}

#[test]
fn fingerprints_of_two_scans_agree_only_under_one_key() {
    let world = shop();
    world.write("a.bin", "0123456789abcdef0123456789abcdef");
    let print = |args: &[&str]| {
        let report = world.json(&[&["scan"], args].concat());
        let findings = report["findings"].as_array().unwrap().clone();
        let literal = findings.into_iter().find(|one| one["literal"].is_object()).unwrap();
        literal["literal"]["fingerprint"].as_str().unwrap().to_owned()
    };
    let keyed = ["--fingerprint-key-file", "a.bin"];
    assert_eq!(print(&keyed), print(&keyed));
    assert_ne!(print(&[]), print(&[]));
}

#[test]
fn pipelines_fail_on_what_they_ask_for_and_on_what_is_new() {
    let world = shop();
    for (fail_on, code) in [("none", 0), ("blocking", 7), ("hardcoded", 7), ("any", 7)] {
        assert_eq!(world.run(&["scan", "--fail-on", fail_on]).code, code, "{fail_on}");
    }
    assert_eq!(world.run(&["scan", "--fail-on", "any", "tests"]).code, 0, "a test is a test");
    assert_eq!(world.run(&["scan", "--fail-on", "hardcoded", "deploy"]).code, 0);
    world.ok(&["scan", "--write-baseline", "known.json"]);
    let checked = ["scan", "--baseline", "known.json", "--fail-on", "any"];
    world.ok(&checked);
    let settings = std::fs::read_to_string(world.path("app/settings.py")).unwrap();
    world.write("app/settings.py", format!("# A line above.\n{settings}"));
    world.ok(&checked);
    world.write("app/more.py", format!("SIGNING_KEY = \"{VALUE}2\"\n"));
    assert_eq!(world.run(&checked).code, 7);
    std::fs::remove_file(world.path("app/tokens.py")).unwrap();
    let gone = world.run(&checked);
    assert!(gone.stderr.contains("in the baseline and no more in the code"), "{}", gone.stderr);
}

#[test]
fn ignores_need_a_reason() {
    let world = World::new();
    let line = |ignore: &str| format!("JWT_SECRET = \"{VALUE}\"  # keywheel: ignore{ignore}\n");
    world.write("a.py", line("[hardcoded] until=2999-01-01 it goes with the next release"));
    world.ok(&["scan", "--fail-on", "any"]);
    world.write("a.py", line("[hardcoded] until=2020-01-01 it went long ago"));
    let ended = world.run(&["scan", "--fail-on", "any"]);
    assert_eq!(ended.code, 7);
    assert!(ended.stdout.contains("an ignore ended on 2020-01-01"), "{}", ended.stdout);
    world.write("a.py", line("[hardcoded]"));
    insta::assert_snapshot!("ignore_without_reason", world.transcript(&["scan"]));
    world.write(".keywheel-scan.toml", "[[ignore]]\nkeys = [\"JWT_SECRET\"]\n");
    insta::assert_snapshot!("ignore_file_without_reason", world.transcript(&["scan"]));
}

#[test]
fn a_list_of_files_is_read_and_nothing_else() {
    let world = shop();
    let list = ["scan", "--json", "--files-from", "-"];
    let paths = |input: &[u8]| -> Vec<String> {
        let ran = world.run_with(&list, input);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let mut paths: Vec<_> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("{} {}", one["path"].as_str().unwrap(), one["in_tests"]))
            .collect();
        paths.dedup();
        paths
    };
    let two = ["deploy/web.env false", "tests/test_tokens.py true"];
    assert_eq!(paths(b"tests/test_tokens.py\ndeploy/web.env\n"), two);
    assert_eq!(paths(b"tests/test_tokens.py\0deploy/web.env\0"), two);
    assert_eq!(paths(b""), [""; 0]);
    world.write("list", "deploy/web.env\n");
    let ran = world.run(&["scan", "--json", "--files-from", "list"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["stats"]["files"], 1);
    for (name, input) in
        [("list_absent", "app/gone.py\n"), ("list_quoted", "\"app/\\303\\244.py\"\n")]
    {
        let ran = world.run_with(&["scan", "--files-from", "-"], input.as_bytes());
        let text = format!("exit code {}\n{}{}", ran.code, ran.stdout, ran.stderr);
        insta::assert_snapshot!(name, world.clean(&text));
    }
    insta::assert_snapshot!(
        "list_and_path",
        world.transcript(&["scan", "--files-from", "list", "app"])
    );
}

#[test]
fn what_cannot_be_scanned_says_why() {
    let world = World::new();
    let say = |name: &str, args: &[&str]| {
        insta::assert_snapshot!(name, world.transcript(&[&["scan"], args].concat()));
    };
    say("no_such_path", &["absent"]);
    say("bad_form", &["--format", "xml"]);
    say("bad_threads", &["--threads", "0"]);
    say("no_baseline", &["--baseline", "absent.json"]);
    world.write("a.json", "{}");
    say("bad_baseline", &["--baseline", "a.json"]);
    world.write("later.json", "{\"version\":2,\"findings\":[]}");
    say("later_baseline", &["--baseline", "later.json"]);
    world.write("a.toml", "[[table]]\nlanguage = \"python\"\nsinks = []\n");
    say("bad_rules", &["--rules", "a.toml"]);
    world.write("short", "abc");
    say("short_fingerprint_key", &["--fingerprint-key-file", "short"]);
    say("database_no_url", &["--database", "mysql://me:hunter2@db/app"]);
    say("database_unreachable", &["--database", "postgresql://me:hunter2@127.0.0.1:1/app"]);
    say("json_error", &["--json", "absent"]);
}

#[test]
fn rules_of_ones_own_are_heeded() {
    let world = World::new();
    world.write(
        "rules.toml",
        "[[table]]\nlanguage = \"python\"\n[[table.sink]]\ncall = \"acme.sealing.seal\"\n\
         key = 1\ndoes = \"signs\"\n",
    );
    world.write("a.py", "from acme import sealing\n\ndef f(x, k):\n    sealing.seal(x, k)\n");
    let report = world.json(&["scan", "--rules", "rules.toml", "a.py"]);
    let sinks: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().map(|one| &one["sink"]).collect();
    assert_eq!(sinks, ["sealing.seal"]);
}

#[test]
fn the_ignores_and_rules_of_the_page_are_ones_that_are_read() {
    let page = include_str!("../../../docs/how-to/scan.md");
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let world = World::new();
    world.write("a.py", "");
    let mut read = 0;
    for block in blocks {
        if block.starts_with("[[ignore]]") {
            world.write(".keywheel-scan.toml", block);
            world.ok(&["scan"]);
        } else {
            world.write("rules.toml", block);
            world.ok(&["scan", "--rules", "rules.toml"]);
        }
        read += 1;
    }
    assert_eq!(read, 2);
}

const WEB: &str = "[ring.web]\nkind = \"secret\"\nlongest_lifetime = \"1h\"\nrequire = [\"findings\"]\n\
                   [[ring.web.consumer]]\nname = \"app\"\nrole = \"protect\"\n";

#[test]
fn a_report_closes_the_gate_until_the_code_is_mended() {
    let world = World::with(WEB);
    let server = world.serve();
    std::fs::create_dir(world.path("app")).unwrap();
    let frozen = "import os\n\nWEB_SECRET = os.environ[\"WEB_SECRET\"]\n";
    world.write("app/settings.py", frozen);
    let create = ["token", "create", "ci-scan", "--role", "evidence:findings", "--ring", "web"];
    world.ok(&[create.as_slice(), &["--out", "ci-scan.token"]].concat());
    let report = || {
        let about = ["--name", "shop", "--ring", "web=WEB_SECRET", "--commit", "abc123"];
        let token = ["--token-file", "ci-scan.token"];
        world.ok(&[&["scan", "app", "--report"], about.as_slice(), &token].concat())
    };
    let told = report();
    assert!(told.contains("ring web: 1 finding, 1 would break: the gate is closed"), "{told}");
    let found = world.ok(&["ring", "findings", "web"]);
    assert!(found.contains("app/settings.py:3") && found.contains("shop"), "{found}");
    world.ok(&["rotate", "web"]);
    let status = || world.ok(&["status", "web"]);
    let break_of = "would break: shop: app/settings.py:3 (WEB_SECRET";
    until_or("the stage is there that has the gate", || status().contains(break_of), status);
    let live = "import os\n\n\ndef key():\n    return os.environ[\"WEB_SECRET\"]\n";
    world.write("app/settings.py", live);
    let told = report();
    assert!(told.contains("ring web: 1 finding, no place would break"), "{told}");
    until_or("no place would break any more", || !status().contains("would break:"), status);
    server.stop();
}

#[test]
fn a_report_needs_a_name_and_a_server() {
    let world = shop();
    let told = world.run(&["scan", "--report"]);
    assert_eq!(told.code, 2, "{}", told.stderr);
    assert!(told.stderr.contains("--name"), "{}", told.stderr);
    let told = world.run(&["scan", "--report", "--name", "shop"]);
    assert_ne!(told.code, 0);
    assert_eq!(told.stdout, "", "nothing is read before the server has given its nonce");
}
