//! A key as people paste it into code and configuration, to be recognised there by whoever holds
//! it. Only marks leave this module: what is found elsewhere is marked under the same nonce, and
//! two marks are equal when two texts are.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::encode::{Base64, to_hex};
use crate::material::Material;
use crate::pem;

/// HMAC-SHA256 of a text under a nonce.
pub type Mark = [u8; 32];

impl Material {
    /// The mark of each form in which this key may stand in a file: its text as it is, without the
    /// line's end and with `\n` written out, base64 of either alphabet with and without padding,
    /// and hexadecimal in either case. The private half of a key pair is looked for as PEM and as
    /// DER; its public half is no secret.
    pub fn marks(&self, nonce: &[u8]) -> Vec<Mark> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, nonce);
        let mut marks = Vec::new();
        let mut mark = |form: &[u8]| {
            // HMAC-SHA256 has 32 bytes, so this never fails.
            marks.extend(<Mark>::try_from(hmac::sign(&key, form).as_ref()));
        };
        let bytes = self.expose();
        if self.public_key().is_some() {
            let text = pem::write(pem::PKCS8, bytes);
            of_text(&text, &mut mark);
            of_bytes(text.as_bytes(), &mut mark);
        } else if let Ok(text) = str::from_utf8(bytes) {
            of_text(text, &mut mark);
        }
        of_bytes(bytes, &mut mark);
        marks
    }
}

fn of_text(text: &str, mark: &mut impl FnMut(&[u8])) {
    let trimmed = text.trim_end();
    mark(text.as_bytes());
    if trimmed != text {
        mark(trimmed.as_bytes());
    }
    for text in [text, trimmed] {
        if text.contains('\n') {
            let mut written = Zeroizing::new(String::with_capacity(text.len().saturating_mul(2)));
            for (index, line) in text.split('\n').enumerate() {
                if index > 0 {
                    written.push_str("\\n");
                }
                written.push_str(line);
            }
            mark(written.as_bytes());
        }
    }
}

fn of_bytes(bytes: &[u8], mark: &mut impl FnMut(&[u8])) {
    for alphabet in [Base64::Padded, Base64::UrlPadded] {
        let text = alphabet.encode(bytes);
        mark(text.as_bytes());
        mark(text.trim_end_matches('=').as_bytes());
    }
    let hexadecimal = to_hex(bytes);
    mark(hexadecimal.as_bytes());
    let upper = Zeroizing::new(hexadecimal.to_ascii_uppercase());
    mark(upper.as_bytes());
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use keywheel_core::kind::{Kind, SecretEncoding, SigningAlgorithm};

    use crate::{Delivery, ImportFormat, Material, Use};

    const NONCE: &[u8] = b"a nonce of this test";

    fn has(material: &Material, text: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, NONCE);
        let mark = hmac::sign(&key, text.as_bytes());
        material.marks(NONCE).iter().any(|one| one == mark.as_ref())
    }

    fn secret(encoding: SecretEncoding, bytes: &[u8]) -> Material {
        let kind = Kind::Secret { length: 16, encoding };
        Material::import(&kind, bytes, ImportFormat::Raw).unwrap().material
    }

    #[test]
    fn a_text_is_known_in_each_form() {
        let own = secret(SecretEncoding::Base64url, b"correct horse battery ??>>\n");
        for form in [
            "correct horse battery ??>>\n",
            "correct horse battery ??>>",
            "correct horse battery ??>>\\n",
            "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5ID8/Pj4K",
            "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5ID8_Pj4K",
            "636f727265637420686f727365206261747465727920 3f3f3e3e0a".replace(' ', "").as_str(),
            "636F727265637420686F7273652062617474657279203F3F3E3E0A",
        ] {
            assert!(has(&own, form), "{form:?}");
        }
        for other in ["", "correct horse battery", "correct horse battery ??>> ", "\n"] {
            assert!(!has(&own, other), "{other:?}");
        }
        let nonces = [b"one".as_slice(), b"two"].map(|nonce| own.marks(nonce));
        assert!(nonces[0].iter().all(|mark| !nonces[1].contains(mark)));
    }

    #[test]
    fn bytes_are_known_by_their_encodings() {
        let own = secret(SecretEncoding::Raw, &[0xff; 16]);
        for form in [
            "/////////////////////w==",
            "/////////////////////w",
            "_____________________w==",
            "_____________________w",
            "ffffffffffffffffffffffffffffffff",
            "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
        ] {
            assert!(has(&own, form), "{form}");
        }
    }

    #[test]
    fn a_private_key_is_known_as_pem_and_its_public_half_is_not() {
        let mut seed = 1_u8;
        let mut fill = move |buffer: &mut [u8]| {
            for byte in buffer {
                seed = seed.wrapping_mul(5).wrapping_add(7);
                *byte = seed;
            }
        };
        let kind = Kind::Signing { algorithm: SigningAlgorithm::EdDsa };
        let own = Material::generate(&kind, &mut fill).unwrap();
        let pem = own.delivery(Use::Protect);
        let text = Delivery::expose(&pem).to_owned();
        for form in [text.clone(), text.trim_end().into(), text.replace('\n', "\\n")] {
            assert!(has(&own, &form));
        }
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(has(&own, &body));
        assert!(!has(&own, own.delivery(Use::Process).expose()));
    }
}
