//! What users decided not to hear about: a comment at the place, or an entry of
//! `.keywheel-scan.toml`. Each has a reason, and may have a day after which it ends; one that has
//! ended is reported, since a finding that nobody looks at again is how keys grow old.
//!
//! In any language's comment, on the line or alone on the line above:
//!
//! ```text
//! keywheel: ignore[python/env-load] until=2027-01-31 the old worker goes with the next release
//! ```

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::Deserialize;

use crate::finding::Finding;
use crate::names;
use crate::report::{Note, NoteKind};

/// The name of the file of ignores.
pub const FILE_NAME: &str = ".keywheel-scan.toml";

const MARKER: &str = "keywheel: ignore";

/// A day of the calendar. Scans are given the one that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    year: u16,
    month: u8,
    of_month: u8,
}

impl Day {
    /// The last day that can be written.
    pub const LAST: Self = Self { year: 9999, month: 12, of_month: 31 };

    /// Reads `2027-01-31`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
        let is_written_so = parts.next().is_none()
            && [(year, 4), (month, 2), (day, 2)].into_iter().all(|(part, length)| {
                part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())
            });
        if !is_written_so {
            return None;
        }
        let day = Self {
            year: year.parse().ok()?,
            month: month.parse().ok()?,
            of_month: day.parse().ok()?,
        };
        let days = match day.month {
            2 if day.is_in_leap_year() => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => 0,
        };
        (1..=days).contains(&day.of_month).then_some(day)
    }

    const fn is_in_leap_year(self) -> bool {
        (self.year.is_multiple_of(4) && !self.year.is_multiple_of(100))
            || self.year.is_multiple_of(400)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.of_month)
    }
}

/// An ignore that stands in a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inline {
    /// The line on which it stands.
    line: u32,
    /// Whether nothing but the comment stands there, so that it speaks of the line below too.
    is_alone: bool,
    rules: Vec<String>,
    until: Option<Day>,
    /// What is wrong with it.
    wrong: Option<&'static str>,
}

/// The ignores in the comments of a text.
pub fn inline(text: &str) -> Vec<Inline> {
    if memchr::memmem::find(text.as_bytes(), MARKER.as_bytes()).is_none() {
        return Vec::new();
    }
    let lines = text.lines().zip(1..);
    lines.filter_map(|(line, number)| inline_of(line, number)).collect()
}

fn inline_of(line: &str, number: u32) -> Option<Inline> {
    let (before, after) = line.split_once(MARKER)?;
    let mut found = Inline {
        line: number,
        is_alone: !before.chars().any(char::is_alphanumeric),
        rules: Vec::new(),
        until: None,
        wrong: None,
    };
    let Some((rules, rest)) = after.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        found.wrong = Some("it names no rule: write ignore[RULE] or ignore[*]");
        return Some(found);
    };
    let rules = rules.split(',').map(str::trim).filter(|rule| !rule.is_empty());
    found.rules = rules.map(str::to_owned).collect();
    if found.rules.is_empty() {
        found.wrong = Some("it names no rule: write ignore[RULE] or ignore[*]");
    }
    let mut words = rest.split_ascii_whitespace().peekable();
    if let Some(until) = words.peek().and_then(|word| word.strip_prefix("until=")) {
        found.until = Day::parse(until);
        if found.until.is_none() {
            found.wrong = Some("its day is none: write until=2027-01-31");
        }
        words.next();
    }
    let has_reason = words.any(|word| word.chars().any(char::is_alphanumeric));
    if !has_reason {
        found.wrong = found.wrong.or(Some("it gives no reason: write one after it"));
    }
    Some(found)
}

impl Inline {
    /// Whether it speaks of a line.
    pub fn meets(&self, line: u32) -> bool {
        self.line == line || (self.is_alone && self.line.checked_add(1) == Some(line))
    }

    /// Whether it takes out a place of this rule and line today.
    pub fn takes_out(&self, finding: &Finding, today: Day) -> bool {
        let holds = self.wrong.is_none() && self.until.is_none_or(|until| today <= until);
        holds && self.meets(finding.line) && self.rules.iter().any(|rule| is_rule(rule, finding))
    }

    /// What has to be said of it.
    pub fn note(&self, path: &str, today: Day) -> Option<Note> {
        if let Some(wrong) = self.wrong {
            let says = format!("line {}: an ignore is not heeded: {wrong}", self.line);
            return Some(Note::of(NoteKind::BadIgnore, path, says));
        }
        let until = self.until.filter(|until| today > *until)?;
        let says = format!("line {}: an ignore ended on {until}", self.line);
        Some(Note::of(NoteKind::ExpiredIgnore, path, says))
    }
}

/// Whether a rule as users write it is that of a finding: itself, its kind, `python/*`, or `*`.
fn is_rule(written: &str, finding: &Finding) -> bool {
    let is_family =
        |family: &str| finding.rule.strip_prefix(family).is_some_and(|rest| rest.starts_with('/'));
    written == "*"
        || written == finding.rule
        || written == finding.kind.word()
        || written.strip_suffix("/*").is_some_and(is_family)
}

/// The file of ignores.
#[derive(Debug, Default)]
pub struct IgnoreFile {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    written: Written,
    paths: Option<Gitignore>,
    until: Option<Day>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Patterns as in `.gitignore`, from the folder of the file.
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    rules: Vec<String>,
    #[serde(default)]
    keys: Vec<String>,
    reason: String,
    until: Option<String>,
}

/// Why a file of ignores cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoreFileError {
    /// It is no TOML, lacks a reason, or has a field that is unknown.
    #[error("it cannot be read as ignores")]
    Form(#[from] toml::de::Error),
    /// An entry would ignore everything.
    #[error("entry {0} names no paths, no rules and no keys")]
    Everything(usize),
    /// An entry has an empty reason.
    #[error("entry {0} has an empty reason")]
    NoReason(usize),
    /// An entry's day is none.
    #[error("entry {0}: `until` is no day such as 2027-01-31")]
    Until(usize),
    /// An entry's pattern is none.
    #[error("entry {0}: a pattern of `paths` cannot be read")]
    Pattern(usize, #[source] ignore::Error),
}

impl IgnoreFile {
    /// Reads its text.
    ///
    /// # Errors
    /// With the first thing that is wrong.
    pub fn read(text: &str) -> Result<Self, IgnoreFileError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            #[serde(default)]
            ignore: Vec<Written>,
        }
        let whole: Whole = toml::from_str(text)?;
        let entries = whole.ignore.into_iter().zip(1..).map(|(one, number)| Entry::of(one, number));
        Ok(Self { entries: entries.collect::<Result<_, _>>()? })
    }

    /// Takes findings out, and says how many, and what is to be said of the ignores.
    pub fn take_out(&self, findings: &mut Vec<Finding>, today: Day) -> (usize, Vec<Note>) {
        let before = findings.len();
        let mut notes = Vec::new();
        for (entry, number) in self.entries.iter().zip(1_usize..) {
            if let Some(until) = entry.until.filter(|until| today > *until) {
                let says = format!("entry {number} ended on {until}: {}", entry.written.reason);
                notes.push(Note::of(NoteKind::ExpiredIgnore, FILE_NAME, says));
                continue;
            }
            let count = findings.len();
            findings.retain(|finding| !entry.meets(finding));
            if findings.len() == count {
                let says = format!("entry {number} met nothing: {}", entry.written.reason);
                notes.push(Note::of(NoteKind::UnusedIgnore, FILE_NAME, says));
            }
        }
        (before.saturating_sub(findings.len()), notes)
    }
}

impl Entry {
    fn of(written: Written, number: usize) -> Result<Self, IgnoreFileError> {
        if written.paths.is_empty() && written.rules.is_empty() && written.keys.is_empty() {
            return Err(IgnoreFileError::Everything(number));
        }
        if written.reason.trim().is_empty() {
            return Err(IgnoreFileError::NoReason(number));
        }
        let until = match written.until.as_deref() {
            None => None,
            Some(text) => Some(Day::parse(text).ok_or(IgnoreFileError::Until(number))?),
        };
        let mut builder = GitignoreBuilder::new("");
        for pattern in &written.paths {
            let added = builder.add_line(None, pattern);
            added.map_err(|error| IgnoreFileError::Pattern(number, error))?;
        }
        let paths = builder.build().map_err(|error| IgnoreFileError::Pattern(number, error))?;
        let paths = (!written.paths.is_empty()).then_some(paths);
        Ok(Self { written, paths, until })
    }

    fn meets(&self, finding: &Finding) -> bool {
        let is_path = self.paths.as_ref().is_none_or(|paths| {
            let path = Path::new(finding.path.trim_start_matches('/'));
            paths.matched_path_or_any_parents(path, false).is_ignore()
        });
        let (rules, keys) = (&self.written.rules, &self.written.keys);
        let is_key = |written: &String| {
            let written = names::folded(written);
            let mut names = std::iter::once(&finding.key).chain(&finding.name);
            names.any(|name| names::folded(name) == written)
        };
        is_path
            && (rules.is_empty() || rules.iter().any(|rule| is_rule(rule, finding)))
            && (keys.is_empty() || keys.iter().any(is_key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::join::tests::finding;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn days_are_days() {
        assert!(day("2027-01-31") < day("2027-02-01"));
        assert_eq!(day("2028-02-29").to_string(), "2028-02-29");
        for text in
            ["2027-02-29", "2027-13-01", "2027-1-1", "tomorrow", "2027-01-01-01", "+027-01-01"]
        {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_comment_speaks_of_its_line_or_of_the_one_below() {
        let text = "A = 1  # keywheel: ignore[*] it goes soon\n\
                    // keywheel: ignore[python/env-load, hardcoded] until=2027-01-31 why not\n\
                    B = 2\nC = 3\n";
        let all = inline(text);
        assert_eq!(all.len(), 2);
        let today = day("2026-11-28");
        let at = |line| finding("python/env-load", "a.py", line, "KEY");
        assert!(all[0].takes_out(&at(1), today) && !all[0].takes_out(&at(2), today));
        assert!(all[1].takes_out(&at(3), today) && !all[1].takes_out(&at(4), today));
        assert!(!all[1].takes_out(&finding("python/sink", "a.py", 3, "KEY"), today));
        let later = day("2027-02-01");
        assert!(!all[1].takes_out(&at(3), later));
        assert_eq!(all[1].note("a.py", later).unwrap().kind, NoteKind::ExpiredIgnore);
        assert_eq!(all[1].note("a.py", today), None);
    }

    #[test]
    fn a_comment_without_a_reason_is_wrong_and_ignores_nothing() {
        let today = day("2026-11-28");
        for text in [
            "x = 1 # keywheel: ignore[*]",
            "/* keywheel: ignore[*] */",
            "<!-- keywheel: ignore[*] until=2027-01-31 -->",
            "# keywheel: ignore why",
            "# keywheel: ignore[] why",
            "# keywheel: ignore[*] until=soon why",
        ] {
            let all = inline(text);
            assert_eq!(all.len(), 1, "{text}");
            assert!(!all[0].takes_out(&finding("a/b", "a", 1, "K"), today), "{text}");
            assert!(all[0].note("a", today).unwrap().is_error(), "{text}");
        }
    }

    #[test]
    fn the_file_takes_out_by_path_rule_and_key() {
        let file = IgnoreFile::read(
            "[[ignore]]\npaths = [\"legacy/**\"]\nreason = \"goes in spring\"\n\
             [[ignore]]\nkeys = [\"old-key\"]\nrules = [\"python/*\"]\nreason = \"dead\"\n\
             [[ignore]]\nkeys = [\"NONE\"]\nreason = \"met nothing\"\n\
             [[ignore]]\nkeys = [\"KEY\"]\nreason = \"is over\"\nuntil = \"2026-01-01\"\n",
        )
        .unwrap();
        let mut findings = vec![
            finding("python/env-load", "legacy/deep/a.py", 1, "KEY"),
            finding("python/env-load", "a.py", 1, "OLD_KEY"),
            finding("yaml/entry", "a.yml", 1, "OLD_KEY"),
            finding("python/env-load", "a.py", 1, "KEY"),
        ];
        let (taken, notes) = file.take_out(&mut findings, day("2026-11-28"));
        assert_eq!(taken, 2);
        let left: Vec<&str> = findings.iter().map(|finding| finding.path.as_str()).collect();
        assert_eq!(left, ["a.yml", "a.py"]);
        let kinds: Vec<NoteKind> = notes.iter().map(|note| note.kind).collect();
        assert_eq!(kinds, [NoteKind::UnusedIgnore, NoteKind::ExpiredIgnore]);
    }

    #[test]
    fn a_file_that_ignores_without_a_reason_is_refused() {
        for text in [
            "[[ignore]]\nkeys = [\"K\"]\n",
            "[[ignore]]\nkeys = [\"K\"]\nreason = \" \"\n",
            "[[ignore]]\nreason = \"all\"\n",
            "[[ignore]]\nkeys = [\"K\"]\nreason = \"r\"\nuntil = \"soon\"\n",
            "[[ignore]]\nkeys = [\"K\"]\nreason = \"r\"\nfor = 1\n",
        ] {
            assert!(IgnoreFile::read(text).is_err(), "{text}");
        }
    }
}
