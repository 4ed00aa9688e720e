//! From an entry to a site.

use std::borrow::Cow;

use super::judge::{Style, judge};
use super::value::{Given, Value};
use crate::finding::{Class, Confidence, Kind, Source};
use crate::literal::Literal;
use crate::names;
use crate::site::{Link, Site, Sites};
use crate::source::SourceFile;

/// An entry of a configuration.
pub(super) struct Entry<'e> {
    /// Where it begins, in bytes from the start of its text.
    pub(super) at: usize,
    /// Its name.
    pub(super) name: &'e str,
    /// The names of what it stands in, joined by points; empty at the top.
    pub(super) above: &'e str,
    /// What it is given.
    pub(super) value: Value<'e>,
}

/// Where the entries of one text go.
pub(super) struct Out<'o, 'f> {
    /// The file.
    pub(super) file: &'o SourceFile<'f>,
    /// What is found.
    pub(super) sites: &'o mut Sites,
    /// Where in the file the text begins.
    pub(super) base: usize,
    /// The rule of these entries.
    pub(super) rule: &'static str,
    /// How they are named.
    pub(super) style: Style,
    /// How deep texts stand within texts.
    pub(super) depth: u8,
}

impl<'f> Out<'_, 'f> {
    /// The same for a text that begins there, in another format.
    pub(super) fn within(&mut self, at: usize, rule: &'static str, style: Style) -> Out<'_, 'f> {
        Out {
            file: self.file,
            base: self.base.saturating_add(at),
            sites: self.sites,
            rule,
            style,
            depth: self.depth.saturating_add(1),
        }
    }

    /// Makes a site of an entry if it is named as a key, or refers to one; says whether it did.
    pub(super) fn entry(&mut self, entry: &Entry<'_>) -> bool {
        let judged = judge(entry.name, entry.above, self.style)
            .or_else(|| judge_suffixed(entry).filter(|_| self.style == Style::Tree));
        self.judged(entry, judged)
    }

    /// The same for an entry of which is known what it holds.
    pub(super) fn judged(
        &mut self,
        entry: &Entry<'_>,
        judged: Option<(Class, Confidence)>,
    ) -> bool {
        let is_pem = entry.value.literal.is_some_and(is_private_key);
        let (class, confidence, name) = match (judged, entry.value.secret_reference()) {
            (Some((class, confidence)), _) if class != Class::Password => {
                (class, confidence, entry.name)
            }
            (None, Some((reference, class))) if self.hands_on(entry) => {
                (class, Confidence::Medium, reference.name)
            }
            (Some(_), Some((reference, class))) if reference.from == Source::SecretStore => {
                (class, Confidence::Medium, reference.name)
            }
            (Some((class, confidence)), _) => (class, confidence, entry.name),
            (None, _) if is_pem => (Class::Key, Confidence::High, entry.name),
            _ => return false,
        };
        // A line of an environment may hold a sentence as its key; elsewhere one speaks to people.
        let is_variable = self.rule == super::Format::Env.rule()
            || self.rule == super::Format::Yaml.rule() && self.style == Style::Environment;
        let is_phrase = is_variable && class == Class::Key;
        let is_none = match entry.value.given {
            Given::Switch => true,
            Given::Prose => !is_phrase,
            _ => false,
        };
        if is_none && !is_pem {
            return false;
        }
        let mut site = Site::new(Kind::ConfigFile, self.rule, self.position(entry.at));
        site.links = links(entry);
        if name != entry.name {
            site.links.insert(0, Link::Setting(name.to_owned()));
        }
        site.name = Some(shown(name, entry).into_owned());
        site.class = class;
        site.confidence = confidence;
        site.source = entry.value.source;
        site.literal = entry.value.literal.filter(|_| class != Class::Public).map(Literal::new);
        site.reason = reason(&entry.value);
        site.remedy = remedy(&entry.value);
        self.sites.found.push(site);
        true
    }

    /// Whether an entry that is not named as a key hands on the key that it refers to, rather than
    /// using it within some longer text such as a command.
    fn hands_on(&self, entry: &Entry<'_>) -> bool {
        // `access_key_id: <%= ENV["S3_ACCESS_KEY"] %>` says what it is.
        let is_id = names::words(entry.name).last().is_some_and(|word| word == "id");
        let is_word = !entry.name.is_empty() && !entry.name.contains(' ') && !is_id;
        let is_script = matches!(entry.name, "run" | "command" | "script" | "if" | "cmd" | "args");
        is_word && !is_script && self.rule != super::SHELL
    }

    /// Where a byte of the text stands in the file.
    pub(super) fn position(&self, at: usize) -> crate::source::Position {
        self.file.position(self.base.saturating_add(at))
    }
}

/// What an entry is whose name says at its end which of several it is, as `api_key_blue` does: a
/// value that could be a key must tell the rest.
fn judge_suffixed(entry: &Entry<'_>) -> Option<(Class, Confidence)> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+/=.".contains(&byte);
    let value =
        entry.value.literal.filter(|value| value.len() > 5 && value.bytes().all(is_word))?;
    let name = entry.name;
    let is_snake = name.contains('_')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || b"_0123456789".contains(&byte));
    let speaks = name.contains("_key_") || name.contains("secret_");
    if !is_snake || !speaks || entry.value.given != Given::Literal {
        return None;
    }
    let has_own = value.bytes().any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let class = names::judge(&name.to_ascii_uppercase()).filter(|_| has_own)?;
    Some((class, Confidence::Low))
}

/// Whether a literal is itself a private key.
fn is_private_key(text: &str) -> bool {
    text.contains("-----BEGIN") && text.contains("PRIVATE KEY")
}

/// A name that says something: one that does not is shown with that of what it stands in.
fn shown<'e>(name: &'e str, entry: &Entry<'e>) -> Cow<'e, str> {
    if !names::is_weak(name) || entry.above.is_empty() {
        return Cow::Borrowed(name);
    }
    let last = entry.above.rsplit('.').next().unwrap_or(entry.above);
    Cow::Owned(format!("{last}.{name}"))
}

/// The names by which others know an entry: its own, with what it stands in, and those that its
/// value refers to.
fn links(entry: &Entry<'_>) -> Vec<Link> {
    let mut links = vec![Link::Setting(entry.name.to_owned())];
    if !entry.above.is_empty() {
        let last = entry.above.rsplit('.').next().unwrap_or(entry.above);
        links.push(Link::Setting(format!("{last}.{}", entry.name)));
        if last != entry.above {
            links.push(Link::Setting(format!("{}.{}", entry.above, entry.name)));
        }
    }
    let references = entry.value.references.iter().filter(|one| !one.name.is_empty());
    links.extend(references.map(|one| Link::Setting(one.name.to_owned())));
    links
}

fn reason(value: &Value<'_>) -> Cow<'static, str> {
    Cow::Borrowed(match (value.given, value.source) {
        (Given::Literal, _) => "the file gives the key as a literal, which whoever reads it has",
        (Given::Reference, _) if value.literal.is_some() => {
            "the file passes the key on, with a literal where there is none"
        }
        (Given::Reference, Source::SecretStore) => "the file takes the key from a secret store",
        (Given::Reference, _) => "the file passes the key on under this name",
        (Given::File, _) => "the file says where the key file is",
        (Given::Generated, _) => "the key is made here, and nothing else knows of it",
        _ => "the file declares the key; its value comes from elsewhere",
    })
}

fn remedy(value: &Value<'_>) -> Option<Cow<'static, str>> {
    value.literal.map(|_| {
        Cow::Borrowed("refer to a secret instead, and let keywheel write or serve its value")
    })
}
