//! Classes whose fields are settings: each field that is named as a key is loaded from the
//! environment when an object of the class is made. Models of requests and rows are none.

use super::out::{Loaded, Out};
use super::parse::ast::{self, Expr};
use super::parse::{Ranged, keyword, tail, text_of};
use super::resolve::Names;
use super::scopes::{Body, ScopeId};
use super::words;
use crate::finding::{Confidence, Scope, Source};
use crate::site::Hot;

/// The fields of a class of settings.
pub(super) fn field<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    scope: ScopeId,
    field: &'a ast::StmtAnnAssign,
) {
    let Expr::Name(name) = field.target.as_ref() else { return };
    let name = name.id.as_str();
    if !words::may_name_key(name) || !is_settings(names, scope) || is_class_var(&field.annotation) {
        return;
    }
    let (alias, default) = described(field.value.as_deref());
    let alias = alias.map(std::borrow::Cow::into_owned);
    let prefix = prefix_of(names, scope).unwrap_or_default();
    let full = alias.unwrap_or_else(|| format!("{prefix}{name}"));
    let Some(class) = words::judge_loaded(name).or_else(|| words::judge_loaded(&full)) else {
        return;
    };
    // What `SESSION_COOKIE_KEY` names is a cookie, when its default says so.
    if default.and_then(text_of).is_some_and(|text| words::is_slot_name(&text, name)) {
        return;
    }
    out.load(&Loaded {
        at: field.start().to_usize(),
        rule: "python/settings-field",
        name: &full,
        under: Some(name),
        class,
        source: Source::Environment,
        scope: Scope::Class,
        hot: Hot::No,
        confidence: Confidence::High,
    });
    let Some(default) = default else { return };
    if text_of(default).is_some_and(|text| words::may_be_value(&text, name)) {
        out.literal(default, "python/default-literal", Some(&full), class, Scope::Class);
    }
}

/// What a field says of its name in the environment and of its default.
fn described(value: Option<&Expr>) -> (Option<std::borrow::Cow<'_, str>>, Option<&Expr>) {
    let Some(value) = value else { return (None, None) };
    let Expr::Call(call) = value else { return (None, Some(value)) };
    match tail(&call.func) {
        Some("Field" | "field" | "ib" | "attrib" | "var" | "secret") => {
            let names = ["env", "validation_alias", "alias", "name"];
            let alias =
                names.iter().find_map(|name| keyword(call, name)).and_then(|alias| match alias {
                    Expr::Call(choices) => choices.arguments.args.first().and_then(text_of),
                    other => text_of(other),
                });
            let default = keyword(call, "default").or_else(|| call.arguments.args.first());
            (alias, default.map(unwrapped))
        }
        _ => (None, Some(unwrapped(value))),
    }
}

fn unwrapped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Call(call) if tail(&call.func).is_some_and(words::passes_argument) => {
            call.arguments.args.first().map_or(expr, unwrapped)
        }
        other => other,
    }
}

fn is_class_var(annotation: &Expr) -> bool {
    let expr = if let Expr::Subscript(of) = annotation { &of.value } else { annotation };
    matches!(tail(expr), Some("ClassVar" | "property" | "bool" | "int" | "timedelta"))
}

/// Whether a class takes its fields from the environment.
fn is_settings(names: &Names<'_>, scope: ScopeId) -> bool {
    let bases = names.bases(scope);
    bases.iter().any(|base| {
        base.ends_with("BaseSettings")
            || (base.ends_with("Settings") && !base.ends_with("UserSettings"))
            || matches!(
                base.as_str(),
                "EnvConfig" | "BaseConfig" | "SettingsBase" | "EnvSettingsBase"
            )
    }) || is_environ_config(names, scope)
}

/// `@environ.config` of environ-config, and `@ts.settings` of typed-settings.
fn is_environ_config(names: &Names<'_>, scope: ScopeId) -> bool {
    let Body::Class(class) = names.scopes.body(scope) else { return false };
    class.decorator_list.iter().any(|decorator| {
        let expr = match &decorator.expression {
            Expr::Call(call) => call.func.as_ref(),
            other => other,
        };
        let dotted = names.dotted(expr, names.scopes.parent(scope));
        matches!(dotted.as_deref(), Some("environ.config" | "typed_settings.settings"))
    })
}

/// `env_prefix` of pydantic's settings, of both its versions.
fn prefix_of(names: &Names<'_>, scope: ScopeId) -> Option<String> {
    let Body::Class(class) = names.scopes.body(scope) else { return None };
    class.body.iter().find_map(|stmt| match stmt {
        ast::Stmt::Assign(assign) => {
            let is_config = assign.targets.iter().any(|one| tail(one) == Some("model_config"));
            match assign.value.as_ref() {
                Expr::Call(call) if is_config => {
                    keyword(call, "env_prefix").and_then(text_of).map(std::borrow::Cow::into_owned)
                }
                _ => None,
            }
        }
        ast::Stmt::ClassDef(inner) if inner.name.as_str() == "Config" => {
            inner.body.iter().find_map(|stmt| match stmt {
                ast::Stmt::Assign(assign)
                    if assign.targets.iter().any(|one| tail(one) == Some("env_prefix")) =>
                {
                    text_of(&assign.value).map(std::borrow::Cow::into_owned)
                }
                _ => None,
            })
        }
        _ => None,
    })
}
