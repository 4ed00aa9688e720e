//! Settings that are asked for in ways that no rule knows: by the name of the function, of what it
//! is called on, or of the class that it is in.

use crate::finding::Source;
use crate::names;
use crate::rules::Load;
use crate::shapes;

use super::super::dialect::Dialect;
use super::super::reader::Range;
use super::super::tree::FrameKind;
use super::Finder;

impl Finder<'_, '_, '_> {
    /// A setting that a function by its name asks for: `config.getString(Keys.SIGNING_KEY)`.
    pub(super) fn asked(&mut self, at: usize) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let is_of_section = self.is_of_section(at);
        // The cheap questions come first, for every call is asked.
        let is_itself = self.asks_itself(at);
        let is_typed = tokens.name(at) == "GetString"
            || is_of_section
            || is_itself
            || self.asks_by_variable(at);
        if !is_typed && !shapes::asks_settings(tokens.name(at), self.receiver_name(at)) {
            return;
        }
        if self.loads.contains(&at) || reader.tree.is_declared(at) {
            return;
        }
        let Some(arguments) = reader.arguments(at) else { return };
        let rule = Load {
            call: String::new(),
            setting: 0,
            fallback: Some(1),
            fallback_keywords: Vec::new(),
            from: Source::Settings,
            live: false,
        };
        // A context goes before the name in Go.
        let is_text = |range: &&Range| tokens.string(range.0).is_some();
        let second = arguments.get(1).filter(|_| reader.dialect == Dialect::Go).filter(is_text);
        let first = arguments.first().filter(|first| second.is_none() || is_text(first));
        let Some(named) = first.or(second).copied() else {
            // A setting that is an object of its own: `config.ServiceSecret.GetString()`.
            let of = self.receiver_name(at).filter(|_| is_typed);
            if let Some((name, class)) = of.and_then(|name| Some((name, shapes::asked_for(name)?)))
            {
                self.asked_for(at, &rule, &[], name, class);
            }
            return;
        };
        let is_sure = is_of_section || is_itself || self.is_of_settings_object(at, named);
        if is_typed && !is_sure {
            return;
        }
        // What is loaded already is told there.
        if (named.0..named.1).any(|at| tokens.is_word(at) && reader.load_rule(at).is_some()) {
            return;
        }
        let name = match tokens.string(named.0) {
            Some(_) if named.0 + 1 == named.1 => reader.plain(named.0),
            Some(_) => None,
            None => self.plain_name(named).and_then(|name| {
                let is_shouted =
                    !name.bytes().any(|byte| byte.is_ascii_lowercase()) && name.contains('_');
                // `const secretID = "jwt-secret"`
                let constant = || {
                    let definition = reader.facts.of(tokens, name).next()?;
                    tokens.string(definition.value).filter(|_| named.0 + 1 == named.1)
                };
                if is_shouted { Some(name) } else { constant() }
            }),
        };
        let Some((name, class)) = name.and_then(|name| Some((name, shapes::asked_for(name)?)))
        else {
            return;
        };
        let at_name = arguments.iter().position(|range| range.0 == named.0).unwrap_or(0);
        self.asked_for(at, &rule, arguments.get(at_name..).unwrap_or_default(), name, class);
    }

    /// `file.Section("security").Key("SECRET_KEY").String()` of Go.
    fn is_of_section(&self, at: usize) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        tokens.name(at) == "Key"
            && reader.dialect == Dialect::Go
            && reader.call_open(at).is_some_and(|open| {
                let after = tokens.past(open) + 1;
                matches!(tokens.text(after), "String" | "MustString" | "Value")
            })
    }

    /// Whether what a call is made on, or what is asked for, says that it asks settings.
    fn is_of_settings_object(&self, at: usize, named: Range) -> bool {
        let reader = self.reader;
        let is_variable = reader.plain(named.0).is_some_and(|name| {
            name.contains('_') && !name.bytes().any(|byte| byte.is_ascii_lowercase())
        });
        let holds = |name: &&str| shapes::holds_settings(name) || *name == "viper";
        is_variable
            || shapes::asks_settings(reader.tokens.name(at), self.receiver_name(at))
            || reader.chain(at).0.iter().any(holds)
    }

    /// `mustGet("JWT_SECRET")`, `this.require("API_KEY")`: whatever is asked, a name in capitals is
    /// that of a setting, unless a request, a cache or a page is asked for it.
    fn asks_by_variable(&self, at: usize) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        let Some(open) = reader.call_open(at) else { return false };
        let is_name = tokens.string(open + 1).is_some_and(|text| {
            text.contains('_') && !text.bytes().any(|byte| byte.is_ascii_lowercase())
        });
        if !is_name {
            return false;
        }
        let words = names::words(tokens.name(at));
        let first = words.first().map_or("", String::as_str);
        let asks =
            ["fetch", "get", "load", "lookup", "must", "need", "read", "require", "required"];
        let others = [
            "attribute",
            "by",
            "body",
            "cache",
            "cookie",
            "cookies",
            "data",
            "element",
            "form",
            "header",
            "headers",
            "item",
            "map",
            "param",
            "params",
            "query",
            "redis",
            "req",
            "repo",
            "repository",
            "request",
            "row",
            "session",
            "storage",
            "store",
            "text",
        ];
        let is_other = |words: &[String]| words.iter().any(|one| others.contains(&one.as_str()));
        let on = self.receiver_name(at).map(names::words).unwrap_or_default();
        asks.contains(&first) && !is_other(&words) && !is_other(&on)
    }

    /// `this.get("jwt_secret")` in a class of settings, `s.getString(ctx, "jwt_secret", "")` in a
    /// method of Go whose receiver is one.
    fn asks_itself(&self, at: usize) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        let words = names::words(tokens.name(at));
        let asks = ["fetch", "get", "load", "lookup", "must", "read", "require"];
        let is_getter = words.first().is_some_and(|first| asks.contains(&first.as_str()));
        let Some(holder) = at.checked_sub(2).filter(|_| is_getter && reader.is_dot(at - 1)) else {
            return false;
        };
        let own = tokens.text(holder);
        let is_own = matches!(own, "this" | "self" | "$this" | "static");
        let kept =
            |name: &str| shapes::holds_settings(name) || shapes::asks_settings("get", Some(name));
        reader.tree.around(reader.tree.at(at)).any(|(_, frame)| {
            if frame.kind == FrameKind::Class && is_own {
                return frame.name.is_some_and(|name| kept(tokens.name(name)));
            }
            if reader.dialect != Dialect::Go {
                return false;
            }
            let close = frame.name.and_then(|name| name.checked_sub(1));
            let close = close.filter(|close| tokens.is(*close, ")"));
            let open = close.and_then(|close| tokens.mate(close));
            let of_type = close.and_then(|close| close.checked_sub(1));
            open.is_some_and(|open| tokens.text(open + 1) == own)
                && of_type.is_some_and(|of| kept(tokens.name(of)))
        })
    }
}
