//! `cargo xtask tidy`: the project's own rules, each a pure function from the tree to findings.
//!
//! A rule lives here when neither the compiler, clippy nor rustfmt can hold it. Each has a test on
//! a good and a bad sample beside it.

mod dependencies;
mod files;
mod links;
mod map;
mod sources;
mod text;

use std::fmt;
use std::path::Path;

use crate::failure::Failure;
use crate::process::{git, output};

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// The line, from 1; 0 where a whole file is meant.
    line: usize,
    cause: String,
    remedy: String,
}

impl Finding {
    fn new(path: &str, line: usize, cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, cause: cause.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, cause, remedy } = self;
        write!(f, "{path}:{}: {cause}\n    remedy: {remedy}", (*line).max(1))
    }
}

/// The files of the repository, tracked or about to be.
struct Tree {
    files: Vec<File>,
}

/// One file of the repository.
struct File {
    /// Relative to the root, with `/`.
    path: String,
    bytes: Vec<u8>,
}

impl File {
    /// The content, when it is text.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok().filter(|text| !text.contains('\0'))
    }
}

impl Tree {
    /// Reads every file that git tracks or would offer to track.
    fn read(root: &Path) -> Result<Self, Failure> {
        let listed = output(git(root).args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--deduplicate",
        ]))?;
        let files = listed.split_terminator('\0').filter_map(|path| {
            // A tracked file that was just removed is no concern of ours.
            let bytes = std::fs::read(root.join(path)).ok()?;
            Some(File { path: path.to_owned(), bytes })
        });
        Ok(Self { files: files.collect() })
    }

    /// The text files whose name ends so.
    fn texts<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let ours = self.files.iter().filter(move |file| file.path.ends_with(ending));
        ours.filter_map(|file| Some((file.path.as_str(), file.text()?)))
    }

    /// The text of one file.
    fn file(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path)?.text()
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            bytes: text.as_bytes().to_vec(),
        };
        Self { files: files.iter().map(file).collect() }
    }
}

/// Runs the verb.
pub(crate) fn run(root: &Path) -> Result<(), Failure> {
    let tree = Tree::read(root)?;
    let mut findings = dependencies::check(root)?;
    findings.extend(sources::check(&tree));
    findings.extend(map::check(&tree));
    findings.extend(files::check(&tree));
    findings.extend(links::check(&tree));
    findings.sort();
    findings.dedup();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => {
            println!("tidy: {} files, nothing found", tree.files.len());
            Ok(())
        }
        count => Err(Failure::found(
            format!("tidy found {count} in {} files", tree.files.len()),
            "each finding above carries its own",
        )),
    }
}
