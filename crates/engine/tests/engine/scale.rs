//! A tick costs as much as there are rings due, counted in calls to the store.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{World, context, named, with};

const RINGS: usize = 100_000;

fn calls(world: &World, work: impl FnOnce()) -> u64 {
    let before = world.probe.calls.load(Ordering::Relaxed);
    work();
    world.probe.calls.load(Ordering::Relaxed) - before
}

#[test]
fn a_tick_costs_as_much_as_there_are_rings_due() {
    let world = World::new();
    let quiet = with("secret", serde_json::json!({ "rotate_every": "30d" }));
    for index in 0..RINGS {
        let name = named(&format!("ring-{index}"));
        world.engine.put_ring(&name, &quiet, None, None, &context()).unwrap();
    }
    // Everybody is looked at once after the start, some hundreds in each round.
    while world.engine.drive().is_zero() {}
    world.pass_secs(3);

    let idle = calls(&world, || {
        world.clock.advance(Duration::from_millis(700));
        world.engine.drive();
    });
    assert!(idle <= 8, "{idle} calls with nothing due");

    let cost_of = |due: usize| {
        for index in 0..due {
            let verb = keywheel_engine::Verb::Rotate { import: None };
            let name = named(&format!("ring-{}", index * 97 + due));
            world.engine.act(&name, &verb, &context()).unwrap();
        }
        calls(&world, || {
            world.clock.advance(Duration::from_millis(10));
            world.engine.drive();
        })
    };
    let (ten, hundred) = (cost_of(10), cost_of(100));
    assert!(ten <= idle + 10 * 40, "{ten} calls with ten due");
    assert!(hundred <= idle + 100 * 40, "{hundred} calls with a hundred due");
    assert!(hundred > ten, "they did something");
}
