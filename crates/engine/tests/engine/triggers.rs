//! What begins a rotation by itself, what holds it up, and what is told.

use std::time::Duration;

use keywheel_core::ring::Stage;
use keywheel_core::schedule::Cause;
use keywheel_engine::{Done, ImportedKey, Verb};
use keywheel_jose::ImportFormat;
use serde_json::json;

use crate::support::{Worker, World, context, ring, spec, version, with};

fn cause(world: &World) -> Option<Cause> {
    world.engine.snapshot(&ring()).unwrap().ring.path.map(|path| path.cause)
}

fn import(text: &str) -> ImportedKey {
    ImportedKey { format: ImportFormat::Text, bytes: text.as_bytes().to_vec().into() }
}

#[test]
fn an_interval_begins_a_rotation() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&with("secret", json!({ "rotate_every": "30s" })));
    world.live(&mut [&mut api, &mut edge], 25);
    assert_eq!(cause(&world), None);
    world.live(&mut [&mut api, &mut edge], 6);
    assert_eq!(world.primary(), Some(version(2)));
    assert!(world.audit().contains(&"started".to_owned()));
    // The next interval counts from the promotion.
    world.live(&mut [&mut api, &mut edge], 35);
    assert_eq!(world.primary(), Some(version(3)));
}

#[test]
fn a_wall_clock_that_jumps_back_begins_nothing_twice() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&with("secret", json!({ "rotate_every": "30s" })));
    world.live(&mut [&mut api, &mut edge], 32);
    assert_eq!(world.primary(), Some(version(2)));
    world.clock.jump_wall_millis(-3_600_000);
    world.live(&mut [&mut api, &mut edge], 40);
    assert_eq!(world.primary(), Some(version(2)));
}

#[test]
fn an_event_begins_a_rotation() {
    let world = World::new();
    world.settled(&with("secret", json!({ "on_event": ["login"] })));
    let event =
        |name: &str| world.engine.act(&ring(), &Verb::Event { name: name.into() }, &context());
    assert!(event("logout").is_err());
    event("login").unwrap();
    world.pass(Duration::from_millis(400));
    assert_eq!(cause(&world), Some(Cause::Event { name: "login".into() }));
}

/// Reports that the primary protected so often.
fn used(world: &World, api: &mut Worker, times: u64) {
    let mut report = api.renewal();
    report.counts.insert(version(1), Done { protected: times, ..Done::default() });
    api.send(&world.engine, report);
    world.pass(Duration::from_millis(400));
}

#[test]
fn too_many_uses_begin_a_rotation() {
    let world = World::new();
    let (mut api, _) = world.settled(&with("secret", json!({ "max_uses": 100 })));
    used(&world, &mut api, 99);
    assert_eq!(cause(&world), None);
    used(&world, &mut api, 1);
    assert_eq!(cause(&world), Some(Cause::Uses));
}

#[test]
fn a_use_at_too_great_an_age_begins_a_rotation() {
    let world = World::new();
    let spec = with("secret", json!({ "max_age_at_use": "20s" }));
    let (mut api, mut edge) = world.settled(&spec);
    used(&world, &mut api, 1);
    world.live(&mut [&mut api, &mut edge], 40);
    assert_eq!(cause(&world), None, "age alone is no reason");
    used(&world, &mut api, 1);
    assert_eq!(cause(&world), Some(Cause::AgeAtUse));
}

/// What `ensure_fresh` of a consumer goes by.
#[test]
fn a_consumer_is_told_for_how_long_the_primary_is_young_enough() {
    let fresh_secs = |world: &World, api: &Worker| {
        let material = world.engine.material(&ring(), &api.consumer, &api.id).unwrap();
        material.fresh_for.map(|left| left.as_millis().div_ceil(1_000))
    };
    let world = World::new();
    let (api, _) = world.settled(&spec("secret"));
    assert_eq!(fresh_secs(&world, &api), None, "its policy has no such age");

    let world = World::new();
    let spec = with("secret", json!({ "max_age_at_use": "60s" }));
    let (mut api, mut edge) = world.settled(&spec);
    let first = fresh_secs(&world, &api).unwrap();
    assert!(first <= 60, "{first}");
    world.live(&mut [&mut api, &mut edge], 20);
    let later = fresh_secs(&world, &api).unwrap();
    assert!((18..=22).contains(&(first - later)), "{first} {later}");
    world.live(&mut [&mut api, &mut edge], 45);
    assert_eq!(fresh_secs(&world, &api), Some(0));
    assert_eq!(cause(&world), None, "nobody has used it");
    // The next primary is young, and a version that is only published is not what counts.
    used(&world, &mut api, 1);
    assert_eq!(cause(&world), Some(Cause::AgeAtUse));
    assert_eq!(fresh_secs(&world, &api), Some(0));
    world.live(&mut [&mut api, &mut edge], 30);
    assert_eq!(world.primary(), Some(version(2)));
    assert!(fresh_secs(&world, &api).unwrap() > 20);
}

#[test]
fn quiet_hours_put_a_rotation_off() {
    let world = World::new();
    // The clock of this world begins at 02:13:20 UTC.
    let spec = with("secret", json!({ "rotate_every": "30s", "quiet_hours": "02:00-02:15" }));
    let (mut api, mut edge) = world.settled(&spec);
    world.live(&mut [&mut api, &mut edge], 80);
    assert_eq!(cause(&world), None);
    world.live(&mut [&mut api, &mut edge], 25);
    assert_eq!(world.primary(), Some(version(2)));
}

#[test]
fn a_weak_import_is_replaced_first() {
    let world = World::new();
    let spec = with("secret", json!({ "rotate_every": "30d" }));
    let key = import("changeme");
    let snapshot = world.engine.put_ring(&ring(), &spec, Some(&key), None, &context()).unwrap();
    assert!(!snapshot.ring.versions[&version(1)].weaknesses().is_empty());
    world.pass(Duration::from_millis(600));
    assert_eq!(cause(&world), Some(Cause::WeakImport));
}

#[test]
fn a_weak_import_stays_where_nothing_rotates_by_itself() {
    let world = World::new();
    let key = import("changeme");
    world.engine.put_ring(&ring(), &spec("secret"), Some(&key), None, &context()).unwrap();
    world.pass_secs(2);
    assert_eq!(cause(&world), None);
}

#[test]
fn a_stalled_stage_holds_and_names_who_is_missing() {
    let world = World::new();
    let (mut api, edge) = world.settled(&with("secret", json!({ "stall_after": "5s" })));
    world.rotate();
    world.live(&mut [&mut api], 8);
    assert_eq!(world.stage(), Some(Stage::Confirm));
    let page = world.engine.audit(0, 100).unwrap();
    let stalled: Vec<_> = page.entries.iter().filter(|one| one.action == "stalled").collect();
    assert_eq!(stalled.len(), 1, "told once");
    let text = stalled[0].detail.to_string();
    assert!(text.contains(edge.id.as_str()) && text.contains("instances"), "{text}");
    let waiting = world.engine.due_notices(100).unwrap();
    assert!(waiting.iter().any(|one| keywheel_engine::notice_name(&one.notice) == "stalled"));
}

#[test]
fn a_stalled_stage_is_taken_back_where_the_policy_says_so() {
    let world = World::new();
    let spec = with("secret", json!({ "stall_after": "5s", "on_stall": "rollback" }));
    let (mut api, _edge) = world.settled(&spec);
    world.rotate();
    world.live(&mut [&mut api], 8);
    assert_eq!((world.stage(), world.primary()), (None, Some(version(1))));
    let actions = world.audit();
    assert!(actions.ends_with(&["stalled".into(), "rolled_back".into()]), "{actions:?}");
}

#[test]
fn a_rotation_that_should_have_begun_long_ago_is_told_once() {
    let world = World::new();
    let spec = with("secret", json!({ "rotate_every": "30s", "stall_after": "10s" }));
    let (mut api, mut edge) = world.settled(&spec);
    world.engine.act(&ring(), &Verb::Pause, &context()).unwrap();
    world.live(&mut [&mut api, &mut edge], 60);
    assert!(!world.audit().contains(&"overdue".to_owned()), "a paused ring is meant to wait");

    // The server was away at the moment, and for longer than a stage may take.
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec);
    world.clock.advance(Duration::from_mins(1));
    world.live(&mut [&mut api, &mut edge], 5);
    let actions = world.audit();
    assert_eq!(actions.iter().filter(|action| *action == "overdue").count(), 1, "{actions:?}");
    assert_eq!(world.primary(), Some(version(2)));
}
