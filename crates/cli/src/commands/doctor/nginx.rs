//! What is dangerous or slow in a configuration of nginx. The rules are those of `scan`.

use std::path::Path;

use keywheel_scan::nginx::lint::{self, Limits, Weight};
use keywheel_scan::nginx::{FollowError, follow};

use super::{At, Finding, Verdict};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::show::counted;

/// Reads the configuration whose main file this is, and looks at it.
pub(super) fn look(file: &Path) -> Result<Vec<Finding>, Failure> {
    let configuration = follow(file).map_err(|error| unreadable(&error))?;
    let found = lint::lint(&configuration, Limits::default()).map_err(|error| {
        Failure::new(Exit::Failed, format!("{}: {error}", file.display()), "include files once")
    })?;
    let mut findings: Vec<_> = found.into_iter().map(finding).collect();
    if findings.is_empty() {
        let files = counted(configuration.files.len(), "file");
        findings.push(Finding::ok("nginx", format!("{}, {files} read", file.display())));
    }
    Ok(findings)
}

fn finding(found: lint::Finding) -> Finding {
    let verdict = match found.weight {
        Weight::Danger => Verdict::Fail,
        Weight::Advice => Verdict::Warn,
    };
    Finding {
        what: found.rule.into(),
        verdict,
        detail: found.why,
        remedy: found.remedy.to_owned(),
        at: Some(At::Text { file: found.path, line: found.line, column: found.column }),
    }
}

fn unreadable(error: &FollowError) -> Failure {
    Failure::new(Exit::Failed, error.to_string(), error.remedy())
}
