//! Rules on files of every kind: nothing large, nothing compiled, no trace of one machine, packages
//! from the public registry only, and every crate under the workspace's lints.

use super::{Finding, Tree};

const FILE_BYTES_MAX: usize = 1024 * 1024;
const BINARY_BYTES_MAX: usize = 64 * 1024;

/// The files that state these rules must name what they forbid.
const STATES_THE_RULE: &str = "xtask/src/tidy/files.rs";

/// Folders that exist on one machine only.
const MACHINE_FOLDERS: &[&str] = &["/work/", "/root/", "/home/"];

/// Where packages may come from, as Cargo.lock writes it.
const PUBLIC_REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Settings that would send a package manager elsewhere.
const ELSEWHERE: &[(&str, &str)] = &[
    (".cargo/config.toml", "[source"),
    (".cargo/config.toml", "[registries"),
    ("requirements.txt", "--index-url"),
    ("requirements.txt", "--extra-index-url"),
    ("requirements.txt", "--find-links"),
    ("requirements.txt", "://"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = sizes(tree);
    for (path, text) in tree.texts("") {
        if path != STATES_THE_RULE {
            findings.extend(machine_paths(path, text));
        }
        findings.extend(registries(path, text));
        if path.ends_with("Cargo.toml") {
            findings.extend(lints(path, text));
        }
    }
    findings
}

fn sizes(tree: &Tree) -> Vec<Finding> {
    let found = tree.files.iter().filter_map(|file| {
        let (bytes, binary) = (file.bytes.len(), file.text().is_none());
        let limit = if binary { BINARY_BYTES_MAX } else { FILE_BYTES_MAX };
        let what = if binary { "binary file" } else { "file" };
        (bytes > limit).then(|| {
            let cause = format!("the {what} has {bytes} bytes; {limit} is the limit");
            Finding::new(&file.path, 0, cause, "make it when it is needed, or ignore it in git")
        })
    });
    found.collect()
}

fn machine_paths(path: &str, text: &str) -> Vec<Finding> {
    let starts = |line: &str, folder: &str| {
        line.match_indices(folder).any(|(start, _)| {
            let before = line.get(..start).and_then(|head| head.chars().next_back());
            // `docs/work/` is a relative path, and `example.org/home/` an address.
            before.is_none_or(|letter| !letter.is_alphanumeric() && !"._-}".contains(letter))
        })
    };
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for folder in MACHINE_FOLDERS.iter().filter(|folder| starts(line, folder)) {
            let cause = format!("`{folder}` is a place on one machine");
            let remedy = "write the path relative to the repository, or take it from the caller";
            findings.push(Finding::new(path, index + 1, cause, remedy));
        }
    }
    findings
}

fn registries(path: &str, text: &str) -> Vec<Finding> {
    let lock = path.ends_with("Cargo.lock");
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let source = line.strip_prefix("source = \"").map(|source| source.trim_end_matches('"'));
        let foreign = lock && source.is_some_and(|source| source != PUBLIC_REGISTRY);
        let comment = line.trim_start().starts_with('#');
        let sent = |(file, word): &(&str, &str)| path.ends_with(file) && line.contains(word);
        if foreign || (!comment && ELSEWHERE.iter().any(sent)) {
            let cause = "a package comes from elsewhere than the public registry";
            let remedy = "keep mirrors in the machine's own configuration";
            findings.push(Finding::new(path, index + 1, cause, remedy));
        }
    }
    findings
}

fn lints(path: &str, manifest: &str) -> Vec<Finding> {
    let mut lines = manifest.lines().map(str::trim);
    let package = manifest.lines().any(|line| line.trim() == "[package]");
    let inherits = lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true");
    if !package || inherits {
        return Vec::new();
    }
    let cause = "the crate is not under the workspace's lints";
    vec![Finding::new(path, 0, cause, "add `[lints]` with `workspace = true`")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<(String, usize)> {
        check(&Tree::of(files)).into_iter().map(|found| (found.path, found.line)).collect()
    }

    #[test]
    fn good_files_pass() {
        let manifest = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n";
        let lock = format!("source = \"{PUBLIC_REGISTRY}\"\n");
        let files = [
            ("a/Cargo.toml", manifest),
            ("Cargo.toml", "[workspace]\n"),
            ("Cargo.lock", lock.as_str()),
            ("docs/a.md", "see docs/work/plan and https://example.org/home/page\n"),
            ("xtask/requirements.txt", "# from ://nowhere\npytest==9\n"),
        ];
        assert_eq!(found(&files), []);
    }

    #[test]
    fn bad_files_are_found() {
        let large = "x".repeat(FILE_BYTES_MAX + 1);
        let binary = "\0".repeat(BINARY_BYTES_MAX + 1);
        let files = [
            ("large.txt", large.as_str()),
            ("tool", binary.as_str()),
            ("run.sh", "cd\n/root/x\n"),
            ("Cargo.lock", "source = \"registry+https://mirror.example/index\"\n"),
            (".cargo/config.toml", "[source.crates-io]\n"),
            ("requirements.txt", "--index-url https://mirror.example\n"),
            ("b/Cargo.toml", "[package]\n[lints.clippy]\n"),
        ];
        let expected = [
            ("large.txt", 0),
            ("tool", 0),
            ("run.sh", 2),
            ("Cargo.lock", 1),
            (".cargo/config.toml", 1),
            ("requirements.txt", 1),
            ("b/Cargo.toml", 0),
        ];
        assert_eq!(found(&files), expected.map(|(path, line)| (path.to_owned(), line)));
    }
}
