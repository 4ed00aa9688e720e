//! Moments and lengths of time as people read them.

use keywheel_core::time::{Span, WallTime};

/// A length of time in at most two units: `31d`, `2h5m`, `40s`.
pub fn coarse(span: Span) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let secs = span.as_secs();
    if secs == 0 {
        return if span == Span::ZERO { "0s".into() } else { "<1s".into() };
    }
    let Some(first) = units.iter().position(|(_, length)| secs >= *length) else {
        return "0s".into();
    };
    let mut rest = secs;
    let parts = units.iter().skip(first).take(2).map(|(unit, length)| {
        let count = rest / length;
        rest %= length;
        if count > 0 { format!("{count}{unit}") } else { String::new() }
    });
    parts.collect()
}

/// Reads a moment as the server writes it.
pub fn moment(text: &str) -> Option<WallTime> {
    text.parse::<jiff::Timestamp>().ok().map(WallTime::from_timestamp)
}

/// How long ago a moment was.
pub fn age(since: &str, now: WallTime) -> String {
    moment(since).map_or_else(|| since.to_owned(), |since| coarse(now.since(since)))
}

/// How far ahead a moment lies: `in 3d`, or `12m ago`.
pub fn until(then: &str, now: WallTime) -> String {
    match moment(then) {
        Some(then) if then.0 > now.0 => format!("in {}", coarse(then.since(now))),
        Some(then) => format!("{} ago", coarse(now.since(then))),
        None => then.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units_at_most() {
        for (secs, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m1s"),
            (7_200, "2h"),
            (7_265, "2h1m"),
            (31 * 86_400 + 5, "31d"),
        ] {
            assert_eq!(coarse(Span::from_secs(secs)), text);
        }
        assert_eq!(coarse(Span::from_millis(3)), "<1s");
    }

    #[test]
    fn moments_are_told_from_now() {
        let now = moment("2026-01-01T00:00:00Z").unwrap();
        assert_eq!(age("2025-12-31T23:00:00Z", now), "1h");
        assert_eq!(until("2026-01-04T00:00:00Z", now), "in 3d");
        assert_eq!(until("2025-12-31T23:59:50Z", now), "10s ago");
        assert_eq!(age("nonsense", now), "nonsense");
    }
}
