//! Where a value comes from: a literal, a load, an argument, a setting. It is followed within its
//! file, through names, wrappers of bytes and text, and functions that only return something.

use crate::finding::Source;
use crate::site::Hot;

use super::dialect::Dialect;
use super::facts::{Definition, Form, name_of};
use super::forms::{DERIVERS, GENERATORS, RECEIVERS, WRAPPERS};
use super::reader::{Range, Reader, judge};
use super::token::Kind;
use super::tree::{FrameKind, expression_end};

/// How many names and functions a value is followed through.
const DEPTH_MAX: u8 = 7;

/// How many expressions are looked at for one value.
const STEPS_MAX: u16 = 200;

/// How far into a function it is looked for what it returns.
const BODY_TOKENS_MAX: usize = 2000;

/// How far from the word of a loop its body begins.
const LOOP_TOKENS_MAX: usize = 60;

/// Where a value comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin<'a> {
    /// The literal at this token.
    Literal(usize),
    /// The load whose last name is this token.
    Load { at: usize, setting: Option<&'a str>, from: Source, is_live: bool },
    /// The parameter of a function: the function's number, its position, its name.
    Argument { frame: usize, position: usize, name: usize },
    /// A member of something that this file does not make.
    Setting { is_live: bool },
    /// It is made at random.
    Generated,
    /// This file does not tell.
    Unknown,
}

/// A value, and by which names it went.
#[derive(Clone, Debug)]
pub(super) struct Value<'a> {
    pub(super) origin: Origin<'a>,
    /// From the place of use to the origin.
    pub(super) names: Vec<&'a str>,
    /// Whether something on the way keeps it: `None` where that cannot be told.
    pub(super) is_kept: Option<bool>,
}

impl<'a> Value<'a> {
    fn new(origin: Origin<'a>) -> Self {
        Self { origin, names: Vec::new(), is_kept: Some(false) }
    }

    fn named(mut self, name: &'a str) -> Self {
        self.names.insert(0, name);
        self
    }

    fn kept(mut self, is_kept: Option<bool>) -> Self {
        self.is_kept = match (self.is_kept, is_kept) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, _) | (_, None) => None,
            _ => Some(false),
        };
        self
    }

    /// Whether a name or the origin says that it is a key.
    pub(super) fn is_key(&self) -> bool {
        let is_named =
            |name: &&str| judge(name).is_some_and(|class| class != crate::finding::Class::Password);
        self.names.iter().any(is_named)
            || matches!(self.origin, Origin::Load { setting: Some(name), .. } if is_named(&name))
            || matches!(
                self.origin,
                Origin::Load { from: Source::File, setting: Some(_), .. }
                    | Origin::Load { from: Source::SecretStore, .. }
            )
    }

    /// From where it comes, in the words of a finding.
    pub(super) fn source(&self) -> Source {
        match self.origin {
            Origin::Literal(_) => Source::Literal,
            Origin::Load { from, .. } => from,
            Origin::Argument { .. } => Source::Argument,
            Origin::Setting { .. } => Source::Settings,
            Origin::Generated => Source::Generated,
            Origin::Unknown => Source::Unknown,
        }
    }

    /// Whether the next call of a function that evaluates it has a new value.
    pub(super) fn hot(&self) -> Hot {
        match (self.is_kept, self.origin) {
            (_, Origin::Literal(_) | Origin::Generated) | (Some(true), _) => Hot::No,
            (
                Some(false),
                Origin::Load { is_live: true, .. } | Origin::Setting { is_live: true },
            ) => Hot::Yes,
            _ => Hot::Unknown,
        }
    }
}

impl<'a> Reader<'_, 'a> {
    /// The value of an expression.
    pub(super) fn value(&self, range: Range) -> Value<'a> {
        self.fuel.set(STEPS_MAX);
        self.derived.borrow_mut().clear();
        self.evaluate(range, 0)
    }

    fn evaluate(&self, range: Range, depth: u8) -> Value<'a> {
        let fuel = self.fuel.get();
        if depth > DEPTH_MAX || range.0 >= range.1 || fuel == 0 {
            return Value::new(Origin::Unknown);
        }
        self.fuel.set(fuel - 1);
        let mut best: Option<Value<'a>> = None;
        for part in self.parts(range) {
            let value = self.primary(part, depth);
            let rank = |value: &Value<'a>| {
                u8::from(value.is_key())
                    + 2 * match value.origin {
                        Origin::Load { .. } => 4,
                        Origin::Argument { .. } | Origin::Setting { .. } => 3,
                        Origin::Literal(_) => 2,
                        Origin::Generated => 1,
                        Origin::Unknown => {
                            if value.is_key() {
                                3
                            } else {
                                0
                            }
                        }
                    }
            };
            if best.as_ref().is_none_or(|best| rank(&value) > rank(best)) {
                best = Some(value);
            }
        }
        best.unwrap_or_else(|| Value::new(Origin::Unknown))
    }

    /// What an expression may be: the sides of `||`, `??` and `? :`, the parts of a concatenation.
    pub(super) fn parts(&self, (from, to): Range) -> Vec<Range> {
        let tokens = self.tokens;
        let mut parts = Vec::new();
        let (mut start, mut at) = (from, from);
        let mut in_choice = false;
        while at < to && parts.len() < 16 {
            let text = tokens.text(at);
            let is_op = tokens.kind(at) == Some(Kind::Op);
            let is_word = tokens.kind(at) == Some(Kind::Word);
            if is_op && matches!(text, "||" | "??" | "?:" | "+")
                || (is_op && text == ":" && in_choice)
                || (is_op && text == "." && self.dialect == Dialect::Php)
                || (is_word && text == "or")
            {
                parts.push((start, at));
                start = at + 1;
            } else if is_op && matches!(text, "?" | "&&") || (is_word && text == "and") {
                in_choice |= text == "?";
                start = at + 1;
            } else if is_op
                && matches!(text, "===" | "==" | "!==" | "!=" | ">" | "<" | "=>")
                && self.call_open(at.saturating_sub(1)).is_none()
            {
                // A comparison is no key; before a choice it is only its condition.
                let choice = (at..to).find(|at| tokens.is(*at, "?"));
                match choice {
                    Some(choice) => {
                        at = choice;
                        continue;
                    }
                    None => return Vec::new(),
                }
            } else if is_word && matches!(text, "as" | "satisfies") && at > start {
                parts.push((start, at));
                return parts;
            }
            at = tokens.past(at);
        }
        parts.push((start, to));
        parts.retain(|(start, end)| start < end);
        parts
    }

    /// Strips what changes nothing about which value it is.
    fn stripped(&self, (mut from, mut to): Range) -> Range {
        let tokens = self.tokens;
        for _ in 0..16 {
            if to > from && tokens.is(to - 1, "!") {
                to -= 1;
            }
            match tokens.text(from) {
                "await" | "new" | "&" | "*" | "..." | "!" | "!!" | "yield" | "return" | "begin"
                | "then" | "->" => from += 1,
                "(" if tokens.past(from) == to => {
                    from += 1;
                    to -= 1;
                }
                // Casts: `(string) value`, `(SecretKey) value`.
                "(" if tokens.is_word(from + 1) && tokens.is(from + 2, ")") => from += 3,
                "[" if self.dialect == Dialect::Go && tokens.is(from + 1, "]") => from += 2,
                "[" if self.dialect == Dialect::Go && tokens.is(from + 2, "]") => from += 3,
                _ => break,
            }
        }
        (from, to)
    }

    fn primary(&self, range: Range, depth: u8) -> Value<'a> {
        let tokens = self.tokens;
        let (from, to) = self.stripped(range);
        match tokens.kind(from) {
            // `"prefix".concat(key)`
            Some(Kind::Str) if tokens.text(from + 2) == "concat" && self.is_dot(from + 1) => {
                let argument = self.arguments(from + 2).and_then(|all| all.first().copied());
                argument.map_or(Value::new(Origin::Unknown), |argument| {
                    self.evaluate(argument, depth + 1)
                })
            }
            Some(Kind::Str) if from + 1 == to || self.is_dot(from + 1) => {
                let is_plain = self.plain(from).is_some();
                let of_string = if from + 1 == to {
                    true
                } else {
                    tokens.is_word(from + 2) && RECEIVERS.contains(&tokens.text(from + 2))
                };
                let is_literal = is_plain && of_string;
                Value::new(if is_literal { Origin::Literal(from) } else { Origin::Unknown })
            }
            Some(Kind::Open) => self.opened((from, to), depth),
            Some(Kind::Word) => self.chained((from, to), depth),
            _ => Value::new(Origin::Unknown),
        }
    }

    /// The text of a string in which nothing is put in.
    pub(super) fn plain(&self, at: usize) -> Option<&'a str> {
        let text = self.tokens.string(at)?;
        let has_dollars = matches!(self.dialect, Dialect::Php | Dialect::Kotlin)
            && self.tokens.text(at).starts_with('"');
        let is_plain = !has_dollars
            || !text.as_bytes().windows(2).any(
                |pair| matches!(pair, [b'$', next] if next.is_ascii_alphabetic() || *next == b'{'),
            );
        is_plain.then_some(text)
    }

    /// A template, a list or an expression in brackets.
    fn opened(&self, (from, to): Range, depth: u8) -> Value<'a> {
        let tokens = self.tokens;
        let Some(close) = tokens.mate(from) else { return Value::new(Origin::Unknown) };
        match tokens.text(from) {
            "(" => self.evaluate((from + 1, close), depth + 1),
            "{" => Value::new(Origin::Unknown),
            "[" => {
                let mut values = self
                    .split(from + 1, close)
                    .into_iter()
                    .take(8)
                    .map(|part| self.evaluate(part, depth + 1));
                let Some(first) = values.next() else { return Value::new(Origin::Unknown) };
                if first.is_key() { first } else { values.find(Value::is_key).unwrap_or(first) }
            }
            _ => {
                let mut at = from + 1;
                while at < close.min(to) {
                    if tokens.kind(at) == Some(Kind::Open)
                        && let Some(end) = tokens.mate(at)
                    {
                        let value = self.evaluate((at + 1, end), depth + 1);
                        if value.is_key() {
                            return value;
                        }
                    }
                    at = tokens.past(at);
                }
                Value::new(Origin::Unknown)
            }
        }
    }

    /// A chain of names, calls and subscripts.
    fn chained(&self, (from, to): Range, depth: u8) -> Value<'a> {
        let tokens = self.tokens;
        // The words of the chain.
        let mut words = vec![from];
        let mut at = from + 1;
        while at < to && words.len() < 24 {
            let last = words.last().copied().unwrap_or(from);
            if let Some(open) = self.call_open(last).filter(|open| *open >= at) {
                at = tokens.past(open);
                if tokens.is(at, "{") && at < to && self.dialect != Dialect::Go {
                    at = tokens.past(at);
                }
            }
            while tokens.is(at, "[") || tokens.is(at, "!") {
                at = tokens.past(at);
            }
            if at < to && self.is_dot(at) && tokens.is_word(at + 1) {
                words.push(at + 1);
                at += 2;
            } else {
                break;
            }
        }
        // `@key ||= value`, `key = value` as the value of a method.
        if at < to && matches!(tokens.text(at), "||=" | "=" | "??=") {
            return self.evaluate((at + 1, to), depth + 1).kept(Some(tokens.text(at) != "="));
        }
        for word in &words {
            if let Some(load) = self.load(*word) {
                return Value::new(Origin::Load {
                    at: *word,
                    setting: load.known().or_else(|| self.file_of(&load)),
                    from: load.rule.from,
                    is_live: load.rule.live,
                });
            }
        }
        let last = words.last().copied().unwrap_or(from);
        self.called(&words, (from, to), depth).unwrap_or_else(|| self.member(&words, last, depth))
    }

    /// The value of a chain that ends with a call.
    fn called(&self, words: &[usize], (from, to): Range, depth: u8) -> Option<Value<'a>> {
        let tokens = self.tokens;
        let last = words.last().copied()?;
        let name = tokens.name(last);
        let arguments = self.arguments(last).filter(|_| {
            self.call_open(last).is_some() || self.dialect == Dialect::Ruby && last + 1 < to
        });
        let is_receiver = words.len() > 1 && RECEIVERS.contains(&name);
        if is_receiver {
            let end = last.saturating_sub(1);
            // `createHmac("sha256", key).update(text)`: the text is no key.
            let is_signed = name == "update"
                && words.iter().any(|word| matches!(tokens.name(*word), "createHmac" | "hmac"));
            let argument = arguments.as_ref().and_then(|all| all.first().copied());
            let takes = matches!(name, "encode" | "decode" | "update" | "digest");
            let argument = argument.filter(|_| takes && !is_signed);
            let receiver = self.primary((from, end), depth + 1);
            let is_known = receiver.is_key()
                || !matches!(receiver.origin, Origin::Unknown | Origin::Setting { .. });
            return Some(match argument {
                Some(argument) if !is_known => self.evaluate(argument, depth + 1),
                _ => receiver,
            });
        }
        let arguments = arguments?;
        if GENERATORS.contains(&name) {
            return Some(Value::new(Origin::Generated));
        }
        let first = arguments.first().copied();
        let is_derived = DERIVERS.contains(&name);
        if is_derived {
            self.derived.borrow_mut().insert(last);
        }
        if (is_derived || WRAPPERS.contains(&name))
            && let Some(first) = first
        {
            return Some(self.evaluate(first, depth + 1));
        }
        if self.is_own(words)
            && let Some(value) = self.returned(name, depth)
        {
            // What it returns of its argument is that of this call.
            return Some(match value.origin {
                Origin::Argument { frame, position, .. }
                    if self.named_frame(name) == Some(frame) && arguments.len() > position =>
                {
                    let given = arguments.get(position).copied().unwrap_or((0, 0));
                    self.evaluate(given, depth + 1)
                }
                _ => value,
            });
        }
        // A getter: `properties.getSecret()`, `secret()`.
        if arguments.is_empty() {
            let name = name.strip_prefix("get").filter(|rest| !rest.is_empty()).unwrap_or(name);
            return Some(Value::new(Origin::Setting { is_live: false }).named(name).kept(None));
        }
        // `make(…, key)`: what it makes is another thing, though of that name.
        Some(Value::new(Origin::Unknown).named(name).kept(None))
    }

    /// Whether a chain of names is that of a function of this file: `name`, `this.name`,
    /// `Class.name`.
    fn is_own(&self, words: &[usize]) -> bool {
        let tokens = self.tokens;
        match words {
            [_] => true,
            [holder, _] => {
                let holder = tokens.text(*holder);
                matches!(holder, "this" | "self" | "$this" | "static")
                    || self.named_frame(holder).is_some_and(|number| {
                        self.tree.frame(number).is_some_and(|one| one.kind == FrameKind::Class)
                    })
            }
            _ => false,
        }
    }

    /// What a function of this file returns.
    fn returned(&self, name: &str, depth: u8) -> Option<Value<'a>> {
        let tokens = self.tokens;
        if depth + 2 > DEPTH_MAX {
            return None;
        }
        let number = self.named_frame(name)?;
        let frame = self.tree.frame(number)?;
        if frame.kind != FrameKind::Function {
            return None;
        }
        let name = frame.name.map_or("", |at| tokens.name(at));
        if self.dialect != Dialect::Ruby && !tokens.is(frame.body, "{") {
            let value = self.evaluate((frame.body, frame.end + 1), depth + 2);
            return Some(value.named(name));
        }
        let returns = (frame.body..frame.end.min(frame.body + BODY_TOKENS_MAX))
            .filter(|at| tokens.text(*at) == "return" && self.tree.at(*at) == number)
            .take(4);
        let mut returned: Option<Value<'a>> = None;
        for at in returns {
            let end = expression_end(tokens, self.dialect, at + 1);
            let value = self.evaluate((at + 1, end), depth + 2);
            match &returned {
                // What it returns on another way comes from elsewhere.
                Some(first) if !self.is_nothing((at + 1, end)) => {
                    return Some(first.clone().kept(None));
                }
                None if !matches!(value.origin, Origin::Unknown) => {
                    returned = Some(value.named(name));
                }
                _ => {}
            }
        }
        if returned.is_some() {
            return returned;
        }
        if self.dialect != Dialect::Ruby {
            return None;
        }
        let first = if tokens.mate(frame.start).is_some() {
            let mut lines = (frame.body..frame.end).rev().take(BODY_TOKENS_MAX);
            lines.find(|at| tokens.starts_line(*at) && tokens.text(*at) != "end")?
        } else {
            (frame.body..frame.end.min(frame.body + 8)).find(|at| tokens.is(*at, "="))? + 1
        };
        Some(self.evaluate((first, frame.end), depth + 2).named(name))
    }

    /// Whether an expression is nothing, as what a function returns that fails.
    fn is_nothing(&self, (from, to): Range) -> bool {
        let tokens = self.tokens;
        let nothing = ["nil", "null", "undefined", "None", "\"\"", "''", "false"];
        from >= to || nothing.contains(&tokens.text(from))
    }

    /// The value of a name or of a member.
    fn member(&self, words: &[usize], last: usize, depth: u8) -> Value<'a> {
        let tokens = self.tokens;
        let name = tokens.name(last);
        let first = words.first().copied().unwrap_or(last);
        let holder = tokens.text(first);
        let is_sigil = tokens.text(last).starts_with('@');
        let is_of_object = is_sigil
            || words.len() == 2 && matches!(holder, "this" | "self" | "$this")
            || self.is_receiver(holder, words);
        // `params["secret"]`, `options[:key]`
        let mut subscript = None;
        if tokens.is(last + 1, "[") {
            subscript = tokens.string(last + 2).filter(|_| tokens.is(last + 3, "]"));
            if subscript.is_none() {
                let value = Value::new(Origin::Unknown).kept(None);
                return if judge(name).is_some() { value.named(name) } else { value };
            }
        }
        if words.len() == 1 && !is_sigil && subscript.is_none() {
            return self.variable(last, depth).named(name);
        }
        let name = subscript.unwrap_or(name);
        if is_of_object && subscript.is_none() {
            return self.field(name, depth).named(name);
        }
        if self.dialect == Dialect::Ruby
            && subscript.is_none()
            && self.is_own(words)
            && let Some(value) = self.returned(name, depth)
        {
            return value;
        }
        let root = tokens.name(first);
        if let Some(value) = self.entry_of(root, name, first, depth) {
            return value.named(name);
        }
        if self.parameter(root, first).is_some() {
            return Value::new(Origin::Unknown).named(name).kept(None);
        }
        let is_live = self.dialect == Dialect::JavaScript
            && self.facts.imports.contains_key(root)
            && ["config", "configuration", "settings", "conf"]
                .iter()
                .any(|word| root.eq_ignore_ascii_case(word));
        Value::new(Origin::Setting { is_live }).named(name)
    }

    /// Whether a name is that of the receiver of a Go method: `s.secret` in `func (s *Server) …`.
    fn is_receiver(&self, holder: &str, words: &[usize]) -> bool {
        let tokens = self.tokens;
        if self.dialect != Dialect::Go || words.len() != 2 {
            return false;
        }
        let Some(first) = words.first() else { return false };
        self.tree.around(self.tree.at(*first)).any(|(_, frame)| {
            frame.name.is_some_and(|name| {
                tokens.is(name.saturating_sub(1), ")")
                    && tokens
                        .mate(name.saturating_sub(1))
                        .is_some_and(|open| tokens.text(open + 1) == holder)
            })
        })
    }

    /// A variable, by the parts of the program around its use.
    fn variable(&self, at: usize, depth: u8) -> Value<'a> {
        let tokens = self.tokens;
        let name = tokens.name(at);
        let uses = self.tree.at(at);
        for (number, frame) in self.tree.around(uses) {
            let here = |definition: &&Definition| {
                matches!(definition.form, Form::Assigned | Form::Kept)
                    && self.tree.at(definition.name) == number
                    && definition.value != at
            };
            let found = self.facts.before(tokens, name, at).find(here);
            let found = found.or_else(|| self.facts.of(tokens, name).find(here));
            // What a parameter is without an argument says nothing of what it is with one.
            let is_default = |definition: &&Definition| {
                let (open, close) = frame.params.unwrap_or_default();
                !(open..close).contains(&definition.name)
            };
            if let Some(definition) = found.filter(is_default) {
                let is_kept = match frame.kind {
                    // A loop goes on with what was read before it.
                    _ if number == uses && number > 0 && self.is_in_loop(definition.name, at) => {
                        None
                    }
                    _ if number == uses && number > 0 => Some(definition.form == Form::Kept),
                    FrameKind::Function => None,
                    _ => Some(true),
                };
                return self.defined(definition, depth).kept(is_kept);
            }
            if let Some(position) = self.position_in(number, name) {
                let (position, param) = position;
                let is_kept = if number == uses { Some(false) } else { None };
                let origin = Origin::Argument { frame: number, position, name: param };
                return Value::new(origin).kept(is_kept);
            }
        }
        if self.facts.imports.contains_key(name) {
            return Value::new(Origin::Setting { is_live: false }).kept(Some(true));
        }
        if self.dialect == Dialect::Ruby {
            if let Some(value) = self.returned(name, depth) {
                return value;
            }
            return self.field(name, depth);
        }
        if matches!(self.dialect, Dialect::Java | Dialect::Kotlin) {
            return self.field(name, depth);
        }
        Value::new(Origin::Unknown).kept(None)
    }

    /// Whether a loop stands around a use that does not stand around the definition.
    fn is_in_loop(&self, definition: usize, uses: usize) -> bool {
        let tokens = self.tokens;
        let is_loop = |at: &usize| {
            tokens.is_word(*at)
                && matches!(tokens.text(*at), "for" | "while" | "foreach" | "loop" | "do")
        };
        let end_of = |at: usize| {
            tokens.mate(at).or_else(|| {
                let mut near = at + 1..uses.min(at + LOOP_TOKENS_MAX);
                let is_body = |at: &usize| tokens.is(*at, "{") && !tokens.is(*at - 1, "(");
                tokens.mate(near.find(is_body)?)
            })
        };
        let from = definition.max(uses.saturating_sub(BODY_TOKENS_MAX));
        (from..uses).filter(is_loop).any(|at| end_of(at).is_some_and(|end| end > uses))
    }

    fn defined(&self, definition: &Definition, depth: u8) -> Value<'a> {
        let tokens = self.tokens;
        let end = expression_end(tokens, self.dialect, definition.value);
        let Some(property) = definition.property else {
            return self.evaluate((definition.value, end), depth + 1);
        };
        let setting = tokens.name(property);
        let last = end.saturating_sub(1);
        if let Some(rule) = self.load_rule(last) {
            return Value::new(Origin::Load {
                at: definition.name,
                setting: Some(setting),
                from: rule.from,
                is_live: rule.live,
            });
        }
        Value::new(Origin::Setting { is_live: false }).named(setting).kept(None)
    }

    /// A field of the object, wherever the file gives it a value.
    fn field(&self, name: &str, depth: u8) -> Value<'a> {
        let tokens = self.tokens;
        let definition = self.facts.of(tokens, name).find(|definition| {
            matches!(definition.form, Form::Member | Form::Kept)
                || self.tree.frame(self.tree.at(definition.name)).is_some_and(|frame| {
                    frame.kind == FrameKind::Class && definition.form == Form::Assigned
                })
                || (matches!(self.dialect, Dialect::Java | Dialect::Kotlin | Dialect::Go)
                    && definition.form != Form::Entry)
        });
        match definition {
            Some(definition) => self.defined(definition, depth).kept(Some(true)),
            None if self.facts.type_of(tokens, name).is_some() => {
                Value::new(Origin::Setting { is_live: false }).kept(Some(true))
            }
            None => Value::new(Origin::Unknown).kept(None),
        }
    }

    /// An entry of an object that this file makes.
    fn entry_of(&self, root: &str, name: &str, at: usize, depth: u8) -> Option<Value<'a>> {
        let tokens = self.tokens;
        let object = self
            .facts
            .of(tokens, root)
            .find(|definition| definition.form == Form::Assigned && definition.name < at)?;
        let end = expression_end(tokens, self.dialect, object.value);
        let entry = self.facts.of(tokens, name).find(|definition| {
            matches!(definition.form, Form::Entry) && (object.value..end).contains(&definition.name)
        })?;
        let is_same = self.tree.at(object.name) == self.tree.at(at);
        Some(self.defined(entry, depth).kept(if is_same { None } else { Some(true) }))
    }

    /// The function around `at` that has a parameter of this name.
    pub(super) fn parameter(&self, name: &str, at: usize) -> Option<(usize, usize)> {
        let around = self.tree.around(self.tree.at(at));
        around.take(16).find_map(|(number, _)| Some((number, self.position_in(number, name)?.0)))
    }

    /// The position and the token of a parameter.
    fn position_in(&self, number: usize, name: &str) -> Option<(usize, usize)> {
        let tokens = self.tokens;
        let (open, close) = self.tree.frame(number)?.params?;
        if open == close {
            return (tokens.name(open) == name).then_some((0, open));
        }
        for (position, (from, to)) in self.split(open + 1, close).into_iter().enumerate() {
            let is_name = |at: &usize| {
                tokens.is_word(*at)
                    && tokens.name(*at) == name
                    && !tokens.is(at + 1, ".")
                    && !matches!(tokens.before(*at), "=" | "." | "?.")
            };
            let mut words = from..to;
            let named = match self.dialect {
                Dialect::Java => words.rfind(is_name).filter(|at| at + 1 == to),
                Dialect::Go => Some(from).filter(is_name),
                _ => words.find(is_name),
            };
            if let Some(at) = named {
                return Some((position, at));
            }
        }
        None
    }

    /// The name that stands for a definition in links.
    pub(super) fn defined_name(&self, definition: &Definition) -> &'a str {
        name_of(self.tokens, definition.name)
    }
}
