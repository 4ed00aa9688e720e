//! The way of a ring through a rotation and back, and the flaws that the model check once found:
//! each stands here as the shortest story that showed it.

use keywheel_core::id::{Incarnation, Revision, VersionNumber};
use keywheel_core::policy::{OnCompromise, Passive};
use keywheel_core::ring::{Direction, Exception, Law, Stage};
use keywheel_core::rotation::{Effect, Input, Notice, RefusedKind};
use keywheel_core::time::Span;
use keywheel_core::view::View;

use crate::common::{Driver, by, policy};

fn suspend(number: u32) -> Input {
    Input::Suspend { version: VersionNumber(number), by: by() }
}

fn resume(number: u32) -> Input {
    Input::ResumeVersion { version: VersionNumber(number) }
}

fn restore() -> Input {
    Input::Restore { incarnation: Incarnation("two".into()), by: by() }
}

fn compromise(driver: &mut Driver, number: u32, stale: bool) -> Input {
    let view = if stale { driver.stale_view() } else { driver.view() };
    let (version, fresh) = (VersionNumber(number), driver.fresh());
    let order = Some(OnCompromise::RejectFirst);
    Input::Compromise { version, by: by(), order, fresh, view }
}

#[test]
fn a_rotation_from_begin_to_end() {
    let mut driver = Driver::new(policy());
    driver.rotate();
    let mut stages = Vec::new();
    while let Some(path) = driver.ring.path.clone() {
        stages.push((path.stage, driver.state(1), driver.state(2)));
        driver.tick();
    }
    assert_eq!(
        stages,
        [
            (Stage::Stage, "primary", "staged"),
            (Stage::Publish, "primary", "published"),
            (Stage::Confirm, "primary", "published"),
            (Stage::Promote, "retiring", "primary"),
        ]
    );
    driver.wait(610).tick().tick();
    assert_eq!(driver.state(1), "retired");
    driver.wait(86_400).tick();
    assert_eq!(driver.state(1), "destroyed");
}

#[test]
fn a_rollback_to_a_retired_version_waits_for_room() {
    let mut policy = policy();
    policy.max_accepted = 2;
    let mut driver = Driver::new(policy);
    driver.rotate().finish().wait(700).tick().tick();
    driver.go(Input::Rollback { by: by() });
    let path = driver.ring.path.clone().unwrap();
    assert_eq!((path.stage, path.direction), (Stage::Stage, Direction::Back));
    assert_eq!(driver.state(1), "retired", "nobody accepts it before there is room");
    // Taken back before it began, it stays what it was.
    let mut back = Driver { ring: driver.ring.clone(), ..driver };
    back.go(Input::Rollback { by: by() });
    assert_eq!((back.state(1), back.ring.path.clone()), ("retired", None));
    driver.finish();
    assert_eq!((driver.state(1), driver.state(2)), ("primary", "retiring"));
}

#[test]
fn a_version_on_its_way_back_is_not_destroyed() {
    let mut policy = policy();
    policy.max_accepted = 2;
    let mut driver = Driver::new(policy);
    driver.rotate().finish().wait(700).tick().tick().tick();
    driver.go(Input::Rollback { by: by() });
    driver.wait(90_000);
    let view = driver.view();
    let refused = driver.ask(Input::Destroy { version: VersionNumber(1), view }).unwrap_err();
    assert_eq!(refused.cause, "v1 is on its way back");
    driver.tick();
    assert_eq!(driver.state(1), "published");
}

#[test]
fn a_suspended_version_does_not_overfill_the_accepted_set() {
    let mut policy = policy();
    policy.max_accepted = 2;
    let mut driver = Driver::new(policy);
    driver.rotate().finish().go(suspend(1)).rotate().tick();
    assert_eq!(driver.ring.accepted().count(), 2);
    let refused = driver.ask(resume(1)).unwrap_err();
    assert_eq!(refused.kind, RefusedKind::GateClosed);
    assert_eq!(refused.cause, "2 versions are accepted already");
}

#[test]
fn an_emergency_marks_a_successor_that_not_everybody_has() {
    let mut driver = Driver::new(policy());
    driver.rotate().finish().wait(700).tick().tick();
    driver.go(suspend(1)).go(resume(1));
    assert_eq!(driver.state(1), "retiring");
    let input = compromise(&mut driver, 2, true);
    driver.go(input);
    assert_eq!(driver.state(1), "primary");
    let marked = |exception| {
        driver
            .ring
            .bent
            .iter()
            .any(|bent| bent.version == VersionNumber(1) && bent.exception == exception)
    };
    assert!(marked(Exception::Compromise));
}

#[test]
fn a_ring_that_is_restored_twice_still_gets_a_primary() {
    let mut driver = Driver::new(policy());
    // As when an adoption broke off half way and is begun again.
    driver.go(restore());
    driver.go(Input::Restore { incarnation: Incarnation("three".into()), by: by() });
    let path = driver.ring.path.clone().unwrap();
    assert_eq!((path.target, path.direction), (VersionNumber(1), Direction::Restore));
    assert_eq!(driver.state(1), "published");
}

#[test]
fn a_restored_ring_that_is_compromised_gets_another_primary() {
    let mut driver = Driver::new(policy());
    driver.go(restore());
    assert_eq!(driver.ring.primary(), None);
    let refused = driver.ask(suspend(1)).unwrap_err();
    assert_eq!(refused.cause, "v1 is to be the primary of a restored ring");
    let input = compromise(&mut driver, 1, false);
    driver.go(input);
    assert_eq!(driver.ring.primary(), Some(VersionNumber(2)));
}

#[test]
fn what_was_on_its_way_at_a_backup_stays_accepted_after_the_restore() {
    let mut driver = Driver::new(policy());
    // It may have been promoted after the backup was taken.
    driver.rotate().tick().tick().go(restore());
    assert_eq!((driver.state(1), driver.state(2)), ("published", "retiring"));
    // Clients go on with either of them until there is a primary, so no tail moves before.
    driver.wait(700).tick().tick().tick();
    assert_eq!((driver.ring.primary(), driver.state(2)), (None, "retiring"));
    driver.wait(3_600).finish();
    assert_eq!((driver.state(1), driver.state(2)), ("primary", "retiring"));
    driver.wait(609).tick();
    assert_eq!(driver.state(2), "retiring", "its wait began with the switch");
    driver.wait(1).tick();
    assert_eq!(driver.state(2), "retired");
}

#[test]
fn a_larger_skew_counts_for_what_is_draining_already() {
    let mut driver = Driver::new(policy());
    driver.rotate().finish();
    let mut policy = policy();
    policy.skew = Span::from_secs(100);
    policy.longest_lifetime = Span::from_secs(1);
    let view = driver.view();
    driver.go(Input::Edit { policy: Box::new(policy), removing: None, view });
    driver.wait(699).tick();
    assert_eq!(driver.state(1), "retiring", "600 s of life and 100 s of skew");
    driver.wait(1).tick();
    assert_eq!(driver.state(1), "retired");
}

#[test]
fn a_waiver_for_one_instance_does_not_reach_another_version() {
    let mut driver = Driver::new(policy());
    driver.rotate().finish();
    // Make v2's promotion and v1's tail both wait for the same protector.
    driver.rotate().tick().tick().tick();
    let mut view = driver.view();
    for instance in &mut view.instances {
        instance.held.as_mut().unwrap().oldest_guard = Revision(1);
    }
    let instance = view.instances.iter().find(|one| one.consumer.as_str() == "issuer");
    let input = Input::Waive {
        gate: "protectors".parse().unwrap(),
        version: Some(VersionNumber(3)),
        instance: instance.map(|one| one.id.clone()),
        by: by(),
        lasts: Span::from_secs(60),
        view: view.clone(),
    };
    driver.go(input).go(Input::Tick { view });
    assert_eq!(driver.ring.path, None, "the path may end");
    let switched = matches!(
        driver.ring.versions[&VersionNumber(2)].state,
        keywheel_core::ring::State::Retiring { last_switch: None, .. }
    );
    assert!(switched, "the tail of v2 goes on waiting");
}

/// The notices of stalls that a tick gives, as stage, version and how many are missing.
fn stalls(driver: &mut Driver, mut view: View) -> Vec<(String, VersionNumber, usize)> {
    for instance in &mut view.instances {
        instance.last_contact = driver.now.cluster;
    }
    let step = driver.ask(Input::Tick { view }).unwrap();
    driver.ring = step.ring;
    let told = |effect| match effect {
        Effect::Notify { notice: Notice::Stalled { stage, version, missing, .. } } => {
            Some((stage, version, missing.len()))
        }
        _ => None,
    };
    step.effects.into_iter().filter_map(told).collect()
}

#[test]
fn a_tail_that_waits_for_an_instance_too_long_is_told_once() {
    let mut driver = Driver::new(policy());
    driver.rotate().finish().wait(610).tick();
    assert_eq!(driver.state(1), "retired");
    // One instance does not say that it let go.
    let mut behind = driver.view();
    behind.instances[0].held = driver.stale_view().instances[0].held;
    let stall_after = driver.ring.policy.stall_after.as_secs();
    driver.wait(stall_after - 1);
    assert_eq!(stalls(&mut driver, behind.clone()), []);
    driver.wait(1);
    assert_eq!(stalls(&mut driver, behind.clone()), [("retire".into(), VersionNumber(1), 1)]);
    driver.wait(stall_after);
    assert_eq!(stalls(&mut driver, behind.clone()), []);
    // It lets go at last; waiting for the moment of destruction is no stall.
    driver.tick();
    assert_eq!(driver.ring.versions[&VersionNumber(1)].stalled, None);
    driver.wait(stall_after);
    let view = driver.view();
    assert_eq!(stalls(&mut driver, view), []);
}

#[test]
fn protectors_that_do_not_switch_are_told_of_by_the_path_alone() {
    let mut driver = Driver::new(policy());
    driver.rotate().tick().tick().tick();
    assert_eq!(driver.ring.path.as_ref().map(|path| path.stage), Some(Stage::Promote));
    driver.wait(driver.ring.policy.stall_after.as_secs());
    let view = driver.stale_view();
    let told = stalls(&mut driver, view);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].0.as_str(), told[0].1), ("promote", VersionNumber(2)));
}

#[test]
fn a_ring_is_deleted_when_nobody_accepts_it_or_may_be_thought_to() {
    let delete = |view, lose_data| Input::Delete { by: by(), lose_data, view };
    let cause = |driver: &Driver, view| driver.ask(delete(view, false)).unwrap_err();
    let mut driver = Driver::new(policy());
    let live = driver.view();
    assert_eq!(cause(&driver, live.clone()).kind, RefusedKind::GateClosed);
    let refused = driver.ask(delete(live.clone(), true)).unwrap_err();
    assert!(refused.cause.contains("still accepts it"), "{refused}");
    // It falls silent: it may run, until it is gone.
    driver.wait(driver.ring.policy.lease_ttl.as_secs() + 1);
    let refused = cause(&driver, live.clone());
    assert!(refused.cause.contains("is lost and may run"), "{refused}");
    let forced = driver.ask(delete(live.clone(), true)).unwrap().ring;
    assert!(forced.deleted.is_some());
    let bent: Vec<_> = forced.bent.iter().map(|bent| (bent.law, bent.exception)).collect();
    assert_eq!(bent, [(Law::StopUseBeforeAcceptance, Exception::Waiver)]);
    driver.wait(driver.ring.silence().as_secs());
    let gone = driver.ask(delete(live, false)).unwrap().ring;
    assert!(gone.deleted.is_some() && gone.bent.is_empty());
}

#[test]
fn a_ring_with_unseen_users_is_not_deleted_without_a_word() {
    let delete = |lose_data| Input::Delete { by: by(), lose_data, view: View::default() };
    let mut cached = policy();
    cached.passive =
        [("cdn".to_owned(), Passive::declared(Span::from_secs(60), Span::from_secs(60)))].into();
    let driver = Driver::new(cached);
    let refused = driver.ask(delete(false)).unwrap_err();
    assert!(refused.cause.contains("passive consumer `cdn`"), "{refused}");
    assert!(driver.ask(delete(true)).unwrap().ring.deleted.is_some());
    // After a restore nobody is known, and everybody may run.
    let mut driver = Driver::new(policy());
    driver.go(restore());
    let refused = driver.ask(delete(false)).unwrap_err();
    assert!(refused.cause.contains("restored store does not know of"), "{refused}");
    driver.wait(driver.ring.silence().as_secs());
    assert!(driver.ask(delete(false)).unwrap().ring.deleted.is_some());
}
