//! Places that get a key from outside the file: the environment, files, secret stores, and copies
//! of settings that outlive the call.

use std::collections::HashSet;

use super::files;
use super::flow::fits;
use super::out::{Loaded, Out};
use super::parse::ast::{self, Expr};
use super::parse::{Ranged, argument, keyword, tail, tail_start, text_of};
use super::resolve::{Callee, Names};
use super::scopes::{Bound, Into, Placed, ScopeId, Scopes};
use super::table::Rule;
use super::words;
use super::wraps::Wraps;
use crate::finding::{Class, Confidence, Kind, Scope, Source};
use crate::rules::Load;
use crate::site::{Hot, Reaches};

type Call<'a> = Placed<'a, ast::ExprCall>;

/// Names of the argument that names a setting.
const SETTING: [&str; 17] = [
    "request",
    "key",
    "name",
    "env",
    "var",
    "variable",
    "varname",
    "env_var",
    "option",
    "secret_name",
    "SecretId",
    "Name",
    "path",
    "file",
    "secret_id",
    "default_key",
    "username",
];

/// Locals that end on `self`, by their scope.
pub(super) fn kept_locals<'a>(scopes: &Scopes<'a>) -> HashSet<(ScopeId, &'a str)> {
    let mut found = HashSet::new();
    for ((_, _), sets) in &scopes.kept {
        for (scope, def) in sets {
            if let Bound::Value(value) = def.bound
                && let Some(local) = root_name(value)
            {
                found.insert((*scope, local));
            }
        }
    }
    found
}

/// The variable whose value an expression is, in whatever form.
pub(super) fn root_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Name(name) => Some(name.id.as_str()),
        Expr::Call(call) => match call.func.as_ref() {
            Expr::Attribute(method) if words::passes_receiver(method.attr.as_str()) => {
                root_name(&method.value)
            }
            func if tail(func).is_some_and(words::passes_argument) => {
                root_name(call.arguments.args.first()?)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whether a call loads a key by these rules, which it then says.
pub(super) fn at<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    wraps: &mut Wraps,
    placed: &Call<'a>,
    rules: &[&'a Rule],
) -> bool {
    let load = rules.iter().find_map(|rule| match rule {
        Rule::Load(load) if fits(load, placed.node) => Some(load),
        _ => None,
    });
    let Some(load) = load else { return false };
    let setting = argument(placed.node, Some(load.setting), &SETTING);
    let name = tail(&placed.node.func).unwrap_or_default();
    let opens = matches!(name, "open" | "open_file" | "read_text" | "read_bytes");
    if load.from == Source::File && (opens || load.call.starts_with("*.")) {
        files::at(names, out, wraps, placed, setting);
        return true;
    }
    if load.call.starts_with("*.") && setting.is_none() {
        return false;
    }
    let setting = setting.map(in_request);
    let is_named = setting.is_some_and(|setting| match load.from {
        Source::SecretStore => names_secret(names, setting, placed.scope),
        _ => ends_as_key(names, setting, placed.scope),
    });
    if let Some(parameter) = setting.and_then(|setting| parameter_in(names, setting, placed.scope))
        && !is_named
    {
        wraps.add(parameter.0, parameter.1, Reaches::Loader(load.from));
        return true;
    }
    let name = setting.and_then(|setting| setting_of(names, setting, placed.scope));
    let section = placed.node.arguments.args.first().filter(|_| load.setting == 1);
    let name = name.map(|name| of_section(section, name));
    let fallback = argument(placed.node, load.fallback, &load.fallback_keywords);
    if super::asked::gives_other(placed.node) {
        return true;
    }
    let at = tail_start(&placed.node.func);
    let sets = tail(&placed.node.func) == Some("setdefault") && placed.into == Into::Elsewhere;
    one(names, out, &placing(names, placed), at, name, load, fallback.map(|one| (one, sets)));
    true
}

/// `access_secret_version(request={"name": path})`
fn in_request(setting: &Expr) -> &Expr {
    let Expr::Dict(dict) = setting else { return setting };
    let named = dict
        .items
        .iter()
        .find(|item| item.key.as_ref().and_then(text_of).is_some_and(|key| key == "name"));
    named.map_or(setting, |item| &item.value)
}

/// Whether a path says which secret it is, whatever else it is made of.
fn names_secret(names: &Names<'_>, setting: &Expr, scope: ScopeId) -> bool {
    let path = setting_of(names, setting, scope).filter(|path| path.contains('/'));
    path.is_some_and(|path| path.split('/').any(|part| words::judge(part).is_some()))
}

/// Whether a name that is put together says at its end that it is one of a key:
/// `getenv(f"{prefix}_SECRET")`.
fn ends_as_key(names: &Names<'_>, setting: &Expr, scope: ScopeId) -> bool {
    matches!(setting, Expr::FString(_) | Expr::BinOp(_))
        && names.setting_name(setting, scope).is_some_and(|known| {
            known.starts_with('_')
                && words::judge_loaded(&known).is_some_and(|class| class != Class::Password)
        })
}

/// A bare name with the section in which it stands: `bot.token`.
fn of_section(section: Option<&Expr>, name: String) -> String {
    match section.and_then(text_of).filter(|_| matches!(name.as_str(), "key" | "token" | "secret"))
    {
        Some(section) => format!("{section}.{name}"),
        None => name,
    }
}

/// The name of the setting that is loaded. A variable with a name in small letters runs over names
/// of settings, and is none.
fn setting_of(names: &Names<'_>, expr: &Expr, scope: ScopeId) -> Option<String> {
    let is_variable = match expr {
        Expr::Name(name) => name.id.as_str().bytes().any(|byte| byte.is_ascii_lowercase()),
        _ => false,
    };
    if !is_variable {
        return names.setting_name(expr, scope);
    }
    let put_together = || {
        let Expr::Name(name) = expr else { return None };
        let (at, defs) = names.scopes.lookup(name.id.as_str(), scope)?;
        match defs.first().filter(|_| defs.len() == 1)?.bound {
            Bound::Value(value @ Expr::FString(_)) => names.setting_name(value, at),
            _ => None,
        }
    };
    names.text(expr, scope).or_else(put_together)
}

/// Where a load stands, and what becomes of it.
pub(super) struct Placing<'p> {
    scope: ScopeId,
    under: Option<&'p str>,
    into: Into,
    is_kept_local: bool,
}

pub(super) fn placing<'a, T>(names: &Names<'a>, placed: &Placed<'a, T>) -> Placing<'a> {
    let is_kept_local = placed.into == Into::Name
        && placed.under.is_some_and(|under| names.kept_locals.contains(&(placed.scope, under)));
    Placing { scope: placed.scope, under: placed.under, into: placed.into, is_kept_local }
}

pub(super) fn one(
    names: &Names<'_>,
    out: &mut Out<'_>,
    placing: &Placing<'_>,
    at: usize,
    name: Option<String>,
    load: &Load,
    fallback: Option<(&Expr, bool)>,
) {
    let under = placing.under.filter(|under| words::may_name_key(under));
    if is_only_asked(out, at)
        || is_of_switch(out, at)
        || placing.into == Into::Elsewhere && is_question(out, at)
    {
        return;
    }
    let of_store = |name: &str| {
        let mut parts = name.split('/').filter(|_| load.from == Source::SecretStore);
        parts.find_map(words::judge).filter(|class| *class != Class::Password)
    };
    let within = || {
        let by_path = name.as_deref().and_then(of_store);
        by_path.or_else(|| part_of_secret(out, at).filter(|_| load.from == Source::SecretStore))
    };
    let by_name = name.as_deref().and_then(words::judge_loaded).or_else(within);
    let is_bare = name.as_deref().is_some_and(|name| is_bare(load.from, placing, name));
    let by_place = under.and_then(words::judge).or(is_bare.then_some(Class::Credential));
    let is_about =
        name.as_deref().is_some_and(|name| words::may_name_key(name) && by_name.is_none())
            && !matches!(name.as_deref(), Some("token" | "key" | "secret" | "KEY"));
    let Some(class) = by_name.or(by_place.filter(|_| !is_about)) else { return };
    let name = name.or_else(|| under.map(str::to_owned)).unwrap_or_default();
    let (scope, hot) = when(names, placing, load.live);
    // A ring is asked at each use, wherever it was named.
    let hot = if load.from == Source::Ring { Hot::Yes } else { hot };
    if fallback.is_none_or(|(_, only_sets)| !only_sets) {
        out.load(&Loaded {
            at,
            rule: "python/env-load",
            name: &name,
            under: placing.under,
            class,
            source: load.from,
            scope,
            hot,
            confidence: if by_name.is_some() { Confidence::High } else { Confidence::Medium },
        });
    }
    let Some((fallback, _)) = fallback else { return };
    let fallback = match fallback {
        Expr::List(list) => list.elts.first().unwrap_or(fallback),
        other => other,
    };
    if text_of(fallback).is_some_and(|text| words::may_be_fallback(&text, &name)) {
        out.literal(fallback, "python/default-literal", Some(&name), class, scope);
    }
}

/// Whether what a constant of the environment gives is kept as a token, as by
/// `self.key = getenv("ACME")`.
fn is_bare(from: Source, placing: &Placing<'_>, name: &str) -> bool {
    let is_constant = !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_lowercase());
    let under = placing.under.unwrap_or_default().trim_matches('_').to_ascii_lowercase();
    let is_token = matches!(under.as_str(), "token" | "secret");
    from == Source::Environment
        && is_constant
        && !words::may_name_key(name)
        && (is_token || under == "key" && placing.into == Into::Kept)
}

/// `bool(os.environ.get("CLIENT_SECRET"))` only asks whether there is one.
fn is_only_asked(out: &Out<'_>, at: usize) -> bool {
    let before = out.file.text.get(at.saturating_sub(64)..at).unwrap_or_default();
    let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.');
    let before = before.trim_end_matches(is_part);
    before.ends_with("bool(") || before.ends_with("assert ")
}

/// `if os.environ.get("SECRET_KEY"):` only asks too; a comparison takes the value.
fn is_question(out: &Out<'_>, at: usize) -> bool {
    let line = out.file.text.get(at..).and_then(|rest| rest.split('\n').next()).unwrap_or_default();
    let compares = ["==", "!=", " in ", "compare"].iter().any(|sign| line.contains(sign));
    let ends = [":", "(", " and", " or"].iter().any(|end| line.trim_end().ends_with(end));
    !compares && ends && super::asked::is_condition(out, at)
}

/// Whether the call that begins there gives a switch or a number: `extract_bool("PROXY_AUTH")`.
fn is_of_switch(out: &Out<'_>, at: usize) -> bool {
    let rest = out.file.text.get(at..).unwrap_or_default();
    let name = rest.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).next();
    let words = crate::names::words(name.filter(|name| name.len() < 60).unwrap_or_default());
    let kinds = ["bool", "boolean", "flag", "float", "int", "integer"];
    words.iter().any(|word| kinds.contains(&word.as_str()))
}

/// The key that is taken out of a secret of several: `json.loads(…)["jwt_secret"]` in the line.
fn part_of_secret(out: &Out<'_>, at: usize) -> Option<Class> {
    let line = out.file.text.get(at..)?.split('\n').next()?;
    let parts = line.split("[\"").skip(1).chain(line.split("['").skip(1)).take(8);
    // `["SecretString"]` is what AWS calls the whole.
    parts
        .filter_map(|part| part.split(['"', '\'']).next())
        .filter(|name| !name.starts_with("Secret"))
        .find_map(words::judge)
        .filter(|class| *class != Class::Password)
}

/// When a load runs, and whether what it gives follows its source.
pub(super) fn when(names: &Names<'_>, placing: &Placing<'_>, live: bool) -> (Scope, Hot) {
    let lexical = names.when(placing.scope);
    let is_kept = placing.into == Into::Kept || placing.is_kept_local;
    let scope = if lexical == Scope::Call && is_kept { Scope::Instance } else { lexical };
    if scope != Scope::Call || names.gives_first_value(placing.scope) {
        return (scope, Hot::No);
    }
    let is_global = placing.into == Into::Name
        && placing.under.is_some_and(|under| names.scopes.rebound.contains(under));
    let is_factory = names.is_factory(placing.scope);
    let is_handed_on = matches!(placing.into, Into::Entry | Into::Argument);
    if is_global || (is_factory && is_handed_on) {
        return (scope, Hot::No);
    }
    let is_plain = !is_factory && placing.into != Into::Entry;
    if names.runs_at_start(placing.scope) {
        return (scope, Hot::No);
    }
    match names.runs_with_object(placing.scope) {
        Some(true) => return (scope, Hot::No),
        Some(false) => return (scope, Hot::Unknown),
        None => {}
    }
    (scope, if live && is_plain { Hot::Yes } else { Hot::Unknown })
}

/// A parameter of the enclosing function that an expression is made of.
pub(super) fn parameter_in(
    names: &Names<'_>,
    expr: &Expr,
    scope: ScopeId,
) -> Option<(ScopeId, usize)> {
    match expr {
        Expr::Name(name) => {
            let (at, defs) = names.scopes.lookup(name.id.as_str(), scope)?;
            defs.iter().find_map(|def| match def.bound {
                Bound::Parameter(place, _) => Some((at, place)),
                Bound::Value(value) if at == scope && !value.is_name_expr() => {
                    let is_own = value.range().contains(expr.start());
                    if is_own { None } else { parameter_in_value(names, value, scope) }
                }
                _ => None,
            })
        }
        other => parameter_in_value(names, other, scope),
    }
}

fn parameter_in_value(names: &Names<'_>, expr: &Expr, scope: ScopeId) -> Option<(ScopeId, usize)> {
    let plain = |expr: &Expr| match expr {
        Expr::Name(name) => {
            let (at, defs) = names.scopes.lookup(name.id.as_str(), scope)?;
            defs.iter().find_map(|def| match def.bound {
                Bound::Parameter(place, _) => Some((at, place)),
                _ => None,
            })
        }
        _ => None,
    };
    match expr {
        Expr::Name(_) => plain(expr),
        Expr::BinOp(sum) => parameter_in_value(names, &sum.left, scope)
            .or_else(|| parameter_in_value(names, &sum.right, scope)),
        Expr::FString(string) => string.value.elements().find_map(|part| match part {
            ast::InterpolatedStringElement::Interpolation(one) => plain(&one.expression),
            ast::InterpolatedStringElement::Literal(_) => None,
        }),
        Expr::Call(call) => match call.func.as_ref() {
            Expr::Attribute(method) if words::passes_receiver(method.attr.as_str()) => {
                parameter_in_value(names, &method.value, scope)
            }
            _ => call.arguments.args.iter().find_map(plain),
        },
        _ => None,
    }
}

/// A load by an index, such as `os.environ["X"]`, or a setting that is copied by one.
pub(super) fn indexed<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    wraps: &mut Wraps,
    placed: &Placed<'a, ast::ExprSubscript>,
) {
    let subscript = placed.node;
    if !subscript.ctx.is_load() {
        return;
    }
    let Some(load) = names.load_of(&subscript.value, placed.scope) else {
        let is_settings = names.reads_settings(&subscript.value, placed.scope);
        if is_settings
            && !is_text(&subscript.slice)
            && let Some((of, place)) = parameter_in(names, &subscript.slice, placed.scope)
        {
            wraps.add(of, place, Reaches::Loader(Source::Settings));
        }
        return;
    };
    if let Some((of, place)) = parameter_in(names, &subscript.slice, placed.scope)
        && !ends_as_key(names, &subscript.slice, placed.scope)
    {
        wraps.add(of, place, Reaches::Loader(load.from));
        return;
    }
    let name = setting_of(names, &subscript.slice, placed.scope);
    let section = match subscript.value.as_ref() {
        Expr::Subscript(outer) if !load.call.starts_with("json.") => Some(&*outer.slice),
        _ => None,
    };
    let name = name.map(|name| of_section(section, name));
    one(names, out, &placing(names, placed), subscript.start().to_usize(), name, load, None);
}

fn is_text(expr: &Expr) -> bool {
    text_of(expr).is_some() || expr.is_number_literal_expr()
}

/// A load by an attribute, such as `st.secrets.jwt_key`.
pub(super) fn attribute<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    placed: &Placed<'a, ast::ExprAttribute>,
) {
    let Some(load) = names.load_of(&placed.node.value, placed.scope) else { return };
    let name = Some(placed.node.attr.as_str().to_owned());
    let at = placed.node.attr.range.start().to_usize();
    one(names, out, &placing(names, placed), at, name, load, None);
}

/// A call of a function of the project that loads what an argument names.
pub(super) fn by_wrapper<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    wraps: &mut Wraps,
    placed: &Call<'a>,
    given: &'a Expr,
    from: Source,
    is_kept: bool,
) {
    if let Some((of, place)) = parameter_in(names, given, placed.scope) {
        wraps.add(of, place, Reaches::Loader(from));
        // A path may be made of an argument and still be named as that of a key.
        let is_key = |name| words::judge(name).is_some() || words::names_a_key_file(name);
        if from != Source::File || !tail(given).is_some_and(is_key) {
            return;
        }
    }
    let at = tail_start(&placed.node.func);
    if out.has(Kind::EnvLoad, at) || out.has(Kind::KeyUse, at) {
        return;
    }
    let place = placing(names, placed);
    let name = match from {
        Source::File => names.setting_name(given, placed.scope),
        _ => setting_of(names, given, placed.scope),
    };
    let Some(name) = name else { return };
    // A file's name that is no text is named by its variable.
    let function = tail(&placed.node.func).unwrap_or_default().trim_start_matches('_');
    let writes = ["create", "generate", "save", "store", "write"];
    if from == Source::File && writes.iter().any(|start| function.starts_with(start)) {
        return;
    }
    let is_key_file = || words::judge_path(&name).is_some() || words::names_a_key_file(&name);
    if from == Source::File && words::judge(&name).is_none() && !is_key_file() {
        return;
    }
    let is_lasting = names.when(placed.scope) != Scope::Call
        || matches!(place.into, Into::Kept | Into::Entry | Into::Item | Into::Setting)
        || place.is_kept_local;
    // A setting that is asked for by its name is loaded there.
    let is_named = text_of(given).is_some_and(|text| words::judge(&text).is_some())
        && !super::asked::is_condition(out, at);
    if from == Source::Settings && !is_lasting && !is_named {
        return;
    }
    let load = Load {
        call: String::new(),
        setting: 0,
        fallback: None,
        fallback_keywords: Vec::new(),
        from,
        live: !is_kept && from == Source::Environment,
    };
    let mut rest = placed.node.arguments.args.iter().filter(|argument| *argument != given);
    let fallback = rest
        .next()
        .filter(|one| text_of(one).is_some())
        .or_else(|| keyword(placed.node, "default"));
    let fallback = fallback.filter(|_| from != Source::File);
    one(names, out, &place, at, Some(name), &load, fallback.map(|one| (one, false)));
    if from == Source::File && !out.has(Kind::EnvLoad, at) {
        file_by_wrapper(names, out, placed, given);
    }
}

/// The same of a file that says by its path or its variable that a key is in it.
fn file_by_wrapper<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>, given: &'a Expr) {
    let text = names.text(given, placed.scope);
    let by_variable = text.is_none().then(|| tail(given)).flatten();
    let by_variable = by_variable.filter(|name| words::names_a_key_file(name));
    let path = text.or_else(|| by_variable.map(str::to_owned)).unwrap_or_default();
    let class = words::judge_path(&path).or(by_variable.map(|_| Class::Key));
    let Some(class) = class else { return };
    files::load(names, out, placed, (&path, class), false, Confidence::Medium);
}

/// A call of a function that no rule knows, whose name and argument say that it gives a key.
pub(super) fn by_stranger<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    wraps: &mut Wraps,
    placed: &Call<'a>,
    callee: &Callee,
) {
    let name = tail(&placed.node.func).unwrap_or_default();
    if callee.function.is_some() || callee.class.is_some() {
        return;
    }
    if let Some((given, path, class)) = files::read_by(names, placed, name) {
        if let Some((of, place)) = parameter_in(names, given, placed.scope) {
            wraps.add(of, place, Reaches::Loader(Source::File));
        }
        files::load(names, out, placed, (&path, class), false, Confidence::Low);
        return;
    }
    let Some(first) = placed.node.arguments.args.first() else { return };
    // `getattr(settings, "SHOP_" + name)` gives what the function is asked for.
    if name == "getattr"
        && tail(first).is_some_and(crate::shapes::holds_settings)
        && let Some(second) = placed.node.arguments.args.get(1)
        && let Some((of, place)) = parameter_in(names, second, placed.scope)
    {
        wraps.add(of, place, Reaches::Loader(Source::Settings));
        return;
    }
    if super::asked::by_accessor(names, out, placed, name, first) || placed.into == Into::Elsewhere
    {
        return;
    }
    if !words::may_load(name) && !gives_constant(placed, name) {
        return;
    }
    let key = match first {
        Expr::FString(_) => names.setting_name(first, placed.scope),
        other => names.text(other, placed.scope),
    };
    let Some(key) = key else { return };
    // An object that gives settings is called so in whatever function: `config("JWT_SECRET")`.
    let is_setting = matches!(name, "config" | "env" | "get_env" | "getenv" | "get_setting")
        && key.bytes().all(|byte| byte.is_ascii_uppercase() || b"_0123456789".contains(&byte))
        && words::judge(&key).is_some_and(|class| class != Class::Password);
    let is_speaking = name.to_ascii_lowercase().contains("secret") || words::may_name_key(&key);
    let place = placing(names, placed);
    let lexical = names.when(placed.scope);
    let is_lasting = lexical != Scope::Call
        || matches!(place.into, Into::Kept | Into::Entry | Into::Item | Into::Setting)
        || place.is_kept_local
        || is_setting;
    if !is_speaking || !is_lasting || place.into == Into::Elsewhere || key.contains(' ') {
        return;
    }
    if super::asked::gives_other(placed.node) {
        return;
    }
    let load = super::asked::accessor(Source::Unknown);
    let fallback = argument(placed.node, load.fallback, &load.fallback_keywords);
    let at = tail_start(&placed.node.func);
    one(names, out, &place, at, Some(key), &load, fallback.map(|one| (one, false)));
}

/// Whether a call by whatever name gives a constant that is named as a key; with the name of a key
/// as its argument it is a load.
fn gives_constant(placed: &Call<'_>, name: &str) -> bool {
    let is_constant = placed.under.is_some_and(|under| {
        under.bytes().all(|byte| !byte.is_ascii_lowercase()) && words::judge(under).is_some()
    });
    let is_other = ["column", "field", "relationship", "gettext", "_", "reverse", "lazy", "url"];
    is_constant
        && placed.into == Into::Name
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && !words::passes_argument(name)
        && !is_other.iter().any(|part| name == *part || (part.len() > 1 && name.contains(part)))
}
