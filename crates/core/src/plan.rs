//! What a rotation would do and when, before anybody starts it: `keywheel plan`.

use serde::{Deserialize, Serialize};

use crate::gate::{EvidenceLevel, FINDINGS, foreseen};
use crate::id::ConsumerName;
use crate::policy::{Consumer, OnCompromise, OnStall, Policy, Role};
use crate::ring::Ring;
use crate::schedule::Cause;
use crate::time::{Now, Span, WallTime};
use crate::view::View;

/// A rotation foretold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// When the ring would begin by itself, and why; nothing when only people begin.
    pub begins: Option<(WallTime, Cause)>,
    /// The stages in order.
    pub stages: Vec<PlannedStage>,
    /// What is not safe, or not known, and why.
    pub warnings: Vec<String>,
}

/// One stage of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStage {
    /// Its name.
    pub stage: String,
    /// The least time after the rotation's begin at which it can be left.
    pub earliest_end: Span,
    /// What it waits for.
    pub waits_for: Vec<String>,
    /// Consumers that are switched in this stage although they could not accept before, and what
    /// that costs.
    pub cutover: Vec<String>,
    /// What would break if it were skipped.
    pub unsafe_if_skipped: String,
}

/// Foretells the next rotation of a ring.
pub fn plan(ring: &Ring, view: &View, now: Now) -> Plan {
    let policy = &ring.policy;
    let begins =
        crate::rotation::scheduled(ring, view).map(|(at, cause)| (at.max(now.wall), cause));
    let propagated = policy.propagation();
    let drained = propagated.plus(policy.promises().accepted_for());
    let mut stages = stages(policy, propagated, drained);
    stages.push(match policy.destroy_after {
        Some(after) => planned(
            "destroy",
            drained.plus(after),
            vec![format!("{after} for the way back")],
            "there would be no way back",
        ),
        None => planned("destroy", Span::ZERO, vec!["never by itself".into()], "data is lost"),
    });
    let mut warnings = warnings(policy);
    if let Some(why) = foreseen(view, now) {
        warnings.push(format!("The gate findings would be closed today: {why}"));
    }
    Plan { begins, stages, warnings }
}

fn stages(policy: &Policy, propagated: Span, drained: Span) -> Vec<PlannedStage> {
    let promote = planned(
        "promote",
        propagated,
        vec!["every protector to switch, work in progress included".into()],
        "the old version could be retired while somebody still protects with it",
    );
    vec![
        planned("stage", Span::ZERO, vec!["room in the accepted set".into()], "nothing yet"),
        planned(
            "publish",
            Span::ZERO,
            vec!["every server to serve the new version".into()],
            "an instance that joins through an old server would not know the new version",
        ),
        planned(
            "confirm",
            propagated,
            confirm_waits(policy),
            "an instance without the new version would reject what is protected with it",
        ),
        PlannedStage { cutover: cutovers(policy), ..promote },
        planned("drain", drained, drain_waits(policy), "what is still valid would be rejected"),
        planned(
            "retire",
            drained,
            vec!["every instance to show that it dropped the old version".into()],
            "a forgotten process would accept the old key for ever",
        ),
    ]
}

/// What each one-slot consumer loses, as its declared cutover accepts it.
fn cutovers(policy: &Policy) -> Vec<String> {
    let cut_over = policy.consumers.iter().filter(|(_, consumer)| consumer.cutover);
    let loss = |(name, _): (&ConsumerName, &Consumer)| {
        format!(
            "{name} holds one value and cannot accept the new version before it is used: until it \
             has taken the new value it refuses what others protect with it, and afterwards what \
             is still valid under the old one, for up to {}",
            policy.longest_lifetime.plus(policy.skew)
        )
    };
    cut_over.map(loss).collect()
}

fn planned(
    stage: &str,
    earliest_end: Span,
    waits_for: Vec<String>,
    unsafe_if: &str,
) -> PlannedStage {
    PlannedStage {
        stage: stage.into(),
        earliest_end,
        waits_for,
        cutover: Vec::new(),
        unsafe_if_skipped: unsafe_if.into(),
    }
}

fn confirm_waits(policy: &Policy) -> Vec<String> {
    let mut waits: Vec<_> = policy
        .consumers
        .iter()
        .filter(|(_, consumer)| !consumer.cutover)
        .map(|(name, consumer)| {
            let wait =
                format!("proof of every instance of {name}, at least {}", consumer.min_instances);
            match consumer.min_evidence {
                EvidenceLevel::Assumed | EvidenceLevel::Attested => wait,
                level => format!("{wait}, shown by {level}"),
            }
        })
        .collect();
    waits.extend(policy.passive.iter().map(|(name, passive)| passive.why_it_learns(name)));
    waits.extend(policy.required_gates.iter().map(|gate| match gate.as_str() {
        FINDINGS => findings_wait(policy),
        _ => format!("evidence for gate {gate}"),
    }));
    if policy.kind.is_encryption() {
        waits.push("a tested second wrap of the material".into());
    }
    if policy.approval {
        waits.push("an operator's approval".into());
    }
    waits
}

fn findings_wait(policy: &Policy) -> String {
    let wait = "a scan of each code base that names no place that would break";
    match policy.findings_max_age {
        Some(most) => format!("{wait}, not older than {most}"),
        None => wait.into(),
    }
}

fn drain_waits(policy: &Policy) -> Vec<String> {
    let promises = policy.promises();
    let mut waits = vec![format!(
        "{} after the last switch: lifetime {}, skew {}, caches {}, hold {}",
        promises.accepted_for(),
        promises.longest_lifetime,
        promises.skew,
        promises.cache,
        promises.hold
    )];
    waits.extend(policy.passive.iter().map(|(name, passive)| passive.why_it_keeps(name)));
    if policy.kind.is_encryption() {
        waits.extend(policy.columns.iter().map(|(name, column)| {
            format!("a verified zero of column {name}, by {}", column.worker)
        }));
        if policy.columns.is_empty() {
            waits.push("a verified count of zero rows under the old version".into());
        }
    }
    waits
}

fn warnings(policy: &Policy) -> Vec<String> {
    let mut all = Vec::new();
    if policy.consumers.is_empty() {
        all.push(
            "No consumer is declared: nobody can prove anything, and no gate will open".into(),
        );
    }
    for (name, consumer) in &policy.consumers {
        if consumer.cutover {
            all.push(format!(
                "{name} breaks law 1 in each rotation: it is cut over in stage promote, at the cost \
                 named there"
            ));
        }
        if consumer.min_instances == 0 {
            all.push(format!("{name} may have no instance at all: its absence proves nothing"));
        }
        if consumer.role == Role::Process && policy.kind.is_symmetric() {
            all.push(format!("{name} only processes, but holds a key that can also protect"));
        }
    }
    for name in policy.passive.keys() {
        all.push(format!("{name} cannot report; that it knows is assumed after its delay"));
    }
    all.extend(policy.passive_warnings());
    if policy.on_compromise == OnCompromise::RejectFirst {
        all.push("A compromise rejects at once whatever the bad version protected".into());
    }
    if policy.on_stall == OnStall::Rollback {
        all.push(format!("A stage longer than {} is taken back by itself", policy.stall_after));
    }
    all
}
