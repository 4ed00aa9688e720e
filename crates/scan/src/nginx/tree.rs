//! Directives and blocks, from words and marks.

use super::error::{SyntaxError, SyntaxFault};
use super::lex::{Lexer, Span, Token, TokenKind, Word};

/// How deep blocks may be nested. nginx's own contexts are five deep at most.
pub const BLOCK_DEPTH_MAX: usize = 64;

/// Blocks of these directives are Lua, not nginx's language.
const LUA_SUFFIX: &[u8] = b"_by_lua_block";

/// A directive: its name, its arguments, and what follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Its first word. Within `map`, `types` and the like, the first word of an entry.
    pub name: Word,
    /// Its other words.
    pub arguments: Vec<Word>,
    /// What ends it.
    pub body: Body,
    /// From its name to its `;` or `}`.
    pub span: Span,
}

/// What ends a directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `;`
    None,
    /// `{ … }`
    Block(Vec<Directive>),
    /// `{ … }` in another language, where it stands without its braces.
    Foreign(Span),
}

impl Directive {
    /// The directives within its block.
    pub fn children(&self) -> &[Self] {
        if let Body::Block(children) = &self.body { children } else { &[] }
    }

    /// Whether it has this name.
    pub fn is(&self, name: &str) -> bool {
        self.name.value.as_slice() == name.as_bytes()
    }
}

/// Visits directives and all that is within them, in the order of the file.
pub fn walk<'a>(directives: &'a [Directive], visit: &mut impl FnMut(&'a Directive)) {
    for directive in directives {
        visit(directive);
        walk(directive.children(), visit);
    }
}

/// A block that is being read.
struct Open {
    head: Vec<Word>,
    brace: Span,
    children: Vec<Directive>,
}

/// Reads a file.
///
/// # Errors
/// nginx would not read it either; see [`SyntaxFault`].
///
/// ```
/// let read = keywheel_scan::nginx::parse(b"http { server_tokens off; }")?;
/// let [http] = read.as_slice() else { panic!() };
/// assert!(http.is("http") && http.children()[0].is("server_tokens"));
/// # Ok::<(), keywheel_scan::nginx::SyntaxError>(())
/// ```
pub fn parse(bytes: &[u8]) -> Result<Vec<Directive>, SyntaxError> {
    let mut lexer = Lexer::new(bytes);
    // The file itself is the outermost of the open blocks, kept apart so that it is always there.
    let mut file = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut words = Vec::new();
    while let Some(token) = lexer.token()? {
        let Token { kind, span } = token;
        let fault = |fault| Err(SyntaxError { place: span, fault });
        match kind {
            TokenKind::Word(word) => words.push(word),
            TokenKind::End => {
                let Some(directive) = directive(std::mem::take(&mut words), Body::None, span)
                else {
                    return fault(SyntaxFault::NoDirective(';'));
                };
                open.last_mut().map_or(&mut file, |block| &mut block.children).push(directive);
            }
            TokenKind::Open => {
                let head = std::mem::take(&mut words);
                let Some(name) = head.first() else {
                    return fault(SyntaxFault::NoDirective('{'));
                };
                if name.value.ends_with(LUA_SUFFIX) {
                    let body = lexer.lua_body(span)?;
                    let end = Span { end: body.end.saturating_add(1), ..span };
                    let read = directive(head, Body::Foreign(body), end);
                    let children = open.last_mut().map_or(&mut file, |block| &mut block.children);
                    children.extend(read);
                } else if open.len() >= BLOCK_DEPTH_MAX {
                    return fault(SyntaxFault::TooDeep);
                } else {
                    open.push(Open { head, brace: span, children: Vec::new() });
                }
            }
            TokenKind::Close if !words.is_empty() => return fault(SyntaxFault::CloseInDirective),
            TokenKind::Close => {
                let Some(block) = open.pop() else { return fault(SyntaxFault::ClosesNothing) };
                let read = directive(block.head, Body::Block(block.children), span);
                let children = open.last_mut().map_or(&mut file, |block| &mut block.children);
                children.extend(read);
            }
        }
    }
    if let Some(word) = words.last() {
        return Err(SyntaxError { place: word.span, fault: SyntaxFault::EndsInDirective });
    }
    open.last().map_or(Ok(file), |block| {
        Err(SyntaxError { place: block.brace, fault: SyntaxFault::EndsInBlock })
    })
}

/// A directive of these words, which ends where `last` ends; none without words.
fn directive(words: Vec<Word>, body: Body, last: Span) -> Option<Directive> {
    let mut words = words.into_iter();
    let name = words.next()?;
    let span = Span { end: last.end, ..name.span };
    Some(Directive { name, arguments: words.collect(), body, span })
}
