//! `cargo xtask wheels`: the wheels as they are published, built so that whoever builds the same
//! sources at the same place of the toolchain gets the same bytes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::machine;
use crate::process::{self, run};

/// The folders with a `pyproject.toml`, and what else maturin is told. The library has a wheel for
/// every Python from 3.9 on, and a faster one for every Python from 3.10 on, which installers take
/// where it fits.
const WHEELS: &[(&str, &[&str])] = &[
    ("python", &[]),
    ("python", &["--no-default-features", "--features", "abi3-py310"]),
    ("packaging/python-command", &[]),
];
/// Where wheels are put, below the target directory.
const FOLDER: &str = "wheels";

/// Builds every wheel.
pub(crate) fn build(root: &Path) -> Result<(), Failure> {
    let target = process::target_dir(root)?;
    let folder = target.join(FOLDER);
    for wheel in WHEELS {
        build_into(root, wheel, &target, &folder)?;
    }
    for (name, digest) in digests(&folder)? {
        println!("{digest}  {name}");
    }
    Ok(())
}

/// Builds each, or those of these folders, twice and both times from nothing, and compares.
pub(crate) fn check(root: &Path, folders: &[&str]) -> Result<(), Failure> {
    let has_wheel = |folder: &&&str| WHEELS.iter().any(|wheel| wheel.0 == **folder);
    if let Some(other) = folders.iter().find(|folder| !has_wheel(folder)) {
        let mut all: Vec<_> = WHEELS.iter().map(|wheel| wheel.0).collect();
        all.dedup();
        let all = all.join(", ");
        return Err(Failure::usage(format!("`{other}` has no wheel; those that have: {all}")));
    }
    let target = process::target_dir(root)?;
    let is_meant = |project: &str| folders.is_empty() || folders.contains(&project);
    for wheel in WHEELS.iter().filter(|wheel| is_meant(wheel.0)) {
        let mut built = Vec::new();
        for name in ["wheels-first", "wheels-second"] {
            let folder = target.join(name);
            if folder.exists() {
                std::fs::remove_dir_all(&folder).map_err(|error| unusable(&folder, &error))?;
            }
            let wheels = folder.join(FOLDER);
            build_into(root, wheel, &folder.join("target"), &wheels)?;
            built.push(digests(&wheels)?);
        }
        let [first, second] = built.as_slice() else { continue };
        for (name, digest) in first {
            println!("{digest}  {name}");
        }
        if first != second {
            return Err(Failure::found(
                format!("the same sources of {} gave another wheel the second time", wheel.0),
                "compare target/wheels-first and target/wheels-second with diffoscope",
            ));
        }
    }
    Ok(())
}

/// Builds a wheel into a folder.
fn build_into(
    root: &Path,
    (project, more): &(&str, &[&str]),
    target: &Path,
    folder: &Path,
) -> Result<(), Failure> {
    let venv = machine::python(root, &process::target_dir(root)?)?;
    let mut maturin = Command::new(venv.join("bin/maturin"));
    maturin.current_dir(root.join(project)).env("SOURCE_DATE_EPOCH", committed_at(root)?);
    maturin.env("RUSTFLAGS", without_paths(root)).env("CARGO_TARGET_DIR", target);
    // The paths of C sources, which no flag of rustc reaches.
    maturin.env("CFLAGS", format!("-ffile-prefix-map={}=/", target.display()));
    run(maturin
        .args(["build", "--profile", "dist", "--locked"])
        .args(*more)
        .arg("--out")
        .arg(folder))
}

/// When the sources were committed: the time that every file in a wheel is given.
fn committed_at(root: &Path) -> Result<String, Failure> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["log", "-1", "--format=%ct"]);
    let answer = git.output().map_err(|error| {
        Failure::machine(format!("git could not be started: {error}"), "install git")
    })?;
    Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned())
}

/// Flags for rustc that leave out where this machine keeps things.
fn without_paths(root: &Path) -> OsString {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let mut flags = OsString::from("--remap-path-prefix=");
    flags.push(root);
    flags.push("=/keywheel --remap-path-prefix=");
    flags.push(cargo);
    flags.push("=/cargo");
    flags
}

/// The SHA-256 of each wheel in a folder, by its name.
fn digests(folder: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(|error| unusable(folder, &error))? {
        let path = entry.map_err(|error| unusable(folder, &error))?.path();
        if path.extension().is_none_or(|extension| extension != "whl") {
            continue;
        }
        let summed = Command::new("sha256sum").arg(&path).output();
        let summed = summed.map_err(|error| unusable(&path, &error))?;
        let text = String::from_utf8_lossy(&summed.stdout);
        let digest = text.split_whitespace().next().unwrap_or_default().to_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        found.insert(name, digest);
    }
    Ok(found)
}

fn unusable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::machine(
        format!("{} cannot be used: {error}", path.display()),
        "check its permissions and the free space",
    )
}
