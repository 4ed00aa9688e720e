//! Servers that answer from memory are waited for like any other consumer, and those that sign
//! count as users of the key.

use std::time::Duration;

use keywheel_core::ring::Stage;
use keywheel_engine::EngineError;
use serde_json::{Map, json};

use crate::support::{World, ring, spec, version, with};

#[test]
fn a_version_is_not_confirmed_before_the_own_server_serves_it() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&spec("secret"));
    world.engine.serves_from_memory().unwrap();
    world.engine.applied(world.engine.head().unwrap(), []);
    world.rotate();
    world.live(&mut [&mut api, &mut edge], 3);
    assert_eq!(world.stage(), Some(Stage::Publish));
    world.engine.applied(world.engine.head().unwrap(), [&ring()]);
    world.live(&mut [&mut api, &mut edge], 3);
    assert_ne!(world.stage(), Some(Stage::Publish));
}

#[test]
fn a_version_is_not_confirmed_before_a_server_that_does_not_lead_serves_it() {
    let world = World::new();
    world.settled(&spec("secret"));
    let second = world.second("second");
    second.serves_from_memory().unwrap();
    let both = || world.pass_with(&[&world.engine, &second], Duration::from_secs(2));
    both();
    world.rotate();
    both();
    assert_eq!(world.stage(), Some(Stage::Publish));
    second.applied(second.head().unwrap(), []);
    // What it wrote meanwhile is its own record, which says no more than that.
    both();
    second.applied(second.head().unwrap(), []);
    both();
    assert_ne!(world.stage(), Some(Stage::Publish));
}

#[test]
fn what_a_server_accepted_is_seen_and_survives_its_end() {
    let world = World::new();
    world.settled(&spec("secret"));
    world.engine.serves_from_memory().unwrap();
    world.engine.count_served(&ring(), version(1), 3, 1);
    world.pass_secs(2);
    let second = world.second("second");
    let seen = second.snapshot(&ring()).unwrap().served;
    assert_eq!(seen.len(), 1);
    let counts = seen[0].counts[&version(1)];
    assert_eq!((counts.processed, counts.rejected), (3, 1));
    assert!(counts.last_processed.is_some());
    let again = keywheel_engine::Engine::open(world.parts_again()).unwrap();
    again.serves_from_memory().unwrap();
    assert_eq!(again.snapshot(&ring()).unwrap().served[0].counts[&version(1)].processed, 3);
}

#[test]
fn a_token_that_the_server_signs_is_a_use_of_the_key() {
    let world = World::new();
    world.settled(&with("signing", json!({ "max_uses": 2 })));
    let sign = |claims: Map<_, _>| world.engine.sign(&ring(), &claims, None);
    let signed = sign(Map::new()).unwrap();
    assert_eq!((signed.token.split('.').count(), signed.jti.len()), (3, 22));
    world.pass_secs(1);
    assert_eq!(world.stage(), None);
    sign(Map::new()).unwrap();
    world.pass_secs(1);
    assert!(world.stage().is_some());
    let taken = json!({ "jti": "mine" }).as_object().unwrap().clone();
    assert!(matches!(sign(taken), Err(EngineError::Invalid { .. })));
}
