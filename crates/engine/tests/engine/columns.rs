//! What workers of columns report: in the ring's document, known to every server and after a restart,
//! and once however often it is sent.

use keywheel_core::gate::{ColumnReport, EvidenceLevel, GateStatus, REENCRYPTION};
use keywheel_core::ring::State;
use keywheel_engine::{Context, Engine, EngineError, Verb};
use serde_json::json;

use crate::support::{World, context, ring, version, with};

fn policy(columns: &[&str]) -> keywheel_core::policy::Spec {
    let columns: Vec<_> = columns
        .iter()
        .map(|column| json!({ "table": "orders", "column": column, "worker": "edge" }))
        .collect();
    with("encryption", json!({ "column": columns, "destroy_after": "never" }))
}

fn report(engine: &Engine, column: &str, left: u64) -> Verb {
    let ring = engine.snapshot(&ring()).unwrap().ring;
    Verb::Column {
        column: column.parse().unwrap(),
        incarnation: ring.incarnation,
        report: ColumnReport {
            version: version(1),
            seen: ring.revision,
            left,
            moved: 7,
            quarantined: 0,
            rows: 10,
            verified: true,
        },
        worker: Some("edge".parse().unwrap()),
    }
}

fn gate(engine: &Engine) -> GateStatus {
    let gates = engine.snapshot(&ring()).unwrap().gates;
    let own = gates.into_iter().flat_map(|(_, _, gates)| gates);
    own.into_iter().find(|gate| gate.name == REENCRYPTION).unwrap().status
}

#[test]
fn a_report_is_known_to_others_and_after_a_restart_and_lets_the_version_go() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&policy(&["card"]));
    world.rotate();
    world.live(&mut [&mut api, &mut edge], 30);
    assert!(matches!(world.state(1), State::Retiring { last_switch: Some(_), .. }));
    let report_once = report(&world.engine, "orders.card", 3);
    let twice = Context { idempotency_key: Some("once".into()), ..context() };
    let first = world.engine.act(&ring(), &report_once, &twice).unwrap().ring;
    let second = world.engine.act(&ring(), &report_once, &twice).unwrap().ring;
    assert_eq!((first.revision, first.columns.len()), (second.revision, 1));
    let GateStatus::Waiting { on, .. } = gate(&world.engine) else { panic!("it is open") };
    assert_eq!(on, "a verified zero of orders.card (3 rows left, 7 moved)");

    let other = world.second("b");
    let again = Engine::open(world.parts_again()).unwrap();
    for engine in [&other, &again] {
        assert_eq!(engine.snapshot(&ring()).unwrap().ring.columns, first.columns);
    }
    world.live(&mut [&mut api, &mut edge], 2);
    assert!(matches!(world.state(1), State::Retiring { .. }));
    world.engine.act(&ring(), &report(&world.engine, "orders.card", 0), &context()).unwrap();
    let open = GateStatus::Open { level: EvidenceLevel::Probed };
    if matches!(world.state(1), State::Retiring { .. }) {
        assert_eq!(gate(&world.engine), open);
    }
    world.live(&mut [&mut api, &mut edge], 2);
    assert!(matches!(world.state(1), State::Retired { .. }));
    assert_eq!(world.audit().iter().filter(|action| *action == "column").count(), 2);
}

#[test]
fn a_column_that_goes_is_in_the_audit_record() {
    let world = World::new();
    let (mut api, mut edge) = world.settled(&policy(&["card", "iban"]));
    world.rotate();
    world.live(&mut [&mut api, &mut edge], 30);
    let spec = policy(&["card"]);
    world.engine.put_ring(&ring(), &spec, None, None, &context()).unwrap();
    assert!(world.audit().iter().any(|action| action == "columns_released"));
    let gone = world.engine.act(&ring(), &report(&world.engine, "orders.iban", 0), &context());
    assert!(matches!(gone, Err(EngineError::Refused(_))), "{gone:?}");
}
