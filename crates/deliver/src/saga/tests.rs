//! Every way that a delivery of up to three sinks can go: each act with each outcome, to the end.

use super::*;

const SHAPES: [Shape; 2] = [
    Shape { is_reversible: true, is_touched: false },
    Shape { is_reversible: true, is_touched: true },
];
const ONE_WAY: Shape = Shape { is_reversible: false, is_touched: false };

type Step = (Act, Outcome);
type Way = [Step];
/// Judges a whole way, from the shapes of the sinks and whether there was no return to its end.
type Judge<'a> = dyn FnMut(&[Shape], bool, &Way, &End) + 'a;

fn outcomes(act: Act) -> Vec<Outcome> {
    let bad = [Outcome::Refused("no".into()), Outcome::Failed("half".into())];
    let good = match act {
        Act::Prepare(_) => vec![
            Outcome::Needs(Need::Write),
            Outcome::Needs(Need::Reload),
            Outcome::Needs(Need::Nothing),
        ],
        _ => vec![Outcome::Done],
    };
    good.into_iter().chain(bad).collect()
}

/// Goes every way from here, and gives each whole way to `judge`.
fn explore(saga: &Saga, way: &mut Vec<Step>, judge: &mut dyn FnMut(&Way, &End)) {
    match saga.next() {
        Next::Ended(end) => judge(way, &end),
        Next::Do(act) => {
            assert!(way.len() < 64, "no end: {way:?}");
            for outcome in outcomes(act) {
                let mut next = saga.clone();
                next.step(act, outcome.clone()).unwrap();
                way.push((act, outcome));
                explore(&next, way, judge);
                way.pop();
            }
        }
    }
}

fn all(judge: &mut Judge<'_>) -> usize {
    let mut ways = 0;
    let mut worlds = vec![vec![]];
    for one in SHAPES {
        worlds.push(vec![one]);
        worlds.push(vec![one, ONE_WAY]);
        for two in SHAPES {
            worlds.push(vec![one, two]);
        }
    }
    worlds.push(vec![ONE_WAY]);
    worlds.push(vec![SHAPES[0], SHAPES[1], SHAPES[0]]);
    for shapes in worlds {
        for no_return in [false, true] {
            let is_possible = !no_return || shapes.last().is_some_and(|last| !last.is_reversible);
            if is_possible {
                let saga = Saga::new(&shapes, no_return);
                explore(&saga, &mut Vec::new(), &mut |way, end| {
                    ways += 1;
                    judge(&shapes, no_return, way, end);
                });
            }
        }
    }
    ways
}

fn done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done | Outcome::Needs(_))
}

#[test]
fn nothing_is_touched_before_all_is_prepared_and_the_intent_is_durable() {
    let ways = all(&mut |shapes, _, way, _| {
        let first_touch = way
            .iter()
            .position(|(act, _)| matches!(act, Act::Swap(_) | Act::Write(_) | Act::Reload(_)));
        let Some(first_touch) = first_touch else { return };
        for index in 0..shapes.len() {
            let prepared = way.iter().take(first_touch).any(|(act, outcome)| {
                *act == Act::Prepare(index) && matches!(outcome, Outcome::Needs(_))
            });
            assert!(prepared, "{way:?}");
        }
        let first_write =
            way.iter().position(|(act, _)| matches!(act, Act::Swap(_) | Act::Write(_)));
        if let Some(first_write) = first_write {
            let recorded =
                way.iter().take(first_write).any(|step| *step == (Act::Record, Outcome::Done));
            assert!(recorded, "{way:?}");
        }
        for (at, (act, _)) in way.iter().enumerate() {
            if let Act::Write(index) = act {
                let before = &way[at - 1];
                assert_eq!(*before, (Act::RecordNoReturn(*index), Outcome::Done), "{way:?}");
            }
        }
    });
    assert!(ways > 10_000, "{ways}");
}

#[test]
fn a_failure_takes_back_what_was_written_and_nothing_else_last_to_first() {
    all(&mut |shapes, no_return, way, end| {
        let wrote = way.iter().filter_map(|(act, outcome)| match (act, outcome) {
            (Act::Swap(index), Outcome::Done | Outcome::Failed(_)) => Some(*index),
            _ => None,
        });
        let past_return = no_return
            || way.iter().any(|(act, outcome)| matches!(act, Act::Write(_)) && done(outcome));
        let touched =
            shapes.iter().enumerate().filter(|(_, shape)| shape.is_touched).map(|(at, _)| at);
        let mut expected: Vec<usize> = wrote.chain(touched).collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        expected.dedup();
        let back: Vec<usize> = way
            .iter()
            .filter_map(|(act, _)| match act {
                Act::PutBack(index) => Some(*index),
                _ => None,
            })
            .collect();
        match end {
            End::Delivered { .. } => assert!(back.is_empty(), "{way:?}"),
            _ if past_return || back.is_empty() && expected.is_empty() => {
                assert!(back.is_empty(), "{way:?}");
            }
            _ if way.iter().any(|(act, _)| *act == Act::Settle) && back.is_empty() => {
                panic!("a failed settlement is taken back: {way:?}");
            }
            _ => assert_eq!(back, expected, "{way:?}"),
        }
    });
}

#[test]
fn all_is_delivered_exactly_when_every_act_was_done() {
    all(&mut |_, _, way, end| {
        let all_done = way.iter().all(|(_, outcome)| done(outcome));
        assert_eq!(matches!(end, End::Delivered { .. }), all_done, "{way:?}");
        if let End::TakenBack { .. } = end {
            let back_done = way
                .iter()
                .filter(|(act, _)| {
                    matches!(
                        act,
                        Act::PutBack(_) | Act::ReloadBack(_) | Act::ProbeBack(_) | Act::SettleBack
                    )
                })
                .all(|(_, outcome)| done(outcome));
            assert!(back_done, "{way:?}");
        }
    });
}

#[test]
fn a_durable_intent_is_closed_unless_the_delivery_is_stuck() {
    all(&mut |shapes, no_return, way, end| {
        let open = no_return
            || shapes.iter().any(|shape| shape.is_touched)
            || way.contains(&(Act::Record, Outcome::Done));
        let closed = way.contains(&(Act::Settle, Outcome::Done))
            || way.contains(&(Act::SettleBack, Outcome::Done));
        match end {
            End::Stuck { .. } => assert!(!closed, "{way:?}"),
            _ if open => assert!(closed, "{way:?}"),
            _ => {}
        }
    });
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let acts = [
        Act::Prepare(0),
        Act::Record,
        Act::Swap(0),
        Act::RecordNoReturn(0),
        Act::Write(0),
        Act::Reload(0),
        Act::Probe(0),
        Act::ProbeAll,
        Act::Settle,
        Act::PutBack(0),
        Act::ReloadBack(0),
        Act::ProbeBack(0),
        Act::SettleBack,
    ];
    let outcomes = [
        Outcome::Done,
        Outcome::Needs(Need::Write),
        Outcome::Refused("no".into()),
        Outcome::Failed("half".into()),
    ];
    let mut saga = Saga::new(&[SHAPES[0]], false);
    for good in [
        (Act::Prepare(0), Outcome::Needs(Need::Write)),
        (Act::Record, Outcome::Done),
        (Act::Swap(0), Outcome::Done),
        (Act::Reload(0), Outcome::Failed("no".into())),
        (Act::PutBack(0), Outcome::Done),
        (Act::ReloadBack(0), Outcome::Done),
        (Act::ProbeBack(0), Outcome::Done),
        (Act::SettleBack, Outcome::Done),
    ] {
        for act in acts {
            for outcome in &outcomes {
                let needs = matches!(outcome, Outcome::Needs(_));
                let prepares = matches!(act, Act::Prepare(_));
                let fits =
                    !matches!(outcome, Outcome::Done | Outcome::Needs(_)) || needs == prepares;
                if act == good.0 && fits {
                    continue;
                }
                let before = saga.clone();
                let refused = saga.step(act, outcome.clone()).unwrap_err();
                assert_eq!((refused.act, &refused.outcome), (act, outcome));
                assert_eq!(saga, before);
            }
        }
        saga.step(good.0, good.1).unwrap();
    }
    assert_eq!(saga.next(), Next::Ended(End::TakenBack { why: "no".into() }));
    assert!(saga.step(Act::Settle, Outcome::Done).is_err());
}
