//! `cargo xtask test`: a machine with nothing but a Rust toolchain becomes one that can run every
//! test, and then does.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::machine;
use crate::process::{self, Steps, cargo};
use crate::python;

/// `cargo xtask test`: prepares the machine and runs every test.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let scale = scale()?;
    let mut steps = Steps::default();
    let Some(Prepared { venv, node }) = prepared(root, &mut steps)? else {
        return steps.finish();
    };
    let tests = |words: &[&str]| {
        let mut command = cargo(root);
        command.env("KEYWHEEL_SCALE", &scale).env("KEYWHEEL_VENV", &venv);
        command.env("KEYWHEEL_NODE", &node);
        process::run(command.args(["test", "--locked", "--workspace"]).args(words))
    };
    steps.attempt("build the tests", || tests(&["--all-targets", "--no-run"]));
    // Before the tests, some of which look at Python applications.
    steps.attempt("build the Python package", || python::install(root, &venv));
    let mut binary = None;
    steps.attempt("build the command for the Python package", || {
        binary = Some(python::command(root)?);
        Ok(())
    });
    // Tests of both kinds wait most of the time, so they wait together.
    std::thread::scope(|scope| {
        let (venv, scale) = (&venv, &scale);
        let python =
            binary.map(|binary| scope.spawn(move || python::test(root, venv, scale, &binary)));
        steps.attempt("tests", || tests(&["--all-targets", "--no-fail-fast"]));
        steps.attempt("documentation tests", || tests(&["--doc"]));
        if let Some(python) = python {
            steps.attempt("tests of the Python package, begun with the others", || {
                python
                    .join()
                    .unwrap_or_else(|_| Err(Failure::usage("the thread of pytest panicked")))
            });
        }
    });
    steps.finish()
}

/// `cargo xtask prepare`: prepares the machine only.
pub(crate) fn prepare(root: &Path) -> Result<(), Failure> {
    let mut steps = Steps::default();
    prepared(root, &mut steps)?;
    steps.finish()
}

/// Where tests find what is not theirs.
pub(crate) struct Prepared {
    /// The Python environment.
    pub(crate) venv: PathBuf,
    /// The folder with packages for Node.
    pub(crate) node: PathBuf,
}

/// Prepares the machine and says where things are, when that went well.
pub(crate) fn prepared(root: &Path, steps: &mut Steps) -> Result<Option<Prepared>, Failure> {
    let target = process::target_dir(root)?;
    let (mut venv, mut node) = (None, None);
    steps.attempt("packages", machine::packages);
    if steps.failed() {
        return Ok(None);
    }
    steps.attempt("python environment", || {
        venv = Some(machine::python(root, &target)?);
        Ok(())
    });
    steps.attempt("packages for Node", || {
        node = Some(machine::node(root, &target)?);
        Ok(())
    });
    Ok(venv.zip(node).map(|(venv, node)| Prepared { venv, node }))
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
