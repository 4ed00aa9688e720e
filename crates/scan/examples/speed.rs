//! Scans once, for who measures it from outside: `speed PATH…` prints how many files and bytes were
//! read. Neither a server nor a report comes in between.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

use std::path::PathBuf;
use std::process::ExitCode;

use keywheel_scan::ignores::Day;
use keywheel_scan::literal::Marker;
use keywheel_scan::output::{self, Form};
use keywheel_scan::reader::Readers;
use keywheel_scan::rules::Rules;
use keywheel_scan::scan::{Scan, scan};
use keywheel_scan::walk::Roots;

fn main() -> ExitCode {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    match speed(paths) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn speed(paths: Vec<PathBuf>) -> Result<(), Box<dyn std::error::Error>> {
    let base = std::env::current_dir()?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let report = scan(
        Scan {
            roots: Roots { paths, base, respects_ignores: false, are_listed: false },
            threads,
            passwords: false,
            today: Day::LAST,
            marker: Marker::new(b"nothing is compared with this"),
            rules: Rules::built_in()?,
            readers: Readers::built_in(),
            also: Vec::new(),
            also_notes: Vec::new(),
        },
        &|_| {},
    )?;
    // What is written is part of what a scan costs.
    let written = output::render(&report, Form::Json)?.len();
    let stats = report.stats;
    println!(
        "{} files, {} bytes, {} with keys, {} findings, {written} bytes written",
        stats.files,
        stats.bytes,
        stats.files_with_keys,
        report.findings.len()
    );
    Ok(())
}
