//! What the reader of Python says of small files of our own, and whether that is true.
//!
//! A case is a piece of a `.py` file below `cases/`, from a line `# --- name` to the next. Where a
//! line is a place, a comment says which: `#! env_load module no SECRET_KEY` is its kind, scope,
//! whether it takes a new key, and its name (`-` stands for none, and what is left out is not
//! asked). Several are parted by `;`. A line without such a comment must be none.
//!
//! A case whose name ends in `| run …` is proved too: `prove.py` runs it, changes the key under it
//! and compares what happens with what is claimed.

#![expect(clippy::expect_used, reason = "a test ends where something is not as it must be")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use keywheel_scan::gate::Gate;
use keywheel_scan::python;
use keywheel_scan::rules::Rules;
use keywheel_scan::site::{Hot, Site, Sites};
use keywheel_scan::source::SourceFile;

/// One case, with where it stands.
struct Case {
    name: String,
    file: String,
    text: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python")
}

fn cases() -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir(folder().join("cases"))
        .expect("the cases are there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "py"))
        .collect();
    files.sort();
    let mut found = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a case's text");
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        for part in text.split("\n# --- ").skip(1) {
            let (name, text) = part.split_once('\n').unwrap_or((part, ""));
            found.push(Case { name: name.to_owned(), file: file.clone(), text: text.to_owned() });
        }
    }
    found
}

fn rules() -> Rules {
    let mut rules = Rules::default();
    rules.add(python::TABLE).expect("the table of Python");
    rules
}

fn read(text: &str, rules: &Rules) -> Sites {
    let file = SourceFile::new("case.py".as_ref(), text);
    let mut sites = Sites::default();
    python::read(&file, rules, &mut sites).expect("a case parses");
    sites
}

fn word(hot: Hot) -> &'static str {
    match hot {
        Hot::Yes => "yes",
        Hot::No => "no",
        Hot::Follows | Hot::Unknown => "unknown",
    }
}

/// What a place says, as the comments write it, cut to as many words as the comment has.
fn said(site: &Site, words: usize) -> String {
    let all = [
        site.kind.word(),
        site.scope.map_or("-", |scope| scope.word()),
        word(site.hot),
        site.name.as_deref().unwrap_or("-"),
    ];
    all.into_iter().take(words).collect::<Vec<_>>().join(" ")
}

/// What is wrong with a case.
fn check(case: &Case, rules: &Rules) -> Vec<String> {
    let sites = read(&case.text, rules);
    let mut by_line: BTreeMap<u32, Vec<&Site>> = BTreeMap::new();
    for site in &sites.found {
        by_line.entry(site.at.line).or_default().push(site);
    }
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(case.text.lines()) {
        let expected = line.split_once("#! ").map_or("", |(_, comment)| comment);
        let mut open = by_line.remove(&number).unwrap_or_default();
        for one in expected.split(';').map(str::trim).filter(|one| !one.is_empty()) {
            let words = one.split(' ').count();
            if let Some(at) = open.iter().position(|site| said(site, words) == one) {
                open.remove(at);
                continue;
            }
            let mut text = format!("line {number}: not found: {one}\n    {line}");
            for site in &open {
                let _ = write!(text, "\n    but: {}", said(site, 4));
            }
            wrong.push(text);
        }
        for site in open {
            wrong.push(format!("line {number}: is none: {}\n    {line}", said(site, 4)));
        }
    }
    wrong
}

#[test]
fn each_case_says_what_its_comments_say() {
    let rules = rules();
    let cases = cases();
    let mut report = String::new();
    for case in &cases {
        for wrong in check(case, &rules) {
            let _ = writeln!(report, "{} · {}\n  {wrong}", case.file, case.name);
        }
    }
    assert!(report.is_empty(), "\n{report}");
    assert!(cases.len() >= 150, "only {} cases", cases.len());
}

#[test]
fn no_case_is_read_for_its_comments_alone() {
    let rules = rules();
    let words = rules.words_beyond(&Gate::new(false, []));
    let gate = Gate::new(false, words.iter().map(String::as_str));
    for case in cases() {
        let without: Vec<&str> =
            case.text.lines().map(|line| line.split("#! ").next().unwrap_or(line)).collect();
        let without = without.join("\n");
        let (all, found) = (read(&case.text, &rules).found, read(&without, &rules).found);
        assert_eq!(all.len(), found.len(), "{} · {}", case.file, case.name);
        let passes = gate.lets_python(without.as_bytes());
        assert!(passes || found.is_empty(), "{} · {}", case.file, case.name);
    }
}

#[test]
fn each_place_says_why_it_is_one() {
    let rules = rules();
    for case in cases() {
        for site in read(&case.text, &rules).found {
            assert!(site.reason.ends_with('.'), "{}: {}", case.name, site.reason);
            assert!(site.rule.starts_with("python/"), "{}", site.rule);
        }
    }
}

/// Runs the cases that can be run, and has each claim of them compared with what happens.
#[test]
fn a_new_key_arrives_where_that_is_claimed_and_nowhere_else() {
    let Some(python) = interpreter() else { return };
    let rules = rules();
    let mut lines = String::new();
    for case in cases() {
        let Some((name, how)) = case.name.split_once(" | run ") else { continue };
        let sites = read(&case.text, &rules).found;
        let uses = sites.iter().filter(|site| site.kind.word() == "key_use");
        let claims: Vec<_> = uses.map(|site| word(site.hot)).collect();
        let loads = sites.iter().filter(|site| site.kind.word() == "env_load");
        let claims =
            if claims.is_empty() { loads.map(|site| word(site.hot)).collect() } else { claims };
        let mut told = claims.iter().copied().filter(|claim| *claim != "unknown");
        let claim = told.next().unwrap_or("unknown");
        assert!(told.all(|one| one == claim), "{name}: {claims:?}");
        let case = serde_json::json!({"name": name, "how": how, "claim": claim, "text": case.text});
        let _ = writeln!(lines, "{case}");
    }
    let home = tempfile::tempdir().expect("a folder");
    let list = home.path().join("cases.jsonl");
    std::fs::write(&list, lines).expect("the list of cases");
    let run = Command::new(python)
        .arg(folder().join("prove.py"))
        .arg(&list)
        .current_dir(home.path())
        .output()
        .expect("python runs");
    let said = String::from_utf8_lossy(&run.stdout);
    let wrong = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}\n{wrong}");
    let proved = said.lines().filter(|line| line.starts_with("proved")).count();
    assert!(proved >= 20, "{said}");
}

/// The interpreter of the environment that has the libraries, or else any.
fn interpreter() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = std::env::var_os("KEYWHEEL_VENV").map(PathBuf::from);
    let known = [named, Some(root.join("target/venv"))];
    let known = known.into_iter().flatten().map(|folder| folder.join("bin/python"));
    known.chain([PathBuf::from("python3")]).find(|python| {
        let mut ask = Command::new(python);
        ask.args(["-c", "import sys; sys.exit(sys.version_info < (3, 9))"]);
        ask.output().is_ok_and(|answer| answer.status.success())
    })
}

#[test]
fn what_cannot_be_read_is_said_and_harms_nobody() {
    let rules = rules();
    let deep = format!("SECRET_KEY = {}'x'{}\n", "(".repeat(100_000), ")".repeat(100_000));
    let chain = format!("SECRET_KEY = {}'x'\n", "'a' + ".repeat(400_000));
    let lines: Vec<_> = (0..3_000).map(|at| " ".repeat(at) + "if a:").collect();
    let indented = "SECRET_KEY = 1\n".to_owned() + &lines.join("\n");
    let long = format!("SECRET_KEYS = [{}]\n", "'k3f9qz81mvb2', ".repeat(700_000));
    let old = "SECRET_KEY = 1\nprint \"a\"\nexec \"b\"\ntry:\n    pass\nexcept ValueError, error:\n    pass\n";
    for text in [deep.as_str(), &chain, &indented, &long, old] {
        let file = SourceFile::new("a.py".as_ref(), text);
        let mut sites = Sites::default();
        let error = python::read(&file, &rules, &mut sites).expect_err("it is refused");
        assert!(!error.why.is_empty());
    }
    for text in ["", "\u{feff}SECRET_KEY = 1\n", "\0\0\0", "x = '\u{1F511}'\n", "\\\n", "def f(:\n"]
    {
        let file = SourceFile::new("a.py".as_ref(), text);
        let _ = python::read(&file, &rules, &mut Sites::default());
    }
}

#[test]
fn what_is_as_deep_as_it_may_be_is_read_on_the_stack_of_a_thread() {
    let rules = rules();
    let nested = format!("SECRET_KEY = {}'k3f9qz81mvb2'{}\n", "[".repeat(90), "]".repeat(90));
    let sum = format!("SECRET_KEY = {}'x'\n", "'a' + ".repeat(190));
    let dotted = format!("SECRET_KEY = settings{}\n", ".a".repeat(500));
    let calls = format!("SECRET_KEY = settings{}\n", ".a()".repeat(100));
    let lines: Vec<_> = (0..180).map(|at| " ".repeat(at) + "if a:").collect();
    let indented = format!("{}\n{}b = 1\n", lines.join("\n"), " ".repeat(180));
    for text in [nested, sum, dotted, calls, indented] {
        let file = SourceFile::new("a.py".as_ref(), &text);
        python::read(&file, &rules, &mut Sites::default()).expect("it is read");
    }
}

#[test]
fn names_that_refer_to_each_other_end_somewhere() {
    let rules = rules();
    let mut text = "import hmac\n".to_owned();
    for at in 0..200 {
        let _ = writeln!(text, "key_{at} = key_{0} or key_{0} or key_{0} or key_{0}", at + 1);
        let _ = writeln!(text, "def get_key_{at}(): return get_key_{0}() or get_key_{0}()", at + 1);
        let _ = writeln!(text, "hmac.new(key_{at}, b''); hmac.new(get_key_{at}(), b'')");
    }
    text += "key_200 = key_0\nself.key = self.key\n";
    read(&text, &rules);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    /// Pieces of files, in any order and cut anywhere, are read or refused.
    #[test]
    fn no_text_ends_the_reader(
        cuts in proptest::collection::vec((0_usize..10_000, 0_usize..300), 1..12)
    ) {
        let all: String = cases().into_iter().map(|case| case.text + "\n").collect();
        let chars: Vec<char> = all.chars().collect();
        let text: String = cuts
            .iter()
            .flat_map(|(from, length)| chars.iter().skip(from * chars.len() / 10_000).take(*length))
            .collect();
        let file = SourceFile::new("a.py".as_ref(), &text);
        let _ = python::read(&file, &rules(), &mut Sites::default());
    }
}

#[test]
fn a_file_that_is_broken_in_one_place_is_read_elsewhere() {
    let mut text = "import os\n\nSECRET_KEY = os.environ[\"SECRET_KEY\"]\n".to_owned();
    for at in 0..100 {
        let _ = writeln!(text, "value_{at} = {at}");
    }
    text += "value = = 1\n";
    assert_eq!(read(&text, &rules()).found.len(), 1);
}

#[test]
fn functions_that_hand_a_key_on_are_told_to_other_files() {
    let text = "import hmac, os\n\n\ndef signature_of(body, secret):\n    \
                return hmac.new(secret, body, 'sha256').hexdigest()\n\n\n\
                def env_secret(name):\n    return os.environ[name + '_FILE']\n";
    let wrappers = read(text, &rules()).wrappers;
    let names: Vec<_> = wrappers.iter().map(|one| (one.function.as_str(), one.parameter)).collect();
    assert_eq!(names, [("signature_of", 1), ("env_secret", 0)]);

    let mut rules = rules();
    rules
        .add(
            "[[table]]\nlanguage = \"python\"\n[[table.sink]]\ncall = \"*.signature_of\"\nkey = 1\n\
             keywords = [\"secret\"]\ndoes = \"signs\"\ncertain = false\n[[table.source]]\n\
             call = \"*.env_secret\"\nfrom = \"environment\"\n",
        )
        .expect("rules");
    let text = "from lib import signature_of, env_secret\n\nSIGNING_KEY = env_secret('SIGNING_KEY')\n\n\n\
                def view(request, settings):\n    \
                return signature_of(request.body, settings.SIGNING_KEY)\n";
    let sites = read(text, &rules).found;
    let said: Vec<_> = sites.iter().map(|site| said(site, 4)).collect();
    assert_eq!(said, ["env_load module no SIGNING_KEY", "key_use call unknown SIGNING_KEY"]);
}
