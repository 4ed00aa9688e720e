//! `keywheel doctor`: looks at everything that the server needs, or at a configuration of nginx, or
//! at a Python application, changes nothing, and says for each thing whether it is well and what to
//! do.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::python::Interpreter;
use crate::show::{Line, Piece, Tone, counted};

mod files;
mod nginx;
mod python;
mod server;
mod store;

/// The arguments of `keywheel doctor`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Looks at this configuration of nginx instead, with all that it includes: for what is
    /// dangerous or slow in front of /authz. Exit code 1 when something is dangerous
    #[arg(long, value_name = "FILE")]
    nginx: Option<PathBuf>,
    /// Imports this Python application, `module:attribute` or `module:factory()`, in the folder of
    /// this process, and looks at it instead: for what keeps an old key, turns keys itself, or
    /// breaks when workers are forked. Exit code 1 when something is dangerous
    #[arg(long, value_name = "APP", conflicts_with = "nginx")]
    python: Option<String>,
    #[command(flatten)]
    interpreter: Interpreter,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    what: Cow<'static, str>,
    verdict: Verdict,
    detail: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
    /// Where it was seen, in a configuration of nginx or in an application.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    at: Option<At>,
}

/// A place.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum At {
    Text { file: PathBuf, line: u32, column: u32 },
    Line { file: PathBuf, line: u32 },
    Object { object: String },
    Application { application: String },
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Line { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Object { object: name } | Self::Application { application: name } => {
                f.write_str(name)
            }
        }
    }
}

impl Finding {
    fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            verdict: Verdict::Ok,
            detail: detail.into(),
            remedy: String::new(),
            at: None,
        }
    }

    fn warn(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            verdict: Verdict::Warn,
            detail: detail.into(),
            remedy: remedy.into(),
            at: None,
        }
    }

    fn fail(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            verdict: Verdict::Fail,
            detail: detail.into(),
            remedy: remedy.into(),
            at: None,
        }
    }

    fn failure(what: &'static str, failure: &Failure) -> Self {
        let cause = match failure.fields.as_slice() {
            [] => failure.cause.clone(),
            fields => fields
                .iter()
                .map(|field| format!("{}: {}", field.field, field.cause))
                .collect::<Vec<_>>()
                .join("; "),
        };
        Self::fail(what, cause, failure.remedy.clone())
    }
}

/// Looks, and says what it found.
///
/// # Errors
/// When standard output cannot be written, the configuration of nginx cannot be read, or the
/// application cannot be imported.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let findings = match (&args.nginx, &args.python) {
        (Some(file), _) => nginx::look(file)?,
        (_, Some(application)) => python::look(invocation, &args.interpreter, application)?,
        (None, None) => look(invocation),
    };
    if invocation.console.json() {
        invocation.console.value(&findings)?;
    } else {
        for finding in &findings {
            invocation.console.lines(&lines(finding))?;
        }
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn look(invocation: &Invocation) -> Vec<Finding> {
    let mut findings = Vec::new();
    match invocation.config() {
        Ok(config) => {
            findings.push(Finding::ok(
                "configuration",
                format!(
                    "{}, {} declared",
                    config.file.display(),
                    counted(config.rings.len(), "ring")
                ),
            ));
            findings.push(files::clock());
            findings.extend(files::look(&config.server));
            findings.extend(store::look(&config.server));
            findings.extend(server::look(invocation, &config.server));
        }
        Err(failure) => findings.push(Finding::failure("configuration", &failure)),
    }
    findings
}

fn lines(finding: &Finding) -> Vec<Line> {
    let (tone, word) = match finding.verdict {
        Verdict::Ok => (Tone::Good, "ok  "),
        Verdict::Warn => (Tone::Waiting, "warn"),
        Verdict::Fail => (Tone::Bad, "fail"),
    };
    let what = match &finding.at {
        Some(_) => format!("  {}: ", finding.what),
        None => format!("  {:<16}", finding.what),
    };
    let mut lines = vec![Line::new(vec![
        Piece::new(tone, word),
        what.into(),
        crate::redact::without_credentials(&finding.detail).into(),
    ])];
    if let Some(at) = &finding.at {
        lines.push(format!("      at: {at}").into());
    }
    if !finding.remedy.is_empty() {
        lines.push(format!("      remedy: {}", finding.remedy).into());
    }
    lines
}
