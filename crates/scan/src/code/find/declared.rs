//! Keys that a program declares and a framework fills in: annotations of Spring, tags of Go,
//! schemas of the environment, constants of PHP.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::finding::{Class, Kind, Scope, Source};
use crate::site::{Hot, Site};

use super::super::dialect::Dialect;
use super::super::reader::judge;
use super::super::token::Kind as TokenKind;
use super::super::tree::FrameKind;
use super::literals::{WORDPRESS, is_plausible};
use super::{Finder, link};

/// How far the names of an import reach.
const IMPORT_TOKENS_MAX: usize = 120;

/// How far the annotations of a field or class reach.
const DECLARATION_TOKENS_MAX: usize = 60;

impl Finder<'_, '_, '_> {
    /// What a word declares.
    pub(super) fn declared(&mut self, at: usize) {
        match self.reader.dialect {
            Dialect::JavaScript => self.schema_entry(at),
            Dialect::Php if self.reader.tokens.text(at) == "define" => self.define(at),
            Dialect::Php => {}
            Dialect::Java | Dialect::Kotlin => self.put(at),
            Dialect::Go => {
                self.put(at);
                self.option(at);
            }
            Dialect::Ruby => {
                self.put(at);
                self.let_literal(at);
            }
        }
    }

    /// What a string declares.
    pub(super) fn string(&mut self, at: usize) {
        match self.reader.dialect {
            Dialect::Go => self.struct_tag(at),
            Dialect::Php => self.symfony(at),
            Dialect::JavaScript => self.environment_of_builder(at),
            _ => {}
        }
        self.sql(at);
    }

    /// `import { JWT_SECRET } from "$env/static/private"`, and `env: "JWT_SECRET"` of a schema.
    fn environment_of_builder(&mut self, at: usize) {
        let tokens = self.reader.tokens;
        let Some(text) = tokens.string(at) else { return };
        if matches!(text, "$env/static/private" | "astro:env/server") {
            let names: Vec<usize> = (at.saturating_sub(IMPORT_TOKENS_MAX)..at)
                .rev()
                .take_while(|at| tokens.text(*at) != "import")
                .filter(|at| tokens.is_word(*at) && !matches!(tokens.text(*at), "from" | "as"))
                .collect();
            names.into_iter().rev().for_each(|name| self.copied_at_start(name, tokens.text(name)));
        } else if tokens.is(at.saturating_sub(1), ":")
            && matches!(tokens.text(at.saturating_sub(2)), "env" | "envVar" | "envName")
            && self.describes(at)
        {
            self.copied_at_start(at, text);
            self.default_beside(at, text);
        }
    }

    /// Whether the object around an entry describes a setting: it has a format or a default.
    fn describes(&self, at: usize) -> bool {
        let tokens = self.reader.tokens;
        let from = at.saturating_sub(DECLARATION_TOKENS_MAX);
        let open = (from..at).rev().find(|at| tokens.is(*at, "{"));
        open.is_some_and(|open| {
            let end = tokens.past(open).min(open + DECLARATION_TOKENS_MAX);
            (open..end).any(|at| {
                matches!(tokens.text(at), "format" | "doc" | "default") && tokens.is(at + 1, ":")
            })
        })
    }

    /// The literal that a setting has by default: `default: "literal", env: "JWT_SECRET"`.
    fn default_beside(&mut self, at: usize, name: &str) {
        let tokens = self.reader.tokens;
        let from = at.saturating_sub(DECLARATION_TOKENS_MAX);
        let Some(open) = (from..at).rev().find(|at| tokens.is(*at, "{")) else { return };
        let end = tokens.past(open).min(open + DECLARATION_TOKENS_MAX);
        let mut defaults = open..end;
        let default = defaults.find(|at| tokens.text(*at) == "default" && tokens.is(at + 1, ":"));
        let value = default.map(|at| at + 2).filter(|at| {
            tokens.string(*at).is_some_and(|text| {
                is_plausible(name, text) || text.len() > 7 && crate::names::is_placeholder(text)
            })
        });
        if let Some((value, class)) = value.zip(judge(name)) {
            self.hardcoded(value, "default-literal", Some(name), class);
        }
    }

    /// A variable of the environment that is copied when the module is loaded.
    fn copied_at_start(&mut self, at: usize, name: &str) {
        let Some(class) = judge(name).filter(|class| *class != Class::Password) else { return };
        self.setting_of_class(at, name, class, None);
        if let Some(site) = self.sites.found.last_mut() {
            site.source = Source::Environment;
            site.scope = Some(Scope::Module);
            site.reason = Cow::Borrowed("it is read once when the module is loaded, and kept");
        }
    }

    /// SQL within a string; told by the reader of SQL.
    pub(super) fn sql(&mut self, at: usize) {
        let before = self.sites.found.len();
        super::super::sql::embedded(self.reader, at, &mut self.sites);
        // Nearly no string has any.
        if self.sites.found.len() > before {
            let scope = self.reader.scope(at);
            for site in self.sites.found.iter_mut().skip(before) {
                site.scope = Some(scope);
            }
        }
    }

    /// `@Value("${jwt.secret:default}")`, `@ConfigurationProperties`, timers.
    pub(super) fn annotation(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let name = tokens.text(at + 1);
        if reader.dialect == Dialect::JavaScript {
            if matches!(name, "Cron" | "Interval") {
                self.annotated_timer(at);
            }
            return;
        }
        match name {
            "Value" | "ConfigProperty" | "Property" => self.value_annotation(at),
            "ConfigurationProperties" | "ConfigMapping" | "EachProperty" => {
                self.properties_class(at);
            }
            "Scheduled" => self.annotated_timer(at),
            _ => {}
        }
    }

    fn annotated_timer(&mut self, at: usize) {
        let tokens = self.reader.tokens;
        let mut next = at + 2;
        let last = at + DECLARATION_TOKENS_MAX;
        while next < last && !tokens.is(next, "{") && !tokens.is(next, ";") {
            if self.rotates(next) {
                self.timer(at + 1);
                return;
            }
            next = tokens.past(next);
        }
    }

    fn value_annotation(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let Some(close) = tokens.mate(at + 2) else { return };
        let string = (at + 3..close).find(|at| tokens.kind(*at) == Some(TokenKind::Str));
        let Some(string) = string else { return };
        let Some(text) = tokens.string(string) else { return };
        let inner = text.split_once("${").and_then(|(_, rest)| rest.split_once('}'));
        let (setting, default) = match inner {
            Some((inner, _)) => inner.split_once(':').unwrap_or((inner, "")),
            None if tokens.text(at + 1) != "Value" => (text, ""),
            None => return,
        };
        let field = self.field_after(close + 1);
        let by_field = field.map(|field| tokens.name(field)).and_then(judge);
        let Some(class) = judge(setting).or(by_field) else { return };
        self.setting_of_class(at, setting, class, field.map(|field| tokens.name(field)));
        let scope = reader.scope(at);
        if let Some(site) = self.sites.found.last_mut() {
            site.scope = Some(scope);
        }
        // `defaultValue = "literal"`
        let given = (string + 1..close)
            .find(|at| tokens.text(*at) == "defaultValue" && tokens.is(at + 1, "="))
            .map(|at| at + 2)
            .filter(|at| tokens.string(*at).is_some_and(|text| is_plausible(setting, text)));
        if let Some(given) = given {
            self.hardcoded(given, "default-literal", Some(setting), class);
        }
        if !default.is_empty() && is_plausible(setting, default) {
            self.hardcoded_default(string, default, setting, class);
        }
    }

    /// The field or parameter that an annotation is about.
    fn field_after(&self, from: usize) -> Option<usize> {
        let tokens = self.reader.tokens;
        let mut last = None;
        for at in from..from + 12 {
            match tokens.text(at) {
                ";" | "=" | ")" | "," | "(" | "{" | "" => return last,
                ":" => return at.checked_sub(1),
                _ if tokens.is_word(at) => last = Some(at),
                _ => {}
            }
        }
        last
    }

    /// A load of the settings that a framework does for a class.
    pub(super) fn setting_of_class(
        &mut self,
        at: usize,
        setting: &str,
        class: Class,
        field: Option<&str>,
    ) {
        let mut site = self.site(Kind::EnvLoad, "settings-field", at);
        site.name = Some(setting.to_owned());
        site.links = vec![link(setting, true)];
        site.links
            .extend(field.filter(|field| judge(field).is_some()).map(|name| link(name, false)));
        site.class = class;
        site.scope = Some(Scope::Class);
        site.hot = Hot::No;
        site.source = Source::Settings;
        site.reason = Cow::Borrowed("the framework fills it in once, when the object is made");
        site.remedy =
            Some(Cow::Borrowed("Ask the source at each use instead of keeping the value"));
        self.sites.found.push(site);
    }

    pub(super) fn hardcoded_default(&mut self, at: usize, default: &str, name: &str, class: Class) {
        if !self.literals.insert(at) {
            return;
        }
        let mut site = self.site(Kind::Hardcoded, "default-literal", at);
        site.name = Some(name.to_owned());
        site.links = vec![link(name, true)];
        site.class = class;
        site.scope = Some(Scope::Class);
        site.hot = Hot::No;
        site.source = Source::Literal;
        site.literal = Some(crate::literal::Literal::new(default));
        site.reason = Cow::Borrowed("a literal is taken when the setting is absent");
        self.sites.found.push(site);
    }

    /// The fields of a class that is filled from the settings.
    fn properties_class(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let last = at + DECLARATION_TOKENS_MAX;
        if reader.dialect == Dialect::Kotlin {
            self.properties_of_data_class(at);
        }
        let mut classes = reader.tree.starting_in(at, last);
        let Some((_, frame)) = classes.find(|(_, frame)| frame.kind == FrameKind::Class) else {
            return;
        };
        let prefix = (at..frame.start).find_map(|at| tokens.string(at)).unwrap_or_default();
        let is_java = reader.dialect == Dialect::Java;
        let is_class = tokens.text(frame.start) == "class";
        let fields: Vec<usize> = (frame.start..frame.end)
            .filter(|at| tokens.is_word(*at) && judge(tokens.text(*at)).is_some())
            .filter(|at| {
                let number = reader.tree.at(*at);
                let kind = reader.tree.frame(number).map(|frame| frame.kind);
                let before = tokens.before(*at);
                let is_field = if is_java {
                    // `String secret();` of an interface
                    let is_getter = || {
                        !is_class
                            && tokens.is(at + 1, "(")
                            && tokens.is(at + 2, ")")
                            && tokens.is(at + 3, ";")
                    };
                    (tokens.is_word(at.saturating_sub(1)) || before == ">")
                        && !matches!(
                            before,
                            "return" | "class" | "void" | "int" | "boolean" | "long"
                        )
                        && (matches!(tokens.text(at + 1), ";" | "=" | "," | ")") || is_getter())
                } else {
                    matches!(before, "val" | "var") && tokens.is(at + 1, ":")
                };
                kind == Some(FrameKind::Class) && is_field
            })
            .collect();
        self.settings_below(prefix, &fields);
    }

    /// Fields of a class whose settings stand below a prefix.
    fn settings_below(&mut self, prefix: &str, fields: &[usize]) {
        for field in fields.iter().copied() {
            let name = self.reader.tokens.text(field);
            let Some(class) = judge(name) else { continue };
            let name =
                name.strip_prefix("get").filter(|rest| judge(rest).is_some()).unwrap_or(name);
            let setting =
                if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            self.setting_of_class(field, &setting, class, Some(name));
        }
    }

    /// `data class Properties(val signingKey: String)`
    fn properties_of_data_class(&mut self, at: usize) {
        let tokens = self.reader.tokens;
        let prefix = (at..at + 6).find_map(|at| tokens.string(at)).unwrap_or_default();
        let mut next = at;
        let mut steps = (0..DECLARATION_TOKENS_MAX).map(|_| {
            let here = next;
            next = tokens.past(here);
            here
        });
        let class = steps.find(|at| tokens.text(*at) == "class");
        let Some(open) = class.map(|class| class + 2).filter(|open| tokens.is(*open, "(")) else {
            return;
        };
        let Some(close) = tokens.mate(open) else { return };
        let fields: Vec<usize> = (open..close)
            .filter(|at| matches!(tokens.text(*at), "val" | "var"))
            .map(|at| at + 1)
            .collect();
        self.settings_below(prefix, &fields);
    }

    /// Names of a schema that the file reads from the environment itself are told there.
    pub(super) fn settle_schemas(&mut self) {
        let is_schema = |site: &Site| site.rule.ends_with("/env-schema");
        let read: BTreeSet<String> = self
            .sites
            .found
            .iter()
            .filter(|site| site.kind == Kind::EnvLoad && !is_schema(site))
            .filter_map(|site| site.name.clone())
            .collect();
        let is_read = |site: &Site| site.name.as_ref().is_some_and(|name| read.contains(name));
        self.sites.found.retain(|site| !is_schema(site) || !is_read(site));
    }

    /// `JWT_SECRET: z.string()` in a schema of the environment, `@IsString() JWT_SECRET: string`.
    fn schema_entry(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let name = tokens.text(at);
        let is_constant = name.len() > 3
            && name
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        if !is_constant || reader.is_dot(at.saturating_sub(1)) {
            return;
        }
        let mut colon = at + 1;
        if matches!(tokens.text(colon), "?" | "!") {
            colon += 1;
        }
        if !tokens.is(colon, ":") {
            return;
        }
        let Some(class) = judge(name) else { return };
        let end = super::super::tree::expression_end(tokens, reader.dialect, colon + 1);
        let root = tokens.text(colon + 1);
        let is_choice = (colon + 2..end).any(|at| tokens.is(at, "?"));
        let is_validator = matches!(
            root,
            "z" | "Joi"
                | "joi"
                | "yup"
                | "v"
                | "str"
                | "t"
                | "Type"
                | "S"
                | "makeValidator"
                | "envalid"
                | "Env"
        ) && matches!(tokens.text(colon + 2), "." | "(")
            || is_choice
                && (colon + 2..end).any(|at| {
                    matches!(tokens.text(at), "z" | "Joi" | "v") && tokens.is(at + 1, ".")
                });
        let number = reader.tree.at(at);
        let kind = reader.tree.frame(number).map(|frame| frame.kind);
        let before = tokens.before(at);
        let is_decorated = kind == Some(FrameKind::Class)
            && (before == ")" || matches!(before, "public" | "readonly"))
            && matches!(root, "string" | "String");
        if !(is_decorated
            || is_validator && *self.is_schema_used.get_or_init(|| self.finds_schema_used()))
        {
            return;
        }
        let mut site = self.site(Kind::EnvLoad, "env-schema", at);
        site.name = Some(name.to_owned());
        site.links = vec![link(name, true)];
        site.class = class;
        let scope = if is_decorated { Scope::Class } else { reader.scope(at) };
        site.scope = Some(scope);
        site.hot = if scope == Scope::Call { Hot::Unknown } else { Hot::No };
        site.source = Source::Environment;
        site.reason =
            Cow::Borrowed("the environment is checked and copied once, and the copy is kept");
        site.remedy = Some(Cow::Borrowed("Read the key at each use, from its ring or its source"));
        self.sites.found.push(site);
        // `.default("literal")`, `str({ default: "literal" })`
        let default = (colon + 1..end).find(|at| {
            matches!(tokens.text(*at), "default" | "devDefault")
                && (tokens.is(at + 1, "(") && tokens.is(at + 3, ")") || tokens.is(at + 1, ":"))
        });
        if let Some(default) = default {
            self.hardcoded(default + 2, "default-literal", Some(name), class);
        }
    }

    /// Whether the file checks its environment when it is loaded, and so has what its schema gives:
    /// a schema that only another part checks with is none.
    fn finds_schema_used(&self) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        let makes = [
            "cleanEnv",
            "createEnv",
            "defineEnv",
            "defineConfig",
            "envSchema",
            "loadEnv",
            "makeEnv",
            "parseEnv",
            "envsafe",
        ];
        (0..tokens.len()).any(|at| {
            if !tokens.is_word(at) || reader.scope(at) != Scope::Module {
                return false;
            }
            let name = tokens.text(at);
            let is_made = || {
                makes.contains(&name) && reader.call_open(at).is_some()
                    || name == "Env" && tokens.text(at + 2) == "create"
            };
            let is_whole = || {
                name == "env"
                    && tokens.before(at) == "."
                    && matches!(tokens.text(at - 2), "process" | "Bun" | "meta")
                    && !reader.is_dot(at + 1)
                    && !tokens.is(at + 1, "[")
                    && reader.call_open(at).is_none()
                    && matches!(tokens.before(reader.chain(at).1), "(" | "," | ":" | "...")
            };
            is_made() || is_whole()
        })
    }

    /// `define('AUTH_KEY', 'literal')`
    fn define(&mut self, at: usize) {
        let reader = self.reader;
        let Some(arguments) = reader.arguments(at) else { return };
        let [(name, _), (value, end), ..] = arguments.as_slice() else { return };
        let Some(name) = reader.tokens.string(*name) else { return };
        let class = judge(name).or(WORDPRESS.contains(&name).then_some(Class::Key));
        let Some(class) = class else { return };
        let text = reader.plain(*value).filter(|_| value + 1 == *end);
        if text.is_some_and(|text| is_plausible(name, text)) {
            self.hardcoded(*value, "assigned-literal", Some(name), class);
        }
    }

    /// `properties.put("jwt.secret", "literal")`, `set :session_secret, "literal"`
    fn put(&mut self, at: usize) {
        let reader = self.reader;
        if !matches!(
            reader.tokens.text(at),
            "put" | "setProperty" | "of" | "set" | "SetDefault" | "Setenv"
        ) {
            return;
        }
        let Some(arguments) = reader.arguments(at) else { return };
        let [(key, _), (value, end), ..] = arguments.as_slice() else { return };
        let Some(name) = reader.tokens.string(*key) else { return };
        let Some(class) = judge(name) else { return };
        let text = reader.plain(*value).filter(|_| value + 1 == *end);
        if text.is_some_and(|text| is_plausible(name, text)) {
            self.hardcoded(*value, "assigned-literal", Some(name), class);
        }
    }

    /// `let(:jwt_secret) { "literal" }`
    fn let_literal(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        if !matches!(tokens.text(at), "let" | "let!") || !tokens.is(at + 1, "(") {
            return;
        }
        let Some(name) = tokens.string(at + 2) else { return };
        let block = tokens.past(at + 1);
        let value = block + 1;
        let is_alone = tokens.is(block, "{") && tokens.mate(block) == Some(block + 2);
        let Some(class) = judge(name).filter(|_| is_alone) else { return };
        if reader.plain(value).is_some_and(|text| is_plausible(name, text)) {
            self.hardcoded(value, "assigned-literal", Some(name), class);
        }
    }

    /// `%env(APP_SECRET)%`, `%kernel.secret%`, `Autowire(env: 'APP_SECRET')`
    fn symfony(&mut self, at: usize) {
        let tokens = self.reader.tokens;
        let Some(text) = tokens.string(at) else { return };
        let of_environment = || text.split_once("%env(")?.1.split_once(")%").map(|one| one.0);
        let of_container = || text.strip_prefix('%')?.strip_suffix('%');
        let is_named = matches!(tokens.text(at.saturating_sub(2)), "env" | "param")
            && tokens.text(at.saturating_sub(4)) == "Autowire";
        let named = || Some(text).filter(|_| is_named);
        let Some(inner) = of_environment().or_else(of_container).or_else(named) else { return };
        let setting = inner.rsplit(':').next().unwrap_or(inner);
        let Some(class) = judge(setting) else { return };
        let mut site = self.site(Kind::EnvLoad, "env-load", at);
        site.name = Some(setting.to_owned());
        site.links = vec![link(setting, true)];
        site.class = class;
        let scope = self.reader.scope(at);
        site.scope = Some(scope);
        site.hot = if scope == Scope::Call { Hot::Unknown } else { Hot::No };
        site.source = Source::Environment;
        site.reason = Cow::Borrowed("the container resolves it when it makes the service");
        self.sites.found.push(site);
    }
}
