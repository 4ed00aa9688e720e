//! Compares a scan with labels that people made:
//! `evaluate LABELS TEXTS [first|second|NAME…] [--list]`.
//!
//! The folder of labels has `labels*.jsonl` (one place a line), `files*.jsonl` (the files that were
//! labelled from their first line to their last, with where their texts are below TEXTS) and
//! `doubtful*.jsonl` (lines about which people disagree; they count neither way). `first` and
//! `second` are the halves of the repositories of each set by name: rules are made with the first,
//! and measured with the second. What is printed is Markdown; with `--list`, each miss and each
//! false finding too.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keywheel_scan::finding::{Finding, HotReload, Kind, Scope};
use keywheel_scan::ignores::Day;
use keywheel_scan::literal::Marker;
use keywheel_scan::reader::Readers;
use keywheel_scan::rules::Rules;
use keywheel_scan::scan::{Scan, scan};
use keywheel_scan::walk::Roots;
use serde::Deserialize;

/// How many lines a call may have.
const CALL_LINES: u32 = 40;

#[derive(Deserialize)]
struct Label {
    repo: String,
    path: String,
    line: u32,
    kind: String,
    key: Option<String>,
    scope: Option<Scope>,
    hot_reload: Option<HotReload>,
}

/// A line about which people disagree.
#[derive(Deserialize)]
struct Doubt {
    repo: String,
    path: String,
    line: u32,
}

#[derive(Clone, Deserialize)]
struct Labelled {
    repo: String,
    path: String,
    local: PathBuf,
}

/// Hits and misses of one kind.
#[derive(Clone, Copy, Default)]
struct Count {
    labels: usize,
    hits: usize,
    findings: usize,
    right: usize,
}

#[derive(Default)]
struct Score {
    kinds: BTreeMap<String, Count>,
    scopes: (usize, usize),
    hots: (usize, usize),
    /// Findings that say `yes` where people say something else.
    wrong_yes: usize,
    list: Vec<String>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let lists = words.iter().any(|word| word == "--list");
    let mut words = words.iter().filter(|word| *word != "--list");
    let (Some(labels), Some(texts)) = (words.next(), words.next()) else {
        eprintln!("usage: evaluate LABELS TEXTS [first|second|NAME…] [--list]");
        return ExitCode::from(2);
    };
    let wanted: Vec<&str> = words.map(String::as_str).collect();
    match evaluate(Path::new(labels), Path::new(texts), &wanted) {
        Ok(score) => {
            println!("{}", table(&score));
            if lists {
                println!("{}", score.list.join("\n"));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Failed = Box<dyn std::error::Error>;

fn evaluate(of_labels: &Path, folder: &Path, wanted: &[&str]) -> Result<Score, Failed> {
    let sets: Vec<Vec<Labelled>> = rows(of_labels, "files")?;
    let labels: Vec<Label> = rows(of_labels, "labels")?.into_iter().flatten().collect();
    let doubtful: Vec<Doubt> = rows(of_labels, "doubtful")?.into_iter().flatten().collect();
    let mut score = Score::default();
    let chosen: Vec<String> = sets.iter().flat_map(|files| repositories(files, wanted)).collect();
    let files: Vec<Labelled> = sets.into_iter().flatten().collect();
    for repo in chosen {
        let own: Vec<&Labelled> = files.iter().filter(|file| file.repo == repo).collect();
        let Some(first) = own.first() else { continue };
        let found = found_in(folder, first)?;
        for file in own {
            let text = std::fs::read(folder.join(&file.local))?;
            let here = Here {
                file,
                lines: String::from_utf8_lossy(&text).lines().map(str::to_owned).collect(),
                labels: of_file(&labels, file, |label| (&label.repo, &label.path)),
                doubtful: of_file(&doubtful, file, |doubt| (&doubt.repo, &doubt.path)),
                findings: found.iter().filter(|finding| finding.path == file.path).collect(),
            };
            here.count(&mut score);
        }
    }
    Ok(score)
}

/// Scans the texts of a repository. Its folder is what a local path has in front of the path.
fn found_in(folder: &Path, file: &Labelled) -> Result<Vec<Finding>, Failed> {
    let depth = Path::new(&file.path).components().count();
    let local = folder.join(&file.local);
    let root = local.ancestors().nth(depth).unwrap_or(folder).to_owned();
    let report = scan(
        Scan {
            roots: Roots {
                paths: vec![root.clone()],
                base: root,
                respects_ignores: false,
                are_listed: false,
            },
            threads: 2,
            passwords: false,
            today: Day::LAST,
            marker: Marker::new(b"an evaluation has no secrets"),
            rules: Rules::built_in()?,
            readers: Readers::built_in(),
            also: Vec::new(),
            also_notes: Vec::new(),
        },
        &|_| {},
    )?;
    Ok(report.findings)
}

/// The rows of all files with such a name, one list a file.
fn rows<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<Vec<T>>, Failed> {
    let mut sets = Vec::new();
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let is_one =
            path.file_name().and_then(|one| one.to_str()).is_some_and(|one| one.starts_with(name))
                && path.extension().is_some_and(|extension| extension == "jsonl");
        if is_one {
            let mut rows = Vec::new();
            for line in std::fs::read_to_string(&path)?.lines().filter(|line| !line.is_empty()) {
                let row = serde_json::from_str(line);
                rows.push(row.map_err(|error| format!("{}: {error}", path.display()))?);
            }
            sets.push(rows);
        }
    }
    Ok(sets)
}

/// The repositories of a set by name, without their owners, and the half that is wanted.
fn repositories(files: &[Labelled], wanted: &[&str]) -> Vec<String> {
    let short = |repo: &str| repo.rsplit('/').next().unwrap_or(repo).to_lowercase();
    let all: BTreeSet<(String, &str)> =
        files.iter().map(|file| (short(&file.repo), file.repo.as_str())).collect();
    let half = all.len().div_ceil(2);
    let all = all.into_iter().enumerate();
    let chosen = all.filter(|(index, (short, repo))| match wanted {
        [] => true,
        ["first"] => *index < half,
        ["second"] => *index >= half,
        names => names.iter().any(|name| name == repo || name == short),
    });
    chosen.map(|(_, (_, repo))| repo.to_owned()).collect()
}

fn of_file<'a, T>(
    all: &'a [T],
    file: &Labelled,
    place: impl Fn(&T) -> (&String, &String),
) -> Vec<&'a T> {
    all.iter().filter(|one| place(one) == (&file.repo, &file.path)).collect()
}

/// One file with what people and the scan say of it.
struct Here<'a> {
    file: &'a Labelled,
    lines: Vec<String>,
    labels: Vec<&'a Label>,
    doubtful: Vec<&'a Doubt>,
    findings: Vec<&'a Finding>,
}

impl Here<'_> {
    /// The last line of what begins on a line: that on which all its brackets are closed.
    fn end(&self, line: u32) -> u32 {
        let mut depth = 0_i32;
        for number in line..line.saturating_add(CALL_LINES) {
            let index = usize::try_from(number).unwrap_or_default().saturating_sub(1);
            let Some(text) = self.lines.get(index) else { return number };
            for letter in text.chars() {
                depth += match letter {
                    '(' | '[' | '{' => 1,
                    ')' | ']' | '}' => -1,
                    _ => 0,
                };
            }
            if depth <= 0 {
                return number;
            }
        }
        line
    }

    fn is_same_place(&self, one: u32, other: u32) -> bool {
        let (first, last) = (one.min(other), one.max(other));
        first == last || last <= self.end(first)
    }

    fn count(&self, score: &mut Score) {
        let mut taken = vec![false; self.findings.len()];
        let mut missed = Vec::new();
        let mut hits: Vec<(&Label, &Finding)> = Vec::new();
        for exactly in [true, false] {
            let open: Vec<&Label> =
                if exactly { self.labels.clone() } else { std::mem::take(&mut missed) };
            for label in open {
                let meets = |finding: &Finding| {
                    finding.kind.word() == label.kind
                        && (finding.line == label.line
                            || (!exactly && self.is_same_place(finding.line, label.line)))
                };
                let free = self.findings.iter().zip(&mut taken);
                let hit = free.into_iter().find(|(finding, taken)| !**taken && meets(finding));
                match hit {
                    Some((finding, taken)) => {
                        *taken = true;
                        hits.push((label, finding));
                    }
                    None => missed.push(label),
                }
            }
        }
        for label in &self.labels {
            score.kinds.entry(label.kind.clone()).or_default().labels += 1;
        }
        for (label, finding) in hits {
            let count = score.kinds.entry(label.kind.clone()).or_default();
            (count.hits, count.findings, count.right) =
                (count.hits + 1, count.findings + 1, count.right + 1);
            self.compare(score, label, finding);
        }
        for label in missed {
            let what = (label.line, label.kind.as_str(), label.key.as_deref().unwrap_or_default());
            self.tell(score, "missed", what);
        }
        self.judge_others(score, &taken);
    }

    fn compare(&self, score: &mut Score, label: &Label, finding: &Finding) {
        let place =
            |what: &str| format!("{what} {} {}:{}", self.file.repo, self.file.path, label.line);
        if let (Kind::EnvLoad, Some(scope)) = (finding.kind, label.scope) {
            score.scopes.1 += 1;
            if finding.scope == Some(scope) {
                score.scopes.0 += 1;
            } else {
                let has = finding.scope.map_or("none", Scope::word);
                score.list.push(format!("{}: {has}, not {scope}", place("scope")));
            }
        }
        if let Some(hot) = label.hot_reload {
            score.hots.1 += 1;
            let says = finding.hot_reload;
            score.hots.0 += usize::from(says == hot);
            if says == HotReload::Yes && hot != HotReload::Yes {
                score.wrong_yes += 1;
                score.list.push(format!("{}: yes, not {hot}", place("hot")));
            }
        }
    }

    /// Findings without a label: false ones, unless people disagree about their line, or the line
    /// has a label of the same kind that another finding took.
    fn judge_others(&self, score: &mut Score, taken: &[bool]) {
        for (finding, taken) in self.findings.iter().zip(taken) {
            let is_doubtful =
                self.doubtful.iter().any(|label| self.is_same_place(label.line, finding.line));
            if *taken || is_doubtful {
                continue;
            }
            score.kinds.entry(finding.kind.word().to_owned()).or_default().findings += 1;
            let what = (finding.line, finding.kind.word(), finding.key.as_str());
            self.tell(score, &format!("false ({})", finding.rule), what);
        }
    }

    fn tell(&self, score: &mut Score, what: &str, (line, kind, key): (u32, &str, &str)) {
        let (repo, path) = (&self.file.repo, &self.file.path);
        score.list.push(format!("{what} {repo} {path}:{line} {kind} {key}"));
    }
}

fn share(part: usize, whole: usize) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let thousandths = (part * 1_000 + whole / 2) / whole;
    format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000)
}

fn table(score: &Score) -> String {
    let mut text = String::from(
        "| kind | labels | found | recall | findings | right | precision |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mut all = Count::default();
    let row = |text: &mut String, name: &str, count: &Count| {
        let Count { labels, hits, findings, right } = *count;
        let (recall, precision) = (share(hits, labels), share(right, findings));
        let _ = writeln!(
            text,
            "| {name} | {labels} | {hits} | {recall} | {findings} | {right} | {precision} |"
        );
    };
    for (kind, count) in &score.kinds {
        row(&mut text, kind, count);
        all.labels += count.labels;
        all.hits += count.hits;
        all.findings += count.findings;
        all.right += count.right;
    }
    row(&mut text, "**all**", &all);
    let (scoped, loads) = score.scopes;
    let (agreed, judged) = score.hots;
    let _ = write!(
        text,
        "\nScope right at {scoped} of {loads} loads ({}). Whether a new key is taken: the same as \
         people say at {agreed} of {judged} ({}); `yes` where people say otherwise: {}.\n",
        share(scoped, loads),
        share(agreed, judged),
        score.wrong_yes,
    );
    text
}
