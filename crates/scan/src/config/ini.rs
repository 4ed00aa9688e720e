//! `name = value` below `[section]`s, as INI files and `.conf` files of many programs have it, and
//! properties of Java, which have dots in their names instead.

use super::judge::{Style, style_of};
use super::out::{Entry, Out};
use super::value::{Given, Value};

/// Parts of the names of sections whose `key` is no secret.
const OTHER_SECTIONS: &[&str] = &[
    "bind", "cache", "column", "filter", "index", "item", "keyboard", "map", "plugin", "shortcut",
    "sort", "style", "table", "theme", "translat",
];

/// Reads a text. The configuration of a web server is none: `;` and braces are not at home here.
pub(super) fn read(text: &str, out: &mut Out<'_, '_>) {
    let mut section = "";
    let mut at = 0;
    let mut continues = false;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let content = line.trim();
        // `//registry.example.org/:_authToken=…` of npm.
        if content.starts_with("//")
            && let Some((host, rest)) = content.split_once(":_")
            && let Some((name, given)) = rest.split_once('=')
        {
            let at = start + line.find(content).unwrap_or_default();
            let value = Value::of(unquoted(given));
            out.entry(&Entry { at, name, above: host.trim_matches('/'), value });
            continue;
        }
        let was_continued = std::mem::replace(&mut continues, content.ends_with('\\'));
        if was_continued
            || content.is_empty()
            || content.starts_with(['#', ';', '!', '<', '/'])
            || content.starts_with('{') && !content.contains("}: ")
        {
            continue;
        }
        if let Some(name) = content.strip_prefix('[') {
            section = name.split(']').next().unwrap_or_default();
            continue;
        }
        let content = content.strip_prefix("export ").unwrap_or(content);
        let content = without_factor(content);
        let offset = line.find(content).unwrap_or_default();
        let Some(cut) = content.find(['=', ':', ' ', '\t']) else { continue };
        let (name, rest) = content.split_at_checked(cut).unwrap_or((content, ""));
        let rest = rest.trim_start();
        let Some(given) = rest.strip_prefix('=').or_else(|| rest.strip_prefix(':')) else {
            continue;
        };
        // `"api_key": "",` of a dictionary.
        let is_quoted =
            name.len() > 2 && name.starts_with(['"', '\'']) && name.ends_with(['"', '\'']);
        let name = if is_quoted { name.trim_matches(['\'', '"']) } else { name };
        // A statement of a program, or the line of a web server.
        if given.starts_with(['=', ':', '~'])
            || given.ends_with('{')
            || name.contains(['(', '$', '"'])
        {
            continue;
        }
        let name = name.trim_matches(['\'', '"']);
        let value = Value::of(unquoted(given));
        let (above, last) = if section.is_empty() { split_name(name) } else { (section, name) };
        let style = style_of(last);
        let mut out = out.within(0, out.rule, style);
        out.depth = out.depth.saturating_sub(1);
        // `[otx]` and `key = …`: that of a service.
        let is_of_service = !section.is_empty()
            && name == "key"
            && !OTHER_SECTIONS.iter().any(|word| section.to_ascii_lowercase().contains(word))
            && matches!(value.given, Given::Nothing | Given::Literal | Given::Reference)
            && value
                .literal
                .is_none_or(|text| text.len() > 5 && !text.contains([' ', '+', '/', '.']));
        if is_of_service {
            let mut out = out.within(0, out.rule, Style::Tree);
            out.depth = out.depth.saturating_sub(1);
            out.entry(&Entry { at: start + offset, name: "key", above: "api", value });
            continue;
        }
        // The name as a whole, because half of a dotted one says too little.
        let (above, name) = if section.is_empty() { (above, last) } else { (section, name) };
        out.entry(&Entry { at: start + offset, name, above, value });
    }
}

/// A variable without the environments of tox for which it is set: `{dev,tests}: NAME = value`,
/// and without the option that sets it: `setenv = NAME = value`.
fn without_factor(content: &str) -> &str {
    let is_variable = |text: &str| {
        let name = text.split(['=', ' ']).next().unwrap_or_default();
        name.contains('_')
            && name.bytes().all(|byte| byte.is_ascii_uppercase() || b"_0123456789".contains(&byte))
            && text.contains('=')
    };
    let rest =
        content.split_once(": ").or_else(|| content.split_once("= ")).map(|cut| cut.1.trim());
    rest.filter(|rest| is_variable(rest)).unwrap_or(content)
}

/// The last part of a dotted name, and what is above it. `sign.key.location` is about a `key`, and
/// `jwt.secret.key` is a `secret.key`.
fn split_name(name: &str) -> (&str, &str) {
    let Some((above, last)) = name.rsplit_once('.') else { return ("", name) };
    if !matches!(last, "location" | "path" | "file" | "key") {
        return (above, last);
    }
    let cut = above.rfind('.').map_or(0, |dot| dot + 1);
    (above.get(..cut.saturating_sub(1)).unwrap_or_default(), name.get(cut..).unwrap_or(name))
}

/// A value without what is around it.
fn unquoted(given: &str) -> &str {
    let given = given.trim();
    let quote = given.chars().next().filter(|letter| matches!(letter, '"' | '\''));
    if let Some(quote) = quote
        && let Some((value, _)) = given.get(1..).and_then(|rest| rest.split_once(quote))
    {
        return value;
    }
    let end = given.find(" #").or_else(|| given.find(" ;")).unwrap_or(given.len());
    given.get(..end).unwrap_or(given).trim_end_matches([',', ';', ' '])
}
