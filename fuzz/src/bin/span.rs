//! Lengths of time: whatever `Span` reads, it writes in a form that reads back as the same length.

#![no_main]

use keywheel_core::time::Span;

keywheel_fuzz::target!(
    seeds: vec!["90s", "1h30m", "2w", "250ms", "31d", "", "18446744073709551615ms", "1h 30m"],
    |input: &[u8]| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let Ok(span) = text.parse::<Span>() else { return };
        let written = span.to_string();
        assert_eq!(written.parse(), Ok(span), "`{text}` was written as `{written}`");
    }
);
