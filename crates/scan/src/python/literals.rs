//! Literals that stand where a key belongs: assigned to its name, as the fallback of a load, as the
//! default of a parameter, in a type that wraps secrets.

use super::out::Out;
use super::parse::ast::{self, Expr};
use super::parse::{tail, text_of};
use super::resolve::Names;
use super::scopes::{Body, Into, Placed, ScopeId};
use super::words;
use crate::finding::{Class, Scope};

/// A literal that goes on under a name which could be that of a key.
pub(super) fn named<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Placed<'a, Expr>) {
    let Some(name) = placed.under else { return };
    let Some(class) = words::judge(name) else { return };
    let Some(text) = text_of(placed.node) else { return };
    if !words::may_be_value(&text, name) || class == Class::Public {
        return;
    }
    let is_setting = name.bytes().all(|byte| !byte.is_ascii_lowercase());
    let is_fit = match placed.into {
        Into::Item => is_setting,
        Into::Setting => is_setting || class != Class::Password,
        Into::Argument => class != Class::Password || is_setting,
        _ => true,
    };
    if !is_fit || is_enumeration(names, placed.scope) {
        return;
    }
    let scope = match names.when(placed.scope) {
        Scope::Call if placed.into == Into::Kept => Scope::Instance,
        other => other,
    };
    out.literal(placed.node, "python/hardcoded", Some(name), class, scope);
}

/// Members of enumerations name things.
fn is_enumeration(names: &Names<'_>, scope: ScopeId) -> bool {
    if !matches!(names.scopes.body(scope), Body::Class(_)) {
        return false;
    }
    let bases = names.bases(scope);
    bases.iter().any(|base| base.ends_with("Enum") || base.ends_with("Choices") || base == "Flag")
}

/// `load(…) or "literal"`: what is taken when there is no key.
pub(super) fn fallback<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    placed: &Placed<'a, ast::ExprBoolOp>,
) {
    let Some((last, before)) = placed.node.values.split_last() else { return };
    if text_of(last).is_none() {
        return;
    }
    let Some(first) = before.first() else { return };
    let origin = names.origin(first, placed.scope);
    let by_place = placed.under.and_then(words::judge);
    let Some(class) = origin.class.or(by_place) else { return };
    let is_from_outside = origin.is_loaded() || by_place.is_some();
    let name = origin.name.as_deref().or(placed.under);
    let is_value =
        text_of(last).is_some_and(|text| words::may_be_fallback(&text, name.unwrap_or_default()));
    if is_from_outside && is_value {
        out.literal(last, "python/default-literal", name, class, names.when(placed.scope));
    }
}

/// `SecretStr("literal")`.
pub(super) fn wrapped<'a>(
    names: &Names<'a>,
    out: &mut Out<'_>,
    placed: &Placed<'a, ast::ExprCall>,
) {
    let is_wrapper = matches!(
        tail(&placed.node.func),
        Some("SecretStr" | "SecretBytes" | "SecretKey" | "SymmetricKey" | "Secret")
    );
    if !is_wrapper {
        return;
    }
    let Some(first) = placed.node.arguments.args.first() else { return };
    let class = placed.under.map_or(Some(Class::Key), |under| {
        words::judge(under).or(if words::may_name_key(under) { None } else { Some(Class::Key) })
    });
    let Some(class) = class else { return };
    if text_of(first).is_some_and(|text| words::may_be_value(&text, "")) {
        let scope = names.when(placed.scope);
        out.literal(first, "python/secret-type", placed.under, class, scope);
    }
}

/// A literal that a function gives whose name says that it gives a key.
pub(super) fn returned(names: &Names<'_>, out: &mut Out<'_>, scope: ScopeId) {
    let Body::Function(function) = names.scopes.body(scope) else { return };
    let name = function.name.as_str();
    if !words::may_name_key(name) || name.starts_with("test") {
        return;
    }
    let own = words::of_getter(name);
    let class = words::judge(own).or_else(|| {
        let is_secret = matches!(own, "secret" | "secrets" | "key" | "signing_key" | "jwt_key");
        (is_secret && own != name).then_some(Class::Key)
    });
    let Some(class) = class.filter(|class| *class != Class::Password) else { return };
    let returns = names.scopes.all.get(scope).map(|scope| scope.returns.as_slice());
    for value in returns.unwrap_or_default() {
        if text_of(value).is_some_and(|text| words::may_be_value(&text, own)) {
            out.literal(value, "python/hardcoded", Some(own), class, names.when(scope));
        }
    }
}
