//! The gate `findings`: what scans of code bases say about the consumers of a ring.

use keywheel_core::gate::{EvidenceLevel, FINDINGS, Gate, GateStatus, Scene, Verdict};
use keywheel_core::guard::Guards;
use keywheel_core::policy::OnStall;
use keywheel_core::ring::{Attribution, Stage};
use keywheel_core::rotation::{Effect, Input, Notice};
use keywheel_core::time::{ClusterTime, Now, Span, WallTime};
use keywheel_core::view::{BlockingPlace, Moment, PlaceWaiver, Scan, View};
use proptest::prelude::*;

use crate::common::{Driver, by, policy};

/// A ring whose new version waits for its promotion only.
fn confirming(required: bool, max_age: Option<Span>, on_stall: OnStall) -> Driver {
    let mut policy = policy();
    if required {
        policy.required_gates = [FINDINGS.parse().unwrap()].into();
    }
    policy.findings_max_age = max_age;
    policy.on_stall = on_stall;
    let mut driver = Driver::new(policy);
    driver.rotate().tick().tick();
    assert_eq!(driver.ring.path.as_ref().unwrap().stage, Stage::Confirm);
    driver
}

fn plain() -> Driver {
    confirming(true, Some(Span::from_secs(100)), OnStall::Hold)
}

fn place(place: &str, waived_until: Option<ClusterTime>) -> BlockingPlace {
    let waiver = waived_until.map(|until| {
        let by = Attribution { who: "bob".into(), reason: "it is switched off".into() };
        PlaceWaiver { by, until }
    });
    BlockingPlace { place: place.into(), waiver }
}

fn scan(name: &str, now: Now, blocking: Vec<BlockingPlace>) -> Scan {
    let at = Moment { cluster: now.cluster, wall: now.wall };
    Scan { name: name.parse().unwrap(), at, blocking, more: 0 }
}

fn seen(driver: &Driver, scans: Vec<Scan>) -> View {
    View { scans, ..driver.view() }
}

fn gate(driver: &Driver, scans: Vec<Scan>) -> Option<Gate> {
    let view = seen(driver, scans);
    let (ring, now) = (&driver.ring, driver.now);
    let scene = Scene { ring, view: &view, now, guards: Guards::ALL };
    let gates = scene.path_gates(ring.path.as_ref().unwrap());
    gates.into_iter().find(|gate| gate.name == FINDINGS)
}

fn said(gate: Option<Gate>) -> String {
    match gate.map(|gate| gate.status) {
        None => "no gate".into(),
        Some(GateStatus::Open { level }) => format!("open: {level}"),
        Some(GateStatus::Waiting { on, until, .. }) => format!("waiting: {on}, {until:?}"),
        Some(GateStatus::Failed { why }) => format!("failed: {why}"),
        Some(GateStatus::Waived { by, until }) => {
            format!("waived: {}: {}, {}", by.who, by.reason, until.0)
        }
    }
}

fn evidence(driver: &mut Driver, verdict: Verdict) {
    let (version, level, by) = (None, EvidenceLevel::Probed, "robot".into());
    let gate = FINDINGS.parse().unwrap();
    driver.go(Input::Evidence { gate, version, verdict, level, by });
}

#[test]
fn a_required_scan_is_waited_for() {
    let driver = plain();
    assert_eq!(
        said(gate(&driver, Vec::new())),
        "waiting: a scan: none was reported for this ring, None"
    );
    let clean = vec![scan("shop", driver.now, Vec::new())];
    assert_eq!(said(gate(&driver, clean)), "open: attested");
}

#[test]
fn each_place_that_would_break_is_named() {
    let driver = plain();
    let both = vec![place("a.py:1 (SECRET_KEY)", None), place("b.py:2 (SECRET_KEY)", None)];
    let scans = vec![scan("shop", driver.now, both), scan("site", driver.now, Vec::new())];
    assert_eq!(
        said(gate(&driver, scans)),
        "failed: 2 places would break: shop: a.py:1 (SECRET_KEY); shop: b.py:2 (SECRET_KEY)"
    );
    let one = vec![scan("shop", driver.now, vec![place("a.py:1", None)])];
    assert_eq!(said(gate(&driver, one)), "failed: 1 place would break: shop: a.py:1");

    let many = (0..12).map(|index| place(&format!("{index}"), None)).collect();
    let many = Scan { more: 30, ..scan("shop", driver.now, many) };
    let text = said(gate(&driver, vec![many]));
    assert!(text.starts_with("failed: 42 places would break: shop: 0; "), "{text}");
    assert!(text.ends_with("; shop: 7; and 34 more"), "{text}");
}

#[test]
fn a_gate_that_nobody_asked_for_speaks_only_when_something_would_break() {
    let driver = confirming(false, None, OnStall::Hold);
    assert_eq!(said(gate(&driver, Vec::new())), "no gate");
    let old = Now { cluster: ClusterTime::default(), wall: WallTime(0) };
    assert_eq!(said(gate(&driver, vec![scan("shop", old, Vec::new())])), "no gate");
    let broken = vec![scan("shop", old, vec![place("a.py:1", None)])];
    assert_eq!(said(gate(&driver, broken)), "failed: 1 place would break: shop: a.py:1");
}

#[test]
fn a_scan_grows_old_by_either_clock() {
    let driver = plain();
    let at = |cluster: u64, wall: i64| Now {
        cluster: ClusterTime(driver.now.cluster.0 - cluster * 1_000),
        wall: WallTime(driver.now.wall.0 - wall * 1_000),
    };
    let stale = "waiting: a newer scan of shop: the last one is older than 1m40s, None";
    for (cluster, wall, expected) in [
        (100, 100, "open: attested"),
        (101, 0, stale),
        (0, 101, stale),
        // A clock that was set back makes no scan old.
        (0, -500, "open: attested"),
    ] {
        let scans = vec![scan("shop", at(cluster, wall), Vec::new())];
        assert_eq!(said(gate(&driver, scans)), expected, "{cluster} {wall}");
    }
    let young = scan("api", driver.now, Vec::new());
    assert_eq!(said(gate(&driver, vec![young, scan("shop", at(101, 0), Vec::new())])), stale);
    let ageless = confirming(true, None, OnStall::Hold);
    assert_eq!(said(gate(&ageless, vec![scan("shop", at(900, 900), vec![])])), "open: attested");
}

#[test]
fn a_waived_place_passes_until_its_time_and_leaves_its_mark() {
    let mut driver = plain();
    let until = driver.now.cluster.after(Span::from_secs(60));
    let later = driver.now.cluster.after(Span::from_secs(90));
    let shop = |open: bool| {
        let first = place("a.py:1", (!open).then_some(until));
        scan("shop", driver.now, vec![first, place("b.py:2", Some(later))])
    };
    let (open, waived) = (vec![shop(true)], vec![shop(false)]);
    assert_eq!(said(gate(&driver, open)), "failed: 1 place would break: shop: a.py:1");
    assert_eq!(
        said(gate(&driver, waived.clone())),
        format!("waived: bob: it is switched off (and 1 more waived), {}", until.0)
    );
    let now = Now { cluster: until, ..driver.now };
    let over = Driver { ring: driver.ring.clone(), now, next_key: 9 };
    assert_eq!(said(gate(&over, waived.clone())), "failed: 1 place would break: shop: a.py:1");

    let view = seen(&driver, waived);
    driver.go(Input::Tick { view });
    assert_eq!(driver.ring.path.as_ref().unwrap().stage, Stage::Promote);
    assert!(driver.ring.bent.iter().any(|bent| bent.by.who == "bob"), "{:?}", driver.ring.bent);
}

#[test]
fn the_whole_gate_can_be_waived_as_any_other() {
    let mut driver = plain();
    let view = seen(&driver, vec![scan("shop", driver.now, vec![place("a.py:1", None)])]);
    driver.go(Input::Waive {
        gate: FINDINGS.parse().unwrap(),
        version: None,
        instance: None,
        by: by(),
        lasts: Span::from_secs(60),
        view: view.clone(),
    });
    assert!(said(gate(&driver, view.scans.clone())).starts_with("waived: alice"));
    driver.go(Input::Tick { view });
    assert_eq!(driver.ring.path.as_ref().unwrap().stage, Stage::Promote);
}

#[test]
fn what_was_said_by_hand_counts_where_no_scan_speaks() {
    let mut driver = plain();
    evidence(&mut driver, Verdict::Pass);
    assert_eq!(said(gate(&driver, Vec::new())), "open: probed");
    let broken = vec![scan("shop", driver.now, vec![place("a.py:1", None)])];
    assert_eq!(said(gate(&driver, broken)), "failed: 1 place would break: shop: a.py:1");
    evidence(&mut driver, Verdict::Fail { why: "our own scanner says no".into() });
    let clean = vec![scan("shop", driver.now, Vec::new())];
    assert_eq!(said(gate(&driver, clean)), "failed: our own scanner says no");

    let mut unasked = confirming(false, None, OnStall::Hold);
    evidence(&mut unasked, Verdict::Fail { why: "no".into() });
    assert_eq!(said(gate(&unasked, Vec::new())), "failed: no");
    evidence(&mut unasked, Verdict::Pass);
    assert_eq!(said(gate(&unasked, Vec::new())), "no gate");
}

#[test]
fn what_stood_there_before_is_not_taken_back_at_once() {
    let mut driver = confirming(true, None, OnStall::Rollback);
    let target = driver.ring.path.as_ref().unwrap().target;
    let broken = vec![scan("shop", driver.now, vec![place("a.py:1", None)])];
    let view = seen(&driver, broken.clone());
    let step = driver.ask(Input::Tick { view }).unwrap();
    driver.ring = step.ring.clone();
    assert!(!step.effects.iter().any(|effect| matches!(effect, Effect::Notify { .. })));
    assert_eq!(driver.ring.path.as_ref().unwrap().target, target);

    driver.now.cluster = driver.now.cluster.after(driver.ring.policy.stall_after);
    let view = seen(&driver, broken);
    let step = driver.ask(Input::Tick { view }).unwrap();
    driver.ring = step.ring.clone();
    let failed = |effect: &Effect| {
        matches!(effect, Effect::Notify { notice: Notice::Failed { gate, why, .. } }
            if gate == FINDINGS && why.contains("shop: a.py:1"))
    };
    assert!(step.effects.iter().any(failed), "{:?}", step.effects);
    assert!(driver.ring.path.is_none());
}

proptest! {
    /// The gate opens only when nothing stands that would break, whatever the order and the age.
    #[test]
    fn no_place_without_a_standing_waiver_is_passed(
        places in prop::collection::vec((0u8..3, prop::option::of(0u64..200)), 0..12),
        required in any::<bool>(),
        passed_secs in 0u64..200,
    ) {
        let mut driver = confirming(required, Some(Span::from_secs(150)), OnStall::Hold);
        let began = driver.now;
        let mut scans: Vec<Scan> = Vec::new();
        for index in 0..3u8 {
            let own = places.iter().filter(|(scan, _)| *scan == index);
            let own = own.map(|(_, waived)| {
                place("x", waived.map(|secs| began.cluster.after(Span::from_secs(secs))))
            });
            scans.push(scan(&format!("s{index}"), began, own.collect()));
        }
        let passed = Span::from_secs(passed_secs);
        driver.now =
            Now { cluster: began.cluster.after(passed), wall: began.wall.after(passed) };
        let stands = |waived: &Option<u64>| waived.is_some_and(|secs| passed_secs < secs);
        let breaks = places.iter().any(|(_, waived)| !stands(waived));
        let gate = gate(&driver, scans);
        let passes = gate.as_ref().is_none_or(Gate::passes);
        let is_old = required && passed_secs > 150;
        prop_assert_eq!(passes, !breaks && !is_old, "{:?}", gate);
        if let Some(GateStatus::Waived { until, .. }) = gate.map(|gate| gate.status) {
            let ends = places.iter().filter_map(|(_, waived)| *waived).min();
            let ends = ends.map(|secs| began.cluster.after(Span::from_secs(secs)));
            prop_assert_eq!(Some(until), ends);
        }
    }
}
