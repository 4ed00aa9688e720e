//! Parses Python. The parser promises no stability from one version to the next, so this module
//! alone speaks to it; the rest of the reader knows its tree only through what stands here.

use std::borrow::Cow;

use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};

use super::nesting;
use crate::site::Unreadable;
use crate::source::SourceFile;

pub(super) use ruff_python_ast as ast;
pub(super) use ruff_python_ast::visitor;
pub(super) use ruff_text_size::{Ranged, TextSize};

/// A line longer than this holds data, not code, and every place in it would be counted out anew.
const LONGEST_LINE: usize = 200_000;

/// As many lines there must be for each mistake that the parser may step over.
const LINES_A_MISTAKE: usize = 60;

/// The tree of a file. Where little of it is broken, what the parser made of the rest.
///
/// # Errors
/// When the file is nested too deeply, or is another language or another Python.
pub(super) fn parse(file: &SourceFile<'_>) -> Result<ast::ModModule, Unreadable> {
    if u32::try_from(file.text.len()).is_err() {
        return Err(unreadable("it is too long", None, file));
    }
    let (mut lines, mut start) = (0_usize, 0_usize);
    let ends = memchr::memchr_iter(b'\n', file.text.as_bytes());
    for end in ends.chain(std::iter::once(file.text.len())) {
        if end.saturating_sub(start) > LONGEST_LINE {
            return Err(unreadable("a line is too long", Some(start), file));
        }
        (lines, start) = (lines.saturating_add(1), end.saturating_add(1));
    }
    if let Some(at) = nesting::too_deep(file.text) {
        return Err(unreadable("it is nested too deeply", Some(at), file));
    }
    let parsed = parse_unchecked(file.text, ParseOptions::from(Mode::Module));
    let mistakes = parsed.errors();
    if let Some(first) = mistakes.first()
        && mistakes.len().saturating_mul(LINES_A_MISTAKE) > lines
    {
        let at = first.location.start().to_usize();
        return Err(unreadable("it is not Python 3", Some(at), file));
    }
    match parsed.into_syntax() {
        ast::Mod::Module(module) => Ok(module),
        ast::Mod::Expression(_) => Err(unreadable("it is not a module", None, file)),
    }
}

fn unreadable(why: &'static str, at: Option<usize>, file: &SourceFile<'_>) -> Unreadable {
    Unreadable { why: Cow::Borrowed(why), at: at.map(|offset| file.position(offset)) }
}

/// The text of a string or of bytes, if the expression is one.
pub(super) fn text_of(expr: &ast::Expr) -> Option<Cow<'_, str>> {
    match expr {
        ast::Expr::StringLiteral(string) => Some(Cow::Borrowed(string.value.to_str())),
        ast::Expr::BytesLiteral(bytes) => {
            let bytes: Vec<u8> = bytes.value.bytes().collect();
            Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
        }
        _ => None,
    }
}

/// The name by which an expression ends: `c` of `a.b.c` and of `c`.
pub(super) fn tail(expr: &ast::Expr) -> Option<&str> {
    match expr {
        ast::Expr::Name(name) => Some(name.id.as_str()),
        ast::Expr::Attribute(attribute) => Some(attribute.attr.as_str()),
        _ => None,
    }
}

/// Where the name by which an expression ends begins; of others, where they begin.
pub(super) fn tail_start(expr: &ast::Expr) -> usize {
    match expr {
        ast::Expr::Attribute(attribute) => attribute.attr.range.start().to_usize(),
        other => other.start().to_usize(),
    }
}

/// The argument at a position, or under one of the names, of a call.
pub(super) fn argument<'a>(
    call: &'a ast::ExprCall,
    position: Option<usize>,
    names: &[impl AsRef<str>],
) -> Option<&'a ast::Expr> {
    let by_keyword = call.arguments.keywords.iter().find(|keyword| {
        let name = keyword.arg.as_ref().map(ast::Identifier::as_str);
        name.is_some_and(|name| names.iter().any(|one| one.as_ref() == name))
    });
    if let Some(keyword) = by_keyword {
        return Some(&keyword.value);
    }
    let before = call.arguments.args.get(..position?)?;
    if before.iter().any(ast::Expr::is_starred_expr) {
        return None;
    }
    call.arguments.args.get(position?).filter(|argument| !argument.is_starred_expr())
}

/// The value of a named argument.
pub(super) fn keyword<'a>(call: &'a ast::ExprCall, name: &str) -> Option<&'a ast::Expr> {
    let mut keywords = call.arguments.keywords.iter();
    let found = keywords.find(|keyword| keyword.arg.as_deref() == Some(name));
    found.map(|keyword| &keyword.value)
}
