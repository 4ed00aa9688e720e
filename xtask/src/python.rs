//! The Python package in the project's own commands: built into the tests' environment, tested
//! against the server that cargo just built, and linted.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::process::{self, cargo};

/// The examples, and how mypy is told what of them to read: two have a module of the same name.
const EXAMPLES: &[(&str, &[&str])] =
    &[("flask", &["app.py"]), ("fastapi", &["app.py"]), ("django", &["-p", "shop"])];

/// Builds the package and installs it, editable, into the environment.
pub(crate) fn install(root: &Path, venv: &Path) -> Result<(), Failure> {
    let mut maturin = tool(root, venv, "maturin");
    process::run(maturin.args(["develop", "--quiet", "--locked"]))
}

/// Builds the command as it ships, and puts it where no other build replaces it.
pub(crate) fn command(root: &Path) -> Result<PathBuf, Failure> {
    process::run(cargo(root).args(["build", "--locked", "--package", "keywheel"]))?;
    let target = process::target_dir(root)?;
    let folder = target.join("for-python");
    let binary = folder.join("keywheel");
    let copied = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::copy(target.join("debug/keywheel"), &binary));
    copied.map(|_| binary).map_err(|error| {
        let cause = format!("{} could not be written: {error}", folder.display());
        Failure::machine(cause, "make room, or let this user write there")
    })
}

/// Runs the package's tests against a command. What they say is shown when they are over, so that
/// other tests may run beside them.
pub(crate) fn test(root: &Path, venv: &Path, scale: &str, binary: &Path) -> Result<(), Failure> {
    let mut pytest = tool(root, venv, "pytest");
    pytest.env("KEYWHEEL_BIN", binary).env("KEYWHEEL_SCALE", scale);
    let log = binary.with_file_name("pytest.log");
    process::run_apart(pytest.args(["-q", "--durations", "10"]), &log)
}

/// Checks types, style and the layout of the package and of the examples.
pub(crate) fn lint(root: &Path, venv: &Path) -> Result<(), Failure> {
    let examples = root.join("examples");
    let ruff = |words: &[&str]| {
        let mut ruff = tool(root, venv, "ruff");
        process::run(ruff.args(words).args(["--config", "pyproject.toml", "."]).arg(&examples))
    };
    ruff(&["format", "--check"])?;
    ruff(&["check"])?;
    process::run(&mut tool(root, venv, "mypy"))?;
    for (folder, what) in EXAMPLES {
        let mut mypy = tool(root, venv, "mypy");
        // Neither Django nor Celery ships types.
        mypy.args(["--strict", "--ignore-missing-imports", "--allow-untyped-decorators"]);
        process::run(mypy.current_dir(examples.join(folder)).args(*what))?;
    }
    process::run(&mut tool(root, venv, "pyright"))?;
    process::run(tool(root, venv, "pyright").current_dir(examples))
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
