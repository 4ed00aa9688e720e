//! Which files call a function of another file that hands a key on. Most files that hold
//! its name define another one of that name, or only speak of it, and to read a file again costs
//! far more than to see that.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use memchr::memmem;

use crate::python;
use crate::quick::{Quick, hash};
use crate::site::{Speaks, Wrapper};
use crate::spot::{HEAD_BYTES, Spotter};

/// As far around a call as is looked for the name of a key.
const NEAR_BYTES: usize = 300;

/// A longer list of what is imported is cut off.
const LONGEST_IMPORT: usize = 4_096;

/// Finds whole words, whatever stands around them.
pub(crate) struct Finder {
    /// For each word, the places of what has it in the list that was given.
    words: HashMap<Box<[u8]>, Vec<usize>, Quick>,
    /// Finds them within whatever.
    spotter: Spotter,
    /// The same of words that are short or no names, which a file may have that nobody can import.
    others: Vec<(memmem::Finder<'static>, Vec<usize>)>,
}

/// What a file does with some functions, by their places in order.
#[derive(Default)]
pub(crate) struct Calls {
    /// Those that it calls so that it can come to something.
    pub(crate) called: Vec<usize>,
    /// Those of whose names it has a function itself.
    pub(crate) defined: Vec<usize>,
}

impl Finder {
    /// Of these words; an empty one is never found.
    pub(crate) fn new<'a>(words: impl Iterator<Item = &'a str>) -> Self {
        let mut by_word: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, word) in words.enumerate().filter(|(_, word)| !word.is_empty()) {
            by_word.entry(word).or_default().push(place);
        }
        let is_plain = |word: &str| word.len() >= HEAD_BYTES && word.bytes().all(is_of_name);
        let plain = by_word.keys().copied().filter(|word| is_plain(word));
        let spotter = Spotter::new(plain);
        let (mut words, mut others) = (HashMap::default(), Vec::new());
        for (word, places) in by_word {
            if is_plain(word) {
                words.insert(word.as_bytes().into(), places);
            } else {
                others.push((memmem::Finder::new(word).into_owned(), places));
            }
        }
        Self { words, spotter, others }
    }

    /// Goes to each whole word with what stands before and behind it, and with its places.
    fn each(&self, bytes: &[u8], mut meet: impl FnMut(&[u8], &[u8], &[usize])) {
        let is_name =
            |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(|one| is_of_name(*one));
        let mut around = |start: usize, end: usize, places: &[usize]| {
            if !is_name(start.checked_sub(1)) && !is_name(Some(end)) {
                let behind = bytes.get(end..).unwrap_or_default();
                meet(bytes.get(..start).unwrap_or_default(), behind, places);
            }
        };
        for spot in self.spotter.all(bytes) {
            let word = bytes.get(spot.start..spot.end);
            if let Some(places) = word.and_then(|word| self.words.get(word)) {
                around(spot.start, spot.end, places);
            }
        }
        for (word, places) in &self.others {
            for start in word.find_iter(bytes) {
                around(start, start.saturating_add(word.needle().len()), places);
            }
        }
    }

    /// The places of the words that stand in a text, in order.
    pub(crate) fn all(&self, bytes: &[u8]) -> Vec<usize> {
        let mut found = BTreeSet::new();
        self.each(bytes, |_, _, places| found.extend(places));
        found.into_iter().collect()
    }

    /// What a file of their language does with these wrappers, whose functions the words are; only
    /// those that count.
    pub(crate) fn calls(
        &self,
        language: &str,
        bytes: &[u8],
        wrappers: &[&Wrapper],
        counts: impl Fn(usize) -> bool,
    ) -> Calls {
        let (mut called, mut defined) = (BTreeSet::new(), BTreeSet::new());
        self.each(bytes, |before, behind, places| {
            if is_definition(before) {
                defined.extend(places);
                return;
            }
            let near = OnceCell::new();
            let is_near = || *near.get_or_init(|| has_name_near(before, behind));
            let fits = |place: &&usize| {
                let wrapper = wrappers.get(**place);
                counts(**place)
                    && !called.contains(*place)
                    && wrapper.is_some_and(|one| match language {
                        "python" => is_call(one, behind) && (!one.needs_name() || is_near()),
                        _ => is_call_of(language, behind),
                    })
            };
            let fitting: Vec<usize> = places.iter().filter(fits).copied().collect();
            called.extend(fitting);
        });
        Calls { called: called.into_iter().collect(), defined: defined.into_iter().collect() }
    }
}

/// Whether what stands before a name says that it is that of a function or class which follows.
fn is_definition(before: &[u8]) -> bool {
    let words = [&b"def "[..], b"class ", b"function ", b"func ", b"fun "];
    words.iter().any(|word| before.ends_with(word))
}

/// Whether a function is called there: it is followed by its arguments, or, as a class, is given
/// with them to what makes an object of it.
fn is_call(wrapper: &Wrapper, behind: &[u8]) -> bool {
    let next = behind.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    match next {
        Some(b'(') => true,
        Some(b',') => wrapper.function.starts_with(|first: char| first.is_ascii_uppercase()),
        _ => false,
    }
}

/// The same of the other languages. A declaration may look like a call.
fn is_call_of(language: &str, behind: &[u8]) -> bool {
    let next = behind.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    let is_command = language == "ruby" && matches!(behind.first(), Some(b' ' | b'\t'));
    matches!(next, Some(b'(' | b'<' | b'?')) || (is_command && next != Some(&b'='))
}

fn has_name_near(before: &[u8], behind: &[u8]) -> bool {
    let from = before.len().saturating_sub(NEAR_BYTES);
    let before = String::from_utf8_lossy(before.get(from..).unwrap_or_default());
    let behind = behind.get(..NEAR_BYTES.min(behind.len())).unwrap_or_default();
    python::may_load(&before) || python::may_load(&String::from_utf8_lossy(behind))
}

const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 128
}

/// What is kept of a program, so that it need not be opened to see that it calls nothing.
pub(crate) enum Known {
    /// It was parsed: the hashes of what it calls.
    Calls(Box<[u64]>),
    /// It is of Python, was not worth parsing, and has names that a loader could be given or has
    /// none. What it imports may still make it worth that.
    Imports { has_names: bool, all: Box<[u64]> },
}

impl Known {
    pub(crate) fn of_quiet(bytes: &[u8], speaks: Speaks) -> Self {
        Self::Imports { has_names: speaks == Speaks::OfNames, all: imports(bytes) }
    }
}

/// Whether one of some hashes is among others that are in order.
pub(crate) fn has_any(all: &[u64], some: &[u64]) -> bool {
    some.iter().any(|one| all.binary_search(one).is_ok())
}

/// The hashes of the names that a file of Python imports, and of the modules that have them.
fn imports(bytes: &[u8]) -> Box<[u64]> {
    let mut hashes = Vec::new();
    let mut done = 0_usize;
    for at in memchr::memmem::find_iter(bytes, b"import") {
        let before = bytes.get(..at).unwrap_or_default();
        let start = memchr::memrchr(b'\n', before).map_or(0, |line| line.saturating_add(1));
        let line = bytes.get(start..).unwrap_or_default().trim_ascii_start();
        if start < done || !(line.starts_with(b"import ") || line.starts_with(b"from ")) {
            continue;
        }
        let rest = bytes.get(at..bytes.len().min(at.saturating_add(LONGEST_IMPORT)));
        let rest = rest.unwrap_or_default();
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let is_open = memchr::memchr(b'(', rest).is_some_and(|open| open < end);
        let end = if is_open { memchr::memchr(b')', rest).unwrap_or(rest.len()) } else { end };
        done = at.saturating_add(end);
        let said = bytes.get(start..done).unwrap_or_default();
        let words = said.split(|byte| !is_of_name(*byte)).filter(|word| !word.is_empty());
        hashes.extend(words.map(hash));
    }
    hashes.sort_unstable();
    hashes.dedup();
    hashes.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Source;
    use crate::site::Reaches;

    fn wrapper(function: &str, source: Source) -> Wrapper {
        Wrapper {
            function: function.to_owned(),
            parameter: 0,
            keyword: None,
            reaches: Reaches::Loader(source),
        }
    }

    #[test]
    fn calls_are_told_from_names() {
        let all = [
            wrapper("setting", Source::Environment),
            wrapper("read_it", Source::File),
            wrapper("Box", Source::Environment),
        ];
        let all: Vec<_> = all.iter().collect();
        let finder = Finder::new(all.iter().map(|one| one.function.as_str()));
        let called = |text: &str| finder.calls("python", text.as_bytes(), &all, |_| true).called;
        assert_eq!(called("x = setting(name)\n"), [0]);
        assert_eq!(called("x = a.setting (name)\n"), [0]);
        assert!(called("def setting(name):\n  resetting()\n  setting = 1\n").is_empty());
        assert!(called("x = read_it('notes')\n").is_empty());
        assert_eq!(called("x = read_it('app.pem')\n"), [1]);
        assert_eq!(called("app.add_middleware(Box, key=k)\n"), [2]);
        assert!(called("class Box(Base): pass\n").is_empty());
    }

    #[test]
    fn calls_of_other_languages_are_told_too() {
        let all = [wrapper("setting", Source::Environment)];
        let all: Vec<_> = all.iter().collect();
        let finder = Finder::new(["setting"].into_iter());
        let is_called = |language: &str, text: &str| {
            !finder.calls(language, text.as_bytes(), &all, |_| true).called.is_empty()
        };
        assert!(is_called("javascript", "const x = setting<string>('a')"));
        assert!(is_called("java", "this.setting (a)"));
        assert!(is_called("ruby", "x = setting :a"));
        assert!(!is_called("ruby", "setting = 1\ndef setting(a)\nend"));
        assert!(!is_called("javascript", "function setting(a) {}\nx.setting = y"));
        assert!(!is_called("go", "var setting = resetting(1)"));
    }

    #[test]
    fn words_are_found_whole() {
        let finder = Finder::new(["shop", "shop-api", "", "shop"].into_iter());
        assert_eq!(finder.all(b"import shop"), [0, 3]);
        assert_eq!(finder.all(b"load('shop-api')"), [0, 1, 3]);
        assert!(finder.all(b"shops = workshop - my_shop").is_empty());
        assert!(finder.all(b"shop-apis").contains(&0) && !finder.all(b"shop-apis").contains(&1));
    }

    #[test]
    fn imports_are_found_over_lines() {
        let text = "from app.box import (\n    seal,\n    other,\n)\nimport os\nx = important\n";
        let found = imports(text.as_bytes());
        let has = |name: &str| found.binary_search(&hash(name.as_bytes())).is_ok();
        assert!(has("box") && has("seal") && has("other") && has("os"));
        assert!(!has("x") && !has("important"));
    }
}
