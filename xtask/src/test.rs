//! `cargo xtask test`: a machine with nothing but a Rust toolchain becomes one that can run every
//! test, and then does.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::machine;
use crate::process::{self, Steps, cargo};

/// `cargo xtask test`: prepares the machine and runs every test.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let scale = scale()?;
    let mut steps = Steps::default();
    let Some(venv) = prepared(root, &mut steps)? else { return steps.finish() };
    let tests = |words: &[&str]| {
        let mut command = cargo(root);
        command.env("KEYWHEEL_SCALE", &scale).env("KEYWHEEL_VENV", &venv);
        process::run(command.args(["test", "--locked", "--workspace"]).args(words))
    };
    steps.attempt("build the tests", || tests(&["--all-targets", "--no-run"]));
    steps.attempt("tests", || tests(&["--all-targets", "--no-fail-fast"]));
    steps.attempt("documentation tests", || tests(&["--doc"]));
    steps.finish()
}

/// `cargo xtask prepare`: prepares the machine only.
pub(crate) fn prepare(root: &Path) -> Result<(), Failure> {
    let mut steps = Steps::default();
    prepared(root, &mut steps)?;
    steps.finish()
}

/// Prepares the machine and returns the folder of the Python environment, when that went well.
fn prepared(root: &Path, steps: &mut Steps) -> Result<Option<PathBuf>, Failure> {
    let target = process::target_dir(root)?;
    let mut venv = None;
    steps.attempt("packages", machine::packages);
    if steps.failed() {
        return Ok(None);
    }
    steps.attempt("python environment", || {
        venv = Some(machine::python(root, &target)?);
        Ok(())
    });
    Ok(venv)
}

/// The size of the large tests.
fn scale() -> Result<String, Failure> {
    match std::env::var("KEYWHEEL_SCALE") {
        Err(_) => Ok("ci".to_owned()),
        Ok(scale) if matches!(scale.as_str(), "ci" | "full") => Ok(scale),
        Ok(scale) => {
            Err(Failure::usage(format!("KEYWHEEL_SCALE=`{scale}` is neither ci nor full")))
        }
    }
}
