//! When a ring rotates by itself.

use jiff::Timestamp;
use keywheel_core::schedule::{Cause, Cron, QuietHours, Triggers, Usage};
use keywheel_core::time::{Span, WallTime};
use proptest::prelude::*;

fn moment(text: &str) -> WallTime {
    WallTime::from_timestamp(text.parse::<Timestamp>().unwrap())
}

fn usage(promoted: &str) -> Usage {
    Usage { promoted: moment(promoted), uses: 0, last_use: None, seed: 7 }
}

#[test]
fn an_interval_counts_from_the_promotion() {
    let triggers = Triggers { rotate_every: Some(Span::from_secs(86_400)), ..Triggers::default() };
    let usage = usage("2026-03-01T12:00:00Z");
    assert_eq!(triggers.due(&usage, moment("2026-03-02T11:59:59Z")), None);
    assert_eq!(triggers.due(&usage, moment("2026-03-02T12:00:00Z")), Some(Cause::Interval));
    let wake = triggers.wake(&usage, moment("2026-03-01T13:00:00Z"));
    assert_eq!(wake, Some(moment("2026-03-02T12:00:00Z")));
}

#[test]
fn cron_keeps_local_time_when_clocks_change() {
    let cron = Cron::new("30 2 * * *", "Europe/Berlin").unwrap();
    // In winter 02:30 is 01:30 UTC, in summer 00:30 UTC.
    let next = |after: &str| cron.next(moment(after)).unwrap();
    assert_eq!(next("2026-03-27T12:00:00Z"), moment("2026-03-28T01:30:00Z"));
    assert_eq!(next("2026-03-29T12:00:00Z"), moment("2026-03-30T00:30:00Z"));
    // On 29 March 02:30 does not exist, on 25 October it comes twice: neither day is run twice
    // within the hour, and time always moves on.
    for day in ["2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z"] {
        let first = next(day);
        let second = cron.next(first).unwrap();
        assert!(first > moment(day));
        assert!(second > first, "{first} then {second}");
    }
    let spring = cron.next(moment("2026-03-29T00:00:00Z")).unwrap();
    assert!(spring <= moment("2026-03-30T00:30:00Z"), "{spring}");
}

#[test]
fn cron_has_five_fields() {
    for bad in ["", "* * * *", "* * * * * *", "61 * * * *", "0 0 31 2 *", "TZ=UTC 0 0 * * *"] {
        assert!(Cron::new(bad, "UTC").is_err(), "{bad}");
    }
    assert!(Cron::new("0 3 * * SUN", "Nowhere/Land").is_err());
}

#[test]
fn quiet_hours_pass_midnight() {
    let quiet = QuietHours::new("22:00-06:00", "Europe/Berlin").unwrap();
    // 21:59, 22:00, 05:59 and 06:00 of a winter's night.
    assert_eq!(quiet.end(moment("2026-01-10T20:59:00Z")), None);
    let morning = Some(moment("2026-01-11T05:00:00Z"));
    assert_eq!(quiet.end(moment("2026-01-10T21:00:00Z")), morning);
    assert_eq!(quiet.end(moment("2026-01-11T04:59:59.999Z")), morning);
    assert_eq!(quiet.end(moment("2026-01-11T05:00:00Z")), None);
    // The night in which summer time begins is one hour shorter.
    let summer = Some(moment("2026-03-29T04:00:00Z"));
    assert_eq!(quiet.end(moment("2026-03-28T21:30:00Z")), summer);
}

#[test]
fn quiet_hours_hold_every_trigger_back() {
    let triggers = Triggers {
        rotate_every: Some(Span::from_secs(3_600)),
        max_uses: Some(10),
        quiet_hours: Some(QuietHours::new("22:00-06:00", "UTC").unwrap()),
        ..Triggers::default()
    };
    let usage = Usage { uses: 50, ..usage("2026-01-10T20:00:00Z") };
    let night = moment("2026-01-10T23:00:00Z");
    assert_eq!(triggers.due(&usage, night), None);
    assert_eq!(triggers.wake(&usage, night), Some(moment("2026-01-11T06:00:00Z")));
    assert_eq!(triggers.due(&usage, moment("2026-01-11T06:00:00Z")), Some(Cause::Uses));
}

#[test]
fn bad_quiet_hours_are_refused() {
    for bad in ["", "22-6", "22:00-22:00", "24:00-01:00", "22:60-23:00", "22:00", "a:b-c:d"] {
        assert!(QuietHours::new(bad, "UTC").is_err(), "{bad}");
    }
    assert!(QuietHours::new("22:00-06:00", "Nowhere/Land").is_err());
}

#[test]
fn uses_and_age_at_use() {
    let triggers = Triggers {
        max_uses: Some(100),
        max_age_at_use: Some(Span::from_secs(60)),
        ..Triggers::default()
    };
    let now = moment("2026-01-11T00:00:00Z");
    let fresh = usage("2026-01-10T12:00:00Z");
    assert_eq!(triggers.due(&fresh, now), None, "an old key that nobody uses is left alone");
    assert_eq!(triggers.due(&Usage { uses: 99, ..fresh }, now), None);
    assert_eq!(triggers.due(&Usage { uses: 100, ..fresh }, now), Some(Cause::Uses));
    let used = |text: &str| Usage { last_use: Some(moment(text)), ..fresh };
    assert_eq!(triggers.due(&used("2026-01-10T12:00:59Z"), now), None);
    assert_eq!(triggers.due(&used("2026-01-10T12:01:00Z"), now), Some(Cause::AgeAtUse));
}

proptest! {
    #[test]
    fn jitter_is_the_same_everywhere_and_bounded(seed in any::<u64>(), jitter in 0u64..100_000) {
        let triggers = Triggers {
            rotate_every: Some(Span::from_secs(3_600)),
            jitter: Span::from_millis(jitter),
            ..Triggers::default()
        };
        let usage = Usage { seed, ..usage("2026-01-10T12:00:00Z") };
        let (at, _) = triggers.scheduled(&usage).unwrap();
        prop_assert_eq!(triggers.scheduled(&usage).unwrap().0, at);
        let late = at.since(moment("2026-01-10T13:00:00Z"));
        prop_assert!(at >= moment("2026-01-10T13:00:00Z"));
        prop_assert!(late <= Span::from_millis(jitter));
    }

    /// Nothing becomes due between now and the moment of waking.
    #[test]
    fn the_schedule_never_oversleeps(
        age_mins in 0i64..5_000,
        uses in 0u64..20,
        used_mins in proptest::option::of(0i64..3_000),
        step_mins in 0i64..3_000,
        cron in proptest::option::of(Just("17 */5 * * *")),
        every in proptest::option::of(1u64..3_000),
        jitter in 0u64..200,
        quiet in proptest::option::of(prop_oneof![Just("22:00-06:00"), Just("08:00-17:30")]),
    ) {
        let triggers = Triggers {
            rotate_every: every.map(|mins| Span::from_secs(mins * 60)),
            cron: cron.map(|text| Cron::new(text, "America/New_York").unwrap()),
            max_age_at_use: Some(Span::from_secs(1_000 * 60)),
            max_uses: Some(10),
            jitter: Span::from_secs(jitter * 60),
            quiet_hours: quiet.map(|text| QuietHours::new(text, "Europe/Berlin").unwrap()),
            ..Triggers::default()
        };
        let promoted = moment("2026-03-25T12:00:00Z");
        let minutes = |count: i64| WallTime(promoted.0 + count * 60_000);
        let usage = Usage { promoted, uses, last_use: used_mins.map(minutes), seed: 3 };
        let (now, later) = (minutes(age_mins), minutes(age_mins + step_mins));
        let wake = triggers.wake(&usage, now);
        if triggers.due(&usage, now).is_none() && wake.is_none_or(|wake| later < wake) {
            prop_assert_eq!(triggers.due(&usage, later), None);
        }
    }
}
