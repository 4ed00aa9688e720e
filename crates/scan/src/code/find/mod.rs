//! Walks over a file and says which of its places consume a key.

mod asks;
mod compares;
mod copies;
pub(super) mod context;
pub(super) mod declared;
pub(super) mod files;
pub(super) mod literals;
pub(super) mod loads;
pub(super) mod shapes;
mod tags;
pub(super) mod timers;
pub(super) mod uses;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;

use crate::finding::{Class, Confidence, Kind, Source};
use crate::literal::Literal;
use crate::names;
use crate::site::{Link, Site, Sites};

use super::dialect::Dialect;
use super::reader::{Reader, judge};
use super::table::Rule;
use super::token::Kind as TokenKind;

/// How many places of one file are said at most.
const SITES_MAX: usize = 2000;

/// The places of one file, while they are gathered.
pub(super) struct Finder<'r, 'f, 'a> {
    pub(super) reader: &'r Reader<'f, 'a>,
    pub(super) sites: Sites,
    /// Literals that were said already.
    pub(super) literals: BTreeSet<usize>,
    /// Loads that were said already.
    pub(super) loads: BTreeSet<usize>,
    /// What `name ||= value` keeps: first and last token of the value.
    pub(super) kept: Vec<(usize, usize)>,
    /// Whether the file checks its environment when it is loaded.
    pub(super) is_schema_used: OnceCell<bool>,
    /// The variables that the module declares.
    pub(super) of_module: OnceCell<BTreeSet<&'a str>>,
}

impl<'r, 'f, 'a> Finder<'r, 'f, 'a> {
    /// Finds all places of the file.
    pub(super) fn run(reader: &'r Reader<'f, 'a>) -> Sites {
        let kept = context::kept(reader);
        let mut finder = Self {
            reader,
            sites: Sites::default(),
            literals: BTreeSet::new(),
            loads: BTreeSet::new(),
            kept,
            is_schema_used: OnceCell::new(),
            of_module: OnceCell::new(),
        };
        for at in 0..reader.tokens.len() {
            if finder.sites.found.len() >= SITES_MAX {
                return finder.sites;
            }
            match reader.tokens.kind(at) {
                Some(TokenKind::Word) => finder.word(at),
                Some(TokenKind::Str) => finder.string(at),
                Some(TokenKind::Open) => finder.sql(at),
                Some(TokenKind::Op) => match reader.tokens.text(at) {
                    "@" => finder.annotation(at),
                    "===" | "==" | "!==" | "!=" => finder.compared(at),
                    _ => {}
                },
                _ => {}
            }
        }
        finder.assigned_literals();
        if reader.dialect == Dialect::Go {
            finder.kept_by_maker();
        }
        finder.reached_loads();
        finder.settle_schemas();
        finder.sites
    }

    fn word(&mut self, at: usize) {
        self.declared(at);
        let (rules, start) = self.reader.rules_at(at);
        let mut has_sink = false;
        let is_call = self.reader.call_open(at).is_some();
        if rules.is_empty() && is_call {
            self.asked(at);
            self.reads_key_file(at);
        }
        let is_known = rules.iter().any(|rule| match rule {
            Rule::Sink(sink) => sink.certain && !sink.receiver,
            Rule::Implicit(_) => true,
            Rule::Load(_) | Rule::Scheduler(_) => false,
        });
        for rule in rules {
            match rule {
                Rule::Sink(sink) if !has_sink => has_sink = self.sink(at, start, sink),
                Rule::Implicit(implicit) => self.implicit(at, start, implicit),
                Rule::Scheduler(scheduler) => self.scheduler(at, scheduler),
                Rule::Load(_) if !self.loads.contains(&at) => self.loaded(at, false),
                _ => {}
            }
        }
        if is_call && !has_sink && !is_known {
            self.shaped(at);
            self.equal(at);
            self.mixed(at);
            self.handed(at);
            self.made(at);
        }
    }

    /// A site at a token, with what all of them have.
    pub(super) fn site(&self, kind: Kind, rule: &str, at: usize) -> Site {
        let reader = self.reader;
        let offset = reader.tokens.at(at).map_or(0, |token| token.start as usize);
        let rule = format!("{}/{rule}", reader.dialect.table());
        Site::new(kind, rule, reader.file.position(offset))
    }

    /// Says that a literal stands where a key belongs.
    pub(super) fn hardcoded(&mut self, at: usize, rule: &str, name: Option<&str>, class: Class) {
        let reader = self.reader;
        let Some(text) = reader.plain(at).filter(|text| !text.trim().is_empty()) else { return };
        if !self.literals.insert(at) {
            return;
        }
        let mut site = self.site(Kind::Hardcoded, rule, at);
        site.name = name.map(str::to_owned);
        site.links = name.map(|name| link(name, true)).into_iter().collect();
        site.class = class;
        site.scope = Some(reader.scope(at));
        site.hot = crate::site::Hot::No;
        site.source = Source::Literal;
        site.literal = Some(Literal::new(text));
        site.confidence = Confidence::High;
        site.reason =
            Cow::Borrowed("a literal stands where a key belongs, so a new key is a new release");
        site.remedy =
            Some(Cow::Borrowed("Load the key from its ring or from the environment at each use"));
        self.sites.found.push(site);
    }
}

/// The link of a name: weak names and those of variables say nothing to other files.
pub(super) fn link(name: &str, is_setting: bool) -> Link {
    if is_setting && !names::is_weak(name) {
        Link::Setting(name.to_owned())
    } else {
        Link::Local(name.to_owned())
    }
}

/// What sort of secret the first telling one of these names says.
pub(super) fn class_of<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<Class> {
    names.into_iter().find_map(judge)
}
