//! Relative links of the documents lead somewhere: to a file of the repository, and to a heading of
//! it where they name one. Addresses on the network are not asked.

use std::collections::BTreeSet;

use super::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut places = BTreeSet::new();
    for file in &tree.files {
        let mut path = file.path.as_str();
        places.insert(path);
        while let Some((folder, _)) = path.rsplit_once('/') {
            places.insert(folder);
            path = folder;
        }
    }
    let mut findings = Vec::new();
    for (path, text) in tree.texts(".md") {
        for (line, target) in links(text) {
            if let Err(cause) = resolve(tree, &places, path, &target) {
                findings.push(Finding::new(path, line, cause, "correct the link"));
            }
        }
    }
    findings
}

/// The targets of a document's links, with their lines; code is left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for (_, rest) in prose.match_indices("](").map(|(at, mark)| prose.split_at(at + mark.len()))
        {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((index + 1, target.to_owned()));
        }
    }
    found
}

/// Finds where a link of the document `from` leads.
fn resolve(tree: &Tree, places: &BTreeSet<&str>, from: &str, target: &str) -> Result<(), String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { from.to_owned() } else { join(from, file) };
    if !path.is_empty() && !places.contains(path.as_str()) {
        return Err(format!("the link leads to `{path}`, which does not exist"));
    }
    let Some(document) = tree.file(&path).filter(|_| !heading.is_empty()) else { return Ok(()) };
    let headings = document.lines().filter(|line| line.starts_with('#'));
    if headings.map(anchor).any(|anchor| anchor == heading) {
        return Ok(());
    }
    Err(format!("the link leads to the heading `#{heading}` of `{path}`, which does not exist"))
}

/// A path relative to a document's folder, as a path from the root.
fn join(from: &str, file: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The anchor that a heading gets when it is shown.
fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_somewhere_pass() {
        let tree = Tree::of(&[
            (
                "README.md",
                "[a](docs/guide.md#the-three-laws) [b](https://x.example) [c](docs) `[d](e)`",
            ),
            (
                "docs/guide.md",
                "# Guide\n\n## The three laws\n[up](../README.md)\n```\n[x](y)\n```\n",
            ),
        ]);
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn links_into_nothing_are_found() {
        let tree = Tree::of(&[
            ("README.md", "\n[a](docs/gone.md)\n[b](docs/guide.md#gone)\n[c](#nothing)\n"),
            ("docs/guide.md", "# Guide\n"),
        ]);
        let lines: Vec<usize> = check(&tree).into_iter().map(|found| found.line).collect();
        assert_eq!(lines, [2, 3, 4]);
    }
}
