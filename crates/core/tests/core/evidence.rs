//! How strongly something must have been shown, and instances that silence does not end.

use std::collections::BTreeMap;

use keywheel_core::gate::{EvidenceLevel, Gate, GateStatus};
use keywheel_core::guard::Guards;
use keywheel_core::policy::Consumer;
use keywheel_core::ring::Stage;
use keywheel_core::time::Span;
use keywheel_core::view::{Counts, Instance, Standing, View};

use crate::common::{Driver, consumer_name, policy};

/// A rotation that waits for its consumers, of which one must be probed.
fn confirming(cutover: bool) -> Driver {
    let mut policy = policy();
    let gateway = policy.consumers.get_mut(&consumer_name("gateway")).unwrap();
    gateway.min_evidence = EvidenceLevel::Probed;
    gateway.cutover = cutover;
    gateway.role = keywheel_core::policy::Role::Protect;
    let mut driver = Driver::new(policy);
    driver.rotate().tick().tick();
    assert_eq!(driver.ring.path.as_ref().unwrap().stage, Stage::Confirm);
    driver
}

fn shown(driver: &Driver, level: EvidenceLevel) -> View {
    let mut view = driver.view();
    for instance in &mut view.instances {
        instance.held.as_mut().unwrap().level = level;
    }
    view
}

fn gate(driver: &Driver, view: &View, name: &str) -> Gate {
    let (ring, now) = (&driver.ring, driver.now);
    let scene = keywheel_core::gate::Scene { ring, view, now, guards: Guards::ALL };
    let gates = scene.path_gates(ring.path.as_ref().unwrap());
    gates.into_iter().find(|gate| gate.name == name).unwrap()
}

fn whys(gate: &Gate) -> Vec<(String, String)> {
    match &gate.status {
        GateStatus::Waiting { missing, .. } => missing
            .iter()
            .map(|laggard| (laggard.consumer.to_string(), laggard.why.clone()))
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn what_was_shown_too_weakly_does_not_count() {
    let mut driver = confirming(false);
    let missing = |driver: &Driver, level| whys(&gate(driver, &shown(driver, level), "instances"));
    let pair = |why: &str| vec![("gateway".to_owned(), why.to_owned())];
    assert_eq!(missing(&driver, EvidenceLevel::Attested), pair("shown by attested, needs probed"));
    assert_eq!(missing(&driver, EvidenceLevel::Held), pair("shown by held, needs probed"));
    assert!(missing(&driver, EvidenceLevel::Probed).is_empty());

    // What a process did counts for more than what it said, but for no probe.
    let target = driver.ring.path.as_ref().unwrap().target;
    let mut used = shown(&driver, EvidenceLevel::Held);
    for instance in &mut used.instances {
        let counts = Counts { processed: 1, ..Counts::default() };
        instance.counts = BTreeMap::from([(target, counts)]);
    }
    assert_eq!(whys(&gate(&driver, &used, "instances")), pair("shown by exercised, needs probed"));
    let gateway = consumer_name("gateway");
    let least = |driver: &mut Driver, level| {
        driver.ring.policy.consumers.get_mut(&gateway).unwrap().min_evidence = level;
    };
    least(&mut driver, EvidenceLevel::Exercised);
    assert!(gate(&driver, &used, "instances").passes());
}

#[test]
fn who_is_cut_over_is_asked_for_its_evidence_when_it_has_switched() {
    let mut driver = confirming(true);
    assert!(gate(&driver, &shown(&driver, EvidenceLevel::Held), "instances").passes());
    driver.tick();
    assert_eq!(driver.ring.path.as_ref().unwrap().stage, Stage::Promote);
    assert_eq!(
        whys(&gate(&driver, &shown(&driver, EvidenceLevel::Attested), "protectors")),
        [("gateway".into(), "shown by attested, needs probed".into())]
    );
    assert!(gate(&driver, &shown(&driver, EvidenceLevel::Probed), "protectors").passes());
}

#[test]
fn a_trouble_is_why_an_instance_is_missing() {
    let driver = confirming(false);
    let mut view = shown(&driver, EvidenceLevel::Probed);
    for instance in &mut view.instances {
        instance.held = None;
        instance.trouble = Some("probe /login answered 502".into());
    }
    let missing = whys(&gate(&driver, &view, "instances"));
    assert_eq!(missing.len(), 2);
    assert!(missing.iter().all(|(_, why)| why == "in trouble: probe /login answered 502"));
}

#[test]
fn silence_never_ends_an_instance_that_endures() {
    let mut driver = confirming(false);
    let mut view = shown(&driver, EvidenceLevel::Probed);
    for instance in &mut view.instances {
        instance.endures = instance.consumer == consumer_name("gateway");
        instance.held = None;
    }
    driver.wait(10 * 365 * 86_400);
    let standing =
        |instance: &Instance, driver: &Driver| instance.standing(&driver.ring, driver.now.cluster);
    let of = |view: &View, name: &str| {
        let name = consumer_name(name);
        view.instances.iter().find(|instance| instance.consumer == name).cloned().unwrap()
    };
    assert_eq!(standing(&of(&view, "gateway"), &driver), Standing::Lost);
    assert_eq!(standing(&of(&view, "issuer"), &driver), Standing::Gone);
    assert!(
        whys(&gate(&driver, &view, "instances"))
            .iter()
            .any(|(consumer, why)| { consumer == "gateway" && why == "has proved nothing yet" })
    );
    let mut ended = of(&view, "gateway");
    ended.ended = true;
    assert_eq!(standing(&ended, &driver), Standing::Gone);
    assert!(driver.ring.silence() < Span::from_secs(86_400));
}

#[test]
fn what_was_stored_before_these_fields_existed_still_opens() {
    let consumer: Consumer =
        serde_json::from_str(r#"{"role":"protect","min_instances":2,"cutover":false}"#).unwrap();
    assert_eq!(consumer.min_evidence, EvidenceLevel::Attested);
    let instance: Instance = serde_json::from_str(
        r#"{"id":"i","consumer":"web","last_contact":5,"ended":false,"held":null,"counts":{}}"#,
    )
    .unwrap();
    assert!(!instance.endures && instance.trouble.is_none());
}
