//! Keys that are compared by an operator with what somebody hands in:
//! `request.headers.token !== env.API_TOKEN`.

use crate::finding::{Class, Does};
use crate::rules::Sink;
use crate::shapes;

use super::super::dialect::Dialect;
use super::super::reader::{Range, judge};
use super::super::token::Kind;
use super::super::value::{Origin, Value};
use super::Finder;

/// How many tokens a side of a comparison has at most.
const SIDE_TOKENS_MAX: usize = 40;

/// Values that stand for nothing, and what has them is no key.
const NOTHING: &[&str] =
    &["undefined", "null", "nil", "None", "NULL", "true", "false", "0", "this", "self"];

impl<'a> Finder<'_, '_, 'a> {
    /// The use at a comparison of a key that is held with something that was handed in.
    pub(super) fn compared(&mut self, at: usize) {
        let tokens = self.reader.tokens;
        if !matches!(tokens.text(at), "===" | "==" | "!==" | "!=") {
            return;
        }
        let (Some(left), Some(right)) = (self.side_before(at), self.side_after(at)) else { return };
        self.compare(left, right, tokens.text(at));
    }

    fn compare(&mut self, left: Range, right: Range, operator: &str) {
        // Both may be keys: what is asked for is whether a setting changed.
        let (of_left, of_right) = (self.held(left), self.held(right));
        let (range, value) = match (of_left, of_right) {
            (Some(value), None) if self.is_given(right) => (left, value),
            (None, Some(value)) if self.is_given(left) => (right, value),
            _ => return,
        };
        let sink = Sink {
            call: operator.to_owned(),
            key: None,
            receiver: false,
            keywords: Vec::new(),
            does: Does::Authenticates,
            keeps: false,
            public: false,
            unless: None,
            certain: false,
            remedy: None,
        };
        if let Origin::Load { at, .. } = value.origin {
            self.reader.reached.borrow_mut().insert(at);
        }
        self.key_use(range.0, (range.0, range.1.saturating_sub(1)), &sink, &value);
    }

    /// `apiKey.equals(request.getHeader("X-Api-Key"))` of Java, `safeCompare(given, env.TOKEN)`.
    pub(super) fn equal(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let is_java = matches!(reader.dialect, Dialect::Java | Dialect::Kotlin)
            && matches!(tokens.text(at), "equals" | "contentEquals");
        if !is_java && !compares_safely(tokens.text(at)) {
            return;
        }
        let Some(arguments) = reader.arguments(at) else { return };
        let own = at.checked_sub(1).and_then(|dot| self.side_before(dot));
        let (left, right) = match (own, arguments.as_slice()) {
            (_, [left, right]) => (*left, *right),
            (Some(left), [right]) => (left, *right),
            _ => return,
        };
        self.compare(left, right, tokens.text(at));
    }

    /// The value of a side, if it is a key that the application holds.
    fn held(&self, range: Range) -> Option<Value<'a>> {
        let reader = self.reader;
        if reader.keys_in(range.0, range.1) == 0 && !self.has_credential(range) {
            return None;
        }
        // `Config::AUTH_KEY` is the name of a setting.
        let (first, last) = (reader.tokens.text(range.0), range.1.saturating_sub(1));
        let last = reader.tokens.name(last);
        let is_shouted = last.contains('_') && !last.bytes().any(|one| one.is_ascii_lowercase());
        let is_of_class = first.starts_with(|letter: char| letter.is_ascii_uppercase())
            && first.bytes().any(|byte| byte.is_ascii_lowercase());
        if is_shouted && is_of_class && first != "Env" {
            return None;
        }
        let value = reader.value(range);
        let class = super::class_of(value.names.iter().copied());
        let is_held = match value.origin {
            Origin::Load { setting, .. } => setting
                .and_then(judge)
                .or(class)
                .is_some_and(|class| matches!(class, Class::Key | Class::Credential)),
            Origin::Setting { .. } => {
                matches!(class, Some(Class::Key | Class::Credential))
                    && (self.is_of_settings(range)
                        || self.is_filled_in(range)
                        || self.is_imported(range))
            }
            // `handler.config.token` of a parameter
            Origin::Unknown => {
                matches!(class, Some(Class::Key | Class::Credential)) && self.is_of_settings(range)
            }
            _ => false,
        };
        is_held.then_some(value)
    }

    /// Whether a value is what a module of the project exports.
    fn is_imported(&self, (from, to): Range) -> bool {
        let reader = self.reader;
        let path = reader.facts.import(reader.tokens.text(from));
        let module = path.and_then(|path| path.first()).copied().unwrap_or_default();
        let is_alone = !(from + 1..to).any(|at| {
            reader.is_dot(at) && !matches!(reader.tokens.text(at + 1), "trim" | "toString")
        });
        is_alone && (module.starts_with(['.', '~']) || module.starts_with("@/"))
    }

    /// Whether a name is that of a field of Java which a framework fills in.
    fn is_filled_in(&self, (from, to): Range) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        let name = tokens.name(to.saturating_sub(1));
        let is_field = from + 1 == to || tokens.text(from) == "this" && from + 3 == to;
        is_field
            && matches!(reader.dialect, Dialect::Java | Dialect::Kotlin)
            && (0..tokens.len()).any(|at| {
                tokens.is(at, "@")
                    && matches!(tokens.text(at + 1), "Value" | "ConfigProperty" | "Property")
                    && tokens.is(at + 2, "(")
                    && {
                        let end = tokens.past(at + 2);
                        (end..end + 6).any(|at| tokens.is_word(at) && tokens.name(at) == name)
                    }
            })
    }

    fn has_credential(&self, range: Range) -> bool {
        let tokens = self.reader.tokens;
        (range.0..range.1).any(|at| {
            let name = tokens.string(at).unwrap_or_else(|| tokens.name(at));
            judge(name) == Some(Class::Credential)
        })
    }

    /// Whether a chain goes through an object of settings: `env.TOKEN`, `this.config.token`.
    fn is_of_settings(&self, range: Range) -> bool {
        let tokens = self.reader.tokens;
        let end = range.1.saturating_sub(1);
        (range.0..end).any(|at| {
            tokens.is_word(at) && (shapes::holds_settings(tokens.name(at)) || self.is_settings(at))
        })
    }

    /// Whether a side is something that could have been handed in.
    fn is_given(&self, (from, to): Range) -> bool {
        let tokens = self.reader.tokens;
        let last = to.saturating_sub(1);
        let counts = ["length", "size", "count", "typeof"];
        let is_value = matches!(tokens.kind(from), Some(Kind::Word | Kind::Open));
        is_value
            && !NOTHING.contains(&tokens.text(from))
            && !counts.contains(&tokens.text(last))
            && tokens.before(from) != "typeof"
    }

    /// What stands before an operator: a chain of names and calls, or a template.
    fn side_before(&self, at: usize) -> Option<Range> {
        let reader = self.reader;
        let tokens = reader.tokens;
        let mut last = at.checked_sub(1)?;
        for _ in 0..4 {
            match tokens.kind(last)? {
                Kind::Word => {
                    let start = reader.chain(last).1;
                    let is_near = at - start < SIDE_TOKENS_MAX && !self.is_joined(start);
                    return is_near.then_some((start, at));
                }
                Kind::Close => {
                    let open = tokens.mate(last)?;
                    if !matches!(tokens.text(open), "(" | "[") {
                        return (at - open < SIDE_TOKENS_MAX).then_some((open, at));
                    }
                    last = open.checked_sub(1)?;
                }
                Kind::Op if tokens.is(last, "!") => last = last.checked_sub(1)?,
                _ => return None,
            }
        }
        None
    }

    /// Whether a chain is only a part of a side.
    fn is_joined(&self, start: usize) -> bool {
        matches!(self.reader.tokens.before(start), "+" | "." | "->" | "typeof" | "!")
    }

    /// What stands after one.
    fn side_after(&self, at: usize) -> Option<Range> {
        let reader = self.reader;
        let tokens = reader.tokens;
        let from = at + 1;
        let mut next = from;
        // `"Bearer " + config.token`
        if tokens.kind(from) == Some(Kind::Str) && matches!(tokens.text(from + 1), "+" | ".") {
            let range = self.side_after(from + 1)?;
            return Some((from, range.1));
        }
        match tokens.kind(from)? {
            Kind::Open if !matches!(tokens.text(from), "(" | "[" | "{") => {
                return Some((from, tokens.past(from)));
            }
            Kind::Word => {}
            _ => return None,
        }
        for _ in 0..SIDE_TOKENS_MAX {
            next += 1;
            while matches!(tokens.text(next), "(" | "[") && !tokens.starts_line(next) {
                next = tokens.past(next);
            }
            if tokens.is(next, "!") {
                next += 1;
            }
            if !reader.is_dot(next) || !tokens.is_word(next + 1) {
                break;
            }
            next += 1;
        }
        let is_sum = tokens.is(next, "+") || reader.dialect == Dialect::Java;
        (!is_sum && next - from < SIDE_TOKENS_MAX).then_some((from, next))
    }
}

/// Whether a function by its name compares secrets, in a time that tells nothing of them.
fn compares_safely(name: &str) -> bool {
    if matches!(name, "tsscmp" | "scmp") {
        return true;
    }
    let lower = name.to_ascii_lowercase();
    ["compare", "equal"].iter().any(|word| lower.contains(word))
        && ["safe", "secure", "constant", "timing"].iter().any(|word| lower.contains(word))
}
