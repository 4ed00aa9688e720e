//! `cargo xtask bench scan`: what a scan costs beside the scanners of others, over trees that
//! `KEYWHEEL_SCAN_TREES` names (`mixed=/a:/b`, several with spaces between) or that a machine which
//! builds this has anyway. Builds the smallest program that scans, makes an environment with the
//! peers, and lets `xtask/python/bench_scan.py` measure.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::Failure;
use crate::process::{self, cargo, output, run, succeeds};

/// The program, as `cargo xtask bench` names it.
pub(crate) const NAME: &str = "scan";

const TREES: &str = "KEYWHEEL_SCAN_TREES";

/// Measures, and returns the Markdown.
pub(crate) fn report(root: &Path) -> Result<String, Failure> {
    println!("==> bench {NAME}");
    let target = process::target_dir(root)?;
    let mut build = cargo(root);
    build.args(["build", "--locked", "--profile", "dist", "--package", "keywheel-scan"]);
    run(build.args(["--example", "speed"]))?;
    let bin = environment(root, &target.join("bench-scan"))?;
    let trees = match std::env::var(TREES) {
        Ok(trees) => trees.split_whitespace().map(str::to_owned).collect(),
        Err(_) => of_this_machine()?,
    };
    let mut measure = Command::new("python3");
    measure.arg(root.join("xtask/python/bench_scan.py"));
    measure.arg(target.join("dist/examples/speed")).arg(bin).args(trees);
    output(&mut measure)
}

/// The folder of the programs of an environment with the peers. Where they cannot be installed,
/// those that are there anyway are measured.
fn environment(root: &Path, venv: &Path) -> Result<PathBuf, Failure> {
    let bin = venv.join("bin");
    if !bin.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
    }
    let mut pip = Command::new(bin.join("python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
    let requirements = root.join("xtask/python/bench-scan.txt");
    if !succeeds(pip.arg("--requirement").arg(requirements)) {
        println!("the peers cannot be installed; those that are here are measured");
    }
    Ok(bin)
}

/// Python's own library, and the sources of what is built here, which hold a bit of everything.
fn of_this_machine() -> Result<Vec<String>, Failure> {
    let where_it_is = "import sysconfig; print(sysconfig.get_path('stdlib'))";
    let library = output(Command::new("python3").args(["-c", where_it_is]))?;
    let mut trees = vec![format!("Python, its own library={}", library.trim())];
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    if let Some(sources) = home.map(|home| home.join("registry/src")).filter(|path| path.is_dir()) {
        trees.push(format!("Mixed, with sources of Rust={}:{}", library.trim(), sources.display()));
    }
    Ok(trees)
}
