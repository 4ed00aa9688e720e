//! Proofs that must not count: each is what a bug, a stale cache or a forked child would send.

use std::sync::Arc;
use std::time::Duration;

use keywheel_core::gate::{EvidenceLevel, GateStatus, Verdict};
use keywheel_core::ring::Stage;
use keywheel_engine::{EngineError, ReportVerdict, Verb};

use crate::support::{Worker, World, context, named, new_instance, ring, spec, version, why, with};

#[test]
fn a_sequence_that_was_used_is_refused() {
    let world = World::new();
    let (mut api, _) = world.settled(&spec("secret"));
    let mut again = api.clone();
    assert_eq!(api.prove(&world.engine), ReportVerdict::Proved);
    // The very same report once more: a replay.
    assert!(why(&again.prove(&world.engine)).contains("used before"));
    let old = {
        api.sequence -= 3;
        api.report()
    };
    assert!(why(&api.send(&world.engine, old)).contains("used before"));
}

#[test]
fn a_nonce_that_was_used_proves_nothing() {
    let world = World::new();
    let (mut api, _) = world.settled(&spec("secret"));
    let used = api.nonce.clone();
    assert_eq!(api.prove(&world.engine), ReportVerdict::Proved);
    api.nonce = used;
    assert_eq!(api.prove(&world.engine), ReportVerdict::Stale);
    // With the one that came back it can go on.
    assert_eq!(api.prove(&world.engine), ReportVerdict::Proved);
}

#[test]
fn a_forked_child_cannot_go_on_as_its_parent() {
    let world = World::new();
    let (mut parent, mut edge) = world.settled(&spec("secret"));
    let mut child = parent.clone();
    assert_eq!(parent.prove(&world.engine), ReportVerdict::Proved);
    assert!(why(&child.prove(&world.engine)).contains("forked child"));

    // The child was faster: then it is the parent that must register anew, and is waited for.
    world.rotate();
    world.pass(Duration::from_millis(400));
    let mut child = parent.clone();
    assert_eq!(child.converge(&world.engine), ReportVerdict::Proved);
    assert!(why(&parent.prove(&world.engine)).contains("used before"));
    let mut parent = Worker::join(&world.engine, "api");
    edge.converge(&world.engine);
    world.pass_secs(1);
    assert_eq!(world.stage(), Some(Stage::Confirm));
    parent.converge(&world.engine);
    child.converge(&world.engine);
    edge.converge(&world.engine);
    world.pass(Duration::from_millis(400));
    assert_eq!(world.stage(), Some(Stage::Promote));
}

#[test]
fn whoever_says_less_than_was_shown_is_another_process() {
    let world = World::new();
    let (mut parent, _) = world.settled(&spec("secret"));
    let mut child = parent.clone();
    world.rotate();
    world.pass(Duration::from_millis(400));
    assert_eq!(child.converge(&world.engine), ReportVerdict::Proved);
    // Its numbers ran ahead of the child's, so only what it holds gives it away.
    parent.sequence += 10;
    let renewal = parent.renewal();
    assert!(why(&parent.send(&world.engine, renewal)).contains("share one identity"));
}

#[test]
fn the_key_of_another_ring_proves_nothing() {
    let world = World::new();
    let (mut api, _) = world.settled(&spec("secret"));
    world.create(&named("other"), &spec("secret"));
    let mut other = Worker::join_ring(&world.engine, "api", &named("other")).unwrap();
    other.load(&world.engine);
    let foreign = other.held.clone().unwrap();
    // As if the other ring's key stood in this ring's place.
    let mut report = api.report();
    let swapped = api.report_of(&foreign);
    report.sequence = swapped.sequence;
    report.proofs = swapped.proofs;
    let verdict = api.send(&world.engine, report);
    assert_eq!(why(&verdict), "the proof of v1 does not hold");
}

#[test]
fn a_former_life_proves_nothing() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let former = api.held.clone().unwrap();
    world.engine.adopt(&context()).unwrap();
    // The instance is forgotten with the life.
    let report = api.report();
    let error = api.try_send(&world.engine, report).unwrap_err();
    assert!(matches!(error, EngineError::NotFound { what: "instance", .. }));
    edge.load_after_join(&world);
    let mut api = Worker::join(&world.engine, "api");
    let report = api.report_of(&former);
    assert_eq!(api.send(&world.engine, report), ReportVerdict::Stale);
    // What was proved of the former life, said of the present one.
    let served = world.engine.snapshot(&ring()).unwrap().ring;
    let mut report = api.report_of(&former);
    report.incarnation = served.incarnation;
    report.revision = served.keyset_revision;
    assert_eq!(why(&api.send(&world.engine, report)), "the accepted set is another one");
    assert_eq!(api.converge(&world.engine), ReportVerdict::Proved);
}

impl Worker {
    /// Registers anew, as a process does that is not known any more.
    fn load_after_join(&mut self, world: &World) {
        *self = Self::join(&world.engine, self.consumer.as_str());
        self.load(&world.engine);
    }
}

#[test]
fn an_instance_of_another_consumer_looks_like_none() {
    let world = World::new();
    let (mut api, edge) = world.settled(&spec("secret"));
    let report = api.report();
    let asked = world.engine.report(&edge.consumer, &api.id, &[report], false);
    assert!(matches!(asked, Err(EngineError::NotFound { what: "instance", .. })));
    let asked = world.engine.material(&ring(), &edge.consumer, &api.id);
    assert!(matches!(asked, Err(EngineError::NotFound { what: "instance", .. })));
    let stranger = Worker::join_ring(&world.engine, "nobody", &ring());
    let Err(EngineError::Rings(refused)) = stranger else { panic!("a stranger was let in") };
    assert!(matches!(refused.as_slice(), [(one, EngineError::Forbidden { .. })] if *one == ring()));
}

#[test]
fn a_proof_from_before_a_rollback_proves_nothing() {
    let world = World::new();
    let (mut api, _) = world.settled(&spec("secret"));
    world.rotate();
    world.pass(Duration::from_millis(400));
    api.load(&world.engine);
    let before = api.held.clone().unwrap();
    let report = api.report();
    world.engine.act(&ring(), &Verb::Rollback, &context()).unwrap();
    assert_eq!(api.send(&world.engine, report), ReportVerdict::Stale);
    let mut report = api.report_of(&before);
    report.revision = world.engine.snapshot(&ring()).unwrap().ring.keyset_revision;
    let verdict = api.send(&world.engine, report);
    assert_eq!(why(&verdict), "the accepted set is another one");
}

#[test]
fn each_version_is_proved_and_the_primary_is_used() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("signing"));
    world.rotate();
    world.pass(Duration::from_millis(400));
    api.load(&world.engine);

    let mut report = api.report();
    report.proofs.remove(&version(1));
    assert_eq!(why(&api.send(&world.engine, report)), "no proof of v1");
    let mut report = api.report();
    report.answer = None;
    let verdict = api.send(&world.engine, report);
    assert_eq!(why(&verdict), "a protector must answer the challenge");
    let mut report = api.report();
    report.answer = api.answer(&api.held.clone().unwrap(), version(2));
    assert_eq!(why(&api.send(&world.engine, report)), "the answer is not made with v1");
    let mut report = api.report();
    report.answer = Some(vec![0; 64]);
    assert_eq!(why(&api.send(&world.engine, report)), "the answer is not made with v1");
    assert_eq!(api.prove(&world.engine), ReportVerdict::Proved);
    // Whoever only processes a signing ring has no key to answer with.
    edge.load(&world.engine);
    let report = edge.report();
    assert!(report.answer.is_none());
    assert_eq!(edge.send(&world.engine, report), ReportVerdict::Proved);
}

#[test]
fn who_cannot_prove_is_not_heard() {
    let world = World::new();
    let (mut api, _) = world.settled(&spec("secret"));
    world.pass_secs(5);
    let silent = |world: &World| {
        let infos = world.engine.snapshot(&ring()).unwrap().instances;
        infos.iter().find(|info| info.consumer == api.consumer).unwrap().silent_for
    };
    let before = silent(&world);
    let mut other = api.clone();
    other.registration = Arc::new(world.engine.register(&new_instance("api", &ring())).unwrap());
    // The right key, but the secret of another instance.
    let report = other.report();
    assert_eq!(why(&other.send(&world.engine, report)), "the proof of v1 does not hold");
    assert!(silent(&world) >= before);
    api.sequence = other.sequence;
    api.prove(&world.engine);
}

#[test]
fn evidence_from_before_the_publication_opens_nothing() {
    let world = World::new();
    let (mut api, mut edge) =
        world.settled(&with("secret", serde_json::json!({ "require": ["probes"] })));
    let evidence = || Verb::Evidence {
        gate: "probes".parse().unwrap(),
        version: Some(version(2)),
        verdict: Verdict::Pass,
        level: EvidenceLevel::Probed,
    };
    world.rotate();
    world.engine.act(&ring(), &evidence(), &context()).unwrap();
    world.live(&mut [&mut api, &mut edge], 2);
    assert_eq!(world.stage(), Some(Stage::Confirm));
    let gates = world.engine.snapshot(&ring()).unwrap().gates;
    let probes = gates.iter().flat_map(|(.., gates)| gates).find(|gate| gate.name == "probes");
    assert!(matches!(probes.unwrap().status, GateStatus::Waiting { .. }));
    world.engine.act(&ring(), &evidence(), &context()).unwrap();
    world.live(&mut [&mut api, &mut edge], 1);
    assert_eq!(world.primary(), Some(version(2)));
}
