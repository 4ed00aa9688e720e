//! Copies of settings that outlive the function which makes them.

use crate::finding::{Class, Scope};

use super::super::dialect::Dialect;
use super::super::facts::{Definition, Form};
use super::super::reader::{Range, judge};
use super::super::token::Kind;
use super::super::tree::FrameKind;
use super::Finder;

/// How far a function is looked through for what it declares.
const FUNCTION_TOKENS_MAX: usize = 2000;

impl Finder<'_, '_, '_> {
    /// `jwtKey = []byte(config.App.Secret)` where `jwtKey` is a variable of the module, and
    /// `Tokens.secret = settings.secret` where `Tokens` is a class of the file.
    pub(super) fn copied_outside(
        &mut self,
        range: Range,
        definition: &Definition,
        name: &str,
        class: Class,
    ) {
        let reader = self.reader;
        if !matches!(class, Class::Key | Class::Credential)
            || definition.property.is_some()
            || !self.is_kept_outside(definition)
            || (range.0..range.1).any(|at| self.loads.contains(&at))
        {
            return;
        }
        let tokens = reader.tokens;
        let origin = (range.0..range.1).rev().find(|at| {
            let (names, start) = reader.chain(*at);
            let root = tokens.text(start);
            tokens.is_word(*at)
                && reader.is_dot(at.wrapping_sub(1))
                && reader.call_open(*at).is_none()
                && judge(tokens.name(*at)).is_some()
                && names.len() > 1
                && !matches!(root, "this" | "self" | "$this" | "self::" | "static")
                && reader.parameter(root, start).is_none()
                && (reader.facts.import(root).is_some()
                    || (start..*at).any(|at| tokens.is_word(at) && self.is_settings(at)))
        });
        let Some(origin) = origin else { return };
        let is_of_receiver = self.is_of_receiver(definition.name);
        let scope = if is_of_receiver { Scope::Instance } else { Scope::Call };
        self.copied_setting(definition, (tokens.name(origin), name), class, scope);
    }

    /// Whether what is assigned outlives the function that assigns it.
    fn is_kept_outside(&self, definition: &Definition) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        let name = definition.name;
        let is_plain = tokens.is(definition.value.wrapping_sub(1), "=");
        let before = tokens.before(name);
        match definition.form {
            Form::Member if self.is_of_receiver(name) => true,
            Form::Member => {
                let holder = name.checked_sub(2).filter(|at| tokens.is_word(*at));
                holder.is_some_and(|holder| {
                    let number = reader.named_frame(tokens.name(holder));
                    let frame = number.and_then(|number| reader.tree.frame(number));
                    frame.is_some_and(|frame| frame.kind == FrameKind::Class)
                })
            }
            Form::Assigned if matches!(reader.dialect, Dialect::Go | Dialect::JavaScript) => {
                is_plain
                    && !matches!(before, "const" | "let" | "var" | "." | ":")
                    && self.is_variable_of_module(name)
            }
            _ => false,
        }
    }

    /// `s.key = …` in a method of Go: a field of what the method is called on.
    fn is_of_receiver(&self, name: usize) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        if reader.dialect != Dialect::Go || tokens.before(name) != "." {
            return false;
        }
        let holder = tokens.text(name.saturating_sub(2));
        reader.tree.around(reader.tree.at(name)).any(|(_, frame)| {
            let close = frame.name.and_then(|name| name.checked_sub(1));
            let open = close.filter(|close| tokens.is(*close, ")"));
            let open = open.and_then(|close| tokens.mate(close));
            open.is_some_and(|open| tokens.text(open + 1) == holder)
        })
    }

    /// Whether a variable is one of the module, and none of the function around its use.
    fn is_variable_of_module(&self, at: usize) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        let name = tokens.text(at);
        if reader.parameter(name, at).is_some() {
            return false;
        }
        let declares = |at: usize| {
            tokens.kind(at) == Some(Kind::Word)
                && tokens.text(at) == name
                && (matches!(tokens.before(at), "var" | "let" | "const")
                    || tokens.is(at + 1, ":=")
                    || tokens.is(at + 1, ","))
        };
        let own = reader.tree.around(reader.tree.at(at)).take_while(|(number, _)| *number > 0);
        let is_own = own.into_iter().any(|(_, frame)| {
            // A named result.
            let close = frame.params.map_or(frame.body, |(_, close)| close);
            (close..frame.body).any(|at| tokens.text(at) == name)
                || (frame.start..frame.end.min(frame.start + FUNCTION_TOKENS_MAX)).any(declares)
        });
        let is_there = || {
            let names = self.of_module.get_or_init(|| {
                let is_one = |at: &usize| {
                    tokens.is_word(*at)
                        && reader.tree.at(*at) == 0
                        && (matches!(tokens.before(*at), "var" | "let") || tokens.starts_line(*at))
                };
                (0..tokens.len()).filter(is_one).map(|at| tokens.text(at)).collect()
            });
            names.contains(name)
        };
        // What a function of Go does not declare is one of its package.
        !is_own && (reader.dialect == Dialect::Go || is_there())
    }
}
