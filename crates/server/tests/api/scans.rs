//! What a scanner tells over HTTP, and what it is told: from the first report to the open gate.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::{Answer, Request, World, eventually, spec};

const SCANNER: &str = "evidence:findings";

fn policy(more: &Value) -> Value {
    let mut policy = spec("secret");
    policy["require"] = json!(["findings"]);
    policy["consumer"].as_array_mut().unwrap().pop();
    policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    policy
}

fn nonce(world: &World, token: &str) -> String {
    let answer = world.send(&Request::new("POST", "/v1/scans").token(token));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["nonce"].as_str().unwrap().to_owned()
}

fn place(id: &str, path: &str, blocking: bool) -> Value {
    json!({
        "id": id, "kind": "hardcoded", "rule": "literal", "key": "SECRET_KEY", "path": path,
        "line": 12, "column": 5, "scope": "module", "hot_reload": "no", "source": "literal",
        "blocking": blocking, "reason": "a literal", "in_tests": false,
    })
}

fn body(nonce: &str, findings: &[Value]) -> Value {
    let rings = json!({ "web": ["SECRET_KEY"] });
    json!({ "nonce": nonce, "tool": "test", "rings": rings, "findings": findings })
}

fn send(world: &World, token: &str, body: &Value) -> Answer {
    world.send(&Request::new("PUT", "/v1/scans/shop").token(token).json(body))
}

fn report(world: &World, findings: &[Value]) -> Value {
    let token = world.token(SCANNER);
    let answer = send(world, token, &body(&nonce(world, token), findings));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn gate(world: &World) -> Value {
    let gates = world.status("web")["gates"].as_array().unwrap().clone();
    let own = gates.iter().flat_map(|stage| stage["gates"].as_array().unwrap().clone());
    own.into_iter().find(|gate| gate["name"] == "findings").unwrap_or_default()
}

/// A ring whose rotation has nothing left to wait for but a scan.
fn confirming(more: &Value) -> (World, Process) {
    let world = World::with(|_, _| {});
    world.declare("web", &policy(more));
    let mut api = Process::join(&world, &world.consumer("api", &["web"]), "api", "web");
    api.converge(&world);
    assert_eq!(world.ask("operator", "POST", "/v1/rings/web/rotate").status, 200);
    eventually("only the scan to be missing", || {
        api.converge(&world);
        let status = world.status("web");
        let gates = status["gates"][0]["gates"].as_array().cloned().unwrap_or_default();
        let closed: Vec<_> = gates.iter().filter(|gate| gate["status"] != "open").collect();
        (closed.len() == 1 && closed[0]["name"] == "findings").then_some(())
    });
    (world, api)
}

fn promoted(world: &World, api: &mut Process) {
    eventually("the promotion", || {
        api.converge(world);
        (world.status("web")["primary"] == 2).then_some(())
    });
}

#[test]
fn a_rotation_waits_for_each_place_that_would_break() {
    let (world, mut api) = confirming(&json!({}));
    assert_eq!(gate(&world)["detail"], "a scan: none was reported for this ring");
    let told = report(&world, &[place("f1", "a.py", true), place("f2", "b.py", true)]);
    assert_eq!(told["rings"][0]["ring"], "web");
    assert_eq!((&told["rings"][0]["blocking"], &told["untied"]), (&json!(2), &json!(0)));
    assert_eq!(told["rings"][0]["findings"][1], json!({ "id": "f2", "by": "name" }));
    let closed = gate(&world);
    assert_eq!(closed["status"], "failed");
    assert_eq!(
        closed["detail"],
        "2 places would break: shop: a.py:12 (SECRET_KEY, a literal); \
         shop: b.py:12 (SECRET_KEY, a literal)"
    );
    let refused = world.ask("operator", "POST", "/v1/rings/web/promote");
    assert_eq!(refused.problem(), "gate-closed");

    let beside = world.ask("auditor", "GET", "/v1/rings/web/findings").json();
    assert_eq!(beside["required"], true);
    assert_eq!(beside["declared"], json!([{ "name": "api", "role": "protect", "live": 1 }]));
    assert_eq!(beside["scans"][0]["findings"][0]["path"], "a.py");
    assert_eq!(beside["scans"][0]["by"], "evidence:findings *");
    let plan = world.ask("operator", "GET", "/v1/rings/web/plan").body;
    assert!(plan.contains("The gate findings would be closed today: 2 places"), "{plan}");

    report(&world, &[place("f2", "b.py", false)]);
    promoted(&world, &mut api);
}

#[test]
fn a_place_is_waived_for_a_time_with_a_reason() {
    let (world, mut api) = confirming(&json!({}));
    report(&world, &[place("f1", "a.py", true)]);
    let waive = |role: &str, body: Value| {
        world.tell(role, "POST", "/v1/rings/web/gates/findings/waive", &body)
    };
    let good = json!({ "finding": "f1", "reason": "switched off", "lasts": "30d" });
    assert_eq!(waive("admin", good.clone()).problem(), "forbidden");
    for wrong in [
        json!({ "finding": "f1", "reason": "r", "lasts": "91d" }),
        json!({ "finding": "f1", "reason": " ", "lasts": "1d" }),
        json!({ "finding": "f1", "reason": "r", "lasts": "1d", "version": 1 }),
        json!({ "finding": "f1", "reason": "r", "lasts": "1d", "scan": "Not A Name" }),
        json!({ "scan": "shop", "reason": "r", "lasts": "1h" }),
    ] {
        assert_eq!(waive("breakglass", wrong.clone()).problem(), "invalid", "{wrong}");
    }
    let elsewhere = json!({ "finding": "f1", "reason": "r", "lasts": "1d" });
    let other = world.tell("breakglass", "POST", "/v1/rings/web/gates/probes/waive", &elsewhere);
    assert_eq!(other.problem(), "invalid");
    let unknown = json!({ "finding": "f9", "reason": "r", "lasts": "1d" });
    assert_eq!(waive("breakglass", unknown).problem(), "not-found");

    // A short one ends by itself.
    world.ask("operator", "POST", "/v1/rings/web/pause");
    let short = json!({ "finding": "f1", "reason": "soon gone", "lasts": "300ms" });
    assert_eq!(waive("breakglass", short).status, 200);
    eventually("the end of a waiver", || (gate(&world)["status"] == "failed").then_some(()));
    let answer = waive("breakglass", good);
    assert_eq!(answer.status, 200, "{answer:?}");
    let waived = gate(&world);
    assert_eq!(
        (&waived["status"], &waived["detail"]),
        (&json!("waived"), &json!("breakglass *: switched off"))
    );
    let beside = world.ask("auditor", "GET", "/v1/rings/web/findings").json();
    assert_eq!(beside["scans"][0]["findings"][0]["waived"]["by"]["reason"], "switched off");
    report(&world, &[place("f1", "a.py", true)]);
    world.ask("operator", "POST", "/v1/rings/web/resume");
    promoted(&world, &mut api);
    let bent = world.status("web")["bent"].clone();
    assert_eq!(bent[0]["by"]["reason"], "switched off", "{bent}");
    let audit = world.ask("auditor", "GET", "/v1/audit?limit=1000").json();
    assert_eq!(audit["verified"], true);
    assert!(audit.to_string().contains("finding_waived"));
}

#[test]
fn the_gate_shows_others_that_it_is_closed_and_not_where() {
    let (world, _api) = confirming(&json!({}));
    report(&world, &[place("f1", "secret/place.py", true)]);
    let path = "/v1/rings/web";
    for role in ["admin", "operator", "breakglass", "auditor", SCANNER] {
        assert!(world.ask(role, "GET", path).body.contains("secret/place.py"), "{role}");
    }
    for role in ["consumer", "signer", "evidence:probes"] {
        let body = world.ask(role, "GET", path).body;
        assert!(body.contains("findings") && !body.contains("secret/place.py"), "{role}: {body}");
        let read = world.ask(role, "GET", "/v1/rings/web/findings");
        assert_eq!(read.problem(), "forbidden", "{role}");
        assert_eq!(world.ask(role, "POST", "/v1/scans").problem(), "forbidden", "{role}");
    }
}

#[test]
fn a_live_key_is_known_by_its_mark_to_whom_the_ring_is_open() {
    const KEY: &str = "a-key-that-a-team-has-used-for-years";
    let world = World::with(|_, _| {});
    let import = json!({ "format": "text", "value": URL_SAFE_NO_PAD.encode(KEY) });
    let ring = json!({ "policy": policy(&json!({})), "import": import });
    assert_eq!(world.tell("admin", "PUT", "/v1/rings/web", &ring).status, 200);
    world.declare("elsewhere", &policy(&json!({})));
    let ask = |token: &str| {
        let nonce = nonce(&world, token);
        let key = URL_SAFE_NO_PAD.decode(&nonce).unwrap();
        let mark = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), KEY.as_bytes());
        let pairs: Vec<_> = mark.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let hex = pairs.concat();
        let mut found = place("f1", "tests/test_app.py", false);
        found["key"] = json!("UNRELATED");
        found["in_tests"] = json!(true);
        found["literal"] = json!({ "fingerprint": hex, "placeholder": false });
        let body = json!({ "nonce": nonce, "tool": "test", "findings": [found] });
        let request = Request::new("PUT", "/v1/scans/shop").token(token).json(&body);
        let bytes = String::from_utf8(request.bytes(true)).unwrap();
        assert!(!bytes.contains(KEY) && !bytes.contains(&URL_SAFE_NO_PAD.encode(KEY)));
        (world.send(&request).json(), hex)
    };
    let (told, _) = ask(world.elsewhere(SCANNER));
    assert_eq!((&told["rings"], &told["untied"]), (&json!([]), &json!(1)));

    let (told, hex) = ask(world.token(SCANNER));
    let tied = json!([{ "id": "f1", "by": "literal", "version": 1 }]);
    assert_eq!((&told["rings"][0]["findings"], &told["rings"][0]["blocking"]), (&tied, &json!(1)));
    let beside = world.ask("auditor", "GET", "/v1/rings/web/findings").body;
    assert!(beside.contains("\"tied_by\":\"literal\"") && !beside.contains(&hex), "{beside}");
    let audit = world.ask("auditor", "GET", "/v1/audit?limit=1000").body;
    assert!(audit.contains("key_in_code") && !audit.contains(&hex) && !audit.contains(KEY));

    // What the token is not good for is not there.
    let token = world.elsewhere(SCANNER);
    let named = send(&world, token, &body(&nonce(&world, token), &[]));
    assert_eq!(named.problem(), "not-found");
    let read = Request::new("GET", "/v1/rings/web/findings").token(token);
    assert_eq!(world.send(&read).problem(), "not-found");
    let forget = Request::new("DELETE", "/v1/scans/shop");
    assert_eq!(world.send(&forget.clone().token(token)).problem(), "not-found");
    let forgotten = world.send(&forget.token(world.token(SCANNER)));
    assert_eq!(forgotten.json(), json!({ "scan": "shop", "rings": ["web"] }));
}

#[test]
fn what_is_too_much_or_not_meant_is_refused_with_a_remedy() {
    let world = World::new();
    let token = world.token(SCANNER);
    let nonce = nonce(&world, token);
    let problem = |body: &Value| send(&world, token, body).problem();
    let many: Vec<_> = (0..5_001).map(|n| place(&format!("f{n}"), "a.py", true)).collect();
    assert_eq!(problem(&body(&nonce, &many)), "invalid");
    // More than other operations take, and still a report.
    let large: Vec<_> = (0..5_000).map(|n| place(&format!("f{n}"), "a.py", true)).collect();
    assert_eq!(send(&world, token, &body(&nonce, &large)).status, 200);
    let mut huge = body(&nonce, &[]);
    huge["commit"] = json!("x".repeat(4 * 1024 * 1024));
    assert_eq!(problem(&huge), "too-large");
    assert_eq!(problem(&body("AAAA", &[])), "invalid");
    assert_eq!(problem(&body("no nonce!", &[])), "invalid");
    let mut odd = place("f1", "a.py", true);
    odd["literal"] = json!({ "fingerprint": "ABC", "placeholder": false });
    let answer = send(&world, token, &body(&nonce, &[odd]));
    assert_eq!(answer.problem(), "invalid");
    assert!(answer.body.contains("findings[0].literal.fingerprint"), "{answer:?}");
    let mut value = place("f1", "a.py", true);
    value["literal"] = json!({ "value": "hunter2" });
    let answer = send(&world, token, &body(&nonce, &[value]));
    assert_eq!(answer.problem(), "malformed");
    assert!(!answer.body.contains("hunter2"));
    let nowhere =
        json!({ "nonce": nonce, "tool": "t", "rings": { "nowhere": [] }, "findings": [] });
    assert_eq!(problem(&nowhere), "not-found");
    let request = Request::new("PUT", "/v1/scans/Not+A+Name").token(token);
    assert_eq!(world.send(&request.json(&body(&nonce, &[]))).problem(), "not-found");
    // A nonce is for the token that asked for it.
    let other = world.elsewhere(SCANNER);
    let foreign = json!({ "nonce": nonce, "tool": "t", "findings": [] });
    assert_eq!(send(&world, other, &foreign).problem(), "invalid");
}
