//! Environment files: how a variable is read exactly as the program that reads the file sees it,
//! and how variables are put in while everything else stays as it is, byte for byte.
//!
//! Shells, systemd, dotenv libraries and docker agree about very little. What is written here, they
//! read alike, or it is refused; what stands there and they would read differently is refused as
//! well, as far as it touches a variable that is written.

mod edit;

use zeroize::Zeroizing;

pub(super) use edit::render;

/// Why an environment file cannot be used. No message quotes a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvFileError {
    /// The variable is not there.
    #[error("the file sets no variable `{0}`")]
    Absent(String),
    /// The variable is there more than once, and readers differ about which one counts.
    #[error("the file sets `{name}` on line {first} and again on line {second}")]
    Twice {
        /// The variable.
        name: String,
        /// A line, from 1.
        first: usize,
        /// Another line.
        second: usize,
    },
    /// The quotes of the value do not close on the line.
    #[error("the value on line {0} opens a quote that the line does not close")]
    OpenQuote(usize),
    /// The value uses what readers understand differently.
    #[error("the value on line {0} has `$` in double quotes or a backslash that readers differ on")]
    Ambiguous(usize),
    /// A backslash at the end of a line, which some readers take for a continuation.
    #[error(
        "line {0} ends with a backslash, so that readers differ about where the next one starts"
    )]
    Continued(usize),
    /// A definition within the quoted value of another variable.
    #[error("`{name}` on line {line} stands within the quotes that line {opened} opens")]
    Quoted {
        /// The variable.
        name: String,
        /// Its line, from 1.
        line: usize,
        /// The line with the quote.
        opened: usize,
    },
    /// Text behind the value, on its line.
    #[error(
        "something follows the value on line {0}, and readers differ about whether it is part of it"
    )]
    Trailing(usize),
    /// A byte order mark.
    #[error("the file starts with a byte order mark, which readers take for part of a name")]
    ByteOrderMark,
    /// A NUL.
    #[error("the file has a NUL on line {0}, so it is no environment file")]
    Nul(usize),
}

impl EnvFileError {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Absent(_) => "check the name, which is case-sensitive",
            Self::Twice { .. } => "remove the one that your program ignores",
            Self::OpenQuote(_) => "close the quote on the same line",
            Self::Ambiguous(_) => "put the value into single quotes",
            Self::Continued(_) => "remove the backslash, or put the whole value on one line",
            Self::Quoted { .. } => "close the quotes, or move the variable to a line of its own",
            Self::Trailing(_) => "move the comment to a line of its own",
            Self::ByteOrderMark => "save the file as UTF-8 without a byte order mark",
            Self::Nul(_) => "check that the path names the file you mean",
        }
    }
}

/// How a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// Quotes are taken off, as shells, systemd and dotenv libraries do.
    Shell,
    /// Everything behind the `=` counts, as `docker --env-file` does.
    Literal,
}

/// Finds a variable, and reads it as its reader does.
///
/// # Errors
/// When it is not there exactly once, or readers would differ about its value.
pub fn find(text: &str, name: &str, quoting: Quoting) -> Result<Zeroizing<String>, EnvFileError> {
    let mut found: Option<(usize, &str)> = None;
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let Some(value) = value_of(line, name) else { continue };
        if let Some((first, _)) = found {
            let (name, second) = (name.to_owned(), index.saturating_add(1));
            return Err(EnvFileError::Twice { name, first, second });
        }
        found = Some((index.saturating_add(1), value));
    }
    let (line, value) = found.ok_or_else(|| EnvFileError::Absent(name.to_owned()))?;
    match quoting {
        Quoting::Literal => Ok(Zeroizing::new(value.to_owned())),
        Quoting::Shell => unquote(value.trim(), line).map(|(value, _)| value),
    }
}

fn value_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let line = line.trim_start();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let rest = line.strip_prefix(name)?;
    rest.trim_start().strip_prefix('=')
}

/// The value without its quotes, and what stands behind it.
fn unquote(value: &str, line: usize) -> Result<(Zeroizing<String>, &str), EnvFileError> {
    if let Some(rest) = value.strip_prefix('\'') {
        let (inside, behind) = rest.split_once('\'').ok_or(EnvFileError::OpenQuote(line))?;
        return Ok((Zeroizing::new(inside.to_owned()), behind));
    }
    if let Some(rest) = value.strip_prefix('"') {
        return double_quoted(rest, line);
    }
    // A comment starts behind a blank; a `#` within the value belongs to it.
    let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
    let (bare, behind) = value.split_at_checked(end).unwrap_or((value, ""));
    let bare = bare.trim_end();
    if bare.contains(['\\', '$']) {
        return Err(EnvFileError::Ambiguous(line));
    }
    Ok((Zeroizing::new(bare.to_owned()), behind))
}

fn double_quoted(rest: &str, line: usize) -> Result<(Zeroizing<String>, &str), EnvFileError> {
    // Room for all of it, so that no copy is left behind by growing.
    let mut inside = Zeroizing::new(String::with_capacity(rest.len()));
    let mut characters = rest.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => return Ok((inside, characters.as_str())),
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
mod tests;
