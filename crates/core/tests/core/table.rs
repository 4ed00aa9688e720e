//! Every pair of a ring's state and an input: which moves, and which is refused and how.

use crate::common::{Driver, by, policy};
use keywheel_core::gate::{ColumnReport, EvidenceLevel, Verdict};
use keywheel_core::id::{Incarnation, InstanceId, VersionNumber};
use keywheel_core::policy::OnCompromise;
use keywheel_core::ring::Exception;
use keywheel_core::rotation::{Effect, Input, RefusedKind};
use keywheel_core::schedule::Cause;
use keywheel_core::time::{ClusterTime, Span};
use keywheel_core::view::View;

/// A ring in each situation that a forward path, an emergency or an operator can bring about.
fn situations() -> Vec<(&'static str, Driver)> {
    let mut policy = policy();
    policy.triggers.on_event = ["login".to_owned()].into();
    let new = || Driver::new(policy.clone());
    let after = |ticks: usize| {
        let mut driver = new();
        driver.rotate();
        for _ in 0..ticks {
            driver.tick();
        }
        driver
    };
    let done = || {
        let mut driver = after(0);
        driver.finish();
        driver
    };
    let and = |mut driver: Driver, input: Input| {
        driver.go(input);
        driver
    };
    let compromise = |driver: &mut Driver, version| {
        let (fresh, view) = (driver.fresh(), driver.view());
        let order = Some(OnCompromise::RejectFirst);
        Input::Compromise { version: VersionNumber(version), by: by(), order, fresh, view }
    };
    let mut emergency = done();
    let input = compromise(&mut emergency, 2);
    emergency.go(input);
    vec![
        ("new", new()),
        ("stage", after(0)),
        ("publish", after(1)),
        ("confirm", after(2)),
        ("promote", after(3)),
        ("done", done()),
        ("back", and(done(), Input::Rollback { by: by() })),
        ("emergency", emergency),
        (
            "restored",
            and(done(), Input::Restore { incarnation: Incarnation("two".into()), by: by() }),
        ),
        ("paused", and(after(2), Input::Pause { by: by() })),
        ("deleted", {
            let view = View::default();
            and(done(), Input::Delete { by: by(), lose_data: false, view })
        }),
    ]
}

/// An instance that its agent's lease has run out for, among others that are well.
fn lost(driver: &Driver) -> (InstanceId, View) {
    let mut view = driver.view();
    let mut well = view.instances[0].clone();
    well.id = InstanceId::try_from("another".to_owned()).unwrap();
    view.instances.push(well);
    let lost = &mut view.instances[0];
    (lost.endures, lost.held) = (true, None);
    lost.last_contact = ClusterTime(driver.now.cluster.0 - 31_000);
    (lost.id.clone(), view)
}

fn inputs(driver: &Driver) -> Vec<Input> {
    let version = VersionNumber(1);
    let view = driver.view();
    let stale = driver.stale_view();
    let mut edited = driver.ring.policy.clone();
    edited.hold = Span::from_secs(1);
    let minted = crate::common::minted(&driver.ring.policy.kind, 99);
    let (instance, lost) = lost(driver);
    vec![
        Input::Tick { view: view.clone() },
        Input::Rotate { cause: Cause::Interval, minted: minted.clone() },
        Input::Promote { view: view.clone() },
        Input::Promote { view: stale.clone() },
        Input::Approve { by: by() },
        Input::Rollback { by: by() },
        Input::Pause { by: by() },
        Input::Resume,
        Input::Suspend { version, by: by() },
        Input::ResumeVersion { version },
        Input::Compromise { version, by: by(), order: None, fresh: minted, view: view.clone() },
        Input::Destroy { version, view: view.clone() },
        Input::Waive {
            gate: "instances".parse().unwrap(),
            version: None,
            instance: None,
            by: by(),
            lasts: Span::from_secs(60),
            view: stale,
        },
        Input::EndInstance { instance: instance.clone(), by: by(), view: lost },
        Input::EndInstance { instance, by: by(), view: view.clone() },
        Input::Evidence {
            gate: "probes".parse().unwrap(),
            version: None,
            verdict: Verdict::Pass,
            level: EvidenceLevel::Probed,
            by: "prober".into(),
        },
        Input::Column {
            column: "orders.card".parse().unwrap(),
            incarnation: driver.ring.incarnation.clone(),
            report: ColumnReport {
                version,
                seen: driver.ring.revision,
                left: 0,
                moved: 0,
                quarantined: 0,
                rows: 0,
                verified: true,
            },
            worker: None,
            by: "mover".into(),
        },
        Input::Event { name: "login".into() },
        Input::Event { name: "logout".into() },
        Input::Edit { policy: Box::new(edited), removing: None, view: view.clone() },
        Input::Restore { incarnation: Incarnation("three".into()), by: by() },
        Input::Delete { by: by(), lose_data: false, view },
    ]
}

fn outcome(driver: &Driver, input: Input) -> &'static str {
    let before = driver.ring.clone();
    let word = match driver.ask(input) {
        Ok(step) if step.ring == before && step.effects.is_empty() => "-",
        Ok(step) => {
            step.ring.check().unwrap();
            "ok"
        }
        Err(refused) => {
            assert!(!refused.cause.is_empty() && !refused.remedy.is_empty(), "{refused:?}");
            match refused.kind {
                RefusedKind::Illegal => "illegal",
                RefusedKind::GateClosed => "closed",
                RefusedKind::NotFound => "missing",
                RefusedKind::Invalid => "invalid",
                _ => "other",
            }
        }
    };
    assert_eq!(driver.ring, before);
    word
}

#[test]
fn every_situation_and_input() {
    let situations = situations();
    let mut table = format!("{:<15}", "");
    for (name, _) in &situations {
        table.push_str(&format!("{name:>10}"));
    }
    for row in 0..inputs(&situations[0].1).len() {
        let name = inputs(&situations[0].1)[row].name();
        table.push_str(&format!("\n{name:<15}"));
        for (_, driver) in &situations {
            table.push_str(&format!("{:>10}", outcome(driver, inputs(driver).swap_remove(row))));
        }
    }
    insta::assert_snapshot!(table, @"
                      new     stage   publish   confirm   promote      done      back emergency  restored    paused   deleted
tick                    -        ok        ok        ok        ok         -        ok        ok        ok         -         -
rotate                 ok   illegal   illegal   illegal   illegal        ok   illegal   illegal   illegal   illegal   illegal
promote           illegal   illegal   illegal        ok   illegal   illegal   illegal   illegal   illegal   illegal   illegal
promote           illegal   illegal   illegal    closed   illegal   illegal   illegal   illegal   illegal   illegal   illegal
approve           illegal        ok        ok        ok   illegal   illegal   illegal   illegal        ok        ok   illegal
rollback          illegal        ok        ok        ok        ok        ok   illegal   illegal   illegal        ok   illegal
pause                  ok        ok        ok        ok        ok        ok        ok        ok        ok   illegal   illegal
resume            illegal   illegal   illegal   illegal   illegal   illegal   illegal   illegal   illegal        ok   illegal
suspend           illegal   illegal   illegal   illegal        ok        ok   illegal   illegal        ok   illegal   illegal
resume version    illegal   illegal   illegal   illegal   illegal   illegal   illegal   illegal   illegal   illegal   illegal
compromise             ok        ok        ok        ok        ok        ok        ok        ok        ok        ok   illegal
destroy            closed    closed    closed    closed    closed    closed    closed    closed    closed    closed   illegal
waive             illegal   illegal   illegal        ok   illegal   illegal   illegal   illegal   illegal        ok   illegal
end an instance        ok        ok        ok        ok        ok        ok        ok        ok        ok        ok   illegal
end an instance   illegal   illegal   illegal   illegal   illegal   illegal   illegal   illegal   illegal   illegal   illegal
evidence          illegal        ok        ok        ok        ok   illegal        ok        ok        ok        ok   illegal
column            missing   missing   missing   missing   missing   missing   missing   missing   missing   missing   illegal
event                  ok        ok        ok        ok        ok        ok        ok        ok        ok        ok   illegal
event             invalid   invalid   invalid   invalid   invalid   invalid   invalid   invalid   invalid   invalid   illegal
edit                   ok        ok        ok        ok        ok        ok        ok        ok        ok        ok   illegal
restore                ok        ok        ok        ok        ok        ok        ok        ok        ok        ok   illegal
delete             closed    closed    closed    closed    closed    closed    closed    closed    closed    closed   illegal
");
}

/// A ring that has a version in each state; the version's number comes with it.
fn versions() -> Vec<(Driver, u32)> {
    let replaced = || {
        let mut driver = Driver::new(policy());
        driver.rotate().finish();
        driver
    };
    let retired = || {
        let mut driver = replaced();
        driver.wait(700).tick().tick();
        driver
    };
    let mut staged = Driver::new(policy());
    staged.rotate();
    let mut published = Driver::new(policy());
    published.rotate().tick();
    let mut suspended = replaced();
    suspended.go(Input::Suspend { version: VersionNumber(1), by: by() });
    let mut compromised = replaced();
    let (fresh, view) = (compromised.fresh(), compromised.view());
    let version = VersionNumber(1);
    compromised.go(Input::Compromise { version, by: by(), order: None, fresh, view });
    let mut destroyed = retired();
    destroyed.wait(90_000).tick();
    vec![
        (staged, 2),
        (published, 2),
        (replaced(), 2),
        (replaced(), 1),
        (retired(), 1),
        (suspended, 1),
        (compromised, 1),
        (destroyed, 1),
    ]
}

#[test]
fn every_state_of_a_version_and_verb() {
    let mut table = format!("{:<12}", "");
    for verb in ["suspend", "resume", "compromise", "destroy"] {
        table.push_str(&format!("{verb:>11}"));
    }
    for (driver, number) in versions() {
        let version = VersionNumber(number);
        let view = driver.view();
        let fresh = crate::common::minted(&driver.ring.policy.kind, 99);
        table.push_str(&format!("\n{:<12}", driver.state(number)));
        for input in [
            Input::Suspend { version, by: by() },
            Input::ResumeVersion { version },
            Input::Compromise { version, by: by(), order: None, fresh, view: view.clone() },
            Input::Destroy { version, view },
        ] {
            table.push_str(&format!("{:>11}", outcome(&driver, input)));
        }
    }
    insta::assert_snapshot!(table, @"
                suspend     resume compromise    destroy
staged          illegal    illegal         ok     closed
published            ok    illegal         ok     closed
primary         illegal    illegal         ok     closed
retiring             ok    illegal         ok     closed
retired              ok    illegal         ok     closed
suspended             -         ok         ok     closed
compromised     illegal    illegal          -     closed
destroyed       illegal    illegal    illegal     closed
");
}

#[test]
fn a_version_that_is_not_there() {
    let driver = Driver::new(policy());
    let version = VersionNumber(9);
    for input in [
        Input::Suspend { version, by: by() },
        Input::ResumeVersion { version },
        Input::Destroy { version, view: driver.view() },
    ] {
        let refused = driver.ask(input).unwrap_err();
        assert_eq!(refused.kind, RefusedKind::NotFound);
        assert_eq!(refused.cause, "there is no v9 in this ring");
        assert_eq!(refused.remedy, "Its versions are v1 to v1");
    }
}

#[test]
fn an_instance_excused_at_a_gate_leaves_a_mark() {
    let mut driver = Driver::new(policy());
    driver.rotate().tick().tick();
    let mut view = driver.view();
    view.instances[0].held = None;
    let excused = view.instances[0].id.clone();
    let waive = |gate: &str| Input::Waive {
        gate: gate.parse().unwrap(),
        version: None,
        instance: Some(excused.clone()),
        by: by(),
        lasts: Span::from_secs(60),
        view: view.clone(),
    };
    driver.go(waive("instances"));
    assert_eq!(driver.ring.bent, vec![], "a waiver that nothing passed by yet bends nothing");
    driver.go(Input::Tick { view });
    assert_eq!(driver.state(2), "primary");
    let bent: Vec<_> = driver.ring.bent.iter().map(|bent| (bent.version, bent.exception)).collect();
    assert_eq!(bent, vec![(VersionNumber(2), Exception::Waiver)]);
}

#[test]
fn an_instance_ends_by_hand_once_it_is_silent_and_leaves_a_mark() {
    let mut driver = Driver::new(policy());
    driver.rotate().tick().tick();
    let (instance, mut view) = lost(&driver);
    let end = |view: &View| Input::EndInstance {
        instance: instance.clone(),
        by: by(),
        view: view.clone(),
    };
    let held = driver.ask(Input::Tick { view: view.clone() }).unwrap().ring;
    assert_eq!(held.versions[&VersionNumber(2)].state.name(), "published", "it is waited for");
    let step = driver.ask(end(&view)).unwrap();
    assert_eq!(step.effects[0], Effect::EndInstance { instance: instance.clone() });
    let bent = &step.ring.bent[0];
    assert_eq!((bent.version, bent.exception), (VersionNumber(2), Exception::EndedInstance));
    driver.ring = step.ring;
    view.instances[0].ended = true;
    let again = driver.ask(end(&view)).unwrap();
    assert_eq!((&again.ring, again.effects.len()), (&driver.ring, 0), "once is enough");
    driver.go(Input::Tick { view });
    assert_eq!(driver.state(2), "primary");

    let refused = driver.ask(end(&driver.view())).unwrap_err();
    assert_eq!(refused.kind, RefusedKind::Illegal);
    assert_eq!(
        refused.cause,
        format!("instance {instance} is live: it was heard within the last 30s")
    );
    let refused = driver.ask(end(&View::default())).unwrap_err();
    assert_eq!(refused.kind, RefusedKind::NotFound);
}
