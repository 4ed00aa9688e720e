//! Tokens on standard input, one a line, in bounded memory; one line of JSON for each on standard
//! output.

use std::io::{BufRead, Read as _};
use std::path::Path;

use keywheel_jose::token::{KeySet, KeySetError, MAX_KEY_SET_BYTES, MAX_TOKEN_BYTES, TokenError};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;

/// What is said about one token, as the inside of a JSON object.
pub type Verdict = Result<String, TokenError>;

/// Asks `judge` about each line of standard input, and prints a line for each. Done only when there
/// was a token and all of them passed.
///
/// # Errors
/// When standard input cannot be read, or is empty.
pub fn judge_each(
    invocation: &Invocation,
    mut judge: impl FnMut(&[u8]) -> Result<Verdict, Failure>,
) -> Outcome {
    let mut input = std::io::stdin().lock();
    let (mut all_passed, mut seen) = (true, false);
    let failed = |error| Failure::io("read", Path::new("standard input"), &error);
    while let Some(line) = next_line(&mut input).map_err(failed)? {
        seen = true;
        let verdict = match line {
            Line::Whole(token) => judge(&token)?,
            Line::TooLong { bytes } => {
                Err(TokenError::TooLong { bytes, max_bytes: MAX_TOKEN_BYTES })
            }
        };
        all_passed &= verdict.is_ok();
        let text = match verdict {
            Ok(inside) => format!("{{{inside}}}"),
            Err(error) => refusal(&error),
        };
        invocation.console.line(&text)?;
    }
    if !seen {
        return Err(Failure::failed(
            "there is no token on standard input",
            "give one token a line",
        ));
    }
    Ok(if all_passed { Exit::Done } else { Exit::Failed })
}

fn refusal(error: &TokenError) -> String {
    let (kind, detail) = (error.kind(), error.to_string());
    match error {
        TokenError::UnknownKid { kid } => {
            json!({ "ok": false, "error": kind, "detail": detail, "kid": kid })
        }
        _ => json!({ "ok": false, "error": kind, "detail": detail }),
    }
    .to_string()
}

/// JSON text without line breaks. Only blanks between its parts can be line breaks.
pub fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

enum Line {
    Whole(Vec<u8>),
    TooLong { bytes: usize },
}

/// Reads a line, of which no more is kept than a token can have. A carriage return before the end
/// of the line does not belong to the token; everything else does.
fn next_line(input: &mut impl BufRead) -> std::io::Result<Option<Line>> {
    let limit = MAX_TOKEN_BYTES.saturating_add(2);
    let mut kept = Vec::new();
    let (mut bytes, mut ended) = (0_usize, false);
    while !ended {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            if bytes == 0 {
                return Ok(None);
            }
            break;
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        ended = end.is_some();
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        let used = part.len().saturating_add(usize::from(ended));
        let room = limit.saturating_sub(kept.len());
        kept.extend(part.iter().take(room));
        bytes = bytes.saturating_add(used);
        input.consume(used);
    }
    let length = bytes.saturating_sub(usize::from(ended));
    if length > limit {
        return Ok(Some(Line::TooLong { bytes: length }));
    }
    if kept.last() == Some(&b'\r') {
        kept.pop();
    }
    Ok(Some(Line::Whole(kept)))
}

/// Reads the keys of a file: a JWK or a JWK set.
///
/// # Errors
/// When the file cannot be read, or holds no keys that could be used.
pub fn keys_of_file(path: &Path) -> Result<KeySet, Failure> {
    let failed = |error| Failure::io("read", path, &error);
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut document = zeroize::Zeroizing::new(Vec::new());
    let limit = u64::try_from(MAX_KEY_SET_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut document).map_err(failed)?;
    KeySet::from_json(&document).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &KeySetError) -> Failure {
    let text = error.to_string();
    // These messages carry their remedy behind the last semicolon.
    let (cause, remedy) = text.rsplit_once("; ").unwrap_or((&text, "check the file"));
    Failure::new(Exit::Usage, format!("{}: {cause}", path.display()), remedy)
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    fn lines(input: &[u8]) -> Vec<Result<Vec<u8>, usize>> {
        // A small buffer, so that lines go over its end.
        let mut input = BufReader::with_capacity(7, Cursor::new(input));
        std::iter::from_fn(|| next_line(&mut input).unwrap())
            .map(|line| match line {
                Line::Whole(token) => Ok(token),
                Line::TooLong { bytes } => Err(bytes),
            })
            .collect()
    }

    #[test]
    fn lines_are_read_whole_and_long_ones_are_only_counted() {
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n"), [Ok(b"".to_vec())]);
        assert_eq!(lines(b"a.b.c"), [Ok(b"a.b.c".to_vec())]);
        let token = b"abcdefghijklmnopq".to_vec();
        assert_eq!(
            lines(b"abcdefghijklmnopq\r\n\nx \r"),
            [Ok(token), Ok(b"".to_vec()), Ok(b"x ".to_vec())]
        );
        let longest = vec![b'a'; MAX_TOKEN_BYTES];
        let long = vec![b'a'; MAX_TOKEN_BYTES * 3];
        let input = [longest.as_slice(), b"\r\n", &long, b"\nb"].concat();
        assert_eq!(lines(&input), [Ok(longest), Err(long.len()), Ok(b"b".to_vec())]);
    }
}
