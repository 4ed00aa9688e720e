//! The cluster clock: never ahead of real time, never back, never stopped by being read often.

use std::time::Duration;

use keywheel_core::time::{ClusterTime, Span, WallTime};
use keywheel_engine::cluster_time::ClusterClock;
use keywheel_engine::ports::Elapsed;
use proptest::prelude::*;

const LONGEST: Span = Span::from_secs(2);

fn clock() -> ClusterClock {
    ClusterClock::start(ClusterTime(500), WallTime(1_000_000), Elapsed(Duration::ZERO), LONGEST)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the clocks do, no step is longer than either of them says, or than a lease.
    #[test]
    fn it_moves_by_the_smaller_of_two_clocks(
        steps in prop::collection::vec((-5_000_i64..5_000, 0_u64..5_000_000), 1..60),
    ) {
        let mut clock = clock();
        let (mut wall, mut monotonic) = (WallTime(1_000_000), Duration::ZERO);
        let mut now = clock.time();
        for (by_wall, micros) in steps {
            wall = WallTime(wall.0 + by_wall);
            monotonic += Duration::from_micros(micros);
            let next = clock.advance(wall, Elapsed(monotonic));
            clock.recorded(next);
            prop_assert!(next >= now);
            let step = next.since(now).as_millis();
            prop_assert!(step <= u64::try_from(by_wall).unwrap_or(0));
            prop_assert!(step <= LONGEST.as_millis());
            prop_assert_eq!(next, clock.time());
            now = next;
        }
        // Never ahead of what really passed.
        let passed = u64::try_from(monotonic.as_millis()).unwrap();
        prop_assert!(now.since(ClusterTime(500)).as_millis() <= passed);
    }

    /// Read as often as you like, it keeps step with clocks that agree.
    #[test]
    fn it_keeps_step_however_often_it_is_read(
        micros in prop::collection::vec(1_u64..1_500_000, 1..200),
    ) {
        let mut clock = clock();
        let mut passed = Duration::ZERO;
        for one in micros {
            passed += Duration::from_micros(one);
            let millis = i64::try_from(passed.as_millis()).unwrap();
            let now = clock.advance(WallTime(1_000_000 + millis), Elapsed(passed));
            clock.recorded(now);
        }
        let behind = u64::try_from(passed.as_millis()).unwrap()
            - clock.time().since(ClusterTime(500)).as_millis();
        prop_assert!(behind <= 1, "{behind} ms behind");
    }
}

#[test]
fn it_runs_ahead_of_its_record_by_one_lease() {
    let mut clock = clock();
    let mut passed = Duration::ZERO;
    let mut pass = |clock: &mut ClusterClock, secs: u64| {
        for _ in 0..secs {
            passed += Duration::from_secs(1);
            let millis = i64::try_from(passed.as_millis()).unwrap();
            clock.advance(WallTime(1_000_000 + millis), Elapsed(passed));
        }
        clock.time()
    };
    // Read every second, but recorded by nobody: the time after one lease counts for nobody.
    assert_eq!(pass(&mut clock, 10), ClusterTime(2_500));
    clock.recorded(ClusterTime(1_500));
    assert_eq!(pass(&mut clock, 10), ClusterTime(3_500));
    clock.recorded(ClusterTime(1_000));
    assert_eq!(pass(&mut clock, 10), ClusterTime(3_500), "an older record takes nothing back");
}

#[test]
fn a_jump_of_the_wall_in_either_direction_ends_no_wait_early() {
    let mut clock = clock();
    let mut elapsed = Duration::ZERO;
    for jump in [3_600_000, -7_200_000, 86_400_000] {
        elapsed += Duration::from_secs(1);
        clock.advance(WallTime(1_000_000 + jump), Elapsed(elapsed));
    }
    assert!(clock.time().since(ClusterTime(500)) <= Span::from_secs(3));
}
