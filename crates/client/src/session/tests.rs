//! Properties of the order and the pace of what is done.

use std::collections::BTreeMap;

use keywheel_core::id::{Kid, VersionNumber};
use keywheel_core::ring::Keyset;
use proptest::prelude::*;

use super::*;
use crate::state::Verdict;

fn offer(revision: u64) -> Offer {
    Offer {
        keyset: Keyset {
            incarnation: Incarnation("a".into()),
            revision: Revision(revision),
            primary: Some(VersionNumber(1)),
            accepted: BTreeMap::from([(VersionNumber(1), Kid("k".into()))]),
            longest_lifetime: Span::from_secs(60),
            offline_max: Span::from_secs(3_600),
            lease_ttl: Span::from_secs(30),
            revocations_stale_after: None,
            ledger: false,
        },
        skew: Span::from_secs(1),
    }
}

fn session(rings: usize) -> Session {
    Session::new((0..rings).map(|index| format!("r{index}").parse().unwrap()))
}

fn acknowledged(verdict: Verdict, revision: u64) -> Acknowledged {
    let incarnation = Incarnation("a".into());
    Acknowledged {
        verdict,
        incarnation,
        revision: Revision(revision),
        nonce: vec![2],
        revocations: Some(0),
    }
}

/// Registers, listens, loads and proves everything.
fn at_rest(rings: usize, now: BootTime) -> Session {
    let mut session = session(rings);
    let all: Vec<usize> = (0..rings).collect();
    assert_eq!(session.next(now, |_| None), Action::Register(all.clone()));
    session.registered(&all, vec![vec![1]; rings], now);
    for index in 0..rings {
        assert_eq!(session.next(now, |_| None), Action::Load(index));
        session.loaded(index, offer(5), now, 0);
    }
    assert_eq!(session.next(now, |_| None), Action::OpenFeed { since: None });
    session.feed_opened();
    assert_eq!(session.next(now, |_| None), Action::Report((0..rings).collect()));
    for index in 0..rings {
        session.state_mut(index).unwrap().report(None, now, BTreeMap::new).unwrap();
        assert!(!session.acknowledged(index, acknowledged(Verdict::Proved, 5), now, now, 0));
    }
    session
}

#[test]
fn a_process_registers_listens_loads_proves_and_then_rests() {
    let now = BootTime(1_000_000);
    let session = at_rest(3, now);
    let until = now.after(Span::from_secs(10));
    assert_eq!(session.next(now, |_| None), Action::Rest { until });
    assert_eq!(session.next(until, |_| None), Action::Report(vec![0, 1, 2]));
}

#[test]
fn a_ring_that_is_refused_is_asked_for_again_and_keeps_no_other_one() {
    let mut now = BootTime(1_000_000);
    let mut session = session(3);
    assert!(session.refused(&[1], now, 7));
    assert_eq!(session.next(now, |_| None), Action::Register(vec![0, 2]));
    session.registered(&[0, 2], vec![vec![1]; 2], now);
    let (mut asked, mut reported) = (0, 0);
    let end = now.after(Span::from_secs(60));
    while now < end {
        match session.next(now, |_| None) {
            Action::Load(index) => {
                assert_ne!(index, 1);
                session.loaded(index, offer(5), now, 0);
            }
            Action::OpenFeed { .. } => session.feed_opened(),
            Action::Report(indices) => {
                assert_eq!(indices, [0, 2]);
                reported += 1;
                for index in indices {
                    session.state_mut(index).unwrap().report(None, now, BTreeMap::new).unwrap();
                    session.acknowledged(index, acknowledged(Verdict::Proved, 5), now, now, 0);
                }
            }
            Action::Extend(indices) => {
                assert_eq!(indices, [0, 1, 2]);
                asked += 1;
                session.not_extended(&indices, now, 9_999);
            }
            Action::Rest { until } => {
                assert!(until > now);
                now = until;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!((5..20).contains(&asked), "{asked} times in a minute");
    assert!(reported >= 6, "the leases of the others are renewed");

    // Whoever hears of the ring asks at once, also where nothing else is due.
    session.not_extended(&[1], now, 9_999);
    session.report_failed(&[0, 2], false, now, 9_999);
    session.changed(41, "r1", &Incarnation("a".into()), Revision(5), Some(9));
    assert_eq!(session.next(now, |_| None), Action::Extend(vec![0, 1, 2]));
    session.registered(&[0, 1, 2], vec![vec![1]; 3], now);
    assert_eq!(session.next(now, |_| None), Action::Load(1));
}

#[test]
fn where_every_ring_is_refused_the_registration_failed() {
    let now = BootTime(1_000_000);
    let mut session = session(2);
    assert!(!session.refused(&[0, 1], now, 7));
    assert!(!session.refused(&[], now, 7));
    assert!(session.refused(&[1], now, 7));
    assert!(!session.refused(&[0], now, 7), "the other one is refused already");
    session.unregistered(now, 7);
    let Action::Rest { until } = session.next(now, |_| None) else { panic!("it asks at once") };
    assert_eq!(session.next(until, |_| None), Action::Register(vec![0, 1]));
}

#[test]
fn a_change_loads_what_changed_and_nothing_else() {
    let now = BootTime(1_000_000);
    let mut session = at_rest(3, now);
    session.changed(41, "r1", &Incarnation("a".into()), Revision(5), Some(0));
    session.changed(42, "other", &Incarnation("a".into()), Revision(9), Some(0));
    assert!(matches!(session.next(now, |_| None), Action::Rest { .. }));
    session.changed(43, "r1", &Incarnation("a".into()), Revision(6), Some(0));
    assert_eq!(session.next(now, |_| None), Action::Load(1));
    session.loaded(1, offer(6), now, 0);
    let reports = Action::Report(vec![0, 1, 2]);
    assert_eq!(session.next(now, |_| None), reports);
    session.feed_closed(now, 0);
    let later = now.after(Span::from_secs(1));
    assert_eq!(session.next(later, |_| None), Action::OpenFeed { since: Some(43) });
}

#[test]
fn a_broken_ring_does_not_let_the_leases_of_others_end() {
    let now = BootTime(1_000_000);
    let mut session = at_rest(3, now);
    let now = now.after(Span::from_secs(10));
    session.report_failed(&[0, 1, 2], true, now, 7);
    assert_eq!(session.next(now, |_| None), Action::Report(vec![0]));
    session.report_failed(&[0], true, now, 7);
    assert_eq!(session.next(now, |_| None), Action::Report(vec![1]));
}

#[test]
fn a_server_that_offers_old_keysets_for_ever_is_not_asked_in_a_loop() {
    let mut now = BootTime(1_000_000);
    let mut session = at_rest(1, now);
    let mut calls = 0;
    let end = now.after(Span::from_secs(60));
    let mut random = 1_u64;
    while now < end {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match session.next(now, |_| None) {
            Action::Load(index) => {
                calls += 1;
                session.loaded(index, offer(4), now, random >> 33);
            }
            Action::Report(_) => {
                calls += 1;
                session.state_mut(0).unwrap().report(None, now, BTreeMap::new).unwrap();
                session.acknowledged(0, acknowledged(Verdict::Stale, 4), now, now, random >> 33);
            }
            Action::Rest { until } => {
                assert!(until > now);
                now = until;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(calls < 120, "{calls} calls in a minute");
    assert_eq!(session.state(0).unwrap().held().unwrap().keyset.revision, Revision(5));
}

#[test]
fn what_is_not_confirmed_is_renewed_and_not_reported_in_a_loop() {
    let mut now = BootTime(1_000_000);
    let mut session = Session::deferred(["r0".parse().unwrap()]);
    let level = EvidenceLevel::Probed;
    session.registered(&[0], vec![vec![1]], now);
    let (mut reports, mut proofs) = (0, 0);
    let end = now.after(Span::from_secs(60));
    while now < end {
        match session.next(now, |_| None) {
            Action::Load(index) => {
                session.loaded(index, offer(5), now, 0);
            }
            Action::OpenFeed { .. } => session.feed_opened(),
            Action::Report(_) => {
                let plan = session.state_mut(0).unwrap().report(None, now, BTreeMap::new);
                let prove = plan.unwrap().prove;
                (reports, proofs) = (reports + 1, proofs + u32::from(prove));
                let verdict = match (prove, proofs) {
                    (true, _) => Verdict::Proved,
                    (false, 0) => Verdict::Stale,
                    (false, _) => Verdict::Renewed,
                };
                session.acknowledged(0, acknowledged(verdict, 5), now, now, 0);
            }
            Action::Rest { until } => {
                assert!(until > now);
                now = until;
                if reports == 4 {
                    assert!(session.confirm(0, &Incarnation("a".into()), Revision(5), level));
                }
            }
            other => panic!("{other:?}"),
        }
    }
    // One in a third of a lease of 30 s.
    assert!((6..=9).contains(&reports), "{reports} reports in a minute");
    assert_eq!(proofs, 1);
    assert!(session.state(0).unwrap().is_proved());
}

#[test]
fn the_long_poll_serves_for_a_while_and_then_the_stream_is_tried_again() {
    let now = BootTime(1_000_000);
    let mut session = at_rest(1, now);
    session.feed_unusable(now);
    assert_eq!(session.next(now, |_| None), Action::Report(vec![0]), "is it still current?");
    session.state_mut(0).unwrap().report(None, now, BTreeMap::new).unwrap();
    session.acknowledged(0, acknowledged(Verdict::Renewed, 5), now, now, 0);
    let poll = session.next(now, |_| None);
    let wait = Span::from_secs(10);
    assert_eq!(poll, Action::Poll { since: None, wait }, "a poll ends when the lease is due");
    let later = now.after(POLL_FOR);
    session.feed_alive(later);
    assert_eq!(session.next(later, |_| None), Action::OpenFeed { since: None });
}

proptest! {
    #[test]
    fn retries_are_spread_and_bounded(randoms in prop::collection::vec(any::<u64>(), 1..40)) {
        let mut backoff = Backoff::default();
        let now = BootTime(77);
        for random in randoms {
            backoff.fail(now, random);
            let delay = backoff.not_before.since(now);
            prop_assert!(delay >= Span::from_millis(1) && delay <= LONGEST_DELAY);
        }
    }
}

#[test]
fn what_is_revoked_is_fetched_when_it_is_heard_of_and_confirmed_by_answers() {
    let now = BootTime(1_000_000);
    let life = Incarnation("a".into());
    let mut session = at_rest(2, now);
    assert_eq!(session.revocations_confirmed_at(1), Some(now));
    session.changed(41, "r1", &life, Revision(5), Some(3));
    let fetch = |since| Action::FetchRevocations { index: 1, since };
    assert_eq!(session.next(now, |_| None), fetch(0));
    // A page that does not arrive is asked for again, though not at once.
    session.revocations_failed(1, now, 7);
    assert!(matches!(session.next(now, |_| None), Action::Rest { .. }));
    let later = now.after(Span::from_secs(1));
    assert_eq!(session.next(later, |_| None), fetch(0));
    session.revocations_took_in(1, &life, 2, 3, later);
    assert_eq!(session.next(later, |_| None), fetch(2));
    assert_eq!(session.revocations_confirmed_at(1), Some(now));
    session.revocations_took_in(1, &life, 3, 3, later);
    assert!(matches!(session.next(later, |_| None), Action::Rest { .. }));
    assert_eq!(session.revocations_confirmed_at(1), Some(later));
    assert_eq!(session.revocations_confirmed_at(0), Some(now));
}

#[test]
fn a_lease_goes_before_a_long_log() {
    let now = BootTime(1_000_000);
    let mut session = at_rest(1, now);
    session.changed(41, "r0", &Incarnation("a".into()), Revision(5), Some(1_000));
    assert!(matches!(session.next(now, |_| None), Action::FetchRevocations { .. }));
    let due = now.after(Span::from_secs(10));
    assert_eq!(session.next(due, |_| None), Action::Report(vec![0]));
}

#[test]
fn what_was_issued_is_reported_in_batches() {
    let now = BootTime(1_000_000);
    let mut session = at_rest(1, now);
    session.issued(0, now, false);
    session.issued(0, now.after(Span::from_millis(500)), false);
    let due = now.after(Span::from_secs(1));
    assert_eq!(session.next(now, |_| None), Action::Rest { until: due });
    assert_eq!(session.next(due, |_| None), Action::ReportIssued(0));
    session.issued_failed(0, due, 7);
    assert!(matches!(session.next(due, |_| None), Action::Rest { .. }));
    let later = due.after(Span::from_secs(1));
    session.issued_reported(0, later, true);
    assert_eq!(session.next(later, |_| None), Action::ReportIssued(0));
    session.issued_reported(0, later, false);
    assert!(matches!(session.next(later, |_| None), Action::Rest { .. }));
    session.issued(0, later, true);
    assert_eq!(session.next(later, |_| None), Action::ReportIssued(0));
}
