//! Calls of functions that no rule knows, by their shape: a name that speaks of signing or
//! encrypting, and an argument that is named as a key or comes from one.

use std::borrow::Cow;

use crate::finding::{Class, Confidence, Does};
use crate::names;
use crate::rules::Sink;
use crate::shapes::{self, Shape};
use crate::site::Hot;

use super::super::dialect::Dialect;
use super::super::reader::{Range, judge};
use super::super::token::Kind;
use super::super::tree::FrameKind;
use super::super::value::{Origin, Value};
use super::Finder;

/// How many arguments and entries of objects are looked at.
const GIVEN_MAX: usize = 16;

impl<'a> Finder<'_, '_, 'a> {
    /// The use at a call whose name alone speaks of one.
    pub(super) fn shaped(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        if reader.call_open(at).is_none() || reader.tree.is_declared(at) {
            return;
        }
        let receiver = at.checked_sub(1).filter(|dot| reader.is_dot(*dot));
        let receiver = receiver.and_then(|dot| dot.checked_sub(1));
        let receiver = receiver.filter(|at| tokens.is_word(*at)).map(|at| tokens.name(at));
        let shape = shapes::of_call(tokens.name(at), receiver);
        let Some(shape) = shape else {
            self.found_by_callback(at, receiver);
            return;
        };
        let start = reader.chain(at).1;
        if matches!(tokens.before(start), "function" | "func" | "fun" | "def" | "interface" | "@") {
            return;
        }
        let Some(arguments) = reader.arguments(at) else { return };
        let given = self.given(&arguments);
        let is_beside =
            |(_, range): &&(_, Range)| !self.plain_name(*range).is_some_and(shapes::stands_beside);
        if shape.worked_on && given.iter().filter(is_beside).count() < 2 {
            return;
        }
        let found =
            given.into_iter().find_map(|(keyword, range)| self.key_in(shape, keyword, range));
        let Some((value, class)) = found else { return };
        self.tell(at, start, shape, &value, class);
    }

    /// The use at a call that checks a token and is given a function which finds the key:
    /// `token.Parse(raw, func(t *Token) (string, error) { return config.Secret, nil })`.
    fn found_by_callback(&mut self, at: usize, receiver: Option<&str>) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let words = names::words(tokens.name(at));
        let checks = ["check", "decode", "parse", "read", "validate", "verify"];
        let is_check = words.first().is_some_and(|first| checks.contains(&first.as_str()))
            && receiver.is_some_and(|on| {
                names::words(on).iter().any(|word| matches!(word.as_str(), "token" | "tokens"))
            });
        if !is_check || self.keys_given(at) == 0 {
            return;
        }
        let Some(arguments) = reader.arguments(at) else { return };
        let is_function = |(from, to): &&Range| {
            reader.tree.starting_in(*from, from + 2).any(|(_, frame)| {
                frame.kind == FrameKind::Function && frame.end <= *to && *to <= frame.end + 2
            })
        };
        let Some(range) = arguments.iter().find(is_function).copied() else { return };
        let value = self.value_of_key(range);
        let class = super::class_of(value.names.iter().copied());
        if class == Some(Class::Key) {
            let shape = Shape { does: Does::Verifies, makes: false, ..Shape::of_keeper() };
            self.tell(at, reader.chain(at).1, shape, &value, Class::Key);
        }
    }

    /// The use at a call of others that is given a key of the settings as its `secret`:
    /// `authorize({ store, secret: config.sessionSecret })`.
    pub(super) fn handed(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        // The name of the argument is that of a key, and so is what it is given.
        if self.keys_given(at) < 2 || reader.tree.is_declared(at) {
            return;
        }
        if !shapes::may_take_key(tokens.name(at)) {
            return;
        }
        let Some(arguments) = reader.arguments(at) else { return };
        let found = self.given(&arguments).into_iter().find_map(|(keyword, range)| {
            let keyword = keyword.filter(|one| judge(one) == Some(Class::Key))?;
            let name = self.plain_name(range).filter(|name| judge(name) == Some(Class::Key))?;
            let value = reader.value(range);
            let is_held = matches!(value.origin, Origin::Load { .. } | Origin::Setting { .. })
                || value.is_kept == Some(true);
            let is_one = is_held && shapes::is_taken(keyword) && shapes::is_of_application(name);
            is_one.then_some(value)
        });
        let Some(value) = found else { return };
        self.tell(at, reader.chain(at).1, Shape::of_keeper(), &value, Class::Key);
    }

    /// The use where an object of the project is made with a key of the application, which it keeps
    /// for a reason: `NewTokenService(config.SigningKey, store)`.
    pub(super) fn made(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let name = tokens.name(at);
        if self.keys_given(at) == 0 {
            return;
        }
        let start = reader.chain(at).1;
        let is_maker = match reader.dialect {
            Dialect::Go => name.strip_prefix("New").is_some_and(|rest| !rest.is_empty()),
            Dialect::Ruby => name == "new",
            Dialect::Kotlin => false,
            // `new TextEncoder().encode(key)` is none.
            _ => tokens.before(start) == "new" && !(start..at).any(|at| tokens.is(at, "(")),
        };
        if !is_maker || !shapes::may_keep_key(name) {
            return;
        }
        let Some(arguments) = reader.arguments(at) else { return };
        let found = arguments.into_iter().take(GIVEN_MAX).find_map(|range| {
            let name = self.plain_name(range).filter(|name| judge(name) == Some(Class::Key))?;
            let is_chain = reader.is_dot(range.0 + 1);
            let is_own =
                shapes::is_of_application(name) || (is_chain && names::folded(name) == "secret");
            let value = reader.value(range);
            let is_other = matches!(value.origin, Origin::Literal(_) | Origin::Generated);
            let is_member = is_chain && !is_other;
            let is_held = matches!(value.origin, Origin::Load { .. } | Origin::Setting { .. })
                || value.is_kept == Some(true)
                || is_member;
            (is_own && is_held).then_some(value)
        });
        let Some(value) = found else { return };
        self.tell(at, start, Shape::of_keeper(), &value, Class::Key);
    }

    /// The use at a call that hashes a text with a key in it: `md5(query + appSecret)`.
    pub(super) fn mixed(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let name = tokens.name(at);
        if !shapes::hashes(name) || self.keys_given(at) == 0 || reader.tree.is_declared(at) {
            return;
        }
        let Some(arguments) = reader.arguments(at) else { return };
        let near = arguments.into_iter().take(3).map(|range| self.bytes_of(range));
        let sums = near.filter(|range| range.1 < range.0 + 60).map(|range| reader.parts(range));
        let found = sums.filter(|parts| parts.len() > 1).flatten().find_map(|range| {
            let value = reader.value(range);
            let name = self.plain_name(range)?;
            let is_one = judge(name) == Some(Class::Key)
                && shapes::is_of_application(name)
                && !matches!(value.origin, Origin::Literal(_) | Origin::Generated);
            is_one.then_some(value)
        });
        let Some(value) = found else { return };
        let shape = Shape { does: Does::Signs, makes: false, ..Shape::of_keeper() };
        self.tell(at, reader.chain(at).1, shape, &value, Class::Key);
    }

    /// How many names of keys stand among the arguments of a call.
    fn keys_given(&self, at: usize) -> usize {
        let reader = self.reader;
        let range = reader.call_open(at).and_then(|open| Some((open, reader.tokens.mate(open)?)));
        range.map_or(0, |(open, close)| reader.keys_in(open, close))
    }

    /// What a conversion to bytes is given: `[]byte(text)`.
    fn bytes_of(&self, (from, to): Range) -> Range {
        let tokens = self.reader.tokens;
        let is_one = tokens.is(from, "[")
            && tokens.text(from + 2) == "byte"
            && tokens.is(from + 3, "(")
            && tokens.past(from + 3) == to;
        if is_one { (from + 4, to.saturating_sub(1)) } else { (from, to) }
    }

    /// The last name of what a method is called on, also of a call: `getConfig().getString(…)`.
    pub(super) fn receiver_name(&self, at: usize) -> Option<&'a str> {
        let reader = self.reader;
        let tokens = reader.tokens;
        let dot = at.checked_sub(1).filter(|dot| reader.is_dot(*dot))?;
        let last = dot.checked_sub(1)?;
        let last = if tokens.is(last, ")") { tokens.mate(last)?.checked_sub(1)? } else { last };
        tokens.is_word(last).then(|| tokens.name(last))
    }

    /// The arguments with their names, those of an object among them.
    fn given(&self, arguments: &[Range]) -> Vec<(Option<&'a str>, Range)> {
        let tokens = self.reader.tokens;
        let mut given = Vec::new();
        for (from, to) in arguments.iter().take(GIVEN_MAX).copied() {
            if !tokens.is(from, "{") || tokens.past(from) != to {
                given.push(self.entry((from, to)));
                continue;
            }
            let Some(close) = tokens.mate(from) else { continue };
            let entries = self.reader.split(from + 1, close).into_iter().take(GIVEN_MAX);
            given.extend(entries.map(|range| self.entry(range)));
        }
        given
    }

    /// `key: value`, `key = value`, `:key => value`, or only the value.
    fn entry(&self, (from, to): Range) -> (Option<&'a str>, Range) {
        let tokens = self.reader.tokens;
        let is_named = matches!(tokens.text(from + 1), ":" | "=" | "=>") && from + 2 < to;
        if is_named { (Some(tokens.name(from)), (from + 2, to)) } else { (None, (from, to)) }
    }

    fn key_in(
        &self,
        shape: Shape,
        keyword: Option<&str>,
        range: Range,
    ) -> Option<(Value<'a>, Class)> {
        let reader = self.reader;
        let name = self.plain_name(range);
        // A type in a declaration: `encrypt(key: string): string;`
        let is_type = |name: &str| {
            matches!(name, "string" | "String" | "Buffer" | "any" | "Uint8Array" | "CryptoKey")
        };
        if keyword.is_some() && name.is_some_and(is_type) {
            return None;
        }
        if name.is_some_and(shapes::is_of_one_time) {
            return None;
        }
        let by_keyword = keyword.and_then(|keyword| shapes::key_of(shape, keyword));
        if let Some(class) = by_keyword {
            let value = reader.value(range);
            let is_literal = matches!(value.origin, Origin::Literal(_));
            let is_said = keyword.and_then(judge) == Some(Class::Key);
            let is_one = if is_literal { is_said } else { name.is_some() || value.is_key() };
            return is_one.then_some((value, class));
        }
        let range_name = name?;
        let whole = self.with_holder(range, range_name);
        let class = shapes::key_of(shape, &whole);
        let value = reader.value(range);
        let is_other = matches!(value.origin, Origin::Generated);
        if let Some(class) = class.filter(|_| !is_other) {
            return Some((value, class));
        }
        let is_loaded = matches!(value.origin, Origin::Load { .. });
        let mut names = value.names.iter().copied().filter(|name| judge(name).is_some());
        let class = names.find_map(|name| shapes::key_of(shape, name)).filter(|_| is_loaded)?;
        Some((value, class))
    }

    /// The last name of a plain chain, also in another form: `this.key`, `key.getBytes()`.
    pub(super) fn plain_name(&self, (mut from, to): Range) -> Option<&'a str> {
        let reader = self.reader;
        let tokens = reader.tokens;
        while matches!(tokens.text(from), "await" | "&" | "*" | "new") && from + 1 < to {
            from += 1;
        }
        let mut name = None;
        let mut at = from;
        while at < to {
            if tokens.kind(at) != Some(Kind::Word) {
                return None;
            }
            if let Some(open) = reader.call_open(at) {
                let is_form = name.is_some()
                    && matches!(
                        tokens.name(at),
                        "getBytes"
                            | "toCharArray"
                            | "toString"
                            | "encode"
                            | "Bytes"
                            | "trim"
                            | "String"
                            | "getEncoded"
                            | "toByteArray"
                            | "unpack"
                            | "to_s"
                    );
                let inner = (open + 1, tokens.mate(open)?);
                let wraps = name.is_none()
                    && matches!(tokens.name(at), "byte" | "string" | "String" | "from" | "Buffer")
                    && tokens.past(open) == to;
                return match (is_form, wraps) {
                    (true, _) => name,
                    (_, true) => self.plain_name(*reader.split(inner.0, inner.1).first()?),
                    _ => self.getter(at, open, to),
                };
            }
            name = Some(tokens.name(at));
            at += 1;
            if tokens.is(at, "!") {
                at += 1;
            }
            if tokens.is(at, "[") {
                let text = tokens.string(at + 1).filter(|_| tokens.is(at + 2, "]"));
                name = Some(text?);
                at = tokens.past(at);
            }
            if at < to {
                if !reader.is_dot(at) {
                    return None;
                }
                at += 1;
            }
        }
        name
    }

    /// `config.getSigningKey()` gives what it is named for.
    fn getter(&self, at: usize, open: usize, to: usize) -> Option<&'a str> {
        let tokens = self.reader.tokens;
        let name = tokens.name(at);
        let is_last = tokens.past(open) == to && tokens.is(open + 1, ")");
        let own = name.strip_prefix("get").or_else(|| name.strip_prefix("get_")).unwrap_or(name);
        is_last.then_some(own)
    }

    /// `apiKey.secret` says more than `secret`.
    fn with_holder(&self, (from, to): Range, name: &'a str) -> Cow<'a, str> {
        let tokens = self.reader.tokens;
        let last = to.saturating_sub(1);
        let holder = last.checked_sub(2).filter(|holder| *holder >= from);
        match holder {
            Some(holder)
                if self.reader.is_dot(last - 1)
                    && tokens.name(last) == name
                    && !matches!(tokens.text(holder), "this" | "self" | "$this") =>
            {
                Cow::Owned(format!("{}.{name}", tokens.name(holder)))
            }
            _ => Cow::Borrowed(name),
        }
    }

    fn tell(&mut self, at: usize, start: usize, shape: Shape, value: &Value<'a>, class: Class) {
        let reader = self.reader;
        let sink = Sink {
            call: reader.tokens.name(at).to_owned(),
            key: None,
            receiver: false,
            keywords: Vec::new(),
            does: shape.does,
            keeps: shape.makes,
            public: false,
            unless: None,
            certain: false,
            remedy: None,
        };
        if let Origin::Load { at, .. } = value.origin {
            reader.reached.borrow_mut().insert(at);
        }
        if let Origin::Literal(literal) = value.origin {
            let name = value.names.iter().copied().find(|name| judge(name).is_some());
            self.hardcoded(literal, "key-literal", name, Class::Key);
        }
        let is_sure = value.is_key() && reader.dialect != Dialect::Java;
        if let Origin::Argument { frame, position, name } = value.origin
            && is_sure
        {
            self.hands_on(frame, position, name, &sink);
        }
        let place = self.place_of(at, start);
        self.key_use(place, (start, at), &sink, value);
        if let Some(site) = self.sites.found.last_mut() {
            site.rule = Cow::Owned(format!("{}/named-use", reader.dialect.table()));
            site.class = class;
            site.confidence = Confidence::Low;
            // A function that nobody knows may keep what it is given.
            if site.hot == Hot::Yes {
                site.hot = Hot::Unknown;
                site.reason = Cow::Borrowed("what takes the key may keep it");
            }
        }
    }
}
