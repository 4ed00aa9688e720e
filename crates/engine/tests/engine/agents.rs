//! Processes that answer for consumers which cannot speak: how strongly they show, what they take
//! back, what their silence means, and who takes their place.

use std::sync::Arc;
use std::time::Duration;

use keywheel_core::gate::{EvidenceLevel, GateStatus, Laggard};
use keywheel_core::ring::{Exception, Stage};
use keywheel_core::view::{Instance, Standing};
use keywheel_engine::{Engine, EngineError, NewInstance, Predecessor, ReportVerdict, Verb};
use zeroize::Zeroizing;

use crate::support::{
    Fate, Worker, World, context, named, new_instance, ring, spec, stage, version, with,
};

fn seen(engine: &Engine, worker: &Worker) -> Option<Instance> {
    let view = engine.snapshot(&worker.ring).unwrap().view;
    view.instances.into_iter().find(|one| one.id == worker.id)
}

fn standing(engine: &Engine, worker: &Worker) -> Option<Standing> {
    let snapshot = engine.snapshot(&worker.ring).unwrap();
    seen(engine, worker).map(|one| one.standing(&snapshot.ring, snapshot.now.cluster))
}

/// Who keeps the gate `instances` closed.
fn missing(engine: &Engine) -> Vec<Laggard> {
    let gates = engine.snapshot(&ring()).unwrap().gates;
    let gate = gates.into_iter().flat_map(|(_, _, gates)| gates);
    gate.filter(|gate| gate.name == "instances")
        .flat_map(|gate| match gate.status {
            GateStatus::Waiting { missing, .. } => missing,
            _ => Vec::new(),
        })
        .collect()
}

/// Loads and proves with this evidence.
fn show(worker: &mut Worker, engine: &Engine, level: EvidenceLevel) -> ReportVerdict {
    worker.load(engine);
    let mut report = worker.report();
    report.evidence = level;
    worker.send(engine, report)
}

fn in_trouble(worker: &mut Worker, engine: &Engine, text: &str) -> ReportVerdict {
    let mut report = worker.renewal();
    report.trouble = Some(text.into());
    worker.send(engine, report)
}

fn enduring(consumer: &str) -> NewInstance {
    NewInstance { endures: true, ..new_instance(consumer, &ring()) }
}

fn successor(of: &Worker) -> NewInstance {
    let predecessor = Predecessor {
        instance: of.id.clone(),
        secret: Zeroizing::new(of.registration.secret.to_vec()),
    };
    let consumer = of.consumer.as_str();
    NewInstance { succeeds: Some(predecessor), ..new_instance(consumer, &of.ring) }
}

#[test]
fn a_rotation_waits_for_the_evidence_that_its_policy_asks_for() {
    let world = World::new();
    let consumers = serde_json::json!({ "consumer": [
        { "name": "api", "role": "protect" },
        { "name": "edge", "role": "process", "min_evidence": "probed" },
    ] });
    let (mut api, mut edge) = world.settled(&with("secret", consumers));
    world.rotate();
    world.pass(Duration::from_millis(400));
    api.converge(&world.engine);
    assert_eq!(show(&mut edge, &world.engine, EvidenceLevel::Attested), ReportVerdict::Proved);
    world.pass_secs(1);
    assert_eq!(world.stage(), Some(Stage::Confirm));
    assert_eq!(missing(&world.engine)[0].why, "shown by attested, needs probed");
    assert_eq!(show(&mut edge, &world.engine, EvidenceLevel::Probed), ReportVerdict::Proved);
    world.pass(Duration::from_millis(400));
    assert_eq!(world.primary(), Some(version(2)));
    let held = seen(&world.engine, &edge).unwrap().held.unwrap();
    assert_eq!(held.level, EvidenceLevel::Probed);
    let held = seen(&world.engine, &api).unwrap().held.unwrap();
    assert_eq!(held.level, EvidenceLevel::Held, "a report that says nothing counts as held");
}

#[test]
fn a_trouble_takes_back_what_was_proved_until_the_next_proof() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    world.rotate();
    world.pass(Duration::from_millis(400));
    edge.converge(&world.engine);
    assert_eq!(in_trouble(&mut edge, &world.engine, "the probe got 502"), ReportVerdict::Stale);
    api.converge(&world.engine);
    world.pass_secs(1);
    assert_eq!(world.stage(), Some(Stage::Confirm));
    let laggard = missing(&world.engine).remove(0);
    assert_eq!((laggard.instance, laggard.standing), (Some(edge.id.clone()), Standing::Live));
    assert_eq!(laggard.why, "in trouble: the probe got 502");
    // To be there is not enough, and another trouble replaces the first.
    let renewal = edge.renewal();
    assert_eq!(edge.send(&world.engine, renewal), ReportVerdict::Stale);
    in_trouble(&mut edge, &world.engine, "the probe timed out");
    assert_eq!(missing(&world.engine)[0].why, "in trouble: the probe timed out");
    assert_eq!(edge.prove(&world.engine), ReportVerdict::Proved);
    world.pass(Duration::from_millis(400));
    assert_eq!(world.primary(), Some(version(2)));
}

#[test]
fn a_trouble_is_known_to_every_server_before_it_is_acknowledged() {
    let world = World::new();
    let (_, mut edge) = world.settled(&spec("secret"));
    in_trouble(&mut edge, &world.engine, "the probe got 502");
    // The server dies at once, without having written anything in the background.
    let second = world.second("b");
    let known = seen(&second, &edge).unwrap();
    assert_eq!((known.trouble.as_deref(), known.held), (Some("the probe got 502"), None));
    assert_eq!(edge.prove(&second), ReportVerdict::Proved);
    assert_eq!(seen(&second, &edge).unwrap().trouble, None);
}

#[test]
fn what_people_could_not_read_is_refused_and_changes_nothing() {
    let world = World::new();
    let (_, mut edge) = world.settled(&spec("secret"));
    let long = "x".repeat(301);
    for text in ["", "a\nb", "\u{1b}[2J", "a\u{202e}b", "\u{7}", &long] {
        let mut report = edge.renewal();
        report.trouble = Some(text.into());
        let refused = edge.try_send(&world.engine, report).err().unwrap();
        assert!(matches!(&refused, EngineError::Invalid { field, .. } if field == "trouble"));
    }
    let mut report = edge.report();
    report.trouble = Some("both".into());
    assert!(matches!(edge.try_send(&world.engine, report), Err(EngineError::Invalid { .. })));
    let mut report = edge.report();
    report.evidence = EvidenceLevel::Assumed;
    assert!(matches!(edge.try_send(&world.engine, report), Err(EngineError::Invalid { .. })));
    let known = seen(&world.engine, &edge).unwrap();
    assert!(known.trouble.is_none() && known.held.is_some());
    let longest = "é".repeat(300);
    assert_eq!(in_trouble(&mut edge, &world.engine, &longest), ReportVerdict::Stale);
}

#[test]
fn silence_does_not_end_what_endures_and_a_waiver_lets_a_rotation_go_on_without_it() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let mut nginx = Worker::join_as(&world.engine, enduring("edge")).unwrap();
    // It held a key once, and was never heard since: whichever server remembers it knows.
    nginx.load(&world.engine);
    let second = world.second("b");
    world.engine.stop();
    world.pass_with(&[&second], Duration::from_secs(3));
    for _ in 0..150 {
        api.converge(&second);
        edge.converge(&second);
        world.pass_with(&[&second], Duration::from_secs(1));
    }
    assert_eq!(standing(&second, &nginx), Some(Standing::Lost));
    second.act(&ring(), &Verb::Rotate { import: None }, &context()).unwrap();
    for _ in 0..30 {
        api.converge(&second);
        edge.converge(&second);
        world.pass_with(&[&second], Duration::from_secs(1));
    }
    assert_eq!(stage(&second), Some(Stage::Confirm));
    assert_eq!(missing(&second).len(), 1);
    let waive = Verb::Waive {
        gate: "instances".parse().unwrap(),
        version: Some(version(2)),
        instance: Some(nginx.id.clone()),
        lasts: keywheel_core::time::Span::from_secs(60),
    };
    second.act(&ring(), &waive, &context()).unwrap();
    world.pass_with(&[&second], Duration::from_secs(1));
    let primary = second.snapshot(&ring()).unwrap().ring.primary();
    assert_eq!(primary, Some(version(2)));
}

#[test]
fn what_endures_but_never_got_a_key_goes_like_everybody_else() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let early = Worker::join_as(&world.engine, enduring("edge")).unwrap();
    world.live(&mut [&mut api, &mut edge], 30);
    assert_eq!(standing(&world.engine, &early), Some(Standing::Gone));
    world.live(&mut [&mut api, &mut edge], 90);
    world.rotate();
    world.live(&mut [&mut api, &mut edge], 2);
    assert_eq!(seen(&world.engine, &early), None, "it is forgotten in the end");
}

#[test]
fn a_successor_takes_the_place_of_its_former_self_at_once() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let mut agent = Worker::join_as(&world.engine, enduring("edge")).unwrap();
    agent.converge(&world.engine);
    world.rotate();
    world.live(&mut [&mut api, &mut edge], 1);
    // The agent was restarted while the rotation waits for it; nothing is waived.
    let new = NewInstance { endures: true, ..successor(&agent) };
    let mut next = Worker::join_as(&world.engine, new.clone()).unwrap();
    assert_eq!(standing(&world.engine, &agent), Some(Standing::Gone));
    let second = world.second("b");
    assert!(seen(&second, &agent).unwrap().ended, "the end is durable");
    world.live(&mut [&mut api, &mut edge], 1);
    assert_eq!(world.stage(), Some(Stage::Confirm), "the successor has shown nothing yet");
    next.converge(&world.engine);
    world.live(&mut [&mut api, &mut edge], 1);
    assert_eq!(world.primary(), Some(version(2)));
    assert!(matches!(
        agent.try_send(&world.engine, Worker::renewal(&mut agent.clone())),
        Err(EngineError::NotFound { what: "instance", .. })
    ));
    // Whoever asks once more, because the answer was lost, finds nobody to end.
    assert!(Worker::join_as(&world.engine, new).is_ok());
}

#[test]
fn nobody_takes_a_place_with_a_wrong_secret_or_in_a_ring_it_does_not_register_for() {
    let world = World::new();
    let (_, edge) = world.settled(&spec("secret"));
    let other = named("other");
    world.create(&other, &spec("secret"));
    let known = |engine: &Engine| engine.snapshot(&ring()).unwrap().instances.len();
    let before = known(&world.engine);
    let mut forged = successor(&edge);
    let secret = &mut forged.succeeds.as_mut().unwrap().secret;
    secret[31] ^= 1;
    for wrong in [Vec::new(), vec![0; 32], secret.to_vec()] {
        forged.succeeds.as_mut().unwrap().secret = Zeroizing::new(wrong);
        let refused = Worker::join_as(&world.engine, forged.clone()).err().unwrap();
        assert!(matches!(&refused, EngineError::Forbidden { .. }), "{refused}");
    }
    assert_eq!(
        (known(&world.engine), standing(&world.engine, &edge)),
        (before, Some(Standing::Live))
    );

    let elsewhere = NewInstance { rings: vec![other], ..successor(&edge) };
    Worker::join_as(&world.engine, elsewhere).unwrap();
    let foreign = NewInstance { consumer: "api".parse().unwrap(), ..successor(&edge) };
    Worker::join_as(&world.engine, foreign).unwrap();
    assert_eq!(standing(&world.engine, &edge), Some(Standing::Live));
}

fn end(engine: &Engine, worker: &Worker) -> Result<(), EngineError> {
    engine.end_instance(&worker.id, std::slice::from_ref(&worker.ring), &context())
}

#[test]
fn an_instance_that_is_lost_for_good_is_ended_by_hand_once_and_for_every_server() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let mut nginx = Worker::join_as(&world.engine, enduring("edge")).unwrap();
    nginx.converge(&world.engine);
    let refused = end(&world.engine, &nginx).unwrap_err();
    assert!(matches!(refused, EngineError::Refused(_)), "{refused}");
    assert_eq!(standing(&world.engine, &nginx), Some(Standing::Live));
    // Its host is gone for longer than anything is remembered that has ended.
    world.live(&mut [&mut api, &mut edge], 200);
    assert_eq!(standing(&world.engine, &nginx), Some(Standing::Lost));
    world.rotate();
    world.live(&mut [&mut api, &mut edge], 2);
    assert_eq!(world.stage(), Some(Stage::Confirm));

    // Nobody is told that it has ended before it has.
    world.probe.next([Fate::Away]);
    assert!(matches!(end(&world.engine, &nginx), Err(EngineError::Store(_))));
    assert_eq!(standing(&world.engine, &nginx), Some(Standing::Lost));
    world.probe.calm();
    end(&world.engine, &nginx).unwrap();
    let second = world.second("b");
    assert!(seen(&second, &nginx).unwrap().ended, "the end is durable");
    let revision = world.engine.snapshot(&ring()).unwrap().ring.revision;
    end(&world.engine, &nginx).unwrap();
    assert_eq!(world.engine.snapshot(&ring()).unwrap().ring.revision, revision);
    assert_eq!(world.audit().iter().filter(|action| *action == "instance_ended").count(), 1);

    for engine in [&world.engine, &second] {
        let renewal = nginx.renewal();
        let refused = nginx.try_send(engine, renewal);
        assert!(matches!(refused, Err(EngineError::NotFound { what: "instance", .. })));
    }
    world.live(&mut [&mut api, &mut edge], 2);
    let ring = world.engine.snapshot(&ring()).unwrap().ring;
    assert_eq!(ring.primary(), Some(version(2)));
    let bent: Vec<_> = ring.bent.iter().map(|bent| (bent.version, bent.exception)).collect();
    assert_eq!(bent, [(version(2), Exception::EndedInstance)]);

    // No later rotation waits for it, and in the end it is forgotten.
    world.live(&mut [&mut api, &mut edge], 200);
    world.rotate();
    world.live(&mut [&mut api, &mut edge], 2);
    assert_eq!(world.primary(), Some(version(3)));
    assert_eq!(seen(&world.engine, &nginx), None);
    assert!(matches!(end(&world.engine, &nginx), Err(EngineError::NotFound { .. })));
}

#[test]
fn an_instance_that_is_heard_somewhere_while_it_is_ended_does_not_end() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let mut nginx = Worker::join_as(&world.engine, enduring("edge")).unwrap();
    nginx.converge(&world.engine);
    world.live(&mut [&mut api, &mut edge], 60);
    let second = world.second("b");
    let mut back = nginx.clone();
    world.probe.disturb({
        let second = Arc::clone(&second);
        move || {
            back.converge(&second);
        }
    });
    let refused = end(&world.engine, &nginx).unwrap_err();
    assert!(matches!(refused, EngineError::Refused(_)), "{refused}");
    world.probe.calm();
    assert_eq!(standing(&world.engine, &nginx), Some(Standing::Live));
}

#[test]
fn an_instance_that_is_heard_in_one_of_its_rings_ends_in_none() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    let other = named("other");
    world.create(&other, &spec("secret"));
    let rings = vec![ring(), other.clone()];
    let mut nginx =
        Worker::join_as(&world.engine, NewInstance { rings, ..enduring("edge") }).unwrap();
    nginx.converge(&world.engine);
    let mut there = nginx.clone();
    there.ring = other.clone();
    there.nonce = nginx.registration.nonces[&other].clone();
    world.live(&mut [&mut api, &mut edge], 60);
    let rings = world.engine.rings_of(&nginx.id).unwrap();
    assert_eq!(rings, [other, ring()]);
    assert_eq!(there.converge(&world.engine), ReportVerdict::Proved);
    assert!(world.engine.end_instance(&nginx.id, &rings, &context()).is_err());
    assert_eq!(standing(&world.engine, &nginx), Some(Standing::Lost));
    end(&world.engine, &nginx).unwrap();
    assert_eq!(standing(&world.engine, &nginx), Some(Standing::Gone));
    assert_eq!(standing(&world.engine, &there), Some(Standing::Live));
}
