//! How bytes are written: hexadecimal, base64, and text over an alphabet. Everything here may be
//! secret, so buffers are sized once and zeroized.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::Fill;
use crate::generate::GenerateError;

const EITHER_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD_LENIENT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, EITHER_PADDING);
const URL_SAFE_LENIENT: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, EITHER_PADDING);

/// Which base64 is meant.
#[derive(Clone, Copy)]
pub(crate) enum Base64 {
    /// RFC 4648 section 4, padding required: PEM.
    Padded,
    /// RFC 4648 section 4, padding optional: what people paste.
    Standard,
    /// RFC 4648 section 5, no padding: JOSE.
    Url,
    /// RFC 4648 section 5, padding optional: what people paste.
    UrlLenient,
    /// RFC 4648 section 5, padding required: Fernet.
    UrlPadded,
}

impl Base64 {
    const fn engine(self) -> &'static GeneralPurpose {
        match self {
            Self::Padded => &BASE64_STANDARD,
            Self::Standard => &STANDARD_LENIENT,
            Self::Url => &BASE64_URL_SAFE_NO_PAD,
            Self::UrlLenient => &URL_SAFE_LENIENT,
            Self::UrlPadded => &BASE64_URL_SAFE,
        }
    }

    /// Writes bytes.
    pub(crate) fn encode(self, bytes: &[u8]) -> Zeroizing<String> {
        let capacity = bytes.len().div_ceil(3).saturating_mul(4);
        let mut text = Zeroizing::new(String::with_capacity(capacity));
        self.engine().encode_string(bytes, &mut text);
        text
    }

    /// Reads text; `None` when it is anything but this base64, in its one canonical form.
    pub(crate) fn decode(self, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let capacity = text.len().div_ceil(4).saturating_mul(3);
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        self.engine().decode_vec(text, &mut bytes).ok()?;
        Some(bytes)
    }
}

/// Writes bytes in lower-case hexadecimal.
pub(crate) fn to_hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().saturating_mul(2)));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    text
}

/// Reads hexadecimal in either case.
pub(crate) fn from_hex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let nibble =
        |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    let (pairs, rest) = text.as_chunks::<2>();
    for [high, low] in pairs {
        bytes.push(nibble(high)? << 4 | nibble(low)?);
    }
    rest.is_empty().then_some(bytes)
}

/// Draws characters evenly from an alphabet of 2 to 256 distinct characters: bytes beyond the
/// largest multiple of its size are thrown away, so that no character is likelier than another.
///
/// # Errors
/// When the alphabet is not one, or the source yields nothing usable.
pub(crate) fn draw_text(
    alphabet: &str,
    count: usize,
    fill: &mut Fill<'_>,
) -> Result<Zeroizing<String>, GenerateError> {
    let characters: Vec<char> = alphabet.chars().collect();
    let size = characters.len();
    let mut distinct = characters.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if !(2..=256).contains(&size) || distinct.len() != size {
        return Err(GenerateError::Alphabet);
    }
    let limit = 256_usize.saturating_sub(256 % size);
    let widest = characters.iter().map(|c| c.len_utf8()).max().unwrap_or(4);
    let mut text = Zeroizing::new(String::with_capacity(count.saturating_mul(widest)));
    let mut drawn = 0;
    let mut batch = Zeroizing::new([0_u8; 64]);
    // At least half of all bytes are usable, so a working source ends long before this bound.
    for _ in 0..count.saturating_add(16) {
        fill(batch.as_mut_slice());
        for byte in batch.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < limit) {
            if drawn == count {
                return Ok(text);
            }
            text.extend(characters.get(byte % size));
            drawn = drawn.saturating_add(1);
        }
    }
    if drawn == count { Ok(text) } else { Err(GenerateError::Entropy) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generate::tests::stream;

    #[test]
    fn alphabets_are_drawn_evenly() {
        for alphabet in ["abc", "0123456789", "abcdefghijklmnopqrstuvwxyz0123456789-"] {
            let size = alphabet.chars().count();
            let count = 20_000 * size;
            let text = draw_text(alphabet, count, &mut stream(7)).unwrap();
            let expected = 20_000.0;
            let chi_square: f64 = alphabet
                .chars()
                .map(|c| {
                    let seen = text.chars().filter(|drawn| *drawn == c).count();
                    let off = f64::from(u32::try_from(seen).unwrap()) - expected;
                    off * off / expected
                })
                .sum();
            // Mean size - 1, deviation sqrt(2 (size - 1)). Taking bytes modulo 37 without
            // rejection would give about 1,150 here, and 87 is the bound.
            let degrees = f64::from(u32::try_from(size - 1).unwrap());
            assert!(
                chi_square < degrees + 6.0 * (2.0 * degrees).sqrt(),
                "{alphabet}: {chi_square}"
            );
        }
    }

    #[test]
    fn rejected_bytes_never_turn_into_characters() {
        // 256 % 3 = 1: only 255 must be thrown away.
        let mut bytes = [255, 0, 255, 1, 255, 2].into_iter().cycle();
        let mut fill = |buffer: &mut [u8]| buffer.fill_with(|| bytes.next().unwrap());
        assert_eq!(draw_text("abc", 6, &mut fill).unwrap().as_str(), "abcabc");
    }

    #[test]
    fn bad_alphabets_and_stuck_sources_are_refused() {
        let many: String = ('\u{100}'..).take(257).collect();
        for alphabet in ["", "a", "aa", "abca", many.as_str()] {
            let refused = draw_text(alphabet, 4, &mut stream(1)).unwrap_err();
            assert_eq!(refused, GenerateError::Alphabet, "{alphabet}");
        }
        let stuck = draw_text("abc", 4, &mut |buffer: &mut [u8]| buffer.fill(255)).unwrap_err();
        assert_eq!(stuck, GenerateError::Entropy);
        let all: String = ('\u{100}'..).take(256).collect();
        assert_eq!(draw_text(&all, 999, &mut stream(1)).unwrap().chars().count(), 999);
    }

    proptest! {
        #[test]
        fn encodings_read_back_what_they_wrote(bytes: Vec<u8>) {
            prop_assert_eq!(&from_hex(to_hex(&bytes).as_bytes()).unwrap()[..], &bytes[..]);
            for base64 in [
                Base64::Padded, Base64::Standard, Base64::Url, Base64::UrlLenient, Base64::UrlPadded,
            ] {
                let text = base64.encode(&bytes);
                prop_assert_eq!(&base64.decode(text.as_bytes()).unwrap()[..], &bytes[..]);
            }
        }

        #[test]
        fn decoders_never_panic(text: Vec<u8>) {
            let _ = from_hex(&text);
            let _ = Base64::Url.decode(&text);
            let _ = Base64::Standard.decode(&text);
        }
    }
}
