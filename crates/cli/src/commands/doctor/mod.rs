//! `keywheel doctor`: looks at everything that the server needs, or at a configuration of nginx,
//! changes nothing, and says for each thing whether it is well and what to do.

use std::path::PathBuf;

use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::show::{Line, Piece, Tone, counted};

mod files;
mod nginx;
mod server;
mod store;

/// The arguments of `keywheel doctor`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Looks at this configuration of nginx instead, with all that it includes: for what is
    /// dangerous or slow in front of /authz. Exit code 1 when something is dangerous
    #[arg(long, value_name = "FILE")]
    nginx: Option<PathBuf>,
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
    what: &'static str,
    verdict: Verdict,
    detail: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
    /// Where in a configuration of nginx.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    at: Option<nginx::At>,
}

impl Finding {
    fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Ok, detail: detail.into(), remedy: String::new(), at: None }
    }

    fn warn(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what,
            verdict: Verdict::Warn,
            detail: detail.into(),
            remedy: remedy.into(),
            at: None,
        }
    }

    fn fail(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what,
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
/// When standard output cannot be written, or the configuration of nginx cannot be read.
pub fn run(invocation: &Invocation, args: &Args) -> Outcome {
    let findings = match &args.nginx {
        Some(file) => nginx::look(file)?,
        None => look(invocation),
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
