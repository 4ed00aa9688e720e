//! Makes the key of a new version out of entropy that the caller brings.

use keywheel_core::kind::{EncryptionAlgorithm, Kind, SecretEncoding, SigningAlgorithm};
use zeroize::Zeroizing;

use crate::Fill;
use crate::curve::Curve;
use crate::encode::{Base64, draw_text, to_hex};
use crate::import::MAX_INPUT_BYTES;
use crate::pair::{KeyParts, Pair};

/// Why no key could be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The material of the ring is made by somebody else.
    #[error("an external ring makes no keys of its own; import the next one")]
    External,
    /// The length is 0, or more than can be handled.
    #[error("a secret of this length cannot be made; `length` goes from 1 to about 32,000")]
    Length,
    /// The alphabet is not one.
    #[error("the alphabet cannot be used; it needs 2 to 256 distinct characters")]
    Alphabet,
    /// The source of random bytes returned the same unusable ones over and over.
    #[error("the source of random bytes is stuck; check the machine's random generator")]
    Entropy,
    /// The cryptographic library refused.
    #[error("aws-lc could not make the key; try again, and check the machine if it persists")]
    Provider,
}

const ALPHANUMERIC: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub(crate) fn generate(kind: &Kind, fill: &mut Fill<'_>) -> Result<KeyParts, GenerateError> {
    let symmetric = match kind {
        Kind::External => return Err(GenerateError::External),
        Kind::Secret { length, encoding } => secret(usize::from(*length), encoding, fill)?,
        Kind::Signing { algorithm } => return signing(*algorithm, fill),
        Kind::Encryption { algorithm } => match algorithm {
            EncryptionAlgorithm::Aes256Gcm | EncryptionAlgorithm::ChaCha20Poly1305 => {
                draw(32, fill)
            }
            EncryptionAlgorithm::Fernet => into_bytes(&Base64::UrlPadded.encode(&draw(32, fill))),
            // 43 of 62 characters are 256 bits, and no shell or SQL string needs to quote them.
            EncryptionAlgorithm::Passphrase => into_bytes(&draw_text(ALPHANUMERIC, 43, fill)?),
        },
    };
    Ok(KeyParts::Symmetric(symmetric))
}

fn secret(
    length: usize,
    encoding: &SecretEncoding,
    fill: &mut Fill<'_>,
) -> Result<Zeroizing<Vec<u8>>, GenerateError> {
    if length == 0 {
        return Err(GenerateError::Length);
    }
    let bytes = match encoding {
        SecretEncoding::Raw => draw(length, fill),
        SecretEncoding::Hex => into_bytes(&to_hex(&draw(length, fill))),
        SecretEncoding::Base64url => into_bytes(&Base64::Url.encode(&draw(length, fill))),
        SecretEncoding::Alphabet(alphabet) => into_bytes(&draw_text(alphabet, length, fill)?),
    };
    if bytes.len() > MAX_INPUT_BYTES { Err(GenerateError::Length) } else { Ok(bytes) }
}

fn signing(algorithm: SigningAlgorithm, fill: &mut Fill<'_>) -> Result<KeyParts, GenerateError> {
    let pair = match algorithm {
        SigningAlgorithm::Hs256 => return Ok(hmac(32, fill)),
        SigningAlgorithm::Hs384 => return Ok(hmac(48, fill)),
        SigningAlgorithm::Hs512 => return Ok(hmac(64, fill)),
        SigningAlgorithm::EdDsa => Pair::from_ed25519_seed(&draw(32, fill)),
        SigningAlgorithm::Rs256(bits)
        | SigningAlgorithm::Rs384(bits)
        | SigningAlgorithm::Rs512(bits)
        | SigningAlgorithm::Ps256(bits)
        | SigningAlgorithm::Ps384(bits)
        | SigningAlgorithm::Ps512(bits) => Pair::generate_rsa(algorithm, bits),
        SigningAlgorithm::Es256 | SigningAlgorithm::Es384 | SigningAlgorithm::Es512 => {
            let curve = Curve::of(algorithm).ok_or(GenerateError::Provider)?;
            return ecdsa(curve, fill).map(KeyParts::Asymmetric);
        }
    };
    pair.map(KeyParts::Asymmetric).map_err(|_| GenerateError::Provider)
}

/// An HMAC key is base64url text over as many random bytes as the hash has, and the text itself is
/// the key: it survives environment variables and files, and every JWT library takes it as it is.
fn hmac(hash_bytes: usize, fill: &mut Fill<'_>) -> KeyParts {
    KeyParts::Symmetric(into_bytes(&Base64::Url.encode(&draw(hash_bytes, fill))))
}

/// Draws a scalar until it lies between 1 and the order of the curve (FIPS 186-5 appendix A.2.2).
/// The orders of these curves begin with at least 32 set bits, so a second draw is already rare.
fn ecdsa(curve: &'static Curve, fill: &mut Fill<'_>) -> Result<Pair, GenerateError> {
    for _ in 0..64 {
        let mut scalar = draw(curve.field_bytes, fill);
        if let Some(first) = scalar.first_mut() {
            *first &= curve.first_byte_mask;
        }
        if let Ok(pair) = Pair::from_scalar(curve, &scalar) {
            return Ok(pair);
        }
    }
    Err(GenerateError::Entropy)
}

fn draw(length: usize, fill: &mut Fill<'_>) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    fill(&mut bytes);
    bytes
}

fn into_bytes(text: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(text.as_bytes().to_vec())
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_lc_rs::digest;

    use super::*;

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

    #[test]
    fn stuck_sources_make_no_curve_keys() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Es384, SigningAlgorithm::Es512]
        {
            for stuck in [0x00, 0xff] {
                let mut fill = |buffer: &mut [u8]| buffer.fill(stuck);
                assert_eq!(signing(algorithm, &mut fill).err(), Some(GenerateError::Entropy));
            }
        }
    }

    #[test]
    fn scalars_out_of_range_are_drawn_again() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Es384, SigningAlgorithm::Es512]
        {
            let mut draws = 0;
            let mut source = stream(5);
            let mut fill = |buffer: &mut [u8]| {
                draws += 1;
                if draws < 3 { buffer.fill(0xff) } else { source(buffer) }
            };
            assert!(signing(algorithm, &mut fill).is_ok());
            assert_eq!(draws, 3);
        }
    }

    #[test]
    fn impossible_secrets_are_refused() {
        let mut fill = stream(1);
        let empty = Kind::Secret { length: 0, encoding: SecretEncoding::Raw };
        assert_eq!(generate(&empty, &mut fill).err(), Some(GenerateError::Length));
        let long = Kind::Secret { length: u16::MAX, encoding: SecretEncoding::Hex };
        assert_eq!(generate(&long, &mut fill).err(), Some(GenerateError::Length));
        let encoding = SecretEncoding::Alphabet("aa".into());
        let doubled = Kind::Secret { length: 9, encoding };
        assert_eq!(generate(&doubled, &mut fill).err(), Some(GenerateError::Alphabet));
        assert_eq!(generate(&Kind::External, &mut fill).err(), Some(GenerateError::External));
    }
}
