//! `cargo xtask ci`: all that must hold besides the tests. Every step is tried, so that one run
//! shows everything that is wrong.

use std::path::Path;

use crate::failure::Failure;
use crate::process::{self, Steps, cargo};
use crate::{codegen, fuzz, machine, python, tidy};

/// Runs the verb.
///
/// Steps share one target directory and pass no flags that would make cargo build a dependency
/// twice: lints go behind `--`, and the documentation's own flags only reach rustdoc.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let mut steps = Steps::default();
    steps.attempt("format", || {
        process::run(cargo(root).args(["fmt", "--all", "--check"]))?;
        process::run(cargo(root).args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
    });
    steps.attempt("tidy", || tidy::run(root));
    steps.attempt("clippy", || {
        let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
        process::run(cargo(root).args(clippy))
    });
    steps.attempt("documentation", || {
        let mut doc = cargo(root);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        process::run(doc.args(["doc", "--locked", "--workspace", "--no-deps"]))
    });
    steps.attempt("the Python package", || {
        let venv = machine::python(root, &process::target_dir(root)?)?;
        python::lint(root, &venv)
    });
    steps.attempt("generated files", || codegen::check(root));
    steps.attempt("fuzzing", || fuzz::briefly(root));
    steps.finish()
}
