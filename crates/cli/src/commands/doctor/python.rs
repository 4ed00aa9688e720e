//! What in a Python application would stand in the way of a rotation. The rules are those of the
//! Python package.

use super::{At, Finding, Verdict};
use crate::failure::Failure;
use crate::invocation::Invocation;
use crate::python::{self, Interpreter, KeyState, Report, Weight};

/// Has the application looked at.
pub(super) fn look(
    invocation: &Invocation,
    interpreter: &Interpreter,
    application: &str,
) -> Result<Vec<Finding>, Failure> {
    let report = python::inspect(invocation, interpreter, application, None)?;
    let mut findings = vec![about(&report)];
    findings.extend(report.findings.into_iter().map(|found| finding(found, application)));
    Ok(findings)
}

fn about(report: &Report) -> Finding {
    let app = &report.application;
    let version = app.version.as_deref().unwrap_or("of unknown version");
    let setting = &report.key.setting;
    let key = match report.key.state {
        KeyState::Live => format!("{setting} turns with a ring"),
        KeyState::Static => format!("{setting} is static"),
        KeyState::Absent => format!("no {setting}"),
    };
    let text = format!("{}, {} {version}, Python {}, {key}", app.name, app.framework, app.python);
    Finding::ok("application", text)
}

fn finding(found: python::Finding, application: &str) -> Finding {
    let verdict = match found.weight {
        Weight::Danger => Verdict::Fail,
        Weight::Advice => Verdict::Warn,
    };
    let at = match (found.file, found.line, found.object) {
        (Some(file), Some(line), _) => At::Line { file, line },
        (_, _, Some(object)) => At::Object { object },
        _ => At::Application { application: application.to_owned() },
    };
    Finding {
        what: found.rule.into(),
        verdict,
        detail: found.detail,
        remedy: found.remedy,
        at: Some(at),
    }
}
