//! Whether a program can come to anything, by its names alone. Most files that speak of keys only
//! use the words, and to follow what they do costs far more than to see that.
//!
//! Whatever is not sure counts: a file that is left out must have no place to tell.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::LazyLock;

use memchr::memmem;

use crate::finding::{Class, Does, Source};
use crate::names;
use crate::quick::Quick;
use crate::rules::Load;
use crate::shapes::{self, Shape};
use crate::spot::Spotter;
use crate::sql::{self, Within};

use super::find::files::key_that_is_read;
use super::find::literals::{CRYPTOGRAPHY, SERVICES, WORDPRESS};
use super::reader::may_be_key;
use super::table::{Index, Rule};
use super::token::{Kind, Tokens};

/// A longer name is none.
const NAME_BYTES_MAX: usize = 200;

/// As often a name stands in a file, to guess how many it has; and for how many there is room.
const TOKENS_A_NAME: usize = 16;
const NAMES_MAX: usize = 2_048;

/// A text with as many spaces is no name.
const PROSE_SPACES: usize = 3;

/// As many tokens of what names a setting are looked at.
const LOAD_TOKENS_MAX: usize = 40;

/// As far from a name is looked for what it stands for.
const NEAR_BYTES: usize = 240;

/// Parts of names that could be those of keys where keys are used.
const WEAK: &[&str] = &["key", "kek", "dek", "seed", "salt"];

static PARTS: LazyLock<Spotter> =
    LazyLock::new(|| Spotter::new([WEAK, CRYPTOGRAPHY, SERVICES].concat()));

/// Whether there may be something to tell; of passwords too, if these are looked for.
pub(super) fn is_worth(tokens: &Tokens<'_>, index: &Index<'_>, passwords: bool) -> bool {
    let mut look = Look {
        tokens,
        index,
        passwords,
        met: Met::default(),
        there: HashMap::default(),
        near: HashMap::default(),
    };
    let names = (tokens.len() / TOKENS_A_NAME).min(NAMES_MAX);
    let mut known: HashMap<&str, Known<'_>, Quick> =
        HashMap::with_capacity_and_hasher(names, Quick::default());
    for at in 0..tokens.len() {
        let is_worth = match tokens.kind(at) {
            Some(Kind::Word) => {
                let name = tokens.name(at);
                let (known, is_worth) = match known.entry(name) {
                    Entry::Occupied(entry) => (entry.into_mut(), false),
                    Entry::Vacant(entry) => {
                        let (says, is_worth) = look.name(name);
                        (entry.insert(Known { says, rules: look.rules(name) }), is_worth)
                    }
                };
                if known.says {
                    look.shape(at, name);
                }
                is_worth || known.rules.iter().any(|(call, rule)| look.may_be(at, call, *rule))
            }
            Some(Kind::Str | Kind::Symbol) => {
                tokens.string(at).is_some_and(|text| look.string(at, text))
            }
            Some(Kind::Fragment) => sql::may_have_sites(tokens.text(at)),
            _ => false,
        };
        if is_worth {
            return true;
        }
    }
    let met = look.met;
    (met.shape && met.weak)
        || (met.signs && met.seed)
        || (met.key && met.cryptography)
        || (met.token && met.service)
}

/// What is known of a name.
struct Known<'r> {
    /// Whether it is that of a call of some shape.
    says: bool,
    /// The rules that may be about it in this text.
    rules: Vec<(&'r str, Rule<'r>)>,
}

/// What a name says, whatever stands around it.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked on its own")]
struct Judged {
    /// It is that of a key, or of a password.
    key: bool,
    password: bool,
    /// It could be that of a key where one is used.
    weak: bool,
    cryptography: bool,
    service: bool,
    /// It is that of a call of some shape.
    shape: bool,
    rotates: bool,
}

impl Judged {
    fn of(name: &str) -> Self {
        if name.len() > NAME_BYTES_MAX {
            return Self::default();
        }
        let shape = shapes::says(name);
        let mut judged = Self { shape, rotates: rotates(name), ..Self::default() };
        let mut has_part = false;
        for spot in PARTS.all(name.as_bytes()) {
            match spot.word.checked_sub(WEAK.len()) {
                None => has_part = true,
                Some(other) if other < CRYPTOGRAPHY.len() => judged.cryptography = true,
                Some(_) => judged.service = true,
            }
        }
        judged.weak = has_part && shapes::is_weak(name);
        if !(has_part || may_be_key(name.as_bytes()) || name.ends_with("PAT")) {
            return judged;
        }
        let own = name.strip_prefix("get").map(|own| own.strip_prefix('_').unwrap_or(own));
        for class in [Some(name), own].into_iter().flatten().filter_map(names::judge) {
            judged.password |= class == Class::Password;
            judged.key |= class != Class::Password;
        }
        judged.key |=
            WORDPRESS.contains(&name) || matches!(name, "secretOrKey" | "secretOrPrivateKey");
        judged
    }
}

/// What says something only together.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is met on its own")]
struct Met {
    /// A call by whose name a key is used whatever it is called.
    shape: bool,
    /// One that signs, and a seed to do it with.
    signs: bool,
    seed: bool,
    /// A name that could be that of a key there.
    weak: bool,
    /// `key`, and a word that makes one of it.
    key: bool,
    cryptography: bool,
    /// `token`, and a service whose one stays.
    token: bool,
    service: bool,
}

struct Look<'l, 'a> {
    tokens: &'l Tokens<'a>,
    index: &'l Index<'l>,
    passwords: bool,
    met: Met,
    /// Which words of rules stand in the text.
    there: HashMap<&'l str, bool, Quick>,
    /// Which names stand near which words of rules.
    near: HashMap<(&'a str, &'l str), bool, Quick>,
}

impl<'l, 'a> Look<'l, 'a> {
    /// Whether a name could be that of a call of some shape, and whether it is worth it alone.
    fn name(&mut self, name: &str) -> (bool, bool) {
        let judged = Judged::of(name);
        let is_read = || key_that_is_read(name).is_some();
        (judged.shape, self.is_one(name, judged) || judged.rotates || is_read())
    }

    /// Whether a string is: as a name, or by what it holds.
    fn string(&mut self, at: usize, text: &'a str) -> bool {
        if sql::may_have_sites(text)
            && (!sql::sites_in(text, Within::Code).is_empty() || self.may_hold_name(text))
        {
            return true;
        }
        if text.len() > NAME_BYTES_MAX {
            return self.may_hold_name(text);
        }
        let before = self.tokens.before(at);
        let may_be_module = matches!(before, "from" | "import" | "(")
            || self.tokens.starts_line(at)
            || self.tokens.is_word(at.wrapping_sub(1));
        (may_be_module && self.is_module(text))
            || self.may_hold_name(text)
            || (!is_prose(text) && self.is_one(text, Judged::of(text)))
    }

    /// Whether a text is a module whose own name is that of a function, or the folder of a package.
    fn is_module(&mut self, text: &str) -> bool {
        text.split(['/', '.', ':']).chain([text]).any(|part| {
            self.has_rule(part) || part.strip_prefix("go-").is_some_and(|part| self.has_rule(part))
        })
    }

    /// Whether a text holds a name of a key where somebody puts in its value.
    fn may_hold_name(&self, text: &str) -> bool {
        let counts = |part: &str| {
            let judged = Judged::of(part);
            judged.key || (judged.password && self.passwords)
        };
        may_be_key(text.as_bytes())
            && ["${", "%", ":\""].iter().any(|mark| text.contains(mark))
            && text
                .split(|sign: char| !(sign.is_alphanumeric() || "_.-".contains(sign)))
                .any(|part| part.len() > 2 && counts(part))
    }

    /// Whether a name is one of a key, and else what it could be with others.
    fn is_one(&mut self, name: &str, judged: Judged) -> bool {
        self.met.cryptography |= judged.cryptography;
        self.met.service |= judged.service;
        self.met.weak |= judged.weak;
        self.met.seed |= name == "seed";
        self.met.key |= name.eq_ignore_ascii_case("key");
        self.met.token |= name.eq_ignore_ascii_case("token");
        // What seals a cookie is called a password.
        judged.key || (judged.password && self.passwords) || name == "cookieName"
    }

    /// The rules that may be about a name: the text has all the names of their calls, and for a key
    /// that is always named one of its names.
    fn rules(&mut self, name: &str) -> Vec<(&'l str, Rule<'l>)> {
        let mut rules = self.index.of(name);
        rules.retain(|(call, rule)| {
            let has_name = match rule {
                Rule::Scheduler(_) => return false,
                Rule::Sink(sink) if sink.key.is_none() && !sink.receiver => {
                    sink.keywords.is_empty() || sink.keywords.iter().any(|name| self.has(name))
                }
                _ => true,
            };
            has_name && parts_of(call).all(|part| self.has(part))
        });
        rules
    }

    fn has_rule(&mut self, name: &str) -> bool {
        !self.rules(name).is_empty()
    }

    /// Whether a word stands in the text, as a whole.
    fn has(&mut self, word: &'l str) -> bool {
        if let Some(is_there) = self.there.get(word) {
            return *is_there;
        }
        let is_there = self.places(word).next().is_some();
        self.there.insert(word, is_there);
        is_there
    }

    /// Where a word stands in the text, as a whole.
    fn places<'w>(&'w self, word: &'w str) -> impl Iterator<Item = usize> + 'w {
        let text = self.tokens.text.as_bytes();
        let is_name = |at: Option<usize>| {
            let byte = at.and_then(|at| text.get(at));
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        };
        memmem::find_iter(text, word.as_bytes()).filter(move |start| {
            !is_name(start.checked_sub(1)) && !is_name(start.checked_add(word.len()))
        })
    }

    /// Whether a rule may be about the name at a token.
    fn may_be(&mut self, at: usize, call: &'l str, rule: Rule<'l>) -> bool {
        let receiver = self.receiver(at);
        let mut parts = parts_of(call).rev().skip(1);
        let is_called_so = match parts.next() {
            // Without a receiver it is no method.
            None if call.contains('*') => true,
            None => receiver.is_none_or(|holder| matches!(holder, "this" | "self")),
            _ if call.contains("..") || receiver == Some("") => true,
            Some(holder) if receiver.is_none_or(|receiver| receiver == holder) => true,
            // A name so short is that of no module and no type.
            Some(holder) => {
                holder.len() > 2 && receiver.is_some_and(|one| self.stands_for(at, one, holder))
            }
        };
        let gives_nothing = || match rule {
            Rule::Load(load) => self.gives_nothing(at, load),
            _ => false,
        };
        is_called_so && !gives_nothing()
    }

    /// Whether the receiver at a name may have another name of a rule: something says so near one
    /// of them, and it is the first of its chain.
    fn stands_for(&mut self, at: usize, receiver: &'a str, holder: &'l str) -> bool {
        let before = at.checked_sub(2).and_then(|start| self.receiver(start));
        if before.is_some_and(|first| !matches!(first, "this" | "self")) {
            return false;
        }
        if let Some(is_near) = self.near.get(&(receiver, holder)) {
            return *is_near;
        }
        let text = self.tokens.text.as_bytes();
        let finder = memmem::Finder::new(receiver);
        let is_near = self.places(holder).any(|place| {
            let from = place.saturating_sub(NEAR_BYTES);
            let to = text.len().min(place.saturating_add(NEAR_BYTES));
            finder.find(text.get(from..to).unwrap_or_default()).is_some()
        });
        self.near.insert((receiver, holder), is_near);
        is_near
    }

    /// Whether what is loaded there has a name that says nothing: names of keys count wherever they
    /// stand, and a file and what a parameter names may be anything.
    fn gives_nothing(&self, at: usize, load: &Load) -> bool {
        let tokens = self.tokens;
        let open = at.saturating_add(1);
        if load.from == Source::File || !matches!(tokens.text(open), "(" | "[") {
            return false;
        }
        let mut depth = 0_usize;
        for at in (open..tokens.len()).take(LOAD_TOKENS_MAX) {
            match tokens.kind(at) {
                Some(Kind::Open) => depth = depth.saturating_add(1),
                Some(Kind::Close) if depth == 1 => return true,
                Some(Kind::Close) => depth = depth.saturating_sub(1),
                Some(Kind::Word) => {
                    let name = tokens.text(at);
                    let is_constant = name.starts_with(|first: char| first.is_ascii_uppercase());
                    if !is_constant || is_of_service(name) {
                        return false;
                    }
                }
                _ => {
                    if tokens.string(at).is_some_and(is_of_service) {
                        return false;
                    }
                }
            }
        }
        false
    }

    fn is_dot(&self, at: usize) -> bool {
        self.tokens.kind(at) == Some(Kind::Op)
            && matches!(self.tokens.text(at), "." | "->" | "::" | "?." | "&." | "?->")
    }

    /// What a name is a member of, by its last name; a name that is none if it has none.
    fn receiver(&self, at: usize) -> Option<&'a str> {
        let dot = at.checked_sub(1).filter(|dot| self.is_dot(*dot))?;
        let holder = dot.checked_sub(1)?;
        Some(if self.tokens.is_word(holder) { self.tokens.name(holder) } else { "" })
    }

    /// Looks at the shape of a call whose function, or what it is called on, stands at a token.
    fn shape(&mut self, at: usize, name: &str) {
        let next = at.saturating_add(2);
        if self.is_called(at) {
            let receiver = self.receiver(at).filter(|holder| !holder.is_empty());
            self.met_shape(shapes::of_call(name, receiver));
        } else if self.is_dot(at.saturating_add(1)) && self.is_called(next) {
            self.met_shape(shapes::of_call(self.tokens.name(next), Some(name)));
        }
    }

    fn met_shape(&mut self, shape: Option<Shape>) {
        let Some(shape) = shape else { return };
        self.met.shape |= shape.weak;
        self.met.signs |= matches!(shape.does, Does::Signs | Does::Verifies);
    }

    fn is_called(&self, at: usize) -> bool {
        let next = self.tokens.text(at.saturating_add(1));
        self.tokens.is_word(at) && next.starts_with(['(', '<', '?'])
    }
}

/// Whether a text is one for people, and no name.
fn is_prose(text: &str) -> bool {
    memchr::memchr_iter(b' ', text.as_bytes()).count() >= PROSE_SPACES
}

/// The names of a rule's call.
fn parts_of(call: &str) -> impl DoubleEndedIterator<Item = &str> {
    call.split(['.', '*', '\\', ':', '/', '@']).filter(|part| !part.is_empty())
}

/// Whether a name is one that the environment may have for the key of a service.
fn is_of_service(name: &str) -> bool {
    name == "SALT" || name.ends_with("KEY")
}

/// Whether a name may speak of rotating keys.
fn rotates(name: &str) -> bool {
    let may_rotate = |part: &[u8]| {
        ["rot", "reg", "ren", "ref"].iter().any(|start| part.eq_ignore_ascii_case(start.as_bytes()))
    };
    if !name.as_bytes().windows(3).any(may_rotate) {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    ["rotat", "regenerat", "renew", "refresh"].iter().any(|word| lower.contains(word))
        && ["key", "secret", "signing"].iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::super::dialect::Dialect;
    use super::super::lex;
    use super::super::table::More;
    use super::*;
    use crate::rules::Rules;

    #[test]
    fn names_tell_what_cannot_come_to_anything() {
        let rules = Rules::built_in().unwrap();
        let more = More::default();
        let is_worth = |text: &str| {
            let tokens = lex::tokens(text, Dialect::JavaScript, false);
            super::is_worth(&tokens, &Index::new(&rules, "javascript", &more), false)
        };
        assert!(!is_worth(
            "// a secret\nfor (const key of webhooks) show(key.signature, 'credential')"
        ));
        assert!(is_worth("const apiSecret = 1"));
        assert!(is_worth("import { sign as s } from 'jsonwebtoken'\ns(a, b)"));
        assert!(is_worth("encryptIt(text, key)"));
        assert!(is_worth("cipher.encryptIt(text, key)"));
        assert!(is_worth("const jwt = { key: 'a' }"));
        assert!(is_worth("query(`SELECT pgp_sym_decrypt(a, '${b}')`)"));
        assert!(is_worth("setInterval(() => rotateKeys(), 1)"));
    }

    #[test]
    fn what_settings_give_under_other_names_is_nothing() {
        let rules = Rules::built_in().unwrap();
        let more = More::default();
        let is_worth = |text: &str| {
            let tokens = lex::tokens(text, Dialect::JavaScript, false);
            super::is_worth(&tokens, &Index::new(&rules, "javascript", &more), false)
        };
        assert!(!is_worth("config.get('port')"));
        assert!(is_worth("config.get('shop_secret')"));
        assert!(is_worth("config.get('SHOP_KEY')"));
        // A function that hands on what its parameter names.
        assert!(is_worth("const of = (name) => config.get(name)"));
        assert!(is_worth("import own from './config'\nown.get(name)"));
        let far = "let a = 1\n".repeat(60);
        assert!(!is_worth(&format!("import config from 'config'\n{far}headers.get(name)")));
        assert!(!is_worth("super(options)") && is_worth("super({ secretOrKey: a })"));
        assert!(!is_worth("throw new Error('no token was given for the master key')"));
        assert!(!is_worth("encryptIt(text, keyboard)"));
        assert!(is_worth("const text = '%env(APP_SECRET)%'"));
        assert!(!is_worth("const text = '%d files created'"));
    }
}
