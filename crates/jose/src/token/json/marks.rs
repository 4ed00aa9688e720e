//! Where the strings of a text may end: a bit for each quote, backslash and control character. They
//! are found for many bytes at once and without looking at what stands before them, so that the
//! processor need not wait for one string to end to look for the end of the next.

/// How many bytes have their marks in one word.
pub(super) const BLOCK: usize = 64;

/// The marks of the block that begins here, its first byte lowest. What is behind the end of the
/// text has marks.
pub(super) fn marks_of(text: &[u8], block: usize) -> u64 {
    let rest = text.get(block..).unwrap_or_default();
    if let Some(bytes) = rest.first_chunk() {
        return marks(bytes);
    }
    let length = u32::try_from(rest.len()).unwrap_or(0);
    let marks = match text.last_chunk() {
        Some(bytes) => marks(bytes).unbounded_shr(u64::BITS.wrapping_sub(length)),
        None => rest.iter().rev().fold(0, |marks, byte| marks << 1 | u64::from(is_marked(*byte))),
    };
    marks | u64::MAX.unbounded_shl(length)
}

const fn is_marked(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

fn marks(bytes: &[u8; BLOCK]) -> u64 {
    // One step for all bytes, which compilers turn into a few wide ones; then eight bytes of one
    // bit each become one byte.
    let flags = bytes.map(|byte| u8::from(is_marked(byte)));
    let (words, _) = flags.as_chunks();
    let bits = |word: &[u8; 8]| u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    words.iter().zip(0..).fold(0, |marks, (word, nth)| marks | bits(word) << (8 * nth))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_byte_has_its_mark(
            text in prop::collection::vec(
                prop_oneof![Just(b'"'), Just(b'\\'), Just(0x1f), Just(b' '), any::<u8>()],
                0..200,
            ),
        ) {
            for block in (0..=text.len()).step_by(BLOCK) {
                let marks = marks_of(&text, block);
                for nth in 0..BLOCK {
                    let expected = text.get(block + nth).is_none_or(|byte| is_marked(*byte));
                    prop_assert_eq!(marks >> nth & 1 == 1, expected, "{}", block + nth);
                }
            }
        }
    }
}
