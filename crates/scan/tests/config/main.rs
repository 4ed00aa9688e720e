//! Configuration files of every format: each line that is marked gives exactly what the mark says,
//! and every other line gives nothing.
//!
//! A case begins with `### path`. A mark is `#! kind [name] [literal]` at the end of a line, and is
//! taken away before the file is read. Logins' passwords are reported only where they are asked
//! for, so they count as nothing here.

#![expect(clippy::expect_used, reason = "a helper of a test fails by panicking")]

use std::collections::BTreeMap;

use keywheel_scan::finding::{Class, Kind};
use keywheel_scan::site::{Site, Sites, Unreadable};
use keywheel_scan::source::SourceFile;

type Read = fn(&SourceFile<'_>, &mut Sites) -> Result<(), Unreadable>;

/// Reads a file by its name.
fn by_name(file: &SourceFile<'_>, sites: &mut Sites) -> Result<(), Unreadable> {
    keywheel_scan::config::read(file, &keywheel_scan::rules::Rules::default(), sites)
}

fn sql(file: &SourceFile<'_>, sites: &mut Sites) -> Result<(), Unreadable> {
    keywheel_scan::sql::read(file, &keywheel_scan::rules::Rules::default(), sites)
}

/// Each line as the content of a string of a program.
#[expect(clippy::unnecessary_wraps, reason = "it has the type of all readers")]
fn sql_in_strings(file: &SourceFile<'_>, sites: &mut Sites) -> Result<(), Unreadable> {
    for (start, line) in file.lines() {
        keywheel_scan::sql::read_string(file, start, line, sites);
    }
    Ok(())
}

/// The text without marks, and the marks by their lines.
fn unmarked(text: &str) -> (String, BTreeMap<u32, String>) {
    let mut marks = BTreeMap::new();
    let mut clean = String::new();
    for (line, number) in text.lines().zip(1..) {
        let (line, mark) = line.split_once("#!").unwrap_or((line, ""));
        if mark.is_empty() {
            clean += line;
        } else {
            clean += line.trim_end();
            marks.insert(number, mark.trim().to_owned());
        }
        clean.push('\n');
    }
    (clean, marks)
}

fn shown(site: &Site, mark: &str) -> String {
    let mut text = site.kind.word().to_owned();
    if mark.contains(' ') {
        text += " ";
        text += site.name.as_deref().unwrap_or("-");
    }
    if mark.ends_with(" literal") && site.literal.is_some() {
        text += " literal";
    }
    text
}

fn check(cases: &str, read: Read, positives_min: usize) {
    let mut positives = 0;
    let mut wrong = Vec::new();
    for case in cases.split("### ").skip(1) {
        let (path, text) = case.split_once('\n').expect("a path and a text");
        let (clean, marks) = unmarked(text);
        let mut sites = Sites::default();
        let file = SourceFile::new(path.as_ref(), &clean);
        if let Err(unreadable) = read(&file, &mut sites) {
            wrong.push(format!("{path}: {unreadable}"));
        }
        positives += marks.len();
        let mut found: BTreeMap<u32, Vec<&Site>> = BTreeMap::new();
        for site in sites.found.iter().filter(|site| site.class != Class::Password) {
            assert!(!site.reason.is_empty(), "{path}: {}", site.rule);
            found.entry(site.at.line).or_default().push(site);
        }
        for (line, mark) in &marks {
            let sites = found.remove(line).unwrap_or_default();
            let all: Vec<_> = sites.iter().map(|site| shown(site, mark)).collect();
            if !all.contains(mark) {
                let text = clean.lines().nth(*line as usize - 1).unwrap_or_default();
                wrong.push(format!("{path}:{line}: {mark} is not among {all:?}: {text}"));
            }
        }
        for (line, sites) in found {
            let text = clean.lines().nth(line as usize - 1).unwrap_or_default();
            let all: Vec<_> = sites.iter().map(|site| shown(site, "a b")).collect();
            wrong.push(format!("{path}:{line}: nothing is expected, but {all:?}: {text}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(positives >= positives_min, "only {positives} cases");
}

#[test]
fn environment_files() {
    check(include_str!("env.txt"), by_name, 20);
}

#[test]
fn yaml() {
    check(include_str!("yaml.txt"), by_name, 60);
}

#[test]
fn json_and_toml() {
    check(include_str!("json.txt"), by_name, 20);
    check(include_str!("toml.txt"), by_name, 20);
}

#[test]
fn ini_and_properties() {
    check(include_str!("ini.txt"), by_name, 20);
    check(include_str!("xml.txt"), by_name, 3);
}

#[test]
fn dockerfiles_and_scripts() {
    check(include_str!("docker.txt"), by_name, 20);
    check(include_str!("shell.txt"), by_name, 20);
}

#[test]
fn units_and_terraform() {
    check(include_str!("systemd.txt"), by_name, 20);
    check(include_str!("terraform.txt"), by_name, 20);
}

#[test]
fn web_servers() {
    check(include_str!("nginx.txt"), by_name, 20);
    check(include_str!("apache.txt"), by_name, 20);
}

#[test]
fn statements_of_sql() {
    check(include_str!("sql.txt"), sql, 20);
    check(include_str!("strings.txt"), sql_in_strings, 20);
}

/// Deep, long and broken texts of every format are read to their end, or refused with a reason.
#[test]
fn nothing_is_too_strange_to_be_read() {
    let names = [
        "a.yml",
        "a.json",
        "a.toml",
        "a.tf",
        "a.ini",
        ".env",
        "Dockerfile",
        "a.sh",
        "a.service",
        "a.xml",
        "nginx.conf",
    ];
    let mut texts: Vec<String> = [
        "[",
        "{",
        "{\"a\":",
        "- ",
        "a: [",
        "a:\n",
        "a = {",
        "\"",
        "'",
        "${",
        "{{",
        "<%",
        "$(",
        "a: '\n",
        "a=\"\n",
        "x {\n",
        "f(",
        "pgp_sym_encrypt(a, ",
        "/*",
        "$$",
        "E'\\",
        "map $a $b {\n",
        "<If \"",
        "=",
        "ENV \\\n",
        "é: {{",
        "secret: \u{fffd}",
    ]
    .iter()
    .map(|part| part.repeat(20_000))
    .collect();
    let mut stairs = String::new();
    for depth in 0..600 {
        stairs += &" ".repeat(depth);
        stairs += "secret:\n";
    }
    texts.push(stairs);
    texts.push(format!("jwt_secret: {}", "x ".repeat(500_000)));
    texts.push(format!("{{\"jwt_secret\": \"{}\"}}", "x".repeat(1_000_000)));
    for name in names {
        for text in &texts {
            let mut sites = Sites::default();
            let file = SourceFile::new(name.as_ref(), text);
            if let Err(unreadable) = by_name(&file, &mut sites) {
                assert!(unreadable.to_string().contains("deep"), "{name}: {unreadable}");
            }
            assert!(sites.found.iter().all(|site| site.kind == Kind::ConfigFile));
            sql(&file, &mut sites).expect("never refused");
        }
    }
}
