//! What names say of files of keys, and of variables that have one.

use crate::finding::Class;

use super::super::reader::judge;

/// The key that a function reads from a file, by its name: `LoadPrivateKeyFromFile`.
pub(in super::super) fn key_that_is_read(name: &str) -> Option<Class> {
    let reads = ["load", "read", "Load", "Read"].iter().any(|verb| name.starts_with(verb));
    if !reads || name.len() > 80 {
        return None;
    }
    let words = crate::names::words(name);
    let of_file = |word: &str| matches!(word, "file" | "pem" | "path" | "disk");
    if words.len() < 4 || !words.last().is_some_and(|last| of_file(last)) {
        return None;
    }
    let bare: Vec<&str> = words
        .iter()
        .skip(1)
        .map(String::as_str)
        .filter(|word| !of_file(word) && !matches!(*word, "from" | "by" | "rsa" | "ec"))
        .collect();
    judge(&bare.join("_")).filter(|class| *class == Class::Key)
}

/// `SUPABASE_SERVICE_ROLE_KEY`: what the environment calls the key of something is one, unless it
/// names a place in a store or is shown to everybody.
pub(super) fn is_key_of_service(name: &str) -> bool {
    let is_constant = !name.bytes().any(|byte| byte.is_ascii_lowercase());
    if name == "SALT" {
        return true;
    }
    let words = crate::names::words(name);
    if crate::names::counts_or_switches(&words) {
        return false;
    }
    let mut parts = words.iter().rev();
    is_constant
        && words.len() > 1
        && parts.next().is_some_and(|last| last == "key")
        && !parts.any(|part| NO_KEYS.contains(&part.as_str()))
}

/// Words before `KEY` that make it no secret.
const NO_KEYS: &[&str] = &[
    "anon",
    "bucket",
    "cache",
    "claim",
    "config",
    "event",
    "feature",
    "field",
    "file",
    "flag",
    "foreign",
    "group",
    "header",
    "hot",
    "index",
    "lock",
    "lookup",
    "map",
    "object",
    "order",
    "partition",
    "prefix",
    "primary",
    "public",
    "publishable",
    "queue",
    "redis",
    "routing",
    "row",
    "site",
    "sort",
    "space",
    "storage",
    "store",
    "translation",
    "unique",
    "user",
    "website",
];

/// Words before `key` in the name of a path that make the file something else.
const OTHER_FILES: &[&str] = &["cache", "foreign", "host", "index", "primary", "sort", "ssh"];

/// What a file holds, by the name of the variable that has its path.
pub(super) fn judge_file(name: &str) -> Option<Class> {
    let ends = [
        "Location",
        "Path",
        "File",
        "Filename",
        "Resource",
        "Bytes",
        "Stream",
        "_location",
        "_resource",
        "_path",
        "_file",
        "_filename",
        "_FILE_NAME",
        "_FILE",
        "_PATH",
        "FileName",
    ];
    let bare = ends.iter().find_map(|end| name.strip_suffix(end));
    let words = crate::names::words(bare.unwrap_or(name));
    // `emailKeyPath`: whatever it is for, a file that has its name from a key holds one.
    let is_named = bare.is_some()
        && words.split_last().is_some_and(|(last, before)| {
            last == "key" && !before.iter().any(|word| OTHER_FILES.contains(&word.as_str()))
        });
    let bare = bare.unwrap_or(name);
    let is_store = crate::names::folded(bare).ends_with("keystore");
    let class = judge(bare).or((is_store || is_named).then_some(Class::Key));
    class.filter(|class| *class != Class::Password)
}

/// What a file holds, by its path.
pub(super) fn file_class(path: &str) -> Option<Class> {
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    let is_public = name.contains("pub") || name.contains("cert") || name.contains("ca.");
    let has_end = [".pem", ".key", ".p8", ".pk8", ".p12", ".jks", ".pfx", ".der", ".gpg", ".asc"];
    let is_key = has_end.iter().any(|end| name.ends_with(end))
        || name.starts_with("id_rsa")
        || name.starts_with("id_ed25519")
        || lower.contains("/run/secrets/")
        || judge(name.split('.').next().unwrap_or(name)) == Some(Class::Key);
    let class = if name.contains("pub") { Class::Public } else { Class::Key };
    (is_key && (!is_public || class == Class::Public)).then_some(class)
}
