//! Shapes of calls: what a function that no rule knows does with a key, as far as its name and
//! those of its arguments tell. Readers ask here after their rules, and only about calls.

use std::sync::LazyLock;

use crate::finding::{Class, Does};
use crate::names;
use crate::spot::Spotter;

/// What a call does by its name.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked on its own")]
pub(crate) struct Shape {
    /// What is done with the key.
    pub(crate) does: Does,
    /// Whether the call makes an object that keeps the key.
    pub(crate) makes: bool,
    /// Whether a `key` of no further name among the arguments is a key: what encrypts has no
    /// other keys.
    pub(crate) weak: bool,
    /// Whether the only argument is what is worked on: `encrypt(secret)`.
    pub(crate) worked_on: bool,
    /// Whether it is about tokens of whatever sort, which have secrets of their own.
    pub(crate) of_tokens: bool,
}

impl Shape {
    /// That of an object of which nothing is known but that it is made with a key.
    pub(crate) const fn of_keeper() -> Self {
        Self {
            does: Does::SignsAndVerifies,
            makes: true,
            weak: false,
            worked_on: false,
            of_tokens: false,
        }
    }

    const fn encrypts(self) -> bool {
        matches!(self.does, Does::Encrypts | Does::Decrypts | Does::EncryptsAndDecrypts)
    }
}

/// What makes a token or a signature.
const MAKES: &[&str] =
    &["create", "make", "generate", "gen", "encode", "issue", "build", "fetch", "mint", "compute"];

/// What checks one.
const CHECKS: &[&str] =
    &["decode", "verify", "parse", "check", "validate", "read", "compare", "verified", "unpack"];

/// First words of functions, which no class has: `DecryptStringWithKey`, exported by a package.
const VERBS: &[&str] = &[
    "build",
    "calc",
    "calculate",
    "compute",
    "create",
    "decrypt",
    "derive",
    "encrypt",
    "generate",
    "get",
    "make",
    "parse",
    "seal",
    "sign",
    "unseal",
    "validate",
    "verify",
];

/// Last words of functions and classes that work with a key which they are given.
const MAKERS: &[&str] = &[
    "signer",
    "verifier",
    "cipher",
    "encryptor",
    "encrypter",
    "decryptor",
    "decrypter",
    "cryptor",
    "crypter",
    "crypto",
    "encryption",
    "fernet",
    "hkdf",
    "keyspec",
];

/// Last words of classes that do so if a word before says what they are for.
const HOLDERS: &[&str] = &[
    "manager",
    "service",
    "handler",
    "provider",
    "store",
    "helper",
    "util",
    "utils",
    "backend",
    "engine",
    "codec",
    "middleware",
    "strategy",
    "authenticator",
    "serializer",
    "gcm",
    "cbc",
    "ecb",
    "sm2",
    "sm4",
    "factory",
    "generator",
    "parser",
    "validator",
];

/// Last words of types of columns that do so if a word before says that they encrypt.
const COLUMNS: &[&str] =
    &["binary", "bytes", "char", "column", "field", "json", "string", "text", "type"];

/// Words that say what a class is for.
const PURPOSES: &[&str] = &[
    "jwt",
    "jws",
    "jwe",
    "crypto",
    "crypt",
    "cipher",
    "encryption",
    "encrypted",
    "signing",
    "signed",
    "signature",
    "hmac",
    "aes",
    "fernet",
    "secure",
    "timed",
];

/// Words that make of a function something that has no key: a form for people, an error.
const OTHERS: &[&str] = &[
    "assert",
    "cookie",
    "credential",
    "delete",
    "describe",
    "email",
    "error",
    "exception",
    "exists",
    "form",
    "has",
    "in",
    "is",
    "it",
    "list",
    "log",
    "mock",
    "off",
    "out",
    "print",
    "remove",
    "retire",
    "revoke",
    "save",
    "schema",
    "signup",
    "test",
    "up",
    "update",
    "warn",
];

/// Last words of functions that check what somebody hands in, with no key of ours.
const CHECKED: &[&str] = &["code", "key", "keys", "otp", "password", "pin", "secret", "totp"];

/// The shape of a call of this function, on this receiver.
pub(crate) fn of_call(function: &str, receiver: Option<&str>) -> Option<Shape> {
    if !says(function) && !receiver.is_some_and(says) {
        return None;
    }
    let words = names::words(function);
    let last = words.last()?.as_str();
    // A cookie of whatever sort is none of these, but one that is signed.
    let is_signed = words.iter().any(|word| word.starts_with("sign"));
    let is_other =
        |word: &String| OTHERS.contains(&word.as_str()) && !(word == "cookie" && is_signed);
    if function.len() > 80 || words.iter().any(is_other) {
        return None;
    }
    if let Some(shape) = of_maker(&words, last) {
        return Some(shape);
    }
    let is_verb = words.first().is_some_and(|first| VERBS.contains(&first.as_str()));
    if function.starts_with(char::is_uppercase) && words.len() > 2 && !is_verb {
        // A class that only has to do with it.
        return of_function(&words, receiver).filter(|shape| !shape.weak);
    }
    of_function(&words, receiver)
}

fn of_maker(words: &[String], last: &str) -> Option<Shape> {
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let is_column = COLUMNS.contains(&last) && has(&["encrypted", "pgp"]);
    let is_holder = is_column || HOLDERS.contains(&last) && has(PURPOSES);
    // What reads and writes tokens, and not what splits a text into them.
    let is_coder = matches!(last, "encoder" | "decoder" | "issuer" | "minter")
        && has(&["token", "tokens", "jwt"]);
    let is_spec = words.ends_with(&["key".to_owned(), "spec".to_owned()]) && !has(&["encoded"]);
    if !(MAKERS.contains(&last) || is_holder || is_coder || is_spec) {
        return None;
    }
    let signs = ["signer", "verifier", "serializer", "jwt", "jws", "signing", "signed", "hmac"];
    let does = match () {
        () if is_coder || has(&signs) => Does::SignsAndVerifies,
        () if last == "hkdf" => Does::Derives,
        () => Does::EncryptsAndDecrypts,
    };
    Some(Shape {
        does,
        makes: true,
        weak: !(is_coder || is_holder && has(&["serializer"])),
        worked_on: false,
        of_tokens: false,
    })
}

fn of_function(words: &[String], receiver: Option<&str>) -> Option<Shape> {
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let on = receiver.map(names::words).unwrap_or_default();
    let on_has = |list: &[&str]| on.iter().any(|word| list.contains(&word.as_str()));
    let is_jwt = |word: &String| ["jwt", "jws", "jwe"].iter().any(|start| word.starts_with(start));
    let of_jwt = words.iter().chain(&on).any(is_jwt);
    // What has a key of its own is given only what it works on.
    let has_own = on.last().is_some_and(|word| {
        word.ends_with("key")
            || matches!(word.as_str(), "cipher" | "fernet" | "aead" | "box" | "aesgcm" | "gcm")
    });
    let of_tokens = !of_jwt && has(&["token"]);
    let shape =
        |does, weak, worked_on| Some(Shape { does, makes: false, weak, worked_on, of_tokens });
    let sets = words.ends_with(&["set".to_owned(), "key".to_owned()]);
    match () {
        () if sets && on_has(&["cipher", "encryptor", "decryptor", "crypto", "aes", "signer"]) => {
            shape(Does::EncryptsAndDecrypts, true, false)
        }
        () if sets || has_own => None,
        // What checks the passwords of people has salts of its own.
        () if on_has(&["password"]) => None,
        () if has(&["hmac"]) => shape(Does::Signs, true, false),
        // What tells keys apart by their hashes has a key of its own for it.
        () if has(&["hash"]) && has(&["encryption", "signing", "secret"]) && has(&["key"]) => {
            shape(Does::Derives, true, false)
        }
        () if has(&["encrypt", "encipher", "seal", "encrypted"]) => {
            shape(Does::Encrypts, true, true)
        }
        () if has(&["decrypt", "decipher", "unseal", "decrypted"]) => {
            shape(Does::Decrypts, true, true)
        }
        () if has(&["cipher"]) => shape(Does::EncryptsAndDecrypts, true, true),
        () if of_jwt && has(CHECKS) => shape(Does::Verifies, true, false),
        () if of_jwt && (has(MAKES) || has(&["sign"])) => shape(Does::Signs, true, false),
        // `verifyKey($key)` asks whether somebody's key is right.
        () if has(&["verify", "verified", "check", "validate"])
            && words.last().is_some_and(|word| CHECKED.contains(&word.as_str())) =>
        {
            None
        }
        () if has(&["verify", "verified"]) || has(&["signature"]) && has(CHECKS) => {
            shape(Does::Verifies, false, true)
        }
        // `encryption.Validate(cookie, secret)`: a module that says what it is for.
        () if on_has(&["encryption", "signing", "signature", "hmac"]) && has(CHECKS) => {
            shape(Does::Verifies, false, true)
        }
        () if words.len() > 1 && words.last().is_some_and(|last| last == "signature") => {
            shape(Does::Signs, true, true)
        }
        () if has(&["sign", "signed", "unsign"]) || has(&["signature", "mac"]) && has(MAKES) => {
            shape(Does::Signs, has(&["signature"]), true)
        }
        () if has(&["token"]) && has(MAKES) => shape(Does::Signs, false, false),
        () if has(&["token"]) && has(CHECKS) => shape(Does::Verifies, false, false),
        () if on_has(&["subtle"])
            && words.starts_with(&["import".to_owned(), "key".to_owned()]) =>
        {
            shape(Does::EncryptsAndDecrypts, true, false)
        }
        () if has(&["derive", "hkdf", "pbkdf2", "scrypt", "kdf"]) => {
            shape(Does::Derives, !has(&["derive"]) || has(&["key", "secret"]), false)
        }
        () => None,
    }
}

/// Parts of the names of all that has a shape.
static SAYS: LazyLock<Spotter> = LazyLock::new(|| {
    Spotter::new([
        "sign", "seal", "scrypt", "subtle", "verif", "crypt", "cipher", "hmac", "hkdf", "jwt",
        "jws", "jwe", "token", "deriv", "kdf", "keyspec", "key_spec", "pbkdf2", "fernet", "aes",
        "mac", "pgp",
    ])
});

/// Whether a name could have a shape at all: what is cheap to ask of every call.
pub(crate) fn says(name: &str) -> bool {
    SAYS.is_in(name.as_bytes())
}

/// Whether what a class of this name makes could keep a key to use it: no description of settings,
/// no row, and no client of somebody's service.
pub(crate) fn may_keep_key(class: &str) -> bool {
    let words = names::words(class);
    let others = [
        "api",
        "args",
        "bot",
        "client",
        "command",
        "conf",
        "config",
        "configuration",
        "container",
        "context",
        "credential",
        "credentials",
        "dict",
        "dto",
        "entity",
        "env",
        "error",
        "exception",
        "field",
        "form",
        "gateway",
        "info",
        "input",
        "item",
        "key",
        "logger",
        "mailer",
        "model",
        "oauth2",
        "option",
        "options",
        "output",
        "params",
        "password",
        "path",
        "payload",
        "pusher",
        "request",
        "response",
        "result",
        "s3",
        "schema",
        "sdk",
        "secret",
        "session",
        "setting",
        "settings",
        "storage",
        "str",
        "string",
        "template",
        "text",
        "type",
        "url",
        "user",
        "value",
        "var",
        "variable",
        "warning",
    ];
    !words.is_empty() && !words.iter().any(|word| others.contains(&word.as_str()))
}

/// Whether a function of this name could use a key that it is given by its name: it is none that
/// only writes down what it is given.
pub(crate) fn may_take_key(function: &str) -> bool {
    let words = names::words(function);
    let writes = [
        "assert",
        "config",
        "configuration",
        "configure",
        "copy",
        "create",
        "credential",
        "credentials",
        "dict",
        "error",
        "exception",
        "filter",
        "form",
        "format",
        "get",
        "info",
        "insert",
        "log",
        "model",
        "namespace",
        "namedtuple",
        "option",
        "options",
        "override",
        "patch",
        "print",
        "replace",
        "response",
        "result",
        "save",
        "set",
        "setdefault",
        "settings",
        "update",
        "warn",
        "with",
        "write",
        "client",
        "s3",
        "session",
        "template",
        "user",
    ];
    !words.is_empty() && !words.iter().any(|word| writes.contains(&word.as_str()))
}

/// Whether an argument of this name is a key that what takes it uses for itself.
pub(crate) fn is_taken(argument: &str) -> bool {
    let words = names::words(argument);
    let services = ["access", "aws", "s3", "ssh", "storage_key", "ssl", "tls", "stripe", "file"];
    let last = words.last().map(String::as_str);
    matches!(last, Some("secret" | "secrets" | "key" | "keys" | "salt" | "pepper"))
        && !words.iter().any(|word| services.contains(&word.as_str()))
}

/// Whether a key has the name of one that the application has for itself, and not for a service
/// of others.
pub(crate) fn is_of_application(name: &str) -> bool {
    let words = names::words(name);
    let own = [
        "aes",
        "app",
        "camo",
        "cipher",
        "cookie",
        "crypt",
        "crypto",
        "csrf",
        "encryption",
        "fernet",
        "hmac",
        "jwe",
        "jws",
        "jwt",
        "pepper",
        "salt",
        "session",
        "sign",
        "signature",
        "signing",
        "symmetric",
    ];
    words.iter().any(|word| own.contains(&word.as_str()))
        || words.ends_with(&["token".to_owned(), "secret".to_owned()])
            && !words.iter().any(|word| word.starts_with("oauth"))
        || matches!(
            names::folded(name).as_str(),
            "secretkey"
                | "secretkeybase"
                | "masterkey"
                | "authsecret"
                | "nextauthsecret"
                | "betterauthsecret"
        )
}

/// Whether a function by its name makes a hash of what it is given.
pub(crate) fn hashes(function: &str) -> bool {
    let starts = |start: &&str| {
        let head = function.as_bytes().get(..start.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
    };
    ["md5", "sha1", "sha2", "sha3", "sha5", "hash", "digest"].iter().any(starts)
        || ["update", "write"].iter().any(|name| function.eq_ignore_ascii_case(name))
}

/// Whether an argument stands beside a key, and is neither one nor what is worked on.
pub(crate) fn stands_beside(name: &str) -> bool {
    let words = names::words(name);
    words.last().is_some_and(|last| {
        matches!(last.as_str(), "iv" | "nonce" | "aad" | "tag" | "algorithm" | "mode" | "padding")
    })
}

/// Whether a name is that of an object which has a key already.
pub(crate) fn has_key(name: &str) -> bool {
    let words = names::words(name);
    words.last().is_some_and(|last| {
        MAKERS.contains(&last.as_str()) || matches!(last.as_str(), "serializer" | "aead" | "box")
    })
}

/// Whether a name is that of the secret of one-time passwords, which is its user's.
pub(crate) fn is_of_one_time(name: &str) -> bool {
    let words = names::words(name);
    let is_one = |word: &String| {
        matches!(word.as_str(), "otp" | "totp" | "hotp" | "mfa" | "u2f" | "2fa" | "twofa")
    };
    words.iter().any(is_one) || names::folded(name).contains("twofactor")
}

/// What an argument of such a call is by its name, if it is its key.
pub(crate) fn key_of(shape: Shape, name: &str) -> Option<Class> {
    if name.len() > 120 {
        return None;
    }
    let words = names::words(name);
    let (last, before) = words.split_last()?;
    if is_of_one_time(name) {
        return None;
    }
    let ends_with_key = last.ends_with("key") || last == "keys";
    // What a signature is made with may be called its seed.
    let signs = matches!(shape.does, Does::Signs | Does::Verifies);
    if signs && !shape.of_tokens && name == "seed" {
        return Some(Class::Key);
    }
    match names::judge(name) {
        Some(Class::Key) if shape.encrypts() => {
            // `Encryptor(secret)`: a secret may be what is encrypted.
            let is_long = !before.is_empty() && !shape.worked_on && last == "secret";
            let is_one = is_long
                || ends_with_key
                || matches!(last.as_str(), "passphrase" | "pepper" | "keyring" | "salt" | "pem");
            return is_one.then_some(Class::Key);
        }
        Some(Class::Key) if before.is_empty() && last == "secret" && shape.of_tokens => {
            return None;
        }
        Some(Class::Key) => return Some(Class::Key),
        Some(Class::Public) => {
            let is_one = matches!(
                shape.does,
                Does::Verifies
                    | Does::Encrypts
                    | Does::EncryptsAndDecrypts
                    | Does::SignsAndVerifies
            );
            return (is_one && ends_with_key).then_some(Class::Public);
        }
        Some(Class::Credential) => {
            let signs = matches!(shape.does, Does::Signs | Does::Verifies | Does::SignsAndVerifies);
            return (last == "secret" && signs).then_some(Class::Credential);
        }
        Some(Class::Password) => return None,
        None => {}
    }
    let other = [
        "cache", "config", "db", "dict", "file", "foreign", "index", "kwargs", "lookup", "object",
        "primary", "public", "setting", "sort", "storage", "field", "column", "row", "user",
        "header", "cookie", "param", "query", "s3", "path",
    ];
    let is_other = before.iter().any(|word| other.contains(&word.as_str()));
    (shape.weak && ends_weakly(last, before) && !is_other).then_some(Class::Key)
}

/// Whether a name could be that of a key where one is used.
pub(crate) fn is_weak(name: &str) -> bool {
    let words = names::words(name);
    words.split_last().is_some_and(|(last, before)| ends_weakly(last, before))
}

fn ends_weakly(last: &str, before: &[String]) -> bool {
    matches!(last, "key" | "keys" | "kek" | "dek")
        || (last.len() == 4 && last.ends_with("key"))
        || (matches!(last, "material" | "bytes" | "buffer" | "spec")
            && before.last().is_some_and(|word| word == "key"))
}

/// Whether a call by its name asks settings for one of them, which an argument names.
pub(crate) fn asks_settings(function: &str, receiver: Option<&str>) -> bool {
    if function.len() > 60 || !may_ask(function) && !receiver.is_some_and(may_ask) {
        return false;
    }
    let words = names::words(function);
    let Some(first) = words.first().map(String::as_str) else { return false };
    let changes = [
        "set", "has", "is", "delete", "remove", "save", "update", "write", "put", "add", "create",
        "del", "unset", "check", "validate", "override", "patch", "store", "test", "mock", "log",
        "assert", "warn", "stub", "with", "list", "raise", "reset", "clear", "contains",
        "register",
    ];
    let asks = [
        "get", "read", "consume", "load", "fetch", "require", "must", "lookup", "find", "resolve",
        "env", "array", "default", "item", "list", "optional", "required", "secret", "str",
        "string", "value",
    ];
    if changes.contains(&first) || first.ends_with("error") {
        return false;
    }
    let holds = |words: &[String]| words.iter().any(|word| SETTINGS.contains(&word.as_str()));
    let is_settings = words.last().is_some_and(|last| SETTINGS.contains(&last.as_str()));
    // `configService.get(…)`, `settingStore.get(…)`
    let keeps = ["helper", "loader", "manager", "provider", "repository", "service", "store"];
    let of_receiver = || {
        let on = receiver.map(names::words).unwrap_or_default();
        let last = on.last().map_or("", String::as_str);
        SETTINGS.contains(&last) || keeps.contains(&last) && holds(&on)
    };
    // `ServerConfigGet(…)`
    let ends = words.last().is_some_and(|last| matches!(last.as_str(), "get" | "lookup"));
    (holds(&words) && (asks.contains(&first) || is_settings || ends))
        || (asks.contains(&first) && of_receiver())
}

/// Whether a name is that of an object of settings.
pub(crate) fn holds_settings(name: &str) -> bool {
    may_ask(name) && names::words(name).last().is_some_and(|last| SETTINGS.contains(&last.as_str()))
}

/// Words of what holds settings.
const SETTINGS: &[&str] = &[
    "conf",
    "config",
    "configuration",
    "configure",
    "env",
    "environ",
    "environment",
    "properties",
    "property",
    "setting",
    "settings",
];

fn may_ask(name: &str) -> bool {
    name.as_bytes().windows(3).any(|part| {
        ["con", "env", "set", "pro"].iter().any(|start| part.eq_ignore_ascii_case(start.as_bytes()))
    }) && {
        let lower = name.to_ascii_lowercase();
        ["conf", "env", "setting", "propert"].iter().any(|part| lower.contains(part))
    }
}

/// What is loaded under this name from such settings.
pub(crate) fn asked_for(name: &str) -> Option<Class> {
    // `HTTP_ACME_TOKEN` is a header of a request.
    let is_name = name.len() < 100
        && !name.starts_with("HTTP_")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte));
    let class = names::judge(name).filter(|_| is_name)?;
    (!matches!(class, Class::Password | Class::Public)).then_some(class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(function: &str, receiver: Option<&str>, argument: &str) -> Option<Class> {
        key_of(of_call(function, receiver)?, argument)
    }

    #[test]
    fn calls_that_use_a_key_by_their_names() {
        for (function, receiver, argument) in [
            ("aes_cbc_encrypt", None, "bkey"),
            ("fetchJwtToken", None, "privateKey"),
            ("decode", Some("jwtutil"), "signing_key"),
            ("AESCryptoGCM", None, "key"),
            ("CryptSM2", None, "private_key"),
            ("url_signer", None, "security_key"),
            ("set_key", Some("sm4_encryptor"), "key"),
            ("HKDF", None, "key_material"),
            ("verify_signature", None, "webhook_secret"),
            ("SecretKeySpec", None, "keyBytes"),
            ("ComputeHMAC", None, "key"),
            ("create_client_jwt", None, "client_secret"),
        ] {
            assert!(class(function, receiver, argument).is_some(), "{function} {argument}");
        }
        assert_eq!(class("decode", Some("jwtutil"), "public_key"), Some(Class::Public));
    }

    #[test]
    fn calls_that_ask_settings() {
        for (function, receiver) in [
            ("get_app_config_value", None),
            ("getSetting", None),
            ("getString", Some("config")),
            ("config", None),
            ("requireEnv", None),
        ] {
            assert!(asks_settings(function, receiver), "{function}");
        }
        for (function, receiver) in [
            ("set_config", None),
            ("getString", Some("json")),
            ("get", Some("request")),
            ("has_setting", None),
            ("save", Some("settings")),
            ("ConfigError", None),
        ] {
            assert!(!asks_settings(function, receiver), "{function}");
        }
    }

    #[test]
    fn calls_that_use_none() {
        for (function, receiver, argument) in [
            ("encrypt", None, "secret"),
            ("decrypt", None, "client_secret"),
            ("encrypt", None, "key_id"),
            ("create_token", None, "key"),
            ("create", Some("Token"), "key"),
            ("verify_api_key", None, "api_key"),
            ("sign_in", None, "secret_key"),
            ("set_signed_cookie", None, "key"),
            ("set_key", Some("cache"), "key"),
            ("get", Some("jwt"), "signing_key"),
            ("encrypt", None, "cache_key"),
            ("EncryptionError", None, "key"),
            ("sign", None, "key"),
            ("Encryptor", None, "secret"),
            ("verifyKey", None, "mfa_secret"),
            ("X509EncodedKeySpec", None, "publicKey"),
            ("verify_token", None, "secret"),
            ("derive_dependencies", None, "key"),
            ("encrypt", Some("_key"), "data_key"),
        ] {
            assert!(class(function, receiver, argument).is_none(), "{function} {argument}");
        }
    }
}
