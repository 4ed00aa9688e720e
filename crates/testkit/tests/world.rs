//! The simulated world at the size of CI, and proof that it notices what is wrong.

#![expect(clippy::panic, clippy::print_stdout, reason = "helpers of tests may stop and tell")]

use keywheel_testkit::world::{self, Flaw};

/// How many seeds CI runs.
const SEEDS: u64 = 500;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// `KEYWHEEL_SEED` names one seed to be replayed, alone and with its event log.
fn replays() -> bool {
    setting("KEYWHEEL_SEED").is_some()
}

#[test]
fn replay() {
    let Some(seed) = setting("KEYWHEEL_SEED") else { return };
    match world::run(seed, None, true) {
        Ok(run) => println!("{}\nseed {seed}: {:?}", run.log.join("\n"), run.tally),
        Err(violation) => panic!("{violation}"),
    }
}

#[test]
fn every_seed_keeps_every_invariant() {
    if replays() {
        return;
    }
    let first = setting("KEYWHEEL_SEED_FROM").unwrap_or(0);
    let seeds = setting("KEYWHEEL_SEEDS").unwrap_or(SEEDS);
    match world::campaign(first, seeds) {
        Ok(report) => println!("{report}"),
        Err(violations) => {
            let all: Vec<_> = violations.iter().map(ToString::to_string).collect();
            panic!("{}", all.join("\n\n"));
        }
    }
}

#[test]
fn a_seed_is_the_same_world_every_time() {
    if replays() {
        return;
    }
    for seed in [3, 17] {
        let (first, second) = (world::run(seed, None, true), world::run(seed, None, true));
        let (Ok(first), Ok(second)) = (first, second) else { panic!("seed {seed} fails") };
        assert_eq!(first.tally, second.tally);
        assert_eq!(first.log, second.log);
        assert!(first.log.len() > 50, "something happened");
    }
}

/// Looks for a defect that was put in on purpose, in as many seeds as CI runs.
fn finds(flaw: Flaw, invariants: &[&str]) {
    if replays() {
        return;
    }
    let Some(violation) = world::find(flaw, SEEDS, invariants) else {
        panic!("{flaw:?} was not noticed")
    };
    println!("{flaw:?}: seed {}, {}", violation.seed, violation.why);
}

#[test]
fn a_store_that_ignores_the_fence_is_noticed() {
    finds(
        Flaw::StoreIgnoresTheFence,
        &[
            "invariant_cluster_time",
            "invariant_revisions_grow",
            "invariant_accept",
            "invariant_stop",
        ],
    );
}

#[test]
fn a_store_that_forgets_processes_is_noticed() {
    finds(
        Flaw::StoreForgetsProcesses,
        &["invariant_accept_before_use", "invariant_stop_use_before_acceptance"],
    );
}

#[test]
fn a_clock_that_follows_the_wall_is_noticed() {
    finds(
        Flaw::ClockFollowsTheWall,
        &["invariant_cluster_time", "invariant_stop_use_before_acceptance"],
    );
}

#[test]
fn a_client_that_ignores_offline_max_is_noticed() {
    finds(Flaw::ClientIgnoresOfflineMax, &["invariant_stop_use_before_acceptance"]);
}

#[test]
fn a_client_that_forgets_older_work_is_noticed() {
    finds(Flaw::ClientForgetsOlderWork, &["invariant_stop_use_before_acceptance"]);
}

#[test]
fn a_client_that_proves_what_it_does_not_use_is_noticed() {
    finds(
        Flaw::ClientProvesWhatItDoesNotUse,
        &["invariant_accept_before_use", "invariant_stop_use_before_acceptance"],
    );
}
