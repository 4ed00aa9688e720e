//! Clients that answer for consumers which cannot speak, against a real server.

use keywheel_client::{Client, ClientError, RingHandle};
use keywheel_core::gate::{EvidenceLevel, GateStatus, Laggard};
use keywheel_core::id::{Incarnation, Revision};
use keywheel_core::ring::Stage;
use keywheel_core::time::Span;
use keywheel_core::view::Standing;
use serde_json::{Value, json};

use crate::support::{World, eventually, spec, with};

const SOON: Span = Span::from_secs(180);

/// Nginx can protect with what it holds; it must be probed.
fn policy() -> Value {
    with(
        spec("secret"),
        &json!({ "consumer": [
            { "name": "api", "role": "protect" },
            { "name": "nginx", "role": "protect", "min_evidence": "probed" },
        ] }),
    )
}

fn agent(world: &World) -> Client {
    world.builder("nginx", "r").deferred().endures().pid(4242).host("edge-7").build().unwrap()
}

fn held(ring: &RingHandle) -> (Incarnation, Revision) {
    let keyset = ring.current().unwrap();
    (keyset.incarnation().clone(), keyset.revision())
}

/// Delivers what is held, as an agent would.
fn deliver(ring: &RingHandle, level: EvidenceLevel) {
    eventually("what is held is confirmed", || {
        let (life, revision) = held(ring);
        ring.confirm(&life, revision, level).unwrap().then_some(())
    });
}

fn missing(world: &World, gate: &str) -> Vec<Laggard> {
    let gates = world.snapshot("r").gates.into_iter().flat_map(|(_, _, gates)| gates);
    gates
        .filter(|one| one.name == gate)
        .flat_map(|one| match one.status {
            GateStatus::Waiting { missing, .. } => missing,
            _ => Vec::new(),
        })
        .collect()
}

fn why(world: &World, gate: &str) -> Option<String> {
    let nginx = |laggard: &Laggard| laggard.consumer.as_str() == "nginx";
    missing(world, gate).into_iter().find(nginx).map(|laggard| laggard.why)
}

fn stage(world: &World) -> Option<Stage> {
    world.snapshot("r").ring.path.map(|path| path.stage)
}

#[test]
fn a_rotation_waits_for_each_delivery_and_for_its_evidence() {
    let world = World::new();
    world.put("r", &policy());
    let api = world.client("api", "r");
    api.start().unwrap();
    let nginx = agent(&world);
    let ring = nginx.ring("r").unwrap();
    deliver(&ring, EvidenceLevel::Probed);
    eventually("both prove", || (world.proved("r").len() == 2).then_some(()));
    eventually("the process itself knows too", || {
        (ring.health().confirmed == Some(EvidenceLevel::Probed)).then_some(())
    });
    let info = world.snapshot("r").instances.into_iter().find(|info| info.pid == 4242).unwrap();
    assert_eq!(info.host, "edge-7");

    let (life, revision) = held(&ring);
    world.rotate("r");
    let next = ring.wait_for_change(Some((&life, revision)), SOON).unwrap().unwrap();
    assert!(next.revision() > revision);
    eventually("it is waited for", || {
        (why(&world, "instances")? == format!("holds {revision}, not yet {}", next.revision()))
            .then_some(())
    });
    eventually("nothing is confirmed", || ring.health().confirmed.is_none().then_some(()));
    assert!(!ring.confirm(&life, revision, EvidenceLevel::Probed).unwrap(), "that is the old one");
    deliver(&ring, EvidenceLevel::Attested);
    eventually("it shows too little", || {
        (why(&world, "instances")? == "shown by attested, needs probed").then_some(())
    });
    assert_eq!(stage(&world), Some(Stage::Confirm));
    deliver(&ring, EvidenceLevel::Probed);
    eventually("v2 is primary", || (world.primary("r") == Some(2)).then_some(()));

    // What nginx protects with is what was delivered last, so the promotion waits for that too.
    eventually("the promotion waits for nginx", || {
        why(&world, "protectors").filter(|why| why.starts_with("protects with "))
    });
    let promoted = world.snapshot("r").ring.keyset().revision;
    eventually("it arrives", || (held(&ring).1 == promoted).then_some(()));
    deliver(&ring, EvidenceLevel::Probed);
    eventually("the rotation is done", || stage(&world).is_none().then_some(()));
}

#[test]
fn a_trouble_shows_and_closes_the_gate_until_it_is_over() {
    let world = World::new();
    world.put("r", &policy());
    let (api, nginx) = (world.client("api", "r"), agent(&world));
    api.start().unwrap();
    let ring = nginx.ring("r").unwrap();
    deliver(&ring, EvidenceLevel::Probed);
    eventually("both prove", || (world.proved("r").len() == 2).then_some(()));
    ring.trouble("the probe of /login\tgot 502").unwrap();
    eventually("the server knows", || {
        let view = world.snapshot("r").view;
        let trouble = view.instances.into_iter().find_map(|instance| instance.trouble)?;
        assert_eq!(trouble, "the probe of /login got 502");
        Some(())
    });
    assert_eq!(world.proved("r").len(), 1);
    eventually("it proves no more", || (!ring.health().proved).then_some(()));
    world.rotate("r");
    eventually("the gate says why", || {
        (why(&world, "instances")? == "in trouble: the probe of /login got 502").then_some(())
    });
    assert_eq!(world.primary("r"), Some(1));
    deliver(&ring, EvidenceLevel::Probed);
    eventually("v2 is primary", || {
        deliver(&ring, EvidenceLevel::Probed);
        (world.primary("r") == Some(2)).then_some(())
    });
}

#[test]
fn an_agent_that_restarts_takes_its_own_place_without_a_waiver() {
    let world = World::new();
    world.put("r", &policy());
    let path = world.folder.path().join("identity");
    let with_identity = || {
        let builder = world.builder("nginx", "r").deferred().endures();
        builder.identity_file(&path).build().unwrap()
    };
    let (api, nginx) = (world.client("api", "r"), with_identity());
    api.start().unwrap();
    let ring = nginx.ring("r").unwrap();
    deliver(&ring, EvidenceLevel::Probed);
    eventually("both prove", || (world.proved("r").len() == 2).then_some(()));
    let first = eventually("it has a name", || ring.health().instance);

    // Two of them would answer for each other.
    let twin = with_identity();
    let refused = twin.start().unwrap_err().to_string();
    assert!(refused.contains("is in use by another process; give each"), "{refused}");
    drop(twin);

    world.rotate("r");
    eventually("nginx is waited for", || why(&world, "instances"));
    nginx.shutdown();
    drop((ring, nginx));
    let standing = |id: &keywheel_core::id::InstanceId| {
        let snapshot = world.snapshot("r");
        let instance = snapshot.view.instances.iter().find(|one| one.id == *id)?;
        Some(instance.standing(&snapshot.ring, snapshot.now.cluster))
    };
    assert_ne!(standing(&first), Some(Standing::Gone), "the consumer goes on without its agent");

    let nginx = with_identity();
    let ring = nginx.ring("r").unwrap();
    ring.current().unwrap();
    assert_eq!(standing(&first), Some(Standing::Gone));
    assert_eq!(why(&world, "instances").unwrap(), "has proved nothing yet");
    assert_eq!(stage(&world), Some(Stage::Confirm));
    eventually("the rotation goes through", || {
        deliver(&ring, EvidenceLevel::Probed);
        stage(&world).is_none().then_some(())
    });
    assert_eq!(world.primary("r"), Some(2));

    // What has ended says so, and leaves nobody to succeed.
    let second = eventually("it has a name", || ring.health().instance);
    eventually("it listens", || ring.health().listening.then_some(()));
    assert!(nginx.leave());
    assert_eq!(standing(&second), Some(Standing::Gone));
    assert!(!path.exists());
}

#[test]
fn a_forged_identity_is_refused_and_ends_nobody() {
    let world = World::new();
    world.put("r", &policy());
    let path = world.folder.path().join("identity");
    let with_identity = || {
        let builder = world.builder("nginx", "r").deferred().identity_file(&path);
        builder.first_use_timeout(Span::from_secs(60)).build().unwrap()
    };
    let nginx = with_identity();
    nginx.start().unwrap();
    let ring = nginx.ring("r").unwrap();
    let first = eventually("it has a name", || ring.health().instance);
    drop(ring);
    nginx.shutdown();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut forged: Value = serde_json::from_str(&text).unwrap();
    forged["secret"] = json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    std::fs::write(&path, forged.to_string()).unwrap();
    let refused = with_identity().start().unwrap_err().to_string();
    assert!(refused.contains("the secret is not the one of instance"), "{refused}");
    let known = world.snapshot("r").view.instances;
    assert_eq!(known.len(), 1);
    assert!(known[0].id == first && !known[0].ended);
    std::fs::write(&path, &text).unwrap();
    with_identity().start().unwrap();
    let known = world.snapshot("r").view.instances;
    assert!(known.iter().all(|one| one.ended == (one.id == first)));
}

#[test]
fn a_consumer_that_nobody_stops_is_never_gone_by_silence() {
    let world = World::new();
    let short = json!({ "offline_max": "2s", "lease_ttl": "1s", "longest_lifetime": "1s" });
    world.put("r", &with(policy(), &short));
    let nginx = agent(&world);
    let ring = nginx.ring("r").unwrap();
    deliver(&ring, EvidenceLevel::Probed);
    eventually("it proves", || ring.health().proved.then_some(()));
    let plain = world.builder("api", "r").deferred().build().unwrap();
    plain.start().unwrap();
    nginx.shutdown();
    plain.shutdown();
    let standings = || {
        let snapshot = world.snapshot("r");
        let of = |name: &str| {
            let mut all = snapshot.view.instances.iter();
            let one = all.find(|one| one.consumer.as_str() == name);
            one.map(|one| one.standing(&snapshot.ring, snapshot.now.cluster))
        };
        (of("nginx"), of("api"))
    };
    eventually("the one is gone and the other is not", || {
        (standings() == (Some(Standing::Lost), Some(Standing::Gone))).then_some(())
    });
}

#[test]
fn only_a_deferred_client_confirms_and_several_rings_are_waited_for_together() {
    let world = World::new();
    world.put("r", &policy());
    world.put("s", &policy());
    let api = world.client("api", "r");
    let ring = api.ring("r").unwrap();
    let (life, revision) = held(&ring);
    let confirm = |ring: &RingHandle, level| ring.confirm(&life, revision, level);
    assert!(matches!(confirm(&ring, EvidenceLevel::Probed), Err(ClientError::NotDeferred)));
    assert!(matches!(ring.trouble("x"), Err(ClientError::NotDeferred)));

    let nginx = world.builder("nginx", "r").ring("s").deferred().build().unwrap();
    let (r, s) = (nginx.ring("r").unwrap(), nginx.ring("s").unwrap());
    assert!(matches!(confirm(&r, EvidenceLevel::Assumed), Err(ClientError::NotEvidence)));
    let before = (held(&r), held(&s));
    assert!(!nginx.wait_until(Span::from_millis(20), || (held(&r), held(&s)) != before).unwrap());
    world.rotate("s");
    assert!(nginx.wait_until(SOON, || (held(&r), held(&s)) != before).unwrap());
    assert_ne!(held(&s), before.1);
    // Whoever waits can be called away, and learns of the end.
    let called = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waiting = scope
            .spawn(|| nginx.wait_until(SOON, || called.load(std::sync::atomic::Ordering::SeqCst)));
        called.store(true, std::sync::atomic::Ordering::SeqCst);
        nginx.nudge();
        assert!(waiting.join().unwrap().unwrap());
        let ended = scope.spawn(|| {
            let (life, revision) = held(&r);
            r.wait_for_change(Some((&life, revision)), SOON)
        });
        nginx.shutdown();
        assert!(matches!(ended.join().unwrap(), Err(ClientError::Closed)));
    });
    assert!(matches!(r.trouble("x"), Err(ClientError::Closed)));
}
