//! Times in tokens: NumericDate (RFC 7519 section 2), read and compared exactly, without floating
//! point.

/// A moment in seconds since the Unix epoch, as the caller's clock tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub i64);

/// A moment as a token says it: whole seconds and, rarely, a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumericDate {
    seconds: i64,
    has_more: bool,
}

/// The longest number that is read.
const NUMBER_CHARS_MAX: usize = 64;

impl NumericDate {
    /// The last whole second that is not after it.
    pub const fn floor(self) -> i64 {
        self.seconds
    }

    /// The first whole second that is not before it.
    pub const fn ceil(self) -> i64 {
        if self.has_more { self.seconds.saturating_add(1) } else { self.seconds }
    }

    /// Reads a JSON number that was scanned before. `None` when it is something else, or too large
    /// to be a time.
    pub(super) fn read(json: &str) -> Option<Self> {
        if let Some(seconds) = plain_digits(json.as_bytes()) {
            return Some(Self { seconds, has_more: false });
        }
        if json.len() > NUMBER_CHARS_MAX
            || !json.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        {
            return None;
        }
        let (negative, unsigned) = match json.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, json),
        };
        if unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            let seconds: i64 = json.parse().ok()?;
            return Some(Self { seconds, has_more: false });
        }
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        // All digits, and how many of them stand before the point.
        let digits = || whole.bytes().chain(fraction.bytes());
        let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
        let mut seconds: i64 = 0;
        if digits().any(|digit| digit != b'0') {
            for digit in
                digits().chain(std::iter::repeat(b'0')).take(usize::try_from(point).unwrap_or(0))
            {
                seconds = seconds.checked_mul(10)?.checked_add(i64::from(digit & 0x0f))?;
            }
        }
        let has_more =
            digits().skip(usize::try_from(point).unwrap_or(0)).any(|digit| digit != b'0');
        Some(match (negative, has_more) {
            (false, _) => Self { seconds, has_more },
            (true, false) => Self { seconds: seconds.checked_neg()?, has_more },
            // The last whole second before -1.5 is -2.
            (true, true) => Self { seconds: seconds.checked_neg()?.checked_sub(1)?, has_more },
        })
    }
}

/// Whether all of these are digits.
pub(super) const fn are_digits(bytes: [u8; 8]) -> bool {
    const SIXES: u64 = 0x0606_0606_0606_0606;
    const HIGH_HALVES: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    let word = u64::from_le_bytes(bytes);
    // A digit is 0x30 to 0x39, and so still begins with 3 when six more are added to it.
    (word & HIGH_HALVES) | (word.wrapping_add(SIXES) & HIGH_HALVES) >> 4 == 0x3333_3333_3333_3333
}

/// What most dates are: digits alone, and not so many that 64 bits are too small for them.
fn plain_digits(text: &[u8]) -> Option<i64> {
    const DIGITS_MAX: usize = 18;
    if text.is_empty() || text.len() > DIGITS_MAX {
        return None;
    }
    let (mut seconds, mut rest) = (0, text);
    if let Some((eight, behind)) = text.split_first_chunk()
        && are_digits(*eight)
    {
        // Two, four and then eight digits become one number.
        let word = u64::from_le_bytes(*eight) & 0x0f0f_0f0f_0f0f_0f0f;
        let word = word.wrapping_mul(10).wrapping_add(word >> 8) & 0x00ff_00ff_00ff_00ff;
        let word = word.wrapping_mul(100).wrapping_add(word >> 16) & 0x0000_ffff_0000_ffff;
        let word = word.wrapping_mul(10_000).wrapping_add(word >> 32) & 0xffff_ffff;
        (seconds, rest) = (i64::try_from(word).ok()?, behind);
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        seconds = seconds.wrapping_mul(10).wrapping_add(i64::from(digit));
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<(i64, i64)> {
        NumericDate::read(json).map(|date| (date.floor(), date.ceil()))
    }

    #[test]
    fn numbers_are_read_exactly() {
        for (json, floor, ceil) in [
            ("0", 0, 0),
            ("-0", 0, 0),
            ("1800000000", 1_800_000_000, 1_800_000_000),
            ("1800000000.0", 1_800_000_000, 1_800_000_000),
            ("1800000000.25", 1_800_000_000, 1_800_000_001),
            ("1.8e9", 1_800_000_000, 1_800_000_000),
            ("1.8E+9", 1_800_000_000, 1_800_000_000),
            ("18000000005e-1", 1_800_000_000, 1_800_000_001),
            ("0.0000000000000000000000000001", 0, 1),
            ("1e-400", 0, 1),
            ("0e400", 0, 0),
            ("-1", -1, -1),
            ("-1.5", -2, -1),
            ("-0.5", -1, 0),
            ("9223372036854775807", i64::MAX, i64::MAX),
            ("12345678", 12_345_678, 12_345_678),
            ("123456789012345678", 123_456_789_012_345_678, 123_456_789_012_345_678),
            ("1234567890123456789", 1_234_567_890_123_456_789, 1_234_567_890_123_456_789),
            ("9007199254740993", 9_007_199_254_740_993, 9_007_199_254_740_993),
        ] {
            assert_eq!(read(json), Some((floor, ceil)), "{json}");
        }
        for wrong in
            ["", "1e400", "-1e400", "9223372036854775808", "1e19", "1e99999999999", "\"1\"", "null"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn eight_digits_are_told_from_everything_else() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                for other in [b'0', b'9'] {
                    let mut bytes = [other; 8];
                    bytes[place] = byte;
                    assert_eq!(are_digits(bytes), byte.is_ascii_digit(), "{place} {byte}");
                }
            }
        }
    }
}
