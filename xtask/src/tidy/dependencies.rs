//! Arrows point one way: which crate of the workspace may use which, and what the core may never
//! reach, whatever stands between.

use std::path::Path;

use super::Finding;
use crate::failure::Failure;
use crate::process::{cargo, metadata, output};

/// Who may use whom; an arrow that is not here points the wrong way. Tests may use anything.
const ARROWS: &[(&str, &[&str])] = &[
    ("keywheel-core", &[]),
    ("keywheel-jose", &["core"]),
    ("keywheel-engine", &["core", "jose"]),
    ("keywheel-store", &["core", "engine"]),
    ("keywheel-api", &["core", "jose"]),
    ("keywheel-server", &["core", "engine", "api", "jose"]),
    ("keywheel-codec", &[]),
    ("keywheel-postgres", &[]),
    ("keywheel-reencrypt", &["codec", "postgres"]),
    ("keywheel-client", &["core", "jose", "api", "codec"]),
    ("keywheel-scan", &["postgres"]),
    ("keywheel-deliver", &["core", "jose", "client", "scan"]),
    ("keywheel-python", &["core", "jose", "client"]),
    ("keywheel-testkit", &["core", "jose", "engine", "store", "api", "server", "client"]),
    (
        "keywheel",
        &[
            "core",
            "jose",
            "engine",
            "store",
            "api",
            "server",
            "client",
            "deliver",
            "scan",
            "codec",
            "postgres",
            "reencrypt",
        ],
    ),
    ("xtask", &[]),
];

/// Crates with which the outside would get into the core.
const OUTSIDE: &[&str] = &[
    "async-std",
    "aws-lc-rs",
    "axum",
    "fastrand",
    "getrandom",
    "hyper",
    "libc",
    "mio",
    "rand",
    "rand_core",
    "reqwest",
    "ring",
    "rusqlite",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "ureq",
];

/// An arrow of the workspace: a package, and another package of the workspace that it uses.
type Arrow = (String, String);

pub(super) fn check(root: &Path) -> Result<Vec<Finding>, Failure> {
    let words =
        ["tree", "-p", "keywheel-core", "-e", "normal", "--prefix", "none", "--format", "{p}"];
    let mut findings = reached(&output(cargo(root).args(words))?);
    findings.extend(wrong(&arrows(&metadata(root)?)));
    Ok(findings)
}

/// Reads the arrows that ship, so neither tests' nor examples', from cargo's metadata.
fn arrows(metadata: &serde_json::Value) -> Vec<Arrow> {
    let text = |value: &serde_json::Value, field: &str| {
        value.get(field).and_then(|name| name.as_str()).map(str::to_owned)
    };
    let list = |value: &serde_json::Value, field: &str| {
        value.get(field).and_then(|list| list.as_array()).cloned().unwrap_or_default()
    };
    let mut arrows = Vec::new();
    for package in list(metadata, "packages") {
        for dependency in list(&package, "dependencies") {
            let ships = text(&dependency, "kind").as_deref() != Some("dev");
            if ships && text(&dependency, "path").is_some() {
                arrows.extend(text(&package, "name").zip(text(&dependency, "name")));
            }
        }
    }
    arrows
}

/// The arrows that point the wrong way.
fn wrong(arrows: &[Arrow]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (from, to) in arrows {
        let short = |name: &str| name.strip_prefix("keywheel-").map(str::to_owned);
        let allowed = ARROWS.iter().find(|(name, _)| name == from).map(|(_, allowed)| *allowed);
        let to_short = short(to).unwrap_or_else(|| to.clone());
        if allowed.is_some_and(|allowed| allowed.contains(&to_short.as_str())) {
            continue;
        }
        let folder = short(from).unwrap_or_else(|| "cli".to_owned());
        findings.push(Finding::new(
            &format!("crates/{folder}/Cargo.toml"),
            0,
            format!("the arrow from {from} to {to} points the wrong way"),
            "put what is shared below both; a new crate joins the list in \
             xtask/src/tidy/dependencies.rs",
        ));
    }
    findings
}

/// The crates of the outside that stand in the core's tree.
fn reached(tree: &str) -> Vec<Finding> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let outside = names.filter(|name| OUTSIDE.contains(name));
    let report = |name| {
        Finding::new(
            "crates/core/Cargo.toml",
            0,
            format!("keywheel-core reaches the crate {name}"),
            format!(
                "see who brings it with `cargo tree -p keywheel-core -i {name}`, and part with it"
            ),
        )
    };
    outside.map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_reaches_no_outside() {
        assert_eq!(reached("keywheel-core v0.1.0 (here)\njiff v0.2.46\nserde v1.0.0 (*)\n"), []);
        let found = reached("keywheel-core v0.1.0\ntokio v1.54.0\nmio v1.0.0 (*)\n");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn arrows_are_read_and_judged() {
        let metadata = serde_json::json!({ "packages": [
            { "name": "keywheel-store", "dependencies": [
                { "name": "keywheel-engine", "kind": null, "path": "x" },
                { "name": "keywheel-testkit", "kind": "dev", "path": "x" },
                { "name": "serde", "kind": null },
            ]},
            { "name": "keywheel-core", "dependencies": [
                { "name": "keywheel-jose", "kind": null, "path": "x" },
            ]},
            { "name": "keywheel-new", "dependencies": [
                { "name": "keywheel-core", "kind": "build", "path": "x" },
            ]},
        ]});
        let found: Vec<String> =
            wrong(&arrows(&metadata)).into_iter().map(|found| found.path).collect();
        assert_eq!(found, ["crates/core/Cargo.toml", "crates/new/Cargo.toml"]);
    }
}
