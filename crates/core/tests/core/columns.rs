//! Columns that hold values under a ring's keys, and the gate `reencryption` that believes counts.

use keywheel_core::gate::{
    ColumnReport, EvidenceLevel, Gate, GateStatus, REENCRYPTION, Scene, Verdict,
};
use keywheel_core::guard::Guards;
use keywheel_core::id::{ConsumerName, Incarnation, Revision, VersionNumber};
use keywheel_core::kind::{EncryptionAlgorithm, Kind};
use keywheel_core::plan::plan;
use keywheel_core::policy::Policy;
use keywheel_core::ring::{Exception, Ring, State};
use keywheel_core::rotation::{Effect, Input, Notice, Refused, RefusedKind};
use keywheel_core::time::{ClusterTime, Span};

use crate::common::{Driver, by, column, consumer_name, policy};

const CARD: &str = "orders.card";
const SSN: &str = "users.ssn";

fn with(names: &[&str]) -> Policy {
    let mut policy = policy();
    policy.kind = Kind::Encryption { algorithm: EncryptionAlgorithm::Passphrase };
    policy.destroy_after = None;
    policy.columns = names.iter().map(|name| column(name)).collect();
    policy
}

/// A ring whose first version waits for its columns only.
fn draining(names: &[&str]) -> Driver {
    let mut driver = Driver::new(with(names));
    driver.rotate().finish().wait(10_000).tick();
    assert_eq!(driver.state(1), "retiring");
    assert!(driver.ring.versions[&VersionNumber(1)].switched.is_some());
    driver
}

/// A verified zero of now.
fn zero(driver: &Driver) -> ColumnReport {
    ColumnReport {
        version: VersionNumber(1),
        seen: driver.ring.revision,
        left: 0,
        moved: 880,
        quarantined: 0,
        rows: 1_000,
        verified: true,
    }
}

fn input(driver: &Driver, column: &str, report: ColumnReport) -> Input {
    Input::Column {
        column: column.parse().unwrap(),
        incarnation: driver.ring.incarnation.clone(),
        report,
        worker: None,
        by: "mover".into(),
    }
}

#[track_caller]
fn report(driver: &mut Driver, column: &str, report: ColumnReport) {
    let input = input(driver, column, report);
    driver.go(input);
}

#[track_caller]
fn refused(driver: &Driver, input: Input) -> Refused {
    let refused = driver.ask(input).unwrap_err();
    assert!(!refused.remedy.is_empty());
    refused
}

fn gate_of(driver: &Driver, number: u32) -> Option<Gate> {
    let (view, ring, now) = (driver.view(), &driver.ring, driver.now);
    let scene = Scene { ring, view: &view, now, guards: Guards::ALL };
    let number = VersionNumber(number);
    let gates = scene.tail_gates(number, &ring.versions[&number]);
    gates.into_iter().find(|gate| gate.name == REENCRYPTION)
}

fn said(driver: &Driver) -> String {
    match gate_of(driver, 1).map(|gate| gate.status) {
        None => "no gate".into(),
        Some(GateStatus::Open { level }) => format!("open: {level}"),
        Some(GateStatus::Waiting { on, .. }) => format!("waiting: {on}"),
        Some(GateStatus::Failed { why }) => format!("failed: {why}"),
        Some(GateStatus::Waived { by, .. }) => format!("waived: {}", by.reason),
    }
}

#[test]
fn every_column_must_have_shown_that_nothing_needs_the_version() {
    let mut driver = draining(&[CARD, SSN]);
    assert_eq!(
        said(&driver),
        "waiting: a verified zero of orders.card (no report), users.ssn (no report)"
    );
    let half = ColumnReport { left: 120, verified: false, ..zero(&driver) };
    report(&mut driver, CARD, half);
    let done = zero(&driver);
    report(&mut driver, SSN, done);
    assert_eq!(said(&driver), "waiting: a verified zero of orders.card (120 rows left, 880 moved)");
    let counted = ColumnReport { verified: false, ..zero(&driver) };
    report(&mut driver, CARD, counted);
    assert_eq!(
        said(&driver),
        "waiting: a verified zero of orders.card (0 rows left, 880 moved, not verified)"
    );
    driver.tick();
    assert_eq!(driver.state(1), "retiring");
    let done = zero(&driver);
    report(&mut driver, CARD, done);
    assert_eq!(said(&driver), "open: probed");
    driver.tick();
    assert_eq!(driver.state(1), "retired");
}

#[test]
fn rows_that_no_key_opens_fail_the_gate_and_are_named_with_their_count() {
    let mut driver = draining(&[CARD, SSN]);
    let bad = ColumnReport { quarantined: 3, ..zero(&driver) };
    report(&mut driver, CARD, bad);
    assert_eq!(said(&driver), "failed: no key opens rows of orders.card (3 rows)");
    let done = zero(&driver);
    report(&mut driver, CARD, done);
    assert_eq!(said(&driver), "waiting: a verified zero of users.ssn (no report)");
}

#[test]
fn a_zero_that_was_seen_before_the_last_switch_does_not_count() {
    let mut driver = Driver::new(with(&[CARD]));
    driver.rotate();
    for _ in 0..3 {
        driver.tick();
    }
    assert_eq!(driver.state(1), "retiring");
    let State::Retiring { last_switch: None, .. } = driver.ring.versions[&VersionNumber(1)].state
    else {
        panic!("a protector is still to switch")
    };
    let early = zero(&driver);
    report(&mut driver, CARD, early);
    driver.finish().wait(10_000).tick();
    let switched = driver.ring.versions[&VersionNumber(1)].switched.unwrap();
    assert!(early.seen < switched);
    assert_eq!(
        said(&driver),
        format!(
            "waiting: a verified zero of orders.card (counted at {}, before the last switch at \
             {switched})",
            early.seen
        )
    );
    // The very revision of the switch is new enough, the one before is not.
    let seen_at = |seen| ColumnReport { seen, ..early };
    report(&mut driver, CARD, seen_at(Revision(switched.0 - 1)));
    assert!(said(&driver).starts_with("waiting"));
    report(&mut driver, CARD, seen_at(switched));
    assert_eq!(said(&driver), "open: probed");
}

#[test]
fn rows_found_later_close_the_gate_until_a_count_that_knows_of_them() {
    let mut driver = draining(&[CARD]);
    let early = zero(&driver);
    report(&mut driver, CARD, early);
    assert_eq!(said(&driver), "open: probed");
    let late = ColumnReport { left: 1, ..zero(&driver) };
    report(&mut driver, CARD, late);
    assert_eq!(said(&driver), "waiting: a verified zero of orders.card (1 row left, 880 moved)");
    driver.tick();
    assert_eq!(driver.state(1), "retiring");
    // A count that began before the row was found may have passed it by, whenever it arrives.
    let before = driver.ring.clone();
    let stale = refused(&driver, input(&driver, CARD, early));
    assert_eq!(stale.kind, RefusedKind::Illegal);
    assert!(stale.cause.contains("before rows were found"), "{stale}");
    let moving = ColumnReport { verified: false, ..zero(&driver) };
    report(&mut driver, CARD, moving);
    assert!(driver.ask(input(&driver, CARD, early)).is_err());
    assert_ne!(driver.ring, before);
    let done = zero(&driver);
    report(&mut driver, CARD, done);
    assert_eq!(said(&driver), "open: probed");
}

#[test]
fn a_waiver_works_as_for_other_gates_and_leaves_its_mark() {
    let mut driver = draining(&[CARD]);
    let waive = Input::Waive {
        gate: REENCRYPTION.parse().unwrap(),
        version: None,
        instance: None,
        by: by(),
        lasts: Span::from_secs(60),
        view: driver.view(),
    };
    driver.go(waive);
    assert_eq!(said(&driver), "waived: a test");
    driver.tick();
    assert_eq!(driver.state(1), "retired");
    let bent = driver.ring.bent.last().unwrap();
    assert_eq!((bent.version, bent.exception), (VersionNumber(1), Exception::Waiver));
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let driver = draining(&[CARD]);
    let good = zero(&driver);
    let of = |report| input(&driver, CARD, report);
    let unknown = refused(&driver, input(&driver, SSN, good));
    assert_eq!(
        (unknown.kind, unknown.remedy.as_str()),
        (RefusedKind::NotFound, "Its columns are orders.card")
    );
    let no_version = of(ColumnReport { version: VersionNumber(9), ..good });
    assert_eq!(refused(&driver, no_version).kind, RefusedKind::NotFound);
    let tomorrow = of(ColumnReport { seen: driver.ring.revision.next(), ..good });
    assert_eq!(refused(&driver, tomorrow).kind, RefusedKind::Invalid);
    let Input::Column { column, report, by, .. } = of(good) else { unreachable!() };
    let speak = |incarnation: &str, worker: Option<ConsumerName>| Input::Column {
        column: column.clone(),
        incarnation: Incarnation(incarnation.into()),
        report,
        worker,
        by: by.clone(),
    };
    assert_eq!(refused(&driver, speak("two", None)).kind, RefusedKind::Invalid);
    let other = refused(&driver, speak("one", Some(consumer_name("issuer"))));
    assert_eq!(other.kind, RefusedKind::Forbidden);
    assert!(other.remedy.contains("gateway"), "{other}");
    driver.ask(speak("one", Some(consumer_name("gateway")))).unwrap();
    let nowhere = Driver::new(with(&[]));
    let none = refused(&nowhere, input(&nowhere, CARD, good));
    assert_eq!(none.remedy, "Declare it in the ring's policy first");
}

#[test]
fn nobody_opens_the_gate_by_word_where_something_can_be_counted() {
    let evidence = |verdict| Input::Evidence {
        gate: REENCRYPTION.parse().unwrap(),
        version: Some(VersionNumber(1)),
        verdict,
        level: EvidenceLevel::Probed,
        by: "somebody".into(),
    };
    let driver = draining(&[CARD, SSN]);
    for verdict in [Verdict::Pass, Verdict::Fail { why: "no".into() }] {
        let refused = refused(&driver, evidence(verdict));
        assert_eq!(refused.kind, RefusedKind::Illegal);
        assert!(refused.remedy.contains("orders.card, users.ssn"), "{refused}");
    }

    let mut plain = draining(&[]);
    assert_eq!(said(&plain), "waiting: a verified count of zero rows under it");
    plain.go(evidence(Verdict::Pass));
    assert_eq!(said(&plain), "open: probed");
    // Nor by a word of before, once the columns are taken out again.
    let view = plain.view();
    let edit = |names: &[&str]| Input::Edit {
        policy: Box::new(with(names)),
        removing: None,
        view: view.clone(),
    };
    plain.go(edit(&[CARD]));
    assert_eq!(said(&plain), "waiting: a verified zero of orders.card (no report)");
    plain.go(edit(&[]));
    assert_eq!(said(&plain), "waiting: a verified count of zero rows under it");
}

#[test]
fn a_version_that_was_primary_again_is_counted_anew() {
    let mut driver = draining(&[CARD]);
    let old = zero(&driver);
    report(&mut driver, CARD, old);
    assert_eq!(said(&driver), "open: probed");
    driver.go(Input::Rollback { by: by() }).finish();
    assert_eq!((driver.state(1), driver.state(2)), ("primary", "retiring"));
    // A count while it was the primary says nothing either.
    let meanwhile = zero(&driver);
    report(&mut driver, CARD, meanwhile);
    driver.rotate().finish().wait(10_000).tick();
    assert_eq!(driver.state(1), "retiring");
    assert!(said(&driver).contains("before the last switch"), "{}", said(&driver));
    driver.tick();
    assert_eq!(driver.state(1), "retiring");
    let done = zero(&driver);
    report(&mut driver, CARD, done);
    assert_eq!(said(&driver), "open: probed");
}

#[test]
fn a_version_that_was_suspended_is_counted_anew() {
    let mut driver = draining(&[CARD]);
    let old = zero(&driver);
    report(&mut driver, CARD, old);
    let version = VersionNumber(1);
    driver.go(Input::Suspend { version, by: by() });
    assert_eq!(said(&driver), "no gate");
    driver.go(Input::ResumeVersion { version }).tick().wait(10_000).tick();
    assert!(said(&driver).contains("before the last switch"), "{}", said(&driver));
}

/// A ring whose first version is in wrong hands, after its protectors have switched.
fn compromised(names: &[&str]) -> Driver {
    let mut driver = Driver::new(with(names));
    let (fresh, view) = (driver.fresh(), driver.view());
    let version = VersionNumber(1);
    driver.go(Input::Compromise { version, by: by(), order: None, fresh, view });
    driver.finish();
    assert!(driver.ring.versions[&version].switched.is_some());
    driver
}

fn is_readable(driver: &Driver, number: u32) -> bool {
    driver.ring.versions[&VersionNumber(number)].is_accepted(&driver.ring.policy)
}

#[test]
fn a_compromised_version_is_readable_until_nothing_needs_it_and_goes_then_at_once() {
    let mut driver = compromised(&[CARD]);
    assert_eq!(said(&driver), "waiting: a verified zero of orders.card (no report)");
    driver.wait(100_000).tick().tick();
    assert!(is_readable(&driver, 1), "no time ends it");
    let left = ColumnReport { left: 1, ..zero(&driver) };
    report(&mut driver, CARD, left);
    driver.tick();
    assert!(is_readable(&driver, 1), "a row needs it");
    let version = VersionNumber(1);
    let view = driver.view();
    let early = refused(&driver, Input::Destroy { version, view });
    assert!(early.cause.contains("still needs it"), "{early:?}");

    driver.go(Input::Pause { by: by() });
    let done = zero(&driver);
    report(&mut driver, CARD, done);
    driver.tick();
    assert_eq!((driver.state(1), is_readable(&driver, 1)), ("compromised", false));
    driver.tick().tick();
    let view = driver.view();
    driver.go(Input::Destroy { version, view });
    assert_eq!(driver.state(1), "destroyed");
}

#[test]
fn what_was_counted_before_a_version_was_compromised_does_not_let_it_go() {
    let mut driver = draining(&[CARD]);
    let done = zero(&driver);
    report(&mut driver, CARD, done);
    let (fresh, view) = (driver.fresh(), driver.view());
    let version = VersionNumber(1);
    driver.go(Input::Compromise { version, by: by(), order: None, fresh, view });
    driver.wait(100_000).tick().tick();
    assert!(said(&driver).contains("before the last switch"), "{}", said(&driver));
    assert!(is_readable(&driver, 1));
    let done = zero(&driver);
    report(&mut driver, CARD, done);
    driver.tick();
    assert!(!is_readable(&driver, 1));
}

#[test]
fn a_compromised_version_without_columns_waits_for_a_word_of_after_the_switch() {
    let mut driver = Driver::new(with(&[]));
    let word = |driver: &mut Driver| {
        driver.go(Input::Evidence {
            gate: REENCRYPTION.parse().unwrap(),
            version: Some(VersionNumber(1)),
            verdict: Verdict::Pass,
            level: EvidenceLevel::Attested,
            by: "mover".into(),
        });
    };
    let (fresh, view) = (driver.fresh(), driver.view());
    let version = VersionNumber(1);
    driver.go(Input::Compromise { version, by: by(), order: None, fresh, view });
    word(&mut driver);
    driver.finish();
    assert!(is_readable(&driver, 1), "the word was given before the switch");
    word(&mut driver);
    driver.tick();
    assert!(!is_readable(&driver, 1));
}

#[test]
fn a_compromised_version_that_sealed_nothing_goes_at_once() {
    let mut driver = Driver::new(with(&[CARD]));
    driver.rotate().tick();
    assert_eq!(driver.state(2), "published");
    let (fresh, view) = (driver.fresh(), driver.view());
    let version = VersionNumber(2);
    driver.go(Input::Compromise { version, by: by(), order: None, fresh, view });
    assert!(!is_readable(&driver, 2));
}

#[test]
fn what_was_counted_before_a_restore_is_forgotten() {
    let mut driver = draining(&[CARD]);
    let old = zero(&driver);
    report(&mut driver, CARD, old);
    let late = input(&driver, CARD, old);
    driver.go(Input::Restore { incarnation: Incarnation("two".into()), by: by() });
    assert!(driver.ring.columns.is_empty());
    assert_eq!(refused(&driver, late).kind, RefusedKind::Invalid);
    driver.wait(10_000).finish().wait(10_000).tick();
    assert_eq!(driver.state(1), "retiring");
    assert_eq!(said(&driver), "waiting: a verified zero of orders.card (no report)");
}

#[test]
fn a_column_that_is_taken_out_no_longer_counts_and_that_is_said() {
    let mut driver = draining(&[CARD, SSN]);
    let done = zero(&driver);
    report(&mut driver, SSN, done);
    let left = ColumnReport { left: 5, ..zero(&driver) };
    report(&mut driver, CARD, left);
    let view = driver.view();
    let edit = |policy: Policy| Input::Edit {
        policy: Box::new(policy),
        removing: None,
        view: view.clone(),
    };
    let released = |step: &keywheel_core::rotation::Step| {
        step.effects.iter().find_map(|effect| match effect {
            Effect::Notify { notice: Notice::ColumnsReleased { columns, versions } } => {
                Some((columns[0].to_string(), versions.clone()))
            }
            _ => None,
        })
    };
    let step = driver.ask(edit(with(&[SSN]))).unwrap();
    let told = Some((CARD.to_owned(), vec![VersionNumber(1)]));
    assert_eq!(released(&step), told);
    // One that is other data now has shown nothing, and one that only another moves has.
    let mut elsewhere = with(&[CARD, SSN]);
    elsewhere.columns.get_mut(&SSN.parse().unwrap()).unwrap().worker = consumer_name("issuer");
    elsewhere.columns.get_mut(&CARD.parse().unwrap()).unwrap().table = "orders_2".into();
    let moved = driver.ask(edit(elsewhere)).unwrap();
    assert_eq!(released(&moved), told);
    assert_eq!(moved.ring.columns.len(), 1);

    driver.ring = step.ring;
    assert_eq!(said(&driver), "open: probed");
    let nothing = driver.ask(edit(with(&[SSN]))).unwrap();
    assert_eq!(released(&nothing), None);
}

#[test]
fn a_document_of_before_waits_for_a_count_of_after_the_declaration() {
    let mut driver = draining(&[]);
    let mut stored = serde_json::to_value(&driver.ring).unwrap();
    stored["policy"].as_object_mut().unwrap().remove("columns");
    stored["versions"]["1"].as_object_mut().unwrap().remove("switched");
    driver.ring = serde_json::from_value::<Ring>(stored).unwrap();
    let old = zero(&driver);
    let view = driver.view();
    driver.go(Input::Edit { policy: Box::new(with(&[CARD])), removing: None, view });
    report(&mut driver, CARD, old);
    assert!(said(&driver).contains("before the last switch"), "{}", said(&driver));
    let done = zero(&driver);
    report(&mut driver, CARD, done);
    assert_eq!(said(&driver), "open: probed");
}

#[test]
fn a_ring_keeps_reports_about_versions_of_today() {
    let mut driver = draining(&[CARD]);
    let done = zero(&driver);
    report(&mut driver, CARD, done);
    driver.tick();
    assert_eq!((driver.state(1), driver.ring.columns.len()), ("retired", 1));
    driver.rotate();
    assert!(driver.ring.columns.is_empty());
}

#[test]
fn a_gate_names_few_of_many_columns_and_a_plan_names_all() {
    let names: Vec<_> = (0..12).map(|number| format!("orders.c{number:02}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let driver = draining(&names);
    let text = said(&driver);
    assert!(text.ends_with("orders.c07 (no report) and 4 more"), "{text}");
    let plan = plan(&driver.ring, &driver.view(), driver.now);
    let drain = plan.stages.iter().find(|stage| stage.stage == "drain").unwrap();
    let waits: Vec<_> = drain.waits_for.iter().filter(|wait| wait.contains("column")).collect();
    assert_eq!(waits.len(), 12);
    assert_eq!(waits[0], "a verified zero of column orders.c00, by gateway");
    assert!(driver.now.cluster > ClusterTime(0));
}
