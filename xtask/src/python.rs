//! The Python package in the project's own commands: built into the tests' environment, tested
//! against the server that cargo just built, and linted.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::process::{self, cargo};

/// Builds the package and installs it, editable, into the environment.
pub(crate) fn install(root: &Path, venv: &Path) -> Result<(), Failure> {
    let mut maturin = tool(root, venv, "maturin");
    process::run(maturin.args(["develop", "--quiet", "--locked"]))
}

/// Runs the package's tests.
pub(crate) fn test(root: &Path, venv: &Path, scale: &str) -> Result<(), Failure> {
    process::run(cargo(root).args(["build", "--locked", "--package", "keywheel"]))?;
    let binary = process::target_dir(root)?.join("debug/keywheel");
    let mut pytest = tool(root, venv, "pytest");
    pytest.env("KEYWHEEL_BIN", binary).env("KEYWHEEL_SCALE", scale);
    process::run(pytest.args(["-q", "--durations", "10"]))
}

/// Checks types, style and the layout of the package and of its examples.
pub(crate) fn lint(root: &Path, venv: &Path) -> Result<(), Failure> {
    process::run(tool(root, venv, "ruff").args(["format", "--check", "."]))?;
    process::run(tool(root, venv, "ruff").args(["check", "."]))?;
    process::run(&mut tool(root, venv, "mypy"))?;
    process::run(&mut tool(root, venv, "pyright"))
}

/// A program of the environment, in the folder of the package.
fn tool(root: &Path, venv: &Path, name: &str) -> Command {
    let programs = venv.join("bin");
    let mut command = Command::new(programs.join(name));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(programs).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(all).unwrap_or(path.clone());
    command.current_dir(folder(root)).env("VIRTUAL_ENV", venv).env("PATH", path);
    command
}

/// Where the package stands.
fn folder(root: &Path) -> PathBuf {
    root.join("python")
}
