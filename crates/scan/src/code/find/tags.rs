//! What structs of Go declare by their tags, and flags of commands in Go.

use std::borrow::Cow;

use crate::finding::{Class, Scope, Source};
use crate::names;

use super::super::facts::Form;
use super::super::reader::judge;
use super::super::token::Kind;
use super::super::value::Origin;
use super::Finder;
use super::literals::is_plausible;

/// How far before a field the struct begins, in tokens that stand in no brackets.
const STRUCT_TOKENS_MAX: usize = 2000;

/// How many structs within structs are looked at.
const NEST_MAX: usize = 6;

/// How far a flag's description reaches.
const FLAG_TOKENS_MAX: usize = 60;

/// Types that no key has.
const OTHER_TYPES: &[&str] = &[
    "bool", "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32",
    "uint64", "float32", "float64", "Duration", "URL", "Time",
];

/// Last words of the names of types that only say that they are settings.
const OF_SETTINGS: &[&str] = &[
    "cfg",
    "command",
    "conf",
    "config",
    "configuration",
    "env",
    "flags",
    "group",
    "options",
    "opts",
    "params",
    "properties",
    "props",
    "section",
    "settings",
    "spec",
];

/// Tags whose value is the name of a variable.
const OF_ENVIRONMENT: &[&str] = &["env", "envconfig"];

/// Tags whose value is the name of a setting.
const OF_FILES: &[&str] = &["mapstructure", "koanf", "conf"];

/// Tags whose value is taken where there is none.
const DEFAULTS: &[&str] = &["envDefault", "env-default", "default"];

/// Where a field stands.
struct Place<'a> {
    scope: Scope,
    /// The name of what its struct is a part of, as the environment has it.
    above: Vec<&'a str>,
}

impl<'a> Finder<'_, '_, 'a> {
    /// `env:"JWT_SECRET" envDefault:"…"`
    pub(super) fn struct_tag(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let text = tokens.text(at);
        self.flag(at);
        if !text.starts_with('`') || !text.contains(":\"") || text.len() > 1024 {
            return;
        }
        let first = (1..8)
            .filter_map(|back| at.checked_sub(back))
            .find(|field| tokens.starts_line(*field))
            .filter(|field| tokens.is_word(*field));
        let Some(first) = first else { return };
        let is_other = OTHER_TYPES.contains(&tokens.text(at - 1)) && tokens.before(at - 1) != "]";
        if is_other {
            return;
        }
        let field = tokens.text(first);
        let by_field = judge(field);
        let default = DEFAULTS.iter().find_map(|tag| value_of(text, tag));
        let Some((setting, is_variable)) = setting_of(text) else {
            // Whatever loads it: `yaml:"secret" default:"literal"`.
            if let (Some(class), Some(default)) = (by_field, default)
                && is_plausible(field, default)
            {
                self.hardcoded_default(at, default, field, class);
            }
            return;
        };
        let place = self.place_of_field(first);
        let own = || is_variable.then(|| own_name(setting, &place.above)).flatten();
        let class = judge(setting).or(by_field).or_else(own);
        let Some(class) = class.filter(|class| *class != Class::Password) else { return };
        let name = if setting.is_empty() { field } else { setting };
        self.setting_of_class(at, name, class, Some(field));
        if let Some(site) = self.sites.found.last_mut() {
            site.source = Source::Environment;
            site.scope = Some(place.scope);
            site.reason = Cow::Borrowed("the configuration is read once into the struct, and kept");
        }
        // `env:"JWT_SECRET,default=secret"`
        let within =
            || value_of(text, "env")?.split(',').find_map(|one| one.strip_prefix("default="));
        let is_one = |default: &&str| is_plausible(name, default) || *default == "secret";
        if let Some(default) = default.or_else(within).filter(is_one) {
            self.hardcoded_default(at, default, name, class);
        }
    }

    /// Where a field stands: in a type, or in the struct of a variable.
    fn place_of_field(&self, field: usize) -> Place<'a> {
        let tokens = self.reader.tokens;
        let mut place = Place { scope: Scope::Class, above: Vec::new() };
        let mut at = field;
        for _ in 0..NEST_MAX {
            let Some(open) = self.brace_before(at) else { return place };
            let is_struct = tokens.before(open) == "struct";
            let Some(name) = open.checked_sub(2).filter(|_| is_struct) else { return place };
            let close = tokens.mate(open).unwrap_or(open);
            let tag = tokens.text(close + 1);
            let prefix = ["env-namespace", "envPrefix"]
                .iter()
                .find_map(|tag_name| value_of(tag, tag_name).filter(|_| tag.starts_with('`')));
            if tokens.is(name, ":=") || tokens.is(name, "=") {
                place.scope = self.reader.scope(name);
                return place;
            }
            place.above.push(prefix.unwrap_or_else(|| tokens.text(name)));
            if tokens.before(name) == "var" {
                place.scope = self.reader.scope(name);
                return place;
            }
            if tokens.before(name) == "type" {
                return place;
            }
            at = name;
        }
        place
    }

    /// The brace in which a token stands.
    fn brace_before(&self, at: usize) -> Option<usize> {
        let tokens = self.reader.tokens;
        let mut at = at;
        for _ in 0..STRUCT_TOKENS_MAX {
            at = at.checked_sub(1)?;
            match tokens.kind(at)? {
                Kind::Close => at = tokens.mate(at).filter(|mate| *mate < at)?,
                Kind::Open => return tokens.is(at, "{").then_some(at),
                _ => {}
            }
        }
        None
    }

    /// `EnvVars: []string{"JWT_SECRET"}` of a flag
    fn flag(&mut self, at: usize) {
        let tokens = self.reader.tokens;
        let Some(setting) = tokens.string(at) else { return };
        let is_flag = (2..7).filter_map(|back| at.checked_sub(back)).any(|before| {
            matches!(tokens.text(before), "EnvVars" | "EnvVar") && tokens.is(before + 1, ":")
                || matches!(tokens.text(before), "EnvVars" | "Envar" | "OverrideDefaultFromEnvar")
                    && tokens.is(before + 1, "(")
        });
        let Some(class) = judge(setting).filter(|class| *class != Class::Password && is_flag)
        else {
            return;
        };
        self.setting_of_class(at, setting, class, None);
        if let Some(site) = self.sites.found.last_mut() {
            site.source = Source::Environment;
            site.scope = Some(self.reader.scope(at));
        }
        // `Value: "literal"` beside it.
        let Some(open) = self.brace_before(at).and_then(|open| {
            if tokens.text(open.saturating_sub(1)) == "string" {
                self.brace_before(open)
            } else {
                Some(open)
            }
        }) else {
            return;
        };
        let end = tokens.past(open).min(open + FLAG_TOKENS_MAX);
        let value = (open..end)
            .find(|at| tokens.text(*at) == "Value" && tokens.is(at + 1, ":"))
            .map(|at| at + 2);
        if let Some(value) = value
            && tokens.string(value).is_some_and(|text| is_plausible(setting, text))
        {
            self.hardcoded(value, "default-literal", Some(setting), class);
        }
    }

    /// `flags.StringVar(&secret, "jwt-secret", "", "…")`: an option of a command gives a key.
    pub(super) fn option(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let position = match tokens.text(at) {
            "String" | "StringP" | "StringSlice" => 0,
            "StringVar" | "StringVarP" | "StringSliceVar" => 1,
            _ => return,
        };
        let Some(dot) = at.checked_sub(1).filter(|dot| reader.is_dot(*dot)) else { return };
        let holder = match tokens.mate(dot.saturating_sub(1)) {
            Some(open) if tokens.is(dot - 1, ")") => open.saturating_sub(1),
            _ => dot.saturating_sub(1),
        };
        let of = tokens.text(holder).to_ascii_lowercase();
        if !(of.ends_with("flag") || of.ends_with("flags") || of.ends_with("flagset") || of == "fs")
        {
            return;
        }
        let Some(arguments) = reader.arguments(at).filter(|all| all.len() > position + 1) else {
            return;
        };
        let Some((named, _)) = arguments.get(position).copied() else { return };
        let Some(name) = tokens.string(named) else { return };
        let class = judge(name).filter(|class| matches!(class, Class::Key | Class::Credential));
        let Some(class) = class else { return };
        let default =
            arguments.get(if tokens.text(at).ends_with('P') { position + 2 } else { position + 1 });
        let default = default.copied().filter(|(from, to)| from + 1 == *to);
        // What the environment gives where there is no option is told there.
        let is_told = arguments
            .get(position + 1)
            .is_some_and(|(from, to)| (*from..*to).any(|at| self.reader.load_rule(at).is_some()));
        if !is_told {
            let scope = self.scope_of(at, None);
            self.setting_of_class(reader.chain(at).1, name, class, None);
            if let Some(site) = self.sites.found.last_mut() {
                site.source = Source::Argument;
                site.scope = Some(scope);
                site.reason = Cow::Borrowed("the command is given it once, when it starts");
            }
        }
        if let Some((value, _)) = default
            && tokens.string(value).is_some_and(|text| is_plausible(name, text))
        {
            self.hardcoded(value, "default-literal", Some(name), class);
        }
    }

    /// `return &Agent{apiKey: conf.Server.ApiKey}`: what a function makes that is named for it
    /// keeps a copy of the setting.
    pub(super) fn kept_by_maker(&mut self) {
        let reader = self.reader;
        let tokens = reader.tokens;
        for definition in reader.facts.definitions.iter().filter(|one| one.form == Form::Entry) {
            let name = reader.defined_name(definition);
            let Some(class) = judge(name) else { continue };
            if !matches!(class, Class::Key | Class::Credential) {
                continue;
            }
            let frame = reader.tree.frame(reader.tree.at(definition.name));
            let function = frame.and_then(|frame| frame.name).map_or("", |at| tokens.text(at));
            let is_maker = ["New", "new", "Make", "make", "Create", "create", "Build", "build"]
                .iter()
                .any(|verb| function.starts_with(verb))
                || ["Constructor", "Factory"].iter().any(|end| function.ends_with(end));
            let end = super::super::tree::expression_end(tokens, reader.dialect, definition.value);
            if !is_maker || !self.is_of_own_struct(definition.name) {
                continue;
            }
            if (definition.value..end).any(|at| self.loads.contains(&at)) {
                continue;
            }
            let value = reader.value((definition.value, end));
            let of_settings = (definition.value..end.saturating_sub(1))
                .any(|at| tokens.is_word(at) && reader.is_dot(at + 1) && self.is_settings(at));
            let origin = value.names.last().copied().unwrap_or_default();
            let is_setting = matches!(value.origin, Origin::Setting { .. } | Origin::Unknown);
            if of_settings && is_setting && judge(origin).is_some() {
                self.copied_setting(definition, (origin, name), class, Scope::Instance);
            }
        }
    }

    /// Whether an entry stands in a literal of a struct of this package that no call takes.
    fn is_of_own_struct(&self, entry: usize) -> bool {
        let tokens = self.reader.tokens;
        let Some(open) = self.brace_before(entry) else { return false };
        let Some(of) = open.checked_sub(1).filter(|of| tokens.is_word(*of)) else { return false };
        let is_own = !self.reader.is_dot(of.saturating_sub(1));
        let last = names::words(tokens.text(of)).pop().unwrap_or_default();
        let before = match tokens.before(of) {
            "&" => tokens.text(of.saturating_sub(2)),
            before => before,
        };
        is_own && !OF_SETTINGS.contains(&last.as_str()) && matches!(before, "return" | "=" | ":=")
    }
}

/// The value of a tag: `env:"NAME"`.
fn value_of<'t>(text: &'t str, tag: &str) -> Option<&'t str> {
    let from = text.find(&format!("{tag}:\""))?;
    let before = text.as_bytes().get(from.checked_sub(1)?);
    let is_whole = before.is_some_and(|byte| matches!(byte, b'`' | b' ' | b'\t'));
    let value = text.get(from + tag.len() + 2..)?.split('"').next()?;
    is_whole.then_some(value)
}

/// The setting that the tags of a field name, and whether it is a variable of the environment.
fn setting_of(text: &str) -> Option<(&str, bool)> {
    let first = |value: &'_ str| value.split(',').next().unwrap_or_default().len();
    for tag in OF_ENVIRONMENT {
        if let Some(value) = value_of(text, tag) {
            return Some((value.get(..first(value)).unwrap_or_default(), true));
        }
    }
    // `kong:"name='api-key',env='API_KEY'"`
    if let Some(kong) = value_of(text, "kong")
        && let Some((_, rest)) = kong.split_once("env='")
    {
        return Some((rest.split('\'').next().unwrap_or_default(), true));
    }
    for tag in OF_FILES {
        if let Some(value) = value_of(text, tag) {
            return Some((value.get(..first(value)).unwrap_or_default(), false));
        }
    }
    // What `envconfig` names by the field itself.
    value_of(text, "split_words").map(|_| ("", true))
}

/// What a variable of little name holds by what its struct is a part of: `TOKEN` below `TELEGRAM`.
fn own_name(setting: &str, above: &[&str]) -> Option<Class> {
    let whole = if matches!(setting, "TOKEN" | "KEY") {
        let mut of = names::words(above.first()?);
        while of.len() > 1 && of.last().is_some_and(|last| OF_SETTINGS.contains(&last.as_str())) {
            of.pop();
        }
        format!("{}_{setting}", of.join("_").to_ascii_uppercase())
    } else {
        setting.to_owned()
    };
    crate::config::entry_class(&whole)
        .filter(|class| matches!(class, Class::Key | Class::Credential))
}
