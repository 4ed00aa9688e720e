//! `cargo xtask bench reencrypt`: what it costs to move a column to another key, with SQL and with
//! keywheel. Builds the smallest program that moves one, an example of its crate, which starts a
//! PostgreSQL of its own.

use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::process::{self, cargo, output, run};

/// The program, as `cargo xtask bench` names it.
pub(crate) const NAME: &str = "reencrypt";

/// Measures, and returns the Markdown.
pub(crate) fn report(root: &Path) -> Result<String, Failure> {
    println!("==> bench {NAME}");
    let examples = process::target_dir(root)?.join("dist/examples");
    for (package, example) in [("keywheel-reencrypt", "cost"), ("keywheel-codec", "s2k")] {
        let mut build = cargo(root);
        build.args(["build", "--locked", "--profile", "dist", "--package", package]);
        run(build.args(["--example", example]))?;
    }
    let moves = output(Command::new(examples.join("cost")).arg("full"))?;
    let keys = output(&mut Command::new(examples.join("s2k")))?;
    Ok(format!("{moves}\n{keys}"))
}
