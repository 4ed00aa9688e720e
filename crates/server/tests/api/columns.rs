//! Columns over the wire: who may report what, and the whole way from a rotation to the end of the
//! version that every column has left.

use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::{Answer, Request, World, eventually, spec};

const WALKER: &str = "evidence:reencryption";

fn policy() -> Value {
    let mut policy = spec("encryption");
    policy["require"] = json!([]);
    policy["longest_lifetime"] = json!("1ms");
    policy["skew"] = json!("0s");
    policy["consumer"] = json!([
        { "name": "api", "role": "protect" },
        { "name": "mover", "role": "process", "min_instances": 0 },
        { "name": "other", "role": "process", "min_instances": 0 },
    ]);
    policy["column"] = json!([
        { "table": "orders", "column": "card", "worker": "mover" },
        { "name": "ssn", "table": "public.users", "column": "ssn", "worker": "other",
          "format": "fernet" },
    ]);
    policy
}

/// A ring whose version 1 waits for its columns only.
fn draining() -> (World, Process) {
    let world = World::with(|_, _| {});
    world.declare("pii", &policy());
    let mut api = Process::join(&world, &world.consumer("api", &["pii"]), "api", "pii");
    api.converge(&world);
    assert_eq!(world.ask("operator", "POST", "/v1/rings/pii/rotate").status, 200);
    eventually("only the columns to be missing", || {
        api.converge(&world);
        let columns = world.ask("auditor", "GET", "/v1/rings/pii/columns").json();
        let closed = closed(&world);
        (columns["retiring"][0]["switched"].is_u64() && closed == ["reencryption"]).then_some(())
    });
    (world, api)
}

fn closed(world: &World) -> Vec<String> {
    let status = world.status("pii");
    let stages = status["gates"].as_array().unwrap().clone();
    let gates = stages.iter().flat_map(|stage| stage["gates"].as_array().unwrap());
    let closed = gates.filter(|gate| gate["status"] != "open");
    closed.map(|gate| gate["name"].as_str().unwrap().to_owned()).collect()
}

/// A verified zero of now, with other fields.
fn report(world: &World, more: &Value) -> Value {
    let columns = world.ask("auditor", "GET", "/v1/rings/pii/columns").json();
    let mut report = json!({
        "version": 1, "incarnation": columns["incarnation"], "seen": columns["revision"],
        "left": 0, "moved": 880, "quarantined": 0, "rows": 1_000, "verified": true,
    });
    report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    report
}

fn send(world: &World, token: &str, column: &str, report: &Value) -> Answer {
    let path = format!("/v1/rings/pii/columns/{column}");
    world.send(&Request::new("PUT", &path).token(token).json(report))
}

fn gate(world: &World) -> Value {
    world.ask("auditor", "GET", "/v1/rings/pii/columns").json()["retiring"][0]["gate"].clone()
}

#[test]
fn a_version_retires_when_every_column_has_left_it() {
    let (world, mut api) = draining();
    let (mover, other) = (world.consumer("mover", &["pii"]), world.consumer("other", &["pii"]));
    assert_eq!(
        gate(&world)["detail"],
        "a verified zero of orders.card (no report), ssn (no report)"
    );
    let seen = world.send(&Request::new("GET", "/v1/rings/pii/columns").token(&mover)).json();
    assert_eq!((&seen["primary"], &seen["retiring"][0]["version"]), (&json!(2), &json!(1)));
    let half = report(&world, &json!({ "left": 120, "verified": false }));
    let answer = send(&world, &mover, "orders.card", &half);
    assert_eq!(answer.status, 200, "{answer:?}");
    let reported = &answer.json()["columns"][0]["reports"][0].clone();
    assert_eq!((&reported["left"], &reported["by"]), (&json!(120), &json!("mover")));
    let zero = report(&world, &json!({}));
    assert_eq!(send(&world, &other, "ssn", &zero).status, 200);
    assert_eq!(gate(&world)["detail"], "a verified zero of orders.card (120 rows left, 880 moved)");
    // What was counted before these rows were found says nothing.
    let stale = send(
        &world,
        &mover,
        "orders.card",
        &json!({ "seen": half["seen"], "version": 1,
        "incarnation": half["incarnation"], "left": 0, "moved": 1_000, "quarantined": 0,
        "rows": 1_000, "verified": true }),
    );
    assert_eq!(stale.problem(), "illegal-transition");
    let bad = report(&world, &json!({ "quarantined": 2 }));
    assert_eq!(send(&world, &mover, "orders.card", &bad).status, 200);
    assert_eq!(gate(&world)["status"], "failed");
    assert_eq!(gate(&world)["detail"], "no key opens rows of orders.card (2 rows)");

    // The revision of an answer is one that the next scan has seen.
    let mut last = report(&world, &json!({}));
    last["seen"] = send(&world, &mover, "orders.card", &half_of(&last)).json()["revision"].clone();
    assert_eq!(send(&world, &mover, "orders.card", &last).status, 200);
    eventually("the end of version 1", || {
        api.converge(&world);
        (world.status("pii")["versions"][0]["state"] == "retired").then_some(())
    });
    let after = world.ask("auditor", "GET", "/v1/rings/pii/columns").json();
    assert_eq!(after["columns"][0]["reports"][0]["counts"], true);
    assert_eq!((&after["columns"][1]["name"], &after["retiring"]), (&json!("ssn"), &json!([])));
    let audit = world.ask("auditor", "GET", "/v1/audit?limit=1000").json();
    assert_eq!(audit["verified"], true);
    let entries = audit["entries"].as_array().unwrap();
    assert_eq!(entries.iter().filter(|entry| entry["action"] == "column").count(), 5);
}

fn half_of(report: &Value) -> Value {
    let mut half = report.clone();
    (half["left"], half["verified"]) = (json!(1), json!(false));
    half
}

#[test]
fn who_may_not_report_changes_nothing() {
    let (world, _api) = draining();
    let zero = report(&world, &json!({}));
    let revision = world.status("pii")["revision"].clone();
    let mover = world.consumer("mover", &["pii"]);
    let stranger = world.consumer("stranger", &["pii"]);
    let refused = |token: &str, column: &str, report: &Value, kind: &str| {
        let answer = send(&world, token, column, report);
        assert_eq!(answer.problem(), kind, "{answer:?}");
        let problem = answer.json();
        assert!(!problem["remedy"].as_str().unwrap().is_empty(), "{problem}");
        problem["remedy"].as_str().unwrap().to_owned()
    };
    for role in ["admin", "operator", "breakglass", "auditor", "signer", "evidence:probes"] {
        refused(world.token(role), "orders.card", &zero, "forbidden");
    }
    let remedy = refused(&mover, "ssn", &zero, "forbidden");
    assert!(remedy.contains("consumer other"), "{remedy}");
    assert!(remedy.contains(WALKER), "{remedy}");
    refused(&stranger, "orders.card", &zero, "not-found");
    let remedy = refused(&mover, "users.name", &zero, "not-found");
    assert_eq!(remedy, "Its columns are orders.card, ssn");
    refused(&mover, "No+Column", &zero, "not-found");
    for (more, kind) in [
        (json!({ "version": 9 }), "not-found"),
        (json!({ "incarnation": "another" }), "invalid"),
        (json!({ "seen": 9_999 }), "invalid"),
    ] {
        refused(&mover, "orders.card", &report(&world, &more), kind);
    }
    let pass = json!({ "verdict": "pass", "version": 1 });
    let by_word = world.tell(WALKER, "PUT", "/v1/rings/pii/gates/reencryption", &pass);
    assert_eq!(by_word.problem(), "illegal-transition");
    assert!(by_word.body.contains("orders.card, ssn"), "{by_word:?}");
    assert_eq!(world.status("pii")["revision"], revision);

    // Whoever may speak of the gate may speak of every column.
    for column in ["orders.card", "ssn"] {
        assert_eq!(send(&world, world.token(WALKER), column, &zero).status, 200);
    }
}
