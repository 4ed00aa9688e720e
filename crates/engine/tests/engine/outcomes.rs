//! Commits whose answer is lost, and stores without room: nothing is doubled, nothing is lost.

use std::collections::BTreeSet;

use keywheel_engine::ports::StoreError;
use keywheel_engine::{EngineError, Verb};

use crate::support::{Fate, World, context, ring, spec, version};

#[test]
fn a_lost_answer_is_told_and_the_change_is_there_once() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let rotate = || world.engine.act(&ring(), &Verb::Rotate { import: None }, &context());
    world.probe.next([Fate::DoneUnheard]);
    let error = rotate().unwrap_err();
    assert!(matches!(error, EngineError::Unknown(_)));
    assert!(error.remedy().contains("Read the ring again"));
    assert!(matches!(rotate(), Err(EngineError::Refused(_))), "it is under way already");
    assert_eq!(world.audit(), ["created", "started"]);

    let mut again = context();
    again.idempotency_key = Some("k".into());
    world.probe.next([Fate::DoneUnheard]);
    let rollback = || world.engine.act(&ring(), &Verb::Rollback, &again);
    assert!(matches!(rollback(), Err(EngineError::Unknown(_))));
    rollback().unwrap();
    assert_eq!(world.audit(), ["created", "started", "rolled_back"]);
}

#[test]
fn a_lost_commit_leaves_everything_as_it_was() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let before = world.engine.snapshot(&ring()).unwrap().ring;
    world.probe.next([Fate::LostUnheard]);
    let acted = world.engine.act(&ring(), &Verb::Rotate { import: None }, &context());
    assert!(matches!(acted, Err(EngineError::Unknown(_))));
    assert_eq!(world.engine.snapshot(&ring()).unwrap().ring, before);
    world.rotate();
    assert_eq!(world.audit(), ["created", "started"]);
}

#[test]
fn a_creation_whose_answer_is_lost_is_found_again() {
    let world = World::new();
    world.probe.next([Fate::DoneUnheard]);
    let put = || world.engine.put_ring(&ring(), &spec("secret"), None, None, &context());
    assert!(matches!(put(), Err(EngineError::Unknown(_))));
    assert_eq!(put().unwrap().ring.versions.len(), 1);
    assert_eq!(world.audit(), ["created"]);
}

#[test]
fn a_rotation_goes_on_through_lost_answers() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    world.rotate();
    for round in 0..60 {
        let fate = match round % 4 {
            0 => Fate::DoneUnheard,
            1 => Fate::LostUnheard,
            2 => Fate::Away,
            _ => Fate::Done,
        };
        world.probe.next([Fate::Done, fate]);
        let _ = api.try_converge(&world);
        let _ = edge.try_converge(&world);
        world.pass_secs(1);
    }
    world.probe.calm();
    world.live(&mut [&mut api, &mut edge], 25);
    let after = world.engine.snapshot(&ring()).unwrap().ring;
    assert_eq!((after.primary(), after.path), (Some(version(2)), None));
    let kids: BTreeSet<_> = after.versions.values().map(|version| &version.kid).collect();
    assert_eq!(kids.len(), 2);
    let actions = world.audit();
    let once = |action: &str| actions.iter().filter(|one| *one == action).count();
    for action in ["started", "published", "promoted", "done", "retired"] {
        assert_eq!(once(action), 1, "{action} in {actions:?}");
    }
}

impl crate::support::Worker {
    fn try_converge(&mut self, world: &World) -> Result<(), EngineError> {
        self.load(&world.engine);
        let report = self.report();
        self.try_send(&world.engine, report).map(drop)
    }
}

#[test]
fn a_full_store_refuses_and_loses_nothing() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let before = world.engine.snapshot(&ring()).unwrap().ring;
    world.probe.next((0..1_000).map(|_| Fate::Full));
    let error = world.engine.act(&ring(), &Verb::Rotate { import: None }, &context()).unwrap_err();
    assert!(matches!(error, EngineError::Store(StoreError::Full(_))));
    assert!(error.remedy().contains("Free space"));
    world.pass_secs(30);
    assert_eq!(world.engine.snapshot(&ring()).unwrap().ring, before);
    world.probe.calm();
    world.rotate();
    world.live(&mut [&mut api, &mut edge], 6);
    assert_eq!(world.primary(), Some(version(2)));
}
