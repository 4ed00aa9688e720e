//! Settings that are declared: options of commands and entries of schemas that say which variable
//! gives them, traits that a configuration sets, and literals that are declared as their values.

use std::borrow::Cow;

use super::out::{Loaded, Out};
use super::parse::ast::{self, Expr};
use super::parse::{Ranged, argument, keyword, tail, tail_start, text_of};
use super::resolve::Names;
use super::scopes::{Body, Into, Placed};
use super::words;
use crate::finding::{Class, Confidence, Scope, Source};
use crate::shapes;
use crate::site::Hot;

type Call<'a> = Placed<'a, ast::ExprCall>;

/// What a call declares.
pub(super) fn at<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) {
    variable(names, out, placed);
    value(names, out, placed);
    if placed.into == Into::Name {
        in_trait(names, out, placed);
    }
    schema(names, out, placed);
    variables(names, out, placed);
}

/// An option of a command or an entry of a schema that says which variable of the environment gives
/// its value: `@click.option("--secret-key", envvar="APP_SECRET_KEY")`.
fn variable<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) {
    let says = ["envvar", "env_var", "environ_name", "env_name", "env_key"];
    let said = says.iter().find_map(|name| keyword(placed.node, name)).and_then(text_of);
    // typedconfig names a setting as the field is named.
    let is_field = tail(&placed.node.func) == Some("key")
        && names.dotted(&placed.node.func, placed.scope).as_deref() == Some("typedconfig.key");
    let under = || placed.under.filter(|_| is_field).map(Cow::Borrowed);
    let secret = || secret_of(placed);
    let Some(text) = said.or_else(|| variable_of(placed)).or_else(under).or_else(secret) else {
        return;
    };
    let Some(class) = words::judge_loaded(&text) else { return };
    let at = tail_start(&placed.node.func);
    out.load(&Loaded {
        at,
        rule: "python/env-declared",
        name: &text,
        under: placed.under,
        class,
        source: Source::Environment,
        scope: names.when(placed.scope),
        hot: Hot::No,
        confidence: Confidence::Medium,
    });
}

/// An option that is declared to be secret: `Opt("auth_key", secret=True)`.
fn secret_of<'a>(placed: &Call<'a>) -> Option<Cow<'a, str>> {
    if placed.node.arguments.keywords.is_empty() {
        return None;
    }
    let says = ["secret", "sensitive", "is_secret", "is_sensitive"];
    let is_secret = says
        .iter()
        .filter_map(|name| keyword(placed.node, name))
        .any(|given| matches!(given, Expr::BooleanLiteral(given) if given.value));
    let name = placed.node.arguments.args.first().filter(|_| is_secret).and_then(text_of)?;
    let is_plain = !name.starts_with('-') && !name.contains(' ');
    is_plain.then_some(name)
}

/// `settings.set("secret_key", "SECRET_KEY")`: a setting, and the variable that gives it.
fn variable_of<'a>(placed: &Call<'a>) -> Option<Cow<'a, str>> {
    let Expr::Attribute(method) = placed.node.func.as_ref() else { return None };
    let holder = tail(&method.value)?.to_ascii_lowercase();
    let [setting, variable, ..] = &*placed.node.arguments.args else { return None };
    let (setting, variable) = (text_of(setting)?, text_of(variable)?);
    let is_constant = !variable.bytes().any(|byte| byte.is_ascii_lowercase());
    let is_one = method.attr.as_str() == "set"
        && (holder.contains("settings") || holder.contains("config"))
        && is_constant
        && crate::names::folded(&variable).ends_with(&crate::names::folded(&setting));
    is_one.then_some(variable)
}

/// The literal that is declared as the value of a setting: `Config.define("SECRET_KEY", "none")`.
fn value<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) {
    let Expr::Attribute(method) = placed.node.func.as_ref() else { return };
    let holder = tail(&method.value).unwrap_or_default().to_ascii_lowercase();
    let declares = ["define", "register", "add_option", "declare", "set_default", "setdefault"];
    let is_settings =
        ["config", "settings", "options", "conf"].iter().any(|end| holder.ends_with(end));
    let [setting, value, ..] = &*placed.node.arguments.args else { return };
    if !is_settings || !declares.contains(&method.attr.as_str()) {
        return;
    }
    let (Some(setting), Some(text)) = (text_of(setting), text_of(value)) else { return };
    let Some(class) = shapes::asked_for(&setting) else { return };
    if words::may_be_value(&text, &setting) {
        let scope = names.when(placed.scope);
        out.literal(value, "python/default-literal", Some(&setting), class, scope);
    }
}

/// A trait that a configuration sets: `api_token = Unicode(config=True)`, and with a tag.
fn in_trait<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) {
    let Some(under) = placed.under.filter(|under| words::may_name_key(under)) else { return };
    let is_set = |call: &ast::ExprCall| {
        keyword(call, "config").is_some_and(|given| match given {
            Expr::BooleanLiteral(given) => given.value,
            _ => false,
        })
    };
    if !is_set(placed.node) || !matches!(names.scopes.body(placed.scope), Body::Class(_)) {
        return;
    }
    let made = match placed.node.func.as_ref() {
        Expr::Attribute(tag) if tag.attr.as_str() == "tag" => match tag.value.as_ref() {
            Expr::Call(made) => made,
            _ => return,
        },
        _ => placed.node,
    };
    let others = ["Bool", "CBool", "Int", "Integer", "Float", "Callable", "Instance", "Type"];
    let is_other = tail(&made.func).is_some_and(|name| others.contains(&name));
    let Some(class) = words::judge_loaded(under).filter(|_| !is_other) else { return };
    if !matches!(class, Class::Key | Class::Credential | Class::Public) {
        return;
    }
    out.load(&Loaded {
        at: made.start().to_usize(),
        rule: "python/settings-field",
        name: under,
        under: placed.under,
        class,
        source: Source::Settings,
        scope: Scope::Class,
        hot: Hot::No,
        confidence: Confidence::Medium,
    });
    let first = argument(made, Some(0), &["default_value"]);
    if let Some(first) = first
        && text_of(first).is_some_and(|text| words::may_be_value(&text, under))
    {
        out.literal(first, "python/default-literal", Some(under), class, Scope::Class);
    }
}

/// The variables that an object of the environment declares: `Environment(SECRET_KEY=str)`.
fn variables<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) {
    let name = tail(&placed.node.func).unwrap_or_default();
    if placed.node.arguments.keywords.is_empty() || !words::has_part(name, &["env"]) {
        return;
    }
    for given in placed.node.arguments.keywords.iter().take(200) {
        let (Some(variable), Expr::Name(kind)) = (&given.arg, &given.value) else { continue };
        let is_constant = !variable.bytes().any(|byte| byte.is_ascii_lowercase());
        let is_text = matches!(kind.id.as_str(), "str" | "bytes");
        let Some(class) = words::judge_loaded(variable).filter(|_| is_constant && is_text) else {
            continue;
        };
        out.load(&Loaded {
            at: variable.range.start().to_usize(),
            rule: "python/env-declared",
            name: variable,
            under: None,
            class,
            source: Source::Environment,
            scope: names.when(placed.scope),
            hot: Hot::No,
            confidence: Confidence::Medium,
        });
    }
}

/// The literals of a schema of settings: `environ.Env(SECRET_KEY=(str, "none"))`.
fn schema<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Call<'a>) {
    if !matches!(tail(&placed.node.func), Some("Env" | "FileAwareEnv")) {
        return;
    }
    for given in &placed.node.arguments.keywords {
        let (Some(name), Expr::Tuple(pair)) = (given.arg.as_deref(), &given.value) else {
            continue;
        };
        let Some(class) = words::judge(name) else { continue };
        if let Some(last) = pair.elts.get(1)
            && text_of(last).is_some_and(|text| words::may_be_value(&text, name))
        {
            let scope = names.when(placed.scope);
            out.literal(last, "python/default-literal", Some(name), class, scope);
        }
    }
}
