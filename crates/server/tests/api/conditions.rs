//! Entity tags, `If-Match` and `Idempotency-Key`.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::{Request, World, spec};

#[test]
fn the_entity_tag_is_the_revision() {
    let world = World::new();
    let shown = world.ask("operator", "GET", "/v1/rings/web");
    let tag = format!("\"{}\"", shown.json()["revision"]);
    assert_eq!(shown.header("etag"), Some(tag.as_str()));
    assert_eq!(shown.header("cache-control"), Some("no-store"));
}

#[test]
fn a_verb_on_a_ring_that_changed_is_refused() {
    let world = World::new();
    let tag = world.ask("operator", "GET", "/v1/rings/web").header("etag").unwrap().to_owned();
    let pause = |tag: &str| {
        let body = json!({ "reason": "look" });
        let request = Request::new("POST", "/v1/rings/web/pause").json(&body);
        world.send(&request.token(world.token("operator")).header("if-match", tag))
    };
    let paused = pause(&tag);
    assert_eq!(paused.status, 200, "{paused:?}");
    assert_eq!(paused.json()["paused"]["reason"], "look");
    assert_ne!(paused.header("etag"), Some(tag.as_str()));
    let create = Request::new("PUT", "/v1/rings/fresh")
        .json(&json!({ "policy": spec("secret") }))
        .token(world.token("admin"))
        .header("if-match", "\"1\"");
    assert_eq!(world.send(&create).problem(), "not-found");
    let again = pause(&tag);
    assert_eq!(again.status, 412);
    assert_eq!(again.problem(), "revision-conflict");
}

#[test]
fn the_same_request_twice_happens_once() {
    let world = World::new();
    let send = |path: &str, key: &str| {
        let request = Request::new("POST", &format!("/v1/rings/web/{path}"));
        world.send(&request.token(world.token("operator")).header("idempotency-key", key))
    };
    let first = send("rotate", "one");
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(first.json()["versions"].as_array().unwrap().len(), 2);
    let repeated = send("rotate", "one");
    assert_eq!(repeated.status, 200, "{repeated:?}");
    assert_eq!(repeated.json()["versions"].as_array().unwrap().len(), 2);
    assert_eq!(send("rollback", "one").problem(), "idempotency-conflict");
    // Keys belong to their caller.
    let other = Request::new("POST", "/v1/rings/web/rollback");
    let other = other.token(world.token("admin")).header("idempotency-key", "one");
    assert_eq!(world.send(&other).status, 200);
}

#[test]
fn readers_beside_writers_never_take_a_commit_for_a_replay() {
    let world = World::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _finished = OnDrop(|| done.store(true, Ordering::Relaxed));
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let answer = world.ask("auditor", "GET", "/v1/rings/web");
                    assert_eq!(answer.status, 200, "{answer:?}");
                }
            });
        }
        for verb in ["pause", "resume"].iter().cycle().take(60) {
            let answer = world.ask("operator", "POST", &format!("/v1/rings/web/{verb}"));
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    });
}

/// Does something also when a test fails.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
