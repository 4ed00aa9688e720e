//! Whether what a new primary protects is accepted: who is believed, who is named, and what nobody
//! can bring about by sending garbage.

use std::collections::BTreeMap;

use keywheel_core::gate::{Gate, GateStatus};
use keywheel_core::guard::Guards;
use keywheel_core::id::{InstanceId, VersionNumber};
use keywheel_core::policy::OnStall;
use keywheel_core::ring::Direction;
use keywheel_core::rotation::{Effect, Input, Notice};
use keywheel_core::time::Span;
use keywheel_core::view::{Counts, View};

use crate::common::{Driver, by, consumer_name, policy};

const OLD: VersionNumber = VersionNumber(1);
const NEW: VersionNumber = VersionNumber(2);

/// Processed, rejected, and refused as unknown.
type Did = (u64, u64, u64);

fn counts((processed, rejected, unknown): Did) -> Counts {
    Counts { processed, rejected, unknown, last_processed: None }
}

/// The ring after a rotation, with `gateways` more processes that verify.
fn promoted(on_stall: OnStall) -> Driver {
    let mut policy = policy();
    policy.on_stall = on_stall;
    let mut driver = Driver::new(policy);
    driver.rotate().finish();
    assert_eq!(driver.ring.primary(), Some(NEW));
    driver
}

/// What four gateways did with the old version and the new one.
fn seen(driver: &Driver, did: &[(Did, Did)]) -> View {
    let mut view = driver.view();
    let one = view.instances.iter().find(|one| one.consumer == consumer_name("gateway")).unwrap();
    let one = one.clone();
    view.instances.retain(|one| one.consumer != consumer_name("gateway"));
    for (index, (old, new)) in did.iter().enumerate() {
        let mut one = one.clone();
        one.id = InstanceId::try_from(format!("gateway-{index}")).unwrap();
        one.process = format!("web-{index}/7");
        one.counts = BTreeMap::from([(OLD, counts(*old)), (NEW, counts(*new))]);
        view.instances.push(one);
    }
    view
}

fn judged(driver: &Driver, did: &[(Did, Did)]) -> String {
    told(gate(driver, &seen(driver, did)))
}

fn gate(driver: &Driver, view: &View) -> Gate {
    let (ring, now) = (&driver.ring, driver.now);
    let scene = keywheel_core::gate::Scene { ring, view, now, guards: Guards::ALL };
    scene.watch().unwrap().1
}

fn told(gate: Gate) -> String {
    assert_eq!(gate.name, "health");
    match gate.status {
        GateStatus::Open { level } => format!("open, {level}"),
        GateStatus::Failed { why } => why,
        other => format!("{other:?}"),
    }
}

const FINE: (Did, Did) = ((1_000, 0, 0), (100, 0, 0));

#[test]
fn one_verifier_that_missed_the_key_is_found_among_many_and_named() {
    let driver = promoted(OnStall::Hold);
    let stale = ((1_000, 0, 0), (59, 0, 41));
    insta::assert_snapshot!(judged(&driver, &[FINE, stale, FINE, FINE]), @"web-1/7 of gateway: 41 % of v2 refused as unknown; the others: 0 %");
    assert_eq!(judged(&driver, &[FINE, FINE, FINE, FINE]), "open, exercised");
    assert_eq!(judged(&driver, &[]), "open, assumed");
}

#[test]
fn garbage_that_names_the_new_kid_at_one_instance_fails_nothing() {
    let driver = promoted(OnStall::Rollback);
    let flooded = ((1_000, 0, 0), (10, 1_000_000, 0));
    assert_eq!(judged(&driver, &[FINE, flooded, FINE]), "open, exercised");
    // With the instances that say too little to be judged alone, too.
    let quiet = ((1_000, 0, 0), (10, 0, 0));
    assert_eq!(judged(&driver, &[quiet, flooded, quiet]), "open, exercised");
}

#[test]
fn what_most_instances_reject_more_than_before_fails() {
    let driver = promoted(OnStall::Hold);
    let bad = ((1_000, 10, 0), (50, 50, 0));
    insta::assert_snapshot!(judged(&driver, &[bad, bad, FINE]), @"web-0/7 of gateway: 50 % of v2 rejected, under 1 % before; web-1/7 of gateway: 50 % of v2 rejected, under 1 % before; the others: 0 %");
    // Whoever was sent garbage before is sent it now.
    let as_before = ((500, 500, 0), (50, 50, 0));
    assert_eq!(judged(&driver, &[as_before, as_before, FINE]), "open, exercised");
    // Who is new is compared with everybody's level before.
    let new = ((0, 0, 0), (50, 50, 0));
    assert_eq!(judged(&driver, &[as_before, new]), "open, exercised");
    insta::assert_snapshot!(judged(&driver, &[new]), @"web-0/7 of gateway: 50 % of v2 rejected, 0 % before");
}

#[test]
fn a_few_verifications_say_nothing_alone_and_something_together() {
    let driver = promoted(OnStall::Hold);
    let few = ((0, 0, 0), (0, 0, 9));
    assert_eq!(judged(&driver, &[few]), "open, assumed");
    assert_eq!(judged(&driver, &[few, few]), "open, assumed");
    insta::assert_snapshot!(judged(&driver, &[few, few, few]), @"web-0/7 of gateway, web-1/7 of gateway, web-2/7 of gateway: 100 % of v2 refused as unknown");
}

#[test]
fn who_is_gone_or_cut_over_or_excused_is_not_judged() {
    let mut driver = promoted(OnStall::Hold);
    let stale = ((0, 0, 0), (0, 0, 100));
    let mut view = seen(&driver, &[stale]);
    assert!(!gate(&driver, &view).passes());
    let ended = |view: &mut View| view.instances.iter_mut().for_each(|one| one.ended = true);
    ended(&mut view);
    assert!(gate(&driver, &view).passes());

    let view = seen(&driver, &[stale]);
    let gateway = consumer_name("gateway");
    driver.ring.policy.consumers.get_mut(&gateway).unwrap().cutover = true;
    assert!(gate(&driver, &view).passes());
    driver.ring.policy.consumers.get_mut(&gateway).unwrap().cutover = false;

    driver.go(Input::Waive {
        gate: "health".parse().unwrap(),
        version: None,
        instance: Some("gateway-0".parse().unwrap()),
        by: by(),
        lasts: Span::from_secs(60),
        view: view.clone(),
    });
    assert!(gate(&driver, &view).passes());
    driver.wait(61);
    assert!(!gate(&driver, &view).passes());
}

fn notices(driver: &mut Driver, view: View) -> Vec<Notice> {
    let step = driver.ask(Input::Tick { view }).unwrap();
    driver.ring = step.ring;
    driver.ring.check().unwrap();
    let notices = step.effects.into_iter().filter_map(|effect| match effect {
        Effect::Notify { notice } => Some(notice),
        _ => None,
    });
    notices.collect()
}

#[test]
fn a_failure_after_the_path_is_told_once_and_held() {
    let mut driver = promoted(OnStall::Hold);
    let stale = ((0, 0, 0), (0, 0, 100));
    let view = seen(&driver, &[stale, FINE]);
    let told = notices(&mut driver, view.clone());
    let [Notice::Failed { version, gate, why }] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((*version, gate.as_str()), (NEW, "health"));
    assert!(why.contains("web-0/7 of gateway: 100 %"), "{why}");
    assert_eq!(notices(&mut driver, view), []);
    assert_eq!(driver.ring.primary(), Some(NEW), "the policy holds");
}

#[test]
fn a_failure_after_the_path_is_taken_back_where_the_policy_says_so() {
    let mut driver = promoted(OnStall::Rollback);
    let stale = ((0, 0, 0), (0, 0, 100));
    let view = seen(&driver, &[stale, FINE]);
    let told = notices(&mut driver, view.clone());
    assert!(
        told.iter()
            .any(|one| matches!(one, Notice::RolledBack { version: NEW, to: Some(OLD), .. })),
        "{told:?}"
    );
    assert_eq!(driver.ring.primary(), Some(OLD));
    assert_eq!(driver.ring.path.as_ref().unwrap().direction, Direction::Back);
    // The way back is not judged by what failed on the way there.
    driver.finish();
    assert_eq!(driver.ring.primary(), Some(OLD));
}

#[test]
fn nobody_watches_a_primary_for_ever() {
    let mut driver = promoted(OnStall::Rollback);
    let view = seen(&driver, &[((0, 0, 0), (0, 0, 100))]);
    driver.wait(driver.ring.policy.stall_after.as_secs());
    assert_eq!(driver.ring.watched(driver.now.cluster), None);
    let told = notices(&mut driver, view);
    assert!(!told.iter().any(|one| matches!(one, Notice::Failed { .. })), "{told:?}");
    assert_eq!(driver.ring.primary(), Some(NEW));
}
