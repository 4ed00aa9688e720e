//! Bad input of any kind is answered by a problem document, and changes nothing.

use std::io::{BufReader, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::http::read_answer;
use crate::support::{Request, World, now, spec};

/// What was sent, and the kind of problem that it is.
struct Case(&'static str, Request, &'static str);

fn json_request(method: &str, path: &str, body: &str) -> Request {
    Request::new(method, path).header("content-type", "application/json").body(body.as_bytes())
}

fn verb(body: &str) -> Request {
    json_request("POST", "/v1/rings/web/rotate", body)
}

/// A declaration that is sound but for one field.
fn changed(field: &str, value: Value) -> Request {
    let mut policy = spec("secret");
    policy[field] = value;
    Request::new("PUT", "/v1/rings/web").json(&json!({ "policy": policy }))
}

/// Bodies that are no request.
fn bodies() -> Vec<Case> {
    let big = "x".repeat(300 * 1024);
    let deep = "[".repeat(100_000);
    vec![
        Case("no JSON", verb("{"), "malformed"),
        Case("no object", verb("[]"), "malformed"),
        Case("two documents", verb("{} {}"), "malformed"),
        Case("deep nesting", verb(&deep), "malformed"),
        Case(
            "not UTF-8",
            Request::new("POST", "/v1/rings/web/rotate")
                .header("content-type", "application/json")
                .body(b"{\"reason\": \"\xff\xfe\"}"),
            "malformed",
        ),
        Case("an unknown field", verb(r#"{"nonsense": true}"#), "malformed"),
        Case("a field twice", verb(r#"{"reason": "a", "reason": "b"}"#), "malformed"),
        Case("a field of another type", verb(r#"{"reason": 7}"#), "malformed"),
        Case("a field of another verb", verb(r#"{"order": "reject_first"}"#), "invalid"),
        Case("an empty reason", verb(r#"{"reason": " "}"#), "invalid"),
        Case("a long reason", verb(&json!({ "reason": "x".repeat(1001) }).to_string()), "invalid"),
        Case(
            "an unknown import format",
            verb(r#"{"import": {"format": "x", "value": ""}}"#),
            "invalid",
        ),
        Case(
            "an import that is not base64url",
            verb(r#"{"import": {"format": "raw", "value": "%"}}"#),
            "invalid",
        ),
        Case("an oversized body", verb(&format!(r#"{{"reason": "{big}"}}"#)), "too-large"),
        Case(
            "an oversized announcement",
            Request::new("POST", "/v1/rings/web/rotate").header("content-length", "999999999999"),
            "too-large",
        ),
        Case(
            "another content type",
            Request::new("POST", "/v1/rings/web/rotate")
                .header("content-type", "text/plain")
                .body(b"{}"),
            "unsupported-media-type",
        ),
        Case(
            "no content type",
            Request::new("POST", "/v1/rings/web/rotate").body(b"{}"),
            "unsupported-media-type",
        ),
        Case(
            "another charset",
            Request::new("POST", "/v1/rings/web/rotate")
                .header("content-type", "application/json; charset=utf-16")
                .body(b"{}"),
            "unsupported-media-type",
        ),
        Case("no body where one is needed", Request::new("PUT", "/v1/rings/web"), "malformed"),
        Case(
            "a body where none is taken",
            Request::new("GET", "/v1/rings/web").body(b"{}"),
            "malformed",
        ),
    ]
}

/// Queries, headers, paths and methods.
fn heads() -> Vec<Case> {
    vec![
        Case("an unknown parameter", Request::new("GET", "/v1/rings?nonsense=1"), "malformed"),
        Case("a parameter twice", Request::new("GET", "/v1/rings?limit=1&limit=2"), "malformed"),
        Case("a parameter out of bounds", Request::new("GET", "/v1/rings?limit=0"), "malformed"),
        Case("a parameter too large", Request::new("GET", "/v1/rings?limit=501"), "malformed"),
        Case(
            "a parameter of another type",
            Request::new("GET", "/v1/rings?limit=many"),
            "malformed",
        ),
        Case("a bad escape", Request::new("GET", "/v1/rings?after=%ff"), "malformed"),
        Case("a bad name", Request::new("GET", "/v1/rings?after=NO"), "malformed"),
        Case("a bad cursor", Request::new("GET", "/v1/watch?since=-1&wait=1ms"), "malformed"),
        Case("too long a wait", Request::new("GET", "/v1/watch?since=0&wait=61s"), "malformed"),
        Case(
            "a bad last event",
            Request::new("GET", "/v1/watch").header("last-event-id", "x"),
            "malformed",
        ),
        Case("a bad If-Match", verb("{}").header("if-match", "12"), "malformed"),
        Case("a weak If-Match", verb("{}").header("if-match", "W/\"1\""), "malformed"),
        Case("several If-Match", verb("{}").header("if-match", "\"1\", \"2\""), "malformed"),
        Case("an empty key", verb("{}").header("idempotency-key", ""), "malformed"),
        Case("a long key", verb("{}").header("idempotency-key", &"k".repeat(129)), "malformed"),
        Case("a key with a space", verb("{}").header("idempotency-key", "a b"), "malformed"),
        Case("another path", Request::new("GET", "/v1/nothing"), "not-found"),
        Case("another method", Request::new("PATCH", "/v1/rings/web"), "method-not-allowed"),
        Case("a ring that cannot be", Request::new("GET", "/v1/rings/Web"), "not-found"),
        Case("a ring that is not", Request::new("GET", "/v1/rings/nowhere"), "not-found"),
        Case("a plan of no ring", Request::new("GET", "/v1/rings/nowhere/plan"), "not-found"),
    ]
}

/// Policies that cannot be, and what makes no sense now.
fn policies() -> Vec<Case> {
    vec![
        Case("an unknown kind", changed("kind", json!("magic")), "invalid"),
        Case("a bad lifetime", changed("longest_lifetime", json!("soon")), "invalid"),
        Case("a bad cron", changed("cron", json!("99 99 * * *")), "invalid"),
        Case("retiring too early", changed("retire_after", json!("1s")), "invalid"),
        Case("rotating too fast", changed("rotate_every", json!("1s")), "invalid"),
        Case(
            "too many instances",
            changed(
                "consumer",
                json!([{ "name": "a", "role": "protect", "min_instances": 5, "max_instances": 2 }]),
            ),
            "invalid",
        ),
        Case(
            "one slot without a cutover",
            changed("consumer", json!([{ "name": "a", "role": "process", "one_slot": true }])),
            "invalid",
        ),
        Case("an unknown policy field", changed("nonsense", json!(1)), "malformed"),
        Case(
            "an import into a ring that exists",
            Request::new("PUT", "/v1/rings/web").json(&json!({
                "policy": spec("secret"),
                "import": { "format": "text", "value": "aHVudGVyMmh1bnRlcjI" },
            })),
            "exists",
        ),
        Case(
            "another event",
            json_request("POST", "/v1/rings/web/events", r#"{"name": ""}"#),
            "invalid",
        ),
        Case(
            "a promotion at rest",
            Request::new("POST", "/v1/rings/web/promote"),
            "illegal-transition",
        ),
    ]
}

/// Tokens that cannot be.
fn token_requests() -> Vec<Case> {
    vec![
        Case(
            "a token without a name",
            Request::new("POST", "/v1/tokens")
                .json(&json!({ "name": "", "role": "admin", "rings": ["*"] })),
            "invalid",
        ),
        Case(
            "a token of no role",
            Request::new("POST", "/v1/tokens")
                .json(&json!({ "name": "x", "role": "root", "rings": ["*"] })),
            "invalid",
        ),
        Case(
            "a token for no ring",
            Request::new("POST", "/v1/tokens")
                .json(&json!({ "name": "x", "role": "admin", "rings": [] })),
            "invalid",
        ),
        Case(
            "a token for all and one",
            Request::new("POST", "/v1/tokens")
                .json(&json!({ "name": "x", "role": "admin", "rings": ["*", "web"] })),
            "invalid",
        ),
        Case(
            "a token from nowhere",
            Request::new("POST", "/v1/tokens").json(
                &json!({ "name": "x", "role": "admin", "rings": ["*"], "cidr": "10.0.0.0/99" }),
            ),
            "invalid",
        ),
        Case(
            "a token that has ended",
            Request::new("POST", "/v1/tokens")
                .json(&json!({ "name": "x", "role": "admin", "rings": ["*"], "expires_in": "0s" })),
            "invalid",
        ),
        Case(
            "a consumer's token without one",
            Request::new("POST", "/v1/tokens")
                .json(&json!({ "name": "x", "role": "consumer", "rings": ["*"] })),
            "invalid",
        ),
        Case(
            "a token that is not there",
            Request::new("DELETE", "/v1/tokens/ffffffffffffffff"),
            "not-found",
        ),
    ]
}

#[test]
fn each_is_refused_with_a_problem_and_changes_nothing() {
    let world = World::new();
    let before = world.status("web")["revision"].clone();
    let tokens = world.engine.tokens().unwrap().len();
    let cases = [bodies(), heads(), policies(), token_requests()].into_iter().flatten();
    for Case(what, request, kind) in cases {
        let answer = world.send(&request.token(world.token("admin")));
        assert!(answer.status < 500, "{what}: {answer:?}");
        assert_eq!(answer.problem(), kind, "{what}: {answer:?}");
        assert_eq!(world.status("web")["revision"], before, "{what}");
    }
    assert_eq!(world.engine.tokens().unwrap().len(), tokens);
    let names = world.engine.ring_names(None, 10).unwrap();
    assert_eq!(names.len(), 1);
}

#[test]
fn a_405_says_what_there_is() {
    let world = World::new();
    let answer = world.ask("admin", "DELETE", "/v1/audit");
    assert_eq!(answer.problem(), "method-not-allowed");
    assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{answer:?}");
}

#[test]
fn breakglass_verbs_need_a_reason() {
    let world = World::new();
    let before = world.status("web")["revision"].clone();
    for (path, body, kind) in [
        ("versions/1/suspend", json!({}), "invalid"),
        ("versions/1/compromise", json!({}), "invalid"),
        ("versions/1/compromise", json!({ "reason": "x", "order": "never" }), "invalid"),
        ("versions/9/suspend", json!({ "reason": "x" }), "not-found"),
        ("versions/x/suspend", json!({ "reason": "x" }), "not-found"),
        ("versions/4294967296/suspend", json!({ "reason": "x" }), "not-found"),
        ("gates/instances/waive", json!({ "lasts": "1m" }), "malformed"),
        ("gates/instances/waive", json!({ "reason": "", "lasts": "1m" }), "invalid"),
        ("gates/instances/waive", json!({ "reason": "x", "lasts": "25h" }), "invalid"),
        ("gates/instances/waive", json!({ "reason": "x", "lasts": "0s" }), "invalid"),
        (
            "gates/instances/waive",
            json!({ "reason": "x", "lasts": "1m", "instance": "?" }),
            "invalid",
        ),
        ("gates/No/waive", json!({ "reason": "x", "lasts": "1m" }), "not-found"),
    ] {
        let answer = world.tell("breakglass", "POST", &format!("/v1/rings/web/{path}"), &body);
        assert_eq!(answer.problem(), kind, "{path} {body}: {answer:?}");
    }
    for body in [
        json!({ "verdict": "maybe" }),
        json!({ "verdict": "fail" }),
        json!({ "verdict": "pass", "why": "it went well" }),
        json!({ "verdict": "pass", "level": "sure" }),
    ] {
        let answer = world.tell("evidence:probes", "PUT", "/v1/rings/web/gates/probes", &body);
        assert_eq!(answer.problem(), "invalid", "{body}");
    }
    assert_eq!(world.status("web")["revision"], before);
}

#[test]
fn what_is_no_http_ends_the_connection_and_nothing_else() {
    let world = World::new();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(64 * 1024));
    for bytes in [b"\x16\x03\x01\x00\x00".as_slice(), b"HELO there\r\n\r\n", long.as_bytes()] {
        let mut stream = TcpStream::connect(world.address).unwrap();
        let _ = stream.write_all(bytes);
        let answer = read_answer(&mut BufReader::new(stream));
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    assert_eq!(world.send(&Request::new("GET", "/healthz")).status, 200);
}

#[test]
fn a_body_that_never_comes_is_not_waited_for() {
    let world = World::with(|settings, _| {
        // Long enough for the ring to be declared on a busy machine.
        settings.limits.request_timeout = std::time::Duration::from_secs(3);
    });
    world.declare("web", &spec("secret"));
    let begun = now();
    let request = Request::new("POST", "/v1/rings/web/rotate")
        .token(world.token("admin"))
        .header("content-type", "application/json")
        .header("content-length", "10");
    assert_eq!(world.send(&request).problem(), "timeout");
    assert!(begun <= now());
}
