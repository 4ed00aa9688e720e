//! Literals that are assigned to the name of a key, and copies of settings that outlive a call.

use std::borrow::Cow;

use crate::finding::{Class, Kind, Scope, Source};
use crate::names;
use crate::site::Hot;

use super::super::dialect::Dialect;
use super::super::facts::{Definition, Form, name_of, required};
use super::super::reader::{Range, judge};
use super::super::table::Rule;
use super::super::token::Kind as TokenKind;
use super::super::tree::expression_end;
use super::super::value::Origin;
use super::{Finder, link};

impl Finder<'_, '_, '_> {
    /// All assignments to names of keys.
    pub(super) fn assigned_literals(&mut self) {
        let reader = self.reader;
        for definition in &reader.facts.definitions {
            let name = reader.defined_name(definition);
            let class = judge(name)
                .filter(|class| *class != Class::Password || !self.seals_cookie(definition, name))
                .or_else(|| self.known_name(definition, name))
                .or_else(|| self.weak_class(definition));
            let Some(class) = class else {
                self.copy_under_another_name(definition);
                continue;
            };
            let end = expression_end(reader.tokens, reader.dialect, definition.value);
            let before = self.literals.len();
            self.literals_in((definition.value, end), definition, name, class);
            if self.literals.len() == before && class != Class::Password {
                self.copy_of_setting((definition.value, end), definition, name, class);
            }
        }
    }

    /// `KEY = Settings.signing_key`: the setting alone says that it is a key.
    fn copy_under_another_name(&mut self, definition: &Definition) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let (start, last) = (definition.value, definition.value + 2);
        if definition.form != Form::Assigned
            || definition.property.is_some()
            || !reader.is_dot(start + 1)
            || !tokens.is_word(last)
            || !self.is_settings(start)
        {
            return;
        }
        let end = expression_end(tokens, reader.dialect, start);
        let Some(class) = end.checked_sub(1).and_then(|last| judge(tokens.name(last))) else {
            return;
        };
        if class != Class::Password {
            let name = reader.defined_name(definition);
            self.copy_of_setting((start, end), definition, name, class);
        }
    }

    /// Names that are those of keys only where they stand.
    fn known_name(&self, definition: &Definition, name: &str) -> Option<Class> {
        let is_php_define =
            self.reader.tokens.before(definition.name) == "(" && WORDPRESS.contains(&name);
        let is_of_passport =
            definition.form == Form::Entry && matches!(name, "secretOrKey" | "secretOrPrivateKey");
        let is_one = is_php_define || is_of_passport || self.seals_cookie(definition, name);
        is_one.then_some(Class::Key)
    }

    /// `{ cookieName: "session", password: "…" }`: what seals a cookie is called so.
    fn seals_cookie(&self, definition: &Definition, name: &str) -> bool {
        let tokens = self.reader.tokens;
        if name != "password" || definition.form != Form::Entry {
            return false;
        }
        let Some(open) = self.object_around(definition.name) else { return false };
        let Some(close) = tokens.mate(open) else { return false };
        (open..close.min(open + OBJECT_TOKENS_MAX))
            .any(|at| tokens.text(at) == "cookieName" && tokens.is(at + 1, ":"))
    }

    fn literals_in(&mut self, range: Range, definition: &Definition, name: &str, class: Class) {
        let reader = self.reader;
        let tokens = reader.tokens;
        if definition.property.is_some() || self.is_of_other_type(definition) {
            return;
        }
        let mut parts = reader.parts(range);
        // `encode(given ?? "default")`
        if let [(from, to)] = parts.as_slice()
            && tokens.is_word(*from)
            && tokens.is(from + 1, "(")
            && tokens.past(from + 1) == *to
        {
            parts.extend(reader.parts((from + 2, to - 1)).into_iter().skip(1));
        }
        for part in parts {
            let (from, to) = part;
            let is_default = from > range.0;
            let mut candidates = Vec::new();
            // A list; `[]byte("literal")` of Go is none.
            match tokens.mate(from).filter(|close| tokens.is(from, "[") && close + 1 == to) {
                Some(close) => candidates
                    .extend(reader.split(from + 1, close).into_iter().filter(|(a, b)| a + 1 == *b)),
                None => candidates.push(part),
            }
            for (from, to) in candidates {
                let Some(at) = self.literal((from, to)) else { continue };
                let Some(text) = reader.plain(at) else { continue };
                // What is hashed first is no name of anything.
                let name_of_text = if from + 1 == to { name } else { "secret" };
                let is_type = tokens.is(to, "|") || tokens.is(from.saturating_sub(1), "|");
                if is_type || !is_plausible(name_of_text, text) {
                    continue;
                }
                let rule = if is_default { "default-literal" } else { "assigned-literal" };
                self.hardcoded(at, rule, Some(name), class);
            }
        }
    }

    /// `AgentToken Type = "agent"` in Go: one of several, of a type of their own.
    fn is_of_other_type(&self, definition: &Definition) -> bool {
        let tokens = self.reader.tokens;
        let of = definition.name + 1;
        self.reader.dialect == Dialect::Go
            && definition.form == Form::Assigned
            && tokens.is_word(of)
            && tokens.is(of + 1, "=")
            && !matches!(tokens.text(of), "string" | "String")
    }

    /// The string that an expression is, perhaps in another form.
    fn literal(&self, range: Range) -> Option<usize> {
        let reader = self.reader;
        let tokens = reader.tokens;
        let (from, to) = range;
        if from + 1 == to {
            // Symbols, and lists of words of Ruby.
            return tokens
                .string(from)
                .filter(|_| !tokens.text(from).starts_with([':', '%']))
                .map(|_| from);
        }
        // Only a string somewhere in it can make it one.
        let has_string = (from..to.min(from + 12)).any(|at| tokens.string(at).is_some());
        if !has_string || to - from > 12 {
            return None;
        }
        let value = reader.value(range);
        match value.origin {
            Origin::Literal(at) if (from..to).contains(&at) => Some(at),
            _ => None,
        }
    }

    /// `KEY = settings.secret_key` keeps what the settings have.
    fn copy_of_setting(&mut self, range: Range, definition: &Definition, name: &str, class: Class) {
        let reader = self.reader;
        let tokens = reader.tokens;
        let range = self.converted(range);
        let scope = self.scope_of(definition.name, Some(definition));
        let is_entry = definition.form == Form::Entry;
        if range.1 > range.0 + 24 {
            return;
        }
        if scope == Scope::Call {
            self.copied_outside(range, definition, name, class);
            return;
        }
        // The salt that a block of an initializer derives former keys with is gone with it.
        let first = tokens.text(definition.name);
        let is_of_block = reader.dialect == Dialect::Ruby
            && definition.form == Form::Assigned
            && first.ends_with("salt")
            && self.is_in_block(definition.name);
        if is_of_block {
            return;
        }
        if is_entry && !self.is_of_environment(range.0) && !self.is_of_constant(definition) {
            return;
        }
        let has_sink = (range.0..range.1).any(|at| {
            tokens.is_word(at)
                && reader.rules_at(at).0.iter().any(|rule| matches!(rule, Rule::Sink(_)))
        });
        let is_of_settings =
            (range.0..range.1).any(|at| tokens.is_word(at) && self.is_settings(at));
        if !is_of_settings && !is_entry {
            return;
        }
        let has_load = has_sink || (range.0..range.1).any(|at| self.loads.contains(&at));
        let value = reader.value(range);
        let is_setting = matches!(value.origin, Origin::Setting { .. });
        // `const { key } = settings.crypto`
        let property = definition.property.map(|at| tokens.name(at));
        let origin = property.or(value.names.last().copied()).unwrap_or_default();
        let is_named = judge(origin).is_some() || property.is_some();
        let is_chain =
            (range.0..range.1).any(|at| reader.is_dot(at)) || tokens.is(range.0 + 1, "[");
        if has_load || !is_setting || !is_chain || !is_named {
            return;
        }
        let holder = tokens.text(range.0);
        if matches!(holder, "this" | "self" | "$this" | "super" | "parent" | "static") {
            return;
        }
        self.copied_setting(definition, (origin, name), class, scope);
    }

    /// Whether a token stands in a block of Ruby.
    fn is_in_block(&self, at: usize) -> bool {
        let tokens = self.reader.tokens;
        (at.saturating_sub(BLOCK_TOKENS_MAX)..at).rev().any(|open| {
            matches!(tokens.text(open), "do" | "{") && tokens.mate(open).is_some_and(|end| end > at)
        })
    }

    /// Says that a setting is copied: the name of the setting, and that of the copy.
    pub(super) fn copied_setting(
        &mut self,
        definition: &Definition,
        (origin, name): (&str, &str),
        class: Class,
        scope: Scope,
    ) {
        let mut site = self.site(Kind::EnvLoad, "settings-copy", definition.name);
        site.name = Some(origin.to_owned());
        site.links = vec![link(origin, true), link(name, scope != Scope::Instance)];
        site.class = class;
        site.scope = Some(scope);
        site.hot = Hot::No;
        site.source = Source::Settings;
        site.confidence = crate::finding::Confidence::Medium;
        site.reason = Cow::Borrowed("it copies a setting once and keeps the copy");
        site.remedy = Some(Cow::Borrowed("Read the setting where it is used"));
        self.sites.found.push(site);
    }

    /// The argument of `this.toOptionalString(environment.KEY)`, which only converts it.
    fn converted(&self, range: Range) -> Range {
        let reader = self.reader;
        let tokens = reader.tokens;
        let (from, to) = range;
        let is_own = tokens.text(from) == "this" && reader.is_dot(from + 1);
        let call = if is_own { from + 2 } else { from };
        let Some(open) = reader.call_open(call).filter(|open| tokens.past(*open) == to) else {
            return range;
        };
        let begins = ["to", "as", "parse", "optional", "required", "String", "string"];
        if !begins.iter().any(|word| tokens.text(call).starts_with(word)) {
            return range;
        }
        match reader.split(open + 1, to.saturating_sub(1)).as_slice() {
            [only] => *only,
            _ => range,
        }
    }

    /// Whether an entry stands in an object that is a constant, not an argument: its place alone
    /// makes it a copy.
    fn is_of_constant(&self, definition: &Definition) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        let root = tokens.text(definition.value);
        let is_imported = reader.facts.imports.contains_key(root)
            || reader.facts.of(tokens, root).any(|one| required(tokens, one.value).is_some());
        let is_held = match reader.dialect {
            Dialect::JavaScript => is_imported,
            Dialect::Ruby => {
                let start = definition.value;
                self.is_settings(start) || (reader.is_dot(start + 1) && self.is_settings(start + 2))
            }
            _ => false,
        };
        if !is_held {
            return false;
        }
        let mut open = self.object_around(definition.name);
        for _ in 0..8 {
            let Some(at) = open else { return false };
            match tokens.before(at) {
                "=" | "default" => return true,
                ":" => open = self.object_around(at),
                _ => return false,
            }
        }
        false
    }

    /// The brace or bracket that opens the object of an entry.
    fn object_around(&self, at: usize) -> Option<usize> {
        let tokens = self.reader.tokens;
        let mut at = at;
        for _ in 0..OBJECT_TOKENS_MAX {
            at = at.checked_sub(1)?;
            match tokens.kind(at) {
                Some(TokenKind::Close) => at = tokens.mate(at)?,
                Some(TokenKind::Open) => {
                    return matches!(tokens.text(at), "{" | "[").then_some(at);
                }
                _ => {}
            }
        }
        None
    }

    /// What a weak name is by what it is a part of: `crypto: { key: … }`, `{ key } = jwt`.
    pub(super) fn weak_class(&self, definition: &Definition) -> Option<Class> {
        let reader = self.reader;
        let tokens = reader.tokens;
        let name = match definition.property {
            Some(property) => tokens.name(property),
            None => reader.defined_name(definition),
        };
        if self.is_bytes_of_key(definition, name) {
            return Some(Class::Key);
        }
        let (holders, class) = match name {
            "key" => (CRYPTOGRAPHY, Class::Key),
            "token" => (SERVICES, Class::Credential),
            "keys" => (COOKIES, Class::Key),
            _ => return None,
        };
        let holder = match definition.form {
            _ if definition.property.is_some() => {
                let end = expression_end(tokens, reader.dialect, definition.value);
                end.checked_sub(1)?
            }
            Form::Entry => {
                let open = self.object_around(definition.name)?;
                let sign = open.checked_sub(1)?;
                matches!(tokens.text(sign), ":" | "=>" | "=").then(|| sign.checked_sub(1))??
            }
            Form::Member if tokens.before(definition.name) == "." => {
                definition.name.checked_sub(2)?
            }
            _ => return None,
        };
        let words = names::words(name_of(tokens, holder));
        words.iter().any(|word| holders.contains(&word.as_str())).then_some(class)
    }

    /// `key := []byte("test-signing-key")`: of bytes that stand in the code, and say what they are.
    fn is_bytes_of_key(&self, definition: &Definition, name: &str) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        let at = definition.value;
        if reader.dialect != Dialect::Go
            || !matches!(name, "key" | "Key")
            || tokens.text(at + 2) != "byte"
            || tokens.text(at + 3) != "("
        {
            return false;
        }
        tokens.string(at + 4).is_some_and(|text| {
            names::words(text)
                .iter()
                .any(|word| matches!(word.as_str(), "secret" | "signing" | "jwt" | "encryption"))
        })
    }

    /// Whether a name is that of settings, or its type is.
    pub(super) fn is_settings(&self, at: usize) -> bool {
        let reader = self.reader;
        let name = reader.tokens.name(at);
        // `credentials = answer["credentials"]` are those of somebody.
        if reader.dialect == Dialect::Ruby
            && name == "credentials"
            && !reader.is_dot(at.saturating_sub(1))
            && reader.facts.of(reader.tokens, name).next().is_some()
        {
            return false;
        }
        let of_type = reader.facts.type_of(reader.tokens, name).unwrap_or_default();
        [name, of_type].iter().any(|name| {
            let lower = name.to_ascii_lowercase();
            ["config", "setting", "propert", "props", "options", "credentials", "secrets", "env"]
                .iter()
                .any(|word| lower.contains(word))
                || lower == "conf"
                || lower == "cfg"
                || (reader.dialect == Dialect::Ruby && lower == "rails")
        })
    }

    /// `envVars.JWT_SECRET` where `envVars` was made of the environment.
    fn is_of_environment(&self, at: usize) -> bool {
        let reader = self.reader;
        let tokens = reader.tokens;
        if reader.dialect != Dialect::JavaScript {
            return false;
        }
        let root = tokens.text(at);
        let Some(definition) = reader.facts.of(tokens, root).next() else { return false };
        let end = expression_end(tokens, reader.dialect, definition.value);
        (definition.value..end.min(definition.value + 80))
            .any(|at| tokens.text(at) == "env" && tokens.is(at.saturating_sub(1), "."))
    }
}

/// How far before a statement the block begins.
const BLOCK_TOKENS_MAX: usize = 1000;

/// How far before an entry the object begins.
const OBJECT_TOKENS_MAX: usize = 200;

/// Words that make a key of a `key` which is a part of them.
pub(in super::super) const CRYPTOGRAPHY: &[&str] = &[
    "aes",
    "cipher",
    "crypt",
    "crypto",
    "encrypt",
    "encryption",
    "hmac",
    "jwe",
    "jws",
    "jwt",
    "signing",
];

/// Words that make keys of the `keys` which are a part of them.
const COOKIES: &[&str] = &["cookie", "cookies"];

/// Services whose `token` stays the same.
pub(in super::super) const SERVICES: &[&str] = &[
    "cloudflare",
    "discord",
    "github",
    "gitlab",
    "mapbox",
    "maptiler",
    "sentry",
    "slack",
    "telegram",
    "twilio",
    "vault",
];

/// Constants of WordPress whose names alone do not say that they are keys.
pub(in super::super) const WORDPRESS: &[&str] = &[
    "LOGGED_IN_KEY",
    "NONCE_KEY",
    "LOGGED_IN_SALT",
    "NONCE_SALT",
    "AUTH_SALT",
    "SECURE_AUTH_SALT",
];

/// Whether a literal that is assigned to this name may be a secret: not the name of a setting, a
/// header or a field, and no text for people.
pub(crate) fn is_plausible(name: &str, text: &str) -> bool {
    let value = text.trim();
    if value.is_empty() || value.len() > 8192 {
        return false;
    }
    let (folded_name, folded) = (names::folded(name), names::folded(value));
    if folded.len() < 2 || folded == "na" || folded == folded_name {
        return false;
    }
    if value.starts_with("-----BEGIN") {
        return !value.contains("PUBLIC KEY") && !value.contains("CERTIFICATE");
    }
    // Texts for people, in whatever language.
    if value.chars().any(|letter| letter.is_alphabetic() && !letter.is_ascii()) {
        return false;
    }
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let spaces = value.bytes().filter(u8::is_ascii_whitespace).count();
    let reads_as_text = spaces > 0
        && (value.ends_with(['.', ':', '?', '!', '…'])
            || value.starts_with(|letter: char| letter.is_uppercase())
            || spaces > 4
            || judge(value).is_some() && !has_digit);
    let is_path = value.starts_with(['/', '.', '~', '@', '#'])
        || value.contains("://")
        || value.contains("${")
        || value.starts_with("$(")
        || value.starts_with("%env(")
        || value.contains("{{")
        || (value.contains('/') && value.contains('.') && !value.contains('='))
        || value.contains("%s")
        || value.starts_with("\\u")
        || (value.contains('/')
            && value.bytes().all(|byte| byte.is_ascii_lowercase() || b"/_-".contains(&byte)));
    // `nullable|string|max:255`
    let is_rule = value.contains('|')
        && value.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"|:,._".contains(&byte)
        });
    !reads_as_text && !is_rule && !is_path && !is_name(name, value, has_digit)
}

/// Whether a name ends with a value, as that of `KindSecret = "SECRET"` does.
fn folded_ends(name: &str, value: &str) -> bool {
    names::folded(name).ends_with(&names::folded(value))
}

/// Parts of values that stand for a key, though they read as a name.
const STAND_INS: &[&str] = &[
    "your", "my-", "my_", "mysec", "super", "change", "replace", "test", "dev", "dummy", "default",
    "example", "insecure", "top-", "top_", "very", "some", "local", "fake", "not-", "not_", "this",
    "shh", "foo",
];

/// Words that are types, names of fields or flags.
const PLAIN_WORDS: &[&str] = &[
    "string",
    "text",
    "password",
    "apikey",
    "bearer",
    "hidden",
    "jwt",
    "header",
    "cookie",
    "none",
    "array",
    "object",
    "encrypted",
    "hashed",
    "null",
    "true",
    "false",
    "env",
    "auto",
    "token",
    "required",
];

/// `FieldSecret = "secret"` names a column.
fn names_place(name: &str) -> bool {
    let first = names::words(name).into_iter().next().unwrap_or_default();
    ["column", "field", "flag", "header", "label", "param"].contains(&first.as_str())
}

/// Whether a value is itself a name: `JWT_SECRET`, `x-api-key`, `secretKey`, `auth.jwt.secret`.
fn is_name(name: &str, value: &str, has_digit: bool) -> bool {
    let is_word =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    if has_digit || !value.bytes().all(is_word) {
        return false;
    }
    let lower = value.to_ascii_lowercase();
    if STAND_INS.iter().any(|part| lower.contains(part)) {
        return false;
    }
    let has_separator = value.contains(['_', '-', '.', ':']);
    let has_parts = has_separator
        || value
            .bytes()
            .skip(1)
            .zip(value.bytes())
            .any(|(this, before)| this.is_ascii_uppercase() && before.is_ascii_lowercase());
    let is_constant = value.len() > 3
        && value.contains('_')
        && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    // `SESSION_KEY = "logged-in-user"` names an entry of the session.
    let mut parts = names::words(name).into_iter().rev();
    let last = parts.next().unwrap_or_default();
    let is_of_store = matches!(last.as_str(), "key" | "keys")
        && parts.next().is_some_and(|prior| {
            matches!(
                prior.as_str(),
                "session"
                    | "cookie"
                    | "cookies"
                    | "token"
                    | "tokens"
                    | "data"
                    | "server"
                    | "shared"
                    | "auth"
                    | "hash"
                    | "account"
                    | "service"
            )
        });
    let is_lower = value.bytes().all(|byte| byte.is_ascii_lowercase() || b"_-.:".contains(&byte));
    if is_of_store
        && (is_lower && (has_separator || value.len() < 6) || has_parts && !has_separator)
    {
        return true;
    }
    if is_lower && names_place(name) {
        return true;
    }
    // `SESSION_KEY = "_noteData"`
    if is_of_store && value.starts_with('_') {
        return true;
    }
    // `dataKey="comparisonLine"` of a chart names a field.
    let is_kind = value.bytes().all(|byte| byte.is_ascii_uppercase()) && folded_ends(name, value);
    if is_kind {
        return true;
    }
    let is_field =
        names::folded(name) == "datakey" && value.bytes().all(|b| b.is_ascii_alphabetic());
    if is_field {
        return true;
    }
    let is_part_of_name = names::folded(name).contains(&names::folded(value)) && has_parts;
    is_constant
        || is_part_of_name
        || (has_parts
            && (judge(value).is_some()
                || lower.contains("key")
                || lower.contains("token")
                || lower.contains("secret")))
        || PLAIN_WORDS.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::is_plausible;

    #[test]
    fn values_of_keys() {
        for value in
            ["changeme", "keyboard cat", "my-secret-key", "k3f9qz81mvb2", "s3cr3t", "secret"]
        {
            assert!(is_plausible("jwtSecret", value), "{value}");
        }
        for value in [
            "JWT_SECRET",
            "x-api-key",
            "The secret of your application",
            "jwtSecret",
            "",
            "/run/secrets/jwt",
            "auth.jwt.secret",
            "Enter your secret:",
            "${JWT_SECRET}",
        ] {
            assert!(!is_plausible("jwtSecret", value), "{value}");
        }
    }
}
