//! Kills the real server at random moments of rotations. `KEYWHEEL_SCALE=full` kills it 200 times;
//! `KEYWHEEL_SEED` repeats a run.

#![expect(
    clippy::duplicate_mod,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking; the campaign brings its own installation"
)]

#[path = "../../testkit/src/kill/mod.rs"]
#[expect(dead_code, unreachable_pub, reason = "a part of the testkit; see support")]
mod kill;
mod support;

use kill::{Options, run};

#[test]
fn a_server_that_is_killed_at_any_moment_loses_nothing() {
    let is_full = std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full");
    let seed = std::env::var("KEYWHEEL_SEED").map_or(7117, |seed| seed.parse().unwrap());
    let kills = if is_full { 200 } else { 20 };
    let report = run(&Options { binary: support::binary(), kills, seed }).unwrap();
    println!("{}", report.markdown());
    assert!(report.faults().is_empty(), "seed {seed}: {:#?}", report.faults());
}
