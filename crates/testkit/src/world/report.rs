//! The campaign: many seeds on all cores, and what they did as Markdown.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Flaw, Tally, Violation, run};

/// So many broken invariants end a campaign; the rest would say the same.
const VIOLATIONS_MAX: usize = 8;

/// Runs so many seeds on all cores, and tells as Markdown what they did.
///
/// # Errors
/// With the first few broken invariants.
pub fn campaign(first_seed: u64, seeds: u64) -> Result<String, Vec<Violation>> {
    let (tally, violations) = on_all_cores(first_seed, seeds, None, (&|_| true, VIOLATIONS_MAX));
    if violations.is_empty() { Ok(markdown(seeds, &tally)) } else { Err(violations) }
}

/// Looks for a defect that was put in on purpose, in so many seeds, until one of these invariants
/// breaks. That a ring does not come to rest is noticed too, but says less.
pub fn find(flaw: Flaw, seeds: u64, invariants: &[&str]) -> Option<Violation> {
    let named =
        |violation: &Violation| invariants.iter().any(|name| violation.why.starts_with(name));
    on_all_cores(0, seeds, Some(flaw), (&named, 1)).1.pop()
}

fn on_all_cores(
    first_seed: u64,
    seeds: u64,
    flaw: Option<Flaw>,
    (counts, violations_max): (&(dyn Fn(&Violation) -> bool + Sync), usize),
) -> (Tally, Vec<Violation>) {
    let next = AtomicU64::new(first_seed);
    let all = Mutex::new((Tally::default(), Vec::new()));
    let end = first_seed.saturating_add(seeds);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let lock = || all.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || lock().1.len() >= violations_max {
                        break;
                    }
                    match run(seed, flaw, false) {
                        Ok(run) => lock().0.add(&run.tally),
                        Err(violation) if counts(&violation) => lock().1.push(*violation),
                        Err(_) => {}
                    }
                }
            });
        }
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.rotations += other.rotations;
        self.rollbacks += other.rollbacks;
        self.compromises += other.compromises;
        self.restores += other.restores;
        for (what, count) in &other.counted {
            *self.counted.entry(what).or_default() += count;
        }
    }
}

const INVARIANTS: &[(&str, &str)] = &[
    ("invariant_accept_before_use", "what is protected is accepted by every process that counts"),
    (
        "invariant_stop_use_before_acceptance",
        "what is still valid stays accepted, also across a restore",
    ),
    ("invariant_destroy_last", "nothing is destroyed before it was dropped and its time passed"),
    ("invariant_material_until_destroyed", "material is there exactly until destruction"),
    ("invariant_one_primary", "a document is sound, with at most one primary"),
    ("invariant_no_version_lost", "versions are only added, and keep their key"),
    ("invariant_revisions_grow", "revisions grow with every change"),
    ("invariant_journal_replays", "each transition comes out the same when it is run again"),
    ("invariant_audit_chain", "each audit entry follows the one before it, up to the head"),
    ("invariant_fences_grow", "fences grow"),
    ("invariant_cluster_time", "the cluster clock never goes back nor ahead of real time"),
    ("invariant_store_is_believed", "no server distrusts what no one has touched"),
    ("invariant_servers_start", "a server starts as soon as the store answers"),
    ("invariant_restore_is_adopted", "a restored backup can be adopted"),
    ("invariant_no_defect", "no call ends in a defect"),
    ("invariant_no_panic", "nothing panics"),
    (
        "invariant_confirmed_revocations_are_complete",
        "who says that it knows what is revoked, up to a moment, refuses all of it",
    ),
    ("liveness_every_ring_rests", "when faults stop, every path and tail comes to its end"),
    ("liveness_ring_turns", "and one more rotation goes through"),
    ("liveness_everybody_learns_what_is_revoked", "and everybody refuses what was revoked"),
    ("liveness_ring_can_be_deleted", "a ring without processes can be deleted, with its keys"),
];

fn markdown(seeds: u64, tally: &Tally) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{seeds} seeds, {} events, no broken invariant.\n", tally.events);
    let _ = writeln!(
        text,
        "{} rotations done, {} taken back, {} versions compromised, {} restores.\n",
        tally.rotations, tally.rollbacks, tally.compromises, tally.restores
    );
    let _ = writeln!(text, "| fault or act | times |\n|---|---:|");
    for (what, count) in &tally.counted {
        let _ = writeln!(text, "| {what} | {count} |");
    }
    let _ = writeln!(text, "\n| invariant, checked after each event | what it says |\n|---|---|");
    for (name, says) in INVARIANTS {
        let _ = writeln!(text, "| `{name}` | {says} |");
    }
    text
}
