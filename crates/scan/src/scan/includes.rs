//! What configurations of nginx include is read as what it is: within the blocks that include it.
//! A file named `keys` with `"…" shop;` in it holds keys where a `map` of a header includes it.
//!
//! Only files of the scan are read. A relative path begins at the folder of the main file, as nginx
//! has it, or else at that of the file that includes, or at one above; an absolute one below the
//! folder of an installed nginx begins there too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::Run;
use crate::config::Format;
use crate::file;
use crate::language::{self, Language};
use crate::nginx::consumers::{Around, Block, Include};
use crate::nginx::{INCLUDE_DEPTH_MAX, matches};
use crate::report::{Note, NoteKind};

/// How often files are looked at within others.
const MAX_STEPS: usize = 10_000;
/// In how many places one file is read.
const MAX_PLACES: usize = 16;
/// How many folders above a file may be where its includes begin.
const MAX_ABOVE: usize = 8;

/// Where nginx looks for its files on the machines that it is installed on.
const HOMES: &[&str] = &["etc/nginx", "usr/local/nginx/conf", "usr/local/openresty/nginx/conf"];

/// Endings of files that may be a configuration of nginx, besides having none.
const ENDINGS: &[&str] = &[
    "conf",
    "config",
    "nginx",
    "vhost",
    "server_conf",
    "inc",
    "template",
    "tmpl",
    "tpl",
    "j2",
    "erb",
    "in",
    "sample",
    "default",
    "dist",
    "example",
];

/// Whether a file may include others, by its name and a word that stands in it.
pub(crate) fn may_be_in(path: &Path, text: &[u8]) -> bool {
    let ending = path.extension().map(std::ffi::OsStr::as_encoded_bytes);
    let fits = ending.is_none_or(|one| ENDINGS.iter().any(|known| known.as_bytes() == one));
    fits && memchr::memmem::find(text, b"include").is_some()
}

/// A file that is included, and by whom, down from the main file.
struct Step {
    file: usize,
    place: Around,
    chain: Vec<usize>,
}

/// The files of a scan by their folders.
struct Tree {
    folders: BTreeMap<PathBuf, BTreeMap<Vec<u8>, usize>>,
}

impl Run<'_> {
    /// Reads what configurations include as within the blocks around the includes.
    pub(super) fn follow_includes(&mut self) {
        if self.includes.is_empty() {
            return;
        }
        let places = self.places();
        let mut buffer = Vec::new();
        for (index, places) in places {
            let Some(found) = self.files.get(index).cloned() else { continue };
            if !self.is_of_nginx(index, &mut buffer) {
                continue;
            }
            // Entries of a map of keys need not say that they are some.
            let is_in_map = places.iter().any(|place| place.map().is_some());
            if !is_in_map && !self.gate.lets(&buffer) {
                continue;
            }
            let mut opened = file::read_included(&found, &buffer, &places);
            self.finish(&found, &mut opened);
            self.notes.append(&mut opened.notes);
            self.stats.files_with_keys += usize::from(self.gated.insert(index));
            self.all.retain(|(known, _)| *known != index);
            if opened.read.has_something() {
                self.all.push((index, opened.read));
            }
        }
        self.all.sort_by_key(|(index, _)| *index);
    }

    /// Fills the buffer with a file that is included, if it may be one of nginx.
    fn is_of_nginx(&self, index: usize, buffer: &mut Vec<u8>) -> bool {
        let Some(found) = self.files.get(index) else { return false };
        if file::fill(found, buffer).is_err() || buffer.is_empty() {
            return false;
        }
        let is_inc = found.path.extension().is_some_and(|ending| ending == "inc");
        match language::of(&found.path, buffer) {
            None | Some(Language::Nginx | Language::Other) => true,
            Some(Language::Config(format)) => matches!(format, Format::Ini | Format::Env),
            Some(Language::Php) => is_inc && !buffer.starts_with(b"<?php"),
            _ => false,
        }
    }

    /// Where each included file stands: once in each map, or once in other blocks.
    fn places(&mut self) -> BTreeMap<usize, Vec<Around>> {
        let tree = Tree::of(&self.files);
        let mut places: BTreeMap<usize, Vec<Around>> = BTreeMap::new();
        let mut seen: BTreeSet<(usize, Option<Block>)> = BTreeSet::new();
        let mut steps = 0_usize;
        for main in self.mains(&tree) {
            let mut open = vec![Step { file: main, place: Around::default(), chain: Vec::new() }];
            while let Some(step) = open.pop() {
                steps += 1;
                if steps > MAX_STEPS {
                    let says = format!("{MAX_STEPS} includes of nginx are enough");
                    self.notes.push(Note { kind: NoteKind::Limit, path: None, says });
                    return places;
                }
                if !seen.insert((step.file, step.place.map().cloned())) {
                    continue;
                }
                if step.place.via.is_some() {
                    let here = places.entry(step.file).or_default();
                    if here.len() < MAX_PLACES {
                        here.push(step.place.clone());
                    }
                }
                let next = self.includes_of(&step, &tree);
                open.extend(next.into_iter().rev());
            }
        }
        places
    }

    /// The files that no other one includes, and then the rest: those of circles.
    fn mains(&self, tree: &Tree) -> Vec<usize> {
        let included: BTreeSet<usize> = self
            .includes
            .iter()
            .flat_map(|(file, includes)| {
                let path = self.files.get(*file).map(|found| found.path.as_path());
                let path = path.unwrap_or(Path::new(""));
                includes.iter().flat_map(|one| tree.files(&one.pattern, [path, path]))
            })
            .collect();
        let (rest, mut mains): (Vec<usize>, Vec<usize>) =
            self.includes.keys().partition(|file| included.contains(file));
        mains.extend(rest);
        mains
    }

    /// The files that a file includes, where it stands. A circle is said and not followed.
    fn includes_of(&mut self, step: &Step, tree: &Tree) -> Vec<Step> {
        let main = step.chain.first().copied().unwrap_or(step.file);
        let (Some(main), Some(here)) = (self.files.get(main), self.files.get(step.file)) else {
            return Vec::new();
        };
        let (main, here) = (main.path.clone(), here.clone());
        let mut chain = step.chain.clone();
        chain.push(step.file);
        let mut steps = Vec::new();
        for include in self.own_includes(step) {
            for file in tree.files(&include.pattern, [&main, &here.path]) {
                let at = include.line;
                let says = if chain.contains(&file) {
                    format!("line {at} includes a file that includes this one: not followed")
                } else if chain.len() >= INCLUDE_DEPTH_MAX {
                    format!("line {at} includes in {INCLUDE_DEPTH_MAX} steps: not followed")
                } else {
                    let place = Around::of(&include, &here.shown);
                    steps.push(Step { file, place, chain: chain.clone() });
                    continue;
                };
                self.notes.push(Note::of(NoteKind::Limit, here.shown.clone(), says));
            }
        }
        steps
    }

    /// What a file includes, within the blocks around it.
    fn own_includes(&mut self, step: &Step) -> Vec<Include> {
        if !self.includes.contains_key(&step.file) {
            let mut buffer = Vec::new();
            let has = self.is_of_nginx(step.file, &mut buffer)
                && memchr::memmem::find(&buffer, b"include").is_some();
            let found = self.files.get(step.file).filter(|_| has);
            let place = [Around::default()];
            let read = found.map(|found| file::read_included(found, &buffer, &place).includes);
            self.includes.insert(step.file, read.unwrap_or_default());
        }
        let mut own = self.includes.get(&step.file).cloned().unwrap_or_default();
        for include in &mut own {
            include.blocks.splice(0..0, step.place.blocks.iter().cloned());
        }
        own
    }
}

impl Tree {
    fn of(files: &[crate::walk::Found]) -> Self {
        let mut folders: BTreeMap<PathBuf, BTreeMap<Vec<u8>, usize>> = BTreeMap::new();
        let (mut last, mut here) = (Path::new(""), BTreeMap::new());
        let mut keep = |folder: &Path, here: &mut BTreeMap<Vec<u8>, usize>| {
            if !here.is_empty() {
                folders.entry(cleaned(folder)).or_default().append(here);
            }
        };
        // Files of one folder come one after the other, mostly.
        for (index, found) in files.iter().enumerate() {
            let Some(folder) = found.path.parent() else { continue };
            let Some(name) = found.path.file_name() else { continue };
            if folder.as_os_str() != last.as_os_str() {
                keep(last, &mut here);
                last = folder;
            }
            here.insert(name.as_encoded_bytes().to_vec(), index);
        }
        keep(last, &mut here);
        Self { folders }
    }

    /// The files that an include means, seen from the main file and from the one with the include.
    fn files(&self, pattern: &str, from: [&Path; 2]) -> Vec<usize> {
        // What a template or the environment puts in is not known.
        if pattern.contains(['$', '\0']) || pattern.is_empty() {
            return Vec::new();
        }
        if let Some(below) = pattern.strip_prefix('/') {
            let exact = self.below(Path::new("/"), below);
            let home = HOMES.iter().find_map(|home| below.strip_prefix(home)?.strip_prefix('/'));
            return match home {
                Some(inner) if exact.is_empty() => self.from(inner, from),
                _ => exact,
            };
        }
        self.from(pattern, from)
    }

    /// The files of a relative pattern, at the first folder where there are some.
    fn from(&self, pattern: &str, from: [&Path; 2]) -> Vec<usize> {
        let [main, here] = from.map(cleaned);
        let above = here.ancestors().skip(1).take(MAX_ABOVE);
        let mut bases = main.parent().into_iter().chain(above);
        let found = bases.find_map(|base| {
            let files = self.below(base, pattern);
            (!files.is_empty()).then_some(files)
        });
        found.unwrap_or_default()
    }

    /// The files of a pattern below a folder, in the order of their names.
    fn below(&self, base: &Path, pattern: &str) -> Vec<usize> {
        let path = cleaned(&base.join(pattern));
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Vec::new();
        };
        let is_pattern = |path: &Path| path.to_string_lossy().contains(['*', '?', '[']);
        let folders: Vec<_> = if is_pattern(folder) {
            self.folders.iter().filter(|(one, _)| fits(folder, one)).map(|(_, one)| one).collect()
        } else {
            self.folders.get(folder).into_iter().collect()
        };
        let name = name.as_encoded_bytes();
        let in_folder = |files: &BTreeMap<Vec<u8>, usize>| -> Vec<usize> {
            if is_pattern(Path::new(path.file_name().unwrap_or_default())) {
                let named = files.iter().filter(|(one, _)| matches(name, one));
                return named.map(|(_, index)| *index).collect();
            }
            files.get(name).copied().into_iter().collect()
        };
        folders.into_iter().flat_map(in_folder).collect()
    }
}

/// Whether each part of a folder's path fits the part of a pattern.
fn fits(pattern: &Path, folder: &Path) -> bool {
    let (mut parts, mut names) = (pattern.components(), folder.components());
    loop {
        match (parts.next(), names.next()) {
            (None, None) => return true,
            (Some(part), Some(name)) => {
                let part = part.as_os_str().as_encoded_bytes();
                if !(part == name.as_os_str().as_encoded_bytes()
                    || matches(part, name.as_os_str().as_encoded_bytes()))
                {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// A path without `.` and `..`, as far as they can be taken out without looking.
fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if clean
                    .components()
                    .next_back()
                    .is_some_and(|last| matches!(last, Component::Normal(_))) =>
            {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use crate::literal::Marker;
    use crate::report::Report;
    use crate::scan::{Scan, scan};

    fn run(files: &[(&str, &str)]) -> Report {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        scan(Scan::of_folder(folder.path(), Marker::new(b"k")).unwrap(), &|_| {}).unwrap()
    }

    fn places(report: &Report) -> Vec<String> {
        let place =
            |one: &crate::finding::Finding| format!("{}:{} {}", one.path, one.line, one.rule);
        report.findings.iter().map(place).collect()
    }

    #[test]
    fn an_included_file_is_read_within_its_blocks() {
        let main = "http {\n  map $http_x_api_key $client {\n    include keys;\n  }\n\
                    server {\n    listen 80;\n    include parts/*.part;\n  }\n}\n";
        let keys = "default 0;\n\"plum-4711-pear\" shop;\n";
        let part = "location /a {\n  include proxy.params;\n}\n";
        let report = run(&[
            ("deploy/nginx.conf", main),
            ("deploy/keys", keys),
            ("deploy/parts/a.part", part),
            ("deploy/parts/b.other", "set $jwt_secret plum;\n"),
            ("deploy/proxy.params", "proxy_set_header X-Api-Key plum-4711;\n"),
            ("elsewhere/keys", keys),
        ]);
        let expected = ["deploy/keys:2 nginx/map", "deploy/proxy.params:1 nginx/proxy-set-header"];
        let found = places(&report);
        let nginx: Vec<_> = found.iter().filter(|one| one.contains(" nginx/")).collect();
        assert_eq!(nginx, expected, "{found:?}");
        let reason = |path: &str| {
            let of = |one: &&crate::finding::Finding| one.path == path;
            report.findings.iter().find(of).unwrap().reason.clone()
        };
        let keys = reason("deploy/keys");
        assert!(keys.ends_with("; deploy/nginx.conf:3 includes it in http, map"), "{keys}");
        let params = reason("deploy/proxy.params");
        let ends = "; deploy/parts/a.part:2 includes it in http, server, location";
        assert!(params.ends_with(ends), "{params}");
        assert!(report.notes.is_empty(), "{:?}", report.notes);
    }

    #[test]
    fn paths_begin_at_the_main_file_at_the_including_one_and_in_the_folder_of_nginx() {
        let header = |name: &str| format!("proxy_set_header X-Api-Key {name}-4711;\n");
        let report = run(&[
            (
                "web/nginx.conf",
                "http {\n  include /etc/nginx/conf.d/*.conf;\n  include ../own/one;\n\
                 include $folder/two;\n  include /nowhere/three;\n}\n",
            ),
            ("web/conf.d/a.conf", "server {\n  include snippets/b;\n  include beside;\n}\n"),
            ("web/snippets/b", &header("plum")),
            ("web/conf.d/beside", &header("pear")),
            ("own/one", &header("fig")),
            ("web/two", &header("kiwi")),
        ]);
        let included = |one: &&crate::finding::Finding| one.reason.contains(" includes it in http");
        let paths: Vec<_> =
            report.findings.iter().filter(included).map(|one| one.path.as_str()).collect();
        assert_eq!(paths, ["own/one", "web/conf.d/beside", "web/snippets/b"]);
    }

    #[test]
    fn circles_are_said_and_end() {
        let report = run(&[
            ("nginx/a.conf", "server {\n  include b.conf;\n}\n"),
            ("nginx/b.conf", "include a.conf;\nset $jwt_secret plum-4711;\n"),
            ("nginx/c.conf", "location / {\n  include c.conf;\n}\n"),
        ]);
        assert_eq!(places(&report), ["nginx/b.conf:2 nginx/set"]);
        let notes: Vec<_> =
            report.notes.iter().map(|note| (note.path.as_deref(), note.says.as_str())).collect();
        let says =
            |line| format!("line {line} includes a file that includes this one: not followed");
        let (one, two) = (says(1), says(2));
        let expected = [(Some("nginx/b.conf"), one.as_str()), (Some("nginx/c.conf"), two.as_str())];
        assert_eq!(notes, expected);
    }

    #[test]
    fn what_is_code_stays_code() {
        let report = run(&[
            ("nginx/a.conf", "server {\n  include ../app.py;\n  include ../page.inc;\n}\n"),
            ("app.py", "import os\nKEY = os.environ['SECRET_KEY']\n"),
            ("page.inc", "<?php $k = getenv('SECRET_KEY');\n"),
        ]);
        assert_eq!(places(&report), ["app.py:2 python/env-load", "page.inc:1 php/env-load"]);
    }
}
