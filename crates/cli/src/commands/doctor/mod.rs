//! `keywheel doctor`: looks at everything that the server needs, changes nothing, and says for each
//! thing whether it is well and what to do.

use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::invocation::Invocation;
use crate::show::{Line, Piece, Tone, counted};

mod files;
mod server;
mod store;

/// The arguments of `keywheel doctor`.
#[derive(clap::Args, Debug)]
pub struct Args {}

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
}

impl Finding {
    fn ok(what: &'static str, detail: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Ok, detail: detail.into(), remedy: String::new() }
    }

    fn warn(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Warn, detail: detail.into(), remedy: remedy.into() }
    }

    fn fail(what: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Fail, detail: detail.into(), remedy: remedy.into() }
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
/// When standard output cannot be written.
pub fn run(invocation: &Invocation, _args: &Args) -> Outcome {
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

fn lines(finding: &Finding) -> Vec<Line> {
    let (tone, word) = match finding.verdict {
        Verdict::Ok => (Tone::Good, "ok  "),
        Verdict::Warn => (Tone::Waiting, "warn"),
        Verdict::Fail => (Tone::Bad, "fail"),
    };
    let mut lines = vec![Line::new(vec![
        Piece::new(tone, word),
        format!("  {:<16}", finding.what).into(),
        crate::redact::without_credentials(&finding.detail).into(),
    ])];
    if !finding.remedy.is_empty() {
        lines.push(format!("      remedy: {}", finding.remedy).into());
    }
    lines
}
