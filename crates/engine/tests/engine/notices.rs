//! The outbox: every notice in order, again and again, until it is taken or given up.

use std::time::Duration;

use keywheel_engine::notice_name;

use crate::support::{World, ring, spec};

fn due(world: &World) -> Vec<(u64, &'static str)> {
    let due = world.engine.due_notices(100).unwrap();
    due.iter().map(|pending| (pending.id, notice_name(&pending.notice))).collect()
}

#[test]
fn notices_wait_in_order_and_outlive_the_server() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    world.rotate();
    world.pass_secs(1);
    let names: Vec<_> = due(&world).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["created", "started", "published", "served"]);
    assert_eq!(world.engine.notices_waiting().unwrap(), 4);
    let first = due(&world)[0].0;
    world.engine.notice_delivered(first).unwrap();
    world.engine.notice_delivered(first).unwrap();
    let second = world.second("b");
    let left = second.due_notices(2).unwrap();
    assert_eq!(left.len(), 2);
    assert_eq!(notice_name(&left[0].notice), "started");
    assert_eq!(left[0].ring, ring());
}

#[test]
fn a_notice_that_nobody_takes_is_tried_less_and_less_and_then_given_up() {
    let world = World::new();
    world.create(&ring(), &spec("secret"));
    let (id, _) = due(&world)[0];
    let mut waited = Vec::new();
    let mut tries = 0;
    loop {
        tries += 1;
        if !world.engine.notice_failed(id, "no route").unwrap() {
            break;
        }
        let mut secs = 0_u64;
        while due(&world).is_empty() {
            world.clock.advance(Duration::from_secs(1));
            secs += 1;
            assert!(secs <= 3_600, "a pause never exceeds an hour");
        }
        waited.push(secs);
    }
    assert_eq!(tries, 24);
    assert!(waited.is_sorted(), "{waited:?}");
    assert_eq!((waited[0], waited.last().copied()), (2, Some(3_600)));
    assert!(due(&world).is_empty());
    assert_eq!(world.audit(), ["created", "notice_given_up"]);
    // Said of one that is gone, it is nothing.
    assert!(world.engine.notice_failed(id, "again").unwrap());
}
