//! The model check as a campaign.

use keywheel_testkit::model::{self, Scale};

use super::Options;

/// More states than this would not fit into the memory of a small machine.
const MOST_STATES: usize = 4_000_000;

pub(crate) fn run(options: &Options) -> (String, Vec<String>) {
    let scale = if options.full { Scale::Full } else { Scale::Ci };
    let report = model::report(scale, MOST_STATES);
    (report.text, report.failures)
}
