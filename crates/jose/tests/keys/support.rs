//! What several test files need: a seeded source of bytes, every kind of ring, a small DER reader.

use aws_lc_rs::digest;
use keywheel_core::kind::{EncryptionAlgorithm, Kind, RsaBits, SecretEncoding, SigningAlgorithm};

/// A seeded stream of bytes: SHA-256 over seed and counter.
pub(crate) fn stream(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut block = Vec::new();
    let mut counter = 0_u64;
    move |buffer| {
        for byte in buffer {
            if block.is_empty() {
                counter += 1;
                let input = [seed.to_be_bytes(), counter.to_be_bytes()].concat();
                block = digest::digest(&digest::SHA256, &input).as_ref().to_vec();
            }
            *byte = block.pop().unwrap();
        }
    }
}

pub(crate) fn signing(algorithm: SigningAlgorithm) -> Kind {
    Kind::Signing { algorithm }
}

pub(crate) fn encryption(algorithm: EncryptionAlgorithm) -> Kind {
    Kind::Encryption { algorithm }
}

pub(crate) fn secret(length: u16, encoding: SecretEncoding) -> Kind {
    Kind::Secret { length, encoding }
}

/// Every kind whose verifying half is public.
pub(crate) fn asymmetric_kinds() -> Vec<Kind> {
    [
        SigningAlgorithm::EdDsa,
        SigningAlgorithm::Es256,
        SigningAlgorithm::Es384,
        SigningAlgorithm::Es512,
        SigningAlgorithm::Rs256(RsaBits::B2048),
        SigningAlgorithm::Rs384(RsaBits::B2048),
        SigningAlgorithm::Rs512(RsaBits::B2048),
        SigningAlgorithm::Ps256(RsaBits::B2048),
        SigningAlgorithm::Ps384(RsaBits::B2048),
        SigningAlgorithm::Ps512(RsaBits::B2048),
    ]
    .map(signing)
    .to_vec()
}

/// Every symmetric kind that makes its own keys.
pub(crate) fn symmetric_kinds() -> Vec<Kind> {
    vec![
        secret(24, SecretEncoding::Raw),
        secret(24, SecretEncoding::Hex),
        secret(24, SecretEncoding::Base64url),
        secret(40, SecretEncoding::Alphabet("abcdefghijkmnpqrstuvwxyz23456789".into())),
        signing(SigningAlgorithm::Hs256),
        signing(SigningAlgorithm::Hs384),
        signing(SigningAlgorithm::Hs512),
        encryption(EncryptionAlgorithm::Aes256Gcm),
        encryption(EncryptionAlgorithm::ChaCha20Poly1305),
        encryption(EncryptionAlgorithm::Fernet),
        encryption(EncryptionAlgorithm::Passphrase),
    ]
}

/// Every kind that makes its own keys.
pub(crate) fn kinds() -> Vec<Kind> {
    [asymmetric_kinds(), symmetric_kinds()].concat()
}

/// The content of the DER value at the front, and what follows it.
fn der_value(der: &[u8]) -> (&[u8], &[u8]) {
    let (head, rest) = der.split_at(2);
    let (length, rest) = if head[1] < 0x80 {
        (usize::from(head[1]), rest)
    } else {
        let (bytes, rest) = rest.split_at(usize::from(head[1] & 0x7f));
        (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    rest.split_at(length)
}

/// The SEC1 or PKCS#1 key inside a PKCS#8 key.
pub(crate) fn inside_pkcs8(pkcs8: &[u8]) -> &[u8] {
    let (_version, rest) = der_value(der_value(pkcs8).0);
    let (_algorithm, rest) = der_value(rest);
    der_value(rest).0
}

/// The numbers of a PKCS#1 key, without leading zeros: version, n, e, d, p, q, dp, dq, qi.
pub(crate) fn rsa_numbers(pkcs1: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = der_value(pkcs1).0;
    let mut numbers = Vec::new();
    while !rest.is_empty() {
        let (number, next) = der_value(rest);
        numbers.push(number.strip_prefix(&[0]).unwrap_or(number).to_vec());
        rest = next;
    }
    numbers
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn from_base64url(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::prelude::BASE64_STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}
