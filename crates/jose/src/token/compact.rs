//! The compact serialization (RFC 7515 section 7.1): three parts of base64url, in their one
//! canonical form. Padding, bits that say nothing, blanks and other alphabets are refused.

use base64_simd::{Out, URL_SAFE_NO_PAD};

use super::error::TokenError;

/// The longest signature: that of an RSA modulus of 8192 bits.
const SIGNATURE_BYTES_MAX: usize = 1024;

/// A token in its parts.
#[derive(Clone, Copy)]
pub(super) struct Parts<'t> {
    /// The first part, as it is written.
    pub(super) header: &'t [u8],
    /// The second part, as it is written.
    pub(super) payload: &'t [u8],
    /// The third part, as it is written.
    pub(super) signature: &'t [u8],
    /// What is signed: the first two parts and the dot between them.
    pub(super) signed: &'t [u8],
}

const NOT_THREE: TokenError = TokenError::Malformed("it is not three parts with dots between them");

impl<'t> Parts<'t> {
    /// Splits a token.
    pub(super) fn split(token: &'t [u8]) -> Result<Self, TokenError> {
        let first_dot = memchr::memchr(b'.', token).ok_or(NOT_THREE)?;
        Self::split_behind(token, first_dot.saturating_add(1))
    }

    /// Splits a token whose header and first dot have this length together.
    pub(super) fn split_behind(token: &'t [u8], header_bytes: usize) -> Result<Self, TokenError> {
        let header = token.get(..header_bytes.saturating_sub(1)).ok_or(NOT_THREE)?;
        let rest = token.get(header_bytes..).ok_or(NOT_THREE)?;
        let dot = memchr::memrchr(b'.', rest).ok_or(NOT_THREE)?;
        // A dot that is left in a part is no base64, and so is refused when the part is decoded.
        let payload = rest.get(..dot).ok_or(NOT_THREE)?;
        let signature = rest.get(dot.saturating_add(1)..).ok_or(NOT_THREE)?;
        let signed = token.get(..header_bytes.saturating_add(dot)).ok_or(NOT_THREE)?;
        Ok(Self { header, payload, signature, signed })
    }
}

/// Most signatures are much shorter, and a small buffer costs nothing to clear.
const SHORT_SIGNATURE_BYTES: usize = 136;

/// Lets `check` look at the bytes of a signature.
pub(super) fn with_signature<T>(
    text: &[u8],
    check: impl FnOnce(&[u8]) -> Result<T, TokenError>,
) -> Result<T, TokenError> {
    const BAD: TokenError = TokenError::Malformed("its signature is not canonical base64url");
    let length = URL_SAFE_NO_PAD.decoded_length(text).map_err(|_| BAD)?;
    let mut short = [0; SHORT_SIGNATURE_BYTES];
    let mut long;
    let buffer: &mut [u8] = if length <= SHORT_SIGNATURE_BYTES {
        &mut short
    } else {
        long = [0; SIGNATURE_BYTES_MAX];
        &mut long
    };
    let room = buffer.get_mut(..length).ok_or(TokenError::Signature)?;
    check(URL_SAFE_NO_PAD.decode(text, Out::from_slice(room)).map_err(|_| BAD)?)
}

/// Decodes a part.
pub(super) fn decode(text: &[u8], bad: TokenError) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| bad)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    const BAD: TokenError = TokenError::Malformed("bad");

    proptest! {
        /// The fast decoder is as strict as the one that the rest of this crate uses.
        #[test]
        fn decodes_what_the_strict_decoder_decodes(
            text in prop_oneof!["[A-Za-z0-9_-]{0,70}", "[A-Za-z0-9+/=_ -]{0,12}"],
        ) {
            let strict = BASE64_URL_SAFE_NO_PAD.decode(&text).ok();
            prop_assert_eq!(decode(text.as_bytes(), BAD).ok(), strict.clone());
            let signature = with_signature(text.as_bytes(), |bytes| Ok(bytes.to_vec()));
            prop_assert_eq!(signature.ok(), strict);
        }

        #[test]
        fn splits_into_what_was_joined(
            header in "[A-Za-z0-9_-]{0,9}", payload in "[A-Za-z0-9_-]{0,9}", tag in "[a-z]{0,9}",
        ) {
            let token = format!("{header}.{payload}.{tag}");
            let parts = Parts::split(token.as_bytes()).unwrap();
            prop_assert_eq!(parts.header, header.as_bytes());
            prop_assert_eq!(parts.payload, payload.as_bytes());
            prop_assert_eq!(parts.signature, tag.as_bytes());
            let signed = format!("{header}.{payload}");
            prop_assert_eq!(parts.signed, signed.as_bytes());
        }
    }

    #[test]
    fn signatures_up_to_the_longest_are_decoded() {
        for length in [0, 1, 136, 137, 1023, 1024] {
            let text = BASE64_URL_SAFE_NO_PAD.encode(vec![7; length]);
            let decoded = with_signature(text.as_bytes(), |bytes| Ok(bytes.to_vec()));
            assert_eq!(decoded.unwrap(), vec![7; length]);
        }
        let long = BASE64_URL_SAFE_NO_PAD.encode(vec![7; 1025]);
        let refused = with_signature(long.as_bytes(), |_| Ok(())).err();
        assert_eq!(refused, Some(TokenError::Signature));
    }
}
