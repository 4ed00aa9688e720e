//! Requests that are repeated, outdated, or meet another writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keywheel_core::id::Revision;
use keywheel_core::policy::Spec;
use keywheel_engine::{Context, EngineError, NewToken, RingScope, Role, Verb};

use crate::support::{World, context, named, ring, spec, version, with};

fn keyed(key: &str) -> Context {
    Context { idempotency_key: Some(key.into()), ..context() }
}

#[test]
fn the_same_request_twice_is_one_request() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let rotate = Verb::Rotate { import: None };
    let first = world.engine.act(&ring(), &rotate, &keyed("k1")).unwrap();
    let again = world.engine.act(&ring(), &rotate, &keyed("k1")).unwrap();
    assert_eq!(first.ring, again.ring);
    assert_eq!(world.audit(), ["created", "started"]);
    let error = world.engine.act(&ring(), &Verb::Rollback, &keyed("k1")).unwrap_err();
    assert!(matches!(error, EngineError::IdempotencyConflict));
    // The key of somebody else is another one.
    let other = Context { actor: "other".into(), ..keyed("k1") };
    world.engine.act(&ring(), &Verb::Rollback, &other).unwrap();
    // A repetition is recognised even when the request would make no sense any more.
    world.engine.act(&ring(), &rotate, &keyed("k1")).unwrap();
    assert_eq!(world.audit(), ["created", "started", "rolled_back"]);
}

#[test]
fn a_policy_edit_is_idempotent_too() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let longer = with("secret", serde_json::json!({ "longest_lifetime": "20s" }));
    let put =
        |spec: &Spec, key: &str| world.engine.put_ring(&ring(), spec, None, None, &keyed(key));
    let first = put(&longer, "k").unwrap();
    assert_eq!(put(&longer, "k").unwrap().ring, first.ring);
    assert!(matches!(put(&spec("secret"), "k"), Err(EngineError::IdempotencyConflict)));
    assert_eq!(put(&longer, "l").unwrap().ring, first.ring, "nothing to change is no change");
}

#[test]
fn an_outdated_request_is_refused() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let at = |revision| Context { if_match: Some(Revision(revision)), ..context() };
    let rotate = Verb::Rotate { import: None };
    let error = world.engine.act(&ring(), &rotate, &at(2)).unwrap_err();
    assert!(matches!(error, EngineError::RevisionConflict { expected: 2, present: 1 }));
    world.engine.act(&ring(), &rotate, &at(1)).unwrap();
    let error = world.engine.act(&ring(), &Verb::Rollback, &at(1)).unwrap_err();
    assert!(matches!(error, EngineError::RevisionConflict { expected: 1, present: 2 }));
}

fn token(name: String) -> NewToken {
    NewToken {
        name,
        role: Role::Auditor,
        rings: RingScope::All,
        consumer: None,
        cidr: None,
        uid: None,
        expires_in: None,
    }
}

#[test]
fn a_commit_that_lost_a_race_is_made_anew() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let second = world.second("b");
    let races = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&races);
    // Another server appends to the audit record just before each of the next five commits.
    world.probe.disturb(move || {
        let race = counted.fetch_add(1, Ordering::Relaxed);
        if race < 5 {
            second.create_token(token(format!("t{race}")), &context()).unwrap();
        }
    });
    world.rotate();
    assert_eq!(races.load(Ordering::Relaxed), 6);
    let mut expected = vec!["created"];
    expected.extend(["token_created"; 5]);
    expected.push("started");
    assert_eq!(world.audit(), expected);
    assert_eq!(world.engine.snapshot(&ring()).unwrap().ring.versions.len(), 2);
}

#[test]
fn whoever_always_loses_gives_up_and_changes_nothing() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let second = world.second("b");
    world.probe.disturb(move || {
        second.create_token(token("t".into()), &context()).unwrap();
    });
    let error = world.engine.act(&ring(), &Verb::Pause, &context()).unwrap_err();
    assert!(matches!(error, EngineError::Contended(_)));
    assert_eq!(error.remedy(), "Try again");
    world.probe.calm();
    assert!(world.engine.snapshot(&ring()).unwrap().ring.paused.is_none());
    world.engine.act(&ring(), &Verb::Pause, &context()).unwrap();
    assert!(world.audit().ends_with(&["paused".into()]));
}

#[test]
fn many_callers_at_once_take_turns() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let engine = &world.engine;
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                for turn in 0..10 {
                    let name = named(&format!("ring-{thread}-{turn}"));
                    engine.put_ring(&name, &spec("secret"), None, None, &context()).unwrap();
                    engine.create_token(token(format!("t{turn}")), &context()).unwrap();
                    engine.drive();
                }
            });
        }
    });
    assert_eq!(world.audit().len(), 1 + 8 * 10 * 2);
    assert_eq!(world.engine.ring_names(None, 1_000).unwrap().len(), 81);
}

#[test]
fn a_ring_is_created_once_and_a_tombstone_stays() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let import = keywheel_engine::ImportedKey {
        format: keywheel_jose::ImportFormat::Text,
        bytes: b"a-secret-that-a-team-uses-already-0123456789".to_vec().into(),
    };
    let again = world.engine.put_ring(&ring(), &spec("secret"), Some(&import), None, &context());
    assert!(matches!(again, Err(EngineError::Exists { what: "ring", .. })));
    world.engine.act(&ring(), &Verb::Delete { lose_data: false }, &context()).unwrap();
    let error = world.engine.put_ring(&ring(), &spec("secret"), None, None, &context());
    assert!(matches!(error, Err(EngineError::Refused(_))));
    let ring = world.engine.snapshot(&ring()).unwrap().ring;
    assert!(ring.versions.values().all(|version| !version.has_material()));
    assert!(matches!(
        world.engine.act(&named("none"), &Verb::Pause, &context()),
        Err(EngineError::NotFound { what: "ring", .. })
    ));
    assert_eq!(ring.versions.len(), 1);
    assert!(ring.versions.contains_key(&version(1)));
}
