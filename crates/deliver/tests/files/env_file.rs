//! Environment files: read back what was written, leave the rest alone, refuse what readers differ
//! about.

use std::process::Command;

use keywheel_deliver::render::env_file::{Quoting, find};
use keywheel_deliver::render::{RenderError, render};
use keywheel_deliver::settings::{Content, EnvFile, EnvReaders, Which};
use proptest::prelude::*;

use crate::support::{one, take};

fn set(present: &str, value: &str, readers: EnvReaders) -> Result<String, RenderError> {
    let set = [("KEY".to_owned(), take("web", Which::Primary))].into();
    let content = Content::Env(EnvFile { set, readers });
    let bytes = render(&content, &one("web", &[value], 0), Some(present.as_bytes()))?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

fn told(present: &str, value: &str, readers: EnvReaders) -> String {
    let error = set(present, value, readers).unwrap_err();
    format!("{error}\n{}", error.remedy())
}

#[test]
fn only_the_value_changes() {
    for (present, expected) in [
        ("KEY=old\n", "KEY=new\n"),
        ("A=1\n# c\n\nKEY=old\nB='x\ny'\n", "A=1\n# c\n\nKEY=new\nB='x\ny'\n"),
        ("A=1\r\nexport KEY=old\r\nB=2\r\n", "A=1\r\nexport KEY=new\r\nB=2\r\n"),
        ("A=1\r\n", "A=1\r\nKEY=new\r\n"),
        ("A=1\r\nB=2\n", "A=1\r\nB=2\nKEY=new\n"),
        ("  KEY = old\nA=1", "  KEY=new\nA=1"),
        ("A=1\nKEY=old", "A=1\nKEY=new"),
        ("A=1", "A=1\nKEY=new\n"),
        ("", "KEY=new\n"),
        ("#KEY=old\nKEYS=1\n", "#KEY=old\nKEYS=1\nKEY=new\n"),
        ("KEY=new\n", "KEY=new\n"),
        ("KEY=\"old\"\n", "KEY=new\n"),
        ("A=\u{e9}\nKEY=old\n", "A=\u{e9}\nKEY=new\n"),
    ] {
        assert_eq!(set(present, "new", EnvReaders::Any).unwrap(), expected, "{present:?}");
    }
    let unquoting = |present| set(present, "new", EnvReaders::Unquoting).unwrap();
    assert_eq!(unquoting("KEY=\"old\"\n"), "KEY=\"new\"\n");
    assert_eq!(unquoting("KEY='old $x'\n"), "KEY='new'\n");
}

#[test]
fn quotes_are_chosen_by_the_value() {
    let written = |value, readers| set("", value, readers);
    assert_eq!(written("a#$&b", EnvReaders::Unquoting).unwrap(), "KEY='a#$&b'\n");
    assert_eq!(written("it's", EnvReaders::Unquoting).unwrap(), "KEY=\"it's\"\n");
    assert_eq!(written("it's $5", EnvReaders::Literal).unwrap(), "KEY=it's $5\n");
    insta::assert_snapshot!(told("", "a b", EnvReaders::Any));
    insta::assert_snapshot!(told("", "it's $5", EnvReaders::Unquoting));
    insta::assert_snapshot!(told("", "${x}", EnvReaders::Unquoting));
    insta::assert_snapshot!(told("", "a\nb", EnvReaders::Literal));
}

#[test]
fn what_readers_differ_about_is_refused() {
    let cases = [
        "KEY=1\nKEY=2\n",
        "KEY='a\nb'\n",
        "KEY=a # why\n",
        "A=1\\\nKEY=2\n",
        "KEY=a\\\nB=1\n",
        "A='1\nKEY=2\n'\n",
        "A='1\n",
        "A=1\\\n",
        "\u{feff}KEY=1\n",
        "A=\0\n",
    ];
    let told =
        cases.map(|present| format!("{present:?}: {}", told(present, "new", EnvReaders::Any)));
    insta::assert_snapshot!(told.join("\n"));
    // docker knows no quotes and no continuation.
    assert_eq!(set("A='1\nKEY=2\n", "new", EnvReaders::Literal).unwrap(), "A='1\nKEY=new\n");
}

/// What a shell sees of the variable.
fn by_shell(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("env");
    std::fs::write(&path, text).unwrap();
    let script = r#". "$0"; printf %s "$KEY""#;
    let output = Command::new("/bin/sh").args(["-c", script]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{text:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "#[ -~]{0,20}[a-z]",
        "[A-JL-Z]{1,6}=[a-z0-9 ]{0,10}",
        "(export )?[A-JL-Z]{1,6}='[a-z $]{0,10}'",
        Just(String::new()),
        "[ ]{0,3}",
    ]
}

fn file() -> impl Strategy<Value = (Vec<String>, bool, bool)> {
    (proptest::collection::vec(line(), 0..8), any::<bool>(), any::<bool>())
}

proptest! {
    #[test]
    fn the_rest_stays_and_the_value_reads_back(
        (lines, windows, ended) in file(),
        at in any::<prop::sample::Index>(),
        there in any::<bool>(),
        value in "[ -~]{1,40}",
        unquoting in any::<bool>(),
    ) {
        let (readers, quoting) = if unquoting {
            (EnvReaders::Unquoting, Quoting::Shell)
        } else {
            (EnvReaders::Literal, Quoting::Literal)
        };
        let ending = if windows { "\r\n" } else { "\n" };
        let mut lines = lines;
        if there {
            lines.insert(at.index(lines.len() + 1), "export KEY='old one'".to_owned());
        }
        let mut present = lines.join(ending);
        if ended && !lines.is_empty() {
            present.push_str(ending);
        }
        let Ok(text) = set(&present, &value, readers) else { return Ok(()) };
        let read = find(&text, "KEY", quoting).unwrap();
        prop_assert_eq!(read.as_str(), value.as_str());
        let others = |text: &str| -> Vec<String> {
            text.split_inclusive('\n').filter(|line| !line.contains("KEY=")).map(str::to_owned).collect()
        };
        let (before, mut after) = (others(&present), others(&text));
        if !there && !present.is_empty() && !present.ends_with('\n') {
            let last = after.pop().unwrap();
            after.push(last.strip_suffix('\n').unwrap().trim_end_matches('\r').to_owned());
        }
        prop_assert_eq!(before, after);
        prop_assert_eq!(set(&text, &value, readers).unwrap(), text);
    }

    #[test]
    fn editing_never_panics(present: Vec<u8>, value in "[ -~]{1,20}", literal: bool) {
        let readers = if literal { EnvReaders::Literal } else { EnvReaders::Unquoting };
        let set = [("KEY".to_owned(), take("web", Which::Primary))].into();
        let content = Content::Env(EnvFile { set, readers });
        let _ = render(&content, &one("web", &[&value], 0), Some(&present));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_shell_reads_what_was_written(value in "[ -~]{1,40}", quote in "['\"]?") {
        let present = format!("A=1\nKEY={quote}old{quote}\nB=2\n");
        for readers in [EnvReaders::Any, EnvReaders::Unquoting] {
            if let Ok(text) = set(&present, &value, readers) {
                prop_assert_eq!(by_shell(&text), value.clone());
            }
        }
    }
}
