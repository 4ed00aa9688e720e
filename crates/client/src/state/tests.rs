//! Properties of what one process knows of one ring.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn offer(life: &str, revision: u64, primary: Option<u32>, accepted: &[u32]) -> Offer {
    Offer {
        keyset: Keyset {
            incarnation: Incarnation(life.into()),
            revision: Revision(revision),
            primary: primary.map(VersionNumber),
            accepted: accepted
                .iter()
                .map(|number| (VersionNumber(*number), Kid(format!("{life}{number}"))))
                .collect(),
            longest_lifetime: Span::from_secs(900),
            offline_max: Span::from_secs(3_600),
            lease_ttl: Span::from_secs(30),
            revocations_stale_after: None,
            ledger: false,
        },
        skew: Span::from_secs(5),
    }
}

fn state() -> ConsumerState {
    let mut state = ConsumerState::new("r".parse().unwrap());
    state.registered(vec![1], BootTime(1_000));
    state
}

fn answer(verdict: Verdict, life: &str, revision: u64) -> Acknowledged {
    Acknowledged {
        verdict,
        incarnation: Incarnation(life.into()),
        revision: Revision(revision),
        nonce: vec![9],
        revocations: None,
    }
}

fn report(state: &mut ConsumerState, oldest: Option<u64>) -> ReportPlan {
    state.report(oldest.map(Epoch), BootTime(2_000), BTreeMap::new).unwrap()
}

const T: BootTime = BootTime(2_000);

#[test]
fn an_older_keyset_is_refused_and_reported_once() {
    let mut state = state();
    assert_eq!(state.apply(offer("a", 7, Some(1), &[1]), T), Applied::Swapped);
    assert_eq!(state.apply(offer("a", 7, Some(1), &[1]), T), Applied::Unchanged);
    assert_eq!(state.apply(offer("a", 6, Some(1), &[1]), T), Applied::Refused);
    assert_eq!(state.held().unwrap().keyset.revision, Revision(7));
    let plan = report(&mut state, None);
    assert_eq!(plan.refused, Some(Revision(6)));
    state.acknowledge(answer(Verdict::Proved, "a", 7), T, T);
    assert_eq!(report(&mut state, None).refused, None);
}

#[test]
fn nobody_leads_back_into_a_life_that_was_left() {
    let mut state = state();
    state.apply(offer("a", 7, Some(1), &[1]), T);
    assert_eq!(state.apply(offer("b", 2, Some(1), &[1]), T), Applied::Swapped);
    assert_eq!(state.apply(offer("a", 7, Some(1), &[1]), T), Applied::Refused);
    // But an operator who takes the restore back goes on from where it was.
    assert_eq!(state.apply(offer("a", 8, Some(1), &[1]), T), Applied::Swapped);
    assert_eq!(state.apply(offer("b", 2, Some(1), &[1]), T), Applied::Refused);
}

#[test]
fn a_restored_ring_without_a_primary_rests_on_the_former_life() {
    let mut state = state();
    state.apply(offer("a", 7, Some(1), &[1, 2]), T);
    state.apply(offer("b", 2, None, &[1]), T);
    let (a, b) = (Incarnation("a".into()), Incarnation("b".into()));
    assert_eq!(state.protector(T).unwrap().incarnation, &a);
    let late = BootTime(1_000_000_000);
    assert!(state.accepts(&a, VersionNumber(2), late));
    assert!(state.accepts(&b, VersionNumber(1), late));
    // Work that rests on the former life is older than anything of this one.
    let plan = report(&mut state, None);
    assert_eq!((plan.oldest_guard, plan.primary, plan.prove), (Revision(0), None, true));
    assert!(!plan.accepted.contains_key(&VersionNumber(2)));

    let promoted = BootTime(10_000);
    state.apply(offer("b", 3, Some(1), &[1]), promoted);
    assert_eq!(state.protector(promoted).unwrap().incarnation, &b);
    let until = promoted.after(Span::from_secs(3_600 + 900 + 5));
    assert!(state.accepts(&a, VersionNumber(2), until.before(Span::from_millis(1))));
    assert!(!state.accepts(&a, VersionNumber(2), until));
    let epoch = state.epoch();
    assert!(!state.expire(until.before(Span::from_millis(1))));
    assert!(state.expire(until));
    assert!(state.former().is_empty() && state.epoch() > epoch);
}

#[test]
fn an_older_guard_keeps_the_report_old_until_it_is_dropped() {
    let mut state = state();
    state.apply(offer("a", 7, Some(1), &[1]), T);
    let began = state.epoch();
    state.apply(offer("a", 8, Some(2), &[1, 2]), T);
    assert_eq!(report(&mut state, Some(began.0)).oldest_guard, Revision(7));
    state.acknowledge(answer(Verdict::Proved, "a", 8), T, T);
    // As long as nothing changes, only the lease is due.
    assert_eq!(state.report_due(Some(began)), Some(T.after(Span::from_secs(10))));
    assert_eq!(state.report_due(None), Some(BootTime(0)));
    let plan = report(&mut state, None);
    assert_eq!((plan.oldest_guard, plan.prove), (Revision(8), false));
}

#[test]
fn what_was_counted_goes_out_until_it_is_acknowledged() {
    let mut state = state();
    state.apply(offer("a", 7, Some(1), &[1]), T);
    let counts =
        || BTreeMap::from([(VersionNumber(1), Counts { processed: 5, ..Counts::default() })]);
    let processed = |plan: &ReportPlan| plan.counts[&VersionNumber(1)].processed;
    let first = state.report(None, T, counts).unwrap();
    let second = state.report(None, T, counts).unwrap();
    assert_eq!((first.sequence, processed(&first)), (1, 5));
    assert_eq!((second.sequence, processed(&second)), (2, 10));
    assert_eq!(second.nonce, first.nonce);
    assert_eq!(state.acknowledge(answer(Verdict::Stale, "a", 7), T, T), Then::Prove);
    let third = state.report(None, T, counts).unwrap();
    assert_eq!((third.sequence, processed(&third), third.nonce), (3, 5, vec![9]));
}

#[test]
fn a_rejected_instance_starts_over_and_keeps_its_counts() {
    let mut state = state();
    state.apply(offer("a", 7, Some(1), &[1]), T);
    let counts = BTreeMap::from([(VersionNumber(1), Counts { rejected: 2, ..Counts::default() })]);
    state.report(None, T, || counts.clone()).unwrap();
    let contact = state.last_contact();
    let rejected = answer(Verdict::Rejected, "a", 7);
    assert_eq!(state.acknowledge(rejected, BootTime(5_000), T), Then::Reregister);
    assert_eq!(state.last_contact(), contact, "who is rejected was not heard");
    state.forgotten();
    assert_eq!(state.report_due(None), None);
    state.registered(vec![3], BootTime(6_000));
    let plan = state.report(None, T, BTreeMap::new).unwrap();
    assert_eq!((plan.sequence, plan.nonce, plan.prove), (1, vec![3], true));
    assert_eq!(plan.counts, counts);
}

#[test]
fn protecting_ends_offline_max_after_the_call_that_was_answered_began() {
    let mut state = state();
    assert_eq!(state.protector(T), Err(ProtectRefusal::NothingHeld));
    state.apply(offer("a", 7, Some(1), &[1]), T);
    report(&mut state, None);
    let asked = BootTime(50_000);
    state.acknowledge(answer(Verdict::Proved, "a", 7), asked, BootTime(59_000));
    let last = asked.after(Span::from_secs(3_600));
    assert!(state.protector(last).is_ok());
    let refusal = state.protector(BootTime(last.0 + 1)).unwrap_err();
    assert!(matches!(refusal, ProtectRefusal::Offline { .. }));
    let plan = state.report(None, last, BTreeMap::new).unwrap();
    assert_eq!(plan.stale_for, Some(Span::from_secs(3_600)));
    state.apply(offer("b", 1, None, &[2]), T);
    state.former.clear();
    assert_eq!(state.protector(T), Err(ProtectRefusal::NoPrimary));
}

#[test]
fn who_comes_back_protects_only_after_it_has_loaded_what_is_served() {
    let mut state = state();
    state.apply(offer("a", 7, Some(1), &[1]), T);
    report(&mut state, None);
    state.acknowledge(answer(Verdict::Proved, "a", 7), T, T);
    let back = BootTime(T.0 + 7_200_000);
    assert!(state.protector(back).is_err());
    // The server has heard it, but others may have retired version 1 long ago.
    report(&mut state, None);
    assert_eq!(state.acknowledge(answer(Verdict::Stale, "a", 9), back, back), Then::Load);
    assert!(state.protector(back).is_err());
    state.apply(offer("a", 9, Some(2), &[2]), back);
    assert_eq!(state.protector(back).unwrap().version, VersionNumber(2));
    // The same after a registration.
    let again = BootTime(back.0 + 7_200_000);
    state.registered(vec![2], again);
    assert!(state.protector(again).is_err());
    assert_eq!(state.apply(offer("a", 9, Some(2), &[2]), again), Applied::Unchanged);
    assert!(state.protector(again).is_ok());
}

fn deferred() -> ConsumerState {
    let mut state = ConsumerState::deferred("r".parse().unwrap());
    state.registered(vec![1], BootTime(1_000));
    state
}

fn confirm(state: &mut ConsumerState, revision: u64, level: EvidenceLevel) -> bool {
    state.confirm(&Incarnation("a".into()), Revision(revision), level)
}

/// Whether a report is due before the lease is.
fn has_news(state: &ConsumerState) -> bool {
    state.report_due(None).unwrap() < state.renew_at().unwrap()
}

#[test]
fn what_merely_arrived_for_another_is_not_proved_until_it_is_confirmed() {
    let mut state = deferred();
    state.apply(offer("a", 7, Some(1), &[1]), T);
    let plan = report(&mut state, None);
    assert_eq!((plan.prove, plan.evidence, plan.oldest_guard), (false, None, Revision(0)));
    assert_eq!(state.acknowledge(answer(Verdict::Stale, "a", 7), T, T), Then::Rest);
    assert!(!has_news(&state), "there is nothing to say until something is confirmed");
    assert!(!confirm(&mut state, 6, EvidenceLevel::Probed), "that is not what is held");
    assert!(confirm(&mut state, 7, EvidenceLevel::Attested) && has_news(&state));
    let plan = report(&mut state, None);
    assert_eq!((plan.prove, plan.evidence), (true, Some(EvidenceLevel::Attested)));
    assert_eq!(plan.oldest_guard, Revision(7));
    state.acknowledge(answer(Verdict::Proved, "a", 7), T, T);
    assert!(state.is_proved() && !has_news(&state));
    // The same once more is no news; stronger evidence is.
    confirm(&mut state, 7, EvidenceLevel::Attested);
    assert!(!has_news(&state));
    confirm(&mut state, 7, EvidenceLevel::Probed);
    assert!(has_news(&state) && !state.is_proved());
    assert_eq!(report(&mut state, None).evidence, Some(EvidenceLevel::Probed));
    state.acknowledge(answer(Verdict::Proved, "a", 7), T, T);

    // A newer keyset has to be delivered before it is proved; until then the consumer protects
    // with what was confirmed last.
    state.apply(offer("a", 8, Some(2), &[1, 2]), T);
    assert_eq!((state.confirmed(), has_news(&state)), (None, false));
    let plan = report(&mut state, None);
    assert_eq!((plan.revision, plan.prove, plan.oldest_guard), (Revision(8), false, Revision(7)));
    assert_eq!(state.acknowledge(answer(Verdict::Stale, "a", 8), T, T), Then::Rest);
    // Of another life nothing is known of what it protects with.
    state.apply(offer("b", 1, Some(1), &[1]), T);
    assert_eq!(report(&mut state, None).oldest_guard, Revision(0));
}

#[test]
fn a_server_that_lost_the_proof_of_what_was_confirmed_gets_it_again() {
    let mut state = deferred();
    state.apply(offer("a", 7, Some(1), &[1]), T);
    confirm(&mut state, 7, EvidenceLevel::Probed);
    report(&mut state, None);
    state.acknowledge(answer(Verdict::Proved, "a", 7), T, T);
    report(&mut state, None);
    assert_eq!(state.acknowledge(answer(Verdict::Stale, "a", 7), T, T), Then::Prove);
    assert!(report(&mut state, None).prove);
    state.forgotten();
    state.registered(vec![2], T);
    let plan = report(&mut state, None);
    assert_eq!((plan.prove, plan.evidence), (true, Some(EvidenceLevel::Probed)));
}

#[test]
fn a_trouble_goes_out_with_every_report_until_the_next_confirmation() {
    let mut state = deferred();
    state.apply(offer("a", 7, Some(1), &[1]), T);
    confirm(&mut state, 7, EvidenceLevel::Probed);
    report(&mut state, None);
    state.acknowledge(answer(Verdict::Proved, "a", 7), T, T);
    state.trouble("the probe\ngot 502");
    assert_eq!((state.confirmed(), has_news(&state)), (None, true));
    let plan = report(&mut state, None);
    assert_eq!((plan.prove, plan.trouble.as_deref()), (false, Some("the probe got 502")));
    assert_eq!(plan.oldest_guard, Revision(0));
    // The answer is lost: whether the server has heard of it is not known.
    assert!(has_news(&state));
    report(&mut state, None);
    assert_eq!(state.acknowledge(answer(Verdict::Stale, "a", 7), T, T), Then::Rest);
    assert!(!has_news(&state));
    state.trouble("the probe timed out");
    assert!(has_news(&state));
    assert_eq!(report(&mut state, None).trouble.as_deref(), Some("the probe timed out"));
    state.acknowledge(answer(Verdict::Stale, "a", 7), T, T);
    state.apply(offer("a", 8, Some(1), &[1]), T);
    assert!(report(&mut state, None).trouble.is_some(), "a newer keyset mends nothing");
    assert!(confirm(&mut state, 8, EvidenceLevel::Probed) && has_news(&state));
    let plan = report(&mut state, None);
    assert_eq!((plan.prove, plan.trouble), (true, None));
}

#[test]
fn a_trouble_that_was_over_before_its_answer_came_is_followed_by_a_proof() {
    let mut state = deferred();
    state.apply(offer("a", 7, Some(1), &[1]), T);
    confirm(&mut state, 7, EvidenceLevel::Probed);
    report(&mut state, None);
    state.acknowledge(answer(Verdict::Proved, "a", 7), T, T);
    state.trouble("x");
    report(&mut state, None);
    confirm(&mut state, 7, EvidenceLevel::Probed);
    // The server may have heard of the trouble or not.
    assert!(has_news(&state) && report(&mut state, None).prove);
}

#[test]
fn who_speaks_for_itself_has_nothing_to_confirm() {
    let mut state = state();
    state.apply(offer("a", 7, Some(1), &[1]), T);
    assert!(!confirm(&mut state, 7, EvidenceLevel::Probed));
    state.trouble("x");
    let plan = report(&mut state, None);
    assert_eq!((plan.prove, plan.evidence, plan.trouble), (true, None, None));
}

/// What a run of the state machine may meet.
#[derive(Clone, Copy, Debug)]
enum Step {
    Offer { life: u8, revision: u64, primary: bool },
    Guard,
    Drop(usize),
    Report { verdict: u8, behind: bool },
    Lose,
    Forget,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u8..3, 1_u64..12, any::<bool>())
            .prop_map(|(life, revision, primary)| Step::Offer { life, revision, primary }),
        4 => Just(Step::Guard),
        3 => any::<usize>().prop_map(Step::Drop),
        4 => (0_u8..4, any::<bool>())
            .prop_map(|(verdict, behind)| Step::Report { verdict, behind }),
        1 => Just(Step::Lose),
        1 => Just(Step::Forget),
        2 => (0_u64..2_000_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

/// A guard as the application holds it: of which life and revision its work is, and since when.
struct Held {
    epoch: Epoch,
    life: Incarnation,
    revision: Revision,
}

struct World {
    state: ConsumerState,
    guards: Vec<Held>,
    now: BootTime,
    sequence: u64,
}

impl World {
    fn oldest(&self) -> Option<Epoch> {
        self.guards.iter().map(|guard| guard.epoch).min()
    }

    fn invariant_report_is_true(&self, plan: &ReportPlan) {
        let held = &self.state.held().unwrap().keyset;
        assert_eq!((&plan.incarnation, plan.revision), (&held.incarnation, held.revision));
        for guard in &self.guards {
            if guard.life == plan.incarnation {
                assert!(plan.oldest_guard <= guard.revision);
            } else {
                assert_eq!(plan.oldest_guard, Revision(0));
            }
        }
        assert!(plan.oldest_guard <= plan.revision);
    }

    fn invariant_protects_only_with_what_is_accepted(&self) {
        if let Ok(protector) = self.state.protector(self.now) {
            let (life, version) = (protector.incarnation, protector.version);
            assert!(self.state.accepts(life, version, self.now));
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Offer { life, revision, primary } => {
                let life = ["a", "b", "c"][usize::from(life)];
                let before = self.state.held().map(|held| held.keyset.clone());
                let number = u32::try_from(revision).unwrap();
                let primary = primary.then_some(number);
                let applied = self.state.apply(offer(life, revision, primary, &[number]), self.now);
                let after = &self.state.held().unwrap().keyset;
                match before {
                    Some(before) if before.incarnation == after.incarnation => {
                        assert!(after.revision >= before.revision);
                        assert_eq!(after.revision > before.revision, applied == Applied::Swapped);
                    }
                    _ => assert_eq!(applied, Applied::Swapped),
                }
            }
            Step::Guard => {
                if let Ok(protector) = self.state.protector(self.now) {
                    let life = protector.incarnation.clone();
                    let of = |offer: &Offer| {
                        (offer.keyset.incarnation == life).then_some(offer.keyset.revision)
                    };
                    let former = self.state.former().iter().map(|former| &former.offer);
                    let revision = self.state.held().into_iter().chain(former).find_map(of);
                    let revision = revision.unwrap();
                    self.guards.push(Held { epoch: self.state.epoch(), life, revision });
                }
            }
            Step::Drop(index) => {
                if !self.guards.is_empty() {
                    self.guards.swap_remove(index % self.guards.len());
                }
            }
            Step::Report { verdict, behind } => self.report(verdict, behind),
            Step::Lose => {
                if let Some(plan) = self.state.report(self.oldest(), self.now, BTreeMap::new) {
                    self.invariant_report_is_true(&plan);
                }
            }
            Step::Forget => {
                self.state.forgotten();
                self.state.registered(vec![0], self.now);
                self.sequence = 0;
            }
            Step::Wait(millis) => {
                self.now = self.now.after(Span::from_millis(millis));
                self.state.expire(self.now);
            }
        }
    }

    fn report(&mut self, verdict: u8, behind: bool) {
        let Some(plan) = self.state.report(self.oldest(), self.now, BTreeMap::new) else { return };
        self.invariant_report_is_true(&plan);
        assert!(plan.sequence > self.sequence);
        self.sequence = plan.sequence;
        let verdict = [Verdict::Proved, Verdict::Renewed, Verdict::Stale, Verdict::Rejected]
            [usize::from(verdict)];
        let verdict =
            if verdict == Verdict::Proved && !plan.prove { Verdict::Renewed } else { verdict };
        let revision = if behind { plan.revision.next() } else { plan.revision };
        let acknowledged = Acknowledged {
            verdict,
            incarnation: plan.incarnation,
            revision,
            nonce: vec![1],
            revocations: None,
        };
        let then = self.state.acknowledge(acknowledged, self.now, self.now);
        if verdict == Verdict::Rejected {
            assert_eq!(then, Then::Reregister);
            return;
        }
        assert_eq!(then == Then::Load, behind);
        if verdict == Verdict::Proved && !behind {
            let due = self.state.report_due(self.oldest()).unwrap();
            assert!(due > self.now, "what was proved needs no proof");
        }
    }
}

proptest! {
    #[test]
    fn reports_never_claim_more_than_is_true(steps in steps()) {
        let mut world =
            World { state: state(), guards: Vec::new(), now: BootTime(1_000), sequence: 0 };
        let mut seen = BTreeSet::new();
        for step in steps {
            let epoch = world.state.epoch();
            world.step(step);
            prop_assert!(world.state.epoch() >= epoch);
            world.invariant_protects_only_with_what_is_accepted();
            if let Some(held) = world.state.held() {
                seen.insert((held.keyset.incarnation.clone(), held.keyset.revision));
            }
            prop_assert!(world.state.former().len() <= FORMER_LIVES_MAX);
        }
    }
}
