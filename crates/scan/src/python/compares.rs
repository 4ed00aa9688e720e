//! Secrets that are compared with what somebody hands in: `if token != settings.HOOK_SECRET`.

use super::flow::{Hold, Origin};
use super::out::{Out, Used};
use super::parse::ast::{self, Expr};
use super::parse::{Ranged, tail, text_of};
use super::resolve::Names;
use super::scopes::{Placed, ScopeId};
use super::words;
use crate::finding::{Class, Confidence, Does, Scope};
use crate::site::Hot;

/// A comparison of two values, one of which is a secret that was loaded.
pub(super) fn at<'a>(names: &Names<'a>, out: &mut Out<'_>, placed: &Placed<'a, ast::ExprCompare>) {
    let (left, Some(right)) = (&*placed.node.left, placed.node.comparators.first()) else { return };
    if is_known(left) || is_known(right) || is_same(left, right) {
        return;
    }
    let found = (secret(names, left, placed.scope), secret(names, right, placed.scope));
    let (at, origin) = match found {
        (Some(origin), None) => (left.start(), origin),
        (None, Some(origin)) => (right.start(), origin),
        _ => return,
    };
    let scope = names.when(placed.scope);
    let hot = match (scope, origin.hold) {
        (Scope::Call, Hold::Live) => Hot::Yes,
        (Scope::Call, Hold::Unknown) => Hot::Unknown,
        _ => Hot::No,
    };
    let used = Used {
        at: at.to_usize(),
        rule: "python/compared",
        sink: "comparison",
        does: Does::Authenticates,
        scope,
        hot,
        class: origin.class.unwrap_or(Class::Key),
        confidence: Confidence::Low,
        remedy: None,
    };
    out.usage(&used, &origin);
}

/// Whether a value stands in the code, or is a number of something.
fn is_known(expr: &Expr) -> bool {
    let is_number = match expr {
        Expr::BinOp(sum) => sum.op != ast::Operator::Add,
        _ => false,
    };
    // `kinds.CLEAR` is a constant too.
    let is_constant = |name: &str| {
        !name.bytes().any(|byte| byte.is_ascii_lowercase()) && !words::may_name_key(name)
    };
    let is_member = expr.is_attribute_expr() && tail(expr).is_some_and(is_constant);
    text_of(expr).is_some() || expr.is_literal_expr() || is_number || is_member
}

/// Whether both are attributes of one object, or the same of two.
fn is_same(left: &Expr, right: &Expr) -> bool {
    match (left, right) {
        (Expr::Attribute(one), Expr::Attribute(other)) => {
            one.attr.as_str() == other.attr.as_str()
                || tail(&one.value).is_some() && tail(&one.value) == tail(&other.value)
        }
        _ => false,
    }
}

/// From where a value comes, if it is a secret that was loaded.
fn secret<'a>(names: &Names<'a>, expr: &'a Expr, scope: ScopeId) -> Option<Origin<'a>> {
    let name = match expr {
        Expr::Name(_) | Expr::Attribute(_) => tail(expr)?,
        Expr::Subscript(subscript) => match subscript.slice.as_ref() {
            Expr::StringLiteral(key) => key.value.to_str(),
            _ => return None,
        },
        // `f"Bearer {settings.CRON_SECRET}"`
        Expr::FString(text) => {
            return text.value.elements().find_map(|part| match part {
                ast::InterpolatedStringElement::Interpolation(one) => {
                    secret(names, &one.expression, scope)
                }
                ast::InterpolatedStringElement::Literal(_) => None,
            });
        }
        Expr::BinOp(sum) => return secret(names, &sum.right, scope),
        Expr::Call(call) => {
            let on = match call.func.as_ref() {
                Expr::Attribute(method) => tail(&method.value),
                _ => None,
            };
            let is_settings = || on.is_some_and(words::holds_settings);
            let is_load = || !names.rules(call, scope).0.is_empty();
            match call.arguments.args.first()? {
                Expr::StringLiteral(key) if is_settings() || is_load() => key.value.to_str(),
                _ => return None,
            }
        }
        _ => return None,
    };
    // `LoginMethod.API_KEY` is a member of an enumeration.
    let is_member = match expr {
        Expr::Attribute(one) => tail(&one.value).is_some_and(|of| {
            of.starts_with(|letter: char| letter.is_ascii_uppercase())
                && !names.reads_settings(&one.value, scope)
        }),
        _ => false,
    };
    if !words::may_name_key(name) || is_member {
        return None;
    }
    let origin = names.origin(expr, scope);
    let is_one = matches!(origin.class, Some(Class::Key | Class::Credential));
    (is_one && origin.is_loaded() && origin.parameter.is_none()).then_some(origin)
}
