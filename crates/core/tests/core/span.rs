//! Lengths of time as text.

use keywheel_core::time::{ClusterTime, Span, WallTime};
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_written_is_read_back(millis in prop_oneof![any::<u64>(), 0u64..100_000_000]) {
        let span = Span::from_millis(millis);
        prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
    }

    #[test]
    fn any_text_is_read_or_refused_in_words(text in ".{0,60}") {
        match text.parse::<Span>() {
            Ok(span) => {
                prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
            }
            Err(error) => {
                prop_assert!(error.to_string().contains("is not a length of time"));
            }
        }
    }

    #[test]
    fn sums_of_times_never_wrap(a in any::<u64>(), b in any::<u64>()) {
        let (span, moment) = (Span::from_millis(a), ClusterTime(b));
        prop_assert!(moment.after(span) >= moment);
        prop_assert!(span.plus(Span::from_millis(b)) >= span);
        prop_assert_eq!(moment.since(moment.after(span)), Span::ZERO);
    }

    #[test]
    fn wall_times_never_wrap(a in any::<i64>(), b in any::<u64>()) {
        let later = WallTime(a).after(Span::from_millis(b));
        prop_assert!(later >= WallTime(a));
        // Every moment can be written, also those outside the calendar.
        prop_assert!(!later.to_string().is_empty());
    }
}

#[test]
fn units_and_sums() {
    let read = |text: &str| text.parse::<Span>().map(Span::as_millis);
    assert_eq!(read("250ms"), Ok(250));
    assert_eq!(read("90s"), Ok(90_000));
    assert_eq!(read("1h30m"), Ok(5_400_000));
    assert_eq!(read("2w"), Ok(1_209_600_000));
    assert_eq!(read(" 7d "), Ok(604_800_000));
    for bad in ["", "7", "d", "-1s", "1.5h", "1 h", "1y", "99999999999999999999s", "300000000w7"] {
        assert!(read(bad).is_err(), "{bad}");
    }
    assert_eq!(Span::ZERO.to_string(), "0s");
    assert_eq!(Span::from_secs(5_400).to_string(), "1h30m");
}
