//! Revocations and the ledger over HTTP: what is told, in which parts, and what is refused.

use serde_json::{Value, json};

use crate::support::{Request, World, eventually, spec};

const FAR: i64 = 4_000_000_000;

fn revoke(world: &World, role: &str, body: &Value) -> crate::support::Answer {
    world.tell(role, "POST", "/v1/revocations", body)
}

fn jti(jti: &str) -> Value {
    json!({ "by": "jti", "jti": jti, "expires": FAR })
}

#[test]
fn the_feed_tells_of_a_revocation_though_no_key_has_changed() {
    let world = World::new();
    let ring = world.ask("auditor", "GET", "/v1/rings/web").json();
    let before = eventually("the feed has heard of the ring", || {
        let heard = world.ask("operator", "GET", "/v1/watch?since=0&wait=1ms").json();
        heard["changes"].as_array().is_some_and(|all| !all.is_empty()).then_some(heard)
    });
    let since = before["seq"].as_u64().unwrap();
    let done =
        revoke(&world, "operator", &json!({ "ring": "web", "revoke": [jti("a"), jti("b")] }));
    assert_eq!(done.json(), json!({ "ring": "web", "number": 1, "count": 2 }));
    let path = format!("/v1/watch?since={since}&wait=10s");
    let changes = world.ask("operator", "GET", &path).json();
    assert_eq!(changes["changes"].as_array().unwrap().len(), 1);
    let change = &changes["changes"][0];
    assert_eq!((&change["ring"], &change["revocations"]), (&json!("web"), &json!(1)));
    let after = world.ask("auditor", "GET", "/v1/rings/web").json();
    assert_eq!(after["revision"], ring["revision"]);
    assert_eq!(ring["revocations"], json!({ "kept": 0, "newest": 0 }));
    assert_eq!(after["revocations"], json!({ "kept": 2, "newest": 1 }));
    let metrics = world.ask("auditor", "GET", "/metrics").body;
    for line in ["ring_revocations{ring=\"web\"} 2", "ring_revocations_newest{ring=\"web\"} 1"] {
        assert!(metrics.contains(&format!("\nkeywheel_{line}\n")), "{metrics}");
    }
}

#[test]
fn the_log_is_read_from_the_beginning_and_from_where_one_has_come_to() {
    let world = World::new();
    let read = |since: u64| {
        let path = format!("/v1/revocations?ring=web&since={since}");
        world.ask("auditor", "GET", &path).json()
    };
    let empty = read(0);
    assert_eq!((&empty["next"], &empty["newest"]), (&json!(0), &json!(0)));
    revoke(&world, "admin", &json!({ "ring": "web", "revoke": [jti("a")] }));
    revoke(&world, "admin", &json!({ "ring": "web", "revoke": [jti("b")], "reason": "lost" }));
    assert_eq!(read(0)["revocations"], json!([jti("a"), jti("b")]));
    assert_eq!(read(1)["revocations"], json!([jti("b")]));
    assert_eq!(read(2)["revocations"], json!([]));
    assert_eq!(read(0)["incarnation"], empty["incarnation"]);
    assert!(empty["incarnation"].is_string());
}

#[test]
fn a_request_names_exactly_one_kind_of_thing() {
    let world = World::new();
    let wrong = [
        json!({ "ring": "web" }),
        json!({ "ring": "web", "revoke": [jti("a")], "active": true }),
        json!({ "ring": "web", "active": true, "issued": true }),
        json!({ "ring": "web", "revoke": [jti("")] }),
        json!({ "ring": "web", "revoke": [jti(&"x".repeat(513))] }),
        json!({ "ring": "web", "revoke": [{ "by": "kid", "kid": "other" }] }),
        json!({ "ring": "web", "revoke": [{ "by": "issued_before", "at": FAR }] }),
    ];
    for body in wrong {
        let answer = revoke(&world, "operator", &body);
        assert!([400, 422].contains(&answer.status), "{body}: {answer:?}");
        assert!(!answer.body.contains(&"x".repeat(64)), "{answer:?}");
    }
    let nowhere = revoke(&world, "operator", &json!({ "ring": "none", "active": true }));
    assert_eq!(nowhere.status, 404);
    assert_eq!(world.ask("auditor", "GET", "/v1/revocations?ring=web").json()["newest"], 0);
}

#[test]
fn a_consumer_revokes_no_further_than_a_logout_reaches() {
    let world = World::new();
    let narrow = json!({ "ring": "web", "revoke": [
        jti("a"),
        { "by": "subject", "subject": "alice", "issued_before": 5, "expires": FAR },
    ] });
    assert_eq!(revoke(&world, "consumer", &narrow).status, 200);
    for wide in [
        json!({ "ring": "web", "active": true }),
        json!({ "ring": "web", "issued": true }),
        json!({ "ring": "web", "revoke": [jti("b"), { "by": "issued_before", "at": 5 }] }),
        json!({ "ring": "web", "revoke": [{ "by": "kid", "kid": "k" }] }),
    ] {
        assert_eq!(revoke(&world, "consumer", &wide).problem(), "forbidden", "{wide}");
    }
    let elsewhere = Request::new("POST", "/v1/revocations").token(world.elsewhere("consumer"));
    assert_eq!(world.send(&elsewhere.json(&narrow)).status, 404);
    let read = Request::new("GET", "/v1/revocations?ring=web").token(world.elsewhere("auditor"));
    assert_eq!(world.send(&read).status, 404);
}

#[test]
fn a_ledger_takes_what_was_issued_and_gives_it_to_be_revoked() {
    let world = World::new();
    let mut policy = spec("secret");
    policy["ledger"] = json!(true);
    world.declare("kept", &policy);
    let issued = json!({ "issued": [
        { "jti": "a", "expires": FAR },
        { "jti": "b", "expires": FAR, "kid": "k" },
    ] });
    let recorded = world.tell("consumer", "POST", "/v1/rings/kept/issued", &issued);
    assert_eq!(recorded.json(), json!({ "ring": "kept", "count": 2 }));
    let refused = world.tell("consumer", "POST", "/v1/rings/web/issued", &issued);
    assert_eq!(refused.status, 422, "{refused:?}");
    let done = revoke(&world, "operator", &json!({ "ring": "kept", "issued": true }));
    assert_eq!(done.json()["count"], 2);
    let log = world.ask("consumer", "GET", "/v1/revocations?ring=kept").json();
    assert_eq!(log["revocations"], json!([jti("a"), jti("b")]));
}

#[test]
fn a_rotation_takes_the_wish_to_revoke_and_no_other_verb_does() {
    let world = World::new();
    let wish = json!({ "revoke_active": true, "revoke_issued": true });
    assert_eq!(world.tell("operator", "POST", "/v1/rings/web/rotate", &wish).status, 200);
    assert_eq!(world.tell("operator", "POST", "/v1/rings/web/rollback", &wish).status, 422);
}
