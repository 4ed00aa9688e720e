//! `nginx -t` with a staged file in the place of the present one.
//!
//! nginx has no way to read one file instead of another. So every file on the way from the main
//! file to the target is copied, hidden and beside itself, because relative paths begin at the main
//! file's folder; in the copies each include on that way names its files one by one, the staged one
//! among them. Nothing else is touched, and lines keep their numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use keywheel_core::time::Span;
use keywheel_scan::nginx::{
    Configuration, Directive, File, Unread, escaped_path, follow_without, parse, quoted,
};
use zeroize::Zeroizing;

use super::copies::{SiblingCopy, sweep};
use super::error::CheckError;
use crate::hook::{HookError, run};
use crate::redact::Redactor;
use crate::settings::{Hook, Nginx};

/// How long a test may take. It resolves the names of upstreams, so it may wait for a name server.
pub const CHECK_TIMEOUT: Span = Span::from_secs(30);
const KILL_AFTER: Span = Span::from_secs(5);
/// How much of what nginx said is repeated.
const SAID_CHARS_MAX: usize = 400;
/// Blocks in which the first word of a line is a value.
const TABLES: [&str; 5] = ["map", "geo", "split_clients", "types", "match"];

/// Asks nginx whether it would take its configuration with `staged` in the place of `target`, which
/// need not exist yet. Both are absolute paths. What is said about it holds nothing of the staged
/// file's values.
///
/// # Errors
/// It would not, or nothing includes the target, or the test cannot be made.
pub fn check_staged(
    nginx: &Nginx,
    target: &Path,
    staged: &Path,
    hide: &Redactor,
    stop: &dyn Fn() -> bool,
) -> Result<(), CheckError> {
    let unread = Unread::new(target)
        .map_err(|source| CheckError::Target { target: target.to_owned(), source })?;
    let text = std::fs::read(staged)
        .map(Zeroizing::new)
        .map_err(|source| CheckError::Staged { path: staged.to_owned(), source })?;
    let directives =
        parse(&text).map_err(|error| CheckError::Syntax { target: target.to_owned(), error })?;
    let veil = Veil { text: &text, public: public(&directives), hide };
    if unread.is(&nginx.config) {
        return test(nginx, staged, &Names(vec![(staged, target)]), &veil, stop);
    }
    let configuration = follow_without(&nginx.config, &unread)?;
    // Without an include of the target there is no way to it, and so no copy of the main file.
    let copies = copies(&configuration, staged)?;
    let main = configuration.files.first();
    let copy = main.and_then(|main| copies.get(main.path.as_path()));
    let copy = copy.ok_or_else(|| CheckError::NotIncluded {
        target: target.to_owned(),
        main: nginx.config.clone(),
        files: configuration.files.len(),
    })?;
    let mut names = vec![(staged, target)];
    names.extend(copies.iter().map(|(original, copy)| (copy.path(), *original)));
    test(nginx, copy.path(), &Names(names), &veil, stop)
}

/// Copies of the files on the way to the target, by the paths of their originals.
fn copies<'a>(
    configuration: &'a Configuration,
    staged: &Path,
) -> Result<BTreeMap<&'a Path, SiblingCopy>, CheckError> {
    let way = way(configuration);
    let folders: BTreeSet<&Path> = way.iter().filter_map(|file| file.path.parent()).collect();
    for folder in folders {
        let left = sweep(folder);
        if left > 0 {
            tracing::info!(folder = %folder.display(), left, "removed copies of a test that was killed");
        }
    }
    let failed = |file: &File, source| CheckError::Copy { path: file.path.clone(), source };
    let mut copies = BTreeMap::new();
    for file in &way {
        let copy = SiblingCopy::beside(&file.path).map_err(|source| failed(file, source))?;
        copies.insert(file.path.as_path(), copy);
    }
    let mut places: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    places.extend(configuration.unread.iter().map(|path| (path.clone(), staged.to_owned())));
    places.extend(copies.iter().map(|(path, copy)| ((*path).into(), copy.path().into())));
    for file in &way {
        let text = rewritten(file, &places);
        if let Some(copy) = copies.get_mut(file.path.as_path()) {
            copy.fill(&text).map_err(|source| failed(file, source))?;
        }
    }
    Ok(copies)
}

/// The files through which nginx comes to the target.
fn way(configuration: &Configuration) -> Vec<&File> {
    let mut leads: BTreeSet<&Path> = configuration.unread.iter().map(PathBuf::as_path).collect();
    loop {
        let before = leads.len();
        for file in &configuration.files {
            let mut paths = file.includes.iter().flat_map(|include| &include.paths);
            if paths.any(|path| leads.contains(path.as_path())) {
                leads.insert(&file.path);
            }
        }
        if leads.len() == before {
            break;
        }
    }
    configuration.files.iter().filter(|file| leads.contains(file.path.as_path())).collect()
}

/// The text of a file in which every include on the way names its files one by one, each in the
/// place that it has for the test.
fn rewritten(file: &File, places: &BTreeMap<PathBuf, PathBuf>) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(Vec::with_capacity(file.text.len().saturating_mul(2)));
    let mut from = 0;
    let on_the_way = file
        .includes
        .iter()
        .filter(|include| include.paths.iter().any(|path| places.contains_key(path)));
    for include in on_the_way {
        text.extend_from_slice(file.text.get(from..include.span.start).unwrap_or_default());
        for path in &include.paths {
            let path = places.get(path).unwrap_or(path);
            text.extend_from_slice(b"include ");
            text.extend_from_slice(&quoted(&escaped_path(path)));
            text.push(b';');
        }
        let former = file.text.get(include.span.start..include.span.end).unwrap_or_default();
        text.extend(former.iter().filter(|byte| **byte == b'\n'));
        from = include.span.end;
    }
    text.extend_from_slice(file.text.get(from..).unwrap_or_default());
    text
}

/// Runs the test on this main file.
fn test(
    nginx: &Nginx,
    main: &Path,
    names: &Names<'_>,
    veil: &Veil<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<(), CheckError> {
    let hook = |to_stderr: bool| {
        let mut argv = vec![nginx.program.display().to_string(), "-t".into(), "-q".into()];
        if to_stderr {
            // Or it would write what it refuses, with the values in it, to its log as well.
            argv.extend(["-e".into(), "stderr".into()]);
        }
        argv.extend(["-c".into(), main.display().to_string()]);
        Hook { argv, timeout: CHECK_TIMEOUT, kill_after: KILL_AFTER }
    };
    let mut ran = run(&hook(true), &[], None, veil.hide, stop);
    if let Err(HookError::ExitCode { output_tail, .. }) = &ran
        && output_tail.contains("invalid option: \"e\"")
    {
        // Older than 1.19.5.
        ran = run(&hook(false), &[], None, veil.hide, stop);
    }
    match ran {
        Ok(_) => Ok(()),
        Err(HookError::ExitCode { output_tail, .. }) => {
            let said = veil.over(&names.present(&summary(&output_tail)));
            let target = names.0.first().map_or(main, |(_, target)| *target).to_owned();
            Err(CheckError::Refused { target, said })
        }
        Err(error) => Err(CheckError::Hook(error)),
    }
}

/// What a message of nginx says, without its time, its process and its own name.
pub(super) fn bare(line: &str) -> &str {
    let text = line.split_once("] ").filter(|(start, _)| start.contains('[')).map(|(_, text)| text);
    let Some(text) = text else { return line.trim().trim_start_matches("nginx: ") };
    let without_pid = text.split_once(": ").filter(|(pid, _)| {
        pid.contains('#') && pid.bytes().all(|byte| byte.is_ascii_digit() || byte == b'#')
    });
    without_pid.map_or(text, |(_, text)| text).trim()
}

/// The messages that stopped nginx; all that it said where none can be told.
fn summary(output: &str) -> String {
    let is_grave = |line: &&str| ["[emerg]", "[alert]", "[crit]"].iter().any(|m| line.contains(m));
    let graves: Vec<&str> = output.lines().filter(is_grave).map(bare).collect();
    let lines: Vec<&str> = if graves.is_empty() {
        output.lines().map(bare).filter(|line| !line.is_empty()).collect()
    } else {
        graves
    };
    if lines.is_empty() { "it gave no reason".to_owned() } else { lines.join("; ") }
}

/// The files of a test, and the present ones for which they stood.
struct Names<'a>(Vec<(&'a Path, &'a Path)>);

impl Names<'_> {
    /// A text in terms of the present files.
    fn present(&self, text: &str) -> String {
        let replace = |text: String, (copy, original): &(&Path, &Path)| {
            text.replace(&copy.display().to_string(), &original.display().to_string())
        };
        self.0.iter().fold(text.to_owned(), replace)
    }
}

/// Keeps the staged file's values out of messages. nginx quotes what it stumbles over, and that may
/// be a piece of a secret that nobody would recognise.
struct Veil<'a> {
    text: &'a [u8],
    public: BTreeSet<Vec<u8>>,
    hide: &'a Redactor,
}

impl Veil<'_> {
    /// A message without anything of the file's between its quotes, but its directives' names.
    fn over(&self, message: &str) -> String {
        let mut said = String::with_capacity(message.len());
        for (index, part) in message.split('"').enumerate() {
            if index > 0 {
                said.push('"');
            }
            let is_quoted = index % 2 == 1;
            said.push_str(if is_quoted && self.is_secret(part) { "[hidden]" } else { part });
        }
        self.hide.line(said.as_bytes(), SAID_CHARS_MAX)
    }

    fn is_secret(&self, part: &str) -> bool {
        let part = part.as_bytes();
        // A single mark is what nginx names most often, and gives nothing away. Letters of any case
        // are the same here, because nginx writes the names of variables in lower case.
        part.len() > 1
            && !self.public.contains(part)
            && self.text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
    }
}

/// Words of a file that are no values: the names of directives and variables.
fn public(directives: &[Directive]) -> BTreeSet<Vec<u8>> {
    let mut names = BTreeSet::new();
    for directive in directives {
        names.insert(directive.name.value.to_vec());
        let variables = directive.arguments.iter().filter(|word| {
            let is_letter = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
            word.value.strip_prefix(b"$").is_some_and(|name| name.iter().all(is_letter))
        });
        names.extend(variables.map(|word| word.value.to_vec()));
        if !TABLES.iter().any(|table| directive.is(table)) {
            names.extend(public(directive.children()));
        }
    }
    names
}
