//! `cargo xtask bench python`: tokens from Python beside the libraries of others. Builds the
//! package in the ways in which a wheel of it can be built, makes an environment with the peers,
//! and lets `python/bench/tokens.py` measure.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::machine;
use crate::process::{self, output, run, succeeds};

/// The program, as `cargo xtask bench` names it.
pub(crate) const NAME: &str = "python";

/// The newest Python that is there is measured: some peers want 3.12.
const PYTHONS: &[&str] = &["python3.14", "python3.13", "python3.12", "python3"];

/// A PyJWT before one that became slower.
const OLDER: &str = "PyJWT==2.13.0";

/// The builds: a name for people, the folder of it, and the features of the native half. The first
/// is measured beside the peers.
#[rustfmt::skip]
const BUILDS: &[(&str, &str, &str)] = &[
    ("abi3, from 3.10 on", "abi3-py310", "bench,abi3-py310"),
    ("abi3, from 3.9 on", "abi3-py39", "bench,abi3"),
    ("this version alone", "version", "bench"),
];

/// Measures, and returns the Markdown.
pub(crate) fn report(root: &Path) -> Result<String, Failure> {
    println!("==> bench {NAME}");
    let target = process::target_dir(root)?;
    let tests = machine::python(root, &target)?;
    let folder = target.join("bench-python");
    let python = environment(root, &folder)?;
    let older = folder.join("older");
    install(&python, &older, &["--no-deps", OLDER])?;
    let mut builds = Vec::new();
    for (name, short, features) in BUILDS {
        let built = build(root, &tests.join("bin/maturin"), &python, &folder, (short, features))?;
        builds.push((*name, built));
    }
    let mut measure = Command::new(&python);
    measure.current_dir(root.join("python/bench")).arg("tokens.py").arg("--older").arg(&older);
    for (name, built) in &builds {
        measure.arg("--build").arg(format!("{name}={}", built.display()));
    }
    if let Some((_, first)) = builds.first() {
        measure.env("PYTHONPATH", first);
    }
    output(&mut measure)
}

/// The interpreter of an environment with the peers.
fn environment(root: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let has_venv = |name: &str| succeeds(Command::new(name).args(["-c", "import ensurepip, venv"]));
    let newest = PYTHONS.iter().find(|name| has_venv(name)).ok_or_else(|| {
        Failure::machine("no python3 can make an environment", "install python3 and python3-venv")
    })?;
    let venv = folder.join("venv");
    run(Command::new(newest).args(["-m", "venv", "--clear"]).arg(&venv))?;
    let python = venv.join("bin/python");
    let mut pip = pip(&python);
    run(pip.arg("--requirement").arg(root.join("xtask/python/bench.txt")))?;
    Ok(python)
}

fn pip(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    pip
}

/// Installs into a folder of its own, in the place of what was there.
fn install(python: &Path, folder: &Path, what: &[&str]) -> Result<(), Failure> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| {
            let cause = format!("{} cannot be removed: {error}", folder.display());
            Failure::machine(cause, "check its permissions")
        })?;
    }
    run(pip(python).arg("--target").arg(folder).args(what))
}

/// Builds the package with these features, and returns the folder with it.
fn build(
    root: &Path,
    maturin: &Path,
    python: &Path,
    folder: &Path,
    (short, features): (&str, &str),
) -> Result<PathBuf, Failure> {
    let (wheels, installed) = (folder.join("wheels").join(short), folder.join(short));
    let mut build = Command::new(maturin);
    build.current_dir(root.join("python"));
    build.args(["build", "--profile", "dist", "--locked", "--no-default-features"]);
    build.args(["--features", features, "--interpreter"]).arg(python).arg("--out").arg(&wheels);
    run(&mut build)?;
    let wheels = wheels.display().to_string();
    let only = ["--no-deps", "--no-index", "--find-links", &wheels, "keywheel"];
    install(python, &installed, &only)?;
    Ok(installed)
}
