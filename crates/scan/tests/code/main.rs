//! Programs in JavaScript and TypeScript, Ruby, Go, Java and Kotlin, PHP, and text of no language:
//! small invented ones, in which each line that consumes a key says so after `//!` (kind, scope,
//! whether it takes a new key, several divided by `;`), and no other line may be a finding.

#![expect(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "a helper of a test fails by panicking, with all that is wrong"
)]

use std::collections::BTreeSet;
use std::path::PathBuf;

use keywheel_scan::code::{self, Dialect};
use keywheel_scan::gate::Gate;
use keywheel_scan::lines;
use keywheel_scan::rules::Rules;
use keywheel_scan::site::{Hot, Site, Sites};
use keywheel_scan::source::SourceFile;

/// Where a line of a case says what it is.
const MARK: &str = "//!";
/// What begins a case: its title, and the end of its file's name in brackets where that differs.
const TITLE: &str = "== ";

struct Case {
    title: String,
    extension: String,
    text: String,
    expected: BTreeSet<(u32, String)>,
}

fn cases(table: &str, extension: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in table.lines() {
        if let Some(title) = line.strip_prefix(TITLE) {
            let (title, other) = match title.split_once(" [") {
                Some((title, rest)) => (title, rest.trim_end_matches(']')),
                None => (title, extension),
            };
            cases.push(Case {
                title: title.to_owned(),
                extension: other.to_owned(),
                text: String::new(),
                expected: BTreeSet::new(),
            });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        let (text, marks) = line.split_once(MARK).unwrap_or((line, ""));
        case.text.push_str(text.trim_end());
        case.text.push('\n');
        let number = u32::try_from(case.text.lines().count()).unwrap();
        let marks = marks.split(';').map(str::trim).filter(|mark| !mark.is_empty());
        case.expected.extend(marks.map(|mark| (number, mark.to_owned())));
    }
    cases
}

fn said(site: &Site) -> (u32, String) {
    let scope = site.scope.map_or("-", keywheel_scan::finding::Scope::word);
    let hot = match site.hot {
        Hot::Yes => "yes",
        Hot::No => "no",
        Hot::Follows => "follows",
        Hot::Unknown => "unknown",
    };
    (site.at.line, format!("{} {scope} {hot}", site.kind))
}

fn rules() -> Rules {
    let mut rules = Rules::default();
    for table in code::TABLES {
        rules.add(table).unwrap();
    }
    rules
}

fn check(table: &str, extension: &str) {
    let (rules, cases) = (rules(), cases(table, extension));
    let words = rules.words_beyond(&Gate::new(false, []));
    let gate = Gate::new(false, words.iter().map(String::as_str));
    let mut wrong = String::new();
    for case in &cases {
        // A scan sees only what its gate lets through.
        if !case.expected.is_empty() && !gate.lets(case.text.as_bytes()) {
            wrong += &format!("{}: does not pass the gate\n", case.title);
        }
        let path = PathBuf::from(format!("case.{}", case.extension));
        let file = SourceFile::new(&path, &case.text);
        let mut sites = Sites::default();
        match Dialect::of_extension(&case.extension) {
            Some(dialect) => code::read(&file, dialect, &rules, &mut sites).unwrap(),
            None => lines::read(&file, &rules, &mut sites).unwrap(),
        }
        let found: BTreeSet<_> = sites.found.iter().map(said).collect();
        for (line, mark) in case.expected.difference(&found) {
            wrong += &format!("{}:{line}: not found: {mark}\n", case.title);
        }
        for (line, mark) in found.difference(&case.expected) {
            let text = case.text.lines().nth(*line as usize - 1).unwrap_or_default();
            wrong += &format!("{}:{line}: found: {mark}: {text}\n", case.title);
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    let with = cases.iter().filter(|case| !case.expected.is_empty()).count();
    assert!(
        with >= 20 && cases.len() - with >= 20,
        "{with} of {} cases find something",
        cases.len()
    );
}

#[test]
fn javascript() {
    check(include_str!("javascript.txt"), "ts");
}

#[test]
fn ruby() {
    check(include_str!("ruby.txt"), "rb");
}

#[test]
fn go() {
    check(include_str!("go.txt"), "go");
}

#[test]
fn java_and_kotlin() {
    check(include_str!("java.txt"), "java");
}

#[test]
fn php() {
    check(include_str!("php.txt"), "php");
}

#[test]
fn text_of_no_language() {
    check(include_str!("lines.txt"), "tpl");
}
