//! Several servers over one store: who may act, and what a late one may not.

use std::sync::Arc;
use std::time::Duration;

use keywheel_core::ring::Stage;
use keywheel_engine::{EngineError, ReportVerdict, Verb};

use crate::support::{World, context, ring, spec, stage, version};

#[test]
fn a_follower_serves_but_does_not_act() {
    let world = World::new();
    let (mut api, _) = world.settled(&spec("secret"));
    let second = world.second("b");
    second.drive();
    assert!(!second.health().leads && world.engine.health().leads);
    let error = second.act(&ring(), &Verb::Pause, &context()).unwrap_err();
    assert!(matches!(error, EngineError::NotLeader));
    let error = second.put_ring(&"new".parse().unwrap(), &spec("secret"), None, None, &context());
    assert!(matches!(error, Err(EngineError::NotLeader)));
    assert!(matches!(second.adopt(&context()), Err(EngineError::NotLeader)));
    assert_eq!(api.converge(&second), ReportVerdict::Proved);
    assert_eq!(
        second.snapshot(&ring()).unwrap().ring,
        world.engine.snapshot(&ring()).unwrap().ring
    );
}

#[test]
fn another_server_takes_over_when_the_lease_has_ended_and_hears_everybody_first() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let second = world.second("b");
    world.rotate();
    world.pass(Duration::from_millis(400));
    // Everybody has proved to the first server, which then stands still.
    api.converge(&world.engine);
    edge.converge(&world.engine);
    world.pass_with(&[&second], Duration::from_secs(1));
    assert!(!second.health().leads);
    world.pass_with(&[&second], Duration::from_millis(1_200));
    assert!(second.health().leads);
    assert!(second.health().fence > world.engine.health().fence);
    // What the first one heard last is not known to the second, so the gate stays closed.
    world.pass_with(&[&second], Duration::from_secs(1));
    assert_eq!(stage(&second), Some(Stage::Confirm));
    for _ in 0..4 {
        api.converge(&second);
        edge.converge(&second);
        world.pass_with(&[&second], Duration::from_millis(500));
    }
    assert_eq!(second.snapshot(&ring()).unwrap().ring.primary(), Some(version(2)));

    let error = world.engine.act(&ring(), &Verb::Pause, &context()).unwrap_err();
    assert!(matches!(error, EngineError::NotLeader));
    world.engine.drive();
    assert!(!world.engine.health().leads);
}

#[test]
fn a_leader_that_wakes_up_in_the_middle_of_a_commit_is_fenced() {
    let world = World::new();
    world.settled(&spec("secret"));
    let second = world.second("b");
    let (clock, other) = (Arc::clone(&world.clock), Arc::clone(&second));
    let mut slept = false;
    world.probe.disturb(move || {
        if !std::mem::replace(&mut slept, true) {
            clock.advance(Duration::from_secs(5));
            other.drive();
        }
    });
    let before = world.engine.snapshot(&ring()).unwrap().ring;
    let error = world.engine.act(&ring(), &Verb::Pause, &context()).unwrap_err();
    assert!(matches!(error, EngineError::NotLeader), "{error}");
    assert!(second.health().leads);
    assert_eq!(second.snapshot(&ring()).unwrap().ring, before);
    second.act(&ring(), &Verb::Pause, &context()).unwrap();
}

#[test]
fn a_leader_that_could_not_renew_begins_anew() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let (fence, cluster) = (world.engine.health().fence, world.engine.health().cluster);
    // Cut off from the store for five minutes: nobody else took the lease.
    world.clock.advance(Duration::from_mins(5));
    world.engine.drive();
    assert!(world.engine.health().fence > fence);
    let credited = world.engine.health().cluster.since(cluster);
    assert!(credited.as_secs() <= 3, "{credited} was credited");
    // Those who kept silent with it are not gone, and the gates wait to hear of them.
    world.rotate();
    api.converge(&world.engine);
    world.pass_secs(3);
    assert_eq!(world.stage(), Some(Stage::Confirm));
    world.live(&mut [&mut api, &mut edge], 2);
    assert_eq!(world.primary(), Some(version(2)));
}

#[test]
fn a_stopped_server_gives_the_lease_back_at_once() {
    let world = World::new();
    let second = world.second("b");
    second.drive();
    assert!(!second.health().leads);
    world.engine.stop();
    second.drive();
    assert!(second.health().leads);
}
