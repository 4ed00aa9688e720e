//! Revocations between real clients and a real server: how soon, how surely, and what happens when
//! nobody can be asked.

use std::sync::atomic::Ordering;

use keywheel_client::{RevocationCheckError, RingHandle};
use keywheel_core::id::Kid;
use keywheel_core::revocation::{Facts, Revocation, Revoked};
use keywheel_core::time::WallTime;
use serde_json::{Value, json};

use crate::rotation::until_cached;
use crate::support::{World, context, eventually, name, now, spec, with};

const FAR: i64 = 4_000_000_000;

fn jti(jti: &str) -> Facts<'_> {
    Facts { jti: Some(jti), issued_at: Some(FAR), ..Facts::default() }
}

fn revoke(world: &World, entries: &[Revocation]) {
    world.engine.revoke(&name("r"), entries, &context()).unwrap();
}

fn fail_closed() -> Value {
    with(spec("signing"), &json!({ "revocations_stale_after": "5s" }))
}

fn is_dead(ring: &RingHandle, token: &str) -> bool {
    ring.is_revoked(&jti(token)).unwrap().is_some()
}

fn is_stale(ring: &RingHandle, token: &str) -> bool {
    matches!(ring.is_revoked(&jti(token)), Err(RevocationCheckError::Stale(_)))
}

#[test]
fn every_client_refuses_what_is_revoked() {
    let world = World::new();
    world.put("r", &spec("signing"));
    revoke(&world, &[Revocation::jti("early", FAR).unwrap()]);
    let clients: Vec<_> =
        ["api", "edge", "edge", "edge"].map(|consumer| world.client(consumer, "r")).into();
    let rings: Vec<_> = clients.iter().map(|client| client.ring("r").unwrap()).collect();
    for ring in &rings {
        // The first question is answered by what the server knows, not by an empty set.
        assert_eq!(ring.is_revoked(&jti("early")).unwrap(), Some(Revoked::Jti));
        assert!(!is_dead(ring, "late"));
    }
    eventually("all listen", || rings.iter().all(|ring| ring.health().listening).then_some(()));
    let committed = now();
    revoke(&world, &[Revocation::jti("late", FAR).unwrap()]);
    for ring in &rings {
        eventually("it is refused", || is_dead(ring, "late").then_some(()));
    }
    eprintln!("the last of four clients refused it after {:?}", now() - committed);
    eventually("both are counted", || (rings[0].health().revocations == 2).then_some(()));
}

#[test]
fn a_long_log_arrives_whole() {
    let world = World::new();
    world.put("r", &spec("signing"));
    for call in 0..3 {
        let many: Vec<_> = (0..10_000)
            .map(|number| Revocation::jti(format!("{call}-{number}"), FAR).unwrap())
            .collect();
        revoke(&world, &many);
    }
    let client = world.client("edge", "r");
    let ring = client.ring("r").unwrap();
    assert!(is_dead(&ring, "0-0") && is_dead(&ring, "2-9999"));
    eventually("all are counted", || (ring.health().revocations == 30_000).then_some(()));
}

#[test]
fn a_server_that_is_down_changes_nothing_unless_the_policy_says_so() {
    for (policy, closes) in [(spec("signing"), false), (fail_closed(), true)] {
        let mut world = World::new();
        world.put("r", &policy);
        revoke(&world, &[Revocation::jti("dead", FAR).unwrap()]);
        let client = world.client("edge", "r");
        let ring = client.ring("r").unwrap();
        assert!(is_dead(&ring, "dead") && !is_dead(&ring, "alive"));
        world.stop();
        eventually("staleness is reported", || {
            let health = ring.health();
            (health.revocations_stale && health.revocations_known_for.is_some()).then_some(())
        });
        assert_eq!(is_stale(&ring, "alive"), closes);
        // What is known to be dead is dead, whatever else is not known.
        assert!(is_dead(&ring, "dead"));
        world.start();
        eventually("it is sure again", || (!ring.health().revocations_stale).then_some(()));
        assert!(!is_dead(&ring, "alive") && is_dead(&ring, "dead"));
    }
}

#[test]
fn a_server_whose_store_is_away_confirms_nothing() {
    for (policy, closes) in [(spec("signing"), false), (fail_closed(), true)] {
        let world = World::new();
        world.put("r", &policy);
        let client = world.client("edge", "r");
        let ring = client.ring("r").unwrap();
        assert!(!is_dead(&ring, "alive"));
        world.away.store(true, Ordering::Release);
        // The stream goes on, and the server answers; it only does not know.
        eventually("staleness is reported", || ring.health().revocations_stale.then_some(()));
        assert_eq!(is_stale(&ring, "alive"), closes);
        world.away.store(false, Ordering::Release);
        eventually("it is sure again", || (!ring.health().revocations_stale).then_some(()));
        assert!(!is_dead(&ring, "alive"));
    }
}

#[test]
fn a_process_that_starts_from_the_host_cache_knows_of_no_revocation() {
    for (policy, closes) in [(spec("signing"), false), (fail_closed(), true)] {
        let mut world = World::new();
        world.put("r", &policy);
        let cache = world.folder.path().join("cache");
        let token = world.token("edge");
        let client = |world: &World| {
            let builder = keywheel_client::Client::builder(world.endpoint(), token.clone());
            builder.consumer("edge").ring("r").host_cache(&cache).build().unwrap()
        };
        let first = client(&world);
        first.start().unwrap();
        until_cached(&cache);
        world.stop();
        drop(first);
        let second = client(&world);
        let ring = second.ring("r").unwrap();
        assert_eq!(is_stale(&ring, "any"), closes);
        let health = ring.health();
        assert!(health.from_cache && health.revocations_stale);
        assert_eq!(health.revocations_known_for, None);
        world.start();
        eventually("it is sure", || (!ring.health().revocations_stale).then_some(()));
        assert!(!is_dead(&ring, "any"));
    }
}

#[test]
fn a_protector_logs_somebody_out_and_nobody_else_does() {
    let world = World::new();
    world.put("r", &spec("signing"));
    let (api, edge) = (world.client("api", "r"), world.client("edge", "r"));
    let (api, edge) = (api.ring("r").unwrap(), edge.ring("r").unwrap());
    assert!(!is_dead(&edge, "session"));
    let entry = [Revocation::jti("session", FAR).unwrap()];
    assert_eq!(edge.revoke(&entry, None).unwrap_err().problem().unwrap().status, 403);
    api.revoke(&entry, Some("logout")).unwrap();
    // At once where it was asked for, and soon elsewhere.
    assert!(is_dead(&api, "session"));
    eventually("it is refused elsewhere", || is_dead(&edge, "session").then_some(()));
    let kid = world.snapshot("r").ring.versions.values().next().unwrap().kid.clone();
    for wide in [Revocation::kid(kid, None).unwrap(), Revocation::IssuedBefore { at: 5 }] {
        assert_eq!(api.revoke(&[wide], None).unwrap_err().problem().unwrap().status, 403);
    }
}

#[test]
fn what_was_issued_is_in_the_ledger_and_dies_token_by_token() {
    let world = World::new();
    world.put("r", &with(spec("signing"), &json!({ "ledger": true })));
    let client = world.client("api", "r");
    let ring = client.ring("r").unwrap();
    for number in 0..2_500 {
        let kid = Kid("k".into());
        assert!(ring.issued(&format!("t{number}"), FAR, Some(&kid)).unwrap());
    }
    eventually("all are in the ledger", || {
        (world.engine.ledger_len(&name("r")).unwrap() == 2_500).then_some(())
    });
    eventually("none waits any more", || (ring.health().issued_waiting == 0).then_some(()));
    assert_eq!(ring.health().issued_dropped, 0);
    assert_eq!(world.engine.revoke_issued(&name("r"), &context()).unwrap(), 2_500);
    eventually("they are refused", || {
        (is_dead(&ring, "t0") && is_dead(&ring, "t2499")).then_some(())
    });
    // A ring without a ledger takes nothing.
    world.put("s", &spec("signing"));
    let other = world.client("api", "s");
    assert!(!other.ring("s").unwrap().issued("t", FAR, None).unwrap());
}

#[test]
fn an_epoch_of_now_kills_what_exists() {
    let world = World::new();
    world.put("r", &spec("signing"));
    let client = world.client("edge", "r");
    let ring = client.ring("r").unwrap();
    let wall = std::time::UNIX_EPOCH.elapsed().unwrap();
    let at = WallTime(i64::try_from(wall.as_millis()).unwrap()).0.div_euclid(1_000);
    world.engine.revoke_active(&name("r"), &context()).unwrap();
    let token = |issued_at| Facts { issued_at, ..Facts::default() };
    eventually("it is dead", || ring.is_revoked(&token(Some(at))).unwrap());
    assert!(ring.is_revoked(&token(None)).unwrap().is_some());
    assert_eq!(ring.is_revoked(&token(Some(at + 60))).unwrap(), None);
}
