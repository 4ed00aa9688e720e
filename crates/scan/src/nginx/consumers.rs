//! What in a configuration of nginx holds or uses a key. nginx reads its configuration at a reload
//! and keeps it, so none of it takes a new key by itself.
//!
//! Fragments and templates are read as far as they go: a file that another one includes is no whole
//! configuration, and one that a tool fills in is no configuration yet.

mod directives;
mod include;
mod lua;
mod mask;

use std::path::Path;

use directives::Context;
pub(crate) use include::{Around, Block, Include};

use super::lex::{Lexer, Span, TokenKind, Word};
use crate::rules::Rules;
use crate::site::{Sites, Unreadable};
use crate::source::SourceFile;

/// How often reading begins anew on the next line after something that nginx would refuse.
const RESTARTS_MAX: usize = 64;

/// Lines that begin so and end with `;` or `{` are at home in nginx only.
const DIRECTIVES: &[&str] = &[
    "server {",
    "server{",
    "location ",
    "proxy_pass ",
    "upstream ",
    "ssl_certificate",
    "listen ",
    "http {",
    "add_header ",
    "fastcgi_",
    "proxy_set_header ",
    "map $",
    "set $",
    "auth_request ",
    "secure_link",
    "auth_jwt",
    "js_import ",
    "server_name ",
    "uwsgi_pass ",
    "return ",
    "env ",
];

/// Whether a file is a configuration of nginx, or a fragment of one.
///
/// ```
/// use keywheel_scan::nginx::consumers::is_nginx;
/// assert!(is_nginx("site.conf".as_ref(), "server {\n  listen 80;\n}\n"));
/// assert!(!is_nginx("app.conf".as_ref(), "[server]\nlisten = 80\n"));
/// ```
pub fn is_nginx(path: &Path, text: &str) -> bool {
    let end = path.extension().map_or(&b"conf"[..], |end| end.as_encoded_bytes());
    let ends: [&[u8]; 12] = [
        b"conf",
        b"nginx",
        b"vhost",
        b"inc",
        b"template",
        b"tmpl",
        b"tpl",
        b"j2",
        b"erb",
        b"in",
        b"sample",
        b"default",
    ];
    if !ends.contains(&end) {
        return false;
    }
    let is_at_home = path.components().any(|part| {
        let part = part.as_os_str().as_encoded_bytes();
        memchr::memmem::find(part, b"nginx").is_some()
            || matches!(part, b"sites-available" | b"sites-enabled" | b"snippets")
    });
    let needed = if is_at_home { 1 } else { 2 };
    let lines = text.lines().take(2000).map(str::trim).filter(|line| {
        line.ends_with([';', '{']) && DIRECTIVES.iter().any(|start| line.starts_with(start))
    });
    lines.take(needed).count() == needed
        || (is_at_home && text.lines().take(200).any(|line| line.trim_end().ends_with(';')))
}

/// Reads a configuration, a fragment or a template of one.
///
/// # Errors
/// Never; what nginx would refuse is passed over.
pub fn read(file: &SourceFile<'_>, _: &Rules, sites: &mut Sites) -> Result<(), Unreadable> {
    read_within(file, &Around::default(), sites);
    Ok(())
}

/// The same for a file that another one includes there; says what it includes itself.
pub(crate) fn read_within(
    file: &SourceFile<'_>,
    place: &Around,
    sites: &mut Sites,
) -> Vec<Include> {
    read_text(file, (file.text, 0), place, sites)
}

/// The same for a text that begins within a file.
pub(crate) fn read_at(file: &SourceFile<'_>, text: &str, base: usize, sites: &mut Sites) {
    read_text(file, (text, base), &Around::default(), sites);
}

fn read_text(
    file: &SourceFile<'_>,
    (text, base): (&str, usize),
    place: &Around,
    sites: &mut Sites,
) -> Vec<Include> {
    let bytes = mask::without_templates(text);
    let mut context = Context::new(file, base, sites, place);
    let mut from = 0;
    for _ in 0..RESTARTS_MAX {
        let rest = bytes.get(from..).unwrap_or_default();
        let Err(at) = blocks(rest, from, text, &mut context) else { break };
        // What cannot be read ends with its line.
        let after = bytes.get(from + at..).unwrap_or_default();
        let Some(line) = memchr::memchr(b'\n', after) else { break };
        from += at + line + 1;
    }
    context.finish()
}

/// Reads directives up to the end, or up to what cannot be read.
fn blocks(
    bytes: &[u8],
    from: usize,
    text: &str,
    context: &mut Context<'_, '_>,
) -> Result<(), usize> {
    let mut lexer = Lexer::new(bytes);
    let mut words: Vec<Word> = Vec::new();
    loop {
        let token = match lexer.token() {
            Ok(Some(token)) => token,
            Ok(None) => break,
            Err(error) => {
                context.directive(&words, from);
                return Err(error.place.start);
            }
        };
        match token.kind {
            TokenKind::Word(word) => words.push(word),
            TokenKind::End => {
                context.directive(&words, from);
                words.clear();
            }
            TokenKind::Open if words.first().is_some_and(is_lua) => {
                let Span { start, end, .. } =
                    lexer.lua_body(token.span).map_err(|error| error.place.start)?;
                let body = text.get(from + start..from + end).unwrap_or_default();
                lua::read(body, from + start, context);
                words.clear();
            }
            TokenKind::Open => {
                context.open(&words, from);
                words.clear();
            }
            TokenKind::Close => {
                words.clear();
                context.close();
            }
        }
    }
    Ok(())
}

fn is_lua(name: &Word) -> bool {
    name.value.ends_with(b"_by_lua_block")
}
