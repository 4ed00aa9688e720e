//! The run: every file once, by as many threads as asked for, then once more those that call
//! functions of the scanned code which hand keys on. The result does not depend on the threads.
//!
//! Memory is bounded: a thread holds one file, at most [`MAX_PARSED_BYTES`] of it, and sites are
//! counted. What a limit cut off is said in the report.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::callers::{Calls, Finder, Known, has_any};
use crate::file::{self, Opened};
use crate::finding::Class;
use crate::gate::Gate;
use crate::ignores::{Day, FILE_NAME, IgnoreFile, IgnoreFileError, Inline};
use crate::join::{Joined, Read, join};
use crate::language::{self, Language};
use crate::literal::Marker;
use crate::nginx::consumers::Include;
use crate::projects::{Project, Projects};
use crate::purpose;
use crate::quick::hash;
use crate::reader::Readers;
use crate::report::{Note, NoteKind, Report, Stats, VERSION};
use crate::rules::{Rules, RulesError};
use crate::site::{Reaches, Wrapper};
use crate::walk::{Found, Roots, WalkError, Walked, walk};

pub(crate) mod includes;

/// Longer files are read in pieces, by lines.
pub const MAX_PARSED_BYTES: usize = 4 << 20;
/// More sites of one file are left out: it is a list that a program wrote.
pub const MAX_SITES_PER_FILE: usize = 1_000;
/// With more findings than that, the rest is left out: nobody reads them, and they must fit.
pub const MAX_FINDINGS: usize = 100_000;
/// More notes than that are counted only.
pub const MAX_NOTES: usize = 1_000;
/// How often wrappers of wrappers are followed.
pub const MAX_ROUNDS: usize = 3;
/// More functions of one language that hand a key on are not followed.
pub const MAX_WRAPPERS: usize = 500;
/// A function that more files define than that is one of all of them.
const DEFINED_MAX: usize = 2;
/// How many files are taken at a time; between them, limits are looked at.
const FILES_AT_A_TIME: usize = 2_048;
/// Parsers may go deep; the system gives a thread only what it touches of this.
const STACK_BYTES: usize = 32 << 20;

/// What to scan, and how.
pub struct Scan {
    /// Where.
    pub roots: Roots,
    /// How many files are read at the same time; at least one.
    pub threads: usize,
    /// Whether passwords are reported too.
    pub passwords: bool,
    /// The day that it is, for ignores that end.
    pub today: Day,
    /// Compares values.
    pub marker: Marker,
    /// What is known of functions and libraries.
    pub rules: Rules,
    /// Who reads what.
    pub readers: Readers,
    /// What was read elsewhere: a live database.
    pub also: Vec<Read>,
    /// What has to be said of that.
    pub also_notes: Vec<Note>,
}

impl Scan {
    /// A scan of one folder by what is built in: a file at a time, without passwords, and on a day
    /// on which every ignore has ended. What differs is set on it.
    ///
    /// # Errors
    /// When the built-in rules cannot be read, which is a defect.
    pub fn of_folder(folder: &Path, marker: Marker) -> Result<Self, RulesError> {
        let paths = vec![folder.to_owned()];
        Ok(Self {
            roots: Roots {
                paths,
                base: folder.to_owned(),
                respects_ignores: true,
                are_listed: false,
            },
            threads: 1,
            passwords: false,
            today: Day::LAST,
            marker,
            rules: Rules::built_in()?,
            readers: Readers::built_in(),
            also: Vec::new(),
            also_notes: Vec::new(),
        })
    }
}

/// How far a scan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Files that are read.
    pub done: usize,
    /// All of them.
    pub files: usize,
}

/// Why a scan cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A path that was given cannot be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The file of ignores cannot be read.
    #[error("{} cannot be used", .0.display())]
    Ignores(PathBuf, #[source] IgnoreFileError),
    /// The file of ignores is there and cannot be opened.
    #[error("{} cannot be read", .0.display())]
    IgnoresUnreadable(PathBuf, #[source] std::io::Error),
    /// The machine gives no threads.
    #[error("threads cannot be started")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// Scans.
///
/// # Errors
/// When a root or a file of the user's cannot be used. Files below the roots that cannot be read
/// are notes.
pub fn scan(mut scan: Scan, progress: &(dyn Fn(Progress) + Sync)) -> Result<Report, ScanError> {
    scan.rules.leaves_passwords = !scan.passwords;
    let ignores = ignore_file(&scan.roots)?;
    let words = scan.rules.words_beyond(&Gate::new(scan.passwords, []));
    let gate = Gate::new(scan.passwords, words.iter().map(String::as_str));
    let threads = rayon::ThreadPoolBuilder::new().num_threads(scan.threads.max(1));
    let pool = threads.stack_size(STACK_BYTES).build()?;
    let Walked { files, notes } = walk(&scan.roots)?;
    let (all, gated, stats) = (Vec::new(), BTreeSet::new(), Stats::default());
    let (known, includes) = (BTreeMap::new(), BTreeMap::new());
    let projects = Projects::default();
    let mut run =
        Run { scan: &scan, gate, files, projects, all, gated, known, includes, notes, stats };
    pool.install(|| {
        run.first_pass(progress);
        run.follow_includes();
        run.follow_wrappers();
    });
    let Run { all, notes, stats, .. } = run;
    let all: Vec<Read> = all.into_iter().map(|(_, read)| read).collect();
    Ok(reported(scan, all, notes, stats, &ignores))
}

/// A file with sites, by its place in the list of files.
type Kept = (usize, Read);

struct Run<'a> {
    scan: &'a Scan,
    gate: Gate,
    files: Vec<Found>,
    /// To which projects they belong; known once it matters.
    projects: Projects,
    all: Vec<Kept>,
    /// The files that speak of keys.
    gated: BTreeSet<usize>,
    /// What is known of programs.
    known: BTreeMap<usize, Known>,
    /// What configurations of nginx include.
    includes: BTreeMap<usize, Vec<Include>>,
    notes: Vec<Note>,
    stats: Stats,
}

impl Run<'_> {
    fn first_pass(&mut self, progress: &(dyn Fn(Progress) + Sync)) {
        let files = std::mem::take(&mut self.files);
        let done = AtomicUsize::new(0);
        let mut sites = 0_usize;
        for (start, some) in (0..).step_by(FILES_AT_A_TIME).zip(files.chunks(FILES_AT_A_TIME)) {
            if sites >= MAX_FINDINGS {
                let left = files.len().saturating_sub(start);
                let says =
                    format!("{MAX_FINDINGS} findings are enough: {left} files were not read");
                self.notes.push(Note { kind: NoteKind::Limit, path: None, says });
                break;
            }
            let each = some.par_iter().map_init(Vec::new, |buffer, found| {
                let opened = self.read(found, buffer);
                let done = done.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                progress(Progress { done, files: files.len() });
                opened
            });
            let each: Vec<Opened> = each.collect();
            for (index, opened) in (start..).zip(each) {
                self.stats.files += usize::from(opened.bytes.is_some());
                self.stats.bytes += opened.bytes.unwrap_or_default();
                self.stats.files_with_keys += usize::from(opened.was_read);
                self.gated.extend(Some(index).filter(|_| opened.was_read));
                self.known.extend(opened.known.map(|known| (index, known)));
                self.notes.extend(opened.notes);
                if !opened.includes.is_empty() {
                    self.includes.insert(index, opened.includes);
                }
                sites = sites.saturating_add(opened.read.sites.found.len());
                if opened.read.has_something() {
                    self.all.push((index, opened.read));
                }
            }
        }
        self.files = files;
    }

    fn read(&self, found: &Found, buffer: &mut Vec<u8>) -> Opened {
        let mut opened =
            file::open(found, buffer, &self.gate, &self.scan.readers, &self.scan.rules);
        self.finish(found, &mut opened);
        opened
    }

    /// What holds for every reader.
    fn finish(&self, found: &Found, opened: &mut Opened) {
        let read = &mut opened.read;
        if !read.has_something() {
            return;
        }
        read.path.clone_from(&found.shown);
        read.in_tests = purpose::is_aside(found.below_root());
        if !self.scan.passwords {
            read.sites.found.retain(|site| site.class != Class::Password);
        }
        for site in &mut read.sites.found {
            site.name.take_if(|name| name.is_empty());
            site.links.retain(|link| !link.name().is_empty());
        }
        let more = read.sites.found.len().saturating_sub(MAX_SITES_PER_FILE);
        if more > 0 {
            read.sites.found.sort_by_key(|site| site.at);
            read.sites.found.truncate(MAX_SITES_PER_FILE);
            let says = format!("{MAX_SITES_PER_FILE} findings, and {more} more");
            opened.notes.push(Note::of(NoteKind::Limit, found.shown.clone(), says));
        }
    }

    /// Reads again the files that call functions of other files which hand keys on.
    fn follow_wrappers(&mut self) {
        let mut before: BTreeMap<&'static str, BTreeSet<Elsewhere>> = BTreeMap::new();
        if self.all.iter().all(|(_, read)| read.sites.wrappers.is_empty()) {
            return;
        }
        self.projects = Projects::of(&self.files);
        for _ in 0..MAX_ROUNDS {
            let mut known = before.clone();
            self.gather(&mut known);
            let mut has_fresh = false;
            for (language, wrappers) in &known {
                let old = before.get(language);
                let is_fresh = |one: &&Elsewhere| old.is_none_or(|old| !old.contains(*one));
                let wrappers: Vec<&Elsewhere> = wrappers.iter().take(MAX_WRAPPERS).collect();
                let fresh: Vec<bool> = wrappers.iter().map(is_fresh).collect();
                if fresh.contains(&true) {
                    has_fresh = true;
                    self.read_again(language, &wrappers, &fresh);
                }
            }
            if !has_fresh {
                return;
            }
            before = known;
        }
    }

    fn gather(&self, known: &mut BTreeMap<&'static str, BTreeSet<Elsewhere>>) {
        for (index, read) in &self.all {
            let Some(found) = self.files.get(*index) else { continue };
            let Some(language) = rules_of(found) else { continue };
            for wrapper in &read.sites.wrappers {
                let one = Elsewhere {
                    wrapper: wrapper.clone(),
                    home: home(&found.shown),
                    folder: folder(&found.shown).to_owned(),
                    project: self.projects.get(*index),
                };
                known.entry(language).or_default().insert(one);
            }
        }
    }

    /// Reads again the files of a language that call at least one wrapper that is fresh.
    fn read_again(&mut self, language: &str, wrappers: &[&Elsewhere], fresh: &[bool]) {
        let search = Search::new(language, wrappers, fresh);
        // A file that calls a function with a word of the gate in its name speaks of keys, and so
        // does one that gives the name of a key to a loader.
        let is_quiet = |one: &&Elsewhere| {
            matches!(one.wrapper.reaches, Reaches::Sink(..))
                && !self.gate.lets(one.wrapper.function.as_bytes())
        };
        let quiet = wrappers.iter().zip(fresh).filter(|(one, fresh)| **fresh && is_quiet(one));
        let quiet: BTreeSet<Option<Project>> = quiet.map(|(one, _)| one.project).collect();
        let is_candidate = |(index, found): &(usize, &Found)| {
            let project = self.projects.get(*index);
            let may_call = match self.known.get(index) {
                Some(known) => search.may_meet(known, project),
                None => {
                    quiet.contains(&None) || quiet.contains(&project) || self.gated.contains(index)
                }
            };
            may_call && rules_of(found) == Some(language)
        };
        let candidates: Vec<usize> =
            (0..).zip(&self.files).filter(is_candidate).map(|(index, _)| index).collect();
        let scan = self.scan;
        let met = candidates.par_iter().map_init(Vec::new, |buffer, index| {
            file::fill(self.files.get(*index)?, buffer).ok()?;
            Some((*index, search.met(buffer, self.projects.get(*index))?))
        });
        let met: Vec<(usize, Met)> = met.flatten().collect();
        let common = search.common(&met);
        let again = met.par_iter().map_init(Vec::new, |buffer, (index, met)| {
            let found = self.files.get(*index)?;
            let called = search.called(met, &found.shown, &common)?;
            file::fill(found, buffer).ok()?;
            let called = called.iter().filter_map(|index| wrappers.get(*index));
            let rules = scan.rules.with_wrappers(language, called.map(|one| &one.wrapper));
            let mut opened = file::read_whole(found, buffer, &scan.readers, &rules);
            self.finish(found, &mut opened);
            Some((*index, opened.read))
        });
        let again: Vec<Kept> = again.flatten().collect();
        let mut all: BTreeMap<usize, Read> = std::mem::take(&mut self.all).into_iter().collect();
        all.extend(again.into_iter().filter(|(_, read)| read.has_something()));
        self.all = all.into_iter().collect();
    }
}

/// The language of a file by its name, as rules know it.
fn rules_of(found: &Found) -> Option<&'static str> {
    language::of(&found.path, b"").and_then(Language::of_rules)
}

/// A function that hands a key on, and the word by which files that use it name its file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Elsewhere {
    wrapper: Wrapper,
    home: String,
    /// The path of the folder in which it stands; empty if that is the whole of the scan.
    folder: String,
    project: Option<Project>,
}

impl Elsewhere {
    /// Whether files of a project may call it: those of its own, if it has one.
    fn reaches(&self, project: Option<Project>) -> bool {
        self.project.is_none() || self.project == project
    }
}

/// The last part of a file's name that says something: imports name it. Those of Go name the
/// folder, of which all files are one package.
fn home(path: &str) -> String {
    let path = match path.rsplit_once('/') {
        Some((folder, _)) if path.rsplit('.').next() == Some("go") => folder,
        _ => path,
    };
    let parts = path.rsplit('/').map(|part| part.split('.').next().unwrap_or(part));
    let mut said = parts.filter(|part| {
        !matches!(*part, "" | "__init__" | "index" | "mod" | "main" | "lib" | "init")
    });
    said.next().unwrap_or_default().to_owned()
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Finds which wrappers a file calls.
struct Search<'w> {
    language: &'w str,
    wrappers: &'w [&'w Elsewhere],
    fresh: &'w [bool],
    /// Their names, and those of their files.
    functions: Finder,
    homes: Finder,
    /// The names of the folders of their files.
    folders: Finder,
    all: Vec<&'w Wrapper>,
    /// The hashes of the fresh ones, by their projects.
    hashes: BTreeMap<Option<Project>, Hashes>,
}

/// The hashes of functions.
#[derive(Default)]
struct Hashes {
    functions: Vec<u64>,
    /// The same of those that use a key, and of their files.
    sinks: Vec<u64>,
    /// The same of those that load one.
    loaders: Vec<u64>,
}

impl<'w> Search<'w> {
    fn new(language: &'w str, wrappers: &'w [&'w Elsewhere], fresh: &'w [bool]) -> Self {
        let mut hashes: BTreeMap<Option<Project>, Hashes> = BTreeMap::new();
        for (one, _) in wrappers.iter().zip(fresh).filter(|(_, fresh)| **fresh) {
            let function = hash(one.wrapper.function.as_bytes());
            let home = Some(&one.home).filter(|home| !home.is_empty());
            let hashes = hashes.entry(one.project).or_default();
            let of = match one.wrapper.reaches {
                Reaches::Sink(..) => &mut hashes.sinks,
                Reaches::Loader(_) => &mut hashes.loaders,
            };
            of.push(function);
            of.extend(home.map(|home| hash(home.as_bytes())));
            hashes.functions.push(function);
        }
        let functions = Finder::new(wrappers.iter().map(|one| one.wrapper.function.as_str()));
        let homes = Finder::new(wrappers.iter().map(|one| one.home.as_str()));
        let folders = wrappers.iter().map(|one| one.folder.rsplit('/').next().unwrap_or_default());
        let folders = Finder::new(folders);
        let all = wrappers.iter().map(|one| &one.wrapper).collect();
        Self { language, wrappers, fresh, functions, homes, folders, all, hashes }
    }

    /// Whether a file of a project may call a fresh function, by what is known of it.
    fn may_meet(&self, known: &Known, project: Option<Project>) -> bool {
        let meets = |hashes: &Hashes| match known {
            Known::Calls(calls) => has_any(calls, &hashes.functions),
            Known::Imports { has_names, all } => {
                has_any(all, &hashes.sinks) || (*has_names && has_any(all, &hashes.loaders))
            }
        };
        let of_none = self.hashes.get(&None);
        of_none.is_some_and(meets)
            || project.is_some() && self.hashes.get(&project).is_some_and(meets)
    }

    /// What a file of a project has of the wrappers, if it calls or defines a fresh one.
    fn met(&self, bytes: &[u8], project: Option<Project>) -> Option<Met> {
        let reaches =
            |index: usize| self.wrappers.get(index).is_some_and(|one| one.reaches(project));
        let calls = self.functions.calls(self.language, bytes, &self.all, reaches);
        let is_fresh = |index: &usize| self.fresh.get(*index) == Some(&true);
        let (calls_one, defines_one) =
            (calls.called.iter().any(is_fresh), calls.defined.iter().any(is_fresh));
        let named = |words: &Finder| if calls_one { words.all(bytes) } else { Vec::new() };
        let (homes, folders) = (named(&self.homes), named(&self.folders));
        (calls_one || defines_one).then_some(Met { calls, homes, folders })
    }

    /// The functions that so many files define that a call may be one of any of them.
    fn common(&self, met: &[(usize, Met)]) -> BTreeSet<&'w str> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, met) in met {
            let defined = met.calls.defined.iter().filter_map(|index| self.all.get(*index));
            let defined: BTreeSet<&str> = defined.map(|one| one.function.as_str()).collect();
            for function in defined {
                *counts.entry(function).or_default() += 1;
            }
        }
        counts.into_iter().filter(|(_, files)| *files > DEFINED_MAX).map(|(name, _)| name).collect()
    }

    /// The wrappers that a file at this path calls, if one of them is fresh: those of its own
    /// place, those whose files it names, and, as some languages need no import, those of a name
    /// that hardly anything else has.
    fn called(&self, met: &Met, path: &str, common: &BTreeSet<&str>) -> Option<Vec<usize>> {
        let own = home(path);
        let is_called = |index: &usize| {
            self.wrappers.get(*index).is_some_and(|one| {
                let function = one.wrapper.function.as_str();
                let is_common =
                    common.contains(function) || met.calls.defined.binary_search(index).is_ok();
                // Of a name that several files define, the loader of this one is hardly meant.
                let is_another = is_common
                    && one.wrapper.needs_name()
                    && !Path::new(path).starts_with(&one.folder)
                    && met.folders.binary_search(index).is_err();
                let is_named = met.homes.binary_search(index).is_ok()
                    || one.home == own
                    || one.home.is_empty()
                    || is_distinct(function);
                is_named && !is_another
            })
        };
        let called: Vec<usize> = met.calls.called.iter().copied().filter(is_called).collect();
        called.iter().any(|index| self.fresh.get(*index) == Some(&true)).then_some(called)
    }
}

/// What a file has of some wrappers.
struct Met {
    calls: Calls,
    /// Those whose files it names.
    homes: Vec<usize>,
    /// Those whose folders it names.
    folders: Vec<usize>,
}

/// Whether a function's name is so long and of so many words that another one hardly has it.
fn is_distinct(function: &str) -> bool {
    function.len() >= 10 && crate::names::words(function).len() >= 2
}

/// The ignores of the folder where the user stands, or of the only folder that is scanned.
fn ignore_file(roots: &Roots) -> Result<IgnoreFile, ScanError> {
    let only = roots.paths.first().filter(|_| roots.paths.len() == 1).filter(|path| path.is_dir());
    for folder in std::iter::once(&roots.base).chain(only) {
        let path = folder.join(FILE_NAME);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                return IgnoreFile::read(&text).map_err(|error| ScanError::Ignores(path, error));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(ScanError::IgnoresUnreadable(path, error)),
        }
    }
    Ok(IgnoreFile::default())
}

fn reported(
    scan: Scan,
    mut all: Vec<Read>,
    mut notes: Vec<Note>,
    mut stats: Stats,
    ignores: &IgnoreFile,
) -> Report {
    all.extend(scan.also.into_iter().map(|mut read| {
        read.sites.found.retain(|site| scan.passwords || site.class != Class::Password);
        read
    }));
    notes.extend(scan.also_notes);
    all.sort_by(|one, other| one.path.cmp(&other.path));
    let mut joined = join(&all, &scan.marker);
    stats.ignored = take_out_inline(&mut joined, &all, scan.today, &mut notes);
    let (taken, said) = ignores.take_out(&mut joined.findings, scan.today);
    stats.ignored += taken;
    notes.extend(said);
    stats.dropped = joined.findings.len().saturating_sub(MAX_FINDINGS);
    if stats.dropped > 0 {
        joined.findings.truncate(MAX_FINDINGS);
        let says = format!("{MAX_FINDINGS} findings, and {} more", stats.dropped);
        notes.push(Note { kind: NoteKind::Limit, path: None, says });
    }
    notes.sort();
    notes.dedup();
    let more = notes.len().saturating_sub(MAX_NOTES);
    if more > 0 {
        notes.truncate(MAX_NOTES);
        notes.push(Note { kind: NoteKind::Limit, path: None, says: format!("{more} more notes") });
    }
    let keys = joined.summaries();
    let findings = joined.findings;
    let mut report = Report { version: VERSION, findings, keys, notes, stats };
    report.count();
    report
}

/// Takes out what comments ignore. One that is wrong or has ended is worth a note only where there
/// is a finding; elsewhere it may be a text about ignores.
fn take_out_inline(joined: &mut Joined, all: &[Read], today: Day, notes: &mut Vec<Note>) -> usize {
    let by_path: BTreeMap<&str, &[Inline]> = all
        .iter()
        .filter(|read| !read.inline.is_empty())
        .map(|read| (read.path.as_str(), read.inline.as_slice()))
        .collect();
    let before = joined.findings.len();
    joined.findings.retain(|finding| {
        let here = by_path.get(finding.path.as_str()).copied().unwrap_or_default();
        let meeting: Vec<&Inline> = here.iter().filter(|one| one.meets(finding.line)).collect();
        notes.extend(meeting.iter().filter_map(|one| one.note(&finding.path, today)));
        !meeting.iter().any(|one| one.takes_out(finding, today))
    });
    before.saturating_sub(joined.findings.len())
}

#[cfg(test)]
mod tests;
