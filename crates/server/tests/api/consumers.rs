//! What consumers do over HTTP, and what they are kept from.

use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::{Request, World, eventually, spec};

fn delivery_formats(held: &keywheel_api::material::Material) -> Vec<Value> {
    let versions = held.versions.iter();
    versions
        .map(|version| serde_json::to_value(&version.delivery).unwrap()["format"].clone())
        .collect()
}

#[test]
fn a_process_registers_loads_and_proves() {
    let world = World::new();
    let token = world.consumer("api", &["web"]);
    let mut process = Process::join(&world, &token, "api", "web");
    let acknowledgement = process.converge(&world);
    assert_eq!(acknowledgement["verdict"], "proved", "{acknowledgement}");

    let status = world.status("web");
    let consumer = &status["consumers"][0];
    assert_eq!((&consumer["name"], &consumer["live"]), (&json!("api"), &json!(1)));
    let instance = &consumer["instances"][0];
    assert_eq!(instance["process"], "host-a/42");
    assert_eq!(instance["holds"], status["keyset_revision"]);
    assert_eq!(instance["counts"]["1"], json!({ "protected": 3, "processed": 2, "rejected": 1 }));

    // The server knows whose kid it was that a process did not know.
    let kid = status["versions"][0]["kid"].as_str().unwrap();
    let mut refusals = process.report(&process.load(&world));
    refusals["counts"] = json!({});
    refusals["unknown"] = json!(7);
    refusals["unknown_kids"] = json!({ kid: 4, "nobody-has-this": 2 });
    assert_eq!(process.send(&world, &refusals)["verdict"], "proved");
    let instance = &world.status("web")["consumers"][0]["instances"][0];
    assert_eq!((&instance["counts"]["1"]["unknown"], &instance["unknown"]), (&json!(4), &json!(3)));
    let many: serde_json::Map<_, _> = (0..17).map(|kid| (format!("k{kid}"), json!(1))).collect();
    let mut flood = process.report(&process.load(&world));
    flood["unknown_kids"] = many.into();
    let body = json!({ "instance": process.id.as_str(), "reports": [flood] });
    let request = Request::new("POST", "/v1/reports").token(&process.token).json(&body);
    assert_eq!(world.send(&request).status, 422);

    // A proof that was made with another nonce, or that is none, does not count.
    let held = process.load(&world);
    let mut forged = process.report(&held);
    let proof = forged["proofs"]["1"].as_str().unwrap().to_owned();
    let flipped = if proof.starts_with('A') { 'B' } else { 'A' };
    forged["proofs"]["1"] = json!(format!("{flipped}{}", &proof[1..]));
    assert_eq!(process.send(&world, &forged)["verdict"], "rejected");
    let replayed = process.report(&held);
    assert_eq!(process.send(&world, &replayed)["verdict"], "proved");
    assert_ne!(process.send(&world, &replayed)["verdict"], "proved");
}

#[test]
fn a_rotation_goes_through_over_http() {
    let world = World::with(|_, _| {});
    let mut policy = spec("secret");
    policy["require"] = json!([]);
    world.declare("web", &policy);
    let mut api = Process::join(&world, &world.consumer("api", &["web"]), "api", "web");
    let mut edge = Process::join(&world, &world.consumer("edge", &["web"]), "edge", "web");
    api.converge(&world);
    edge.converge(&world);
    assert_eq!(world.ask("operator", "POST", "/v1/rings/web/rotate").status, 200);
    eventually("the promotion", || {
        api.converge(&world);
        edge.converge(&world);
        (world.status("web")["primary"] == 2).then_some(())
    });
    let audit = world.ask("auditor", "GET", "/v1/audit?limit=1000").json();
    assert_eq!(audit["verified"], true);
    let entries = audit["entries"].as_array().unwrap();
    let actions: Vec<_> = entries.iter().filter_map(|entry| entry["action"].as_str()).collect();
    for action in ["token_created", "created", "started", "published", "promoted"] {
        assert!(actions.contains(&action), "{actions:?}");
    }
    let plan = world.ask("operator", "GET", "/v1/rings/web/plan").json();
    assert_eq!(plan["stages"][0]["stage"], "stage");
}

#[test]
fn who_only_processes_with_an_asymmetric_key_gets_its_public_half() {
    let world = World::with(|_, _| {});
    world.declare("jwt", &spec("signing"));
    let api = Process::join(&world, &world.consumer("api", &["jwt"]), "api", "jwt");
    let edge = Process::join(&world, &world.consumer("edge", &["jwt"]), "edge", "jwt");
    assert_eq!(delivery_formats(&api.load(&world)), ["pkcs8-pem"]);
    assert_eq!(delivery_formats(&edge.load(&world)), ["spki-pem"]);
}

#[test]
fn material_is_for_the_process_it_was_registered_for() {
    let world = World::new();
    world.declare("other", &spec("secret"));
    let api = world.consumer("api", &["web"]);
    let edge = world.consumer("edge", &["web"]);
    let stranger = world.consumer("stranger", &["web"]);
    let process = Process::join(&world, &api, "api", "web");
    let fetch = |token: &str, ring: &str, instance: &str| {
        let path = format!("/v1/rings/{ring}/material?instance={instance}");
        world.send(&Request::new("GET", &path).token(token))
    };
    assert_eq!(fetch(&api, "web", process.id.as_str()).status, 200);
    // Another consumer's instance looks like none; another ring like none.
    assert_eq!(fetch(&edge, "web", process.id.as_str()).problem(), "not-found");
    assert_eq!(fetch(&stranger, "web", process.id.as_str()).problem(), "not-found");
    assert_eq!(fetch(&api, "other", process.id.as_str()).problem(), "not-found");
    assert_eq!(fetch(&api, "web", "made-up").problem(), "not-found");
    assert_eq!(
        world.send(&Request::new("GET", "/v1/rings/web/material").token(&api)).problem(),
        "malformed"
    );
    for role in ["admin", "operator", "breakglass", "auditor", "evidence:probes"] {
        let path = format!("/v1/rings/web/material?instance={}", process.id);
        assert_eq!(world.ask(role, "GET", &path).problem(), "forbidden");
    }
    let register = |token: &str, consumer: &str| {
        let body = json!({ "consumer": consumer, "rings": ["web"], "host": "h", "pid": 1 });
        world.send(&Request::new("POST", "/v1/instances").token(token).json(&body))
    };
    assert_eq!(register(&api, "edge").problem(), "forbidden");
    assert_eq!(register(&stranger, "stranger").problem(), "forbidden");
}

#[test]
fn a_refused_registration_names_each_ring_that_it_is_refused_for() {
    let world = World::new();
    let mut foreign = spec("secret");
    foreign["consumer"].as_array_mut().unwrap().retain(|consumer| consumer["name"] != "api");
    world.declare("foreign", &foreign);
    world.declare("elsewhere", &spec("secret"));
    let token = world.consumer("api", &["web", "foreign", "absent"]);
    let register = |rings: &[&str]| {
        let body = json!({ "rings": rings, "host": "h", "pid": 1 });
        world.send(&Request::new("POST", "/v1/instances").token(&token).json(&body))
    };
    let refused_for = |rings: &[&str]| {
        let answer = register(rings);
        let problem = answer.json();
        let listed = problem["rings"].as_array().unwrap().clone();
        for ring in &listed {
            assert!(!ring["cause"].as_str().unwrap().is_empty(), "{answer:?}");
            assert!(!ring["remedy"].as_str().unwrap().is_empty(), "{answer:?}");
        }
        let names: Vec<_> = listed.iter().map(|ring| ring["ring"].as_str().unwrap()).collect();
        (answer.problem(), names.join(" "), listed)
    };
    let (kind, names, each) = refused_for(&["web", "foreign", "absent"]);
    assert_eq!((&*kind, &*names), ("not-found", "absent foreign"));
    assert!(each[1]["cause"].as_str().unwrap().contains("does not declare consumer api"));
    assert_eq!(refused_for(&["foreign", "web"]).1, "foreign");
    // What the token is not good for looks the same whether it exists or not.
    let (kind, names, both) = refused_for(&["elsewhere", "web", "nowhere"]);
    assert_eq!((&*kind, &*names), ("not-found", "elsewhere nowhere"));
    assert_eq!(both[0]["cause"], both[1]["cause"]);
    // Without them it goes through, and a refusal for another reason names none.
    assert_eq!(register(&["web"]).status, 201);
    assert!(register(&[]).json().get("rings").is_none());
    assert!(register(&["web", "no ring's name"]).json().get("rings").is_none());
}

#[test]
fn a_consumer_sees_its_own_processes_only() {
    let world = World::new();
    world.declare("unused", &{
        let mut policy = spec("secret");
        policy["consumer"].as_array_mut().unwrap().remove(0);
        policy
    });
    let api = world.consumer("api", &["web", "unused"]);
    let edge = world.consumer("edge", &["web"]);
    let mut own = Process::join(&world, &api, "api", "web");
    let mut other = Process::join(&world, &edge, "edge", "web");
    own.converge(&world);
    other.converge(&world);
    assert_eq!(world.ask("operator", "POST", "/v1/rings/web/rotate").status, 200);
    eventually("the confirm stage", || (world.status("web")["stage"] == "confirm").then_some(()));

    let seen = world.send(&Request::new("GET", "/v1/rings/web").token(&api));
    assert!(seen.body.contains(own.id.as_str()), "{seen:?}");
    assert!(!seen.body.contains(other.id.as_str()), "{seen:?}");
    let full = world.ask("operator", "GET", "/v1/rings/web");
    assert!(full.body.contains(other.id.as_str()));

    // A ring that does not declare the consumer does not exist for it.
    let unused = world.send(&Request::new("GET", "/v1/rings/unused").token(&api));
    assert_eq!(unused.problem(), "not-found");
    let login = Request::new("POST", "/v1/rings/unused/events").json(&json!({ "name": "login" }));
    assert_eq!(world.send(&login.clone().token(&api)).problem(), "not-found");
    assert_eq!(world.status("unused")["versions"].as_array().unwrap().len(), 1);
    assert_eq!(world.send(&login.token(world.token("operator"))).status, 200);
    let listed = world.send(&Request::new("GET", "/v1/rings").token(&api)).json();
    assert_eq!(listed["rings"].as_array().unwrap().len(), 1);
}

#[test]
fn rings_are_listed_page_by_page() {
    let world = World::with(|_, _| {});
    for ring in ["c", "a", "b"] {
        world.declare(ring, &spec("secret"));
    }
    let names = |path: &str| {
        let page = world.ask("auditor", "GET", path).json();
        let rings = page["rings"].as_array().unwrap().iter();
        let names: Vec<_> = rings.map(|ring| ring["name"].as_str().unwrap().to_owned()).collect();
        (names, page["next"].clone())
    };
    assert_eq!(names("/v1/rings"), (vec!["a".into(), "b".into(), "c".into()], Value::Null));
    assert_eq!(names("/v1/rings?limit=2"), (vec!["a".into(), "b".into()], json!("b")));
    assert_eq!(names("/v1/rings?limit=2&after=b"), (vec!["c".into()], Value::Null));
}

#[test]
fn imported_keys_come_in_and_never_out() {
    use base64::Engine as _;
    let world = World::with(|_, _| {});
    let secret = "correct horse battery staple 2026";
    let value = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(secret);
    let body = json!({ "policy": spec("secret"), "import": { "format": "text", "value": value } });
    let created = world.tell("admin", "PUT", "/v1/rings/web", &body);
    assert_eq!(created.status, 200, "{created:?}");
    assert_eq!(created.json()["versions"][0]["origin"], "imported");
    let process = Process::join(&world, &world.consumer("api", &["web"]), "api", "web");
    let held = process.load(&world);
    let delivered = serde_json::to_value(&held.versions[0].delivery).unwrap();
    assert_eq!(delivered["value"], secret);
    for (role, path) in [
        ("auditor", "/v1/rings/web"),
        ("auditor", "/v1/rings"),
        ("auditor", "/v1/audit"),
        ("auditor", "/metrics"),
        ("admin", "/v1/tokens"),
    ] {
        let answer = world.ask(role, "GET", path);
        assert!(!answer.body.contains(secret) && !answer.body.contains(&value), "{path}");
    }
}

#[test]
fn metrics_show_rings_instances_and_requests() {
    let world = World::new();
    let mut process = Process::join(&world, &world.consumer("api", &["web"]), "api", "web");
    process.converge(&world);
    let text = world.ask("operator", "GET", "/metrics").body;
    for line in [
        "keywheel_leader 1\n",
        "keywheel_store_up 1\n",
        "keywheel_ring_overdue{ring=\"web\"} 0\n",
        "keywheel_ring_stage{ring=\"web\",stage=\"rest\"} 1\n",
        "keywheel_ring_instances{ring=\"web\",consumer=\"api\",standing=\"live\"} 1\n",
        "keywheel_ring_version_processed{ring=\"web\",version=\"v1\"} 2\n",
        "keywheel_ring_version_rejected{ring=\"web\",version=\"v1\"} 1\n",
        "keywheel_requests_total{operation=\"report\",status=\"200\"} 1\n",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    assert!(text.contains("keywheel_ring_primary_age_seconds{ring=\"web\"} "));
    assert!(text.lines().all(|line| line.starts_with("# ") || line.contains(' ')));
}
