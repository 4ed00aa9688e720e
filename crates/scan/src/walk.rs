//! Which files a scan reads: those below the paths that were given, without what `.gitignore` and
//! its like leave out, without the folders of dependencies, and without following links.
//!
//! What a file says is [`crate::scan`]'s; of which language it is, [`crate::language`]'s.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

use crate::report::{Note, NoteKind};

/// Folders that hold what others wrote or a program made.
const LEFT_OUT: &[&str] = &[
    ".bzr",
    ".eggs",
    ".git",
    ".hg",
    ".mypy_cache",
    ".next",
    ".nox",
    ".nuxt",
    ".pytest_cache",
    ".ruff_cache",
    ".svn",
    ".terraform",
    ".tox",
    ".venv",
    "__pycache__",
    "bower_components",
    "dist",
    "node_modules",
    "site-packages",
    "target",
    "vendor",
    "venv",
];

/// Of those, the ones that `--no-ignore` leaves out too: their files are no sources at all.
const NEVER: &[&str] = &[".git", ".hg", ".svn", ".bzr"];

/// Hidden folders in which keys are configured.
const HIDDEN_THAT_COUNT: &[&str] = &[
    ".azure",
    ".buildkite",
    ".circleci",
    ".config",
    ".devcontainer",
    ".do",
    ".docker",
    ".ebextensions",
    ".envs",
    ".forgejo",
    ".gitea",
    ".github",
    ".gitlab",
    ".helm",
    ".k8s",
    ".kube",
    ".platform",
    ".woodpecker",
];

/// Where a scan begins.
#[derive(Clone, Debug)]
pub struct Roots {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// The folder to which paths are shown relative, if they lie in it.
    pub base: PathBuf,
    /// Whether `.gitignore`, `.ignore` and the list of dependency folders count.
    pub respects_ignores: bool,
    /// Whether a program listed the paths, so that a file among them is read only where a scan of
    /// the base would read it too.
    pub are_listed: bool,
}

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// As it is reported, with `/`.
    pub shown: String,
    /// Where it is.
    pub path: PathBuf,
    /// How long the part of `shown` is that was not given by the user, so that a scan of
    /// `examples/shop` does not take everything in it for an example.
    pub below: usize,
    /// Whether the user gave its name, so that it is read whatever it is.
    pub by_name: bool,
}

impl Found {
    /// The path below what the user gave.
    pub fn below_root(&self) -> &str {
        let from = self.shown.len().saturating_sub(self.below);
        self.shown.get(from..).unwrap_or(&self.shown)
    }
}

/// The files below some roots.
#[derive(Debug, Default)]
pub struct Walked {
    /// In the order of their paths, each once.
    pub files: Vec<Found>,
    /// What could not be read or was left out.
    pub notes: Vec<Note>,
}

/// Lists the files below the roots.
///
/// # Errors
/// When a root does not exist or cannot be read: a report about the rest would look complete.
pub fn walk(roots: &Roots) -> Result<Walked, WalkError> {
    let mut walked = Walked::default();
    let mut left_out = BTreeMap::new();
    for root in &roots.paths {
        if roots.are_listed && root.is_symlink() {
            continue;
        }
        let about =
            std::fs::metadata(root).map_err(|source| WalkError { path: root.clone(), source })?;
        if about.is_dir() {
            below(roots, root, &mut walked, &mut left_out);
        } else if about.is_file() && roots.are_listed {
            listed(roots, root, &mut walked, &mut left_out);
        } else if about.is_file() {
            let shown = shown(root, roots, root);
            let below = shown.rsplit('/').next().map_or(0, str::len);
            walked.files.push(Found { shown, path: root.clone(), below, by_name: true });
        } else {
            let says = "it is no file and no folder";
            walked.notes.push(Note::of(NoteKind::Unreadable, shown(root, roots, root), says));
        }
    }
    walked.files.sort();
    walked.files.dedup_by(|later, first| {
        let is_same = later.shown == first.shown;
        first.by_name |= is_same && later.by_name;
        is_same
    });
    for (name, count) in left_out {
        let folders = if count == 1 { "folder" } else { "folders" };
        let says = format!("left out {count} {folders} named {name}; --no-ignore reads them");
        walked.notes.push(Note { kind: NoteKind::LeftOut, path: None, says });
    }
    Ok(walked)
}

/// A root that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read", path.display())]
pub struct WalkError {
    /// The root.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

fn below(
    roots: &Roots,
    root: &Path,
    walked: &mut Walked,
    left_out: &mut BTreeMap<&'static str, usize>,
) {
    let counts = roots.respects_ignores;
    let mut builder = WalkBuilder::new(root);
    builder.standard_filters(false).require_git(false).follow_links(false);
    builder.git_ignore(counts).git_exclude(counts).ignore(counts).parents(counts);
    let skipped = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&skipped);
    builder.filter_entry(move |entry| match folder_left_out(entry, counts) {
        None => true,
        Some(name) => {
            if let (false, Ok(mut seen)) = (name.is_empty(), seen.lock()) {
                seen.push(name);
            }
            false
        }
    });
    let front = Front::of(roots, root);
    for entry in builder.build() {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => {
                let inside = slashed(entry.path().strip_prefix(root).unwrap_or(entry.path()));
                let below = inside.len();
                let shown = match &front {
                    Front::Same(front) => format!("{front}{inside}"),
                    Front::Differs => shown(entry.path(), roots, root),
                };
                let path = entry.into_path();
                walked.files.push(Found { shown, path, below, by_name: false });
            }
            Ok(_) => {}
            Err(error) => walked.notes.push(unreadable(&error, roots, root)),
        }
    }
    for name in skipped.lock().map(|names| names.clone()).unwrap_or_default() {
        *left_out.entry(name).or_insert(0) += 1;
    }
}

/// A file of a list, as if it had been met on the way down from the base.
fn listed(
    roots: &Roots,
    file: &Path,
    walked: &mut Walked,
    left_out: &mut BTreeMap<&'static str, usize>,
) {
    let shown = shown(file, roots, file);
    let folders = shown.rsplit_once('/').map_or("", |(folders, _)| folders);
    match folders.split('/').find_map(|name| name_left_out(name, roots.respects_ignores)) {
        Some("") => {}
        Some(name) => *left_out.entry(name).or_insert(0) += 1,
        None => {
            let (below, path) = (shown.len(), file.to_owned());
            walked.files.push(Found { shown, path, below, by_name: false });
        }
    }
}

/// The name of a folder that is not entered; empty where nobody has to be told.
fn folder_left_out(entry: &DirEntry, counts: bool) -> Option<&'static str> {
    let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    if !is_folder || entry.depth() == 0 {
        return None;
    }
    name_left_out(entry.file_name().to_str()?, counts)
}

fn name_left_out(name: &str, counts: bool) -> Option<&'static str> {
    if NEVER.contains(&name) {
        return Some("");
    }
    if !counts || HIDDEN_THAT_COUNT.contains(&name) {
        return None;
    }
    if let Some(known) = LEFT_OUT.iter().find(|known| **known == name) {
        return Some(known);
    }
    name.starts_with('.').then_some("")
}

fn unreadable(error: &ignore::Error, roots: &Roots, root: &Path) -> Note {
    let (path, why) = taken_apart(error);
    let path = path.map_or_else(|| shown(root, roots, root), |path| shown(path, roots, root));
    Note::of(NoteKind::Unreadable, path, why)
}

fn taken_apart(error: &ignore::Error) -> (Option<&Path>, String) {
    match error {
        ignore::Error::WithPath { path, err } => (Some(path), taken_apart(err).1),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            taken_apart(err)
        }
        ignore::Error::Io(error) => (None, error.to_string()),
        other => (None, other.to_string()),
    }
}

/// How a path is shown: relative to the base if it lies there, else relative to the only root, else
/// as it is.
fn shown(path: &Path, roots: &Roots, root: &Path) -> String {
    let whole = clean(path);
    if let Ok(inside) = whole.strip_prefix(clean(&roots.base)) {
        return slashed(inside);
    }
    if roots.paths.len() == 1
        && let Ok(inside) = whole.strip_prefix(clean(root))
        && inside.components().next().is_some()
    {
        return slashed(inside);
    }
    match (roots.paths.len(), whole.file_name()) {
        (1, Some(name)) => name.to_string_lossy().into_owned(),
        _ => slashed(&whole),
    }
}

/// What is shown in front of the paths below a root; worked out once, for there are many.
enum Front {
    /// The same for all.
    Same(String),
    /// The base lies below the root, so that some paths lie in it and some do not.
    Differs,
}

impl Front {
    fn of(roots: &Roots, root: &Path) -> Self {
        let (base, whole) = (clean(&roots.base), clean(root));
        let in_front = match whole.strip_prefix(&base) {
            Ok(inside) => slashed(inside),
            Err(_) if base.starts_with(&whole) => return Self::Differs,
            Err(_) if roots.paths.len() == 1 => String::new(),
            Err(_) => slashed(&whole),
        };
        let ends = in_front.is_empty() || in_front.ends_with('/');
        Self::Same(if ends { in_front } else { in_front + "/" })
    }
}

/// A path from the root of the file system without `.` and `..`, as it is written: links stay.
fn clean(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.components().fold(PathBuf::new(), |mut clean, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
        clean
    })
}

fn slashed(path: &Path) -> String {
    let text = path.to_string_lossy();
    if std::path::MAIN_SEPARATOR == '/' { text.into_owned() } else { text.replace('\\', "/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(paths: &[&Path], base: &Path) -> Roots {
        let paths = paths.iter().map(|path| path.to_path_buf()).collect();
        Roots { paths, base: base.to_owned(), respects_ignores: true, are_listed: false }
    }

    fn write(folder: &Path, names: &[&str]) {
        for name in names {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
    }

    fn names(walked: &Walked) -> Vec<&str> {
        walked.files.iter().map(|file| file.shown.as_str()).collect()
    }

    #[test]
    fn hidden_files_that_configure_keys_are_seen_and_dependencies_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        write(path, &[".env", ".env.example", ".github/workflows/ci.yml", ".gitlab-ci.yml"]);
        write(path, &[".git/config", "node_modules/a/index.js", ".venv/lib/a.py", ".idea/a.xml"]);
        write(path, &["app/main.py", "app/made.py", "web/vendor/a.php"]);
        std::fs::write(path.join(".gitignore"), "made.py\n").unwrap();
        let walked = walk(&roots(&[path], path)).unwrap();
        let expected = [
            ".env",
            ".env.example",
            ".github/workflows/ci.yml",
            ".gitignore",
            ".gitlab-ci.yml",
            "app/main.py",
        ];
        assert_eq!(names(&walked), expected);
        let notes: Vec<_> = walked.notes.iter().map(|note| note.says.as_str()).collect();
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(notes.contains(&"left out 1 folder named vendor; --no-ignore reads them"));
        let all = Roots { respects_ignores: false, ..roots(&[path], path) };
        let walked = walk(&all).unwrap();
        assert!(names(&walked).contains(&"app/made.py"), "{walked:?}");
        assert!(names(&walked).contains(&"node_modules/a/index.js"), "{walked:?}");
        assert!(!names(&walked).contains(&".git/config"), "{walked:?}");
    }

    #[cfg(unix)]
    #[test]
    fn links_that_lead_in_a_circle_end_nothing() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["a/b.py"]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/up")).unwrap();
        std::os::unix::fs::symlink("self", folder.path().join("self")).unwrap();
        let walked = walk(&roots(&[folder.path()], folder.path())).unwrap();
        assert_eq!(names(&walked), ["a/b.py"]);
    }

    #[test]
    fn paths_are_shown_from_where_the_user_stands() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &["repo/tests/shop/a.py", "repo/b.py"]);
        let repo = folder.path().join("repo");
        let shop = repo.join("tests/shop");
        let inside = walk(&roots(&[&shop], &repo)).unwrap();
        assert_eq!(names(&inside), ["tests/shop/a.py"]);
        assert_eq!(inside.files[0].below_root(), "a.py");
        let outside = walk(&roots(&[&shop], &folder.path().join("elsewhere"))).unwrap();
        assert_eq!(names(&outside), ["a.py"]);
        let twice = walk(&roots(&[&repo, &repo.join("b.py")], &repo)).unwrap();
        assert_eq!(names(&twice), ["b.py", "tests/shop/a.py"]);
        assert!(twice.files[0].by_name);
    }

    #[test]
    fn a_list_reads_what_a_scan_of_the_base_would() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let files = ["tests/shop/a.py", "vendor/b.php", ".idea/c.xml", ".git/d", ".github/e.yml"];
        write(path, &files);
        let mut files = files.to_vec();
        if cfg!(unix) {
            std::os::unix::fs::symlink("tests/shop/a.py", path.join("link.py")).unwrap();
            files.push("link.py");
        }
        let paths: Vec<PathBuf> = files.iter().map(|file| path.join(file)).collect();
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let listed = Roots { are_listed: true, ..roots(&paths, path) };
        let walked = walk(&listed).unwrap();
        assert_eq!(names(&walked), [".github/e.yml", "tests/shop/a.py"]);
        assert!(walked.files.iter().all(|file| !file.by_name));
        assert_eq!(walked.files[1].below_root(), "tests/shop/a.py");
        assert_eq!(walked.notes.len(), 1, "{:?}", walked.notes);
        let all = walk(&Roots { respects_ignores: false, ..listed }).unwrap();
        let with = [".github/e.yml", ".idea/c.xml", "tests/shop/a.py", "vendor/b.php"];
        assert_eq!(names(&all), with);
    }

    #[test]
    fn a_root_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(walk(&roots(&[&folder.path().join("absent")], folder.path())).is_err());
    }
}
