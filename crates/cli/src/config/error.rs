//! What can be wrong with a configuration file, each with field, line, cause and remedy.

use std::path::{Path, PathBuf};

use keywheel_api::problem::FieldProblem;

use super::locate::{Locator, line_of};
use crate::exit::Exit;
use crate::failure::Failure;

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {cause}; {remedy}")]
pub struct ConfigError {
    /// The line, from 1, where that is known.
    pub line: Option<usize>,
    /// The field, as a dotted path; empty when the text is no TOML.
    pub field: String,
    /// What is wrong.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

/// Everything wrong with the configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} cannot be used: {}", file.display(), listed(errors))]
pub struct ConfigErrors {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub errors: Vec<ConfigError>,
}

fn listed(errors: &[ConfigError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Collects what is wrong, so that one answer names everything.
pub(super) struct Faults<'text> {
    locator: Locator<'text>,
    errors: Vec<ConfigError>,
}

impl<'text> Faults<'text> {
    pub(super) fn new(text: &'text str) -> Self {
        Self { locator: Locator::new(text), errors: Vec::new() }
    }

    /// Notes that the field at this path is wrong.
    pub(super) fn add(
        &mut self,
        path: &[&str],
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.errors.push(ConfigError {
            line: self.locator.line(path),
            field: path.join("."),
            cause: cause.into(),
            remedy: remedy.into(),
        });
    }

    pub(super) fn into_result<T>(self, file: &Path, value: Option<T>) -> Result<T, ConfigErrors> {
        match value {
            Some(value) if self.errors.is_empty() => Ok(value),
            _ => Err(ConfigErrors { file: file.to_owned(), errors: self.errors }),
        }
    }
}

/// What errors about one kind of file point to.
pub(super) struct Manual {
    /// Where every field is explained.
    pub(super) see: &'static str,
    /// What to do about a table that stands in the file twice.
    pub(super) declared_once: &'static str,
}

impl ConfigErrors {
    /// The text is no TOML, or has fields that do not exist.
    pub(super) fn unreadable(
        file: &Path,
        text: &str,
        error: &toml::de::Error,
        manual: &Manual,
    ) -> Self {
        // Only the message is taken: the full display quotes the line, and with it any password.
        let message = error.message().trim().replace('\n', ", ");
        let (cause, remedy) = explain(&message, manual);
        let line = error.span().map(|span| line_of(text, span.start));
        let error = ConfigError { line, field: String::new(), cause, remedy };
        Self { file: file.to_owned(), errors: vec![error] }
    }
}

/// What a message of the parser means, and what to do.
fn explain(message: &str, manual: &Manual) -> (String, String) {
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let unknown = rest.split('`').next().unwrap_or_default();
        let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
        let remedy = match nearest(unknown, &known) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("use one of {}", known.join(", ")),
        };
        return (format!("unknown field `{unknown}`"), remedy);
    }
    let remedy = if message.starts_with("duplicate key") {
        manual.declared_once.to_owned()
    } else if message.starts_with("missing field") {
        format!("add it; {}", manual.see)
    } else {
        format!("correct the line; {}", manual.see)
    };
    (message.to_owned(), remedy)
}

/// The known name that a mistyped one most resembles, if any does.
fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|name| (edits(unknown, name), *name))
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The Levenshtein distance.
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (above, b) in row.iter().skip(1).zip(other.chars()) {
            left = (left + 1).min(above + 1).min(diagonal + usize::from(a != b));
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        let name = errors.file.display().to_string();
        let fields: Vec<FieldProblem> = errors
            .errors
            .into_iter()
            .map(|error| {
                let place = match error.line {
                    Some(line) => format!("{name}:{line}"),
                    None => name.clone(),
                };
                let field = match error.field.as_str() {
                    "" => place,
                    field => format!("{place}: {field}"),
                };
                FieldProblem { field, cause: error.cause, remedy: error.remedy }
            })
            .collect();
        let mut failure =
            Self::new(Exit::Usage, format!("{name} cannot be used"), "correct what is listed");
        failure.fields = fields;
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_a_stranger_is_not() {
        let known = ["rotate_every", "longest_lifetime", "kind"];
        assert_eq!(nearest("rotate_evry", &known), Some("rotate_every"));
        assert_eq!(nearest("lifetime_longest", &known), None);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
    }
}
