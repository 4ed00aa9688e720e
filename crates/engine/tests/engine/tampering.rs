//! Rows that were edited, torn, moved, put back or removed: refused with a remedy, while every
//! other ring goes on.

use keywheel_engine::{Engine, EngineError, Verb};

use crate::support::{World, context, named, ring, spec, version};

/// A world with a damaged ring `web` beside a sound ring `other`.
fn damaged(damage: impl FnOnce(&World)) -> World {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    world.create(&named("other"), &spec("secret"));
    world.rotate();
    world.pass_secs(1);
    damage(&world);
    world
}

fn is_distrusted(world: &World, says: &str) {
    let error = world.engine.snapshot(&ring()).unwrap_err();
    let EngineError::Distrusted { cause, remedy, .. } = &error else { panic!("{error}") };
    assert!(cause.contains(says), "{cause}");
    assert!(!remedy.is_empty() && error.to_string().starts_with("ring/web is not believed"));
    let acted = world.engine.act(&ring(), &Verb::Pause, &context());
    assert!(matches!(acted, Err(EngineError::Distrusted { .. })));
    let put = world.engine.put_ring(&ring(), &spec("secret"), None, None, &context());
    assert!(matches!(put, Err(EngineError::Distrusted { .. })), "it is not made anew either");
    world.pass_secs(1);
    let refused = world.engine.health().refused;
    assert!(refused.iter().any(|(name, _)| *name == ring()));

    let rotate = Verb::Rotate { import: None };
    world.engine.act(&named("other"), &rotate, &context()).unwrap();
    world.pass_secs(1);
    let other = world.engine.snapshot(&named("other")).unwrap().ring;
    assert!(other.path.is_some() && other.versions.contains_key(&version(2)));
}

#[test]
fn an_edited_row_is_not_believed() {
    for place in [0, 40, 200, usize::MAX] {
        let world = damaged(|world| {
            let mut row = world.row("ring/web");
            let place = place.min(row.len() - 1);
            row[place] ^= 1;
            world.overwrite("ring/web", Some(row));
        });
        is_distrusted(&world, "");
    }
}

#[test]
fn a_torn_row_is_not_believed() {
    for kept in [0, 1, 100] {
        let world = damaged(|world| {
            let mut row = world.row("ring/web");
            row.truncate(kept);
            world.overwrite("ring/web", Some(row));
        });
        is_distrusted(&world, "");
    }
}

#[test]
fn a_row_that_was_moved_is_not_believed() {
    let world = damaged(|world| {
        let other = world.row("ring/other");
        world.overwrite("ring/web", Some(other));
    });
    is_distrusted(&world, "");
}

#[test]
fn a_row_that_was_put_back_is_not_believed_until_the_newer_one_is_back() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    world.create(&named("other"), &spec("secret"));
    let old = world.row("ring/web");
    world.rotate();
    world.pass_secs(1);
    let new = world.row("ring/web");
    world.overwrite("ring/web", Some(old.clone()));
    is_distrusted(&world, "had come to");
    world.overwrite("ring/web", Some(new));
    assert!(world.engine.snapshot(&ring()).is_ok());
    world.pass_secs(1);
    assert!(world.engine.health().refused.is_empty());
    // A server that starts now, with the same memory outside the store, notices it too.
    world.overwrite("ring/web", Some(old));
    let again = Engine::open(world.parts_again()).unwrap();
    assert!(matches!(again.snapshot(&ring()), Err(EngineError::Distrusted { .. })));
}

#[test]
fn a_row_that_was_removed_is_missed() {
    let world = damaged(|world| world.overwrite("ring/web", None));
    is_distrusted(&world, "its row is missing");
    let again = Engine::open(world.parts_again()).unwrap();
    assert!(again.health().refused.iter().any(|(name, _)| *name == ring()));
}

#[test]
fn a_store_that_was_set_back_is_not_opened() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let backup = world.store.snapshot();
    world.rotate();
    world.store.restore(&backup);
    let error = Engine::open(world.parts_again()).err().unwrap();
    let EngineError::Distrusted { subject, remedy, .. } = &error else { panic!("{error}") };
    assert_eq!(subject, "the audit record");
    assert!(remedy.contains("restore --adopt"));
}

#[test]
fn a_token_that_was_put_back_to_life_stays_dead() {
    let world = World::new();
    let new = keywheel_engine::NewToken {
        name: "t".into(),
        role: keywheel_engine::Role::Admin,
        rings: keywheel_engine::RingScope::All,
        consumer: None,
        cidr: None,
        uid: None,
        expires_in: None,
    };
    let (text, info) = world.engine.create_token(new, &context()).unwrap();
    let key = format!("token/{}", info.id);
    let alive = world.row(&key);
    world.engine.revoke_token(&info.id, &context()).unwrap();
    world.overwrite(&key, Some(alive));
    world.engine.drive();
    let error = world.engine.authenticate(&text, &keywheel_engine::Peer::default()).unwrap_err();
    assert!(matches!(error, EngineError::Distrusted { .. }), "{error}");
}

#[test]
fn an_edited_audit_entry_is_not_believed() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    world.rotate();
    assert_eq!(world.audit(), ["created", "started"]);
    let first = world.row("audit/0000000000000001");
    world.overwrite("audit/0000000000000002", Some(first));
    assert!(matches!(world.engine.audit(0, 10), Err(EngineError::Distrusted { .. })));
    world.overwrite("audit/0000000000000002", None);
    assert!(!world.engine.audit(0, 10).unwrap().verified);
}
