//! Lua within a configuration: the environment that it asks, and literals that it names as keys.

use super::directives::{Context, Held};
use crate::names;

/// Looks at the lines of a body that begins there.
pub(super) fn read(body: &str, at: usize, context: &mut Context<'_, '_>) {
    let mut start = at;
    for line in body.split_inclusive('\n') {
        let code = line.split("--").next().unwrap_or_default();
        look(code, start, context);
        start += line.len();
    }
}

fn look(code: &str, at: usize, context: &mut Context<'_, '_>) {
    if let Some((before, rest)) = code.split_once("getenv(") {
        let name = literal(rest.trim_start());
        if let Some(name) = name.filter(|name| names::judge(name).is_some()) {
            context.found("nginx/lua", at + before.len(), name, Held::Environment(name));
        }
        return;
    }
    let Some((left, right)) = code.split_once('=') else { return };
    let name = left.trim().trim_start_matches("local ").trim();
    let is_name =
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    if let Some(value) = literal(right.trim_start())
        && is_name
        && value.len() > 3
        && !value.starts_with('/')
        && names::judge(name).is_some()
    {
        let indent = left.len() - left.trim_start().len();
        context.found("nginx/lua", at + indent, name, Held::Literal(value));
    }
}

/// The quoted text at the start.
fn literal(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|letter| matches!(letter, '"' | '\''))?;
    text.get(1..)?.split(quote).next()
}
