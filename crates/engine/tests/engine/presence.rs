//! Who is known to run: what other servers heard counts, and what was answered is not lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keywheel_core::ring::Stage;
use keywheel_core::view::Standing;
use keywheel_engine::ports::StoreError;
use keywheel_engine::{Engine, EngineError, ReportVerdict};

use crate::support::{Fate, Worker, World, context, named, ring, spec, stage, version, with};

fn standing(engine: &Engine, worker: &Worker) -> Standing {
    let snapshot = engine.snapshot(&ring()).unwrap();
    let instance = snapshot.view.instances.iter().find(|one| one.id == worker.id).unwrap();
    instance.standing(&snapshot.ring, snapshot.now.cluster)
}

#[test]
fn who_is_heard_by_a_follower_is_heard_by_the_leader() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let second = world.second("b");
    // The follower rests for so long that its own idea of the time would be far behind.
    for _ in 0..60 {
        api.converge(&world.engine);
        edge.converge(&world.engine);
        world.pass_with(&[&world.engine, &second], Duration::from_secs(1));
    }
    for _ in 0..40 {
        api.converge(&second);
        edge.converge(&second);
        world.pass_with(&[&second, &world.engine], Duration::from_secs(1));
    }
    assert_eq!(standing(&world.engine, &api), Standing::Live);
    assert_eq!(standing(&world.engine, &edge), Standing::Live);
}

#[test]
fn a_process_may_report_where_it_did_not_register() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let second = world.second("b");
    let mut api = Worker::join(&world.engine, "api");
    // The other server has not followed the store yet.
    assert_eq!(api.converge(&second), ReportVerdict::Proved);
    assert_eq!(api.converge(&world.engine), ReportVerdict::Stale);
    assert_eq!(api.converge(&world.engine), ReportVerdict::Proved);
}

#[test]
fn two_servers_that_hear_one_process_do_not_undo_each_other() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let second = world.second("b");
    let mut api = Worker::join(&world.engine, "api");
    second.drive();
    api.converge(&world.engine);
    // The second server hears it later; then both write, the one with the older news last.
    assert_eq!(api.converge(&second), ReportVerdict::Stale);
    assert_eq!(api.converge(&second), ReportVerdict::Proved);
    second.drive();
    world.engine.stop();
    let third = world.second("c");
    assert_eq!(api.converge(&third), ReportVerdict::Proved, "the newest sequence was kept");
}

#[test]
fn a_contact_that_the_store_cannot_keep_is_not_acknowledged_for_long() {
    let world = World::new();
    let (mut api, _) = world.settled(&spec("secret"));
    world.pass_secs(1);
    let mut refused = None;
    for step in 0..10 {
        let report = api.renewal();
        world.probe.next((0..4).map(|_| Fate::Full));
        match api.try_send(&world.engine, report) {
            Ok(_) => {}
            Err(error) => {
                assert!(matches!(error, EngineError::Store(StoreError::Full(_))), "{error}");
                refused.get_or_insert(step);
            }
        }
        world.probe.calm();
        world.clock.advance(Duration::from_millis(500));
    }
    // One lease of 2 s is the most by which an answer may run ahead of the store.
    assert!(refused.is_some_and(|step| step <= 5), "{refused:?}");
    let report = api.renewal();
    assert!(api.try_send(&world.engine, report).is_ok());
}

#[test]
fn what_a_dead_server_heard_last_is_allowed_for() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    world.pass_with(&[&world.engine], Duration::from_secs(1));
    // Heard, answered, not written: then the server dies.
    world.clock.advance(Duration::from_millis(900));
    assert_eq!(api.converge(&world.engine), ReportVerdict::Proved);
    edge.converge(&world.engine);
    let second = world.second("b");
    world.pass_with(&[&second], Duration::from_secs(4));
    assert!(second.health().leads);
    // Offline for 20 s, 1 s of skew: until then it may protect, whoever remembers what.
    let gone = |second: &Engine| standing(second, &api) == Standing::Gone;
    world.pass_with(&[&second], Duration::from_millis(16_500));
    assert!(!gone(&second));
    world.pass_with(&[&second], Duration::from_secs(12));
    assert!(gone(&second));
}

#[test]
fn a_server_that_stood_still_does_not_take_what_it_hears_for_old() {
    let world = World::new();
    let (mut api, _) = world.settled(&spec("secret"));
    let second = world.second("b");
    second.drive();
    world.engine.drive();
    // The follower stands still for 15 s, and answers before its first round after that.
    world.pass(Duration::from_secs(15));
    assert_eq!(api.converge(&second), ReportVerdict::Proved);
    // Then the leader dies. The process may protect for 20 s more, whoever leads.
    world.pass_with(&[&second], Duration::from_millis(19_800));
    assert!(second.health().leads);
    assert_ne!(standing(&second, &api), Standing::Gone);
    world.pass_with(&[&second], Duration::from_secs(12));
    assert_eq!(standing(&second, &api), Standing::Gone);
}

#[test]
fn a_deposed_leader_that_does_not_know_it_does_not_take_what_it_hears_for_old() {
    let world = World::new();
    let (mut api, _) = world.settled(&spec("secret"));
    let second = world.second("b");
    second.drive();
    // The leader stands still for 15 s. Another one leads meanwhile.
    world.pass_with(&[&second], Duration::from_secs(15));
    assert!(second.health().leads && world.engine.health().leads);
    assert_eq!(api.converge(&world.engine), ReportVerdict::Proved);
    // Then that one dies, and the first one takes the lease again.
    world.pass(Duration::from_millis(19_800));
    assert!(world.engine.health().fence > second.health().fence);
    assert_ne!(standing(&world.engine, &api), Standing::Gone);
    world.pass(Duration::from_secs(12));
    assert_eq!(standing(&world.engine, &api), Standing::Gone);
}

#[test]
fn a_shorter_lease_of_the_ring_forgets_nobody_who_was_heard_under_a_longer_one() {
    let world = World::new();
    let slow = with("secret", serde_json::json!({ "lease_ttl": "20s" }));
    let (mut api, _) = world.settled(&slow);
    let second = world.second("b");
    second.drive();
    world.pass_with(&[&world.engine, &second], Duration::from_secs(1));
    // Answered by the follower for 8 s, which writes none of it down: then it dies.
    for _ in 0..8 {
        world.pass(Duration::from_secs(1));
        assert_eq!(api.converge(&second), ReportVerdict::Proved);
    }
    drop(second);
    let quick = with("secret", serde_json::json!({ "lease_ttl": "100ms" }));
    world.engine.put_ring(&ring(), &quick, None, None, &context()).unwrap();
    world.pass(Duration::from_millis(19_800));
    assert_ne!(standing(&world.engine, &api), Standing::Gone);
}

#[test]
fn a_registration_is_durable_before_it_is_answered() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    world.probe.next([Fate::Full]);
    let refused = Worker::join_ring(&world.engine, "api", &ring());
    assert!(matches!(refused, Err(EngineError::Store(StoreError::Full(_)))));
    let api = Worker::join(&world.engine, "api");
    // The server dies at once; the next one knows the process, and waits for it.
    let second = world.second("b");
    world.pass_with(&[&second], Duration::from_secs(3));
    assert_eq!(second.snapshot(&ring()).unwrap().instances.len(), 1);
    assert_eq!(second.snapshot(&ring()).unwrap().instances[0].id, api.id);
}

#[test]
fn a_joiner_is_waited_for_and_a_goodbye_ends_the_wait() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    world.rotate();
    world.pass(Duration::from_millis(400));
    let mut joiner = Worker::join(&world.engine, "edge");
    world.live(&mut [&mut api, &mut edge], 1);
    assert_eq!(stage(&world.engine), Some(Stage::Confirm), "it may hold the former keyset");
    joiner.load(&world.engine);
    let farewell = joiner.renewal();
    world.engine.report(&joiner.consumer, &joiner.id, &[farewell], true).unwrap();
    world.live(&mut [&mut api, &mut edge], 1);
    assert_eq!(world.primary(), Some(version(2)));
    let after = joiner.renewal();
    assert!(matches!(
        joiner.try_send(&world.engine, after),
        Err(EngineError::NotFound { what: "instance", .. })
    ));
}

#[test]
fn registrations_at_the_same_time_are_all_kept() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    world.create(&named("other"), &spec("secret"));
    let engine = Arc::clone(&world.engine);
    let ids: BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16)
            .map(|thread| {
                let engine = &engine;
                scope.spawn(move || {
                    let name = if thread % 2 == 0 { ring() } else { named("other") };
                    (0..25)
                        .map(|_| Worker::join_ring(engine, "api", &name).unwrap().id)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 400);
    let second = world.second("b");
    let known = |name| second.snapshot(&name).unwrap().instances.len();
    assert_eq!(known(ring()) + known(named("other")), 400);
}
