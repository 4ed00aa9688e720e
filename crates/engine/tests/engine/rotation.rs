//! Whole rotations through the engine, with real keys and proofs.

use std::time::Duration;

use keywheel_core::ring::{Stage, State};
use keywheel_engine::ReportVerdict;

use crate::support::{World, spec, version};

#[test]
fn a_rotation_waits_for_each_proof_and_retires_the_old_version() {
    for kind in ["secret", "signing"] {
        let world = World::new();
        let engine = &world.engine;
        let (mut api, mut edge) = world.settled(&spec(kind));

        world.rotate();
        world.pass(Duration::from_millis(400));
        assert_eq!(world.stage(), Some(Stage::Confirm));

        // One of two has proved: the gate holds.
        assert_eq!(api.converge(engine), ReportVerdict::Proved);
        world.pass_secs(1);
        assert_eq!(world.stage(), Some(Stage::Confirm));
        assert_eq!(edge.converge(engine), ReportVerdict::Proved);
        world.pass(Duration::from_millis(200));
        assert_eq!(world.stage(), Some(Stage::Promote));
        assert_eq!(world.primary(), Some(version(2)));

        world.live(&mut [&mut api, &mut edge], 1);
        assert_eq!(world.stage(), None);
        world.live(&mut [&mut api, &mut edge], 14);
        let old = world.state(1);
        assert!(matches!(old, State::Retired { dropped: Some(_), .. }), "{old:?}");
        world.live(&mut [&mut api, &mut edge], 62);
        let old = world.state(1);
        assert!(matches!(old, State::Destroyed { .. }), "{old:?}");
        assert_eq!(
            world.audit(),
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
        for entry in engine.journal(&crate::support::ring()).unwrap() {
            entry.replay().unwrap();
        }
    }
}
