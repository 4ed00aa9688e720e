//! What processes say over HTTP that answer for consumers which cannot speak.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::{Answer, Request, World, eventually, spec};

fn register(world: &World, token: &str, more: &Value) -> Answer {
    let mut body = json!({ "consumer": "edge", "rings": ["web"], "host": "h", "pid": 1 });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    world.send(&Request::new("POST", "/v1/instances").token(token).json(&body))
}

fn instance(world: &World, id: &str) -> Option<Value> {
    let status = world.status("web");
    let consumers = status["consumers"].as_array().unwrap().clone();
    let instances = consumers.iter().flat_map(|one| one["instances"].as_array().unwrap().clone());
    instances.into_iter().find(|one| one["id"] == id)
}

#[test]
fn status_shows_how_something_is_known_and_why_it_does_not_stand_any_more() {
    let world = World::new();
    let token = world.consumer("edge", &["web"]);
    let mut edge = Process::join(&world, &token, "edge", "web");
    let held = edge.load(&world);
    let mut report = edge.report(&held);
    report["evidence"] = json!("probed");
    assert_eq!(edge.send(&world, &report)["verdict"], "proved");
    let shown = instance(&world, edge.id.as_str()).unwrap();
    assert_eq!((&shown["level"], &shown["trouble"]), (&json!("probed"), &Value::Null));
    assert_eq!(shown["endures"], Value::Null);

    let mut report = edge.report(&held);
    report["proofs"] = json!({});
    report["trouble"] = json!("the probe of /login got 502");
    assert_eq!(edge.send(&world, &report)["verdict"], "stale");
    let shown = instance(&world, edge.id.as_str()).unwrap();
    assert_eq!(shown["trouble"], "the probe of /login got 502");
    assert_eq!((&shown["holds"], &shown["level"]), (&Value::Null, &Value::Null));
    assert_eq!(world.ask("operator", "POST", "/v1/rings/web/rotate").status, 200);
    eventually("the gate says why", || {
        let status = world.status("web").to_string();
        status.contains("in trouble: the probe of /login got 502").then_some(())
    });
    assert_eq!(edge.converge(&world)["verdict"], "proved");
    assert_eq!(instance(&world, edge.id.as_str()).unwrap()["level"], "held");
}

#[test]
fn what_nobody_could_read_is_refused() {
    let world = World::new();
    let token = world.consumer("edge", &["web"]);
    let mut edge = Process::join(&world, &token, "edge", "web");
    edge.converge(&world);
    let held = edge.load(&world);
    let mut refused = |field: &str, value: Value, kind: &str| {
        let mut report = edge.report(&held);
        report["proofs"] = json!({});
        report[field] = value;
        let body = json!({ "instance": edge.id.as_str(), "reports": [report] });
        let request = Request::new("POST", "/v1/reports").token(&token).json(&body);
        assert_eq!(world.send(&request).problem(), kind, "{field}");
    };
    refused("trouble", json!("x".repeat(301)), "invalid");
    refused("trouble", json!("a\u{1b}[31mb"), "invalid");
    refused("trouble", json!("a\nb"), "invalid");
    refused("trouble", json!(""), "invalid");
    refused("evidence", json!("assumed"), "invalid");
    refused("evidence", json!("certain"), "malformed");
    assert_eq!(instance(&world, edge.id.as_str()).unwrap()["level"], "held");
    let host = json!({ "host": "a\u{202e}b" });
    assert_eq!(register(&world, &token, &host).problem(), "invalid");
}

#[test]
fn a_successor_ends_its_former_self_with_the_right_secret_only() {
    let world = World::new();
    let token = world.consumer("edge", &["web"]);
    let mut edge = Process::join(&world, &token, "edge", "web");
    edge.converge(&world);
    let id = edge.id.to_string();
    let succeeds = |secret: &str| json!({ "succeeds": { "instance": id, "secret": secret } });
    let wrong = register(&world, &token, &succeeds(&URL_SAFE_NO_PAD.encode([0; 32])));
    assert_eq!(wrong.problem(), "forbidden");
    assert!(wrong.body.contains("Register without `succeeds`"), "{wrong:?}");
    assert_eq!(register(&world, &token, &succeeds("not base64!")).problem(), "invalid");
    let odd = json!({ "succeeds": { "instance": "a/b", "secret": "" } });
    assert_eq!(register(&world, &token, &odd).problem(), "invalid");
    assert!(instance(&world, &id).is_some());
    let mut right = succeeds(&URL_SAFE_NO_PAD.encode(&edge.secret));
    right["endures"] = json!(true);
    let answer = register(&world, &token, &right);
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(instance(&world, &id).is_none());
    let next = answer.json()["instance"].as_str().unwrap().to_owned();
    assert!(instance(&world, &next).is_some());
}

#[test]
fn a_plan_names_what_a_cutover_costs() {
    let world = World::with(|_, _| {});
    let mut policy = spec("secret");
    policy["consumer"][1]["one_slot"] = json!(true);
    policy["consumer"][1]["cutover"] = json!(true);
    world.declare("web", &policy);
    let plan = world.ask("operator", "GET", "/v1/rings/web/plan").json();
    let stages = plan["stages"].as_array().unwrap();
    let with_cutover: Vec<_> = stages.iter().filter(|stage| stage["cutover"].is_array()).collect();
    assert_eq!(with_cutover.len(), 1);
    assert_eq!(with_cutover[0]["stage"], "promote");
    let cost = with_cutover[0]["cutover"][0].as_str().unwrap();
    assert!(cost.starts_with("edge holds one value and cannot accept the new version"), "{cost}");
}

/// Ends an instance, or says what keeps it.
fn end(world: &World, token: &str, id: &str, body: &Value) -> Answer {
    let path = format!("/v1/instances/{id}/end");
    world.send(&Request::new("POST", &path).token(token).json(body))
}

#[test]
fn a_lost_instance_is_ended_for_good_by_whoever_answers_for_it() {
    let world = World::with(|_, _| {});
    let mut policy = spec("secret");
    policy["lease_ttl"] = json!("1s");
    world.declare("web", &policy);
    world.declare("elsewhere", &policy);
    let token = world.consumer("edge", &["web", "elsewhere"]);
    let body = json!({ "rings": ["web", "elsewhere"], "endures": true });
    let id = register(&world, &token, &body).json()["instance"].as_str().unwrap().to_owned();
    let breakglass = world.token("breakglass");
    let reason = json!({ "reason": "its host burnt down" });
    for wrong in [json!({ "reason": " " }), json!({ "reason": "x".repeat(1001) })] {
        assert_eq!(end(&world, breakglass, &id, &wrong).problem(), "invalid");
    }
    assert_eq!(end(&world, breakglass, &id, &json!({})).problem(), "malformed");
    for unknown in ["none", "No+Instance"] {
        assert_eq!(end(&world, breakglass, unknown, &reason).problem(), "not-found");
    }

    let ended = eventually("its lease runs out", || {
        let answer = end(&world, breakglass, &id, &json!({ "reason": "gone", "ring": "web" }));
        assert!(answer.status == 200 || answer.problem() == "illegal-transition", "{answer:?}");
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(ended.json(), json!({ "instance": id, "rings": ["web"] }));
    assert!(instance(&world, &id).is_none());
    let all = end(&world, breakglass, &id, &reason);
    assert_eq!(all.json()["rings"], json!(["elsewhere", "web"]));
    assert_eq!(end(&world, breakglass, &id, &reason).json(), all.json(), "twice is once");
    let bent = world.status("web")["bent"].clone();
    assert_eq!(bent.as_array().unwrap().len(), 1);
    assert_eq!(
        (&bent[0]["exception"], &bent[0]["by"]["reason"]),
        (&json!("ended_instance"), &json!("gone"))
    );
    let audit = world.ask("auditor", "GET", "/v1/audit?limit=1000").json();
    let entries = audit["entries"].as_array().unwrap().iter();
    let entries: Vec<_> = entries.filter(|one| one["action"] == "instance_ended").collect();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["detail"]["instance"], *id);
    assert_eq!(entries[0]["actor"], "breakglass *");

    let path = format!("/v1/rings/web/material?instance={id}");
    let material = world.send(&Request::new("GET", &path).token(&token));
    assert_eq!(material.problem(), "not-found");
    assert_eq!(register(&world, &token, &body).status, 201, "it may come back as another one");
}

#[test]
fn an_instance_ends_only_in_rings_that_the_token_is_good_for() {
    let world = World::with(|_, _| {});
    let mut policy = spec("secret");
    (policy["lease_ttl"], policy["offline_max"]) = (json!("10m"), json!("1h"));
    world.declare("web", &policy);
    world.declare("elsewhere", &policy);
    let token = world.consumer("edge", &["web", "elsewhere"]);
    let join = |rings: &[&str]| {
        let answer = register(&world, &token, &json!({ "rings": rings }));
        answer.json()["instance"].as_str().unwrap().to_owned()
    };
    let (web, both) = (join(&["web"]), join(&["web", "elsewhere"]));
    let elsewhere = world.elsewhere("breakglass");
    let all = json!({ "reason": "a test" });
    let in_ring = |ring: &str| json!({ "reason": "a test", "ring": ring });
    assert_eq!(end(&world, elsewhere, &web, &all).problem(), "not-found");
    assert_eq!(end(&world, elsewhere, &web, &in_ring("elsewhere")).problem(), "not-found");
    let answer = end(&world, elsewhere, &both, &all);
    assert_eq!(answer.problem(), "forbidden");
    assert!(!answer.body.contains("web"), "{answer:?}");
    for ring in ["web", "nowhere", "No Ring"] {
        let answer = end(&world, elsewhere, &both, &in_ring(ring));
        assert!(answer.status == 404 && answer.body.contains("no such ring"), "{answer:?}");
    }
    // This far it comes in its own ring: it is heard there.
    let answer = end(&world, elsewhere, &both, &in_ring("elsewhere"));
    assert_eq!(answer.problem(), "illegal-transition");
    assert!(answer.body.contains("is live") && answer.body.contains("Stop it first"), "{answer:?}");
    let path = format!("/v1/instances/{both}/end");
    let conditional = |body: &Value| {
        let request = Request::new("POST", &path).token(world.token("breakglass")).json(body);
        world.send(&request.header("if-match", "\"999\"")).problem()
    };
    assert_eq!(conditional(&all), "invalid");
    assert_eq!(conditional(&in_ring("web")), "illegal-transition");
}
