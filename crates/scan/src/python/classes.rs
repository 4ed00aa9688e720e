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
    let (alias, default) =
        described(field.value.as_deref().or_else(|| annotated(&field.annotation)));
    let may_be_key = |name: &str| words::may_name_key(name);
    if !(may_be_key(name) || alias.as_deref().is_some_and(may_be_key))
        || is_class_var(&field.annotation)
    {
        return;
    }
    let holder = if is_settings(names, scope) {
        Holder::Environment
    } else if is_text(&field.annotation)
        && (is_model_of_settings(names, out, scope) || is_part_of_settings(names, scope))
    {
        Holder::Model
    } else {
        return;
    };
    let alias = alias.map(std::borrow::Cow::into_owned);
    let prefix = prefix_of(names, scope).unwrap_or_default();
    let full = alias.unwrap_or_else(|| format!("{prefix}{name}"));
    let own = || owned(names, scope, name).as_deref().and_then(words::judge_loaded);
    // The variable of a field is written in capitals, where any salt is one.
    let is_salt = full.ends_with("salt");
    let variable = || is_salt.then(|| words::judge(&full.to_ascii_uppercase()))?;
    let class = words::judge_loaded(name).or_else(|| words::judge_loaded(&full));
    let class = class.or_else(own).or_else(variable);
    let Some(class) = class else { return };
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
        source: holder.source(),
        scope: Scope::Class,
        hot: Hot::No,
        confidence: holder.confidence(),
    });
    let Some(default) = default else { return };
    if text_of(default).is_some_and(|text| words::may_be_value(&text, name)) {
        out.literal(default, "python/default-literal", Some(&full), class, Scope::Class);
    }
}

/// From where a class has the values of its fields.
#[derive(Clone, Copy)]
enum Holder {
    Environment,
    /// A file of settings that somebody else reads.
    Model,
}

impl Holder {
    const fn source(self) -> Source {
        match self {
            Self::Environment => Source::Environment,
            Self::Model => Source::Settings,
        }
    }

    const fn confidence(self) -> Confidence {
        match self {
            Self::Environment => Confidence::High,
            Self::Model => Confidence::Medium,
        }
    }
}

/// Of the field `token` of `class BotSettings` the name `Bot_token`.
fn owned(names: &Names<'_>, scope: ScopeId, name: &str) -> Option<String> {
    let Body::Class(class) = names.scopes.body(scope) else { return None };
    let class = class.name.as_str();
    let ends = ["Settings", "Config", "Configuration", "Conf", "Options"];
    let whose = ends.iter().find_map(|end| class.strip_suffix(end)).unwrap_or(class);
    let whose = if whose.is_empty() { "App" } else { whose };
    matches!(name, "token" | "key" | "secret").then(|| format!("{whose}_{name}"))
}

/// Whether a class that a library fills from data is one of settings, such as
/// `class ShopConfig(BaseModel)`. Those of requests and schemas are none.
fn is_model_of_settings(names: &Names<'_>, out: &Out<'_>, scope: ScopeId) -> bool {
    let Body::Class(class) = names.scopes.body(scope) else { return false };
    let name = class.name.as_str();
    let is_named = ["Config", "Settings", "Conf"].iter().any(|end| name.ends_with(end));
    let is_other = ["Request", "Response", "Create", "Update", "Public", "User", "Form"];
    let is_of_schema = out
        .file
        .path
        .components()
        .any(|part| part.as_os_str().to_string_lossy().contains("schema"));
    is_named
        && !is_of_schema
        && !is_other.iter().any(|part| name.contains(part))
        && names.bases(scope).iter().any(|base| {
            base.ends_with("BaseModel") || matches!(base.as_str(), "Struct" | "Schematic")
        })
}

/// Whether a class is the type of a field of settings: `jwt: JwtPart`.
fn is_part_of_settings(names: &Names<'_>, scope: ScopeId) -> bool {
    let Body::Class(class) = names.scopes.body(scope) else { return false };
    let name = class.name.as_str();
    let is_model = || names.bases(scope).iter().any(|base| base.ends_with("BaseModel"));
    let is_type = |field: &ast::StmtAnnAssign| {
        let of = match field.annotation.as_ref() {
            Expr::BinOp(either) => &either.left,
            _ => &field.annotation,
        };
        matches!(of.as_ref(), Expr::Name(one) if one.id.as_str() == name)
    };
    let mut fields =
        names.scopes.fields.iter().filter(|(of, field)| *of != scope && is_type(field));
    fields.next().is_some_and(|(of, _)| is_settings(names, *of)) && is_model()
}

/// Whether an annotation is that of a text, which may be missing: `str`, `SecretStr | None`.
fn is_text(annotation: &Expr) -> bool {
    match annotation {
        Expr::BinOp(either) => is_text(&either.left) || is_text(&either.right),
        Expr::Subscript(of)
            if matches!(tail(&of.value), Some("Optional" | "Annotated" | "Union")) =>
        {
            match of.slice.as_ref() {
                Expr::Tuple(all) => all.elts.first().is_some_and(is_text),
                one => is_text(one),
            }
        }
        Expr::StringLiteral(text) => text.value.to_str().contains("str"),
        other => tail(other).is_some_and(|name| {
            matches!(name, "str" | "bytes") || name.contains("Secret") || name.ends_with("String")
        }),
    }
}

/// What describes a field in its annotation: `Annotated[str, Field("dev")]`.
fn annotated(annotation: &Expr) -> Option<&Expr> {
    let Expr::Subscript(of) = annotation else { return None };
    let Expr::Tuple(all) = of.slice.as_ref() else { return None };
    let is_described =
        |one: &&Expr| matches!(one, Expr::Call(call) if tail(&call.func) == Some("Field"));
    all.elts.iter().skip(1).find(is_described).filter(|_| tail(&of.value) == Some("Annotated"))
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
