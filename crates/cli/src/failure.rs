//! What a command says when it fails: a cause, a remedy, an exit code. The only place where errors
//! of the crates below become text for people or JSON for programs.

use keywheel_api::problem::{FieldProblem, Problem};
/// An error and everything below it, in one line.
pub use keywheel_core::text::chain;
use serde_json::json;

use crate::console::Console;
use crate::exit::Exit;
use crate::redact::without_credentials;

/// Why a command failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
    /// Each field that was wrong; when there are any, they are shown instead of the cause.
    pub fields: Vec<FieldProblem>,
    /// The type of the problem that the server reported.
    pub problem_type: Option<String>,
}

/// What every command gives back.
pub type Outcome = Result<Exit, Failure>;

impl Failure {
    /// A failure with its cause and remedy.
    pub fn new(exit: Exit, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            exit,
            cause: cause.into(),
            remedy: remedy.into(),
            fields: Vec::new(),
            problem_type: None,
        }
    }

    /// The same, with exit code 1.
    pub fn failed(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Exit::Failed, cause, remedy)
    }

    /// An error of a crate below whose sources say more than itself.
    pub fn from_error(
        exit: Exit,
        error: &(dyn std::error::Error + 'static),
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(exit, chain(error), remedy)
    }

    /// The operating system refused something with a file.
    pub fn io(action: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let (exit, remedy) = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                (Exit::Permission, "run keywheel as the user who owns it".to_owned())
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                (Exit::Failed, "free some space on that disk, then try again".to_owned())
            }
            std::io::ErrorKind::NotFound => {
                (Exit::Failed, format!("check that {} is the path you mean", path.display()))
            }
            _ => (Exit::Failed, "check the path and the disk".to_owned()),
        };
        Self::new(exit, format!("{} cannot be {action}: {error}", path.display()), remedy)
    }

    /// Each thing that is wrong, with its remedy, for logs.
    pub fn lines(&self) -> Vec<(String, String)> {
        if self.fields.is_empty() {
            return vec![(without_credentials(&self.cause), without_credentials(&self.remedy))];
        }
        let lines = self.fields.iter().map(|field| {
            let cause = format!("{}: {}", field.field, field.cause);
            (without_credentials(&cause), without_credentials(&field.remedy))
        });
        lines.collect()
    }

    /// Writes the failure to standard error: `error: …` and `  remedy: …`, or one JSON object.
    pub fn report(&self, console: &Console) {
        if console.json() {
            console.error_line(&self.to_json().to_string());
            return;
        }
        if self.fields.is_empty() {
            report_one(*console, &self.cause, &self.remedy);
        }
        for field in &self.fields {
            report_one(*console, &format!("{}: {}", field.field, field.cause), &field.remedy);
        }
    }

    fn to_json(&self) -> serde_json::Value {
        let mut object = json!({
            "type": self.problem_type.as_deref().unwrap_or("about:blank"),
            "detail": without_credentials(&self.cause),
            "remedy": without_credentials(&self.remedy),
            "exit_code": self.exit.code(),
        });
        if let (false, Some(object)) = (self.fields.is_empty(), object.as_object_mut()) {
            object.insert("fields".into(), json!(self.fields));
        }
        object
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            exit: Exit::of_problem(&problem),
            cause: problem.detail,
            remedy: problem.remedy,
            fields: problem.fields,
            problem_type: Some(problem.r#type),
        }
    }
}

fn report_one(console: Console, cause: &str, remedy: &str) {
    let label = console.error_label("error:");
    console.error_line(&format!("{label} {}", indented(&without_credentials(cause))));
    if !remedy.is_empty() {
        let remedy = uncapitalized(&without_credentials(remedy));
        console.error_line(&format!("  remedy: {}", indented(&remedy)));
    }
}

/// Some crates write remedies as sentences, others as clauses; people see clauses. A word that is
/// all capitals is a name.
fn uncapitalized(text: &str) -> String {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain([second]).chain(characters).collect()
        }
        _ => text.to_owned(),
    }
}

/// Keeps the further lines of a text under its first one.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_begin_small_but_names_stay() {
        assert_eq!(uncapitalized("Correct the value"), "correct the value");
        assert_eq!(uncapitalized("NTP keeps the clock"), "NTP keeps the clock");
        assert_eq!(uncapitalized(""), "");
    }

    #[test]
    fn a_chain_says_each_source_once() {
        #[derive(Debug, thiserror::Error)]
        #[error(transparent)]
        struct Outer(std::io::Error);
        let inner = std::io::Error::other("the disk is tired");
        assert_eq!(chain(&Outer(inner)), "the disk is tired");
    }
}
