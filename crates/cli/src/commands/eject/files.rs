//! The files of one version: exactly the bytes that an application is handed, and the same key in
//! the forms that other tools read.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_core::id::VersionNumber;
use keywheel_core::kind::{EncryptionAlgorithm, Kind, SigningAlgorithm};
use keywheel_core::ring::Version;
use keywheel_jose::{Material, Use};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::private;

/// Writes the files of a version and names them.
pub(super) fn write(
    folder: &Path,
    number: VersionNumber,
    version: &Version,
    material: &Material,
) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut write = |extension: &str, contents: &[u8]| {
        let name = format!("{number}.{extension}");
        private::write_new(&folder.join(&name), contents)?;
        names.push(name);
        Ok::<(), Failure>(())
    };
    if material.public_key().is_some() {
        write("private.pem", material.delivery(Use::Protect).expose().as_bytes())?;
        write("public.pem", material.delivery(Use::Process).expose().as_bytes())?;
        return Ok(names);
    }
    // No line end is added: these are the bytes, all of them and no others.
    write("key", material.expose())?;
    if let Some(algorithm) = jwk_algorithm(&version.kind) {
        write("jwk.json", octet_jwk(&version.kid.0, algorithm, material.expose()).as_bytes())?;
    }
    Ok(names)
}

/// The JOSE name of what a symmetric key does, where there is one.
const fn jwk_algorithm(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Signing { algorithm: SigningAlgorithm::Hs256 } => Some("HS256"),
        Kind::Signing { algorithm: SigningAlgorithm::Hs384 } => Some("HS384"),
        Kind::Signing { algorithm: SigningAlgorithm::Hs512 } => Some("HS512"),
        Kind::Encryption { algorithm: EncryptionAlgorithm::Aes256Gcm } => Some("A256GCM"),
        _ => None,
    }
}

/// RFC 7518 section 6.4. Written by hand, because a JSON value would copy the key about.
fn octet_jwk(kid: &str, algorithm: &str, key: &[u8]) -> Zeroizing<String> {
    let kid = serde_json::Value::from(kid);
    let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(key));
    Zeroizing::new(format!(
        r#"{{"kty":"oct","kid":{kid},"alg":"{algorithm}","k":"{}"}}"#,
        encoded.as_str()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symmetric_jwk_is_json_whatever_its_kid() {
        let text = octet_jwk("a\"b", "HS256", b"\xff\x00secret");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["kid"], "a\"b");
        assert_eq!(value["kty"], "oct");
        assert_eq!(value["k"], "_wBzZWNyZXQ");
    }
}
