//! The gate `findings`: whether scans of code bases know a place that a rotation of the ring would
//! break. What a scan is, and which place belongs to which ring, is decided before; here stands
//! only what follows from it.

use super::{EvidenceLevel, EvidenceRecord, FINDINGS, Gate, GateStatus, Scene, Verdict};
use crate::policy::Policy;
use crate::ring::Attribution;
use crate::time::Now;
use crate::view::{PlaceWaiver, Scan, View};

impl Scene<'_> {
    /// The gate, where the policy requires it or a scan has something to say. `said` is evidence
    /// that was given by hand: a failure always counts, a pass only where no scan was reported.
    pub(super) fn findings(&self, said: Option<&EvidenceRecord>) -> Option<Gate> {
        let required = self.ring.policy.requires_findings();
        if let Some(Verdict::Fail { why }) = said.map(|record| &record.verdict) {
            return Some(Gate::failed(FINDINGS, why));
        }
        let scans = &self.view.scans;
        if scans.is_empty() {
            return required.then(|| match said {
                Some(record) => Gate::open(FINDINGS, record.level),
                None => Gate::waiting(FINDINGS, "a scan: none was reported for this ring"),
            });
        }
        if let Some(why) = broken(scans, self.now) {
            return Some(Gate::failed(FINDINGS, why));
        }
        if required && let Some(on) = self.too_old() {
            return Some(Gate::waiting(FINDINGS, on));
        }
        if let Some(status) = waived(scans) {
            return Some(Gate { name: FINDINGS.into(), status });
        }
        required.then(|| Gate::open(FINDINGS, EvidenceLevel::Attested))
    }

    /// The first code base whose scan says too little by now.
    fn too_old(&self) -> Option<String> {
        let most = self.ring.policy.findings_max_age?;
        let now = self.now;
        // Cluster time stands still while nobody leads, and code does not; so both clocks count.
        let old = self.view.scans.iter().find(|scan| {
            now.cluster.since(scan.at.cluster) > most || now.wall > scan.at.wall.after(most)
        })?;
        Some(format!("a newer scan of {}: the last one is older than {most}", old.name))
    }
}

impl Policy {
    /// Whether no version is promoted without a scan.
    pub fn requires_findings(&self) -> bool {
        self.required_gates.iter().any(|gate| gate.as_str() == FINDINGS)
    }
}

/// Which places would break, if any, for those whose waivers are over too.
fn broken(scans: &[Scan], now: Now) -> Option<String> {
    let stands = |waiver: &PlaceWaiver| now.cluster < waiver.until;
    let open = |scan: &Scan| {
        let places = scan.blocking.iter();
        let open = places.filter(|place| !place.waiver.as_ref().is_some_and(stands));
        open.map(|place| format!("{}: {}", scan.name, place.place)).collect::<Vec<_>>()
    };
    let (mut named, mut more) = (Vec::new(), 0_usize);
    for scan in scans {
        named.extend(open(scan));
        more = scan.more.saturating_add(more);
    }
    if named.is_empty() && more == 0 {
        return None;
    }
    let count = named.len().saturating_add(more);
    named.truncate(NAMED_MAX);
    let places = if count == 1 { "place" } else { "places" };
    let rest = match count.saturating_sub(named.len()) {
        0 => String::new(),
        rest => format!("; and {rest} more"),
    };
    Some(format!("{count} {places} would break: {}{rest}", named.join("; ")))
}

/// How many places a gate names.
const NAMED_MAX: usize = 8;

/// How the gate stands when every place that would break is waived.
fn waived(scans: &[Scan]) -> Option<GateStatus> {
    let waivers = || scans.iter().flat_map(|scan| &scan.blocking).filter_map(|p| p.waiver.as_ref());
    let first = waivers().min_by_key(|waiver| waiver.until)?;
    let others = waivers().count().saturating_sub(1);
    let reason = match others {
        0 => first.by.reason.clone(),
        others => format!("{} (and {others} more waived)", first.by.reason),
    };
    let by = Attribution { who: first.by.who.clone(), reason };
    Some(GateStatus::Waived { by, until: first.until })
}

/// What would close the gate before any waiver ends, for a plan.
pub(crate) fn foreseen(view: &View, now: Now) -> Option<String> {
    broken(&view.scans, now)
}
