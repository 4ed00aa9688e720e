//! What a file says of its names: where each is imported from, what is assigned to it, of what
//! type it is. Nothing is resolved here but names to places.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::dialect::Dialect;
use super::table::Fnv;
use super::token::{Kind, Tokens};

/// How many definitions of one name are looked at.
const SAME_NAME_MAX: usize = 64;

/// How a name gets its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `name = value`
    Assigned,
    /// `this.name = value`, `config.name = value`, `@name = value`, `config["name"] = value`
    Member,
    /// `name: value` in an object, hash or composite literal; `"name" => value`
    Entry,
    /// `name ||= value`
    Kept,
}

/// A name that gets a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Definition {
    /// The token of the name: a word, a symbol or a string.
    pub(super) name: usize,
    /// The first token of the value.
    pub(super) value: usize,
    pub(super) form: Form,
    /// Which property of the value it is, when it was taken apart.
    pub(super) property: Option<usize>,
}

/// The names of one file.
pub(super) struct Facts<'a> {
    /// By the name in this file: the path of what it stands for.
    pub(super) imports: HashMap<&'a str, Vec<&'a str>, BuildHasherDefault<Fnv>>,
    pub(super) definitions: Vec<Definition>,
    /// Variables and their types.
    types: Vec<(usize, usize)>,
    by_name: OnceCell<HashMap<&'a str, Vec<usize>, BuildHasherDefault<Fnv>>>,
    types_by_name: OnceCell<HashMap<&'a str, &'a str>>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(tokens: &Tokens<'a>, dialect: Dialect) -> Self {
        let mut gatherer = Gatherer { tokens, dialect, facts: Self::empty() };
        for at in 0..tokens.len() {
            gatherer.look(at);
        }
        gatherer.facts
    }

    fn empty() -> Self {
        Self {
            imports: HashMap::default(),
            definitions: Vec::new(),
            types: Vec::new(),
            by_name: OnceCell::new(),
            types_by_name: OnceCell::new(),
        }
    }

    /// The path of what a name stands for that is imported.
    pub(super) fn import(&self, name: &str) -> Option<&[&'a str]> {
        if self.imports.is_empty() { None } else { self.imports.get(name).map(Vec::as_slice) }
    }

    /// Everything that gives a value to this name, in the order of the file.
    pub(super) fn of<'s>(
        &'s self,
        tokens: &Tokens<'a>,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = &'s Definition> + use<'s, 'a> {
        let numbers = self.numbers(tokens, name);
        numbers.iter().take(SAME_NAME_MAX).filter_map(|number| self.definitions.get(*number))
    }

    /// The nearest of them before a token, the last one first.
    pub(super) fn before<'s>(
        &'s self,
        tokens: &Tokens<'a>,
        name: &str,
        at: usize,
    ) -> impl Iterator<Item = &'s Definition> + use<'s, 'a> {
        let numbers = self.numbers(tokens, name);
        let is_before = |number: &usize| {
            self.definitions.get(*number).is_some_and(|definition| definition.name < at)
        };
        let end = numbers.partition_point(is_before);
        let nearest = numbers.get(..end).unwrap_or_default().iter().rev().take(SAME_NAME_MAX);
        nearest.filter_map(|number| self.definitions.get(*number))
    }

    fn numbers(&self, tokens: &Tokens<'a>, name: &str) -> &[usize] {
        let map = self.by_name.get_or_init(|| {
            let mut map: HashMap<&'a str, Vec<usize>, BuildHasherDefault<Fnv>> = HashMap::default();
            for (number, definition) in self.definitions.iter().enumerate() {
                map.entry(name_of(tokens, definition.name)).or_default().push(number);
            }
            map
        });
        map.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The type that this name is declared with somewhere.
    pub(super) fn type_of(&self, tokens: &Tokens<'a>, name: &str) -> Option<&'a str> {
        let map = self.types_by_name.get_or_init(|| {
            self.types.iter().map(|(name, of)| (tokens.name(*name), tokens.name(*of))).collect()
        });
        map.get(name).copied()
    }
}

/// The name that a word, a symbol or a string says.
pub(super) fn name_of<'a>(tokens: &Tokens<'a>, at: usize) -> &'a str {
    tokens.string(at).unwrap_or_else(|| tokens.name(at))
}

struct Gatherer<'t, 'a> {
    tokens: &'t Tokens<'a>,
    dialect: Dialect,
    facts: Facts<'a>,
}

impl Gatherer<'_, '_> {
    fn look(&mut self, at: usize) {
        match self.tokens.kind(at) {
            Some(Kind::Op) => match self.tokens.text(at) {
                "=" | ":=" => self.assignment(at, Form::Assigned),
                "||=" | "??=" => self.assignment(at, Form::Kept),
                ":" => self.entry(at),
                "=>" if matches!(self.dialect, Dialect::Ruby | Dialect::Php) => self.arrow(at),
                _ => {}
            },
            Some(Kind::Word) => {
                match (self.dialect, self.tokens.text(at)) {
                    (Dialect::JavaScript, "import") => self.js_import(at),
                    (Dialect::Go, "import") => self.go_imports(at),
                    (Dialect::Php, "use") => self.php_use(at),
                    (Dialect::Java | Dialect::Kotlin, "import") => self.java_import(at),
                    _ => {}
                }
                self.typed(at);
            }
            _ => {}
        }
    }

    fn define(&mut self, name: usize, value: usize, form: Form) {
        self.facts.definitions.push(Definition { name, value, form, property: None });
    }

    fn assignment(&mut self, at: usize, form: Form) {
        let tokens = self.tokens;
        let Some(before) = at.checked_sub(1) else { return };
        let name = match tokens.kind(before) {
            Some(Kind::Close) if tokens.is(before, "]") => {
                let inside = before.saturating_sub(1);
                let is_name = matches!(tokens.kind(inside), Some(Kind::Str | Kind::Symbol))
                    && tokens.mate(before) == inside.checked_sub(1);
                if is_name {
                    self.define(inside, at + 1, Form::Member);
                    return;
                }
                self.typed_name(before)
            }
            Some(Kind::Close) if tokens.is(before, "}") => {
                self.destructuring(before, at + 1);
                return;
            }
            _ => self.typed_name(before),
        };
        let Some(name) = name else { return };
        if self.dialect == Dialect::Go {
            self.go_assignment(name, at, form);
            return;
        }
        let sigil = tokens.text(name).starts_with('@');
        let is_member = sigil
            || [".", "->", "::", "?.", "&."].contains(&tokens.before(name))
                && !(tokens.before(name) == "::" && self.dialect == Dialect::Php);
        let form = if is_member && form == Form::Assigned { Form::Member } else { form };
        self.define(name, at + 1, form);
    }

    /// `a, b := f(x), y`: only lists of the same length are told apart.
    fn go_assignment(&mut self, name: usize, at: usize, form: Form) {
        let tokens = self.tokens;
        let is_member = tokens.before(name) == ".";
        if tokens.before(name) == "," {
            // `value, err := f()`: the first one is the value.
            let first = name.checked_sub(2).filter(|first| tokens.is_word(*first));
            if let Some(first) = first
                && matches!(tokens.text(name), "err" | "ok" | "_" | "exists" | "found")
            {
                self.define(first, at + 1, form);
            }
            return;
        }
        self.define(name, at + 1, if is_member { Form::Member } else { form });
    }

    /// The name before a type annotation, or the word itself.
    fn typed_name(&self, last: usize) -> Option<usize> {
        let tokens = self.tokens;
        match self.dialect {
            Dialect::JavaScript | Dialect::Kotlin => {
                let mut at = last;
                for _ in 0..14 {
                    let Some(before) = at.checked_sub(1) else { break };
                    if tokens.is(before, ":") && !tokens.is(before.saturating_sub(1), ")") {
                        let name = before.checked_sub(1)?;
                        let name =
                            if matches!(tokens.text(name), "?" | "!") { name - 1 } else { name };
                        return tokens.is_word(name).then_some(name);
                    }
                    let is_of_type = tokens.is_word(before)
                        && !DECLARES.contains(&tokens.text(before))
                        || matches!(
                            tokens.text(before),
                            "." | "<" | ">" | "[" | "]" | "|" | "?" | ","
                        );
                    if !is_of_type || tokens.starts_line(at) {
                        break;
                    }
                    at = before;
                }
                tokens.is_word(last).then_some(last)
            }
            Dialect::Go => {
                let mut before = last.checked_sub(1)?;
                // `var key []byte = …`
                if tokens.is(before, "]") && tokens.is(before.checked_sub(1)?, "[") {
                    before = before.checked_sub(2)?;
                }
                let is_typed = tokens.is_word(before)
                    && !DECLARES.contains(&tokens.text(before))
                    && !tokens.starts_line(last);
                if is_typed { Some(before) } else { tokens.is_word(last).then_some(last) }
            }
            _ => tokens.is_word(last).then_some(last),
        }
    }

    /// `const { a, b: c = "d" } = value`
    fn destructuring(&mut self, close: usize, value: usize) {
        let tokens = self.tokens;
        let Some(open) = tokens.mate(close) else { return };
        if self.dialect != Dialect::JavaScript {
            return;
        }
        let module = required(tokens, value);
        let mut at = open + 1;
        while at < close {
            let property = at;
            let name = if tokens.is(at + 1, ":") && tokens.is_word(at + 2) { at + 2 } else { at };
            if tokens.is_word(name) {
                if let Some(module) = module {
                    let path = vec![module, tokens.text(property)];
                    self.facts.imports.insert(tokens.text(name), path);
                } else {
                    let property = Some(property);
                    let form = Form::Assigned;
                    self.facts.definitions.push(Definition { name, value, form, property });
                }
            }
            while at < close && !tokens.is(at, ",") {
                at = tokens.past(at);
            }
            at += 1;
        }
    }

    /// `name: value`
    fn entry(&mut self, at: usize) {
        let tokens = self.tokens;
        let Some(name) = at.checked_sub(1) else { return };
        if !matches!(tokens.kind(name), Some(Kind::Word | Kind::Str)) {
            return;
        }
        let before = tokens.before(name);
        let begins = tokens.starts_line(name) || matches!(before, "{" | "," | "(" | "|" | "[");
        let is_entry = match self.dialect {
            Dialect::JavaScript | Dialect::Go => begins && before != "?",
            Dialect::Ruby => tokens.at(at).is_some_and(|colon| !colon.spaced) && before != "?",
            Dialect::Php => before == "(" || before == ",",
            Dialect::Java | Dialect::Kotlin => false,
        };
        if is_entry {
            self.define(name, at + 1, Form::Entry);
        }
    }

    fn arrow(&mut self, at: usize) {
        let Some(name) = at.checked_sub(1) else { return };
        if matches!(self.tokens.kind(name), Some(Kind::Str | Kind::Symbol)) {
            self.define(name, at + 1, Form::Entry);
        }
    }

    fn js_import(&mut self, at: usize) {
        let tokens = self.tokens;
        let from = (at + 1..at + 200).find(|at| tokens.kind(*at) == Some(Kind::Str));
        let Some((from, module)) = from.and_then(|from| Some((from, module(tokens.string(from)?))))
        else {
            return;
        };
        let mut next = at + 1;
        let mut in_braces = false;
        while next < from {
            match tokens.text(next) {
                "{" => in_braces = true,
                "*" | "from" | "type" | "as" | "," | "}" => {}
                name if tokens.is_word(next) => {
                    let alias = if tokens.text(next + 1) == "as" { next + 2 } else { next };
                    let path = if in_braces { vec![module, name] } else { vec![module] };
                    self.facts.imports.insert(tokens.text(alias), path);
                    next = alias;
                }
                _ => return,
            }
            next += 1;
        }
    }

    fn go_imports(&mut self, at: usize) {
        let tokens = self.tokens;
        let end = if tokens.is(at + 1, "(") { tokens.mate(at + 1).unwrap_or(at) } else { at + 3 };
        for next in at + 1..end.min(at + 1000) {
            let Some(path) = tokens.string(next) else { continue };
            let mut parts = path.rsplit('/');
            let mut last = parts.next().unwrap_or(path);
            if last.strip_prefix('v').is_some_and(|v| v.bytes().all(|byte| byte.is_ascii_digit())) {
                last = parts.next().unwrap_or(last);
            }
            let last = last.split('.').next().unwrap_or(last);
            let last = last.strip_prefix("go-").unwrap_or(last);
            let before = next.saturating_sub(1);
            let alias = if tokens.is_word(before) && tokens.text(before) != "import" {
                tokens.text(before)
            } else {
                last
            };
            self.facts.imports.insert(alias, vec![last]);
        }
    }

    fn php_use(&mut self, at: usize) {
        let tokens = self.tokens;
        if !tokens.is_word(at + 1) || !tokens.text(at + 1).contains('\\') {
            return;
        }
        let alias = if tokens.text(at + 2) == "as" { at + 3 } else { at + 1 };
        self.facts.imports.insert(tokens.name(alias), vec![tokens.name(at + 1)]);
    }

    fn java_import(&mut self, at: usize) {
        let tokens = self.tokens;
        let mut last = at + 1;
        while tokens.is_word(last) && tokens.is(last + 1, ".") && last < at + 40 {
            last += 2;
        }
        if tokens.text(last + 1) == "as" {
            self.facts.imports.insert(tokens.text(last + 2), vec![tokens.text(last)]);
        } else if tokens.text(at + 1) == "static" {
            let class = last.saturating_sub(2);
            let path = vec![tokens.text(class), tokens.text(last)];
            self.facts.imports.insert(tokens.text(last), path);
        }
    }

    fn typed(&mut self, at: usize) {
        let tokens = self.tokens;
        match self.dialect {
            Dialect::Java | Dialect::Php => {
                let name = at + 1;
                let is_type = || tokens.name(at).starts_with(|letter: char| letter.is_uppercase());
                let ends = || matches!(tokens.text(name + 1), "=" | ";" | ")" | ",");
                let is_variable =
                    || self.dialect == Dialect::Java || tokens.text(name).starts_with('$');
                if tokens.is_word(name) && is_type() && ends() && is_variable() {
                    self.facts.types.push((name, at));
                }
            }
            Dialect::JavaScript | Dialect::Kotlin => {
                let name = at.checked_sub(2).filter(|_| tokens.is(at.saturating_sub(1), ":"));
                let is_type = || tokens.name(at).starts_with(|letter: char| letter.is_uppercase());
                if let Some(name) = name
                    && is_type()
                    && tokens.is_word(name)
                {
                    self.facts.types.push((name, at));
                }
            }
            Dialect::Ruby | Dialect::Go => {}
        }
    }
}

/// The module of `require("module")`.
pub(super) fn required<'a>(tokens: &Tokens<'a>, at: usize) -> Option<&'a str> {
    let is_call = tokens.text(at) == "require" && tokens.is(at + 1, "(") && tokens.is(at + 3, ")");
    is_call.then(|| tokens.string(at + 2)).flatten().map(module)
}

fn module(name: &str) -> &str {
    name.strip_prefix("node:").unwrap_or(name)
}

const DECLARES: &[&str] = &[
    "const",
    "let",
    "var",
    "val",
    "public",
    "private",
    "protected",
    "static",
    "readonly",
    "final",
    "export",
    "declare",
    "override",
    "lateinit",
    "type",
    "return",
    "case",
    "internal",
];
