//! A rotation as an operator drives it, with a real consumer that proves; and without one.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod world;

use std::path::Path;

use keywheel_client::{Client, Token, TokenSource};
use world::{World, until};

const RING: &str = "[ring.web]\nkind = \"secret\"\nlongest_lifetime = \"1s\"\nskew = \"0s\"\n\
                    lease_ttl = \"2s\"\noffline_max = \"2s\"\nstall_after = \"1s\"\n\
                    [[ring.web.consumer]]\nname = \"web\"\nrole = \"protect\"\n";

fn consumer(world: &World, token: &Path) -> Client {
    let endpoint = format!("unix:{}", world.state("keywheel.sock").display());
    let token = Token::from_file(token).unwrap();
    let client = Client::builder(endpoint, TokenSource::from(token))
        .consumer("web")
        .ring("web")
        .build()
        .unwrap();
    client.start().unwrap();
    client.ring("web").unwrap().current().unwrap();
    client
}

#[test]
fn rotate_wait_ends_when_every_protector_has_switched() {
    // On a busy machine, one who is there must not look like one who is missing.
    let patient = RING.replace("stall_after = \"1s\"", "stall_after = \"1h\"");
    let world = World::with(&patient);
    let server = world.serve();
    let create = ["token", "create", "web", "--role", "consumer", "--consumer", "web"];
    world.ok(&[create.as_slice(), &["--ring", "web", "--out", "web.token"]].concat());
    let client = consumer(&world, &world.path("web.token"));
    let told = world.ok(&["rotate", "web", "--wait"]);
    assert!(told.trim_end().lines().last().unwrap().contains("rest, primary v2"), "{told}");
    let keyset = client.ring("web").unwrap().current().unwrap();
    assert_eq!(keyset.primary_number().unwrap().0, 2);

    until("it is live", || {
        world.ok(&["status", "web"]).contains("web protect  1 live of at least 1")
    });

    // With nobody there the next one stalls, and both the command and the check say so.
    client.shutdown();
    drop(client);
    until("the consumer is gone", || world.ok(&["status", "web"]).contains("0 live"));
    world.configure(RING);
    world.ok(&["apply"]);
    let stalled = world.run(&["rotate", "web", "--wait"]);
    assert_eq!(stalled.code, 3, "{}{}", stalled.stdout, stalled.stderr);
    assert!(stalled.stderr.contains("the rotation stalls"), "{}", stalled.stderr);
    let page = world.ok(&["status", "web"]);
    assert!(page.contains("(stalled)"), "{page}");
    world.ok(&["audit", "--verify"]);
    server.stop();
}

#[test]
fn a_wait_that_takes_too_long_ends_and_the_rotation_goes_on() {
    let world = World::with(&RING.replace("stall_after = \"1s\"", "stall_after = \"1h\""));
    let server = world.serve();
    let ran = world.run(&["rotate", "web", "--wait", "--timeout", "200ms"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("it goes on"), "{}", ran.stderr);
    until("the rotation asks for proof", || world.json(&["status", "web"])["stage"] == "confirm");
    server.stop();
}

#[test]
fn a_ring_that_should_have_turned_is_overdue() {
    let world = World::with(RING);
    let server = world.serve();
    world.ok(&["pause", "web", "--reason", "so that it is late"]);
    assert_eq!(world.run(&["status", "--overdue"]).code, 0);
    world.configure(&RING.replace("stall_after", "rotate_every = \"1s\"\nstall_after"));
    world.ok(&["apply"]);
    until("the ring is overdue", || world.run(&["status", "--overdue"]).code == 3);
    let table = world.run(&["status", "--overdue"]).stdout;
    assert!(table.contains("overdue, was "), "{table}");
    world.ok(&["resume", "web"]);
    until("its rotation stalls", || world.ok(&["status", "web"]).contains("(stalled)"));
    assert_eq!(world.run(&["status", "--overdue"]).code, 3);
    server.stop();
}
