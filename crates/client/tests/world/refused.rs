//! A ring that a server refuses keeps no other one, and serves as soon as it may.

use keywheel_client::{Client, ClientError, RingHandle};
use serde_json::json;

use crate::support::{World, eventually, spec, with};

fn client(world: &World, rings: &[&str]) -> Client {
    let builder = Client::builder(world.endpoint(), world.token("api")).consumer("api");
    rings.iter().fold(builder, |builder, ring| builder.ring(*ring)).build().unwrap()
}

fn proves(ring: &RingHandle) {
    eventually("it proves", || ring.health().proved.then_some(()));
}

/// What is said of a ring that is refused.
fn refusal(ring: &RingHandle) -> String {
    let error = ring.current().err().unwrap();
    assert!(matches!(&error, ClientError::Refused { ring: named, .. } if named == ring.name()));
    let text = error.to_string();
    assert!(text.contains(ring.name()), "{text}");
    text
}

#[test]
fn the_others_go_on_and_each_refused_one_says_why_until_it_is_there() {
    let world = World::new();
    world.put("good", &spec("secret"));
    let edge = json!([{ "name": "edge", "role": "protect" }]);
    world.put("foreign", &with(spec("secret"), &json!({ "consumer": edge })));
    let client = client(&world, &["absent", "foreign", "good"]);
    let [absent, foreign, good] =
        ["absent", "foreign", "good"].map(|name| client.ring(name).unwrap());

    good.current().unwrap();
    proves(&good);
    let before = eventually("it has a name", || good.health().instance);
    eventually("it has no trouble", || good.health().trouble.is_none().then_some(()));
    assert!(refusal(&absent).contains("there is no such ring"));
    assert!(refusal(&foreign).contains("does not declare consumer api"));
    assert!(matches!(
        absent.guard().err().unwrap(),
        keywheel_client::ProtectError::Client(ClientError::Refused { .. })
    ));
    eventually("its health says so too", || {
        absent.health().trouble.filter(|trouble| trouble.contains("no such ring"))
    });

    // A rotation of the others waits for nobody.
    world.rotate("good");
    let held = good.current().unwrap();
    eventually("the next version arrives", || (!good.holds(&held)).then_some(()));

    // Somebody creates the one that is missing, and declares the consumer in the other one.
    world.put("absent", &spec("secret"));
    eventually("it is there", || absent.current().ok());
    world.put("foreign", &spec("secret"));
    eventually("it is permitted", || foreign.current().ok());
    for ring in [&absent, &foreign, &good] {
        proves(ring);
        eventually("it has no trouble", || ring.health().trouble.is_none().then_some(()));
        drop(ring.guard().unwrap());
    }
    let after = good.health().instance.unwrap();
    assert_ne!(after, before);
    eventually("the process has one name everywhere", || {
        let names = ["absent", "foreign", "good"].map(|ring| world.proved(ring));
        names.iter().all(|names| *names == [after.to_string()]).then_some(())
    });
}

#[test]
fn where_every_ring_is_refused_each_says_why() {
    let world = World::new();
    let edge = json!([{ "name": "edge", "role": "protect" }]);
    world.put("foreign", &with(spec("secret"), &json!({ "consumer": edge })));
    let client = client(&world, &["foreign", "absent"]);
    let [foreign, absent] = ["foreign", "absent"].map(|name| client.ring(name).unwrap());
    assert!(refusal(&foreign).contains("does not declare consumer api"));
    assert!(refusal(&absent).contains("there is no such ring"));
    world.put("foreign", &spec("secret"));
    eventually("one is permitted", || foreign.current().ok());
    world.put("absent", &spec("secret"));
    eventually("the other one is there", || absent.current().ok());
    proves(&foreign);
}
