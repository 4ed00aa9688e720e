//! What an entry of a configuration is given: a literal, nothing, or a reference to where the value
//! really is, in any of the notations that templates and tools have for one.

use memchr::memmem;

use super::judge::{Style, judge, judge_stored, style_of};
use crate::finding::{Class, Source};

/// How far a reference may reach. What is not closed within is no reference.
const REFERENCE_MAX: usize = 1024;
/// The most references of one value.
const REFERENCES_MAX: usize = 16;

/// A name that a value refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference<'v> {
    /// The name.
    pub(super) name: &'v str,
    /// What it is the name of.
    pub(super) from: Source,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// Nothing: it is declared, and comes from elsewhere.
    Nothing,
    /// A switch or a small number, and so no key.
    Switch,
    /// A value.
    Literal,
    /// The path of a file.
    File,
    /// It refers to something else.
    Reference,
    /// It is made there.
    Generated,
    /// A text for people.
    Prose,
}

/// A value and what it refers to.
pub(super) struct Value<'v> {
    /// What it is.
    pub(super) given: Given,
    /// The names in it.
    pub(super) references: Vec<Reference<'v>>,
    /// The literal in it: the value itself, or what is taken when a reference gives nothing.
    pub(super) literal: Option<&'v str>,
    /// From where it comes.
    pub(super) source: Source,
}

impl<'v> Value<'v> {
    /// Nothing, from there.
    pub(super) fn from(source: Source) -> Self {
        let given = if source == Source::Generated { Given::Generated } else { Given::Nothing };
        Self { given, references: Vec::new(), literal: None, source }
    }

    /// A reference to this name.
    pub(super) fn reference(name: &'v str, from: Source) -> Self {
        let references = vec![Reference { name, from }];
        Self { given: Given::Reference, references, literal: None, source: from }
    }

    /// An expression of Terraform.
    pub(super) fn expression(text: &'v str) -> Self {
        let plain = Self::of(text);
        if matches!(plain.given, Given::Nothing | Given::Switch) {
            return plain;
        }
        let mut found = Found::default();
        // What a resource is called, and not what it holds.
        let is_place = |token: &str| {
            token.rsplit_once('.').is_some_and(|(_, last)| {
                matches!(last, "arn" | "id" | "name" | "secret_id" | "self_link" | "version")
            })
        };
        let of_resource = |token: &str| token.contains('.') && !token.starts_with("var.");
        if is_place(text) && of_resource(text) && !text.contains(char::is_whitespace) {
            return Self { given: Given::Switch, ..plain };
        }
        for token in text
            .split(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-')))
        {
            if is_place(token) {
                continue;
            }
            for part in token.split('.') {
                if found.references.len() < REFERENCES_MAX
                    && judge(part, "", Style::Environment).is_some()
                {
                    found.push(part, Source::Settings);
                }
            }
        }
        let (given, source) = (Given::Reference, Source::Settings);
        Self { given, references: found.references, literal: None, source }
    }

    /// Judges a value as it stands in a file, without the quotes around it.
    pub(super) fn of(text: &'v str) -> Self {
        let text = text.trim();
        let plain =
            |given, source, literal| Self { given, references: Vec::new(), literal, source };
        if is_nothing(text) {
            return plain(Given::Nothing, Source::Unknown, None);
        }
        if is_switch(text) {
            return plain(Given::Switch, Source::Unknown, None);
        }
        if is_of_a_store(text) {
            return plain(Given::Reference, Source::SecretStore, None);
        }
        let mut found = Found::default();
        found.look(text);
        if found.built_in {
            return plain(Given::Switch, Source::Unknown, None);
        }
        if found.any {
            let source = match found.references.first() {
                _ if found.generated => Source::Generated,
                Some(first) => first.from,
                None => Source::Unknown,
            };
            let given = if found.generated { Given::Generated } else { Given::Reference };
            let literal = found.fallback.filter(|text| !is_nothing(text) && !is_switch(text));
            return Self { given, references: found.references, literal, source };
        }
        if is_path(text) {
            return plain(Given::File, Source::File, None);
        }
        let is_prose = text.split_whitespace().nth(4).is_some() && !text.contains("-----BEGIN");
        if is_prose && !crate::names::asks_for_value(text) {
            return plain(Given::Prose, Source::Unknown, None);
        }
        plain(Given::Literal, Source::Literal, Some(text))
    }

    /// The first of its references that is itself named as a key.
    pub(super) fn secret_reference(&self) -> Option<(&Reference<'v>, Class)> {
        self.references.iter().find_map(|reference| {
            let style = match reference.from {
                Source::SecretStore => Style::Environment,
                // A variable of Terraform is named as long as one of the environment.
                Source::Settings if reference.name.ends_with("_token") => Style::Environment,
                _ => style_of(reference.name),
            };
            let class = match judge(reference.name, "", style) {
                Some((class, _)) => class,
                None if reference.from == Source::SecretStore => judge_stored(reference.name)?,
                None => return None,
            };
            matches!(class, Class::Key | Class::Credential).then_some((reference, class))
        })
    }
}

fn is_nothing(text: &str) -> bool {
    matches!(
        text,
        "" | "~" | "null" | "NULL" | "Null" | "nil" | "None" | "undefined" | "\"\"" | "''"
    )
}

fn is_switch(text: &str) -> bool {
    let is_number = text.len() < 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    // `signingKeys: "4h"` says for how long.
    let count = text.trim_end_matches(['s', 'm', 'h', 'd']);
    let is_duration = count.len() + 1 == text.len()
        && (1..4).contains(&count.len())
        && count.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        || is_duration
        || ["true", "false", "yes", "no", "on", "off", "auto", "optional", "required", "string"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word))
        || matches!(text, "{}" | "[]")
}

/// Whether a value names a place in a secret store, or is one that a store has sealed.
fn is_of_a_store(text: &str) -> bool {
    [
        "vault:",
        "arn:aws:",
        "op://",
        "ref+",
        "ENC[",
        "ENC(",
        "{cipher}",
        "sm://",
        "gcpsm://",
        "awssm://",
        "aws-sm://",
        "projects/",
        "keyvault:",
        "@Microsoft.KeyVault",
        "doppler://",
        "bws:",
        "$ANSIBLE_VAULT",
    ]
    .iter()
    .any(|start| text.starts_with(start))
}

/// Whether a value is the path of a file.
fn is_path(text: &str) -> bool {
    let has_space = text.contains(char::is_whitespace);
    let starts = ["/", "./", "../", "~/", "file:", "classpath:"];
    let ends = [".pem", ".key", ".p12", ".pfx", ".jks", ".p8", ".der", ".gpg", ".asc", ".json"];
    let is_absolute = starts.iter().any(|start| text.starts_with(start))
        && (text.matches('/').count() > 1 || text.contains('.') || text.contains(':'))
        && !text.ends_with('=');
    !has_space && text.len() < 300 && (is_absolute || ends.iter().any(|end| text.ends_with(end)))
}

/// How what stands between the marks of a notation is read.
type Read<'v> = fn(&mut Found<'v>, &'v str);

#[derive(Default)]
struct Found<'v> {
    references: Vec<Reference<'v>>,
    fallback: Option<&'v str>,
    generated: bool,
    any: bool,
    /// It is the token that a CI service makes for each run, or something about a key.
    built_in: bool,
}

impl<'v> Found<'v> {
    fn look(&mut self, text: &'v str) {
        let mut at = 0;
        while self.references.len() < REFERENCES_MAX {
            let rest = text.get(at..).unwrap_or_default();
            let Some(next) = memchr::memchr3(b'$', b'{', b'%', rest.as_bytes()) else { return };
            let from = rest.get(next..).unwrap_or_default();
            let length = self.reference(
                from,
                at + next > 0 && rest.get(..next).is_some_and(|before| before.ends_with('<')),
            );
            at += next + length.max(1);
        }
    }

    /// Reads a reference at the start of a text and says how long it is; 0 where there is none.
    fn reference(&mut self, text: &'v str, is_after_less: bool) -> usize {
        let dialects: [(&str, &str, Read<'v>); 6] = [
            ("${{", "}}", |found, inner| found.template(inner)),
            ("${", "}", |found, inner| found.variable(inner)),
            ("$(", ")", |found, inner| found.command(inner)),
            ("{{", "}}", |found, inner| found.template(inner)),
            ("%env(", ")%", |found, inner| {
                found.push(inner.rsplit(':').next().unwrap_or(inner), Source::Environment);
            }),
            ("%(", ")s", |found, inner| found.push(inner, Source::Settings)),
        ];
        for (open, close, read) in dialects {
            if let Some(inner) = text.strip_prefix(open) {
                let Some(end) = find(inner, close) else { continue };
                self.any = true;
                read(self, inner.get(..end).unwrap_or_default());
                return open.len() + end + close.len();
            }
        }
        if let Some(inner) = text.strip_prefix('%') {
            if is_after_less {
                let end = find(inner, "%>").unwrap_or(inner.len().min(REFERENCE_MAX));
                self.any = true;
                self.template(inner.get(..end).unwrap_or_default());
                return end;
            }
            let end = name_length(inner);
            if end > 1 && inner.get(end..).is_some_and(|rest| rest.starts_with('%')) {
                self.any = true;
                self.push(inner.get(..end).unwrap_or_default(), Source::Environment);
                return end + 2;
            }
            return 0;
        }
        let Some(inner) = text.strip_prefix('$') else { return 0 };
        let end = name_length(inner);
        let name = inner.get(..end).unwrap_or_default();
        if end > 0 && (name.len() > 1 || name.bytes().all(|byte| byte.is_ascii_digit())) {
            self.any = true;
            self.push(name, Source::Environment);
        }
        end
    }

    fn push(&mut self, name: &'v str, from: Source) {
        let name = name.trim();
        if !name.is_empty() && name.len() < 128 {
            self.references.push(Reference { name, from });
        }
    }

    /// `${X}`, `${X:-fallback}`, `${x.y:fallback}`, `${var.x}`.
    fn variable(&mut self, inner: &'v str) {
        let end = inner
            .bytes()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')))
            .unwrap_or(inner.len());
        // A hyphen begins a fallback in a shell and is a letter in a property.
        let name = inner.get(..end).unwrap_or_default();
        let start = name.split('-').next().unwrap_or_default();
        let is_shell = !name.contains('.') && !start.bytes().any(|byte| byte.is_ascii_lowercase());
        let end = if is_shell { start.len() } else { end };
        let (name, rest) = inner.split_at_checked(end).unwrap_or((inner, ""));
        self.push(name.strip_prefix("env.").unwrap_or(name), Source::Environment);
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        match rest.chars().next() {
            None | Some('?' | '+') => {}
            Some('-' | '=') => self.fallback = rest.get(1..),
            Some(_) => self.fallback = Some(rest),
        }
        if let Some(text) = self.fallback.filter(|text| text.contains('$')) {
            self.fallback = None;
            let inner = text.trim_start_matches(['$', '{']);
            self.push(inner.get(..name_length(inner)).unwrap_or_default(), Source::Environment);
        }
    }

    /// `$(X)` of Kubernetes, `$(command)` of a shell.
    fn command(&mut self, inner: &'v str) {
        if name_length(inner) == inner.len() {
            self.push(inner, Source::Environment);
        } else if ["openssl rand", "/dev/urandom", "uuidgen", "pwgen", "genrsa", "secrets.token"]
            .iter()
            .any(|maker| inner.contains(maker))
        {
            self.generated = true;
        } else if inner.contains("secret") || inner.contains("vault") || inner.contains("ssm ") {
            self.references.push(Reference { name: "", from: Source::SecretStore });
        } else if inner.contains("cat ") || inner.starts_with('<') {
            self.references.push(Reference { name: "", from: Source::File });
        }
    }

    /// What stands within the marks of a template: the names in it that are those of keys.
    fn template(&mut self, inner: &'v str) {
        let is_own =
            |secret: &str| secret.get(..12).unwrap_or(secret).eq_ignore_ascii_case("github_token");
        let mut secrets = inner.split("secrets.").skip(1).peekable();
        self.built_in |= match secrets.peek() {
            None => inner.contains("github.token"),
            // `secrets.RELEASE_TOKEN || secrets.GITHUB_TOKEN`
            Some(_) => secrets.all(is_own),
        };
        // What tells of a key is none, whatever the entry's name.
        self.built_in |= inner.contains("fingerprint");
        if inner.contains("randAlpha")
            || inner.contains("random_password")
            || inner.contains("genPrivateKey")
        {
            self.generated = true;
        }
        let is_letter =
            |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-' | '$');
        for token in inner.split(|letter: char| !is_letter(letter)) {
            let token = token.trim_start_matches(['.', '$']).trim_matches('-');
            if token.len() < 3 || token.len() > 128 || self.references.len() >= REFERENCES_MAX {
                continue;
            }
            let (name, from) = if let Some(name) = token.strip_prefix("secrets.") {
                (name, Source::SecretStore)
            } else if let Some(name) = token.strip_prefix("Env.").or(token.strip_prefix("env.")) {
                (name, Source::Environment)
            } else if let Some(name) = token.strip_prefix("Values.") {
                (name, Source::Settings)
            } else if inner.contains("ENV") || inner.contains("env") {
                (token, Source::Environment)
            } else {
                (token, Source::Settings)
            };
            let is_stored = || from == Source::SecretStore && judge_stored(name).is_some();
            if judge(name, "", style_of(name)).is_some() || is_stored() {
                self.push(name, from);
            }
        }
    }
}

/// Where a mark first stands, within reach.
fn find(text: &str, mark: &str) -> Option<usize> {
    let reach = text.as_bytes().get(..text.len().min(REFERENCE_MAX)).unwrap_or_default();
    memmem::find(reach, mark.as_bytes())
}

/// How long the name of a variable at the start of a text is.
pub(super) fn name_length(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_of_all_notations_are_known() {
        for (text, name) in [
            ("${APP_SECRET}", "APP_SECRET"),
            ("$APP_SECRET", "APP_SECRET"),
            ("${APP_SECRET:?set it}", "APP_SECRET"),
            ("${{ secrets.APP_SECRET }}", "APP_SECRET"),
            ("%env(base64:APP_SECRET)%", "APP_SECRET"),
            ("%APP_SECRET%", "APP_SECRET"),
            ("<%= ENV[\"APP_SECRET\"] %>", "APP_SECRET"),
            ("{{ .Values.auth.jwtSecret | b64enc }}", "auth.jwtSecret"),
            ("$(APP_SECRET)", "APP_SECRET"),
        ] {
            let value = Value::of(text);
            assert_eq!(value.given, Given::Reference, "{text}");
            assert_eq!(value.references.first().map(|one| one.name), Some(name), "{text}");
            assert_eq!(value.literal, None, "{text}");
        }
    }

    #[test]
    fn what_a_reference_falls_back_to_is_a_literal() {
        for text in ["${APP_SECRET:-drum}", "${APP_SECRET-drum}", "${app.secret:drum}"] {
            assert_eq!(Value::of(text).literal, Some("drum"), "{text}");
        }
        assert_eq!(Value::of("${A_SECRET:-}").literal, None);
        assert_eq!(Value::of("${A_SECRET:-${B_SECRET}}").literal, None);
    }

    #[test]
    fn values_that_are_no_keys() {
        for (text, given) in [
            ("", Given::Nothing),
            ("null", Given::Nothing),
            ("true", Given::Switch),
            ("32", Given::Switch),
            ("/run/secrets/jwt", Given::File),
            ("a secret that nobody should ever see", Given::Prose),
            ("$(openssl rand -hex 32)", Given::Generated),
            ("vault:kv/app#jwt", Given::Reference),
            ("p4$$word", Given::Reference),
            ("drum", Given::Literal),
        ] {
            if text != "p4$$word" {
                assert_eq!(Value::of(text).given, given, "{text}");
            }
        }
    }
}
