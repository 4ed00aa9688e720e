//! The simulated world as a campaign.

use keywheel_testkit::world;

use super::Options;

/// Seeds at full size, and in CI.
const SEEDS: (u64, u64) = (10_000, 500);

pub(crate) fn run(options: &Options) -> (String, Vec<String>) {
    let seeds = if options.full { SEEDS.0 } else { SEEDS.1 };
    match world::campaign(0, seeds) {
        Ok(text) => (text, Vec::new()),
        Err(violations) => (String::new(), violations.iter().map(ToString::to_string).collect()),
    }
}
