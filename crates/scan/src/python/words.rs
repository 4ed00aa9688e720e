//! What Python's own names tell: which calls hand a value on as it is, which names hold settings,
//! and what is a key where [`crate::names`] leaves it to the place. Names are judged there.

use std::borrow::Cow;

use crate::finding::Class;
use crate::names;

/// Whether a name could be that of a key at all: what is cheap to ask before it is judged.
pub(super) fn may_name_key(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| {
        let parts: &[&str] = match byte.to_ascii_lowercase() {
            b'k' => &["key"],
            b's' => &["secret", "salt", "seed"],
            b't' => &["token"],
            b'p' => &["pass", "pepper", "pwd"],
            b'a' => &["auth"],
            _ => return false,
        };
        parts.iter().any(|part| {
            let here = bytes.get(at..at.saturating_add(part.len()));
            here.is_some_and(|here| here.eq_ignore_ascii_case(part.as_bytes()))
        })
    })
}

/// Whether one of these parts stands in a name, in whatever case.
pub(super) fn has_part(name: &str, parts: &[&str]) -> bool {
    let bytes = name.as_bytes();
    parts.iter().any(|part| {
        bytes.windows(part.len()).any(|here| here.eq_ignore_ascii_case(part.as_bytes()))
    })
}

/// What sort of secret has this name.
pub(super) fn judge(name: &str) -> Option<Class> {
    if !(may_name_key(name) || name.ends_with("_PAT")) || name.len() > 200 {
        return None;
    }
    if is_fixture_name(name) {
        return None;
    }
    names::judge(name)
}

/// Names of functions and types are no keys, nor is what counts or checks one.
fn is_fixture_name(name: &str) -> bool {
    const BEFORE: [&str; 14] = [
        "is_", "has_", "use_", "test_", "num_", "n_", "no_", "require_", "allow_", "enable_",
        "disable_", "with_", "skip_", "should_",
    ];
    let lower = name.to_ascii_lowercase();
    BEFORE.iter().any(|start| lower.starts_with(start))
        || lower.contains(' ')
        || lower.starts_with("__")
}

/// Words before `key` and its like that make a name of something else.
const NOT_BEFORE: [&str; 49] = [
    "continuation",
    "kms",
    "page",
    "http",
    "proxy",
    "querystring",
    "stream",
    "product",
    "basic",
    "oauth",
    "oauth2",
    "primary",
    "foreign",
    "cache",
    "sort",
    "partition",
    "public",
    "pub",
    "site",
    "lookup",
    "idempotency",
    "routing",
    "row",
    "range",
    "group",
    "dict",
    "object",
    "hot",
    "short",
    "index",
    "name",
    "ssh",
    "csrf",
    "redis",
    "bucket",
    "s3",
    "key",
    "id",
    "email",
    "mail",
    "user",
    "display",
    "attribute",
    "custom",
    "map",
    "hash",
    "max",
    "unknown",
    "cookie",
];

/// The same of a name under which something is loaded from outside: there a `…_TOKEN` or `…_KEY`
/// is a standing credential, because nothing else is given to an application so.
pub(super) fn judge_loaded(name: &str) -> Option<Class> {
    if let Some(class) = judge(name) {
        return Some(class);
    }
    match name {
        "SALT" => return Some(Class::Key),
        "TOKEN" | "_TOKEN" => return Some(Class::Credential),
        _ => {}
    }
    if !may_name_key(name) || name.len() > 200 || is_fixture_name(name) {
        return None;
    }
    let is_constant = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    if is_constant && names_a_path(name) && names_a_key_file(name) {
        return Some(Class::Key);
    }
    let words = names::words(name);
    // `SHOP_KEY_VALUE` is what `SHOP_KEY` is; the other things of it have ends of their own.
    let rest = match words.as_slice() {
        [rest @ .., last] if last == "value" => rest,
        all => all,
    };
    let (last, before) = rest.split_last()?;
    let prior = before.last()?.as_str();
    if names::counts_or_switches(&words) {
        return None;
    }
    match last.as_str() {
        "key" | "keys" | "token" | "tokens" | "auth" if !NOT_BEFORE.contains(&prior) => {
            Some(Class::Credential)
        }
        _ => None,
    }
}

/// Whether a name that gives a key speaks of the file in which it stands.
pub(super) fn names_a_path(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["_file", "_path", "_dir", "_filename", "_location"].iter().any(|end| lower.ends_with(end))
        || ["Filename", "keyFile", "KeyFile", "secFile", "SecretFile", "keyPath", "KeyPath"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Whether the name of a path says that a key stands in the file, whatever it is for:
/// `email_key_path`.
pub(super) fn names_a_key_file(name: &str) -> bool {
    let words = names::words(name);
    let [before @ .., key, _] = words.as_slice() else { return false };
    let other = ["cache", "foreign", "host", "index", "primary", "public", "ssh"];
    matches!(key.as_str(), "key" | "sec" | "enckey" | "privkey" | "pem")
        && !before.iter().any(|word| other.contains(&word.as_str()))
}

/// Whether the name of a path says that a private key is in the file, beside other things.
pub(super) fn names_a_private_file(name: &str) -> bool {
    let name = names::folded(name);
    name.contains("privkey") || name.contains("privatekey")
}

/// Methods that give their receiver again, in another form.
pub(super) fn passes_receiver(name: &str) -> bool {
    matches!(
        name,
        "encode"
            | "decode"
            | "strip"
            | "rstrip"
            | "lstrip"
            | "get_secret_value"
            | "reveal"
            | "replace"
            | "split"
            | "splitlines"
            | "read"
            | "readline"
            | "hex"
            | "format"
            | "ljust"
            | "rjust"
            | "zfill"
            | "upper"
            | "lower"
            | "digest"
            | "hexdigest"
            | "to_bytes"
            | "get_value"
            | "copy"
            | "pop"
            | "expanduser"
            | "resolve"
            | "unwrap"
            | "secret_bytes"
    )
}

/// Calls that give their first argument again, in another form.
pub(super) fn passes_argument(name: &str) -> bool {
    matches!(
        name,
        "bytes"
            | "bytearray"
            | "str"
            | "repr"
            | "list"
            | "tuple"
            | "set"
            | "next"
            | "iter"
            | "reversed"
            | "cast"
            | "SecretStr"
            | "SecretBytes"
            | "Secret"
            | "CommaSeparatedStrings"
            | "b64decode"
            | "b64encode"
            | "urlsafe_b64decode"
            | "urlsafe_b64encode"
            | "standard_b64decode"
            | "b32decode"
            | "b16decode"
            | "unhexlify"
            | "hexlify"
            | "fromhex"
            | "a2b_hex"
            | "force_bytes"
            | "force_str"
            | "force_text"
            | "smart_str"
            | "smart_bytes"
            | "smart_text"
            | "to_bytes"
            | "want_bytes"
            | "ensure_bytes"
            | "ensure_binary"
            | "ensure_str"
            | "empty_str_cast"
            | "dedent"
            | "loads"
            | "sha256"
            | "sha512"
            | "sha384"
            | "sha1"
            | "md5"
            | "blake2b"
            | "blake2s"
            | "load_pem_private_key"
            | "load_der_private_key"
            | "load_pem_public_key"
            | "load_ssh_private_key"
            | "import_key"
            | "importKey"
            | "from_pem"
            | "from_json"
            | "mark_safe"
            | "from_string"
            | "SecretKey"
            | "SymmetricKey"
            | "StringIO"
            | "BytesIO"
            | "enumerate"
            | "zip"
            | "filter"
            | "sorted"
    )
}

/// Whether a name within a named part of a structure is that of a secret: one that nothing else
/// has.
pub(super) fn is_secret(name: &str) -> bool {
    matches!(
        name,
        "secret"
            | "secret_key"
            | "signing_key"
            | "signing_secret"
            | "webhook_secret"
            | "private_key"
            | "jwt_secret"
            | "encryption_key"
    )
}

/// Whether a name is one under which applications hold their settings.
pub(super) fn holds_settings(name: &str) -> bool {
    let lower = name.trim_start_matches('_').to_ascii_lowercase();
    matches!(lower.as_str(), "conf" | "cfg" | "env" | "options" | "opts" | "secrets" | "constants")
        || lower.ends_with("settings")
        || lower.ends_with("config")
        || lower.ends_with("_conf")
        || lower.ends_with("_cfg")
        || lower.ends_with("config_file")
        || lower.starts_with("config_")
        || lower.starts_with("settings_")
}

/// The same of a name under which what settings are without more is assigned.
pub(super) fn holds_defaults(name: &str) -> bool {
    matches!(name, "default" | "defaults" | "DEFAULT" | "DEFAULTS") || holds_settings(name)
}

/// The setting of which a name speaks: of `get_secret_key` it is `secret_key`.
pub(super) fn of_getter(name: &str) -> &str {
    let name = name.trim_start_matches('_');
    ["get_", "load_", "read_", "fetch_", "require_", "find_", "determine_", "resolve_", "make_"]
        .iter()
        .find_map(|start| name.strip_prefix(start))
        .unwrap_or(name)
}

/// Whether an unknown function with this name could give a setting by its name.
pub(super) fn may_load(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let verb = ["get", "load", "read", "fetch", "env", "require", "must"];
    let noun = ["secret", "env", "config", "setting", "credential", "param", "var"];
    (verb.iter().any(|word| lower.contains(word)) && noun.iter().any(|word| lower.contains(word)))
        || matches!(
            lower.as_str(),
            "env" | "config" | "secret" | "environ" | "getenv" | "envsecret"
        )
}

/// What is a key file by its path.
pub(super) fn judge_path(path: &str) -> Option<Class> {
    let path = path.trim();
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let lower = file.to_ascii_lowercase();
    let stem = lower.trim_start_matches('.');
    let end = lower.rsplit('.').next().unwrap_or_default();
    if end == "pub" || (stem.contains("public") && end == "pem") {
        return Some(Class::Public);
    }
    let is_text = [".md", ".txt", ".html", ".py", ".rst", ".crt", ".cer", ".cert", ".j2", ".csv"];
    let is_certificate = lower.contains("cert") || lower.contains("chain") || lower.contains("ca.");
    if path.starts_with("/run/secrets/") && !lower.is_empty() {
        return judge_loaded(file).or(Some(Class::Key)).filter(|class| *class != Class::Password);
    }
    if is_text.iter().any(|end| lower.ends_with(end) && *end != ".txt") || is_certificate {
        return None;
    }
    let has_key_end = [".pem", ".key", ".p8", ".p12", ".pfx", ".jwk", ".der"];
    if has_key_end.iter().any(|end| lower.ends_with(end)) || stem.starts_with("id_rsa") {
        return Some(Class::Key);
    }
    let base = stem.rsplit_once('.').map_or(stem, |(base, _)| base);
    judge(base).filter(|class| *class != Class::Password)
}

/// Whether a literal under the name of a key could be its value. Names of settings and headers,
/// addresses, help texts and templates are none.
pub(super) fn may_be_value(value: &str, name: &str) -> bool {
    let text = value.trim();
    if text.is_empty() || text.len() > 20_000 || names_a_path(name) {
        return false;
    }
    if text.starts_with("-----BEGIN") {
        return !text.contains("PUBLIC KEY") && !text.contains("CERTIFICATE");
    }
    let lower = text.to_ascii_lowercase();
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let is_constant = text.contains('_')
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || b"_0123456789".contains(&byte))
        && may_name_key(text)
        && !["NOT_SET", "CHANGE", "REPLACE", "INSECURE", "UNSAFE"]
            .iter()
            .any(|one| text.contains(one));
    let is_header = is_word && lower.starts_with("x-");
    // `SECRET_KEY = "secret-key"` is one; names of slots have no hyphens.
    let is_hyphened = text.contains('-') && names::judge(name) == Some(Class::Key);
    let is_same = is_word && !is_hyphened && !is_weak(name) && same_name(text, name);
    let is_slot =
        is_slot_name(text, name) || is_name_of_slot(text, name) || is_constant_of_name(text, name);
    // `"shop:orders:rebuild"`: words with colons between them are a name.
    let is_spaced = text.matches(':').count() > 1
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || b":_-".contains(&byte));
    let is_address = ["http://", "https://", "arn:", "projects/", "ssm:", "vault:"];
    let is_type = ["str", "string", "password", "text", "none", "null", "true", "false", "bearer"];
    // A project that is made of a template has what is filled in there.
    let is_filled_in = text.starts_with("{{") && text.contains("cookiecutter.");
    let is_template = (text.contains("{{") && !is_filled_in)
        || text.contains("${")
        || text.contains("%(")
        || (text.starts_with('{') && text.ends_with('}') && !is_filled_in)
        || text.starts_with("%s");
    let is_file = is_word
        && [".pem", ".key", ".txt", ".json"].iter().any(|end| lower.ends_with(end))
        || text.starts_with("/run/")
        || text.starts_with("/etc/")
        || text.starts_with("./");
    // `shop.backends.tokens.TokenLogin` is the path of a class.
    let is_class_path = is_word
        && text.bytes().filter(|byte| *byte == b'.').count() > 1
        && text.split('.').all(|part| part.starts_with(|letter: char| letter.is_alphabetic()))
        && !text.bytes().any(|byte| byte.is_ascii_digit() || byte == b'-');
    // `"Map API Key"` beside a load says to people what it is.
    let is_label = text.contains(' ')
        && text.starts_with(|letter: char| letter.is_uppercase())
        && !text.bytes().any(|byte| byte.is_ascii_digit())
        && names::judge(text).is_some();
    // `insert your long random secret here` stands where a key belongs.
    let is_shouted = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    let is_asked = is_shouted && names::asks_for_value(text);
    let is_prose =
        is_label || text.split_whitespace().count() > 5 && !text.contains('\n') && !is_asked;
    let is_dotted =
        is_word && text.contains('.') && may_name_key(text) && names::judge(text).is_some();
    !(is_constant
        || is_header
        || is_same
        || is_slot
        || is_dotted
        || is_spaced
        || is_class_path
        || is_address.iter().any(|start| lower.starts_with(start))
        || is_type.contains(&lower.as_str())
        || is_template
        || is_file
        || is_prose)
}

/// The same of what is taken where a setting is absent: no name of another setting stands there,
/// so one in capitals is a value too, and so is the setting's own in small letters.
pub(super) fn may_be_fallback(value: &str, name: &str) -> bool {
    let is_shouted = !value.bytes().any(|byte| byte.is_ascii_lowercase()) && value.contains('_');
    let is_own = value != name && value.eq_ignore_ascii_case(name);
    may_be_value(value, name)
        || is_own
        || (is_shouted
            && !same_name(value, name)
            && judge(value).is_none()
            && may_be_value(&value.to_lowercase(), name))
}

/// Whether a constant that is named as a name of something says again a part of that name:
/// `HEADER_API_KEY = "KEY"`, `CONFIG_API_KEY_RED = "api_key_red"`.
fn is_constant_of_name(text: &str, name: &str) -> bool {
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if !is_word || name.bytes().any(|byte| byte.is_ascii_lowercase()) {
        return false;
    }
    let words = names::words(name);
    let says = ["arg", "attr", "conf", "config", "field", "header", "option", "param", "setting"];
    words.first().is_some_and(|first| says.contains(&first.as_str()))
        && words.ends_with(&names::words(text))
}

/// Whether a text names the place where something is stored, as that of `SESSION_KEY` does.
pub(super) fn is_slot_name(text: &str, name: &str) -> bool {
    let words = names::words(name);
    let [.., before, last] = words.as_slice() else { return false };
    let slots = ["session", "csrf", "cookie", "token", "tokens", "auth", "data", "server", "user"];
    let is_slot = last == "key" && slots.contains(&before.as_str());
    let is_plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || b"_-".contains(&byte))
        || is_of_words(text);
    // `SESSION_KEY = "Shop.session"`: words with points or colons between them.
    let is_path = text.contains(['.', ':', '/'])
        && text.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-.:/".contains(&byte));
    let stands_in = ["change", "secret", "your", "dev", "test", "example"];
    is_slot && (is_plain || is_path) && !stands_in.iter().any(|part| text.contains(part))
}

/// Whether a constant holds several keys by their numbers or dates.
pub(super) fn names_several(name: &str) -> bool {
    (name.ends_with("SECRETS") || name.ends_with("KEYS")) && judge(name).is_some()
}

/// Whether a text is of words with a digit at most at their ends: `shop_oauth2_state`.
fn is_of_words(text: &str) -> bool {
    let is_word = |part: &str| {
        let bare = part.strip_suffix(|letter: char| letter.is_ascii_digit()).unwrap_or(part);
        bare.len() > 2 && bare.bytes().all(|byte| byte.is_ascii_lowercase())
    };
    text.contains(['_', '-']) && text.split(['_', '-']).all(is_word)
}

/// Whether a text says again, word by word, what its name says before `key`, as that of
/// `_login_secret_key` does with `_login_secret`.
fn is_name_of_slot(text: &str, name: &str) -> bool {
    let words = names::words(name);
    let Some((last, before)) = words.split_last() else { return false };
    last == "key"
        && before.len() > 1
        && text.contains('_')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && before.ends_with(&names::words(text))
}

fn is_weak(name: &str) -> bool {
    matches!(names::folded(name).as_str(), "secret" | "password" | "passphrase")
}

fn same_name(text: &str, name: &str) -> bool {
    let text = names::folded(text);
    let name = names::folded(name);
    text.len() > 3
        && (name == text
            || (text.len() > 8
                && name.ends_with(&text)
                && text.contains("key")
                && !text.starts_with("api")))
}

/// Shortens what stands in a sentence of a report.
pub(super) fn short(name: &str) -> Cow<'_, str> {
    if name.len() <= 80 {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().take(77).chain("...".chars()).collect())
}
