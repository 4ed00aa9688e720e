//! Deliveries over several sinks whose agent is killed after each single change of the disk and
//! each step in between, once and again: every sink holds the former content or the new one, whole,
//! and after the next start all agree. `KEYWHEEL_SCALE=full` tries every moment for 100 seeds.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails by panicking"
)]

mod scene;
mod world;

use keywheel_deliver::saga::End;

use scene::{Rings, Scene};

/// How many moments of a seed are tried, unless all are.
const SOME: usize = 8;
const SEEDS: u64 = 100;
/// No delivery of the scene takes more steps.
const STEPS_MAX: usize = 2_000;

fn is_full() -> bool {
    std::env::var("KEYWHEEL_SCALE").is_ok_and(|scale| scale == "full")
}

/// A generator of reproducible numbers (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % below as u64).unwrap()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// How many steps an undisturbed delivery takes.
fn steps(one_way: bool) -> usize {
    let scene = Scene::new(one_way);
    assert_eq!(scene.deliver(Rings::FIRST), Ok(End::Delivered { changed: true }));
    let fuse = scene.fuse(STEPS_MAX);
    assert_eq!(scene.deliver(Rings::SECOND), Ok(End::Delivered { changed: true }));
    STEPS_MAX - fuse.left()
}

#[test]
fn a_delivery_that_changes_nothing_writes_nothing_and_reloads_nobody() {
    let scene = Scene::new(true);
    assert_eq!(scene.deliver(Rings::FIRST), Ok(End::Delivered { changed: true }));
    let reloads = scene.world.reloads();
    let fuse = scene.fuse(STEPS_MAX);
    assert_eq!(scene.deliver(Rings::FIRST), Ok(End::Delivered { changed: false }));
    assert_eq!(scene.world.reloads(), reloads);
    // What is left are the probes.
    assert_eq!(STEPS_MAX - fuse.left(), scene.probes());
}

#[test]
fn a_failed_probe_takes_everything_back() {
    for failing in ["env", "raw", "credentials", "json", "all"] {
        let scene = Scene::new(false);
        assert_eq!(scene.deliver(Rings::FIRST), Ok(End::Delivered { changed: true }));
        scene.world.fail_probe(failing, Rings::SECOND);
        let end = scene.deliver(Rings::SECOND);
        assert!(matches!(&end, Ok(End::TakenBack { why }) if why.contains("probe")), "{end:?}");
        scene.assert_all(Rings::FIRST);
        scene.assert_nothing_left();
        // The same content again: still taken back, and never a mix.
        let end = scene.deliver(Rings::SECOND);
        assert!(matches!(end, Ok(End::TakenBack { .. })), "{end:?}");
        scene.world.fail_nothing();
        assert_eq!(scene.deliver(Rings::SECOND), Ok(End::Delivered { changed: true }));
        scene.assert_all(Rings::SECOND);
    }
}

#[test]
fn what_somebody_else_wrote_is_found_and_delivered_over_but_other_variables_stay() {
    let scene = Scene::new(false);
    assert_eq!(scene.deliver(Rings::FIRST), Ok(End::Delivered { changed: true }));
    scene.edit_variable_of_others();
    assert_eq!(scene.deliver(Rings::FIRST), Ok(End::Delivered { changed: false }));
    scene.edit_own();
    assert_eq!(scene.deliver(Rings::FIRST), Ok(End::Delivered { changed: true }));
    scene.assert_all(Rings::FIRST);
}

#[test]
fn what_somebody_else_wrote_while_it_was_delivered_is_kept_and_taken_into_account() {
    let scene = Scene::new(false);
    assert_eq!(scene.deliver(Rings::FIRST), Ok(End::Delivered { changed: true }));
    scene.meddle();
    let end = scene.deliver(Rings::SECOND);
    let is_told = |why: &str| why.contains("somebody changed");
    assert!(matches!(&end, Ok(End::TakenBack { why }) if is_told(why)), "{end:?}");
    scene.assert_all(Rings::FIRST);
    assert!(scene.has_theirs());
    assert_eq!(scene.deliver(Rings::SECOND), Ok(End::Delivered { changed: true }));
    scene.assert_all(Rings::SECOND);
    assert!(scene.has_theirs());
}

#[test]
fn a_kill_at_any_moment_leaves_each_sink_whole_and_the_next_start_makes_them_agree() {
    let most = steps(true).max(steps(false));
    let mut killed = 0;
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let moments: Vec<usize> = if is_full() || seed == 0 {
            (0..=most).collect()
        } else {
            (0..SOME).map(|_| random.below(most + 1)).collect()
        };
        for moment in moments {
            killed += usize::from(kill_at(seed, moment, &mut random));
        }
    }
    assert!(killed > 500, "{killed}");
}

/// Kills a delivery at a moment, perhaps the repair too, and looks at everything. Says whether the
/// delivery was killed.
fn kill_at(seed: u64, moment: usize, random: &mut Random) -> bool {
    let one_way = random.chance(30);
    let scene = Scene::new(one_way);
    assert_eq!(scene.deliver(Rings::FIRST), Ok(End::Delivered { changed: true }));
    let told = format!("seed {seed}, moment {moment}, one way: {one_way}");

    // The delivery may also be one that fails and is on its way back when it is killed.
    if random.chance(30) {
        let failing = ["env", "raw", "credentials", "json"];
        scene.world.fail_probe(failing[random.below(failing.len())], Rings::SECOND);
    }
    let fuse = scene.fuse(moment);
    let _ = scene.deliver(Rings::SECOND);
    let was_killed = fuse.left() == 0;
    scene.assert_each(&[Rings::FIRST, Rings::SECOND], &told);
    let mut possible = vec![Rings::FIRST, Rings::SECOND];

    // Keys may have moved on meanwhile, and the repair may be killed too.
    let next = if random.chance(50) { Rings::THIRD } else { Rings::SECOND };
    for _ in 0..random.below(3) {
        scene.fuse(random.below(moment + 40));
        let _ = scene.deliver(next);
        possible.push(next);
        scene.assert_each(&possible, &told);
    }

    scene.no_fuse();
    if random.chance(70) {
        scene.world.fail_nothing();
    }
    match scene.deliver(next) {
        Ok(End::Delivered { .. }) => {
            scene.assert_all(next);
            scene.assert_nothing_left();
        }
        Ok(End::TakenBack { .. }) => {
            scene.assert_agree(&possible, &told);
            scene.assert_nothing_left();
        }
        // Past the sink without a way back there is only forward.
        Ok(End::Stuck { .. }) if one_way => {
            scene.world.fail_nothing();
            assert!(matches!(scene.deliver(next), Ok(End::Delivered { .. })), "{told}");
            scene.assert_all(next);
        }
        other => panic!("{told}: {other:?}"),
    }
    // Whatever happened, the next delivery that may succeed does.
    scene.world.fail_nothing();
    assert!(matches!(scene.deliver(Rings::THIRD), Ok(End::Delivered { .. })), "{told}");
    scene.assert_all(Rings::THIRD);
    was_killed
}
