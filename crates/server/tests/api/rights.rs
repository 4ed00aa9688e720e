//! Every operation of the API times every role: who may, who may not, and what a token for other
//! rings is told. The table here is written by hand, so that it can disagree with the code.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Answer, ROLES, Request, World, spec};
use keywheel_server::openapi;
use serde_json::{Value, json};

/// Operation, the roles that may do it, and a body with which it gets past its form.
fn expectations() -> BTreeMap<&'static str, (Vec<&'static str>, Option<Value>)> {
    let operators = vec!["admin", "operator"];
    let breakglass = vec!["breakglass"];
    let reason = json!({ "reason": "a test" });
    let mut all = BTreeMap::from([
        ("listRings", (ROLES.to_vec(), None)),
        ("showRing", (ROLES.to_vec(), None)),
        ("putRing", (vec!["admin"], Some(json!({ "policy": spec("secret") })))),
        ("deleteRing", (vec!["admin"], None)),
        ("rotateRing", (operators.clone(), None)),
        ("promoteRing", (operators.clone(), None)),
        ("approveRing", (operators.clone(), None)),
        ("rollbackRing", (operators.clone(), None)),
        ("pauseRing", (operators.clone(), None)),
        ("resumeRing", (operators, None)),
        ("suspendVersion", (breakglass.clone(), Some(reason.clone()))),
        ("resumeVersion", (breakglass.clone(), None)),
        ("compromiseVersion", (breakglass.clone(), Some(reason))),
        ("destroyVersion", (breakglass.clone(), None)),
        ("endInstance", (breakglass.clone(), Some(json!({ "reason": "a test" })))),
        ("waiveGate", (breakglass, Some(json!({ "reason": "a test", "lasts": "1m" })))),
        ("putEvidence", (vec!["evidence:probes"], Some(json!({ "verdict": "pass" })))),
        ("sendEvent", (vec!["admin", "operator", "consumer"], Some(json!({ "name": "login" })))),
        ("planRing", (vec!["admin", "operator", "breakglass", "auditor"], None)),
        (
            "registerInstance",
            (
                vec!["consumer"],
                Some(json!({ "consumer": "api", "rings": ["web"], "host": "h", "pid": 1 })),
            ),
        ),
        ("report", (vec!["consumer"], Some(json!({ "instance": "none", "reports": [] })))),
        ("fetchMaterial", (vec!["consumer"], None)),
        (
            "revoke",
            (
                vec!["admin", "operator", "consumer"],
                Some(json!({
                    "ring": "web",
                    "revoke": [{ "by": "jti", "jti": "one", "expires": 9_999_999_999_i64 }],
                })),
            ),
        ),
        ("readRevocations", (vec!["admin", "operator", "breakglass", "auditor", "consumer"], None)),
        (
            "reportIssued",
            (
                vec!["admin", "operator", "consumer"],
                Some(json!({ "issued": [{ "jti": "one", "expires": 9_999_999_999_i64 }] })),
            ),
        ),
        ("watch", (vec!["admin", "operator", "breakglass", "auditor", "consumer"], None)),
        (
            "createToken",
            (
                vec!["admin"],
                Some(json!({ "name": "new", "role": "auditor", "rings": ["elsewhere"] })),
            ),
        ),
        ("listTokens", (vec!["admin"], None)),
        ("revokeToken", (vec!["admin"], None)),
        ("readAudit", (vec!["admin", "auditor"], None)),
        ("metrics", (vec!["admin", "operator", "auditor"], None)),
        ("jwksClients", (vec!["admin", "operator", "auditor"], None)),
        ("introspect", (vec!["admin", "operator", "consumer", "signer"], Some(json!({})))),
        ("revokeToken7009", (vec!["admin", "operator", "consumer"], Some(json!({})))),
        ("signToken", (vec!["signer"], Some(json!({ "claims": {} })))),
    ]);
    all.extend(of_scans());
    all.extend(of_columns());
    all
}

/// An operation, the roles that may do it, and a body.
type Expected = (&'static str, (Vec<&'static str>, Option<Value>));

fn of_scans() -> [Expected; 4] {
    let scanner = || vec!["evidence:findings"];
    let nothing = json!({ "nonce": "none", "tool": "test", "findings": [] });
    let readers = vec!["admin", "operator", "breakglass", "auditor", "evidence:findings"];
    [
        ("beginScan", (scanner(), None)),
        ("reportScan", (scanner(), Some(nothing))),
        ("forgetScan", (scanner(), None)),
        ("readFindings", (readers, None)),
    ]
}

fn of_columns() -> [Expected; 2] {
    let report = json!({
        "version": 1, "incarnation": "none", "seen": 1, "left": 0, "moved": 0, "quarantined": 0,
        "rows": 0, "verified": true,
    });
    [
        ("readColumns", (ROLES.to_vec(), None)),
        ("reportColumn", (vec!["consumer", "evidence:reencryption"], Some(report))),
    ]
}

/// Operations that need no token.
const OPEN: [&str; 7] =
    ["pointer", "openApi", "healthz", "readyz", "jwks", "ringJwks", "discovery"];

struct Operation {
    id: String,
    roles: BTreeSet<String>,
    statuses: BTreeSet<u16>,
    method: String,
    path: String,
}

fn operations() -> Vec<Operation> {
    let document = openapi();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let statuses = operation["responses"].as_object().unwrap().keys();
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().into(),
                roles: serde_json::from_value(operation["x-roles"].clone()).unwrap(),
                statuses: statuses.map(|status| status.parse().unwrap()).collect(),
                method: method.to_ascii_uppercase(),
                path: path.clone(),
            });
        }
    }
    all
}

impl Operation {
    fn request(&self, ring: &str, token: Option<&str>, body: Option<&Value>) -> Request {
        let mut path = self.path.replace("{ring}", ring).replace("{version}", "1");
        path = path.replace("{gate}", "probes").replace("{token}", "0123456789abcdef");
        path = path.replace("{instance}", "none").replace("{scan}", "shop");
        path = path.replace("{column}", "orders.card");
        path += match self.id.as_str() {
            "watch" => "?wait=1ms",
            "fetchMaterial" => "?instance=none",
            "readRevocations" => "?ring=web",
            _ => "",
        };
        let mut request = Request::new(&self.method, &path);
        if let Some(token) = token {
            request = request.token(token);
        }
        match body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

fn is_no_such_ring(answer: &Answer) -> bool {
    answer.status == 404 && answer.body.contains("no such ring")
}

#[test]
fn the_table_names_every_operation() {
    let expected: BTreeSet<_> = expectations().into_keys().chain(OPEN).collect();
    let real = operations();
    let real: BTreeSet<_> = real.iter().map(|operation| operation.id.as_str()).collect();
    assert_eq!(expected, real);
}

#[test]
fn the_document_names_the_roles_of_the_table() {
    let table = expectations();
    for operation in operations() {
        let Some((allowed, _)) = table.get(operation.id.as_str()) else { continue };
        let mut allowed: BTreeSet<_> =
            allowed.iter().map(|role| role.replace("probes", "<gate>")).collect();
        if allowed.contains("evidence:<gate>") {
            allowed.remove("evidence:findings");
            allowed.remove("evidence:reencryption");
        }
        if ["putRing", "deleteRing"].contains(&operation.id.as_str()) {
            allowed.insert("breakglass".into());
        }
        assert_eq!(operation.roles, allowed, "{}", operation.id);
    }
}

#[test]
fn every_role_may_do_what_the_table_says_and_no_more() {
    let world = World::new();
    let table = expectations();
    for operation in operations() {
        let Some((allowed, body)) = table.get(operation.id.as_str()) else { continue };
        for role in ROLES {
            let request = operation.request("web", Some(world.token(role)), body.as_ref());
            let answer = world.send(&request);
            let what = format!("{} by {role}: {answer:?}", operation.id);
            assert!(operation.statuses.contains(&answer.status), "undocumented: {what}");
            if allowed.contains(&role) {
                assert!(![401, 403, 405].contains(&answer.status), "{what}");
                assert!(answer.status < 500 && !is_no_such_ring(&answer), "{what}");
            } else {
                assert_eq!(answer.status, 403, "{what}");
                assert_eq!(answer.problem(), "forbidden", "{what}");
            }
        }
    }
}

#[test]
fn nobody_does_anything_without_a_good_token() {
    let world = World::new();
    let table = expectations();
    let good = world.token("admin").to_owned();
    let wrong_secret = format!("{}0", &good[..good.len() - 1]);
    let wrong_secret =
        if wrong_secret == good { wrong_secret.replace('0', "1") } else { wrong_secret };
    let bad = ["", "nonsense", "kw_", "kw_0123456789abcdef_00", &wrong_secret];
    for operation in operations() {
        let Some((_, body)) = table.get(operation.id.as_str()) else { continue };
        let tokens = std::iter::once(None).chain(bad.iter().map(|token| Some(*token)));
        for token in tokens {
            let answer = world.send(&operation.request("web", token, body.as_ref()));
            let what = format!("{} with {token:?}: {answer:?}", operation.id);
            assert_eq!(answer.status, 401, "{what}");
            assert_eq!(answer.problem(), "unauthenticated");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            if let Some(token) = token.filter(|token| token.len() > 3) {
                assert!(!answer.body.contains(token), "{what}");
            }
        }
    }
    for operation in operations().iter().filter(|one| OPEN.contains(&one.id.as_str())) {
        let answer = world.send(&operation.request("web", None, None));
        // A ring of secrets has no public keys, this server is no issuer, and it has just started.
        let may_lack =
            operation.id.to_ascii_lowercase().contains("jwks") || operation.id == "discovery";
        let expected: &[u16] = if may_lack { &[200, 404, 503] } else { &[200] };
        assert!(expected.contains(&answer.status), "{}: {answer:?}", operation.id);
    }
}

#[test]
fn a_ring_out_of_scope_looks_like_one_that_does_not_exist() {
    let world = World::new();
    let table = expectations();
    for operation in operations() {
        let Some((allowed, body)) = table.get(operation.id.as_str()) else { continue };
        for role in ROLES {
            if operation.path.contains("{ring}") {
                let there = operation.request("web", Some(world.elsewhere(role)), body.as_ref());
                let nowhere =
                    operation.request("nowhere", Some(world.elsewhere(role)), body.as_ref());
                let impossible =
                    operation.request("Not+A+Ring", Some(world.elsewhere(role)), body.as_ref());
                let there = world.send(&there);
                let what = format!("{} by {role}: {there:?}", operation.id);
                for other in [world.send(&nowhere), world.send(&impossible)] {
                    assert_eq!((there.status, &there.body), (other.status, &other.body), "{what}");
                }
                // Breakglass may put and delete when it says why; so far nobody has asked.
                let perhaps = role == "breakglass"
                    && ["putRing", "deleteRing"].contains(&operation.id.as_str());
                // Evidence is given to gates; that this one is another's is said after the ring.
                let of_another = ["evidence:findings", "evidence:reencryption"].contains(&role);
                let perhaps = perhaps || (of_another && operation.id == "putEvidence");
                let expected = if allowed.contains(&role) || perhaps { 404 } else { 403 };
                assert_eq!(there.status, expected, "{what}");
            }
        }
    }
    let register = json!({ "consumer": "api", "rings": ["web"], "host": "h", "pid": 1 });
    let request =
        Request::new("POST", "/v1/instances").token(world.elsewhere("consumer")).json(&register);
    assert!(is_no_such_ring(&world.send(&request)));
}

#[test]
fn a_token_for_other_rings_sees_nothing_of_this_one() {
    let world = World::new();
    world.declare("elsewhere", &spec("secret"));
    let see = |role: &str, path: &str| {
        let answer = world.send(&Request::new("GET", path).token(world.elsewhere(role)));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    };
    let listed = see("operator", "/v1/rings").json();
    assert_eq!(listed["rings"].as_array().unwrap().len(), 1);
    assert_eq!(listed["rings"][0]["name"], "elsewhere");
    let audited = see("auditor", "/v1/audit").json();
    let entries = audited["entries"].as_array().unwrap();
    assert!(!entries.is_empty() && entries.iter().all(|entry| entry["ring"] == "elsewhere"));
    let metrics = see("auditor", "/metrics").body;
    assert!(metrics.contains("ring=\"elsewhere\"") && !metrics.contains("ring=\"web\""));
    let tokens = see("admin", "/v1/tokens").json();
    for token in tokens["tokens"].as_array().unwrap() {
        assert_eq!(token["rings"], json!(["elsewhere"]));
    }
    let changes = see("operator", "/v1/watch?since=0&wait=1s").json();
    for change in changes["changes"].as_array().unwrap() {
        assert_eq!(change["ring"], "elsewhere");
    }
}

#[test]
fn an_admin_of_some_rings_gives_no_more_than_it_has() {
    let world = World::new();
    let ask = |rings: Value, role: &str| {
        let body = json!({ "name": "new", "role": role, "rings": rings });
        let token = world.elsewhere("admin");
        world.send(&Request::new("POST", "/v1/tokens").token(token).json(&body))
    };
    assert_eq!(ask(json!(["elsewhere"]), "breakglass").status, 201);
    for beyond in [json!(["*"]), json!(["web"]), json!(["elsewhere", "web"])] {
        assert_eq!(ask(beyond, "auditor").problem(), "forbidden");
    }
    let created = world.tell(
        "admin",
        "POST",
        "/v1/tokens",
        &json!({ "name": "all", "role": "auditor", "rings": ["*"] }),
    );
    let id = created.json()["info"]["id"].as_str().unwrap().to_owned();
    let revoke = Request::new("DELETE", &format!("/v1/tokens/{id}"));
    assert_eq!(world.send(&revoke.clone().token(world.elsewhere("admin"))).problem(), "not-found");
    assert_eq!(world.send(&revoke.token(world.token("admin"))).status, 200);
}

#[test]
fn a_revoked_token_is_none() {
    let world = World::new();
    let body = json!({ "name": "short", "role": "auditor", "rings": ["*"] });
    let created = world.tell("admin", "POST", "/v1/tokens", &body).json();
    let token = created["token"].as_str().unwrap();
    let show = || world.send(&Request::new("GET", "/v1/rings/web").token(token)).status;
    assert_eq!(show(), 200);
    let path = format!("/v1/tokens/{}", created["info"]["id"].as_str().unwrap());
    let revoked = world.ask("admin", "DELETE", &path);
    assert!(revoked.json()["revoked"].is_string());
    assert_eq!(show(), 401);
    assert_eq!(world.ask("admin", "DELETE", &path).json(), revoked.json());
}

#[test]
fn evidence_is_for_the_gate_of_the_token() {
    let world = World::new();
    let pass = json!({ "verdict": "pass" });
    let answer = world.tell("evidence:probes", "PUT", "/v1/rings/web/gates/findings", &pass);
    assert_eq!(answer.problem(), "forbidden");
}

#[test]
fn removing_a_consumer_with_a_reason_is_for_breakglass() {
    let world = World::new();
    let mut less = spec("secret");
    less["consumer"].as_array_mut().unwrap().pop();
    let body = json!({ "policy": less, "removing_because": "it is gone" });
    assert_eq!(world.tell("admin", "PUT", "/v1/rings/web", &body).problem(), "forbidden");
    assert_eq!(world.tell("breakglass", "PUT", "/v1/rings/web", &body).status, 200);
    // The exception creates no rings, and changes no policy without its reason.
    assert_eq!(world.tell("breakglass", "PUT", "/v1/rings/fresh", &body).problem(), "not-found");
    let plain = json!({ "policy": less });
    assert_eq!(world.tell("breakglass", "PUT", "/v1/rings/web", &plain).problem(), "forbidden");
}

#[test]
fn giving_up_data_is_for_breakglass() {
    let world = World::new();
    let lose = json!({ "lose_data": true });
    assert_eq!(world.tell("admin", "DELETE", "/v1/rings/web", &lose).problem(), "forbidden");
    let answer = world.tell("breakglass", "DELETE", "/v1/rings/web", &lose);
    assert_ne!(answer.status, 403, "{answer:?}");
}
