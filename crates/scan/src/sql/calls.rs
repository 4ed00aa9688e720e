//! Calls and statements that handle a key, among the tokens of a text.

use super::key::{key_of, literal};
use super::lex::{Lexer, Mark, Token};
use super::{SqlKey, SqlSite, Within};
use crate::finding::Does;
use crate::names;

/// How deep calls are followed; deeper ones are passed over.
const DEPTH_MAX: usize = 256;
/// The most tokens of a statement that are kept.
const TOKENS_MAX: usize = 100_000;
/// The most places of one text.
const SITES_MAX: usize = 20_000;

/// A function that takes a key.
struct Function {
    name: &'static str,
    /// The position of the key.
    key: usize,
    /// How many arguments it has.
    arguments: std::ops::RangeInclusive<usize>,
    does: Does,
    /// Whether functions of programs have this name too.
    is_common: bool,
}

const fn function(
    name: &'static str,
    key: usize,
    arguments: std::ops::RangeInclusive<usize>,
    does: Does,
    is_common: bool,
) -> Function {
    Function { name, key, arguments, does, is_common }
}

const FUNCTIONS: &[Function] = &[
    function("pgp_sym_encrypt", 1, 2..=3, Does::Encrypts, false),
    function("pgp_sym_encrypt_bytea", 1, 2..=3, Does::Encrypts, false),
    function("pgp_sym_decrypt", 1, 2..=3, Does::Decrypts, false),
    function("pgp_sym_decrypt_bytea", 1, 2..=3, Does::Decrypts, false),
    function("pgp_pub_encrypt", 1, 2..=3, Does::Encrypts, false),
    function("pgp_pub_encrypt_bytea", 1, 2..=3, Does::Encrypts, false),
    function("pgp_pub_decrypt", 1, 2..=4, Does::Decrypts, false),
    function("pgp_pub_decrypt_bytea", 1, 2..=4, Does::Decrypts, false),
    function("encrypt", 1, 3..=3, Does::Encrypts, true),
    function("decrypt", 1, 3..=3, Does::Decrypts, true),
    function("encrypt_iv", 1, 4..=4, Does::Encrypts, true),
    function("decrypt_iv", 1, 4..=4, Does::Decrypts, true),
    function("hmac", 1, 3..=3, Does::Signs, true),
    function("crypt", 0, 2..=2, Does::Derives, true),
    function("sign", 1, 2..=3, Does::Signs, true),
    function("verify", 1, 2..=3, Does::Verifies, true),
    function("aes_encrypt", 1, 2..=6, Does::Encrypts, false),
    function("aes_decrypt", 1, 2..=6, Does::Decrypts, false),
    function("des_encrypt", 1, 2..=2, Does::Encrypts, false),
    function("des_decrypt", 1, 2..=2, Does::Decrypts, false),
    function("encryptbypassphrase", 0, 2..=4, Does::Encrypts, false),
    function("decryptbypassphrase", 0, 2..=4, Does::Decrypts, false),
];

/// Words that a statement of SQL has, and a call in a program has not.
const VERBS: &[&str] =
    &["select", "insert", "update", "delete", "values", "perform", "where", "returning", "merge"];

/// All places in a text.
pub(super) fn find(text: &str, within: Within) -> Vec<SqlSite<'_>> {
    Finder::new(text, within, 0, true).run()
}

/// An open bracket.
struct Frame {
    /// The function, with the token of its name, if it takes a key or sets a setting.
    call: Option<(Call, usize)>,
    /// The token with which each argument begins.
    arguments: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Call {
    Key(&'static Function),
    SetConfig,
    /// A function of the project that by its name does this.
    Named(&'static str, Does),
}

struct Finder<'t> {
    text: &'t str,
    base: usize,
    within: Within,
    /// Whether texts within this one are read as SQL too.
    looks_into_texts: bool,
    lexer: Lexer<'t>,
    /// The tokens of this statement.
    tokens: Vec<Token>,
    frames: Vec<Frame>,
    /// How many of them are calls.
    calls: usize,
    /// Brackets beyond those that are followed.
    beyond: usize,
    has_verb: bool,
    /// Whether this statement inserts rows.
    inserts: bool,
    found: Vec<SqlSite<'t>>,
}

impl<'t> Finder<'t> {
    fn new(text: &'t str, within: Within, base: usize, looks_into_texts: bool) -> Self {
        Self {
            text,
            base,
            within,
            looks_into_texts,
            lexer: Lexer::new(text),
            tokens: Vec::new(),
            frames: Vec::new(),
            calls: 0,
            beyond: 0,
            has_verb: within == Within::Sql,
            inserts: false,
            found: Vec::new(),
        }
    }

    fn run(mut self) -> Vec<SqlSite<'t>> {
        while let Some(token) = self.lexer.token() {
            if self.found.len() >= SITES_MAX {
                break;
            }
            match token.mark {
                Mark::Open => self.open(token),
                Mark::Close => self.close(token),
                Mark::Comma => {
                    let next = self.tokens.len() + 1;
                    if let (0, Some(frame)) = (self.beyond, self.frames.last_mut()) {
                        frame.arguments.push(next);
                    }
                    self.tokens.push(token);
                }
                Mark::End => self.end(),
                Mark::Meta => self.meta(token),
                Mark::Word => {
                    self.has_verb |= VERBS.iter().any(|verb| self.is(token, verb));
                    self.inserts |= self.is(token, "insert");
                    self.tokens.push(token);
                }
                Mark::Text => {
                    self.tokens.push(token);
                    self.look_into(token);
                }
                Mark::Name => {
                    self.tokens.push(token);
                    // `plpy.execute("SELECT …")`
                    if self.text_of(token).contains(' ') {
                        self.look_into(token);
                    }
                }
                _ => self.tokens.push(token),
            }
            if self.tokens.len() > TOKENS_MAX {
                self.tokens.clear();
                self.frames.clear();
                (self.calls, self.beyond) = (0, 0);
            }
            self.lexer.is_within_call = self.calls > 0;
        }
        self.unfinished();
        self.end();
        self.found.sort_by_key(|site| site.offset);
        self.found
    }

    fn text_of(&self, token: Token) -> &'t str {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    fn is(&self, token: Token, word: &str) -> bool {
        token.mark == Mark::Word && self.text_of(token).eq_ignore_ascii_case(word)
    }

    fn open(&mut self, token: Token) {
        if self.frames.len() >= DEPTH_MAX {
            self.beyond += 1;
            return;
        }
        let index = self.tokens.len().checked_sub(1);
        let call = index.and_then(|index| Some((self.call(index)?, index)));
        self.tokens.push(token);
        self.calls += usize::from(call.is_some());
        self.frames.push(Frame { call, arguments: vec![self.tokens.len()] });
    }

    /// What the name before a bracket calls.
    fn call(&self, index: usize) -> Option<Call> {
        let name = *self.tokens.get(index)?;
        if !matches!(name.mark, Mark::Word | Mark::Name) {
            return None;
        }
        let text = self.text_of(name);
        let known = FUNCTIONS.iter().find(|one| one.name.eq_ignore_ascii_case(text));
        let sets = text.eq_ignore_ascii_case("set_config")
            || (text.eq_ignore_ascii_case("set") && self.is_of_settings(index));
        // `FUNCTION pgcrypto.encrypt(bytea, …)` defines or names it.
        let mut before = index;
        while self.tokens.get(before.wrapping_sub(1)).is_some_and(|one| one.mark == Mark::Dot) {
            before = before.saturating_sub(2);
        }
        let is_named =
            before.checked_sub(1).and_then(|index| self.tokens.get(index)).is_some_and(|one| {
                ["function", "procedure", "routine", "into", "table", "exists"]
                    .iter()
                    .any(|word| self.is(*one, word))
            });
        if is_named {
            return None;
        }
        known.map(Call::Key).or(sets.then_some(Call::SetConfig)).or_else(|| does_by_name(text))
    }

    /// `settings.set(`.
    fn is_of_settings(&self, index: usize) -> bool {
        let before = index.checked_sub(2).and_then(|index| self.tokens.get(index));
        before.is_some_and(|one| self.is(*one, "settings"))
    }

    fn close(&mut self, token: Token) {
        if self.beyond > 0 {
            self.beyond -= 1;
            return;
        }
        if let Some(frame) = self.frames.pop() {
            self.calls = self.calls.saturating_sub(usize::from(frame.call.is_some()));
            self.called(&frame, true);
            if self.inserts && frame.call.is_none() && self.frames.is_empty() {
                self.row(&frame);
            }
        }
        self.tokens.push(token);
    }

    /// A row that is inserted: `('jwt_secret', '…')` keeps a key under its name.
    fn row(&mut self, frame: &Frame) {
        let text = |start: usize| {
            let token = *self.tokens.get(start).filter(|token| token.mark == Mark::Text)?;
            let ends = self.tokens.get(start + 1).is_none_or(|next| next.mark == Mark::Comma);
            ends.then_some(token)
        };
        let found = frame.arguments.windows(2).take(16).find_map(|pair| match pair {
            [name, value] => Some((text(*name)?, text(*value)?)).filter(|(name, value)| {
                is_name_of_row(self.text_of(*name)) && may_be_key(self.text_of(*value))
            }),
            _ => None,
        });
        if let Some((name, value)) = found {
            let (name, key) = (self.text_of(name), literal(self.text_of(value)));
            self.push(value.start, "insert", None, key, Some(name), false);
        }
    }

    /// A call whose bracket closes, or that the text ends within.
    fn called(&mut self, frame: &Frame, is_whole: bool) {
        let Some((call, name)) = frame.call else { return };
        let Some(name) = self.tokens.get(name).copied() else { return };
        let argument = |index: usize| {
            let start = *frame.arguments.get(index)?;
            let end = frame.arguments.get(index + 1).map_or(self.tokens.len(), |next| next - 1);
            self.tokens.get(start..end)
        };
        match call {
            Call::Key(function) => {
                let count = frame.arguments.len();
                let fits = function.arguments.contains(&count) || !is_whole;
                let is_sql = !function.is_common || (self.has_verb && is_whole);
                if !fits || !is_sql {
                    return;
                }
                let quotes = function.name.starts_with("aes_") || self.within == Within::Code;
                let key =
                    argument(function.key).and_then(|tokens| key_of(self.text, tokens, quotes));
                let key = match key {
                    Some(key) => key,
                    None if is_whole => return,
                    None => SqlKey::Argument(""),
                };
                let is_public = function.name.starts_with("pgp_pub_encrypt");
                self.push(name.start, function.name, Some(function.does), key, None, is_public);
            }
            Call::Named(function, does) if is_whole && self.has_verb => {
                // What is encrypted comes first; the key is what is named as one.
                let key = (1..frame.arguments.len().min(8)).find_map(|index| {
                    let key = key_of(self.text, argument(index)?, false)?;
                    is_named_as_key(&key).then_some(key)
                });
                if let Some(key) = key {
                    self.push(name.start, function, Some(does), key, None, false);
                }
            }
            Call::Named(..) => {}
            Call::SetConfig => {
                let setting = argument(0).and_then(|tokens| match tokens {
                    [only] if only.mark == Mark::Text => Some(self.text_of(*only)),
                    _ => None,
                });
                let value = argument(1).and_then(|tokens| key_of(self.text, tokens, false));
                if let (Some(setting), Some(key)) = (setting, value)
                    && is_key(setting)
                {
                    self.push(name.start, "set_config", None, key, Some(setting), false);
                }
            }
        }
    }

    fn push(
        &mut self,
        at: usize,
        function: &'static str,
        does: Option<Does>,
        key: SqlKey<'t>,
        setting: Option<&'t str>,
        is_public: bool,
    ) {
        let offset = self.base + at;
        self.found.push(SqlSite { offset, function, does, key, setting, is_public });
    }

    /// Calls that the text ends within: a program puts the rest behind.
    fn unfinished(&mut self) {
        if self.within == Within::Code && self.beyond == 0 {
            while let Some(frame) = self.frames.pop() {
                self.called(&frame, false);
            }
        }
    }

    /// The end of a statement.
    fn end(&mut self) {
        self.setting();
        self.by_password();
        let first = self.tokens.first().copied();
        let last = self.tokens.last().copied();
        let copies = first.is_some_and(|token| self.is(token, "copy"))
            && self.tokens.iter().any(|token| self.is(*token, "stdin"));
        if copies && last.is_some() && self.within == Within::Sql {
            self.lexer.skip_rows();
        }
        self.tokens.clear();
        self.frames.clear();
        (self.calls, self.beyond) = (0, 0);
        self.has_verb = self.within == Within::Sql;
        self.inserts = false;
    }

    /// `SET app.jwt_secret = '…'`, `ALTER DATABASE x SET app.jwt_secret TO '…'`, and
    /// `PRAGMA key = '…'`.
    fn setting(&mut self) {
        let Some(first) = self.tokens.first().copied() else { return };
        let is_pragma = self.is(first, "pragma");
        let starts = ["set", "alter", "pragma"].iter().any(|word| self.is(first, word));
        if !starts || self.tokens.len() > 64 {
            return;
        }
        let set = self
            .tokens
            .iter()
            .position(|token| self.is(*token, "set") || self.is(*token, "pragma"));
        let Some(mut from) = set else { return };
        from += 1;
        let skips =
            |token: &Token| ["local", "session", "global"].iter().any(|word| self.is(*token, word));
        if self.tokens.get(from).is_some_and(skips) {
            from += 1;
        }
        let rest = self.tokens.get(from..).unwrap_or_default();
        let cut = rest.iter().position(|token| token.mark == Mark::Equals || self.is(*token, "to"));
        let Some((name, value)) =
            cut.and_then(|cut| Some((rest.get(..cut)?, rest.get(cut + 1..)?)))
        else {
            return;
        };
        let (Some(start), Some(end)) = (name.first(), name.last()) else { return };
        let setting = self.text.get(start.start..end.end).unwrap_or_default();
        let is_cipher = is_pragma && ["key", "rekey", "hexkey"].contains(&setting);
        // `"app.jwt_secret"`: in quotes the name is one token.
        let has_dot = name.iter().any(|token| token.mark == Mark::Dot)
            || matches!(name, [only] if only.mark == Mark::Name && setting.contains('.'));
        let is_custom = has_dot && is_key(setting);
        let key = value.first().and_then(|first| match first.mark {
            Mark::Text => Some(literal(self.text_of(*first))),
            _ => key_of(self.text, value, is_pragma),
        });
        if let (true, Some(key)) = (is_cipher || is_custom, key) {
            let does = is_cipher.then_some(Does::EncryptsAndDecrypts);
            let function = if is_pragma { "pragma key" } else { "set" };
            self.push(first.start, function, does, key, Some(setting), false);
        }
    }

    /// `OPEN SYMMETRIC KEY k DECRYPTION BY PASSWORD = '…'`.
    fn by_password(&mut self) {
        let is_key = self.tokens.iter().take(4).any(|token| self.is(*token, "key"));
        let Some(first) = self.tokens.first().copied().filter(|_| is_key) else { return };
        if !["open", "create", "alter"].iter().any(|word| self.is(first, word)) {
            return;
        }
        let password = self.tokens.windows(4).find_map(|window| match window {
            [by, password, equals, value]
                if self.is(*by, "by")
                    && self.is(*password, "password")
                    && equals.mark == Mark::Equals =>
            {
                key_of(self.text, &[*value], false)
            }
            _ => None,
        });
        if let Some(key) = password {
            let does = Some(Does::Decrypts);
            self.push(first.start, "key by password", does, key, None, false);
        }
    }

    /// `\set jwt_secret 'value'`.
    fn meta(&mut self, token: Token) {
        let line = self.text_of(token);
        let mut words = line.split_whitespace();
        let (Some("set"), Some(name), Some(value)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        if !is_key(name) {
            return;
        }
        let at = token.start.saturating_sub(1);
        if value.starts_with('`') {
            // What a shell says is taken once, from its environment if a variable is said.
            let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            let variable =
                line.split_once('$').map_or("", |(_, rest)| rest.trim_start_matches('{'));
            let variable = variable.split(|letter| !is_part(letter)).next().unwrap_or_default();
            let name = if variable.is_empty() { name } else { variable };
            self.push(at, "psql shell", None, SqlKey::Argument(name), Some(name), false);
        } else if value.starts_with(':') || line.contains(" :") {
            // Also one that is put together: `'\'' :jwt_secret '\''`.
            self.push(at, "psql set", None, SqlKey::Argument(name), Some(name), false);
        } else {
            let key = literal(value.trim_matches('\''));
            self.push(at, "psql set", None, key, Some(name), false);
        }
    }

    /// Texts that are themselves SQL: bodies of functions in quotes, and statements that are built.
    fn look_into(&mut self, token: Token) {
        let text = self.text_of(token);
        if !self.looks_into_texts || text.len() < 24 || !super::may_have_sites(text) {
            return;
        }
        let inner = Finder::new(text, Within::Code, self.base + token.start, false);
        self.found.extend(inner.run());
    }
}

/// What a function that no table knows does with a key, by the last word of its name.
fn does_by_name(name: &str) -> Option<Call> {
    let (before, last) = name.rsplit_once('_')?;
    let ends = |word: &str| last.eq_ignore_ascii_case(word);
    Some(match () {
        () if before.is_empty() => return None,
        () if ends("encrypt") => Call::Named("encrypt", Does::Encrypts),
        () if ends("decrypt") => Call::Named("decrypt", Does::Decrypts),
        () if ends("sign") => Call::Named("sign", Does::Signs),
        () if ends("verify") => Call::Named("verify", Does::Verifies),
        () if ends("hmac") => Call::Named("hmac", Does::Signs),
        () => return None,
    })
}

/// Whether an argument of such a function is plainly its key.
fn is_named_as_key(key: &SqlKey<'_>) -> bool {
    match key {
        SqlKey::Literal(_) => false,
        SqlKey::Setting(name) | SqlKey::Argument(name) | SqlKey::Database(name) => {
            let is_lone =
                ["key", "secret", "passphrase"].iter().any(|one| name.eq_ignore_ascii_case(one));
            is_lone || is_key(name)
        }
    }
}

/// Whether the first text of a row names a key that the next one is: with more than one word, for
/// a lone `secret` names much.
fn is_name_of_row(name: &str) -> bool {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    is_name && name.len() < 60 && name.contains(['_', '.', '-']) && is_key(name)
}

/// Whether a text of a row may be a key: words and sentences for people are none.
fn may_be_key(value: &str) -> bool {
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let is_one_word = !value.contains(|letter: char| letter.is_whitespace() || letter == '/');
    is_one_word
        && value.len() >= 8
        && (has_digit || names::is_placeholder(value))
        && (has_digit || !value.contains('_'))
        && !value.starts_with(['{', '[', '<'])
}

/// Whether a setting is named as a key.
fn is_key(name: &str) -> bool {
    let class = names::judge(name);
    class.is_some_and(|class| class != crate::finding::Class::Password)
}
