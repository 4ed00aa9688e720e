//! Whether a file speaks of keys at all: one pass over its bytes, so that a file which does not
//! costs no more than its reading.

use crate::python;
use crate::spot::Spotter;

/// Words of which at least one stands in every file that consumes a key. Case does not matter.
const WORDS: &[&str] = &[
    "secret",
    "jwt",
    "jws",
    "jwe",
    "jose",
    "hmac",
    "crypt",
    "cipher",
    "csrf",
    "xsrf",
    "fernet",
    "passphrase",
    "pepper",
    "signing",
    "signer",
    "signed",
    "signature",
    "sign_",
    "hs256",
    "privatekey",
    "private_key",
    "private-key",
    "private.key",
    "private key",
    "apikey",
    "api_key",
    "api-key",
    "api.key",
    "accesskey",
    "access_key",
    "access-key",
    "keyfile",
    "key_file",
    "keyring",
    "keystore",
    "_salt",
    "salt_",
    "salted",
    ".salt",
    "pgp_",
    "pbkdf2",
    "hkdf",
    "_certificate_key",
    "certificatekeyfile",
    "ticket_key",
    "role_key",
    ".pem",
    ".der\"",
    ".der'",
    "_aes",
    "aes_",
    "aesgcm",
    "chacha",
    "blake2",
    "nacl",
    "sodium",
    "credential",
    "itsdangerous",
    "cookiename",
    "keywheel",
    "keygen",
    "generate_key",
    "rotate_key",
    "rotatekey",
    "token_key",
    "webhook",
    "proxy_set_header",
    "fastcgi_param",
    "requestheader",
    "setcredential",
    "loadcredential",
];

/// Words that are too frequent alone, and make a key of what follows them.
const BEFORE_KEY: &[&str] = &[
    "access",
    "account",
    "app",
    "application",
    "auth",
    "authentication",
    "cert",
    "cookie",
    "cookies",
    "data",
    "deploy",
    "hash",
    "kek",
    "master",
    "rsa",
    "secure",
    "security",
    "server",
    "service",
    "session",
    "shared",
    "ssl",
    "symmetric",
    "tls",
    "token",
    "tokens",
    "verify",
    "verification",
    "wrapping",
    "aes",
    "ecdsa",
    "ed25519",
];

/// Words that are too frequent alone, and make a credential of `token` after them.
const BEFORE_TOKEN: &[&str] = &[
    "admin", "api", "auth", "bearer", "bot", "deploy", "github", "gitlab", "npm", "personal",
    "pypi", "registry", "sentry", "service", "slack", "telegram", "vault",
];

/// Words that count when passwords are reported too.
const PASSWORDS: &[&str] = &["passwd", "password", "_pwd", "_pass", "pwd="];

/// The gate.
#[derive(Clone, Debug)]
pub struct Gate {
    words: Spotter,
    /// Fewer words, for Python: its reader looks closer before it parses.
    python: Spotter,
}

impl Gate {
    /// A gate that lets through files with a word of ours or one of these. One that is shorter than
    /// three letters lets nothing through.
    pub fn new<'a>(passwords: bool, more: impl IntoIterator<Item = &'a str>) -> Self {
        let mut words: Vec<String> = WORDS.iter().map(|word| (*word).to_owned()).collect();
        for (before, last) in [(BEFORE_KEY, "key"), (BEFORE_TOKEN, "token")] {
            for word in before {
                words.extend(["", "_", "-", "."].map(|between| format!("{word}{between}{last}")));
            }
        }
        if passwords {
            words.extend(PASSWORDS.iter().map(|word| (*word).to_owned()));
        }
        let more: Vec<&str> = more.into_iter().collect();
        let words = words.iter().map(String::as_str).chain(more.iter().copied());
        let python =
            python::words_of_keys().map(|word| -> &str { word }).chain(more.iter().copied());
        Self { words: Spotter::new(words), python: Spotter::new(python) }
    }

    /// Whether the bytes speak of keys.
    pub fn lets(&self, bytes: &[u8]) -> bool {
        self.words.is_in(bytes)
    }

    /// Whether the bytes of a file of Python could.
    pub fn lets_python(&self, bytes: &[u8]) -> bool {
        self.python.is_in(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn every_name_of_a_key_passes() {
        let gate = Gate::new(false, []);
        for name in [
            "SECRET_KEY",
            "jwtSecret",
            "appKey",
            "APP-KEY",
            "session.key",
            "authKey",
            "SECURITY_PASSWORD_SALT",
            "pgp_passphrase",
            "hmacKey",
            "GITHUB_TOKEN",
            "apiToken",
            "stripeApiKey",
            "encryption-key",
            "verification_keys",
        ] {
            assert!(names::judge(name).is_some(), "{name}");
            assert!(gate.lets(format!("x = {name}\n").as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_file_without_keys_does_not() {
        let gate = Gate::new(false, []);
        let text = "for key, value in table.items():\n    print(sorted(keys), key=len)\n";
        assert!(!gate.lets(text.as_bytes()));
        assert!(!gate.lets(b"password = form['password']"));
        assert!(Gate::new(true, []).lets(b"DB_PASSWORD=x"));
        assert!(Gate::new(false, ["acme.seal"]).lets(b"Acme.Seal(k)"));
    }
}
