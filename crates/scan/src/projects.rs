//! To which project a file belongs: that of the outermost folder around it that looks like the root
//! of one. What a function of one project hands on says nothing about another project that stands
//! beside it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::walk::Found;

/// One of these stands in the root of a project.
const MARKS: &[&str] = &[
    ".git",
    "package.json",
    "go.mod",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "composer.json",
    "Gemfile",
    "pyproject.toml",
];

/// A project, by its number.
pub(crate) type Project = u32;

/// The projects of some files.
#[derive(Default)]
pub(crate) struct Projects(Vec<Option<Project>>);

impl Projects {
    /// Looks for them.
    pub(crate) fn of(files: &[Found]) -> Self {
        let mut known: HashMap<PathBuf, Option<Project>> = HashMap::new();
        let mut count = 0;
        let mut last: Option<(&Path, Option<Project>)> = None;
        let mut all = Vec::with_capacity(files.len());
        for found in files {
            let folder = found.path.parent().unwrap_or(&found.path);
            let project = match last {
                Some((before, project)) if before == folder => project,
                _ => project_of(found, &mut known, &mut count),
            };
            last = Some((folder, project));
            all.push(project);
        }
        Self(all)
    }

    /// That of a file by its place in the list; none if it stands in no project.
    pub(crate) fn get(&self, file: usize) -> Option<Project> {
        self.0.get(file).copied().flatten()
    }
}

/// The project of a file, by what is known of the folders around it.
fn project_of(
    found: &Found,
    known: &mut HashMap<PathBuf, Option<Project>>,
    count: &mut Project,
) -> Option<Project> {
    let below = found.below_root().bytes().filter(|byte| *byte == b'/').count();
    let folders: Vec<&Path> =
        found.path.ancestors().skip(1).take(below.saturating_add(1)).collect();
    let mut project = None;
    for (depth, folder) in folders.into_iter().rev().enumerate() {
        if let Some(of_folder) = known.get(folder) {
            project = *of_folder;
            continue;
        }
        if project.is_none() && (is_root(folder) || (depth == 0 && is_within_repository(folder))) {
            *count = count.saturating_add(1);
            project = Some(*count);
        }
        known.insert(folder.to_owned(), project);
    }
    project
}

fn is_root(folder: &Path) -> bool {
    MARKS.iter().any(|mark| folder.join(mark).symlink_metadata().is_ok())
}

/// Whether a folder that is scanned is a part of a repository, so that all in it is of one.
fn is_within_repository(folder: &Path) -> bool {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole.ancestors().skip(1).any(|around| around.join(".git").symlink_metadata().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(root: &Path, below: &str) -> Found {
        let path = root.join(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        Found { shown: below.to_owned(), path, below: below.len(), by_name: false }
    }

    #[test]
    fn the_outermost_root_counts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let paths = ["a/x.py", "a/web/src/y.js", "b/c/z.py", "b/c/d/w.py", "loose.py"];
        let files: Vec<Found> = paths.iter().map(|path| found(root, path)).collect();
        for mark in ["a/package.json", "a/web/package.json", "b/c/go.mod"] {
            std::fs::write(root.join(mark), "").unwrap();
        }
        let projects = Projects::of(&files);
        let all: Vec<_> = (0..files.len()).map(|file| projects.get(file)).collect();
        assert_eq!(all, [Some(1), Some(1), Some(2), Some(2), None]);
    }
}
