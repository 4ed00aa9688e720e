//! Derives purpose-bound keys from a version's material (HKDF-SHA256, RFC 5869), so that no use
//! that keywheel makes of a key can be mistaken for a use that an application makes of it.

use aws_lc_rs::{aead, hkdf, hmac};

/// Derives an HMAC-SHA256 key.
pub(crate) fn mac_key(secret: &[u8], salt: &[u8], info: &str) -> hmac::Key {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    hmac::Key::from(expand(&extracted, &[info.as_bytes()], hmac::HMAC_SHA256))
}

/// Derives an AES-256-GCM key.
pub(crate) fn aead_key(secret: &[u8], salt: &[u8], info: &str) -> aead::LessSafeKey {
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let key: aead::UnboundKey = expand(&extracted, &[info.as_bytes()], &aead::AES_256_GCM).into();
    aead::LessSafeKey::new(key)
}

#[expect(
    clippy::expect_used,
    reason = "HKDF-SHA256 refuses only outputs above 255 × 32 bytes, and ours have 32"
)]
fn expand<'a, L: hkdf::KeyType>(
    extracted: &'a hkdf::Prk,
    info: &'a [&'a [u8]],
    length: L,
) -> hkdf::Okm<'a, L> {
    extracted.expand(info, length).expect("a derived key has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::from_hex;

    /// RFC 5869 appendix A.1, cut to the 32 bytes that a key has.
    #[test]
    fn derives_what_rfc_5869_derives() {
        let salt = from_hex(b"000102030405060708090a0b0c").unwrap();
        let info = "\u{1}\u{2}";
        let key = mac_key(&[0x0b; 22], &salt, info);
        let prk = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &salt), &[0x0b; 22]);
        assert_eq!(
            prk.as_ref(),
            &from_hex(b"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5").unwrap()
                [..]
        );
        let okm = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, prk.as_ref()), &[1, 2, 1]);
        let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, okm.as_ref()), b"message");
        assert_eq!(hmac::sign(&key, b"message").as_ref(), expected.as_ref());
    }
}
