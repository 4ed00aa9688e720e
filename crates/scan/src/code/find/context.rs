//! What stands around a place: to what its value is assigned, whether it is only asked for, and
//! whether what takes it keeps it.

use crate::finding::{Does, Scope};
use crate::site::Hot;

use super::super::dialect::Dialect;
use super::super::facts::{Definition, Form};
use super::super::reader::Reader;
use super::super::table::Rule;
use super::super::token::Kind;
use super::super::tree::expression_end;
use super::Finder;

/// How far back the target of an assignment is looked for.
const BACK_MAX: usize = 60;

/// Functions of these names, or of names that begin so, set something up.
const MAKERS: &[&str] = &[
    "main",
    "init",
    "setup",
    "configure",
    "bootstrap",
    "boot",
    "register",
    "load",
    "start",
    "run",
];

/// How far the uses of a variable are looked for.
const USES_TOKENS_MAX: usize = 2000;

/// The values that `name ||= value` keeps.
pub(super) fn kept(reader: &Reader<'_, '_>) -> Vec<(usize, usize)> {
    let kept = reader.facts.definitions.iter().filter(|one| one.form == Form::Kept);
    let is_kept = |one: &&Definition| {
        reader.tokens.text(one.name).starts_with(['@', '$'])
            || reader.tokens.before(one.name) == "."
            || reader.scope(one.name) != Scope::Call
            || reader.dialect == Dialect::JavaScript
    };
    kept.filter(is_kept)
        .map(|one| (one.value, expression_end(reader.tokens, reader.dialect, one.value)))
        .collect()
}

/// Where the value of an expression goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    /// It is returned.
    Returned,
    /// It is assigned to a variable of the function.
    Variable(usize),
    /// A function takes it and uses it at once.
    Used,
    /// Something takes it and keeps it.
    Kept,
    /// It cannot be told.
    Elsewhere,
}

impl Finder<'_, '_, '_> {
    /// The definition whose value begins with the expression at `start`, perhaps within wrappers.
    pub(super) fn target(&self, start: usize) -> Option<Definition> {
        let reader = self.reader;
        let tokens = reader.tokens;
        let mut at = start;
        for _ in 0..BACK_MAX {
            let value = at;
            at = at.checked_sub(1)?;
            match tokens.kind(at)? {
                Kind::Op => match tokens.text(at) {
                    "=" | ":=" | ":" | "=>" | "||=" | "??=" => {
                        let of = reader.facts.definitions.partition_point(|one| one.value < value);
                        let found = reader.facts.definitions.get(of).copied();
                        if let Some(found) = found.filter(|one| one.value == value) {
                            return Some(found);
                        }
                        if tokens.text(at) != ":" {
                            return None;
                        }
                    }
                    "||" | "??" | "?:" | "?" | "." | "::" | "&" | "*" | "!" | "+" | "&&" | "?." => {
                    }
                    _ => return None,
                },
                Kind::Open if matches!(tokens.text(at), "(" | "[" | "`" | "${" | "\"") => {}
                Kind::Close => at = tokens.mate(at)?,
                Kind::Word => {
                    if tokens.text(at) == "return" {
                        return None;
                    }
                }
                _ => return None,
            }
            if tokens.starts_line(value)
                && tokens.kind(at) == Some(Kind::Word)
                && reader.dialect.ends_with_line()
            {
                return None;
            }
        }
        None
    }

    /// Whether the place only asks if there is a value.
    pub(super) fn is_only_asked(&self, start: usize, end: usize) -> bool {
        let tokens = self.reader.tokens;
        let before = tokens.before(start);
        let after = tokens.text(end);
        if self.is_compared(start, end) {
            return false;
        }
        if matches!(before, "!" | "typeof" | "delete" | "unless" | "!!" | "not" | "defined?") {
            return true;
        }
        if matches!(after, "===" | "==" | "!==" | "!=" | "?" | "&&" | "in") {
            return true;
        }
        let mut end = end;
        while self.reader.is_dot(end) && matches!(tokens.text(end + 1), "to_s" | "strip" | "trim") {
            end = if tokens.is(end + 2, "(") { tokens.past(end + 2) } else { end + 2 };
        }
        if self.reader.is_dot(end)
            && matches!(
                tokens.text(end + 1),
                "present?"
                    | "blank?"
                    | "nil?"
                    | "empty?"
                    | "length"
                    | "isEmpty"
                    | "isBlank"
                    | "any?"
            )
        {
            return true;
        }
        !self.reader.is_dot(end) && self.is_condition(start)
    }

    /// `given !== process.env.ADMIN_TOKEN`: what somebody gives is compared with the key, which is
    /// more than asking whether there is one.
    fn is_compared(&self, start: usize, end: usize) -> bool {
        let tokens = self.reader.tokens;
        let compares = |at: usize| matches!(tokens.text(at), "===" | "==" | "!==" | "!=");
        let is_given = |at: usize| {
            let is_nothing = ["undefined", "null", "nil", "None", "true", "false", "0"];
            matches!(tokens.kind(at), Some(Kind::Word | Kind::Close))
                && !is_nothing.contains(&tokens.text(at))
        };
        let before = start.saturating_sub(1);
        compares(before) && is_given(before.saturating_sub(1))
            || compares(end) && is_given(end + 1) && !matches!(tokens.before(start), "typeof" | "!")
    }

    /// Whether a place stands in a condition, directly or beside `&&` and `||`.
    fn is_condition(&self, start: usize) -> bool {
        let tokens = self.reader.tokens;
        let asks = [
            "if",
            "while",
            "isset",
            "empty",
            "expect",
            "assert",
            "invariant",
            "isBlank",
            "isEmpty",
            "elseif",
            "Boolean",
        ];
        let mut at = start;
        for _ in 0..BACK_MAX {
            let Some(before) = at.checked_sub(1) else { return false };
            at = before;
            match (tokens.kind(at), tokens.text(at)) {
                (Some(Kind::Close), _) => match tokens.mate(at) {
                    Some(mate) => at = mate,
                    None => return false,
                },
                (Some(Kind::Open), "(") => {
                    let call = at.saturating_sub(1);
                    // `!!(a && b)` asks as well.
                    if asks.contains(&tokens.text(call)) || matches!(tokens.text(call), "!!" | "!")
                    {
                        return true;
                    }
                    if tokens.is_word(call) {
                        return false;
                    }
                }
                (Some(Kind::Op), "=" | ":=" | "," | ";" | "?" | "=>" | ":" | "||=" | "??=")
                | (Some(Kind::Word), "return")
                | (Some(Kind::Open), _) => return false,
                (Some(Kind::Word), "if" | "unless" | "elsif" | "while") => return true,
                _ => {}
            }
            if tokens.starts_line(at) && self.reader.dialect.ends_with_line() {
                return false;
            }
        }
        false
    }

    /// When a place runs, with what its target adds to where it stands.
    pub(super) fn scope_of(&self, at: usize, target: Option<&Definition>) -> Scope {
        let reader = self.reader;
        let scope = reader.scope(at);
        if scope != Scope::Call {
            return scope;
        }
        let is_of_object = target.is_some_and(|target| reader.is_of_object(target));
        if is_of_object || self.is_kept(at) || self.fills_field(at) {
            return Scope::Instance;
        }
        // `init` of Go runs when the package is loaded.
        let number = reader.tree.at(at);
        let name = reader.tree.frame(number).and_then(|frame| frame.name);
        let is_init = reader.dialect == Dialect::Go
            && name.is_some_and(|name| reader.tokens.text(name) == "init");
        if is_init { Scope::Module } else { Scope::Call }
    }

    /// `this.loadParameter(process.env.JWT_SECRET, "jwtSecret")` fills a field.
    fn fills_field(&self, at: usize) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        // The load is an argument, or the call itself is one.
        let before = at.checked_sub(2).filter(|_| tokens.before(at) == "(");
        let method = if tokens.text(at) == "this" { Some(at + 2) } else { before };
        let Some(method) = method else { return false };
        let is_setter = ["load", "set", "assign"].iter().any(|verb| {
            tokens.text(method).strip_prefix(verb).is_some_and(|rest| {
                rest.starts_with(|letter: char| letter.is_uppercase() || letter == '_')
            })
        });
        is_setter
            && tokens.before(method) == "."
            && method.checked_sub(2).is_some_and(|holder| tokens.text(holder) == "this")
            && reader.arguments(method).is_some_and(|arguments| {
                arguments
                    .iter()
                    .skip(1)
                    .any(|(from, to)| from + 1 == *to && tokens.string(*from).is_some())
            })
    }

    /// Whether the place stands in a value that is kept once it was made.
    pub(super) fn is_kept(&self, at: usize) -> bool {
        let end = self.kept.partition_point(|(from, _)| *from <= at);
        let nearest = self.kept.get(..end).unwrap_or_default().iter().rev().take(4);
        nearest.into_iter().any(|(from, to)| (*from..*to).contains(&at))
    }

    /// Whether a load that runs at each call gives a new value to whoever takes it there.
    pub(super) fn hot_of_load(&self, start: usize, target: Option<&Definition>) -> Hot {
        if self.is_of_maker(start) {
            return Hot::Unknown;
        }
        match self.goes(start) {
            Goes::Returned | Goes::Used => Hot::Yes,
            Goes::Kept => Hot::No,
            Goes::Elsewhere => Hot::Unknown,
            Goes::Variable(name) => {
                let is_plain = target.is_none_or(|target| {
                    matches!(target.form, Form::Assigned) && target.name == name
                });
                if is_plain && self.is_used_here(name) { Hot::Yes } else { Hot::Unknown }
            }
        }
    }

    /// Whether the function around a place makes or sets up something that lasts.
    fn is_of_maker(&self, at: usize) -> bool {
        let reader = self.reader;
        let Some(frame) = reader.tree.frame(reader.tree.at(at)) else { return true };
        let Some(name) = frame.name else { return false };
        let name = reader.tokens.name(name);
        let is_whole = MAKERS.iter().any(|maker| name.eq_ignore_ascii_case(maker));
        let begins = MAKERS.iter().chain(&["new", "create", "build", "make"]).any(|maker| {
            let rest = name.get(maker.len()..).unwrap_or_default();
            name.get(..maker.len()).is_some_and(|head| head.eq_ignore_ascii_case(maker))
                && rest.starts_with(|letter: char| letter.is_uppercase() || letter == '_')
        });
        is_whole || begins
    }

    /// Whether the value at `start` is given to what uses it or keeps it.
    pub(super) fn is_of_sink(&self, start: usize) -> bool {
        matches!(self.goes(start), Goes::Used | Goes::Kept)
    }

    /// Where the value at `start` goes.
    fn goes(&self, start: usize) -> Goes {
        let reader = self.reader;
        let tokens = reader.tokens;
        let mut at = start;
        for _ in 0..BACK_MAX {
            let Some(before) = at.checked_sub(1) else { return Goes::Elsewhere };
            at = before;
            match (tokens.kind(at), tokens.text(at)) {
                (Some(Kind::Close), _) => match tokens.mate(at) {
                    Some(mate) => at = mate,
                    None => return Goes::Elsewhere,
                },
                (Some(Kind::Word), "return") => return Goes::Returned,
                (Some(Kind::Word), "new") => return Goes::Elsewhere,
                (Some(Kind::Op), "=" | ":=") => {
                    let name = at.saturating_sub(1);
                    let is_local = tokens.is_word(name)
                        && !reader.is_dot(name.saturating_sub(1))
                        && !tokens.text(name).starts_with('@');
                    let is_sink = reader.is_dot(name.saturating_sub(1))
                        && reader.rules_at(name).0.iter().any(|rule| matches!(rule, Rule::Sink(_)));
                    return match (is_local, is_sink) {
                        (true, _) => Goes::Variable(name),
                        (_, true) => Goes::Used,
                        _ => Goes::Elsewhere,
                    };
                }
                (Some(Kind::Op), "=>") if reader.dialect == Dialect::JavaScript => {
                    return Goes::Returned;
                }
                (Some(Kind::Op), ":" | "=>") => return self.goes_into_object(at),
                (Some(Kind::Op), ";" | "->") => return self.last_of_method(start),
                (Some(Kind::Open), "(") => {
                    let callee = at.saturating_sub(1);
                    if let Some(goes) = self.goes_into_call(callee) {
                        return goes;
                    }
                }
                (Some(Kind::Open), "{") => {
                    return if self.is_block(at) {
                        self.last_of_method(start)
                    } else {
                        Goes::Elsewhere
                    };
                }
                _ => {}
            }
            if tokens.starts_line(at) && reader.dialect == Dialect::Ruby {
                let is_command =
                    reader.rules_at(at).0.iter().any(|rule| matches!(rule, Rule::Sink(_)));
                return if is_command { Goes::Used } else { self.last_of_method(start) };
            }
        }
        Goes::Elsewhere
    }

    /// A statement of its own is what a method of Ruby returns when it is the last one.
    fn last_of_method(&self, start: usize) -> Goes {
        let is_ruby = self.reader.dialect == Dialect::Ruby;
        if is_ruby && self.reader.scope(start) == Scope::Call {
            Goes::Returned
        } else {
            Goes::Elsewhere
        }
    }

    fn goes_into_call(&self, callee: usize) -> Option<Goes> {
        let reader = self.reader;
        if !reader.tokens.is_word(callee) {
            return None;
        }
        let (rules, start) = reader.rules_at(callee);
        let sink = rules.iter().find_map(|rule| match rule {
            Rule::Sink(sink) => Some(sink),
            _ => None,
        });
        match sink {
            Some(sink) if sink.keeps => Some(Goes::Kept),
            // What is derived goes on.
            Some(sink) if sink.does == Does::Derives => None,
            Some(_) => Some(Goes::Used),
            None if reader.tokens.before(start) == "new" => Some(Goes::Elsewhere),
            None if is_transparent(reader.tokens.name(callee)) => None,
            None => Some(Goes::Elsewhere),
        }
    }

    /// `sink({ secret: load })`
    fn goes_into_object(&self, colon: usize) -> Goes {
        let reader = self.reader;
        let tokens = reader.tokens;
        let mut at = colon;
        for _ in 0..BACK_MAX {
            let Some(before) = at.checked_sub(1) else { return Goes::Elsewhere };
            at = before;
            match tokens.kind(at) {
                Some(Kind::Close) => match tokens.mate(at) {
                    Some(mate) => at = mate,
                    None => return Goes::Elsewhere,
                },
                Some(Kind::Open) if tokens.text(at) == "(" => {
                    let goes = self.goes_into_call(at.saturating_sub(1));
                    return goes.unwrap_or(Goes::Elsewhere);
                }
                Some(Kind::Open) if !matches!(tokens.before(at), "(" | ",") => {
                    return Goes::Elsewhere;
                }
                _ => {}
            }
        }
        Goes::Elsewhere
    }

    /// Whether a brace opens statements, not an object.
    fn is_block(&self, open: usize) -> bool {
        let before = self.reader.tokens.before(open);
        matches!(before, ")" | "=>" | "else" | "try" | "finally" | "do" | "")
            || self.reader.tree.begins_body(open)
    }

    /// Whether a variable is handed to a sink by the function that has it, and to nothing else that
    /// could keep it.
    fn is_used_here(&self, name: usize) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        let Some(frame) = reader.tree.frame(reader.tree.at(name)) else { return false };
        let text = tokens.text(name);
        let mut is_used = false;
        let last = frame.end.min(name + USES_TOKENS_MAX);
        for at in (name + 1..last).filter(|at| tokens.text(*at) == text) {
            if reader.is_dot(at.saturating_sub(1)) || tokens.is(at + 1, ":") {
                continue;
            }
            match self.goes(at) {
                Goes::Used => is_used = true,
                Goes::Kept | Goes::Elsewhere if !self.is_only_asked(at, at + 1) => return false,
                _ => {}
            }
        }
        is_used
    }
}

fn is_transparent(name: &str) -> bool {
    matches!(
        name,
        "from"
            | "String"
            | "encode"
            | "byte"
            | "decode"
            | "base64_decode"
            | "trim"
            | "decode64"
            | "if"
            | "string"
            | "parse"
            | "strval"
            | "hmacShaKeyFor"
            | "createSecretKey"
            | "strict_decode64"
    )
}
