//! Tokens on the command line: where they come from, where they go, and what their holders may do.

mod world;

use keywheel_api::instance::{Register, Registered};
use keywheel_client::http::{Endpoint, Http, TlsOptions, Token};
use world::{WEB, World, mode};

#[test]
fn a_token_goes_into_a_file_or_is_shown_when_asked() {
    let world = World::with(WEB);
    let server = world.serve();
    let told = world.ok(&["token", "create", "ops", "--role", "operator", "--out", "ops.token"]);
    let token = std::fs::read_to_string(world.path("ops.token")).unwrap();
    assert_eq!(mode(&world.path("ops.token")), 0o600);
    let secret = token.trim().rsplit('_').next().unwrap();
    assert!(!told.contains(secret), "{told}");
    let shown = world.ok(&["token", "create", "seen", "--role", "auditor", "--reveal"]);
    assert!(shown.starts_with("kw_"), "{shown}");
    let list = world.ok(&["token", "list"]);
    assert!(list.contains("ops") && !list.contains(secret), "{list}");

    let id = token.split('_').nth(1).unwrap();
    world.ok(&["status", "--token-file", "ops.token"]);
    world.ok(&["token", "revoke", token.trim()]);
    let ran = world.run(&["status", "--token-file", "ops.token"]);
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert!(
        world
            .ok(&["token", "list"])
            .lines()
            .any(|line| line.starts_with(id) && line.contains("revoked"))
    );

    let again = world.run(&["token", "create", "x", "--role", "admin", "--out", "ops.token"]);
    assert_eq!(again.code, 1, "{}", again.stderr);
    assert_eq!(world.json(&["token", "list"])["tokens"].as_array().unwrap().len(), 3);
    server.stop();
}

#[test]
fn roles_bound_what_a_token_may_do() {
    let world = World::with(WEB);
    let server = world.serve();
    for role in ["operator", "breakglass", "auditor"] {
        let file = format!("{role}.token");
        world.ok(&["token", "create", role, "--role", role, "--out", &file]);
    }
    world.ok(&["token", "create", "gate", "--role", "evidence:probes", "--out", "gate.token"]);
    let code = |role: &str, args: &[&str]| {
        let file = format!("{role}.token");
        let mut all = vec!["--token-file", file.as_str()];
        all.extend(args);
        world.run(&all).code
    };
    assert_eq!(code("operator", &["rotate", "web"]), 0);
    assert_eq!(code("operator", &["waive", "web", "instances", "--reason", "test"]), 6);
    assert_eq!(code("auditor", &["rotate", "web"]), 6);
    assert_eq!(code("auditor", &["audit"]), 0);
    assert_eq!(code("gate", &["rotate", "web"]), 6);
    assert_eq!(code("breakglass", &["token", "list"]), 6);
    world::until("the gate is reached", || world.json(&["status", "web"])["stage"] == "confirm");
    let waive = ["waive", "web", "instances", "--reason", "nobody is there yet", "--for", "5m"];
    assert_eq!(code("breakglass", &waive), 0);
    let page = world.ok(&["status", "web"]);
    assert!(page.contains("nobody is there yet"), "{page}");
    server.stop();
}

#[test]
fn verbs_change_what_they_say() {
    let world = World::with(WEB);
    let server = world.serve();
    assert!(world.ok(&["pause", "web", "--reason", "look"]).contains("rest (held)"));
    let page = world.ok(&["status", "web"]);
    assert!(page.contains("held     by admin for ") && page.contains(": look"), "{page}");
    world.ok(&["resume", "web"]);
    let revision = world.json(&["status", "web"])["revision"].as_u64().unwrap();
    let stale = world.run(&["pause", "web", "--if-revision", "1"]);
    assert_eq!(stale.code, 4, "{}", stale.stderr);
    world.ok(&["pause", "web", "--if-revision", &revision.to_string()]);
    world.ok(&["resume", "web"]);
    world.ok(&["rotate", "web", "--reason", "because"]);
    world.ok(&["rollback", "web"]);
    let record = world.ok(&["audit", "--ring", "web"]);
    for word in ["paused", "resumed", "started", "rolled_back", "because"] {
        assert!(record.contains(word), "{word}: {record}");
    }
    let last = world.json(&["audit", "--last", "2"]);
    assert_eq!(last.as_array().unwrap().len(), 2);
    world.ok(&["plan", "web"]);
    assert_eq!(world.run(&["status", "--overdue"]).code, 0);
    server.stop();
}

/// Makes an instance known that nobody hears of again.
#[expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]
fn forsaken(world: &World) -> String {
    let token = Token::from_file(&world.path("web.token")).unwrap();
    let socket = format!("unix:{}", world.state("keywheel.sock").display());
    let endpoint = Endpoint::parse(&socket).unwrap();
    let http = Http::new(endpoint, Some(&token), &TlsOptions::default()).unwrap();
    let body = Register {
        consumer: Some("web".into()),
        rings: vec!["web".into()],
        host: "burnt".into(),
        pid: 7,
        endures: true,
        succeeds: None,
    };
    let registered: Registered = http.json("POST", "/v1/instances", Some(&body), &[]).unwrap();
    registered.instance
}

#[test]
fn an_instance_that_is_lost_for_good_is_ended() {
    let world = World::with(&WEB.replace("kind", "lease_ttl = \"1m\"\nkind"));
    let server = world.serve();
    world.ok(&["token", "create", "b", "--role", "breakglass", "--out", "b.token"]);
    let web = ["token", "create", "w", "--role", "consumer", "--consumer", "web"];
    world.ok(&[&web[..], &["--out", "web.token"]].concat());
    let end = |id: &str, more: &[&str]| {
        let args = ["instance", "end", id, "--reason", "burnt down", "--token-file", "b.token"];
        world.run(&[&args[..], more].concat())
    };
    let live = forsaken(&world);
    let refused = end(&live, &[]);
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    insta::assert_snapshot!(world.clean(&refused.stderr));

    world.configure(&WEB.replace("kind", "lease_ttl = \"1s\"\nkind"));
    world.ok(&["apply"]);
    let lost = forsaken(&world);
    world::until("the lease runs out", || end(&lost, &["--ring", "web"]).code == 0);
    let again = end(&lost, &["--json"]);
    let answer: serde_json::Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(answer, serde_json::json!({ "instance": lost, "rings": ["web"] }));
    let told = end(&lost, &[]);
    assert_eq!(told.stderr + &told.stdout, format!("Instance {lost} has ended in web.\n"));
    let page = world.ok(&["status", "web"]);
    assert!(page.contains("ended_instance") && page.contains("burnt down"), "{page}");
    assert!(!page.contains(&lost), "{page}");
    assert!(world.ok(&["audit", "--ring", "web"]).contains("instance_ended"));
    server.stop();
}
