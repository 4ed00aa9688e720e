//! The structure of a program as far as it matters for when a place runs: which brackets belong
//! together, and where functions, constructors and classes begin and end.

use super::dialect::Dialect;
use super::token::{Kind, Tokens};

/// How deep functions and classes may stand in each other; deeper ones count to the outer one.
const DEPTH_MAX: u16 = 64;
/// How far the body of a function may stand from its parameters.
const HEAD_TOKENS_MAX: usize = 40;
/// How many tokens of the expression of an arrow function are looked at, besides what stands in
/// brackets.
const ARROW_TOKENS_MAX: usize = 120;
/// How many tokens of an expression are looked at.
pub(super) const EXPRESSION_TOKENS_MAX: usize = 800;

/// What a part of a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// The file.
    Module,
    /// The body of a class.
    Class,
    /// What makes an object.
    Constructor,
    /// A function, method or closure.
    Function,
}

/// A part of a program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    /// Its name, where it has one.
    pub(super) name: Option<usize>,
    /// The brackets of its parameters, or the only parameter twice.
    pub(super) params: Option<(usize, usize)>,
    /// The token that opens its body, or the first of its expression.
    pub(super) body: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) parent: usize,
    depth: u16,
}

/// The structure of one file.
pub(super) struct Tree {
    /// The file first, then in the order of their beginnings.
    pub(super) frames: Vec<Frame>,
    /// The tokens that name a part, in their order.
    names: Vec<usize>,
    /// The tokens with which the body of a part begins, in their order.
    bodies: Vec<usize>,
}

impl Tree {
    pub(super) fn new(tokens: &mut Tokens<'_>, dialect: Dialect) -> Self {
        match_brackets(tokens, dialect);
        let mut frames = vec![Frame {
            kind: FrameKind::Module,
            name: None,
            params: None,
            body: 0,
            start: 0,
            end: tokens.len(),
            parent: 0,
            depth: 0,
        }];
        let finder = Finder { tokens, dialect };
        frames.extend((0..tokens.len()).filter_map(|at| finder.frame(at)));
        frames.sort_by_key(|frame| (frame.start, usize::MAX - frame.end));
        let frames = nested(frames);
        let mut names: Vec<usize> = frames.iter().filter_map(|frame| frame.name).collect();
        names.sort_unstable();
        let mut bodies: Vec<usize> = frames.iter().map(|frame| frame.body).collect();
        bodies.sort_unstable();
        Self { frames, names, bodies }
    }

    /// The innermost part in which a token stands, by its number.
    pub(super) fn at(&self, token: usize) -> usize {
        let mut number =
            self.frames.partition_point(|frame| frame.start <= token).saturating_sub(1);
        while let Some(frame) = self.frames.get(number)
            && frame.end < token
            && number > 0
        {
            number = frame.parent;
        }
        number
    }

    /// Whether a token is the name in the declaration of a function or class.
    pub(super) fn is_declared(&self, token: usize) -> bool {
        self.names.binary_search(&token).is_ok()
    }

    /// Whether the body of a function or class begins with a token.
    pub(super) fn begins_body(&self, token: usize) -> bool {
        self.bodies.binary_search(&token).is_ok()
    }

    /// The parts that begin within a range of tokens, with their numbers.
    pub(super) fn starting_in(
        &self,
        from: usize,
        to: usize,
    ) -> impl Iterator<Item = (usize, &Frame)> {
        let first = self.frames.partition_point(|frame| frame.start < from);
        let frames = self.frames.iter().enumerate().skip(first);
        frames.take_while(move |(_, frame)| frame.start <= to)
    }

    pub(super) fn frame(&self, number: usize) -> Option<&Frame> {
        self.frames.get(number)
    }

    /// A part and all around it, from the inside.
    pub(super) fn around(&self, number: usize) -> impl Iterator<Item = (usize, &Frame)> {
        let mut next = Some(number);
        std::iter::from_fn(move || {
            let number = next?;
            let frame = self.frames.get(number)?;
            next = (number > 0).then_some(frame.parent);
            Some((number, frame))
        })
    }
}

fn nested(frames: Vec<Frame>) -> Vec<Frame> {
    let mut kept: Vec<Frame> = Vec::with_capacity(frames.len());
    let mut open: Vec<usize> = Vec::new();
    for mut frame in frames {
        while let Some(outer) = open.last().and_then(|at| kept.get(*at))
            && outer.end < frame.start
        {
            open.pop();
        }
        let parent = open.last().copied().unwrap_or_default();
        frame.parent = parent;
        frame.depth = kept.get(parent).map_or(0, |parent| parent.depth.saturating_add(1));
        if frame.depth > DEPTH_MAX {
            continue;
        }
        if let Some(outer) = kept.get(parent) {
            frame.end = frame.end.min(outer.end);
        }
        open.push(kept.len());
        kept.push(frame);
    }
    kept
}

fn match_brackets(tokens: &mut Tokens<'_>, dialect: Dialect) {
    let mut open: Vec<(usize, u8)> = Vec::new();
    let mut pairs = Vec::new();
    let mut is_loop = false;
    for at in 0..tokens.len() {
        match tokens.kind(at) {
            Some(Kind::Open) => open.push((at, opener(tokens.text(at)))),
            Some(Kind::Close) => {
                let kind = match tokens.text(at).bytes().next().unwrap_or_default() {
                    b')' => b'(',
                    b']' => b'[',
                    b'}' => b'{',
                    _ => b'q',
                };
                let found = open.iter().rev().take(32).position(|(index, has)| {
                    *has == kind || (*has == b'q' && tokens.text(*index).starts_with('%'))
                });
                if let Some(found) = found {
                    open.truncate(open.len().saturating_sub(found));
                    pairs.extend(open.pop().map(|(mate, _)| (mate, at)));
                }
            }
            Some(Kind::Word) if dialect == Dialect::Ruby => {
                is_loop &= !tokens.starts_line(at);
                match ruby_block(tokens, at, is_loop) {
                    Block::Opens { of_loop } => {
                        is_loop |= of_loop;
                        open.push((at, b'k'));
                    }
                    Block::Closes => {
                        let found = open.iter().rev().take(32).position(|(_, has)| *has == b'k');
                        if let Some(found) = found {
                            open.truncate(open.len().saturating_sub(found));
                            pairs.extend(open.pop().map(|(mate, _)| (mate, at)));
                        }
                    }
                    Block::Neither => {}
                }
            }
            _ => {}
        }
    }
    for (one, other) in pairs {
        for (at, mate) in [(one, other), (other, one)] {
            if let Some(token) = tokens.all.get_mut(at) {
                token.mate = u32::try_from(mate).unwrap_or(u32::MAX);
            }
        }
    }
}

fn opener(text: &str) -> u8 {
    match text.as_bytes().first() {
        Some(b'(') => b'(',
        Some(b'[') => b'[',
        Some(b'{' | b'$' | b'#') => b'{',
        _ => b'q',
    }
}

enum Block {
    Opens { of_loop: bool },
    Closes,
    Neither,
}

fn ruby_block(tokens: &Tokens<'_>, at: usize, is_loop: bool) -> Block {
    let word = tokens.text(at);
    if !matches!(
        word,
        "class"
            | "module"
            | "def"
            | "begin"
            | "case"
            | "do"
            | "if"
            | "unless"
            | "while"
            | "until"
            | "for"
            | "end"
    ) {
        return Block::Neither;
    }
    let before = at.checked_sub(1).unwrap_or(usize::MAX);
    let is_name = [".", "&.", "::"].into_iter().any(|dot| tokens.is(before, dot))
        || tokens.text(before) == "def"
        || (tokens.is(at + 1, ":") && tokens.at(at + 1).is_some_and(|next| !next.spaced));
    if is_name {
        return Block::Neither;
    }
    let begins = tokens.starts_line(at)
        || tokens.kind(before).is_none_or(|kind| matches!(kind, Kind::Op | Kind::Open))
        || matches!(tokens.text(before), "then" | "else" | "do" | "begin" | "and" | "or" | "not");
    match word {
        "end" => Block::Closes,
        "do" if is_loop => Block::Neither,
        "if" | "unless" if begins => Block::Opens { of_loop: false },
        "while" | "until" | "for" if begins => Block::Opens { of_loop: true },
        "if" | "unless" | "while" | "until" | "for" => Block::Neither,
        "def" if is_endless(tokens, at) => Block::Neither,
        _ => Block::Opens { of_loop: false },
    }
}

/// `def name(…) = value`
fn is_endless(tokens: &Tokens<'_>, def: usize) -> bool {
    let mut at = def + 2;
    while tokens.is(at, ".") {
        at += 2;
    }
    if tokens.is(at, "(") {
        // Brackets have no mates yet.
        let mut line = (at..at + HEAD_TOKENS_MAX).take_while(|at| !tokens.starts_line(*at));
        let mut depth = 0_usize;
        let close = line.find(|at| {
            depth += usize::from(tokens.is(*at, "("));
            depth -= usize::from(tokens.is(*at, ")"));
            depth == 0
        });
        at = close.map_or(at, |close| close + 1);
    }
    tokens.is(at, "=") && !tokens.starts_line(at)
}

/// The end of the expression that begins here: the first token past it.
pub(super) fn expression_end(tokens: &Tokens<'_>, dialect: Dialect, start: usize) -> usize {
    end_within(tokens, dialect, start, EXPRESSION_TOKENS_MAX)
}

fn end_within(tokens: &Tokens<'_>, dialect: Dialect, start: usize, most: usize) -> usize {
    let mut at = start;
    let last = start.saturating_add(most).min(tokens.len());
    while at < last {
        if at > start && dialect.ends_with_line() && tokens.starts_line(at) {
            let before = at.saturating_sub(1);
            let goes_on = CONTINUES.contains(&tokens.text(at))
                || (tokens.kind(before) == Some(Kind::Op)
                    && !matches!(tokens.text(before), "++" | "--" | "!" | ";"));
            if !goes_on {
                return at;
            }
        }
        match tokens.kind(at) {
            Some(Kind::Close) => return at,
            Some(Kind::Op) if matches!(tokens.text(at), "," | ";") => return at,
            Some(Kind::Word) if at > start && dialect == Dialect::Ruby => {
                let ends = ["do", "if", "unless", "rescue", "end", "then", "while", "until"];
                if ends.contains(&tokens.text(at)) && !tokens.is(at.saturating_sub(1), ".") {
                    return at;
                }
            }
            _ => {}
        }
        at = tokens.past(at);
    }
    at.min(tokens.len())
}

const CONTINUES: &[&str] =
    &[".", "?.", "&.", "||", "&&", "??", "?", ":", "+", "?:", "|", "==", "===", "->", "or", "and"];

/// Finds where parts begin.
struct Finder<'t, 'a> {
    tokens: &'t Tokens<'a>,
    dialect: Dialect,
}

impl Finder<'_, '_> {
    fn frame(&self, at: usize) -> Option<Frame> {
        match self.tokens.kind(at)? {
            Kind::Word => self.by_word(at),
            Kind::Op => match (self.dialect, self.tokens.text(at)) {
                (Dialect::JavaScript, "=>") | (Dialect::Java, "->") => self.arrow(at),
                (Dialect::Ruby, "->") => self.ruby_lambda(at),
                _ => None,
            },
            _ => None,
        }
    }

    fn by_word(&self, at: usize) -> Option<Frame> {
        let tokens = self.tokens;
        let word = tokens.text(at);
        // Most words are none of those below.
        let may_begin = match self.dialect {
            Dialect::Go => word == "func",
            Dialect::Ruby => true,
            _ => {
                let first = word.as_bytes().first().copied().unwrap_or_default();
                b"cefiorst".contains(&first) || tokens.is(at + 1, "(")
            }
        };
        if !may_begin {
            return None;
        }
        let before = tokens.before(at);
        // `config.before(:each) do` of tests.
        if self.dialect == Dialect::Ruby
            && matches!(word, "before" | "after" | "around")
            && before == "."
            && at.checked_sub(2).is_some_and(|holder| tokens.text(holder) == "config")
        {
            return self.ruby_lambda(at);
        }
        if matches!(before, "." | "?." | "->" | "::" | "&.") {
            return None;
        }
        match (self.dialect, word) {
            (Dialect::Ruby, "def") => Some(self.ruby_def(at)),
            (Dialect::Ruby, "class" | "module") => {
                let end = tokens.mate(at)?;
                Some(frame(FrameKind::Class, Some(at + 1), None, at, (at, end)))
            }
            (Dialect::Ruby, "lambda" | "proc" | "define_method") => self.ruby_lambda(at),
            (Dialect::Ruby, _)
                if RUNS_LATER.contains(&word)
                    && tokens.starts_line(at)
                    && !tokens.is(at + 1, ":") =>
            {
                self.ruby_lambda(at)
            }
            (Dialect::Go, "func") => self.go(at),
            (Dialect::Ruby | Dialect::Go, _) => None,
            (Dialect::Kotlin, "fun" | "constructor") | (_, "function" | "fn") => self.function(at),
            (Dialect::Kotlin, "init") if tokens.is(at + 1, "{") => {
                let end = tokens.mate(at + 1)?;
                Some(frame(FrameKind::Constructor, None, None, at + 1, (at, end)))
            }
            (Dialect::Kotlin, "object")
            | (_, "class" | "interface" | "enum" | "trait" | "record") => self.class(at),
            (Dialect::Java, "static") if tokens.is(at + 1, "{") => {
                let end = tokens.mate(at + 1)?;
                Some(frame(FrameKind::Class, None, None, at + 1, (at, end)))
            }
            (Dialect::JavaScript | Dialect::Java, _) if tokens.is(at + 1, "(") => self.method(at),
            _ => None,
        }
    }

    fn class(&self, at: usize) -> Option<Frame> {
        let tokens = self.tokens;
        if tokens.is(at + 1, ":") || tokens.is(at + 1, "=") || tokens.is(at + 1, "(") {
            return None;
        }
        let mut open = at + 1;
        while !tokens.is(open, "{") {
            let ends = matches!(tokens.text(open), ";" | ")" | "}" | "=" | "");
            if ends || open > at + HEAD_TOKENS_MAX {
                return None;
            }
            open = tokens.past(open);
        }
        let end = tokens.mate(open)?;
        Some(frame(FrameKind::Class, Some(at + 1), None, open, (at, end)))
    }

    /// `function name(…) {`, `fun name(…) =`, `fn(…) =>`
    fn function(&self, at: usize) -> Option<Frame> {
        let tokens = self.tokens;
        let open = (at + 1..at + 8).find(|next| tokens.is(*next, "("))?;
        let close = tokens.mate(open)?;
        let name = Some(open - 1).filter(|name| *name > at && tokens.is_word(*name));
        let is_constructor = tokens.text(at) == "constructor"
            || name.is_some_and(|name| tokens.text(name) == "__construct");
        let kind = if is_constructor { FrameKind::Constructor } else { FrameKind::Function };
        let (body, end) = self.body(close)?;
        Some(frame(kind, name, Some((open, close)), body, (open, end)))
    }

    /// Where the body of a function begins and ends whose parameters end at `close`.
    fn body(&self, close: usize) -> Option<(usize, usize)> {
        let tokens = self.tokens;
        let mut at = close + 1;
        while at < close + HEAD_TOKENS_MAX {
            match tokens.text(at) {
                "{" => {
                    let is_type = [":", "|", "<", "&"].contains(&tokens.before(at))
                        || matches!(tokens.before(at), "interface" | "struct");
                    if !is_type {
                        return Some((at, tokens.mate(at)?));
                    }
                }
                "=>" | "=" if self.dialect != Dialect::Go => {
                    let end = expression_end(tokens, self.dialect, at + 1);
                    return Some((at + 1, end));
                }
                ";" | ")" | "}" | "]" | "," | "." | "" if self.dialect != Dialect::Java => {
                    return None;
                }
                ";" | ")" | "}" | "" => return None,
                _ => {}
            }
            at = tokens.past(at);
        }
        None
    }

    /// `name(…) {` of a class or an object.
    fn method(&self, at: usize) -> Option<Frame> {
        let tokens = self.tokens;
        let (open, name, before) = (at + 1, tokens.text(at), tokens.before(at));
        if NO_METHODS.contains(&name) || matches!(before, "." | "function" | "return" | "record") {
            return None;
        }
        let close = tokens.mate(open)?;
        let is_java = self.dialect == Dialect::Java;
        let follows = tokens.text(close + 1);
        let may_be = follows == "{"
            || (is_java && follows == "throws")
            || (!is_java && follows == ":" && before != "?" && before != "case");
        if !may_be {
            return None;
        }
        let (body, end) = self.body(close)?;
        if before == "new" {
            return is_java.then(|| frame(FrameKind::Class, None, None, body, (body, end)));
        }
        let is_constructor = if is_java {
            let is_type = tokens.is_word(at.saturating_sub(1))
                && !MODIFIERS.contains(&before)
                && !tokens.is(at.saturating_sub(2), "@");
            !is_type && !matches!(before, ">" | "]")
        } else {
            name == "constructor"
        };
        let kind = if is_constructor { FrameKind::Constructor } else { FrameKind::Function };
        Some(frame(kind, Some(at), Some((open, close)), body, (open, end)))
    }

    fn arrow(&self, at: usize) -> Option<Frame> {
        let tokens = self.tokens;
        let before = at.checked_sub(1)?;
        let params = match tokens.kind(before)? {
            Kind::Close => (tokens.mate(before)?, before),
            Kind::Word => {
                // Of `(a): Type => …` the brackets stand before the type.
                let from = before.saturating_sub(8);
                let close = (from..before)
                    .rev()
                    .find(|close| tokens.is(*close, ")") && tokens.is(close + 1, ":"));
                close
                    .and_then(|close| Some((tokens.mate(close)?, close)))
                    .unwrap_or((before, before))
            }
            _ => {
                let from = before.saturating_sub(16);
                let close = (from..before)
                    .rev()
                    .find(|close| tokens.is(*close, ")") && tokens.is(close + 1, ":"))?;
                (tokens.mate(close)?, close)
            }
        };
        let end = if tokens.is(at + 1, "{") {
            tokens.mate(at + 1)?
        } else {
            end_within(tokens, self.dialect, at + 1, ARROW_TOKENS_MAX).saturating_sub(1)
        };
        // `const name = (…) => …` and `name: (…) => …` give it their name.
        let mut name = params.0.checked_sub(1)?;
        if tokens.text(name) == "async" {
            name = name.checked_sub(1)?;
        }
        let name = matches!(tokens.text(name), "=" | ":")
            .then(|| name.checked_sub(1))
            .flatten()
            .filter(|name| tokens.is_word(*name));
        Some(frame(FrameKind::Function, name, Some(params), at + 1, (params.0, end)))
    }

    fn go(&self, at: usize) -> Option<Frame> {
        let tokens = self.tokens;
        let is_method = tokens.is(at + 1, "(") && {
            let close = tokens.mate(at + 1)?;
            tokens.is_word(close + 1) && tokens.is(close + 2, "(")
        };
        let name = if is_method { tokens.mate(at + 1)? + 1 } else { at + 1 };
        let (name, mut open) =
            if tokens.is_word(name) { (Some(name), name + 1) } else { (None, at + 1) };
        if tokens.is(open, "[") {
            open = tokens.past(open);
        }
        if !tokens.is(open, "(") {
            return None;
        }
        let close = tokens.mate(open)?;
        let mut body = close + 1;
        while !tokens.is(body, "{") || matches!(tokens.before(body), "interface" | "struct") {
            let ends =
                tokens.starts_line(body) || matches!(tokens.text(body), ")" | "," | "" | ";");
            if ends || body > close + HEAD_TOKENS_MAX {
                return None;
            }
            body = tokens.past(body);
        }
        let end = tokens.mate(body)?;
        Some(frame(FrameKind::Function, name, Some((open, close)), body, (open, end)))
    }

    fn ruby_def(&self, at: usize) -> Frame {
        let tokens = self.tokens;
        let mut name = at + 1;
        while tokens.is(name + 1, ".") {
            name += 2;
        }
        let params = Some(name + 1)
            .filter(|open| tokens.is(*open, "("))
            .and_then(|open| Some((open, tokens.mate(open)?)));
        let body = params.map_or(name + 1, |(_, close)| close + 1);
        let end = match tokens.mate(at) {
            Some(end) => end,
            None => expression_end(tokens, self.dialect, body + 1).saturating_sub(1),
        };
        let is_constructor = tokens.text(name) == "initialize";
        let kind = if is_constructor { FrameKind::Constructor } else { FrameKind::Function };
        frame(kind, Some(name), params, body, (at, end))
    }

    fn ruby_lambda(&self, at: usize) -> Option<Frame> {
        let tokens = self.tokens;
        let open = (at + 1..at + 24).find(|next| {
            !tokens.starts_line(*next) && (tokens.is(*next, "{") || tokens.text(*next) == "do")
        })?;
        let end = tokens.mate(open)?;
        Some(frame(FrameKind::Function, None, None, open, (at, end)))
    }
}

fn frame(
    kind: FrameKind,
    name: Option<usize>,
    params: Option<(usize, usize)>,
    body: usize,
    (start, end): (usize, usize),
) -> Frame {
    Frame { kind, name, params, body, start, end, parent: 0, depth: 0 }
}

/// Calls of Ruby whose blocks run later and often.
const RUNS_LATER: &[&str] = &[
    "test",
    "it",
    "specify",
    "before",
    "after",
    "let",
    "let!",
    "setup",
    "subject",
    "scenario",
    "task",
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "helpers",
    "before_action",
    "scope",
    "after_commit",
];

const NO_METHODS: &[&str] = &[
    "if",
    "for",
    "while",
    "switch",
    "catch",
    "with",
    "function",
    "return",
    "super",
    "synchronized",
    "try",
    "else",
    "do",
    "await",
    "yield",
    "typeof",
    "import",
];

const MODIFIERS: &[&str] =
    &["public", "private", "protected", "final", "static", "abstract", "synchronized", "default"];
