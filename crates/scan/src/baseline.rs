//! What a code base had when somebody decided to look at new findings only. A baseline holds ids
//! and what a person needs to read it, no lines, so that moved code stays known.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::report::Report;

const VERSION: u32 = 1;

/// The findings that are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    version: u32,
    findings: Vec<Known>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    id: String,
    rule: String,
    path: String,
    key: String,
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// It is not what `--write-baseline` writes.
    #[error("it is no baseline")]
    Form(#[from] serde_json::Error),
    /// A later keywheel wrote it.
    #[error("it is of version {0}, and this keywheel reads version {VERSION}")]
    Version(u32),
}

impl Baseline {
    /// A baseline of all that a report found.
    pub fn of(report: &Report) -> Self {
        let known = report.findings.iter().map(|finding| Known {
            id: finding.id.clone(),
            rule: finding.rule.clone(),
            path: finding.path.clone(),
            key: finding.key.clone(),
        });
        Self { version: VERSION, findings: known.collect() }
    }

    /// Reads what [`Baseline::text`] wrote.
    ///
    /// # Errors
    /// When it is none, or of a later version.
    pub fn read(text: &str) -> Result<Self, BaselineError> {
        let baseline: Self = serde_json::from_str(text)?;
        if baseline.version == VERSION {
            Ok(baseline)
        } else {
            Err(BaselineError::Version(baseline.version))
        }
    }

    /// Its text: JSON, one finding a line, so that it can be reviewed and merged.
    ///
    /// # Errors
    /// None that can happen: it holds texts alone.
    pub fn text(&self) -> Result<String, BaselineError> {
        let mut lines = Vec::with_capacity(self.findings.len());
        for known in &self.findings {
            lines.push(format!("    {}", serde_json::to_string(known)?));
        }
        let (version, lines) = (self.version, lines.join(",\n"));
        Ok(format!("{{\n  \"version\": {version},\n  \"findings\": [\n{lines}\n  ]\n}}\n"))
    }

    /// How many findings it has.
    pub fn len(&self) -> usize {
        self.findings.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Marks what it knows, and says how many of its findings are no more there.
    pub fn mark(&self, report: &mut Report) -> usize {
        let mut ids: BTreeSet<&str> = self.findings.iter().map(|one| one.id.as_str()).collect();
        let all = ids.len();
        let mut known = 0_usize;
        for finding in &mut report.findings {
            finding.known = ids.remove(finding.id.as_str());
            known += usize::from(finding.known);
        }
        report.count();
        all.saturating_sub(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::tests::{finding, report};
    use crate::report::FailOn;

    #[test]
    fn known_findings_do_not_fail_and_new_ones_do() {
        let first = report(vec![finding("a/b", "a.py", 1, "K"), finding("a/b", "a.py", 2, "K")]);
        let text = Baseline::of(&first).text().unwrap();
        let baseline = Baseline::read(&text).unwrap();
        assert_eq!(baseline.len(), 2);
        let mut later =
            report(vec![finding("a/b", "a.py", 9, "K"), finding("a/c", "a.py", 1, "K")]);
        assert_eq!(baseline.mark(&mut later), 1);
        assert_eq!(later.stats.known, 1);
        let failing: Vec<&str> =
            later.failing(FailOn::Any).map(|finding| finding.rule.as_str()).collect();
        assert_eq!(failing, ["a/c"]);
    }

    #[test]
    fn what_is_no_baseline_is_refused() {
        assert!(Baseline::read("[]").is_err());
        let later = Baseline::read("{\"version\":2,\"findings\":[]}").unwrap_err();
        assert!(later.to_string().contains("version 2"));
        let none = report(Vec::new());
        let text = Baseline::of(&none).text().unwrap();
        assert!(Baseline::read(&text).unwrap().is_empty());
    }
}
