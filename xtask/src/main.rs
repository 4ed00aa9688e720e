//! The project's own commands: `cargo xtask test`, `ci`, `bench`, `campaign`, `codegen`, `tidy`.
//!
//! This crate knows how the project is checked. What is checked lives elsewhere: tests beside the
//! code, campaign and benchmark programs in `keywheel-testkit`, generators in the `keywheel`
//! binary.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command talks to its terminal")]

mod bench_python;
mod bench_reencrypt;
mod bench_scan;
mod campaign;
mod ci;
mod codegen;
mod failure;
mod fuzz;
mod machine;
mod process;
mod python;
mod test;
mod tidy;
mod wheels;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use failure::Failure;

const USAGE: &str = "\
usage: cargo xtask <verb>

  test                 install what the machine lacks (Debian packages, a Python environment under
                       the target directory), then build and run every test
  prepare              the installing part of test alone
  ci                   everything else that must hold: formatting, tidy, clippy, documentation,
                       generated files, 20 s of fuzzing for each target
  tidy                 the project's own rules about sources and documents
  codegen [--check]    write the generated documents anew; with --check, compare only
  wheels               build the two wheels of Python into the target directory
  wheels --check [folder…]
                       build each of them (python, packaging/python-command), or those of these
                       folders, twice and from nothing, and compare
  fuzz [name] [secs]   fuzz one target or all of them, 20 s each unless told otherwise
  bench [name…]        measure, and write docs/benchmarks.md
  campaign [name…]     the long checks at full size, each written to docs/campaigns/<name>.md

exit codes: 0 all is well; 1 a test or check found something; 2 wrong usage; 3 the machine lacks
something. KEYWHEEL_SCALE=ci (the default) or full sets the size of the large tests.
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match dispatch(&words, &root()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nxtask: {failure}");
            failure.exit_code()
        }
    }
}

fn dispatch(words: &[&str], root: &Path) -> Result<(), Failure> {
    match words {
        ["test"] => test::run(root),
        ["prepare"] => test::prepare(root),
        ["ci"] => ci::run(root),
        ["tidy"] => tidy::run(root),
        ["codegen"] => codegen::write(root),
        ["codegen", "--check"] => codegen::check(root),
        ["wheels"] => wheels::build(root),
        ["wheels", "--check", folders @ ..] => wheels::check(root, folders),
        ["fuzz", rest @ ..] => fuzz::run(root, rest),
        ["bench", names @ ..] => campaign::bench(root, names),
        ["campaign", names @ ..] => campaign::campaign(root, names),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        [] => {
            eprint!("{USAGE}");
            Err(Failure::usage("no verb was given"))
        }
        other => {
            eprint!("{USAGE}");
            Err(Failure::usage(format!("`{}` is not a command", other.join(" "))))
        }
    }
}

/// The root of the workspace: the folder above this crate.
fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map_or(manifest.clone(), Path::to_path_buf)
}
