//! How variables are read. How they are written is tested from outside, in `tests/files`.

use super::*;

fn shell(text: &str) -> Result<String, EnvFileError> {
    find(text, "KEY", Quoting::Shell).map(|value| value.to_string())
}

#[test]
fn values_are_read_as_their_readers_do() {
    for (text, value) in [
        ("A=1\nKEY=abc\nB=2", "abc"),
        ("export KEY=abc", "abc"),
        ("KEY = abc  # why", "abc"),
        ("KEY=a#b", "a#b"),
        ("KEY='a b # $c \\n'", "a b # $c \\n"),
        ("KEY=\"a \\\"b\\\" \\\\\" # x", "a \"b\" \\"),
        ("KEY=abc\r\n", "abc"),
        ("KEY=abc==", "abc=="),
        ("KEYS=no\nKEY=yes", "yes"),
        ("#KEY=no\nKEY=yes", "yes"),
        ("KEY=", ""),
    ] {
        assert_eq!(shell(text).as_deref(), Ok(value), "{text:?}");
    }
    let literal = find("KEY=\"a $b\" # c", "KEY", Quoting::Literal).unwrap();
    assert_eq!(*literal, "\"a $b\" # c");
}

#[test]
fn what_readers_differ_on_is_refused() {
    assert_eq!(shell("A=1"), Err(EnvFileError::Absent("KEY".into())));
    let twice = EnvFileError::Twice { name: "KEY".into(), first: 1, second: 3 };
    assert_eq!(shell("KEY=1\n\nKEY=2"), Err(twice));
    assert_eq!(shell("\nKEY='a"), Err(EnvFileError::OpenQuote(2)));
    assert_eq!(shell("KEY=\"a"), Err(EnvFileError::OpenQuote(1)));
    assert_eq!(shell("KEY=\"a$b\""), Err(EnvFileError::Ambiguous(1)));
    assert_eq!(shell("KEY=\"a\\n\""), Err(EnvFileError::Ambiguous(1)));
    assert_eq!(shell("KEY=a\\b"), Err(EnvFileError::Ambiguous(1)));
}
