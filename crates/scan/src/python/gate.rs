//! Whether a file is worth the parser: parsing costs ten times what it costs to see that a file has
//! no name that could be that of a key and speaks of nothing that takes one.

use std::collections::HashSet;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::table::Index;
use super::words;

/// Words of what takes, makes or holds keys under any name.
const USES: &[&str] = &[
    "hmac",
    "jwt",
    "jose",
    "jwk",
    "jws",
    "fernet",
    "itsdangerous",
    "signing",
    "signer",
    "signed_cookie",
    "secure_cookie",
    "make_token",
    "check_token",
    "crypto",
    "nacl",
    "blake2",
    "pbkdf2",
    "hkdf",
    "scrypt",
    "encrypt",
    "decrypt",
    "ecdsa",
    "import rsa",
    "/run/secrets",
    ".pem\"",
    ".pem'",
    ".key\"",
    ".key'",
    "generate_key",
    "pgp_",
    "keywheel",
    "id_rsa",
    "session_auth_hash",
    "generate_csrf",
    "macaroon",
    "redwood",
    "webhook",
    "compare_digest",
    "rotate",
];

/// Parts of names that could be those of keys.
const NAMES: &[&str] =
    &["key", "secret", "token", "passphrase", "password", "passwd", "salt", "pepper", "auth"];

/// Words of what loads settings or runs by a timer. Some names are those of keys only there.
const LOADS: &[&str] = &[
    "env", "Env", "config", "Config", "settings", "Settings", "secrets", "Timer", "schedul",
    "asyncio", "celery", "cron",
];

/// As many different names as are judged; a file with more is read.
const MOST: usize = 2_000;

/// Whether a file may hold a place at all.
pub(super) fn is_worth(text: &str, index: &Index) -> bool {
    static WORDS: OnceLock<Option<AhoCorasick>> = OnceLock::new();
    let words = WORDS.get_or_init(|| {
        let all = USES.iter().chain(NAMES);
        let builder = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .build(all);
        builder.ok()
    });
    let Some(words) = words else { return true };
    let mut judged = HashSet::new();
    let mut may_be_loaded = false;
    for found in words.find_iter(text) {
        if let Some(word) = USES.get(found.pattern().as_usize()) {
            if goes_on_before(text, found.start()) && matches!(*word, "signing" | "signer") {
                // `assigning` and `designer` speak of other things.
                continue;
            }
            return true;
        }
        let name = name_around(text, found.start(), found.end());
        if !judged.insert(name) {
            continue;
        }
        if judged.len() > MOST || words::judge(name).is_some() {
            return true;
        }
        may_be_loaded = may_be_loaded || words::judge_loaded(name).is_some();
    }
    let holds = |word: &str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    (may_be_loaded && LOADS.iter().any(|word| holds(word))) || index.added().any(holds)
}

/// Whether a small letter stands right before a place.
fn goes_on_before(text: &str, at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
    before.is_some_and(u8::is_ascii_lowercase)
}

/// The name in which a part of it stands.
fn name_around(text: &str, start: usize, end: usize) -> &str {
    let is_part =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || *byte >= 128;
    let bytes = text.as_bytes();
    let before = bytes.get(..start).unwrap_or_default();
    let after = bytes.get(end..).unwrap_or_default();
    let from = before.iter().rev().take(80).take_while(|byte| is_part(byte)).count();
    let to = after.iter().take(80).take_while(|byte| is_part(byte)).count();
    text.get(start.saturating_sub(from)..end.saturating_add(to)).unwrap_or_default()
}
