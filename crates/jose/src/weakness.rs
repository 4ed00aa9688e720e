//! What is weak about a key that a team already uses. A weak key is taken over all the same, since
//! refusing it would keep it in use; it is flagged so that it is replaced first.
//!
//! The entropy of one value cannot be measured. [`estimate_bits`] bounds it from above by what an
//! attacker would try early: known words, repetitions, runs, phrases, small alphabets.

use std::fmt;

use keywheel_core::kind::{EncryptionAlgorithm, Kind, SigningAlgorithm};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Something weak about an imported key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "weakness", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Weakness {
    /// A secret, or an HMAC key below the length of its hash (RFC 7518 section 3.2).
    TooShort {
        /// Its length.
        bytes: usize,
        /// The length that it should have.
        wanted_bytes: usize,
    },
    /// It can be guessed: few different characters, a repetition, words.
    Guessable {
        /// An upper bound on its entropy.
        estimated_bits: u32,
        /// The entropy that it should have.
        wanted_bits: u32,
    },
    /// It is, or is built on, a placeholder that is in every list of passwords.
    WellKnown,
    /// An RSA modulus below the one that the ring asks for.
    SmallModulus {
        /// Its length.
        bits: usize,
        /// The length that the ring asks for.
        wanted_bits: usize,
    },
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { bytes, wanted_bytes } => {
                write!(f, "it has {bytes} bytes and should have {wanted_bytes}; rotate it soon")
            }
            Self::Guessable { estimated_bits, wanted_bits } => write!(
                f,
                "it has at most {estimated_bits} bits of entropy and should have {wanted_bits}; \
                 rotate it soon"
            ),
            Self::WellKnown => f.write_str("it is a well-known placeholder; rotate it at once"),
            Self::SmallModulus { bits, wanted_bits } => {
                write!(
                    f,
                    "its modulus has {bits} bits and the ring asks for {wanted_bits}; rotate it"
                )
            }
        }
    }
}

/// The entropy that every symmetric key should have.
const WANTED_BITS: u32 = 128;

/// Placeholders and words that people build secrets on, in lower case.
const WELL_KNOWN: [&str; 24] = [
    "changeme",
    "change-me",
    "change_me",
    "changethis",
    "password",
    "passwort",
    "passw0rd",
    "secret",
    "default",
    "example",
    "insecure",
    "letmein",
    "welcome",
    "qwerty",
    "keyboard",
    "notsecure",
    "django",
    "flask",
    "jwt",
    "admin",
    "test",
    "dev",
    "hunter2",
    "your-256-bit-",
];

/// Judges the bytes of a symmetric key.
pub(crate) fn of_symmetric(kind: &Kind, bytes: &[u8]) -> Vec<Weakness> {
    let wanted_bytes = match kind {
        Kind::Secret { .. } => 16,
        Kind::Signing { algorithm: SigningAlgorithm::Hs256 } => 32,
        Kind::Signing { algorithm: SigningAlgorithm::Hs384 } => 48,
        Kind::Signing { algorithm: SigningAlgorithm::Hs512 } => 64,
        // The length of these is fixed by their scheme, or measured in bits alone.
        Kind::Encryption { .. } | Kind::Signing { .. } => 0,
        // Nobody here knows what it is, so nobody can say what it should be like.
        Kind::External => return Vec::new(),
    };
    let mut found = Vec::new();
    if bytes.len() < wanted_bytes {
        found.push(Weakness::TooShort { bytes: bytes.len(), wanted_bytes });
    }
    let judged = match kind {
        Kind::Encryption { algorithm: EncryptionAlgorithm::Fernet } => {
            crate::encode::Base64::UrlPadded.decode(bytes)
        }
        _ => None,
    };
    let judged: &[u8] = judged.as_deref().map_or(bytes, Vec::as_slice);
    let (estimated_bits, well_known) = estimate(judged);
    if well_known && estimated_bits < WANTED_BITS {
        found.push(Weakness::WellKnown);
    } else if estimated_bits < WANTED_BITS {
        found.push(Weakness::Guessable { estimated_bits, wanted_bits: WANTED_BITS });
    }
    found
}

/// An upper bound on the entropy, and whether a well-known word is in it.
fn estimate(bytes: &[u8]) -> (u32, bool) {
    let lower = Zeroizing::new(bytes.to_ascii_lowercase());
    let word = WELL_KNOWN
        .iter()
        .filter(|word| lower.windows(word.len()).any(|window| window == word.as_bytes()))
        .max_by_key(|word| word.len());
    // A word from the list is worth about one character, however long it is.
    let known = word.map_or(0, |word| word.len().saturating_sub(1));
    (estimate_bits(bytes, known), word.is_some())
}

/// An upper bound on the entropy of a value in which `known` bytes can be guessed.
fn estimate_bits(bytes: &[u8], known: usize) -> u32 {
    let length = unpredictable_length(bytes).min(bytes.len().saturating_sub(known));
    let by_symbols = times_bits(length, pool(bytes));
    // A phrase of words is worth its words: 7,776 of them is the usual list (diceware).
    phrase_words(bytes).map_or(by_symbols, |words| by_symbols.min(times_bits(words, 7_776)))
}

/// How many symbols do not follow from the ones before: the shortest period, without repetitions
/// (`aaaa`) and runs (`abcd`, `4321`).
fn unpredictable_length(bytes: &[u8]) -> usize {
    let period = (1..=bytes.len() / 2)
        .find(|period| bytes.iter().zip(bytes.iter().skip(*period)).all(|(a, b)| a == b))
        .unwrap_or(bytes.len());
    let once = bytes.get(..period).unwrap_or(bytes);
    let predictable = once
        .windows(3)
        .filter(|window| match window {
            [a, b, c] => {
                let step = b.wrapping_sub(*a);
                step == c.wrapping_sub(*b) && matches!(step, 0 | 1 | 0xff)
            }
            _ => false,
        })
        .count();
    once.len().saturating_sub(predictable)
}

type Class = fn(&u8) -> bool;

/// From how many symbols the value seems to be drawn.
fn pool(bytes: &[u8]) -> u32 {
    let any = |class: Class| bytes.iter().any(class);
    let all = |class: Class| bytes.iter().all(class);
    let by_class = if all(u8::is_ascii_digit) {
        10
    } else if all(u8::is_ascii_hexdigit) {
        16
    } else if all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        let classes: [(Class, u32); 4] = [
            (u8::is_ascii_lowercase, 26),
            (u8::is_ascii_uppercase, 26),
            (u8::is_ascii_digit, 10),
            (|byte| !byte.is_ascii_alphanumeric(), 33),
        ];
        // `-` and `_` alone mean base64url, whose alphabet has 64 symbols and not 95.
        let base64url = all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let sum = classes.iter().filter(|(class, _)| any(*class)).map(|(_, size)| size).sum();
        if base64url { 64.min(sum) } else { sum }
    } else {
        256
    };
    let mut seen = [false; 256];
    for byte in bytes {
        if let Some(slot) = seen.get_mut(usize::from(*byte)) {
            *slot = true;
        }
    }
    let distinct = seen.iter().filter(|seen| **seen).count();
    // Few different symbols in a long value are its alphabet; in a short one they are chance.
    if distinct.saturating_mul(4) <= bytes.len() {
        by_class.min(u32::try_from(distinct).unwrap_or(256))
    } else {
        by_class
    }
}

/// The number of words, when the value is two or more words and nothing else. Words stand between
/// spaces and punctuation or begin with a capital; none has only one letter, so that few random
/// texts look so.
fn phrase_words(bytes: &[u8]) -> Option<usize> {
    let (mut words, mut letters) = (0_usize, 0_usize);
    for byte in bytes {
        let ends = *byte == b' ' || byte.is_ascii_punctuation();
        if letters == 1 && !byte.is_ascii_lowercase() || letters > 14 {
            return None;
        }
        if ends {
            letters = 0;
        } else if byte.is_ascii_uppercase() || (byte.is_ascii_lowercase() && letters == 0) {
            (words, letters) = (words.saturating_add(1), 1);
        } else if byte.is_ascii_lowercase() {
            letters = letters.saturating_add(1);
        } else {
            return None;
        }
    }
    (words > 1 && letters != 1).then_some(words)
}

/// The bits in a number of independent draws from a pool, rounded down.
fn times_bits(draws: usize, pool: u32) -> u32 {
    let bits = f64::from(u32::try_from(draws).unwrap_or(u32::MAX)) * f64::from(pool.max(1)).log2();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number is not negative, and a cast from a float saturates"
    )]
    let whole = bits as u32;
    whole
}

#[cfg(test)]
mod tests {
    use keywheel_core::kind::SecretEncoding;

    use super::*;
    use crate::encode::{Base64, draw_text, to_hex};
    use crate::generate::tests::stream;

    fn secret() -> Kind {
        Kind::Secret { length: 32, encoding: SecretEncoding::Base64url }
    }

    #[test]
    fn guessable_secrets_are_flagged() {
        for text in [
            "changeme",
            "ChangeMe-please-before-production",
            "supersecretsupersecretsupersecret",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789012345678901234567890123",
            "abababababababababababababababababababababababab",
            "correct-horse-battery-staple",
            "Correct horse, battery staple! (of that comic)",
            "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
            "12345678901234567890",
            "hello world",
            "correct horse battery staple onto nine lamps",
            "CorrectHorseBatteryStapleAndSomeMore",
        ] {
            let found = of_symmetric(&secret(), text.as_bytes());
            assert!(
                found.iter().any(|w| matches!(w, Weakness::Guessable { .. } | Weakness::WellKnown)),
                "{text}: {found:?}"
            );
        }
        assert!(of_symmetric(&secret(), b"changeme").contains(&Weakness::WellKnown));
    }

    #[test]
    fn random_secrets_are_not_flagged() {
        for seed in 0..200 {
            let mut fill = stream(seed);
            let mut bytes = [0; 24];
            fill(&mut bytes);
            assert_eq!(of_symmetric(&secret(), &bytes), [], "raw, seed {seed}");
            assert_eq!(of_symmetric(&secret(), to_hex(&bytes).as_bytes()), [], "hex, seed {seed}");
            let text = Base64::Url.encode(&bytes);
            assert_eq!(of_symmetric(&secret(), text.as_bytes()), [], "base64url, seed {seed}");
            let digits = draw_text("0123456789", 48, &mut fill).unwrap();
            assert_eq!(of_symmetric(&secret(), digits.as_bytes()), [], "digits, seed {seed}");
        }
    }

    #[test]
    fn short_hmac_keys_are_flagged_by_the_length_of_the_hash() {
        let mut key = [0; 64];
        stream(3)(&mut key);
        for (algorithm, wanted_bytes) in [
            (SigningAlgorithm::Hs256, 32),
            (SigningAlgorithm::Hs384, 48),
            (SigningAlgorithm::Hs512, 64),
        ] {
            let kind = Kind::Signing { algorithm };
            assert_eq!(of_symmetric(&kind, &key[..wanted_bytes]), []);
            let bytes = wanted_bytes - 1;
            let short = of_symmetric(&kind, &key[..bytes]);
            assert_eq!(short, [Weakness::TooShort { bytes, wanted_bytes }]);
        }
    }

    #[test]
    fn a_fernet_key_of_zeros_is_flagged() {
        let kind = Kind::Encryption { algorithm: EncryptionAlgorithm::Fernet };
        let text = Base64::UrlPadded.encode(&[0; 32]);
        assert!(matches!(of_symmetric(&kind, text.as_bytes())[..], [Weakness::Guessable { .. }]));
    }
}
