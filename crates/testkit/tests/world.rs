//! The simulated world at the size of CI, and proof that it notices what is wrong.

use keywheel_testkit::world;

/// How many seeds CI runs.
const SEEDS: u64 = 500;

#[test]
fn every_seed_keeps_every_invariant() {
    let first = std::env::var("KEYWHEEL_SEED_FROM").ok().and_then(|text| text.parse().ok());
    let seeds = std::env::var("KEYWHEEL_SEEDS").ok().and_then(|text| text.parse().ok());
    match world::campaign(first.unwrap_or(0), seeds.unwrap_or(SEEDS)) {
        Ok((_, report)) => println!("{report}"),
        Err(violations) => {
            let all: Vec<_> = violations.iter().map(ToString::to_string).collect();
            panic!("{}", all.join("\n\n"));
        }
    }
}

#[test]
fn replay() {
    let Ok(seed) = std::env::var("KEYWHEEL_SEED") else { return };
    let seed = seed.parse().expect("KEYWHEEL_SEED is a number");
    match world::run(seed, None, true) {
        Ok(tally) => println!("seed {seed}: {tally:?}"),
        Err(violation) => panic!("{violation}"),
    }
}
