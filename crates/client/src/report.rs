//! Writes reports: adds to a plan the proofs that only who holds the keys can make.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywheel_api::instance::{Acknowledgement, Report};
use keywheel_core::id::{Incarnation, InstanceId, Revision, RingName};
use keywheel_jose::challenge::Challenge;
use keywheel_jose::proof::{
    AcceptedSetDigest, AcceptedVersion, Statement, accepted_set_digest, prove,
};
use zeroize::Zeroizing;

use crate::keyset::Version;
use crate::state::{Acknowledged, ReportPlan, Verdict};

/// In the digest of the accepted set: the version may be processed with.
const USAGE_PROCESS: u8 = 1;
/// In the digest of the accepted set: the version is the primary.
const USAGE_PRIMARY: u8 = 2;

/// Who this process is to the server. A forked child has none of it.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) instance: InstanceId,
    pub(crate) secret: Zeroizing<Vec<u8>>,
}

/// The digest of what is accepted of the present life.
pub(crate) fn digest(plan: &ReportPlan) -> AcceptedSetDigest {
    let accepted: Vec<_> = plan
        .accepted
        .iter()
        .map(|(number, kid)| AcceptedVersion {
            version: *number,
            kid,
            usage: if plan.primary == Some(*number) { USAGE_PRIMARY } else { USAGE_PROCESS },
        })
        .collect();
    accepted_set_digest(&plan.incarnation, plan.revision, &accepted)
}

/// Writes one report; `versions` are those of the present life.
pub(crate) fn write(
    ring: &RingName,
    identity: &Identity,
    plan: ReportPlan,
    versions: &[Arc<Version>],
    fill: &mut dyn FnMut(&mut [u8]),
) -> Report {
    let accepted_set = digest(&plan);
    let mut proofs = std::collections::BTreeMap::new();
    let mut answer = None;
    if plan.prove {
        for version in versions.iter().filter(|version| version.incarnation == plan.incarnation) {
            let statement = Statement {
                ring,
                incarnation: &plan.incarnation,
                revision: plan.revision,
                accepted_set: &accepted_set,
                version: version.number,
                instance: &identity.instance,
                sequence: plan.sequence,
                nonce: &plan.nonce,
                instance_secret: &identity.secret,
            };
            let proof = prove(&version.proof_secret(), &version.salt, &statement);
            proofs.insert(version.number.0, proof);
            if plan.primary == Some(version.number) {
                answer = answer_challenge(ring, identity, &plan, version, fill);
            }
        }
    }
    let counts = plan.counts.iter().map(|(number, counts)| (number.0, *counts)).collect();
    Report {
        ring: ring.to_string(),
        incarnation: plan.incarnation.0,
        revision: plan.revision.0,
        sequence: plan.sequence,
        nonce: URL_SAFE_NO_PAD.encode(&plan.nonce),
        accepted_set,
        proofs,
        answer,
        evidence: plan.evidence,
        trouble: plan.trouble,
        oldest_guard: plan.oldest_guard.0,
        counts,
        unknown: plan.unknown.total(),
        unknown_kids: plan.unknown.into_kids(),
        stale_for_millis: plan.stale_for.map(keywheel_core::time::Span::as_millis),
        refused_revision: plan.refused.map(|revision| revision.0),
    }
}

/// Whoever can protect shows with which version it does. An answer that cannot be made is left out;
/// the server then says what it misses.
fn answer_challenge(
    ring: &RingName,
    identity: &Identity,
    plan: &ReportPlan,
    version: &Version,
    fill: &mut dyn FnMut(&mut [u8]),
) -> Option<String> {
    let challenge = Challenge {
        ring,
        incarnation: &plan.incarnation,
        revision: plan.revision,
        version: version.number,
        instance: &identity.instance,
        nonce: &plan.nonce,
    };
    let answer = challenge.answer(version.material()?, fill).ok()?;
    Some(URL_SAFE_NO_PAD.encode(answer))
}

/// Reads an acknowledgement. A verdict of a newer release counts as `stale`, which is safe: this
/// process then loads and proves again.
pub(crate) fn read(wire: Acknowledgement) -> Option<Acknowledged> {
    let verdict = match wire.verdict.as_str() {
        "proved" => Verdict::Proved,
        "renewed" => Verdict::Renewed,
        "rejected" => Verdict::Rejected,
        _ => Verdict::Stale,
    };
    Some(Acknowledged {
        verdict,
        incarnation: Incarnation(wire.incarnation),
        revision: Revision(wire.revision),
        nonce: URL_SAFE_NO_PAD.decode(wire.nonce).ok()?,
        revocations: wire.revocations,
    })
}
