//! The seeded mutants: every rule, and the scenario in which its absence shows.

use keywheel_core::guard::Guard;

use super::flaw::{Flaw, Rules};

/// One rule taken away.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// What was taken away, in words.
    pub name: &'static str,
    /// The rules without it.
    pub rules: Rules,
    /// The scenario that shows it.
    pub scenario: &'static str,
}

const fn core(guard: Guard, name: &'static str, scenario: &'static str) -> Mutant {
    Mutant { name, rules: Rules::without(guard), scenario }
}

const fn outside(flaw: Flaw, name: &'static str, scenario: &'static str) -> Mutant {
    Mutant { name, rules: Rules::with(flaw), scenario }
}

/// All of them: each guard of the core, and each rule of store, clock and client.
#[rustfmt::skip]
pub const MUTANTS: [Mutant; 28] = [
    core(Guard::Convergence, "convergence gate", "handover"),
    core(Guard::LostCounts, "lost instances count", "silence"),
    core(Guard::MinInstances, "min_instances", "absent consumer"),
    core(Guard::Takeover, "takeover rule", "takeover"),
    core(Guard::Servers, "servers converge first", "passive consumer"),
    core(Guard::FreshEvidence, "fresh evidence", "handover"),
    core(Guard::PinnedPromises, "pinned promises", "edit"),
    core(Guard::LastSwitch, "wait from the last switch", "handover"),
    core(Guard::OlderGuard, "older work in progress", "handover"),
    core(Guard::WithdrawnAccepted, "withdrawn stays accepted", "rollback"),
    core(Guard::CompromisedTarget, "compromised is no target", "compromise"),
    core(Guard::RollbackConfirms, "rollback confirms again", "rollback"),
    core(Guard::DropAttested, "drop before destruction", "destroy"),
    core(Guard::Capacity, "max_accepted", "narrow"),
    core(Guard::RestoreConfirms, "restored primary confirmed", "restore"),
    core(Guard::Propagation, "propagation delay", "passive consumer"),
    outside(Flaw::NoFencing, "fencing token", "sleeping leader"),
    outside(Flaw::NoCompareAndSwap, "compare-and-swap", "sleeping leader"),
    outside(Flaw::WallClock, "cluster clock, not wall clock", "clocks"),
    outside(Flaw::DowntimeCredited, "downtime not credited", "downtime"),
    outside(Flaw::IncarnationIgnored, "incarnation compared", "restore"),
    outside(Flaw::FormerLifeRevived, "no way back to a former life", "restore and late messages"),
    outside(Flaw::FormerLifeForgotten, "former life's keys kept", "restore"),
    outside(Flaw::JoinFromCache, "join reads the store", "join"),
    outside(Flaw::OlderKeysetTaken, "older keyset refused", "late messages"),
    outside(Flaw::OfflineMaxIgnored, "offline_max in the client", "handover"),
    outside(Flaw::StampsTrusted, "slack for contact stamps", "lagging clock"),
    outside(Flaw::LossForgotten, "slack for lost contacts", "kept contacts"),
];
