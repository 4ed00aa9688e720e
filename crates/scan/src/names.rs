//! Whether a name is that of a key. Names are all that many places tell, so this is the one judge
//! of them; every reader asks it.
//!
//! A name is cut into words (`jwtSecretKey`, `JWT_SECRET_KEY`, `jwt.secret-key` are the same
//! three), and the words are judged from the last to the first, because the last one says what the
//! thing is: a `secret_key` is a key, a `secret_key_length` is a number.

use crate::finding::Class;

/// Words that say of what stands before them that it is something *about* a key.
const ABOUT: &[&str] = &[
    "address",
    "age",
    "alg",
    "alias",
    "algo",
    "algorithm",
    "algorithms",
    "algs",
    "arn",
    "at",
    "attribute",
    "audience",
    "bits",
    "bytes",
    "class",
    "column",
    "context",
    "cookie",
    "count",
    "days",
    "description",
    "enabled",
    "endpoint",
    "error",
    "exists",
    "exp",
    "expiration",
    "expire",
    "expires",
    "expiry",
    "field",
    "fingerprint",
    "format",
    "header",
    "headers",
    "help",
    "hint",
    "host",
    "hours",
    "id",
    "ids",
    "index",
    "interval",
    "issuer",
    "kid",
    "label",
    "len",
    "length",
    "lifetime",
    "limit",
    "loader",
    "max",
    "method",
    "min",
    "minutes",
    "mode",
    "name",
    "names",
    "options",
    "param",
    "parameter",
    "pattern",
    "placeholder",
    "policy",
    "port",
    "prefix",
    "provider",
    "ref",
    "regex",
    "region",
    "required",
    "rotation",
    "schema",
    "seconds",
    "sid",
    "size",
    "status",
    "suffix",
    "timeout",
    "title",
    "ttl",
    "type",
    "types",
    "uri",
    "url",
    "urls",
    "user",
    "username",
    "valid",
    "validity",
    "var",
    "variable",
    "version",
];

/// Words before `key` (or at the end, as one word with it) that make it one which signs, encrypts
/// or authenticates.
const BEFORE_KEY: &[&str] = &[
    "aes",
    "app",
    "application",
    "auth",
    "authentication",
    "authorization",
    "ca",
    "camo",
    "cert",
    "cipher",
    "cookie",
    "cookies",
    "crypt",
    "crypto",
    "cryptography",
    "csrf",
    "data",
    "decrypt",
    "decryption",
    "derivation",
    "dkim",
    "ecdsa",
    "ed25519",
    "enc",
    "encrypt",
    "encrypted",
    "encryption",
    "fernet",
    "hash",
    "hawk",
    "hkdf",
    "hmac",
    "jwe",
    "jws",
    "jwt",
    "kek",
    "mac",
    "macaroon",
    "master",
    "oidc",
    "paseto",
    "pgcrypto",
    "pgp",
    "priv",
    "private",
    "rsa",
    "saml",
    "seal",
    "sealing",
    "secret",
    "secure",
    "security",
    "server",
    "session",
    "shared",
    "sign",
    "signature",
    "signed",
    "signing",
    "ssl",
    "symmetric",
    "tls",
    "token",
    "tokens",
    "unseal",
    "validation",
    "vault",
    "verification",
    "verify",
    "verifying",
    "webhook",
    "wrap",
    "wrapping",
    "xsrf",
];

/// Words before `key` that make it somebody else's credential.
const BEFORE_CREDENTIAL_KEY: &[&str] = &[
    "access", "account", "anon", "api", "auth0", "bearer", "consumer", "deploy", "licence",
    "license", "service",
];

/// Words that make a key of a `key` further behind them, as in `ENCRYPTION_SECONDARY_KEY`.
const FAR_BEFORE_KEY: &[&str] =
    &["cipher", "crypto", "encryption", "fernet", "hmac", "jwt", "private", "secret", "signing"];

/// Words right before `key` that make it a name of something, whatever stands further in front.
const OTHER_KEYS: &[&str] = &[
    "cache",
    "claim",
    "claims",
    "config",
    "context",
    "db",
    "dict",
    "email",
    "event",
    "field",
    "foreign",
    "group",
    "groups",
    "header",
    "index",
    "lock",
    "lookup",
    "map",
    "message",
    "object",
    "option",
    "order",
    "partition",
    "primary",
    "query",
    "redis",
    "row",
    "setting",
    "settings",
    "sort",
    "storage",
    "store",
    "stream",
    "translation",
    "unique",
    "user",
    "username",
];

/// Words before `token` that say that it comes and goes, or is one of a language.
const OTHER_TOKENS: &[&str] = &[
    "access",
    "begin",
    "bos",
    "cancel",
    "cancellation",
    "cls",
    "confirm",
    "confirmation",
    "continuation",
    "csrf",
    "current",
    "device",
    "end",
    "eof",
    "eos",
    "expired",
    "id",
    "invalid",
    "invitation",
    "invite",
    "jwt",
    "mask",
    "max",
    "next",
    "no",
    "pad",
    "page",
    "push",
    "refresh",
    "reset",
    "sep",
    "session",
    "start",
    "stop",
    "sync",
    "unk",
    "unsubscribe",
    "user",
    "verification",
    "verify",
    "xsrf",
];

/// Words before `token` that make it a standing credential; other tokens come and go.
const BEFORE_TOKEN: &[&str] = &[
    "admin",
    "agent",
    "api",
    "auth",
    "authorization",
    "bearer",
    "bot",
    "cloudflare",
    "cluster",
    "codecov",
    "cron",
    "deploy",
    "discord",
    "dockerhub",
    "github",
    "gitlab",
    "heroku",
    "huggingface",
    "ingest",
    "integration",
    "internal",
    "mapbox",
    "maptiler",
    "master",
    "metrics",
    "npm",
    "personal",
    "platform",
    "pypi",
    "registry",
    "secret",
    "sentry",
    "service",
    "shared",
    "slack",
    "snyk",
    "telegram",
    "vault",
    "webhook",
];

/// Words after a key that change nothing about what it is.
const TRAILING: &[&str] = &[
    "asymmetric",
    "b64",
    "base64",
    "base",
    "current",
    "default",
    "dev",
    "development",
    "env",
    "fallback",
    "fallbacks",
    "file",
    "hex",
    "location",
    "new",
    "next",
    "old",
    "path",
    "pem",
    "prev",
    "previous",
    "prod",
    "production",
    "raw",
    "staging",
    "str",
    "string",
    "test",
    "text",
    "value",
    "values",
    "v1",
    "v2",
];

/// Words in front of keys that make a number or a switch of them.
const COUNTS: &[&str] = &[
    "allow", "check", "disable", "disabled", "enable", "enabled", "has", "is", "max", "maximum",
    "min", "minimum", "num", "number", "require", "requires", "skip", "total", "use", "uses",
];

/// What sort of secret has this name, if any. The name may be a setting, a variable, a key of a
/// configuration or an attribute; of a dotted path the last two parts count. A name in capitals is
/// that of a setting, so a word at its end that means nothing here may say which one it is
/// (`WEBHOOK_SECRET_EU`), and its `TOKEN` is one that stays.
///
/// ```
/// use keywheel_scan::finding::Class;
/// use keywheel_scan::names::judge;
/// assert_eq!(judge("DJANGO_SECRET_KEY"), Some(Class::Key));
/// assert_eq!(judge("stripeApiKey"), Some(Class::Credential));
/// assert_eq!(judge("jwt_secret_length"), None);
/// ```
pub fn judge(name: &str) -> Option<Class> {
    let mut words = words(name);
    // `APP_KEY1`: which of several it is.
    if let Some(last) = words.last_mut()
        && matches!(last.trim_end_matches(|one: char| one.is_ascii_digit()), "key" | "secret")
    {
        last.truncate(last.trim_end_matches(|one: char| one.is_ascii_digit()).len());
    }
    if counts_or_switches(&words) {
        return None;
    }
    let mut rest = words.as_slice();
    while let Some((last, before)) = rest.split_last() {
        let is_trailing = TRAILING.contains(&last.as_str()) || last.bytes().all(is_digit);
        if before.is_empty() || !is_trailing {
            break;
        }
        rest = before;
    }
    let found = judge_words(rest);
    if found.is_some() || name.chars().any(char::is_lowercase) {
        return found;
    }
    judge_constant(rest)
}

/// Whether a name is that of a number of keys, of a switch for them, or of the key under which
/// something else stands: `MAX_API_KEYS`, `REQUIRE_API_KEY`, `rootPasswordSecretKey`.
pub(crate) fn counts_or_switches(words: &[String]) -> bool {
    let [first, .., last] = words else { return false };
    let is_number = COUNTS.contains(&first.as_str())
        && matches!(last.as_str(), "keys" | "secrets" | "tokens" | "key" | "secret" | "salt");
    let is_of_another = matches!(
        words,
        [.., of, secret, key]
            if secret == "secret"
                && key == "key"
                && matches!(of.as_str(), "password" | "user" | "username" | "existing")
    );
    let is_last = matches!(last.as_str(), "keys" | "secrets" | "tokens" | "key" | "secret");
    // `INVALID_API_TOKEN` is what is said of one.
    let is_said = matches!(first.as_str(), "expired" | "invalid" | "missing" | "unknown");
    let switches = ["disable", "disabled", "enable", "enabled", "hide", "reveal"];
    let is_switch = is_last && words.iter().any(|word| switches.contains(&word.as_str()));
    let is_pulled = matches!(words, [.., of, secret]
        if secret == "secret" && matches!(of.as_str(), "pull" | "push" | "tls"));
    is_number || is_switch || is_of_another || is_said || is_pulled
}

/// What a name in capitals is that says nothing to [`judge_words`].
fn judge_constant(words: &[String]) -> Option<Class> {
    let (last, before) = words.split_last()?;
    let prior = before.last()?.as_str();
    match last.as_str() {
        "token" => {
            let is_of_somebody = match prior {
                "access" | "session" => before.len() > 1,
                prior => !OTHER_TOKENS.contains(&prior),
            };
            return is_of_somebody.then_some(Class::Credential);
        }
        "salt" => return Some(Class::Key),
        // A personal access token.
        "pat" => return Some(Class::Credential),
        "secrets" if matches!(prior, "totp" | "otp") => return Some(Class::Key),
        // `DATA_KEY_ENCRYPT`: what a key is for may stand behind it.
        "encrypt" | "encryption" | "signing" if prior == "key" => return Some(Class::Key),
        "tokens" if prior == "api" && before.len() > 1 || matches!(prior, "auth" | "root") => {
            return Some(Class::Credential);
        }
        "key" | "keys" | "tokens" | "secrets" => return None,
        // The service whose key it is: `INSTANCE_KEY_SERVICE`.
        "service" if prior == "key" => return None,
        word if ABOUT.contains(&word) => return None,
        _ => {}
    }
    // `SSH_PRIVATE_KEY_BILLING`
    if words.windows(2).any(|two| two == ["private", "key"]) {
        return Some(Class::Key);
    }
    // `SECRET_FOR_SHOP`
    if let [.., secret, of, _] = words
        && secret == "secret"
        && of == "for"
    {
        return Some(Class::Key);
    }
    // `DOCKERHUB_TOKEN_RO`
    let says_what = matches!(prior, "secret" | "clientsecret" | "appsecret")
        || (prior == "token" && last.len() < 4)
        || (prior == "key" && before.len() > 1);
    let of_token = || if prior == "token" { judge_constant(before) } else { None };
    says_what.then(|| judge_words(before).or_else(of_token)).flatten()
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

/// What everybody is shown: a key that checks signatures, or none.
fn judge_public(last: &str, before: &[String], prior: &str) -> Option<Class> {
    // The keys of captchas and of shops are shown to everybody, and sign nothing.
    let is_of_site = matches!(prior, "site" | "publishable")
        || before.iter().any(|word| word.contains("captcha") || word == "turnstile");
    let is_key = matches!(last, "key" | "keys" | "jwk" | "jwks" | "certificate");
    (is_key && !is_of_site).then_some(Class::Public)
}

fn judge_words(words: &[String]) -> Option<Class> {
    let (last, before) = words.split_last()?;
    let says_something = |word: &&String| !TRAILING.contains(&word.as_str());
    let prior = before.iter().rfind(says_something).map_or("", String::as_str);
    // A `PUBLIC_LINK_SECRET` is the secret of public links.
    let is_public = |word: &String| matches!(word.as_str(), "public" | "pub" | "publishable");
    if last != "secret" && before.iter().any(is_public) {
        return judge_public(last, before, prior);
    }
    match last.as_str() {
        "secret" => Some(match prior {
            "client" | "consumer" | "api" | "oauth" | "oauth2" | "app" | "access" => {
                Class::Credential
            }
            _ => Class::Key,
        }),
        "seed" if matches!(prior, "otp" | "totp" | "hmac" | "signing") => Some(Class::Key),
        "secrets" if !prior.is_empty() && BEFORE_KEY.contains(&prior) => Some(Class::Key),
        "salt" => {
            let is_of_settings = [
                "crypt",
                "hash",
                "derivation",
                "encryption",
                "security",
                "secret",
                "password",
                "cookie",
                "session",
                "signing",
            ];
            before.iter().any(|one| is_of_settings.contains(&one.as_str())).then_some(Class::Key)
        }
        "key" | "keys" => {
            if prior == "access" && before.iter().any(|word| word == "secret") {
                Some(Class::Credential)
            } else if BEFORE_KEY.contains(&prior) {
                Some(Class::Key)
            } else if BEFORE_CREDENTIAL_KEY.contains(&prior) {
                Some(Class::Credential)
            } else if matches!(prior, "primary" | "deterministic")
                && before.iter().any(|word| word == "encryption")
            {
                // Rails names the key of its encryption so: the one that encrypts.
                Some(Class::Key)
            } else if prior == "role" && before.iter().any(|word| word == "service") {
                // `SUPABASE_SERVICE_ROLE_KEY`: that of a service, for the role that may do all.
                Some(Class::Credential)
            } else {
                let is_far = |word: &String| FAR_BEFORE_KEY.contains(&word.as_str());
                let is_key = !OTHER_KEYS.contains(&prior) && before.iter().any(is_far);
                is_key.then_some(Class::Key)
            }
        }
        "publickey" => Some(Class::Public),
        "keyring" | "keyrings" if BEFORE_KEY.contains(&prior) => Some(Class::Key),
        "token" if prior == "access" && before.iter().any(|word| word == "private") => {
            Some(Class::Credential)
        }
        "passphrase" | "pepper" | "peppers" | "keyfile" | "secretkey" | "jwtsecret" | "jwtkey"
        | "signingkey" | "encryptionkey" | "privatekey" | "cookiesecret" | "sessionsecret"
        | "hmackey" | "appkey" | "masterkey" | "enckey" | "mackey" | "aeskey" | "signkey"
        | "certkey" | "sslkey" | "tlskey" | "privkey" => Some(Class::Key),
        "apikey" | "accesskey" | "apisecret" | "appsecret" | "clientsecret" | "authtoken"
        | "consumerkey" | "consumersecret" => Some(Class::Credential),
        "token" => BEFORE_TOKEN.contains(&prior).then_some(Class::Credential),
        // What encrypts a cookie is called so too: `SECRET_COOKIE_PASSWORD`, `sessionPassword`.
        "password" if matches!(prior, "cookie" | "session" | "encryption" | "encryptor") => {
            Some(Class::Key)
        }
        "password" | "passwd" | "pwd" | "pass" => Some(Class::Password),
        _ => None,
    }
}

/// The words of a name, in lower case. Of a dotted path only the last two parts are kept.
pub fn words(name: &str) -> Vec<String> {
    let parts: Vec<_> = name.rsplit(['.', '/', ':']).take(2).collect();
    let mut words = Vec::new();
    for part in parts.into_iter().rev() {
        cut(part, &mut words);
    }
    words
}

fn cut(part: &str, words: &mut Vec<String>) {
    let mut word = String::new();
    let mut letters = part.chars().peekable();
    let mut before = '_';
    while let Some(letter) = letters.next() {
        let follows = letters.peek().copied().unwrap_or('_');
        let starts = letter.is_uppercase()
            && (before.is_lowercase() || before.is_numeric() || follows.is_lowercase());
        if !letter.is_alphanumeric() || starts {
            words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
}

/// A name without case and separators: `jwtSecret` and `JWT_SECRET` are the same one.
pub fn folded(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Parts of dotted names that say where something stands and not what it is.
const PLACES: &[&str] = &[
    "auth",
    "config",
    "data",
    "env",
    "environment",
    "secretkeyref",
    "secrets",
    "settings",
    "spec",
    "stringdata",
    "values",
    "valuefrom",
    "volumes",
];

/// Whether a name says too little to join two files by it.
pub fn is_weak(name: &str) -> bool {
    let (before, last) = name.rsplit_once('.').unwrap_or(("", name));
    let parent = folded(before.rsplit('.').next().unwrap_or_default());
    let says_more = !parent.is_empty() && !PLACES.contains(&parent.as_str());
    !says_more
        && matches!(
            folded(last).as_str(),
            "key"
                | "keys"
                | "secret"
                | "token"
                | "password"
                | "value"
                | "salt"
                | "data"
                | "privatekey"
                | "publickey"
                | "apikey"
                | "clientsecret"
                | "accesstoken"
                | "authtoken"
                | "tokens"
                | "secrets"
        )
}

/// Parts of values that only stand for one.
const STAND_INS: &[&str] = &[
    "change",
    "example",
    "placeholder",
    "replace",
    "your",
    "insert",
    "todo",
    "fixme",
    "dummy",
    "insecure",
    "secret",
    "default",
    "dev",
    "test",
    "xxxx",
    "sample",
    "please",
    "<",
    "...",
    "not-so",
    "super",
    "password",
    "abc123",
    "123456",
    "foobar",
    "keyboard cat",
];

/// Whether a sentence stands where a secret belongs, and asks for one: `insert a random key here`.
pub fn asks_for_value(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let asks = ["insert", "generate", "replace", "change", "fill in", "put your", "at least"];
    asks.iter().any(|word| text.contains(word))
        && ["secret", "key", "random", "token", "string", "this"]
            .iter()
            .any(|word| text.contains(word))
}

/// Whether a value only stands for one, as `changeme` and `<your key>` do. Long random values are
/// none, even if such a word stands in them by chance.
pub fn is_placeholder(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    if value.is_empty() {
        return true;
    }
    let is_long_and_random = value.len() >= 40
        && !value.contains(' ')
        && value.bytes().filter(u8::is_ascii_digit).count() * 8 >= value.len();
    let is_form = [("{", "}"), ("${", "}"), ("$(", ")"), ("%", "%"), ("[", "]")]
        .into_iter()
        .any(|(open, close)| value.starts_with(open) && value.ends_with(close));
    let has_one_letter = value.chars().all(|letter| value.starts_with(letter));
    has_one_letter
        || is_form
        || (!is_long_and_random && STAND_INS.iter().any(|part| value.contains(part)))
}

#[cfg(test)]
mod tests;
