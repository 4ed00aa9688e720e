//! One variable out of an environment file, exactly as the program that reads the file sees it.

use zeroize::Zeroizing;

/// Why a variable cannot be taken from an environment file. No message quotes a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EnvFileError {
    /// It is not there.
    #[error("the file sets no variable `{0}`")]
    Absent(String),
    /// It is there more than once, and readers differ about which one counts.
    #[error("the file sets `{name}` on line {first} and again on line {second}")]
    Twice { name: String, first: usize, second: usize },
    /// Its quotes do not close on the line.
    #[error("the value on line {0} opens a quote that the line does not close")]
    OpenQuote(usize),
    /// It uses what readers understand differently.
    #[error("the value on line {0} has `$` in double quotes or a backslash that readers differ on")]
    Ambiguous(usize),
}

/// How values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quoting {
    /// Quotes are taken off, as shells, systemd and dotenv libraries do.
    Shell,
    /// Everything behind the `=` counts, as `docker --env-file` does.
    Literal,
}

/// Finds a variable.
pub(super) fn find(
    text: &str,
    name: &str,
    quoting: Quoting,
) -> Result<Zeroizing<String>, EnvFileError> {
    let mut found: Option<(usize, &str)> = None;
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let Some(value) = value_of(line, name) else { continue };
        if let Some((first, _)) = found {
            let (name, second) = (name.to_owned(), index + 1);
            return Err(EnvFileError::Twice { name, first, second });
        }
        found = Some((index + 1, value));
    }
    let (line, value) = found.ok_or_else(|| EnvFileError::Absent(name.to_owned()))?;
    match quoting {
        Quoting::Literal => Ok(Zeroizing::new(value.to_owned())),
        Quoting::Shell => unquote(value.trim(), line),
    }
}

fn value_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let rest = line.strip_prefix(name)?;
    rest.trim_start().strip_prefix('=')
}

fn unquote(value: &str, line: usize) -> Result<Zeroizing<String>, EnvFileError> {
    if let Some(rest) = value.strip_prefix('\'') {
        let (inside, _) = rest.split_once('\'').ok_or(EnvFileError::OpenQuote(line))?;
        return Ok(Zeroizing::new(inside.to_owned()));
    }
    if let Some(rest) = value.strip_prefix('"') {
        return double_quoted(rest, line);
    }
    // A comment starts behind a blank; a `#` within the value belongs to it.
    let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
    let bare = value.get(..end).unwrap_or(value).trim_end();
    if bare.contains(['\\', '$']) {
        return Err(EnvFileError::Ambiguous(line));
    }
    Ok(Zeroizing::new(bare.to_owned()))
}

fn double_quoted(rest: &str, line: usize) -> Result<Zeroizing<String>, EnvFileError> {
    // Room for all of it, so that no copy is left behind by growing.
    let mut inside = Zeroizing::new(String::with_capacity(rest.len()));
    let mut characters = rest.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => return Ok(inside),
            '$' => return Err(EnvFileError::Ambiguous(line)),
            '\\' => match characters.next() {
                Some(escaped @ ('"' | '\\')) => inside.push(escaped),
                _ => return Err(EnvFileError::Ambiguous(line)),
            },
            c => inside.push(c),
        }
    }
    Err(EnvFileError::OpenQuote(line))
}

#[cfg(test)]
mod tests {
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
}
