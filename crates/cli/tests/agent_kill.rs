//! Kills the agent at random moments of rotations. `KEYWHEEL_SCALE=full` does so 100 times;
//! `KEYWHEEL_SEED` repeats a run.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a helper of a test fails by panicking")]

mod legacy;
mod world;

use std::time::Duration;

use legacy::{Legacy, RING, Stall};
use world::until;

/// A rotation of the test, from its begin to its end, takes about so long.
const ROTATION_MILLIS: u64 = 2_500;

#[test]
fn an_agent_that_is_killed_at_any_moment_leaves_the_file_whole_and_the_rotation_ends() {
    let is_full = std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full");
    let mut random = std::env::var("KEYWHEEL_SEED").map_or(7117, |seed| seed.parse().unwrap());
    let legacy = Legacy::new(RING, Stall::Hold);
    let server = legacy.world.serve();
    legacy.make_token();
    legacy.world.ok(&["agent", "--config", "agent.toml", "--once"]);

    for kill in 0..if is_full { 100 } else { 20 } {
        let agent = legacy.start();
        if legacy.world.json(&["status", "web"])["stage"] == "rest" {
            legacy.world.run(&["rotate", "web"]);
        }
        // tidy: sleeps because the moment of the kill is to be random.
        std::thread::sleep(Duration::from_millis(next(&mut random) % ROTATION_MILLIS));
        agent.kill();
        assert_whole(&legacy.env(), kill);
        assert_whole(&legacy.running(), kill);
    }

    let agent = legacy.start();
    let before = legacy.primary();
    until("the rotation ends", || legacy.world.json(&["status", "web"])["stage"] == "rest");
    legacy.world.ok(&["rotate", "web", "--wait"]);
    assert!(legacy.primary() > before);
    until("the application uses what the file says", || {
        legacy.fallbacks().is_empty() && legacy.running() == legacy.env()
    });
    until("one process is live", || legacy.status().contains("1 live of at least 1"));
    legacy.assert_no_secret_is_told(&[&agent.log(), &server.log()]);
    agent.stop();
    server.stop();
}

/// What others keep, one key to protect with, and the others that are accepted: nothing torn.
fn assert_whole(env: &str, kill: usize) {
    let is_key = |key: &str| {
        key.len() == 64 && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    let lines: Vec<&str> = env.lines().collect();
    let [ours, debug, key, others] = lines.as_slice() else {
        panic!("kill {kill}: {} lines", lines.len());
    };
    assert_eq!((*ours, *debug), ("# ours", "DEBUG=1"), "kill {kill}");
    let key = key.strip_prefix("SECRET_KEY=").unwrap();
    assert!(is_key(key), "kill {kill}: the key is torn");
    let others = others.strip_prefix("SECRET_KEY_FALLBACKS=").unwrap();
    assert!(others.split(',').all(is_key), "kill {kill}: a key is torn");
    // While there are no others, the list holds the primary once more.
    let is_among = others != key && others.contains(key);
    assert!(!is_among, "kill {kill}: the key is among the others");
    assert!(env.ends_with('\n'), "kill {kill}: the file has no end");
}

/// The next number of a reproducible sequence (splitmix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
