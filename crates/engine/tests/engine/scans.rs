//! What scans report: kept over restarts and told to every server, not believed when it was
//! edited, and never with what it was compared by.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use keywheel_core::gate::{FINDINGS, GateStatus};
use keywheel_core::id::{RingName, ScanName};
use keywheel_core::ring::Stage;
use keywheel_core::time::Span;
use keywheel_engine::{
    Context, Engine, EngineError, FINDING_WAIVER_MAX, FoundPlace, ImportedKey, Place, ReportedScan,
    RingScope, Tie, TiedRing,
};
use serde_json::json;

use crate::support::{World, context, named, ring, version, with};

const KEY: &str = "correct-horse-battery-staple-of-a-test";
const TOKEN: &str = "0123456789abcdef";

fn shop() -> ScanName {
    "shop".parse().unwrap()
}

fn place(id: &str, key: &str, blocking: bool) -> FoundPlace {
    let place = Place {
        id: id.into(),
        kind: "env_load".into(),
        rule: "os-environ".into(),
        key: key.into(),
        name: None,
        path: format!("{id}.py"),
        line: 3,
        column: 1,
        scope: Some("module".into()),
        hot_reload: if blocking { "no".into() } else { "yes".into() },
        source: "environment".into(),
        placeholder: None,
        sink: None,
        blocking,
        reason: "it is read once".into(),
        remedy: None,
        in_tests: false,
    };
    FoundPlace { place, mark: None }
}

fn scan(engine: &Engine, findings: Vec<FoundPlace>) -> ReportedScan {
    ReportedScan {
        name: shop(),
        nonce: engine.scan_nonce(TOKEN).unwrap().nonce,
        tool: "a test".into(),
        commit: None,
        rings: BTreeMap::from([(ring(), vec!["SECRET_KEY".into()])]),
        findings,
        left_out: 0,
    }
}

fn send(engine: &Engine, scan: &ReportedScan) -> Result<Vec<TiedRing>, EngineError> {
    engine.report_scan(scan, &RingScope::All, TOKEN, &context())
}

fn report(engine: &Engine, findings: Vec<FoundPlace>) -> Vec<TiedRing> {
    send(engine, &scan(engine, findings)).unwrap()
}

fn gate(engine: &Engine) -> GateStatus {
    let gates = engine.snapshot(&ring()).unwrap().gates;
    let own = gates.into_iter().flat_map(|(_, _, gates)| gates);
    own.into_iter().find(|gate| gate.name == FINDINGS).unwrap().status
}

fn why(engine: &Engine) -> String {
    match gate(engine) {
        GateStatus::Failed { why } => why,
        other => format!("{other:?}"),
    }
}

/// A rotation that has nothing to wait for but a scan.
fn confirming(more: &serde_json::Value) -> World {
    let world = World::new();
    let mut fields = json!({ "require": ["findings"], "passive": ["cdn=1s"], "consumer": [] });
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    world.create(&ring(), &with("secret", fields));
    world.rotate();
    world.pass_secs(4);
    assert_eq!(world.stage(), Some(Stage::Confirm));
    world
}

fn named_mark(nonce: &[u8], text: &str) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, nonce);
    hmac::sign(&key, text.as_bytes()).as_ref().try_into().unwrap()
}

#[test]
fn a_cold_place_holds_a_rotation_until_a_newer_report_is_clean() {
    let world = confirming(&json!({}));
    assert!(matches!(gate(&world.engine), GateStatus::Waiting { .. }));
    let tied = report(
        &world.engine,
        vec![
            place("a", "SECRET_KEY", true),
            place("b", "secret-key", true),
            place("c", "OTHER_KEY", true),
        ],
    );
    assert_eq!(tied.len(), 1);
    assert_eq!((tied[0].blocking, tied[0].places.len()), (2, 2));
    world.pass_secs(2);
    let expected = "2 places would break: shop: a.py:3 (SECRET_KEY, it is read once); \
                    shop: b.py:3 (secret-key, it is read once)";
    assert_eq!(why(&world.engine), expected);
    assert_eq!(world.stage(), Some(Stage::Confirm));

    report(&world.engine, vec![place("a", "SECRET_KEY", false)]);
    world.pass_secs(2);
    assert_eq!(world.primary(), Some(version(2)));
    let audit = world.audit();
    assert_eq!(audit.iter().filter(|action| *action == "scan_reported").count(), 2);
}

#[test]
fn a_report_outlives_its_server_and_is_known_to_others() {
    let world = confirming(&json!({}));
    let other = world.second("b");
    report(&world.engine, vec![place("a", "SECRET_KEY", true)]);
    assert!(why(&other).contains("a.py:3"), "{}", why(&other));
    let again = Engine::open(world.parts_again()).unwrap();
    assert!(why(&again).contains("a.py:3"));
    // Another server reports, and this one hears of it.
    report(&other, vec![place("z", "SECRET_KEY", true)]);
    assert!(why(&world.engine).contains("z.py:3"));
    other.forget_scan(&shop(), &RingScope::All, &context()).unwrap();
    assert!(matches!(gate(&world.engine), GateStatus::Waiting { .. }));
    let gone = other.forget_scan(&shop(), &RingScope::All, &context());
    assert!(matches!(gone, Err(EngineError::NotFound { what: "scan", .. })));
}

#[test]
fn an_edited_report_closes_the_gate_until_it_is_reported_again() {
    let world = confirming(&json!({}));
    world.engine.act(&ring(), &keywheel_engine::Verb::Pause, &context()).unwrap();
    report(&world.engine, vec![place("a", "SECRET_KEY", false)]);
    assert!(matches!(gate(&world.engine), GateStatus::Open { .. }));
    let mut row = world.row("scan/web/shop");
    row[60] ^= 1;
    world.overwrite("scan/web/shop", Some(row));
    assert!(why(&world.engine).contains("not believed"), "{}", why(&world.engine));
    let restarted = Engine::open(world.parts_again()).unwrap();
    assert!(why(&restarted).contains("not believed"));
    assert!(world.engine.findings(&ring()).unwrap().is_empty());
    report(&world.engine, vec![place("a", "SECRET_KEY", false)]);
    assert!(matches!(gate(&world.engine), GateStatus::Open { .. }));
}

#[test]
fn a_key_in_the_code_is_known_without_its_name_and_without_travelling() {
    let world = World::new();
    let import = ImportedKey {
        format: "text".parse().unwrap(),
        bytes: zeroize::Zeroizing::new(KEY.as_bytes().to_vec()),
    };
    let spec = with("secret", json!({}));
    world.engine.put_ring(&ring(), &spec, Some(&import), None, &context()).unwrap();
    world.create(&named("other"), &with("secret", json!({})));
    let mut hidden = place("x", "SOMETHING", false);
    hidden.place.in_tests = true;
    let mut scan = scan(&world.engine, vec![hidden, place("y", "ELSE", true)]);
    scan.rings.clear();
    let mark = named_mark(&scan.nonce, KEY);
    scan.findings[0].mark = Some(mark);
    scan.findings[1].mark = Some(named_mark(&scan.nonce, "another text"));
    let tied = send(&world.engine, &scan).unwrap();
    assert_eq!(tied.len(), 1, "{tied:?}");
    assert_eq!(tied[0].ring, ring());
    assert_eq!(tied[0].places, [("x".into(), Tie::Literal { version: version(1) })]);
    assert_eq!(tied[0].blocking, 1, "a live key blocks wherever it stands");
    assert!(world.audit().contains(&"key_in_code".into()));

    let kept = &world.engine.findings(&ring()).unwrap()[0].1;
    let kept = serde_json::to_string(kept).unwrap();
    assert!(!kept.contains(KEY) && !kept.contains(&format!("{mark:?}")), "{kept}");

    // Whoever is not good for the ring is not told, and another nonce marks nothing.
    let only = RingScope::Only(vec![named("other")]);
    let blind = world.engine.report_scan(&scan, &only, TOKEN, &context()).unwrap();
    assert!(blind.is_empty(), "{blind:?}");
    scan.nonce = world.engine.scan_nonce(TOKEN).unwrap().nonce;
    let tied = send(&world.engine, &scan).unwrap();
    assert!(tied[0].places.is_empty(), "the report before is replaced: {tied:?}");
}

#[test]
fn a_waiver_is_of_one_place_and_outlives_reports_and_rotations() {
    let world = confirming(&json!({}));
    let both = || vec![place("a", "SECRET_KEY", true), place("b", "SECRET_KEY", true)];
    report(&world.engine, both());
    let waive = |id: &str, lasts: u64| {
        let lasts = Span::from_secs(lasts);
        world.engine.waive_finding(&ring(), id, None, lasts, &context()).map(|_| ())
    };
    waive("a", 60).unwrap();
    assert!(why(&world.engine).starts_with("1 place would break: shop: b.py:3"));
    report(&world.engine, both());
    assert!(why(&world.engine).starts_with("1 place would break: shop: b.py:3"));
    waive("b", 600).unwrap();
    world.pass_secs(2);
    assert_eq!(world.primary(), Some(version(2)));
    let bent = world.engine.snapshot(&ring()).unwrap().ring.bent;
    assert!(bent.iter().any(|bent| bent.by.reason.starts_with("a test (and 1 more")), "{bent:?}");

    world.pass_secs(70);
    world.rotate();
    world.pass_secs(4);
    assert!(why(&world.engine).starts_with("1 place would break: shop: a.py:3"));

    assert!(matches!(waive("nobody", 9), Err(EngineError::NotFound { what: "finding", .. })));
    report(&world.engine, vec![place("a", "SECRET_KEY", false)]);
    for (id, lasts) in [("a", 9), ("a", 0), ("a", FINDING_WAIVER_MAX.as_secs() + 1)] {
        assert!(matches!(waive(id, lasts), Err(EngineError::Invalid { .. })), "{id} {lasts}");
    }
}

#[test]
fn a_place_of_two_code_bases_is_waived_by_the_name_of_one() {
    let world = confirming(&json!({}));
    report(&world.engine, vec![place("a", "SECRET_KEY", true)]);
    let site = ReportedScan {
        name: "site".parse().unwrap(),
        ..scan(&world.engine, vec![place("a", "SECRET_KEY", true)])
    };
    send(&world.engine, &site).unwrap();
    let waive = |scan: Option<&ScanName>| {
        world.engine.waive_finding(&ring(), "a", scan, Span::from_secs(60), &context())
    };
    let refused = waive(None).unwrap_err();
    assert!(refused.to_string().contains("shop, site"), "{refused}");
    waive(Some(&shop())).unwrap();
    assert!(why(&world.engine).starts_with("1 place would break: site: a.py:3"));
}

#[test]
fn a_scan_grows_old() {
    let world = confirming(&json!({ "findings_max_age": "1m" }));
    world.engine.act(&ring(), &keywheel_engine::Verb::Pause, &context()).unwrap();
    report(&world.engine, vec![place("a", "SECRET_KEY", false)]);
    assert!(matches!(gate(&world.engine), GateStatus::Open { .. }));
    world.pass_secs(61);
    let GateStatus::Waiting { on, .. } = gate(&world.engine) else { panic!() };
    assert_eq!(on, "a newer scan of shop: the last one is older than 1m");
}

#[test]
fn a_nonce_serves_its_token_for_an_hour() {
    let world = confirming(&json!({}));
    let own = scan(&world.engine, Vec::new());
    let refused = |scan: &ReportedScan, token: &str| {
        let error = world.engine.report_scan(scan, &RingScope::All, token, &context());
        let Err(EngineError::Invalid { field, cause, .. }) = error else { panic!("{error:?}") };
        assert_eq!(field, "nonce");
        cause
    };
    assert!(refused(&own, "fedcba9876543210").contains("not to you"));
    for nonce in [Vec::new(), vec![0; 24], vec![0; 56], own.nonce[..55].to_vec()] {
        refused(&ReportedScan { nonce, ..own.clone() }, TOKEN);
    }
    send(&world.engine, &own).unwrap();
    // Any server of the cluster takes it.
    send(&world.second("b"), &own).unwrap();
    world.clock.advance(std::time::Duration::from_hours(1));
    assert!(refused(&own, TOKEN).contains("older than 1h"));
}

#[test]
fn what_is_too_long_or_names_nothing_is_refused_whole() {
    let world = confirming(&json!({}));
    let good = scan(&world.engine, vec![place("a", "SECRET_KEY", true)]);
    let field = |scan: &ReportedScan| match send(&world.engine, scan) {
        Err(EngineError::Invalid { field, .. }) => field,
        Err(EngineError::NotFound { what, .. }) => format!("no {what}"),
        other => panic!("{other:?}"),
    };
    let with_place = |change: &dyn Fn(&mut Place)| {
        let mut scan = good.clone();
        change(&mut scan.findings[0].place);
        scan
    };
    let long = "x".repeat(513);
    assert_eq!(field(&with_place(&|place| place.path.clone_from(&long))), "findings[0].path");
    assert_eq!(field(&with_place(&|place| place.id.clear())), "findings[0].id");
    let escape = with_place(&|place| place.reason = "\u{1b}[2J".into());
    assert_eq!(field(&escape), "findings[0].reason");
    let sink = with_place(&|place| place.sink = Some(long.clone()));
    assert_eq!(field(&sink), "findings[0].sink");
    let twice = vec![place("a", "K", true), place("a", "K", true)];
    assert_eq!(field(&scan(&world.engine, twice)), "findings[1].id");
    let many = (0..5_001).map(|index| place(&format!("p{index}"), "K", true)).collect();
    assert_eq!(field(&scan(&world.engine, many)), "findings");
    let mut nowhere = good.clone();
    nowhere.rings.insert(named("nowhere"), Vec::new());
    assert_eq!(field(&nowhere), "no ring");
    assert_eq!(field(&ReportedScan { tool: long.clone(), ..good }), "tool");
    assert!(world.engine.findings(&ring()).unwrap().is_empty());
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let world = confirming(&json!({}));
    let engines = [Arc::clone(&world.engine), world.second("b")];
    report(&world.engine, vec![place("a", "SECRET_KEY", true)]);
    std::thread::scope(|scope| {
        for (number, engine) in engines.iter().enumerate() {
            scope.spawn(move || {
                let ring: RingName = ring();
                for index in 0..6 {
                    let own = format!("own{number}");
                    let scan = ReportedScan {
                        name: own.parse().unwrap(),
                        ..scan(engine, vec![place("a", "SECRET_KEY", true)])
                    };
                    retried(|| send(engine, &scan).map(|_| ()));
                    let (lasts, context) = (Span::from_secs(60 + index), Context::default());
                    let shop = shop();
                    retried(|| {
                        let by = engine.waive_finding(&ring, "a", Some(&shop), lasts, &context);
                        by.map(|_| ())
                    });
                }
            });
        }
    });
    let scans = world.engine.findings(&ring()).unwrap();
    let names: Vec<_> = scans.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["own0", "own1", "shop"]);
    assert_eq!(scans[2].1.waivers.len(), 1);
    assert!(world.audit().iter().filter(|action| *action == "finding_waived").count() >= 12);
}

/// Whoever is told that others were faster asks again.
fn retried(mut act: impl FnMut() -> Result<(), EngineError>) {
    loop {
        match act() {
            Err(EngineError::Contended(_)) => {}
            other => return other.unwrap(),
        }
    }
}

#[test]
fn a_deleted_ring_leaves_no_report_behind() {
    let world = World::new();
    world.create(&ring(), &with("secret", json!({ "require": ["findings"] })));
    report(&world.engine, vec![place("a", "SECRET_KEY", true)]);
    let delete = keywheel_engine::Verb::Delete { lose_data: false };
    world.engine.act(&ring(), &delete, &context()).unwrap();
    let row = keywheel_engine::ports::Key::new(&["scan", "web", "shop"]);
    let stored = keywheel_engine::ports::Store::read(&world.store, &row).unwrap();
    assert!(stored.is_none());
    assert!(matches!(world.engine.findings(&ring()), Err(EngineError::NotFound { .. })));
}
