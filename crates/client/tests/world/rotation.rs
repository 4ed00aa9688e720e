//! Whole rotations between this client and a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use keywheel_client::{ClientError, ProcessError, ProtectError};
use keywheel_core::gate::GateStatus;
use keywheel_core::id::VersionNumber;
use keywheel_core::ring::State;
use serde_json::json;

use crate::relay::{Fault, Relay};
use crate::support::{World, context, eventually, spec, with};

fn version(number: u32) -> VersionNumber {
    VersionNumber(number)
}

#[test]
fn a_rotation_under_load_fails_nobody() {
    for kind in ["signing", "secret"] {
        let world = World::new();
        world.put("r", &spec(kind));
        let (api, edge) = (world.client("api", "r"), world.client("edge", "r"));
        let (signer, checker) = (api.ring("r").unwrap(), edge.ring("r").unwrap());
        signer.current().unwrap();
        checker.current().unwrap();
        eventually("both prove", || (world.proved("r").len() == 2).then_some(()));

        let running = Arc::new(AtomicBool::new(true));
        let done = Arc::new(AtomicUsize::new(0));
        let load = {
            let (signer, checker) = (signer.clone(), checker.clone());
            let (running, done) = (running.clone(), done.clone());
            std::thread::spawn(move || {
                while running.load(Ordering::Relaxed) {
                    let (kid, signature) = signer.sign(b"message").unwrap();
                    checker.verify(&kid.0, b"message", &signature).unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                    std::thread::park_timeout(std::time::Duration::from_micros(200));
                }
            })
        };
        let (old_kid, old_signature) = signer.sign(b"old").unwrap();
        world.rotate("r");
        eventually("v2 is primary", || (world.primary("r") == Some(2)).then_some(()));
        eventually("the signer switches", || {
            (signer.current().unwrap().primary_number() == Some(version(2))).then_some(())
        });
        checker.verify(&old_kid.0, b"old", &old_signature).unwrap();
        eventually("v1 retires, and everybody shows that it is gone", || {
            let snapshot = world.snapshot("r");
            matches!(
                snapshot.ring.versions[&version(1)].state,
                State::Retired { dropped: Some(_), .. }
            )
            .then_some(())
        });
        let refused = checker.verify(&old_kid.0, b"old", &old_signature).unwrap_err();
        assert!(matches!(refused, ProcessError::UnknownKid));
        running.store(false, Ordering::Relaxed);
        load.join().unwrap();
        assert!(done.load(Ordering::Relaxed) > 100);
        eventually("what was done is counted", || {
            let snapshot = world.snapshot("r");
            let counts = |instance: &keywheel_core::view::Instance| {
                instance.counts.get(&version(2)).is_some_and(|counts| counts.processed > 0)
            };
            (snapshot.view.instances.iter().any(counts) && snapshot.view.uses > 0).then_some(())
        });
    }
}

#[test]
fn work_in_progress_holds_the_drain_and_nothing_else() {
    let world = World::new();
    world.put("r", &spec("secret"));
    let (api, edge) = (world.client("api", "r"), world.client("edge", "r"));
    let ring = api.ring("r").unwrap();
    let guard = ring.guard().unwrap();
    edge.start().unwrap();
    world.rotate("r");
    eventually("v2 is primary", || (world.primary("r") == Some(2)).then_some(()));
    // New work takes the new version at once, while the old work goes on.
    eventually("new work switches", || {
        (ring.guard().unwrap().number() == version(2)).then_some(())
    });
    let promoted = world.snapshot("r").ring.keyset().revision;
    let older = eventually("the report names the older work", || {
        let snapshot = world.snapshot("r");
        let held = snapshot.view.instances.iter().filter_map(|instance| instance.held);
        held.clone().find(|held| held.revision == promoted && held.oldest_guard < promoted)
    });
    assert_eq!(older.oldest_guard, guard.revision());
    assert!(matches!(
        world.snapshot("r").ring.versions[&version(1)].state,
        State::Primary { .. } | State::Retiring { .. } | State::Published { .. }
    ));
    assert!(world.snapshot("r").ring.path.is_some(), "the promotion is not confirmed yet");
    drop(guard);
    eventually("the older work is reported as done", || {
        let snapshot = world.snapshot("r");
        let mut held = snapshot.view.instances.iter().filter_map(|instance| instance.held);
        held.all(|held| held.oldest_guard >= promoted).then_some(())
    });
    eventually("the path ends", || world.snapshot("r").ring.path.is_none().then_some(()));
}

/// Whoever asks hears it, and the server with them; a ring that nobody asks about stays as it is.
#[test]
fn a_primary_that_is_asked_about_at_too_great_an_age_is_replaced() {
    let world = World::new();
    let aging = with(spec("secret"), &json!({ "max_age_at_use": "1s" }));
    world.put("asked", &aging);
    world.put("idle", &aging);
    world.put("ageless", &spec("secret"));
    let [asked, idle, ageless] = ["asked", "idle", "ageless"].map(|name| {
        let client = world.client("api", name);
        let ring = client.ring(name).unwrap();
        assert!(ring.ensure_fresh().is_ok(), "the first question waits for the keys");
        (client, ring)
    });
    let edge = world.client("edge", "asked");
    edge.start().unwrap();
    // Nobody is asked twice about one primary: what is reported is one use, however often it is
    // asked for.
    eventually("it is too old", || (!asked.1.ensure_fresh().unwrap()).then_some(()));
    eventually("the next version protects", || {
        let _ = asked.1.ensure_fresh().unwrap();
        (asked.1.current().unwrap().primary_number()? >= version(2)).then_some(())
    });
    assert_eq!(world.primary("idle"), Some(1), "age alone is no reason");
    assert!(idle.1.current().is_ok());
    assert!(ageless.1.ensure_fresh().unwrap(), "its policy has no such age");
}

#[test]
fn an_unknown_kid_is_looked_up_at_once_and_not_too_often() {
    let world = World::new();
    world.put("r", &with(spec("signing"), &json!({ "lease_ttl": "10m", "offline_max": "1h" })));
    let relay = Relay::before(&world);
    relay.set(Fault::DropFeed);
    let edge = keywheel_client::Client::builder(relay.endpoint(), world.token("edge"))
        .consumer("edge")
        .ring("r")
        .build()
        .unwrap();
    let ring = edge.ring("r").unwrap();
    ring.current().unwrap();
    eventually("it proves", || (world.proved("r").len() == 1).then_some(()));
    world.rotate("r");
    let kid = eventually("v2 is published", || {
        let snapshot = world.snapshot("r");
        let found = snapshot.ring.versions.get(&version(2))?;
        matches!(found.state, State::Published { .. }).then(|| found.kid.clone())
    });
    assert_eq!(ring.version(&kid.0).unwrap().number(), version(2));
    // What nobody knows is asked for a few times, and then not any more.
    let unknown = || ring.version("nobody-has-this").err().unwrap();
    let answers: Vec<_> = (0..30).map(|_| unknown()).collect();
    assert!(answers.iter().all(|answer| matches!(answer, ProcessError::UnknownKid)));
}

#[test]
fn an_outage_is_survived_reported_and_bounded() {
    let mut world = World::new();
    let times = json!({ "lease_ttl": "1s", "offline_max": "8s", "longest_lifetime": "1s" });
    world.put("r", &with(spec("secret"), &times));
    let api = world.client("api", "r");
    let ring = api.ring("r").unwrap();
    let (kid, signature) = ring.sign(b"x").unwrap();
    eventually("it proves", || (world.proved("r").len() == 1).then_some(()));
    assert!(!ring.health().stale);
    world.stop();
    ring.sign(b"y").unwrap();
    eventually("staleness shows", || ring.health().stale.then_some(()));
    let refusal = eventually("protecting ends", || ring.sign(b"z").err());
    assert!(matches!(refusal, ProtectError::Offline { .. }), "{refusal}");
    assert!(ring.health().offline);
    eventually("its health says why", || ring.health().trouble);
    // Processing goes on.
    ring.verify(&kid.0, b"x", &signature).unwrap();
    world.start();
    eventually("protecting begins again", || ring.sign(b"w").ok());
    eventually("all is well", || {
        let health = ring.health();
        (!health.stale && health.listening && health.trouble.is_none()).then_some(())
    });
}

/// Waits until a host cache has a file that is whole, and not only one that is being written.
pub(crate) fn until_cached(cache: &std::path::Path) {
    let is_whole =
        |file: std::fs::DirEntry| file.path().extension().is_some_and(|x| x == "kwcache");
    eventually("the cache is written", || {
        let mut files = std::fs::read_dir(cache).ok()?.flatten();
        files.any(is_whole).then_some(())
    });
}

#[test]
fn a_process_starts_from_the_host_cache_when_no_server_answers() {
    let mut world = World::new();
    world.put("r", &spec("secret"));
    let cache = world.folder.path().join("cache");
    let token = world.token("api");
    let build = || {
        keywheel_client::Client::builder(world.endpoint(), token.clone())
            .consumer("api")
            .ring("r")
            .host_cache(&cache)
            .build()
            .unwrap()
    };
    let (first, second, third, fourth) = (build(), build(), build(), build());
    let (kid, signature) = first.ring("r").unwrap().sign(b"x").unwrap();
    until_cached(&cache);
    let key = {
        let guard = first.ring("r").unwrap().guard().unwrap();
        guard.material().expose().to_vec()
    };
    world.stop();
    let second_client = second;
    let second = second_client.ring("r").unwrap();
    second.verify(&kid.0, b"x", &signature).unwrap();
    second.sign(b"y").unwrap();
    let health = second.health();
    assert!(health.from_cache && health.stale && health.instance.is_none());
    for file in std::fs::read_dir(&cache).unwrap() {
        let raw = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!raw.windows(key.len()).any(|window| window == key));
    }

    // A goodbye takes the permission to protect along; to process remains.
    world.start();
    eventually("the first is heard again", || {
        let health = first.ring("r").unwrap().health();
        (!health.stale && health.listening).then_some(())
    });
    eventually("the second is heard", || {
        (!second.health().from_cache && second.health().listening).then_some(())
    });
    assert!(first.shutdown());
    // It must be gone altogether, for it writes the cache too.
    drop((second, second_client));
    third.start().unwrap();
    eventually("the third is heard", || third.ring("r").unwrap().health().listening.then_some(()));
    eventually("the third proves", || (!world.proved("r").is_empty()).then_some(()));
    assert!(third.shutdown());
    let files: Vec<_> = std::fs::read_dir(&cache).unwrap().collect();
    assert_eq!(files.len(), 1);
    world.stop();
    let fourth = fourth.ring("r").unwrap();
    fourth.verify(&kid.0, b"x", &signature).unwrap();
    assert!(matches!(fourth.guard().err().unwrap(), ProtectError::Unconfirmed));
}

#[test]
fn a_goodbye_ends_the_instance_and_a_closed_client_says_so() {
    let world = World::new();
    world.put("r", &spec("secret"));
    let api = world.client("api", "r");
    let ring = api.ring("r").unwrap();
    ring.sign(b"x").unwrap();
    eventually("it proves", || (world.proved("r").len() == 1).then_some(()));
    assert!(api.shutdown());
    assert!(world.snapshot("r").view.instances.iter().all(|instance| instance.ended));
    assert!(matches!(ring.sign(b"y"), Err(ProtectError::Client(ClientError::Closed))));

    // The last handle says goodbye by itself; one that holds a guard does not, and is lost later.
    let other = world.client("api", "r");
    other.start().unwrap();
    eventually("the other proves", || (world.proved("r").len() == 1).then_some(()));
    drop(other);
    assert!(world.snapshot("r").view.instances.iter().all(|instance| instance.ended));
    let busy = world.client("api", "r");
    let guard = busy.ring("r").unwrap().guard().unwrap();
    eventually("the busy one proves", || (world.proved("r").len() == 1).then_some(()));
    busy.shutdown();
    assert_eq!(world.proved("r").len(), 1, "what still protects has not ended");
    drop(guard);
}

#[test]
fn a_restored_ring_is_followed_without_a_gap() {
    let world = World::new();
    let times = json!({ "offline_max": "8s", "lease_ttl": "1s", "longest_lifetime": "1s" });
    world.put("r", &with(spec("signing"), &times));
    let (api, edge) = (world.client("api", "r"), world.client("edge", "r"));
    let (signer, checker) = (api.ring("r").unwrap(), edge.ring("r").unwrap());
    signer.current().unwrap();
    checker.current().unwrap();
    eventually("both prove", || (world.proved("r").len() == 2).then_some(()));
    let before = signer.current().unwrap().incarnation().clone();
    world.engine.adopt(&context()).unwrap();
    let exchange = || {
        let (kid, signature) = signer.sign(b"m").unwrap();
        checker.verify(&kid.0, b"m", &signature).unwrap();
    };
    eventually("both follow into the new life", || {
        exchange();
        let there =
            |ring: &keywheel_client::RingHandle| *ring.current().unwrap().incarnation() != before;
        (there(&signer) && there(&checker)).then_some(())
    });
    eventually("the new life has a primary", || {
        exchange();
        world.primary("r")
    });
    eventually("the signer uses the new life", || {
        exchange();
        let guard = signer.guard().unwrap();
        (*guard.incarnation() != before).then_some(())
    });
}

#[test]
fn without_a_stream_the_long_poll_serves() {
    let world = World::new();
    world.put("r", &with(spec("secret"), &json!({ "lease_ttl": "10m", "offline_max": "1h" })));
    let relay = Relay::before(&world);
    relay.set(Fault::PageForStream);
    let api = keywheel_client::Client::builder(relay.endpoint(), world.token("api"))
        .consumer("api")
        .ring("r")
        .build()
        .unwrap();
    let ring = api.ring("r").unwrap();
    ring.sign(b"x").unwrap();
    eventually("it proves", || (world.proved("r").len() == 1).then_some(()));
    assert!(relay.hits.load(Ordering::SeqCst) > 0);
    world.rotate("r");
    eventually("the change arrives", || ring.version_numbered(version(2)).unwrap().map(|_| ()));
}

#[test]
fn lost_acknowledgements_and_a_mute_server_do_no_harm() {
    let world = World::new();
    world.put("r", &spec("secret"));
    let relay = Relay::before(&world);
    let api = keywheel_client::Client::builder(relay.endpoint(), world.token("api"))
        .consumer("api")
        .ring("r")
        .build()
        .unwrap();
    let ring = api.ring("r").unwrap();
    ring.sign(b"x").unwrap();
    eventually("it proves", || (world.proved("r").len() == 1).then_some(()));
    let edge = world.client("edge", "r");
    edge.start().unwrap();
    let instance = eventually("it has a name", || ring.health().instance);
    relay.set(Fault::SwallowAcknowledgements);
    world.rotate("r");
    eventually("answers are swallowed", || (relay.hits.load(Ordering::SeqCst) > 2).then_some(()));
    relay.set(Fault::None);
    eventually("it switches all the same", || {
        (ring.guard().unwrap().number() == version(2)).then_some(())
    });
    assert_eq!(ring.health().instance, Some(instance), "a lost answer is not a forged proof");
    relay.set(Fault::Mute);
    ring.sign(b"y").unwrap();
    api.shutdown();
    assert!(matches!(ring.sign(b"z"), Err(ProtectError::Client(ClientError::Closed))));
}

#[test]
fn a_rejected_process_takes_a_new_name_and_ends_the_old_one() {
    let world = World::new();
    world.put("r", &spec("signing"));
    let relay = Relay::before(&world);
    let api = keywheel_client::Client::builder(relay.endpoint(), world.token("api"))
        .consumer("api")
        .ring("r")
        .build()
        .unwrap();
    let ring = api.ring("r").unwrap();
    ring.sign(b"x").unwrap();
    eventually("it proves", || ring.health().proved.then_some(()));
    let first = ring.health().instance.unwrap();
    relay.set(Fault::ReplayOnce);
    eventually("it has another name", || {
        ring.sign(b"y").unwrap();
        let health = ring.health();
        (health.proved && health.instance.is_some_and(|name| name != first)).then_some(())
    });
    assert!(relay.hits.load(Ordering::SeqCst) == 1);
    let snapshot = world.snapshot("r");
    let old = snapshot.view.instances.iter().find(|instance| instance.id == first);
    assert!(old.is_none_or(|old| old.ended));
    assert_eq!(world.proved("r").len(), 1);
}

#[test]
fn a_replaced_token_is_read_again_and_several_rings_share_a_name() {
    let world = World::new();
    world.put("r", &spec("secret"));
    world.put("s", &spec("signing"));
    let path = world.folder.path().join("token");
    let place = |text: &str| {
        use std::os::unix::fs::OpenOptionsExt as _;
        let _ = std::fs::remove_file(&path);
        let mut options = std::fs::File::options();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    };
    let (token, id) = world.token_text("api");
    place(&token);
    let client = keywheel_client::Client::builder(
        world.endpoint(),
        keywheel_client::TokenSource::File(path.clone()),
    )
    .consumer("api")
    .ring("r")
    .ring("s")
    .build()
    .unwrap();
    client.start().unwrap();
    let (r, s) = (client.ring("r").unwrap(), client.ring("s").unwrap());
    let well = |ring: &keywheel_client::RingHandle| {
        let health = ring.health();
        (health.proved && health.trouble.is_none() && !health.stale).then_some(())
    };
    eventually("both prove", || well(&r).and(well(&s)));
    assert_eq!(r.health().instance, s.health().instance);
    world.engine.revoke_token(&id, &context()).unwrap();
    eventually("the token is refused", || r.health().trouble);
    place(&world.token_text("api").0);
    eventually("the new token serves", || well(&r).and(well(&s)));
}

/// Three verifiers, of which one looks kids up in a keyset that it kept from before the rotation.
#[test]
fn a_verifier_with_a_kept_keyset_is_named_and_the_rotation_taken_back_by_policy() {
    for on_stall in ["hold", "rollback"] {
        let world = World::new();
        let consumers = json!([
            { "name": "api", "role": "protect" },
            { "name": "edge", "role": "process" },
            { "name": "legacy", "role": "process" },
        ]);
        let changes = json!({ "consumer": consumers, "on_stall": on_stall });
        world.put("r", &with(spec("signing"), &changes));
        let clients = ["api", "edge", "legacy"].map(|name| world.client(name, "r"));
        let [api, edge, legacy] = clients.each_ref().map(|client| client.ring("r").unwrap());
        let kept = legacy.current().unwrap();
        for ring in [&api, &edge] {
            ring.current().unwrap();
        }
        eventually("all prove", || (world.proved("r").len() == 3).then_some(()));
        world.rotate("r");
        eventually("v2 is primary", || (world.primary("r") == Some(2)).then_some(()));
        let (name, why) = eventually("the refusals are judged", || {
            let (kid, signature) = api.sign(b"message").unwrap();
            edge.verify(&kid.0, b"message", &signature).unwrap();
            // Anybody can send this to anybody; it says nothing about v2.
            edge.refused_unknown("nobody-has-this").unwrap();
            match kept.by_kid(&kid.0) {
                Some(version) => version.verify(b"message", &signature).unwrap(),
                None => legacy.refused_unknown(&kid.0).unwrap(),
            }
            if on_stall == "rollback" && world.primary("r") == Some(1) {
                return Some(Default::default());
            }
            let gates = world.snapshot("r").gates.into_iter().flat_map(|(_, _, gates)| gates);
            let mut failed = gates.filter_map(|gate| match gate.status {
                GateStatus::Failed { why } if on_stall == "hold" => Some((gate.name, why)),
                _ => None,
            });
            // The others may report a moment later.
            failed.next().filter(|(_, why)| why.contains("the others"))
        });
        if on_stall == "hold" {
            assert_eq!(name, "health");
            let process = format!("/{} of legacy: 100 % of v2 refused", std::process::id());
            assert!(why.contains(&process) && why.ends_with("the others: 0 %"), "{why}");
            assert_eq!(world.primary("r"), Some(2));
        }
    }
}
