//! What a scan says as a whole. Its JSON is published as `docs/reference/scan.schema.json`; only
//! fields are added to it, and its version tells when one goes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::finding::{Class, Finding, HotReload, Kind};

/// The version of the published JSON.
pub const VERSION: u32 = 1;

/// All that a scan found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The version of this form: 1.
    pub version: u32,
    /// The places that consume keys, by path and line.
    pub findings: Vec<Finding>,
    /// The logical keys, by name.
    pub keys: Vec<KeySummary>,
    /// What the scan could not do, and what it left out.
    pub notes: Vec<Note>,
    /// How much it read.
    pub stats: Stats,
}

/// One logical key and how many places know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeySummary {
    /// Its name, as in the findings.
    pub key: String,
    /// The strictest class among its places.
    pub class: Class,
    /// All names that it has, as they are written.
    pub names: Vec<String>,
    /// How many places consume it, outside tests.
    pub consumers: usize,
    /// At how many of them a rotation would break something.
    pub blocking: usize,
    /// How many of them take a new key while the application runs.
    pub live: usize,
    /// How many of them are literals.
    pub hardcoded: usize,
    /// How many places among tests, samples and examples know it.
    pub in_tests: usize,
}

/// Something that the reader of a report must know to trust it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// What sort of note.
    pub kind: NoteKind,
    /// The file, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// In words, without any text of the file.
    pub says: String,
}

/// Sorts of notes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoteKind {
    /// An ignore is written wrongly, and ignores nothing.
    BadIgnore,
    /// An ignore is past its day, and ignores nothing any more.
    ExpiredIgnore,
    /// An ignore of the file of ignores met nothing.
    UnusedIgnore,
    /// A limit was met; some of what is there is not in the report.
    Limit,
    /// A file or folder could not be read.
    Unreadable,
    /// A file was read by lines, since its language's reader could not.
    ReadByLines,
    /// Files or folders were left out by their names or because they are no text.
    LeftOut,
}

/// How much a scan read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// Files that were opened.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that speak of keys, and were read by the reader of their language.
    pub files_with_keys: usize,
    /// Findings outside tests.
    pub findings: usize,
    /// Those at which a rotation would break something.
    pub blocking: usize,
    /// Findings among tests, samples and examples.
    pub in_tests: usize,
    /// Findings that the baseline knows.
    pub known: usize,
    /// Findings that ignores took out of the report.
    pub ignored: usize,
    /// Findings past the limit of a report.
    pub dropped: usize,
}

/// For which findings a scan fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailOn {
    /// For one at which a rotation would break something.
    Blocking,
    /// For a literal outside tests.
    Hardcoded,
    /// For any outside tests.
    Any,
    /// For none.
    #[default]
    None,
}

impl Note {
    /// A note about a file.
    pub fn of(kind: NoteKind, path: impl Into<String>, says: impl Into<String>) -> Self {
        Self { kind, path: Some(path.into()), says: says.into() }
    }

    /// Whether it means that the scan was called or configured wrongly.
    pub fn is_error(&self) -> bool {
        self.kind == NoteKind::BadIgnore
    }
}

impl Report {
    /// The findings for which the scan fails: new ones outside tests.
    pub fn failing(&self, fail_on: FailOn) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| {
            let counts = !finding.in_tests && !finding.known;
            counts
                && match fail_on {
                    FailOn::Blocking => finding.blocking,
                    FailOn::Hardcoded => finding.kind == Kind::Hardcoded,
                    FailOn::Any => true,
                    FailOn::None => false,
                }
        })
    }

    /// The findings of a key.
    pub fn of_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().filter(move |finding| finding.key == key)
    }

    /// Keeps one key alone, by any of its names; case and separators do not matter.
    pub fn keep_key(&mut self, name: &str) {
        let name = crate::names::folded(name);
        let is_it = |key: &KeySummary| {
            let mut names = std::iter::once(&key.key).chain(&key.names);
            names.any(|one| crate::names::folded(one) == name)
        };
        self.keys.retain(is_it);
        let kept: Vec<&str> = self.keys.iter().map(|key| key.key.as_str()).collect();
        self.findings.retain(|finding| kept.contains(&finding.key.as_str()));
        self.count();
    }

    /// The same without what stands among tests, samples and examples.
    pub fn without_tests(&self) -> Self {
        let mut alone = self.clone();
        alone.findings.retain(|finding| !finding.in_tests);
        alone.keys.retain(|key| key.consumers > 0);
        alone.keys.iter_mut().for_each(|key| key.in_tests = 0);
        alone.count();
        alone
    }

    /// Counts the findings anew, after some were added, marked or removed.
    pub fn count(&mut self) {
        let of = |is: &dyn Fn(&Finding) -> bool| self.findings.iter().filter(|f| is(f)).count();
        let (findings, in_tests) = (of(&|f| !f.in_tests), of(&|f| f.in_tests));
        let (blocking, known) = (of(&|f| f.blocking), of(&|f| f.known));
        self.stats.findings = findings;
        self.stats.in_tests = in_tests;
        self.stats.blocking = blocking;
        self.stats.known = known;
    }
}

impl KeySummary {
    /// Counts one of its places.
    pub fn add(&mut self, finding: &Finding) {
        if finding.in_tests {
            self.in_tests += 1;
            return;
        }
        self.consumers += 1;
        self.blocking += usize::from(finding.blocking);
        self.live += usize::from(finding.hot_reload == HotReload::Yes);
        self.hardcoded += usize::from(finding.kind == Kind::Hardcoded);
    }
}

/// The schema of a report's JSON.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}
