//! The page that lies beside ejected keys.

use std::fmt::Write as _;

use super::Written;

const USE: &str = "\
# Keys

Each folder is a ring; each file of it one accepted version. `.key` files are exactly the bytes that
an application was handed, without a line end. `private.pem` is PKCS#8, `public.pem`
SubjectPublicKeyInfo, `jwks.json` the public keys as a JWK set, `jwk.json` a symmetric key as a JWK.

Protect (sign, encrypt, log in) with the primary only. Process (verify, decrypt, accept) with every
version that is listed, until what the older ones protected has run out.

The order matters, and libraries differ in it:

| library | order of its list |
|---|---|
| itsdangerous, Flask `SECRET_KEY_FALLBACKS` with itsdangerous signers | oldest first: the **last** one signs |
| Django `SECRET_KEY` and `SECRET_KEY_FALLBACKS` | primary in `SECRET_KEY`, the others newest first |
| cryptography `MultiFernet` | newest first: the **first** one encrypts |
| JWT libraries | by `kid`; sign with the primary's |

Before you next change a key, give the new one to every process that verifies, and only then let one
sign with it. That is what keywheel did.
";

/// Writes the page.
pub(super) fn page(rings: &[Written]) -> String {
    let mut text = USE.to_owned();
    for ring in rings {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {} ({})\n\n", ring.name, ring.kind);
        if ring.versions.is_empty() {
            text.push_str("No version of it is accepted.\n");
            continue;
        }
        text.push_str("| version | kid | role | files |\n|---|---|---|---|\n");
        for version in &ring.versions {
            let role = if version.primary { "**primary**" } else { "accepted" };
            let files: Vec<String> = version
                .files
                .iter()
                .map(|file| format!("[{file}]({}/{file})", ring.name))
                .collect();
            let row = format!("v{} | `{}` | {role}", version.number, version.kid);
            let _ = writeln!(text, "| {row} | {} |", files.join(", "));
        }
    }
    text
}
