//! The revocation set against a model that keeps everything and forgets nothing too early, and what
//! is refused in which words.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use keywheel_core::id::Kid;
use keywheel_core::revocation::{
    Facts, Revocation, RevocationSet, Revoked, TEXT_BYTES_MAX, everything_until,
};
use keywheel_core::time::WallTime;
use proptest::prelude::*;

/// What the set must do, in the plainest way.
#[derive(Default)]
struct Model {
    tokens: BTreeMap<String, i64>,
    subjects: BTreeMap<String, (i64, i64)>,
    kids: Vec<(String, Option<i64>)>,
    at: Option<i64>,
}

impl Model {
    fn apply(&mut self, revocation: &Revocation) {
        match revocation {
            Revocation::Jti { jti, expires } => {
                let known = self.tokens.entry(jti.clone()).or_insert(*expires);
                *known = (*known).max(*expires);
            }
            Revocation::Subject { subject, issued_before, expires } => {
                let fresh = (*issued_before, *expires);
                let known = self.subjects.entry(subject.clone()).or_insert(fresh);
                *known = (known.0.max(fresh.0), known.1.max(fresh.1));
            }
            Revocation::Kid { kid, issued_before } => {
                self.kids.push((kid.0.clone(), *issued_before));
            }
            Revocation::IssuedBefore { at } => self.at = self.at.max(Some(*at)),
        }
    }

    fn by_kid(&self, facts: &Facts<'_>) -> bool {
        let older = |moment: i64| facts.issued_at.is_none_or(|issued| issued < moment);
        let dead = |(known, moment): &(String, Option<i64>)| {
            facts.kid == Some(known.as_str()) && moment.is_none_or(older)
        };
        self.kids.iter().any(dead)
    }

    fn is_dead(&self, facts: &Facts<'_>) -> bool {
        let older = |moment: i64| facts.issued_at.is_none_or(|issued| issued < moment);
        self.at.is_some_and(older)
            || self.by_kid(facts)
            || facts.jti.is_some_and(|jti| self.tokens.contains_key(jti))
            || facts
                .subject
                .and_then(|subject| self.subjects.get(subject))
                .is_some_and(|(moment, _)| older(*moment))
    }

    /// Whether it may be forgotten that a token is dead: nothing that names it can still live.
    fn may_forget(&self, facts: &Facts<'_>, now: i64) -> bool {
        let older = |moment: i64| facts.issued_at.is_none_or(|issued| issued < moment);
        let over = |expires: &i64| expires.saturating_add(3_600) <= now;
        !self.at.is_some_and(older)
            && !self.by_kid(facts)
            && facts.jti.and_then(|jti| self.tokens.get(jti)).is_none_or(over)
            && facts
                .subject
                .and_then(|subject| self.subjects.get(subject))
                .is_none_or(|(moment, expires)| !older(*moment) || over(expires))
    }
}

fn name() -> impl Strategy<Value = String> {
    (0..12u8).prop_map(|number| format!("name-{number}"))
}

fn revocation() -> impl Strategy<Value = Revocation> {
    let (moment, expires) = (-5..40_000i64, -5..40_000i64);
    prop_oneof![
        4 => (name(), expires.clone()).prop_map(|(jti, e)| Revocation::jti(jti, e).unwrap()),
        2 => (name(), moment.clone(), expires)
            .prop_map(|(subject, at, e)| Revocation::subject(subject, at, e).unwrap()),
        1 => (name(), prop::option::of(moment.clone()))
            .prop_map(|(kid, at)| Revocation::kid(Kid(kid), at).unwrap()),
        1 => moment.prop_map(|at| Revocation::IssuedBefore { at }),
    ]
}

fn token() -> impl Strategy<Value = (Option<String>, Option<String>, Option<String>, Option<i64>)> {
    let text = || prop::option::of(name());
    (text(), text(), text(), prop::option::of(-5..40_000i64))
}

proptest! {
    #[test]
    fn the_set_is_the_model(
        revocations in prop::collection::vec(revocation(), 0..40),
        tokens in prop::collection::vec(token(), 1..20),
        key in any::<[u8; 16]>(),
    ) {
        let (set, mut model) = (RevocationSet::new(key), Model::default());
        for revocation in &revocations {
            set.apply(revocation);
            model.apply(revocation);
        }
        for (jti, subject, kid, issued_at) in &tokens {
            let facts = Facts {
                jti: jti.as_deref(),
                subject: subject.as_deref(),
                kid: kid.as_deref(),
                issued_at: *issued_at,
            };
            prop_assert_eq!(set.check(&facts).is_some(), model.is_dead(&facts));
        }
    }

    #[test]
    fn order_and_repetition_do_not_matter(
        revocations in prop::collection::vec(revocation(), 0..30),
        token in token(),
    ) {
        let (forth, back) = (RevocationSet::new([1; 16]), RevocationSet::new([2; 16]));
        for one in &revocations {
            forth.apply(one);
        }
        for one in revocations.iter().rev().chain(&revocations) {
            back.apply(one);
        }
        let (jti, subject, kid, issued_at) = &token;
        let facts = Facts {
            jti: jti.as_deref(),
            subject: subject.as_deref(),
            kid: kid.as_deref(),
            issued_at: *issued_at,
        };
        prop_assert_eq!(forth.check(&facts), back.check(&facts));
        prop_assert_eq!(forth.len(), back.len());
    }

    #[test]
    fn nothing_is_forgotten_while_it_may_live(
        revocations in prop::collection::vec(revocation(), 0..30),
        tokens in prop::collection::vec(token(), 1..20),
        now in 0..60_000i64,
    ) {
        let (set, mut model) = (RevocationSet::new([3; 16]), Model::default());
        for revocation in &revocations {
            set.apply(revocation);
            model.apply(revocation);
        }
        set.drop_expired(now);
        for (jti, subject, kid, issued_at) in &tokens {
            let facts = Facts {
                jti: jti.as_deref(),
                subject: subject.as_deref(),
                kid: kid.as_deref(),
                issued_at: *issued_at,
            };
            let dead = set.check(&facts).is_some();
            prop_assert!(!dead || model.is_dead(&facts));
            prop_assert!(dead || !model.is_dead(&facts) || model.may_forget(&facts, now));
        }
    }

    #[test]
    fn a_large_set_that_grows_and_forgets_keeps_what_may_live(
        steps in prop::collection::vec((0..3_000_u32, 1..12_i64, any::<bool>()), 1..12),
        key in any::<[u8; 16]>(),
    ) {
        let (set, mut kept, mut hour) = (RevocationSet::new(key), BTreeMap::new(), 0);
        for (step, (count, lasts, forgets)) in steps.into_iter().enumerate() {
            for number in 0..count {
                let jti = format!("{step}-{number}");
                let expires = (hour + lasts) * 3_600;
                set.apply(&Revocation::jti(jti.clone(), expires).unwrap());
                kept.insert(jti, hour + lasts);
            }
            if forgets {
                hour += 3;
                set.drop_expired(hour * 3_600);
                kept.retain(|_, last| *last + 2 > hour);
            }
            prop_assert_eq!(set.len(), kept.len());
            for jti in kept.keys() {
                prop_assert!(dead(&set, jti), "{} is not dead", jti);
            }
        }
    }

    #[test]
    fn what_is_written_is_read(revocation in revocation()) {
        let text = serde_json::to_string(&revocation).unwrap();
        prop_assert_eq!(serde_json::from_str::<Revocation>(&text).unwrap(), revocation);
    }
}

fn dead(set: &RevocationSet, jti: &str) -> bool {
    set.check(&Facts { jti: Some(jti), ..Facts::default() }).is_some()
}

#[test]
fn who_revokes_sees_it_from_then_on_while_others_write_and_the_set_grows_and_forgets() {
    const WRITERS: usize = 3;
    const EACH: usize = 10_000;
    const LASTING: i64 = 1_900_000_000;
    let set = RevocationSet::new([8; 16]);
    let written = AtomicBool::new(false);
    let write = |writer: usize| {
        for number in 0..EACH {
            let jti = format!("{writer}-{number}");
            set.apply(&Revocation::jti(jti.clone(), LASTING).unwrap());
            assert!(dead(&set, &jti), "{jti} is not dead");
            // These are forgotten at once, so that parts shrink and grow again.
            for short in 0..number % 8 {
                set.apply(&Revocation::jti(format!("{jti}-{short}"), 0).unwrap());
            }
            let earlier = format!("{writer}-{}", number * 7 % (number + 1));
            assert!(dead(&set, &earlier), "{earlier} is not dead any more");
        }
    };
    let forget = || {
        for hour in 2_i64.. {
            if written.load(Ordering::Acquire) {
                break;
            }
            set.drop_expired(hour * 3_600);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(forget);
        let write = &write;
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        // The one who forgets ends even when a writer has failed.
        let done: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        written.store(true, Ordering::Release);
        assert!(done.iter().all(Result::is_ok));
    });
    set.drop_expired(LASTING);
    assert_eq!(set.len(), WRITERS * EACH);
    for writer in 0..WRITERS {
        assert!((0..EACH).all(|number| dead(&set, &format!("{writer}-{number}"))));
    }
}

#[test]
fn what_expired_is_forgotten_by_the_hour() {
    let set = RevocationSet::new([4; 16]);
    for number in 0..1_000 {
        set.apply(&Revocation::jti(format!("old-{number}"), 7_000).unwrap());
        set.apply(&Revocation::subject(format!("old-{number}"), 5, 7_000).unwrap());
    }
    set.apply(&Revocation::jti("young", 50_000).unwrap());
    set.apply(&Revocation::kid(Kid("k".into()), None).unwrap());
    set.apply(&Revocation::IssuedBefore { at: 3 });
    let full = set.bytes();
    // 7,000 lies in the second hour; the fourth begins at 10,800.
    set.drop_expired(10_799);
    assert_eq!(set.len(), 2_003);
    set.drop_expired(10_800);
    assert_eq!(set.len(), 3);
    assert!(set.bytes() < full / 2, "memory was kept for what is gone");
    let facts = Facts { subject: Some("old-1"), issued_at: Some(4), ..Facts::default() };
    assert_eq!(set.check(&facts), None);
    let facts = Facts { jti: Some("young"), issued_at: Some(4), ..Facts::default() };
    assert_eq!(set.check(&facts), Some(Revoked::Jti));
}

#[test]
fn the_whole_second_of_an_epoch_is_dead_and_so_is_who_does_not_say() {
    let at = everything_until(WallTime(100_900));
    assert_eq!(at, 101);
    let set = RevocationSet::new([5; 16]);
    set.apply(&Revocation::IssuedBefore { at });
    let issued = |issued_at| Facts { issued_at, ..Facts::default() };
    for (moment, dead) in [(Some(99), true), (Some(100), true), (Some(101), false), (None, true)] {
        assert_eq!(set.check(&issued(moment)).is_some(), dead, "{moment:?}");
    }
}

#[test]
fn an_earlier_epoch_does_not_undo_a_later_one() {
    let set = RevocationSet::new([6; 16]);
    set.apply(&Revocation::IssuedBefore { at: 200 });
    set.apply(&Revocation::IssuedBefore { at: 100 });
    let facts = Facts { issued_at: Some(150), ..Facts::default() };
    assert_eq!(set.check(&facts), Some(Revoked::IssuedBefore { at: 200 }));
}

#[test]
fn tokens_take_at_most_40_bytes_each() {
    let full = std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full");
    let sizes: &[usize] = if full { &[1_000_000, 10_000_000] } else { &[100_000] };
    let (set, mut number) = (RevocationSet::new([7; 16]), 0);
    for size in sizes {
        while number < *size {
            set.apply(&Revocation::jti(format!("{number:032x}"), 1_900_000_000).unwrap());
            number += 1;
        }
        assert_eq!(set.len(), *size);
        println!("{size} tokens take {} bytes", set.bytes());
        assert!(set.bytes() <= 40 * size, "{} bytes", set.bytes());
    }
}

#[test]
fn refusals_name_the_field_and_say_what_to_do() {
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    assert!(Revocation::jti("x".repeat(TEXT_BYTES_MAX), 1).is_ok());
    let refusals = [
        Revocation::jti("", 1).unwrap_err(),
        Revocation::jti(long.clone(), 1).unwrap_err(),
        Revocation::subject(long.clone(), 1, 2).unwrap_err(),
        Revocation::kid(Kid(long), None).unwrap_err(),
    ];
    let texts: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
    jti: it is empty; name what is to be revoked
    jti: it has 513 bytes, and at most 512 can be revoked by name; revoke all that was issued before a moment instead
    subject: it has 513 bytes, and at most 512 can be revoked by name; revoke all that was issued before a moment instead
    kid: it has 513 bytes, and at most 512 can be revoked by name; revoke all that was issued before a moment instead
    ");
    let wrong = [
        r#"{"by":"jti","jti":"a"}"#,
        r#"{"by":"jti","jti":"","expires":1}"#,
        r#"{"by":"jti","jti":"a","expires":1,"more":2}"#,
        r#"{"by":"everything"}"#,
    ];
    for text in wrong {
        assert!(serde_json::from_str::<Revocation>(text).is_err(), "{text}");
    }
}
