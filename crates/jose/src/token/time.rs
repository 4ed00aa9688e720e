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
        // Almost all are a few digits, which no 64 bits are too small for.
        if (1..=18).contains(&json.len()) {
            let mut digits = json.bytes().map(|byte| byte.wrapping_sub(b'0'));
            let plain = digits.try_fold(0_i64, |seconds, digit| {
                (digit < 10).then(|| seconds.wrapping_mul(10).wrapping_add(i64::from(digit)))
            });
            if let Some(seconds) = plain {
                return Some(Self { seconds, has_more: false });
            }
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
            ("9007199254740993", 9_007_199_254_740_993, 9_007_199_254_740_993),
        ] {
            assert_eq!(read(json), Some((floor, ceil)), "{json}");
        }
        for wrong in
            ["1e400", "-1e400", "9223372036854775808", "1e19", "1e99999999999", "\"1\"", "null"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
