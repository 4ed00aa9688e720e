//! ARCHITECTURE.md is believed: its list of crates is the list of crates, and its lists of files
//! where `unsafe` stands and where secrets are exposed are complete and hold nothing stale.

use std::collections::{BTreeMap, BTreeSet};

use super::text::{TestLines, lines_with, split};
use super::{Finding, Tree};

const MAP: &str = "ARCHITECTURE.md";
const CRATES: &str = "## Crates";
const UNSAFE: &str = "## Where `unsafe` stands";
const EXPOSE: &str = "## Where secrets are exposed";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(map) = tree.file(MAP) else {
        return vec![Finding::new(MAP, 0, "there is no ARCHITECTURE.md", "restore it")];
    };
    let mut findings = crates(tree, map);
    findings.extend(allowed(tree, map, UNSAFE, "unsafe", true));
    findings.extend(allowed(tree, map, EXPOSE, ".expose(", false));
    findings
}

/// The first path in backticks of each list item or table row under a heading, with its line.
fn listed<'a>(map: &'a str, heading: &str) -> BTreeMap<&'a str, usize> {
    let lines = map.lines().enumerate().skip_while(|(_, line)| line.trim() != heading).skip(1);
    let section = lines.take_while(|(_, line)| !line.starts_with("## "));
    let items = section.filter(|(_, line)| line.starts_with("- ") || line.starts_with("| "));
    items.filter_map(|(index, line)| Some((line.split('`').nth(1)?, index + 1))).collect()
}

fn crates(tree: &Tree, map: &str) -> Vec<Finding> {
    let listed = listed(map, CRATES);
    let present: BTreeSet<&str> = tree
        .files
        .iter()
        .filter_map(|file| file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"))
        .collect();
    let unlisted = present.iter().filter(|name| !listed.contains_key(*name)).map(|name| {
        let path = format!("crates/{name}/Cargo.toml");
        let remedy = format!("add a row `{name}` under `{CRATES}` of {MAP}");
        Finding::new(&path, 1, format!("the crate is not on the map in {MAP}"), remedy)
    });
    let stale = listed.iter().filter(|(name, _)| !present.contains(*name)).map(|(name, line)| {
        let cause = format!("there is no crate crates/{name}");
        Finding::new(MAP, *line, cause, "take the row off the map")
    });
    unlisted.chain(stale).collect()
}

/// Holds that `word` stands in the code of exactly the files that the map lists under `heading`,
/// one finding a file. Where `tests_too` is false, the code of tests is free to use it.
fn allowed(tree: &Tree, map: &str, heading: &str, word: &str, tests_too: bool) -> Vec<Finding> {
    let listed = listed(map, heading);
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for (path, source) in tree.texts(".rs") {
        let code = split(source).code;
        let tests = TestLines::of(path, &code);
        let mut lines = lines_with(&code, word).into_iter();
        let Some(line) = lines.find(|line| tests_too || !tests.contains(*line)) else { continue };
        used.insert(path);
        if !listed.contains_key(path) {
            findings.push(Finding::new(
                path,
                line,
                format!("`{word}` stands in a file that the map does not list for it"),
                format!("do without, or add the file and its reason under `{heading}` of {MAP}"),
            ));
        }
    }
    for (path, line) in listed.iter().filter(|(path, _)| !used.contains(*path)) {
        let cause = format!("`{path}` is listed, but `{word}` does not stand in it");
        findings.push(Finding::new(MAP, *line, cause, "take the entry off the list"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP_TEXT: &str = "# Map\n\n## Crates\n\n| crate | what |\n|---|---|\n| `core` | all |\n\n\
        ## Where `unsafe` stands\n\n- `a.rs`: fork\n\n## Where secrets are exposed\n\nNowhere.\n";

    #[test]
    fn a_true_map_passes() {
        let tree = Tree::of(&[
            ("ARCHITECTURE.md", MAP_TEXT),
            ("crates/core/Cargo.toml", ""),
            ("a.rs", "unsafe { f() }"),
            ("b.rs", "// unsafe, and x.expose() in a comment"),
            ("c.rs", "#[cfg(test)]\nmod tests {\n    fn t() { key.expose(); }\n}\n"),
            ("crates/core/tests/t.rs", "fn t() { key.expose(); }\n"),
        ]);
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn every_lie_of_the_map_is_found() {
        let tree = Tree::of(&[
            ("ARCHITECTURE.md", MAP_TEXT),
            ("crates/jose/Cargo.toml", ""),
            ("b.rs", "\nunsafe { f() }\nlet m = key.expose();\nlet n = key.expose();\n"),
        ]);
        let found: Vec<(String, usize)> =
            check(&tree).into_iter().map(|found| (found.path, found.line)).collect();
        let expected =
            [("crates/jose/Cargo.toml", 1), (MAP, 7), ("b.rs", 2), (MAP, 11), ("b.rs", 3)];
        assert_eq!(found, expected.map(|(path, line)| (path.to_owned(), line)));
    }
}
