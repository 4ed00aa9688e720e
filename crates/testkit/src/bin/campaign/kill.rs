//! The kill campaign: `KEYWHEEL_BIN` names the binary that is killed.

use std::path::PathBuf;

use keywheel_testkit::kill::{self, Options};

/// The same moments in every run, so that reports can be compared.
const SEED: u64 = 2026;

pub(crate) fn run(options: &super::Options) -> (String, Vec<String>) {
    let Some(binary) = std::env::var_os("KEYWHEEL_BIN").map(PathBuf::from) else {
        let words = "KEYWHEEL_BIN names no binary; run: cargo xtask campaign kill";
        return (String::new(), vec![words.into()]);
    };
    let kills = if options.full { 200 } else { 20 };
    match kill::run(&Options { binary, kills, seed: SEED }) {
        Ok(report) => (report.markdown(), report.faults().to_vec()),
        Err(error) => (String::new(), vec![error]),
    }
}
