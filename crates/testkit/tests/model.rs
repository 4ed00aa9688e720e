//! The model check at the size of CI: every scenario holds, and every rule that is taken away is
//! missed.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests stop a test and say what was searched"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use keywheel_testkit::model::{self, MUTANTS, Outcome, Rules, Scale};

/// Far more than any scenario of CI has; a search that reaches it has got out of hand.
const MOST_STATES: usize = 1_000_000;

/// The search of a scenario with every rule in force, done once for all tests that ask.
fn sound(name: &'static str) -> Arc<Outcome> {
    type Cell = Arc<OnceLock<Arc<Outcome>>>;
    static DONE: OnceLock<Mutex<HashMap<&'static str, Cell>>> = OnceLock::new();
    let cell = DONE.get_or_init(Mutex::default).lock().unwrap().entry(name).or_default().clone();
    let search = || {
        let scenario = model::scenario(Scale::Ci, name).unwrap();
        let outcome = model::search(&scenario, Rules::SOUND, MOST_STATES);
        println!(
            "{name}: {} states, {} transitions, depth {}",
            outcome.states, outcome.transitions, outcome.depth
        );
        Arc::new(outcome)
    };
    cell.get_or_init(search).clone()
}

fn holds(name: &'static str) {
    let outcome = sound(name);
    if let Some(found) = &outcome.violation {
        panic!("{name}: {found}");
    }
    assert!(outcome.complete, "{name} has more than {MOST_STATES} states");
}

fn is_found(name: &str) {
    let mutant = MUTANTS.iter().find(|mutant| mutant.name == name).unwrap();
    holds(mutant.scenario);
    let scenario = model::scenario(Scale::Ci, mutant.scenario).unwrap();
    let outcome = model::search(&scenario, mutant.rules, MOST_STATES);
    let found = outcome.violation.unwrap_or_else(|| panic!("nobody missed: {name}"));
    println!("without {name}: {found}");
    assert!(found.steps() > 0);
}

macro_rules! scenarios {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            holds($name);
        })*

        #[test]
        fn every_scenario_has_a_test() {
            let mut tested = vec![$($name),*];
            let mut all: Vec<_> =
                model::scenarios(Scale::Ci).iter().map(|scenario| scenario.name).collect();
            tested.sort_unstable();
            all.sort_unstable();
            assert_eq!(tested, all);
            let full: Vec<_> =
                model::scenarios(Scale::Full).iter().map(|scenario| scenario.name).collect();
            assert!(full.iter().all(|name| all.contains(name)));
        }
    };
}

macro_rules! mutants {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            is_found($name);
        })*

        #[test]
        fn every_mutant_has_a_test() {
            let tested = [$($name),*];
            let all: Vec<_> = MUTANTS.iter().map(|mutant| mutant.name).collect();
            assert_eq!(tested.as_slice(), all.as_slice());
        }
    };
}

scenarios! {
    handover_holds: "handover",
    silence_holds: "silence",
    overlapping_tails_hold: "overlapping tails",
    late_messages_hold: "late messages",
    symmetric_holds: "symmetric",
    takeover_holds: "takeover",
    kept_contacts_hold: "kept contacts",
    sleeping_leader_holds: "sleeping leader",
    lagging_clock_holds: "lagging clock",
    stale_leader_holds: "stale leader",
    stale_leader_and_late_messages_hold: "stale leader and late messages",
    clocks_hold: "clocks",
    downtime_holds: "downtime",
    join_holds: "join",
    absent_consumer_holds: "absent consumer",
    passive_consumer_holds: "passive consumer",
    rollback_holds: "rollback",
    rollback_twice_holds: "rollback twice",
    narrow_holds: "narrow",
    destroy_holds: "destroy",
    stall_holds: "stall",
    compromise_holds: "compromise",
    compromise_twice_holds: "compromise twice",
    suspend_holds: "suspend",
    edit_holds: "edit",
    waive_holds: "waive",
    restore_holds: "restore",
    restore_and_late_messages_hold: "restore and late messages",
    restore_and_join_holds: "restore and join",
    restore_and_compromise_holds: "restore and compromise",
    restore_and_rotate_holds: "restore and rotate",
}

mutants! {
    mutant_convergence_is_found: "convergence gate",
    mutant_lost_counts_is_found: "lost instances count",
    mutant_min_instances_is_found: "min_instances",
    mutant_takeover_is_found: "takeover rule",
    mutant_servers_is_found: "servers converge first",
    mutant_fresh_evidence_is_found: "fresh evidence",
    mutant_pinned_promises_is_found: "pinned promises",
    mutant_last_switch_is_found: "wait from the last switch",
    mutant_older_guard_is_found: "older work in progress",
    mutant_withdrawn_accepted_is_found: "withdrawn stays accepted",
    mutant_compromised_target_is_found: "compromised is no target",
    mutant_rollback_confirms_is_found: "rollback confirms again",
    mutant_drop_attested_is_found: "drop before destruction",
    mutant_capacity_is_found: "max_accepted",
    mutant_restore_confirms_is_found: "restored primary confirmed",
    mutant_propagation_is_found: "propagation delay",
    mutant_fencing_is_found: "fencing token",
    mutant_compare_and_swap_is_found: "compare-and-swap",
    mutant_wall_clock_is_found: "cluster clock, not wall clock",
    mutant_downtime_is_found: "downtime not credited",
    mutant_incarnation_is_found: "incarnation compared",
    mutant_former_life_revived_is_found: "no way back to a former life",
    mutant_former_life_forgotten_is_found: "former life's keys kept",
    mutant_join_rule_is_found: "join reads the store",
    mutant_older_keyset_is_found: "older keyset refused",
    mutant_offline_max_is_found: "offline_max in the client",
    mutant_contact_stamps_is_found: "slack for contact stamps",
    mutant_lost_contacts_is_found: "slack for lost contacts",
}
