//! Whole rotations through the engine, with real keys and proofs.

mod support;

use std::time::Duration;

use keywheel_core::ring::{Stage, State};
use keywheel_engine::{Engine, ReportVerdict, Verb};
use support::{Worker, World, context, ring, spec, version};

fn stage(engine: &Engine) -> Option<Stage> {
    engine.snapshot(&ring()).unwrap().ring.path.map(|path| path.stage)
}

#[test]
fn a_rotation_waits_for_each_proof_and_retires_the_old_version() {
    for kind in ["secret", "signing"] {
        let world = World::new();
        let engine = &world.engine;
        engine.put_ring(&ring(), &spec(kind), None, None, &context()).unwrap();
        let mut api = Worker::join(engine, "api");
        let mut edge = Worker::join(engine, "edge");
        assert_eq!(api.converge(engine).verdict, ReportVerdict::Proved);
        assert_eq!(edge.converge(engine).verdict, ReportVerdict::Proved);
        world.pass(Duration::from_secs(3));

        engine.act(&ring(), &Verb::Rotate { import: None }, &context()).unwrap();
        world.pass(Duration::from_millis(400));
        assert_eq!(stage(engine), Some(Stage::Confirm));

        // One of two has proved: the gate holds, and names the other.
        assert_eq!(api.converge(engine).verdict, ReportVerdict::Proved);
        world.pass(Duration::from_secs(1));
        assert_eq!(stage(engine), Some(Stage::Confirm));
        assert_eq!(edge.converge(engine).verdict, ReportVerdict::Proved);
        world.pass(Duration::from_millis(200));
        assert_eq!(stage(engine), Some(Stage::Promote));
        assert_eq!(engine.snapshot(&ring()).unwrap().ring.primary(), Some(version(2)));

        api.converge(engine);
        edge.converge(engine);
        world.pass(Duration::from_millis(400));
        assert_eq!(stage(engine), None);
        for _ in 0..14 {
            api.converge(engine);
            edge.converge(engine);
            world.pass(Duration::from_secs(1));
        }
        let snapshot = engine.snapshot(&ring()).unwrap();
        let old = &snapshot.ring.versions[&version(1)].state;
        assert!(matches!(old, State::Retired { dropped: Some(_), .. }), "{old:?}");
        for _ in 0..62 {
            api.converge(engine);
            edge.converge(engine);
            world.pass(Duration::from_secs(1));
        }
        let snapshot = engine.snapshot(&ring()).unwrap();
        let old = &snapshot.ring.versions[&version(1)].state;
        assert!(matches!(old, State::Destroyed { .. }), "{old:?}");

        let page = engine.audit(0, 1_000).unwrap();
        assert!(page.verified);
        let actions: Vec<_> = page.entries.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(
            actions,
            [
                "created",
                "started",
                "published",
                "served",
                "promoted",
                "done",
                "draining",
                "retired",
                "dropped",
                "destroyed"
            ]
        );
        for entry in engine.journal(&ring()).unwrap() {
            entry.replay().unwrap();
        }
    }
}
