//! Lengths of time: whatever `Span` reads, it writes in a form that reads back as the same length.

#![no_main]

use keywheel_core::time::Span;

keywheel_fuzz::target!(
    seeds: &[b"90s", b"1h30m", b"2w", b"250ms", b"31d", b"", b"18446744073709551615ms", b"1h 30m"],
    |input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let Ok(span) = text.parse::<Span>() else { return };
        let written = span.to_string();
        assert_eq!(written.parse(), Ok(span), "`{text}` was written as `{written}`");
    }
);
