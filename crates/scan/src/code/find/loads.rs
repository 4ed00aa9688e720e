//! Places that get a key: from the environment, a file, a secret store, the settings.

use std::borrow::Cow;

use crate::finding::{Class, Confidence, Kind, Scope, Source};
use crate::rules::Load;
use crate::site::{Hot, Link, Reaches, Wrapper};

use super::super::dialect::Dialect;
use super::super::facts::{Definition, required};
use super::super::forms::DERIVERS;
use super::super::reader::{Range, Reader, judge};
use super::super::table::Rule;
use super::super::token::Kind as TokenKind;
use super::super::tree::expression_end;
use super::files::{file_class, is_key_of_service, judge_file, key_that_is_read};
use super::{Finder, link};

/// Which setting a load takes.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Setting<'a> {
    /// This one.
    Known(&'a str),
    /// The one that a parameter of the function names.
    Parameter(usize, usize),
    /// It is computed.
    Computed,
    /// Loads of its kind name none.
    None,
}

/// A load as it stands in the file.
pub(in super::super) struct Loaded<'r, 'a> {
    pub(in super::super) rule: &'r Load,
    pub(in super::super) start: usize,
    /// The token past it.
    pub(in super::super) end: usize,
    pub(in super::super) setting: Setting<'a>,
    /// What names the setting or the file.
    pub(in super::super) named: Option<Range>,
    pub(in super::super) fallback: Option<usize>,
    /// Whether it is a member of the settings, not a call.
    is_member: bool,
}

impl<'a> Loaded<'_, 'a> {
    pub(in super::super) fn known(&self) -> Option<&'a str> {
        match self.setting {
            Setting::Known(name) => Some(name),
            _ => None,
        }
    }
}

impl<'f, 'a> Reader<'f, 'a> {
    /// The rule of loads that speaks of this word.
    pub(in super::super) fn load_rule(&self, at: usize) -> Option<&'f Load> {
        self.rules_at(at).0.into_iter().find_map(|rule| match rule {
            Rule::Load(load) => Some(load),
            _ => None,
        })
    }

    /// The load whose last name is this word.
    pub(in super::super) fn load(&self, at: usize) -> Option<Loaded<'f, 'a>> {
        let (rules, start) = self.rules_at(at);
        let rule = rules.into_iter().find_map(|rule| match rule {
            Rule::Load(load) => Some(load),
            _ => None,
        })?;
        let tokens = self.tokens;
        if let Some(arguments) = self.arguments(at) {
            let end = match self.call_open(at) {
                Some(open) => tokens.past(open),
                None => arguments.last().map_or(at + 1, |last| last.1),
            };
            return self.load_by_call(rule, start, end, &arguments);
        }
        let mut end = at + 1;
        if tokens.is(end, "!") {
            end += 1;
        }
        if tokens.is(end, "?.") && tokens.is(end + 1, "[") {
            end += 1;
        }
        let named = if tokens.is(end, "[") {
            let range = (end + 1, tokens.mate(end)?);
            end = tokens.past(end);
            range
        } else if self.is_dot(end) && tokens.is_word(end + 1) {
            // `ENV.fetch(…)` has a rule of its own.
            let is_asked = matches!(tokens.text(end + 1), "dig" | "fetch" | "get");
            if self.call_open(end + 1).is_some() && (rule.from == Source::Environment || is_asked) {
                return None;
            }
            end += 2;
            // The last name of `credentials.jwt.secret`.
            while rule.from != Source::Environment
                && self.is_dot(end)
                && tokens.is_word(end + 1)
                && self.call_open(end + 1).is_none()
                && !tokens.text(end + 1).ends_with('?')
            {
                end += 2;
            }
            while tokens.is(end, "[") && rule.from != Source::Environment {
                end = tokens.past(end);
            }
            let last = if tokens.is(end - 1, "]") { end - 2 } else { end - 1 };
            (last, last + 1)
        } else {
            return None;
        };
        let setting = match self.setting_name(named) {
            Setting::Computed if named.0 + 1 == named.1 && !tokens.is(end - 1, "]") => {
                Setting::Known(tokens.name(named.0))
            }
            other => other,
        };
        Some(Loaded {
            rule,
            start,
            end,
            setting,
            named: Some(named),
            fallback: None,
            is_member: true,
        })
    }

    fn load_by_call(
        &self,
        rule: &'f Load,
        start: usize,
        mut end: usize,
        arguments: &[Range],
    ) -> Option<Loaded<'f, 'a>> {
        let tokens = self.tokens;
        let named = arguments.get(rule.setting).copied();
        // `config.Get()` gives the settings as a whole.
        if named.is_none() && rule.from == Source::Settings {
            return None;
        }
        let setting = match rule.from {
            Source::File => Setting::None,
            _ => named.map_or(Setting::None, |named| self.setting_name(named)),
        };
        // `credentials.dig(:jwt, :secret)`: the last one.
        let setting = match (setting, arguments.last()) {
            (Setting::Known(_), Some(last)) if tokens.kind(last.0) == Some(TokenKind::Symbol) => {
                self.setting_name(*last)
            }
            (setting, _) => setting,
        };
        if matches!(setting, Setting::None) && rule.from == Source::Environment {
            return None;
        }
        let is_string = |range: &Range| range.0 + 1 == range.1 && self.plain(range.0).is_some();
        let mut fallback = rule
            .fallback
            .and_then(|position| arguments.get(position).copied())
            .or_else(|| self.named(arguments, &rule.fallback_keywords))
            .filter(is_string)
            .map(|range| range.0);
        // `ENV.fetch("KEY") { "default" }`
        if self.dialect == Dialect::Ruby && tokens.is(end, "{") {
            let close = tokens.mate(end)?;
            fallback = fallback.or_else(|| {
                Some(end + 1).filter(|at| *at + 1 == close && self.plain(*at).is_some())
            });
            end = close + 1;
        }
        Some(Loaded { rule, start, end, setting, named, fallback, is_member: false })
    }

    /// The path or the name that says of a loaded file that it holds a key.
    pub(in super::super) fn file_of(&self, load: &Loaded<'f, 'a>) -> Option<&'a str> {
        if load.rule.from != Source::File {
            return None;
        }
        let tokens = self.tokens;
        // `this.privateKeyLocation.getInputStream()`
        let (from, to) = load.named.unwrap_or((load.start, load.end.saturating_sub(3)));
        (from..to.min(from + 40)).find_map(|at| {
            if let Some(path) = tokens.string(at) {
                let is_key = |path: &&str| file_class(path).or_else(|| judge_file(path)).is_some();
                return Some(path).filter(is_key);
            }
            if !tokens.is_word(at) || (load.named.is_some() && self.is_dot(at + 1)) {
                return None;
            }
            let name = tokens.name(at);
            if judge_file(name).is_some() {
                return Some(name);
            }
            self.path_of(name)
        })
    }

    /// The path that a variable is given, also where it is put together:
    /// `path.join(folder, "private.pem")`.
    fn path_of(&self, name: &str) -> Option<&'a str> {
        let tokens = self.tokens;
        let given = self.facts.of(tokens, name).next()?;
        let end = expression_end(tokens, self.dialect, given.value);
        (given.value..end.min(given.value + PATH_TOKENS_MAX))
            .find_map(|at| tokens.string(at).filter(|path| file_class(path).is_some()))
    }

    fn setting_name(&self, range: Range) -> Setting<'a> {
        let tokens = self.tokens;
        let (from, to) = range;
        if from + 1 == to {
            if let Some(text) = tokens.string(from) {
                return match self.plain(from) {
                    Some(_) => Setting::Known(text),
                    None => Setting::Computed,
                };
            }
            if tokens.is_word(from) {
                let name = tokens.name(from);
                let constant = self.facts.of(tokens, name).find_map(|definition| {
                    tokens.string(definition.value).filter(|_| {
                        expression_end(tokens, self.dialect, definition.value)
                            == definition.value + 1
                    })
                });
                if let Some(text) = constant {
                    return Setting::Known(text);
                }
                if let Some((frame, position)) = self.parameter(name, from) {
                    return Setting::Parameter(frame, position);
                }
                return if judge(name).is_some() {
                    Setting::Known(name)
                } else {
                    Setting::Computed
                };
            }
            return Setting::Computed;
        }
        // `Names.JWT_SECRET`, and computed names with a parameter in them.
        let last = to.saturating_sub(1);
        let is_chain = (from..to).all(|at| tokens.is_word(at) || self.is_dot(at));
        if is_chain && judge(tokens.name(last)).is_some() {
            return Setting::Known(tokens.name(last));
        }
        let parameter = (from..to.min(from + 40))
            .filter(|at| tokens.is_word(*at))
            .find_map(|at| self.parameter(tokens.name(at), at));
        parameter.map_or(Setting::Computed, |(frame, position)| Setting::Parameter(frame, position))
    }
}

impl<'a> Finder<'_, '_, 'a> {
    /// The load at a word, if it is one of a key. `is_reached` says that its value reaches a sink.
    pub(super) fn loaded(&mut self, at: usize, is_reached: bool) {
        let reader = self.reader;
        let Some(load) = reader.load(at) else {
            self.taken_apart(at);
            return;
        };
        if let Setting::Parameter(frame, position) = load.setting
            && self.stored_name(&load).is_none()
        {
            self.loader(frame, position, load.rule.from);
            return;
        }
        if self.is_of_module(&load) || self.is_of_text(&load) {
            return;
        }
        let is_written = reader.tokens.is(load.end, "=") || reader.tokens.is(load.end, "=>");
        if is_written || self.is_only_asked(load.start, load.end) {
            return;
        }
        // `readFile(process.env.KEY_PATH)`: what names the file and the file are one place.
        let callee = load.start.saturating_sub(2);
        let names_file = load.rule.from == Source::Environment
            && reader.tokens.before(load.start) == "("
            && reader.load_rule(callee).is_some_and(|rule| rule.from == Source::File)
            && load.known().is_some_and(|name| judge_file(name).is_some());
        if names_file {
            self.loads.insert(at);
            return;
        }
        let target = self.target(load.start);
        let target_name = target.as_ref().map(|target| reader.defined_name(target));
        let class = self.class_of_load(&load, target_name, is_reached);
        let by_place = || target.as_ref().and_then(|target| self.weak_class(target));
        let stored = self.stored_name(&load);
        let class = class.or_else(by_place).or(stored.map(|(_, class)| class));
        let Some(class) = class else { return };
        self.loads.insert(at);
        if load.is_member
            && load.rule.from == Source::Settings
            && !load.rule.call.ends_with(".credentials")
            && !load.rule.call.ends_with(".secrets")
            && self.is_local(&load, target.as_ref())
        {
            return;
        }
        let name = load.known().or(target_name).or(stored.map(|(name, _)| name));
        self.env_load(at, &load, target.as_ref(), name, class);
        self.fallback(&load, name, class);
    }

    /// `env.SECRET_KEY` where `env` is the object of settings that a module of the project made.
    fn is_of_module(&self, load: &Loaded<'_, 'a>) -> bool {
        let reader = self.reader;
        let root = reader.tokens.text(load.start);
        let imported = reader.facts.imports.get(root).and_then(|path| path.first()).copied();
        let path = imported.or_else(|| {
            let mut all = reader.facts.of(reader.tokens, root);
            all.find_map(|one| required(reader.tokens, one.value))
        });
        let is_of_project = |path: &str| path.starts_with(['.', '~']) || path.starts_with("@/");
        load.is_member
            && reader.dialect == Dialect::JavaScript
            && load.rule.call == "env"
            && path.is_some_and(|path| is_of_project(path) || path.ends_with("/env"))
            && (self.scope_of(load.start, None) == Scope::Call || self.is_of_sink(load.start))
    }

    /// `openssl_pkey_get_private($user->private_key)` parses a key that is there already.
    fn is_of_text(&self, load: &Loaded<'_, 'a>) -> bool {
        let tokens = self.reader.tokens;
        let Some((from, to)) = load.named.filter(|_| load.rule.call.starts_with("openssl_")) else {
            return false;
        };
        let names_file = |at: usize| {
            if let Some(text) = tokens.string(at) {
                return text.contains("file:") || file_class(text).is_some();
            }
            let name = tokens.name(at).to_ascii_lowercase();
            ["path", "file", "storage", "location"].iter().any(|part| name.contains(part))
        };
        !(from..to.min(from + PATH_TOKENS_MAX)).any(names_file)
    }

    /// Reading a setting within a function is no place of its own.
    fn is_local(&self, load: &Loaded<'_, 'a>, target: Option<&Definition>) -> bool {
        self.scope_of(load.start, target) == Scope::Call
    }

    fn class_of_load(
        &self,
        load: &Loaded<'_, 'a>,
        target: Option<&str>,
        is_reached: bool,
    ) -> Option<Class> {
        if load.rule.from == Source::File {
            return self.class_of_file(load, target).or(is_reached.then_some(Class::Key));
        }
        // What encrypts is a key, though it is called a password.
        let by_setting = load
            .known()
            .and_then(judge)
            .map(|class| if is_reached && class == Class::Password { Class::Key } else { class });
        let by_target = target.and_then(judge).filter(|class| *class != Class::Password);
        let by_environment = load
            .known()
            .filter(|name| load.rule.from == Source::Environment && is_key_of_service(name));
        // `config('services.acme.token')` of Laravel.
        let of_services = load.known().filter(|name| {
            name.starts_with("services.") && name.rsplit('.').next() == Some("token")
        });
        by_setting
            .or(of_services.map(|_| Class::Credential))
            .or(by_target)
            .or(by_environment
                .map(|name| if name == "SALT" { Class::Key } else { Class::Credential }))
            .or(is_reached.then_some(Class::Key))
    }

    /// A key file by its path, or by what it is assigned to.
    fn class_of_file(&self, load: &Loaded<'_, 'a>, target: Option<&str>) -> Option<Class> {
        let by_path = self
            .reader
            .file_of(load)
            .and_then(|name| file_class(name).or_else(|| judge_file(name)));
        // `readFileSync(config.ssl.key)`
        let by_chain = || {
            let (from, to) = load.named.filter(|(from, to)| from + 3 <= *to)?;
            let tokens = self.reader.tokens;
            let is_chain = (from..to).all(|at| tokens.is_word(at) || self.reader.is_dot(at));
            let name = format!("{}.{}", tokens.name(to - 3), tokens.name(to - 1));
            judge(&name).filter(|class| is_chain && *class == Class::Key)
        };
        // `const apiKey = readFileSync(path)`
        let is_whole = load.named.is_some_and(|(from, to)| from + 1 == to);
        by_path
            .or_else(by_chain)
            .or_else(|| {
                target.and_then(judge).filter(|class| match class {
                    Class::Key | Class::Public => true,
                    Class::Credential => is_whole,
                    Class::Password => false,
                })
            })
            .or_else(|| self.class_of_function(load))
    }

    /// What a store of secrets is asked for, by the path of it: `{ SecretId: "prod/jwt-secret" }`.
    fn stored_name(&self, load: &Loaded<'_, 'a>) -> Option<(&'a str, Class)> {
        let tokens = self.reader.tokens;
        if load.rule.from != Source::SecretStore {
            return None;
        }
        let end = load.end.min(load.start + STORED_TOKENS_MAX);
        (load.start..end).filter_map(|at| tokens.string(at)).find_map(|path| {
            let mut parts = path.split(['/', ':']).rev();
            parts.find_map(|part| {
                let class = judge(part).filter(|class| *class != Class::Password)?;
                Some((part, class))
            })
        })
    }

    /// `getMasterKey()` reads a file that only says where it is: what it is for says the function.
    fn class_of_function(&self, load: &Loaded<'_, 'a>) -> Option<Class> {
        let reader = self.reader;
        let tokens = reader.tokens;
        let (from, to) = load.named?;
        let says_nothing = (from..to).all(|at| tokens.string(at).is_none());
        let frame = reader.tree.frame(reader.tree.at(load.start))?;
        let name = tokens.name(frame.name?);
        let words = crate::names::words(name);
        let verbs = ["get", "load", "read", "fetch", "find"];
        let is_getter = words.first().is_some_and(|first| verbs.contains(&first.as_str()));
        let rest = words.get(1..)?.join("_");
        judge(&rest).filter(|class| *class == Class::Key && is_getter && says_nothing)
    }

    fn env_load(
        &mut self,
        at: usize,
        load: &Loaded<'_, 'a>,
        target: Option<&Definition>,
        name: Option<&str>,
        class: Class,
    ) {
        let reader = self.reader;
        let rule = match load.rule.from {
            Source::File => "key-file",
            Source::SecretStore => "secret-store",
            Source::Settings => "settings-load",
            _ => "env-load",
        };
        let mut site = self.site(Kind::EnvLoad, rule, load.start);
        let scope = self.scope_of(load.start, target);
        site.hot = match scope {
            Scope::Call if load.rule.live => self.hot_of_load(load.start, target),
            Scope::Call => Hot::Unknown,
            _ => Hot::No,
        };
        site.name = name.map(str::to_owned);
        site.class = class;
        site.scope = Some(scope);
        site.source = load.rule.from;
        site.sink = Some(reader.chain(at).0.join("."));
        site.confidence = match load.known().and_then(judge) {
            Some(_) => Confidence::High,
            None => Confidence::Medium,
        };
        let is_shared = scope == Scope::Module || scope == Scope::Class;
        let mut links: Vec<Link> = load.known().map(|name| link(name, true)).into_iter().collect();
        let target = target.map(|target| reader.defined_name(target));
        if let Some(target) = target.filter(|target| judge(target).is_some()) {
            let other = link(target, is_shared);
            if let Some(first) = links.first() {
                self.sites.same.push((first.clone(), other.clone()));
            }
            links.push(other);
        }
        site.links = links;
        site.reason = Cow::Borrowed(match (site.hot, scope) {
            (Hot::Yes, _) => "it is read at each call, so the next one has a new value",
            (_, Scope::Module) => "it is read once when the module is loaded, and kept",
            (_, Scope::Class) => "it is read once with the class, and kept",
            (_, Scope::Instance) => "it is read once for each object, and kept",
            _ => "it is read at each call, but what takes it may keep it",
        });
        if site.hot != Hot::Yes {
            site.remedy =
                Some(Cow::Borrowed("Read the key at each use, from its ring or its source"));
        }
        self.sites.found.push(site);
    }

    /// `LoadPrivateKeyFromFile(path)`: a function that reads a key from a file, by its name.
    pub(super) fn reads_key_file(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let name = tokens.name(at);
        if self.loads.contains(&at) || reader.tree.is_declared(at) {
            return;
        }
        let Some(class) = key_that_is_read(name) else { return };
        let Some(arguments) = reader.arguments(at).filter(|all| !all.is_empty()) else { return };
        let rule = Load {
            call: String::new(),
            setting: 0,
            fallback: None,
            fallback_keywords: Vec::new(),
            from: Source::File,
            live: false,
        };
        let Some(open) = reader.call_open(at) else { return };
        let load = Loaded {
            rule: &rule,
            start: reader.chain(at).1,
            end: tokens.past(open),
            setting: Setting::None,
            named: arguments.first().copied(),
            fallback: None,
            is_member: false,
        };
        self.loads.insert(at);
        let target = self.target(load.start);
        self.env_load(at, &load, target.as_ref(), Some(name), class);
    }

    /// A setting of a name that no rule knows how to ask for.
    pub(super) fn asked_for(
        &mut self,
        at: usize,
        rule: &Load,
        arguments: &[Range],
        name: &'a str,
        class: Class,
    ) {
        let reader = self.reader;
        let Some(open) = reader.call_open(at) else { return };
        let start = reader.chain(at).1;
        let end = reader.tokens.past(open);
        if reader.tokens.is(end, "=") || self.is_only_asked(start, end) {
            return;
        }
        let fallback = arguments.get(1).filter(|range| range.0 + 1 == range.1);
        let load = Loaded {
            rule,
            start,
            end,
            setting: Setting::Known(name),
            named: arguments.first().copied(),
            fallback: fallback.map(|range| range.0).filter(|at| reader.plain(*at).is_some()),
            is_member: false,
        };
        self.loads.insert(at);
        let target = self.target(start);
        self.env_load(at, &load, target.as_ref(), Some(name), class);
        self.fallback(&load, Some(name), class);
    }

    /// The literal that is taken when there is nothing to load.
    fn fallback(&mut self, load: &Loaded<'_, 'a>, name: Option<&str>, class: Class) {
        let tokens = self.reader.tokens;
        let mut literal = load.fallback;
        let mut at = load.end;
        // `load || "default"`, `load.orElse("default")`, also at the end of a chain of them.
        for _ in 0..4 {
            // `Optional.ofNullable(load).orElse("default")`
            if tokens.is(at, ")") && tokens.is(load.start.saturating_sub(1), "(") {
                at += 1;
            }
            if self.reader.is_dot(at)
                && matches!(
                    tokens.text(at + 1),
                    "orElse" | "presence" | "to_s" | "getOrElse" | "default"
                )
            {
                let open = at + 2;
                if tokens.is(open, "(") && tokens.past(open) == open + 3 {
                    literal = literal.or(Some(open + 1));
                }
                at = if tokens.is(open, "(") { tokens.past(open) } else { open };
            }
            if tokens.is(at, ")") && tokens.is(load.start.saturating_sub(1), "(") {
                at += 1;
            }
            if !matches!(tokens.text(at), "||" | "??" | "?:" | "or") {
                break;
            }
            if tokens.kind(at + 1) == Some(TokenKind::Str) {
                literal = literal.or(Some(at + 1));
                break;
            }
            at = self
                .reader
                .parts((at + 1, tokens.len().min(at + 60)))
                .first()
                .map_or(at, |part| part.1);
        }
        // Another variable that is asked for is none.
        let is_name = |at: usize| {
            tokens.string(at).is_some_and(|text| {
                text.len() > 3
                    && text.contains('_')
                    && !text.starts_with('_')
                    && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            })
        };
        if let Some(literal) = literal.filter(|at| !is_name(*at)) {
            self.hardcoded(literal, "default-literal", name, class);
        }
    }

    /// `const { JWT_SECRET, KEY: key = "default" } = process.env`
    fn taken_apart(&mut self, at: usize) {
        let reader = self.reader;
        if reader.dialect != Dialect::JavaScript
            || !reader.tokens.is(at + 1, ";") && !reader.tokens.starts_line(at + 1)
        {
            return;
        }
        let Some(rule) = reader.load_rule(at) else { return };
        let start = reader.chain(at).1;
        let definitions = &reader.facts.definitions;
        let first = definitions.partition_point(|one| one.value < start);
        let of_value = definitions.iter().skip(first).take_while(|one| one.value == start);
        let properties: Vec<_> = of_value.filter(|one| one.property.is_some()).copied().collect();
        for definition in properties {
            let Some(property) = definition.property else { continue };
            let setting = reader.tokens.name(property);
            let Some(class) = judge(setting) else { continue };
            let load = Loaded {
                rule,
                start: property,
                end: definition.name + 1,
                setting: Setting::Known(setting),
                named: None,
                fallback: Some(definition.name + 2)
                    .filter(|at| reader.tokens.is(at - 1, "=") && reader.plain(*at).is_some()),
                is_member: true,
            };
            self.loads.insert(property);
            self.env_load(property, &load, None, Some(setting), class);
            self.fallback(&load, Some(setting), class);
        }
    }

    /// A function whose parameter names a setting is a loader.
    fn loader(&mut self, frame: usize, position: usize, from: Source) {
        let tokens = self.reader.tokens;
        let Some(name) = self.reader.tree.frame(frame).and_then(|frame| frame.name) else { return };
        // What only asks whether there is one gives none.
        let first = crate::names::words(tokens.name(name)).into_iter().next();
        let asks = ["assert", "check", "ensure", "exists", "has", "is", "validate"];
        if first.is_some_and(|first| asks.contains(&first.as_str())) {
            return;
        }
        let wrapper = Wrapper {
            function: tokens.name(name).to_owned(),
            parameter: position,
            keyword: None,
            reaches: Reaches::Loader(from),
        };
        if !self.sites.wrappers.contains(&wrapper) {
            self.sites.wrappers.push(wrapper);
        }
    }

    /// Takes back that a load is one of a password.
    fn was_password(&mut self, at: usize) -> bool {
        let start = self.reader.chain(at).1;
        let place = self.site(Kind::EnvLoad, "env-load", start).at;
        let before = self.sites.found.len();
        self.sites.found.retain(|site| {
            site.kind != Kind::EnvLoad || site.class != Class::Password || site.at != place
        });
        self.sites.found.len() < before
    }

    /// Loads whose names say nothing, but whose value reaches a sink.
    pub(super) fn reached_loads(&mut self) {
        let reached = self.reader.reached.take();
        for at in reached {
            if DERIVERS.contains(&self.reader.tokens.name(at)) {
                self.derived_key(at);
            } else if !self.loads.contains(&at) || self.was_password(at) {
                self.loaded(at, true);
            }
        }
    }
}

/// How far it is looked for the path of a file where that is put together.
const PATH_TOKENS_MAX: usize = 24;

/// How far it is looked for what a store of secrets is asked for.
const STORED_TOKENS_MAX: usize = 60;
