//! What all parts of the reader share: the file, its tokens, its structure, its names, and how
//! calls are written in its language.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};

use crate::finding::{Class, Scope};
use crate::names;
use crate::quick::Quick;
use crate::source::SourceFile;

use super::dialect::Dialect;
use super::facts::{Definition, Facts, Form, required};
use super::table::{Index, Rule, matches};
use super::token::{Kind, Tokens};
use super::tree::{FrameKind, Tree, expression_end};

/// How many links of a chain of names are looked at.
const CHAIN_MAX: usize = 24;
/// How many arguments of a call are looked at.
const ARGUMENTS_MAX: usize = 64;

/// How many tokens of a list are looked at.
const SPLIT_TOKENS_MAX: usize = 4096;

/// One file that is being read.
pub(super) struct Reader<'f, 'a> {
    pub(super) file: &'f SourceFile<'a>,
    pub(super) dialect: Dialect,
    pub(super) tokens: &'f Tokens<'a>,
    pub(super) tree: &'f Tree,
    pub(super) facts: &'f Facts<'a>,
    pub(super) index: &'f Index<'f>,
    /// Loads whose value reaches a sink, whatever their names.
    pub(super) reached: RefCell<BTreeSet<usize>>,
    /// Calls that derive the value in hand.
    pub(super) derived: RefCell<BTreeSet<usize>>,
    /// How many more expressions may be looked at for the value in hand.
    pub(super) fuel: Cell<u16>,
    /// The parts of the file by their names; the first of each.
    pub(super) parts: OnceCell<HashMap<&'a str, usize, Quick>>,
    /// When the functions run that only this file calls.
    pub(super) callers: OnceCell<HashMap<&'a str, Scope, Quick>>,
    /// The tokens that are named as a key, in their order.
    pub(super) keys: OnceCell<Vec<usize>>,
}

/// A range of tokens: the first, and the one past the last.
pub(super) type Range = (usize, usize);

impl<'f, 'a> Reader<'f, 'a> {
    /// The function or class of this name.
    pub(super) fn named_frame(&self, name: &str) -> Option<usize> {
        let parts = self.parts.get_or_init(|| {
            let mut parts = HashMap::default();
            for (number, frame) in self.tree.frames.iter().enumerate() {
                if let Some(name) = frame.name {
                    parts.entry(self.tokens.name(name)).or_insert(number);
                }
            }
            parts
        });
        parts.get(name).copied()
    }

    /// The names of the chain that ends with the word at `at`, first to last, and where it begins.
    pub(super) fn chain(&self, at: usize) -> (Vec<&'a str>, usize) {
        let tokens = self.tokens;
        let mut names = vec![tokens.name(at)];
        let mut start = at;
        for _ in 0..CHAIN_MAX {
            let Some(mut before) = self.receiver_end(start) else { break };
            // Calls and subscripts of the receiver.
            let mut is_open_ended = false;
            for _ in 0..4 {
                let Some(open) =
                    tokens.mate(before).filter(|_| tokens.kind(before) == Some(Kind::Close))
                else {
                    break;
                };
                if tokens.is(before, "]")
                    && let Some(name) = tokens.string(open + 1)
                    && open + 2 == before
                {
                    names.push(name);
                }
                start = open;
                let Some(next) = open.checked_sub(1) else {
                    is_open_ended = true;
                    break;
                };
                before = next;
            }
            if is_open_ended || !tokens.is_word(before) {
                names.push("*");
                break;
            }
            // `require("crypto").createHmac`
            names.push(required(tokens, before).unwrap_or_else(|| tokens.name(before)));
            start = before;
        }
        names.reverse();
        (names, start)
    }

    /// The last token of what a word is a member of.
    fn receiver_end(&self, at: usize) -> Option<usize> {
        let tokens = self.tokens;
        let dot = at.checked_sub(1)?;
        if !self.is_dot(dot) {
            return None;
        }
        let before = dot.checked_sub(1)?;
        if tokens.is(before, "!") || tokens.is(before, "!!") {
            before.checked_sub(1)
        } else {
            Some(before)
        }
    }

    pub(super) fn is_dot(&self, at: usize) -> bool {
        self.tokens.kind(at) == Some(Kind::Op)
            && match self.tokens.text(at) {
                "?." | "::" | "&." | "?->" => true,
                "." => self.dialect != Dialect::Php,
                "->" => self.dialect == Dialect::Php,
                _ => false,
            }
    }

    /// A chain with its first name replaced by what it stands for; several readings are possible.
    pub(super) fn readings(&self, chain: &[&'a str]) -> Vec<Vec<&'a str>> {
        let chain = match chain {
            ["this" | "self" | "@this", rest @ ..] if !rest.is_empty() => rest,
            _ => chain,
        };
        let mut readings = vec![chain.to_vec()];
        let Some((first, rest)) = chain.split_first() else { return readings };
        let mut add = |mut head: Vec<&'a str>| {
            head.extend(rest);
            readings.push(head);
        };
        if let Some(path) = self.facts.imports.get(first) {
            add(path.clone());
            // `hash` of a library for passwords is no hash of a key.
            let is_for_passwords = path.first().is_some_and(|module| {
                let module = module.rsplit('/').next().unwrap_or(module);
                matches!(module, "bcrypt" | "bcryptjs" | "argon2" | "bcrypt-ts")
            });
            return if is_for_passwords { readings.split_off(1) } else { readings };
        }
        if rest.is_empty() {
            return readings;
        }
        if let Some(of) = self.facts.type_of(self.tokens, first) {
            add(vec![of]);
        }
        if let Some(made) = self.maker(first) {
            add(made);
        }
        readings
    }

    /// The path of the call that a variable is made by.
    fn maker(&self, name: &str) -> Option<Vec<&'a str>> {
        let tokens = self.tokens;
        let definition = self.facts.of(tokens, name).next_back()?;
        let mut at = definition.value;
        if let Some(module) = required(tokens, at) {
            let mut path = vec![module];
            if tokens.is(at + 4, ".") {
                path.push(tokens.text(at + 5));
            }
            return Some(path);
        }
        while matches!(tokens.text(at), "new" | "await" | "&" | "*") {
            at += 1;
        }
        let mut path = Vec::new();
        for _ in 0..CHAIN_MAX {
            if !tokens.is_word(at) {
                break;
            }
            path.push(tokens.name(at));
            at += 1;
            while matches!(tokens.text(at), "(" | "[") {
                at = tokens.past(at);
            }
            if !self.is_dot(at) {
                break;
            }
            at += 1;
        }
        // `app.get(ConfigService)` gives one.
        let given = tokens.text(at.saturating_sub(2));
        let is_asked = matches!(path.last(), Some(&("get" | "resolve")))
            && tokens.is(at.saturating_sub(1), ")")
            && tokens.is(at.saturating_sub(3), "(")
            && given.starts_with(|letter: char| letter.is_ascii_uppercase());
        if is_asked {
            return Some(vec![given]);
        }
        let first = path.first()?;
        if let Some(import) = self.facts.imports.get(first) {
            path.splice(..1, import.iter().copied());
        }
        (path != [name]).then_some(path)
    }

    /// The rules that speak of the chain which ends with this word, and where the chain begins.
    pub(super) fn rules_at(&self, at: usize) -> (Vec<Rule<'f>>, usize) {
        let name = self.tokens.name(at);
        let mut candidates = self.index.of(name);
        // `import { sign as s }`: the word is another one.
        if let Some([.., last]) = self.facts.import(name)
            && *last != name
        {
            candidates.extend(self.index.of(last));
        }
        if candidates.is_empty() {
            return (Vec::new(), at);
        }
        let (chain, start) = self.chain(at);
        let readings = self.readings(&chain);
        let found = candidates
            .iter()
            .filter(|(call, _)| readings.iter().any(|reading| matches(call, reading)));
        (found.map(|(_, rule)| *rule).collect(), start)
    }

    /// How many tokens of a range are named as a key.
    pub(super) fn keys_in(&self, from: usize, to: usize) -> usize {
        let keys = self.keys.get_or_init(|| {
            let is_key = |at: &usize| {
                let kind = self.tokens.kind(*at);
                if !matches!(kind, Some(Kind::Word | Kind::Str | Kind::Symbol)) {
                    return false;
                }
                let name = self.tokens.string(*at).unwrap_or_else(|| self.tokens.name(*at));
                if !may_be_key(name.as_bytes()) {
                    return false;
                }
                let own = name.strip_prefix("get").map(|own| own.strip_prefix('_').unwrap_or(own));
                judge(name) == Some(Class::Key) || own.and_then(judge) == Some(Class::Key)
            };
            (0..self.tokens.len()).filter(is_key).collect()
        });
        let before = |end: usize| keys.partition_point(|at| *at < end);
        before(to).saturating_sub(before(from))
    }

    /// The bracket that opens the arguments of a call whose name is this word.
    pub(super) fn call_open(&self, at: usize) -> Option<usize> {
        let tokens = self.tokens;
        let mut next = at + 1;
        let first = tokens.text.as_bytes().get(tokens.at(next)?.start as usize)?;
        if !matches!(first, b'(' | b'<' | b'?') {
            return None;
        }
        if tokens.is(next, "?.") && tokens.is(next + 1, "(") {
            next += 1;
        }
        if tokens.is(next, "<")
            && matches!(self.dialect, Dialect::JavaScript | Dialect::Java | Dialect::Kotlin)
        {
            let mut depth = 0_usize;
            let mut inner = next;
            for _ in 0..24 {
                match tokens.text(inner) {
                    "<" => depth += 1,
                    ">" => depth = depth.saturating_sub(1),
                    ";" | "(" | ")" | "" => return None,
                    _ => {}
                }
                inner = tokens.past(inner);
                if depth == 0 {
                    next = inner;
                    break;
                }
            }
        }
        (tokens.is(next, "(") && tokens.mate(next).is_some()).then_some(next)
    }

    /// The arguments of the call whose name is this word; `None` where it is no call.
    pub(super) fn arguments(&self, at: usize) -> Option<Vec<Range>> {
        let tokens = self.tokens;
        if let Some(open) = self.call_open(at) {
            return Some(self.split(open + 1, tokens.mate(open)?));
        }
        // A command of Ruby: `JWT.encode payload, key`.
        let next = tokens.at(at + 1)?;
        let is_command = self.dialect == Dialect::Ruby
            && next.spaced
            && !next.starts_line
            && (matches!(next.kind, Kind::Word | Kind::Str | Kind::Symbol | Kind::Number)
                || matches!(tokens.text(at + 1), "[" | "::" | "\""))
            && !matches!(
                tokens.text(at + 1),
                "if" | "unless" | "do" | "and" | "or" | "rescue" | "while" | "then" | "end" | "in"
            );
        is_command.then(|| {
            let mut arguments = Vec::new();
            let mut from = at + 1;
            for _ in 0..ARGUMENTS_MAX {
                let end = expression_end(tokens, self.dialect, from);
                arguments.push((from, end));
                if !tokens.is(end, ",") {
                    break;
                }
                from = end + 1;
            }
            arguments
        })
    }

    /// What stands between commas.
    pub(super) fn split(&self, from: usize, to: usize) -> Vec<Range> {
        let tokens = self.tokens;
        let mut parts = Vec::new();
        let (mut start, mut at) = (from, from);
        let last = to.min(from.saturating_add(SPLIT_TOKENS_MAX));
        while at < last && parts.len() < ARGUMENTS_MAX {
            if tokens.is(at, ",") {
                parts.push((start, at));
                start = at + 1;
            }
            at = tokens.past(at);
        }
        if start < to {
            parts.push((start, to));
        }
        parts
    }

    /// The value of a named argument, or of an entry of an object among the arguments.
    pub(super) fn named(&self, arguments: &[Range], keywords: &[String]) -> Option<Range> {
        arguments.iter().find_map(|argument| self.named_in(*argument, keywords, 0))
    }

    fn named_in(&self, (from, to): Range, keywords: &[String], depth: u8) -> Option<Range> {
        let tokens = self.tokens;
        if depth > 3 {
            return None;
        }
        // `name: value`, `name = value`, `:name => value`
        if matches!(tokens.text(from + 1), ":" | "=" | "=>") && self.is_keyword(from, keywords) {
            return Some((from + 2, to));
        }
        let mut open = from;
        while open < to && !tokens.is(open, "{") && !tokens.is(open, "[") {
            let is_constructor = tokens.is_word(open)
                || matches!(tokens.text(open), "&" | "." | "(" | "=>" | ")" | ":")
                || tokens.is(open, "[");
            if !is_constructor || open > from + 8 {
                return self.named_in_variable((from, to), keywords, depth);
            }
            open += 1;
        }
        let inner = tokens.mate(open).filter(|close| open < to && *close <= to);
        let Some(close) = inner else {
            return self.named_in_variable((from, to), keywords, depth);
        };
        for (start, end) in self.split(open + 1, close) {
            if self.is_keyword(start, keywords) {
                if matches!(tokens.text(start + 1), ":" | "=>" | "=") {
                    return Some((start + 2, end));
                }
                if start + 1 == end && tokens.is_word(start) {
                    return Some((start, end));
                }
            }
            // Objects within objects, such as `cookie: { secret }`, do not count; the secrets of
            // Remix do, which stand nowhere else, and what a factory returns.
            if tokens.text(start) == "cookie"
                && tokens.is(start + 1, ":")
                && keywords.iter().any(|keyword| keyword == "secrets")
            {
                return self.named_in((start + 2, end), keywords, depth + 1);
            }
            if tokens.text(start) == "useFactory" {
                let object = (start..end).find(|at| {
                    tokens.is(*at, "{") && matches!(tokens.before(*at), "(" | "return")
                })?;
                return self.named_in((object, tokens.past(object)), keywords, depth + 1);
            }
        }
        None
    }

    fn named_in_variable(
        &self,
        (from, to): Range,
        keywords: &[String],
        depth: u8,
    ) -> Option<Range> {
        let tokens = self.tokens;
        if from + 1 != to || !tokens.is_word(from) {
            return None;
        }
        let definitions = self.facts.of(tokens, tokens.name(from)).rev().take(4);
        definitions.filter(|one| one.property.is_none()).find_map(|definition| {
            let end = expression_end(tokens, self.dialect, definition.value);
            self.named_in((definition.value, end), keywords, depth + 1)
        })
    }

    fn is_keyword(&self, at: usize, keywords: &[String]) -> bool {
        let name = self.tokens.string(at).unwrap_or_else(|| self.tokens.name(at));
        keywords.iter().any(|keyword| keyword == name)
    }

    /// When the token at `at` runs, by where it stands.
    pub(super) fn scope(&self, at: usize) -> Scope {
        let number = self.tree.at(at);
        match self.tree.frame(number).map_or(FrameKind::Module, |frame| frame.kind) {
            FrameKind::Module => Scope::Module,
            FrameKind::Constructor => Scope::Instance,
            FrameKind::Function => self.scope_of_function(number),
            FrameKind::Class => Scope::Class,
        }
    }

    /// Whether a definition gives a value to the object or to what outlives the call.
    pub(super) fn is_of_object(&self, definition: &Definition) -> bool {
        let name = definition.name;
        let before = self.tokens.before(name);
        let holder = name.checked_sub(2).map_or("", |at| self.tokens.text(at));
        // In Java a field needs no `this`; a variable is declared with its type.
        let is_java_field = self.dialect == Dialect::Java
            && definition.form == Form::Assigned
            && matches!(before, ";" | "{" | "}" | ")")
            && self.facts.type_of(self.tokens, self.tokens.name(name)).is_some();
        is_java_field
            || self.tokens.text(name).starts_with('@')
            || (matches!(before, "." | "->")
                && matches!(holder, "this" | "self" | "$this")
                && definition.form != Form::Entry)
    }
}

/// What sort of secret has this name, if any; cheap for the many that are none.
pub(crate) fn judge(name: &str) -> Option<Class> {
    if name.len() < 4 || name.len() > 120 || !may_be_key(name.as_bytes()) {
        return None;
    }
    // Keys of captchas are shown to everybody.
    let is_of_site = names::folded(name).contains("sitekey");
    names::judge(name).filter(|_| !is_of_site)
}

/// Parts of which every name of a key has one: key, secret, token, salt, pass…, pwd, pepper.
const PARTS: [[u8; 3]; 7] = [*b"key", *b"cre", *b"oke", *b"alt", *b"pas", *b"pwd", *b"epp"];

/// For each byte, the parts that have it at the first place, the second and the third.
static PLACES: [[u8; 3]; 256] = places();

#[expect(clippy::indexing_slicing, reason = "the table has a place for each byte")]
const fn places() -> [[u8; 3]; 256] {
    let mut places = [[0; 3]; 256];
    let (mut part, mut at) = (0, 0);
    while part < PARTS.len() {
        let byte = PARTS[part][at];
        places[byte as usize][at] |= 1 << part;
        places[byte.to_ascii_uppercase() as usize][at] |= 1 << part;
        (part, at) = if at == 2 { (part + 1, 0) } else { (part, at + 1) };
    }
    places
}

pub(super) fn may_be_key(name: &[u8]) -> bool {
    let (mut one, mut two, mut met) = (0, 0, 0);
    for byte in name {
        let [first, second, third] = PLACES.get(usize::from(*byte)).copied().unwrap_or_default();
        met |= two & third;
        (one, two) = (first, one & second);
    }
    met != 0
}
