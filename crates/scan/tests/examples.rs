//! The project's own examples: as they are, no rotation breaks anything in them; and as their
//! READMEs say that they were before, the scan names exactly the lines that the READMEs take out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use keywheel_scan::finding::{HotReload, Kind, Source};
use keywheel_scan::literal::Marker;
use keywheel_scan::report::Report;
use keywheel_scan::scan::{Scan, scan};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

fn scanned(folder: &Path) -> Report {
    let what = Scan::of_folder(folder, Marker::new(b"k")).unwrap();
    scan(what, &|_| {}).unwrap()
}

/// A file as the README says that it was: the lines that it adds give way to those that it takes.
fn before(example: &Path, file: &str) -> String {
    let readme = std::fs::read_to_string(example.join("README.md")).unwrap();
    let mut text = std::fs::read_to_string(example.join(file)).unwrap();
    let blocks = readme.split("```diff\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    for block in blocks {
        let mut taken = String::new();
        for line in block.lines() {
            if let Some(line) = line.strip_prefix('-') {
                taken.push_str(line);
                taken.push('\n');
            } else if let Some(line) = line.strip_prefix('+') {
                let added = format!("{line}\n");
                if text.contains(&added) {
                    text = text.replacen(&added, &std::mem::take(&mut taken), 1);
                }
            }
        }
    }
    text
}

#[test]
fn no_rotation_breaks_the_examples() {
    for name in ["django", "fastapi", "flask"] {
        let report = scanned(&example(name));
        let breaks: Vec<_> = report.findings.iter().filter(|one| one.blocking).collect();
        assert!(breaks.is_empty(), "{name}: {breaks:?}");
        assert!(report.notes.is_empty(), "{name}: {:?}", report.notes);
    }
}

#[test]
fn the_uses_that_the_readmes_speak_of_are_named() {
    let uses = |name: &str| -> Vec<(String, String)> {
        let report = scanned(&example(name));
        let uses = report.findings.iter().filter(|one| one.kind == Kind::KeyUse);
        uses.filter_map(|one| Some((one.path.clone(), one.sink.clone()?))).collect()
    };
    let use_of = |path: &str, sink: &str| (path.to_owned(), sink.to_owned());
    let links = [use_of("shop/tasks.py", "signing.dumps"), use_of("shop/urls.py", "signing.loads")];
    assert_eq!(uses("django"), links);
    assert!(uses("fastapi").contains(&use_of("app.py", "jwt.encode")));
    let report = scanned(&example("fastapi"));
    assert!(report.findings.iter().all(|one| one.source == Source::Ring), "{:?}", report.findings);
}

#[test]
fn what_the_readmes_take_out_would_have_broken() {
    for (name, file, places) in [
        ("flask", "app.py", &[("app.secret_key = ", HotReload::No)][..]),
        ("django", "shop/settings.py", &[("SECRET_KEY = ", HotReload::No)]),
        (
            "fastapi",
            "app.py",
            &[
                ("app.add_middleware(SessionMiddleware, secret_key=", HotReload::No),
                ("os.environ[\"JWT_KEY\"]", HotReload::Yes),
            ],
        ),
    ] {
        let text = before(&example(name), file);
        let folder = tempfile::tempdir().unwrap();
        // The READMEs leave imports out that everybody writes.
        std::fs::write(folder.path().join("app.py"), format!("import os\nimport jwt\n{text}"))
            .unwrap();
        let report = scanned(folder.path());
        for (start, hot_reload) in places {
            let line = text.lines().position(|line| line.contains(start)).unwrap() + 3;
            let here = report.findings.iter().filter(|one| usize::try_from(one.line) == Ok(line));
            let here: Vec<_> = here.collect();
            assert!(!here.is_empty(), "{name}: {start} is not found: {:?}", report.findings);
            let is_so = |one: &&_| {
                let one: &keywheel_scan::finding::Finding = one;
                one.hot_reload == *hot_reload && one.blocking == (*hot_reload == HotReload::No)
            };
            assert!(here.iter().any(is_so), "{name}: {start}: {here:?}");
        }
    }
}
