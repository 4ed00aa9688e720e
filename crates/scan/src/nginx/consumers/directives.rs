//! The directives that hold or use a key, and what becomes of the key there.

use std::borrow::Cow;

use super::super::lex::Word;
use super::include::{Around, Block, INCLUDES_MAX, Include};
use crate::finding::{Class, Confidence, Does, Kind, Scope, Source};
use crate::literal::Literal;
use crate::names;
use crate::site::{Hot, Link, Site, Sites};
use crate::source::SourceFile;

const REASON: &str = "nginx reads it at a reload and keeps it until the next one";
const REMEDY: &str = "let auth_request ask keywheel, or let keywheel agent write an include and \
                      reload nginx (docs/how-to/nginx.md)";

/// Directives that name a key file: what is done with it, and whether it is public.
const FILES: &[(&str, Does)] = &[
    ("auth_jwt_key_file", Does::Verifies),
    ("auth_jwt_validation_key_file", Does::Verifies),
    ("ssl_certificate_key", Does::Signs),
    ("proxy_ssl_certificate_key", Does::Signs),
    ("grpc_ssl_certificate_key", Does::Signs),
    ("uwsgi_ssl_certificate_key", Does::Signs),
    ("zone_sync_ssl_certificate_key", Does::Signs),
    ("ssl_session_ticket_key", Does::EncryptsAndDecrypts),
    ("ssl_password_file", Does::Decrypts),
    ("proxy_ssl_password_file", Does::Decrypts),
];

/// Directives that send something named to whoever is behind, or back.
const SENDS: &[&str] = &[
    "proxy_set_header",
    "grpc_set_header",
    "fastcgi_param",
    "uwsgi_param",
    "scgi_param",
    "add_header",
    "more_set_headers",
    "more_set_input_headers",
    "proxy_pass_header",
];

/// What a place holds of a key.
#[derive(Clone, Copy)]
pub(super) enum Held<'h> {
    /// Its value.
    Literal(&'h str),
    /// The path of its file.
    File,
    /// A variable of the environment, or of a template.
    Environment(&'h str),
    /// Another variable of nginx.
    Variable(&'h str),
    /// What is asked for at run time.
    Asked,
}

/// What a file has said so far.
pub(super) struct Context<'c, 'f> {
    file: &'c SourceFile<'f>,
    base: usize,
    sites: &'c mut Sites,
    /// The blocks that are open, those around the include of this file among them.
    open: Vec<Block>,
    /// How many of them are around the include.
    around: usize,
    /// Who includes the file, and where, as a reader is told.
    via: Option<String>,
    includes: Vec<Include>,
}

impl<'c, 'f> Context<'c, 'f> {
    pub(super) fn new(
        file: &'c SourceFile<'f>,
        base: usize,
        sites: &'c mut Sites,
        place: &Around,
    ) -> Self {
        let open = place.blocks.clone();
        let (around, via) = (open.len(), place.via.clone());
        Self { file, base, sites, open, around, via, includes: Vec::new() }
    }

    /// A block begins with these words.
    pub(super) fn open(&mut self, words: &[Word], from: usize) {
        let texts: Vec<_> = words.iter().map(text).collect();
        let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
        let block = match texts.as_slice() {
            ["map", source, target] => Block::Map((*source).to_owned(), (*target).to_owned()),
            ["if", condition @ ..] => {
                self.condition(condition, words, from);
                Block::Named("if")
            }
            [name, ..] => Block::named(name),
            [] => Block::Named(""),
        };
        if self.open.len() < super::super::BLOCK_DEPTH_MAX {
            self.open.push(block);
        }
    }

    pub(super) fn close(&mut self) {
        if self.open.len() > self.around {
            self.open.pop();
        }
    }

    /// All has been read: what it includes.
    pub(super) fn finish(self) -> Vec<Include> {
        let Self { sites, includes, .. } = self;
        sites.found.sort_by_key(|site| site.at);
        includes
    }

    /// A directive of these words.
    pub(super) fn directive(&mut self, words: &[Word], from: usize) {
        let Some(first) = words.first() else { return };
        let at = from + first.span.start;
        let texts: Vec<_> = words.iter().map(text).collect();
        let texts: Vec<_> = texts.iter().map(AsRef::as_ref).collect();
        if let ["include", pattern] = texts.as_slice() {
            let line = self.file.position(self.base + at).line;
            if self.includes.len() < INCLUDES_MAX {
                let (pattern, blocks) = ((*pattern).to_owned(), self.open.clone());
                self.includes.push(Include { pattern, line, blocks });
            }
            return;
        }
        if let Some(Block::Map(source, target)) = self.open.last() {
            let (source, target) = (source.clone(), target.clone());
            return self.map_entry(&source, &target, &texts, at);
        }
        match texts.as_slice() {
            ["set" | "js_var", name, value] => self.set(name, value, at),
            ["env", given] => self.env(given, at),
            [name, path, ..] if FILES.iter().any(|(file, _)| file == name) => {
                self.file(name, path, at);
            }
            ["auth_jwt_key_request", ..] => {
                let does = Some(Does::Verifies);
                self.sink("auth_jwt_key_request", at, "auth_jwt_key_request", Held::Asked, does);
            }
            ["secure_link_md5", expression] => self.secure_link(expression, at),
            ["secure_link_secret", secret] => {
                let does = Some(Does::Verifies);
                self.sink("secure_link_secret", at, "secure_link_secret", held(secret), does);
            }
            [sends, name, value, ..] if SENDS.contains(sends) => self.send(sends, name, value, at),
            [sends, joined] if SENDS.contains(sends) => {
                let (name, value) = joined.split_once(':').unwrap_or((joined, ""));
                self.send(sends, name.trim(), value.trim(), at);
            }
            ["perl_set" | "perl", .., code] => self.perl(code, at),
            _ => {}
        }
    }

    /// `set $secret "…"`.
    fn set(&mut self, name: &str, value: &str, at: usize) {
        let name = name.trim_start_matches('$');
        let holds = !matches!(value, "" | "0" | "1" | "on" | "off" | "-" | "none" | "default");
        let is_path = value.starts_with('/');
        if holds && names::judge(name).is_some() && !is_of_request(value) {
            let held = if is_path { Held::File } else { held(value) };
            self.found("nginx/set", at, name, held);
        }
    }

    fn env(&mut self, given: &str, at: usize) {
        let (name, value) = given.split_once('=').unwrap_or((given, ""));
        let is = judge(name).is_some();
        if is && value.is_empty() {
            self.found("nginx/env", at, name, Held::Environment(name));
        } else if is {
            self.found("nginx/env", at, name, held(value));
        }
    }

    fn file(&mut self, directive: &str, path: &str, at: usize) {
        let does = FILES.iter().find(|(name, _)| *name == directive).map(|(_, does)| *does);
        let held = match path.strip_prefix("data:") {
            Some(value) => held(value),
            None if path.starts_with("engine:") || path.starts_with("store:") => Held::Asked,
            None => Held::File,
        };
        self.sink(directive, at, directive, held, does);
        if let Some(site) = self.sites.found.last_mut() {
            site.links.extend(variables(path).map(|name| Link::Setting(name.to_owned())));
        }
    }

    /// `secure_link_md5 "$secure_link_expires$uri secret"`.
    fn secure_link(&mut self, expression: &str, at: usize) {
        let secret = variables(expression).find(|name| names::judge(name).is_some());
        let letters = literal_part(expression);
        let does = Some(Does::Verifies);
        if let Some(name) = secret {
            self.sink("secure_link_md5", at, name, referred(name), does);
        } else if letters.bytes().filter(u8::is_ascii_alphanumeric).count() > 2 {
            self.sink(
                "secure_link_md5",
                at,
                "secure_link_md5",
                Held::Literal(letters.trim()),
                does,
            );
        }
    }

    /// A header or parameter that is a key by its name and is no mere echo of the request.
    fn send(&mut self, directive: &str, name: &str, value: &str, at: usize) {
        let bare = name.trim_start_matches("HTTP_");
        let is_credential = bare.eq_ignore_ascii_case("authorization")
            || bare.eq_ignore_ascii_case("proxy-authorization")
            || bare.eq_ignore_ascii_case("x-auth-token")
            || judge(bare.trim_start_matches(['X', 'x', '-'])).is_some();
        if !is_credential || bare.starts_with("Access-Control") {
            return;
        }
        let held = match variables(value).find(|name| judge(name).is_some()) {
            Some(name) if is_of_request(name) => return,
            Some(name) => referred(name),
            None => {
                let value = literal_part(value);
                let value = ["Bearer ", "Basic ", "Token "]
                    .iter()
                    .find_map(|scheme| value.trim_start().strip_prefix(scheme))
                    .map_or(value.as_str(), str::trim);
                let is_scheme = matches!(value.trim(), "Bearer" | "Basic" | "Token");
                if value.trim().len() < 4 || is_scheme {
                    return;
                }
                self.sink(
                    directive,
                    at,
                    name,
                    Held::Literal(value.trim()),
                    Some(Does::Authenticates),
                );
                return;
            }
        };
        self.sink(directive, at, name, held, Some(Does::Authenticates));
    }

    /// An entry of a map whose target is a key, or whose source is a credential of the request.
    fn map_entry(&mut self, source: &str, target: &str, texts: &[&str], at: usize) {
        let (key, value) = match texts {
            [key, value] => (*key, *value),
            _ => return,
        };
        let target = target.trim_start_matches('$');
        if names::judge(target).is_some() {
            if !value.is_empty() && !is_of_request(value) && value.len() > 1 {
                let held = if value.starts_with('/') { Held::File } else { held(value) };
                self.found("nginx/map", at, target, held);
            }
            return;
        }
        let is_word = matches!(key, "default" | "hostnames" | "volatile" | "");
        if !is_word && is_credential_of_request(source) && literal_part(key).len() > 3 {
            let is_pattern = key.starts_with('~') && !key.bytes().any(|byte| byte.is_ascii_digit());
            if !is_pattern {
                self.found("nginx/map", at, source.trim_start_matches('$'), held(key));
            }
        }
    }

    /// `if ($http_x_api_key != "…")`.
    fn condition(&mut self, condition: &[&str], words: &[Word], from: usize) {
        let Some(first) = words.first() else { return };
        let [variable, operator, value, ..] = condition else { return };
        let variable = variable.trim_start_matches('(');
        let is_comparison = matches!(*operator, "=" | "!=" | "~" | "!~" | "~*" | "!~*");
        let value = value.trim_end_matches(')').trim_matches(['"', '\'']);
        let is_value = literal_part(value).len() > 3 && value != "Bearer";
        if is_comparison && is_value && is_credential_of_request(variable) {
            let at = from + first.span.start;
            let name = variable.trim_start_matches('$');
            self.sink("if", at, name, held(value), Some(Does::Authenticates));
        }
    }

    fn perl(&mut self, code: &str, at: usize) {
        let mut rest = code;
        while let Some((_, after)) = rest.split_once("ENV{") {
            let name = after.split('}').next().unwrap_or_default().trim_matches(['"', '\'', ' ']);
            if judge(name).is_some() {
                self.found("nginx/perl", at, name, Held::Environment(name));
            }
            rest = after;
        }
    }

    fn sink(&mut self, sink: &str, at: usize, name: &str, held: Held<'_>, does: Option<Does>) {
        let rule = match sink {
            "if" => Cow::Borrowed("nginx/if"),
            sink => Cow::Owned(format!("nginx/{}", sink.replace('_', "-"))),
        };
        let confidence = Confidence::High;
        self.push(rule, at, name, held, Some((sink, does)), confidence);
    }

    /// A place without a directive that is a sink.
    pub(super) fn found(&mut self, rule: &'static str, at: usize, name: &str, held: Held<'_>) {
        self.push(Cow::Borrowed(rule), at, name, held, None, Confidence::High);
    }

    fn push(
        &mut self,
        rule: Cow<'static, str>,
        at: usize,
        name: &str,
        held: Held<'_>,
        sink: Option<(&str, Option<Does>)>,
        confidence: Confidence,
    ) {
        let mut site = Site::new(Kind::Nginx, rule, self.file.position(self.base + at));
        site.name = Some(name.to_owned());
        site.links = vec![Link::Setting(name.to_owned())];
        site.class = judge(name).unwrap_or(Class::Key);
        site.scope = Some(Scope::Module);
        site.confidence = confidence;
        (site.hot, site.reason) = (Hot::No, Cow::Borrowed(REASON));
        site.remedy = Some(Cow::Borrowed(REMEDY));
        match held {
            Held::Literal(value) => {
                site.source = Source::Literal;
                site.literal = Some(Literal::new(value));
            }
            Held::File => site.source = Source::File,
            Held::Environment(other) => {
                site.source = Source::Environment;
                site.links.push(Link::Setting(other.to_owned()));
            }
            Held::Variable(other) => {
                site.source = Source::Settings;
                site.links.push(Link::Setting(other.to_owned()));
            }
            Held::Asked => {
                (site.hot, site.remedy) = (Hot::Unknown, None);
                site.reason = Cow::Borrowed("nginx asks for the key and may keep it for a while");
            }
        }
        if let Some(via) = &self.via {
            site.reason = Cow::Owned(format!("{}; {via}", site.reason));
        }
        if let Some((sink, does)) = sink {
            (site.sink, site.does) = (Some(sink.to_owned()), does);
        }
        self.sites.found.push(site);
    }
}

fn text(word: &Word) -> Cow<'_, str> {
    String::from_utf8_lossy(&word.value)
}

/// What sort of secret a variable, header or parameter is by its name.
fn judge(name: &str) -> Option<Class> {
    crate::config::entry_class(name.trim_start_matches('$'))
}

/// A value: a variable if it begins with one, else a literal.
fn held(value: &str) -> Held<'_> {
    variables(value).next().map_or(Held::Literal(value), referred)
}

/// A variable: names in capitals are those of a template or the environment.
fn referred(name: &str) -> Held<'_> {
    let is_shouted = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    if is_shouted { Held::Environment(name) } else { Held::Variable(name) }
}

/// The variables in a value.
fn variables(value: &str) -> impl Iterator<Item = &str> {
    value.split('$').skip(1).map(|rest| {
        let rest = rest.trim_start_matches('{');
        let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        rest.get(..length.count()).unwrap_or_default().trim_matches('_')
    })
}

/// A value without its variables.
fn literal_part(value: &str) -> String {
    let mut parts = value.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.strip_prefix('{') {
            Some(rest) => text += rest.split_once('}').map_or("", |(_, rest)| rest),
            None => {
                text += part.trim_start_matches(|letter: char| {
                    letter.is_ascii_alphanumeric() || letter == '_'
                });
            }
        }
    }
    text
}

/// Whether a value is only what the request has in it.
fn is_of_request(value: &str) -> bool {
    let value = value.trim_start_matches(['$', '{']);
    [
        "http_",
        "arg_",
        "cookie_",
        "sent_http_",
        "upstream_http_",
        "jwt_claim_",
        "jwt_header_",
        "ssl_",
    ]
    .iter()
    .any(|start| value.starts_with(start))
}

/// Whether a variable is where requests show a credential.
fn is_credential_of_request(variable: &str) -> bool {
    let name = variable.trim_start_matches(['$', '{', '"']).trim_end_matches(['}', '"']);
    let Some(bare) = ["http_", "arg_", "cookie_"].iter().find_map(|start| name.strip_prefix(start))
    else {
        return false;
    };
    let bare = bare.trim_start_matches("x_");
    matches!(bare, "authorization" | "token" | "key" | "apikey" | "secret")
        || judge(bare).is_some()
        || bare.ends_with("_token")
}
