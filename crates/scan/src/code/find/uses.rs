//! Places that use a key: calls that sign, verify, encrypt, decrypt, derive or compare with one.

use std::borrow::Cow;

use crate::finding::{Class, Confidence, Does, Kind, Scope};
use crate::names;
use crate::rules::{Implicit, Sink};
use crate::site::{Hot, Link, Reaches, Wrapper};

use super::super::dialect::Dialect;
use super::super::facts::name_of;
use super::super::reader::{Range, judge};
use super::super::table::Rule;
use super::super::token::Token;
use super::super::tree::{FrameKind, expression_end};
use super::super::value::{Origin, Value};
use super::{Finder, class_of, link};

impl<'a> Finder<'_, '_, 'a> {
    /// The use at a call, if a key is given to it; whether it is one.
    pub(super) fn sink(&mut self, at: usize, start: usize, sink: &Sink) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        let Some((arguments, is_attribute)) = self.arguments_of(at, sink) else { return false };
        // The declaration of a function of this name is no call.
        if reader.tree.is_declared(at)
            || matches!(tokens.before(start), "function" | "func" | "fun" | "def")
        {
            return false;
        }
        if self.is_unless(sink, &arguments) {
            return false;
        }
        let key = match () {
            () if sink.receiver => match self.receiver(at, start, &arguments) {
                Some(range) => Some(range),
                None => return false,
            },
            () if is_attribute => arguments.first().copied(),
            () => None,
        };
        let named = key.or_else(|| reader.named(&arguments, &sink.keywords));
        let Some(range) = named.or_else(|| {
            let range = sink.key.and_then(|key| arguments.get(key).copied())?;
            let is_object = tokens.is(range.0, "{") && !sink.keywords.is_empty();
            (!is_object).then_some(range)
        }) else {
            return false;
        };
        let value = self.value_of_key(range);
        let text = tokens.text(range.0);
        // `signWith(algorithm, key)` and `signWith(key, algorithm)` are both in use.
        if matches!(text, "SignatureAlgorithm") {
            return false;
        }
        let is_nothing = range.0 + 1 == range.1
            && matches!(
                text,
                "nil" | "null" | "undefined" | "None" | "false" | "true" | "\"\"" | "''"
            );
        if is_nothing {
            return false;
        }
        let names_key = |keyword: &String| judge(keyword).is_some();
        let is_literal = matches!(value.origin, Origin::Literal(_));
        let is_key = (value.is_key() && self.is_sure_enough(sink, &value))
            || (!sink.certain && is_plain_key(sink.does, tokens.name(range.1.saturating_sub(1))))
            || (sink.does == Does::Derives && self.is_derived(start, &value));
        let is_named_literal = is_literal && sink.keywords.iter().any(names_key);
        if !(sink.certain || is_key || is_named_literal) {
            return false;
        }
        // What a request has is no key of the application.
        let is_of_request = (range.0..range.1).any(|at| {
            matches!(tokens.text(at), "headers" | "header" | "params" | "cookies" | "getHeader")
        });
        if is_of_request && class_of(value.names.iter().copied()) == Some(Class::Credential) {
            return false;
        }
        // A hash that is written to a log tells keys apart, and uses none.
        if sink.does == Does::Derives && !sink.certain && self.is_shown(start) {
            return false;
        }
        if let Origin::Load { at, .. } = value.origin {
            reader.reached.borrow_mut().insert(at);
        }
        let mut derived = reader.derived.take();
        reader.reached.borrow_mut().append(&mut derived);
        self.literals_of_key(range, &value, sink);
        if let Origin::Argument { frame, position, name } = value.origin {
            self.hands_on(frame, position, name, sink);
        }
        let place = self.place_of(at, start);
        self.key_use(place, (start, at), sink, &value);
        true
    }

    /// Where a use is said to stand: the line is that of the call's own name, also within a chain
    /// over several lines.
    pub(super) fn place_of(&self, at: usize, start: usize) -> usize {
        let tokens = self.reader.tokens;
        let is_made = tokens.before(start) == "new" && self.reader.dialect != Dialect::Ruby;
        let head = if is_made { start.saturating_sub(1) } else { start };
        let place = if tokens.at(start).is_some_and(|token| token.starts_line) { at } else { head };
        if line_differs(tokens.text, tokens.at(place), tokens.at(at)) { at } else { place }
    }

    /// The key on which a method is called: `private_key.sign(digest, text)`. One that was made by
    /// a call which takes a key is told there.
    fn receiver(&self, at: usize, start: usize, arguments: &[Range]) -> Option<Range> {
        let reader = self.reader;
        let tokens = reader.tokens;
        let end = at.checked_sub(1).filter(|dot| reader.is_dot(*dot) && start < *dot)?;
        let name = tokens.name(end.checked_sub(1)?);
        let is_one = judge(name) == Some(Class::Key)
            && names::words(name).last().is_some_and(|word| word.ends_with("key"));
        let is_made = || {
            let definitions = reader.facts.of(tokens, name).rev().take(4);
            definitions.into_iter().any(|one| {
                let end = expression_end(tokens, reader.dialect, one.value);
                (one.value..end.min(one.value + MAKER_TOKENS_MAX)).any(|at| {
                    tokens.is_word(at)
                        && reader.rules_at(at).0.iter().any(|rule| {
                            // What is derived is a key of its own.
                            matches!(rule, Rule::Sink(sink) if sink.does != Does::Derives)
                        })
                })
            })
        };
        (is_one && !arguments.is_empty() && !is_made()).then_some((start, end))
    }

    /// `keyBytes = sha256(key)`: the weak name of the argument and that of the result together.
    fn is_derived(&self, start: usize, value: &Value<'a>) -> bool {
        let is_weak = value.names.iter().any(|name| matches!(*name, "key" | "secret"));
        let target = self.target(start).filter(|_| is_weak);
        target.is_some_and(|target| {
            names::words(self.reader.defined_name(&target)).iter().any(|word| word == "key")
        })
    }

    /// Whether what begins at `start` goes into a text for people.
    fn is_shown(&self, start: usize) -> bool {
        let tokens = self.reader.tokens;
        let callee =
            start.checked_sub(1).filter(|open| tokens.is(*open, "(") || tokens.is(*open, ","));
        let Some(mut at) = callee else { return false };
        for _ in 0..SHOWN_TOKENS_MAX {
            if tokens.is(at, "(")
                && let Some(name) = at.checked_sub(1)
                && SHOWS.contains(&tokens.text(name))
            {
                return true;
            }
            let Some(before) = at.checked_sub(1) else { return false };
            at = tokens.mate(before).filter(|mate| *mate < before).unwrap_or(before);
            if matches!(tokens.text(at), ";" | "{" | "=" | "return") {
                return false;
            }
        }
        false
    }

    /// A credential that somebody hands in is no key of the application; and what is compared must
    /// have been loaded.
    fn is_sure_enough(&self, sink: &Sink, value: &Value<'a>) -> bool {
        let is_held = match value.origin {
            Origin::Load { .. } => true,
            Origin::Setting { .. } => {
                value.is_kept == Some(true) || self.reader.dialect != Dialect::Java
            }
            _ => value.is_kept == Some(true),
        };
        // What is imported to sign or encrypt with is a key, whatever its name.
        let is_credential = !sink.call.ends_with(".importKey")
            && class_of(value.names.iter().copied()) == Some(Class::Credential);
        let must_be_held = sink.does == Does::Authenticates || is_credential;
        is_held || !must_be_held
    }

    /// The arguments of a call; for `config.secret = value` the value.
    fn arguments_of(&self, at: usize, sink: &Sink) -> Option<(Vec<Range>, bool)> {
        let reader = self.reader;
        if let Some(arguments) = reader.arguments(at) {
            return Some((arguments, false));
        }
        let is_attribute = sink.key == Some(0)
            && sink.keywords.is_empty()
            && reader.is_dot(at.saturating_sub(1))
            && matches!(reader.tokens.text(at + 1), "=" | "||=");
        is_attribute.then(|| {
            let end = expression_end(reader.tokens, reader.dialect, at + 2);
            (vec![(at + 2, end)], true)
        })
    }

    /// `unless = "name=value"`, or `"2=false"` by the position of the argument.
    fn is_unless(&self, sink: &Sink, arguments: &[Range]) -> bool {
        let reader = self.reader;
        let Some((name, value)) = sink.unless.as_deref().and_then(|text| text.split_once('='))
        else {
            return false;
        };
        let range = match name.parse::<usize>() {
            Ok(position) => arguments.get(position).copied(),
            Err(_) => reader.named(arguments, &[name.to_owned()]),
        };
        range.is_some_and(|(from, _)| name_of(reader.tokens, from) == value)
    }

    /// The value of a key argument; that of a function is what it returns or hands to its callback.
    pub(super) fn value_of_key(&self, range: Range) -> Value<'a> {
        let reader = self.reader;
        let tokens = reader.tokens;
        let (from, to) = range;
        let inner = reader.tree.starting_in(from, from + 2).find(|(_, frame)| {
            frame.kind == FrameKind::Function && frame.end <= to && to <= frame.end + 2
        });
        let Some((number, frame)) = inner else { return self.value_of_maker(range) };
        if !tokens.is(frame.body, "{") && reader.dialect != Dialect::Ruby {
            return reader.value((frame.body, frame.end + 1));
        }
        for at in frame.body..frame.end.min(frame.body + BODY_TOKENS_MAX) {
            let is_here = reader.tree.at(at) == number;
            let range = match tokens.text(at) {
                "return" if is_here => (at + 1, expression_end(tokens, reader.dialect, at + 1)),
                "done" | "cb" | "callback" | "resolve" if is_here && tokens.is(at + 1, "(") => {
                    match reader.arguments(at).and_then(|all| all.get(1).copied()) {
                        Some(range) => range,
                        None => continue,
                    }
                }
                _ => continue,
            };
            let value = reader.value(range);
            if !matches!(value.origin, Origin::Unknown) || value.is_key() {
                return value;
            }
        }
        reader.value((to, to))
    }

    /// The value of an expression; `keyFunc(secret)`, which makes the key's finder of it, is that
    /// of its only argument.
    fn value_of_maker(&self, range: Range) -> Value<'a> {
        let reader = self.reader;
        let (from, to) = range;
        let value = reader.value(range);
        let is_call = reader.call_open(from).is_some_and(|open| reader.tokens.past(open) == to);
        let is_go = reader.dialect == Dialect::Go;
        if !is_go || !is_call || !matches!(value.origin, Origin::Unknown) {
            return value;
        }
        match reader.arguments(from).as_deref() {
            Some([only]) => {
                let given = reader.value(*only);
                if given.is_key() { given } else { value }
            }
            _ => value,
        }
    }

    /// Literals that are the key, or some of its list.
    fn literals_of_key(&mut self, range: Range, value: &Value<'a>, sink: &Sink) {
        let tokens = self.reader.tokens;
        let name = value.names.iter().copied().find(|name| judge(name).is_some());
        let name = name.or_else(|| {
            sink.keywords.iter().map(String::as_str).find(|name| judge(name).is_some())
        });
        let name = name.map(str::to_owned);
        let class = name.as_deref().and_then(judge).filter(|class| *class != Class::Password);
        let class = class.unwrap_or(Class::Key);
        if let Origin::Literal(at) = value.origin {
            self.hardcoded(at, "key-literal", name.as_deref(), class);
        }
        if tokens.is(range.0, "[")
            && let Some(close) = tokens.mate(range.0)
        {
            for (from, to) in self.reader.split(range.0 + 1, close) {
                if from + 1 == to {
                    self.hardcoded(from, "key-literal", name.as_deref(), class);
                }
            }
        }
        // `key || "default"`
        for (from, to) in self.reader.parts(range) {
            let follows = tokens.before(from);
            if from + 1 == to && matches!(follows, "||" | "??" | "?:" | "or") {
                self.hardcoded(from, "default-literal", name.as_deref(), class);
            }
        }
    }

    pub(super) fn key_use(&mut self, place: usize, chain: Range, sink: &Sink, value: &Value<'a>) {
        let (start, at) = chain;
        let reader = self.reader;
        let mut site = self.site(Kind::KeyUse, "key-use", place);
        let setting = match value.origin {
            Origin::Load { setting, .. } => setting,
            _ => None,
        };
        let is_key = |name: &&str| judge(name).is_some_and(|class| class != Class::Password);
        let by_name = value.names.iter().copied().find(is_key);
        let name = setting.or(by_name).or_else(|| value.names.first().copied());
        let of_names = class_of(setting.into_iter().chain(value.names.iter().copied()));
        site.class = match of_names {
            Some(Class::Public) => Class::Public,
            Some(Class::Credential) => Class::Credential,
            _ => Class::Key,
        };
        site.name = name.map(str::to_owned);
        let scope = self.scope_of_use(place, start, sink.does);
        site.scope = Some(scope);
        site.hot = match scope {
            _ if sink.keeps => Hot::No,
            Scope::Call if sink.does == Does::Derives && value.hot() == Hot::Yes => Hot::Unknown,
            Scope::Call => value.hot(),
            _ => Hot::No,
        };
        site.source = value.source();
        site.sink = Some(reader.chain(at).0.join("."));
        site.does = Some(sink.does);
        site.confidence = if sink.certain { Confidence::High } else { Confidence::Medium };
        site.links = links(value, setting);
        site.reason = Cow::Borrowed(reason(site.hot, sink.keeps, scope));
        if site.hot != Hot::Yes {
            site.remedy = sink.remedy.clone().map(Cow::Owned).or(Some(Cow::Borrowed(
                "Take the key from its ring at each use, not from a constant",
            )));
        }
        self.sites.found.push(site);
    }

    /// When a use runs: a signature that is assigned to the object is made at each call all the
    /// same, unlike what keeps a key.
    fn scope_of_use(&self, place: usize, start: usize, does: Does) -> Scope {
        let makes =
            matches!(does, Does::Derives | Does::SignsAndVerifies | Does::EncryptsAndDecrypts)
                || self.reader.dialect == Dialect::Java;
        let target = self.target(start).filter(|_| makes);
        self.scope_of(place, target.as_ref())
    }

    /// A call that uses a setting which it does not name.
    pub(super) fn implicit(&mut self, at: usize, start: usize, implicit: &Implicit) {
        let reader = self.reader;
        // The declaration of a function of this name is no call.
        if reader.tree.is_declared(at) {
            return;
        }
        let Some(arguments) = reader.arguments(at) else { return };
        let has_own = reader.named(&arguments, &implicit.keywords).is_some()
            || implicit.key.is_some_and(|key| arguments.len() > key);
        if has_own {
            return;
        }
        let mut site = self.site(Kind::KeyUse, "implicit-use", at);
        site.name = Some(implicit.setting.clone());
        site.links = vec![Link::Setting(implicit.setting.clone())];
        let scope = self.scope_of_use(at, start, implicit.does);
        site.scope = Some(scope);
        site.hot = if implicit.keeps || scope != Scope::Call { Hot::No } else { Hot::Unknown };
        site.source = crate::finding::Source::Settings;
        site.sink = Some(reader.chain(at).0.join("."));
        site.does = Some(implicit.does);
        site.reason = Cow::Borrowed("it uses the key of the framework without naming it");
        site.remedy = implicit.remedy.clone().map(Cow::Owned);
        self.sites.found.push(site);
    }

    /// A derivation whose result is used as a key: what it is made of is one, whatever its name.
    pub(super) fn derived_key(&mut self, at: usize) {
        let (rules, start) = self.reader.rules_at(at);
        let sink = rules.into_iter().find_map(|rule| match rule {
            Rule::Sink(sink) => Some(Sink { certain: true, ..sink.clone() }),
            _ => None,
        });
        let Some(sink) = sink else { return };
        let is_said = |finder: &Self| {
            let place = finder.site(Kind::KeyUse, "key-use", at).at;
            finder
                .sites
                .found
                .iter()
                .any(|one| one.kind == Kind::KeyUse && one.at.line == place.line)
        };
        if !is_said(self) {
            self.sink(at, start, &sink);
        }
    }

    /// A function whose parameter reaches a sink is a sink.
    pub(super) fn hands_on(&mut self, frame: usize, position: usize, name: usize, sink: &Sink) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let Some(frame) = reader.tree.frame(frame) else { return };
        let Some(function) = frame.name else { return };
        let function = match frame.kind {
            FrameKind::Function => tokens.name(function),
            _ => return,
        };
        if TOO_COMMON.contains(&function) {
            return;
        }
        let has_keywords = match reader.dialect {
            Dialect::JavaScript => {
                !tokens.is(name.saturating_sub(1), "(") && in_braces(self, frame.params, name)
            }
            Dialect::Ruby => tokens.is(name + 1, ":"),
            Dialect::Kotlin | Dialect::Php => true,
            Dialect::Go | Dialect::Java => false,
        };
        let wrapper = Wrapper {
            function: function.to_owned(),
            parameter: position,
            keyword: has_keywords.then(|| tokens.name(name).to_owned()),
            reaches: Reaches::Sink(function.to_owned(), sink.does),
        };
        if self.sites.wrappers.len() < WRAPPERS_MAX && !self.sites.wrappers.contains(&wrapper) {
            self.sites.wrappers.push(wrapper);
        }
    }
}

/// Whether a name is that of some key, where only what it is used for says that it is one:
/// `Encrypt(keys.EmailKey, text)`.
fn is_plain_key(does: Does, name: &str) -> bool {
    let words = names::words(name);
    let is_other = ["cache", "foreign", "object", "primary", "public", "sort", "storage"];
    matches!(does, Does::Encrypts | Does::Decrypts)
        && words.len() > 1
        && words.last().is_some_and(|last| last == "key")
        && !words.iter().any(|word| is_other.contains(&word.as_str()))
}

/// Whether a parameter stands in a pattern: `function encrypt({ key, data })`.
fn in_braces(finder: &Finder<'_, '_, '_>, params: Option<Range>, name: usize) -> bool {
    let tokens = finder.reader.tokens;
    let Some((open, close)) = params else { return false };
    let mut at = open + 1;
    while at < close {
        if tokens.is(at, "{") && tokens.mate(at).is_some_and(|mate| (at..mate).contains(&name)) {
            return true;
        }
        at = tokens.past(at);
    }
    false
}

/// How far into a function that finds the key it is looked at.
const BODY_TOKENS_MAX: usize = 2000;

/// How far the call is looked for that shows a value.
const SHOWN_TOKENS_MAX: usize = 24;

/// Calls that write texts for people.
const SHOWS: &[&str] = &[
    "debug", "info", "warn", "warning", "error", "log", "notice", "sprintf", "printf", "print",
    "println", "Printf", "Println", "Debugf", "Infof", "Debug", "Info", "puts", "trace",
];

/// How far what made a key is looked at.
const MAKER_TOKENS_MAX: usize = 40;

/// How many functions of a file that hand keys on are said.
const WRAPPERS_MAX: usize = 200;

/// Names of functions that say too little to know their calls by.
const TOO_COMMON: &[&str] = &[
    "create",
    "get",
    "set",
    "new",
    "New",
    "init",
    "call",
    "run",
    "handle",
    "execute",
    "main",
    "build",
    "make",
    "apply",
    "process",
    "start",
    "use",
    "perform",
    "parse",
    "read",
    "write",
    "update",
    "constructor",
    "handler",
    "validate",
    "add",
    "send",
    "register",
    "configure",
    "load",
    "render",
];

fn line_differs(text: &str, one: Option<Token>, other: Option<Token>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    let between = text.as_bytes().get(one.start as usize..other.start as usize);
    between.is_some_and(|between| memchr::memchr(b'\n', between).is_some())
}

fn links(value: &Value<'_>, setting: Option<&str>) -> Vec<Link> {
    let is_shared = value.is_kept == Some(true) || matches!(value.origin, Origin::Setting { .. });
    let mut links: Vec<Link> = setting.map(|name| link(name, true)).into_iter().collect();
    for name in &value.names {
        let is_named = judge(name).is_some();
        if !is_named && !links.is_empty() {
            continue;
        }
        let link = link(name, is_shared && is_named);
        if !links.contains(&link) {
            links.push(link);
        }
    }
    links
}

fn reason(hot: Hot, keeps: bool, scope: Scope) -> &'static str {
    match (hot, keeps, scope) {
        (Hot::Yes, ..) => "the key is read at each call, so the next one has a new value",
        (_, true, _) => "what is made here keeps the key for its life",
        (_, _, Scope::Module) => "it runs once when the module is loaded",
        (_, _, Scope::Class) => "it runs once with the class",
        (_, _, Scope::Instance) => "it runs once for each object, which keeps the key",
        (Hot::No, ..) => "each call uses a key that was kept before",
        _ => "the file does not tell where the key comes from at each call",
    }
}
