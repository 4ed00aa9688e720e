//! After a restore from a backup, and under a new master key.

use std::sync::Arc;
use std::time::Duration;

use keywheel_core::ring::Direction;
use keywheel_engine::{
    Engine, EngineError, NewToken, Parts, Peer, ReportVerdict, RingScope, Role, Verb,
};
use keywheel_store::{FileKek, Sealer};

use crate::support::{SeededEntropy, Worker, World, context, named, ring, spec, version};

fn token(name: &str) -> NewToken {
    NewToken {
        name: name.into(),
        role: Role::Operator,
        rings: RingScope::All,
        consumer: None,
        cidr: None,
        uid: None,
        expires_in: None,
    }
}

#[test]
fn a_restored_store_is_adopted_and_begins_new_lives() {
    let mut world = World::new();
    let (mut api, _) = world.settled(&spec("secret"));
    let (revoked, info) = world.engine.create_token(token("old"), &context()).unwrap();
    let backup = world.store.snapshot();
    let life = world.engine.snapshot(&ring()).unwrap().ring.incarnation;

    // What happens after the backup was made.
    world.rotate();
    world.pass_secs(1);
    world.create(&named("later"), &spec("secret"));
    world.engine.revoke_token(&info.id, &context()).unwrap();
    let (late, _) = world.engine.create_token(token("late"), &context()).unwrap();

    world.store.restore(&backup);
    let engine = Engine::open_set_back(world.parts_again()).unwrap();
    world.clock.advance(Duration::from_secs(3));
    engine.drive();
    let refused = engine.snapshot(&ring()).err().unwrap();
    assert!(matches!(refused, EngineError::Distrusted { .. }), "not before it is adopted");
    let adopted = engine.adopt(&context()).unwrap();
    assert_eq!((adopted.rings, adopted.left.len()), (vec![ring()], 0));
    world.engine = Arc::new(engine);

    let restored = world.engine.snapshot(&ring()).unwrap().ring;
    assert_ne!(restored.incarnation, life);
    assert_eq!(restored.primary(), None, "nobody protects before everybody has confirmed it");
    assert_eq!(restored.path.unwrap().direction, Direction::Restore);
    assert!(matches!(
        world.engine.snapshot(&named("later")),
        Err(EngineError::NotFound { what: "ring", .. })
    ));
    assert!(world.engine.authenticate(&revoked, &Peer::default()).is_err(), "revoked stays so");
    assert!(world.engine.authenticate(&late, &Peer::default()).is_err(), "lost with the store");

    // Old proofs are void; whoever comes back registers and confirms.
    let report = api.report();
    assert!(matches!(
        api.try_send(&world.engine, report),
        Err(EngineError::NotFound { what: "instance", .. })
    ));
    let mut api = Worker::join(&world.engine, "api");
    let mut edge = Worker::join(&world.engine, "edge");
    world.live(&mut [&mut api, &mut edge], 15);
    assert_eq!(world.primary(), None, "others may still protect with what the backup lacks");
    world.live(&mut [&mut api, &mut edge], 10);
    assert_eq!(world.primary(), Some(version(1)));
    assert!(world.audit().contains(&"restored".to_owned()));
    // Opened again it is believed without further ado.
    assert!(Engine::open(world.parts_again()).unwrap().snapshot(&ring()).is_ok());
}

#[test]
fn an_adoption_that_broke_off_is_begun_again() {
    let world = World::new();
    world.settled(&spec("secret"));
    world.engine.adopt(&context()).unwrap();
    world.pass_secs(1);
    world.engine.adopt(&context()).unwrap();
    let mut api = Worker::join(&world.engine, "api");
    let mut edge = Worker::join(&world.engine, "edge");
    world.live(&mut [&mut api, &mut edge], 25);
    assert_eq!(api.prove(&world.engine), ReportVerdict::Proved);
    assert_eq!(world.primary(), Some(version(1)));
}

#[test]
fn a_ring_that_does_not_open_keeps_no_other_from_being_adopted() {
    let world = World::new();
    for name in ["a", "b", "c", "gone"] {
        world.create(&named(name), &spec("secret"));
    }
    let delete = Verb::Delete { lose_data: false };
    world.engine.act(&named("gone"), &delete, &context()).unwrap();
    let mut torn = world.row("ring/b");
    torn.truncate(40);
    world.overwrite("ring/b", Some(torn));
    let adopted = world.engine.adopt(&context()).unwrap();
    assert_eq!(adopted.rings, [named("a"), named("c")], "a tombstone has no new life");
    let [(ring, error)] = adopted.left.as_slice() else { panic!("{adopted:?}") };
    assert_eq!(*ring, named("b"));
    assert!(error.to_string().contains("ring/b"), "{error}");
    // It stays refused, and known by name.
    let refused = world.engine.health().refused;
    assert_eq!(refused.iter().map(|(ring, _)| ring).collect::<Vec<_>>(), [&named("b")]);
    let error = world.engine.snapshot(&named("b")).unwrap_err();
    assert!(matches!(error, EngineError::Distrusted { .. }), "{error}");
}

#[test]
fn a_new_master_key_takes_over_every_row() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let (text, _) = world.engine.create_token(token("t"), &context()).unwrap();
    let next = world.folder.path().join("next.key");
    let next = FileKek::open_or_create(&next, Arc::new(SeededEntropy::new(99))).unwrap();
    world.kek.promote(Arc::new(next));
    // What is written meanwhile is under the new key already.
    world.rotate();
    let moved = world.engine.rewrap_all().unwrap();
    assert!(moved > 0);
    assert_eq!(world.engine.rewrap_all().unwrap(), 0, "doing it again finds nothing");
    world.kek.forget_former();
    let again = Engine::open(world.parts_again()).unwrap();
    assert!(again.snapshot(&ring()).is_ok() && again.audit(0, 100).unwrap().verified);
    assert!(again.authenticate(&text, &Peer::default()).is_ok());
    drop(again);
    world.live(&mut [&mut api, &mut edge], 4);
    assert_eq!(world.primary(), Some(version(2)));
}

#[test]
fn a_row_under_a_key_that_is_not_at_hand_says_which_key_it_wants() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let wanted = keywheel_engine::ports::Kek::id(world.kek.as_ref()).0;
    let next = world.folder.path().join("next.key");
    let next = FileKek::open_or_create(&next, Arc::new(SeededEntropy::new(99))).unwrap();
    world.kek.promote(Arc::new(next));
    world.kek.forget_former();
    // A server that was just started has opened nothing yet.
    let sealer = Sealer::new(world.kek.clone(), Arc::new(SeededEntropy::new(5)));
    let parts = Parts { seal: Arc::new(sealer), ..world.parts("c") };
    let error = Engine::open(parts).err().unwrap();
    assert!(error.to_string().contains(&wanted), "{error}");
    assert!(error.remedy().contains("master key"));
}
