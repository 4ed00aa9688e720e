//! Settings that are asked for by their name in a call that no rule knows: of an object that holds
//! settings, by a function that says so, and by any function under the name of a constant.

use std::borrow::Cow;

use super::loads::{one, placing};
use super::out::Out;
use super::parse::ast;
use super::parse::ast::Expr;
use super::parse::{argument, tail, tail_start, text_of};
use super::resolve::Names;
use super::scopes::{Into, Placed, ScopeId};
use super::words;
use crate::finding::{Class, Kind, Source};
use crate::rules::Load;
use crate::shapes;

type Call<'a> = Placed<'a, ast::ExprCall>;

/// The same of a function of this file of which nothing was told yet: what it reads it may have
/// from elsewhere.
pub(super) fn own<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) {
    let name = tail(&placed.node.func).unwrap_or_default();
    let at_name = tail_start(&placed.node.func);
    if placed.node.arguments.args.is_empty() {
        return;
    }
    if !shapes::asks_settings(name, None) || out.has(Kind::EnvLoad, at_name) {
        return;
    }
    let (rules, callee) = names.rules(placed.node, placed.scope);
    if callee.function.is_some() && rules.is_empty() {
        at(names, out, placed);
    }
}

/// A setting that a function by its name asks for: `get_app_config_value("APP_PEPPER", "none")`;
/// whether it is one of a key.
pub(super) fn at<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) -> bool {
    let name = tail(&placed.node.func).unwrap_or_default();
    let receiver = match placed.node.func.as_ref() {
        Expr::Attribute(method) => match method.value.as_ref() {
            // `Setting().get("signing_key")`
            Expr::Call(made) => tail(&made.func),
            other => tail(other),
        },
        _ => None,
    };
    let Some((place, key)) = named(names, placed, name, receiver) else { return false };
    let at = tail_start(&placed.node.func);
    let is_one = shapes::asked_for(&key).is_some() || place > 0 && is_loaded(last_part(&key));
    if !is_one || is_condition(out, at) || gives_other(placed.node) {
        return false;
    }
    let load = Load { fallback: Some(place.saturating_add(1)), ..accessor(Source::Settings) };
    let fallback = argument(placed.node, load.fallback, &load.fallback_keywords);
    // `get_from_dict_or_env(values, "shop_token", "SHOP_TOKEN")`
    let is_name = |text: &str| place > 0 && shapes::asked_for(text).is_some();
    let fallback = fallback.filter(|one| !text_of(one).is_some_and(|text| is_name(&text)));
    let place = placing(names, placed);
    one(names, out, &place, at, Some(key), &load, fallback.map(|one| (one, false)));
    true
}

/// The name of a setting among the arguments of what asks for it, and its place.
fn named<'a>(
    names: &Names<'a>,
    placed: &Call<'a>,
    name: &str,
    receiver: Option<&str>,
) -> Option<(usize, String)> {
    let given = &*placed.node.arguments.args;
    let first = given.first()?;
    let second = || Some((1, text_of(given.get(1)?)?.into_owned()));
    if name == "getattr" && receiver.is_none() {
        // Within another call it is only another way to write `settings.SECRET_KEY`.
        let is_given = placed.into != Into::Elsewhere;
        return second().filter(|_| is_given && tail(first).is_some_and(shapes::holds_settings));
    }
    // Odoo keeps its settings in rows, and asks for them by their paths.
    let is_row = name == "get_param" && text_of(first).is_some_and(|text| text.contains('.'));
    if is_row || asks_secrets(name, receiver) {
        return names.text(first, placed.scope).map(|key| (0, key));
    }
    if !shapes::asks_settings(name, receiver) {
        let told = names.text(first, placed.scope).filter(|key| gives(placed, name, key));
        return kept(name, given).or(told.map(|key| (0, key)));
    }
    let member = match first {
        Expr::Attribute(member) => Some(member.attr.as_str().to_owned()),
        _ => None,
    };
    let is_constant = |name: &String| !name.bytes().any(|byte| byte.is_ascii_lowercase());
    let key = names.text(first, placed.scope).or(member.filter(is_constant));
    if let Some(key) = key {
        let is_one = shapes::asked_for(&key).is_some();
        let of_part = in_path(placed, given).filter(|_| !is_one);
        return of_part.or(Some((0, key)));
    }
    // `read_configuration(session, "ENCRYPTION_KEY")`
    second().filter(|_| shapes::asks_settings(name, None))
}

/// Whether a call by its name asks a store of secrets: `read_secret("jwt/signing_key")`, and `get`
/// of something that is called a vault.
fn asks_secrets(name: &str, receiver: Option<&str>) -> bool {
    let speaks = |name: &str| words::has_part(name, &["secret", "vault", "ssm"]);
    if !speaks(name) && !receiver.is_some_and(speaks) {
        return false;
    }
    let words = crate::names::words(name);
    let asks = [
        "access", "fetch", "find", "get", "load", "lookup", "must", "read", "require", "resolve",
        "retrieve",
    ];
    let stores = ["secrets", "ssm", "vault", "secretsmanager", "keyvault"];
    let is_asked = words.first().is_some_and(|first| asks.contains(&first.as_str()));
    let of_name = || words.iter().any(|word| word == "secret" || stores.contains(&word.as_str()));
    let of_receiver = || {
        let on = receiver.map(crate::names::words).unwrap_or_default();
        let holds = ["manager", "store", "client", "service", "provider", "backend", "reader"];
        let is_store = on.iter().any(|word| word == "secret" || word == "secrets")
            && on.last().is_some_and(|last| holds.contains(&last.as_str()));
        is_store || on.last().is_some_and(|last| stores.contains(&last.as_str()))
    };
    is_asked && (of_name() || of_receiver())
}

/// `config.get("shop", "signing_key")`: a part of the settings, and one of its names; there may be
/// several parts.
fn in_path(placed: &Call<'_>, given: &[Expr]) -> Option<(usize, String)> {
    let texts: Vec<_> = given.iter().take(6).map(text_of).collect();
    // Behind the name of a variable of the environment stands what is taken without it.
    let is_variable = |text: &Cow<'_, str>| !text.bytes().any(|byte| byte.is_ascii_lowercase());
    if texts.first()?.as_ref().is_some_and(is_variable) {
        return None;
    }
    let (place, last) = texts.iter().enumerate().skip(1).find_map(|(place, text)| {
        let text = text.as_deref().filter(|text| is_loaded(text))?;
        Some((place, text.to_owned()))
    })?;
    let before = texts.get(place.checked_sub(1)?)?.as_deref();
    let is_bare = matches!(last.as_str(), "key" | "token" | "secret");
    let by_place = || placed.under.and_then(words::judge).is_some() || last != "key";
    match before {
        Some(before) if is_bare => by_place().then(|| (place, format!("{before}.{last}"))),
        _ => Some((place, last)),
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Whether a name within a part of the settings is that of a key.
fn is_loaded(name: &str) -> bool {
    matches!(name, "key" | "token" | "secret")
        || shapes::asked_for(name).is_some()
        || !name.contains(' ')
            && matches!(words::judge_loaded(name), Some(Class::Key | Class::Credential))
}

/// The name of the setting that a call is given: the first that is one, or else its first text.
pub(super) fn setting_in(
    names: &Names<'_>,
    call: &ast::ExprCall,
    scope: ScopeId,
) -> Option<String> {
    let given = &*call.arguments.args;
    let first = given.first().and_then(|first| names.text(first, scope));
    if first.as_deref().is_some_and(|first| shapes::asked_for(first).is_some()) {
        return first;
    }
    let texts = given.iter().skip(1).take(5).filter_map(text_of);
    let part = texts.map(Cow::into_owned).find(|text| shapes::asked_for(text).is_some());
    part.or(first)
}

/// The field that is asked for of settings in a database, and of secrets that are kept encrypted
/// there: `get_decrypted_password("Shop Settings", name, "webhook_secret")`.
fn kept(name: &str, given: &[Expr]) -> Option<(usize, String)> {
    let is_of_settings =
        || given.iter().filter_map(text_of).any(|text| text.ends_with(" Settings"));
    let is_one = match name {
        "get_password" | "get_decrypted_password" | "get_single_value" => true,
        "get_value" | "get_cached_value" | "get_values" => is_of_settings(),
        _ => false,
    };
    let texts = given.iter().take(4).enumerate().filter(|_| is_one);
    texts
        .filter_map(|(at, one)| Some((at, text_of(one)?.into_owned())))
        .find(|(_, text)| shapes::asked_for(text).is_some())
}

/// What loads the setting that its first argument names, and else gives its second.
pub(super) fn accessor(from: Source) -> Load {
    Load {
        call: String::new(),
        setting: 0,
        fallback: Some(1),
        fallback_keywords: vec!["default".to_owned()],
        from,
        live: false,
    }
}

/// A setting that an object of settings is asked for by its name: `config.get("SECRET_KEY")`.
pub(super) fn by_accessor<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    placed: &Call<'a>,
    name: &str,
    first: &'a Expr,
) -> bool {
    let Expr::Attribute(method) = placed.node.func.as_ref() else { return false };
    let asks = ["get", "get_value", "get_setting", "getstr", "get_string", "get_str", "require"];
    // A part of the settings has names of its own.
    if !asks.contains(&name)
        || method.value.is_call_expr()
        || !names.reads_settings(&method.value, placed.scope)
    {
        return false;
    }
    let Some(key) = names.text(first, placed.scope) else { return false };
    let at = tail_start(&placed.node.func);
    let class = words::judge(&key).or_else(|| {
        // `self.api_token = self.config.get("token")`
        let under = placed.under.filter(|_| placed.into == Into::Kept)?;
        matches!(key.as_str(), "token" | "key" | "secret").then(|| words::judge(under))?
    });
    let is_key = class.is_some_and(|class| class != Class::Password);
    if !is_key || is_condition(out, at) {
        return false;
    }
    let load = accessor(Source::Settings);
    let fallback = argument(placed.node, load.fallback, &load.fallback_keywords);
    one(
        names,
        out,
        &placing(names, placed),
        at,
        Some(key),
        &load,
        fallback.map(|one| (one, false)),
    );
    true
}

/// Whether a place stands in the condition of its line, and not in a call there.
pub(super) fn is_condition(out: &Out<'_>, at: usize) -> bool {
    let text = out.file.text;
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
    let before = text.get(start..at).unwrap_or_default().trim_start();
    let asks = ["if ", "elif ", "while ", "assert "].iter().any(|word| before.starts_with(word));
    let count = |sign: char| before.chars().filter(|letter| *letter == sign).count();
    asks && !before.contains(":=") && count('(') <= count(')')
}

/// Words of functions that do something else with a name than to give what it names.
const OTHERS: &[&str] = &[
    "add",
    "append",
    "assert",
    "assertion",
    "check",
    "column",
    "contains",
    "count",
    "debug",
    "define",
    "del",
    "delattr",
    "delenv",
    "delete",
    "discard",
    "endswith",
    "ensure",
    "error",
    "exception",
    "exists",
    "fail",
    "field",
    "format",
    "gettext",
    "has",
    "hasattr",
    "header",
    "index",
    "info",
    "insert",
    "is",
    "join",
    "label",
    "lazy",
    "log",
    "mock",
    "override",
    "patch",
    "pop",
    "print",
    "prompt",
    "put",
    "raise",
    "register",
    "remove",
    "replace",
    "reverse",
    "save",
    "set",
    "setattr",
    "setdefault",
    "setenv",
    "skip",
    "split",
    "startswith",
    "store",
    "strip",
    "test",
    "translate",
    "unset",
    "update",
    "url",
    "validate",
    "warn",
    "warning",
    "write",
];

/// Words of those that give it.
const GIVES: &[&str] = &[
    "conf",
    "config",
    "env",
    "environ",
    "fetch",
    "get",
    "load",
    "lookup",
    "option",
    "param",
    "parameter",
    "read",
    "require",
    "required",
    "secret",
    "secrets",
    "setting",
    "settings",
    "value",
    "var",
    "variable",
    "vault",
];

/// Whether a call says that it gives a switch or a number: `config("STORE_TOKEN", cast=bool)`.
pub(super) fn gives_other(call: &ast::ExprCall) -> bool {
    let says = |keyword: &ast::Keyword| match keyword.arg.as_deref() {
        Some("cast" | "type" | "parser") => {
            matches!(tail(&keyword.value), Some("bool" | "int" | "float"))
        }
        Some("default" | "fallback") => is_true(&keyword.value),
        _ => false,
    };
    call.arguments.keywords.iter().any(says) || call.arguments.args.get(1).is_some_and(is_true)
}

fn is_true(given: &Expr) -> bool {
    given.is_number_literal_expr()
        || matches!(given, Expr::BooleanLiteral(literal) if literal.value)
}

/// Whether any function that is given the name of a constant gives what it names:
/// `cv("SHOP_SIGNING_KEY", app)`. What is only called, or is a class, must say more.
fn gives(placed: &Call<'_>, name: &str, key: &str) -> bool {
    let is_constant = key.contains('_') && !key.bytes().any(|byte| byte.is_ascii_lowercase());
    // Whatever is a dictionary has a `get`.
    if !is_constant || matches!(name, "" | "get" | "getlist") || name.starts_with("__") {
        return false;
    }
    let words = crate::names::words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let is_class = name.starts_with(|letter: char| letter.is_ascii_uppercase()) && name.len() > 2;
    let is_put = placed.into != Into::Elsewhere;
    !words.is_empty() && !has(OTHERS) && ((is_put && !is_class) || has(GIVES))
}
