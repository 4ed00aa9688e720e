//! Rules on Rust sources: how a file opens, how long it may be, what stays out of it, and that
//! `keywheel-core` reaches for nothing outside itself.

use super::text::{Layers, TestLines, lines_with, split};
use super::{Finding, Tree};

const LINES_MAX: usize = 800;
const COLUMNS_MAX: usize = 100;

/// The modules of the standard library through which the world would reach the core.
const WORLD: &[&str] = &["fs", "net", "env", "process", "thread", "os", "io"];

/// Words that mark unfinished code, and where they are looked for.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "#[ignore"];
const UNFINISHED_NOTES: &[&str] = &["FIXME", "XXX", "TODO"];

/// What a comment says when a test has to sleep.
const SLEEPS: &str = "tidy: sleeps because";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.texts(".rs").flat_map(|(path, source)| check_source(path, source)).collect()
}

fn check_source(path: &str, source: &str) -> Vec<Finding> {
    let layers = split(source);
    let mut findings = shape(path, source);
    findings.extend(unfinished(path, &layers));
    findings.extend(sleeps(path, &layers));
    if path.starts_with("crates/core/src/") {
        findings.extend(purity(path, &layers));
    }
    findings
}

/// Opening, length and width.
fn shape(path: &str, source: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !source.starts_with("//!") {
        findings.push(Finding::new(
            path,
            1,
            "the file does not open with `//!`",
            "say in a sentence or two what it is for and what it leaves to others",
        ));
    }
    let lines = source.lines().count();
    if lines > LINES_MAX {
        findings.push(Finding::new(
            path,
            LINES_MAX + 1,
            format!("the file has {lines} lines; {LINES_MAX} is the limit"),
            "move one concern into a file of its own",
        ));
    }
    for (index, line) in source.lines().enumerate() {
        let columns = line.chars().count();
        // rustfmt breaks the code and leaves comments as they are; what it does not break is a
        // literal, such as a snapshot or a test vector, which reads no better in pieces.
        if columns > COLUMNS_MAX && line.trim_start().starts_with("//") {
            findings.push(Finding::new(
                path,
                index + 1,
                format!("the line has {columns} columns; {COLUMNS_MAX} is the limit"),
                "continue the sentence on the next line",
            ));
        }
    }
    findings
}

fn unfinished(path: &str, layers: &Layers) -> Vec<Finding> {
    let found = |text: &str, words: &[&str]| -> Vec<Finding> {
        let report = |word: &&str, line| {
            let remedy = "finish it, delete it, or write an issue and leave the code in peace";
            Finding::new(path, line, format!("`{word}` marks something unfinished"), remedy)
        };
        let lines = |word| lines_with(text, word).into_iter().map(move |line| report(&word, line));
        words.iter().copied().flat_map(lines).collect()
    };
    let mut findings = found(&layers.code, UNFINISHED);
    findings.extend(found(&layers.comments, UNFINISHED_NOTES));
    findings
}

/// Tests wait for conditions; one that sleeps says why, on its line or in the comment above.
fn sleeps(path: &str, layers: &Layers) -> Vec<Finding> {
    let tests = TestLines::of(path, &layers.code);
    let comments: Vec<&str> = layers.comments.lines().collect();
    let code: Vec<&str> = layers.code.lines().collect();
    let comment_only = |line: &usize| {
        let blank = |lines: &[&str]| lines.get(line - 1).is_none_or(|text| text.trim().is_empty());
        blank(&code) && !blank(&comments)
    };
    let explained = |line: usize| {
        let above = (1..line).rev().take_while(comment_only);
        std::iter::once(line)
            .chain(above)
            .any(|line| comments.get(line - 1).is_some_and(|text| text.contains(SLEEPS)))
    };
    let slept = ["thread::sleep", "time::sleep"];
    let lines = slept.iter().flat_map(|word| lines_with(&layers.code, word));
    let report = |line| {
        Finding::new(
            path,
            line,
            "a test sleeps",
            format!("wait for the condition with a deadline, or say `// {SLEEPS} …`"),
        )
    };
    lines.filter(|line| tests.contains(*line) && !explained(*line)).map(report).collect()
}

/// The core reads no clock, file, socket or environment.
fn purity(path: &str, layers: &Layers) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report = |line: usize, what: &str| {
        findings.push(Finding::new(
            path,
            line,
            format!("keywheel-core reaches for `{what}`"),
            "take what is needed as an argument; the engine's ports fetch it",
        ));
    };
    for module in WORLD {
        for line in lines_with(&layers.code, &format!("std::{module}")) {
            report(line, &format!("std::{module}"));
        }
    }
    for clock in ["Instant", "SystemTime"] {
        for line in lines_with(&layers.code, clock) {
            report(line, clock);
        }
    }
    for (start, _) in layers.code.match_indices("std::{") {
        let tail = layers.code.get(start..).unwrap_or_default();
        let group = tail.split(';').next().unwrap_or_default();
        let line = layers.code.get(..start).unwrap_or_default().matches('\n').count() + 1;
        for module in WORLD.iter().filter(|module| !lines_with(group, module).is_empty()) {
            report(line, &format!("std::{module}"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(path: &str, source: &str) -> Vec<(usize, String)> {
        check_source(path, source).into_iter().map(|found| (found.line, found.cause)).collect()
    }

    #[test]
    fn a_good_file_passes() {
        let source = "//! Adds.\n\nuse std::fmt;\n\n/// A sum; see `todo!` in a text.\n\
                      fn sum() -> &'static str {\n    \"todo! FIXME std::fs\"\n}\n";
        assert_eq!(causes("crates/core/src/sum.rs", source), []);
        let vector = format!("//! A vector.\n\"{}\"\n", "0".repeat(300));
        assert_eq!(causes("crates/core/src/sum.rs", &vector), []);
    }

    #[test]
    fn opening_length_and_width_are_held() {
        let long = format!("// no\n// {}\n{}", "x".repeat(98), "\n".repeat(800));
        let found = causes("crates/core/src/a.rs", &long);
        assert_eq!(found.first().unwrap(), &(1, "the file does not open with `//!`".to_owned()));
        assert_eq!(found.get(1).unwrap().0, 801);
        assert_eq!(found.get(2).unwrap().0, 2);
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn unfinished_code_is_found() {
        let source =
            "//! A.\nfn a() { todo!() }\n// FIXME later\n#[ignore = \"slow\"]\nfn b() {}\n";
        let lines: Vec<usize> = causes("a.rs", source).into_iter().map(|found| found.0).collect();
        assert_eq!(lines, [2, 4, 3]);
    }

    #[test]
    fn a_sleep_in_a_test_needs_its_reason() {
        let bad = "//! A.\nfn a() { std::thread::sleep(x); }\n\
                   #[cfg(test)]\nmod tests {\n    fn b() { thread::sleep(x); }\n}\n";
        assert_eq!(causes("crates/client/src/a.rs", bad), [(5, "a test sleeps".to_owned())]);
        assert_eq!(causes("crates/cli/tests/a.rs", bad).len(), 2);
        let good = "//! A.\n// tidy: sleeps because the kernel\n// offers no event.\n\
                    fn b() { thread::sleep(x); }\n";
        assert_eq!(causes("crates/cli/tests/a.rs", good), []);
    }

    #[test]
    fn the_core_reaches_for_nothing() {
        let bad =
            "//! A.\nuse std::fs::File;\nuse std::{fmt, net::IpAddr};\nlet t = Instant::now();\n";
        let lines: Vec<usize> =
            causes("crates/core/src/a.rs", bad).into_iter().map(|found| found.0).collect();
        assert_eq!(lines, [2, 4, 3]);
        assert_eq!(causes("crates/store/src/a.rs", bad), []);
    }
}
