//! Whether an entry of a configuration holds a key, by its name and the names above it. What a name
//! means by itself is [`crate::names`]'s; here is what it means as the name of an entry, where
//! `WEATHER_KEY` and `tls.key` are more than they are in code.

use crate::finding::{Class, Confidence};
use crate::names;

/// How the entries of a file are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As variables of an environment: long names in one namespace that every process shares.
    Environment,
    /// As keys of a tree.
    Tree,
}

/// Words that make of a secret's name a reference to where it is kept, or a switch.
const NOT_THE_SECRET: &[&str] = &[
    "create", "disable", "disabled", "enable", "existing", "external", "generate", "has", "is",
    "mount", "pull", "random", "require", "show", "skip", "use", "uses", "validate", "verifier",
];

/// Words before `key` in the environment that make it something else.
const OTHER_KEYS: &[&str] = &[
    "arrow",
    "bucket",
    "cache",
    "column",
    "dict",
    "foreign",
    "group",
    "hot",
    "idempotency",
    "index",
    "item",
    "lock",
    "lookup",
    "map",
    "message",
    "object",
    "order",
    "partition",
    "prefix",
    "primary",
    "public",
    "queue",
    "range",
    "redis",
    "route",
    "routing",
    "row",
    "s3",
    "shard",
    "shortcut",
    "site",
    "sitekey",
    "sort",
    "state",
    "storage",
    "stream",
    "tag",
    "topic",
    "translation",
    "unique",
];

/// Words before `token` that make it one which comes and goes.
const OTHER_TOKENS: &[&str] = &[
    "cancel",
    "continuation",
    "csrf",
    "device",
    "end",
    "eos",
    "id",
    "max",
    "next",
    "pad",
    "page",
    "push",
    "refresh",
    "reset",
    "start",
    "unk",
    "xsrf",
];

/// Words after `TOKEN` that make it something about one.
const AFTER_TOKEN: &[&str] = &[
    "age",
    "algorithm",
    "audience",
    "auth",
    "cache",
    "check",
    "cookie",
    "count",
    "days",
    "duration",
    "enabled",
    "endpoint",
    "exp",
    "expiration",
    "expire",
    "expires",
    "expiry",
    "format",
    "generator",
    "handler",
    "header",
    "help",
    "hours",
    "id",
    "info",
    "issuer",
    "length",
    "lifetime",
    "limit",
    "limits",
    "login",
    "lookup",
    "max",
    "minutes",
    "name",
    "permission",
    "permissions",
    "prefix",
    "provider",
    "refresh",
    "rotation",
    "scope",
    "scopes",
    "seconds",
    "size",
    "threshold",
    "timeout",
    "ttl",
    "type",
    "uri",
    "url",
    "user",
    "username",
    "validation",
    "validity",
    "version",
    "windows",
];

/// Names above `key` that make it one.
const ABOVE_KEY: &[&str] = &[
    "aes",
    "auth",
    "cookie",
    "cookies",
    "crypto",
    "csrf",
    "encrypt",
    "encryption",
    "hmac",
    "https",
    "jwks",
    "jwt",
    "rsa",
    "session",
    "sign",
    "signing",
    "ssl",
    "tls",
];

/// Services whose `key` or `token` is a credential.
const OF_SERVICES: &[&str] = &[
    "airtable",
    "algolia",
    "anthropic",
    "cloudflare",
    "cohere",
    "datadog",
    "deepl",
    "deepseek",
    "digitalocean",
    "discord",
    "dropbox",
    "gemini",
    "giphy",
    "github",
    "gitlab",
    "groq",
    "hass",
    "hetzner",
    "huggingface",
    "lastfm",
    "linear",
    "mailchimp",
    "mailgun",
    "mapbox",
    "maptiler",
    "mastodon",
    "matrix",
    "mistral",
    "notion",
    "openai",
    "openrouter",
    "opencage",
    "openweathermap",
    "otx",
    "postmark",
    "pushover",
    "replicate",
    "resend",
    "sendgrid",
    "sentry",
    "shodan",
    "slack",
    "spotify",
    "stripe",
    "telegram",
    "tmdb",
    "trello",
    "twilio",
    "unsplash",
    "vault",
    "virustotal",
];

/// Words before `key` that make it the private key of a certificate.
const OF_CERTIFICATES: &[&str] = &["tls", "ssl", "https", "cert", "certificate", "server"];

/// Parts without one of which no name is that of a secret.
const PARTS: &[&str] =
    &["key", "secret", "token", "salt", "pepper", "pass", "pwd", "jwk", "cert", "credential"];

/// Whether a name may be that of a secret at all: cheap, for it is asked of every entry.
pub(super) fn may_be_secret(name: &str) -> bool {
    let bytes = name.as_bytes();
    (0..bytes.len()).any(|at| {
        let rest = bytes.get(at..).unwrap_or_default();
        PARTS.iter().any(|part| {
            rest.get(..part.len()).is_some_and(|start| start.eq_ignore_ascii_case(part.as_bytes()))
        })
    })
}

/// What sort of secret an entry of this name holds, if any. `above` is the name of what it stands
/// in.
pub(super) fn judge(name: &str, above: &str, style: Style) -> Option<(Class, Confidence)> {
    // A personal access token goes by its letters.
    let is_pat = name == "PAT" || name.ends_with("_PAT");
    if is_pat && style == Style::Environment {
        return Some((Class::Credential, Confidence::Medium));
    }
    if name.len() > 200 || !may_be_secret(name) || name.contains("://") {
        return None;
    }
    let words = names::words(name);
    if is_about_another(name, &words, above, style) {
        return None;
    }
    let is_password = words.len() == 1 && words.iter().any(|word| word == "password");
    if is_password && matches!(above_last(above).as_str(), "encryptor" | "encryption" | "cookie") {
        return Some((Class::Key, Confidence::Medium));
    }
    if let Some(class) = names::judge(name) {
        return Some((class, sure(class, &words)));
    }
    if names::counts_or_switches(&words) {
        return None;
    }
    let rest = without_place(&words);
    let (last, before) = rest.split_last()?;
    let prior = before.last().map_or("", String::as_str);
    let medium = |class| Some((class, Confidence::Medium));
    if words.iter().any(|word| matches!(word.as_str(), "public" | "pub")) {
        return (rest.len() < words.len() && last == "key")
            .then_some((Class::Public, Confidence::High));
    }
    match last.as_str() {
        "key" | "keys" if before.is_empty() => judge_lone_key(last, above, &words, rest),
        "key" if OF_CERTIFICATES.contains(&prior) => Some((Class::Key, Confidence::High)),
        "key" if rest.len() < words.len() && !OTHER_KEYS.contains(&prior) => medium(Class::Key),
        "keys" if words.iter().any(|word| word == "crypt") => medium(Class::Key),
        "token" | "tokens" => judge_token(last, before, above, style),
        // Everybody is shown the key of a captcha.
        "key" if words.iter().any(|word| word.contains("captcha")) => None,
        "key" if style == Style::Environment && !OTHER_KEYS.contains(&prior) => {
            medium(Class::Credential)
        }
        // Those of a database are a login.
        "salt" | "pepper" | "salts" | "peppers"
            if style == Style::Environment
                || !before.is_empty()
                || ABOVE_KEY.contains(&above_last(above).as_str())
                || matches!(above_last(above).as_str(), "security" | "hash" | "secrets") =>
        {
            medium(Class::Key)
        }
        "credentials" if matches!(prior, "database" | "db" | "postgres" | "mysql" | "redis") => {
            None
        }
        "credentials" if style == Style::Environment && !before.is_empty() => {
            medium(Class::Credential)
        }
        // `SLACK_API_TOKEN_COMMON`: which of several it is.
        last if style == Style::Environment
            && prior == "token"
            && before.len() > 1
            && !AFTER_TOKEN.contains(&last) =>
        {
            medium(Class::Credential)
        }
        _ => None,
    }
}

/// What a `key` of no other name is, by what it stands in.
fn judge_lone_key(
    last: &str,
    above: &str,
    words: &[String],
    rest: &[String],
) -> Option<(Class, Confidence)> {
    let medium = |class| Some((class, Confidence::Medium));
    if last == "key" && rest.len() < words.len() {
        return medium(Class::Key);
    }
    match names::words(above).last() {
        Some(above) if ABOVE_KEY.contains(&above.as_str()) => medium(Class::Key),
        // `remember-me: key`, of Spring.
        Some(last) if last == "me" && names::folded(above).ends_with("rememberme") => {
            medium(Class::Key)
        }
        Some(above) if above == "api" || OF_SERVICES.contains(&above.as_str()) => {
            medium(Class::Credential)
        }
        _ => None,
    }
}

/// What a token is: one that a file has does not come and go.
fn judge_token(
    last: &str,
    before: &[String],
    above: &str,
    style: Style,
) -> Option<(Class, Confidence)> {
    let Some(prior) = before.last().map(String::as_str) else {
        let above = names::words(above).pop().unwrap_or_default();
        let is = matches!(above.as_str(), "auth" | "api" | "bot")
            || OF_SERVICES.contains(&above.as_str());
        return (is && last == "token").then_some((Class::Credential, Confidence::Medium));
    };
    let is_variable = style == Style::Environment;
    let is_refreshed = is_variable && prior == "refresh" && before.len() > 1;
    let is_one = last == "token" && (prior == "access" || is_refreshed)
        || is_variable && !OTHER_TOKENS.contains(&prior);
    is_one.then_some((Class::Credential, Confidence::Medium))
}

/// What a secret of a store is that says by some word of its name that it is one of a service:
/// `GH_PUSH_TOKEN`, `SSH_PRIVATE_KEY_BILLING`.
pub(super) fn judge_stored(name: &str) -> Option<Class> {
    let words = names::words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let about = ["id", "name", "url", "user", "username", "email", "host", "public", "password"];
    if name == "GITHUB_TOKEN" || has(&about) {
        return None;
    }
    if has(&["private"]) && has(&["key"]) {
        return Some(Class::Key);
    }
    has(&["token", "key", "secret", "pat"]).then_some(Class::Credential)
}

/// Whether a name is that of a reference, of a switch, or of a key which everybody is shown.
fn is_about_another(name: &str, words: &[String], above: &str, style: Style) -> bool {
    let last = names::words(name.rsplit('.').next().unwrap_or(name));
    // `SIDECAR_EXTERNAL_API_KEY` is the key of what is outside; `externalSecret` names one.
    let is_key_outside = style == Style::Environment
        && last.iter().filter(|word| *word == "external").count() == 1
        && last.last().is_some_and(|word| word == "key" || word == "token");
    let refers = |word: &String| {
        NOT_THE_SECRET.contains(&word.as_str()) && !(is_key_outside && word == "external")
    };
    if last.iter().any(refers) || is_of_people(words) {
        return true;
    }
    if matches!(name, "hash_key" | "range_key") || is_shown(words, above) {
        return true;
    }
    // `tlsSecret: shop-tls` of an ingress is the name of one.
    let is_of_ingress = matches!(last.as_slice(), [.., tls, secret]
        if style == Style::Tree && secret == "secret" && matches!(tls.as_str(), "tls" | "ssl"));
    is_of_ingress
}

/// Whether a name is that of a key which everybody is shown: of a captcha, of a shop.
fn is_shown(words: &[String], above: &str) -> bool {
    let has = |word: &str| words.iter().any(|one| one == word);
    let is_public = ["public", "publishable", "site", "website"].into_iter().any(has);
    has("publishable") && !has("secret") || is_public && names::folded(above).contains("captcha")
}

/// The last word of the name above.
fn above_last(above: &str) -> String {
    names::words(above).pop().unwrap_or_default()
}

/// A name that the judge of names knows; a lone `secret` could also be the name of one.
fn sure(class: Class, words: &[String]) -> Confidence {
    let is_lone = words.len() == 1 && class != Class::Password;
    if is_lone { Confidence::Medium } else { Confidence::High }
}

/// The words without those at the end that say in which form or where a key is.
fn without_place(words: &[String]) -> &[String] {
    let mut rest = words;
    while let Some((last, before)) = rest.split_last() {
        let is_place = matches!(
            last.as_str(),
            "file" | "path" | "location" | "pem" | "contents" | "content" | "base64" | "b64"
        );
        if !is_place || before.is_empty() {
            break;
        }
        rest = before;
    }
    rest
}

/// Whether a name speaks of what people type or see.
fn is_of_people(words: &[String]) -> bool {
    words.iter().any(|word| matches!(word.as_str(), "label" | "hint" | "message" | "tooltip"))
}

/// Names in capitals are those of environments.
pub(super) fn style_of(name: &str) -> Style {
    let is_shouted = name.bytes().any(|byte| byte.is_ascii_uppercase())
        && !name.bytes().any(|byte| byte.is_ascii_lowercase());
    if is_shouted { Style::Environment } else { Style::Tree }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_names_more_keys_than_a_tree() {
        let class = |name, style| judge(name, "", style).map(|(class, _)| class);
        for name in ["WEATHER_KEY", "CLOUD_CREDENTIALS"] {
            assert_eq!(class(name, Style::Environment), Some(Class::Credential), "{name}");
            assert_eq!(class(name, Style::Tree), None, "{name}");
        }
        for name in ["SIDECAR_KEY_FILE", "TLS_KEY", "jwt.private-key-location"] {
            assert_eq!(class(name, Style::Tree), Some(Class::Key), "{name}");
        }
        for name in ["existingSecret", "CACHE_KEY", "imagePullSecret", "CSRF_TOKEN", "KEY_ID"] {
            assert_eq!(class(name, Style::Environment), None, "{name}");
        }
        assert_eq!(class("oauth.public-key-location", Style::Tree), Some(Class::Public));
    }

    #[test]
    fn the_name_above_tells_what_a_key_is_for() {
        assert!(judge("key", "server.tls", Style::Tree).is_some());
        assert!(judge("key", "session", Style::Tree).is_some());
        assert!(judge("key", "items", Style::Tree).is_none());
    }
}
