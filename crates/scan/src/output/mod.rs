//! The forms in which a report leaves: JSON for programs, SARIF for code hosts, a graph, and a page
//! for people. The table of a terminal is the command line's.

mod graph;
mod html;
mod sarif;

use crate::report::Report;

/// A form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// JSON, as its published schema says.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// A flow chart of Mermaid.
    Mermaid,
    /// A graph of Graphviz.
    Dot,
    /// One page that needs nothing else.
    Html,
}

/// A report cannot be written as JSON. This is a defect of keywheel.
#[derive(Debug, thiserror::Error)]
#[error("the report cannot be written as JSON")]
pub struct OutputError(#[from] serde_json::Error);

/// Writes a report, ending with a line.
///
/// # Errors
/// None that a user can cause.
pub fn render(report: &Report, form: Form) -> Result<String, OutputError> {
    let mut text = match form {
        Form::Json => serde_json::to_string_pretty(report)?,
        Form::Sarif => serde_json::to_string_pretty(&sarif::log(report))?,
        Form::Mermaid => graph::mermaid(report),
        Form::Dot => graph::dot(report),
        Form::Html => html::page(report),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::tests::{finding, report};

    #[test]
    fn names_that_would_end_what_they_stand_in_do_not() {
        let hostile = "</script><b>\"'`];--\n| {{x}}";
        let report = report(vec![finding("a/b", hostile, 1, hostile)]);
        for form in [Form::Json, Form::Sarif, Form::Mermaid, Form::Dot, Form::Html] {
            let text = render(&report, form).unwrap();
            assert!(text.ends_with('\n'));
            let is_json = matches!(form, Form::Json | Form::Sarif);
            assert!(is_json || !text.contains("<b>"), "{form:?}: {text}");
            if is_json {
                serde_json::from_str::<serde_json::Value>(&text).unwrap();
            }
        }
    }
}
