//! Settings that are asked for by their name in a call that no rule knows: of an object that holds
//! settings, by a function that says so, and by any function under the name of a constant.

use super::loads::{one, placing};
use super::out::Out;
use super::parse::ast;
use super::parse::ast::Expr;
use super::parse::{argument, tail, tail_start, text_of};
use super::resolve::Names;
use super::scopes::{Into, Placed};
use super::words;
use crate::finding::{Class, Kind, Source};
use crate::rules::Load;
use crate::shapes;

type Call<'a> = Placed<'a, ast::ExprCall>;

/// The same of a function of this file of which nothing was told yet: what it reads it may have from
/// elsewhere.
pub(super) fn own<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) {
    let name = tail(&placed.node.func).unwrap_or_default();
    let at_name = tail_start(&placed.node.func);
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
    if shapes::asked_for(&key).is_none() || is_condition(out, at) {
        return false;
    }
    let load = accessor(Source::Settings);
    let fallback = match place {
        0 => argument(placed.node, load.fallback, &load.fallback_keywords),
        _ if name == "getattr" => placed.node.arguments.args.get(2),
        _ => None,
    };
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
        // `config.get("shop", "signing_key")`: a part of the settings, and one of its names.
        let is_part = shapes::asked_for(&key).is_none() && receiver.is_some();
        let of_part = second().filter(|(_, key)| is_part && shapes::asked_for(key).is_some());
        return of_part.or(Some((0, key)));
    }
    // `read_configuration(session, "ENCRYPTION_KEY")`
    second().filter(|_| shapes::asks_settings(name, None))
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

/// Whether any function that is given the name of a constant gives what it names:
/// `cv("SHOP_SIGNING_KEY", app)`. What is only called, or is a class, must say more.
fn gives(placed: &Call<'_>, name: &str, key: &str) -> bool {
    let is_constant = key.contains('_') && !key.bytes().any(|byte| byte.is_ascii_lowercase());
    if !is_constant || name.is_empty() || name.starts_with("__") {
        return false;
    }
    let words = crate::names::words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let is_class = name.starts_with(|letter: char| letter.is_ascii_uppercase()) && name.len() > 2;
    let is_put = placed.into != Into::Elsewhere;
    !words.is_empty() && !has(OTHERS) && ((is_put && !is_class) || has(GIVES))
}
