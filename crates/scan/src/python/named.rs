//! What expressions name: texts, through constants, and the settings that constants are named for.

use super::parse::ast::{self, Expr};
use super::parse::text_of;
use super::resolve::Names;
use super::scopes::{Bound, ScopeId};
use super::words;

impl Names<'_> {
    /// The text that an expression gives, through constants.
    pub(super) fn text(&self, expr: &Expr, scope: ScopeId) -> Option<String> {
        self.text_within(expr, scope, 3)
    }

    fn text_within(&self, expr: &Expr, scope: ScopeId, fuel: u8) -> Option<String> {
        let fuel = fuel.checked_sub(1)?;
        match expr {
            Expr::Name(name) => {
                let (at, defs) = self.scopes.lookup(name.id.as_str(), scope)?;
                match defs.first().filter(|_| defs.len() == 1)?.bound {
                    // One of two: the first stands for both.
                    Bound::Value(Expr::If(choice)) => self.text_within(&choice.body, at, fuel),
                    Bound::Value(value) => text_of(value).map(std::borrow::Cow::into_owned),
                    Bound::Import(_) if at == 0 => None,
                    _ => None,
                }
            }
            // `Names.SECRET`, of a class of this file.
            Expr::Attribute(attribute) => {
                let class = self.class_of_self(&attribute.value, scope)?;
                let defs = self.scopes.all.get(class)?.names.get(attribute.attr.as_str())?;
                match defs.first().filter(|_| defs.len() == 1)?.bound {
                    Bound::Value(value) => text_of(value).map(std::borrow::Cow::into_owned),
                    _ => None,
                }
            }
            other => text_of(other).map(std::borrow::Cow::into_owned),
        }
    }

    /// The name of a setting, where its expression tells one: a text, a constant with a speaking
    /// name, or the known parts of a text that is put together.
    pub(super) fn setting_name(&self, expr: &Expr, scope: ScopeId) -> Option<String> {
        if let Some(text) = self.text(expr, scope) {
            return Some(text);
        }
        match expr {
            Expr::Name(name) => Some(of_constant(name.id.as_str()).to_owned()),
            Expr::Attribute(attribute) => Some(of_constant(attribute.attr.as_str()).to_owned()),
            // `certificate["keyFile"]`
            Expr::Subscript(subscript) => {
                text_of(&subscript.slice).map(std::borrow::Cow::into_owned)
            }
            Expr::BinOp(sum) => {
                let left = self.text(&sum.left, scope);
                let right = self.text(&sum.right, scope);
                match (left, right) {
                    (Some(left), Some(right)) => Some(left + &right),
                    (left, right) => left.or(right),
                }
            }
            Expr::FString(string) => {
                let mut whole = String::new();
                for part in string.value.elements() {
                    match part {
                        ast::InterpolatedStringElement::Literal(text) => whole += &text.value,
                        ast::InterpolatedStringElement::Interpolation(one) => {
                            whole += &self.text(&one.expression, scope).unwrap_or_default();
                        }
                    }
                }
                Some(whole)
            }
            Expr::Call(call) => match call.func.as_ref() {
                Expr::Attribute(method) if words::passes_receiver(method.attr.as_str()) => {
                    self.setting_name(&method.value, scope)
                }
                _ => self.setting_name(call.arguments.args.last()?, scope),
            },
            _ => None,
        }
    }
}

/// The setting for which a constant is named that holds its name: `JWT_SECRET` of
/// `JWT_SECRET_ENV_VAR`.
fn of_constant(name: &str) -> &str {
    if name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return name;
    }
    let mut rest = name.trim_start_matches('_');
    for end in ["_NAME", "_ENV_KEY", "_VARIABLE", "_VAR", "_ENVVAR", "_ENV", "_ENVIRONMENT"] {
        rest = rest.strip_suffix(end).unwrap_or(rest);
    }
    for start in ["ENV_VAR_", "ENVVAR_", "ENV_"] {
        rest = rest.strip_prefix(start).unwrap_or(rest);
    }
    if rest.is_empty() { name } else { rest }
}
