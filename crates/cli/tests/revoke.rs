//! Revocations as an operator makes and reads them.

mod world;

use world::{World, until};

const RING: &str = "[ring.access]\nkind = \"signing\"\nlongest_lifetime = \"15m\"\nledger = true\n\
                    [[ring.access.consumer]]\nname = \"api\"\nrole = \"protect\"\n";

const FAR: &str = "2100-01-01T00:00:00Z";

#[test]
fn what_is_revoked_is_listed_over_a_kill_and_stands_in_the_record() {
    let world = World::with(RING);
    let server = world.serve();
    let revoke = |more: &[&str]| world.ok(&[&["revoke", "--ring", "access"], more].concat());
    let because = ["--reason", "a lost laptop"];
    let jti = ["--jti", "one", "--jti", "two", "--expires", FAR];
    let told = revoke(&[&jti, because.as_slice()].concat());
    assert_eq!(told, "Ring access: 2 revoked.\n");
    revoke(&["--subject", "alice", "--expires", "4102444800"]);
    revoke(&["--issued-before", "1767225600"]);
    server.kill();
    let server = world.serve();
    let list = world.ok(&["revoke", "list", "--ring", "access"]);
    assert!(list.starts_with("BY"), "{list}");
    for word in ["one", "two", "alice", "2100-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "for good"]
    {
        assert!(list.contains(word), "{word} is not in\n{list}");
    }
    let listed = world.json(&["revoke", "list", "--ring", "access", "--limit", "2"]);
    assert_eq!(listed["more"], true);
    assert_eq!(listed["revocations"][0]["by"], "jti");
    assert_eq!(listed["revocations"].as_array().unwrap().len(), 2);
    // The record says how many and why, and never which.
    let audit = world.ok(&["audit", "--json"]);
    assert!(audit.contains("a lost laptop") && !audit.contains("alice"), "{audit}");
    world.ok(&["audit", "--verify"]);
    let done = world.json(&["revoke", "--ring", "access", "--active"]);
    assert_eq!(done["count"], 1);
    let done = world.json(&["revoke", "--ring", "access", "--issued"]);
    assert_eq!(done["count"], 0);
    server.stop();
}

#[test]
fn the_list_says_what_is_dead_and_for_how_long() {
    let world = World::with(RING);
    let server = world.serve();
    let say = |name: &str, more: &[&str]| {
        let list = ["revoke", "list", "--ring", "access"];
        insta::assert_snapshot!(name, world.transcript(&[&list, more].concat()));
    };
    say("list_nothing", &[]);
    let revoke = |more: &[&str]| world.ok(&[&["revoke", "--ring", "access"], more].concat());
    revoke(&["--jti", "one", "--jti", "session-2", "--expires", FAR]);
    revoke(&["--issued-before", "2026-01-01T00:00:00Z"]);
    say("list", &[]);
    say("list_limited", &["--limit", "1"]);
    say("list_json", &["--json"]);
    say("list_bad_limit", &["--limit", "many"]);
    insta::assert_snapshot!(
        "list_no_ring",
        world.transcript(&["revoke", "list", "--ring", "nothing"])
    );
    server.stop();
}

#[test]
fn without_an_expiry_a_token_is_remembered_for_the_longest_lifetime() {
    let world = World::with(RING);
    let server = world.serve();
    let now = || i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let before = now();
    world.ok(&["revoke", "--ring", "access", "--jti", "one"]);
    let after = now();
    let listed = world.json(&["revoke", "list", "--ring", "access"]);
    let expires = listed["revocations"][0]["expires"].as_i64().unwrap();
    assert!((before + 899..=after + 901).contains(&expires), "{expires} at {before} to {after}");
    server.stop();
}

#[test]
fn a_rotation_takes_the_wish_to_revoke() {
    let world = World::with(RING);
    let server = world.serve();
    world.ok(&["rotate", "access", "--revoke-active", "--revoke-issued"]);
    // Nobody has shown the new version yet, so nothing is revoked; taken back, nothing ever is.
    until("it waits for proof", || world.json(&["status", "access"])["stage"] == "confirm");
    world.ok(&["rollback", "access"]);
    let listed = world.json(&["revoke", "list", "--ring", "access"]);
    assert_eq!(listed["revocations"].as_array().unwrap().len(), 0);
    server.stop();
}
