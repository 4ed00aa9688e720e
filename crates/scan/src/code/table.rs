//! The rules of one language, found by the last word of what they are about.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use crate::rules::{Implicit, Load, Rules, Scheduler, Sink, Table};

/// FNV-1a: the words of rules are few, short and our own, and the names of files are no worse.
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// A rule that is about a word.
#[derive(Clone, Copy)]
pub(super) enum Rule<'r> {
    Sink(&'r Sink),
    Load(&'r Load),
    Implicit(&'r Implicit),
    Scheduler(&'r Scheduler),
}

/// Where a rule stands in a table of its language.
#[derive(Clone, Copy, Debug)]
enum Place {
    Sink(usize),
    Load(usize),
    Implicit(usize),
    Scheduler(usize),
}

/// The last words of what the rules of one language are about, made once for all files.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    /// The number of the table among those of the language, and the place in it.
    by_word: HashMap<String, Vec<(usize, Place)>, BuildHasherDefault<Fnv>>,
    /// Which words may be in the map, by their length and some of their letters.
    filter: Box<[u64; 64]>,
    /// Those of the tables before these.
    base: Option<Arc<Words>>,
}

impl Words {
    /// Those of one more table, which lie over the ones that all files share: `number` is its place
    /// among the tables of its language.
    pub(crate) fn over(base: &Arc<Self>, number: usize, table: &Table) -> Self {
        let (by_word, filter) = (HashMap::default(), base.filter.clone());
        let mut words = Self { by_word, filter, base: Some(Arc::clone(base)) };
        words.add_table(number, table);
        words
    }

    /// Those of a language.
    pub(crate) fn new<'r>(tables: impl Iterator<Item = &'r Table>) -> Self {
        let filter = Box::new([0; 64]);
        let mut words = Self { by_word: HashMap::default(), filter, base: None };
        for (number, table) in tables.enumerate() {
            words.add_table(number, table);
        }
        words
    }

    fn add_table(&mut self, number: usize, table: &Table) {
        for (at, rule) in table.sinks.iter().enumerate() {
            self.add(&rule.call, (number, Place::Sink(at)));
        }
        for (at, rule) in table.sources.iter().enumerate() {
            self.add(&rule.call, (number, Place::Load(at)));
        }
        for (at, rule) in table.implicit.iter().enumerate() {
            self.add(&rule.call, (number, Place::Implicit(at)));
        }
        for (at, rule) in table.schedulers.iter().enumerate() {
            self.add(&rule.call, (number, Place::Scheduler(at)));
        }
    }

    fn add(&mut self, call: &str, place: (usize, Place)) {
        let last = last_of(call);
        let bit = bit_of(last);
        if let Some(bits) = self.filter.get_mut(bit >> 6) {
            *bits |= 1 << (bit & 63);
        }
        self.by_word.entry(last.to_owned()).or_default().push(place);
    }

    /// Whether there may be a rule about a word; cheap.
    fn may_have(&self, word: &str) -> bool {
        let bit = bit_of(word);
        self.filter.get(bit >> 6).is_some_and(|bits| bits & (1 << (bit & 63)) != 0)
    }

    fn of(&self, word: &str) -> impl Iterator<Item = (usize, Place)> {
        let is_there = self.may_have(word);
        let layers = [self.base.as_deref(), Some(self)].into_iter().flatten();
        let places = layers.filter(move |_| is_there).filter_map(|layer| layer.by_word.get(word));
        places.flatten().copied()
    }
}

/// The rules of one language, and those that a file has of its own.
pub(super) struct Index<'r> {
    tables: Vec<&'r Table>,
    words: &'r Words,
    more: &'r More,
}

impl<'r> Index<'r> {
    /// The rules of a language, and `more` sinks and loads that a file has of its own.
    pub(super) fn new(rules: &'r Rules, language: &'r str, more: &'r More) -> Self {
        Self { tables: rules.of(language).collect(), words: rules.words(language), more }
    }

    /// The rules whose last word is this one.
    pub(super) fn of(&self, word: &str) -> Vec<(&'r str, Rule<'r>)> {
        if !self.words.may_have(word) && self.more.sinks.is_empty() && self.more.loads.is_empty() {
            return Vec::new();
        }
        let places = self.words.of(word);
        let mut found: Vec<_> = places.filter_map(|place| self.rule(place)).collect();
        let sinks = self.more.sinks.iter().filter(|rule| last_of(&rule.call) == word);
        found.extend(sinks.map(|rule| (rule.call.as_str(), Rule::Sink(rule))));
        let loads = self.more.loads.iter().filter(|rule| last_of(&rule.call) == word);
        found.extend(loads.map(|rule| (rule.call.as_str(), Rule::Load(rule))));
        found
    }

    fn rule(&self, (table, place): (usize, Place)) -> Option<(&'r str, Rule<'r>)> {
        let table = *self.tables.get(table)?;
        Some(match place {
            Place::Sink(at) => {
                let rule = table.sinks.get(at)?;
                (rule.call.as_str(), Rule::Sink(rule))
            }
            Place::Load(at) => {
                let rule = table.sources.get(at)?;
                (rule.call.as_str(), Rule::Load(rule))
            }
            Place::Implicit(at) => {
                let rule = table.implicit.get(at)?;
                (rule.call.as_str(), Rule::Implicit(rule))
            }
            Place::Scheduler(at) => {
                let rule = table.schedulers.get(at)?;
                (rule.call.as_str(), Rule::Scheduler(rule))
            }
        })
    }
}

fn last_of(call: &str) -> &str {
    let from = call.bytes().rposition(|byte| byte == b'.').map_or(0, |at| at + 1);
    call.get(from..).unwrap_or(call)
}

/// Sinks and loads that are functions of the file itself.
#[derive(Default)]
pub(super) struct More {
    pub(super) sinks: Vec<Sink>,
    pub(super) loads: Vec<Load>,
}

fn bit_of(word: &str) -> usize {
    let bytes = word.as_bytes();
    let at = |at: usize| usize::from(bytes.get(at).copied().unwrap_or_default());
    let last = usize::from(bytes.last().copied().unwrap_or_default());
    (bytes.len() * 0x9e5 + at(0) * 0x35 + at(bytes.len() / 2) * 0x1d3 + last * 0x6b) & 4095
}

/// Whether a path of names is what a rule calls so: `*.name` is any receiver or none, `A..name` is
/// `name` somewhere in a chain that begins with `A`, all else is the end of the path.
pub(super) fn matches(call: &str, path: &[&str]) -> bool {
    if let Some(name) = call.strip_prefix("*.") {
        return ends_with(path, name);
    }
    if let Some((first, last)) = call.split_once("..") {
        let Some((end, before)) = path.split_last() else { return false };
        return *end == last
            && (1..=before.len())
                .any(|to| before.get(..to).is_some_and(|before| ends_with(before, first)));
    }
    // A function without a receiver is no method of the same name.
    if call.contains('.') { ends_with(path, call) } else { matches!(path, [only] if *only == call) }
}

fn ends_with(path: &[&str], call: &str) -> bool {
    let mut rest = path.iter().rev();
    call.rsplit('.').all(|part| rest.next() == Some(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_rules() {
        assert!(matches("crypto.createHmac", &["this", "crypto", "createHmac"]));
        assert!(matches("*.signWith", &["signWith"]));
        assert!(matches("jose.SignJWT..sign", &["jose", "SignJWT", "setIssuer", "sign"]));
        assert!(!matches("jose.SignJWT..sign", &["jose", "sign"]));
        assert!(matches("hash_hmac", &["hash_hmac"]));
        assert!(!matches("hash_hmac", &["this", "hash_hmac"]));
        assert!(!matches("JWT.encode", &["encode"]));
    }
}
