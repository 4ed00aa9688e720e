//! The gate `health`: whether what the new primary protects is accepted where it arrives.
//!
//! Two things are told apart. A verifier that refuses a kid which the ring gave out as *unknown*
//! missed it, whoever sent the token: nobody can bring an instance that knows a kid to say that it
//! does not, so one such instance is enough. A verifier that knows the kid and rejects may as well
//! have been sent garbage that names it, and anybody can send garbage to one instance; that counts
//! only when it is more than the same instance rejected before, and at most of the instances.
//! docs/decisions/0017 has the reasons. Kids that were never given out are nobody's and count for
//! no version.

use crate::gate::{EvidenceLevel, Gate, Scene};
use crate::id::VersionNumber;
use crate::ring::State;
use crate::view::{Counts, Instance};

/// So many instances are named; the rest are counted.
const NAMED_MAX: usize = 5;

/// What one instance, or several with too little each, did with a version.
struct Sample<'a> {
    instances: Vec<&'a Instance>,
    now: Counts,
    before: Counts,
}

fn add(sum: Counts, more: Counts) -> Counts {
    Counts {
        processed: sum.processed.saturating_add(more.processed),
        rejected: sum.rejected.saturating_add(more.rejected),
        unknown: sum.unknown.saturating_add(more.unknown),
        last_processed: sum.last_processed.max(more.last_processed),
    }
}

const fn all(counts: Counts) -> u64 {
    counts.processed.saturating_add(counts.rejected).saturating_add(counts.unknown)
}

/// A share in hundredths of a percent; none of nothing.
fn share(part: u64, all: u64) -> u128 {
    (u128::from(part) * 10_000).checked_div(u128::from(all)).unwrap_or(0)
}

/// A share as people read it.
fn percent(share: u128) -> String {
    match share {
        0 => "0 %".into(),
        1..=99 => "under 1 %".into(),
        _ => format!("{} %", share / 100),
    }
}

impl Scene<'_> {
    /// Whether the promoted version is accepted where it arrives.
    pub(crate) fn health(&self, target: VersionNumber) -> Gate {
        let samples = self.samples(target);
        let (blind, rest): (Vec<_>, Vec<_>) =
            samples.into_iter().partition(|sample| self.is_blind(sample));
        let (unwell, well): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|sample| self.rejects_more(sample));
        // One flooded instance among several shows nothing about the version.
        let most = unwell.len() > well.len();
        if blind.is_empty() && !most {
            let used = well.iter().chain(&unwell).any(|sample| sample.now.processed > 0);
            let level = if used { EvidenceLevel::Exercised } else { EvidenceLevel::Assumed };
            return Gate::open("health", level);
        }
        let mut told: Vec<String> = blind
            .iter()
            .map(|sample| {
                let share = percent(share(sample.now.unknown, all(sample.now)));
                let names = names(sample, |counts| counts.unknown > 0, target);
                format!("{names}: {share} of {target} refused as unknown")
            })
            .collect();
        if most {
            told.extend(unwell.iter().map(|sample| {
                let now = percent(share(sample.now.rejected, all(sample.now)));
                let before = percent(share(sample.before.rejected, all(sample.before)));
                let names = names(sample, |counts| counts.rejected > 0, target);
                format!("{names}: {now} of {target} rejected, {before} before")
            }));
        }
        let hidden = told.len().saturating_sub(NAMED_MAX);
        told.truncate(NAMED_MAX);
        if hidden > 0 {
            told.push(format!("and {hidden} more"));
        }
        let others = if most { well } else { well.into_iter().chain(unwell).collect() };
        let others = others.iter().fold(Counts::default(), |sum, one| add(sum, one.now));
        if all(others) > 0 {
            let refused = others.rejected.saturating_add(others.unknown);
            told.push(format!("the others: {}", percent(share(refused, all(others)))));
        }
        Gate::failed("health", told.join("; "))
    }

    /// The instances that say enough to be judged each by itself, and the others together if they
    /// say enough. Who is cut over refuses by declaration, and who is excused is excused.
    fn samples(&self, target: VersionNumber) -> Vec<Sample<'_>> {
        let state = self.ring.versions.get(&target).map(|version| &version.state);
        let former = match state {
            Some(State::Primary { predecessor, .. }) => *predecessor,
            _ => None,
        };
        let counts = |one: &Instance, number: Option<VersionNumber>| {
            number.and_then(|number| one.counts.get(&number)).copied().unwrap_or_default()
        };
        let concerned = self.expected().filter(|one| {
            let consumer = self.ring.policy.consumers.get(&one.consumer);
            consumer.is_some_and(|consumer| !consumer.cutover)
                && !self.is_waived(("health", target), &one.id)
        });
        let enough = self.ring.policy.health.min_samples.max(1);
        let mut rest =
            Sample { instances: Vec::new(), now: Counts::default(), before: Counts::default() };
        let mut samples = Vec::new();
        for one in concerned {
            let (now, before) = (counts(one, Some(target)), counts(one, former));
            if all(now) >= enough {
                samples.push(Sample { instances: vec![one], now, before });
            } else {
                rest.instances.push(one);
                rest.now = add(rest.now, now);
                rest.before = add(rest.before, before);
            }
        }
        if all(rest.now) >= enough {
            samples.push(rest);
        }
        self.with_levels(samples, former, enough)
    }

    /// Who says too little about the version before is compared with everybody.
    fn with_levels<'a>(
        &self,
        mut samples: Vec<Sample<'a>>,
        former: Option<VersionNumber>,
        enough: u64,
    ) -> Vec<Sample<'a>> {
        let of_former = |one: &Instance| one.counts.get(&former?).copied();
        let everybody = self.expected().filter_map(of_former).fold(Counts::default(), add);
        let everybody = if all(everybody) >= enough { everybody } else { Counts::default() };
        for sample in &mut samples {
            if all(sample.before) < enough {
                sample.before = everybody;
            }
        }
        samples
    }

    fn is_blind(&self, sample: &Sample<'_>) -> bool {
        share(sample.now.unknown, all(sample.now)) > self.tolerated()
    }

    fn rejects_more(&self, sample: &Sample<'_>) -> bool {
        let before = share(sample.before.rejected, all(sample.before));
        share(sample.now.rejected, all(sample.now)) > before.saturating_add(self.tolerated())
    }

    fn tolerated(&self) -> u128 {
        u128::from(self.ring.policy.health.max_rejected_percent).saturating_mul(100)
    }
}

/// Who of a sample does something, by consumer and process.
fn names(sample: &Sample<'_>, does: impl Fn(&Counts) -> bool, target: VersionNumber) -> String {
    let named = |one: &&Instance| match one.process.as_str() {
        "" => format!("{} of {}", one.id, one.consumer),
        process => format!("{process} of {}", one.consumer),
    };
    let does = |one: &&&Instance| one.counts.get(&target).is_some_and(&does);
    let all: Vec<_> = sample.instances.iter().filter(does).collect();
    let hidden = all.len().saturating_sub(NAMED_MAX);
    let mut shown: Vec<_> = all.iter().take(NAMED_MAX).map(|one| named(one)).collect();
    if hidden > 0 {
        shown.push(format!("{hidden} more"));
    }
    shown.join(", ")
}
