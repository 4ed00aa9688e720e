//! A real PostgreSQL with a real pgcrypto: what the server sealed is moved, and the server opens
//! what was moved.
//!
//! What is known to go wrong with such moves, and the test that would fail if it did:
//!
//! - one row under another key aborts everything:
//!   `hazards::a_row_of_a_wrong_key_goes_to_quarantine_and_aborts_nothing`
//! - a wrong key is taken for many damaged rows:
//!   `hazards::a_wrong_old_key_is_noticed_before_all_rows_are_in_quarantine`
//! - bytes become text, or text bytes:
//!   `hazards::a_text_stays_a_text_and_bytes_stay_bytes`
//! - a raw value opens with a wrong key:
//!   `formats::a_raw_value_that_the_validator_refuses_goes_to_quarantine`
//! - a raw value opens with both keys:
//!   `formats::a_raw_value_that_both_keys_open_is_left_alone`
//! - a small value inflates to a large one:
//!   `hazards::a_value_that_inflates_to_more_than_is_allowed_goes_to_quarantine`
//! - a concurrent write is overwritten:
//!   `online::an_uncommitted_write_is_waited_for_and_not_lost`,
//!   `online::writers_with_both_keys_lose_nothing_during_a_move`,
//!   `online::writers_lose_nothing_where_rows_have_no_key`,
//!   `online::writers_lose_nothing_where_much_hangs_on_a_column_and_a_subscriber_follows`
//! - NULL does not stay NULL:
//!   `basic::every_row_of_a_table_with_a_primary_key_moves`
//! - generated columns, functional indexes:
//!   `hazards::generated_columns_and_functional_indexes_follow`
//! - no primary key: rows leave their place:
//!   `hazards::rows_without_a_key_move_by_their_place`
//! - no primary key: another row takes the place:
//!   `hazards::a_place_that_another_row_took_is_not_overwritten`
//! - a published table takes no updates:
//!   `hazards::a_published_table_without_replica_identity_is_refused_with_a_remedy`
//! - a subscriber misses rows or falls behind:
//!   `load::a_subscriber_gets_every_moved_row_and_is_waited_for`
//! - a standby falls behind:
//!   `load::a_standby_that_is_behind_is_waited_for`
//! - triggers fire, change or swallow values:
//!   `hazards::a_trigger_on_updates_is_refused_unless_it_may_fire`,
//!   `hazards::a_trigger_that_changes_or_swallows_values_is_noticed`
//! - partitions and children are left out:
//!   `hazards::partitions_and_children_move_one_by_one`
//! - time limits of locks and statements:
//!   `online::a_lock_that_stays_shrinks_batches_and_ends_the_run_and_the_next_goes_on`,
//!   `online::a_time_limit_of_statements_is_met_with_smaller_batches`
//! - others wait for rows of a batch:
//!   `load::who_waits_for_rows_of_a_batch_goes_first_and_batches_shrink`
//! - more WAL than the server can take:
//!   `load::much_wal_makes_the_mover_wait`
//! - the table grows by dead rows:
//!   `online::dead_rows_are_removed_between_ranges_so_that_a_table_grows_little`
//! - the mover is killed:
//!   `killed::a_mover_that_is_killed_goes_on_where_it_was`,
//!   `killed::a_mover_of_any_format_that_is_killed_goes_on_where_it_was`
//! - an open transaction writes the old key late:
//!   `online::open_and_prepared_transactions_hold_the_horizon_and_are_named`
//! - the key reaches a log or a view:
//!   `secrecy::keys_and_plaintexts_reach_no_log_and_no_view`
//!
//! The function that tries two keys is tested by `python/tests/test_bridge.py`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test fails by panicking"
)]

mod basic;
mod formats;
mod hazards;
mod inspected;
mod killed;
mod load;
mod online;
mod secrecy;
mod support;

/// Every test that the list above names is there.
#[test]
fn every_hazard_is_a_test_by_name() {
    let files = [
        ("basic", include_str!("basic.rs")),
        ("formats", include_str!("formats.rs")),
        ("hazards", include_str!("hazards.rs")),
        ("killed", include_str!("killed.rs")),
        ("load", include_str!("load.rs")),
        ("online", include_str!("online.rs")),
        ("secrecy", include_str!("secrecy.rs")),
    ];
    let list = include_str!("main.rs").lines().filter_map(|line| line.strip_prefix("//!   `"));
    let mut named = 0;
    for test in list.filter_map(|line| line.split('`').next()) {
        let (module, name) = test.split_once("::").unwrap();
        let text = files.iter().find(|(file, _)| *file == module).unwrap().1;
        assert!(text.contains(&format!("#[test]\nfn {name}()")), "{test}");
        named += 1;
    }
    assert!(named > 20, "{named}");
}
