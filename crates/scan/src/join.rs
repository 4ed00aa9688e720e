//! From the sites of all files to findings: which of them are of the same key, what each is worth,
//! and one finding a place.
//!
//! Two sites are of one key when they share a name. A name of a setting joins all files; the name
//! of a variable, and a name that says too little ([`names::is_weak`]), its own file only, and
//! never two keys that have settings of their own: `key` may be one thing here and another there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use aws_lc_rs::digest;

use crate::finding::{Class, Confidence, Finding, HotReload, Kind, LiteralMark, Source};
use crate::ignores::Inline;
use crate::literal::Marker;
use crate::names;
use crate::report::KeySummary;
use crate::site::{Hot, Link, Site, Sites};

/// What was read of one file.
#[derive(Default)]
pub struct Read {
    /// The file as it is reported.
    pub path: String,
    /// Whether it stands beside the application.
    pub in_tests: bool,
    /// What its reader saw.
    pub sites: Sites,
    /// The ignores in its comments.
    pub inline: Vec<Inline>,
}

impl Read {
    /// Whether it has to be kept for the joining.
    pub(crate) fn has_something(&self) -> bool {
        let Sites { found, same, wrappers, speaks: _, calls: _ } = &self.sites;
        !(found.is_empty() && same.is_empty() && wrappers.is_empty() && self.inline.is_empty())
    }
}

/// The findings of all files, and by what names each key is known.
pub struct Joined {
    /// By path, line and column.
    pub findings: Vec<Finding>,
    names: BTreeMap<String, BTreeSet<String>>,
}

impl Joined {
    /// The keys that the findings still have, with their counts.
    pub fn summaries(&self) -> Vec<KeySummary> {
        let mut keys: BTreeMap<&str, KeySummary> = BTreeMap::new();
        for finding in &self.findings {
            let entry = keys.entry(&finding.key).or_insert_with(|| KeySummary {
                key: finding.key.clone(),
                class: finding.class,
                names: self.names.get(&finding.key).into_iter().flatten().cloned().collect(),
                consumers: 0,
                blocking: 0,
                live: 0,
                hardcoded: 0,
                in_tests: 0,
            });
            entry.class = entry.class.min(finding.class);
            entry.add(finding);
        }
        keys.into_values().collect()
    }
}

/// Puts the sites of files together. The files must be in the order of their paths.
pub fn join(files: &[Read], marker: &Marker) -> Joined {
    let mut groups = Groups::default();
    groups.join_settings(files);
    groups.join_locals(files);
    let named = groups.named(files, marker);
    let mut findings = Vec::new();
    let mut keys = named.keys.iter();
    for file in files {
        let loads = Loads::of(&file.sites.found);
        for site in &file.sites.found {
            let Some(key) = keys.next() else { break };
            findings.push(finding(file, site, key, &loads, marker));
        }
    }
    findings = once_each(findings);
    number(&mut findings);
    Joined { findings, names: named.names }
}

/// A name as it joins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Node {
    /// Known everywhere.
    Everywhere(String),
    /// Known in one file.
    InFile(usize, String),
    /// A value without a name, by its mark.
    Value(String),
    /// A place without either.
    Place(usize, String),
}

fn node(file: usize, link: &Link) -> Node {
    match link {
        Link::Setting(name) if names::is_weak(name) => Node::InFile(file, names::folded(name)),
        Link::Setting(name) => Node::Everywhere(names::folded(name)),
        Link::Local(name) => Node::InFile(file, name.clone()),
    }
}

fn is_everywhere(one: &Node, other: &Node) -> bool {
    matches!((one, other), (Node::Everywhere(_), Node::Everywhere(_)))
}

/// The name of a setting in capitals.
fn constant(link: &Link) -> Option<&str> {
    match link {
        Link::Setting(name) if !name.chars().any(char::is_lowercase) => Some(name),
        _ => None,
    }
}

/// Sets of names, each of one key.
#[derive(Default)]
struct Groups {
    by_node: HashMap<Node, usize>,
    parents: Vec<usize>,
    /// Whether a group has a name that is known everywhere.
    anchored: Vec<bool>,
    /// Names that stand for several keys in their file.
    ambiguous: HashSet<Node>,
}

/// What the groups are called.
struct Named {
    /// The key of each site, in the order of files and sites.
    keys: Vec<String>,
    names: BTreeMap<String, BTreeSet<String>>,
}

impl Groups {
    fn index(&mut self, node: Node) -> usize {
        let is_everywhere = matches!(node, Node::Everywhere(_));
        let next = self.parents.len();
        let index = *self.by_node.entry(node).or_insert(next);
        if index == next {
            self.parents.push(next);
            self.anchored.push(is_everywhere);
        }
        index
    }

    fn root(&mut self, mut index: usize) -> usize {
        while let Some(parent) = self.parents.get(index).copied().filter(|parent| *parent != index)
        {
            let above = self.parents.get(parent).copied().unwrap_or(parent);
            if let Some(own) = self.parents.get_mut(index) {
                *own = above;
            }
            index = parent;
        }
        index
    }

    fn is_ambiguous(&self, file: usize, name: &str) -> bool {
        self.ambiguous.contains(&Node::InFile(file, name.to_owned()))
    }

    fn is_anchored(&self, root: usize) -> bool {
        self.anchored.get(root).copied().unwrap_or_default()
    }

    /// Joins two names, unless a name of a variable would join two keys with settings.
    fn unite(&mut self, one: Node, other: Node) {
        let by_settings = is_everywhere(&one, &other);
        let local = [&one, &other].into_iter().find(|node| matches!(node, Node::InFile(..)));
        let local = local.cloned();
        let (one, other) = (self.index(one), self.index(other));
        let (one, other) = (self.root(one), self.root(other));
        let both_anchored = self.is_anchored(one) && self.is_anchored(other);
        if one == other {
            return;
        }
        if both_anchored && !by_settings {
            self.ambiguous.extend(local);
            return;
        }
        let anchored = self.is_anchored(one) || self.is_anchored(other);
        let (first, second) = (one.min(other), one.max(other));
        if let Some(parent) = self.parents.get_mut(second) {
            *parent = first;
        }
        if let Some(of_first) = self.anchored.get_mut(first) {
            *of_first = anchored;
        }
    }

    /// Joins names of settings. A name in small letters that some other place writes in capitals,
    /// such as `secret_key` in a table of options, joins nothing with a setting of another name.
    fn join_settings(&mut self, files: &[Read]) {
        let names = pairs(files).flat_map(|(_, one, other)| [one, other]);
        let constants: HashSet<String> = names.filter_map(constant).map(names::folded).collect();
        let is_known = |node: &Node| match node {
            Node::Everywhere(name) => constants.contains(name),
            _ => false,
        };
        for (index, one, other) in pairs(files) {
            let both_written_so = constant(one).is_some() && constant(other).is_some();
            let (one, other) = (node(index, one), node(index, other));
            let by_chance = !both_written_so && is_known(&one) && is_known(&other);
            if is_everywhere(&one, &other) && !by_chance {
                self.unite(one, other);
            }
        }
    }

    fn join_locals(&mut self, files: &[Read]) {
        for (index, one, other) in pairs(files) {
            let (one, other) = (node(index, one), node(index, other));
            if !is_everywhere(&one, &other) {
                self.unite(one, other);
            }
        }
    }

    /// The node that stands for a site.
    fn of_site(file: usize, site: &Site, marker: &Marker) -> Node {
        let constants = site.links.iter().filter(|link| constant(link).is_some());
        let settings = site.links.iter().filter(|link| matches!(link, Link::Setting(_)));
        if let Some(link) = constants.chain(settings).chain(&site.links).next() {
            return node(file, link);
        }
        match (&site.name, &site.literal) {
            (Some(name), _) => Node::InFile(file, names::folded(name)),
            (None, Some(literal)) if !literal.is_placeholder => Node::Value(literal.mark(marker)),
            (None, _) => Node::Place(file, site.sink.clone().unwrap_or_default()),
        }
    }

    fn named(&mut self, files: &[Read], marker: &Marker) -> Named {
        let mut roots = Vec::new();
        let mut spellings: HashMap<usize, BTreeMap<(u8, String), usize>> = HashMap::new();
        for (index, file) in files.iter().enumerate() {
            for site in &file.sites.found {
                let own = match Self::of_site(index, site, marker) {
                    Node::InFile(file, name) if self.is_ambiguous(file, &name) => {
                        Node::Place(file, name)
                    }
                    node => node,
                };
                let own = self.index(own);
                let root = self.root(own);
                roots.push((root, index));
                let of_root = spellings.entry(root).or_default();
                for (rank, name) in ranked(site) {
                    *of_root.entry((rank, name)).or_insert(0) += 1;
                }
                if site.links.is_empty() && site.name.is_none() {
                    let sink = site.sink.as_deref().map(|sink| format!(" of {sink}"));
                    let name = format!("unnamed key{}", sink.unwrap_or_default());
                    of_root.entry((u8::MAX, name)).or_insert(1);
                }
            }
        }
        let best: HashMap<usize, String> = spellings
            .iter()
            .filter_map(|(root, of_root)| Some((*root, best_of(of_root)?)))
            .collect();
        let mut holders: HashMap<&str, HashSet<usize>> = HashMap::new();
        for (root, name) in &best {
            holders.entry(name).or_default().insert(*root);
        }
        let mut named = Named { keys: Vec::with_capacity(roots.len()), names: BTreeMap::new() };
        let mut first_file: HashMap<usize, usize> = HashMap::new();
        for (root, file) in roots {
            let name = best.get(&root).map_or("unnamed key", String::as_str);
            let is_shared = holders.get(name).is_some_and(|roots| roots.len() > 1);
            let key = if is_shared && !self.is_anchored(root) {
                let file = *first_file.entry(root).or_insert(file);
                let path = files.get(file).map_or("", |file| file.path.as_str());
                format!("{name} in {path}")
            } else {
                name.to_owned()
            };
            let of_key = named.names.entry(key.clone()).or_default();
            let of_root = spellings.get(&root).into_iter().flat_map(BTreeMap::keys);
            of_key
                .extend(of_root.filter(|(rank, _)| *rank < u8::MAX).map(|(_, name)| name.clone()));
            named.keys.push(key);
        }
        named
    }
}

/// Which names are joined with which, with the file that says so.
fn pairs(files: &[Read]) -> impl Iterator<Item = (usize, &Link, &Link)> {
    files.iter().enumerate().flat_map(|(index, file)| {
        let same = file.sites.same.iter().map(|(one, other)| (one, other));
        let of_sites = file.sites.found.iter().flat_map(|site| {
            let first = site.links.first();
            first.into_iter().flat_map(|first| site.links.iter().map(move |link| (first, link)))
        });
        same.chain(of_sites).map(move |(one, other)| (index, one, other))
    })
}

/// The names of a site, each with its rank: the lower, the better it is as the name of the key.
fn ranked(site: &Site) -> Vec<(u8, String)> {
    let of_link = site.links.iter().map(|link| match link {
        Link::Setting(name) if names::is_weak(name) => (2, name),
        Link::Setting(name) => (u8::from(constant(link).is_none()), name),
        Link::Local(name) => (3, name),
    });
    let own = site.name.iter().filter(|_| site.links.is_empty()).map(|name| (3, name));
    let all = of_link.chain(own);
    all.map(|(rank, name)| (rank + if names::judge(name).is_some() { 0 } else { 4 }, name.clone()))
        .collect()
}

fn best_of(spellings: &BTreeMap<(u8, String), usize>) -> Option<String> {
    let best = spellings
        .iter()
        .min_by_key(|((rank, name), count)| (*rank, Reverse(**count), name.len(), name.clone()));
    best.map(|((_, name), _)| name.clone())
}

/// The places of a file that decide whether others in it take a new key.
struct Loads<'a> {
    by_link: HashMap<&'a Link, Vec<(Kind, Hot)>>,
}

impl<'a> Loads<'a> {
    fn of(sites: &'a [Site]) -> Self {
        let mut by_link: HashMap<&Link, Vec<(Kind, Hot)>> = HashMap::new();
        let is_load = |site: &&Site| {
            matches!(site.kind, Kind::EnvLoad | Kind::Hardcoded) && site.hot != Hot::Follows
        };
        for site in sites.iter().filter(is_load) {
            for link in &site.links {
                by_link.entry(link).or_default().push((site.kind, site.hot));
            }
        }
        Self { by_link }
    }

    /// Whether a site takes a new key. What it follows must say the same everywhere; a literal that
    /// only stands in for an absent setting says nothing where the setting is loaded.
    fn hot(&self, site: &Site) -> HotReload {
        match site.hot {
            Hot::Yes => return HotReload::Yes,
            Hot::No => return HotReload::No,
            Hot::Unknown => return HotReload::Unknown,
            Hot::Follows => {}
        }
        let is_local = |link: &&Link| matches!(link, Link::Local(_));
        let of = |links: Vec<&Link>| -> Vec<(Kind, Hot)> {
            links.into_iter().filter_map(|link| self.by_link.get(link)).flatten().copied().collect()
        };
        let mut told = of(site.links.iter().filter(is_local).collect());
        if told.is_empty() {
            told = of(site.links.iter().collect());
        }
        if told.iter().any(|(kind, _)| *kind == Kind::EnvLoad) {
            told.retain(|(kind, _)| *kind == Kind::EnvLoad);
        }
        match told.first() {
            Some((_, hot)) if told.iter().all(|(_, other)| other == hot) => match hot {
                Hot::Yes => HotReload::Yes,
                Hot::No => HotReload::No,
                Hot::Follows | Hot::Unknown => HotReload::Unknown,
            },
            _ => HotReload::Unknown,
        }
    }
}

fn finding(file: &Read, site: &Site, key: &str, loads: &Loads<'_>, marker: &Marker) -> Finding {
    let literal = site.literal.as_ref().filter(|literal| !literal.is_empty());
    let hot_reload = loads.hot(site);
    let remedy = site.remedy.as_deref().filter(|_| hot_reload != HotReload::Yes);
    Finding {
        id: String::new(),
        kind: site.kind,
        rule: site.rule.to_string(),
        key: key.to_owned(),
        name: site.name.clone(),
        class: site.class,
        path: file.path.clone(),
        line: site.at.line,
        column: site.at.column,
        scope: site.scope,
        hot_reload,
        source: site.source,
        literal: literal.map(|literal| LiteralMark {
            fingerprint: literal.mark(marker),
            placeholder: literal.is_placeholder,
        }),
        sink: site.sink.clone(),
        does: site.does,
        confidence: site.confidence,
        reason: site.reason.to_string(),
        remedy: remedy.map(str::to_owned),
        blocking: !file.in_tests && is_blocking(site, hot_reload),
        in_tests: file.in_tests,
        known: false,
    }
}

/// Whether a rotation would break at a place of the application.
fn is_blocking(site: &Site, hot_reload: HotReload) -> bool {
    if site.class == Class::Public || site.source == Source::Ring {
        return false;
    }
    let literal = site.literal.as_ref().filter(|literal| !literal.is_empty());
    let is_placeholder = literal.is_some_and(|literal| literal.is_placeholder);
    match site.kind {
        Kind::ConfigFile => literal.is_some() && !is_placeholder,
        // What only stands in until the setting is there breaks nothing when it is.
        Kind::Hardcoded => !(is_placeholder && site.rule.ends_with("default-literal")),
        _ => hot_reload == HotReload::No,
    }
}

/// One finding for each place, kind and key: the surest.
fn once_each(mut findings: Vec<Finding>) -> Vec<Finding> {
    let sure = |finding: &Finding| match finding.confidence {
        Confidence::High => 0,
        Confidence::Medium => 1,
        Confidence::Low => 2,
    };
    findings.sort_by(|one, other| {
        let by = |finding: &Finding| {
            let has_literal = finding.literal.is_none();
            (finding.line, finding.kind, sure(finding), has_literal, finding.column)
        };
        one.path.cmp(&other.path).then_with(|| by(one).cmp(&by(other)))
    });
    let mut seen = HashSet::new();
    // Two settings that stand for one key are two places: `get("A_KEY") or get("B_KEY")`.
    let is_constant = |name: &String| {
        !name.bytes().any(|byte| byte.is_ascii_lowercase()) && names::judge(name).is_some()
    };
    findings.retain(|one| {
        let name = one.name.clone().filter(|name| one.kind == Kind::EnvLoad && is_constant(name));
        seen.insert((one.path.clone(), one.line, one.kind, one.key.clone(), name))
    });
    findings.sort_by(|one, other| {
        let by = |finding: &Finding| (finding.line, finding.column, finding.kind);
        one.path.cmp(&other.path).then_with(|| by(one).cmp(&by(other)))
    });
    findings
}

/// Gives each finding its id: of what does not change when lines are added above it. The name at
/// the place counts rather than that of the key, which other files decide.
fn number(findings: &mut [Finding]) {
    let mut counts: HashMap<[u8; 32], u32> = HashMap::new();
    for finding in findings {
        let name = finding.name.as_deref().or(finding.sink.as_deref()).unwrap_or_default();
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [finding.rule.as_str(), &finding.path, name] {
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        let before = context.clone();
        let mut whole = [0; 32];
        whole.iter_mut().zip(before.finish().as_ref()).for_each(|(to, from)| *to = *from);
        let count = counts.entry(whole).or_insert(0);
        context.update(&count.to_be_bytes());
        *count += 1;
        finding.id = hexadecimal(context.finish().as_ref().iter().take(ID_BYTES));
    }
}

/// Enough that two findings of one report do not meet.
const ID_BYTES: usize = 12;

fn hexadecimal<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.fold(String::new(), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
        text
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::literal::Literal;
    use crate::report::{Report, Stats, VERSION};
    use crate::source::Position;

    /// A finding for the tests of other modules.
    pub(crate) fn finding(rule: &'static str, path: &str, line: u32, key: &str) -> Finding {
        let mut site = site(Kind::EnvLoad, line, &[Link::Setting(key.to_owned())]);
        site.rule = rule.into();
        let file = Read { path: path.to_owned(), ..Read::default() };
        super::finding(&file, &site, key, &Loads::of(&[]), &Marker::new(b"k"))
    }

    /// A report for the tests of other modules.
    pub(crate) fn report(mut findings: Vec<Finding>) -> Report {
        number(&mut findings);
        let joined = Joined { findings, names: BTreeMap::new() };
        let keys = joined.summaries();
        let stats = Stats::default();
        let findings = joined.findings;
        let mut report = Report { version: VERSION, findings, keys, notes: Vec::new(), stats };
        report.count();
        report
    }

    fn site(kind: Kind, line: u32, links: &[Link]) -> Site {
        let mut site = Site::new(kind, "test/rule", Position { line, column: 1 });
        site.name = links.first().map(|link| match link {
            Link::Setting(name) | Link::Local(name) => name.clone(),
        });
        site.links = links.to_vec();
        site
    }

    fn read(path: &str, sites: Vec<Site>) -> Read {
        let sites = Sites { found: sites, ..Sites::default() };
        Read { path: path.to_owned(), sites, ..Read::default() }
    }

    fn setting(name: &str) -> Link {
        Link::Setting(name.to_owned())
    }

    fn local(name: &str) -> Link {
        Link::Local(name.to_owned())
    }

    fn joined(files: &[Read]) -> Vec<Finding> {
        join(files, &Marker::new(b"k")).findings
    }

    fn keys(findings: &[Finding]) -> Vec<&str> {
        findings.iter().map(|finding| finding.key.as_str()).collect()
    }

    #[test]
    fn a_setting_joins_files_in_every_spelling() {
        let files = [
            read("a.py", vec![site(Kind::EnvLoad, 1, &[setting("JWT_SECRET"), local("secret")])]),
            read("b.yml", vec![site(Kind::ConfigFile, 1, &[setting("jwt-secret")])]),
            read("c.js", vec![site(Kind::KeyUse, 1, &[local("secret")])]),
        ];
        let found = joined(&files);
        assert_eq!(keys(&found), ["JWT_SECRET", "JWT_SECRET", "secret"]);
    }

    #[test]
    fn a_variable_does_not_join_two_keys() {
        let file = read(
            "a.py",
            vec![
                site(Kind::KeyUse, 1, &[setting("A_SECRET"), local("key")]),
                site(Kind::KeyUse, 2, &[setting("B_SECRET"), local("key")]),
                site(Kind::KeyUse, 3, &[local("key")]),
            ],
        );
        assert_eq!(keys(&joined(&[file])), ["A_SECRET", "B_SECRET", "key"]);
    }

    #[test]
    fn an_option_that_is_called_like_a_setting_joins_no_other_one() {
        let files = [
            read("a.py", vec![site(Kind::EnvLoad, 1, &[setting("SECRET_KEY")])]),
            read(
                "b.py",
                vec![site(Kind::EnvLoad, 1, &[setting("secret_key"), setting("S3_SECRET")])],
            ),
        ];
        assert_eq!(keys(&joined(&files)), ["SECRET_KEY", "S3_SECRET"]);
        assert_eq!(keys(&joined(&files[1..])), ["S3_SECRET"]);
    }

    #[test]
    fn weak_names_stay_in_their_files_and_say_which() {
        let of = |path| read(path, vec![site(Kind::ConfigFile, 1, &[setting("secret")])]);
        assert_eq!(
            keys(&joined(&[of("a.yml"), of("b.yml")])),
            ["secret in a.yml", "secret in b.yml"]
        );
    }

    #[test]
    fn names_that_a_file_says_are_the_same_are_one_key() {
        let mut file = read("a.py", vec![site(Kind::EnvLoad, 1, &[setting("APP_SECRET")])]);
        file.sites.same.push((setting("SECRET_KEY"), setting("APP_SECRET")));
        let other = read("b.py", vec![site(Kind::KeyUse, 1, &[setting("SECRET_KEY")])]);
        let found = joined(&[file, other]);
        assert_eq!(found[0].key, found[1].key);
    }

    #[test]
    fn nameless_literals_of_one_value_are_one_key() {
        let literal = |line, value: &str| {
            let mut site = site(Kind::Hardcoded, line, &[]);
            site.literal = Some(Literal::new(value));
            site.sink = Some(format!("sink{line}"));
            site
        };
        let file = read("a.py", vec![literal(1, "k3f9qz81mv"), literal(2, "k3f9qz81mv")]);
        let found = joined(&[file]);
        assert_eq!(found[0].key, found[1].key);
        assert!(found[0].key.starts_with("unnamed key of sink"), "{}", found[0].key);
        let file = read("a.py", vec![literal(1, "changeme"), literal(2, "changeme")]);
        let found = joined(&[file]);
        assert_ne!(found[0].key, found[1].key);
    }

    #[test]
    fn a_use_follows_what_loads_in_its_file() {
        for (load, expected) in [
            (Hot::Yes, HotReload::Yes),
            (Hot::No, HotReload::No),
            (Hot::Unknown, HotReload::Unknown),
        ] {
            let mut env = site(Kind::EnvLoad, 1, &[setting("JWT_SECRET"), local("s")]);
            env.hot = load;
            let mut default = site(Kind::Hardcoded, 1, &[setting("JWT_SECRET"), local("s")]);
            default.hot = Hot::No;
            let mut used = site(Kind::KeyUse, 2, &[local("s")]);
            used.hot = Hot::Follows;
            let found = joined(&[read("a.py", vec![env, default, used])]);
            assert_eq!(found[2].hot_reload, expected);
        }
        let mut alone = site(Kind::KeyUse, 2, &[local("s")]);
        alone.hot = Hot::Follows;
        assert_eq!(joined(&[read("a.py", vec![alone])])[0].hot_reload, HotReload::Unknown);
    }

    #[test]
    fn loads_that_disagree_decide_nothing() {
        let load = |line, hot| {
            let mut site = site(Kind::EnvLoad, line, &[setting("JWT_SECRET")]);
            site.hot = hot;
            site
        };
        let follows = load(3, Hot::Follows);
        let found = joined(&[read("a.py", vec![load(1, Hot::Yes), load(2, Hot::No), follows])]);
        assert_eq!(found[2].hot_reload, HotReload::Unknown);
    }

    #[test]
    fn what_blocks_a_rotation() {
        let blocks = |change: &dyn Fn(&mut Site), kind, in_tests| {
            let mut site = site(kind, 1, &[setting("SECRET_KEY")]);
            change(&mut site);
            let file = Read { in_tests, ..read("a.py", vec![site]) };
            joined(&[file])[0].blocking
        };
        let frozen = |site: &mut Site| site.hot = Hot::No;
        assert!(blocks(&frozen, Kind::EnvLoad, false));
        assert!(!blocks(&frozen, Kind::EnvLoad, true));
        assert!(!blocks(&|_| {}, Kind::KeyUse, false));
        assert!(!blocks(&frozen, Kind::ConfigFile, false));
        let real = |site: &mut Site| site.literal = Some(Literal::new("k3f9qz81mv"));
        let empty = |site: &mut Site| site.literal = Some(Literal::new(""));
        let stand_in = |site: &mut Site| site.literal = Some(Literal::new("changeme"));
        assert!(blocks(&real, Kind::ConfigFile, false));
        assert!(!blocks(&empty, Kind::ConfigFile, false));
        assert!(!blocks(&stand_in, Kind::ConfigFile, false));
        assert!(blocks(&stand_in, Kind::Hardcoded, false));
        let fallback = |site: &mut Site| {
            stand_in(site);
            site.rule = "python/default-literal".into();
        };
        assert!(!blocks(&fallback, Kind::Hardcoded, false));
        let public = |site: &mut Site| (site.hot, site.class) = (Hot::No, Class::Public);
        let ring = |site: &mut Site| (site.hot, site.source) = (Hot::No, Source::Ring);
        assert!(!blocks(&public, Kind::KeyUse, false));
        assert!(!blocks(&ring, Kind::KeyUse, false));
    }

    #[test]
    fn ids_survive_moved_lines_and_other_files() {
        let of = |lines: &[u32]| {
            let sites = lines.iter().map(|line| site(Kind::EnvLoad, *line, &[setting("A_KEY")]));
            read("a.py", sites.collect())
        };
        let ids = |files: &[Read]| -> Vec<String> {
            joined(files).iter().map(|finding| finding.id.clone()).collect()
        };
        let before = ids(&[of(&[1, 5])]);
        let after = ids(&[of(&[11, 50]), read("z.py", vec![site(Kind::EnvLoad, 1, &[])])]);
        assert_eq!(before, after[..2]);
        assert_ne!(before[0], before[1]);
        assert_eq!(before[0].len(), 24);
    }

    #[test]
    fn one_place_is_one_finding() {
        let mut doubtful = site(Kind::EnvLoad, 1, &[setting("A_SECRET")]);
        doubtful.confidence = Confidence::Low;
        let mut sure = doubtful.clone();
        sure.confidence = Confidence::High;
        let literal = site(Kind::Hardcoded, 1, &[setting("A_SECRET")]);
        let found = joined(&[read("a.py", vec![doubtful, sure, literal])]);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|finding| finding.confidence == Confidence::High));
    }
}
